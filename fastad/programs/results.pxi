# Leaves of the result of a path: how they are kept, and how they leave.

class Plain:
    """A leaf of a result that is the same on the whole path."""

    __slots__ = ("value",)

    def __init__(self, value):
        self.value = value


class Single:
    """A leaf of a result that is a number of NumPy's: the operand of the array without dimensions it is kept in."""

    __slots__ = ("operand",)

    def __init__(self, operand):
        self.operand = operand


cdef list without_copies(Tape tape, list outputs):
    """Results, with what the last instructions copy in place of the copies."""
    cdef dict copied = {}
    cdef Operand x, operand
    cdef int64_t i = tape.c.n - 1
    cdef list results = []
    while i >= 0 and tape.c.opcode[i] == OP_ARRAY and type(tape.records[tape.c.a[i]]) is Copy:
        record = tape.records[tape.c.a[i]]
        x = record.x
        if x is None or x.kind != ARRAY or x.strides is not None or x.layout != tape.storages[record.out]:
            break
        copied[record.out] = x.number
        i -= 1
    for result in outputs:
        if type(result) is Operand and (<Operand>result).strides is None and (<Operand>result).number in copied:
            operand = Operand.__new__(Operand)
            operand.kind, operand.layout, operand.slot = ARRAY, (<Operand>result).layout, (<Operand>result).slot
            operand.number = copied[(<Operand>result).number]
            result = operand
        results.append(result)
    return results


cdef object leaf_value(Workspace ws, x):
    """A leaf of the result as it leaves, an array that nothing else refers to."""
    cdef Operand operand
    cdef ndarray array
    if type(x) is Operand:
        operand = <Operand>x
        if operand.strides is None:
            if operand.number in ws.given:
                return ws.given.pop(operand.number)
            array = empty(operand.layout)
            memcpy(PyArray_DATA(array), ws.data[operand.number], PyArray_NBYTES(array))
            return array
        return np.array(ws.value(operand), order="C")
    if type(x) is Single:
        return ws.value(x.operand)[()]
    if type(x) is Plain:
        return x.value.copy() if type(x.value) is ndarray else x.value
    return ws.v[ws.code.place(<int64_t>x)]


cdef ndarray empty(tuple layout):
    """A new array with this shape and dtype."""
    cdef cnp.npy_intp[64] dims
    cdef int k, ndim = <int>len(<tuple>layout[0])
    for k in range(ndim):
        dims[k] = (<tuple>layout[0])[k]
    return PyArray_EMPTY(ndim, dims, (<cnp.dtype>layout[1]).num, 0)
