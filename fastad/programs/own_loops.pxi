# Loops of fastad's own, with the signature of NumPy's: arithmetic, rows of the op table, copies, reading and adding by whole numbers.

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
FAST = {OP_SIN: b"sin", OP_COS: b"cos"}
# NumPy's own are faster where the processor has AVX-512.
if best_level() != "avx512":
    FAST |= {OP_EXP: b"exp", OP_LOG: b"log", OP_TANH: b"tanh"}


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
