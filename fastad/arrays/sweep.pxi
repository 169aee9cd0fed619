# Sweeps over tapes with arrays: the same scalar loops as without, which come back here for every array instruction.

cdef class Sweep:
    """Tangents or adjoints of every slot and storage, as the array instructions see them: plain numbers and arrays in a numeric
    sweep, active ones in a recording sweep. None is zero.
    """

    cdef Tape tape

    cpdef object layout(self, int32_t number):
        """(shape, dtype) of a storage."""
        return self.tape.storages[number]

    cpdef bint wants(self, Operand operand) except -1:
        """Whether a derivative by this operand is asked for."""
        raise NotImplementedError

    cpdef object value(self, Operand operand):
        """The value an operand had when it was recorded."""
        raise NotImplementedError

    cpdef object result(self, value, int32_t number, int64_t i):
        """A kept value of the result of instruction i."""
        raise NotImplementedError

    cpdef object get(self, Operand operand):
        """Its tangent or adjoint; not to be written."""
        raise NotImplementedError

    cpdef object take(self, int32_t number, int64_t i):
        """The adjoint of storage `number`, or of slot i if that is negative, which is zero from now on."""
        raise NotImplementedError

    cpdef object put(self, int32_t number, int64_t i, w):
        """Sets the tangent or adjoint of storage `number`, or of slot i if that is negative."""
        raise NotImplementedError

    cpdef object writable(self, Operand operand):
        """The tangent or adjoint of a storage or part of one, zeros if need be, to be written in place."""
        raise NotImplementedError

    cpdef object add(self, Operand operand, w, bint owned):
        """Adds to the adjoint of an operand, which may have been broadcast or converted; `owned` if nothing else refers to w."""
        raise NotImplementedError


cdef inline ndarray part_of(ndarray whole, Operand operand):
    """The part of an array with a storage's layout that an operand stands for."""
    if operand.strides is None:
        return whole
    return np.ndarray(operand.layout[0], operand.layout[1], whole, operand.offset, operand.strides)


cdef inline tuple shape_of(w):
    """np.shape(w), without asking an active array by NumPy's protocol."""
    if type(w) is ActiveArray:
        return <tuple>(<ActiveArray>w).layout[0]
    if type(w) is ndarray:
        return (<object>w).shape
    return np.shape(w)


cpdef object broadcast(w, tuple shape):
    """np.broadcast_to(w, shape): of a plain array in a tenth of the time."""
    return broadcast_plain(<ndarray>w, shape) if type(w) is ndarray else np.broadcast_to(w, shape)


cdef ndarray broadcast_plain(ndarray w, tuple shape):
    cdef cnp.npy_intp[MOST_DIMENSIONS] lengths
    cdef cnp.npy_intp[MOST_DIMENSIONS] strides
    cdef Py_ssize_t ndim = len(shape), k, missing = ndim - PyArray_NDIM(w)
    if missing < 0 or ndim > MOST_DIMENSIONS:
        return np.broadcast_to(w, shape)
    for k in range(ndim):
        lengths[k] = shape[k]
        strides[k] = 0
        if k >= missing and PyArray_DIMS(w)[k - missing] == lengths[k]:
            strides[k] = PyArray_STRIDES(w)[k - missing]
        elif k >= missing and PyArray_DIMS(w)[k - missing] != 1:
            return np.broadcast_to(w, shape)        # which says what is wrong
    return array_in(w, <int>ndim, lengths, strides, <char*>PyArray_DATA(w), 0)


cdef object reduced_to(tuple layout, w):
    """An adjoint summed over the axes along which an operand was broadcast, in its dtype."""
    cdef tuple shape = <tuple>layout[0]
    cdef tuple found = shape_of(w)
    if found != shape:
        if 0 in shape:
            return np.zeros(shape, layout[1])
        if found == () or 0 < (<object>np.size(w)) < (<object>np.prod(shape)):
            w = broadcast(w, shape)
        w = unbroadcast(w, shape)
    return w


@cython.final
cdef class Scattered:
    """An adjoint that is 0 but at a few places (an index that selects each at most once): what a rule may give instead of an array."""

    cdef readonly tuple shape
    cdef readonly tuple places
    cdef readonly ndarray values

    def __init__(self, tuple shape, tuple places, ndarray values):
        self.shape, self.places, self.values = shape, places, values

    def dense(self):
        """The adjoint as an array."""
        w = np.zeros(self.shape, self.values.dtype)
        w[self.places] = self.values
        return w


# ---- numeric -----------------------------------------------------------------------------------------------------------------

@cython.final
cdef class NumericSweep(Sweep):
    """Tangents or adjoints as numbers. Every array in `arrays` is C-contiguous and referred to by nothing else."""

    cdef CTape* t
    cdef int64_t n
    cdef list arrays           # by storage
    cdef double* scalars       # by slot
    cdef double** data         # by storage: where its float64 tangent or adjoint is, for the scalar loops

    def __cinit__(self, Tape tape, int64_t n):
        cdef Py_ssize_t storages = len(tape.storages)
        self.tape, self.t, self.n = tape, &tape.c, n
        self.arrays = [None] * storages
        self.data = <double**>calloc(max(storages, 1), sizeof(double*))
        if self.data == NULL:
            raise MemoryError(f"no memory for a sweep over {storages} arrays")
        self.scalars = zeros(n)

    def __dealloc__(self):
        free(self.data)
        give_back(self.scalars)

    cdef int store(self, int32_t number, ndarray w) except -1:
        self.arrays[number] = w
        self.data[number] = <double*>PyArray_DATA(w) if w is not None and PyArray_TYPE(w) == NPY_DOUBLE else NULL
        return 0

    cdef ndarray at(self, int32_t number):
        """The whole array of a storage, made of zeros if need be."""
        cdef tuple layout
        if self.arrays[number] is None:
            layout = <tuple>self.tape.storages[number]
            self.store(number, np.zeros(layout[0], layout[1]))
        return <ndarray>self.arrays[number]

    cpdef bint wants(self, Operand operand) except -1:
        return operand.kind != CONSTANT

    cpdef object value(self, Operand operand):
        return kept(operand)

    cpdef object result(self, value, int32_t number, int64_t i):
        return value

    cpdef object get(self, Operand operand):
        cdef double number
        if operand.kind == SCALAR:
            number = self.scalars[operand.number]
            return number if number != 0.0 else None
        if operand.kind == ARRAY and self.arrays[operand.number] is not None:
            return part_of(<ndarray>self.arrays[operand.number], operand)
        return None

    cpdef object take(self, int32_t number, int64_t i):
        cdef double scalar
        if number < 0:
            scalar = self.scalars[i]
            return np.float64(scalar) if scalar != 0.0 else None
        w = self.arrays[number]
        self.store(number, None)
        return w

    cpdef object put(self, int32_t number, int64_t i, w):
        if number < 0:
            self.scalars[i] = 0.0 if w is None else w
        elif w is None:
            self.store(number, None)
        else:
            self.store(number, own(w, <tuple>self.tape.storages[number], is_last(w)))

    cpdef object writable(self, Operand operand):
        return part_of(self.at(operand.number), operand)

    cpdef object add(self, Operand operand, w, bint owned):
        cdef ndarray part
        cdef object reduced
        if w is None or operand.kind == CONSTANT:
            return
        if type(w) is Scattered:
            if operand.kind == ARRAY and operand.strides is None and self.arrays[operand.number] is not None:
                self.arrays[operand.number][(<Scattered>w).places] += (<Scattered>w).values
                return
            w, owned = w.dense(), True
        # Of w there must not be another reference here.
        owned = owned or is_last(w)
        if operand.kind == SCALAR:
            self.scalars[operand.number] += np.sum(w)
            return
        if PyFloat_Check(w) and operand.strides is None:
            self.add_number(operand.number, w)
            return
        reduced = w if PyFloat_Check(w) else reduced_to(operand.layout, w)
        if self.arrays[operand.number] is None and operand.strides is None:
            self.store(operand.number, own(reduced, operand.layout, owned or reduced is not w))
        else:
            part = part_of(self.at(operand.number), operand)
            np.add(part, reduced, out=part, casting="same_kind")

    cdef int add_number(self, int32_t number, double w) except -1:
        """Adds w to every element of a whole storage."""
        cdef tuple layout
        cdef ndarray array
        cdef bint present = self.arrays[number] is not None
        if present:
            array = <ndarray>self.arrays[number]
        else:
            layout = <tuple>self.tape.storages[number]
            array = np.empty(layout[0], layout[1])
            self.store(number, array)
        if PyArray_TYPE(array) == NPY_DOUBLE:
            add_everywhere[double](<double*>PyArray_DATA(array), w, PyArray_SIZE(array), present)
        else:
            add_everywhere[float](<float*>PyArray_DATA(array), <float>w, PyArray_SIZE(array), present)
        return 0

    # The driver: scalar loops without the GIL from one array instruction to the next.

    cdef int reverse(self, int64_t first, Quiet quiet) except -1:
        cdef int64_t i = self.n
        while i > first:
            if self.t.opcode[i - 1] == OP_ARRAY:
                # Between array instructions there is nothing to release the GIL for.
                i -= 1
            else:
                with nogil:
                    i = reverse_sweep(self.t, self.scalars, first, i, self.data)
                if i < first:
                    return 0
            if self.t.opcode[i] == OP_GATHER:
                self.at(self.t.a[i])
                i += 1
                continue
            instruction = self.tape.records[self.t.a[i]]
            if type(instruction) is not Elementwise or not elementwise_reverse(self, <Elementwise>instruction, i):
                if type(instruction) is not Total:
                    quiet.enter()
                (<Record>instruction).reverse(self, i)
        return 0

    cdef int tangent(self, int64_t first, Quiet quiet, Needed needed) except -1:
        cdef int64_t i = first
        quiet.enter()
        while i < self.n:
            if self.t.opcode[i] != OP_ARRAY:
                with nogil:
                    i = tangent_sweep(self.t, self.scalars, i, self.n, self.data)
                if i == self.n:
                    return 0
            if self.t.opcode[i] == OP_PUT:
                self.at(self.t.a[i])
                continue
            if needed is None or needed.slots[i]:
                (<Record>self.tape.records[self.t.a[i]]).tangent(self, i)
            i += 1
        return 0


ctypedef fused real:
    float
    double


cdef void add_everywhere(real* out, real w, Py_ssize_t n, bint add) noexcept nogil:
    cdef Py_ssize_t i
    if add:
        for i in range(n):
            out[i] += w
    else:
        for i in range(n):
            out[i] = w


@cython.final
cdef class Quiet:
    """A context without NumPy's floating-point warnings, entered when first needed: a sweep may meet infinities that zero wins over."""

    cdef object context

    cdef int enter(self) except -1:
        if self.context is None:
            self.context = np.errstate(all="ignore")
            self.context.__enter__()
        return 0

    cdef int leave(self) except -1:
        if self.context is not None:
            self.context.__exit__(None, None, None)
        return 0


cdef ndarray own(w, tuple layout, bint owned):
    """w, or a copy of it, as an array of this layout that nothing else refers to."""
    cdef ndarray array
    if owned and isinstance(w, ndarray):
        array = <ndarray>w
        if PyArray_OWNS(array) and PyArray_IS_C_CONTIGUOUS(array) and has_layout(array, layout):
            return array
    array = np.empty(layout[0], layout[1])
    array[...] = w
    return array


cdef extern from "Python.h":
    Py_ssize_t reference_count "Py_REFCNT"(object x)


cdef inline bint is_last(w) noexcept:
    """Whether whoever called with w, as with a result just computed, has the only reference to it."""
    return reference_count(w) == 1


cdef object added(total, t):
    """The sum of two tangents, None for zero; in the memory of the first if nothing else refers to it."""
    if total is None or t is None:
        return t if total is None else total
    if is_last(total) and type(total) is ndarray and type(t) is ndarray and PyArray_OWNS(<ndarray>total) \
            and PyArray_TYPE(<ndarray>total) == PyArray_TYPE(<ndarray>t) and shape_of(total) == shape_of(t):
        return np.add(total, t, out=total)
    return total + t


# ---- recording -----------------------------------------------------------------------------------------------------------------

@cython.final
cdef class RecordingSweep(Sweep):
    """Tangents or adjoints as active values: their computation is appended to the tape in progress."""

    cdef ArrayRecorder recorder
    cdef CTape* target
    cdef list arrays           # by storage of the source: active or plain array
    cdef bytearray owned       # whether the sweep made arrays[k] and may add to it in place
    cdef dict owners           # by the address of its storage: k of an array that was owned
    cdef bytearray marked      # whether storage k depends on an input

    def __cinit__(self, Tape tape, ArrayRecorder recorder):
        cdef Py_ssize_t storages = len(tape.storages)
        self.tape, self.recorder, self.target = tape, recorder, tape_in_progress()
        self.arrays, self.owned, self.marked = [None] * storages, bytearray(storages), bytearray(storages)
        self.owners = {}

    cpdef bint wants(self, Operand operand) except -1:
        if operand.kind == SCALAR:
            return self.recorder.active(operand.number)
        return operand.kind == ARRAY and self.marked[operand.number] != 0

    def mark(self, int32_t number):
        """Notes that a storage depends on an input."""
        if number >= 0:
            self.marked[number] = 1

    cdef ActiveArray same_tape(self, ndarray value, ndarray buffer, int32_t number):
        cdef ActiveArray x
        if buffer is None:
            # A stand-in without values.
            buffer = value
        x = active_on(self.target, buffer, <tuple>self.tape.storages[number], number, True)
        if value is not buffer:
            return view_of(x, value)
        if not has_layout(value, x.layout):
            # A stand-in for a part of the storage.
            x.layout = layout_of(value)
        return x

    cpdef object value(self, Operand operand):
        if operand.kind == CONSTANT or self.recorder.carried != NULL:
            return kept(operand)
        if operand.kind == SCALAR:
            return wrap(self.target, operand.number)
        if operand.value is None:
            return None
        return self.same_tape(operand.value, operand.buffer, operand.number)

    cpdef object result(self, value, int32_t number, int64_t i):
        if value is None or self.recorder.carried != NULL:
            return value
        if number < 0:
            return wrap(self.target, <int32_t>i)
        value = np.asarray(value)
        return self.same_tape(value, value, number)

    cdef ActiveArray at(self, int32_t number):
        """The whole array of a storage as one that may be added to in place."""
        cdef tuple layout = <tuple>self.tape.storages[number]
        cdef object array = self.arrays[number]
        if array is None:
            array = writable_constant(self.target, np.zeros(layout[0], layout[1]), 0.0)
        elif not self.owned[number]:
            array = copied(self.target, array)
        self.arrays[number], self.owned[number] = array, 1
        self.owners[<uint64_t><void*>(<ActiveArray>array).storage] = number
        return array

    cdef object shared(self, w):
        """w as an array that may be held in two places; if it was added to in place, that ends here."""
        cdef object number
        w = whole(self.target, w)
        if type(w) is ActiveArray:
            number = self.owners.pop(<uint64_t><void*>(<ActiveArray>w).storage, None)
            if number is not None:
                self.owned[number] = 0
        return w

    cdef object part(self, array, Operand operand):
        cdef ActiveArray x
        if operand.strides is None:
            return array
        if type(array) is not ActiveArray:
            return part_of(array, operand)
        x = <ActiveArray>array
        return view_of(x, part_of(values(x), operand))

    cpdef object get(self, Operand operand):
        if operand.kind == SCALAR:
            number = self.recorder.scalar(operand.number)
            return None if type(number) is float else number
        if operand.kind != ARRAY or self.arrays[operand.number] is None:
            return None
        return self.part(self.arrays[operand.number], operand)

    cpdef object take(self, int32_t number, int64_t i):
        if number < 0:
            w = self.recorder.scalar(i)
            return None if type(w) is float else w
        w = self.arrays[number]
        self.arrays[number], self.owned[number] = None, 0
        return w

    cpdef object put(self, int32_t number, int64_t i, w):
        cdef tuple layout
        if number < 0:
            if w is None:
                self.recorder.work[i - self.recorder.start] = -1
            else:
                self.recorder.set_scalar(i, as_scalar(w), False)
            return
        if w is not None:
            layout = <tuple>self.tape.storages[number]
            if shape_of(w) != layout[0]:
                w = broadcast(w, <tuple>layout[0])
            w = in_dtype(w, layout[1])
            w = self.shared(w)
        self.arrays[number], self.owned[number] = w, 0

    cpdef object writable(self, Operand operand):
        return self.part(self.at(operand.number), operand)

    cpdef object add(self, Operand operand, w, bint owned):
        cdef ActiveArray part
        cdef tuple layout
        if w is None or not self.wants(operand):
            return
        if operand.kind == SCALAR:
            self.recorder.set_scalar(operand.number, as_scalar(np.sum(w)), True)
            return
        if type(w) is Scattered:
            w = w.dense()
        w = in_dtype(reduced_to(operand.layout, w), operand.layout[1])
        if operand.strides is not None and self.arrays[operand.number] is None and self.target.recording \
                and type(w) is ActiveArray and covers(operand, <tuple>self.tape.storages[operand.number]):
            # A transpose and its kind: what is written whole need not be zero before.
            layout = <tuple>self.tape.storages[operand.number]
            part = fresh(self.target, np.empty(layout[0], layout[1]), layout)
            self.arrays[operand.number], self.owned[operand.number] = part, 1
            self.owners[<uint64_t><void*>part.storage] = operand.number
            write(self.target, self.part(part, operand), Ellipsis, w)
        elif operand.strides is not None:
            part = self.part(self.at(operand.number), operand)
            if self.target.recording and type(w) is ActiveArray and (<ActiveArray>w).storage is not part.storage:
                add_to_part(self.target, part, w)
            else:
                part[...] = part + w
        elif self.arrays[operand.number] is None:
            self.arrays[operand.number], self.owned[operand.number] = self.shared(w), 0
        else:
            # Without dimensions the sum is a number.
            self.arrays[operand.number] = in_dtype(self.arrays[operand.number] + w, operand.layout[1])
            self.owned[operand.number] = 0


cdef bint covers(Operand operand, tuple layout) except -1:
    """Whether a part of a storage, of which no two elements are one, is all of it."""
    return math.prod(operand.layout[0]) == math.prod(layout[0])


cdef object whole(CTape* t, w):
    """An active or plain array as one that is all of a C-contiguous storage."""
    if type(w) is not ActiveArray:
        return np.asarray(w, order="C")
    return w if is_whole(<ActiveArray>w) else copied(t, w)


cdef object as_scalar(w):
    """A 0-d array or number as a float or an active scalar."""
    if type(w) is ActiveArray:
        return (<ActiveArray>w).astype(np.float64)[()]
    return w if type(w) is Active else float(w)


cdef object in_dtype(w, dtype):
    if type(w) is ActiveArray and (<ActiveArray>w).layout[1] is dtype:
        return w
    if type(w) is Active:
        w = _array_of(w)
    return w if getattr(w, "dtype", None) == dtype else w.astype(dtype) if hasattr(w, "astype") else np.array(w, dtype)


@cython.final
cdef class ArrayRecorder(Recorder):
    """The scalar recorder with the array instructions filled in."""

    cdef RecordingSweep sweep

    cdef bint array_depends(self, int64_t i) except -1:
        cdef int op = self.source.opcode[i]
        cdef int32_t a = self.source.a[i]
        if op == OP_GATHER:
            return self.sweep.marked[a] != 0
        if op == OP_PUT:
            if self.active(self.source.a[i - 1]):
                self.sweep.marked[a] = 1
            return self.sweep.marked[a] != 0
        return (<Record>self.tape.records[a]).depends(self.sweep)

    cdef int array_tangent(self, int64_t i) except -1:
        cdef int op = self.source.opcode[i]
        cdef int32_t a = self.source.a[i]
        cdef int32_t b = self.source.b[i]
        cdef int32_t slot
        if op == OP_ARRAY:
            (<Record>self.tape.records[a]).tangent(self.sweep, i)
        elif op == OP_GATHER:
            if self.sweep.arrays[a] is not None:
                self.work[i - self.start] = element(self.target, self.sweep.arrays[a], b)
        else:
            slot = self.work[self.source.a[i - 1] - self.start] if self.active(self.source.a[i - 1]) else -1
            if slot >= 0 or self.sweep.arrays[a] is not None:
                put_element(self.target, self.sweep.at(a), b, constant(self.target, 0.0) if slot < 0 else slot)
        return 0

    cdef int array_reverse(self, int64_t i) except -1:
        cdef int op = self.source.opcode[i]
        cdef int32_t a = self.source.a[i]
        cdef int32_t b = self.source.b[i]
        cdef int32_t slot, source
        cdef ActiveArray whole
        if op == OP_ARRAY:
            (<Record>self.tape.records[a]).reverse(self.sweep, i)
        elif op == OP_GATHER:
            slot = self.work[i - self.start]
            # An element may be an input where its array is none.
            if slot >= 0 and self.sweep.marked[a]:
                whole = self.sweep.at(a)
                put_element(self.target, whole, b, record(self.target, OP_ADD, element(self.target, whole, b), slot))
        elif self.sweep.arrays[a] is not None:
            source = self.source.a[i - 1]
            whole = self.sweep.at(a)
            if self.active(source):
                self.work[source - self.start] = self.plus(self.work[source - self.start], element(self.target, whole, b))
            put_element(self.target, whole, b, constant(self.target, 0.0))
        return 0


cdef int32_t element(CTape* t, array, int32_t b) except -1:
    """The slot of element b of a whole float64 array."""
    if type(array) is ActiveArray:
        return gather(t, <ActiveArray>array, b)
    return constant(t, (<double*>PyArray_DATA(<ndarray>array))[b])
