/* Sine, cosine, exponential, logarithm and hyperbolic tangent over a block, in loops without a branch that the compiler vectorises.
 *
 * Every lane does what the plain loop does, so results depend neither on the instruction set nor on the place in the block.
 *
 * Sine and cosine: reduction by multiples of pi/2 in three parts (Cody and Waite 1980), then the polynomials that fdlibm uses on [-pi/4, pi/4];
 * within 2 ulp of the exact result for |x| <= FASTAD_REDUCIBLE, and the C library's result beyond.
 * Exponential and hyperbolic tangent: reduction by multiples of ln 2 in two parts, then the series of expm1; within 1 and 4 ulp.
 * Logarithm: fdlibm's (Tang 1990 has the idea), within 1 ulp.
 */
#ifndef FASTAD_TRANSCENDENTAL_H
#define FASTAD_TRANSCENDENTAL_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(FASTAD_ALWAYS_INLINE)
#elif defined(__GNUC__)
#define FASTAD_ALWAYS_INLINE inline __attribute__((always_inline))
#else
#define FASTAD_ALWAYS_INLINE inline
#endif

#define FASTAD_REDUCIBLE 1e5

/* Sine and cosine of what a is beyond quarter turns, and how many of these there are, in the low bits. */
static FASTAD_ALWAYS_INLINE int64_t fastad_quarters(double a, double *sine, double *cosine) {
    /* Added and subtracted again, this rounds to a whole number, which then stands in the low bits. */
    const double shift = 6755399441055744.0;
    /* pi/2 in parts of 33 bits, so that their products with the number of turns are exact. */
    const double part1 = 1.57079632673412561417e+00, part2 = 6.07710050630396597660e-11, part3 = 2.02226624879595063154e-21;
    double shifted = a * 0.63661977236758134308 + shift;
    double k = shifted - shift;
    double r = ((a - k * part1) - k * part2) - k * part3;
    /* Pairs of terms, then pairs of pairs (Estrin): half as many steps wait for one another as by Horner's scheme. */
    double z = r * r, z2 = z * z, z4 = z2 * z2;
    int64_t quarters;
    *sine = r + r * z * ((-1.66666666666666324348e-01 + z * 8.33333333332248946124e-03)
            + z2 * (-1.98412698298579493134e-04 + z * 2.75573137070700676789e-06)
            + z4 * (-2.50507602534068634195e-08 + z * 1.58969099521155010221e-10));
    *cosine = 1.0 - 0.5 * z + z2 * ((4.16666666666666019037e-02 + z * -1.38888888888741095749e-03)
              + z2 * (2.48015872894767294178e-05 + z * -2.75573143513906633035e-07)
              + z4 * (2.08757232129817482790e-09 + z * -1.13596475577881948265e-11));
    memcpy(&quarters, &shifted, 8);
    return quarters;
}

/* The sine after so many quarter turns more. */
static FASTAD_ALWAYS_INLINE double fastad_turned(double sine, double cosine, int64_t quarters) {
    const int64_t odd = -(quarters & 1);
    uint64_t bits, sine_bits, cosine_bits;
    memcpy(&sine_bits, &sine, 8);
    memcpy(&cosine_bits, &cosine, 8);
    bits = (sine_bits & ~(uint64_t)odd) | (cosine_bits & (uint64_t)odd);
    bits ^= (uint64_t)(quarters & 2) << 62;
    memcpy(&sine, &bits, 8);
    return sine;
}

static FASTAD_ALWAYS_INLINE int fastad_any_far(const double *x, int n) {
    int i, far = 0;
    for (i = 0; i < n; i++) far |= !(fabs(x[i]) <= FASTAD_REDUCIBLE);
    return far;
}

/* Quarter turns before the sine is taken: 0 gives sin(x), 1 gives cos(x). */
static FASTAD_ALWAYS_INLINE void fastad_sines(const double *x, double *result, int n, int64_t turns) {
    int i;
    for (i = 0; i < n; i++) {
        double s, c;
        const int64_t quarters = fastad_quarters(x[i], &s, &c);
        result[i] = fastad_turned(s, c, quarters + turns);
    }
    if (fastad_any_far(x, n))
        for (i = 0; i < n; i++)
            if (!(fabs(x[i]) <= FASTAD_REDUCIBLE)) result[i] = turns ? cos(x[i]) : sin(x[i]);
}

/* Both, as fastad_sines gives them, at once. */
static FASTAD_ALWAYS_INLINE void fastad_sines_and_cosines(const double *x, double *sines, double *cosines, int n) {
    int i;
    for (i = 0; i < n; i++) {
        double s, c;
        const int64_t quarters = fastad_quarters(x[i], &s, &c);
        sines[i] = fastad_turned(s, c, quarters);
        cosines[i] = fastad_turned(s, c, quarters + 1);
    }
    if (fastad_any_far(x, n))
        for (i = 0; i < n; i++)
            if (!(fabs(x[i]) <= FASTAD_REDUCIBLE)) { sines[i] = sin(x[i]); cosines[i] = cos(x[i]); }
}

static FASTAD_ALWAYS_INLINE double fastad_of_bits(uint64_t bits) {
    double x;
    memcpy(&x, &bits, 8);
    return x;
}

static FASTAD_ALWAYS_INLINE uint64_t fastad_bits_of(double x) {
    uint64_t bits;
    memcpy(&bits, &x, 8);
    return bits;
}

/* Added and subtracted again, this rounds to a whole number, which then stands in the low bits. */
#define FASTAD_SHIFT 6755399441055744.0
#define FASTAD_LN2_HIGH 6.93147180369123816490e-01
#define FASTAD_LN2_LOW 1.90821492927058770002e-10

/* exp(r) - 1 for |r| <= ln(2)/2. */
static FASTAD_ALWAYS_INLINE double fastad_expm1_reduced(double r) {
    return r + r * r * (0.5 + r * (1.0 / 6 + r * (1.0 / 24 + r * (1.0 / 120 + r * (1.0 / 720 + r * (1.0 / 5040 + r * (1.0 / 40320
        + r * (1.0 / 362880 + r * (1.0 / 3628800 + r * (1.0 / 39916800 + r * (1.0 / 479001600 + r * (1.0 / 6227020800.0))))))))))));
}

static FASTAD_ALWAYS_INLINE void fastad_exps(const double *x, double *result, int n) {
    int i;
    for (i = 0; i < n; i++) {
        /* Beyond these bounds the result is 0 or infinity; NaN passes both. */
        double bounded = x[i] < -746.0 ? -746.0 : x[i], a = bounded > 710.0 ? 710.0 : bounded;
        double shifted = a * 1.44269504088896338700e+00 + FASTAD_SHIFT, k = shifted - FASTAD_SHIFT;
        double p = 1.0 + fastad_expm1_reduced((a - k * FASTAD_LN2_HIGH) - k * FASTAD_LN2_LOW);
        /* k + 2048 in two halves, so that both powers of two are normal numbers: only the last product rounds. */
        uint64_t whole = (fastad_bits_of(shifted) + 2048) & 4095, half = whole >> 1;
        result[i] = p * fastad_of_bits((half - 1) << 52) * fastad_of_bits((whole - half - 1) << 52);
    }
}

static FASTAD_ALWAYS_INLINE void fastad_expits(const double *x, double *result, int n) {
    int i;
    for (i = 0; i < n; i++) result[i] = -x[i];
    fastad_exps(result, result, n);
    for (i = 0; i < n; i++) result[i] = 1.0 / (1.0 + result[i]);
}

static FASTAD_ALWAYS_INLINE void fastad_logs(const double *x, double *result, int n) {
    int i;
    for (i = 0; i < n; i++) {
        /* A denormal is made a normal number. */
        int tiny = x[i] < 2.2250738585072014e-308;
        double a = x[i] * (tiny ? 18014398509481984.0 : 1.0), lifted = tiny ? 54.0 : 0.0;
        /* x = 2^k m with m from sqrt(1/2) to sqrt(2), of which 0x3fe6a09e667f3bcd are the bits. */
        uint64_t shifted = fastad_bits_of(a) + (0x3ff0000000000000u - 0x3fe6a09e667f3bcdu);
        double k = fastad_of_bits((shifted >> 52) | 0x4330000000000000u) - (4503599627370496.0 + 1023.0) - lifted;
        double f = fastad_of_bits((shifted & 0x000fffffffffffffu) + 0x3fe6a09e667f3bcdu) - 1.0;
        double s = f / (2.0 + f), z = s * s, w = z * z, half = 0.5 * f * f;
        double even = w * (3.999999999940941908e-01 + w * (2.222219843214978396e-01 + w * 1.531383769920937332e-01));
        double odd = z * (6.666666666666735130e-01 + w * (2.857142874366239149e-01 + w * (1.818357216161805012e-01
                   + w * 1.479819860511658591e-01)));
        double result_inside = k * FASTAD_LN2_HIGH - ((half - (s * (half + even + odd) + k * FASTAD_LN2_LOW)) - f);
        double outside = x[i] == 0.0 ? -INFINITY : NAN, right = x[i] > 0.0 ? result_inside : outside;
        result[i] = x[i] == INFINITY ? INFINITY : right;
    }
}

static FASTAD_ALWAYS_INLINE void fastad_tanhs(const double *x, double *result, int n) {
    int i;
    for (i = 0; i < n; i++) {
        double size = fabs(x[i]), a = size > 22.0 ? 44.0 : 2.0 * size;
        double shifted = a * 1.44269504088896338700e+00 + FASTAD_SHIFT, k = shifted - FASTAD_SHIFT;
        double p = fastad_expm1_reduced((a - k * FASTAD_LN2_HIGH) - k * FASTAD_LN2_LOW);
        double power = fastad_of_bits(((fastad_bits_of(shifted) + 1023) & 2047) << 52);
        double t = power * p + (power - 1.0);
        result[i] = copysign(t / (t + 2.0), x[i]);
    }
}

#endif
