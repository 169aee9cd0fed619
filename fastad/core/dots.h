/* Loops of a schedule over many scalars: sums of products whose additions keep their order, several sums side by side so that one
 * addition need not wait for the other; and what their adjoints are. Every sum has the roundings of the plain loop.
 */
#ifndef FASTAD_DOTS_H
#define FASTAD_DOTS_H

#include <stdint.h>

#include "fastad/core/vector.h"

#define FASTAD_TOGETHER 8      /* sums: an addition takes about four cycles, and two begin in each */

/* out[k] = v[c + k*step_c] + sum over j of v[a + k*step_a + j] * v[b + k*step_b + j], in this order. */
static void fastad_dots(const double *v, double *out, int64_t count, int64_t length, int64_t c, int64_t step_c, int64_t a,
                        int64_t step_a, int64_t b, int64_t step_b) {
    int64_t k = 0, j;
    for (; k + FASTAD_TOGETHER <= count; k += FASTAD_TOGETHER) {
        const double *pa = v + a + k * step_a, *pb = v + b + k * step_b, *pc = v + c + k * step_c;
        double s0 = pc[0], s1 = pc[step_c], s2 = pc[2 * step_c], s3 = pc[3 * step_c];
        double s4 = pc[4 * step_c], s5 = pc[5 * step_c], s6 = pc[6 * step_c], s7 = pc[7 * step_c];
        const double *a1 = pa + step_a, *a2 = a1 + step_a, *a3 = a2 + step_a, *a4 = a3 + step_a, *a5 = a4 + step_a;
        const double *a6 = a5 + step_a, *a7 = a6 + step_a;
        if (step_b == 0)
            for (j = 0; j < length; j++) {
                double x = pb[j];
                s0 += pa[j] * x; s1 += a1[j] * x; s2 += a2[j] * x; s3 += a3[j] * x;
                s4 += a4[j] * x; s5 += a5[j] * x; s6 += a6[j] * x; s7 += a7[j] * x;
            }
        else
            for (j = 0; j < length; j++) {
                const double *x = pb + j;
                s0 += pa[j] * x[0]; s1 += a1[j] * x[step_b]; s2 += a2[j] * x[2 * step_b]; s3 += a3[j] * x[3 * step_b];
                s4 += a4[j] * x[4 * step_b]; s5 += a5[j] * x[5 * step_b];
                s6 += a6[j] * x[6 * step_b]; s7 += a7[j] * x[7 * step_b];
            }
        out[k] = s0; out[k + 1] = s1; out[k + 2] = s2; out[k + 3] = s3;
        out[k + 4] = s4; out[k + 5] = s5; out[k + 6] = s6; out[k + 7] = s7;
    }
    for (; k < count; k++) {
        const double *pa = v + a + k * step_a, *pb = v + b + k * step_b;
        double s = v[c + k * step_c];
        for (j = 0; j < length; j++) s += pa[j] * pb[j];
        out[k] = s;
    }
}

/* The same where operands are listed: a and b hold count * length indices, row by row. */
static void fastad_listed_dots(const double *v, double *out, int64_t count, int64_t length, const double *c, const int32_t *a,
                               const int32_t *b) {
    int64_t k = 0, j;
    for (; k + 4 <= count; k += 4) {
        const int32_t *a0 = a + k * length, *a1 = a0 + length, *a2 = a1 + length, *a3 = a2 + length;
        const int32_t *b0 = b + k * length, *b1 = b0 + length, *b2 = b1 + length, *b3 = b2 + length;
        double s0 = c[k], s1 = c[k + 1], s2 = c[k + 2], s3 = c[k + 3];
        for (j = 0; j < length; j++) {
            s0 += v[a0[j]] * v[b0[j]]; s1 += v[a1[j]] * v[b1[j]]; s2 += v[a2[j]] * v[b2[j]]; s3 += v[a3[j]] * v[b3[j]];
        }
        out[k] = s0; out[k + 1] = s1; out[k + 2] = s2; out[k + 3] = s3;
    }
    for (; k < count; k++) {
        double s = c[k];
        for (j = k * length; j < (k + 1) * length; j++) s += v[a[j]] * v[b[j]];
        out[k] = s;
    }
}

/* out[k] = c[k] + sum over j of v[a[k*length + j]], in this order. */
static void fastad_listed_sums(const double *v, double *out, int64_t count, int64_t length, const double *c, const int32_t *a) {
    int64_t k = 0, j;
    for (; k + 4 <= count; k += 4) {
        const int32_t *a0 = a + k * length, *a1 = a0 + length, *a2 = a1 + length, *a3 = a2 + length;
        double s0 = c[k], s1 = c[k + 1], s2 = c[k + 2], s3 = c[k + 3];
        for (j = 0; j < length; j++) {
            s0 += v[a0[j]]; s1 += v[a1[j]]; s2 += v[a2[j]]; s3 += v[a3[j]];
        }
        out[k] = s0; out[k + 1] = s1; out[k + 2] = s2; out[k + 3] = s3;
    }
    for (; k < count; k++) {
        double s = c[k];
        for (j = k * length; j < (k + 1) * length; j++) s += v[a[j]];
        out[k] = s;
    }
}

/* w += f * p for the chain rule. A factor that is neither zero nor infinite nor NaN makes a product with zero zero by itself. */
FASTAD_CLONES static void fastad_add_multiple(double *w, const double *p, double f, int64_t n) {
    int64_t j;
    if (f == 0.0) return;
    if (f - f == 0.0) for (j = 0; j < n; j++) w[j] += f * p[j];
    else for (j = 0; j < n; j++) w[j] += fastad_mulz_of_double(f, p[j]);
}

/* w += f[0] * p + f[1] * (p + step) + ..., four rows at a time, in this order. */
FASTAD_CLONES static void fastad_add_rows(double *w, const double *p, int64_t step, const double *f, int64_t count, int64_t n) {
    int64_t k = 0, j;
    for (; k + 4 <= count; k += 4, p += 4 * step) {
        double f0 = f[k], f1 = f[k + 1], f2 = f[k + 2], f3 = f[k + 3];
        const double *p1 = p + step, *p2 = p1 + step, *p3 = p2 + step;
        if (f0 != 0.0 && f1 != 0.0 && f2 != 0.0 && f3 != 0.0 && (f0 - f0) + (f1 - f1) + (f2 - f2) + (f3 - f3) == 0.0)
            for (j = 0; j < n; j++) w[j] = (((w[j] + f0 * p[j]) + f1 * p1[j]) + f2 * p2[j]) + f3 * p3[j];
        else
            for (j = 0; j < n; j++)
                w[j] = (((w[j] + fastad_mulz_of_double(f0, p[j])) + fastad_mulz_of_double(f1, p1[j]))
                        + fastad_mulz_of_double(f2, p2[j])) + fastad_mulz_of_double(f3, p3[j]);
    }
    for (; k < count; k++, p += step)
        for (j = 0; j < n; j++) w[j] += fastad_mulz_of_double(f[k], p[j]);
}

#endif
