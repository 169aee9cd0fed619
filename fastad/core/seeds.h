/* One instruction of a sweep over several seeds: its eight lanes stand side by side. In the products of the chain rule zero wins over
 * infinity and NaN; where the partial is finite and the lanes' numbers are, that needs no look at them.
 */
#ifndef FASTAD_SEEDS_H
#define FASTAD_SEEDS_H

#include "fastad/core/vector.h"

#define FASTAD_LANES 8
#if defined(_MSC_VER)
#define FASTAD_RESTRICT __restrict
#else
#define FASTAD_RESTRICT __restrict__
#endif

/* w += p * f */
static FASTAD_ALWAYS_INLINE void fastad_lanes_add(double *FASTAD_RESTRICT w, const double *FASTAD_RESTRICT f, double p) {
    int l;
    if (p == 0.0) return;
    if (p - p == 0.0) for (l = 0; l < FASTAD_LANES; l++) w[l] += p * f[l];
    else for (l = 0; l < FASTAD_LANES; l++) w[l] += fastad_mulz_of_double(p, f[l]);
}

/* t = p * f + q * g */
static FASTAD_ALWAYS_INLINE void fastad_lanes_combine(double *t, const double *f, double p, const double *g, double q) {
    double r[FASTAD_LANES];
    int l;
    for (l = 0; l < FASTAD_LANES; l++) r[l] = 0.0;
    fastad_lanes_add(r, f, p);
    fastad_lanes_add(r, g, q);
    for (l = 0; l < FASTAD_LANES; l++) t[l] = r[l];
}

static FASTAD_ALWAYS_INLINE int fastad_lanes_are_zero(const double *w) {
    int l, other = 0;
    for (l = 0; l < FASTAD_LANES; l++) other |= w[l] != 0.0;
    return !other;
}

#endif
