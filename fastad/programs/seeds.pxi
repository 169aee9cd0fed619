# Whole Jacobians and Hessians of paths of scalars: sweeps of several seeds, over the instructions as they are.

@cython.final
cdef class LaneSweep:
    """Lanes of tangents or adjoints of slots, and of the elements of input arrays."""

    cdef CTape t
    cdef double* w
    cdef int64_t size            # numbers in w
    cdef double** data           # into w, behind the slots
    cdef double** units          # by element of the inputs, its lanes; NULL where nothing depends on them
    cdef int64_t count           # of units

    def __cinit__(self, Workspace ws, list inputs):
        cdef Code code = ws.code
        cdef Py_ssize_t storages = len(code.tape.storages), k
        cdef int64_t n = code.c.n, room = 0
        complete(ws)
        self.t = code.c
        self.t.v = ws.v
        for k in inputs:
            room += unit_count(code, k)
        self.data, self.units = <double**>calloc(storages + 1, sizeof(double*)), <double**>calloc(room + 1, sizeof(double*))
        if self.data == NULL or self.units == NULL:
            raise MemoryError("no memory for a sweep")
        for k in inputs:
            if code.leaves[k].kind == ARRAY and is_double(code, code.leaves[k].number):
                n += unit_count(code, k)
        self.size = max(LANES * n, <int64_t>1)
        self.w = zeros(self.size)
        n = code.c.n
        for k in inputs:
            n = self.add_units(code, k, n)

    def __dealloc__(self):
        give_back(self.w)
        free(self.data)
        free(self.units)

    cdef int64_t add_units(self, Code code, Py_ssize_t k, int64_t n) except -1:
        """Finds the lanes of an input's elements; those of an array come from n on."""
        cdef int64_t i, number = code.leaves[k].number, length = unit_count(code, k)
        if code.leaves[k].kind == SCALAR:
            self.units[self.count] = self.w + LANES * number
        elif is_double(code, number):
            self.data[number] = self.w + LANES * n
            for i in range(length):
                self.units[self.count + i] = self.data[number] + LANES * i
            n += length
        self.count += length
        return n

    cdef void seed(self, int64_t first) noexcept nogil:
        """Ones in the lanes of units from `first` on, zeros in everything else."""
        cdef int64_t l
        memset(self.w, 0, self.size * sizeof(double))
        for l in range(min(<int64_t>LANES, self.count - first)):
            if self.units[first + l] != NULL:
                self.units[first + l][l] = 1.0


cdef bint is_double(Code code, Py_ssize_t number) except -1:
    return (<cnp.dtype>(<tuple>code.tape.storages[number])[1]).num == NPY_DOUBLE


cdef int64_t unit_count(Code code, Py_ssize_t k) except -1:
    """How many numbers an input is."""
    cdef int64_t count = 1
    if code.leaves[k].kind == ARRAY:
        for length in (<tuple>code.tape.storages[code.leaves[k].number])[0]:
            count *= length
    return count


cdef ndarray matrix(int64_t rows, int64_t columns):
    cdef cnp.npy_intp[2] dims
    dims[0], dims[1] = rows, columns
    return cnp.PyArray_ZEROS(2, dims, NPY_DOUBLE, 0)


cdef ndarray columns_of(Replay replay, list inputs, list outputs):
    cdef LaneSweep t = LaneSweep(replay.ws, inputs)
    cdef ndarray result = matrix(len(outputs), t.count)
    cdef double* p = <double*>PyArray_DATA(result)
    cdef Py_ssize_t first, k, l
    for first in range(0, t.count, LANES):
        with nogil:
            t.seed(first)
            tangent_lanes(&t.t, t.w, t.data)
        for k in range(len(outputs)):
            if outputs[k] >= 0:
                memcpy(p + k * t.count + first, t.w + LANES * replay.code.place(outputs[k]),
                       min(<int64_t>LANES, t.count - first) * sizeof(double))
    return result


cdef ndarray rows_of(Replay replay, list inputs, list outputs):
    cdef LaneSweep w = LaneSweep(replay.ws, inputs)
    cdef int64_t count = len(outputs), first, k, l
    cdef ndarray result = matrix(count, w.count)
    cdef double* p = <double*>PyArray_DATA(result)
    for first in range(0, count, LANES):
        memset(w.w, 0, w.size * sizeof(double))
        for l in range(min(<int64_t>LANES, count - first)):
            if outputs[first + l] >= 0:
                w.w[LANES * replay.code.place(outputs[first + l]) + l] = 1.0
        with nogil:
            reverse_lanes(&w.t, w.w, w.data)
            for l in range(min(<int64_t>LANES, count - first)):
                for k in range(w.count):
                    if w.units[k] != NULL:
                        p[(first + l) * w.count + k] = w.units[k][l]
    return result


cdef int sweep_second(LaneSweep t, LaneSweep s, LaneSweep w, int64_t place) except -1:
    """The adjoint tangents s, of one output, for tangents whose seeds are set."""
    cdef int64_t stopped
    with nogil:
        tangent_lanes(&t.t, t.w, t.data)
        memset(s.w, 0, s.size * sizeof(double))
        memset(w.w, 0, w.size * sizeof(double))
        w.w[place] = 1.0
        stopped = reverse_tangent_lanes(&t.t, t.w, w.w, s.w, w.data, s.data)
    return check_second(&t.t, stopped)


cdef ndarray curvature_of(Replay replay, list inputs, int64_t output):
    cdef LaneSweep t = LaneSweep(replay.ws, inputs)
    cdef LaneSweep s = LaneSweep(replay.ws, inputs)
    cdef LaneSweep w = LaneSweep(replay.ws, inputs)
    cdef ndarray result = matrix(t.count, t.count)
    cdef double* p = <double*>PyArray_DATA(result)
    cdef int64_t first, k
    if output < 0:
        return result
    for first in range(0, t.count, LANES):
        t.seed(first)
        sweep_second(t, s, w, replay.code.place(output))
        for k in range(s.count):
            if s.units[k] != NULL:
                memcpy(p + k * s.count + first, s.units[k], min(<int64_t>LANES, s.count - first) * sizeof(double))
    return result


cdef list product_by_lanes(Replay replay, list inputs, list tangents, int64_t output):
    """The Hessian of an output times tangents of inputs, in one lane."""
    cdef LaneSweep t = LaneSweep(replay.ws, inputs)
    cdef LaneSweep s = LaneSweep(replay.ws, inputs)
    cdef LaneSweep w = LaneSweep(replay.ws, inputs)
    cdef list results = []
    cdef ndarray array
    cdef int64_t k = 0, i
    for leaf, tangent in zip(inputs, tangents):
        if tangent is None:
            k += unit_count(replay.code, leaf)
            continue
        for number in np.ravel(tangent).tolist():
            if t.units[k] != NULL:
                t.units[k][0] = number
            k += 1
    if output >= 0:
        sweep_second(t, s, w, replay.code.place(output))
    k = 0
    for leaf in inputs:
        if replay.code.leaves[<Py_ssize_t>leaf].kind == SCALAR:
            results.append(s.units[k][0])
            k += 1
            continue
        array = np.zeros(*replay.code.tape.storages[replay.code.leaves[<Py_ssize_t>leaf].number])
        for i in range(unit_count(replay.code, leaf)):
            if s.units[k] != NULL:
                (<double*>PyArray_DATA(array))[i] = s.units[k][0]
            k += 1
        results.append(array)
    return results
