/* Helpers that the value expressions of the elementary rows call, with NumPy's results for float64.
 *
 * One "|" or "&" between comparisons, so that a loop over any of the short ones has no branch.
 */
#ifndef FASTAD_SUPPORT_H
#define FASTAD_SUPPORT_H

#include <math.h>
#include <stdint.h>

/* Begins to bring what is at p near, for reading (0) or writing (1). */
#if defined(__GNUC__) || defined(__clang__)
#define FASTAD_PREFETCH(p, writing) __builtin_prefetch(p, writing)
#else
#define FASTAD_PREFETCH(p, writing) ((void)(p))
#endif

static inline void fastad_fetch(const char *p, int64_t bytes, int writing) {
    int64_t i;
    for (i = 0; i < bytes; i += 64)
        if (writing) FASTAD_PREFETCH(p + i, 1);      /* it takes a literal */
        else FASTAD_PREFETCH(p + i, 0);
}

/* The product of the chain rule: zero wins over infinity and NaN, and then the plain product is NaN: the only case to look at. */
static inline double fastad_mulz(double x, double y) {
    double product = x * y;
    return (product != product) & ((x == 0.0) | (y == 0.0)) ? 0.0 : product;
}

static inline double fastad_div0(double x, double y) {
    double quotient = x / y;
    return y == 0.0 ? 0.0 : quotient;
}

static inline double fastad_divz(double x, double y) {
    double quotient = x / y;
    return x == 0.0 ? 0.0 : quotient;
}

static inline double fastad_logz(double x) {
    return x == 0.0 ? 0.0 : log(x);
}

/* x - y where equal infinities are no distance apart. */
static inline double fastad_gap(double x, double y) {
    double difference = x - y;
    return x == y ? 0.0 : difference;
}

static inline double fastad_sign(double x) {
    double zero = x != x ? x : 0.0;
    return x > 0.0 ? 1.0 : x < 0.0 ? -1.0 : zero;
}

static inline double fastad_maximum(double x, double y) {
    return (x >= y) | (x != x) ? x : y;
}

static inline double fastad_minimum(double x, double y) {
    return (x <= y) | (x != x) ? x : y;
}

static inline double fastad_heaviside(double x, double y) {
    double step = x > 0.0 ? 1.0 : 0.0, there = x == 0.0 ? y : step;
    return x != x ? x : there;
}

/* The sign of the divisor, as Python and NumPy have it. */
static inline double fastad_remainder(double x, double y) {
    double r = fmod(x, y);
    if (y == 0.0) return r;
    if (r == 0.0) return copysign(0.0, y);
    return (y < 0.0) != (r < 0.0) ? r + y : r;
}

/* From the exact remainder, as Python does it: x / y alone may round up to the next whole number. */
static inline double fastad_floor_divide(double x, double y) {
    double r, quotient, whole;
    if (y == 0.0) return x / y;
    r = fmod(x, y);
    quotient = (x - r) / y;
    if ((r != 0.0) & ((y < 0.0) != (r < 0.0))) quotient -= 1.0;
    if (quotient == 0.0) return copysign(0.0, x / y);
    whole = floor(quotient);
    return quotient - whole > 0.5 ? whole + 1.0 : whole;
}

static inline double fastad_spacing(double x) {
    if (fabs(x) == INFINITY) return INFINITY - INFINITY;
    return nextafter(x, x >= 0.0 ? INFINITY : -INFINITY) - x;
}

/* Beyond these exponents every double has become zero or infinity. */
static inline double fastad_ldexp_double(double x, double y) {
    return ldexp(x, (int)(y < -5000.0 ? -5000.0 : y > 5000.0 ? 5000.0 : y));
}

static inline double fastad_expit(double x) {
    return 1.0 / (1.0 + exp(-x));
}

static inline double fastad_logaddexp(double x, double y) {
    double d = x - y;
    if (x == y) return x + 0.6931471805599453;
    if (d > 0.0) return x + log1p(exp(-d));
    return d <= 0.0 ? y + log1p(exp(d)) : d;
}

static inline double fastad_logaddexp2(double x, double y) {
    double d = x - y;
    if (x == y) return x + 1.0;
    if (d > 0.0) return x + 1.4426950408889634 * log1p(exp2(-d));
    return d <= 0.0 ? y + 1.4426950408889634 * log1p(exp2(d)) : d;
}

#endif
