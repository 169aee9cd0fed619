"""C helpers that the value expressions of the elementary rows call; support.h has them."""

from libc.math cimport (
    INFINITY, acos, acosh, asin, asinh, atan, atan2, atanh, cbrt, ceil, copysign, cos, cosh, erf, erfc, exp, exp2, expm1,
    fabs, floor, fmax, fmin, fmod, hypot, ldexp, log, log10, log1p, log2, nextafter, pow, rint, sin, sinh, sqrt, tan, tanh,
    trunc,
)
from libc.math cimport remainder as ieee_remainder


cdef extern from "fastad/core/support.h" nogil:
    double mulz "fastad_mulz"(double x, double y) noexcept
    double div0 "fastad_div0"(double x, double y) noexcept
    double divz "fastad_divz"(double x, double y) noexcept
    double logz "fastad_logz"(double x) noexcept
    double gap "fastad_gap"(double x, double y) noexcept
    double sign "fastad_sign"(double x) noexcept
    double maximum "fastad_maximum"(double x, double y) noexcept
    double minimum "fastad_minimum"(double x, double y) noexcept
    double heaviside "fastad_heaviside"(double x, double y) noexcept
    double remainder "fastad_remainder"(double x, double y) noexcept
    double floor_divide "fastad_floor_divide"(double x, double y) noexcept
    double spacing "fastad_spacing"(double x) noexcept
    double ldexp_double "fastad_ldexp_double"(double x, double y) noexcept
    double expit "fastad_expit"(double x) noexcept
    double logaddexp "fastad_logaddexp"(double x, double y) noexcept
    double logaddexp2 "fastad_logaddexp2"(double x, double y) noexcept
