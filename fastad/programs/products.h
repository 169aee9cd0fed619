/* Products of small matrices with the signature of the inner loop of np.matmul: a call of BLAS takes longer than the arithmetic.
 * Sums over the inner axis are in order; of one column in four parts. Steps of any kind, results do not depend on them.
 */
#ifndef FASTAD_PRODUCTS_H
#define FASTAD_PRODUCTS_H

#include "fastad/core/vector.h"

#define FASTAD_FEW 16        /* of the inner axis, at most */
#define FASTAD_WIDTH 8       /* columns that are computed together */
#define FASTAD_BLOCK 64      /* rows that are */

#define FASTAD_ROWS(real, columns) \
    case columns: \
        for (i = 0; i < rows; i++) { \
            real sums[columns] = {0}; \
            const char *p = x + i * x_row; \
            char *r = v + i * v_row; \
            for (l = 0; l < inner; l++) { \
                const real factor = *(const real *)(p + l * x_column); \
                const real *q = (const real *)(y + l * y_row); \
                for (j = 0; j < columns; j++) sums[j] += factor * q[j]; \
            } \
            if (v_column == sizeof(real)) for (j = 0; j < columns; j++) ((real *)r)[j] = sums[j]; \
            else for (j = 0; j < columns; j++) *(real *)(r + j * v_column) = sums[j]; \
        } \
        break;

#define FASTAD_PRODUCT(real) \
    FASTAD_CLONES static void fastad_product_##real(char **args, const npy_intp *lengths, const npy_intp *steps, void *data) { \
        const npy_intp inner = lengths[2], columns = lengths[3]; \
        const npy_intp x_row = steps[3], x_column = steps[4], y_column = steps[6], v_row = steps[7], v_column = steps[8]; \
        real few[FASTAD_FEW * FASTAD_WIDTH]; \
        npy_intp outer, from, first, i, j, l; \
        (void)data; \
        for (outer = 0; outer < lengths[0]; outer++) \
        for (from = 0; from < lengths[1]; from += FASTAD_BLOCK) { \
            const npy_intp rows = lengths[1] - from < FASTAD_BLOCK ? lengths[1] - from : FASTAD_BLOCK; \
            const char *x = args[0] + outer * steps[0] + from * x_row; \
            for (first = 0; first < columns; first += FASTAD_WIDTH) { \
                const npy_intp width = columns - first < FASTAD_WIDTH ? columns - first : FASTAD_WIDTH; \
                const char *y = args[1] + outer * steps[1] + first * y_column; \
                char *v = args[2] + outer * steps[2] + from * v_row + first * v_column; \
                npy_intp y_row = steps[5]; \
                if (width > 1 && y_column != sizeof(real)) { \
                    for (l = 0; l < inner; l++) \
                        for (j = 0; j < width; j++) few[l * width + j] = *(const real *)(y + l * y_row + j * y_column); \
                    y = (const char *)few; \
                    y_row = width * (npy_intp)sizeof(real); \
                } \
                switch (width) { \
                case 1: \
                    for (i = 0; i < rows; i++) { \
                        real parts[4] = {0, 0, 0, 0}, rest = 0; \
                        const char *p = x + i * x_row; \
                        for (l = 0; l + 4 <= inner; l += 4) \
                            for (j = 0; j < 4; j++) \
                                parts[j] += *(const real *)(p + (l + j) * x_column) * *(const real *)(y + (l + j) * y_row); \
                        for (; l < inner; l++) rest += *(const real *)(p + l * x_column) * *(const real *)(y + l * y_row); \
                        *(real *)(v + i * v_row) = ((parts[0] + parts[2]) + (parts[1] + parts[3])) + rest; \
                    } \
                    break; \
                FASTAD_ROWS(real, 2) \
                FASTAD_ROWS(real, 3) \
                FASTAD_ROWS(real, 4) \
                FASTAD_ROWS(real, 5) \
                FASTAD_ROWS(real, 6) \
                FASTAD_ROWS(real, 7) \
                FASTAD_ROWS(real, 8) \
                } \
            } \
        } \
    }

FASTAD_PRODUCT(double)
FASTAD_PRODUCT(float)

#endif
