/* Loops of the reverse sweep over arrays, which the compiler vectorises: an instruction set is chosen when the library is loaded,
 * where the platform can do that. Every lane does what the plain loop does, so results do not depend on it.
 *
 * Sine and cosine: reduction by multiples of pi/2 in three parts (Cody and Waite 1980), then the polynomials that fdlibm uses on [-pi/4, pi/4];
 * within 2 ulp of the exact result for |x| <= FASTAD_REDUCIBLE, and the C library's result beyond.
 */
#ifndef FASTAD_VECTOR_H
#define FASTAD_VECTOR_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && defined(__GLIBC__) && !defined(FASTAD_DEBUG)
/* AVX-512 is for long arrays: on short ones the processor's change of gear costs more than it gains. */
#define FASTAD_CLONES __attribute__((target_clones("avx2", "default")))
#define FASTAD_LONG_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define FASTAD_CLONES
#define FASTAD_LONG_CLONES
#endif
#if defined(__GNUC__)
#define FASTAD_ALWAYS_INLINE inline __attribute__((always_inline))
#else
#define FASTAD_ALWAYS_INLINE inline
#endif

#define FASTAD_REDUCIBLE 1e5

/* Quarter turns before the sine is taken: 0 gives sin(x), 1 gives cos(x). */
static FASTAD_ALWAYS_INLINE void fastad_sines(const double *x, double *result, int n, int64_t turns) {
    /* Added and subtracted again, this rounds to a whole number, which then stands in the low bits. */
    const double shift = 6755399441055744.0;
    /* pi/2 in parts of 33 bits, so that their products with the number of turns are exact. */
    const double part1 = 1.57079632673412561417e+00, part2 = 6.07710050630396597660e-11, part3 = 2.02226624879595063154e-21;
    int i, far = 0;
    for (i = 0; i < n; i++) {
        double a = x[i];
        double shifted = a * 0.63661977236758134308 + shift;
        double k = shifted - shift;
        double r = ((a - k * part1) - k * part2) - k * part3;
        double z = r * r;
        double s = r + r * z * (-1.66666666666666324348e-01 + z * (8.33333333332248946124e-03 + z * (-1.98412698298579493134e-04
                 + z * (2.75573137070700676789e-06 + z * (-2.50507602534068634195e-08 + z * 1.58969099521155010221e-10)))));
        double c = 1.0 - 0.5 * z + z * z * (4.16666666666666019037e-02 + z * (-1.38888888888741095749e-03
                 + z * (2.48015872894767294178e-05 + z * (-2.75573143513906633035e-07 + z * (2.08757232129817482790e-09
                 + z * -1.13596475577881948265e-11)))));
        int64_t quadrant, odd;
        uint64_t bits, sine_bits, cosine_bits;
        memcpy(&quadrant, &shifted, 8);
        quadrant += turns;
        memcpy(&sine_bits, &s, 8);
        memcpy(&cosine_bits, &c, 8);
        odd = -(quadrant & 1);
        bits = (sine_bits & ~(uint64_t)odd) | (cosine_bits & (uint64_t)odd);
        bits ^= (uint64_t)(quadrant & 2) << 62;
        memcpy(&result[i], &bits, 8);
    }
    for (i = 0; i < n; i++) far |= !(fabs(x[i]) <= FASTAD_REDUCIBLE);
    if (far)
        for (i = 0; i < n; i++)
            if (!(fabs(x[i]) <= FASTAD_REDUCIBLE)) result[i] = turns ? cos(x[i]) : sin(x[i]);
}

FASTAD_CLONES static void fastad_sines_of_few(const double *x, double *result, int n, int64_t turns) {
    fastad_sines(x, result, n, turns);
}

FASTAD_LONG_CLONES static void fastad_sines_of_many(const double *x, double *result, int n, int64_t turns) {
    fastad_sines(x, result, n, turns);
}

static void fastad_sine_block(const double *x, double *result, int n, int64_t turns) {
    if (n < 256) fastad_sines_of_few(x, result, n, turns);
    else fastad_sines_of_many(x, result, n, turns);
}

/* The product of the chain rule, in which zero wins over infinity and NaN: by its bits, as of a choice between numbers the compiler
 * would make a branch.
 */
static FASTAD_ALWAYS_INLINE double fastad_mulz_of_double(double w, double p) {
    double product = w * p;
    int64_t bits;
    memcpy(&bits, &product, 8);
    bits &= -(int64_t)((w != 0) & (p != 0));
    memcpy(&product, &bits, 8);
    return product;
}

static FASTAD_ALWAYS_INLINE float fastad_mulz_of_float(float w, float p) {
    float product = w * p;
    int32_t bits;
    memcpy(&bits, &product, 4);
    bits &= -(int32_t)((w != 0) & (p != 0));
    memcpy(&product, &bits, 4);
    return product;
}

#define FASTAD_BLOCK 512      /* elements; as BLOCK of arrays/elementwise.pxi */

/* The same loops for double and float: out (+)= w*p, out (+)= w*factor, out (+)= w, out (+)= -w. out may be w where nothing is added.
 * Partials come as doubles, at most FASTAD_BLOCK of them. */
#define FASTAD_IN_PLACE const double *p = partials;
#define FASTAD_CONVERTED float p[FASTAD_BLOCK]; for (i = 0; i < n; i++) p[i] = (float)partials[i];
#define FASTAD_LOOPS(real, name, PARTIALS) \
    FASTAD_CLONES static void fastad_products_##name(real *out, const real *w, const double *partials, int n, int add) { \
        int i; \
        PARTIALS \
        if (add) for (i = 0; i < n; i++) out[i] += fastad_mulz_of_##name(w[i], p[i]); \
        else for (i = 0; i < n; i++) out[i] = fastad_mulz_of_##name(w[i], p[i]); \
    } \
    FASTAD_CLONES static void fastad_multiples_##name(real *out, const real *w, real factor, int64_t n, int add) { \
        int64_t i; \
        if (factor == 0) { if (!add) for (i = 0; i < n; i++) out[i] = 0; } \
        else if (add) for (i = 0; i < n; i++) out[i] += factor * w[i]; \
        else for (i = 0; i < n; i++) out[i] = factor * w[i]; \
    } \
    FASTAD_CLONES static void fastad_sums_##name(real *out, const real *w, int64_t n, int add) { \
        int64_t i; \
        if (add) for (i = 0; i < n; i++) out[i] += w[i]; \
        else if (out != w) memcpy(out, w, n * sizeof(real)); \
    } \
    FASTAD_CLONES static void fastad_differences_##name(real *out, const real *w, int64_t n, int add) { \
        int64_t i; \
        if (add) for (i = 0; i < n; i++) out[i] -= w[i]; \
        else for (i = 0; i < n; i++) out[i] = -w[i]; \
    }

FASTAD_LOOPS(double, double, FASTAD_IN_PLACE)
FASTAD_LOOPS(float, float, FASTAD_CONVERTED)

#endif
