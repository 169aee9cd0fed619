# The elements of the arrays that a function has captured, which plain NumPy work in it may have read: a path is right for those
# it was recorded with.

@cython.final
cdef class Contents:
    """Arrays, and a copy of their elements as they were last looked at."""

    cdef readonly int64_t version      # counts how often they had changed when they were looked at
    cdef readonly list arrays          # those that can be written to
    cdef list copies                   # None before the first look

    def __init__(self, list arrays):
        # An array that nobody can write to needs no second look.
        self.arrays = [x for x in arrays if may_change(x)]

    cpdef bint unchanged(self) except -1:
        """Whether the arrays have the elements, shapes and types they had at the last look."""
        cdef Py_ssize_t k
        if self.copies is None:
            return not self.arrays
        for k in range(len(self.arrays)):
            if not same_elements(<ndarray>self.copies[k], <ndarray>self.arrays[k]):
                return False
        return True

    def renew(self):
        """Looks at the arrays; returns whether they have changed since the last look."""
        if self.unchanged():
            return False
        first = self.copies is None
        if first:
            self.copies = [x.copy("K") for x in self.arrays]
        else:
            self.copies = [copy if same_elements(<ndarray>copy, <ndarray>x) else x.copy("K") for x, copy in zip(self.arrays, self.copies)]
        self.version += 1
        return not first


cdef bint may_change(x) except -1:
    """Whether elements of an array can be written, through itself or through what it is a view of."""
    while isinstance(x, ndarray):
        if x.flags.writeable:
            return True
        x = x.base
    try:
        return x is not None and not memoryview(x).readonly
    except TypeError:
        return True


cdef bint same_elements(ndarray copy, ndarray array) except -1:
    """Whether an array has the elements of its copy, bit by bit."""
    cdef int k
    if PyArray_NDIM(array) != PyArray_NDIM(copy) or PyArray_DESCR(array) is not PyArray_DESCR(copy):
        if PyArray_NDIM(array) != PyArray_NDIM(copy) or (<object>array).dtype != (<object>copy).dtype:
            return False
    for k in range(PyArray_NDIM(array)):
        if PyArray_DIMS(array)[k] != PyArray_DIMS(copy)[k]:
            return False
    if (PyArray_IS_C_CONTIGUOUS(array) and PyArray_IS_C_CONTIGUOUS(copy)) or (
            PyArray_IS_F_CONTIGUOUS(array) and PyArray_IS_F_CONTIGUOUS(copy)):
        return memcmp(PyArray_DATA(copy), PyArray_DATA(array), PyArray_NBYTES(copy)) == 0
    return copy.tobytes() == array.tobytes()
