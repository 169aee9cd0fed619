"""Active arrays: their storages, and how instructions refer to them."""

from libc.stdint cimport int32_t, int64_t, uint64_t
from numpy cimport ndarray
from fastad.core.tape cimport CTape, Tape


cdef class Storage:
    cdef ndarray buffer      # C-contiguous, owned by the trace unless `saved`
    cdef tuple layout        # (shape, dtype) of the buffer
    cdef int32_t number      # of its adjoint; another one after the buffer was copied
    cdef bint saved          # an instruction or the caller holds the buffer: it must be copied before a write
    cdef list lent           # copies that stand for views of it, made on a tape for replay
    cdef int32_t stopped     # 1 + the number under which it has no derivative, 0 if it has: a write gives it another number


cdef class Operand


cdef class ActiveArray:
    cdef readonly uint64_t epoch
    cdef Storage storage
    cdef ndarray array       # the values: the buffer itself or a view of it
    cdef ndarray looks_at    # the buffer `array` looks at: another one than the storage's after a write moved that
    cdef tuple layout        # (shape, dtype) of `array`
    cdef Operand operand     # how an instruction referred to it last
    cdef bint scalar         # it stands for a number: `x += y` makes a new one, as for NumPy's scalars
    cdef bint lent           # a copy that stands for a view: it must not be written


cdef class Operand:
    cdef readonly int kind           # CONSTANT, SCALAR or ARRAY
    cdef readonly int32_t number     # slot of a scalar, number of a storage
    cdef readonly object value       # ndarray or number; None if no rule asks for it
    cdef readonly tuple layout       # (shape, dtype); None for a number
    cdef readonly tuple strides      # of a view, in bytes; None for a whole storage
    cdef readonly Py_ssize_t offset  # of a view, in bytes
    cdef readonly int64_t slot       # length of the tape when the operand was noted
    cdef ndarray buffer              # the whole storage that a kept `value` looks at
    cdef object checksum             # of a large plain array, to notice a change


cdef class Record:
    cdef readonly int32_t out        # storage of the result, -1 if that is a scalar

    cdef object compute(self, values)
