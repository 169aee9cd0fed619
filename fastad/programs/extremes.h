/* Elements that tie for an extreme: equal parts of a number to each of them, and the mean of other elements at their places.
 *
 * Operands of both: numbers with the reduced axes kept, extremes, array, and what is written; of the means the first is as large as the
 * array and the last has the axes kept. Lengths: of the inner loop over what is kept, then FASTAD_REDUCED reduced axes; strides: of the
 * inner loop, then by reduced axis those of the two large operands. Columns side by side are gone through together, others one by one.
 */
#ifndef FASTAD_EXTREMES_H
#define FASTAD_EXTREMES_H

#include "fastad/core/vector.h"

#define FASTAD_REDUCED 4
#define FASTAD_COLUMNS 256

/* p and q go through the rows of two operands over all reduced axes but the last. */
#define FASTAD_ROWS(first, second) \
    for (i = 0; i < lengths[1]; i++) for (j = 0; j < lengths[2]; j++) for (k = 0; k < lengths[3]; k++) { \
        const char *p = (first) + i * s[0] + j * s[2] + k * s[4]; \
        char *q = (second) + i * s[1] + j * s[3] + k * s[5]; \
        (void)q;

#define FASTAD_OF(real, p, step, at) (*(real *)((p) + (at) * (step)))

/* t where a is x, else 0: by bits, as gcc 12 gets sums of choices in several parts wrong (it takes one part's condition for another's). */
#define FASTAD_WHERE_TIED(real, whole) \
    static FASTAD_ALWAYS_INLINE real fastad_where_tied_##real(real a, real x, real t) { \
        whole bits; \
        memcpy(&bits, &t, sizeof(bits)); \
        bits &= -(whole)(a == x); \
        memcpy(&t, &bits, sizeof(bits)); \
        return t; \
    }

FASTAD_WHERE_TIED(double, int64_t)
FASTAD_WHERE_TIED(float, int32_t)

#define FASTAD_TIES(real) \
    /* How many of n elements are x. */ \
    static FASTAD_ALWAYS_INLINE npy_intp fastad_ties_##real(const char *p, npy_intp n, npy_intp step, real x) { \
        npy_intp m, count = 0; \
        if (step == sizeof(real)) for (m = 0; m < n; m++) count += ((const real *)p)[m] == x; \
        else for (m = 0; m < n; m++) count += FASTAD_OF(const real, p, step, m) == x; \
        return count; \
    } \
    static FASTAD_ALWAYS_INLINE void fastad_share_##real(const char *p, npy_intp step, char *q, npy_intp to, npy_intp n, real x, real part) { \
        npy_intp m; \
        if (step == sizeof(real) && to == sizeof(real)) \
            for (m = 0; m < n; m++) ((real *)q)[m] = ((const real *)p)[m] == x ? part : 0; \
        else for (m = 0; m < n; m++) FASTAD_OF(real, q, to, m) = FASTAD_OF(const real, p, step, m) == x ? part : 0; \
    } \
    /* The sum of those of n elements at whose places others are x, in eight parts that are added up in one order. */ \
    static FASTAD_ALWAYS_INLINE real fastad_tied_sum_##real(const char *p, npy_intp step, const char *t, npy_intp by, npy_intp n, real x) { \
        real parts[8] = {0, 0, 0, 0, 0, 0, 0, 0}, rest = 0; \
        npy_intp m = 0; \
        int e; \
        if (step == sizeof(real) && by == sizeof(real)) \
            for (; m + 8 <= n; m += 8) \
                for (e = 0; e < 8; e++) parts[e] += fastad_where_tied_##real(((const real *)p)[m + e], x, ((const real *)t)[m + e]); \
        for (; m < n; m++) rest += fastad_where_tied_##real(FASTAD_OF(const real, p, step, m), x, FASTAD_OF(const real, t, by, m)); \
        return (((parts[0] + parts[4]) + (parts[2] + parts[6])) + ((parts[1] + parts[5]) + (parts[3] + parts[7]))) + rest; \
    } \
    FASTAD_CLONES static void fastad_tie_shares_##real(char **args, const npy_intp *lengths, const npy_intp *strides, void *data) { \
        const npy_intp *s = strides + 4, length = lengths[4]; \
        npy_intp i, j, k, m, c, column, width; \
        (void)data; \
        if (strides[2] != sizeof(real) || strides[3] != sizeof(real) || lengths[0] == 1) { \
            for (c = 0; c < lengths[0]; c++) { \
                const real x = FASTAD_OF(const real, args[1], strides[1], c); \
                const char *a = args[2] + c * strides[2]; \
                char *out = args[3] + c * strides[3]; \
                npy_intp count = 0; \
                real part; \
                FASTAD_ROWS(a, out) count += fastad_ties_##real(p, length, s[6], x); } \
                part = FASTAD_OF(const real, args[0], strides[0], c) / (real)(count > 1 ? count : 1); \
                FASTAD_ROWS(a, out) fastad_share_##real(p, s[6], q, s[7], length, x, part); } \
            } \
            return; \
        } \
        for (column = 0; column < lengths[0]; column += width) { \
            real x[FASTAD_COLUMNS], count[FASTAD_COLUMNS], part[FASTAD_COLUMNS]; \
            const char *a = args[2] + column * strides[2]; \
            char *out = args[3] + column * strides[3]; \
            width = lengths[0] - column < FASTAD_COLUMNS ? lengths[0] - column : FASTAD_COLUMNS; \
            for (c = 0; c < width; c++) { \
                x[c] = FASTAD_OF(const real, args[1], strides[1], column + c); \
                count[c] = 0; \
            } \
            FASTAD_ROWS(a, out) for (m = 0; m < length; m++, p += s[6]) \
                for (c = 0; c < width; c++) count[c] += ((const real *)p)[c] == x[c] ? 1 : 0; } \
            for (c = 0; c < width; c++) \
                part[c] = FASTAD_OF(const real, args[0], strides[0], column + c) / (count[c] > 1 ? count[c] : 1); \
            FASTAD_ROWS(a, out) for (m = 0; m < length; m++, p += s[6], q += s[7]) \
                for (c = 0; c < width; c++) ((real *)q)[c] = ((const real *)p)[c] == x[c] ? part[c] : 0; } \
        } \
    } \
    FASTAD_CLONES static void fastad_tie_means_##real(char **args, const npy_intp *lengths, const npy_intp *strides, void *data) { \
        const npy_intp *s = strides + 4, length = lengths[4]; \
        npy_intp i, j, k, m, c, column, width; \
        (void)data; \
        if (strides[0] != sizeof(real) || strides[2] != sizeof(real) || lengths[0] == 1) { \
            for (c = 0; c < lengths[0]; c++) { \
                const real x = FASTAD_OF(const real, args[1], strides[1], c); \
                char *a = args[2] + c * strides[2]; \
                const char *t = args[0] + c * strides[0]; \
                npy_intp count = 0; \
                real sum = 0; \
                FASTAD_ROWS(t, a) \
                    count += fastad_ties_##real(q, length, s[7], x); \
                    sum += fastad_tied_sum_##real(q, s[7], p, s[6], length, x); \
                } \
                FASTAD_OF(real, args[3], strides[3], c) = sum / (real)(count > 1 ? count : 1); \
            } \
            return; \
        } \
        for (column = 0; column < lengths[0]; column += width) { \
            real x[FASTAD_COLUMNS], count[FASTAD_COLUMNS], sum[FASTAD_COLUMNS]; \
            char *a = args[2] + column * strides[2]; \
            const char *t = args[0] + column * strides[0]; \
            width = lengths[0] - column < FASTAD_COLUMNS ? lengths[0] - column : FASTAD_COLUMNS; \
            for (c = 0; c < width; c++) { \
                x[c] = FASTAD_OF(const real, args[1], strides[1], column + c); \
                count[c] = sum[c] = 0; \
            } \
            FASTAD_ROWS(t, a) for (m = 0; m < length; m++, p += s[6], q += s[7]) \
                for (c = 0; c < width; c++) { \
                    const int tied = ((const real *)q)[c] == x[c]; \
                    count[c] += tied ? 1 : 0; \
                    sum[c] += tied ? ((const real *)p)[c] : 0; \
                } } \
            for (c = 0; c < width; c++) \
                FASTAD_OF(real, args[3], strides[3], column + c) = sum[c] / (count[c] > 1 ? count[c] : 1); \
        } \
    }

FASTAD_TIES(double)
FASTAD_TIES(float)

#endif
