"""NumPy and SciPy ufuncs called on active scalars."""

import numbers

import numpy as np

from .core import scalar
from .core.scalar import is_plain
from .elementals import UFUNCS, apply
from .errors import TraceError, turned_into, user_line


def _divmod(x, y):
    return apply("floor_divide", x, y), apply("remainder", x, y)


def modf(x):
    """Fractional and whole part of an active scalar, both with its sign, as math.modf."""
    whole = apply("trunc", x)
    if x == 0.0:
        return x, whole
    return (apply("copysign", 0.0, x) if abs(x) == np.inf else x - whole), whole


def frexp(x):
    """Mantissa (active, in [0.5, 1)) and exponent (int) of an active scalar, as math.frexp."""
    exponent = scalar.exponent(x)
    return apply("ldexp", x, -exponent), exponent


_COMPOSED = {np.divmod: _divmod, np.modf: modf, np.frexp: frexp}

# Of tracked whole numbers and decisions only; the result is a plain number.
_BITWISE = {np.bitwise_and, np.bitwise_or, np.bitwise_xor, np.left_shift, np.right_shift, np.invert}


def call_ufunc(ufunc, method, inputs, kwargs):
    """The result of a ufunc of which an operand is active; TraceError for what has no derivative rule."""
    place, code = user_line() if method != "__call__" or kwargs else ("", "")
    if method != "__call__":
        raise TraceError(f"{code} at {place}: {ufunc.__name__}.{method} does not take active scalars; use the function itself")
    if "out" in kwargs:
        raise turned_into("out", ufunc.__name__)
    if kwargs.keys() - {"dtype"} or np.dtype(kwargs.get("dtype", float)) != np.float64:
        raise TraceError(f"{code} at {place}: {ufunc.__name__} of active scalars takes no {', '.join(kwargs)}; "
                         "leave it out and use the result")
    for x in inputs:
        if is_plain(x, (np.ndarray, complex)) and not (is_plain(x, np.ndarray) and x.ndim == 0 and x.dtype.kind in "fiub"):
            place, code = user_line()
            raise TraceError(f"{code} at {place}: {ufunc.__name__} of an active scalar and {type(x).__name__} is not "
                             "supported; write the loop over the elements")
    if ufunc in _BITWISE and all(scalar.is_whole(x) for x in inputs):
        return ufunc(*(scalar.leave(x) for x in inputs))
    call = UFUNCS.find(ufunc) or _COMPOSED.get(ufunc)
    if call is None:
        place, code = user_line()
        raise TraceError(f"{code} at {place}: {ufunc.__name__} has no derivative rule; write it with functions that have one, or "
                         "pass fastad.stop_gradient(x)")
    return call(*(x[()] if isinstance(x, np.ndarray) else x for x in inputs))


numbers.Real.register(scalar.Active)
