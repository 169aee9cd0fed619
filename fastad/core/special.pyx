# cython: cdivision=True
"""The special elementals: kernels of table/special.py, calling SciPy's scalar functions; loaded when first needed."""

cimport scipy.special.cython_special as special
from libc.math cimport *
from libc.stdint cimport int32_t, int64_t

from fastad.core.generated.kernels cimport *
from fastad.core.generated.opcodes cimport *
from fastad.core.scalar cimport (
    MAX_SPECIAL, Special, SpecialPartials, SpecialRecord, SpecialValue, record, record_special, special_row,
)
from fastad.core.tape cimport CTape, constant
from fastad.special_support cimport *


cdef void register_special(int index, int arity, int mask, int unknown, int unknown_second, SpecialValue value,
                           SpecialPartials first, SpecialPartials second, SpecialRecord recording) noexcept:
    cdef Special* row = special_row(index)
    row.arity, row.mask, row.unknown, row.unknown_second = arity, mask, unknown, unknown_second
    row.value, row.first, row.second, row.record = value, first, second, recording


include "generated/special.pxi"

register_all()
