"""Sweeps as the array layer sees them: the loops, their working memory, and the recorder it extends."""

from libc.stdint cimport int32_t, int64_t, uint8_t
from fastad.core.tape cimport CTape, Tape


cdef int64_t tangent_sweep(const CTape* t, double* tangent, int64_t first, int64_t n, double** data) noexcept nogil
cdef int64_t reverse_sweep(const CTape* t, double* w, int64_t first, int64_t n, double** data) noexcept nogil
cdef int64_t reverse_tangent_sweep(const CTape* t, double* tangent, double* w, double* s, int64_t first,
                                   int64_t n) noexcept nogil
cdef double* zeros(int64_t n) except NULL
cdef void give_back(double* array) noexcept


cdef class Recorder:
    cdef Tape tape
    cdef CTape* source
    cdef CTape* target
    cdef int64_t start, stop
    cdef uint8_t* depends
    cdef int32_t* work
    cdef int32_t* carried

    cdef int mark(self, list inputs) except -1
    cdef bint array_depends(self, int64_t i) except -1
    cdef int array_tangent(self, int64_t i) except -1
    cdef int array_reverse(self, int64_t i) except -1
    cdef bint active(self, int64_t slot) noexcept nogil
    cdef int32_t at(self, int32_t slot) except -1
    cdef int32_t partial(self, int64_t i, int k, int32_t* slots) except -1
    cdef int32_t product(self, int32_t factor, int64_t i, int k, int32_t* slots) except -1
    cdef int32_t plus(self, int32_t total, int32_t term) except -1
    cdef int set_scalar(self, int64_t slot, object number, bint add) except -1
