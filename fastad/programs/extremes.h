/* Elements that tie for an extreme: what equal parts of a number each of them gets, and the mean of other elements at their places.
 *
 * Operands of the first two: numbers with the reduced axes kept (of the means: elements in the array's shape), extremes, array, and what is
 * written, with the axes kept. Lengths: of the inner loop over what is kept, then FASTAD_REDUCED reduced axes; strides: of the inner loop,
 * then by reduced axis those of the first operand (0 where it has them kept) and of the array. Columns side by side are gone through
 * together, others one by one.
 */
#ifndef FASTAD_EXTREMES_H
#define FASTAD_EXTREMES_H

#include "fastad/core/vector.h"

#define FASTAD_REDUCED 4
#define FASTAD_COLUMNS 256

#define FASTAD_OF(real, p, step, at) (*(const real *)((p) + (at) * (step)))

/* t and a go through the rows of the first operand and of the array over all reduced axes but the last. */
#define FASTAD_TIED_ROWS(first, array) \
    for (i = 0; i < lengths[1]; i++) for (j = 0; j < lengths[2]; j++) for (k = 0; k < lengths[3]; k++) { \
        const char *t = (first) + i * s[0] + j * s[2] + k * s[4], *a = (array) + i * s[1] + j * s[3] + k * s[5];

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
    static FASTAD_ALWAYS_INLINE npy_intp fastad_ties_##real(const char *a, npy_intp n, npy_intp step, real x) { \
        npy_intp m, count = 0; \
        if (step == sizeof(real)) for (m = 0; m < n; m++) count += ((const real *)a)[m] == x; \
        else for (m = 0; m < n; m++) count += FASTAD_OF(real, a, step, m) == x; \
        return count; \
    } \
    /* The sum of those of n elements t at whose places a is x, in eight parts that are added up in one order. */ \
    static FASTAD_ALWAYS_INLINE real fastad_tied_sum_##real(const char *t, npy_intp by, const char *a, npy_intp step, npy_intp n, real x) { \
        real parts[8] = {0, 0, 0, 0, 0, 0, 0, 0}, rest = 0; \
        npy_intp m = 0; \
        int e; \
        if (step == sizeof(real) && by == sizeof(real)) \
            for (; m + 8 <= n; m += 8) \
                for (e = 0; e < 8; e++) parts[e] += fastad_where_tied_##real(((const real *)a)[m + e], x, ((const real *)t)[m + e]); \
        for (; m < n; m++) rest += fastad_where_tied_##real(FASTAD_OF(real, a, step, m), x, FASTAD_OF(real, t, by, m)); \
        return (((parts[0] + parts[4]) + (parts[2] + parts[6])) + ((parts[1] + parts[5]) + (parts[3] + parts[7]))) + rest; \
    } \
    /* What is divided by the number of ties: the sum of the first operand's elements there if `sums`, else its number. */ \
    static FASTAD_ALWAYS_INLINE void fastad_ties_of_##real(char **args, const npy_intp *lengths, const npy_intp *strides, int sums) { \
        const npy_intp *s = strides + 4, length = lengths[4]; \
        npy_intp i, j, k, m, c, column, width; \
        if (strides[2] != sizeof(real) || (sums && strides[0] != sizeof(real)) || lengths[0] == 1) { \
            for (c = 0; c < lengths[0]; c++) { \
                const real x = FASTAD_OF(real, args[1], strides[1], c); \
                const char *first = args[0] + c * strides[0], *array = args[2] + c * strides[2]; \
                npy_intp count = 0; \
                real sum = sums ? 0 : *(const real *)first; \
                FASTAD_TIED_ROWS(first, array) \
                    count += fastad_ties_##real(a, length, s[7], x); \
                    if (sums) sum += fastad_tied_sum_##real(t, s[6], a, s[7], length, x); \
                } \
                *(real *)(args[3] + c * strides[3]) = sum / (real)(count > 1 ? count : 1); \
            } \
            return; \
        } \
        for (column = 0; column < lengths[0]; column += width) { \
            real x[FASTAD_COLUMNS], count[FASTAD_COLUMNS], sum[FASTAD_COLUMNS]; \
            const char *first = args[0] + column * strides[0], *array = args[2] + column * strides[2]; \
            width = lengths[0] - column < FASTAD_COLUMNS ? lengths[0] - column : FASTAD_COLUMNS; \
            for (c = 0; c < width; c++) { \
                x[c] = FASTAD_OF(real, args[1], strides[1], column + c); \
                sum[c] = sums ? 0 : FASTAD_OF(real, first, strides[0], c); \
                count[c] = 0; \
            } \
            FASTAD_TIED_ROWS(first, array) \
                for (m = 0; m < length; m++, t += s[6], a += s[7]) { \
                    for (c = 0; c < width; c++) count[c] += fastad_where_tied_##real(((const real *)a)[c], x[c], 1); \
                    if (sums) \
                        for (c = 0; c < width; c++) sum[c] += fastad_where_tied_##real(((const real *)a)[c], x[c], ((const real *)t)[c]); \
                } \
            } \
            for (c = 0; c < width; c++) \
                *(real *)(args[3] + (column + c) * strides[3]) = sum[c] / (count[c] > 1 ? count[c] : 1); \
        } \
    } \
    FASTAD_CLONES static void fastad_tie_parts_##real(char **args, const npy_intp *lengths, const npy_intp *strides, void *data) { \
        (void)data; \
        fastad_ties_of_##real(args, lengths, strides, 0); \
    } \
    FASTAD_CLONES static void fastad_tie_means_##real(char **args, const npy_intp *lengths, const npy_intp *strides, void *data) { \
        (void)data; \
        fastad_ties_of_##real(args, lengths, strides, 1); \
    } \
    /* The same of rows along the last axis: lengths: rows, elements of each; strides: from row to row of each operand, then from element to \
     * element of the first three. */ \
    FASTAD_CLONES static void fastad_row_tie_parts_##real(char **args, const npy_intp *lengths, const npy_intp *s, void *data) { \
        npy_intp i; \
        (void)data; \
        for (i = 0; i < lengths[0]; i++) { \
            const npy_intp count = fastad_ties_##real(args[2] + i * s[2], lengths[1], s[6], FASTAD_OF(real, args[1], s[1], i)); \
            *(real *)(args[3] + i * s[3]) = FASTAD_OF(real, args[0], s[0], i) / (real)(count > 1 ? count : 1); \
        } \
    } \
    FASTAD_CLONES static void fastad_row_tie_means_##real(char **args, const npy_intp *lengths, const npy_intp *s, void *data) { \
        npy_intp i; \
        (void)data; \
        for (i = 0; i < lengths[0]; i++) { \
            const char *t = args[0] + i * s[0], *a = args[2] + i * s[2]; \
            const real x = FASTAD_OF(real, args[1], s[1], i); \
            const npy_intp count = fastad_ties_##real(a, lengths[1], s[6], x); \
            *(real *)(args[3] + i * s[3]) = fastad_tied_sum_##real(t, s[4], a, s[6], lengths[1], x) / (real)(count > 1 ? count : 1); \
        } \
    } \
    /* The third operand where the first is the second, else 0. */ \
    FASTAD_CLONES static void fastad_pick_##real(char **args, const npy_intp *lengths, const npy_intp *steps, void *data) { \
        const real *a = (const real *)args[0], *x = (const real *)args[1], *p = (const real *)args[2]; \
        const real x0 = *x, p0 = *p; \
        real *r = (real *)args[3]; \
        const npy_intp n = lengths[0]; \
        npy_intp i; \
        (void)data; \
        if (steps[0] == sizeof(real) && steps[3] == sizeof(real)) { \
            if (steps[1] == 0 && steps[2] == 0) { \
                FASTAD_INDEPENDENT \
                for (i = 0; i < n; i++) r[i] = fastad_where_tied_##real(a[i], x0, p0); \
                return; \
            } \
            if (steps[1] == sizeof(real) && steps[2] == sizeof(real)) { \
                FASTAD_INDEPENDENT \
                for (i = 0; i < n; i++) r[i] = fastad_where_tied_##real(a[i], x[i], p[i]); \
                return; \
            } \
        } \
        for (i = 0; i < n; i++) \
            *(real *)(args[3] + i * steps[3]) = fastad_where_tied_##real(FASTAD_OF(real, args[0], steps[0], i), \
                FASTAD_OF(real, args[1], steps[1], i), FASTAD_OF(real, args[2], steps[2], i)); \
    }

FASTAD_TIES(double)
FASTAD_TIES(float)

#endif
