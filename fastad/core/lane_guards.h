/* Guards: which points fail at one first. Few do, and each once, so they are noted one by one and the others cost a comparison.
 *
 * Included by lanes_kernels.c.
 */

#if defined(__GNUC__)
/* As many lanes as fit a register; GCC and Clang know vectors of that size on every processor. */
#if defined(__AVX512F__)
#define FASTAD_VECTOR 8
#elif defined(__AVX__)
#define FASTAD_VECTOR 4
#else
#define FASTAD_VECTOR 2
#endif
typedef double Vector __attribute__((vector_size(8 * FASTAD_VECTOR)));
typedef int64_t Mask __attribute__((vector_size(8 * FASTAD_VECTOR)));
typedef double Anywhere __attribute__((vector_size(8 * FASTAD_VECTOR), aligned(8), may_alias));
#define FASTAD_AT(numbers) (*(const Anywhere *)(numbers))
#define FASTAD_SIZE(x) ((Vector)((Mask)(x) & INT64_MAX))

/* One bit for each number of a mask. */
static inline unsigned bits_of(Mask mask) {
#if FASTAD_VECTOR == 8
    return (unsigned)_mm512_movepi64_mask((__m512i)mask);
#elif FASTAD_VECTOR == 4
    return (unsigned)_mm256_movemask_pd((__m256d)mask);
#elif defined(__SSE2__)
    return (unsigned)_mm_movemask_pd((__m128d)mask);
#else
    return (unsigned)((mask[0] & 1) | (mask[1] & 2));
#endif
}
#else
#define FASTAD_VECTOR 1
typedef double Vector;
typedef int Mask;
#define FASTAD_AT(numbers) (*(numbers))
#define FASTAD_SIZE(x) fabs(x)
static inline unsigned bits_of(Mask mask) { return (unsigned)mask & 1; }
#endif

static inline int lowest(uint64_t bits) {
#if defined(__GNUC__)
    return __builtin_ctzll(bits);
#else
    int k = 0;
    while (!(bits >> k & 1)) k++;
    return k;
#endif
}

/* Notes those of the lanes at l whose bits are set. */
static void note_failed(const FastadLaneStep *step, FastadLaneBlock *block, uint64_t bits, size_t l) {
    double *failed = block->failed + l, *exit = block->v + (int64_t)block->exit * block->width + l;
    const double *result = block->v + (int64_t)step->z * block->width + l;
    /* A result that is there already is kept for the point. */
    const int is_done = step->z >= 0;
    int *many = is_done ? &block->done : &block->lost, count = *many;
    int32_t *lanes = is_done ? block->done_lanes : block->lost_lanes;
    block->alive[l / 64] &= ~bits;
    for (; bits; bits &= bits - 1) {
        const int k = lowest(bits);
        failed[k] = step->out;
        lanes[count++] = (int32_t)l + k;
        if (is_done) exit[k] = result[k];
    }
    block->left -= count - *many;
    *many = count;
}

/* The guards of a block by one comparison; an operand is taken as it is or without its sign. */
#define FASTAD_GUARDED(first, operator, second) \
    for (begin = 0; begin < lanes; begin += 64) { \
        const size_t end = begin + 64 < lanes ? begin + 64 : lanes; \
        uint64_t holds = 0; \
        for (l = begin; l < end; l += FASTAD_LANES_STEP) { \
            uint64_t bits = 0; \
            for (k = 0; k < FASTAD_LANES_STEP; k += FASTAD_VECTOR) { \
                const Vector a = FASTAD_AT(x + l + k), b = FASTAD_AT(y + l + k); \
                bits |= (uint64_t)bits_of((Mask)(first operator second)) << k; \
            } \
            holds |= bits << (l - begin); \
        } \
        note_failed(step, block, (expected ? ~holds : holds) & block->alive[begin / 64], begin); \
    }
#define FASTAD_COMPARED(operator) \
    if (step->u == 0) { FASTAD_GUARDED(a, operator, b) } \
    else if (step->u == 1) { FASTAD_GUARDED(FASTAD_SIZE(a), operator, b) } \
    else { FASTAD_GUARDED(a, operator, FASTAD_SIZE(b)) }

static void check(const FastadLaneStep *step, FastadLaneBlock *block) {
    const double *x = block->v + (int64_t)step->x * block->width, *y = block->v + (int64_t)step->y * block->width;
    const int expected = block->guards[step->out].expected != 0.0;
    const size_t lanes = (size_t)block->lanes;
    size_t begin, l, k;
    if (step->op == FASTAD_LANE_LESS) { FASTAD_COMPARED(<) }
    else if (step->op == FASTAD_LANE_LESS_EQUAL) { FASTAD_COMPARED(<=) }
    else { FASTAD_COMPARED(==) }
}
