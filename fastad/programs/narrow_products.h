/* Products of matrices whose rows are short, with the signature of the inner loop of np.matmul. NULL where there is none. */
#ifndef FASTAD_NARROW_PRODUCTS_H
#define FASTAD_NARROW_PRODUCTS_H

#include <stdint.h>
#include "fastad/core/levels.h"

#define FASTAD_NARROW_BYTES 32        /* of the numbers that are computed together, at least: no row of a product is shorter */
#define FASTAD_NARROW_KEPT 4096       /* numbers of the second factor that are near the processor at a time */

/* lengths: products, rows, inner, columns. steps: from one product to the next of x, y and v; then rows and columns of x, of y, of v.
 * There are at most FASTAD_NARROW_KEPT columns, those of v side by side. Sums over the inner axis are in order, each term multiplied and
 * added with one rounding where the processor can.
 */
typedef void (*FastadNarrowProduct)(char **args, const intptr_t *lengths, const intptr_t *steps, void *data);

typedef struct {
    FastadNarrowProduct of_double, of_float;
} FastadNarrowProducts;

FASTAD_DECLARED_AT_LEVELS(const FastadNarrowProducts *, fastad_narrow_products_)

#endif
