# cython: cdivision=True
"""Scalar paths for many points at once: lowering a path to steps on lanes, and running blocks of points through them.

A path is lowered once: what no result needs is left out, slots of values that the reverse sweep does not read are used again,
and so are adjoints, of which few are alive at a time. A block of points then takes one pass over the steps, in which each step
works on the same slot of all points. The kernels are those of the instruction set chosen in core/simd.

A block whose points disagree at a guard goes on with those that the guard holds for; for the others the guard and what was found
there come back. Where only values are wanted, the points that go on move together once enough have left, and take fewer lanes.
"""

cimport cython
from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcpy

from fastad.core.generated.opcodes cimport *
from fastad.core.scalar cimport Special, rounded, special_operands, special_row
from fastad.core.simd cimport AVX2, AVX512, BASELINE, current_level
from fastad.core.tape cimport (
    OP_ARRAY, OP_CONSTANT, OP_EXTRA, OP_GATHER, OP_GUARD_EQUAL, OP_GUARD_LESS, OP_GUARD_LESS_EQUAL, OP_GUARD_VALUE, OP_INPUT, OP_PUT,
    OP_SPECIAL, CTape,
)

cdef extern from *:
    """
    #include "fastad/core/lanes.h"
    static const FastadLaneKernels *fastad_lane_kernels(int level) { return FASTAD_AT_LEVEL(fastad_lanes_, level); }
    """
    enum:
        FASTAD_MAX_LANES, FASTAD_LANES_STEP, FASTAD_BEYOND, FASTAD_MOST_MOVED
        FASTAD_LANE_SPECIAL, FASTAD_LANE_LESS, FASTAD_LANE_LESS_EQUAL, FASTAD_LANE_EQUAL, FASTAD_LANE_VALUE
        FASTAD_LANE_EXP, FASTAD_LANE_LOG, FASTAD_LANE_SIN, FASTAD_LANE_COS, FASTAD_LANE_TANH, FASTAD_LANE_PAIRS
        FASTAD_LANE_TRIPLES
        FASTAD_THEN_ADD, FASTAD_THEN_SUBTRACT, FASTAD_THEN_MULTIPLY, FASTAD_THEN_DIVIDE, FASTAD_THEN_SUBTRACTED, FASTAD_THEN_DIVIDED
        FASTAD_THEN_ABSOLUTE
        FASTAD_BY_ONE, FASTAD_BY_MINUS_ONE, FASTAD_BY_SLOT, FASTAD_BY_PARTIAL, FASTAD_BY_SLOTS, FASTAD_BY_SPECIAL

    ctypedef struct FastadLaneBlock:
        double* v
        double* w
        int width, lanes, left, enough, result_count, lost
        const FastadLaneSpecial* specials
        const FastadLaneGuard* guards
        double (*rounded)(double v, int how) noexcept nogil
        const FastadLaneColumn* results
        const int64_t* rows
        uint64_t alive[8]
        int32_t lost_lanes[504]
        int32_t lost_guards[504]
        double place[504]
        double found[504]

    ctypedef struct FastadLaneKernels:
        int64_t (*forward)(const FastadLaneStep* steps, int64_t n, FastadLaneBlock* block) noexcept nogil
        void (*begin)(FastadLaneBlock* block, double first) noexcept nogil
        void (*move_together)(FastadLaneBlock* block, const int32_t* slots, int n) noexcept nogil
        void (*reverse)(const FastadLaneReverse* steps, int64_t n, const FastadLaneBlock* block, int careful) noexcept nogil
        int (*function)(const char* name, const double* x, double* result, int n) noexcept nogil
        void (*sines_and_cosines)(const double* x, double* sines, double* cosines, int n) noexcept nogil
        const uint8_t (*forms)[2]
        const uint8_t (*needs)[2]

    const FastadLaneKernels* fastad_lane_kernels(int level) noexcept nogil

cdef enum:
    ZERO_PARTIAL = 255
    ALIGNMENT = 64
    STRETCH = 1 << 16          # steps after which signals are looked for
    CACHE = 384 << 10          # bytes of a workspace that stay near the processor
    NEAREST = 32 << 10         # and that stay in its first cache
    WIDE = 120                 # lanes beyond which a step takes no less per point, unless all stays in the first cache

cdef const FastadLaneKernels* kernels = fastad_lane_kernels(current_level())


cdef void* checked(void* memory) except NULL:
    if memory == NULL:
        raise MemoryError("no memory for a program on many points")
    return memory


@cython.final
cdef class Lanes:
    """A scalar path as steps on lanes; made by `lowered`."""

    def __dealloc__(self):
        free(self.steps)
        free(self.back)
        free(self.specials)
        free(self.expected)
        free(self.constants)
        free(self.shared)
        free(self.loads)
        free(self.gradients)
        free(self.sweeps)
        free(self.outputs)
        free(self.alive)
        free(self.alive_count)
        free(self.exits)

    @property
    def width(self):
        """How many points fit a block whose workspace stays near the processor."""
        # Beside the slots: which guard failed, and where the point is.
        cdef int64_t nearest = fitting(NEAREST, self.slots + self.adjoints + 2)
        return nearest if nearest > WIDE else min(<int64_t>WIDE, fitting(CACHE, self.slots + self.adjoints))


cdef int64_t fitting(int64_t size, int64_t slots) noexcept:
    """How many points of some slots fit a number of bytes. From one slot to the next there is an odd number of cache lines."""
    cdef int64_t lines = min(size // (8 * slots), <int64_t>FASTAD_MAX_LANES) // FASTAD_LANES_STEP
    return FASTAD_LANES_STEP * max(lines - 1 + lines % 2, 1)


include "lane_lowering.pxi"


# ---- running -----------------------------------------------------------------------------------------------------------------

@cython.final
cdef class Points:
    """Where the inputs of many points are and where their results go.

    inputs, results   (address, bytes from one point to the next) per input and result; the caller keeps the arrays alive. None where
                      there is nothing, address 0 of a result that is not wanted.
    gradients         by result and differentiated input the same for the derivative of the one by the other
    """

    cdef readonly Lanes lanes
    cdef FastadLaneColumn* columns      # those of loads, then results, then gradients
    cdef FastadLaneColumn* shared
    cdef int64_t results, total
    cdef public bint stopping   # another thread has been interrupted

    def __cinit__(self, Lanes lanes, list inputs, list results, dict gradients):
        cdef int64_t k, j
        cdef Port* port
        self.lanes = lanes
        k = lanes.load_count + lanes.output_count + lanes.gradient_count
        self.columns = <FastadLaneColumn*>checked(malloc((k + 1) * sizeof(FastadLaneColumn)))
        self.shared = <FastadLaneColumn*>checked(malloc((lanes.shared_count + 1) * sizeof(FastadLaneColumn)))
        for k in range(lanes.shared_count):
            port = &lanes.shared[k]
            self.shared[k] = column_of(port, inputs)
        for k in range(lanes.load_count):
            self.columns[k] = column_of(&lanes.loads[k], inputs)
        self.results = k = lanes.load_count
        for place, result in enumerate(results):
            if result is not None and lanes.outputs[<int64_t>place] >= 0:
                self.columns[k] = FastadLaneColumn(lanes.outputs[<int64_t>place], <char*><size_t>result[0], result[1])
                k += 1
        self.total = k
        for j in range(lanes.sweep_count):
            for k in range(lanes.sweeps[j].gradient, lanes.sweeps[j].gradient_stop):
                port = &lanes.gradients[k]
                address, stride = gradients[lanes.sweeps[j].output, port.leaf]
                self.columns[self.total + k] = FastadLaneColumn(port.slot, <char*><size_t>address + 8 * port.element, stride)

    def __dealloc__(self):
        free(self.columns)
        free(self.shared)


cdef FastadLaneColumn column_of(const Port* port, list inputs) except *:
    if port.leaf < 0:
        return FastadLaneColumn(port.slot, <char*>port.at, 0)
    address, stride = inputs[port.leaf]
    return FastadLaneColumn(port.slot, <char*><size_t>address + 8 * port.element, stride)


cdef struct Loss:              # a point that failed at a guard
    int64_t place              # among the points
    int64_t guard
    double found               # the number that left, if it is a guard of such


@cython.final
cdef class Worker:
    """A workspace for blocks of points; one per thread."""

    cdef Points points
    cdef double* memory
    cdef FastadLaneBlock block
    cdef const FastadLaneStep* steps
    cdef const FastadLaneReverse* back
    cdef const FastadLaneColumn* loads
    cdef const FastadLaneColumn* gradients
    cdef int64_t step_count, load_count, sweep_count
    cdef const LaneSweep* sweeps
    cdef const int32_t* alive
    cdef const int8_t* alive_count
    cdef Loss* losses
    cdef int done                       # how many points of the block are done, on which lanes, and their rows
    cdef int32_t[504] lanes
    cdef int64_t[504] to
    cdef bint in_order                  # the first lanes, and one row after the other
    cdef readonly int64_t lost          # how many points have failed at a guard
    cdef int64_t room                   # for how many there is room

    def __cinit__(self, Points points, int width=0):
        cdef Lanes lanes = points.lanes
        cdef size_t doubles
        self.points = points
        self.block.width = width or lanes.width
        if self.block.width > FASTAD_MAX_LANES or self.block.width % FASTAD_LANES_STEP:
            raise ValueError(f"lanes must be a multiple of {FASTAD_LANES_STEP} up to {FASTAD_MAX_LANES}, not {width}")
        doubles = (lanes.slots + lanes.adjoints) * self.block.width + FASTAD_BEYOND
        self.memory = <double*>checked(malloc(doubles * sizeof(double) + ALIGNMENT))
        self.block.v = <double*>(<size_t>self.memory + (ALIGNMENT - <size_t>self.memory % ALIGNMENT))
        self.block.w = self.block.v + lanes.slots * self.block.width
        self.block.specials, self.block.guards, self.block.rounded = lanes.specials, lanes.expected, rounded
        self.steps, self.step_count, self.back = lanes.steps, lanes.step_count, lanes.back
        self.loads, self.load_count = points.columns, lanes.load_count
        self.block.results, self.block.result_count = points.columns + points.results, <int>(points.total - points.results)
        self.gradients, self.sweeps, self.sweep_count = points.columns + points.total, lanes.sweeps, lanes.sweep_count
        self.alive, self.alive_count = lanes.alive, lanes.alive_count
        self.fill(lanes)

    def __dealloc__(self):
        free(self.memory)
        free(self.losses)

    cdef void fill(self, Lanes lanes) noexcept:
        """Sets what stays: constants and what is the same for all points."""
        cdef int64_t k
        cdef int l
        for k in range(lanes.constant_count):
            for l in range(self.block.width):
                self.block.v[k * self.block.width + l] = lanes.constants[k]
        for k in range(lanes.shared_count):
            for l in range(self.block.width):
                self.block.v[self.points.shared[k].slot * self.block.width + l] = (<double*>self.points.shared[k].data)[0]

    def stop(self):
        """Makes `run` in another thread raise KeyboardInterrupt when it next looks."""
        self.points.stopping = True

    def run(self, size_t rows, int64_t start, int64_t stop):
        """Runs the points numbered rows[start] to rows[stop - 1] (with rows 0: start to stop - 1), and returns how many have failed at
        a guard. The results of the others are written.
        """
        cdef int64_t at = start, before = self.lost
        self.block.rows = <const int64_t*>rows
        with nogil:
            while at < stop:
                self.one_block(at, stop)
                at += self.block.width
        return self.lost - before

    def failures(self, size_t places, size_t guards, size_t found):
        """Writes of the `lost` points, in no order, their places among the points (int64), the numbers of the first guards they failed at
        (int64), and the numbers that left there (float64), if these are guards of such.
        """
        cdef int64_t k
        for k in range(self.lost):
            (<int64_t*>places)[k], (<int64_t*>guards)[k] = self.losses[k].place, self.losses[k].guard
            (<double*>found)[k] = self.losses[k].found

    cdef int one_block(self, int64_t start, int64_t stop) except -1 nogil:
        cdef int count = <int>min(<int64_t>self.block.width, stop - start)
        cdef int64_t k
        self.block.lanes, self.block.left = self.block.width, count
        kernels.begin(&self.block, <double>start)
        self.load(start, count)
        self.forward()
        self.note_lost()
        if self.block.left:
            self.list_done(count)
            self.store(self.block.results, self.block.result_count, self.block.v)
            for k in range(self.sweep_count):
                self.reverse(&self.sweeps[k])
        return 0

    cdef int pause(self) except -1 with gil:
        """Between stretches of a long path: an interrupt comes out."""
        PyErr_CheckSignals()
        if self.points.stopping:
            raise KeyboardInterrupt
        return 0

    cdef int forward(self) except -1 nogil:
        cdef int64_t at = 0, look = STRETCH
        self.block.enough = self.few_enough()
        while True:
            at += kernels.forward(self.steps + at, min(look, self.step_count) - at, &self.block)
            if at >= self.step_count or not self.block.left:
                return 0
            if self.block.left <= self.block.enough:
                self.move_together(self.steps[at - 1].out, self.step_count - at)
            if at >= look:
                look += STRETCH
                self.pause()

    cdef int few_enough(self) noexcept nogil:
        """How many points it is worth while to move to fewer lanes."""
        if self.alive_count == NULL or self.block.lanes == FASTAD_LANES_STEP:
            return 0
        return min(self.block.lanes * 2 // 3, self.block.lanes - FASTAD_LANES_STEP)

    cdef int move_together(self, int32_t guard, int64_t steps) except -1 nogil:
        """Moves the points that are left behind a guard to the first lanes, if that pays in the `steps` to come."""
        cdef int count = self.alive_count[guard]
        if steps < 4 * (count + 2):
            self.block.enough = 0
        elif count < 0:
            self.block.enough = self.block.left - 1
        else:
            self.note_lost()
            kernels.move_together(&self.block, &self.alive[FASTAD_MOST_MOVED * guard], count)
            self.block.enough = self.few_enough()
        return 0

    cdef int note_lost(self) except -1 nogil:
        """Writes down which points have left without results, and where."""
        cdef int k, l
        if self.lost + self.block.lost > self.room:
            self.make_room()
        for k in range(self.block.lost):
            l = self.block.lost_lanes[k]
            self.losses[self.lost + k] = Loss(<int64_t>self.block.place[l], self.block.lost_guards[k], self.block.found[l])
        self.lost += self.block.lost
        return 0

    cdef void list_done(self, int count) noexcept nogil:
        """Lists the lanes whose points no guard has failed at, and the rows of these."""
        cdef const int64_t* rows = self.block.rows
        cdef int l, n = 0
        for l in range(self.block.lanes):
            if self.block.alive[l // 64] >> l % 64 & 1:
                self.lanes[n], self.to[n] = l, <int64_t>self.block.place[l]
                n += 1
        if rows != NULL:
            for l in range(n):
                self.to[l] = rows[self.to[l]]
        self.done, self.in_order = n, rows == NULL and n == count

    cdef int make_room(self) except -1 nogil:
        """Makes room for another block of points that fail."""
        cdef int64_t room = self.room + self.room // 2 + FASTAD_MAX_LANES
        cdef Loss* losses = <Loss*>realloc(self.losses, room * sizeof(Loss))
        if losses == NULL:
            raise MemoryError(f"no memory for {room} rows that leave a path")
        self.losses, self.room = losses, room
        return 0

    cdef int reverse(self, const LaneSweep* sweep) except -1 nogil:
        """Derivatives of one result. Products are plain at first: where zero had to win over infinity or NaN, a derivative is NaN."""
        cdef const double* w
        cdef int64_t k, at
        cdef int l, careful, bad
        for careful in range(2):
            for l in range(self.block.width):
                self.block.w[sweep.seed * self.block.width + l] = 1.0
            at = sweep.back
            while at < sweep.back_stop:
                kernels.reverse(self.back + at, min(<int64_t>STRETCH, sweep.back_stop - at), &self.block, careful)
                at += STRETCH
                if at < sweep.back_stop:
                    self.pause()
            bad = 0
            for k in range(sweep.gradient, sweep.gradient_stop):
                w = self.block.w + self.gradients[k].slot * self.block.width
                for l in range(self.block.width):
                    bad |= w[l] != w[l]
            if not bad:
                break
        self.store(self.gradients + sweep.gradient, sweep.gradient_stop - sweep.gradient, self.block.w)
        return 0

    cdef void load(self, int64_t start, int count) noexcept nogil:
        """Takes `count` points to the first lanes; the others repeat the last one."""
        cdef const int64_t* rows = self.block.rows
        cdef const char* data
        cdef double* v
        cdef int64_t k, stride
        cdef int l
        for k in range(self.load_count):
            data, stride = self.loads[k].data, self.loads[k].stride
            v = self.block.v + self.loads[k].slot * self.block.width
            if rows != NULL:
                for l in range(count):
                    v[l] = (<const double*>(data + rows[start + l] * stride))[0]
            elif stride == sizeof(double):
                memcpy(v, data + start * sizeof(double), count * sizeof(double))
            else:
                data += start * stride
                for l in range(count):
                    v[l] = (<const double*>(data + l * stride))[0]
            for l in range(count, self.block.width):
                v[l] = v[count - 1]

    cdef void store(self, const FastadLaneColumn* columns, int64_t count, const double* values) noexcept nogil:
        """Takes some slots of the points that are done to where they go."""
        cdef const double* x
        cdef char* data
        cdef int64_t k, stride
        cdef int l
        for k in range(count):
            x, data, stride = values + columns[k].slot * self.block.width, columns[k].data, columns[k].stride
            if self.in_order:
                data += self.to[0] * stride
                for l in range(self.done):
                    (<double*>(data + l * stride))[0] = x[l]
            else:
                for l in range(self.done):
                    (<double*>(data + self.to[l] * stride))[0] = x[self.lanes[l]]


cdef bint vectorised(const char* name, const double* x, double* result, int n) noexcept nogil:
    """Applies a vectorised function to n numbers; False if there is none of this name."""
    return kernels.function(name, x, result, n) != 0


cdef void sines_and_cosines(const double* x, double* sines, double* cosines, int n) noexcept nogil:
    """The vectorised "sin" and "cos" of n numbers."""
    kernels.sines_and_cosines(x, sines, cosines, n)


def function_on(name, size_t x, size_t result, int n):
    """Applies the vectorised "exp", "log", "sin", "cos" or "tanh" to n numbers at an address."""
    if not kernels.function(name.encode(), <const double*>x, <double*>result, n):
        raise ValueError(f"there is no vectorised {name}")
