# cython: cdivision=True
"""A schedule as the programs see it: what is made of a path of scalars, and its sweeps.

Values, tangents and adjoints of a schedule stand in one array each: first the float64 storages that elements are read from, as they
lie in a workspace, then slots. An *index* is a place there.
"""

from libc.stdint cimport int32_t, int64_t
from fastad.core.tape cimport CTape


cdef struct Span:              # the operand of every instruction of a run
    int64_t base               # instruction k has it at index base + k*step, its j-th term (dots and sums) j further on,
    int64_t step
    int64_t list               # or, if this is not -1, at the indices listed from there on


cdef struct Run:               # instructions with one opcode, of which none needs another
    int opcode
    int32_t count
    int64_t length             # terms of each dot or sum; the storage that is gathered from
    int64_t out                # instruction k writes index out + k
    Span a
    Span b
    Span c                     # what dots and sums begin with; the rows of special instructions


cdef struct Plan:
    int64_t base               # index of the first slot
    int64_t end                # one more than the last index
    Run* runs
    int64_t run_count
    int64_t run_room
    int32_t* listed            # indices
    int64_t listed_count
    int64_t listed_room
    int32_t* inputs            # places of the scalar inputs, whose slots are the first ones
    int64_t input_count
    double* constants          # their slots follow
    int64_t constant_count
    int32_t* kept              # places whose values are wanted, and
    int32_t* kept_index        # where these are
    int64_t kept_count
    bint second_unknown        # a second partial has no rule
    int64_t instructions       # that are left of the path's, each term of a dot or sum counted


cdef class Schedule:
    cdef Plan plan
    cdef readonly dict passes  # what each pass took away

    cdef int64_t index_of(self, int32_t place, int64_t* hint) noexcept


cdef Schedule schedule_of(const CTape* t, const int32_t* inputs, int64_t input_count, const int32_t* kept, int64_t kept_count,
                          const int64_t* storages, int64_t base)
cdef void load_constants(const Plan* p, double* u) noexcept nogil
cdef void run_forward(const Plan* p, const double* v, double* u, char** data) noexcept nogil
cdef void copy_kept(const Plan* p, const double* u, double* v) noexcept nogil
cdef void run_reverse(const Plan* p, const double* u, double* w) noexcept nogil
cdef void run_tangent(const Plan* p, const double* u, double* t) noexcept nogil
cdef void run_reverse_tangent(const Plan* p, const double* u, double* t, double* w, double* s) noexcept nogil
