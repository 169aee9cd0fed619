# Elements at places that are known when a path is lowered: constant indices, and functions that only move elements. The places are
# byte offsets in the storage, found once by doing with an array of offsets what is to be done with the values.

# Operands: array, offsets, result. An offset counts from the array's first element.

cdef void gather_8(char** args, const cnp.npy_intp* n, const cnp.npy_intp* strides, void* data) noexcept nogil:
    cdef cnp.npy_intp i
    for i in range(n[0]):
        (<int64_t*>(args[2] + i * strides[2]))[0] = (<int64_t*>(args[0] + (<cnp.npy_intp*>(args[1] + i * strides[1]))[0]))[0]


cdef void gather_4(char** args, const cnp.npy_intp* n, const cnp.npy_intp* strides, void* data) noexcept nogil:
    cdef cnp.npy_intp i
    for i in range(n[0]):
        (<int32_t*>(args[2] + i * strides[2]))[0] = (<int32_t*>(args[0] + (<cnp.npy_intp*>(args[1] + i * strides[1]))[0]))[0]


cdef void gather_1(char** args, const cnp.npy_intp* n, const cnp.npy_intp* strides, void* data) noexcept nogil:
    cdef cnp.npy_intp i
    for i in range(n[0]):
        (args[2] + i * strides[2])[0] = (args[0] + (<cnp.npy_intp*>(args[1] + i * strides[1]))[0])[0]


# Operands: source, offsets, array. In order: the last of those for one place stays, sums are those of np.add.at.

cdef void scatter_8(char** args, const cnp.npy_intp* n, const cnp.npy_intp* strides, void* data) noexcept nogil:
    cdef cnp.npy_intp i
    for i in range(n[0]):
        (<int64_t*>(args[2] + (<cnp.npy_intp*>(args[1] + i * strides[1]))[0]))[0] = (<int64_t*>(args[0] + i * strides[0]))[0]


cdef void scatter_4(char** args, const cnp.npy_intp* n, const cnp.npy_intp* strides, void* data) noexcept nogil:
    cdef cnp.npy_intp i
    for i in range(n[0]):
        (<int32_t*>(args[2] + (<cnp.npy_intp*>(args[1] + i * strides[1]))[0]))[0] = (<int32_t*>(args[0] + i * strides[0]))[0]


cdef void scatter_1(char** args, const cnp.npy_intp* n, const cnp.npy_intp* strides, void* data) noexcept nogil:
    cdef cnp.npy_intp i
    for i in range(n[0]):
        (args[2] + (<cnp.npy_intp*>(args[1] + i * strides[1]))[0])[0] = (args[0] + i * strides[0])[0]


cdef void scatter_add_double(char** args, const cnp.npy_intp* n, const cnp.npy_intp* strides, void* data) noexcept nogil:
    cdef cnp.npy_intp i
    for i in range(n[0]):
        (<double*>(args[2] + (<cnp.npy_intp*>(args[1] + i * strides[1]))[0]))[0] += (<double*>(args[0] + i * strides[0]))[0]


cdef void scatter_add_float(char** args, const cnp.npy_intp* n, const cnp.npy_intp* strides, void* data) noexcept nogil:
    cdef cnp.npy_intp i
    for i in range(n[0]):
        (<float*>(args[2] + (<cnp.npy_intp*>(args[1] + i * strides[1]))[0]))[0] += (<float*>(args[0] + i * strides[0]))[0]


# Operands: source, its offsets, offsets in the array, array.

cdef void move_8(char** args, const cnp.npy_intp* n, const cnp.npy_intp* strides, void* data) noexcept nogil:
    cdef cnp.npy_intp i
    for i in range(n[0]):
        (<int64_t*>(args[3] + (<cnp.npy_intp*>(args[2] + i * strides[2]))[0]))[0] = \
            (<int64_t*>(args[0] + (<cnp.npy_intp*>(args[1] + i * strides[1]))[0]))[0]


cdef void move_4(char** args, const cnp.npy_intp* n, const cnp.npy_intp* strides, void* data) noexcept nogil:
    cdef cnp.npy_intp i
    for i in range(n[0]):
        (<int32_t*>(args[3] + (<cnp.npy_intp*>(args[2] + i * strides[2]))[0]))[0] = \
            (<int32_t*>(args[0] + (<cnp.npy_intp*>(args[1] + i * strides[1]))[0]))[0]


cdef Loop loop_for(int size, Loop eight, Loop four, Loop one) noexcept:
    return eight if size == 8 else four if size == 4 else one if size == 1 else <Loop>NULL


# ---- places --------------------------------------------------------------------------------------------------------------------

cdef list offsets_known = [None, None]      # the shape and strides asked for last, and the answer: loops ask again and again


cdef object offsets_of(tuple shape, tuple strides):
    """The byte offset of every element of an array."""
    offsets = np.zeros(shape, np.intp)
    for d, (n, step) in enumerate(zip(shape, strides)):
        offsets += (np.arange(n) * step).reshape((n,) + (1,) * (len(shape) - d - 1))
    return offsets


cdef object known_offsets_of(tuple shape, tuple strides):
    if offsets_known[0] != (shape, strides):
        offsets_known[:] = (shape, strides), offsets_of(shape, strides)
    return offsets_known[1]


cdef object constant_of(Lowering to, x):
    """An argument without Operands: those of plain arrays become these, as they were recorded; of arrays that the user may change
    only if they hold indices, which the kernels then check. LookupError for any other.
    """
    cdef Operand operand
    cdef ndarray value
    if type(x) in (tuple, list):
        return type(x)([constant_of(to, part) for part in x])
    if type(x) is slice:
        return slice(constant_of(to, x.start), constant_of(to, x.stop), constant_of(to, x.step))
    if type(x) is not Operand:
        return x
    operand = <Operand>x
    if operand.kind == 0:
        return operand.value
    record = to.constants.get(operand.number) if operand.kind == ARRAY else None
    if record is None or (record.origin is not None and record.value.dtype.kind not in "iub"):
        raise LookupError("it may be another one in the next call")
    value = record.value
    if record.origin is not None:
        to.check(ref_of(to.tape, operand) if operand.strides is None else whole_ref(to.tape, operand.number, 0), value)
    if operand.strides is None:
        return value
    return np.ndarray(operand.layout[0], operand.layout[1], value, operand.offset, operand.strides)


cdef object steps_of(places):
    """The strides of offsets that are those of a view; None where they are not."""
    first = int(places.flat[0])
    steps = []
    for axis, n in enumerate(places.shape):
        steps.append(int(places[tuple([int(n > 1) if d == axis else 0 for d in range(places.ndim)])]) - first)
    return tuple(steps) if np.array_equal(places - first, offsets_of(places.shape, tuple(steps))) else None


cdef int lower_gather(Lowering to, Ref x, places, Ref out) except -1:
    """out = the elements of x at these offsets, an array of the shape of `out`."""
    cdef Loop loop = loop_for(x.itemsize, gather_8, gather_4, gather_1)
    if loop == NULL or x.type_number != out.type_number or places.shape != out.shape:
        return 0
    if places.size == 0:
        return 1
    steps = steps_of(places)
    if steps is not None and to.copy(x.like(out.shape, steps, int(places.flat[0])), out):
        return 1
    return to.at_places(loop, [x.like((), (), 0), to.fixed(places), out], places.shape)


cdef int lower_scatter(Lowering to, Ref x, places, Ref target, bint add) except -1:
    """The elements of target at these offsets = those of x, or become larger by them; x is broadcast to their shape."""
    cdef Loop loop = loop_for(target.itemsize, scatter_8, scatter_4, scatter_1)
    if add:
        loop = scatter_add_double if target.type_number == cnp.NPY_DOUBLE else scatter_add_float
    if loop == NULL or x.type_number != target.type_number or len(x.shape) > len(places.shape):
        return 0
    if places.size == 0:
        return 1
    if x.place.kind == ARRAY and x.place.number == target.place.number:
        source = to.between(x.shape, dtype_of(x) or float)
        if not to.copy(x, source):
            return 0
        x = source
    steps = steps_of(places)
    if steps is not None and np.unique(places).size == places.size:
        part = target.like(places.shape, steps, int(places.flat[0]))
        return to.ufunc(np.add, [part, x, part], places.shape) if add else to.copy(x, part)
    return to.at_places(loop, [x, to.fixed(places), target.like((), (), 0)], places.shape)


cdef int lower_constant_key(Lowering to, record, int64_t slot) except -1:
    """A Selection, an Assign or an AddAt at a key that is the same in every replay."""
    cdef Ref target, x
    cdef int32_t count = to.count
    array = ref_of(to.tape, record.x if type(record) is Selection else record.target)
    if array is None:
        return 0
    target = <Ref>array
    try:
        key = constant_of(to, record.key)
    except LookupError:
        return 0
    places = np.asarray(known_offsets_of(target.shape, target.strides)[key])
    if type(record) is Selection:
        return lower_gather(to, target, places, whole_ref(to.tape, record.out, slot))
    source = ref_of(to.tape, record.x, np.dtype(dtype_of(target) or float))
    if source is None or dtype_of(target) is None:
        return 0
    x = to.converted(<Ref>source, dtype_of(target))
    if x is None:
        return 0
    extra = max(len(x.shape) - places.ndim, 0)           # of length 1
    return lower_scatter(to, x.like(x.shape[extra:], x.strides[extra:], 0), places, target, type(record) is AddAt)


# ---- functions that only move elements -------------------------------------------------------------------------------------------

@cython.final
cdef class Labels:
    """What stands for the operands of a function that moves elements: numbers that tell where these are, counted on from `start`."""

    cdef Lowering to
    cdef list refs            # of the first elements of the operands' storages
    cdef list firsts          # the first number of each
    cdef int64_t next

    def __cinit__(self, Lowering to, int64_t start):
        self.to, self.refs, self.firsts, self.next = to, [], [], start

    cdef object of(self, x):
        """An argument with numbers in place of every Operand, in the same order in memory. LookupError for types without a kernel."""
        cdef Ref ref
        cdef Operand operand
        if type(x) in (tuple, list):
            return type(x)([self.of(part) for part in x])
        if type(x) is not Operand or (<Operand>x).kind == 0:
            return constant_of(self.to, x)
        operand = <Operand>x
        ref = whole_ref(self.to.tape, operand.number if operand.kind == ARRAY else -1, operand.number)
        if dtype_of(ref) is None or (operand.kind == ARRAY and operand.layout[1].num != ref.type_number):
            raise LookupError("only floating-point elements are moved")
        self.refs.append(ref.like((), (), 0))
        self.firsts.append(self.next)
        numbers = np.arange(self.next, self.next + math.prod(ref.shape), dtype=float)
        self.next += numbers.size
        if operand.kind == SCALAR:
            return float(numbers[0])
        if operand.strides is None:
            return numbers.reshape(ref.shape)
        scale = 8 // ref.itemsize
        return np.ndarray(operand.layout[0], float, numbers, operand.offset * scale, tuple([step * scale for step in operand.strides]))

    cdef object result(self, record):
        """What the function of a Call makes of them."""
        bound = record.rule.signature.bind(*record.args, **record.kwargs)
        operands = [name.lstrip("*") for name in record.rule.operands]
        for name, argument in bound.arguments.items():
            bound.arguments[name] = self.of(argument) if name in operands else constant_of(self.to, argument)
        return np.asarray(record.rule.function(*bound.args, **bound.kwargs))


cdef int lower_index_map(Lowering to, record, Ref out) except -1:
    """A function each element of whose result is an element of an operand, wherever that is, or a constant.

    Called with two sets of numbers it tells which: elements move from one set to the other with what they stand for, constants stay.
    """
    cdef Labels labels = Labels(to, 0)
    cdef Labels others
    cdef Ref ref
    if record.rule.structure != "index map" or not record.rule.linear or dtype_of(out) is None:
        return 0
    try:
        found = labels.result(record)
        others = Labels(to, labels.next)
        again = others.result(record)
    except (LookupError, TypeError, ValueError):
        return 0
    if found.shape != out.shape or again.shape != out.shape or found.dtype != float or again.dtype != float:
        return 0
    if 0 in out.shape:
        return 1
    moved = again - found == labels.next
    if not np.all(moved | (found == again) | ((found != found) & (again != again))):
        return 0
    if len(labels.refs) == 1 and np.all(moved):
        ref = labels.refs[0]
        return lower_gather(to, ref, found.astype(np.intp) * ref.itemsize, out)
    if not np.all(moved) and not to.copy(to.fixed(np.where(moved, 0.0, found).astype(dtype_of(out))), out):
        return 0
    return lower_moves(to, labels, found, moved, out)


cdef int lower_moves(Lowering to, Labels labels, found, moved, Ref out) except -1:
    """Moves elements of several operands, or to some places only."""
    cdef Ref ref
    cdef Loop loop = loop_for(out.itemsize, move_8, move_4, NULL)
    for k, ref in enumerate(labels.refs):
        if ref.type_number != out.type_number:
            return 0
        end = labels.firsts[k + 1] if k + 1 < len(labels.firsts) else labels.next
        places = np.flatnonzero(moved & (found >= labels.firsts[k]) & (found < end))
        origins = (found.reshape(-1)[places] - labels.firsts[k]).astype(np.intp) * ref.itemsize
        if places.size and not to.at_places(loop, [ref, to.fixed(origins), to.fixed(places * out.itemsize), out.like((), (), 0)],
                                            (places.size,)):
            return 0
    return 1


cdef int lower_fixed(Lowering to, value, Ref out) except -1:
    """A result that is the same in every replay."""
    if value.shape != out.shape or value.dtype.num != out.type_number:
        return 0
    return to.copy(to.fixed(value), out)
