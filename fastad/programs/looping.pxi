# Many replays of one path, each from what the one before gave: the steps of a scan, with nothing of Python between them.

cdef extern from "Python.h":
    int PyErr_CheckSignals() except -1


cdef struct Source:        # where a result of a path is
    int kind               # SCALAR: a slot; ARRAY: a storage; FIXED: an address
    int32_t number
    int64_t offset
    const char* address
    int64_t bytes


cdef struct Track:         # the entries of an array along its first axis
    char* start
    int64_t stride         # in bytes
    int64_t bytes          # of an entry


@cython.final
cdef class Steps:
    """Replays of one path, step after step.

    Its inputs are consts, the carry, and an entry of each of xs; its outputs the new carry, and an entry of each of ys. `possible`
    says whether all of them are whole numbers of bytes in one piece.
    """

    cdef Replay replay
    cdef Py_ssize_t consts, carry, xs, ys
    cdef readonly bint possible
    cdef Source* sources
    cdef Track* tracks         # of the carry, xs, ys and what is kept
    cdef list fixed

    def __cinit__(self, Replay replay, Py_ssize_t consts, Py_ssize_t carry):
        cdef Code code = replay.code
        cdef Py_ssize_t k
        self.replay, self.consts, self.carry, self.fixed = replay, consts, carry, []
        self.xs, self.ys = len(code.inputs) - consts - carry, len(code.outputs) - carry
        self.sources = <Source*>calloc(len(code.outputs) + 1, sizeof(Source))
        self.tracks = <Track*>calloc(2 * carry + self.xs + self.ys + 1, sizeof(Track))
        if self.sources == NULL or self.tracks == NULL:
            raise MemoryError("no memory for a loop")
        self.possible = True
        for k, x in enumerate(code.outputs):
            self.possible = self.possible and self.find(k, x)
        for k in range(carry):
            self.possible = self.possible and self.sources[k].bytes == self.bytes_of_input(consts + k)

    def __dealloc__(self):
        free(self.sources)
        free(self.tracks)

    cdef bint find(self, Py_ssize_t k, x) except -1:
        """Notes where output k is; False if that is not in one piece."""
        cdef Code code = self.replay.code
        cdef Source* source = &self.sources[k]
        cdef ndarray value
        if type(x) is Plain:
            value = np.array(x.value, order="C")
            self.fixed.append(value)
            source.kind, source.address, source.bytes = FIXED, PyArray_BYTES(value), PyArray_NBYTES(value)
            return True
        if isinstance(x, int):
            source.kind, source.number, source.bytes = SCALAR, <int32_t>code.place(x), sizeof(double)
            return True
        operand = x.operand if type(x) is Single else x
        shape, dtype = operand.layout
        source.kind, source.number, source.offset = ARRAY, operand.number, operand.offset
        source.bytes = bytes_of(shape, dtype)
        return operand.strides is None or operand.strides == contiguous_strides(shape, dtype.itemsize)

    cdef int64_t bytes_of_input(self, Py_ssize_t k) except -1:
        cdef Leaf* leaf = &self.replay.code.leaves[k]
        if leaf.kind == SCALAR:
            return sizeof(double)
        shape, dtype = self.replay.code.tape.storages[leaf.number]
        return bytes_of(shape, dtype)

    cdef const char* at(self, const Source* source) noexcept:
        cdef Workspace ws = self.replay.ws
        if source.kind == SCALAR:
            return <const char*>(ws.v + source.number)
        return source.address if source.kind == FIXED else ws.data[source.number] + source.offset

    cdef char* input(self, Py_ssize_t k) noexcept:
        cdef Leaf* leaf = &self.replay.code.leaves[k]
        return <char*>(self.replay.ws.v + leaf.number) if leaf.kind == SCALAR else self.replay.ws.data[leaf.number]

    cdef int follow(self, Py_ssize_t first, list arrays, bint entries) except -1:
        """Notes where arrays are, or their entries; a ValueError if they are not what the path has."""
        cdef ndarray array
        cdef Track* track
        cdef Py_ssize_t k
        for k, array in enumerate(arrays):
            track = &self.tracks[first + k]
            shape = (<object>array).shape[1:] if entries else (<object>array).shape
            track.start, track.stride = PyArray_BYTES(array), PyArray_STRIDES(array)[0] if entries else 0
            track.bytes = bytes_of(shape, array.dtype)
            if ((<object>array).strides[1:] if entries else (<object>array).strides) != contiguous_strides(shape, array.dtype.itemsize) \
                    and track.bytes:
                raise ValueError("an array of a loop is not in one piece")
        return 0

    def run(self, list consts, list carry, list xs, list ys, list kept, int64_t first, int64_t stop):
        """Carries out step `first`, and those behind it up to `stop` or, if that is less, before it down to `stop`, exclusive.

        The arrays of the carry are read and written, entries of ys and of `kept` (the carries before each step; it may be empty)
        are written. Returns `stop`, or the step that takes another path, before which the carry then is.
        """
        cdef Replay replay = self.replay
        cdef Workspace ws = replay.ws
        cdef Py_ssize_t carried = self.carry, n = self.consts + self.carry, k
        cdef Track* state = self.tracks
        cdef Track* x = state + carried
        cdef Track* y = x + self.xs
        cdef Track* before = y + self.ys
        cdef int64_t i = first, end = replay.code.c.n, direction = 1 if stop > first else -1
        cdef char* to
        cdef Position at
        self.check(carry, xs, ys, kept)
        # Inputs that were lent are the caller's: what is written here is written elsewhere.
        ws.take_back()
        while i != stop:
            # A replay may use the memory of its inputs for what comes later.
            if self.consts or i == first or replay.code.refreshed:
                replay.start(consts)
            for k in range(carried):
                memcpy(self.input(self.consts + k), state[k].start, state[k].bytes)
            for k in range(len(kept)):
                memcpy(before[k].start + i * before[k].stride, state[k].start, before[k].bytes)
            for k in range(self.xs):
                memcpy(self.input(n + k), x[k].start + i * x[k].stride, x[k].bytes)
            at = Position(0, 0, 0)
            if not ws.run(&at, end):
                break
            for k in range(carried):
                memcpy(state[k].start, self.at(&self.sources[k]), state[k].bytes)
            for k in range(self.ys):
                memcpy(y[k].start + i * y[k].stride, self.at(&self.sources[carried + k]), y[k].bytes)
            i += direction
            if i & 1023 == 0:
                with nogil:
                    pass               # other threads go on
                PyErr_CheckSignals()
        return i

    cdef int check(self, list carry, list xs, list ys, list kept) except -1:
        """Notes where the arrays of a run are. ValueError if they do not have the bytes that the path has."""
        cdef Py_ssize_t k, n = self.consts + self.carry
        if len(carry) != self.carry or len(xs) != self.xs or len(ys) != self.ys or len(kept) not in (0, self.carry):
            raise ValueError("a loop has another number of arrays")
        self.follow(0, carry, False)
        self.follow(self.carry, xs, True)
        self.follow(self.carry + self.xs, ys, True)
        self.follow(self.carry + self.xs + self.ys, kept, True)
        for k in range(self.carry + self.xs):
            if self.tracks[k].bytes != self.bytes_of_input(self.consts + k):
                raise ValueError("an array of a loop has another size")
        for k in range(self.ys):
            if self.tracks[self.carry + self.xs + k].bytes != self.sources[self.carry + k].bytes:
                raise ValueError("a result of a loop has another size")
        for k in range(len(kept)):
            if self.tracks[self.carry + self.xs + self.ys + k].bytes != self.tracks[k].bytes:
                raise ValueError("what a loop keeps has another size")
        return 0
