# Sweeps of several seeds over what is behind a path with arrays: see spread.pxi.

cdef Spread spread_of(Code code, Py_ssize_t first, Py_ssize_t before):
    """What depends on the inputs from number `first` on, behind a path with `before` storages; None where a decision does.

    What is read or written element by element counts as depending, so that what an element is need not be kept from one sweep to
    the next.
    """
    cdef const CTape* t = &code.tape.c
    cdef bytearray slots = bytearray(t.n + 1)
    cdef set found = set()
    cdef Py_ssize_t known = -1
    cdef int64_t i
    for x in code.inputs[first:]:
        if type(x) is Operand:
            found.add((<Operand>x).number)
        else:
            slots[<Py_ssize_t>x] = 1
    while known != len(found) + sum(slots):
        known = len(found) + sum(slots)
        for i in range(code.start, t.n):
            if not spread_instruction(code, i, before, found, slots):
                return None
    storages = code.tape.storages
    return Spread({number: bytes_of(storages[number][0], storages[number][1]) for number in sorted(found)}, slots)


cdef bint spread_instruction(Code code, int64_t i, Py_ssize_t before, set found, bytearray slots) except -1:
    """Goes over one instruction; False for a decision about something that depends on a seed."""
    cdef const CTape* t = &code.tape.c
    cdef int op = t.opcode[i]
    cdef set numbers
    if op == OP_ARRAY:
        record = code.tape.records[t.a[i]]
        numbers = storages_of(record)
        if numbers.isdisjoint(found) and not any([slots[slot] for slot in slots_of(record)]):
            return True
        if type(record) is Guard or type(record) is ProgramCall:
            return False
        numbers = set()
        collect_numbers(outs_of(record), numbers)
        found.update(numbers)
        slots[i] = 1
    elif op == OP_GATHER or op == OP_PUT:
        if t.a[i] >= before:
            found.add(<Py_ssize_t>t.a[i])
        slots[i] = t.a[i] in found
        return op == OP_GATHER or t.a[i] >= before
    elif OP_GUARD_LESS <= op <= OP_GUARD_VALUE:
        return not (slots[t.a[i]] or (op != OP_GUARD_VALUE and slots[t.b[i]]))
    elif op >= FIRST_OPCODE:
        slots[i] = slots[i] or slots[t.a[i]] or slots[t.b[i]]
    elif op == OP_SPECIAL or op == OP_EXTRA:
        slots[i] = 1
    return True


cdef list slots_of(record):
    """The slots that an array instruction reads."""
    cdef list slots = []
    for name in ("x", "y", "target", "key", "args", "kwargs", "operands"):
        collect_slots(getattr(record, name, None), slots)
    return slots


cdef int collect_slots(x, list slots) except -1:
    if type(x) is Operand:
        if (<Operand>x).kind == SCALAR:
            slots.append((<Operand>x).number)
    elif type(x) is dict:
        collect_slots(list((<dict>x).values()), slots)
    elif isinstance(x, (list, tuple)):
        for entry in x:
            collect_slots(entry, slots)
    return 0


# ---- a sweep -------------------------------------------------------------------------------------------------------------------

cdef struct Lanewise:          # of a Spread and a Workspace
    int64_t count, lane
    const int64_t* spans
    const uint8_t* seeded
    const int32_t* moving
    Py_ssize_t moving_count
    double* v
    char** data


cdef void move_data(const Lanewise* s, int64_t seeds) noexcept nogil:
    """Makes the storages those of the seed so many further on."""
    cdef Py_ssize_t k
    for k in range(s.moving_count):
        s.data[s.moving[k]] += seeds * s.spans[s.moving[k]]


cdef void scalars_of_seeds(const CTape* t, const Lanewise* s, int64_t first, int64_t end) noexcept nogil:
    cdef int64_t l, i
    cdef bint gathers = False
    for i in range(first, end):
        gathers = gathers or t.opcode[i] == OP_GATHER
    for l in range(s.count):
        run_scalars(t, s.v + l * s.lane, s.data, first, end)
        if gathers:
            move_data(s, 1)
    if gathers:
        move_data(s, -s.count)


cdef void share_slot(const Lanewise* s, int64_t i) noexcept nogil:
    """Gives all seeds the value of a slot that depends on none."""
    cdef int64_t l
    if not s.seeded[i]:
        for l in range(1, s.count):
            s.v[l * s.lane + i] = s.v[i]


cdef void share_results(const Lanewise* s, const Kernel* kernel) noexcept nogil:
    """Does so for the slots of a kernel. A chain may stand at a later instruction than those whose sums it computes."""
    cdef const Step* step
    cdef int j, k
    if kernel.chain == NULL:
        for k in range(kernel.count):
            if kernel.places[k].kind == SCALAR:
                share_slot(s, kernel.places[k].number)
        return
    for j in range(kernel.chain.count):
        step = &kernel.chain.steps[j]
        for k in range(step.count):
            if step.arguments[k].place.kind == SCALAR:
                share_slot(s, step.arguments[k].place.number)


cdef Stop sweep_seeds(const CodeView* code, const Lanewise* s, Position* at, int64_t end, bint first) noexcept nogil:
    """As `run`, for all seeds; what depends on none runs if it is the `first` sweep behind a path."""
    cdef const Window* w
    cdef const CTape* t = code.t
    cdef Kernel* kernel
    cdef int64_t l
    cdef int32_t record
    cdef int k
    while True:
        w = &code.windows[at.window]
        scalars_of_seeds(t, s, at.i, w.end)
        if not checked(code, w, s.v, at):
            return MISSED
        at.i = w.end
        if at.i == end:
            return FINISHED
        if w.stops:
            if t.opcode[at.i] == OP_PUT:
                for l in range(s.count):
                    (<double*>(s.data[t.a[at.i]] + l * s.spans[t.a[at.i]]))[t.b[at.i]] = s.v[l * s.lane + t.a[at.i - 1]]
            else:
                record = t.a[at.i]
                if code.counts[record] < 0:
                    return ASKS_PYTHON
                for k in range(code.counts[record]):
                    kernel = &code.kernels[record][k]
                    if (first or kernel.seeded) and not run_kernel(kernel, s.v, s.data):
                        return FAILED if kernel.is_guard else ASKS_PYTHON
                    if first:
                        share_results(s, kernel)
            at.i += 1
        at.window += 1


@cython.final
cdef class SeedSweep:
    """Sweeps of a wide Code behind a replay of its path, for one chunk of unit seeds after the other."""

    cdef Workspace ws
    cdef Code code
    cdef Spread spread
    cdef Lanewise s
    cdef Py_ssize_t first_seed     # number of the first input that is one
    cdef list starts               # of the seeds' elements, and behind the last

    def __cinit__(self, Replay replay, Py_ssize_t first_seed):
        cdef int64_t l, kept
        cdef int64_t at = 0
        self.ws, self.code, self.spread, self.first_seed = replay.ws, replay.code, replay.code.spread, first_seed
        self.s.count, self.s.lane, self.s.spans, self.s.seeded = self.spread.count, self.spread.lane, self.spread.dense, self.spread.seeded
        self.s.moving, self.s.moving_count = self.spread.moving, self.spread.moving_count
        self.s.v, self.s.data = self.ws.v, self.ws.data
        kept = self.code.place(self.code.start)
        for l in range(1, self.s.count):
            memcpy(self.s.v + l * self.s.lane, self.s.v, kept * sizeof(double))
        self.starts = [at]
        for k in range(first_seed, len(self.code.inputs)):
            at += unit_count(self.code, k)
            self.starts.append(at)

    cdef int seed(self, int64_t first) except -1:
        """Sets the seeds: ones for the elements from number `first` on, each in a sweep of its own, zeros everywhere else."""
        cdef Leaf* leaf
        cdef int64_t k, l, unit
        for k in range(self.first_seed, len(self.code.inputs)):
            leaf = &self.code.leaves[k]
            if leaf.kind == ARRAY:
                memset(self.s.data[leaf.number], 0, self.s.count * self.s.spans[leaf.number])
            for l in range(self.s.count):
                if leaf.kind == SCALAR:
                    self.s.v[l * self.s.lane + leaf.number] = 0.0
                unit = first + l - <int64_t>self.starts[k - self.first_seed]
                if 0 <= unit < <int64_t>self.starts[k - self.first_seed + 1] - <int64_t>self.starts[k - self.first_seed]:
                    if leaf.kind == SCALAR:
                        self.s.v[l * self.s.lane + leaf.number] = 1.0
                    elif is_double(self.code, leaf.number):
                        (<double*>(self.s.data[leaf.number] + l * self.s.spans[leaf.number]))[unit] = 1.0
                    else:
                        (<float*>(self.s.data[leaf.number] + l * self.s.spans[leaf.number]))[unit] = 1.0
        return 0

    cdef bint sweep(self, bint first) except -1:
        """One sweep; False where what is behind the path goes another way."""
        cdef CodeView view = self.code.view()
        cdef Position at = position_of(self.code, self.code.start)
        cdef int64_t end = self.code.c.n
        cdef Stop stop
        while True:
            with nogil:
                stop = sweep_seeds(&view, &self.s, &at, end, first)
            if stop == FINISHED:
                return True
            if stop != ASKS_PYTHON or not self.call_python(at.i, first):
                return False
            at.i += 1
            at.window += 1

    cdef bint call_python(self, int64_t i, bint first) except -1:
        """The array instruction at place i, for one seed after the other if it depends on them."""
        cdef int64_t l, moved = 0
        if not self.s.seeded[i]:
            if first:
                if not self.ws.call_python(i):
                    return False
                share_slot(&self.s, i)
            return True
        try:
            for l in range(self.s.count):
                self.ws.v = self.s.v + l * self.s.lane
                if not self.ws.call_python(i):
                    return False
                move_data(&self.s, 1)
                moved += 1
        finally:
            self.ws.v = self.s.v
            move_data(&self.s, -moved)
        return True

    cdef ndarray values(self, x):
        """What the seeds of this sweep give for a result: an array with them along its first axis, not to be kept."""
        cdef Operand operand
        cdef tuple shape, strides
        if type(x) is Plain:
            value = np.asarray(x.value)
            return np.broadcast_to(value, (self.s.count, *value.shape))
        if isinstance(x, int):
            return self.ws.array((self.s.count,), np.dtype(float), (self.s.lane * <int64_t>sizeof(double),),
                                 <char*>(self.s.v + self.code.place(x)))
        operand = x.operand if type(x) is Single else x
        shape, dtype = operand.layout
        strides = operand.strides if operand.strides is not None else contiguous_strides(shape, dtype.itemsize)
        return self.ws.array((self.s.count, *shape), dtype, (self.s.spans[operand.number], *strides),
                             self.s.data[operand.number] + operand.offset)


cdef int put_columns(ndarray table, int64_t first, ndarray values) except -1:
    """table[:, first:first + len(values)] = the entries of `values`, each made flat, as columns."""
    cdef int64_t n = PyArray_DIMS(table)[0], width = PyArray_DIMS(table)[1], count = PyArray_DIMS(values)[0], i, l
    cdef int64_t step
    cdef double* to
    cdef const char* source
    shape = (<object>values).shape[1:]
    if PyArray_TYPE(table) != NPY_DOUBLE or PyArray_TYPE(values) != NPY_DOUBLE \
            or (<object>values).strides[1:] != contiguous_strides(shape, sizeof(double)):
        table[:, first:first + count] = np.reshape(values, (count, n)).T
        return 0
    to, source, step = <double*>PyArray_DATA(table) + first, PyArray_BYTES(values), PyArray_STRIDES(values)[0]
    with nogil:
        for i in range(n):
            for l in range(count):
                to[i * width + l] = (<const double*>(source + l * step))[i]
    return 0


cdef list jacobian_of_seeds(Replay replay, Py_ssize_t first_seed, bint columns):
    """For each seed and each result of a wide Code the derivatives, flat: (result's size, seed's size) arrays if they are `columns`,
    else their transposes. None where what is behind the path goes another way.
    """
    cdef SeedSweep sweep = SeedSweep(replay, first_seed)
    cdef int64_t first, l, m, start, stop, total = sweep.starts[len(sweep.starts) - 1]
    cdef list tables = [], sizes = []
    cdef object values
    for x in sweep.code.outputs:
        values = sweep.values(x)
        # Of a result of whole numbers they are zeros.
        sizes.append((math.prod(values.shape[1:]), values.dtype if values.dtype.kind == "f" else np.dtype(float)))
    for k in range(len(sweep.starts) - 1):
        m = <int64_t>sweep.starts[k + 1] - <int64_t>sweep.starts[k]
        tables.append([np.empty((size, m) if columns else (m, size), dtype) for size, dtype in sizes])
    for first in range(0, total, sweep.s.count):
        sweep.seed(first)
        sweep.ws.error = None
        if not sweep.sweep(first == 0):
            if sweep.ws.error is not None:
                raise sweep.ws.error
            return None
        for number, x in enumerate(sweep.code.outputs):
            values = sweep.values(x)
            for k in range(len(tables)):
                start = max(first, <int64_t>sweep.starts[k])
                stop = min(first + sweep.s.count, <int64_t>sweep.starts[k + 1])
                if start >= stop:
                    continue
                l = start - <int64_t>sweep.starts[k]
                part = values[start - first:stop - first]
                if columns:
                    put_columns(tables[k][number], l, part)
                else:
                    tables[k][number][l:l + stop - start] = np.reshape(part, (stop - start, sizes[number][0]))
    return tables
