"""Active scalars as other compiled modules see them."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from fastad.core.tape cimport CTape, Tape

ctypedef double (*SpecialValue)(const double* operands) noexcept nogil
ctypedef void (*SpecialPartials)(const double* operands, double v, double* partials) noexcept nogil
ctypedef int32_t (*SpecialRecord)(CTape* t, int k, int32_t* operands, int32_t v) except -1

cdef enum:
    MAX_SPECIAL = 512


cdef struct Special:
    int arity
    int mask                 # bit k: there is a partial by operand k
    int unknown              # bit k: it has no rule
    int unknown_second       # bit 4*j + k: the second partial by operands j and k has no rule
    SpecialValue value
    SpecialPartials first    # partials[k]
    SpecialPartials second   # partials[4*j + k]
    SpecialRecord record     # appends the partial by operand k, returns its slot


cdef class Active:
    cdef uint64_t epoch
    cdef int32_t slot


cdef int watching            # how many contexts of fastad.debug there are, in all threads

cdef object apply_unary(int opcode, Active x)
cdef object apply_binary(int opcode, object x, object y)
cdef CTape* current_tape() noexcept nogil
cdef Special* special_row(int index) noexcept nogil
cdef void special_operands(const CTape* t, int64_t i, int32_t* slots) noexcept nogil
cdef int operands_of(const CTape* t, int64_t i, int32_t* slots) noexcept nogil
cdef bint has_derivative(const CTape* t, int32_t slot) noexcept nogil
cdef object wrap(CTape* t, int32_t slot)
cdef int32_t slot_in(CTape* t, object x) except -1
cdef int32_t record(CTape* t, int opcode, int32_t a, int32_t b) except -1
cdef int32_t record_special(CTape* t, int row, int32_t x, int32_t y, int32_t z, int32_t u) except -1
cdef double rounded(double v, int how) noexcept nogil
cdef double value_by_opcode(int opcode, double x, double y) noexcept nogil
