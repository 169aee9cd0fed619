# A path for many points (rows of a batch): as steps on lanes where it is made of scalars, else replayed row after row.

cdef struct RowPort:           # an input or a result
    int kind                   # SCALAR, ARRAY, or 0 where Python writes it
    int32_t number             # place of a slot, or storage
    int64_t offset             # bytes into the storage
    int64_t bytes              # of one row
    char* data                 # of row 0
    int64_t stride             # from one row to the next


def lanes_of(Code code, frozenset differentiated, frozenset shared, bint fast, dict exits):
    """The path as Lanes for rows that differ in all inputs but those numbered in `shared`; None where that can not be.

    exits: {guard: slots of the results if it fails}, where they are there before it.
    differentiated: numbers of the inputs that the gradient of its one result is wanted for; empty for values only.
    """
    cdef Py_ssize_t k, storages = max(len(code.tape.storages), 1)
    cdef Path path
    cdef int32_t* leaves = NULL
    cdef const double** fixed = NULL
    cdef double* expected = NULL
    cdef dict inputs = {}
    if not code.numeric or code.refreshed:
        return None
    try:
        leaves, fixed = <int32_t*>malloc(storages * sizeof(int32_t)), <const double**>calloc(storages, sizeof(double*))
        expected = <double*>malloc((code.guards + 1) * sizeof(double))
        if leaves == NULL or fixed == NULL or expected == NULL:
            raise MemoryError("no memory for a program on many points")
        for k in range(storages):
            leaves[k] = -1
        for k in range(len(code.inputs)):
            if code.leaves[k].kind == ARRAY:
                leaves[code.leaves[k].number] = <int32_t>k
            else:
                inputs[code.leaves[k].number] = k
        for number, array in code.fixed:
            fixed[<Py_ssize_t>number] = <const double*>PyArray_DATA(<ndarray>array)
        for k in range(code.guards):
            expected[k] = code.tape.c.v[code.check_origins[k]]
        path.c, path.checks, path.expected, path.guards, path.leaves, path.fixed = &code.c, code.checks, expected, code.guards, leaves, fixed
        outputs = [code.place(<int64_t>x) if isinstance(x, int) else -1 for x in code.outputs]
        places = {k: [code.place(<int64_t>x) for x in slots] for k, slots in exits.items()}
        return lowered(path, code, inputs, outputs, differentiated, shared, fast, places)
    finally:
        free(leaves)
        free(fixed)
        free(expected)


def guard_at(Code code, int64_t k):
    """(its instruction, whether it compares a number that left, what it expects of a comparison) of guard number k."""
    return code.check_origins[k], code.checks[k].op == OP_GUARD_VALUE, bool(code.checks[k].expected)


cdef int set_port(RowPort* port, Code code, x, address) except -1:
    """Describes one row of an input or result x of `code`, whose rows are at (address, stride)."""
    cdef Operand operand
    port.data, port.stride = <char*><size_t>address[0], address[1]
    port.kind, port.offset = 0, 0
    if isinstance(x, int):
        port.kind, port.number, port.bytes = SCALAR, <int32_t>code.place(x), sizeof(double)
    elif type(x) is Operand or type(x) is Single:
        operand = x if type(x) is Operand else x.operand
        shape, dtype = operand.layout
        if operand.kind == ARRAY and (operand.strides is None or operand.strides == np.empty(shape, dtype).strides):
            port.kind, port.number, port.bytes = ARRAY, operand.number, bytes_of(shape, dtype)
            port.offset = 0 if operand.strides is None else operand.offset
    return 0


@cython.final
cdef class RowWorker:
    """Replays rows one after another in a workspace of its own; one per thread.

    inputs    (address, bytes from one row to the next) of each input
    results   (what a Code refers to, (address, stride), array of all rows) of each result; the array is written where nothing simpler serves
    """

    cdef Code code
    cdef Workspace ws
    cdef RowPort* inputs
    cdef RowPort* results
    cdef Py_ssize_t input_count, result_count
    cdef list written          # (result, array) that Python writes
    cdef bint python_writes    # whether there are such
    cdef bint stopping
    cdef readonly list missed  # (place among the rows, instruction, what was found there); None for what only a call can tell

    def __cinit__(self, Code code, list inputs, list results):
        cdef Py_ssize_t k
        self.code, self.ws = code, Workspace()
        self.ws.enter(code, 0)
        self.ws.make_results(code)
        self.written, self.missed = [], []
        self.input_count = len(inputs)
        self.inputs = <RowPort*>calloc(len(inputs) + 1, sizeof(RowPort))
        self.results = <RowPort*>calloc(len(results) + 1, sizeof(RowPort))
        if self.inputs == NULL or self.results == NULL:
            raise MemoryError("no memory for a program on many rows")
        for k in range(len(inputs)):
            set_port(&self.inputs[k], code, code.inputs[k], inputs[k])
        for x, address, array in results:
            set_port(&self.results[self.result_count], code, x, address)
            if self.results[self.result_count].kind and (isinstance(x, int) or layout_of(x)[1] == array.dtype):
                self.result_count += 1
            else:
                self.written.append((x, array))
                self.python_writes = True
        if code.refreshed:
            self.ws.refresh()

    def __dealloc__(self):
        free(self.inputs)
        free(self.results)

    def stop(self):
        """Makes `run` in another thread end after the row it is at."""
        self.stopping = True

    def run(self, size_t rows, int64_t start, int64_t stop):
        """Replays the rows numbered rows[start] to rows[stop - 1] (with rows 0: start to stop - 1), and returns how many have no results:
        what stopped them is appended to `missed`.
        """
        cdef const int64_t* numbers = <const int64_t*>rows
        cdef int64_t at = start
        cdef Py_ssize_t before = len(self.missed)
        while at < stop and not self.stopping:
            with nogil:
                at = self.go(numbers, at, stop)
            if at < stop and not self.stopping:
                self.with_python(numbers[at] if numbers != NULL else at, at)
                at += 1
        return len(self.missed) - before

    cdef int64_t go(self, const int64_t* numbers, int64_t at, int64_t stop) noexcept nogil:
        """Replays rows until one needs Python; returns its place."""
        cdef CodeView view = self.code.view()
        cdef Position position
        cdef int64_t row
        if self.python_writes:
            return at
        while at < stop and not self.stopping:
            row = numbers[at] if numbers != NULL else at
            self.copy_in(row)
            position = Position(0, 0, 0)
            if run(&view, self.ws.v, self.ws.data, &position, self.code.c.n) != FINISHED:
                return at
            self.copy_out(row)
            at += 1
        return at

    cdef int with_python(self, int64_t row, int64_t at) except -1:
        """Replays a row with the GIL; where it stops at a guard, notes that."""
        cdef Position position = Position(0, 0, 0)
        self.copy_in(row)
        try:
            if self.ws.run(&position, self.code.c.n):
                self.copy_out(row)
                for x, array in self.written:
                    array[row] = leaf_value(self.ws, x)
                if self.written:
                    self.ws.make_results(self.code)         # those of this row have left
            else:
                self.missed.append((at, self.ws.at, outcome_of(self.ws, self.ws.at)))
        except Exception:
            # The call of this row tells, in the user's words.
            self.missed.append((at, -1, None))
        return 0

    cdef void copy_in(self, int64_t row) noexcept nogil:
        cdef const RowPort* port
        cdef Py_ssize_t k
        for k in range(self.input_count):
            port = &self.inputs[k]
            if port.kind == SCALAR:
                self.ws.v[port.number] = (<const double*>(port.data + row * port.stride))[0]
            else:
                memcpy(self.ws.data[port.number], port.data + row * port.stride, port.bytes)

    cdef void copy_out(self, int64_t row) noexcept nogil:
        cdef const RowPort* port
        cdef Py_ssize_t k
        for k in range(self.result_count):
            port = &self.results[k]
            if port.kind == SCALAR:
                (<double*>(port.data + row * port.stride))[0] = self.ws.v[port.number]
            else:
                memcpy(port.data + row * port.stride, self.ws.data[port.number] + port.offset, port.bytes)


cdef tuple layout_of(x):
    return (<Operand>(x if type(x) is Operand else x.operand)).layout
