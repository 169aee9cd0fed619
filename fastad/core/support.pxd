# cython: cdivision=True
"""C helpers that the value expressions of the elementary rows call, with NumPy's results for float64."""

from libc.math cimport (
    INFINITY, acos, acosh, asin, asinh, atan, atan2, atanh, cbrt, ceil, copysign, cos, cosh, erf, erfc, exp, exp2, expm1,
    fabs, floor, fmax, fmin, fmod, hypot, ldexp, log, log10, log1p, log2, nextafter, pow, rint, sin, sinh, sqrt, tan, tanh,
    trunc,
)
from libc.math cimport remainder as ieee_remainder


cdef inline double mulz(double x, double y) noexcept nogil:
    # The product of the chain rule: zero wins over infinity and NaN, and then the plain product is NaN: the only case to look at.
    cdef double product = x * y
    if product != product and (x == 0.0 or y == 0.0):
        return 0.0
    return product


cdef inline double div0(double x, double y) noexcept nogil:
    return 0.0 if y == 0.0 else x / y


cdef inline double divz(double x, double y) noexcept nogil:
    return 0.0 if x == 0.0 else x / y


cdef inline double logz(double x) noexcept nogil:
    return 0.0 if x == 0.0 else log(x)


cdef inline double gap(double x, double y) noexcept nogil:
    # x - y where equal infinities are no distance apart.
    return 0.0 if x == y else x - y


cdef inline double sign(double x) noexcept nogil:
    return 1.0 if x > 0.0 else -1.0 if x < 0.0 else x if x != x else 0.0


cdef inline double maximum(double x, double y) noexcept nogil:
    return x if x >= y or x != x else y


cdef inline double minimum(double x, double y) noexcept nogil:
    return x if x <= y or x != x else y


cdef inline double heaviside(double x, double y) noexcept nogil:
    return x if x != x else y if x == 0.0 else 1.0 if x > 0.0 else 0.0


cdef inline double remainder(double x, double y) noexcept nogil:
    # The sign of the divisor, as Python and NumPy have it.
    cdef double r = fmod(x, y)
    if y == 0.0:
        return r
    if r == 0.0:
        return copysign(0.0, y)
    return r + y if (y < 0.0) != (r < 0.0) else r


cdef inline double floor_divide(double x, double y) noexcept nogil:
    # From the exact remainder, as Python does it: x / y alone may round up to the next whole number.
    cdef double r, quotient, whole
    if y == 0.0:
        return x / y
    r = fmod(x, y)
    quotient = (x - r) / y
    if r != 0.0 and (y < 0.0) != (r < 0.0):
        quotient -= 1.0
    if quotient == 0.0:
        return copysign(0.0, x / y)
    whole = floor(quotient)
    return whole + 1.0 if quotient - whole > 0.5 else whole


cdef inline double spacing(double x) noexcept nogil:
    if fabs(x) == INFINITY:
        return INFINITY - INFINITY
    return nextafter(x, INFINITY if x >= 0.0 else -INFINITY) - x


cdef inline double ldexp_double(double x, double y) noexcept nogil:
    # Beyond these exponents every double has become zero or infinity.
    return ldexp(x, <int>(-5000.0 if y < -5000.0 else 5000.0 if y > 5000.0 else y))


cdef inline double expit(double x) noexcept nogil:
    return 1.0 / (1.0 + exp(-x))


cdef inline double logaddexp(double x, double y) noexcept nogil:
    cdef double d = x - y
    if x == y:
        return x + 0.6931471805599453
    if d > 0.0:
        return x + log1p(exp(-d))
    return y + log1p(exp(d)) if d <= 0.0 else d


cdef inline double logaddexp2(double x, double y) noexcept nogil:
    cdef double d = x - y
    if x == y:
        return x + 1.0
    if d > 0.0:
        return x + 1.4426950408889634 * log1p(exp2(-d))
    return y + 1.4426950408889634 * log1p(exp2(d)) if d <= 0.0 else d
