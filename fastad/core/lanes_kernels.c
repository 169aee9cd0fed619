/* The kernels of lanes.h, compiled once per instruction set with FASTAD_LEVEL naming it. Every lane does what the plain loop does. */

#include <stddef.h>
#if defined(__AVX__)
#include <immintrin.h>
#elif defined(__SSE2__)
#include <emmintrin.h>
#endif
#include "fastad/core/lanes.h"
#include "fastad/core/support.h"
/* They are called from many places, and a call is nothing to a block. */
#define FASTAD_ALWAYS_INLINE
#include "fastad/core/transcendental.h"

#if defined(__clang__)
#define FASTAD_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#define FASTAD_UNROLLED _Pragma("clang loop unroll(full)")
#elif defined(__GNUC__)
#define FASTAD_INDEPENDENT _Pragma("GCC ivdep") _Pragma("GCC unroll 2")
#define FASTAD_UNROLLED _Pragma("GCC unroll 64")
#elif defined(_MSC_VER)
#define FASTAD_INDEPENDENT __pragma(loop(ivdep))
#define FASTAD_UNROLLED
#else
#define FASTAD_INDEPENDENT
#define FASTAD_UNROLLED
#endif

/* A loop over lanes. Slots are the same or apart, so that no lane waits for another; and there is no rest of less than a step. */
#define FASTAD_EACH(statement) \
    FASTAD_INDEPENDENT \
    for (l = 0; l < (size_t)(unsigned)lanes / FASTAD_LANES_STEP * FASTAD_LANES_STEP; l++) { statement; }
#define FASTAD_EACH_CALL(statement) for (l = 0; l < (size_t)(unsigned)lanes; l++) { statement; }

#include "fastad/core/lane_vectors.h"
#include "fastad/core/generated/lanes_rows.h"

/* ---- forward ---- */

/* Two or three rows in one step: the numbers between them stay in registers, and sums hide behind divisions. */
#define FASTAD_ROW(code, expression) case code: FASTAD_VECTORS(out, expression) break;
#define FASTAD_THEN(code, then, t, z) \
    then(code + FASTAD_THEN_ADD, (t) + z) \
    then(code + FASTAD_THEN_SUBTRACT, (t) - z) \
    then(code + FASTAD_THEN_MULTIPLY, (t) * z) \
    then(code + FASTAD_THEN_DIVIDE, FASTAD_QUOTIENT(t, z)) \
    then(code + FASTAD_THEN_SUBTRACTED, z - (t)) \
    then(code + FASTAD_THEN_DIVIDED, FASTAD_QUOTIENT(z, t)) \
    then(code + FASTAD_THEN_ABSOLUTE, FASTAD_SIZE(t))
#define FASTAD_THIRD(code, t, u) \
    FASTAD_ROW(FASTAD_LANE_TRIPLES + 8 * (code) + FASTAD_THEN_ADD, (t) + u) \
    FASTAD_ROW(FASTAD_LANE_TRIPLES + 8 * (code) + FASTAD_THEN_SUBTRACT, (t) - u) \
    FASTAD_ROW(FASTAD_LANE_TRIPLES + 8 * (code) + FASTAD_THEN_MULTIPLY, (t) * u) \
    FASTAD_ROW(FASTAD_LANE_TRIPLES + 8 * (code) + FASTAD_THEN_DIVIDE, FASTAD_QUOTIENT(t, u)) \
    FASTAD_ROW(FASTAD_LANE_TRIPLES + 8 * (code) + FASTAD_THEN_SUBTRACTED, u - (t)) \
    FASTAD_ROW(FASTAD_LANE_TRIPLES + 8 * (code) + FASTAD_THEN_DIVIDED, FASTAD_QUOTIENT(u, t)) \
    FASTAD_ROW(FASTAD_LANE_TRIPLES + 8 * (code) + FASTAD_THEN_ABSOLUTE, FASTAD_SIZE(t))
#define FASTAD_SECOND(code, t) FASTAD_ROW(FASTAD_LANE_PAIRS + code, t) FASTAD_THIRD(code, t, FASTAD_AT(u + l))
#define FASTAD_FIRST(number, t) FASTAD_THEN(8 * number, FASTAD_SECOND, t, FASTAD_AT(z + l))

/* The sine as a value: that of -0 is -0. */
static void keep_zeros(const double *x, double *result, int n) {
    int l;
    for (l = 0; l < n; l++) result[l] = x[l] == 0.0 ? x[l] : result[l];
}

static void sines(const double *x, double *result, int n) {
    fastad_sines(x, result, n, 0);
    keep_zeros(x, result, n);
}

static void sines_and_cosines(const double *x, double *sines, double *cosines, int n) {
    fastad_sines_and_cosines(x, sines, cosines, n);
    keep_zeros(x, sines, n);
}

static void special_value(const FastadLaneSpecial *special, const FastadLaneBlock *block) {
    double operands[4];
    int l, k;
    for (l = 0; l < block->lanes; l++) {
        for (k = 0; k < 4; k++) operands[k] = block->v[(int64_t)special->operands[k] * block->width + l];
        block->v[(int64_t)special->out * block->width + l] = special->value(operands);
    }
}

#include "fastad/core/lane_guards.h"

/* A guard of a number that left. Equal numbers may differ in sign where it left as it was. */
static void check_value(const FastadLaneStep *step, FastadLaneBlock *block) {
    const double *x = block->v + (int64_t)step->x * block->width, expected = block->guards[step->out].expected;
    int l;
    for (l = 0; l < block->lanes; l++) {
        double found = block->rounded(x[l], step->y);
        int same = (found == expected || (found != found && expected != expected))
            && (step->y != 0 || found != 0.0 || fastad_bits_of(found) == fastad_bits_of(expected));
        if (!same && block->alive[l / 64] >> l % 64 & 1) {
            block->found[l] = found;
            note_failed(step, block, (uint64_t)1 << l % 64, l / 64 * 64);
        }
    }
}

static int64_t forward(const FastadLaneStep *steps, int64_t n, FastadLaneBlock *block) {
    const int lanes = block->lanes;
    const int64_t width = block->width;
    double *const v = block->v;
    int64_t i;
    for (i = 0; i < n; i++) {
        const FastadLaneStep *step = &steps[i];
        const double *x = v + step->x * width, *y = v + step->y * width;
        const double *z = v + step->z * width, *u = v + step->u * width;
        double *out = v + step->out * width;
        size_t l;
        switch (step->op) {
        FASTAD_ROWS
        FASTAD_FIRST(0, FASTAD_AT(x + l) + FASTAD_AT(y + l))
        FASTAD_FIRST(1, FASTAD_AT(x + l) - FASTAD_AT(y + l))
        FASTAD_FIRST(2, FASTAD_AT(x + l) * FASTAD_AT(y + l))
        FASTAD_FIRST(3, FASTAD_QUOTIENT(FASTAD_AT(x + l), FASTAD_AT(y + l)))
        case FASTAD_LANE_SPECIAL: special_value(&block->specials[step->x], block); break;
        case FASTAD_LANE_EXP: fastad_exps(x, out, lanes); break;
        case FASTAD_LANE_LOG: fastad_logs(x, out, lanes); break;
        case FASTAD_LANE_SIN: sines(x, out, lanes); break;
        case FASTAD_LANE_COS: fastad_sines(x, out, lanes, 1); break;
        case FASTAD_LANE_TANH: fastad_tanhs(x, out, lanes); break;
        case FASTAD_LANE_LESS:
        case FASTAD_LANE_LESS_EQUAL:
        case FASTAD_LANE_EQUAL:
        case FASTAD_LANE_VALUE:
            if (step->op == FASTAD_LANE_VALUE) check_value(step, block);
            else check(step, block);
            if (block->left <= block->enough) return i + 1;
            break;
        }
    }
    return n;
}

/* ---- points that come, and that leave: four lanes at a time ---- */

#ifdef __AVX2__
/* By mask: which pairs of floats come first, and how many numbers they are. */
static const int32_t ORDER[16][8] = {
    {0, 1, 2, 3, 4, 5, 6, 7}, {0, 1, 2, 3, 4, 5, 6, 7}, {2, 3, 0, 1, 4, 5, 6, 7}, {0, 1, 2, 3, 4, 5, 6, 7},
    {4, 5, 0, 1, 2, 3, 6, 7}, {0, 1, 4, 5, 2, 3, 6, 7}, {2, 3, 4, 5, 0, 1, 6, 7}, {0, 1, 2, 3, 4, 5, 6, 7},
    {6, 7, 0, 1, 2, 3, 4, 5}, {0, 1, 6, 7, 2, 3, 4, 5}, {2, 3, 6, 7, 0, 1, 4, 5}, {0, 1, 2, 3, 6, 7, 4, 5},
    {4, 5, 6, 7, 0, 1, 2, 3}, {0, 1, 4, 5, 6, 7, 2, 3}, {2, 3, 4, 5, 6, 7, 0, 1}, {0, 1, 2, 3, 4, 5, 6, 7},
};
static const uint8_t ONES[16] = {0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4};
#endif

/* No guard has failed at the first lanes, as many as are left. */
static void all_alive(FastadLaneBlock *block) {
    const int left = block->left;
    int l;
    for (l = 0; l < FASTAD_MAX_LANES; l += 64) block->alive[l / 64] = left >= l + 64 ? ~(uint64_t)0 : left <= l ? 0 : ((uint64_t)1 << (left - l)) - 1;
    block->lost = 0;
}

static void begin(FastadLaneBlock *block, double first) {
    const int64_t row = (int64_t)first;
    int l, j;
    for (l = 0; l < block->lanes; l++) block->place[l] = first + l;
    all_alive(block);
    /* Points leave in no order, each with a cache line that nothing has asked for. */
    for (j = 0; j < block->result_count && !block->rows; j++) {
        const FastadLaneColumn *to = &block->results[j];
        const int step = to->stride == sizeof(double) ? 64 / sizeof(double) : 1;
        for (l = 0; l < block->left; l += step) FASTAD_PREFETCH(to->data + (row + l) * to->stride, 1);
    }
}

/* Moves the numbers of four lanes that have their bit in a mask to `at`, in each of n columns; returns how many they are. */
static int pack(double *const *columns, int n, int l, int at, int mask) {
    int k;
#ifdef __AVX2__
    const __m256i order = _mm256_loadu_si256((const __m256i *)ORDER[mask]);
    for (k = 0; k < n; k++) {
        const __m256i four = _mm256_castpd_si256(_mm256_loadu_pd(columns[k] + l));
        _mm256_storeu_pd(columns[k] + at, _mm256_castsi256_pd(_mm256_permutevar8x32_epi32(four, order)));
    }
    return ONES[mask];
#else
    int lane, count = 0;
    for (lane = 0; lane < 4; lane++) {
        for (k = 0; k < n; k++) columns[k][at + count] = columns[k][l + lane];
        count += mask >> lane & 1;
    }
    return count;
#endif
}

static void move_together(FastadLaneBlock *block, const int32_t *slots, int n) {
    const int before = block->lanes, left = block->left;
    const int lanes = (left + FASTAD_LANES_STEP - 1) / FASTAD_LANES_STEP * FASTAD_LANES_STEP;
    double *columns[FASTAD_MOST_MOVED + 1];
    int l, k, at = 0;
    for (k = 0; k < n; k++) columns[k] = block->v + (int64_t)slots[k] * block->width;
    columns[n] = block->place;
    for (l = 0; l < before; l += 4) {
        at += pack(columns, n + 1, l, at, (int)(block->alive[l / 64] >> l % 64 & 15));
    }
    for (k = 0; k <= n; k++)
        for (l = left; l < lanes; l++) columns[k][l] = columns[k][left - 1];
    block->lanes = lanes;
    all_alive(block);
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
    const int lanes = block->width;
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
    const int lanes = block->width;
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

static const FastadLaneKernels kernels = { forward, begin, move_together, reverse, function, sines_and_cosines, FORMS, NEEDS };

const FastadLaneKernels *FASTAD_OF_LEVEL(fastad_lanes_)(void) {
    return &kernels;
}
