# A workspace: the values of one replay, and the pool in which those wait that no call uses.

cdef enum:
    SPARE = 4              # workspaces that are kept for the next calls


@cython.final
cdef class Workspace:
    """Values of every slot and storage during one replay."""

    cdef Code code             # None between two replays
    cdef int64_t serial        # of the Code whose constants it holds
    cdef double* v
    cdef int64_t slots
    cdef char** data
    cdef Py_ssize_t storages
    cdef char* memory
    cdef char* aligned
    cdef int64_t bytes
    cdef Schedule schedule     # what computes the values; None: the interpreter
    cdef bint complete         # every value is at its place, not only those that are wanted
    cdef int64_t at            # the instruction of the tape where a guard did not hold
    cdef object found          # shapes and types of the result that stopped a replay
    cdef object error          # what it raised, if it did
    cdef dict lent             # by storage: the caller's array that it is in this replay
    cdef dict given            # by storage: the array that leaves as a result
    cdef dict views            # by operand: arrays for instructions that call Python

    def __cinit__(self):
        self.views, self.lent, self.given, self.complete = {}, {}, {}, True

    def __dealloc__(self):
        free(self.v)
        free(self.data)
        free(self.memory)

    cdef int enter(self, Code code, int64_t first) except -1:
        """Goes on with another path, whose instructions before `first` are those of the one so far."""
        cdef Py_ssize_t k, storages = len(code.tape.storages) + len(code.extra)
        cdef int64_t bytes
        cdef char* memory
        cdef char* aligned
        cdef int64_t seeds = 1 if code.spread is None else code.spread.count
        cdef int64_t behind = code.place(code.start), seed
        if code.c.n * seeds > self.slots:
            v = <double*>realloc(self.v, code.c.n * seeds * sizeof(double))
            if v == NULL:
                raise MemoryError(f"no memory for a replay of {code.n} instructions")
            self.v, self.slots = v, code.c.n * seeds
        if storages > self.storages or self.data == NULL:
            data = <char**>realloc(self.data, (storages + BASES) * sizeof(char*))
            if data == NULL:
                raise MemoryError(f"no memory for a replay with {storages} arrays")
            self.data, self.storages = data, storages
        if first:
            self.schedule = None
        bytes = code.bytes if self.schedule is None else self.schedule.plan.end * sizeof(double)
        if bytes > self.bytes or (self.memory == NULL and storages):
            memory = <char*>malloc(bytes + ALIGNMENT)
            if memory == NULL:
                raise MemoryError(f"no memory for the arrays of a replay ({bytes} bytes)")
            aligned = memory + (ALIGNMENT - <size_t>memory % ALIGNMENT)
            if self.memory != NULL:
                memcpy(aligned, self.aligned, self.bytes)
                free(self.memory)
            self.memory, self.aligned, self.bytes = memory, aligned, bytes
        if self.views:
            self.views = {}
        for k in range(storages):
            self.data[k] = self.aligned + max(code.offsets[k], <int64_t>0)
        for number, array in code.fixed:
            self.data[<Py_ssize_t>number] = <char*>PyArray_DATA(<ndarray>array)
        if self.lent:
            for number, array in self.lent.items():
                self.data[<Py_ssize_t>number] = <char*>PyArray_DATA(<ndarray>array)
        self.data[storages], self.data[storages + 1], self.data[storages + 2] = self.aligned, <char*>self.v, code.constants
        if first and (code.given or self.given):
            self.make_results(code)
        first = code.place(first)
        memcpy(self.v + first, code.c.v + first, (code.c.n - first) * sizeof(double))
        for seed in range(1, seeds):
            memcpy(self.v + seed * code.c.n + behind, code.c.v + behind, (code.c.n - behind) * sizeof(double))
        self.code, self.serial = code, code.serial
        if self.schedule is not None:
            load_constants(&self.schedule.plan, <double*>self.aligned)
        return 0

    cdef int make_results(self, Code code) except -1:
        """Makes the arrays that leave as results, before anything is written to them."""
        cdef ndarray array
        cdef list layouts = [layout for _, layout in code.given]
        if self.given:
            self.given = {}
        arrays = made(layouts) if code.borrows else [empty(<tuple>layout) for layout in layouts]
        for (number, _), array in zip(code.given, arrays):
            self.given[number] = array
            self.data[<Py_ssize_t>number] = <char*>PyArray_DATA(array)
        return 0

    cdef int lend(self, int32_t number, ndarray array) except -1:
        """Makes a storage an array of the caller's, which no instruction writes to."""
        self.lent[number] = array
        self.data[number] = <char*>PyArray_DATA(array)
        return 0

    cdef int take_back(self) except -1:
        """Ends a replay: nothing of the caller's is kept."""
        if not self.lent and not self.given:
            return 0
        for number in self.lent:
            self.data[<Py_ssize_t>number] = self.aligned + self.code.offsets[<Py_ssize_t>number]
        for number in self.given:
            self.data[<Py_ssize_t>number] = self.aligned + self.code.offsets[<Py_ssize_t>number]
        self.lent, self.given = {}, {}
        return 0

    cdef ndarray whole(self, int32_t number):
        """The array of a storage."""
        shape, dtype = self.code.tape.storages[number]
        return self.array(shape, dtype, None, self.data[number])

    cdef ndarray array(self, tuple shape, cnp.dtype dtype, tuple strides, char* at):
        cdef cnp.npy_intp[64] dims
        cdef cnp.npy_intp[64] steps
        cdef Py_ssize_t k
        cdef ndarray array
        for k in range(len(shape)):
            dims[k] = shape[k]
            if strides is not None:
                steps[k] = strides[k]
        Py_INCREF(dtype)
        array = PyArray_NewFromDescr(ndarray, dtype, <int>len(shape), dims, steps if strides is not None else NULL, at,
                                     NPY_ARRAY_WRITEABLE | NPY_ARRAY_BEHAVED, None)
        Py_INCREF(self)
        PyArray_SetBaseObject(array, self)
        return array

    def value(self, Operand operand):
        """The plain value of an operand; an array is not to be kept."""
        if operand.kind == SCALAR:
            return self.v[self.code.place(operand.number)]
        if operand.kind != ARRAY:
            return operand.value
        found = self.views.get(operand)
        if found is None or PyArray_DATA(<ndarray>found) != self.data[operand.number] + operand.offset:
            found = self.views[operand] = self.array(operand.layout[0], operand.layout[1], operand.strides,
                                                     self.data[operand.number] + operand.offset)
        return found

    cdef int store(self, outs, result, int64_t i) except -1:
        """Puts the result of the instruction at place i where it belongs; 0 if it has another shape or type than it was recorded with."""
        cdef tuple layout
        if outs is None:
            return 1
        if isinstance(outs, int):
            if outs < 0:
                self.v[i] = result
                return 1
            layout = <tuple>self.code.tape.storages[outs]
            if np.shape(result) != layout[0] or getattr(result, "dtype", layout[1]) != layout[1]:
                return 0
            self.whole(outs)[...] = result
            return 1
        if len(result) != len(outs):
            return 0
        for out, part in zip(outs, result):
            if not self.store(out, part, i):
                return 0
        return 1

    cdef int call_python(self, int64_t i) except -1:
        """The array instruction at place i; 0 if it is a guard that does not hold, or says that it has no result: the user's function,
        run again, may catch that.
        """
        record = self.code.tape.records[self.code.c.a[i]]
        cdef object result
        try:
            result = (<Record>record).compute(self.value)
        except np.linalg.LinAlgError as error:
            self.error, self.found = error.with_traceback(None), shapes_found(np.True_)     # what `fails` is recorded with
            return 0
        if type(record) is Guard:
            return 1 if result else 0
        if type(record) is Assign or type(record) is AddAt:
            return 1
        if self.store(outs_of(record), result, i):
            return 1
        self.found = shapes_found(result)
        return 0

    cdef bint run(self, Position* at, int64_t end) except -1:
        """Goes on to a place; 0 if a guard does not hold, and then `self.at` is its instruction."""
        cdef CodeView view = self.code.view()
        cdef Stop stop
        self.error = None
        if self.schedule is not None:
            return run_schedule(self, at)
        if not self.complete:
            at[0] = Position(0, 0, 0)           # it came from a schedule, which leaves nothing to go on from
            self.complete = True
        while True:
            if self.code.short:
                stop = run(&view, self.v, self.data, at, end)
            else:
                with nogil:
                    stop = run(&view, self.v, self.data, at, end)
            if stop == FINISHED:
                return True
            if stop == MISSED:
                self.at = self.code.check_origins[at.check]
                return False
            if stop == FAILED or not self.call_python(at.i):
                self.at = self.code.origin(at.i)
                return False
            at.i += 1
            at.window += 1

    cdef int refresh(self) except -1:
        for number, array in self.code.refreshed:
            self.whole(number)[...] = array
        return 0


@cython.final
cdef class Pool:
    """Workspaces that no call uses."""

    cdef object spare          # the one taken next, or None
    cdef list more

    def __cinit__(self):
        self.more = []

    def __len__(self):
        return (self.spare is not None) + len(self.more)

    cdef Workspace take(self):
        cdef object ws = self.spare
        if ws is not None:
            self.spare = None
            return <Workspace>ws
        return <Workspace>self.more.pop() if self.more else Workspace()

    cdef int put(self, Workspace ws) except -1:
        if self.spare is None:
            self.spare = ws
        elif len(self.more) < SPARE - 1:
            self.more.append(ws)
        return 0
