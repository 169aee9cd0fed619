# cython: cdivision=True
"""C helpers that the value expressions of the special rows call: functions SciPy lacks, and single outputs of
those it has."""

from libc.math cimport (
    INFINITY, M_PI, NAN, cos, exp, fabs, floor, fma, lgamma, log, log1p, pow, rint, sin, sinh, sqrt, tgamma,
)
from scipy.special cimport cython_special as special


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


# Functions of logarithms and errors

cdef inline double log1prel(double x) noexcept nogil:
    return 1.0 if x == 0.0 else log1p(x) / x


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
    # F' = (i/pi - c F)/sigma**2 and F[k+1] = -(c F[k] + k F[k-1])/sigma**2, or the asymptotic series of F.
    cdef double complex c = x + 1j*gamma, here, below, above, term, total
    cdef double s = sigma*sigma
    cdef int k
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
        return special.expn(n, x)
    term = total = 1.0
    for k in range(<int>-n):
        term *= (-n - k) / x
        total += term
    return exp(-x)*total / x


# Gamma, beta and zeta functions

cdef inline double rgamma_derivative(double n, double x) noexcept nogil:
    # f = 1/gamma has f[k+1] = -sum of binomial(k, j) psi[j] f[k-j]. Left of 1/2, f(x) = gamma(1 - x) sin(pi
    # x)/pi by Leibniz's rule: no poles.
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


# Polynomials of a whole degree

cdef inline double eval_hermite(double n, double x) noexcept nogil:
    return special.eval_hermite(<Py_ssize_t>n, x) if n == floor(n) else NAN


cdef inline double eval_hermitenorm(double n, double x) noexcept nogil:
    return special.eval_hermitenorm(<Py_ssize_t>n, x) if n == floor(n) else NAN


# Distributions

cdef inline double kolmogorov_derivative(double n, double x) noexcept nogil:
    # The n-th derivative of 2 sum of (-1)**(k-1) exp(-2 k*k x*x) as Hermite functions or, for small x, of
    # 1 - sqrt(2 pi)/x sum of exp(-((2k-1) pi)**2/8/x**2), as polynomials in 1/x: a[j] stands for x**-j.
    cdef double[40] a
    cdef double total = 0.0, u, c, low, high, polynomial
    cdef int order = <int>n, j, k, i
    if order > 12 or n < 0.0:
        return NAN
    if x <= 0.0:
        return 1.0 if order == 0 else 0.0
    if x > 1.0:
        for k in range(1, 8):
            u = 1.41421356237309504880*k*x
            low, high = 0.0, exp(-u*u)*(2.0 if k % 2 else -2.0)
            for j in range(order):
                low, high = high, -2.0*(u*high + j*low)
            total += high*pow(1.41421356237309504880*k, order)
        return total
    for k in range(1, 6):
        c = (2*k - 1)*(2*k - 1)*M_PI*M_PI / 8.0
        for j in range(40):
            a[j] = 0.0
        a[1] = 1.0
        for i in range(order):
            for j in range(39, 0, -1):
                a[j] = (0.0 if j < 2 else -(j - 1)*a[j - 1]) + (0.0 if j < 4 else 2.0*c*a[j - 3])
        polynomial = 0.0
        for j in range(39, 0, -1):
            polynomial = (polynomial + a[j]) / x
        total += polynomial*exp(-c / (x*x))
    total *= -2.50662827463100050242
    return 1.0 + total if order == 0 else total


cdef inline double smirnov_derivative(double m, double n, double d) noexcept nogil:
    # The m-th derivative by d of (1-d)**n + sum over k > 0 of binomial(n, k) d a**(k-1) b**(n-k), a = d +
    # k/n, b = 1 - a.
    cdef double total = 0.0, a, b, low, high
    cdef int order = <int>m, count = <int>n, k
    if n != floor(n) or n < 1.0 or not 0.0 <= d <= 1.0:
        return NAN
    for k in range(count + 1):
        a = d + k / n
        b = 1.0 - a
        if b < 0.0 or b == 0.0 and count > k:
            break
        if k == 0:
            total += _falling(count, order)*pow(b, count - order)*(-1.0 if order % 2 else 1.0)
            continue
        high = d*_product_derivative(order, k - 1, count - k, a, b)
        low = order*_product_derivative(order - 1, k - 1, count - k, a, b) if order > 0 else 0.0
        total += (high + low)*exp(lgamma(n + 1.0) - lgamma(k + 1.0) - lgamma(n - k + 1.0))
    return total


cdef inline double _falling(int n, int k) noexcept nogil:
    cdef double product = 1.0
    cdef int j
    for j in range(k):
        product *= n - j
    return product


cdef inline double _product_derivative(int order, int p, int q, double a, double b) noexcept nogil:
    # The derivative by d of (a + d)**p (b - d)**q at d = 0
    cdef double total = 0.0, binomial = 1.0
    cdef int j
    for j in range(order + 1):
        if j <= p and order - j <= q:
            total += (binomial*_falling(p, j)*pow(a, p - j)*_falling(q, order - j)*pow(b, q - order + j)
                      * (-1.0 if (order - j) % 2 else 1.0))
        binomial *= <double>(order - j) / (j + 1)
    return total


cdef inline double t_density(double n, double t) noexcept nogil:
    return exp(-0.5*(n + 1.0)*log1p(t*t / n)) / (sqrt(n)*special.beta(0.5, 0.5*n))


cdef inline double f_density(double m, double n, double x) noexcept nogil:
    cdef double d = n + m*x
    return beta_density(0.5*m, 0.5*n, m*x / d, n / d)*m*n / (d*d)


cdef inline double ncx2_density(double x, double k, double t) noexcept nogil:
    # The noncentral chi-squared density, by the modified Bessel function of order k/2 - 1; for k <= 0 its
    # continuation.
    cdef double order = 0.5*k - 1.0, gap = sqrt(x) - sqrt(t)
    if t == 0.0:
        return 0.5*pow(0.5*x, order)*exp(-0.5*x)*special.rgamma(0.5*k)
    return 0.5*exp(-0.5*gap*gap)*pow(x / t, 0.5*order)*special.ive(order, sqrt(x*t))


cdef inline double nct_moment(double j, double n, double t, double x) noexcept nogil:
    # The mean of s**j phi(x s - t), where n s*s is chi-squared with n degrees of freedom: the trapezoidal
    # rule in log s, from the peak s of s**(n + j) exp(-n s*s/2 - (x s - t)**2/2) outwards.
    cdef double a = n + x*x, peak = (x*t + sqrt(x*x*t*t + 4.0*a*(n + j))) / (2.0*a)
    cdef double step = 0.3 / sqrt(a*peak*peak + n + j), constant, total = 0.0, term, s
    cdef int side, k
    constant = 0.5*n*log(0.5*n) - lgamma(0.5*n) + 0.69314718055994530942 - 0.91893853320467274178
    for side in range(2):
        k = side
        while k < 4000:
            s = log(peak) + (k*step if side == 0 else -k*step)
            term = exp(constant + (n + j)*s - 0.5*n*exp(2.0*s) - 0.5*(x*exp(s) - t)*(x*exp(s) - t))
            total += term
            if term < 1e-18*total or total != total:
                break
            k += 1
    return total*step


cdef inline double ncbeta_density(double a, double b, double t, double w) noexcept nogil:
    return exp(-0.5*t)*beta_density(a, b, w, 1.0 - w)*special.hyp1f1(a + b, a, 0.5*t*w)


cdef inline double ncbeta_drop(double a, double b, double t, double w) noexcept nogil:
    return exp(-0.5*t)*w*(1.0 - w) / a*beta_density(a, b, w, 1.0 - w)*special.hyp1f1(a + b, a + 1.0, 0.5*t*w)
