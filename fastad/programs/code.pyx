# cython: cdivision=True
"""A path of a recorded function: its instructions, straight on from the first to the last, and how they are replayed.

The instructions are those of the tape the function was recorded on, which is never written again. What is replayed is made from
them: the same without the guards, which stand beside and are looked at a stretch at a time, as nothing that comes between can
fail or write to an array. Values live in a workspace, one per call. Scalar instructions and array kernels run without the GIL; an
array instruction without a kernel calls Python. A replay stops where a guard does not hold: there the function took another path.

Positions (`i`, `at`, slots in handles) are those of the tape; `places` leads from them to what is replayed.
"""

cimport cython
cimport numpy as cnp
from cpython.dict cimport PyDict_GetItem
from cpython.float cimport PyFloat_AS_DOUBLE, PyFloat_CheckExact
from cpython.object cimport PyObject
from libc.math cimport NAN, fabs
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcmp, memcpy, memset, strcmp
from numpy cimport (
    NPY_DOUBLE, PyArray_BYTES, PyArray_DATA, PyArray_DESCR, PyArray_DIMS, PyArray_EMPTY, PyArray_IS_C_CONTIGUOUS,
    PyArray_IS_F_CONTIGUOUS, PyArray_NBYTES, PyArray_NDIM, PyArray_STRIDES, PyArray_TYPE, ndarray,
)

from fastad.arrays.active cimport Operand, Record
from fastad.arrays.memory cimport made
from fastad.core.generated.kernels cimport *
from fastad.core.generated.opcodes cimport *
from fastad.core.lanes cimport Check, Path, lowered, sines_and_cosines, vectorised
from fastad.core.scalar cimport Special, current_tape, rounded, special_operands, special_row, watching
from fastad.core.schedule cimport (
    Plan, Schedule, copy_kept, load_constants, run_forward, run_reverse, run_reverse_tangent, run_tangent, schedule_of,
)
from fastad.core.seeds cimport LANES, reverse_lanes, reverse_tangent_lanes, tangent_lanes
from fastad.core.simd cimport current_level
from fastad.core.sweeps cimport (
    give_back, reverse_sweep, reverse_tangent_sweep, tangent_sweep, zeros,
)
from fastad.core.tape cimport (
    AS_IT_IS, OP_ARRAY, OP_CONSTANT, OP_EXTRA, OP_GATHER, OP_GUARD_EQUAL, OP_GUARD_LESS, OP_GUARD_LESS_EQUAL, OP_GUARD_VALUE, OP_INPUT,
    OP_PUT, OP_SPECIAL, CTape, Tape, append_structural,
)

import math

import numpy as np

from fastad.arrays.active import (
    AddAt, Assign, Call, Constant, Copy, Elementwise, Guard, ProgramCall, RunValues, Selection, SpecialElementwise, Total, Tracked,
    forget_values, lost_elements,
)

from fastad.arrays.functions import converted
from fastad.arrays.rules.extremes import tie_means, tie_shares
from fastad.arrays.rules.helpers import scatter_add
from fastad.arrays.rules.linear_algebra import cofactors
from fastad.core.simd import best_level

cnp.import_array()

include "../core/generated/value.pxi"
include "spread.pxi"
include "kernels.pxi"
include "own_loops.pxi"
include "kernel_builder.pxi"
include "refs.pxi"
include "lowering.pxi"
include "linalg.pxi"
include "guards.pxi"

cdef extern from "numpy/arrayobject.h":
    object PyArray_NewFromDescr(type subtype, cnp.dtype descr, int nd, const cnp.npy_intp* dims, const cnp.npy_intp* strides,
                                void* data, int flags, object obj)
    int PyArray_SetBaseObject(ndarray array, object base) except -1
    bint PyArray_ISBEHAVED_RO(ndarray array)
    int NPY_ARRAY_WRITEABLE
    int NPY_ARRAY_BEHAVED

cdef extern from "Python.h":
    void Py_INCREF(object)

cdef enum:
    SCALAR = 1
    ARRAY = 2
    ALIGNMENT = 64
    LARGE = 4096           # bytes of an array from which on it is worth more than a copy to go without
    SHORT = 2000           # instructions
    MOST_BY_LANES = 1 << 21      # instructions, each of which takes 64 bytes for the seeds of a sweep


# ---- a path --------------------------------------------------------------------------------------------------------------------

cdef struct Leaf:
    int kind                # SCALAR or ARRAY
    int32_t number          # place of a slot, or storage
    int32_t order           # among the scalars


cdef int64_t _codes = 0        # how many have been made


@cython.final
cdef class Code:
    """Instructions, and what goes in and comes out.

    inputs    handles of the inputs: active scalars' slots (int) or Operands
    outputs   for each leaf of the result an int (slot), an Operand, or a Plain
    """

    cdef object __weakref__
    cdef int64_t serial                  # no two Codes have the same
    cdef readonly Tape tape
    cdef readonly list inputs
    cdef readonly list outputs
    cdef readonly int64_t n
    cdef readonly int64_t guards
    cdef readonly int64_t start          # of what is behind a path: the instruction a replay can pause at
    cdef public object structure         # of the result
    cdef public object owner             # what the recorder keeps with it
    cdef readonly list callbacks         # names of functions without a kernel
    cdef CTape c                         # what is replayed; `c.v` holds the constants
    cdef int32_t* places                 # by instruction of the tape: its place there, of a guard the next one's; and of the end
    cdef int32_t* origins                # the other way round
    cdef Check* checks
    cdef int32_t* check_origins          # their instructions on the tape
    cdef Window* windows
    cdef int64_t window_count
    cdef int32_t* pairs                  # the guards' operands once more, by kind within each window
    cdef bint lends                      # a replay may read the caller's arrays where they are: it is over when the call is
    cdef readonly bint fast              # values may be a bit off where that is faster
    cdef readonly bint pauses            # replays stop at `start`, and what is behind may run several times
    cdef readonly int64_t chains         # kernels that are several made one
    cdef readonly int64_t rounds         # and that are several by batches
    cdef Py_ssize_t tile                 # number of the storage of a tile's values, -1 if there is none
    cdef bint short                      # so short that releasing the GIL would take longer
    cdef Leaf* leaves                    # of the inputs
    cdef Py_ssize_t records              # how many array instructions there are
    cdef Kernel** kernels                # by record: its kernels, NULL where Python does it
    cdef int32_t* counts                 # by record: how many
    cdef Strips taken                    # the short loops, while the program is made
    cdef fastad_short* strips            # as they are carried out
    cdef int64_t strip_words
    cdef fastad_called* called           # loops that they call
    cdef char* constants                 # that they read
    cdef list extra                      # storages between kernels, behind those of the tape
    cdef int64_t* offsets                # by storage: its place in a workspace's memory
    cdef int64_t bytes                   # of that memory
    cdef list kept                       # Python objects that kernels refer to
    cdef list live                       # Constants whose array the user may have changed: (number, array, address)
    cdef list fixed                      # (number, array): storages that are an array
    cdef list given                      # (number, layout): large results, written right where they leave
    cdef bint borrows                    # some are so large that memory of those that were freed pays
    cdef list refreshed                  # (number, array): copied in at the start of each replay
    cdef readonly Pool pool              # workspaces that no call uses, shared with the paths beside it and what is behind them
    cdef readonly dict others            # by guard: the Code that goes on with the other outcome of a yes-or-no decision
    cdef readonly bint forgotten         # the tape has no values of arrays: derivatives are recorded at those of another run
    cdef readonly bint scalars_only      # no array instruction: numeric sweeps serve for derivatives
    cdef public bint draws
    cdef public bint is_number           # the result of the path is one number or array, which changes
    cdef public int32_t value_slot       # the slot of the path's result if that is a float, else -1
    cdef list scheduled                  # the Schedule, once it is made
    cdef int replays                     # before that
    cdef readonly Spread spread          # of what is behind a path for several seeds at a time; None for one
    cdef readonly Code wide              # the same for several seeds at a time, None as long as there is none
    cdef readonly bint by_one            # there can be none: a decision depends on a seed
    cdef int second_known                # whether all second partials have a rule; -1: not looked at yet

    def __cinit__(self, Tape tape, list inputs, list outputs, Code beside=None, int64_t start=0, bint pauses=False, bint fast=False,
                  Spread spread=None):
        cdef Py_ssize_t k, storages
        cdef int64_t i
        cdef int32_t scalars = 0
        global _codes
        _codes += 1
        self.serial = _codes
        self.scheduled, self.second_known = [], -1
        self.tape, self.inputs, self.outputs = tape, inputs, without_copies(tape, outputs) if start else outputs
        self.n, self.records = tape.c.n, len(tape.records)
        self.callbacks, self.kept, self.live, self.fixed, self.refreshed = [], [], [], [], []
        self.extra, self.given = [], []
        self.pool, self.others = Pool() if beside is None else beside.pool, {}
        self.leaves = <Leaf*>calloc(max(len(inputs), 1), sizeof(Leaf))
        self.kernels = <Kernel**>calloc(max(len(tape.records), 1), sizeof(Kernel*))
        self.counts = <int32_t*>calloc(max(len(tape.records), 1), sizeof(int32_t))
        if self.leaves == NULL or self.kernels == NULL or self.counts == NULL:
            raise MemoryError("no memory for a program")
        self.start, self.pauses, self.tile, self.lends, self.fast = start, pauses, -1, not pauses, fast
        self.short = self.n < SHORT
        set_guards_apart(self)
        self.spread = spread
        if spread is not None:
            spread.lane = self.c.n
        for k, x in enumerate(inputs):
            if type(x) is Operand:
                self.leaves[k].kind, self.leaves[k].number = ARRAY, (<Operand>x).number
            else:
                self.leaves[k].kind, self.leaves[k].number, self.leaves[k].order = SCALAR, <int32_t>self.place(x), scalars
                scalars += 1
        self.scalars_only = True
        for record in tape.records:
            if type(record) is Tracked and record.draws:
                self.draws = True
            if not (type(record) is Copy and record.x is None) and type(record) is not Constant:
                self.scalars_only = False
        self.taken = Strips(self)
        self.lower()
        fusion = Fusion(self)
        if not self.scalars_only and passes["late"] and spread is None:
            fusion.find_last_guard()
            postpone(self, fusion.last_guard)
        fusion.ask(self.outputs)
        if start:
            fusion.ask(beside.outputs)
        if not self.scalars_only:
            fusion.walk()
            fusion.emit()
            simplify(self.taken, fusion)
            assemble(self.taken)
        divide(self)
        place_storages(self, fusion)
        if passes["rounds"] and spread is None and not self.scalars_only:
            Rounds(self).find()
        pack(self.taken)
        self.taken = None
        if spread is not None:
            spread.lay_out(self, len(tape.storages) + len(self.extra))

    def __dealloc__(self):
        cdef Py_ssize_t k
        free(self.leaves)
        if self.kernels != NULL:
            for k in range(self.records):
                free_kernels(self.kernels[k], self.counts[k])
        free(self.kernels)
        free(self.counts)
        free(self.offsets)
        free(self.strips)
        free(self.called)
        free(self.constants)
        if self.places != NULL:
            free(self.c.opcode)
            free(self.c.a)
            free(self.c.b)
            free(self.c.v)
        free(self.places)
        free(self.origins)
        free(self.checks)
        free(self.check_origins)
        free(self.windows)
        free(self.pairs)

    cdef int64_t place(self, int64_t i) noexcept nogil:
        """Where instruction i of the tape is replayed."""
        return i if self.places == NULL else self.places[i]

    cdef int64_t origin(self, int64_t place) noexcept nogil:
        return place if self.origins == NULL else self.origins[place]

    cdef CodeView view(self) noexcept nogil:
        cdef CodeView view
        view.t, view.kernels, view.counts, view.checks, view.windows = &self.c, self.kernels, self.counts, self.checks, self.windows
        view.pairs = self.pairs
        view.check_origins, view.recorded = self.check_origins, self.tape.c.v
        return view

    cdef int lower(self) except -1:
        """Finds the kernels of the array instructions."""
        cdef Lowering lowering
        cdef Py_ssize_t k
        cdef int64_t i
        cdef Place* place
        cdef list slots = [0] * len(self.tape.records)
        for i in range(0 if self.scalars_only else self.n):
            if self.tape.c.opcode[i] == OP_ARRAY:
                slots[self.tape.c.a[i]] = i
        constants = {record.out: record for record in self.tape.records if type(record) is Constant}
        for k, record in enumerate(self.tape.records):
            if type(record) is Constant or (type(record) is Copy and record.x is None):
                continue
            fast = self.fast or (self.start > 0 and slots[k] >= self.start)
            if self.taken.quick(k, record, slots[k], fast):
                continue
            extra = len(self.extra)
            lowering = Lowering(self.tape, self.extra, fast, constants, self.spread, self.spread is not None and self.spread.slots[slots[k]] != 0)
            if lower_record(lowering, record, slots[k]):
                for i in range(lowering.count * OPERANDS):
                    place = &lowering.kernels[i // OPERANDS].places[i % OPERANDS]
                    if place.kind == SCALAR:
                        place.number = self.place(place.number)
                self.short = self.short and lowering.small
                self.kept.extend(lowering.kept)
                if not self.taken.take(lowering, k):
                    self.counts[k] = lowering.count
                    self.kernels[k] = lowering.take()
            else:
                self.counts[k] = -1
                if lowering.spreads:
                    for number in range(len(self.tape.storages) + extra, len(self.tape.storages) + len(self.extra)):
                        self.spread.spans.pop(number, None)
                del self.extra[extra:]
                self.callbacks.append(name_of(record))
        return 0

    cdef int32_t tile_buffer(self, int64_t nbytes) except -1:
        """The storage of a tile's values, with room for that many bytes."""
        if self.tile < 0:
            self.tile = len(self.tape.storages) + len(self.extra)
            self.extra.append(((0,), np.dtype(np.uint8)))
        at = self.tile - len(self.tape.storages)
        self.extra[at] = ((max(nbytes, self.extra[at][0][0]),), np.dtype(np.uint8))
        return <int32_t>self.tile

    def forget(self, int64_t limit):
        """Lets go of the values of the run that was recorded if its arrays are more than so many bytes."""
        cdef int64_t total = 0
        for shape, dtype in self.tape.storages:
            total += bytes_of(shape, dtype)
        if total > limit:
            self.forgotten = forget_values(self.tape)

    @property
    def numeric(self):
        """Whether sweeps over scalars give its derivatives."""
        return self.scalars_only and all([isinstance(x, (int, Plain)) for x in self.outputs])

    @property
    def numeric_product(self):
        """Whether they give products with its Hessian: where there are arrays, other ways do without rules of second partials."""
        cdef int64_t i
        if self.second_known < 0:
            self.second_known = True
            for i in range(self.c.n if self.tape.storages else 0):
                if self.c.opcode[i] == OP_SPECIAL and special_row(self.c.b[i]).unknown_second:
                    self.second_known = False
        return self.numeric and self.second_known

    @property
    def takes_lanes(self):
        """Whether sweeps of several seeds have the memory they need."""
        return self.numeric and self.n <= MOST_BY_LANES

    @property
    def schedule(self):
        """The Schedule, None as long as there is none."""
        return self.scheduled[0] if self.scheduled else None

    @property
    def nbytes(self):
        """Bytes of the instructions, of the schedule and of a workspace."""
        return 17 * self.n + 8 * self.n + self.bytes + self.strip_words * sizeof(fastad_short) + sum([schedule.nbytes for schedule in self.scheduled])

    def live_arrays(self):
        """Whether the user's arrays are still where and what they were."""
        for _, array, address, shape in self.live:
            if <size_t>PyArray_DATA(<ndarray>array) != <size_t>address or array.shape != shape:
                return False
        return True

    def widen(self, Code path):
        """Finds what carries it out, behind a path, for several seeds at a time."""
        cdef Spread spread
        if self.wide is not None or self.by_one:
            return
        spread = spread_of(self, len(path.inputs), len(path.tape.storages))
        if spread is None:
            self.by_one = True
            return
        spread.choose_count(self.n, sum([unit_count(self, k) for k in range(len(path.inputs), len(self.inputs))]))
        self.wide = Code(self.tape, self.inputs, self.outputs, path, self.start, True, self.fast, spread)
        self.wide.owner = self.owner

    cdef Workspace workspace(self, bint plain=False):
        """A workspace for one replay, by the schedule if there is one and not `plain`."""
        cdef Workspace ws = self.pool.take()
        schedule = None if plain else schedule_for(self)
        if ws.serial == self.serial and ws.schedule is schedule:
            ws.code = self
        else:
            ws.schedule = schedule
            ws.enter(self, 0)
        return ws

    cdef int release(self, Workspace ws) except -1:
        ws.take_back()
        ws.code = None     # or a program that nobody holds would stay until the garbage collector comes by
        self.pool.put(ws)
        return 0


def tape_with(cnp.uint8_t[::1] opcode, int32_t[::1] a, int32_t[::1] b, double[::1] v, int64_t[::1] places, list records, list storages,
              list codes):
    """A tape with these instructions, which the caller has checked."""
    cdef Tape tape = Tape()
    cdef int64_t i
    for i in range(opcode.shape[0]):
        append_structural(&tape.c, opcode[i], a[i], b[i], v[i])
    tape.records, tape.storages, tape.codes = records, storages, codes
    if codes:
        tape.note_places()
        for i in range(opcode.shape[0]):
            tape.c.places[i] = places[i]
    return tape


# How a path is made:
include "windows.pxi"
include "results.pxi"
include "tiles.pxi"
include "chains.pxi"
include "fusion.pxi"
include "joined.pxi"
include "emission.pxi"
include "shorts.pxi"
include "strips.pxi"
include "liveness.pxi"
include "late.pxi"
include "lives.pxi"
include "rounds.pxi"
# how it is replayed, and swept over:
include "workspace.pxi"
include "interpreter.pxi"
include "replay.pxi"
include "outcomes.pxi"
include "scheduled.pxi"
include "seeds.pxi"
include "several.pxi"
# and what stands on that.
include "contents.pxi"
include "shortcut.pxi"
include "onestep.pxi"
include "rows.pxi"
include "looping.pxi"
