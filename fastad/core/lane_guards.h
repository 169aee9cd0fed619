/* Guards: which points fail at one first. Few do, and each once, so they leave one by one and the others cost a comparison.
 *
 * Included by lanes_kernels.c.
 */

static inline int lowest(uint64_t bits) {
#if defined(__GNUC__)
    return __builtin_ctzll(bits);
#else
    int k = 0;
    while (!(bits >> k & 1)) k++;
    return k;
#endif
}

/* Writes the results of those of the lanes at l whose bits are set. */
static void write_results(const int32_t *slots, const FastadLaneBlock *block, uint64_t bits, size_t l) {
    const int64_t *const rows = block->rows;
    const double *const place = block->place + l;
    int j;
    for (j = 0; j < block->result_count; j++) {
        const double *const x = block->v + (int64_t)slots[j] * block->width + l;
        char *const data = block->results[j].data;
        const int64_t stride = block->results[j].stride;
        uint64_t rest;
        for (rest = bits; rest; rest &= rest - 1) {
            const int k = lowest(rest);
            const int64_t row = (int64_t)place[k];
            *(double *)(data + (rows ? rows[row] : row) * stride) = x[k];
        }
    }
}

/* Points leave: those of the lanes at l whose bits are set. */
static void note_failed(const FastadLaneStep *step, FastadLaneBlock *block, uint64_t bits, size_t l) {
    const int32_t *slots = block->guards[step->out].results;
    uint64_t rest;
    block->alive[l / 64] &= ~bits;
    for (rest = bits; rest; rest &= rest - 1) block->left--;
    if (slots) {
        write_results(slots, block, bits, l);
        return;
    }
    for (rest = bits; rest; rest &= rest - 1) {
        block->lost_lanes[block->lost] = (int32_t)l + lowest(rest);
        block->lost_guards[block->lost++] = step->out;
    }
}

/* The guards of a block by one comparison; an operand is taken as it is or without its sign. Behind the lanes in use the numbers of
 * no point are compared, for nothing: the workspace goes on for FASTAD_BEYOND lanes.
 */
#define FASTAD_GUARDED(first, operator, second) \
    for (l = 0; l < lanes; l += 64) { \
        uint64_t holds = 0, failed; \
        FASTAD_UNROLLED \
        for (k = 0; k < 64; k += FASTAD_VECTOR) { \
            const Vector a = FASTAD_AT(x + l + k), b = FASTAD_AT(y + l + k); \
            holds |= (uint64_t)bits_of((Mask)(first operator second)) << k; \
        } \
        failed = (holds ^ flipped) & block->alive[l / 64]; \
        if (failed) note_failed(step, block, failed, l); \
    }
#define FASTAD_COMPARED(operator) \
    if (step->u == 0) { FASTAD_GUARDED(a, operator, b) } \
    else if (step->u == 1) { FASTAD_GUARDED(FASTAD_SIZE(a), operator, b) } \
    else { FASTAD_GUARDED(a, operator, FASTAD_SIZE(b)) }

static void check(const FastadLaneStep *step, FastadLaneBlock *block) {
    const double *x = block->v + (int64_t)step->x * block->width, *y = block->v + (int64_t)step->y * block->width;
    const uint64_t flipped = block->guards[step->out].expected != 0.0 ? ~(uint64_t)0 : 0;
    const size_t lanes = (size_t)block->lanes;
    size_t l, k;
    if (step->op == FASTAD_LANE_LESS) { FASTAD_COMPARED(<) }
    else if (step->op == FASTAD_LANE_LESS_EQUAL) { FASTAD_COMPARED(<=) }
    else { FASTAD_COMPARED(==) }
}
