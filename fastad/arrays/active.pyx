# cython: cdivision=True
"""Active arrays: ndarrays whose operations are recorded, on the same tape as active scalars.

A storage is the memory of an array and of all its views: a C-contiguous buffer, and the number under which it has one adjoint.
Views are not recorded: they are the same storage with another offset and other strides, and so is their adjoint. A write goes
into the buffer in place unless an instruction saved it; then the storage moves on to a copy, under a new number, since what was
saved keeps the old one. An array instruction is a Record: it knows its operands, its result and its sweeps.
"""

cimport cython
cimport numpy as cnp
from cpython.float cimport PyFloat_AS_DOUBLE, PyFloat_Check, PyFloat_CheckExact
from cpython.long cimport PyLong_CheckExact
from cpython.object cimport Py_EQ, Py_GE, Py_GT, Py_LE, Py_LT, Py_NE
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy, memset
from numpy cimport (
    NPY_DOUBLE, NPY_FLOAT, PyArray_DATA, PyArray_DESCR, PyArray_DIMS, PyArray_EMPTY, PyArray_IS_C_CONTIGUOUS, PyArray_NBYTES,
    PyArray_NDIM, PyArray_SIZE, PyArray_STRIDES, PyArray_TYPE, PyArray_ZEROS, ndarray,
)

from fastad.core.generated.kernels cimport *
from fastad.core.generated.opcodes cimport *
from fastad.arrays.memory cimport borrow
from fastad.core.scalar cimport Active, current_tape, has_derivative, operands_of, record, slot_in, wrap
from fastad.core.sweeps cimport Recorder, give_back, reverse_sweep, tangent_sweep, zeros
from fastad.core.tape cimport (
    OP_ARRAY, OP_EXTRA, OP_GATHER, OP_PUT, OP_SPECIAL, CTape, Tape, append, append_structural, constant,
)

import math

import numpy as np

from ..errors import TraceError, stale_value, turned_into, user_line

cnp.import_array()

cdef extern from "numpy/arrayobject.h":
    ctypedef struct PyArray_Descr
    object PyArray_NewFromDescr(type subtype, cnp.dtype descr, int nd, const cnp.npy_intp* dims, const cnp.npy_intp* strides,
                                void* data, int flags, object obj)
    int PyArray_SetBaseObject(ndarray array, object base) except -1
    bint PyArray_ISBEHAVED_RO(ndarray array)
    int NPY_ARRAY_WRITEABLE
    int NPY_ARRAY_BEHAVED

cdef extern from "Python.h":
    void Py_INCREF(object)

cdef enum:
    CONSTANT = 0
    SCALAR = 1
    ARRAY = 2
    MOST_DIMENSIONS = 64      # of an array of NumPy's
    COPIED = 1 << 15          # bytes: plain operands up to this size are copied when a rule keeps them, larger ones checked

cdef object _add = np.add, _subtract = np.subtract, _multiply = np.multiply, _divide = np.divide, _power = np.power
cdef object _matmul = np.matmul
cdef object _remainder = np.remainder, _floor_divide = np.floor_divide, _sum = np.sum
cdef object DOUBLE = np.dtype(np.float64)
cdef object SINGLE = np.dtype(np.float32)


# ---- storages and operands -------------------------------------------------------------------------------------------------

@cython.final
@cython.no_gc
@cython.freelist(256)
cdef class Storage:
    """The memory of an active array and of all its views."""


cdef inline Tape tape_of(CTape* t):
    return <Tape>t.owner


cdef inline CTape* tape_in_progress() except NULL:
    cdef CTape* t = current_tape()
    if t.epoch == 0:
        raise stale_value()
    return t


cdef inline int check_epoch(CTape* t, ActiveArray x) except -1:
    if x.epoch != t.epoch or t.epoch == 0:
        raise stale_value()
    return 0


cdef inline tuple layout_of(ndarray array):
    return (<object>array).shape, array.dtype


cdef inline bint has_layout(ndarray array, tuple layout):
    """Whether a layout at hand is the array's, which saves making a new one."""
    cdef tuple shape = <tuple>layout[0]
    cdef int k
    if len(shape) != PyArray_NDIM(array) or <object>PyArray_DESCR(array) is not layout[1]:
        return False
    for k in range(PyArray_NDIM(array)):
        if <Py_ssize_t>shape[k] != PyArray_DIMS(array)[k]:
            return False
    return True


cdef int32_t new_number(CTape* t, tuple layout) except -1:
    cdef list storages = tape_of(t).storages
    if not storages and not t.recording:
        tape_of(t).at_end = borrow()
    if len(storages) >= 2**31 - 1:
        raise MemoryError("the tape is full: 2**31 - 1 arrays is the most one tape holds")
    storages.append(layout)
    return <int32_t>(len(storages) - 1)


cdef ActiveArray active_on(CTape* t, ndarray buffer, tuple layout, int32_t number, bint saved):
    """An active array that is a whole storage."""
    cdef Storage storage = Storage.__new__(Storage)
    cdef ActiveArray x = ActiveArray.__new__(ActiveArray, None)
    storage.buffer, storage.layout, storage.number, storage.saved = buffer, layout, number, saved
    x.epoch, x.storage, x.array, x.looks_at, x.layout = t.epoch, storage, buffer, buffer, layout
    if t.places != NULL:
        note_buffer(t, number, buffer)
    return x


cdef int note_buffer(CTape* t, int32_t number, ndarray buffer) except -1:
    """Where the values of a storage are, for those who watch the tape."""
    cdef dict buffers = tape_of(t).buffers
    if buffers is not None:
        buffers.setdefault(number, buffer)
    return 0


cdef ActiveArray fresh(CTape* t, ndarray buffer, tuple hint=None):
    """An active array with a storage of its own for an array that nothing else refers to; no instruction yet writes it."""
    cdef tuple layout
    if not PyArray_IS_C_CONTIGUOUS(buffer) or not PyArray_ISBEHAVED_RO(buffer) or (
            <object>PyArray_DESCR(buffer) is not DOUBLE and <object>PyArray_DESCR(buffer) is not SINGLE):
        # There are several dtype objects for float64; from here on there is one.
        buffer = np.array(buffer, DOUBLE if PyArray_TYPE(buffer) == NPY_DOUBLE else SINGLE, order="C")
    layout = hint if hint is not None and has_layout(buffer, hint) else layout_of(buffer)
    return active_on(t, buffer, layout, new_number(t, layout), False)


cdef ActiveArray writable_constant(CTape* t, ndarray buffer, fill=None):
    """A fresh array of plain values, all equal to `fill` if that is given, into which active values may be written."""
    cdef ActiveArray x = fresh(t, buffer)
    cdef Copy instruction
    if t.recording:
        instruction = Copy.__new__(Copy)
        instruction.x = operand_of(t, np.array(x.array) if fill is None else fill, True)
        instruction.out = x.storage.number
        append_record(t, instruction, 0.0)
    return x


cdef ActiveArray view_of(ActiveArray x, ndarray array):
    """Another array on the storage of x."""
    cdef ActiveArray view = ActiveArray.__new__(ActiveArray, None)
    view.epoch, view.storage, view.array, view.looks_at = x.epoch, x.storage, array, x.looks_at
    view.layout = x.layout if has_layout(array, x.layout) else layout_of(array)
    return view


cdef ndarray array_in(ndarray owner, int ndim, cnp.npy_intp* lengths, cnp.npy_intp* strides, char* data, int flags):
    """An array of the owner's dtype, of which it has the memory."""
    cdef ndarray array
    Py_INCREF(owner.dtype)                # of which the array takes a reference
    array = PyArray_NewFromDescr(ndarray, owner.dtype, ndim, lengths, strides, data, flags, None)
    Py_INCREF(owner)
    PyArray_SetBaseObject(array, owner)
    return array


cdef ndarray array_at(ndarray buffer, Py_ssize_t offset, ndarray like):
    """The array with the shape and strides of `like` at an offset (bytes) in a buffer of its dtype."""
    return array_in(buffer, PyArray_NDIM(like), PyArray_DIMS(like), PyArray_STRIDES(like), <char*>PyArray_DATA(buffer) + offset,
                    NPY_ARRAY_WRITEABLE | NPY_ARRAY_BEHAVED)


cdef inline Py_ssize_t offset_of(ActiveArray x) noexcept:
    return <char*>PyArray_DATA(x.array) - <char*>PyArray_DATA(x.looks_at)


cdef inline ndarray values(ActiveArray x):
    """The values of an active array as they are now; not to be written or kept."""
    if x.looks_at is not x.storage.buffer:
        x.array = array_at(x.storage.buffer, offset_of(x), x.array)
        x.looks_at = x.storage.buffer
    return x.array


cdef inline bint is_whole(ActiveArray x) noexcept:
    return <void*>x.array == <void*>x.looks_at or (PyArray_SIZE(x.array) == PyArray_SIZE(x.looks_at)
                                                  and PyArray_IS_C_CONTIGUOUS(x.array) and x.layout is x.storage.layout)


@cython.final
@cython.no_gc
@cython.freelist(256)
cdef class Operand:
    """A value as an instruction refers to it: a constant, a scalar slot, or a storage or part of one."""

    def __repr__(self):
        return f"Operand({('constant', 'scalar', 'array')[self.kind]} {self.number}, {self.layout})"


cdef Operand operand_of(CTape* t, x, bint keep):
    """How an instruction that is about to be recorded refers to x; with its value if a rule needs that."""
    cdef Operand operand = Operand.__new__(Operand)
    cdef ActiveArray active
    operand.slot = t.n
    if t.recording and isinstance(x, ndarray):
        x = constant_storage(t, <ndarray>x)
    if type(x) is ActiveArray:
        active = <ActiveArray>x
        check_epoch(t, active)
        values(active)
        operand.kind, operand.number, operand.layout = ARRAY, active.storage.number, active.layout
        if not is_whole(active):
            operand.strides, operand.offset = (<object>active.array).strides, offset_of(active)
        if keep:
            operand.value = active.array
            operand.buffer = active.looks_at
            active.storage.saved = True
    elif type(x) is Active:
        operand.kind, operand.number = SCALAR, slot_in(t, x)
        operand.value = t.v[operand.number]
    else:
        operand.kind = CONSTANT
        if isinstance(x, ndarray):
            operand.layout = layout_of(<ndarray>x)
            if keep:
                keep_plain(operand, <ndarray>x)
        else:
            operand.value = x
    return operand


# Operands of recent float constants by the address of the number: a literal in a loop is always the same object.
cdef list constant_operands = [None] * 64


cdef Operand shared_operand(CTape* t, x, bint keep):
    """As `operand_of`, for instructions only: the one that was made last for the same array or number if it still holds."""
    cdef Operand operand
    cdef ActiveArray active
    cdef Py_ssize_t place
    if type(x) is ActiveArray:
        active = <ActiveArray>x
        operand = active.operand
        if operand is not None and operand.number == active.storage.number and active.looks_at is active.storage.buffer \
                and active.epoch == t.epoch:
            if keep and operand.value is None:
                operand.value, operand.buffer = active.array, active.looks_at
                active.storage.saved = True
            return operand
        operand = active.operand = operand_of(t, x, keep)
        return operand
    if PyFloat_CheckExact(x):
        place = (<size_t><void*>x >> 4) & 63
        operand = <Operand>constant_operands[place]
        if operand is None or operand.value is not x:
            operand = constant_operands[place] = operand_of(t, x, True)
        return operand
    return operand_of(t, x, keep)


cdef int keep_plain(Operand operand, ndarray array) except -1:
    """Notes the value of a plain array: a copy if it is small; else the array itself, to be checked before use."""
    if PyArray_OWNS(array) and not (<object>array).flags.writeable:
        operand.value = array
    elif PyArray_NBYTES(array) <= COPIED or not PyArray_IS_C_CONTIGUOUS(array) or PyArray_NBYTES(array) % 8:
        operand.value = array.copy()
    else:
        operand.value = array
        operand.checksum = checksum(array)
    return 0


cdef extern from "fastad/arrays/checksum.h":
    void fastad_checksum(const uint64_t* words, int64_t n, uint64_t* result) noexcept nogil


cdef object checksum(ndarray array):
    cdef uint64_t[2] sums
    fastad_checksum(<const uint64_t*>PyArray_DATA(array), PyArray_NBYTES(array) // 8, sums)
    return sums[0], sums[1]


cdef object kept(Operand operand):
    """The value an operand had when it was recorded; TraceError if it was a plain array that has changed."""
    if operand.checksum is not None and checksum(operand.value) != operand.checksum:
        raise TraceError("a plain array that a differentiated function used was changed before its derivative was computed; "
                         "write into a copy of it")
    return operand.value


cdef inline object plain_value(CTape* t, x):
    """The plain array or number behind x."""
    if type(x) is ActiveArray:
        check_epoch(t, <ActiveArray>x)
        return values(<ActiveArray>x)
    if type(x) is Active:
        return t.v[slot_in(t, x)]
    return x


# ---- instructions ------------------------------------------------------------------------------------------------------------

cdef class Record:
    """An array instruction. `reverse` and `tangent` do its part of a sweep, numeric or recording, in terms of a Sweep."""

    def depends(self, Sweep sweep):
        """Marks the storage of the result if an operand is marked; returns whether one is."""
        raise NotImplementedError

    def reverse(self, Sweep sweep, int64_t i):
        """Adds to the adjoints of the operands what the adjoint of the result, instruction i, gives."""
        raise NotImplementedError

    def tangent(self, Sweep sweep, int64_t i):
        """Sets the tangent of the result, instruction i."""
        raise NotImplementedError

    cdef object compute(self, values):
        """The plain value of the result anew, or a nesting of them; `values` gives the plain value of an Operand. None if the
        instruction writes into an array that is there.
        """
        raise NotImplementedError


cdef int32_t append_record(CTape* t, Record instruction, double v) except -1:
    cdef list records = tape_of(t).records
    cdef int32_t slot
    records.append(instruction)
    try:
        slot = append_structural(t, OP_ARRAY, <int32_t>(len(records) - 1), 0, v)
    except BaseException:
        records.pop()
        raise
    if t.places != NULL and tape_of(t).watch is not None:
        tape_of(t).watch(slot, instruction, v)
    return slot


include "recording.pxi"
include "sweep.pxi"
include "needed.pxi"
include "elementwise.pxi"
include "movement.pxi"
include "calls.pxi"
include "programs.pxi"
include "indexing.pxi"
include "protocol.pxi"
include "traces.pxi"
include "rebuild.pxi"
set_partials()
