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
    bint by_rows           # it makes one number of each row of elements side by side
    bint own               # a loop of fastad's: the same results at any strides
    bint reorders          # its loops may stand in any order
    bint seeded            # it touches what depends on the seeds of a sweep of several
    Chain* chain           # it is a chain of kernels; then nothing else is set
    fastad_short* strip    # it is short loops; likewise
    int64_t strip_words
    const fastad_called* called
    Place[OPERANDS] places
    int[OPERANDS] sizes    # of an element
    cnp.npy_intp[1 + CORE] lengths             # of the inner loop, then of the core dimensions
    cnp.npy_intp[OPERANDS + CORE] strides      # of the inner loop, then of the core dimensions
    cnp.npy_intp[OUTER] around
    cnp.npy_intp[OPERANDS][OUTER] steps


cdef bint run_kernel(Kernel* kernel, double* v, char** data) noexcept nogil:
    """Runs a kernel; False if it failed."""
    cdef char* args[OPERANDS]
    cdef char* at[OPERANDS]
    cdef cnp.npy_intp[OUTER] index
    cdef int k, d
    if kernel.chain != NULL:
        run_chain(kernel.chain, v, data)
        return True
    if kernel.strip != NULL:
        fastad_run_shorts(kernel.strip, kernel.strip_words, data, kernel.called)
        return True
    for k in range(kernel.count):
        args[k] = address_of(&kernel.places[k], v, data)
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


# ---- own loops -----------------------------------------------------------------------------------------------------------------

cdef enum:
    OWN_LOOPS = 7


cdef struct OwnLoops:
    Loop double_loop
    Loop float_loop


cdef dict own_loops = {}      # by ufunc or opcode: the place of its loops
cdef OwnLoops[OWN_LOOPS] own_loop

for _place, (_ufunc, _opcode) in enumerate((
        (np.add, OP_ADD), (np.subtract, OP_SUBTRACT), (np.multiply, OP_MULTIPLY), (np.true_divide, OP_DIVIDE), (np.negative, OP_NEGATIVE),
        (np.square, OP_SQUARE), (None, OP_MULZ))):
    own_loops[_ufunc] = own_loops[_opcode] = _place
own_loop[0] = OwnLoops(fastad_add_double, fastad_add_float)
own_loop[1] = OwnLoops(fastad_subtract_double, fastad_subtract_float)
own_loop[2] = OwnLoops(fastad_multiply_double, fastad_multiply_float)
own_loop[3] = OwnLoops(fastad_divide_double, fastad_divide_float)
own_loop[4] = OwnLoops(fastad_negative_double, fastad_negative_float)
own_loop[5] = OwnLoops(fastad_square_double, fastad_square_float)
own_loop[6] = OwnLoops(fastad_mulz_double, fastad_mulz_float)


cdef Loop own_loop_for(function, list operands) except? NULL:
    """fastad's own loop of a ufunc or an opcode for these operands; NULL if there is none."""
    cdef int type_number = (<Ref>operands[0]).type_number
    place = own_loops.get(function)
    for ref in operands:
        if (<Ref>ref).type_number != type_number:
            return NULL
    if place is None or type_number not in (cnp.NPY_DOUBLE, cnp.NPY_FLOAT):
        return NULL
    return own_loop[<int>place].double_loop if type_number == cnp.NPY_DOUBLE else own_loop[<int>place].float_loop


# Functions that are vectorised where a bit more or less is allowed: for partials, and for values under fast_math.
FAST = {OP_SIN: b"sin", OP_COS: b"cos", OP_EXP: b"exp", OP_LOG: b"log", OP_TANH: b"tanh"}


cdef void fast_loop(char** args, const cnp.npy_intp* n, const cnp.npy_intp* strides, void* data) noexcept nogil:
    """A function of FAST, whose name `data` is."""
    cdef cnp.npy_intp i, m
    if strides[0] == 8 and strides[1] == 8:
        i = 0
        while i < n[0]:
            m = min(n[0] - i, <cnp.npy_intp>FAST_BLOCK)
            vectorised(<const char*>data, <const double*>args[0] + i, <double*>args[1] + i, <int>m)
            i += m
        return
    for i in range(n[0]):
        vectorised(<const char*>data, <const double*>(args[0] + i * strides[0]), <double*>(args[1] + i * strides[1]), 1)


cdef void fast_pair_loop(char** args, const cnp.npy_intp* n, const cnp.npy_intp* strides, void* data) noexcept nogil:
    """Sine and cosine at once, results side by side."""
    cdef cnp.npy_intp i, m
    cdef double* x = <double*>args[0]
    cdef double* sines = <double*>args[1]
    cdef double* cosines = <double*>args[2]
    i = 0
    while i < n[0]:
        m = min(n[0] - i, <cnp.npy_intp>FAST_BLOCK) if strides[0] else 1
        sines_and_cosines(x + i * (strides[0] != 0), sines + i, cosines + i, <int>m)
        i += m


cdef enum:
    MAX_ROWS = 256
    FAST_BLOCK = 1 << 20

# What a loop over a row of the op table is told: its opcode.
cdef int[MAX_ROWS] row_numbers
cdef int _row
for _row in range(MAX_ROWS):
    row_numbers[_row] = _row


cdef void row_loop_double(char** args, const cnp.npy_intp* n, const cnp.npy_intp* strides, void* data) noexcept nogil:
    cdef int op = (<int*>data)[0]
    cdef cnp.npy_intp i
    cdef bint two = ARITY[op] > 1
    cdef char* x = args[0]
    cdef char* y = args[1] if two else args[0]
    cdef char* v = args[2] if two else args[1]
    cdef cnp.npy_intp dy = strides[1] if two else strides[0]
    cdef cnp.npy_intp dv = strides[2] if two else strides[1]
    for i in range(n[0]):
        (<double*>(v + i * dv))[0] = value_of(op, (<double*>(x + i * strides[0]))[0], (<double*>(y + i * dy))[0])


cdef void row_loop_float(char** args, const cnp.npy_intp* n, const cnp.npy_intp* strides, void* data) noexcept nogil:
    cdef int op = (<int*>data)[0]
    cdef cnp.npy_intp i
    cdef bint two = ARITY[op] > 1
    cdef char* x = args[0]
    cdef char* y = args[1] if two else args[0]
    cdef char* v = args[2] if two else args[1]
    cdef cnp.npy_intp dy = strides[1] if two else strides[0]
    cdef cnp.npy_intp dv = strides[2] if two else strides[1]
    for i in range(n[0]):
        (<float*>(v + i * dv))[0] = <float>value_of(op, (<float*>(x + i * strides[0]))[0], (<float*>(y + i * dy))[0])


cdef void copy_8(char** args, const cnp.npy_intp* n, const cnp.npy_intp* strides, void* data) noexcept nogil:
    cdef cnp.npy_intp i
    if strides[0] == 8 and strides[1] == 8:
        memcpy(args[1], args[0], n[0] * 8)
        return
    for i in range(n[0]):
        (<int64_t*>(args[1] + i * strides[1]))[0] = (<int64_t*>(args[0] + i * strides[0]))[0]


cdef void copy_4(char** args, const cnp.npy_intp* n, const cnp.npy_intp* strides, void* data) noexcept nogil:
    cdef cnp.npy_intp i
    if strides[0] == 4 and strides[1] == 4:
        memcpy(args[1], args[0], n[0] * 4)
        return
    for i in range(n[0]):
        (<int32_t*>(args[1] + i * strides[1]))[0] = (<int32_t*>(args[0] + i * strides[0]))[0]


cdef void copy_1(char** args, const cnp.npy_intp* n, const cnp.npy_intp* strides, void* data) noexcept nogil:
    cdef cnp.npy_intp i
    for i in range(n[0]):
        (args[1] + i * strides[1])[0] = (args[0] + i * strides[0])[0]


cdef bint equal_bytes(char** args, const cnp.npy_intp* n, const cnp.npy_intp* strides, void* data) noexcept nogil:
    """A guard on the elements of an array; lengths: elements, bytes of one."""
    cdef cnp.npy_intp i
    for i in range(n[0]):
        if memcmp(args[0] + i * strides[0], args[1] + i * strides[1], n[1]) != 0:
            return False
    return True


# Reading and adding rows by whole numbers. Operands: array, indices, rows; lengths: indices, length of the indexed axis, bytes (or
# elements) of a row; strides: of the operands over the indices, then of the array along its axis.

cdef bint take_rows(char** args, const cnp.npy_intp* n, const cnp.npy_intp* strides, void* data) noexcept nogil:
    cdef cnp.npy_intp i, k
    for i in range(n[0]):
        k = (<int64_t*>(args[1] + i * strides[1]))[0]
        if k < 0:
            k += n[1]
        if k < 0 or k >= n[1]:
            return False
        if n[2] == 8:
            (<int64_t*>(args[2] + i * strides[2]))[0] = (<int64_t*>(args[0] + k * strides[3]))[0]
        else:
            memcpy(args[2] + i * strides[2], args[0] + k * strides[3], n[2])
    return True


cdef bint add_rows(char** args, const cnp.npy_intp* n, const cnp.npy_intp* strides, void* data) noexcept nogil:
    """The same for float64 (float32 if `data` is not NULL), with the rows added to those of the array."""
    cdef cnp.npy_intp i, j, k
    cdef char* row
    for i in range(n[0]):
        k = (<int64_t*>(args[1] + i * strides[1]))[0]
        if k < 0:
            k += n[1]
        if k < 0 or k >= n[1]:
            return False
        row = args[0] + k * strides[3]
        if data == NULL:
            for j in range(n[2]):
                (<double*>row)[j] += (<double*>(args[2] + i * strides[2]))[j]
        else:
            for j in range(n[2]):
                (<float*>row)[j] += (<float*>(args[2] + i * strides[2]))[j]
    return True


# The same for pairs of whole numbers: array (two dimensions), first and second indices, elements; lengths: pairs, lengths of the
# dimensions, bytes of an element.

cdef bint take_pairs(char** args, const cnp.npy_intp* n, const cnp.npy_intp* strides, void* data) noexcept nogil:
    cdef cnp.npy_intp i, j, k
    for i in range(n[0]):
        j, k = (<int64_t*>(args[1] + i * strides[1]))[0], (<int64_t*>(args[2] + i * strides[2]))[0]
        if j < 0:
            j += n[1]
        if k < 0:
            k += n[2]
        if j < 0 or j >= n[1] or k < 0 or k >= n[2]:
            return False
        memcpy(args[3] + i * strides[3], args[0] + j * strides[4] + k * strides[5], n[3])
    return True


cdef bint add_pairs(char** args, const cnp.npy_intp* n, const cnp.npy_intp* strides, void* data) noexcept nogil:
    """The same for float64 (float32 if `data` is not NULL), with the elements added to those of the array."""
    cdef cnp.npy_intp i, j, k
    for i in range(n[0]):
        j, k = (<int64_t*>(args[1] + i * strides[1]))[0], (<int64_t*>(args[2] + i * strides[2]))[0]
        if j < 0:
            j += n[1]
        if k < 0:
            k += n[2]
        if j < 0 or j >= n[1] or k < 0 or k >= n[2]:
            return False
        if data == NULL:
            (<double*>(args[0] + j * strides[4] + k * strides[5]))[0] += (<double*>(args[3] + i * strides[3]))[0]
        else:
            (<float*>(args[0] + j * strides[4] + k * strides[5]))[0] += (<float*>(args[3] + i * strides[3]))[0]
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


# ---- from records to kernels ---------------------------------------------------------------------------------------------------

@cython.final
cdef class Lowering:
    """The kernels of one array instruction as they are put together."""

    cdef Tape tape
    cdef Kernel* kernels
    cdef int32_t count
    cdef list kept
    cdef list extra         # storages that kernels need between them: (shape, dtype), numbered behind the tape's
    cdef bint small          # no kernel takes long
    cdef bint fast           # the functions of FAST need not be NumPy's to the last bit
    cdef dict constants      # by storage: the Constant that is there
    cdef bint checks         # the kernels are right only for indices as they were recorded
    cdef Spread spread       # of the values of several seeds; None for one
    cdef bint spreads        # whether the instruction depends on them

    def __cinit__(self, Tape tape, list extra, bint fast, dict constants, Spread spread=None, bint spreads=False):
        self.tape, self.kept, self.extra, self.small, self.fast, self.constants = tape, [], extra, True, fast, constants
        self.spread, self.spreads = spread, spreads

    def __dealloc__(self):
        free(self.kernels)

    cdef Kernel* take(self) noexcept:
        kernels, self.kernels = self.kernels, NULL
        return kernels

    cdef Kernel* add(self) except NULL:
        cdef Kernel* kernels = <Kernel*>realloc(self.kernels, (self.count + 1) * sizeof(Kernel))
        if kernels == NULL:
            raise MemoryError("no memory for a program")
        self.kernels = kernels
        self.count += 1
        memset(&kernels[self.count - 1], 0, sizeof(Kernel))
        return &kernels[self.count - 1]

    cdef Ref between(self, tuple shape, dtype):
        """A storage for what one kernel leaves to the next."""
        cdef Ref ref = Ref.__new__(Ref)
        ref.place.kind, ref.place.number = ARRAY, <int32_t>(len(self.tape.storages) + len(self.extra))
        self.extra.append((shape, np.dtype(dtype)))
        if self.spreads:
            self.spread.spans[<Py_ssize_t>ref.place.number] = bytes_of(shape, np.dtype(dtype))
        ref.shape, ref.strides = shape, contiguous_strides(shape, ref_size(dtype))
        ref.type_number, ref.itemsize = np.dtype(dtype).num, ref_size(dtype)
        return ref

    cdef Ref fixed(self, value):
        """The Ref of an array that is the same in every replay."""
        cdef Ref ref = Ref.__new__(Ref)
        cdef ndarray array = np.asarray(value, order="C")
        dtype = (<object>array).dtype
        self.kept.append(array)
        ref.place.kind, ref.place.address = FIXED, PyArray_BYTES(array)
        ref.shape, ref.strides = (<object>array).shape, contiguous_strides((<object>array).shape, dtype.itemsize)
        ref.type_number, ref.itemsize = dtype.num, dtype.itemsize
        return ref

    cdef int check(self, Ref x, ndarray expected) except -1:
        """Adds a kernel that leaves the instruction to Python if x is no longer what it was; later kernels of it join no chain."""
        cdef Kernel* kernel
        if PyArray_NBYTES(expected) == 0:
            return 0
        self.checks = True
        kernel = self.add()
        kernel.checked = equal_bytes
        self.nest(kernel, [x.like((), (), 0), self.fixed(expected).like((), (), 0)], ())
        kernel.lengths[1] = PyArray_NBYTES(expected)
        return 0

    cdef int at_places(self, Loop loop, list operands, tuple shape) except -1:
        """Adds a kernel that goes to places that operands tell, in order."""
        cdef Kernel* kernel
        if loop == NULL:
            return 0
        kernel = self.add()
        kernel.loop = loop
        return self.nest(kernel, operands, shape)

    cdef Ref converted(self, Ref ref, dtype):
        """A Ref in another type; None if there is no loop that converts."""
        cdef Ref other
        if ref is None or ref.type_number == np.dtype(dtype).num:
            return ref
        other = self.between(ref.shape, dtype)
        return other if self.copy(ref, other) else None

    cdef int nest(self, Kernel* kernel, list operands, tuple shape) except -1:
        """Puts operands, Refs broadcast to a shape, into a kernel; dimensions that are one in memory are merged, and a loop over seeds
        goes around them where operands depend on those. 0 if they are too many.
        """
        cdef list lengths = [], steps = []
        cdef int k, d
        cdef Ref ref
        rows = [(<Ref>ref).steps_for(shape) for ref in operands]
        if self.spread is not None:
            spans = [self.spread.step((<Ref>ref).place.kind, (<Ref>ref).place.number) for ref in operands]
            if any(spans):
                kernel.seeded, shape = True, (self.spread.count, *shape)
                rows = [[span, *row] for span, row in zip(spans, rows)]
        for d, length in enumerate(shape):
            step = [row[d] for row in rows]
            if length == 1:
                continue
            if lengths and all([before == length * after for before, after in zip(steps[len(steps) - 1], step)]):
                lengths[len(lengths) - 1] *= length
                steps[len(steps) - 1] = step
            else:
                lengths.append(length)
                steps.append(step)
        if not lengths:
            lengths, steps = [1], [[0] * len(operands)]
        if len(lengths) > OUTER + 1:
            return 0
        kernel.count, kernel.outer = <int>len(operands), <int>len(lengths) - 1
        kernel.lengths[0] = lengths[len(lengths) - 1]
        for k, ref in enumerate(operands):
            kernel.places[k], kernel.sizes[k] = ref.place, ref.itemsize
            kernel.strides[k] = steps[len(steps) - 1][k]
            for d in range(kernel.outer):
                kernel.steps[d][k] = steps[d][k]
        for d in range(kernel.outer):
            kernel.around[d] = lengths[d]
        self.small = self.small and math.prod(shape) < SMALL
        return 1

    cdef int loop(self, Loop loop, void* data, list operands, tuple shape, bint own=True) except -1:
        """Adds an elementwise kernel, of fastad's own unless said otherwise."""
        cdef Kernel* kernel
        if 0 in shape:
            return 1
        kernel = self.add()
        kernel.loop, kernel.data, kernel.own, kernel.reorders = loop, data, own, own
        kernel.elementwise = not self.checks
        return self.nest(kernel, operands, shape)

    cdef int ufunc(self, function, list operands, tuple shape, bint reduces=False) except -1:
        """Adds a kernel with the loop of a ufunc for exactly these types; 0 if there is none. NumPy's own if it `reduces`."""
        cdef PyUFuncObject* u
        cdef Loop loop = NULL if reduces else own_loop_for(function, operands)
        cdef int i, k
        cdef bint fits
        if loop != NULL:
            return self.loop(loop, NULL, operands, shape)
        if type(function) is not np.ufunc:
            return 0
        u = <PyUFuncObject*>function
        if u.nin + u.nout != len(operands) or u.functions == NULL:
            return 0
        for i in range(u.ntypes):
            fits = u.functions[i] != NULL
            for k in range(u.nin + u.nout):
                fits = fits and u.types[i * (u.nin + u.nout) + k] == (<Ref>operands[k]).type_number
            if fits:
                self.kept.append(function)
                return self.loop(u.functions[i], u.data[i] if u.data != NULL else NULL, operands, shape, False)
        return 0

    cdef int row(self, int op, list operands, tuple shape) except -1:
        """Adds a kernel for a row of the op table that NumPy has no loop for."""
        cdef Loop loop = own_loop_for(op, operands)
        if loop != NULL:
            return self.loop(loop, NULL, operands, shape)
        for ref in operands:
            if (<Ref>ref).type_number != (<Ref>operands[0]).type_number:
                return 0
        if (<Ref>operands[0]).type_number == cnp.NPY_DOUBLE:
            return self.loop(row_loop_double, &row_numbers[op], operands, shape)
        if (<Ref>operands[0]).type_number == cnp.NPY_FLOAT:
            return self.loop(row_loop_float, &row_numbers[op], operands, shape)
        return 0

    cdef int copy(self, Ref source, Ref target) except -1:
        """Adds a kernel that copies, and converts, to a target of its own shape; 0 for types it does not know."""
        cdef Loop loop = NULL
        cdef int p = source.type_number, q = target.type_number
        cdef int size = target.itemsize
        if p == q:
            if size == 8:
                loop = copy_8
            elif size == 4:
                loop = copy_4
            elif size == 1:
                loop = copy_1
        elif q == cnp.NPY_DOUBLE:
            if p == cnp.NPY_FLOAT:
                loop = float_to_double
            elif p == cnp.NPY_BOOL:
                loop = bool_to_double
            elif p == np.dtype(np.int64).num:
                loop = int_to_double
        elif q == cnp.NPY_FLOAT:
            if p == cnp.NPY_DOUBLE:
                loop = double_to_float
            elif p == cnp.NPY_BOOL:
                loop = bool_to_float
            elif p == np.dtype(np.int64).num:
                loop = int_to_float
        if loop == NULL:
            return 0
        return self.loop(loop, NULL, [source, target], target.shape)

    cdef int reduce(self, function, Ref x, Ref out, tuple axes, bint keepdims) except -1:
        """Adds the reduction of x by a ufunc along axes into `out`, a whole storage or slot; 0 if some length is zero."""
        cdef Ref into
        if 0 in x.shape:
            return 0
        if function is np.add and len(axes) == 1 and x.type_number in (cnp.NPY_DOUBLE, cnp.NPY_FLOAT) and len(x.shape) > 1:
            if self.sum_rows(x, out, axes[0]) or self.sum_columns(x, out, axes[0]):
                return 1
        into = out.expanded(x.shape, axes)
        # The first elements along the axes, then the others: as NumPy does without an initial value.
        if not self.copy(x.first(axes), into.first(axes)):
            return 0
        return self.fold(function, x, into, axes)

    cdef int sum_rows(self, Ref x, Ref out, int axis) except -1:
        """Adds the sum over a last axis of few elements, one call for all sums; 0 if it is none."""
        cdef Kernel* kernel
        cdef int last = <int>len(x.shape) - 1
        if axis != last or x.shape[last] > SHORT_SUM:
            return 0
        kernel = self.sums(x, out, axis, row_sums_double if x.type_number == cnp.NPY_DOUBLE else row_sums_float)
        if kernel == NULL:
            return 0
        kernel.by_rows = kernel.elementwise = kernel.outer == 0 and x.strides[last] == x.itemsize and not self.checks \
            and kernel.strides[0] == x.shape[last] * x.itemsize and kernel.strides[1] == x.itemsize and kernel.lengths[0] > 1
        return 1

    cdef int sum_columns(self, Ref x, Ref out, int axis) except -1:
        """Adds the sum over an axis around a few elements side by side, in one call likewise; 0 if it is none."""
        cdef Kernel* kernel
        cdef int64_t columns = math.prod(x.shape[axis + 1:])
        cdef tuple inner = contiguous_strides(x.shape[axis + 1:], x.itemsize)
        if not 1 < columns <= MOST_COLUMNS or x.strides[axis + 1:] != inner or out.strides[len(out.strides) - len(inner):] != inner:
            return 0
        kernel = self.sums(x, out, axis, column_sums_double if x.type_number == cnp.NPY_DOUBLE else column_sums_float)
        if kernel == NULL:
            return 0
        kernel.lengths[2] = columns
        return 1

    cdef Kernel* sums(self, Ref x, Ref out, int axis, Loop loop) except? NULL:
        """Adds a kernel for sums over one axis, over all that is around it; NULL if it has too many dimensions."""
        cdef Kernel* kernel = self.add()
        kernel.loop = loop
        if not self.nest(kernel, [x.like(x.shape[:axis], x.strides[:axis], 0), out.like(x.shape[:axis], out.strides[:axis], 0)], x.shape[:axis]):
            self.count -= 1
            return NULL
        kernel.lengths[1], kernel.strides[2], kernel.reorders = x.shape[axis], x.strides[axis], True
        self.small = self.small and math.prod(x.shape) < SMALL
        return kernel

    cdef int total(self, Ref x, Ref out) except -1:
        """Adds the sum of all elements of x, float64 or float32 side by side."""
        if math.prod(x.shape) == 1:
            return self.copy(x.like((), (), 0), out)           # its inner loop would be another one
        if not self.loop(fastad_total_double if x.type_number == cnp.NPY_DOUBLE else fastad_total_float, NULL, [x, out], x.shape):
            return 0
        self.kernels[self.count - 1].total, self.kernels[self.count - 1].reorders = True, False
        return 1

    cdef int fold(self, function, Ref x, Ref into, tuple axes) except -1:
        cdef Ref rest
        cdef Kernel* kernel
        cdef Loop own
        cdef tuple done = ()
        # Axis by axis: all but the first element along this one, at the first of those that follow, at all of those before.
        for axis in axes:
            if x.shape[axis] > 1:
                rest = x.rest_of(axis, tuple([a for a in axes if a not in done and a != axis]))
                target = into.rest_of(axis, tuple([a for a in axes if a not in done and a != axis]))
                if not self.ufunc(function, [target, rest, target], rest.shape, True):
                    return 0
                # Whatever the order of the loops, those along the axis come to an element in order.
                kernel = &self.kernels[self.count - 1]
                kernel.reorders = True
                own = own_loop_for(function, [target, rest, target])
                if own != NULL and kernel.lengths[0] >= SHORT_LOOP and kernel.strides[2] == target.itemsize:
                    kernel.loop, kernel.data = own, NULL
            done = (*done, axis)
        return 1


@cython.final
cdef class Ref:
    """An operand of a kernel: where it is, its shape, strides (bytes) and type."""

    cdef Place place
    cdef readonly tuple shape
    cdef readonly tuple strides
    cdef readonly int type_number
    cdef readonly int itemsize

    cdef Ref like(self, shape, strides, int64_t offset):
        cdef Ref ref = Ref.__new__(Ref)
        ref.place, ref.shape, ref.strides = self.place, tuple(shape), tuple(strides)
        ref.type_number, ref.itemsize = self.type_number, self.itemsize
        ref.place.offset += offset
        return ref

    cdef list steps_for(self, tuple shape):
        """Strides for elements of a shape that this one is broadcast to."""
        cdef int extra = <int>(len(shape) - len(self.shape))
        return [0] * extra + [0 if own == 1 and length != 1 else step
                              for own, length, step in zip(self.shape, shape[extra:], self.strides)]

    cdef Ref expanded(self, tuple shape, tuple axes):
        """A reduction's result as it stands beside what is reduced: stride 0 along the axes."""
        cdef list kept = [k for k in range(len(shape)) if k not in axes]
        if len(self.shape) == len(shape):
            strides = [0 if k in axes else self.strides[k] for k in range(len(shape))]
        else:
            strides = [0] * len(shape)
            for k, step in zip(kept, self.strides):
                strides[k] = step
        return self.like(shape, strides, 0)

    cdef Ref first(self, tuple axes):
        """The first element along the axes, which are kept."""
        return self.like([1 if k in axes else n for k, n in enumerate(self.shape)], self.strides, 0)

    cdef Ref rest_of(self, int axis, tuple firsts):
        """All but the first along one axis, the first along others."""
        shape = [1 if k in firsts else n - 1 if k == axis else n for k, n in enumerate(self.shape)]
        return self.like(shape, self.strides, self.strides[axis])

    cdef Ref moved(self, order):
        return self.like([self.shape[k] for k in order], [self.strides[k] for k in order], 0)


cdef int ref_size(dtype) except -1:
    return np.dtype(dtype).itemsize


cdef tuple contiguous_strides(tuple shape, Py_ssize_t itemsize):
    strides = []
    for n in reversed(shape):
        strides.append(itemsize)
        itemsize *= max(n, 1)
    return tuple(reversed(strides))


cdef Ref ref_of(Tape tape, operand, like=None):
    """The Ref of an Operand, or of a plain number taken as `like` (a dtype) in arithmetic; None for anything else."""
    cdef Ref ref = Ref.__new__(Ref)
    cdef Operand o
    if type(operand) is Operand and (<Operand>operand).kind == ARRAY:
        o = <Operand>operand
        ref.place.kind, ref.place.number, ref.place.offset = ARRAY, o.number, o.offset
        ref.shape, dtype = o.layout
        ref.strides = o.strides if o.strides is not None else contiguous_strides(ref.shape, dtype.itemsize)
        ref.type_number, ref.itemsize = dtype.num, dtype.itemsize
        return ref
    ref.shape = ref.strides = ()
    if type(operand) is Operand and (<Operand>operand).kind == SCALAR:
        if like is not None and like != np.float64:
            return None                    # it is converted first; rare
        ref.place.kind, ref.place.number = SCALAR, (<Operand>operand).number
        ref.type_number, ref.itemsize = cnp.NPY_DOUBLE, 8
        return ref
    number = (<Operand>operand).value if type(operand) is Operand else operand
    if like is None or type(number) not in (float, int, bool, np.float64):
        return None
    if like == np.int64 and type(number) is int and -2**63 <= number < 2**63:
        ref.place.whole = number
        ref.place.offset = <char*>&ref.place.whole - <char*>&ref.place.constant
        ref.type_number, ref.itemsize = like.num, 8
        return ref
    if like.kind != "f":
        return None
    ref.place.constant = number
    ref.type_number, ref.itemsize = cnp.NPY_DOUBLE, 8
    if like == np.float32:
        if type(number) is np.float64:
            return None
        ref.place.single = <float>ref.place.constant
        ref.place.offset = <char*>&ref.place.single - <char*>&ref.place.constant
        ref.type_number, ref.itemsize = cnp.NPY_FLOAT, 4
    return ref


cdef Ref whole_ref(Tape tape, out, int64_t slot):
    """The Ref of a result: a storage, or a slot if that is negative."""
    cdef Ref ref = Ref.__new__(Ref)
    if out < 0:
        ref.place.kind, ref.place.number = SCALAR, <int32_t>slot
        ref.shape = ref.strides = ()
        ref.type_number, ref.itemsize = cnp.NPY_DOUBLE, 8
        return ref
    ref.place.kind, ref.place.number = ARRAY, out
    ref.shape, dtype = tape.storages[out]
    ref.strides = contiguous_strides(ref.shape, dtype.itemsize)
    ref.type_number, ref.itemsize = dtype.num, dtype.itemsize
    return ref
