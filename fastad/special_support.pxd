# cython: cdivision=True
"""C helpers that the value expressions of the special rows call: functions SciPy lacks, and single outputs of
those it has."""

from libc.math cimport INFINITY, M_PI, NAN, cos, cosh, exp, fabs, floor, log, pow, rint, sin, sinh, sqrt
from scipy.special cimport cython_special as special

from fastad.special_distribution cimport *
from fastad.special_gamma cimport *


# Output k of functions with several, by the numbers of their outputs and operands

ctypedef void (*Outputs_2_1)(double, double*, double*) noexcept nogil
ctypedef void (*Outputs_4_1)(double, double*, double*, double*, double*) noexcept nogil
ctypedef void (*Outputs_4_2)(double, double, double*, double*, double*, double*) noexcept nogil
ctypedef void (*Outputs_2_2)(double, double, double*, double*) noexcept nogil
ctypedef void (*Outputs_2_3)(double, double, double, double*, double*) noexcept nogil
ctypedef void (*Outputs_2_4)(double, double, double, double, double*, double*) noexcept nogil


cdef inline double output_2_1(Outputs_2_1 f, int k, double x) noexcept nogil:
    cdef double[2] out
    f(x, &out[0], &out[1])
    return out[k]


cdef inline double output_4_1(Outputs_4_1 f, int k, double x) noexcept nogil:
    cdef double[4] out
    f(x, &out[0], &out[1], &out[2], &out[3])
    return out[k]


cdef inline double output_4_2(Outputs_4_2 f, int k, double x, double y) noexcept nogil:
    cdef double[4] out
    f(x, y, &out[0], &out[1], &out[2], &out[3])
    return out[k]


cdef inline double output_2_2(Outputs_2_2 f, int k, double x, double y) noexcept nogil:
    cdef double[2] out
    f(x, y, &out[0], &out[1])
    return out[k]


cdef inline double output_2_3(Outputs_2_3 f, int k, double x, double y, double z) noexcept nogil:
    cdef double[2] out
    f(x, y, z, &out[0], &out[1])
    return out[k]


cdef inline double output_2_4(Outputs_2_4 f, int k, double x, double y, double z, double u) noexcept nogil:
    cdef double[2] out
    f(x, y, z, u, &out[0], &out[1])
    return out[k]


# Counts: SciPy's functions cut off a double in their place too, but with a warning that needs the interpreter

cdef inline long count(double x) noexcept nogil:
    return <long>(-1e9 if x < -1e9 else 1e9 if x > 1e9 else x)


cdef inline bint is_whole(double x) noexcept nogil:
    return fabs(x) <= 1e9 and x == floor(x)


# Functions of logarithms and errors

cdef inline double logrel(double x) noexcept nogil:
    return 1.0 if x == 1.0 else log(x) / (x - 1.0)


cdef inline double erfcx_integral(double n, double x) noexcept nogil:
    # exp(x*x) times the n-th repeated integral of erfc: I[k-1] = 2x I[k] + 2(k+1) I[k+1] (DLMF 7.18.7),
    # upwards where the terms do not cancel and by the continued fraction of I[k]/I[k-1] elsewhere.
    cdef double below, here, above, ratio
    cdef int k, order = <int>n
    here = special.erfcx(x)
    if x < 1.0:
        below = 1.12837916709551257390
        for k in range(1, order + 1):
            above = (below - 2.0*x*here) / (2.0*k)
            below, here = here, above
        return here
    for k in range(1, order + 1):
        here *= _erfcx_ratio(k, x)
    return here


cdef inline double _erfcx_ratio(int k, double x) noexcept nogil:
    cdef int j = k + 100
    cdef double ratio = (sqrt(x*x + 2.0*(j + 1)) - x) / (2.0*(j + 1))
    while j >= k:
        ratio = 1.0 / (2.0*x + 2.0*(j + 1)*ratio)
        j -= 1
    return ratio


cdef inline double dawsn_derivative(double n, double x) noexcept nogil:
    cdef double here, below, above, term, total, u, low, high
    cdef int j, k, order = <int>n
    if order == 0:
        return special.dawsn(x)
    if fabs(x) < 1.0:
        # F' = 1 - 2xF and F[k+1] = -2x F[k] - 2k F[k-1].
        below, here = special.dawsn(x), 1.0 - 2.0*x*special.dawsn(x)
        for k in range(1, order):
            above = -2.0*(x*here + k*below)
            below, here = here, above
        return here
    if fabs(x) > 7.0 + order:
        # The asymptotic series of F, differentiated term by term.
        term = 0.5 / x
        for k in range(1, order + 1):
            term *= -k / x
        total = 0.0
        k = 0
        while fabs(term) > 1e-17*fabs(total) and k < 60:
            total += term
            term *= (2.0*k + order + 1.0)*(2.0*k + order + 2.0) / (4.0*(k + 1.0)*x*x)
            k += 1
        return total
    # Rybicki's sampling theorem, F(x) = sum over odd j of exp(-(x - j/5)**2)/j/sqrt(pi), differentiated into
    # Hermite functions.
    total = 0.0
    j = 2*<int>floor((x - 6.5 - 0.2*order) / 0.4) - 1
    while 0.2*j < x + 6.5 + 0.2*order:
        u = x - 0.2*j
        low, high = 0.0, exp(-u*u)
        for k in range(order):
            low, high = high, -2.0*(u*high + k*low)
        total += high / j
        j += 2
    return total*0.56418958354775628695


cdef inline double hazard_excess(double x) noexcept nogil:
    cdef double z = -0.70710678118654752440*x
    if x > -1.0:
        return x + 0.79788456080286535588 / special.erfcx(z)
    return 1.41421356237309504880*erfcx_integral(1.0, z) / special.erfcx(z)


cdef inline double _voigt(int order, double x, double sigma, double gamma, int imaginary) noexcept nogil:
    # Derivatives by x of F = w(z)/(sigma sqrt(2 pi)), z = c/(sigma sqrt(2)), c = x + i gamma:
    # F' = (i/pi - c F)/sigma**2 and F[k+1] = -(c F[k] + k F[k-1])/sigma**2. These lose digits as c grows:
    # then the asymptotic series of F or, far enough above the axis, the trapezoidal rule for its integral
    # over normal(t)/(c - t).
    cdef double complex c = x + 1j*gamma, here, below, above, term, total
    cdef double s = sigma*sigma
    cdef int j, k
    if x*x + gamma*gamma > 80.0*s:
        term = 1j / (M_PI*c)
        for k in range(1, order + 1):
            term = -term*k / c
        total = 0.0
        k = 0
        while fabs(term.real) + fabs(term.imag) > 1e-17*(fabs(total.real) + fabs(total.imag)) and k < 36:
            total = total + term
            term = term*(s*(2*k + order + 1)*(2*k + order + 2) / (2.0*(k + 1))) / (c*c)
            k += 1
        return total.imag if imaginary else total.real
    if order > 0 and gamma > 1.2*sigma:
        total = 0.0
        for k in range(-45, 46):
            term = exp(-0.02*k*k) / (c - 0.2*k*sigma)
            for j in range(1, order + 1):
                term = -term*j / (c - 0.2*k*sigma)
            total = total + term
        total = total*(0.2*0.39894228040143267794*0.31830988618379067154*1j)
        return total.imag if imaginary else total.real
    here = special.wofz(c*(0.70710678118654752440 / sigma))*(0.39894228040143267794 / sigma)
    if order > 0:
        below, here = here, (0.31830988618379067154*1j - c*here) / s
    for k in range(1, order):
        above = -(c*here + k*below) / s
        below, here = here, above
    return here.imag if imaginary else here.real


cdef inline double voigt_real(double n, double x, double sigma, double gamma) noexcept nogil:
    return _voigt(<int>n, x, sigma, gamma, 0)


cdef inline double voigt_imag(double n, double x, double sigma, double gamma) noexcept nogil:
    return _voigt(<int>n, x, sigma, gamma, 1)


cdef inline double expn_any(double n, double x) noexcept nogil:
    # E[-m](x) = exp(-x)/x sum over k <= m of m!/(m-k)!/x**k.
    cdef double term, total
    cdef int k
    if n >= 0.0:
        return special.expn(count(n), x)
    term = total = 1.0
    for k in range(<int>-n):
        term *= (-n - k) / x
        total += term
    return exp(-x)*total / x


# Bessel functions

cdef inline double spherical_jn(double n, double x) noexcept nogil:
    # SciPy's is for x >= 0.
    cdef double value = special.spherical_jn(<Py_ssize_t>n, fabs(x))
    return -value if x < 0.0 and n != 2.0*floor(0.5*n) else value


cdef inline double spherical_in(double n, double x) noexcept nogil:
    cdef double value
    if x == 0.0:
        return 1.0 if n == 0.0 else 0.0
    if n == 0.0:
        return sinh(x) / x
    value = special.spherical_in(<Py_ssize_t>n, fabs(x))
    return -value if x < 0.0 and n != 2.0*floor(0.5*n) else value


cdef inline double kve_derivative(double n, double order, double x) noexcept nogil:
    # The n-th derivative by x of exp(x) kv(order, x), (-1)**n times the integral over t > 0 of
    # (cosh(t) - 1)**n exp(-x (cosh(t) - 1)) cosh(order t) (DLMF 10.32.9), by the trapezoidal rule.
    cdef double step = min(0.2, 0.5 / sqrt(x)), total = 0.0, last = 0.0, term, c
    cdef int k = 0
    if not x > 0.0:
        return NAN
    while k < 8000:
        c = 2.0*sinh(0.5*k*step)*sinh(0.5*k*step)
        term = pow(c, n)*exp(-x*c)*cosh(order*k*step)*(0.5 if k == 0 else 1.0)
        total += term
        if k > 0 and term <= last and term <= 1e-18*total or total != total:
            break
        last = term
        k += 1
    return total*step*(1.0 if n == 2.0*floor(0.5*n) else -1.0)


cdef inline double _m1(double x, double square) noexcept nogil:
    # sum over k > 0 of square**k/k!**2, where square is -x*x/4 (j0) or x*x/4 (i0)
    cdef double term = square, total = square
    cdef int k
    for k in range(2, 16):
        term *= square / (k*k)
        total += term
    return total


cdef inline double j0m1(double x) noexcept nogil:
    return _m1(x, -0.25*x*x) if fabs(x) < 2.0 else special.j0(x) - 1.0


cdef inline double i0m1(double x) noexcept nogil:
    return _m1(x, 0.25*x*x) if fabs(x) < 2.0 else special.i0(x) - 1.0


# Carlson's integrals and Jacobi's functions

cdef inline double carlson_integral(
        int i, int j, int k, int l, double x, double y, double z, double p) noexcept nogil:
    # The integral over t > 0 of (t+x)**(-i/2) (t+y)**(-j/2) (t+z)**(-k/2) (t+p)**(-l/2), by the trapezoidal
    # rule in log t: the integrand is log-concave there and analytic in a strip of half-width pi, so that step
    # 0.35 leaves an error below rounding.
    cdef double step = 0.35, start, total, term, last, t
    cdef int side, n
    if x == 0.0 and i > 1 or y == 0.0 and j > 1 or z == 0.0 and k > 1 or l > 0 and p == 0.0:
        return INFINITY
    if x < 0.0 or y < 0.0 or z < 0.0 or l > 0 and p < 0.0:
        return NAN
    start = log(max(max(x, y), max(z, p if l > 0 else 0.0)))
    total = 0.0
    for side in range(2):
        n = side
        last = 0.0
        while n < 4000:
            t = exp(start + (n*step if side == 0 else -n*step))
            term = t*_root(t + x, i)*_root(t + y, j)*_root(t + z, k)*(_root(t + p, l) if l > 0 else 1.0)
            total += term
            if term <= last and term < 1e-18*total or total != total:
                break
            last = term
            n += 1
    return step*total


cdef inline double _root(double x, int k) noexcept nogil:
    # x**(-k/2)
    cdef double root = 1.0 / sqrt(x), power = 1.0
    cdef int j
    for j in range(k):
        power *= root
    return power


cdef inline double carlson(double code, double x, double y, double z) noexcept nogil:
    cdef int digits = <int>code
    return carlson_integral(digits // 100, digits // 10 % 10, digits % 10, 0, x, y, z, 0.0)


cdef inline double ellipkinc_dm(double phi, double m) noexcept nogil:
    cdef double turns = rint(phi / M_PI), s = sin(phi - turns*M_PI), c = cos(phi)
    cdef double value = s*s*s*special.elliprd(c*c, 1.0, 1.0 - m*s*s) / 6.0
    return value if turns == 0.0 else value + turns*special.elliprd(<double>0.0, 1.0, 1.0 - m) / 3.0


cdef inline double ellipkinc_dmm(double phi, double m) noexcept nogil:
    cdef double turns = rint(phi / M_PI), s = sin(phi - turns*M_PI), c = cos(phi)
    cdef double value = 0.375*s*s*s*s*s*carlson(151.0, c*c, 1.0 - m*s*s, 1.0)
    return value if turns == 0.0 else value + 0.75*turns*carlson(151.0, 0.0, 1.0 - m, 1.0)


cdef inline double ellipj_dm(double x, double m) noexcept nogil:
    return -output_4_2(special.ellipj, 2, x, m)*ellipkinc_dm(output_4_2(special.ellipj, 3, x, m), m)
