# A replay under way, and the sweeps behind it where all instructions are scalar.

@cython.final
cdef class Replay:
    """One replay under way: a workspace, and where it stopped if a guard did not hold."""

    cdef Workspace ws
    cdef Code code
    cdef readonly int64_t at       # the instruction it stopped at; the length of the path if none
    cdef readonly object outcome   # what the guard found there

    def __cinit__(self, Code code, bint plain=False):
        self.code = code
        self.ws = code.workspace(plain)
        self.at = 0

    cdef int put(self, Py_ssize_t k, x) except -1:
        cdef Leaf* leaf = &self.code.leaves[k]
        cdef ndarray array
        if leaf.kind == SCALAR:
            self.ws.v[leaf.number] = x
        elif type(x) is ndarray and PyArray_IS_C_CONTIGUOUS(<ndarray>x) and PyArray_ISBEHAVED_RO(<ndarray>x):
            if PyArray_NBYTES(<ndarray>x) >= LARGE and self.code.lends and self.ws.schedule is None:
                self.ws.lend(leaf.number, <ndarray>x)
            else:
                memcpy(self.ws.data[leaf.number], PyArray_DATA(<ndarray>x), PyArray_NBYTES(<ndarray>x))
        else:
            self.ws.whole(leaf.number)[...] = x
        return 0

    def start(self, list leaves, Py_ssize_t first=0):
        """Sets the inputs from number `first` on: numbers and arrays of the shapes and types that were recorded."""
        cdef Py_ssize_t k
        if first == 0:
            self.ws.make_results(self.code)
        for k in range(len(leaves)):
            self.put(first + k, leaves[k])
        if self.code.refreshed:
            self.ws.refresh()

    def go_on(self, int64_t first, bint pause=False):
        """Runs the instructions of the tape from `first` on, to the end or where it can pause; False if a guard does not hold."""
        cdef Position at = position_of(self.code, first)
        self.at = self.code.start if pause and self.code.start else self.code.n
        if self.ws.run(&at, self.code.place(self.at)):
            return True
        self.at = self.ws.at
        self.outcome = outcome_of(self.ws, self.at)
        return False

    @property
    def error(self):
        """The exception with which the instruction it stopped at has no result; None for a guard."""
        return self.ws.error

    def switch(self, Code code):
        """Goes over to another path that is the same up to the instruction it stopped at."""
        self.ws.enter(code, self.at)
        self.code = code

    def result(self, which=None):
        """The leaves of the result."""
        return [leaf_value(self.ws, x) for x in (self.code.outputs if which is None else which)]

    def finish(self):
        """Gives the workspace back."""
        self.code.release(self.ws)

    # Numeric sweeps, for paths without array instructions.

    def reverse(self, list outputs, list adjoints, list inputs):
        """Adjoints of inputs (indices of leaves) for adjoints of outputs (slots, -1 for a constant): arrays and floats."""
        cdef Sweep sweep
        cdef int64_t i
        if self.ws.schedule is not None:
            return scheduled_reverse(self.ws, outputs, adjoints, inputs)
        sweep = Sweep(self.ws)
        i = sweep.t.n
        for slot, w in zip(outputs, adjoints):
            if slot >= 0:
                sweep.w[self.code.place(<int64_t>slot)] += <double>w
        with nogil:
            while i > 0:
                # It stops at array instructions: here these are inputs only, where adjoints stay.
                i = reverse_sweep(&sweep.t, sweep.w, 0, i, sweep.data)
        return sweep.collect(self.code, inputs)

    def tangent(self, list inputs, list tangents, list outputs):
        """Tangents of outputs (slots, -1 for a constant) for tangents of inputs (indices of leaves)."""
        cdef Sweep sweep
        cdef int64_t i = 0
        if self.ws.schedule is not None:
            return scheduled_tangent(self.ws, inputs, tangents, outputs)
        sweep = Sweep(self.ws)
        sweep.seed(self.code, inputs, tangents)
        with nogil:
            while i < sweep.t.n:
                i = behind_inputs(&sweep.t, i)
                i = tangent_sweep(&sweep.t, sweep.w, i, sweep.t.n, sweep.data)
        return [sweep.w[self.code.place(<int64_t>slot)] if slot >= 0 else 0.0 for slot in outputs]

    def product(self, list inputs, list tangents, int64_t output):
        """The Hessian of an output (a slot, -1 for a constant) times tangents of inputs."""
        cdef Sweep t, w, s
        cdef int64_t stopped
        if self.ws.schedule is not None and not self.ws.schedule.plan.second_unknown:
            return scheduled_product(self.ws, inputs, tangents, output)
        if self.code.tape.storages:
            return product_by_lanes(self, inputs, tangents, output)
        if output < 0:
            return [0.0] * len(inputs)
        t, w, s = Sweep(self.ws), Sweep(self.ws), Sweep(self.ws)
        t.seed(self.code, inputs, tangents)
        w.w[self.code.place(output)] = 1.0
        with nogil:
            tangent_sweep(&t.t, t.w, behind_inputs(&t.t, 0), t.t.n, NULL)
            stopped = reverse_tangent_sweep(&t.t, t.w, w.w, s.w, 0, t.t.n)
        check_second(&t.t, stopped)
        return s.collect(self.code, inputs)

    # Several seeds at a time.

    def columns(self, list inputs, list outputs):
        """The Jacobian of outputs (slots, -1 for a constant) by all elements of inputs (indices of leaves), by tangents: an array."""
        return columns_of(self, inputs, outputs)

    def rows(self, list inputs, list outputs):
        """The same by adjoints."""
        return rows_of(self, inputs, outputs)

    def curvature(self, list inputs, int64_t output):
        """The Hessian of an output (a slot, -1 for a constant) by all elements of inputs (indices of leaves): an array."""
        return curvature_of(self, inputs, output)

    # The same behind paths with arrays.

    @property
    def is_wide(self):
        """Whether what is behind the path is for several seeds at a time."""
        return self.code.spread is not None

    def derivatives(self, Py_ssize_t first, bint columns):
        """For the inputs from number `first` on, which are seeds, a list of the derivatives of each output: arrays (size of the output,
        size of the seed) if they are `columns`, else their transposes. None where a guard behind the path does not hold.
        """
        return jacobian_of_seeds(self, first, columns)

    @property
    def length(self):
        """Number of instructions of the path it is on."""
        return self.code.n


cdef int check_second(const CTape* t, int64_t stopped) except -1:
    """TraceError for the instruction, if any, that a reverse-tangent sweep stopped at."""
    if stopped >= 0:
        from fastad.errors import no_second_rule
        raise no_second_rule(t.b[stopped])
    return 0


cdef int64_t behind_inputs(const CTape* t, int64_t i) noexcept nogil:
    """The first instruction from i on that is no input: those have tangents of their own."""
    while i < t.n and (t.opcode[i] == OP_INPUT or t.opcode[i] == OP_ARRAY):
        i += 1
    return i


@cython.final
cdef class Sweep:
    """Tangents or adjoints of slots, and of the input arrays that single elements are read from."""

    cdef CTape t
    cdef double* w
    cdef double** data
    cdef list arrays

    def __cinit__(self, Workspace ws):
        cdef Code code = ws.code
        cdef list storages = code.tape.storages
        cdef tuple layout
        cdef ndarray array
        cdef Py_ssize_t k
        complete(ws)
        self.t = code.c
        self.t.v = ws.v
        self.w = zeros(max(code.c.n, <int64_t>1))
        self.arrays = []
        self.data = <double**>calloc(len(storages), sizeof(double*)) if storages else NULL
        if self.data == NULL and storages:
            raise MemoryError("no memory for a sweep")
        for k in range(len(storages)):
            array, layout = None, <tuple>storages[k]
            if (<cnp.dtype>layout[1]).num == NPY_DOUBLE:
                array = empty(layout)
                self.data[k] = <double*>PyArray_DATA(array)
                memset(PyArray_DATA(array), 0, PyArray_NBYTES(array))
            self.arrays.append(array)

    def __dealloc__(self):
        give_back(self.w)
        free(self.data)

    cdef list collect(self, Code code, list inputs):
        cdef list results = []
        cdef Leaf* leaf
        for k in inputs:
            leaf = &code.leaves[<Py_ssize_t>k]
            if leaf.kind == SCALAR:
                results.append(self.w[leaf.number])
            elif self.arrays[leaf.number] is None:
                results.append(np.zeros(*code.tape.storages[leaf.number]))
            else:
                results.append(self.arrays[leaf.number])
        return results

    cdef int seed(self, Code code, list inputs, list tangents) except -1:
        cdef Leaf* leaf
        for k, tangent in zip(inputs, tangents):
            leaf = &code.leaves[<Py_ssize_t>k]
            if leaf.kind == SCALAR:
                self.w[leaf.number] = tangent
            elif tangent is not None and self.arrays[leaf.number] is not None:
                self.arrays[leaf.number][...] = tangent
        return 0
