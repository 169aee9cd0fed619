"""Sweeps of several seeds as the programs see them."""

from libc.stdint cimport int64_t
from fastad.core.tape cimport CTape

cdef enum:
    LANES = 8

cdef void tangent_lanes(const CTape* t, double* tangent, double** data) noexcept nogil
cdef void reverse_lanes(const CTape* t, double* w, double** data) noexcept nogil
cdef int64_t reverse_tangent_lanes(const CTape* t, const double* tangent, double* w, double* s, double** w_data,
                                   double** s_data) noexcept nogil
