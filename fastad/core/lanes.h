/* A scalar path for many points at once: instruction i of the point on lane l has its value in v[slot*width + l].
 *
 * forward   v[out] = phi(v[x], v[y]), and which guard fails first at each point
 * reverse   w[target] (+)= w[from] * partial, from the last instruction to the first
 *
 * The kernels stand in lanes_kernels.c, which is compiled once per instruction set.
 */
#ifndef FASTAD_LANES_H
#define FASTAD_LANES_H

#include <stdint.h>
#include "fastad/core/levels.h"

#define FASTAD_MAX_LANES 504      /* points at once; a multiple of FASTAD_LANES_STEP, with slots that do not meet in the cache */
#define FASTAD_LANES_STEP 8
#define FASTAD_BEYOND 64             /* lanes behind those of the last slot that may be read, for nothing */
#define FASTAD_LANE_WORDS ((FASTAD_MAX_LANES + 63) / 64)
#define FASTAD_MOST_MOVED 16      /* slots that are moved with a point */

/* Steps beside the opcodes of the op table, which start at 32. */
enum {
    FASTAD_LANE_SPECIAL = 0,       /* x is its place among the special instructions */
    FASTAD_LANE_LESS = 1,          /* guards: out is their number; u says that x (1) or y (2) is compared without its sign */
    FASTAD_LANE_LESS_EQUAL = 2,
    FASTAD_LANE_EQUAL = 3,
    FASTAD_LANE_VALUE = 4,         /* y is how the number is rounded */
    FASTAD_LANE_EXP = 5,           /* within 4 ulp */
    FASTAD_LANE_LOG = 6,
    FASTAD_LANE_SIN = 7,
    FASTAD_LANE_COS = 8,
    FASTAD_LANE_TANH = 9,
    FASTAD_LANE_PAIRS = 256,       /* + 8 * first + second: a sum, difference, product or quotient, and what becomes of it */
    FASTAD_LANE_TRIPLES = 512      /* + 8 * (8 * first + second) + third: and what becomes of that, with slot u */
};

enum {                             /* `second` of a pair: t is what the first gives. `third` has u for z */
    FASTAD_THEN_ADD = 0,           /* t + z */
    FASTAD_THEN_SUBTRACT = 1,      /* t - z */
    FASTAD_THEN_MULTIPLY = 2,      /* t * z */
    FASTAD_THEN_DIVIDE = 3,        /* t / z */
    FASTAD_THEN_SUBTRACTED = 4,    /* z - t */
    FASTAD_THEN_DIVIDED = 5,       /* z / t */
    FASTAD_THEN_ABSOLUTE = 6       /* |t| */
};

typedef struct { int32_t op, x, y, z, out, u; } FastadLaneStep;

enum {                             /* what a step of the reverse sweep multiplies by */
    FASTAD_BY_ONE = 0,
    FASTAD_BY_MINUS_ONE = 1,
    FASTAD_BY_SLOT = 2,            /* the value in slot x */
    FASTAD_BY_PARTIAL = 3,         /* a partial of the row `op` by its operand k */
    FASTAD_BY_SLOTS = 4,           /* both operands of a product: target by slot x, other by slot y */
    FASTAD_BY_SPECIAL = 5          /* all partials of special instruction x */
};

typedef struct {
    uint8_t kind, op, k;
    uint8_t add;                   /* bit 0: the target has been written before; bit 1: the other one has */
    int32_t target, other, from;   /* adjoint slots; target and from may be the same, which nothing reads afterwards */
    int32_t x, y, v;               /* value slots of the operands and the result */
} FastadLaneReverse;

typedef struct {
    double (*value)(const double *operands);
    void (*first)(const double *operands, double v, double *partials);
    int32_t arity;
    int32_t operands[4], out;      /* value slots */
    int32_t targets[4];            /* adjoint slots, -1 where none is wanted */
    uint8_t add[4];
} FastadLaneSpecial;

typedef struct {
    double expected;               /* of a comparison 0 or 1 */
    const int32_t *results;        /* slots of the results of points that it fails at; NULL where they are not there yet */
} FastadLaneGuard;

typedef struct {                   /* where the numbers of one slot are, point by point */
    int32_t slot;
    char *data;
    int64_t stride;                /* bytes */
} FastadLaneColumn;

typedef struct {                   /* a workspace: what happens to one block of points */
    double *v, *w;
    int width;                     /* from one slot to the next */
    int lanes;                     /* in use, the first ones; a multiple of FASTAD_LANES_STEP */
    int left;                      /* points that no guard has failed at */
    int enough;                    /* a guard that leaves this many or fewer is the last step that is run */
    const FastadLaneSpecial *specials;
    const FastadLaneGuard *guards;
    double (*rounded)(double v, int how);
    const FastadLaneColumn *results;      /* where they go */
    int result_count;
    const int64_t *rows;           /* by place of a point: its row; NULL where that is the same */
    uint64_t alive[FASTAD_LANE_WORDS];    /* a bit for each lane whose point no guard has failed at */
    int lost;                      /* points that a guard has failed at without results since points last moved */
    int32_t lost_lanes[FASTAD_MAX_LANES], lost_guards[FASTAD_MAX_LANES];
    double place[FASTAD_MAX_LANES];       /* where among the points that of a lane is */
    double found[FASTAD_MAX_LANES];       /* the number that did not leave as it was expected to */
} FastadLaneBlock;

typedef struct {
    /* Runs n steps, or until no more than `enough` points are left; returns how many it ran. Results of points that leave with them
       are written. */
    int64_t (*forward)(const FastadLaneStep *steps, int64_t n, FastadLaneBlock *block);
    /* Takes as many points as are left to the first lanes, numbered from `first` on. */
    void (*begin)(FastadLaneBlock *block, double first);
    /* Moves the points that are left, with n slots, to the first lanes; the others are lost. */
    void (*move_together)(FastadLaneBlock *block, const int32_t *slots, int n);
    /* Runs n steps. Where `careful`, zero wins over infinity and NaN in products. */
    void (*reverse)(const FastadLaneReverse *steps, int64_t n, const FastadLaneBlock *block, int careful);
    /* Vectorised functions by name: "exp", "log", "sin", "cos", "tanh"; 0 if there is none. */
    int (*function)(const char *name, const double *x, double *result, int n);
    /* "sin" and "cos" of the same numbers. */
    void (*sines_and_cosines)(const double *x, double *sines, double *cosines, int n);
    const uint8_t (*forms)[2];     /* by opcode and operand: one of FASTAD_BY_..., 255 where the partial is zero */
    const uint8_t (*needs)[2];     /* and what the partial is made of: 1 x, 2 y, 4 the result */
} FastadLaneKernels;

FASTAD_DECLARED_AT_LEVELS(const FastadLaneKernels *, fastad_lanes_)

#endif
