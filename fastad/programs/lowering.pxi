# Which kernels an array instruction is: by its kind, and for a call by its function. What is not here is left to Python.

cdef int lower_record(Lowering to, record, int64_t slot) except -1:
    """Adds the kernels of an array instruction, whose slot is given for a scalar result; 0 if it has none."""
    if lower_by_kind(to, record, slot):
        return 1
    # The other ways take longer; nothing is left of what was tried.
    kind = type(record)
    to.count, to.checks = 0, False
    if (kind is Selection or kind is Assign or kind is AddAt) and record.key is not None:
        return lower_constant_key(to, record, slot)
    if kind is Call and type(record.outs) is int:
        return lower_index_map(to, record, whole_ref(to.tape, record.outs, slot))
    return 0


cdef int lower_by_kind(Lowering to, record, int64_t slot) except -1:
    kind = type(record)
    if kind is Elementwise:
        return lower_elementwise(to, record, slot)
    if kind is SpecialElementwise:
        return lower_ufunc(to, record.ufunc, record.operands, whole_ref(to.tape, record.out, slot))
    if kind is Copy:
        return lower_copy(to, record.x, whole_ref(to.tape, record.out, slot))
    if kind is Assign:
        if record.key is not None:
            return 0
        if record.x.kind == ARRAY and record.x.number == record.target.number:
            # `y[i] += x` ends with y[i] = y[i], which does nothing; other parts of one storage may overlap.
            return record.x.layout == record.target.layout and record.x.strides == record.target.strides \
                and record.x.offset == record.target.offset
        return lower_copy(to, record.x, ref_of(to.tape, record.target))
    if kind is Total:
        return lower_reduction(to, np.add, ref_of(to.tape, record.x), None, whole_ref(to.tape, record.out, slot))
    if kind is Selection:
        return lower_selection(to, ref_of(to.tape, record.x), record.key, whole_ref(to.tape, record.out, slot), False)
    if kind is AddAt and record.key is None:
        target = ref_of(to.tape, record.target)
        return to.ufunc(np.add, [target, ref_of(to.tape, record.x), target], (<Ref>target).shape)
    if kind is AddAt:
        return lower_selection(to, ref_of(to.tape, record.target), record.key, ref_of(to.tape, record.x), True)
    if kind is Guard:
        return lower_guard(to, record)
    if kind is Tracked and type(record.outs) is int:
        return lower_tracked(to, record, whole_ref(to.tape, record.outs, slot))
    if kind is Call and type(record.outs) is int:
        lower = LOWERED.get(record.rule.function)
        if lower is not None:
            return lower(to, record.rule.bind(record.args, record.kwargs).arguments, whole_ref(to.tape, record.outs, slot))
    if kind is Call and isinstance(record.outs, (list, tuple)) and record.rule.function in LOWERED_SEVERAL \
            and all([type(out) is int for out in record.outs]):
        outs = [whole_ref(to.tape, out, slot) for out in record.outs]
        return LOWERED_SEVERAL[record.rule.function](to, record.rule.bind(record.args, record.kwargs).arguments, outs)
    return 0


include "gathers.pxi"


cdef object dtype_of(Ref ref):
    return np.float64 if ref.type_number == cnp.NPY_DOUBLE else np.float32 if ref.type_number == cnp.NPY_FLOAT else None


cdef list refs_of(Lowering to, operands, dtype):
    """Refs of operands, numbers as they count beside arrays of a dtype; None if one has none."""
    refs = [ref_of(to.tape, operand, dtype) for operand in operands]
    return None if None in refs else refs


cdef int lower_ufunc(Lowering to, ufunc, operands, Ref out) except -1:
    """A ufunc of arrays and numbers."""
    types = [(<Operand>x).layout[1] for x in operands if type(x) is Operand and (<Operand>x).kind == ARRAY]
    refs = refs_of(to, operands, types[0] if types else np.dtype(float))
    return 0 if refs is None else to.ufunc(ufunc, [*refs, out], out.shape)


cdef int lower_elementwise(Lowering to, record, int64_t slot) except -1:
    cdef Ref out = whole_ref(to.tape, record.out, slot)
    if record.ufunc is np.positive:
        return lower_copy(to, record.x, out)
    refs = refs_of(to, [record.x] if record.arity == 1 else [record.x, record.y], np.dtype(dtype_of(out)))
    if refs is None:
        return 0
    if to.fast and record.op in FAST and out.type_number == cnp.NPY_DOUBLE and (<Ref>refs[0]).type_number == cnp.NPY_DOUBLE:
        name = FAST[record.op]
        return to.loop(fast_loop, <char*><bytes>name, [*refs, out], out.shape)
    if type(record.ufunc) is np.ufunc:
        if to.ufunc(record.ufunc, [*refs, out], out.shape):
            return 1
        refs = [to.converted(ref, dtype_of(out)) for ref in refs]
        return 0 if None in refs else to.ufunc(record.ufunc, [*refs, out], out.shape)
    refs = [to.converted(ref, dtype_of(out)) for ref in refs]
    return 0 if None in refs else to.row(record.op, [*refs, out], out.shape)


cdef int lower_copy(Lowering to, x, Ref out) except -1:
    dtype = dtype_of(out)
    ref = ref_of(to.tape, x, None if dtype is None else np.dtype(dtype))
    if ref is None:
        return 0
    extra = max(len((<Ref>ref).shape) - len(out.shape), 0)          # of length 1 in an assignment
    return to.copy((<Ref>ref).like((<Ref>ref).shape[extra:], (<Ref>ref).strides[extra:], 0), out)


cdef int lower_reduction(Lowering to, ufunc, Ref x, axis, Ref out) except -1:
    cdef int ndim
    if x is None or x.type_number != out.type_number:
        return 0
    if ufunc is np.add and 0 in x.shape and dtype_of(out) is not None:
        return lower_copy(to, 0.0, out)
    if axis is None and x.strides == contiguous_strides(x.shape, x.itemsize):
        size = 1
        for length in x.shape:
            size *= length
        x, axis = x.like((size,), (x.itemsize,), 0), 0
        out = out.like((), (), 0)
        if ufunc is np.add and size > 0 and out.type_number in (cnp.NPY_DOUBLE, cnp.NPY_FLOAT):
            return to.total(x, out)
    ndim = <int>len(x.shape)
    if not ndim:
        return to.copy(x, out)
    axes = tuple(range(ndim)) if axis is None else tuple([a % ndim for a in (axis if isinstance(axis, tuple) else (axis,))])
    return to.reduce(ufunc, x, out, axes, False)


cdef int lower_selection(Lowering to, Ref x, key, Ref out, bint add) except -1:
    """Elements or rows at one array of whole numbers along the first axis, or elements at two; read, or added to."""
    cdef Kernel* kernel
    cdef list indices = []
    cdef tuple row
    for entry in (key if type(key) is tuple else (key,)):
        if type(entry) is not Operand or (<Operand>entry).layout[1] != np.int64:
            return 0
        indices.append(ref_of(to.tape, entry))
    if x is None or out is None or len(indices) > min(2, len(x.shape)) or (add and x.type_number not in (cnp.NPY_DOUBLE, cnp.NPY_FLOAT)) \
            or x.type_number != out.type_number:
        return 0
    row = x.shape[len(indices):]
    shape = np.broadcast_shapes(*[(<Ref>index).shape for index in indices])
    if 0 in shape or 0 in row or out.shape != shape + row or (len(indices) == 2 and row):
        return 0
    if x.strides[len(indices):] != contiguous_strides(row, x.itemsize) or out.strides[len(shape):] != contiguous_strides(row, x.itemsize):
        return 0
    size = 1
    for length in row:
        size *= length
    kernel = to.add()
    if not to.nest(kernel, [x.like((), (), 0), *indices, out.like(shape, out.strides[:len(shape)], 0)], shape, True):
        return 0
    kernel.lengths[1] = x.shape[0]
    kernel.data = &row_numbers[0] if x.type_number == cnp.NPY_FLOAT else NULL
    if len(indices) == 1:
        kernel.checked = add_rows if add else take_rows
        kernel.lengths[2] = size if add else size * x.itemsize
        kernel.strides[3] = x.strides[0]
    else:
        kernel.checked = add_pairs if add else take_pairs
        kernel.lengths[2], kernel.lengths[3] = x.shape[1], x.itemsize
        kernel.strides[4], kernel.strides[5] = x.strides[0], x.strides[1]
    return 1


cdef int lower_guard(Lowering to, record) except -1:
    cdef Kernel* kernel
    cdef Ref x = ref_of(to.tape, record.x)
    cdef Ref expected = x.like(x.shape, contiguous_strides(x.shape, x.itemsize), 0)
    if 0 in x.shape:
        return 1
    expected.place.kind, expected.place.offset = FIXED, 0
    expected.place.address = PyArray_BYTES(record.expected)
    kernel = to.add()
    kernel.checked, kernel.is_guard = equal_bytes, True
    if not to.nest(kernel, [x, expected], x.shape):
        return 0
    kernel.lengths[1] = x.itemsize
    return 1


cdef int lower_tracked(Lowering to, record, Ref out) except -1:
    if record.kwargs or record.draws:
        return 0
    if record.function is lost_elements:
        try:
            return lower_fixed(to, lost_elements(*constant_of(to, record.args)), out)
        except LookupError:
            return 0
    if type(record.function) is np.ufunc:
        return lower_ufunc(to, record.function, record.args, out)
    if record.function is converted and type(record.args[0]) is Operand:
        x = ref_of(to.tape, record.args[0])
        return 0 if x is None or dtype_of(out) is None else to.copy(x, out)
    if record.function in (np.any, np.all) and len(record.args) == 1 and type(record.args[0]) is Operand:
        return lower_reduction(to, np.logical_or if record.function is np.any else np.logical_and,
                               ref_of(to.tape, record.args[0]), None, out)
    return 0


# ---- by function: what a call binds its arguments to, and where its result goes -------------------------------------------------

def given(arguments, *names):
    """Whether an optional argument of these was given."""
    for name in names:
        if arguments.get(name) is not None and arguments.get(name) is not np._NoValue:
            return True
    return False


def _reduction(ufunc):
    def lower(Lowering to, arguments, Ref out):
        if given(arguments, "out", "initial", "where") and arguments.get("where") is not True or dtype_of(out) is None:
            return 0
        return lower_reduction(to, ufunc, to.converted(ref_of(to.tape, arguments["a"]), dtype_of(out)), arguments["axis"], out)
    return lower


def _mean(Lowering to, arguments, Ref out):
    cdef Ref x = ref_of(to.tape, arguments["a"])
    cdef Ref count
    if given(arguments, "dtype", "out", "where") or x is None or not lower_reduction(to, np.add, x, arguments["axis"], out):
        return 0
    number = 1
    for length in x.shape:
        number *= length
    for length in out.shape:
        number //= length
    count = ref_of(to.tape, float(number), np.dtype(dtype_of(out)))
    return to.ufunc(np.true_divide, [out, count, out], out.shape)


cdef enum:
    SMALL_PRODUCT = 512                # multiplications up to which fastad's loop for small products is faster than BLAS
    LARGE_PRODUCT = 1 << 20            # and beyond which BLAS takes several threads
    NARROW = 256                       # bytes of a row, and to the next, of factors of which a column is read at a time


def _product(Lowering to, arguments, Ref out):
    """Products of matrices and vectors, with the loop of np.matmul."""
    cdef PyUFuncObject* u
    cdef Kernel* kernel
    cdef int i
    names = list(arguments)
    cdef Ref x = ref_of(to.tape, arguments[names[0]])
    cdef Ref y = ref_of(to.tape, arguments[names[1]])
    cdef Ref p, q, r
    if x is None or y is None or given(arguments, "out") or not x.shape or not y.shape or 0 in x.shape or 0 in y.shape \
            or x.type_number != y.type_number or x.type_number != out.type_number:
        return 0
    if names[0] == "a" and (len(x.shape) > 2 or len(y.shape) > 2):
        return 0                                   # np.dot of many dimensions is another product
    if given(arguments, "axes", "axis", "dtype", "signature"):
        return 0
    p = x if len(x.shape) > 1 else x.like((1, x.shape[0]), (0, x.strides[0]), 0)
    q = y if len(y.shape) > 1 else y.like((y.shape[0], 1), (y.strides[0], 0), 0)
    around = np.broadcast_shapes(p.shape[:len(p.shape) - 2], q.shape[:len(q.shape) - 2])
    n, k, m = p.shape[len(p.shape) - 2], p.shape[len(p.shape) - 1], q.shape[len(q.shape) - 1]
    r = out.like((*around, n, m), contiguous_strides((*around, n, m), out.itemsize), 0)
    matmul = np.matmul
    u = <PyUFuncObject*>matmul
    for i in range(u.ntypes):
        if u.types[3 * i] == u.types[3 * i + 1] == u.types[3 * i + 2] == x.type_number:
            kernel = to.add()
            kernel.loop, kernel.data = u.functions[i], u.data[i]
            return set_product(to, kernel, [p, q, r], around)
    return 0


cdef int set_product(Lowering to, Kernel* kernel, list matrices, tuple around) except -1:
    """Puts two factors and a product of matrices, over a shape of such, into a kernel with a loop for one; a small one gets another."""
    cdef Ref ref
    cdef int i
    cdef Ref x = matrices[0]
    cdef Ref y = matrices[1]
    if not to.nest(kernel, [ref.like(ref.shape[:len(ref.shape) - 2], ref.strides[:len(ref.strides) - 2], 0) for ref in matrices], around):
        return 0
    kernel.lengths[1], kernel.lengths[2] = x.shape[len(x.shape) - 2], x.shape[len(x.shape) - 1]
    kernel.lengths[3] = y.shape[len(y.shape) - 1]
    for i, ref in enumerate(matrices):
        kernel.strides[3 + 2 * i] = ref.strides[len(ref.strides) - 2]
        kernel.strides[4 + 2 * i] = ref.strides[len(ref.strides) - 1]
    to.small = to.small and kernel.lengths[1] * kernel.lengths[2] * kernel.lengths[3] < SMALL
    join_rows(kernel)
    if x.type_number in (NPY_DOUBLE, cnp.NPY_FLOAT):
        if is_small_product(kernel.lengths[1], kernel.lengths[2], kernel.lengths[3]):
            kernel.loop, kernel.data = fastad_product_double if x.type_number == NPY_DOUBLE else fastad_product_float, NULL
        elif is_narrow_product(kernel, x.itemsize):
            kernel.loop, kernel.data = narrow.of_double if x.type_number == NPY_DOUBLE else narrow.of_float, NULL
    return 1


cdef bint is_small_product(cnp.npy_intp rows, cnp.npy_intp inner, cnp.npy_intp columns) noexcept:
    """Whether fastad's loop is faster than BLAS: below a few hundred multiplications, and of any length where rows are short."""
    if inner > FASTAD_FEW:
        return False
    if columns == 1:
        return rows * inner <= SMALL_PRODUCT // 8
    return rows * inner * columns <= SMALL_PRODUCT or inner <= 3 or (inner == 4 and columns <= 4)


cdef bint is_narrow_product(const Kernel* kernel, int size) noexcept:
    """Whether fastad's loop for short rows is faster than BLAS, which copies both factors."""
    cdef cnp.npy_intp rows = kernel.lengths[1], inner = kernel.lengths[2], columns = kernel.lengths[3]
    cdef bint transposed = kernel.strides[3] == size and kernel.strides[4] != size
    if narrow.of_double == NULL or kernel.strides[8] != size or columns * size < FASTAD_NARROW_BYTES \
            or rows * inner * columns > LARGE_PRODUCT or (rows < 4 and kernel.strides[6] != size):
        return False
    if transposed and inner > 16:
        # A column of x is gone along once per four rows: as long as what lies between its elements is near.
        return kernel.strides[4] <= NARROW and kernel.strides[5] <= NARROW and columns * size <= NARROW
    return inner * columns <= FASTAD_NARROW_KEPT


cdef void join_rows(Kernel* kernel) noexcept:
    """Makes one product of many that have the second factor in common, where their rows follow one another, or that are one matrix times
    many columns.
    """
    while True:
        if kernel.lengths[3] == 1 and kernel.strides[0] == 0 and kernel.lengths[0] > 1 and kernel.lengths[1] > 1:
            make_columns_rows(kernel)
        elif kernel.strides[1] == 0 and kernel.strides[0] == kernel.lengths[1] * kernel.strides[3] \
                and kernel.strides[2] == kernel.lengths[1] * kernel.strides[7]:
            kernel.lengths[1] *= kernel.lengths[0]
        elif kernel.lengths[0] > 1:
            return
        if not take_inner_loop(kernel):
            return


cdef void make_columns_rows(Kernel* kernel) noexcept:
    """Makes a matrix times many columns the product of these, as rows, and its transpose."""
    cdef int d
    cdef cnp.npy_intp rows = kernel.lengths[1]
    cdef cnp.npy_intp x_row = kernel.strides[3], x_column = kernel.strides[4], v_row = kernel.strides[7]
    kernel.places[0], kernel.places[1] = kernel.places[1], kernel.places[0]
    for d in range(kernel.outer):
        kernel.steps[d][0], kernel.steps[d][1] = kernel.steps[d][1], kernel.steps[d][0]
    kernel.lengths[1], kernel.lengths[3] = kernel.lengths[0], rows
    kernel.strides[3], kernel.strides[4] = kernel.strides[1], kernel.strides[5]
    kernel.strides[5], kernel.strides[6] = x_column, x_row
    kernel.strides[7], kernel.strides[8] = kernel.strides[2], v_row


cdef bint take_inner_loop(Kernel* kernel) noexcept:
    """Puts the next loop outwards in place of the inner one, which is done with; False if there is none."""
    cdef int k
    kernel.lengths[0] = 1
    for k in range(3):
        kernel.strides[k] = 0
    if kernel.outer == 0:
        return False
    kernel.outer -= 1
    kernel.lengths[0] = kernel.around[kernel.outer]
    for k in range(3):
        kernel.strides[k] = kernel.steps[kernel.outer][k]
    return True


def _where(Lowering to, arguments, Ref out):
    condition = ref_of(to.tape, arguments["condition"])
    dtype = dtype_of(out)
    if condition is None or (<Ref>condition).type_number != cnp.NPY_BOOL or dtype is None:
        return 0
    refs = refs_of(to, [arguments["x"], arguments["y"]], np.dtype(dtype))
    if refs is None or (<Ref>refs[0]).type_number != out.type_number or (<Ref>refs[1]).type_number != out.type_number:
        return 0
    if out.itemsize == 8:
        return to.loop(where_8, NULL, [condition, *refs, out], out.shape)
    return to.loop(where_4, NULL, [condition, *refs, out], out.shape)


def _concatenate(Lowering to, arguments, Ref out):
    return lower_parts(to, arguments["arrays"], arguments["axis"], out, False) if not given(arguments, "out", "dtype") else 0


def _stack(Lowering to, arguments, Ref out):
    return lower_parts(to, arguments["arrays"], arguments["axis"], out, True) if not given(arguments, "out", "dtype") else 0


cdef int lower_parts(Lowering to, parts, axis, Ref out, bint stacked) except -1:
    """Copies side by side along an axis."""
    cdef Ref ref, place
    cdef int64_t at = 0
    if axis is None or not isinstance(parts, (list, tuple)):
        return 0
    axis %= len(out.shape)
    for part in parts:
        ref = ref_of(to.tape, part, np.dtype(dtype_of(out) or float))
        if ref is None or (not stacked and len(ref.shape) != len(out.shape)):
            return 0
        if stacked:
            place = out.like(out.shape[:axis] + out.shape[axis + 1:], out.strides[:axis] + out.strides[axis + 1:], at)
            at += out.strides[axis]
        else:
            place = out.like(ref.shape, out.strides, at)
            at += out.strides[axis] * ref.shape[axis]
        if place.shape != ref.shape or not to.copy(ref, place):
            return 0
    return 1


def _reshape(Lowering to, arguments, Ref out):
    cdef Ref x = ref_of(to.tape, arguments["a"])
    if x is None or arguments.get("order", "C") != "C":
        return 0
    return to.copy(x, out.like(x.shape, contiguous_strides(x.shape, x.itemsize), 0))


def _broadcast(Lowering to, arguments, Ref out):
    x = ref_of(to.tape, arguments["array"])
    return 0 if x is None else to.copy(x, out)


def _copy(Lowering to, arguments, Ref out):
    x = ref_of(to.tape, arguments["a"])
    return 0 if x is None or (<Ref>x).shape != out.shape else to.copy(x, out)


def _scatter_add(Lowering to, arguments, Ref out):
    cdef Ref w = ref_of(to.tape, arguments["w"])
    indices = arguments["indices"]
    if w is None or type(indices) is not Operand or out.type_number != cnp.NPY_DOUBLE or not lower_copy(to, 0.0, out):
        return 0
    size = 1
    for length in out.shape:
        size *= length
    return lower_selection(to, out.like((size,), (8,), 0), indices, w, True)


def _take(Lowering to, arguments, Ref out):
    cdef Ref a = ref_of(to.tape, arguments["a"])
    axis = arguments["axis"]
    if a is None or given(arguments, "out") or arguments["mode"] != "raise" or not (axis == 0 or axis is None and len(a.shape) == 1) \
            or type(arguments["indices"]) is not Operand:
        return 0
    return lower_selection(to, a, arguments["indices"], out, False)


def _outer(Lowering to, arguments, Ref out):
    cdef Ref a = ref_of(to.tape, arguments["a"])
    cdef Ref b = ref_of(to.tape, arguments["b"])
    if a is None or b is None or len(a.shape) != 1 or len(b.shape) != 1 or given(arguments, "out"):
        return 0
    return to.ufunc(np.multiply, [a.like((a.shape[0], 1), (a.strides[0], 0), 0), b, out], out.shape)


include "extremes.pxi"

LOWERED = {
    np.sum: _reduction(np.add), np.prod: _reduction(np.multiply), np.max: _reduction(np.maximum), np.min: _reduction(np.minimum),
    np.mean: _mean, np.matmul: _product, np.dot: _product, np.where: _where, np.concatenate: _concatenate, np.stack: _stack,
    np.reshape: _reshape, np.broadcast_to: _broadcast, np.copy: _copy, scatter_add: _scatter_add, np.take: _take, np.outer: _outer,
    tie_shares: _tie_shares, tie_means: _tie_means,
}
