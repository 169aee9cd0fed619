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
from libc.string cimport memcmp, memcpy, memset
from numpy cimport (
    NPY_DOUBLE, PyArray_BYTES, PyArray_DATA, PyArray_DESCR, PyArray_DIMS, PyArray_EMPTY, PyArray_IS_C_CONTIGUOUS,
    PyArray_IS_F_CONTIGUOUS, PyArray_NBYTES, PyArray_NDIM, PyArray_STRIDES, PyArray_TYPE, ndarray,
)

from fastad.arrays.active cimport Operand, Record
from fastad.arrays.memory cimport made
from fastad.core.generated.kernels cimport *
from fastad.core.generated.opcodes cimport *
from fastad.core.lanes cimport Check, Path, lowered, vectorised
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

cnp.import_array()

include "../core/generated/value.pxi"
include "spread.pxi"
include "kernels.pxi"
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
    VERY_LARGE = 65536     # bytes of a result
    LARGE = 4096           # bytes of an array from which on it is worth more than a copy to go without
    SHORT = 2000           # instructions
    WINDOW = 256           # instructions after which guards are looked at, while the values are at hand: at most
    FIRST_WINDOW = 16      # and at first, as what is carried out behind a guard that does not hold was for nothing
    SPARE = 4              # workspaces that are kept for the next calls
    FEW_GUARDS = 4         # that are looked at one by one
    MOST_BY_LANES = 1 << 21      # instructions, each of which takes 64 bytes for the seeds of a sweep


cdef enum Stop:
    FINISHED = 0
    MISSED = 1          # a guard does not hold
    FAILED = 2          # a guard on an array does not hold
    ASKS_PYTHON = 3     # an array instruction without a kernel


# ---- a path --------------------------------------------------------------------------------------------------------------------

cdef struct Leaf:
    int kind                # SCALAR or ARRAY
    int32_t number          # place of a slot, or storage
    int32_t order           # among the scalars


cdef struct Window:         # a stretch of instructions, and the guards in it
    int64_t end             # place
    bint stops              # behind it is an instruction that guards must not pass: an array instruction or a put
    int32_t first           # of its guards
    int32_t last            # behind them
    int32_t[6] counts       # how many of each kind there are: those that were less, not less, less or equal ...
    bint by_itself          # one of them is no comparison, and so they are looked at one by one


cdef struct CodeView:       # what the interpreter reads of a Code
    const CTape* t
    Kernel** kernels
    const int32_t* counts
    const Check* checks
    const int32_t* check_origins
    const double* recorded          # values on the tape
    const Window* windows
    const int32_t* pairs


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
        self.arrange()
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
        self.divide()
        self.place_storages(fusion)
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

    cdef int arrange(self) except -1:
        """Sets the guards apart from the instructions."""
        cdef const CTape* t = &self.tape.c
        cdef int64_t i, checks = 0
        for i in range(self.n):
            checks += OP_GUARD_LESS <= t.opcode[i] <= OP_GUARD_VALUE
        self.short = self.n < SHORT
        self.checks, self.check_origins = <Check*>malloc((checks + 1) * sizeof(Check)), <int32_t*>malloc((checks + 1) * sizeof(int32_t))
        self.pairs = <int32_t*>malloc(2 * (checks + 1) * sizeof(int32_t))
        if self.checks == NULL or self.check_origins == NULL or self.pairs == NULL:
            raise MemoryError(f"no memory for a program of {self.n} instructions")
        self.c = t[0]
        if checks:
            self.set_apart()
        return 0

    cdef bint stops(self, int64_t i) noexcept:
        """Whether the instruction at place i ends a window: one with kernels, or that writes to an array."""
        return self.c.opcode[i] == OP_PUT or (self.c.opcode[i] == OP_ARRAY and self.counts[self.c.a[i]] != 0)

    cdef int divide(self) except -1:
        """Divides what is replayed into windows."""
        cdef CTape* c = &self.c
        cdef Window* w
        cdef int64_t i, length, start = 0, count = 2
        cdef int64_t pause = self.place(self.start)
        cdef int32_t check = 0
        cdef bint stops
        cdef bint plain = self.scalars_only and not self.start       # nothing stops it
        if not plain:
            for i in range(c.n):
                count += self.stops(i)
        # Nine at most are shorter than WINDOW because they are among the first.
        self.windows = <Window*>calloc(count + c.n // WINDOW + 9, sizeof(Window))
        if self.windows == NULL:
            raise MemoryError(f"no memory for a program of {self.n} instructions")
        i = -1
        while i < c.n:
            length = max(<int64_t>FIRST_WINDOW, min(<int64_t>WINDOW, start // 2))
            i = min(start + length, c.n) if plain else i + 1
            stops = not plain and i < c.n and self.stops(i)
            if not plain and not stops and i < c.n and i - start < length and (i != pause or i == 0):
                continue
            w = &self.windows[self.window_count]
            w.end, w.stops, w.first = i, stops, check
            while check < self.guards and self.checks[check].place <= i:
                check += 1
            self.sort_checks(w, check)
            self.window_count += 1
            start = i + stops
        return 0

    cdef void sort_checks(self, Window* w, int32_t end) noexcept:
        """Lists the guards of a window by kind."""
        cdef int32_t k
        cdef int kind
        cdef int32_t[6] at
        w.last = end
        for k in range(w.first, end):
            if self.checks[k].op == OP_GUARD_VALUE:
                w.by_itself = True
            else:
                w.counts[kind_of(&self.checks[k])] += 1
        at[0] = w.first
        for kind in range(1, 6):
            at[kind] = at[kind - 1] + w.counts[kind - 1]
        for k in range(w.first, end):
            if self.checks[k].op != OP_GUARD_VALUE:
                kind = kind_of(&self.checks[k])
                self.pairs[2 * at[kind]], self.pairs[2 * at[kind] + 1] = self.checks[k].a, self.checks[k].b
                at[kind] += 1

    cdef int set_apart(self) except -1:
        """Copies the instructions without the guards."""
        cdef const CTape* t = &self.tape.c
        cdef CTape* c = &self.c
        cdef int64_t n = self.n
        cdef int64_t i, m = 0
        cdef int op
        c.opcode, c.v = <uint8_t*>malloc(n + 1), <double*>malloc((n + 1) * sizeof(double))
        c.a, c.b = <int32_t*>malloc((n + 1) * sizeof(int32_t)), <int32_t*>malloc((n + 1) * sizeof(int32_t))
        self.places, self.origins = <int32_t*>malloc((n + 1) * sizeof(int32_t)), <int32_t*>malloc((n + 1) * sizeof(int32_t))
        if c.opcode == NULL or c.v == NULL or c.a == NULL or c.b == NULL or self.places == NULL or self.origins == NULL:
            raise MemoryError(f"no memory for a program of {n} instructions")
        for i in range(n):
            op = t.opcode[i]
            self.places[i] = <int32_t>m
            if OP_GUARD_LESS <= op <= OP_GUARD_VALUE:
                self.checks[self.guards] = Check(<int32_t>m, self.places[t.a[i]],
                                                 t.b[i] if op == OP_GUARD_VALUE else self.places[t.b[i]], op, t.v[i] != 0.0)
                self.check_origins[self.guards] = <int32_t>i
                self.guards += 1
                continue
            c.opcode[m], c.v[m], c.a[m], c.b[m] = op, t.v[i], t.a[i], t.b[i]
            if op >= FIRST_OPCODE or op == OP_EXTRA:
                c.a[m], c.b[m] = self.places[t.a[i]], self.places[t.b[i]]
            elif op == OP_SPECIAL:
                c.a[m] = self.places[t.a[i]]
            self.origins[m] = <int32_t>i
            m += 1
        self.places[n], self.origins[m] = <int32_t>m, <int32_t>n
        c.n = m
        return 0

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

    cdef Position position(self, int64_t i) noexcept nogil:
        """Where instruction i of the tape stands."""
        cdef Position at
        cdef int64_t low = 0, high = self.window_count - 1, middle
        at.i, at.check = self.place(i), self.check_from(i)
        while low < high:
            middle = (low + high) // 2
            if self.windows[middle].end < at.i:
                low = middle + 1
            else:
                high = middle
        at.window = low
        return at

    cdef int64_t check_from(self, int64_t i) noexcept nogil:
        """The first guard at or behind instruction i of the tape."""
        cdef int64_t low = 0, high = self.guards, middle
        while low < high:
            middle = (low + high) // 2
            if self.check_origins[middle] < i:
                low = middle + 1
            else:
                high = middle
        return low

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

    cdef int place_storages(self, Fusion fusion) except -1:
        """Gives storages their places in a workspace's memory.

        Those of before the last guard stand in order, as other paths go on from there; the others share memory with those of the same
        size that nothing reads any more, and have none if nothing but a chain knows them.
        """
        cdef Py_ssize_t number
        cdef list storages = self.tape.storages + self.extra
        cdef Lives lives
        cdef set apart = fusion.early
        self.offsets = <int64_t*>calloc(max(len(storages), 1), sizeof(int64_t))
        if self.offsets == NULL:
            raise MemoryError("no memory for a program")
        self.place_constants()
        lives = lives_of(self, fusion)
        if not self.pauses:
            self.give(fusion)
            apart = apart.union([number for number, _ in self.given])
        for number in sorted(fusion.early):
            if self.offsets[number] == 0:
                self.offsets[number] = self.room(self.bytes_for(number, storages[number]))
        share_memory(self, lives, storages, apart)
        return 0

    def forget(self, int64_t limit):
        """Lets go of the values of the run that was recorded if its arrays are more than so many bytes."""
        cdef int64_t total = 0
        for shape, dtype in self.tape.storages:
            total += bytes_of(shape, dtype)
        if total > limit:
            self.forgotten = forget_values(self.tape)

    cdef int give(self, Fusion fusion) except -1:
        """Finds the results that are written where they leave: not those that another path may have begun."""
        cdef Operand operand
        inputs = [(<Operand>x).number for x in self.inputs if type(x) is Operand]
        for x in self.outputs:
            if type(x) is Operand and (<Operand>x).strides is None:
                operand = <Operand>x
                entry = (operand.number, operand.layout)
                if bytes_of(operand.layout[0], operand.layout[1]) >= LARGE and self.offsets[operand.number] >= 0 and entry not in self.given \
                        and operand.number not in inputs and operand.number not in fusion.early:
                    self.given.append(entry)
                    self.borrows |= bytes_of(operand.layout[0], operand.layout[1]) >= VERY_LARGE
        return 0

    cdef int64_t bytes_for(self, Py_ssize_t number, layout) except -1:
        """Bytes of a storage, of the values for all seeds if it depends on them."""
        cdef int64_t size = bytes_of(layout[0], layout[1])
        return size if self.spread is None or number not in self.spread.spans else size * self.spread.count

    cdef int64_t room(self, int64_t size) except -1:
        """An offset in a workspace's memory, behind what has its place."""
        cdef int64_t at = self.bytes
        self.bytes += (size + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT
        return at

    cdef int place_constants(self) except -1:
        """Finds the storages that are arrays of their own, with offset -1, and those that are copied in."""
        cdef Py_ssize_t number
        for record in self.tape.records:
            if type(record) is not Constant:
                continue
            number = record.out
            array = record.value if record.origin is None else record.origin
            if record.origin is None or (PyArray_IS_C_CONTIGUOUS(<ndarray>array) and PyArray_ISBEHAVED_RO(<ndarray>array)):
                self.offsets[number] = -1
                self.fixed.append((number, array))
                if record.origin is not None:
                    self.live.append((number, array, <size_t>PyArray_DATA(<ndarray>array), array.shape))
            else:
                self.refreshed.append((number, array))
        return 0

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


cdef list without_copies(Tape tape, list outputs):
    """Results, with what the last instructions copy in place of the copies."""
    cdef dict copied = {}
    cdef Operand x, operand
    cdef int64_t i = tape.c.n - 1
    cdef list results = []
    while i >= 0 and tape.c.opcode[i] == OP_ARRAY and type(tape.records[tape.c.a[i]]) is Copy:
        record = tape.records[tape.c.a[i]]
        x = record.x
        if x is None or x.kind != ARRAY or x.strides is not None or x.layout != tape.storages[record.out]:
            break
        copied[record.out] = x.number
        i -= 1
    for result in outputs:
        if type(result) is Operand and (<Operand>result).strides is None and (<Operand>result).number in copied:
            operand = Operand.__new__(Operand)
            operand.kind, operand.layout, operand.slot = ARRAY, (<Operand>result).layout, (<Operand>result).slot
            operand.number = copied[(<Operand>result).number]
            result = operand
        results.append(result)
    return results


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


cdef int64_t bytes_of(shape, dtype) except -1:
    cdef int64_t size = dtype.itemsize
    for length in shape:
        size *= length
    return size


def name_of(record):
    """What an array instruction is called: the name of its function."""
    function = getattr(record, "function", None) or (record.rule.function if type(record) is Call else getattr(record, "ufunc", None))
    return getattr(function, "__name__", None) or {Copy: "copy", Assign: "assign", Total: "sum", Selection: "getitem", Guard: "guard",
                                                  AddAt: "add.at"}.get(type(record), type(record).__name__.lower())


cdef object outs_of(record):
    """The storage of the result of an array instruction, -1 for a scalar slot, or a nesting of them."""
    if type(record) is Call or type(record) is Tracked or type(record) is ProgramCall:
        return record.outs
    return (<Record>record).out


# ---- a workspace ---------------------------------------------------------------------------------------------------------------

@cython.final
cdef class Workspace:
    """Values of every slot and storage during one replay."""

    cdef Code code             # None between two replays
    cdef int64_t serial        # of the Code whose constants it holds
    cdef double* v
    cdef int64_t slots
    cdef char** data
    cdef Py_ssize_t storages
    cdef char* memory
    cdef char* aligned
    cdef int64_t bytes
    cdef Schedule schedule     # what computes the values; None: the interpreter
    cdef bint complete         # every value is at its place, not only those that are wanted
    cdef int64_t at            # the instruction of the tape where a guard did not hold
    cdef object found          # shapes and types of the result that stopped a replay
    cdef dict lent             # by storage: the caller's array that it is in this replay
    cdef dict given            # by storage: the array that leaves as a result
    cdef dict views            # by operand: arrays for instructions that call Python

    def __cinit__(self):
        self.views, self.lent, self.given, self.complete = {}, {}, {}, True

    def __dealloc__(self):
        free(self.v)
        free(self.data)
        free(self.memory)

    cdef int enter(self, Code code, int64_t first) except -1:
        """Goes on with another path, whose instructions before `first` are those of the one so far."""
        cdef Py_ssize_t k, storages = len(code.tape.storages) + len(code.extra)
        cdef int64_t bytes
        cdef char* memory
        cdef char* aligned
        cdef int64_t seeds = 1 if code.spread is None else code.spread.count
        cdef int64_t behind = code.place(code.start), seed
        if code.c.n * seeds > self.slots:
            v = <double*>realloc(self.v, code.c.n * seeds * sizeof(double))
            if v == NULL:
                raise MemoryError(f"no memory for a replay of {code.n} instructions")
            self.v, self.slots = v, code.c.n * seeds
        if storages > self.storages or self.data == NULL:
            data = <char**>realloc(self.data, (storages + BASES) * sizeof(char*))
            if data == NULL:
                raise MemoryError(f"no memory for a replay with {storages} arrays")
            self.data, self.storages = data, storages
        if first:
            self.schedule = None
        bytes = code.bytes if self.schedule is None else self.schedule.plan.end * sizeof(double)
        if bytes > self.bytes or (self.memory == NULL and storages):
            memory = <char*>malloc(bytes + ALIGNMENT)
            if memory == NULL:
                raise MemoryError(f"no memory for the arrays of a replay ({bytes} bytes)")
            aligned = memory + (ALIGNMENT - <size_t>memory % ALIGNMENT)
            if self.memory != NULL:
                memcpy(aligned, self.aligned, self.bytes)
                free(self.memory)
            self.memory, self.aligned, self.bytes = memory, aligned, bytes
        if self.views:
            self.views = {}
        for k in range(storages):
            self.data[k] = self.aligned + max(code.offsets[k], <int64_t>0)
        for number, array in code.fixed:
            self.data[<Py_ssize_t>number] = <char*>PyArray_DATA(<ndarray>array)
        if self.lent:
            for number, array in self.lent.items():
                self.data[<Py_ssize_t>number] = <char*>PyArray_DATA(<ndarray>array)
        self.data[storages], self.data[storages + 1], self.data[storages + 2] = self.aligned, <char*>self.v, code.constants
        if first and (code.given or self.given):
            self.make_results(code)
        first = code.place(first)
        memcpy(self.v + first, code.c.v + first, (code.c.n - first) * sizeof(double))
        for seed in range(1, seeds):
            memcpy(self.v + seed * code.c.n + behind, code.c.v + behind, (code.c.n - behind) * sizeof(double))
        self.code, self.serial = code, code.serial
        if self.schedule is not None:
            load_constants(&self.schedule.plan, <double*>self.aligned)
        return 0

    cdef int make_results(self, Code code) except -1:
        """Makes the arrays that leave as results, before anything is written to them."""
        cdef ndarray array
        cdef list layouts = [layout for _, layout in code.given]
        if self.given:
            self.given = {}
        arrays = made(np.empty, layouts) if code.borrows else [empty(<tuple>layout) for layout in layouts]
        for (number, _), array in zip(code.given, arrays):
            self.given[number] = array
            self.data[<Py_ssize_t>number] = <char*>PyArray_DATA(array)
        return 0

    cdef int lend(self, int32_t number, ndarray array) except -1:
        """Makes a storage an array of the caller's, which no instruction writes to."""
        self.lent[number] = array
        self.data[number] = <char*>PyArray_DATA(array)
        return 0

    cdef int take_back(self) except -1:
        """Ends a replay: nothing of the caller's is kept."""
        if not self.lent and not self.given:
            return 0
        for number in self.lent:
            self.data[<Py_ssize_t>number] = self.aligned + self.code.offsets[<Py_ssize_t>number]
        for number in self.given:
            self.data[<Py_ssize_t>number] = self.aligned + self.code.offsets[<Py_ssize_t>number]
        self.lent, self.given = {}, {}
        return 0

    cdef ndarray whole(self, int32_t number):
        """The array of a storage."""
        shape, dtype = self.code.tape.storages[number]
        return self.array(shape, dtype, None, self.data[number])

    cdef ndarray array(self, tuple shape, cnp.dtype dtype, tuple strides, char* at):
        cdef cnp.npy_intp[64] dims
        cdef cnp.npy_intp[64] steps
        cdef Py_ssize_t k
        cdef ndarray array
        for k in range(len(shape)):
            dims[k] = shape[k]
            if strides is not None:
                steps[k] = strides[k]
        Py_INCREF(dtype)
        array = PyArray_NewFromDescr(ndarray, dtype, <int>len(shape), dims, steps if strides is not None else NULL, at,
                                     NPY_ARRAY_WRITEABLE | NPY_ARRAY_BEHAVED, None)
        Py_INCREF(self)
        PyArray_SetBaseObject(array, self)
        return array

    def value(self, Operand operand):
        """The plain value of an operand; an array is not to be kept."""
        if operand.kind == SCALAR:
            return self.v[self.code.place(operand.number)]
        if operand.kind != ARRAY:
            return operand.value
        found = self.views.get(operand)
        if found is None or PyArray_DATA(<ndarray>found) != self.data[operand.number] + operand.offset:
            found = self.views[operand] = self.array(operand.layout[0], operand.layout[1], operand.strides,
                                                     self.data[operand.number] + operand.offset)
        return found

    cdef int store(self, outs, result, int64_t i) except -1:
        """Puts the result of the instruction at place i where it belongs; 0 if it has another shape or type than it was recorded with."""
        cdef tuple layout
        if outs is None:
            return 1
        if isinstance(outs, int):
            if outs < 0:
                self.v[i] = result
                return 1
            layout = <tuple>self.code.tape.storages[outs]
            if np.shape(result) != layout[0] or getattr(result, "dtype", layout[1]) != layout[1]:
                return 0
            self.whole(outs)[...] = result
            return 1
        if len(result) != len(outs):
            return 0
        for out, part in zip(outs, result):
            if not self.store(out, part, i):
                return 0
        return 1

    cdef int call_python(self, int64_t i) except -1:
        """The array instruction at place i; 0 if it is a guard that does not hold."""
        record = self.code.tape.records[self.code.c.a[i]]
        cdef object result = (<Record>record).compute(self.value)
        if type(record) is Guard:
            return 1 if result else 0
        if type(record) is Assign or type(record) is AddAt:
            return 1
        if self.store(outs_of(record), result, i):
            return 1
        self.found = shapes_found(result)
        return 0

    cdef bint run(self, Position* at, int64_t end) except -1:
        """Goes on to a place; 0 if a guard does not hold, and then `self.at` is its instruction."""
        cdef CodeView view = self.code.view()
        cdef Stop stop
        if self.schedule is not None:
            return run_schedule(self, at)
        if not self.complete:
            at[0] = Position(0, 0, 0)           # it came from a schedule, which leaves nothing to go on from
            self.complete = True
        while True:
            if self.code.short:
                stop = run(&view, self.v, self.data, at, end)
            else:
                with nogil:
                    stop = run(&view, self.v, self.data, at, end)
            if stop == FINISHED:
                return True
            if stop == MISSED:
                self.at = self.code.check_origins[at.check]
                return False
            if stop == FAILED or not self.call_python(at.i):
                self.at = self.code.origin(at.i)
                return False
            at.i += 1
            at.window += 1

    cdef int refresh(self) except -1:
        for number, array in self.code.refreshed:
            self.whole(number)[...] = array
        return 0


@cython.final
cdef class Pool:
    """Workspaces that no call uses."""

    cdef object spare          # the one taken next, or None
    cdef list more

    def __cinit__(self):
        self.more = []

    def __len__(self):
        return (self.spare is not None) + len(self.more)

    cdef Workspace take(self):
        cdef object ws = self.spare
        if ws is not None:
            self.spare = None
            return <Workspace>ws
        return <Workspace>self.more.pop() if self.more else Workspace()

    cdef int put(self, Workspace ws) except -1:
        if self.spare is None:
            self.spare = ws
        elif len(self.more) < SPARE - 1:
            self.more.append(ws)
        return 0


# ---- the interpreter -----------------------------------------------------------------------------------------------------------

cdef inline bint same(double x, double y) noexcept nogil:
    return x == y or (x != x and y != y)


cdef inline bint holds(const CodeView* code, int64_t k, const double* v) noexcept nogil:
    """Whether guard k holds."""
    cdef const Check* check = &code.checks[k]
    cdef double found, expected
    if check.op == OP_GUARD_LESS:
        return (v[check.a] < v[check.b]) == check.expected
    if check.op == OP_GUARD_LESS_EQUAL:
        return (v[check.a] <= v[check.b]) == check.expected
    if check.op == OP_GUARD_EQUAL:
        return (v[check.a] == v[check.b]) == check.expected
    found, expected = rounded(v[check.a], check.b), code.recorded[code.check_origins[k]]
    return same(found, expected) and (check.b != AS_IT_IS or found != 0.0 or memcmp(&found, &expected, sizeof(double)) == 0)


cdef void run_scalars(const CTape* t, double* v, char** data, int64_t first, int64_t n) noexcept nogil:
    """Values of instructions that can not fail and write nothing but their slot."""
    cdef const uint8_t* opcode = t.opcode
    cdef const int32_t* pa = t.a
    cdef const int32_t* pb = t.b
    cdef int64_t i
    cdef int op, k
    cdef int32_t[4] slots
    cdef double[4] operands
    for i in range(first, n):
        op = opcode[i]
        if op == OP_MULTIPLY:
            v[i] = v[pa[i]] * v[pb[i]]
        elif op == OP_ADD:
            v[i] = v[pa[i]] + v[pb[i]]
        elif op == OP_SUBTRACT:
            v[i] = v[pa[i]] - v[pb[i]]
        elif op >= FIRST_OPCODE:
            v[i] = value_of(op, v[pa[i]], v[pb[i]])
        elif op == OP_GATHER:
            v[i] = (<double*>data[pa[i]])[pb[i]]
        elif op == OP_SPECIAL:
            special_operands(t, i, slots)
            for k in range(4):
                operands[k] = v[slots[k]]
            v[i] = special_row(pb[i]).value(operands)


cdef struct Position:
    int64_t i              # place of the next instruction
    int64_t check          # the next guard
    int64_t window         # the one it is in


cdef inline int kind_of(const Check* check) noexcept nogil:
    """Place among fastad_fails."""
    return 2 * (check.op - OP_GUARD_LESS) + (not check.expected)


cdef bint all_hold(const CodeView* code, const Window* w, const double* v) noexcept nogil:
    """Whether all guards of a window hold."""
    cdef const int32_t* pairs = code.pairs + 2 * w.first
    cdef int kind
    if w.by_itself:
        return False
    for kind in range(6):
        if w.counts[kind]:
            if fastad_fails[kind](v, pairs, w.counts[kind]):
                return False
            pairs += 2 * w.counts[kind]
    return True


cdef bint checked(const CodeView* code, const Window* w, const double* v, Position* at) noexcept nogil:
    """Whether the guards of a window hold from number at.check on; goes on to the next window's or the first that does not."""
    if at.check != w.first or w.last - w.first <= FEW_GUARDS or not all_hold(code, w, v):
        while at.check < w.last:
            if not holds(code, at.check, v):
                return False
            at.check += 1
    at.check = w.last
    return True


cdef Stop run(const CodeView* code, double* v, char** data, Position* at, int64_t end) noexcept nogil:
    """Goes on to a place where a window ends. Where it does not get there, `at` says where it stopped: at.i, or at guard at.check if that MISSED."""
    cdef const Window* w
    cdef int32_t record
    cdef int k
    while True:
        w = &code.windows[at.window]
        run_scalars(code.t, v, data, at.i, w.end)
        if not checked(code, w, v, at):
            return MISSED
        at.i = w.end
        if at.i == end:
            return FINISHED
        if w.stops:
            if code.t.opcode[at.i] == OP_PUT:
                (<double*>data[code.t.a[at.i]])[code.t.b[at.i]] = v[code.t.a[at.i - 1]]
            else:
                record = code.t.a[at.i]
                if code.counts[record] < 0:
                    return ASKS_PYTHON
                for k in range(code.counts[record]):
                    if not run_kernel(&code.kernels[record][k], v, data):
                        return FAILED if code.kernels[record][k].is_guard else ASKS_PYTHON
            at.i += 1
        at.window += 1


# ---- what the program calls ----------------------------------------------------------------------------------------------------

@cython.final
cdef class Replay:
    """One replay under way: a workspace, and where it stopped if a guard did not hold."""

    cdef Workspace ws
    cdef Code code
    cdef readonly int64_t at       # the instruction it stopped at; the length of the path if none
    cdef readonly object outcome   # what the guard found there

    def __cinit__(self, Code code, bint plain=False):
        self.code = code
        self.ws = code.workspace(plain)
        self.at = 0

    cdef int put(self, Py_ssize_t k, x) except -1:
        cdef Leaf* leaf = &self.code.leaves[k]
        cdef ndarray array
        if leaf.kind == SCALAR:
            self.ws.v[leaf.number] = x
        elif type(x) is ndarray and PyArray_IS_C_CONTIGUOUS(<ndarray>x) and PyArray_ISBEHAVED_RO(<ndarray>x):
            if PyArray_NBYTES(<ndarray>x) >= LARGE and self.code.lends and self.ws.schedule is None:
                self.ws.lend(leaf.number, <ndarray>x)
            else:
                memcpy(self.ws.data[leaf.number], PyArray_DATA(<ndarray>x), PyArray_NBYTES(<ndarray>x))
        else:
            self.ws.whole(leaf.number)[...] = x
        return 0

    def start(self, list leaves, Py_ssize_t first=0):
        """Sets the inputs from number `first` on: numbers and arrays of the shapes and types that were recorded."""
        cdef Py_ssize_t k
        if first == 0:
            self.ws.make_results(self.code)
        for k in range(len(leaves)):
            self.put(first + k, leaves[k])
        if self.code.refreshed:
            self.ws.refresh()

    def go_on(self, int64_t first, bint pause=False):
        """Runs the instructions of the tape from `first` on, to the end or where it can pause; False if a guard does not hold."""
        cdef Position at = self.code.position(first)
        self.at = self.code.start if pause and self.code.start else self.code.n
        if self.ws.run(&at, self.code.place(self.at)):
            return True
        self.at = self.ws.at
        self.outcome = outcome_of(self.ws, self.at)
        return False

    def switch(self, Code code):
        """Goes over to another path that is the same up to the instruction it stopped at."""
        self.ws.enter(code, self.at)
        self.code = code

    def result(self, which=None):
        """The leaves of the result."""
        return [leaf_value(self.ws, x) for x in (self.code.outputs if which is None else which)]

    def finish(self):
        """Gives the workspace back."""
        self.code.release(self.ws)

    # Numeric sweeps, for paths without array instructions.

    def reverse(self, list outputs, list adjoints, list inputs):
        """Adjoints of inputs (indices of leaves) for adjoints of outputs (slots, -1 for a constant): arrays and floats."""
        cdef Sweep sweep
        cdef int64_t i
        if self.ws.schedule is not None:
            return scheduled_reverse(self.ws, outputs, adjoints, inputs)
        sweep = Sweep(self.ws)
        i = sweep.t.n
        for slot, w in zip(outputs, adjoints):
            if slot >= 0:
                sweep.w[self.code.place(<int64_t>slot)] += <double>w
        with nogil:
            while i > 0:
                # It stops at array instructions: here these are inputs only, where adjoints stay.
                i = reverse_sweep(&sweep.t, sweep.w, 0, i, sweep.data)
        return sweep.collect(self.code, inputs)

    def tangent(self, list inputs, list tangents, list outputs):
        """Tangents of outputs (slots, -1 for a constant) for tangents of inputs (indices of leaves)."""
        cdef Sweep sweep
        cdef int64_t i = 0
        if self.ws.schedule is not None:
            return scheduled_tangent(self.ws, inputs, tangents, outputs)
        sweep = Sweep(self.ws)
        sweep.seed(self.code, inputs, tangents)
        with nogil:
            while i < sweep.t.n:
                i = behind_inputs(&sweep.t, i)
                i = tangent_sweep(&sweep.t, sweep.w, i, sweep.t.n, sweep.data)
        return [sweep.w[self.code.place(<int64_t>slot)] if slot >= 0 else 0.0 for slot in outputs]

    def product(self, list inputs, list tangents, int64_t output):
        """The Hessian of an output (a slot, -1 for a constant) times tangents of inputs."""
        cdef Sweep t, w, s
        cdef int64_t stopped
        if self.ws.schedule is not None and not self.ws.schedule.plan.second_unknown:
            return scheduled_product(self.ws, inputs, tangents, output)
        if self.code.tape.storages:
            return product_by_lanes(self, inputs, tangents, output)
        if output < 0:
            return [0.0] * len(inputs)
        t, w, s = Sweep(self.ws), Sweep(self.ws), Sweep(self.ws)
        t.seed(self.code, inputs, tangents)
        w.w[self.code.place(output)] = 1.0
        with nogil:
            tangent_sweep(&t.t, t.w, behind_inputs(&t.t, 0), t.t.n, NULL)
            stopped = reverse_tangent_sweep(&t.t, t.w, w.w, s.w, 0, t.t.n)
        check_second(&t.t, stopped)
        return s.collect(self.code, inputs)

    # Several seeds at a time.

    def columns(self, list inputs, list outputs):
        """The Jacobian of outputs (slots, -1 for a constant) by all elements of inputs (indices of leaves), by tangents: an array."""
        return columns_of(self, inputs, outputs)

    def rows(self, list inputs, list outputs):
        """The same by adjoints."""
        return rows_of(self, inputs, outputs)

    def curvature(self, list inputs, int64_t output):
        """The Hessian of an output (a slot, -1 for a constant) by all elements of inputs (indices of leaves): an array."""
        return curvature_of(self, inputs, output)

    # The same behind paths with arrays.

    @property
    def is_wide(self):
        """Whether what is behind the path is for several seeds at a time."""
        return self.code.spread is not None

    def derivatives(self, Py_ssize_t first, bint columns):
        """For the inputs from number `first` on, which are seeds, a list of the derivatives of each output: arrays (size of the output,
        size of the seed) if they are `columns`, else their transposes. None where a guard behind the path does not hold.
        """
        return jacobian_of_seeds(self, first, columns)

    @property
    def length(self):
        """Number of instructions of the path it is on."""
        return self.code.n


cdef int check_second(const CTape* t, int64_t stopped) except -1:
    """TraceError for the instruction, if any, that a reverse-tangent sweep stopped at."""
    if stopped >= 0:
        from fastad.errors import no_second_rule
        raise no_second_rule(t.b[stopped])
    return 0


cdef int64_t behind_inputs(const CTape* t, int64_t i) noexcept nogil:
    """The first instruction from i on that is no input: those have tangents of their own."""
    while i < t.n and (t.opcode[i] == OP_INPUT or t.opcode[i] == OP_ARRAY):
        i += 1
    return i


@cython.final
cdef class Sweep:
    """Tangents or adjoints of slots, and of the input arrays that single elements are read from."""

    cdef CTape t
    cdef double* w
    cdef double** data
    cdef list arrays

    def __cinit__(self, Workspace ws):
        cdef Code code = ws.code
        cdef list storages = code.tape.storages
        cdef tuple layout
        cdef ndarray array
        cdef Py_ssize_t k
        complete(ws)
        self.t = code.c
        self.t.v = ws.v
        self.w = zeros(max(code.c.n, <int64_t>1))
        self.arrays = []
        self.data = <double**>calloc(len(storages), sizeof(double*)) if storages else NULL
        if self.data == NULL and storages:
            raise MemoryError("no memory for a sweep")
        for k in range(len(storages)):
            array, layout = None, <tuple>storages[k]
            if (<cnp.dtype>layout[1]).num == NPY_DOUBLE:
                array = empty(layout)
                self.data[k] = <double*>PyArray_DATA(array)
                memset(PyArray_DATA(array), 0, PyArray_NBYTES(array))
            self.arrays.append(array)

    def __dealloc__(self):
        give_back(self.w)
        free(self.data)

    cdef list collect(self, Code code, list inputs):
        cdef list results = []
        cdef Leaf* leaf
        for k in inputs:
            leaf = &code.leaves[<Py_ssize_t>k]
            if leaf.kind == SCALAR:
                results.append(self.w[leaf.number])
            elif self.arrays[leaf.number] is None:
                results.append(np.zeros(*code.tape.storages[leaf.number]))
            else:
                results.append(self.arrays[leaf.number])
        return results

    cdef int seed(self, Code code, list inputs, list tangents) except -1:
        cdef Leaf* leaf
        for k, tangent in zip(inputs, tangents):
            leaf = &code.leaves[<Py_ssize_t>k]
            if leaf.kind == SCALAR:
                self.w[leaf.number] = tangent
            elif tangent is not None and self.arrays[leaf.number] is not None:
                self.arrays[leaf.number][...] = tangent
        return 0


cdef object outcome_of(Workspace ws, int64_t i):
    """What a guard found, as a key that tells siblings apart."""
    cdef CTape* t = &ws.code.tape.c
    cdef int op = t.opcode[i]
    if op == OP_ARRAY:
        record = ws.code.tape.records[t.a[i]]
        if type(record) is Guard:
            return ws.value(record.x).tobytes()
        return ws.found
    if op == OP_GUARD_VALUE:
        return rounded(ws.v[ws.code.place(t.a[i])], t.b[i]).hex()
    return not t.v[i]


cdef object shapes_found(result):
    if isinstance(result, (list, tuple)):
        return tuple([shapes_found(part) for part in result])
    return np.shape(result), str(getattr(result, "dtype", type(result).__name__))


cdef object shapes_recorded(Tape tape, outs):
    if outs is None or isinstance(outs, int):
        if outs is None or outs < 0:
            return None
        return tape.storages[outs][0], str(tape.storages[outs][1])
    return tuple([shapes_recorded(tape, out) for out in outs])


def outcome_recorded(Code code, int64_t i):
    """The outcome a guard was recorded with; None where no guard stands."""
    cdef CTape* t = &code.tape.c
    cdef int op
    if i >= t.n:
        return None
    op = t.opcode[i]
    if op != OP_ARRAY and not OP_GUARD_LESS <= op <= OP_GUARD_VALUE:
        return None
    if op == OP_ARRAY:
        record = code.tape.records[t.a[i]]
        if type(record) is Guard:
            return record.expected.tobytes()
        return shapes_recorded(code.tape, outs_of(record))
    return t.v[i].hex() if op == OP_GUARD_VALUE else bool(t.v[i])


def first_difference(Code one, Code other):
    """The first instruction in which two paths differ, -1 if they are the same."""
    cdef CTape* p = &one.tape.c
    cdef CTape* q = &other.tape.c
    cdef int64_t i
    for i in range(min(p.n, q.n)):
        if p.opcode[i] != q.opcode[i] or p.a[i] != q.a[i] or p.b[i] != q.b[i]:
            return i
        if p.opcode[i] == OP_CONSTANT and memcmp(&p.v[i], &q.v[i], sizeof(double)) != 0:
            return i
        if OP_GUARD_LESS <= p.opcode[i] <= OP_GUARD_VALUE and not same(p.v[i], q.v[i]):
            return i
        if p.opcode[i] == OP_ARRAY and not same_record(one.tape, other.tape, p.a[i]):
            return i
    return -1 if p.n == q.n else min(p.n, q.n)


cdef bint same_record(Tape one, Tape other, int32_t k) except -1:
    """Whether the array instructions number k of two tapes, which agree so far, give the same."""
    p, q = one.records[k], other.records[k]
    if type(p) is not type(q) or name_of(p) != name_of(q):
        return False
    if type(p) is Guard:
        return p.expected.tobytes() == q.expected.tobytes()
    if type(p) is Constant:
        return (p.origin is None) == (q.origin is None) and (p.origin is q.origin if p.origin is not None else
                                                             p.value.tobytes() == q.value.tobytes())
    return shapes_recorded(one, outs_of(p)) == shapes_recorded(other, outs_of(q))


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


class Plain:
    """A leaf of a result that is the same on the whole path."""

    __slots__ = ("value",)

    def __init__(self, value):
        self.value = value


class Single:
    """A leaf of a result that is a number of NumPy's: the operand of the array without dimensions it is kept in."""

    __slots__ = ("operand",)

    def __init__(self, operand):
        self.operand = operand


cdef ndarray empty(tuple layout):
    """A new array with this shape and dtype."""
    cdef cnp.npy_intp[64] dims
    cdef int k, ndim = <int>len(<tuple>layout[0])
    for k in range(ndim):
        dims[k] = (<tuple>layout[0])[k]
    return PyArray_EMPTY(ndim, dims, (<cnp.dtype>layout[1]).num, 0)


cdef object leaf_value(Workspace ws, x):
    """A leaf of the result as it leaves, an array that nothing else refers to."""
    cdef Operand operand
    cdef ndarray array
    if type(x) is Operand:
        operand = <Operand>x
        if operand.strides is None:
            if operand.number in ws.given:
                return ws.given.pop(operand.number)
            array = empty(operand.layout)
            memcpy(PyArray_DATA(array), ws.data[operand.number], PyArray_NBYTES(array))
            return array
        return np.array(ws.value(operand), order="C")
    if type(x) is Single:
        return ws.value(x.operand)[()]
    if type(x) is Plain:
        return x.value.copy() if type(x.value) is ndarray else x.value
    return ws.v[ws.code.place(<int64_t>x)]


include "contents.pxi"
include "scheduled.pxi"
include "seeds.pxi"
include "several.pxi"
include "shortcut.pxi"
include "onestep.pxi"
include "rows.pxi"
include "looping.pxi"
