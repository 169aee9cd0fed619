"""Memory of the arrays of traces and of large results: what the last ones gave back is used again (memory.h)."""

cimport numpy as cnp
from cpython.object cimport PyObject
from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_New

import numpy as np

cdef extern from "numpy/arrayobject.h":
    ctypedef struct PyDataMemAllocator:
        pass
    ctypedef struct PyDataMem_Handler:
        PyDataMemAllocator allocator
    object PyDataMem_GetHandler()
    object PyDataMem_SetHandler(object handler)
    PyObject* PyDataMem_DefaultHandler

cdef extern from "fastad/arrays/memory.h":
    PyDataMem_Handler fastad_handler
    PyDataMemAllocator* fastad_plain
    size_t fastad_held
    enum: FASTAD_LASTS
    void fastad_trace_ended(unsigned long long lasts) noexcept

cnp.import_array()
fastad_plain = &(<PyDataMem_Handler*>PyCapsule_GetPointer(<object>PyDataMem_DefaultHandler, "mem_handler")).allocator

cdef object _handler = PyCapsule_New(&fastad_handler, "mem_handler", NULL)


cdef object borrow():
    """From now on the arrays that this thread makes have such memory. Gives what ends that with the trace; None if they have it already, or
    if somebody else has chosen where NumPy's memory comes from.
    """
    if PyDataMem_GetHandler() is not <object>PyDataMem_DefaultHandler:
        return None
    PyDataMem_SetHandler(_handler)
    return give_back


def give_back():
    """Ends what `borrow` has begun."""
    PyDataMem_SetHandler(<object>PyDataMem_DefaultHandler)
    fastad_trace_ended(FASTAD_LASTS)


cpdef list made(list layouts):
    """Arrays of these (shape, dtype), with nothing written to them, in such memory: those of one replay or map."""
    end = borrow()
    try:
        return [np.empty(shape, dtype) for shape, dtype in layouts]
    finally:
        if end is not None:
            end()


def held():
    """Bytes that no array has, kept for the next traces."""
    return fastad_held


def release():
    """Gives them back to the system."""
    fastad_trace_ended(0)
