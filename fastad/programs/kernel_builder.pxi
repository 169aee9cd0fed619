# Kernels (kernels.pxi) of operands (refs.pxi), one by one: what lowering.pxi makes of an array instruction.

@cython.final
cdef class Lowering:
    """The kernels of one array instruction as they are put together."""

    cdef Tape tape
    cdef Kernel* kernels
    cdef int32_t count
    cdef list kept
    cdef list extra         # storages that kernels need between them: (shape, dtype), numbered behind the tape's
    cdef bint small          # no kernel takes long
    cdef bint fast           # the functions of FAST need not be NumPy's to the last bit
    cdef dict constants      # by storage: the Constant that is there
    cdef bint checks         # the kernels are right only for indices as they were recorded
    cdef Spread spread       # of the values of several seeds; None for one
    cdef bint spreads        # whether the instruction depends on them

    def __cinit__(self, Tape tape, list extra, bint fast, dict constants, Spread spread=None, bint spreads=False):
        self.tape, self.kept, self.extra, self.small, self.fast, self.constants = tape, [], extra, True, fast, constants
        self.spread, self.spreads = spread, spreads

    def __dealloc__(self):
        free(self.kernels)

    cdef Kernel* take(self) noexcept:
        kernels, self.kernels = self.kernels, NULL
        return kernels

    cdef Kernel* add(self) except NULL:
        cdef Kernel* kernels = <Kernel*>realloc(self.kernels, (self.count + 1) * sizeof(Kernel))
        if kernels == NULL:
            raise MemoryError("no memory for a program")
        self.kernels = kernels
        self.count += 1
        memset(&kernels[self.count - 1], 0, sizeof(Kernel))
        return &kernels[self.count - 1]

    cdef Ref between(self, tuple shape, dtype):
        """A storage for what one kernel leaves to the next."""
        cdef Ref ref = Ref.__new__(Ref)
        ref.place.kind, ref.place.number = ARRAY, <int32_t>(len(self.tape.storages) + len(self.extra))
        self.extra.append((shape, np.dtype(dtype)))
        if self.spreads:
            self.spread.spans[<Py_ssize_t>ref.place.number] = bytes_of(shape, np.dtype(dtype))
        ref.shape, ref.strides = shape, contiguous_strides(shape, ref_size(dtype))
        ref.type_number, ref.itemsize = np.dtype(dtype).num, ref_size(dtype)
        return ref

    cdef Ref fixed(self, value):
        """The Ref of an array that is the same in every replay."""
        cdef Ref ref = Ref.__new__(Ref)
        cdef ndarray array = np.asarray(value, order="C")
        dtype = (<object>array).dtype
        self.kept.append(array)
        ref.place.kind, ref.place.address = FIXED, PyArray_BYTES(array)
        ref.shape, ref.strides = (<object>array).shape, contiguous_strides((<object>array).shape, dtype.itemsize)
        ref.type_number, ref.itemsize = dtype.num, dtype.itemsize
        return ref

    cdef int check(self, Ref x, ndarray expected) except -1:
        """Adds a kernel that leaves the instruction to Python if x is no longer what it was; later kernels of it join no chain."""
        cdef Kernel* kernel
        if PyArray_NBYTES(expected) == 0:
            return 0
        self.checks = True
        kernel = self.add()
        kernel.checked = equal_bytes
        self.nest(kernel, [x.like((), (), 0), self.fixed(expected).like((), (), 0)], ())
        kernel.lengths[1] = PyArray_NBYTES(expected)
        return 0

    cdef int at_places(self, Loop loop, list operands, tuple shape) except -1:
        """Adds a kernel that goes to places that operands tell, in order."""
        cdef Kernel* kernel
        if loop == NULL:
            return 0
        kernel = self.add()
        kernel.loop = loop
        return self.nest(kernel, operands, shape, True)

    cdef Ref converted(self, Ref ref, dtype):
        """A Ref in another type; None if there is no loop that converts."""
        cdef Ref other
        if ref is None or ref.type_number == np.dtype(dtype).num:
            return ref
        other = self.between(ref.shape, dtype)
        return other if self.copy(ref, other) else None

    cdef int nest(self, Kernel* kernel, list operands, tuple shape, bint whole=False) except -1:
        """Puts operands, Refs broadcast to a shape, into a kernel; dimensions that are one in memory are merged, and a loop over seeds
        goes around them where operands depend on those. 0 if they are too many. A kernel that takes `whole` arrays, of which the loop
        over the shape is told only the start, never has the seeds in that loop.
        """
        cdef list lengths = [], steps = []
        cdef int k, d
        cdef Ref ref
        rows = [(<Ref>ref).steps_for(shape) for ref in operands]
        if self.spread is not None:
            spans = [self.spread.step((<Ref>ref).place.kind, (<Ref>ref).place.number) for ref in operands]
            if any(spans):
                kernel.seeded, shape = True, (self.spread.count, *shape)
                rows = [[span, *row] for span, row in zip(spans, rows)]
        for d, length in enumerate(shape):
            step = [row[d] for row in rows]
            if length == 1:
                continue
            if lengths and all([before == length * after for before, after in zip(steps[len(steps) - 1], step)]):
                lengths[len(lengths) - 1] *= length
                steps[len(steps) - 1] = step
            else:
                lengths.append(length)
                steps.append(step)
        if not lengths or (whole and kernel.seeded and math.prod(shape) == self.spread.count):
            lengths.append(1)
            steps.append([0] * len(operands))
        if len(lengths) > OUTER + 1:
            return 0
        kernel.count, kernel.outer = <int>len(operands), <int>len(lengths) - 1
        kernel.lengths[0] = lengths[len(lengths) - 1]
        for k, ref in enumerate(operands):
            kernel.places[k], kernel.sizes[k] = ref.place, ref.itemsize
            kernel.strides[k] = steps[len(steps) - 1][k]
            for d in range(kernel.outer):
                kernel.steps[d][k] = steps[d][k]
        for d in range(kernel.outer):
            kernel.around[d] = lengths[d]
        self.small = self.small and math.prod(shape) < SMALL
        return 1

    cdef int loop(self, Loop loop, void* data, list operands, tuple shape, bint own=True) except -1:
        """Adds an elementwise kernel, of fastad's own unless said otherwise."""
        cdef Kernel* kernel
        if 0 in shape:
            return 1
        kernel = self.add()
        kernel.loop, kernel.data, kernel.own, kernel.reorders = loop, data, own, own
        kernel.elementwise = not self.checks
        return self.nest(kernel, operands, shape)

    cdef int ufunc(self, function, list operands, tuple shape, bint reduces=False) except -1:
        """Adds a kernel with the loop of a ufunc for exactly these types; 0 if there is none. NumPy's own if it `reduces`."""
        cdef PyUFuncObject* u
        cdef Loop loop = NULL if reduces else own_loop_for(function, operands)
        cdef int i, k
        cdef bint fits
        if loop != NULL:
            return self.loop(loop, NULL, operands, shape)
        if type(function) is not np.ufunc:
            return 0
        u = <PyUFuncObject*>function
        if u.nin + u.nout != len(operands) or u.functions == NULL:
            return 0
        for i in range(u.ntypes):
            fits = u.functions[i] != NULL
            for k in range(u.nin + u.nout):
                fits = fits and u.types[i * (u.nin + u.nout) + k] == (<Ref>operands[k]).type_number
            if fits:
                self.kept.append(function)
                return self.loop(u.functions[i], u.data[i] if u.data != NULL else NULL, operands, shape, False)
        return 0

    cdef int row(self, int op, list operands, tuple shape) except -1:
        """Adds a kernel for a row of the op table that NumPy has no loop for."""
        cdef Loop loop = own_loop_for(op, operands)
        if loop != NULL:
            return self.loop(loop, NULL, operands, shape)
        for ref in operands:
            if (<Ref>ref).type_number != (<Ref>operands[0]).type_number:
                return 0
        if (<Ref>operands[0]).type_number == cnp.NPY_DOUBLE:
            return self.loop(row_loop_double, &row_numbers[op], operands, shape)
        if (<Ref>operands[0]).type_number == cnp.NPY_FLOAT:
            return self.loop(row_loop_float, &row_numbers[op], operands, shape)
        return 0

    cdef int copy(self, Ref source, Ref target) except -1:
        """Adds a kernel that copies, and converts, to a target of its own shape; 0 for types it does not know."""
        cdef Loop loop = NULL
        cdef int p = source.type_number, q = target.type_number
        cdef int size = target.itemsize
        if p == q:
            if size == 8:
                loop = copy_8
            elif size == 4:
                loop = copy_4
            elif size == 1:
                loop = copy_1
        elif q == cnp.NPY_DOUBLE:
            if p == cnp.NPY_FLOAT:
                loop = float_to_double
            elif p == cnp.NPY_BOOL:
                loop = bool_to_double
            elif p == np.dtype(np.int64).num:
                loop = int_to_double
        elif q == cnp.NPY_FLOAT:
            if p == cnp.NPY_DOUBLE:
                loop = double_to_float
            elif p == cnp.NPY_BOOL:
                loop = bool_to_float
            elif p == np.dtype(np.int64).num:
                loop = int_to_float
        if loop == NULL:
            return 0
        return self.loop(loop, NULL, [source, target], target.shape)

    cdef int reduce(self, function, Ref x, Ref out, tuple axes, bint keepdims) except -1:
        """Adds the reduction of x by a ufunc along axes into `out`, a whole storage or slot; 0 if some length is zero."""
        cdef Ref into
        if 0 in x.shape:
            return 0
        if len(axes) == 1 and x.type_number in (cnp.NPY_DOUBLE, cnp.NPY_FLOAT) and len(x.shape) > 1:
            if self.reduce_rows(function, x, out, axes[0]) or (function is np.add and self.sum_columns(x, out, axes[0])):
                return 1
        into = out.expanded(x.shape, axes)
        # The first elements along the axes, then the others: as NumPy does without an initial value.
        if not self.copy(x.first(axes), into.first(axes)):
            return 0
        return self.fold(function, x, into, axes)

    cdef int reduce_rows(self, function, Ref x, Ref out, int axis) except -1:
        """Adds the extremes, or the sums of elements side by side or few, along a last axis, in one call; 0 if it is none."""
        cdef bint double = x.type_number == cnp.NPY_DOUBLE
        cdef Loop loop = NULL
        if axis != <int>len(x.shape) - 1:
            return 0
        if function is np.add and (x.shape[axis] <= SHORT_SUM or x.strides[axis] == x.itemsize):
            loop = row_sums_double if double else row_sums_float
        elif function is np.minimum:
            loop = row_minima_double if double else row_minima_float
        elif function is np.maximum:
            loop = row_maxima_double if double else row_maxima_float
        return 0 if loop == NULL else self.rows(loop, [x, out], 1, x.shape)

    cdef int rows(self, Loop loop, list operands, int of_elements, tuple shape) except -1:
        """Adds a loop that makes one number of each row along the last axis of a shape. Operands whose bits are set in `of_elements` have rows of
        that shape, others one number for each row; 0 if there are too many dimensions.
        """
        cdef Kernel* kernel = self.add()
        cdef Ref ref
        cdef int k, last = <int>len(shape) - 1, count = <int>len(operands)
        cdef bint is_flat = not self.checks
        kernel.loop, kernel.reorders, kernel.lengths[1] = loop, True, shape[last]
        if not self.nest(kernel, [(<Ref>ref).like(shape[:last], ref.strides[:last], 0) for ref in operands], shape[:last]):
            self.count -= 1
            return 0
        for k, ref in enumerate(operands):
            if of_elements >> k & 1:
                kernel.strides[count + k] = ref.strides[last]
                is_flat = is_flat and ref.strides[last] == ref.itemsize and kernel.strides[k] == shape[last] * ref.itemsize
            else:
                is_flat = is_flat and (kernel.strides[k] == ref.itemsize or (kernel.strides[k] == 0 and k < count - 1))
        kernel.elementwise = is_flat and kernel.outer == 0 and kernel.lengths[0] > 1
        kernel.by_rows = of_elements if kernel.elementwise else 0
        self.small = self.small and math.prod(shape) < SMALL
        return 1

    cdef int sum_columns(self, Ref x, Ref out, int axis) except -1:
        """Adds the sum over an axis around a few elements side by side, in one call likewise; 0 if it is none."""
        cdef Kernel* kernel
        cdef Ref ref
        cdef int64_t columns = math.prod(x.shape[axis + 1:])
        cdef tuple inner = contiguous_strides(x.shape[axis + 1:], x.itemsize)
        if not 1 < columns <= MOST_COLUMNS or x.strides[axis + 1:] != inner or out.strides[len(out.strides) - len(inner):] != inner:
            return 0
        kernel = self.add()
        kernel.loop = column_sums_double if x.type_number == cnp.NPY_DOUBLE else column_sums_float
        kernel.reorders = True
        if not self.nest(kernel, [ref.like(x.shape[:axis], ref.strides[:axis], 0) for ref in (x, out)], x.shape[:axis]):
            self.count -= 1
            return 0
        kernel.lengths[1], kernel.lengths[2], kernel.strides[2] = x.shape[axis], columns, x.strides[axis]
        self.small = self.small and math.prod(x.shape) < SMALL
        return 1

    cdef int total(self, Ref x, Ref out) except -1:
        """Adds the sum of all elements of x, float64 or float32 side by side."""
        if math.prod(x.shape) == 1:
            return self.copy(x.like((), (), 0), out)           # its inner loop would be another one
        if not self.loop(fastad_total_double if x.type_number == cnp.NPY_DOUBLE else fastad_total_float, NULL, [x, out], x.shape):
            return 0
        self.kernels[self.count - 1].total, self.kernels[self.count - 1].reorders = True, False
        return 1

    cdef int fold(self, function, Ref x, Ref into, tuple axes) except -1:
        cdef Ref rest
        cdef Kernel* kernel
        cdef Loop own
        cdef tuple done = ()
        # Axis by axis: all but the first element along this one, at the first of those that follow, at all of those before.
        for axis in axes:
            if x.shape[axis] > 1:
                rest = x.rest_of(axis, tuple([a for a in axes if a not in done and a != axis]))
                target = into.rest_of(axis, tuple([a for a in axes if a not in done and a != axis]))
                if not self.ufunc(function, [target, rest, target], rest.shape, True):
                    return 0
                # Whatever the order of the loops, those along the axis come to an element in order.
                kernel = &self.kernels[self.count - 1]
                kernel.reorders = True
                own = own_loop_for(function, [target, rest, target])
                if own != NULL and kernel.lengths[0] >= SHORT_LOOP and kernel.strides[2] == target.itemsize:
                    kernel.loop, kernel.data = own, NULL
            done = (*done, axis)
        return 1
