# cython: cdivision=True
"""C helpers of the special rows of distributions: densities and their derivatives."""

from libc.math cimport M_PI, NAN, exp, floor, lgamma, log, log1p, pow, sqrt
from scipy.special cimport cython_special as special

from fastad.special_gamma cimport beta_density


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
        u = exp(-c / (x*x))
        if u == 0.0:
            break
        polynomial = 0.0
        for j in range(39, 0, -1):
            polynomial = (polynomial + a[j]) / x
        total += polynomial*u
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
    cdef double step = min(0.1, 0.3 / sqrt(a*peak*peak + n + j)), constant, total = 0.0, term, s
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
