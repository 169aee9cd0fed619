"""The functions of `math` that are one elemental each: `math`'s own for plain numbers, recorded for active scalars."""

import math as _math

from cpython.float cimport PyFloat_CheckExact
from fastad.core.generated.opcodes cimport *
from fastad.core.scalar cimport Active, apply_binary, apply_unary


cdef inline object as_number(x):
    return x if PyFloat_CheckExact(x) or type(x) is Active else number(x)


def number(x, /):
    """x as `math`'s functions take it: an active array without dimensions (an element of a float32 array is one) as an active scalar."""
    convert = getattr(type(x), "_as_number", None)
    return x if convert is None else convert(x)


include "generated/math.pxi"


_E = object()


def log(x, base=_E, /):
    """math.log, also of active values (dimensionless): the natural logarithm, or the one to `base`."""
    x = as_number(x)
    if base is not _E:
        base = as_number(base)
        return log(x) / log(base) if type(x) is Active or type(base) is Active else _math.log(x, base)
    if type(x) is Active:
        return apply_unary(OP_LOG, x)
    return _math.log(x)
