/* Inner loops of arithmetic with the signature of NumPy's: the same results bit for bit, without NumPy's look at overlaps and flags
 * first, which costs more than the arithmetic of a short array. Operands are identical or disjoint.
 */
#ifndef FASTAD_LOOPS_H
#define FASTAD_LOOPS_H

#include <string.h>
#include "fastad/core/support.h"
#include "fastad/core/vector.h"

#if defined(__clang__)
#define FASTAD_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#elif defined(__GNUC__)
#define FASTAD_INDEPENDENT _Pragma("GCC ivdep")
#else
#define FASTAD_INDEPENDENT
#endif

#define FASTAD_NEAR 16384     /* bytes that stay in the first cache */
#define FASTAD_AT(real, p, i, step) (*(const real *)((p) + (i) * (step)))
#define FASTAD_STRIDED(real, EXPRESSION) \
    for (i = 0; i < n; i++) { \
        const real x = FASTAD_AT(real, p, i, steps[0]), y = FASTAD_AT(real, q, i, steps[1]); \
        *(real *)(r + i * steps[2]) = EXPRESSION; \
    }

/* v = EXPRESSION of x and y: arrays side by side with arrays or with one number have loops of their own. */
#define FASTAD_BINARY(name, real, EXPRESSION) \
    FASTAD_CLONES static void fastad_##name##_##real(char **args, const npy_intp *lengths, const npy_intp *steps, void *data) { \
        const char *p = args[0], *q = args[1]; \
        char *r = args[2]; \
        const npy_intp n = lengths[0]; \
        npy_intp i; \
        (void)data; \
        if (steps[2] != sizeof(real)) { FASTAD_STRIDED(real, EXPRESSION) } \
        else if (steps[0] == sizeof(real) && steps[1] == sizeof(real)) { \
            FASTAD_INDEPENDENT \
            for (i = 0; i < n; i++) { \
                const real x = ((const real *)p)[i], y = ((const real *)q)[i]; \
                ((real *)r)[i] = EXPRESSION; \
            } \
        } \
        else if (steps[0] == sizeof(real) && steps[1] == 0) { \
            const real y = *(const real *)q; \
            FASTAD_INDEPENDENT \
            for (i = 0; i < n; i++) { const real x = ((const real *)p)[i]; ((real *)r)[i] = EXPRESSION; } \
        } \
        else if (steps[0] == 0 && steps[1] == sizeof(real)) { \
            const real x = *(const real *)p; \
            FASTAD_INDEPENDENT \
            for (i = 0; i < n; i++) { const real y = ((const real *)q)[i]; ((real *)r)[i] = EXPRESSION; } \
        } \
        else if (steps[0] == 0 && steps[1] == 0) { \
            const real x = *(const real *)p, y = *(const real *)q, v = EXPRESSION; \
            for (i = 0; i < n; i++) ((real *)r)[i] = v; \
        } \
        else { FASTAD_STRIDED(real, EXPRESSION) } \
    }

#define FASTAD_UNARY(name, real, EXPRESSION) \
    FASTAD_CLONES static void fastad_##name##_##real(char **args, const npy_intp *lengths, const npy_intp *steps, void *data) { \
        const char *p = args[0]; \
        char *r = args[1]; \
        const npy_intp n = lengths[0]; \
        npy_intp i; \
        (void)data; \
        if (steps[0] == sizeof(real) && steps[1] == sizeof(real)) { \
            FASTAD_INDEPENDENT \
            for (i = 0; i < n; i++) { const real x = ((const real *)p)[i]; ((real *)r)[i] = EXPRESSION; } \
        } \
        else if (steps[0] == 0 && steps[1] == sizeof(real)) { \
            const real x = *(const real *)p, v = EXPRESSION; \
            for (i = 0; i < n; i++) ((real *)r)[i] = v; \
        } \
        else for (i = 0; i < n; i++) { const real x = FASTAD_AT(real, p, i, steps[0]); *(real *)(r + i * steps[1]) = EXPRESSION; } \
    }

#define FASTAD_ARITHMETIC(real) \
    FASTAD_BINARY(add, real, x + y) \
    FASTAD_BINARY(subtract, real, x - y) \
    FASTAD_BINARY(multiply, real, x * y) \
    FASTAD_BINARY(divide, real, x / y) \
    FASTAD_BINARY(mulz, real, fastad_mulz_of_##real(x, y)) \
    FASTAD_UNARY(negative, real, -x) \
    FASTAD_UNARY(square, real, x * x)

FASTAD_ARITHMETIC(double)
FASTAD_ARITHMETIC(float)

/* v = EXPRESSION of a product p of x and y, and z: with the roundings of both. Operands may be one number. */
#define FASTAD_WITH(real, PRODUCT, EXPRESSION, X, Y, Z) \
    FASTAD_INDEPENDENT \
    for (i = 0; i < n; i++) { const real x = X, y = Y, z = Z, p = PRODUCT; ((real *)r)[i] = EXPRESSION; } \
    return;

#define FASTAD_WITH_OTHER(real, PRODUCT, EXPRESSION, Z) \
    if (steps[0] == sizeof(real) && steps[1] == sizeof(real)) { FASTAD_WITH(real, PRODUCT, EXPRESSION, a[i], b[i], Z) } \
    if (steps[0] == sizeof(real) && steps[1] == 0) { FASTAD_WITH(real, PRODUCT, EXPRESSION, a[i], b0, Z) } \
    if (steps[0] == 0 && steps[1] == sizeof(real)) { FASTAD_WITH(real, PRODUCT, EXPRESSION, a0, b[i], Z) }

#define FASTAD_TERNARY(name, real, PRODUCT, EXPRESSION) \
    FASTAD_CLONES static void fastad_##name##_##real(char **args, const npy_intp *lengths, const npy_intp *steps, void *data) { \
        const real *a = (const real *)args[0], *b = (const real *)args[1], *c = (const real *)args[2]; \
        const real a0 = *a, b0 = *b, c0 = *c; \
        char *r = args[3]; \
        const npy_intp n = lengths[0]; \
        npy_intp i; \
        (void)data; \
        if (steps[2] == sizeof(real) && steps[3] == sizeof(real)) { FASTAD_WITH_OTHER(real, PRODUCT, EXPRESSION, c[i]) } \
        if (steps[2] == 0 && steps[3] == sizeof(real)) { FASTAD_WITH_OTHER(real, PRODUCT, EXPRESSION, c0) } \
        for (i = 0; i < n; i++) { \
            const real x = FASTAD_AT(real, args[0], i, steps[0]), y = FASTAD_AT(real, args[1], i, steps[1]); \
            const real z = FASTAD_AT(real, args[2], i, steps[2]), p = PRODUCT; \
            *(real *)(r + i * steps[3]) = EXPRESSION; \
        } \
    }

#define FASTAD_PRODUCTS_AND(real) \
    FASTAD_TERNARY(multiply_add, real, x * y, p + z) \
    FASTAD_TERNARY(mulz_add, real, fastad_mulz_of_##real(x, y), p + z) \
    FASTAD_TERNARY(multiply_less, real, x * y, p - z) \
    FASTAD_TERNARY(less_multiply, real, x * y, z - p)

FASTAD_PRODUCTS_AND(double)
FASTAD_PRODUCTS_AND(float)

/* Conversions, and choices by a condition of one byte, which only move bits. */
#define FASTAD_CONVERSION(name, from, to, EXPRESSION) \
    FASTAD_CLONES static void fastad_##name(char **args, const npy_intp *lengths, const npy_intp *steps, void *data) { \
        const char *p = args[0]; \
        char *r = args[1]; \
        const npy_intp n = lengths[0]; \
        npy_intp i; \
        (void)data; \
        if (steps[0] == sizeof(from) && steps[1] == sizeof(to)) { \
            FASTAD_INDEPENDENT \
            for (i = 0; i < n; i++) { const from x = ((const from *)p)[i]; ((to *)r)[i] = EXPRESSION; } \
        } \
        else for (i = 0; i < n; i++) { const from x = FASTAD_AT(from, p, i, steps[0]); *(to *)(r + i * steps[1]) = EXPRESSION; } \
    }

FASTAD_CONVERSION(double_to_float, double, float, (float)x)
FASTAD_CONVERSION(float_to_double, float, double, (double)x)
FASTAD_CONVERSION(int_to_double, int64_t, double, (double)x)
FASTAD_CONVERSION(bool_to_double, uint8_t, double, (double)(x != 0))
FASTAD_CONVERSION(int_to_float, int64_t, float, (float)x)
FASTAD_CONVERSION(bool_to_float, uint8_t, float, (float)(x != 0))

#define FASTAD_CHOOSE(bits, x, y) \
    FASTAD_INDEPENDENT \
    for (i = 0; i < n; i++) { const bits mask = -(bits)(c[i] != 0); v[i] = ((x) & mask) | ((y) & ~mask); }

#define FASTAD_CHOICE(name, bits) \
    FASTAD_CLONES static void fastad_##name(char **args, const npy_intp *lengths, const npy_intp *steps, void *data) { \
        const npy_intp n = lengths[0]; \
        npy_intp i; \
        (void)data; \
        if (steps[0] == 1 && steps[3] == sizeof(bits)) { \
            const uint8_t *c = (const uint8_t *)args[0]; \
            const bits *p = (const bits *)args[1], *q = (const bits *)args[2]; \
            const bits one = *p, other = *q; \
            bits *v = (bits *)args[3]; \
            if (steps[1] == sizeof(bits) && steps[2] == sizeof(bits)) { FASTAD_CHOOSE(bits, p[i], q[i]) return; } \
            if (steps[1] == sizeof(bits) && steps[2] == 0) { FASTAD_CHOOSE(bits, p[i], other) return; } \
            if (steps[1] == 0 && steps[2] == sizeof(bits)) { FASTAD_CHOOSE(bits, one, q[i]) return; } \
            if (steps[1] == 0 && steps[2] == 0) { FASTAD_CHOOSE(bits, one, other) return; } \
        } \
        for (i = 0; i < n; i++) \
            *(bits *)(args[3] + i * steps[3]) = args[0][i * steps[0]] ? FASTAD_AT(bits, args[1], i, steps[1]) : FASTAD_AT(bits, args[2], i, steps[2]); \
    }

FASTAD_CHOICE(where_8, int64_t)
FASTAD_CHOICE(where_4, int32_t)

/* Rows of n elements of 8 bytes side by side, all of a row the same; `step` from one row's element to the next one's. A row may be written
 * beyond its end, into the one after it, which then comes over it.
 */
FASTAD_CLONES static void fastad_spread_rows(const char *source, char *target, int64_t rows, int64_t n, npy_intp step) {
    int64_t *v = (int64_t *)target;
    int64_t i, j;
    int k;
    for (i = 0; i < rows; i++, v += n) {
        const int64_t x = *(const int64_t *)(source + i * step);
        if ((rows - 1 - i) * n >= 3) for (j = 0; j < n; j += 4) for (k = 0; k < 4; k++) v[j + k] = x;
        else for (j = 0; j < n; j++) v[j] = x;
    }
}

/* Sums of rows in NumPy's order, eight parts up to 128 elements and halves beyond; lengths: rows, elements of each; steps: from row to row of
 * both operands, then from element to element. Elements of other strides (0, one number for all of them, is none) are added in order.
 */
#define FASTAD_ROW_SUMS(real) \
    static FASTAD_ALWAYS_INLINE real fastad_few_##real(const char *p, npy_intp n, npy_intp step) { \
        real total = FASTAD_AT(real, p, 0, step), parts[8]; \
        npy_intp j = 1; \
        int k; \
        if (n >= 8) { \
            for (k = 0; k < 8; k++) parts[k] = FASTAD_AT(real, p, k, step); \
            for (j = 8; j + 8 <= n; j += 8) for (k = 0; k < 8; k++) parts[k] += FASTAD_AT(real, p, j + k, step); \
            total = ((parts[0] + parts[1]) + (parts[2] + parts[3])) + ((parts[4] + parts[5]) + (parts[6] + parts[7])); \
        } \
        for (; j < n; j++) total += FASTAD_AT(real, p, j, step); \
        return total; \
    } \
    FASTAD_CLONES static real fastad_many_##real(const char *p, npy_intp n, npy_intp step) { \
        const npy_intp half = n / 2 / 8 * 8; \
        if (n > 128) return fastad_many_##real(p, half, step) + fastad_many_##real(p + half * step, n - half, step); \
        return step == sizeof(real) ? fastad_few_##real(p, n, sizeof(real)) : fastad_few_##real(p, n, step); \
    } \
    FASTAD_CLONES static void fastad_row_sums_##real(char **args, const npy_intp *lengths, const npy_intp *steps, void *data) { \
        const npy_intp n = lengths[1], step = steps[2]; \
        npy_intp i, j; \
        (void)data; \
        for (i = 0; i < lengths[0]; i++) { \
            const char *p = args[0] + i * steps[0]; \
            real total; \
            if (step != sizeof(real) && step != 0) { \
                total = *(const real *)p; \
                for (j = 1; j < n; j++) total += FASTAD_AT(real, p, j, step); \
            } \
            else if (n > 128) total = fastad_many_##real(p, n, step); \
            else if (step) total = fastad_few_##real(p, n, sizeof(real)); \
            else total = fastad_few_##real(p, n, 0); \
            *(real *)(args[1] + i * steps[1]) = total; \
        } \
    }

FASTAD_ROW_SUMS(double)
FASTAD_ROW_SUMS(float)

/* Extremes of rows, likewise. NaN wins, as NumPy has it: comparisons pass it by, in one instruction, and sums tell that there may be one. */
#define FASTAD_ROW_EXTREMES(real, name, BETTER) \
    FASTAD_CLONES static void fastad_row_##name##_##real(char **args, const npy_intp *lengths, const npy_intp *steps, void *data) { \
        const npy_intp n = lengths[1]; \
        npy_intp i, j; \
        int k; \
        (void)data; \
        for (i = 0; i < lengths[0]; i++) { \
            const char *p = args[0] + i * steps[0]; \
            real best = *(const real *)p, parts[8], sums[8] = {0, 0, 0, 0, 0, 0, 0, 0}, sum = 0; \
            j = 0; \
            if (n >= 8 && steps[2] == sizeof(real)) { \
                const real *x = (const real *)p; \
                for (k = 0; k < 8; k++) parts[k] = x[k]; \
                for (; j + 8 <= n; j += 8) \
                    for (k = 0; k < 8; k++) { \
                        sums[k] += x[j + k]; \
                        parts[k] = x[j + k] BETTER parts[k] ? x[j + k] : parts[k]; \
                    } \
                for (k = 0; k < 8; k++) { \
                    sum += sums[k]; \
                    best = parts[k] BETTER best ? parts[k] : best; \
                } \
            } \
            for (; j < n; j++) { \
                const real x = FASTAD_AT(real, p, j, steps[2]); \
                sum += x; \
                best = x BETTER best ? x : best; \
            } \
            for (j = 0; sum != sum && best == best && j < n; j++) { \
                const real x = FASTAD_AT(real, p, j, steps[2]); \
                if (x != x) best = x; \
            } \
            *(real *)(args[1] + i * steps[1]) = best; \
        } \
    }

FASTAD_ROW_EXTREMES(double, minima, <)
FASTAD_ROW_EXTREMES(float, minima, <)
FASTAD_ROW_EXTREMES(double, maxima, >)
FASTAD_ROW_EXTREMES(float, maxima, >)

/* Sums of whole rows side by side, each column in order; lengths: sums, rows of each, columns; steps: from sum to sum of both operands, then
 * from row to row. A few columns at a time stay in registers while they are gone down, of as many rows as stay in the first cache.
 */
#define FASTAD_COLUMNS(real, count) \
    for (; j + count <= columns; j += count) { \
        const char *p = x + j * sizeof(real); \
        real parts[count]; \
        for (k = 0; k < count; k++) parts[k] = (from ? v : (const real *)x)[j + k]; \
        for (i = from ? 0 : 1; i < some; i++) for (k = 0; k < count; k++) parts[k] += ((const real *)(p + i * steps[2]))[k]; \
        for (k = 0; k < count; k++) v[j + k] = parts[k]; \
    }

#define FASTAD_COLUMN_SUMS(real) \
    FASTAD_CLONES static void fastad_column_sums_##real(char **args, const npy_intp *lengths, const npy_intp *steps, void *data) { \
        const npy_intp rows = lengths[1], columns = lengths[2], most = FASTAD_NEAR / (columns * (npy_intp)sizeof(real)); \
        npy_intp outer, from, i, j; \
        int k; \
        (void)data; \
        for (outer = 0; outer < lengths[0]; outer++) for (from = 0; from < rows; from += most) { \
            const npy_intp some = rows - from < most ? rows - from : most; \
            const char *x = args[0] + outer * steps[0] + from * steps[2]; \
            real *v = (real *)(args[1] + outer * steps[1]); \
            j = 0; \
            FASTAD_COLUMNS(real, 16) FASTAD_COLUMNS(real, 8) FASTAD_COLUMNS(real, 4) FASTAD_COLUMNS(real, 2) FASTAD_COLUMNS(real, 1) \
        } \
    }

FASTAD_COLUMN_SUMS(double)
FASTAD_COLUMN_SUMS(float)

/* Sums in eight parts, which every instruction set adds up in the same order; halves of what is long, for the rounding errors' sake. */
#define FASTAD_SUM(real) \
    FASTAD_CLONES static double fastad_short_sum_##real(const real *x, npy_intp n) { \
        double parts[8] = {0, 0, 0, 0, 0, 0, 0, 0}, rest = 0; \
        npy_intp i; \
        int k; \
        for (i = 0; i + 8 <= n; i += 8) for (k = 0; k < 8; k++) parts[k] += x[i + k]; \
        for (; i < n; i++) rest += x[i]; \
        return (((parts[0] + parts[4]) + (parts[2] + parts[6])) + ((parts[1] + parts[5]) + (parts[3] + parts[7]))) + rest; \
    } \
    static double fastad_sum_##real(const real *x, npy_intp n) { \
        npy_intp half; \
        if (n <= 1024) return fastad_short_sum_##real(x, n); \
        half = n / 2 / 8 * 8; \
        return fastad_sum_##real(x, half) + fastad_sum_##real(x + half, n - half); \
    }

FASTAD_SUM(double)
FASTAD_SUM(float)

/* The sum of n elements `step` bytes apart: of contiguous ones as above, of others in order. */
static double fastad_total(const char *p, npy_intp n, npy_intp step, int single) {
    double total = 0;
    npy_intp i;
    if (single && step == sizeof(float)) return fastad_sum_float((const float *)p, n);
    if (!single && step == sizeof(double)) return fastad_sum_double((const double *)p, n);
    for (i = 0; i < n; i++) total += single ? (double)FASTAD_AT(float, p, i, step) : FASTAD_AT(double, p, i, step);
    return total;
}

/* Sums of products of elements, mulz if `zero`, added up as above: bit for bit the sum of an array of these products. */
#define FASTAD_TERMS(real, PRODUCT) \
    for (i = 0; i + 8 <= n; i += 8) for (k = 0; k < 8; k++) { const real a = x[(i + k) * s], b = y[(i + k) * t]; parts[k] += PRODUCT; } \
    for (; i < n; i++) { const real a = x[i * s], b = y[i * t]; rest += PRODUCT; }

#define FASTAD_TERMS_AT(real, S, T) { \
        enum { s = S, t = T }; \
        if (zero) { FASTAD_TERMS(real, fastad_mulz_of_##real(a, b)) } \
        else { FASTAD_TERMS(real, a * b) } \
    }

#define FASTAD_DOT(real) \
    FASTAD_CLONES static double fastad_short_dot_##real(const real *x, const real *y, npy_intp n, int by_x, int by_y, int zero) { \
        double parts[8] = {0, 0, 0, 0, 0, 0, 0, 0}, rest = 0; \
        npy_intp i; \
        int k; \
        if (by_x && by_y) FASTAD_TERMS_AT(real, 1, 1) \
        else if (by_x) FASTAD_TERMS_AT(real, 1, 0) \
        else if (by_y) FASTAD_TERMS_AT(real, 0, 1) \
        else FASTAD_TERMS_AT(real, 0, 0) \
        return (((parts[0] + parts[4]) + (parts[2] + parts[6])) + ((parts[1] + parts[5]) + (parts[3] + parts[7]))) + rest; \
    } \
    static double fastad_dot_##real(const real *x, const real *y, npy_intp n, int by_x, int by_y, int zero) { \
        npy_intp half; \
        if (n <= 1024) return fastad_short_dot_##real(x, y, n, by_x, by_y, zero); \
        half = n / 2 / 8 * 8; \
        return fastad_dot_##real(x, y, half, by_x, by_y, zero) \
               + fastad_dot_##real(x + by_x * half, y + by_y * half, n - half, by_x, by_y, zero); \
    }

FASTAD_DOT(double)
FASTAD_DOT(float)

/* The sum of n products; elements lie side by side, or (strides of 0) are one number. */
static double fastad_dot(const char *p, const char *q, npy_intp n, const npy_intp *steps, int zero, int single) {
    if (single) return fastad_dot_float((const float *)p, (const float *)q, n, steps[0] != 0, steps[1] != 0, zero);
    return fastad_dot_double((const double *)p, (const double *)q, n, steps[0] != 0, steps[1] != 0, zero);
}

static void fastad_total_double(char **args, const npy_intp *lengths, const npy_intp *steps, void *data) {
    (void)data;
    *(double *)args[1] = fastad_total(args[0], lengths[0], steps[0], 0);
}

static void fastad_total_float(char **args, const npy_intp *lengths, const npy_intp *steps, void *data) {
    (void)data;
    *(float *)args[1] = (float)fastad_total(args[0], lengths[0], steps[0], 1);
}

#endif
