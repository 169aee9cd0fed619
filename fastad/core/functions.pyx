"""The functions of `math` that are one elemental each: `math`'s own for plain numbers, recorded for active scalars."""

import math as _math

from fastad.core.generated.opcodes cimport *
from fastad.core.scalar cimport Active, apply_binary, apply_unary

include "generated/math.pxi"


_E = object()


def log(x, base=_E, /):
    """math.log, also of active values (dimensionless): the natural logarithm, or the one to `base`."""
    if base is not _E:
        return log(x) / log(base) if type(x) is Active or type(base) is Active else _math.log(x, base)
    if type(x) is Active:
        return apply_unary(OP_LOG, x)
    return _math.log(x)
