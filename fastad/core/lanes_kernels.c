/* The kernels of lanes.h, compiled once per instruction set with FASTAD_LEVEL naming it. Every lane does what the plain loop does. */

#include <stddef.h>
#include "fastad/core/lanes.h"
#include "fastad/core/support.h"
/* They are called from many places, and a call is nothing to a block. */
#define FASTAD_ALWAYS_INLINE
#include "fastad/core/transcendental.h"

#if defined(__clang__)
#define FASTAD_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#elif defined(__GNUC__)
#define FASTAD_INDEPENDENT _Pragma("GCC ivdep")
#elif defined(_MSC_VER)
#define FASTAD_INDEPENDENT __pragma(loop(ivdep))
#else
#define FASTAD_INDEPENDENT
#endif

/* A loop over lanes. Slots are the same or apart, so that no lane waits for another; and there is no rest of less than a step. */
#define FASTAD_EACH(statement) \
    FASTAD_INDEPENDENT \
    for (l = 0; l < (size_t)(unsigned)lanes / FASTAD_LANES_STEP * FASTAD_LANES_STEP; l++) { statement; }
#define FASTAD_EACH_CALL(statement) for (l = 0; l < (size_t)(unsigned)lanes; l++) { statement; }

#include "fastad/core/generated/lanes_rows.h"

/* ---- forward ---- */

/* The sine as a value: that of -0 is -0. */
static void sines(const double *x, double *result, int n) {
    int l;
    fastad_sines(x, result, n, 0);
    for (l = 0; l < n; l++) result[l] = x[l] == 0.0 ? x[l] : result[l];
}

static void special_value(const FastadLaneSpecial *special, double *v, int lanes) {
    double operands[4];
    int l, k;
    for (l = 0; l < lanes; l++) {
        for (k = 0; k < 4; k++) operands[k] = v[(int64_t)special->operands[k] * lanes + l];
        v[(int64_t)special->out * lanes + l] = special->value(operands);
    }
}

/* Notes at which points a guard is the first to fail; 0 if no point is left. */
static int check(const FastadLaneStep *step, FastadLaneBlock *block) {
    const int lanes = block->lanes;
    const double *x = block->v + (int64_t)step->x * lanes, *y = block->v + (int64_t)step->y * lanes;
    const double expected = block->guards[step->out].expected, number = step->out, other = 1.0 - expected;
    double holds[FASTAD_MAX_LANES], *failed = block->failed, *found = block->found;
    size_t l;
    /* As wide as the numbers, so that these loops too work on all lanes at once. */
    int64_t bad = 0, left = 0;
#define FASTAD_COMPARED(relation) \
    FASTAD_EACH(holds[l] = x[l] relation y[l] ? 1.0 : 0.0; \
                bad |= (holds[l] != expected) & (failed[l] == INFINITY) ? (int64_t)1 : (int64_t)0)
    if (step->op == FASTAD_LANE_LESS) FASTAD_COMPARED(<)
    else if (step->op == FASTAD_LANE_LESS_EQUAL) FASTAD_COMPARED(<=)
    else FASTAD_COMPARED(==)
    if (!bad) return 1;
    FASTAD_EACH(
        found[l] = (holds[l] != expected) & (failed[l] == INFINITY) ? other : found[l];
        failed[l] = (holds[l] != expected) & (failed[l] == INFINITY) ? number : failed[l])
    FASTAD_EACH(left |= failed[l] == INFINITY ? (int64_t)1 : (int64_t)0)
    return left != 0;
}

/* The same for a number that left. Equal numbers may differ in sign where it left as it was. */
static int check_value(const FastadLaneStep *step, FastadLaneBlock *block) {
    const double *x = block->v + (int64_t)step->x * block->lanes, expected = block->guards[step->out].expected;
    int l, left = 0;
    for (l = 0; l < block->lanes; l++) {
        double found = block->rounded(x[l], step->y);
        int same = (found == expected || (found != found && expected != expected))
            && (step->y != 0 || found != 0.0 || fastad_bits_of(found) == fastad_bits_of(expected));
        if (!same && block->failed[l] == INFINITY) {
            block->failed[l] = step->out;
            block->found[l] = found;
        }
        left |= block->failed[l] == INFINITY;
    }
    return left;
}

static int forward(const FastadLaneStep *steps, int64_t n, FastadLaneBlock *block) {
    const int lanes = block->lanes;
    double *const v = block->v;
    int64_t i;
    for (i = 0; i < n; i++) {
        const FastadLaneStep *step = &steps[i];
        const double *x = v + (int64_t)step->x * lanes, *y = v + (int64_t)step->y * lanes;
        double *out = v + (int64_t)step->out * lanes;
        size_t l;
        switch (step->op) {
        FASTAD_ROWS
        case FASTAD_LANE_SPECIAL: special_value(&block->specials[step->x], v, lanes); break;
        case FASTAD_LANE_LESS:
        case FASTAD_LANE_LESS_EQUAL:
        case FASTAD_LANE_EQUAL: if (!check(step, block)) return 0; break;
        case FASTAD_LANE_VALUE: if (!check_value(step, block)) return 0; break;
        case FASTAD_LANE_EXP: fastad_exps(x, out, lanes); break;
        case FASTAD_LANE_LOG: fastad_logs(x, out, lanes); break;
        case FASTAD_LANE_SIN: sines(x, out, lanes); break;
        case FASTAD_LANE_COS: fastad_sines(x, out, lanes, 1); break;
        case FASTAD_LANE_TANH: fastad_tanhs(x, out, lanes); break;
        case FASTAD_LANE_EXIT: FASTAD_EACH(out[l] = block->failed[l] == INFINITY ? x[l] : out[l]) break;
        }
    }
    return 1;
}

/* ---- reverse ---- */

static void add_product(double *target, const double *from, const double *p, int lanes, int add, int careful) {
    size_t l;
    if (careful) {
        if (add) FASTAD_EACH(target[l] += fastad_mulz(from[l], p[l]))
        else FASTAD_EACH(target[l] = fastad_mulz(from[l], p[l]))
    } else if (add) FASTAD_EACH(target[l] += from[l] * p[l])
    else FASTAD_EACH(target[l] = from[l] * p[l])
}

static void special_reverse(const FastadLaneSpecial *special, int32_t from, const FastadLaneBlock *block) {
    const int lanes = block->lanes;
    double operands[4], partials[4];
    int l, k;
    for (l = 0; l < lanes; l++) {
        double wi = block->w[(int64_t)from * lanes + l];
        for (k = 0; k < 4; k++) operands[k] = block->v[(int64_t)special->operands[k] * lanes + l];
        special->first(operands, block->v[(int64_t)special->out * lanes + l], partials);
        for (k = 0; k < special->arity; k++) {
            if (special->targets[k] >= 0) {
                double *target = &block->w[(int64_t)special->targets[k] * lanes + l];
                *target = fastad_mulz(wi, partials[k]) + (special->add[k] ? *target : 0.0);
            }
        }
    }
}

static void reverse(const FastadLaneReverse *steps, int64_t n, const FastadLaneBlock *block, int careful) {
    const int lanes = block->lanes;
    double *const w = block->w, *const v = block->v;
    double p[FASTAD_MAX_LANES];
    int64_t i;
    for (i = 0; i < n; i++) {
        const FastadLaneReverse *step = &steps[i];
        double *target = w + (int64_t)step->target * lanes, *other = w + (int64_t)step->other * lanes;
        const double *from = w + (int64_t)step->from * lanes;
        const double *x = v + (int64_t)step->x * lanes, *y = v + (int64_t)step->y * lanes;
        const int add = step->add & 1;
        size_t l;
        switch (step->kind) {
        case FASTAD_BY_ONE:
            if (add) FASTAD_EACH(target[l] += from[l])
            else FASTAD_EACH(target[l] = from[l])
            break;
        case FASTAD_BY_MINUS_ONE:
            if (add) FASTAD_EACH(target[l] -= from[l])
            else FASTAD_EACH(target[l] = -from[l])
            break;
        case FASTAD_BY_SLOT:
            add_product(target, from, x, lanes, add, careful);
            break;
        case FASTAD_BY_SLOTS:
            if (careful) {
                add_product(other, from, y, lanes, step->add >> 1, 1);
                add_product(target, from, x, lanes, add, 1);
            } else if (step->add == 0) FASTAD_EACH(double wi = from[l]; other[l] = wi * y[l]; target[l] = wi * x[l])
            else if (step->add == 1) FASTAD_EACH(double wi = from[l]; other[l] = wi * y[l]; target[l] += wi * x[l])
            else if (step->add == 2) FASTAD_EACH(double wi = from[l]; other[l] += wi * y[l]; target[l] = wi * x[l])
            else FASTAD_EACH(double wi = from[l]; other[l] += wi * y[l]; target[l] += wi * x[l])
            break;
        case FASTAD_BY_PARTIAL:
            PARTIAL_KERNELS[step->op][step->k](x, y, v + (int64_t)step->v * lanes, p, lanes);
            add_product(target, from, p, lanes, add, careful);
            break;
        case FASTAD_BY_SPECIAL:
            special_reverse(&block->specials[step->x], step->from, block);
            break;
        }
    }
}

/* ---- what lanes.pyx sees ---- */

static int function(const char *name, const double *x, double *result, int n) {
    if (!strcmp(name, "exp")) fastad_exps(x, result, n);
    else if (!strcmp(name, "log")) fastad_logs(x, result, n);
    else if (!strcmp(name, "sin")) sines(x, result, n);
    else if (!strcmp(name, "cos")) fastad_sines(x, result, n, 1);
    else if (!strcmp(name, "tanh")) fastad_tanhs(x, result, n);
    else return 0;
    return 1;
}

static const FastadLaneKernels kernels = { forward, reverse, function, FORMS, NEEDS };

#define FASTAD_PASTE(prefix, level) prefix##level
#define FASTAD_NAMED(prefix, level) FASTAD_PASTE(prefix, level)

const FastadLaneKernels *FASTAD_NAMED(fastad_lanes_, FASTAD_LEVEL)(void) {
    return &kernels;
}
