# Operands of kernels, as shapes and strides are known when a program is made.

@cython.final
cdef class Ref:
    """An operand of a kernel: where it is, its shape, strides (bytes) and type."""

    cdef Place place
    cdef readonly tuple shape
    cdef readonly tuple strides
    cdef readonly int type_number
    cdef readonly int itemsize

    cdef Ref like(self, shape, strides, int64_t offset):
        cdef Ref ref = Ref.__new__(Ref)
        ref.place, ref.shape, ref.strides = self.place, tuple(shape), tuple(strides)
        ref.type_number, ref.itemsize = self.type_number, self.itemsize
        ref.place.offset += offset
        return ref

    cdef list steps_for(self, tuple shape):
        """Strides for elements of a shape that this one is broadcast to."""
        cdef int extra = <int>(len(shape) - len(self.shape))
        return [0] * extra + [0 if own == 1 and length != 1 else step
                              for own, length, step in zip(self.shape, shape[extra:], self.strides)]

    cdef Ref expanded(self, tuple shape, tuple axes):
        """A reduction's result as it stands beside what is reduced: stride 0 along the axes."""
        cdef list kept = [k for k in range(len(shape)) if k not in axes]
        if len(self.shape) == len(shape):
            strides = [0 if k in axes else self.strides[k] for k in range(len(shape))]
        else:
            strides = [0] * len(shape)
            for k, step in zip(kept, self.strides):
                strides[k] = step
        return self.like(shape, strides, 0)

    cdef Ref first(self, tuple axes):
        """The first element along the axes, which are kept."""
        return self.like([1 if k in axes else n for k, n in enumerate(self.shape)], self.strides, 0)

    cdef Ref rest_of(self, int axis, tuple firsts):
        """All but the first along one axis, the first along others."""
        shape = [1 if k in firsts else n - 1 if k == axis else n for k, n in enumerate(self.shape)]
        return self.like(shape, self.strides, self.strides[axis])

    cdef Ref moved(self, order):
        return self.like([self.shape[k] for k in order], [self.strides[k] for k in order], 0)


cdef int ref_size(dtype) except -1:
    return np.dtype(dtype).itemsize


cdef tuple contiguous_strides(tuple shape, Py_ssize_t itemsize):
    strides = []
    for n in reversed(shape):
        strides.append(itemsize)
        itemsize *= max(n, 1)
    return tuple(reversed(strides))


cdef Ref ref_of(Tape tape, operand, like=None):
    """The Ref of an Operand, or of a plain number taken as `like` (a dtype) in arithmetic; None for anything else."""
    cdef Ref ref = Ref.__new__(Ref)
    cdef Operand o
    if type(operand) is Operand and (<Operand>operand).kind == ARRAY:
        o = <Operand>operand
        ref.place.kind, ref.place.number, ref.place.offset = ARRAY, o.number, o.offset
        ref.shape, dtype = o.layout
        ref.strides = o.strides if o.strides is not None else contiguous_strides(ref.shape, dtype.itemsize)
        ref.type_number, ref.itemsize = dtype.num, dtype.itemsize
        return ref
    ref.shape = ref.strides = ()
    if type(operand) is Operand and (<Operand>operand).kind == SCALAR:
        if like is not None and like != np.float64:
            return None                    # it is converted first; rare
        ref.place.kind, ref.place.number = SCALAR, (<Operand>operand).number
        ref.type_number, ref.itemsize = cnp.NPY_DOUBLE, 8
        return ref
    number = (<Operand>operand).value if type(operand) is Operand else operand
    if like is None or type(number) not in (float, int, bool, np.float64, np.float32):
        return None
    if like == np.int64 and type(number) is int and -2**63 <= number < 2**63:
        ref.place.whole = number
        ref.place.offset = <char*>&ref.place.whole - <char*>&ref.place.constant
        ref.type_number, ref.itemsize = like.num, 8
        return ref
    if like.kind != "f":
        return None
    ref.place.constant = number
    ref.type_number, ref.itemsize = cnp.NPY_DOUBLE, 8
    if like == np.float32:
        if type(number) is np.float64:
            return None
        ref.place.single = <float>ref.place.constant
        ref.place.offset = <char*>&ref.place.single - <char*>&ref.place.constant
        ref.type_number, ref.itemsize = cnp.NPY_FLOAT, 4
    return ref


cdef Ref whole_ref(Tape tape, out, int64_t slot):
    """The Ref of a result: a storage, or a slot if that is negative."""
    cdef Ref ref = Ref.__new__(Ref)
    if out < 0:
        ref.place.kind, ref.place.number = SCALAR, <int32_t>slot
        ref.shape = ref.strides = ()
        ref.type_number, ref.itemsize = cnp.NPY_DOUBLE, 8
        return ref
    ref.place.kind, ref.place.number = ARRAY, out
    ref.shape, dtype = tape.storages[out]
    ref.strides = contiguous_strides(ref.shape, dtype.itemsize)
    ref.type_number, ref.itemsize = dtype.num, dtype.itemsize
    return ref
