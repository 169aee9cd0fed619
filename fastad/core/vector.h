/* Loops of the reverse sweep over arrays, which the compiler vectorises: an instruction set is chosen when the library is loaded,
 * where the platform can do that. Every lane does what the plain loop does, so results do not depend on it.
 */
#ifndef FASTAD_VECTOR_H
#define FASTAD_VECTOR_H

#include <math.h>
#include <stdint.h>
#include <string.h>
#include "fastad/core/transcendental.h"

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && defined(__GLIBC__) && !defined(FASTAD_DEBUG)
/* AVX-512 is for long arrays: on short ones the processor's change of gear costs more than it gains. */
#define FASTAD_CLONES __attribute__((target_clones("avx2", "default")))
#define FASTAD_LONG_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define FASTAD_CLONES
#define FASTAD_LONG_CLONES
#endif
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

/* The sum of w*p, of at most FASTAD_BLOCK elements. */
FASTAD_CLONES static double fastad_sum_of_products(const double *w, const double *p, int n) {
    double totals[16] = {0}, total = 0.0;
    int i, k;
    for (i = 0; i + 16 <= n; i += 16) for (k = 0; k < 16; k++) totals[k] += fastad_mulz_of_double(w[i + k], p[i + k]);
    for (; i < n; i++) total += fastad_mulz_of_double(w[i], p[i]);
    for (k = 0; k < 16; k++) total += totals[k];
    return total;
}

/* v = x op y, where an operand that is NULL is the number x0 or y0. */
enum { FASTAD_ADDED, FASTAD_SUBTRACTED, FASTAD_MULTIPLIED, FASTAD_DIVIDED, FASTAD_MULTIPLIED_WITH_ZERO };      /* the rows add to divide, mulz */
#define FASTAD_EACH_OF(expression) { for (i = 0; i < n; i++) v[i] = expression; } break;
#define FASTAD_ARITHMETIC_OF(name, a, b) \
    switch (op) { \
    case FASTAD_ADDED: FASTAD_EACH_OF(a + b) \
    case FASTAD_SUBTRACTED: FASTAD_EACH_OF(a - b) \
    case FASTAD_MULTIPLIED: FASTAD_EACH_OF(a * b) \
    case FASTAD_DIVIDED: FASTAD_EACH_OF(a / b) \
    default: FASTAD_EACH_OF(fastad_mulz_of_##name(a, b)) \
    }
#define FASTAD_ARITHMETIC(real, name) \
    FASTAD_CLONES static void fastad_arithmetic_##name(int op, const real *x, const real *y, real x0, real y0, real *v, int64_t n) { \
        int64_t i; \
        if (x && y) { FASTAD_ARITHMETIC_OF(name, x[i], y[i]) } \
        else if (x) { FASTAD_ARITHMETIC_OF(name, x[i], y0) } \
        else { FASTAD_ARITHMETIC_OF(name, x0, y[i]) } \
    }

FASTAD_ARITHMETIC(double, double)
FASTAD_ARITHMETIC(float, float)

#endif
