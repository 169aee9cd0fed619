# Zeroed arrays for sweeps; those that came back are used again, since memory fresh from the system costs as much as the sweep.

cdef extern from *:
    """
    #include <stdlib.h>
    #include <string.h>
    #include "fastad/core/atomics.h"
    #define FASTAD_SPARES 3                      /* a Hessian-vector product has three arrays at once */
    #define FASTAD_SPARE_BYTES ((size_t)32 << 20)  /* larger arrays go back to the system */

    /* An array behind its own size. Slots are exchanged atomically: sweeps of several threads share them. */
    typedef struct { size_t bytes; double unused; } FastadSpare;
    static void *fastad_spares[FASTAD_SPARES];

    static double *fastad_take_zeros(size_t bytes) {
        FastadSpare *spare = NULL;
        int k;
        if (bytes > FASTAD_SPARE_BYTES) {
            spare = (FastadSpare *)calloc(1, sizeof(FastadSpare) + bytes);
            if (spare != NULL) spare->bytes = bytes;
            return spare == NULL ? NULL : (double *)(spare + 1);
        }
        for (k = 0; k < FASTAD_SPARES; k++) {
            spare = (FastadSpare *)FASTAD_EXCHANGE(&fastad_spares[k], NULL);
            if (spare != NULL && spare->bytes >= bytes) break;
            free(spare);
            spare = NULL;
        }
        if (spare == NULL) {
            spare = (FastadSpare *)malloc(sizeof(FastadSpare) + bytes);
            if (spare == NULL) return NULL;
            spare->bytes = bytes;
        }
        memset(spare + 1, 0, bytes);
        return (double *)(spare + 1);
    }

    static void fastad_give_back(double *array) {
        FastadSpare *spare = array == NULL ? NULL : (FastadSpare *)array - 1;
        int k;
        if (spare != NULL && spare->bytes <= FASTAD_SPARE_BYTES)
            for (k = 0; k < FASTAD_SPARES && spare != NULL; k++)
                spare = (FastadSpare *)FASTAD_EXCHANGE(&fastad_spares[k], spare);
        free(spare);
    }
    """
    double* fastad_take_zeros(size_t bytes) noexcept
    void fastad_give_back(double* array) noexcept


cdef double* zeros(int64_t n) except NULL:
    """n zeros, to be given back with `fastad_give_back`."""
    cdef double* array = fastad_take_zeros(n * sizeof(double))
    if array == NULL:
        raise MemoryError(f"no memory for a sweep over {n} instructions ({8 * n} bytes)")
    fastad_prefer_large_pages(array, n * sizeof(double))
    return array
