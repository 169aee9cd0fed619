# cython: cdivision=True
"""C helpers of the special rows around the gamma, beta and zeta functions."""

from libc.math cimport (
    INFINITY, M_PI, NAN, cos, exp, fabs, floor, fma, lgamma, log, log1p, pow, rint, sin, sqrt, tgamma,
)
from scipy.special cimport cython_special as special


cdef inline double rgamma_derivative(double n, double x) noexcept nogil:
    # f = 1/gamma has f[k+1] = -sum of binomial(k, j) psi[j] f[k-j]. Left of 1/2, where psi has poles, it is
    # gamma(1 - x) sin(pi x)/pi, differentiated by Leibniz's rule.
    cdef double[16] f
    cdef double[16] psi
    cdef double binomial, total
    cdef double sign = -1.0 if x > 0.5 else 1.0
    cdef double t = x if x > 0.5 else 1.0 - x
    cdef double phase = M_PI*(x - 2.0*rint(0.5*x))
    cdef int order = <int>n, j, k
    if order > 15 or n < 0.0:
        return NAN
    f[0] = special.rgamma(t) if x > 0.5 else special.gamma(t)
    for k in range(order):
        psi[k] = polygamma(k, t)
        binomial = 1.0
        total = 0.0
        for j in range(k + 1):
            total += binomial*psi[j]*f[k - j]
            binomial *= <double>(k - j) / (j + 1)
        f[k + 1] = sign*total
    if x > 0.5:
        return f[order]
    binomial = 1.0
    total = 0.0
    for k in range(order + 1):
        # gamma(1 - x) differentiated k times, sin(pi x)/pi the rest.
        total += binomial*(-f[k] if k % 2 else f[k])*pow(M_PI, order - k - 1)*_sine(phase, order - k)
        binomial *= <double>(order - k) / (k + 1)
    return total


cdef inline double _sine(double phase, int k) noexcept nogil:
    # sin(phase + k pi/2)
    k = k % 4
    return sin(phase) if k == 0 else cos(phase) if k == 1 else -sin(phase) if k == 2 else -cos(phase)


cdef inline double polygamma(double n, double x) noexcept nogil:
    cdef double s = n + 1.0, f
    cdef double sign = 1.0 if fabs(n - 2.0*floor(0.5*n)) == 1.0 else -1.0
    if n == 0.0:
        return special.psi(x)
    if x > 0.0:
        return sign*tgamma(s)*zeta_derivative(0.0, s, x)
    # The terms (x + k)**-s of both signs of x + k are Hurwitz sums of their own.
    f = -x - floor(-x)
    return sign*tgamma(s)*(zeta_derivative(0.0, s, 1.0 - f)
                           + sign*(zeta_derivative(0.0, s, f) - zeta_derivative(0.0, s, 1.0 - x)))


cdef inline double zeta_derivative(double n, double s, double q) noexcept nogil:
    # Euler-Maclaurin summation (DLMF 25.11.5) of truncated Taylor series in s: power[j] is the j-th
    # coefficient of w**-s.
    cdef double[12] total
    cdef double[12] factor
    cdef double[12] power
    cdef double w = q, a = s - 1.0, scale, value
    cdef double* bernoulli = [8.3333333333333333333e-2, -1.3888888888888888889e-3, 3.3068783068783068783e-5,
                              -8.2671957671957671958e-7, 2.0876756987868098979e-8, -5.2841901386874931848e-10,
                              1.3382536530684678833e-11, -3.3896802963225828668e-13,
                              8.5860620562778445641e-15, -2.1748686985580618730e-16]
    cdef int order = <int>n, j, k
    if order > 11 or n < 0.0:
        return NAN
    if q <= 0.0 or a == 0.0:
        return INFINITY if order == 0 else NAN
    for j in range(order + 1):
        total[j] = 0.0
    while w < 12.0 or w < s and pow(w / q, -s) > 1e-18:
        _power_jet(power, order, s, w)
        for j in range(order + 1):
            total[j] += power[j]
        w += 1.0
    _power_jet(power, order, s, w)
    # w**(1-s)/(s-1) + w**-s/2 + sum of B[2k]/(2k)! s (s+1)...(s+2k-2) w**(1-s-2k), factor being all but the
    # last power.
    scale = w / a
    for j in range(order + 1):
        factor[j] = scale + 0.5 if j == 0 else scale
        scale *= -1.0 / a
    _multiply_jet(total, power, factor, order)
    for j in range(order + 1):
        factor[j] = s if j == 0 else 1.0 if j == 1 else 0.0
    scale = 1.0 / w
    for k in range(10):
        for j in range(order + 1):
            factor[j] *= scale*bernoulli[k]
        _multiply_jet(total, power, factor, order)
        for j in range(order + 1):
            factor[j] /= scale*bernoulli[k]
        _shift_jet(factor, order, s + 2.0*k + 1.0)
        _shift_jet(factor, order, s + 2.0*k + 2.0)
        scale /= w*w
    value = total[order]
    for j in range(2, order + 1):
        value *= j
    return value


cdef inline void _power_jet(double* power, int order, double s, double w) noexcept nogil:
    cdef int j
    power[0] = pow(w, -s)
    for j in range(order):
        power[j + 1] = -power[j]*log(w) / (j + 1)


cdef inline void _multiply_jet(double* total, double* left, double* right, int order) noexcept nogil:
    # total += left*right
    cdef int j, k
    for k in range(order + 1):
        for j in range(k + 1):
            total[k] += left[j]*right[k - j]


cdef inline void _shift_jet(double* factor, int order, double c) noexcept nogil:
    # factor *= c + d, where d is the variable of the series
    cdef int j
    for j in range(order, 0, -1):
        factor[j] = c*factor[j] + factor[j - 1]
    factor[0] *= c


cdef inline double _stirling(double a) noexcept nogil:
    # log gamma(a) - ((a - 1/2) log a - a + log(2 pi)/2)
    cdef double r
    if a < 10.0:
        return lgamma(a) - ((a - 0.5)*log(a) - a + 0.91893853320467274178)
    r = 1.0 / (a*a)
    r = 1.0/360.0 - r*(1.0/1260.0 - r*(1.0/1680.0 - r*(1.0/1188.0 - r*691.0/360360.0)))
    return (1.0/12.0 - r / (a*a)) / a


cdef inline double gamma_density(double a, double t) noexcept nogil:
    # t**(a - 1) exp(-t)/gamma(a), by the deviation of t from a where a is large
    cdef double u = (t - a) / a
    if a <= 0.0 or t < 0.0:
        return 0.0 if a <= 0.0 else NAN
    if t == 0.0:
        return 0.0 if a > 1.0 else 1.0 if a == 1.0 else INFINITY
    if a < 10.0 and t < 700.0:
        return pow(t, a - 1.0)*exp(-t)*special.rgamma(a)
    return sqrt(0.5*a / M_PI) / t*exp(-a*(u - log1p(u)) - _stirling(a))


cdef inline double beta_density(double a, double b, double x, double y) noexcept nogil:
    # x**(a - 1) y**(b - 1)/beta(a, b), by the deviations of x and y from a/(a + b) and b/(a + b)
    cdef double n = a + b, u
    if a <= 0.0 or b <= 0.0:
        return 0.0
    if x == 0.0 or y == 0.0 or a < 10.0 and b < 10.0:
        return pow(x, a - 1.0)*pow(y, b - 1.0) / special.beta(a, b)
    u = a*log1p(fma(x, n, -a) / a) + b*log1p(fma(y, n, -b) / b)
    return sqrt(a*b / (2.0*M_PI*n)) / (x*y)*exp(u + _stirling(n) - _stirling(a) - _stirling(b))
