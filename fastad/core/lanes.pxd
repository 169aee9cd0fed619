"""Scalar paths for many points at once, as other compiled modules see them."""

from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t
from fastad.core.tape cimport CTape


cdef extern from "fastad/core/lanes.h":
    ctypedef struct FastadLaneStep:
        int32_t op, x, y, z, out, u

    ctypedef struct FastadLaneReverse:
        uint8_t kind, op, k, add
        int32_t target, other, x, y, v
        int32_t source "from"

    ctypedef struct FastadLaneSpecial:
        double (*value)(const double*) noexcept nogil
        void (*first)(const double*, double, double*) noexcept nogil
        int32_t arity
        int32_t operands[4]
        int32_t out
        int32_t targets[4]
        uint8_t add[4]

    ctypedef struct FastadLaneGuard:
        double expected
        const int32_t* results

    ctypedef struct FastadLaneColumn:
        int32_t slot
        char* data
        int64_t stride


cdef struct Check:          # a guard, in few bytes: there may be as many as instructions
    int32_t place           # it stands before the instruction there
    int32_t a
    int32_t b
    uint8_t op
    uint8_t expected        # of a comparison; another number is on the tape


cdef struct Path:           # what is lowered
    const CTape* c          # the instructions without the guards
    const Check* checks
    const double* expected  # by guard: the number it was recorded with
    int64_t guards
    const int32_t* leaves   # by storage: the input that it is, -1 for none
    const double** fixed    # by storage: the array that it is, NULL for none


cdef struct Port:           # numbers that come in or go out, one per point
    int32_t slot
    int32_t leaf            # of inputs: which one, -1 for a number at a fixed place
    int64_t element
    const double* at


cdef struct LaneSweep:      # the reverse sweep of one result
    int32_t seed            # its adjoint slot
    int32_t output          # which result
    int64_t back, back_stop             # its steps
    int64_t gradient, gradient_stop     # and the adjoints that go out


cdef class Lanes:
    cdef object owner               # keeps alive what is referred to
    cdef FastadLaneStep* steps
    cdef FastadLaneReverse* back
    cdef FastadLaneSpecial* specials
    cdef FastadLaneGuard* expected
    cdef double* constants          # the values of the first slots
    cdef Port* shared               # of the slots behind them, the same for all points
    cdef Port* loads                # and of those behind, one per point
    cdef Port* gradients            # adjoints that go out
    cdef int32_t* alive             # by guard, FASTAD_MOST_MOVED places: slots that differ from point to point and are read behind it
    cdef int8_t* alive_count        # how many; -1 for too many. NULL where a derivative is wanted
    cdef int32_t* outputs           # value slots of the results, -1 where one is the same on the whole path
    cdef int32_t* exits             # by guard and result: the slot it is in if the guard fails; NULL where points leave without results
    cdef LaneSweep* sweeps          # of the results that depend on a differentiated input
    cdef readonly int64_t step_count, back_count, special_count, guards, constant_count, shared_count, load_count
    cdef readonly int64_t gradient_count, output_count, sweep_count
    cdef readonly int64_t slots, adjoints       # how many of each


cdef Lanes lowered(Path path, object owner, dict inputs, list outputs, object differentiated, object shared, bint fast,
                   dict exits)
cdef bint vectorised(const char* name, const double* x, double* result, int n) noexcept nogil
cdef void sines_and_cosines(const double* x, double* sines, double* cosines, int n) noexcept nogil
