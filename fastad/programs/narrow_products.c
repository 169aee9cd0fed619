/* The kernels of narrow_products.h, compiled once per instruction set with FASTAD_LEVEL naming it.
 *
 * BLAS copies both factors into an order of its own, which takes longer than the arithmetic where rows are short. Here a tile of the
 * product, four rows by a few vectors, stays in registers while the inner axis is gone along:
 *
 *     for l:  y[l, tile]  ──▶  v[i, tile] += x[i, l] * y[l, tile]     for four i
 *
 * and only a second factor whose columns lie apart is copied. The last vector of a row overlaps the one before it rather than go beyond.
 */

#include <stddef.h>
#include "fastad/core/support.h"
#include "fastad/programs/narrow_products.h"

/* GCC and Clang know vectors of any size; registers for a tile of them are there from AVX2 on, and on ARM. */
#if defined(__GNUC__) && (defined(__AVX2__) || defined(__aarch64__))

#define ROWS 4                /* of a tile */
#define NEAR 2048             /* numbers of x that stay in the first cache while the tiles beside each other read them */
#define AHEAD 8               /* rows that are asked for before they are read */
#define FAR 128               /* bytes from one row of both factors to the next, where x is transposed, beyond which they are asked for too, */
#define FEW 64                /* so many at a time */

/* Where vector j of a tile is, in bytes from the first. */
#define PLACE(j, bytes, vectors, last) ((j) < (vectors) - 1 ? (j) * bytes : (last))

#define TILE(real, bytes, rows, vectors) \
static void tile_of_##real##_##bytes##_##rows##_##vectors(const char *x, intptr_t x_row, intptr_t x_column, const char *y, intptr_t y_row, \
                                                          char *v, intptr_t v_row, intptr_t inner, intptr_t last, int add) { \
    Vector_##real##_##bytes sums[rows][vectors]; \
    intptr_t l; \
    int i, j; \
    for (i = 0; i < rows; i++) for (j = 0; j < vectors; j++) sums[i][j] = (Vector_##real##_##bytes){0}; \
    if (add) \
        for (i = 0; i < rows; i++) for (j = 0; j < vectors; j++) \
            sums[i][j] = *(const Anywhere_##real##_##bytes *)(v + i * v_row + PLACE(j, bytes, vectors, last)); \
    for (l = 0; l < inner; l++) { \
        for (i = 0; i < rows; i++) { \
            const real factor = *(const real *)(x + i * x_row + l * x_column); \
            for (j = 0; j < vectors; j++) \
                sums[i][j] += factor * *(const Anywhere_##real##_##bytes *)(y + l * y_row + PLACE(j, bytes, vectors, last)); \
        } \
    } \
    for (i = 0; i < rows; i++) for (j = 0; j < vectors; j++) \
        *(Anywhere_##real##_##bytes *)(v + i * v_row + PLACE(j, bytes, vectors, last)) = sums[i][j]; \
}
#define TILES(real, bytes, rows) TILE(real, bytes, rows, 1) TILE(real, bytes, rows, 2) TILE(real, bytes, rows, 3) TILE(real, bytes, rows, 4)
#define OF(real, bytes, rows, vectors) tile_of_##real##_##bytes##_##rows##_##vectors
#define TILES_OF(real, bytes, rows) \
    {OF(real, bytes, rows, 1), OF(real, bytes, rows, 2), OF(real, bytes, rows, 3), OF(real, bytes, rows, 4)}

typedef void (*Tile)(const char *x, intptr_t x_row, intptr_t x_column, const char *y, intptr_t y_row,
                     char *v, intptr_t v_row, intptr_t inner, intptr_t last, int add);

/* How many vectors the next tile of a row has, at most so many: of as few tiles as possible, each about as wide. */
static int vectors_of(intptr_t columns, intptr_t lanes, intptr_t most) {
    const intptr_t vectors = (columns + lanes - 1) / lanes, tiles = (vectors + most - 1) / most;
    return (int)((vectors + tiles - 1) / tiles);
}

#define PRODUCT(real, bytes, most_vectors) \
typedef real Vector_##real##_##bytes __attribute__((vector_size(bytes))); \
typedef real Anywhere_##real##_##bytes __attribute__((vector_size(bytes), aligned(sizeof(real)), may_alias)); \
TILES(real, bytes, 1) TILES(real, bytes, 2) TILES(real, bytes, 3) TILES(real, bytes, 4) \
static const Tile tiles_of_##real##_##bytes[ROWS][4] = { \
    TILES_OF(real, bytes, 1), TILES_OF(real, bytes, 2), TILES_OF(real, bytes, 3), TILES_OF(real, bytes, 4)}; \
\
static void product_of_##real##_##bytes(char **args, const intptr_t *lengths, const intptr_t *steps, void *data) { \
    const intptr_t rows = lengths[1], columns = lengths[3], lanes = bytes / sizeof(real), size = sizeof(real); \
    const intptr_t x_row = steps[3], x_column = steps[4], y_column = steps[6], v_row = steps[7]; \
    const intptr_t widest = most_vectors * lanes, tiles = (rows + ROWS - 1) / ROWS * ((columns + widest - 1) / widest);      /* about */ \
    const int far = x_row == size && x_column > FAR; \
    const intptr_t near = FASTAD_NARROW_KEPT / columns, most = far && near > FEW ? FEW : near; \
    real kept[FASTAD_NARROW_KEPT]; \
    intptr_t outer, from, begin, first, i, j, l; \
    (void)data; \
    for (outer = 0; outer < lengths[0]; outer++) \
    for (from = 0; from < lengths[2]; from += most) { \
        const intptr_t inner = lengths[2] - from < most ? lengths[2] - from : most; \
        const intptr_t block = NEAR / inner < ROWS ? ROWS : NEAR / inner / ROWS * ROWS; \
        const char *x = args[0] + outer * steps[0] + from * x_column, *y = args[1] + outer * steps[1] + from * steps[5]; \
        char *v = args[2] + outer * steps[2]; \
        intptr_t y_row = steps[5], next = inner, tile = 0; \
        if (y_column != size) { \
            for (l = 0; l < inner; l++) for (j = 0; j < columns; j++) kept[l * columns + j] = *(const real *)(y + l * y_row + j * y_column); \
            y = (const char *)kept; \
            y_row = columns * size; \
        } \
        for (begin = 0; begin < rows; begin += block) { \
            const intptr_t end = rows - begin < block ? rows : begin + block; \
            int vectors; \
            for (first = 0; first < columns; first += vectors * lanes) { \
                intptr_t width = columns - first; \
                vectors = vectors_of(width, lanes, most_vectors); \
                width = width < vectors * lanes ? width : vectors * lanes; \
                for (i = begin; i < end; i += ROWS) { \
                    const intptr_t some = end - i < ROWS ? end - i : ROWS; \
                    for (j = i + AHEAD; first == 0 && j < i + AHEAD + some; j++) { \
                        if (x_column == size) fastad_fetch(x + j * x_row, inner * size, 0); \
                        fastad_fetch(v + j * v_row, columns * size, 1); \
                    } \
                    for (tile++; far && next < inner + inner * tile / tiles; next++) { \
                        fastad_fetch(x + next * x_column, rows * size, 0); \
                        fastad_fetch(y + next * y_row, columns * size, 0); \
                    } \
                    tiles_of_##real##_##bytes[some - 1][vectors - 1](x + i * x_row, x_row, x_column, y + first * size, y_row, \
                                                                     v + i * v_row + first * size, v_row, inner, (width - lanes) * size, from > 0); \
                } \
            } \
        } \
    } \
}

PRODUCT(double, 32, 3)
PRODUCT(float, 32, 3)

#ifdef __AVX512F__
/* Vectors twice as wide, and registers for four of them in each row of a tile. */
PRODUCT(double, 64, 4)
PRODUCT(float, 64, 4)

#define EITHER(real) \
static void product_of_##real(char **args, const intptr_t *lengths, const intptr_t *steps, void *data) { \
    if (lengths[3] * (intptr_t)sizeof(real) < 64) product_of_##real##_32(args, lengths, steps, data); \
    else product_of_##real##_64(args, lengths, steps, data); \
}
EITHER(double)
EITHER(float)
static const FastadNarrowProducts products = {product_of_double, product_of_float};
#else
static const FastadNarrowProducts products = {product_of_double_32, product_of_float_32};
#endif
#else
static const FastadNarrowProducts products = {NULL, NULL};
#endif

const FastadNarrowProducts *FASTAD_OF_LEVEL(fastad_narrow_products_)(void) {
    return &products;
}
