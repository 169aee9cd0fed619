"""Memory of the arrays of a trace, as other compiled modules see it."""

cdef object borrow()
cpdef list made(list layouts)
