# A replay to be looked at: the instructions of a path's tape as they are, one after the other. Slow, and as plain as it can be.

@cython.final
cdef class OneStep:
    """Values of the slots and storages of a tape, computed anew for inputs."""

    cdef CTape t                   # the tape's, with values of its own
    cdef readonly Tape tape
    cdef readonly list arrays      # by storage

    def __cinit__(self, Code code, list leaves):
        self.tape, self.t = code.tape, code.tape.c
        self.t.v = <double*>malloc(max(self.t.n, <int64_t>1) * sizeof(double))
        if self.t.v == NULL:
            raise MemoryError("no memory for the values of a program")
        memcpy(self.t.v, code.tape.c.v, self.t.n * sizeof(double))
        self.arrays = [np.zeros(shape, dtype) for shape, dtype in self.tape.storages]
        for x, leaf in zip(code.inputs, leaves):
            if type(x) is Operand:
                self.arrays[(<Operand>x).number][...] = leaf
            else:
                self.t.v[<int64_t>x] = leaf

    def __dealloc__(self):
        free(self.t.v)

    def scalars(self):
        """The values of all slots, to be read as long as this is kept."""
        return doubles(self, self.t.v, self.t.n)

    def value(self, Operand operand):
        """The plain value of an operand as it is now."""
        if operand.kind == SCALAR:
            return self.t.v[operand.number]
        if operand.kind != ARRAY:
            return operand.value
        whole = self.arrays[operand.number]
        return whole if operand.strides is None else np.ndarray(operand.layout[0], operand.layout[1], whole, operand.offset,
                                                                operand.strides)

    def go_on(self, int64_t first, int64_t stop):
        """Carries out instructions first to stop - 1; False if a guard does not hold."""
        cdef double* v = self.t.v
        cdef int32_t[4] slots
        cdef double[4] operands
        cdef int64_t i, a, b
        cdef int op, k
        for i in range(first, stop):
            op, a, b = self.t.opcode[i], self.t.a[i], self.t.b[i]
            if op >= FIRST_OPCODE:
                v[i] = value_of(op, v[a], v[b])
            elif op == OP_SPECIAL:
                special_operands(&self.t, i, slots)
                for k in range(4):
                    operands[k] = v[slots[k]]
                v[i] = special_row(<int>b).value(operands)
            elif op == OP_GATHER:
                v[i] = (<double*>PyArray_DATA(<ndarray>self.arrays[a]))[b]
            elif op == OP_PUT:
                (<double*>PyArray_DATA(<ndarray>self.arrays[a]))[b] = v[self.t.a[i - 1]]
            elif op == OP_ARRAY:
                if not self.array(i, self.tape.records[a]):
                    return False
            elif op == OP_GUARD_LESS or op == OP_GUARD_LESS_EQUAL or op == OP_GUARD_EQUAL:
                if (v[a] < v[b] if op == OP_GUARD_LESS else v[a] <= v[b] if op == OP_GUARD_LESS_EQUAL else v[a] == v[b]) != (v[i] != 0.0):
                    return False
            elif op == OP_GUARD_VALUE:
                if not same(rounded(v[a], <int>b), v[i]):
                    return False
        return True

    cdef bint array(self, int64_t i, Record record) except -1:
        if type(record) is Constant:
            self.arrays[record.out] = np.asarray(record.value if record.origin is None else record.origin,
                                                 self.tape.storages[record.out][1], order="C")
            return True
        if type(record) is Copy and record.x is None:
            return True
        result = record.compute(self.value)
        if type(record) is Guard:
            return bool(result)
        if type(record) is Copy:
            # It converts, and may fill.
            self.arrays[record.out][...] = result
            return True
        if type(record) is Assign or type(record) is AddAt:
            return True
        return self.store(outs_of(record), result, i)

    cdef bint store(self, outs, result, int64_t i) except -1:
        """Puts a result where it belongs; False if it has another shape or type than it was recorded with."""
        if outs is None:
            return True
        if not isinstance(outs, int):
            return len(outs) == len(result) and all([self.store(out, part, i) for out, part in zip(outs, result)])
        if outs < 0:
            self.t.v[i] = result
            return True
        shape, dtype = self.tape.storages[outs]
        if np.shape(result) != shape or getattr(result, "dtype", dtype) != dtype:
            return False
        self.arrays[outs][...] = result
        return True


def values_noted(Code code, list leaves):
    """A tape like that of a path with the values of a run for these inputs, which a derivative can be recorded behind; None if a guard
    of the path does not hold.
    """
    cdef OneStep run = OneStep(code, leaves)
    cdef Tape tape
    cdef int64_t i
    if not run.go_on(0, code.n):
        return None
    tape = code.tape.copy()
    memcpy(tape.c.v, run.t.v, code.n * sizeof(double))
    values = RunValues(lambda number: run.arrays[number], lambda slot: run.t.v[<int64_t>slot])
    for i in range(code.n):
        if tape.c.opcode[i] == OP_ARRAY:
            tape.records[tape.c.a[i]] = values.record(tape.records[tape.c.a[i]], i)
    return tape


@cython.final
cdef class OneStepSweep:
    """Adjoints of the slots and float64 storages of a tape; its own values, or those of a OneStep."""

    cdef CTape t
    cdef double* w
    cdef double** data
    cdef object values             # keeps the values alive
    cdef readonly list arrays      # by storage; None but for float64

    def __cinit__(self, Tape tape, OneStep values=None):
        cdef Py_ssize_t number
        self.t = tape.c if values is None else values.t
        self.values = tape, values
        self.w = zeros(max(self.t.n, <int64_t>1))
        self.arrays = [np.zeros(shape) if dtype == np.float64 else None for shape, dtype in tape.storages]
        self.data = <double**>calloc(max(len(self.arrays), 1), sizeof(double*))
        if self.data == NULL:
            raise MemoryError("no memory for a sweep")
        for number in range(len(self.arrays)):
            if self.arrays[number] is not None:
                self.data[number] = <double*>PyArray_DATA(<ndarray>self.arrays[number])

    def __dealloc__(self):
        give_back(self.w)
        free(self.data)

    def scalars(self):
        """The adjoints of all slots, to be read and written as long as this is kept."""
        return doubles(self, self.w, self.t.n)

    def reverse(self, int64_t first, int64_t stop):
        """The part of instructions first to stop - 1 in a reverse sweep; none of them may be an array instruction."""
        cdef int64_t i
        with nogil:
            i = reverse_sweep(&self.t, self.w, first, stop, self.data)
        if i >= first:
            raise RuntimeError(f"instruction {i} is one of arrays")


cdef ndarray doubles(owner, double* numbers, int64_t n):
    """Numbers that belong to an object as an array."""
    cdef cnp.npy_intp length = n
    cdef ndarray array = cnp.PyArray_SimpleNewFromData(1, &length, NPY_DOUBLE, numbers)
    Py_INCREF(owner)
    PyArray_SetBaseObject(array, owner)
    return array
