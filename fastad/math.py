"""The names of the standard `math` module for active scalars; of plain numbers each is `math`'s own.

Smooth functions return active values. `floor`, `ceil` and `trunc` return tracked whole numbers with derivative zero, which
serve as indices; what answers a question (`isnan`, `isclose`, ...) answers with a plain bool or int. Outside a function's
domain active values give NaN or infinity, as np.float64, where `math` raises ValueError. `gamma`, `lgamma`, `fma` and `sumprod`
of active values need SciPy.
"""

import functools
import math as _math
from collections.abc import Iterable, Sequence
from math import (
    comb as comb, e as e, factorial as factorial, gcd as gcd, inf as inf, isqrt as isqrt, lcm as lcm, nan as nan, perm as perm,
    pi as pi, tau as tau,
)

from typing import Any

from .core.functions import (
    acos as acos, acosh as acosh, asin as asin, asinh as asinh, atan as atan, atan2 as atan2, atanh as atanh, cbrt as cbrt,
    ceil as ceil, copysign as copysign, cos as cos, cosh as cosh, degrees as degrees, erf as erf, erfc as erfc, exp as exp,
    exp2 as exp2, expm1 as expm1, fabs as fabs, floor as floor, fmod as fmod, ldexp as ldexp, log as log, log1p as log1p,
    log2 as log2, log10 as log10, pow as pow, radians as radians, remainder as remainder, sin as sin, sinh as sinh, sqrt as sqrt,
    tan as tan, tanh as tanh, trunc as trunc, ulp as ulp,
)
from .core.functions import number as _number
from .core.scalar import Active, leave, stop_gradient
from .elementals import apply as _apply
from .elementals import scipy_special as _scipy_special
from .ufuncs import frexp as _frexp
from .ufuncs import modf as _modf

__all__ = [name for name in dir(_math) if not name.startswith("_")]


def _numbers(*numbers: Any) -> tuple[list[Any], bool]:
    """The numbers, arrays without dimensions as scalars, and whether any of them is active."""
    found = [_number(x) for x in numbers]
    return found, any(type(x) is Active for x in found)


def gamma(x: Any, /) -> Any:
    """math.gamma, also of active values (dimensionless)."""
    x = _number(x)
    return _apply("tgamma", x) if type(x) is Active else _math.gamma(x)


def lgamma(x: Any, /) -> Any:
    """math.lgamma, also of active values (dimensionless)."""
    x = _number(x)
    return _apply("lgamma", x) if type(x) is Active else _math.lgamma(x)


def modf(x: Any, /) -> tuple[Any, Any]:
    """math.modf, also of active values: (fractional part, whole part)."""
    x = _number(x)
    return _modf(x) if type(x) is Active else _math.modf(x)


def frexp(x: Any, /) -> tuple[Any, int]:
    """math.frexp, also of active values: (mantissa, plain int exponent)."""
    x = _number(x)
    return _frexp(x) if type(x) is Active else _math.frexp(x)


def nextafter(x: Any, y: Any, /, **steps: Any) -> Any:
    """math.nextafter, also of active values; its derivative by x is one."""
    (x, y), active = _numbers(x, y)
    if not active:
        return _math.nextafter(x, y, **steps)
    if not steps:
        return _apply("nextafter", x, y)
    start = leave(x)
    return x + (_math.nextafter(start, leave(y), **steps) - start)


def hypot(*coordinates: Any) -> Any:
    """math.hypot of any number of coordinates, also active ones; its derivative at the origin is zero by convention."""
    numbers, active = _numbers(*coordinates)
    if not active:
        return _math.hypot(*numbers)
    if len(numbers) < 3:
        return _apply("hypot", *numbers) if len(numbers) == 2 else fabs(numbers[0])
    largest: Any = 0.0
    for x in numbers:
        largest = _apply("maximum", largest, fabs(stop_gradient(x)))
    if not 0.0 < largest < inf:
        return functools.reduce(lambda x, y: _apply("hypot", x, y), numbers)
    # Divided by a power of two no square overflows, and none that matters is lost.
    scale = exp2(floor(log2(largest)))
    shares = [x / scale for x in numbers]
    return scale * sqrt(_dot(shares, shares))


def _dot(p: Sequence[Any], q: Sequence[Any]) -> Any:
    """The sum of products of two sequences, term by term from the left."""
    total: Any = 0.0
    for a, b in zip(p, q, strict=True):
        total = total + a * b
    return total


def dist(p: Iterable[Any], q: Iterable[Any], /) -> Any:
    """math.dist: the Euclidean distance of two points of equal dimension (sequences of numbers)."""
    (p, active), (q, also) = _numbers(*p), _numbers(*q)
    if not active and not also:
        return _math.dist(p, q)
    if len(p) != len(q):
        raise ValueError("both points must have the same number of dimensions")
    return hypot(*(a - b for a, b in zip(p, q)))


def fsum(seq: Iterable[Any], /) -> Any:
    """math.fsum, also of active values: the sum with the rounding errors of the additions added at the end.

    Ogita, Rump and Oishi, Accurate Sum and Dot Product (2005), algorithm 4.4.
    """
    numbers, active = _numbers(*seq)
    if not active:
        return _math.fsum(numbers)
    total: Any = 0.0
    error: Any = 0.0
    for x in numbers:
        before = total
        total = before + x
        s, a, b = stop_gradient(total), stop_gradient(before), stop_gradient(x)
        part = s - a
        error = error + ((a - (s - part)) + (b - part))
    return total + error if isfinite(total + error) else total


def prod(iterable: Iterable[Any], /, *, start: Any = 1) -> Any:
    """math.prod, also of active values."""
    total = start
    for x in iterable:
        total = total * x
    return total


def sumprod(p: Iterable[Any], q: Iterable[Any], /) -> Any:
    """math.sumprod (Python 3.12), also of active values: the sum of products of two sequences of equal length."""
    (p, active), (q, also) = _numbers(*p), _numbers(*q)
    if len(p) != len(q):
        raise ValueError("Inputs are not the same length")
    if not active and not also:
        return sum(a * b for a, b in zip(p, q)) if not hasattr(_math, "sumprod") else _math.sumprod(p, q)
    total = _dot(p, q)
    if not isfinite(total):
        return total
    _scipy_special("fastad.math.sumprod")       # for fma, which would be named otherwise
    products = [a * b for a, b in zip(p, q, strict=True)]
    errors = [stop_gradient(fma(a, b, -c)) for a, b, c in zip(p, q, products, strict=True)]
    return fsum(products + errors)


def fma(x: Any, y: Any, z: Any, /) -> Any:
    """math.fma (Python 3.13), also of active values: x*y + z with one rounding."""
    (x, y, z), active = _numbers(x, y, z)
    return _apply("fma", x, y, z) if active or not hasattr(_math, "fma") else _math.fma(x, y, z)


def isclose(a: Any, b: Any, *, rel_tol: Any = 1e-09, abs_tol: Any = 0.0) -> bool:
    """math.isclose: a plain bool."""
    (a, b, rel_tol, abs_tol), active = _numbers(a, b, rel_tol, abs_tol)
    if not active:
        return _math.isclose(a, b, rel_tol=rel_tol, abs_tol=abs_tol)
    if rel_tol < 0.0 or abs_tol < 0.0:
        raise ValueError("tolerances must be non-negative")
    if a == b or isinf(a) or isinf(b):
        return bool(a == b)
    distance = abs(b - a)
    return bool(distance <= abs(rel_tol * b) or distance <= abs(rel_tol * a) or distance <= abs_tol)


def isfinite(x: Any, /) -> bool:
    """math.isfinite: a plain bool."""
    x = _number(x)
    return -inf < x < inf if type(x) is Active else _math.isfinite(x)


def isinf(x: Any, /) -> bool:
    """math.isinf: a plain bool."""
    x = _number(x)
    return x == inf or x == -inf if type(x) is Active else _math.isinf(x)


def isnan(x: Any, /) -> bool:
    """math.isnan: a plain bool."""
    x = _number(x)
    return x != x if type(x) is Active else _math.isnan(x)
