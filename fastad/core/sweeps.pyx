# cython: cdivision=True
"""Sweeps over a tape: each is an interpreter of the same instructions, numeric without the GIL or recording.

forward           v[i] = phi_i(v[a], v[b])
tangent           t[i] = sum over operands k of t[k] * dphi_i/dk
reverse           w[k] += w[i] * dphi_i/dk, from the last instruction to the first
reverse-tangent   the reverse sweep and its derivative along t: s[k] += s[i] * dphi_i/dk + w[i] * sum over j of d2phi_i/dkdj * t[j]

In these products zero wins over infinity and NaN, whichever factor is zero (`mulz`): a path with a zero partial contributes zero in
every mode, and a branch that was masked out never spoils a derivative.

The recording mode of the tangent and the reverse sweep appends this work, from the same rules, to the tape in progress.
(Griewank and Walther, Evaluating Derivatives, 2nd ed. 2008: tables 3.3, 3.5 and 5.2.)
"""

from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.stdlib cimport calloc, free, malloc

from fastad.core.generated.kernels cimport *
from fastad.core.generated.opcodes cimport *
from fastad.core.scalar cimport (
    Active, Special, current_tape, has_derivative, operands_of, record, record_special, slot_in, special_operands,
    special_row, value_by_opcode, wrap,
)
from fastad.core.tape cimport (
    FASTAD_ASSERT, OP_ARRAY, OP_GATHER, OP_PUT, OP_SPECIAL, CTape, Tape, constant,
    fastad_prefer_large_pages, is_array_opcode,
)

include "generated/sweeps.pxi"
include "generated/recording.pxi"


# ---- numeric sweeps --------------------------------------------------------------------------------------------------------

cdef inline void load_special(const CTape* t, int64_t i, int32_t* slots, double* operands) noexcept nogil:
    cdef int k
    special_operands(t, i, slots)
    for k in range(4):
        operands[k] = t.v[slots[k]]


cdef void forward_sweep(CTape* t, int64_t n) noexcept nogil:
    cdef int64_t i
    cdef int op
    cdef int32_t[4] slots
    cdef double[4] operands
    for i in range(n):
        op = t.opcode[i]
        if op == OP_SPECIAL:
            load_special(t, i, slots, operands)
            t.v[i] = special_row(t.b[i]).value(operands)
        elif op >= FIRST_OPCODE:
            t.v[i] = value_by_opcode(op, t.v[t.a[i]], t.v[t.b[i]])


cdef void special_tangent(const CTape* t, int64_t i, double* tangent) noexcept nogil:
    cdef Special* row = special_row(t.b[i])
    cdef int32_t[4] slots
    cdef double[4] operands
    cdef double[4] first
    cdef double total = 0.0
    cdef int k
    load_special(t, i, slots, operands)
    row.first(operands, t.v[i], first)
    for k in range(row.arity):
        total += mulz(tangent[slots[k]], first[k])
    tangent[i] = total


cdef int64_t tangent_sweep(const CTape* t, double* tangent, int64_t first, int64_t n, double** data) noexcept nogil:
    """Tangents of slots first to n-1; those before, the inputs among them, are there already.

    data[k] is the tangent of float64 storage k, NULL for zero. Returns n, or the array instruction it stopped at.
    """
    cdef const uint8_t* opcode = t.opcode
    cdef const int32_t* pa = t.a
    cdef const int32_t* pb = t.b
    cdef const double* v = t.v
    cdef int64_t i, a, b
    cdef int op
    for i in range(first, n):
        op = opcode[i]
        a, b = pa[i], pb[i]
        if op >= FIRST_OPCODE:
            FASTAD_ASSERT(0 <= a <= i and 0 <= b <= i)
            tangent_step(op, i, a, b, v[a], v[b], v[i], tangent)
        elif op == OP_SPECIAL:
            special_tangent(t, i, tangent)
        elif op == OP_GATHER:
            tangent[i] = 0.0 if data[a] == NULL else data[a][b]
        elif op == OP_PUT:
            if data[a] != NULL:
                data[a][b] = tangent[pa[i - 1]]
            elif tangent[pa[i - 1]] != 0.0:
                return i
        elif op == OP_ARRAY:
            return i
    return n


cdef void special_reverse(const CTape* t, int64_t i, double wi, double* w) noexcept nogil:
    cdef Special* row = special_row(t.b[i])
    cdef int32_t[4] slots
    cdef double[4] operands
    cdef double[4] first
    cdef int k
    load_special(t, i, slots, operands)
    row.first(operands, t.v[i], first)
    for k in range(row.arity):
        w[slots[k]] += mulz(wi, first[k])


cdef int64_t reverse_sweep(const CTape* t, double* w, int64_t first, int64_t n, double** data) noexcept nogil:
    """Adjoints from those that are set in slots first to n-1; instructions before `first` are left alone.

    data[k] is the adjoint of float64 storage k, NULL for zero. Returns first - 1, or the array instruction it stopped at.
    """
    cdef const uint8_t* opcode = t.opcode
    cdef const int32_t* pa = t.a
    cdef const int32_t* pb = t.b
    cdef const double* v = t.v
    cdef int64_t i, a, b
    cdef int op
    cdef double wi
    for i in range(n - 1, first - 1, -1):
        wi = w[i]
        # An adjoint of zero adds nothing, whatever the partials are.
        if wi == 0.0 and opcode[i] != OP_ARRAY and opcode[i] != OP_PUT:
            continue
        op = opcode[i]
        a, b = pa[i], pb[i]
        if op >= FIRST_OPCODE:
            FASTAD_ASSERT(0 <= a <= i and 0 <= b <= i)
            reverse_step(op, a, b, v[a], v[b], v[i], wi, w)
        elif op == OP_SPECIAL:
            special_reverse(t, i, wi, w)
        elif op == OP_GATHER:
            if data[a] == NULL:
                return i
            data[a][b] += wi
        elif op == OP_PUT:
            if data[a] != NULL:
                w[pa[i - 1]] += data[a][b]
                data[a][b] = 0.0
        elif op == OP_ARRAY:
            return i
    return first - 1


cdef bint special_reverse_tangent(const CTape* t, int64_t i, double wi, double si, const double* tangent, double* w,
                                  double* s) noexcept nogil:
    """False if this needs a second partial that has no rule."""
    cdef Special* row = special_row(t.b[i])
    cdef int32_t[4] slots
    cdef double[4] operands
    cdef double[4] first
    cdef double[16] second
    cdef double curvature
    cdef int j, k
    load_special(t, i, slots, operands)
    row.first(operands, t.v[i], first)
    row.second(operands, t.v[i], second)
    for k in range(row.arity):
        curvature = 0.0
        for j in range(row.arity):
            if row.unknown_second >> (4 * j + k) & 1 and tangent[slots[j]] != 0.0 and has_derivative(t, slots[k]):
                return False
            curvature += mulz(tangent[slots[j]], second[4 * j + k])
        w[slots[k]] += mulz(wi, first[k])
        s[slots[k]] += mulz(si, first[k]) + mulz(wi, curvature)
    return True


cdef int64_t reverse_tangent_sweep(const CTape* t, double* tangent, double* w, double* s, int64_t first,
                                   int64_t n) noexcept nogil:
    """Adjoints w and adjoint tangents s from those that are set in slots first to n-1 and the tangents of all.

    Returns -1, or the instruction it stopped at for want of a second partial.
    """
    cdef int64_t i, a, b
    cdef double wi, si
    for i in range(n - 1, first - 1, -1):
        wi, si = w[i], s[i]
        if wi == 0.0 and si == 0.0:
            continue
        if t.opcode[i] == OP_SPECIAL:
            if not special_reverse_tangent(t, i, wi, si, tangent, w, s):
                return i
            continue
        a, b = t.a[i], t.b[i]
        FASTAD_ASSERT(0 <= a <= i and 0 <= b <= i)
        reverse_tangent_step(t.opcode[i], a, b, t.v[a], t.v[b], t.v[i], wi, si, tangent, w, s)
    return -1


# ---- numeric mode, as Python calls it ----------------------------------------------------------------------------------------
# The sweeps run over what lies behind the inputs: a nested trace's inputs are copies, which have operands of their own.

include "workspace.pxi"


cdef void give_back(double* array) noexcept:
    fastad_give_back(array)


cdef int64_t length(list actives) except -1:
    """One more than the last slot of these values."""
    cdef int64_t n = 0
    for x in actives:
        if type(x) is Active:
            n = max(n, <int64_t>(<Active>x).slot + 1)
    return n


cdef int scatter(list actives, list numbers, double* array) except -1:
    """array[slot] += number for each active value."""
    for x, number in zip(actives, numbers):
        if type(x) is Active:
            array[(<Active>x).slot] += <double>number
    return 0


cdef list gather(list actives, const double* array, int64_t n):
    """array[slot] for each active value; what lies beyond slot n or is not active gives 0.0."""
    cdef list numbers = []
    for x in actives:
        numbers.append(array[(<Active>x).slot] if type(x) is Active and (<Active>x).slot < n else 0.0)
    return numbers


def forward(Tape tape, list inputs, list numbers):
    """Puts numbers into the inputs of a tape and computes every value anew."""
    for x, number in zip(inputs, numbers):
        tape.c.v[(<Active>x).slot] = number
    with nogil:
        forward_sweep(&tape.c, tape.c.n)


def tangent(Tape tape, list inputs, list tangents, list outputs):
    """Tangents of outputs for tangents of inputs: a list of floats, J t."""
    if tape.records or tape.storages:
        return array_sweeps.tangent(tape, inputs, tangents, outputs)
    cdef int64_t first = length(inputs)
    cdef int64_t n = max(length(outputs), first)
    cdef double* t = zeros(n)
    try:
        scatter(inputs, tangents, t)
        with nogil:
            tangent_sweep(&tape.c, t, first, n, NULL)
        return gather(outputs, t, n)
    finally:
        fastad_give_back(t)


def reverse(Tape tape, list inputs, list outputs, list adjoints):
    """Adjoints of inputs for adjoints of outputs: a list of floats, w^T J."""
    if tape.records or tape.storages:
        return array_sweeps.reverse(tape, inputs, outputs, adjoints)
    cdef int64_t first = length(inputs)
    cdef int64_t n = length(outputs)
    cdef double* w = zeros(n)
    try:
        scatter(outputs, adjoints, w)
        with nogil:
            reverse_sweep(&tape.c, w, first, n, NULL)
        return gather(inputs, w, n)
    finally:
        fastad_give_back(w)


def reverse_tangent(Tape tape, list inputs, list tangents, list outputs, list adjoints):
    """Adjoints of inputs and their derivatives along tangents: two lists of floats, w^T J and the product of t with its derivative."""
    cdef int64_t first = length(inputs)
    cdef int64_t n = length(outputs)
    cdef double* t = zeros(max(n, first))
    cdef double* w = NULL
    cdef double* s = NULL
    cdef int64_t stopped
    try:
        w = zeros(n)
        s = zeros(n)
        scatter(inputs, tangents, t)
        scatter(outputs, adjoints, w)
        with nogil:
            tangent_sweep(&tape.c, t, first, n, NULL)
            stopped = reverse_tangent_sweep(&tape.c, t, w, s, first, n)
        if stopped >= 0:
            from fastad.errors import no_second_rule
            raise no_second_rule(tape.c.b[stopped])
        return gather(inputs, w, n), gather(inputs, s, n)
    finally:
        fastad_give_back(t)
        fastad_give_back(w)
        fastad_give_back(s)


# ---- recording mode ----------------------------------------------------------------------------------------------------------

cdef class Recorder:
    """A stretch of a tape (the source) whose derivative work is appended to the tape in progress (the target).

    The stretch starts at the first input; `depends` marks the instructions in it that depend on an input along
    partials that are not blank. Where source and target differ, source slots come over as constants.

    depends   per instruction of the stretch
    work      per slot of the stretch: slot of its tangent or adjoint on the target, -1 for zero
    carried   per slot of the source: its constant on the target, -1 if not carried over yet; NULL where source is target
    """

    def __cinit__(self, Tape tape, int64_t start, int64_t stop):
        cdef int64_t i, n
        self.tape = tape
        self.source = &tape.c
        self.target = current_tape()
        self.stop = stop
        self.start = min(start, stop)
        n = self.stop - self.start
        self.depends = <uint8_t*>calloc(max(n, 1), 1)
        self.work = <int32_t*>malloc(max(n, 1) * sizeof(int32_t))
        if self.depends == NULL or self.work == NULL:
            raise MemoryError(f"no memory for a sweep over {n} instructions")
        for i in range(n):
            self.work[i] = -1
        if self.source != self.target:
            self.carried = <int32_t*>malloc(max(self.stop, 1) * sizeof(int32_t))
            if self.carried == NULL:
                raise MemoryError(f"no memory for a sweep over {self.stop} instructions")
            for i in range(self.stop):
                self.carried[i] = -1

    def __dealloc__(self):
        free(self.depends)
        free(self.work)
        free(self.carried)

    cdef int mark(self, list inputs) except -1:
        cdef int64_t i
        cdef int k, mask
        cdef int32_t[4] slots
        for x in inputs:
            if type(x) is Active and (<Active>x).slot < self.stop:
                self.depends[(<Active>x).slot - self.start] = 1
        for i in range(self.start, self.stop):
            if is_array_opcode(self.source.opcode[i]):
                if self.array_depends(i):
                    self.depends[i - self.start] = 1
                continue
            mask = operands_of(self.source, i, slots)
            for k in range(4):
                if mask >> k & 1 and self.active(slots[k]):
                    self.depends[i - self.start] = 1
        return 0

    # What the array layer overrides: marking, tangent and adjoint of instruction i, an array instruction.

    cdef bint array_depends(self, int64_t i) except -1:
        return False

    cdef int array_tangent(self, int64_t i) except -1:
        return 0

    cdef int array_reverse(self, int64_t i) except -1:
        return 0

    cdef bint active(self, int64_t slot) noexcept nogil:
        return self.start <= slot < self.stop and self.depends[slot - self.start]

    cdef int32_t at(self, int32_t slot) except -1:
        """The target's slot for a slot of the source."""
        if self.carried == NULL:
            return slot
        if self.carried[slot] < 0:
            self.carried[slot] = constant(self.target, self.source.v[slot])
        return self.carried[slot]

    cdef int32_t partial(self, int64_t i, int k, int32_t* slots) except -1:
        """Records the partial of instruction i by its operand k and returns its slot."""
        cdef int32_t[4] there
        cdef int j
        cdef int32_t r = self.at(<int32_t>i)
        if self.source.opcode[i] == OP_SPECIAL:
            for j in range(4):
                there[j] = self.at(slots[j])
            return special_row(self.source.b[i]).record(self.target, k, there, r)
        return record_partial(self.target, self.source.opcode[i], k, self.at(slots[0]), self.at(slots[1]), r)

    cdef int32_t product(self, int32_t factor, int64_t i, int k, int32_t* slots) except -1:
        return record(self.target, OP_MULZ, factor, self.partial(i, k, slots))

    cdef int32_t plus(self, int32_t total, int32_t term) except -1:
        return term if total < 0 else record(self.target, OP_ADD, total, term)

    cdef int set_scalar(self, int64_t slot, object number, bint add) except -1:
        """Sets (or adds to) the tangent or adjoint of a slot of the source, which may lie outside of the stretch."""
        cdef int64_t i = slot - self.start
        if self.active(slot):
            self.work[i] = self.plus(self.work[i] if add else -1, slot_in(self.target, number))
        return 0

    def seed(self, list actives, list numbers):
        """Sets (or adds to) the tangents or adjoints of active scalars."""
        for x, number in zip(actives, numbers):
            if type(x) is Active:
                self.set_scalar((<Active>x).slot, number, True)

    def collect(self, list actives):
        """The tangents or adjoints of active scalars, as active scalars; 0.0 where they are zero."""
        cdef list results = []
        for x in actives:
            results.append(self.scalar((<Active>x).slot) if type(x) is Active else 0.0)
        return results

    def scalar(self, int64_t slot):
        """The tangent or adjoint of a slot of the source: an active scalar, or 0.0."""
        cdef int32_t there = -1
        if self.start <= slot < self.stop:
            there = self.work[slot - self.start]
        return 0.0 if there < 0 else wrap(self.target, there)

    def tangent_sweep(self):
        cdef int64_t i
        cdef int32_t[4] slots
        cdef int32_t total
        cdef int k, mask
        for i in range(self.start, self.stop):
            if not self.depends[i - self.start]:
                continue
            if is_array_opcode(self.source.opcode[i]):
                self.array_tangent(i)
                continue
            total = self.work[i - self.start]
            mask = operands_of(self.source, i, slots)
            for k in range(4):
                if mask >> k & 1 and self.active(slots[k]) and self.work[slots[k] - self.start] >= 0:
                    total = self.plus(total, self.product(self.work[slots[k] - self.start], i, k, slots))
            self.work[i - self.start] = total

    def reverse_sweep(self):
        cdef int64_t i, there
        cdef int32_t[4] slots
        cdef int32_t adjoint
        cdef int k, mask
        for i in range(self.stop - 1, self.start - 1, -1):
            if is_array_opcode(self.source.opcode[i]):
                if self.depends[i - self.start]:
                    self.array_reverse(i)
                continue
            adjoint = self.work[i - self.start]
            if adjoint < 0:
                continue
            mask = operands_of(self.source, i, slots)
            for k in range(4):
                if mask >> k & 1 and self.active(slots[k]):
                    there = slots[k] - self.start
                    self.work[there] = self.plus(self.work[there], self.product(adjoint, i, k, slots))


cdef int64_t first_slot(list inputs, int64_t stop) except -1:
    for x in inputs:
        stop = min(stop, <int64_t>(<Active>x).slot)
    return stop


def record_tangent(Tape tape, list inputs, list tangents, list outputs):
    """As `tangent`, with the work appended to the tape in progress; tangents and results may be active."""
    cdef Recorder recorder
    if tape.records or tape.storages:
        return array_sweeps.record_tangent(tape, inputs, tangents, outputs)
    recorder = Recorder(tape, first_slot(inputs, length(outputs)), length(outputs))
    recorder.mark(inputs)
    recorder.seed(inputs, tangents)
    recorder.tangent_sweep()
    return recorder.collect(outputs)


def record_reverse(Tape tape, list inputs, list outputs, list adjoints):
    """As `reverse`, with the work appended to the tape in progress; adjoints and results may be active."""
    cdef Recorder recorder
    if tape.records or tape.storages:
        return array_sweeps.record_reverse(tape, inputs, outputs, adjoints)
    recorder = Recorder(tape, first_slot(inputs, length(outputs)), length(outputs))
    recorder.mark(inputs)
    recorder.seed(outputs, adjoints)
    recorder.reverse_sweep()
    return recorder.collect(inputs)


# Tapes with arrays on them are swept by the array layer, with the loops and the recorder of this module.
array_sweeps = None


def set_array_sweeps(module):
    """Sets what has `tangent`, `reverse`, `record_tangent` and `record_reverse` for tapes with arrays."""
    global array_sweeps
    array_sweeps = module
