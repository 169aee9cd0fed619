/* Loops over a few numbers, one after another: what a program of very many small arrays is made of. A loop is 32 bytes, which say
 * what is done and where the operands are, so that reading the program does not take longer than doing what it says.
 */
#ifndef FASTAD_SHORT_LOOPS_H
#define FASTAD_SHORT_LOOPS_H

#include "fastad/programs/loops.h"

/* Arithmetic on float64 side by side; behind each the same with one number in place of the second, and of the first, operand. */
enum {
    FASTAD_SHORT_ADD, FASTAD_SHORT_SUBTRACT = 3, FASTAD_SHORT_MULTIPLY = 6, FASTAD_SHORT_DIVIDE = 9, FASTAD_SHORT_MULZ = 12,
    FASTAD_SHORT_NEGATIVE = 15, FASTAD_SHORT_SQUARE,
    FASTAD_SHORT_COPY,                 /* n bytes */
    FASTAD_SHORT_FILL,                 /* with one float64 */
    FASTAD_SHORT_TOTAL,
    FASTAD_SHORT_CALL,                 /* a loop with the signature of NumPy's; a fourth operand is the first of what follows */
    FASTAD_SHORT_CALL_FOUR
};

typedef struct {
    int32_t base;
    uint32_t offset;                   /* bytes behind data[base] */
} fastad_place;

typedef struct {
    uint16_t code;
    uint16_t called;                   /* number of the loop that is called */
    uint32_t n;
    fastad_place at[3];
} fastad_short;

typedef struct {
    void (*loop)(char **args, const npy_intp *lengths, const npy_intp *steps, void *data);
    void *data;
    npy_intp steps[4];
} fastad_called;

/* Four or two at a time, which is one vector instruction where there are such: what is stored whole can be read whole at once. An
 * operand may be the result's own place. X, Y and E are macros of the type: the operands, and the operation.
 */
typedef double fastad_v1;
#define FASTAD_ALL_fastad_v1(x) x
#define FASTAD_MULZ_fastad_v1 fastad_mulz_of_double(x, y)
#define FASTAD_PART(V, X, Y, E) { const V x = X(V), y = Y(V); (void)y; *(V *)(r + i) = E(V); }

#if defined(__GNUC__)
typedef double fastad_v4 __attribute__((vector_size(32), aligned(8), may_alias));
typedef double fastad_v2 __attribute__((vector_size(16), aligned(8), may_alias));
typedef int64_t fastad_v4_bits __attribute__((vector_size(32), aligned(8), may_alias));
typedef int64_t fastad_v2_bits __attribute__((vector_size(16), aligned(8), may_alias));
#define FASTAD_ALL_fastad_v4(x) (fastad_v4){x, x, x, x}
#define FASTAD_ALL_fastad_v2(x) (fastad_v2){x, x}
#define FASTAD_MULZ_OF(V, none) (V)((V##_bits)(x * y) & (V##_bits)(x != none) & (V##_bits)(y != none))
#define FASTAD_MULZ_fastad_v4 FASTAD_MULZ_OF(fastad_v4, FASTAD_ALL_fastad_v4(0.0))
#define FASTAD_MULZ_fastad_v2 FASTAD_MULZ_OF(fastad_v2, FASTAD_ALL_fastad_v2(0.0))
#define FASTAD_FEW(X, Y, E) \
    for (i = 0; i + 4 <= n; i += 4) FASTAD_PART(fastad_v4, X, Y, E) \
    if (n & 2) { FASTAD_PART(fastad_v2, X, Y, E) i += 2; } \
    if (n & 1) FASTAD_PART(fastad_v1, X, Y, E) \
    break;
#else
#define FASTAD_FEW(X, Y, E) \
    for (i = 0; i < n; i++) FASTAD_PART(fastad_v1, X, Y, E) \
    break;
#endif

#define FASTAD_P(V) *(const V *)(p + i)
#define FASTAD_Q(V) *(const V *)(q + i)
#define FASTAD_ONE(V) FASTAD_ALL_##V(one)
#define FASTAD_SUM_OF(V) x + y
#define FASTAD_DIFFERENCE(V) x - y
#define FASTAD_PRODUCT(V) x * y
#define FASTAD_QUOTIENT(V) x / y
#define FASTAD_MULZ(V) FASTAD_MULZ_##V
#define FASTAD_MINUS(V) -x
#define FASTAD_SQUARE(V) x * x
#define FASTAD_SHORT_BINARY(CODE, E) \
    case CODE: { FASTAD_FEW(FASTAD_P, FASTAD_Q, E) } \
    case CODE + 1: { const double one = *q; FASTAD_FEW(FASTAD_P, FASTAD_ONE, E) } \
    case CODE + 2: { const double one = *p; FASTAD_FEW(FASTAD_ONE, FASTAD_Q, E) }

FASTAD_CLONES static void fastad_run_shorts(const fastad_short *s, int64_t count, char **data, const fastad_called *called) {
    const fastad_short *end = s + count;
    for (; s < end; s++) {
        const double *p = (const double *)(data[s->at[0].base] + s->at[0].offset);
        const double *q = (const double *)(data[s->at[1].base] + s->at[1].offset);
        double *r = (double *)(data[s->at[2].base] + s->at[2].offset);
        const npy_intp n = s->n;
        npy_intp i;
        switch (s->code) {
            FASTAD_SHORT_BINARY(FASTAD_SHORT_ADD, FASTAD_SUM_OF)
            FASTAD_SHORT_BINARY(FASTAD_SHORT_SUBTRACT, FASTAD_DIFFERENCE)
            FASTAD_SHORT_BINARY(FASTAD_SHORT_MULTIPLY, FASTAD_PRODUCT)
            FASTAD_SHORT_BINARY(FASTAD_SHORT_DIVIDE, FASTAD_QUOTIENT)
            FASTAD_SHORT_BINARY(FASTAD_SHORT_MULZ, FASTAD_MULZ)
            case FASTAD_SHORT_NEGATIVE: { FASTAD_FEW(FASTAD_P, FASTAD_P, FASTAD_MINUS) }
            case FASTAD_SHORT_SQUARE: { FASTAD_FEW(FASTAD_P, FASTAD_P, FASTAD_SQUARE) }
            case FASTAD_SHORT_COPY: memcpy(r, p, n); break;
            case FASTAD_SHORT_FILL: { const double one = *p; for (i = 0; i < n; i++) r[i] = one; break; }
            case FASTAD_SHORT_TOTAL: *r = fastad_sum_double(p, n); break;
            default: {
                const fastad_called *loop = &called[s->called];
                char *args[4];
                args[0] = (char *)p;
                args[1] = (char *)q;
                args[2] = (char *)r;
                args[3] = NULL;
                if (s->code == FASTAD_SHORT_CALL_FOUR) {
                    s++;
                    args[3] = data[s->at[0].base] + s->at[0].offset;
                }
                loop->loop(args, &n, loop->steps, loop->data);
            }
        }
    }
}

#endif
