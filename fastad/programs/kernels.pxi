# Kernels of array instructions: inner loops, NumPy's own where it has them, over operands of any strides. Without the GIL.

cdef extern from "numpy/ufuncobject.h":
    ctypedef void (*Loop "PyUFuncGenericFunction")(char** args, const cnp.npy_intp* dimensions, const cnp.npy_intp* strides,
                                                   void* data) noexcept nogil
    ctypedef struct PyUFuncObject:
        int nin, nout, ntypes
        Loop* functions
        void** data
        char* types

cdef extern from "fastad/programs/loops.h":
    void fastad_add_double(char**, const cnp.npy_intp*, const cnp.npy_intp*, void*) noexcept nogil
    void fastad_add_float(char**, const cnp.npy_intp*, const cnp.npy_intp*, void*) noexcept nogil
    void fastad_subtract_double(char**, const cnp.npy_intp*, const cnp.npy_intp*, void*) noexcept nogil
    void fastad_subtract_float(char**, const cnp.npy_intp*, const cnp.npy_intp*, void*) noexcept nogil
    void fastad_multiply_double(char**, const cnp.npy_intp*, const cnp.npy_intp*, void*) noexcept nogil
    void fastad_multiply_float(char**, const cnp.npy_intp*, const cnp.npy_intp*, void*) noexcept nogil
    void fastad_divide_double(char**, const cnp.npy_intp*, const cnp.npy_intp*, void*) noexcept nogil
    void fastad_divide_float(char**, const cnp.npy_intp*, const cnp.npy_intp*, void*) noexcept nogil
    void fastad_mulz_double(char**, const cnp.npy_intp*, const cnp.npy_intp*, void*) noexcept nogil
    void fastad_mulz_float(char**, const cnp.npy_intp*, const cnp.npy_intp*, void*) noexcept nogil
    void fastad_negative_double(char**, const cnp.npy_intp*, const cnp.npy_intp*, void*) noexcept nogil
    void fastad_negative_float(char**, const cnp.npy_intp*, const cnp.npy_intp*, void*) noexcept nogil
    void fastad_square_double(char**, const cnp.npy_intp*, const cnp.npy_intp*, void*) noexcept nogil
    void fastad_square_float(char**, const cnp.npy_intp*, const cnp.npy_intp*, void*) noexcept nogil
    void fastad_total_double(char**, const cnp.npy_intp*, const cnp.npy_intp*, void*) noexcept nogil
    void fastad_total_float(char**, const cnp.npy_intp*, const cnp.npy_intp*, void*) noexcept nogil
    void double_to_float "fastad_double_to_float"(char**, const cnp.npy_intp*, const cnp.npy_intp*, void*) noexcept nogil
    void float_to_double "fastad_float_to_double"(char**, const cnp.npy_intp*, const cnp.npy_intp*, void*) noexcept nogil
    void bool_to_float "fastad_bool_to_float"(char**, const cnp.npy_intp*, const cnp.npy_intp*, void*) noexcept nogil
    void int_to_float "fastad_int_to_float"(char**, const cnp.npy_intp*, const cnp.npy_intp*, void*) noexcept nogil
    void int_to_double "fastad_int_to_double"(char**, const cnp.npy_intp*, const cnp.npy_intp*, void*) noexcept nogil
    void bool_to_double "fastad_bool_to_double"(char**, const cnp.npy_intp*, const cnp.npy_intp*, void*) noexcept nogil
    void where_8 "fastad_where_8"(char**, const cnp.npy_intp*, const cnp.npy_intp*, void*) noexcept nogil
    void where_4 "fastad_where_4"(char**, const cnp.npy_intp*, const cnp.npy_intp*, void*) noexcept nogil
    void fastad_multiply_add_double(char**, const cnp.npy_intp*, const cnp.npy_intp*, void*) noexcept nogil
    void fastad_multiply_add_float(char**, const cnp.npy_intp*, const cnp.npy_intp*, void*) noexcept nogil
    void fastad_mulz_add_double(char**, const cnp.npy_intp*, const cnp.npy_intp*, void*) noexcept nogil
    void fastad_mulz_add_float(char**, const cnp.npy_intp*, const cnp.npy_intp*, void*) noexcept nogil
    void fastad_multiply_less_double(char**, const cnp.npy_intp*, const cnp.npy_intp*, void*) noexcept nogil
    void fastad_multiply_less_float(char**, const cnp.npy_intp*, const cnp.npy_intp*, void*) noexcept nogil
    void fastad_less_multiply_double(char**, const cnp.npy_intp*, const cnp.npy_intp*, void*) noexcept nogil
    void fastad_less_multiply_float(char**, const cnp.npy_intp*, const cnp.npy_intp*, void*) noexcept nogil
    void row_sums_double "fastad_row_sums_double"(char**, const cnp.npy_intp*, const cnp.npy_intp*, void*) noexcept nogil
    void row_sums_float "fastad_row_sums_float"(char**, const cnp.npy_intp*, const cnp.npy_intp*, void*) noexcept nogil
    void row_minima_double "fastad_row_minima_double"(char**, const cnp.npy_intp*, const cnp.npy_intp*, void*) noexcept nogil
    void row_minima_float "fastad_row_minima_float"(char**, const cnp.npy_intp*, const cnp.npy_intp*, void*) noexcept nogil
    void row_maxima_double "fastad_row_maxima_double"(char**, const cnp.npy_intp*, const cnp.npy_intp*, void*) noexcept nogil
    void row_maxima_float "fastad_row_maxima_float"(char**, const cnp.npy_intp*, const cnp.npy_intp*, void*) noexcept nogil
    void column_sums_double "fastad_column_sums_double"(char**, const cnp.npy_intp*, const cnp.npy_intp*, void*) noexcept nogil
    void column_sums_float "fastad_column_sums_float"(char**, const cnp.npy_intp*, const cnp.npy_intp*, void*) noexcept nogil
    void fastad_spread_rows(const char* source, char* target, int64_t rows, int64_t n, cnp.npy_intp step) noexcept nogil
    void fastad_fetch(const char* p, int64_t bytes, bint writing) noexcept nogil
    double fastad_total(const char* x, cnp.npy_intp n, cnp.npy_intp step, bint single) noexcept nogil
    double fastad_dot(const char* x, const char* y, cnp.npy_intp n, const cnp.npy_intp* steps, bint zero, bint single) noexcept nogil

cdef extern from "fastad/programs/short_loops.h":
    ctypedef struct fastad_place:
        int32_t base
        uint32_t offset

    ctypedef struct fastad_short:
        uint16_t code
        uint16_t called
        uint32_t n
        fastad_place at[3]

    ctypedef struct fastad_called:
        Loop loop
        void* data
        cnp.npy_intp steps[4]

    int FASTAD_SHORT_ADD, FASTAD_SHORT_SUBTRACT, FASTAD_SHORT_MULTIPLY, FASTAD_SHORT_DIVIDE, FASTAD_SHORT_MULZ, FASTAD_SHORT_NEGATIVE
    int FASTAD_SHORT_SQUARE, FASTAD_SHORT_COPY, FASTAD_SHORT_FILL, FASTAD_SHORT_TOTAL, FASTAD_SHORT_CALL, FASTAD_SHORT_CALL_FOUR
    void fastad_run_shorts(const fastad_short* s, int64_t count, char** data, const fastad_called* called) noexcept nogil

cdef extern from "fastad/programs/products.h":
    enum:
        FASTAD_FEW
    void fastad_product_double(char**, const cnp.npy_intp*, const cnp.npy_intp*, void*) noexcept nogil
    void fastad_product_float(char**, const cnp.npy_intp*, const cnp.npy_intp*, void*) noexcept nogil

cdef extern from *:
    """
    #include "fastad/programs/narrow_products.h"
    static const FastadNarrowProducts *fastad_narrow_products(int level) { return FASTAD_AT_LEVEL(fastad_narrow_products_, level); }
    """
    enum:
        FASTAD_NARROW_BYTES, FASTAD_NARROW_KEPT

    ctypedef struct FastadNarrowProducts:
        Loop of_double
        Loop of_float

    const FastadNarrowProducts* fastad_narrow_products(int level) noexcept nogil

cdef const FastadNarrowProducts* narrow = fastad_narrow_products(current_level())

# A loop that can fail: an index out of bounds, a guard.
ctypedef bint (*CheckedLoop)(char** args, const cnp.npy_intp* dimensions, const cnp.npy_intp* strides, void* data) noexcept nogil

cdef enum:
    FIXED = 3
    OPERANDS = 4
    SMALL = 500            # elements
    SHORT_SUM = 64         # elements up to which a plain sum loses as little as NumPy's along other axes
    MOST_COLUMNS = 64      # that are added up in registers rather than row by row
    SHORT_LOOP = 16        # runs of an inner loop below which calling it takes longer than running it
    OUTER = 7              # dimensions around the inner loop
    CORE = 8               # strides of a generalized ufunc's own dimensions, and its lengths


cdef struct Place:
    int kind               # SCALAR, ARRAY, FIXED, or 0 for a constant
    int32_t number
    int64_t offset
    char* address          # of a FIXED operand
    double constant        # where a constant number is kept, in one of these types
    float single
    int64_t whole


cdef struct Chain            # tiles.pxi


cdef struct Round            # rounds.pxi


cdef struct Kernel:
    Loop loop              # or `checked`
    CheckedLoop checked
    void* data
    int count              # operands
    int outer              # dimensions around the inner loop
    bint is_guard
    bint elementwise       # each element of the last operand comes of those of the others at the same place, or is their sum
    bint total             # it is their sum
    bint two_results       # it writes the last two operands
    int by_rows            # it makes one number of each row of elements side by side: a bit for each operand that has such rows
    bint own               # a loop of fastad's: the same results at any strides
    bint reorders          # its loops may stand in any order
    bint seeded            # it touches what depends on the seeds of a sweep of several
    Chain* chain           # it is a chain of kernels; then nothing else is set
    Round* round           # it is kernels by batches; likewise
    fastad_short* strip    # it is short loops; likewise
    int64_t strip_words
    const fastad_called* called
    Place[OPERANDS] places
    int[OPERANDS] sizes    # of an element
    cnp.npy_intp[1 + CORE] lengths             # of the inner loop, then of the core dimensions
    cnp.npy_intp[OPERANDS + CORE] strides      # of the inner loop, then of the core dimensions
    cnp.npy_intp[OUTER] around
    cnp.npy_intp[OPERANDS][OUTER] steps
    cnp.npy_intp[OPERANDS] advance             # of a part of a round: bytes from one batch to the next


cdef bint run_kernel(Kernel* kernel, double* v, char** data) noexcept nogil:
    """Runs a kernel; False if it failed."""
    if kernel.round != NULL:
        return run_round(kernel.round, v, data)
    return run_part(kernel, v, data, 0, 1)


cdef bint run_part(Kernel* kernel, double* v, char** data, int64_t batch, int64_t batches) noexcept nogil:
    """Runs a kernel of a round for one batch, of one in so many equal parts that is all of it; False if it failed."""
    cdef char* args[OPERANDS]
    cdef char* at[OPERANDS]
    cdef cnp.npy_intp[OUTER] index
    cdef int k, d
    if kernel.chain != NULL:
        run_chain(kernel.chain, v, data, kernel.chain.n // batches * batch, kernel.chain.n // batches * (batch + 1))
        return True
    if kernel.strip != NULL:
        fastad_run_shorts(kernel.strip, kernel.strip_words, data, kernel.called)
        return True
    for k in range(kernel.count):
        args[k] = address_of(&kernel.places[k], v, data) + batch * kernel.advance[k]
    if kernel.outer == 0:
        if kernel.checked != NULL:
            return kernel.checked(args, kernel.lengths, kernel.strides, kernel.data)
        kernel.loop(args, kernel.lengths, kernel.strides, kernel.data)
        return True
    for d in range(kernel.outer):
        index[d] = 0
    while True:
        # A loop may move the pointers it is given.
        for k in range(kernel.count):
            at[k] = args[k]
        if kernel.checked != NULL:
            if not kernel.checked(at, kernel.lengths, kernel.strides, kernel.data):
                return False
        else:
            kernel.loop(at, kernel.lengths, kernel.strides, kernel.data)
        d = kernel.outer - 1
        while d >= 0:
            index[d] += 1
            for k in range(kernel.count):
                args[k] += kernel.steps[d][k]
            if index[d] < kernel.around[d]:
                break
            for k in range(kernel.count):
                args[k] -= kernel.steps[d][k] * kernel.around[d]
            index[d] = 0
            d -= 1
        if d < 0:
            return True


cdef void put_long_inside(Kernel* kernel) noexcept:
    """Makes the longest loop of a kernel the inner one if that is short and no element depends on the order."""
    cdef cnp.npy_intp* inner = &kernel.lengths[0]
    cdef int d, k, longest = 0
    if not kernel.reorders or kernel.outer == 0 or inner[0] >= SHORT_LOOP:
        return
    for d in range(1, kernel.outer):
        if kernel.around[d] > kernel.around[longest]:
            longest = d
    if kernel.around[longest] < 2 * inner[0]:
        return
    inner[0], kernel.around[longest] = kernel.around[longest], inner[0]
    for k in range(kernel.count):
        kernel.strides[k], kernel.steps[longest][k] = kernel.steps[longest][k], kernel.strides[k]
