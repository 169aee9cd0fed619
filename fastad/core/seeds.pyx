# cython: cdivision=True
"""Sweeps of eight seeds at a time over a tape of scalars: slot i has its tangents or adjoints at 8*i to 8*i + 7.

The recurrences are those of `sweeps`, for each lane by itself; partials are computed once for all of them. Of array instructions
there are inputs and constants only; data[k] are the lanes of float64 storage k, element by element, NULL for zero.
"""

from libc.stdint cimport int32_t, int64_t

from fastad.core.generated.kernels cimport *
from fastad.core.generated.opcodes cimport *
from fastad.core.scalar cimport Special, has_derivative, special_operands, special_row
from fastad.core.tape cimport OP_GATHER, OP_SPECIAL, CTape

cdef extern from "fastad/core/seeds.h":
    void fastad_lanes_add(double* w, const double* f, double p) noexcept nogil
    void fastad_lanes_combine(double* t, const double* f, double p, const double* g, double q) noexcept nogil
    bint fastad_lanes_are_zero(const double* w) noexcept nogil

include "generated/partials.pxi"


cdef inline Special* first_of_special(const CTape* t, int64_t i, int32_t* slots, double* operands, double* first) noexcept nogil:
    """The row of a special instruction, its operands and its first partials."""
    cdef Special* row = special_row(t.b[i])
    cdef int k
    special_operands(t, i, slots)
    for k in range(4):
        operands[k] = t.v[slots[k]]
    row.first(operands, t.v[i], first)
    return row


cdef void tangent_lanes(const CTape* t, double* tangent, double** data) noexcept nogil:
    """Tangents of all slots from those of the inputs."""
    cdef int64_t i, a, b
    cdef int op, k
    cdef int32_t[4] slots
    cdef double[4] operands
    cdef double[4] d
    cdef Special* row
    for i in range(t.n):
        op, a, b = t.opcode[i], t.a[i], t.b[i]
        if op == OP_ADD:
            fastad_lanes_combine(tangent + LANES * i, tangent + LANES * a, 1.0, tangent + LANES * b, 1.0)
        elif op == OP_MULTIPLY:
            fastad_lanes_combine(tangent + LANES * i, tangent + LANES * a, t.v[b], tangent + LANES * b, t.v[a])
        elif op >= FIRST_OPCODE:
            first_partials(op, t.v[a], t.v[b], t.v[i], d)
            fastad_lanes_combine(tangent + LANES * i, tangent + LANES * a, d[0], tangent + LANES * b, d[1])
        elif op == OP_SPECIAL:
            row = first_of_special(t, i, slots, operands, d)
            for k in range(row.arity):
                fastad_lanes_add(tangent + LANES * i, tangent + LANES * slots[k], d[k])
        elif op == OP_GATHER and data[a] != NULL:
            fastad_lanes_add(tangent + LANES * i, data[a] + LANES * b, 1.0)


cdef void reverse_lanes(const CTape* t, double* w, double** data) noexcept nogil:
    """Adjoints of all slots from those that are set."""
    cdef int64_t i, a, b
    cdef int op, k
    cdef int32_t[4] slots
    cdef double[4] operands
    cdef double[4] d
    cdef double* wi
    cdef Special* row
    for i in range(t.n - 1, -1, -1):
        op, a, b, wi = t.opcode[i], t.a[i], t.b[i], w + LANES * i
        if fastad_lanes_are_zero(wi):
            continue
        if op == OP_ADD:
            fastad_lanes_add(w + LANES * a, wi, 1.0)
            fastad_lanes_add(w + LANES * b, wi, 1.0)
        elif op == OP_MULTIPLY:
            fastad_lanes_add(w + LANES * a, wi, t.v[b])
            fastad_lanes_add(w + LANES * b, wi, t.v[a])
        elif op >= FIRST_OPCODE:
            first_partials(op, t.v[a], t.v[b], t.v[i], d)
            fastad_lanes_add(w + LANES * a, wi, d[0])
            fastad_lanes_add(w + LANES * b, wi, d[1])
        elif op == OP_SPECIAL:
            row = first_of_special(t, i, slots, operands, d)
            for k in range(row.arity):
                fastad_lanes_add(w + LANES * slots[k], wi, d[k])
        elif op == OP_GATHER and data[a] != NULL:
            fastad_lanes_add(data[a] + LANES * b, wi, 1.0)


cdef bint special_lanes(const CTape* t, int64_t i, const double* tangent, double* w, double* s) noexcept nogil:
    """The part of a special instruction in the reverse-tangent sweep; False if it needs a second partial that has no rule."""
    cdef int32_t[4] slots
    cdef double[4] operands
    cdef double[4] first
    cdef double[16] second
    cdef double[8] curvature
    cdef Special* row = first_of_special(t, i, slots, operands, first)
    cdef int j, k, l
    row.second(operands, t.v[i], second)
    for k in range(row.arity):
        for l in range(LANES):
            curvature[l] = 0.0
        for j in range(row.arity):
            if row.unknown_second >> (4 * j + k) & 1 and not fastad_lanes_are_zero(tangent + LANES * slots[j]) \
                    and has_derivative(t, slots[k]):
                return False
            fastad_lanes_add(curvature, tangent + LANES * slots[j], second[4 * j + k])
        w[slots[k]] += mulz(w[i], first[k])
        fastad_lanes_add(s + LANES * slots[k], s + LANES * i, first[k])
        fastad_lanes_add(s + LANES * slots[k], curvature, w[i])
    return True


cdef int64_t reverse_tangent_lanes(const CTape* t, const double* tangent, double* w, double* s, double** w_data,
                                   double** s_data) noexcept nogil:
    """Adjoints w, which are the same for all lanes, and adjoint tangents s from those that are set and the tangents of all.

    Returns -1, or the instruction it stopped at for want of a second partial.
    """
    cdef int64_t i, a, b
    cdef int op
    cdef double wi
    cdef double* si
    cdef double[2] d
    cdef double[3] dd
    cdef double[8] curvature
    for i in range(t.n - 1, -1, -1):
        op, a, b, wi, si = t.opcode[i], t.a[i], t.b[i], w[i], s + LANES * i
        if wi == 0.0 and fastad_lanes_are_zero(si):
            continue
        if op >= FIRST_OPCODE:
            first_partials(op, t.v[a], t.v[b], t.v[i], d)
            w[a] += mulz(wi, d[0])
            w[b] += mulz(wi, d[1])
            fastad_lanes_add(s + LANES * a, si, d[0])
            fastad_lanes_add(s + LANES * b, si, d[1])
            if wi != 0.0 and second_partials(op, t.v[a], t.v[b], t.v[i], dd):
                fastad_lanes_combine(curvature, tangent + LANES * a, dd[0], tangent + LANES * b, dd[1])
                fastad_lanes_add(s + LANES * a, curvature, wi)
                fastad_lanes_combine(curvature, tangent + LANES * a, dd[1], tangent + LANES * b, dd[2])
                fastad_lanes_add(s + LANES * b, curvature, wi)
        elif op == OP_SPECIAL:
            if not special_lanes(t, i, tangent, w, s):
                return i
        elif op == OP_GATHER and s_data[a] != NULL:
            w_data[a][b] += wi
            fastad_lanes_add(s_data[a] + LANES * b, si, 1.0)
    return -1
