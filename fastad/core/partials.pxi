# First partials of the elementary rows for blocks of elements, and what each of them needs.

cdef extern from "fastad/core/vector.h":
    void fastad_sine_block(const double* x, double* result, int n, int64_t turns) noexcept nogil

ctypedef void (*BlockKernel)(const double* x, const double* y, const double* v, double* p, int n) noexcept nogil

cdef enum:
    FORM_NONE = 0         # no partial
    FORM_ONE = 1
    FORM_MINUS_ONE = 2
    FORM_X = 3            # the partial is operand x, ...
    FORM_Y = 4
    FORM_V = 5
    FORM_KERNEL = 6
    BLOCK = 512           # elements: three operands and a partial fit the first-level cache

    NEEDS_X = 1
    NEEDS_Y = 2
    NEEDS_V = 4


cdef struct Partial:
    int form
    int needs
    BlockKernel kernel


cdef Partial[256][2] partials


cdef void set_partial(int op, int k, int form, int needs, BlockKernel kernel) noexcept:
    partials[op][k].form, partials[op][k].needs, partials[op][k].kernel = form, needs, kernel


include "generated/blocks.pxi"
