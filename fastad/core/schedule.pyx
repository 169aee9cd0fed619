# cython: cdivision=True
"""The schedule of a path of scalars: its instructions brought into an order in which many are done at a time.

    instructions of a path ──copy──▶ draft ──constants, common subexpressions, dead code──▶ what is left of it
        ──chains──▶ sums and dots, one instruction each ──windows──▶ levels ──▶ runs: instructions of one opcode that need nothing
        of each other, whose slots are consecutive and whose operands are spans (consecutive too) or lists of indices
    forward: inputs into their slots, one loop per run, the values that are wanted back to their places on the path
    reverse: the runs from the last to the first, each operand's adjoint added to at its index

Every value that is wanted is the path's bit for bit: what a pass takes away or joins leaves each operation and its rounding as it
was. An instruction of a path of scalars can not fail, so guards are looked at when the values are there.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, qsort, realloc
from libc.string cimport memcmp, memcpy, memset

from fastad.core.generated.kernels cimport *
from fastad.core.generated.opcodes cimport *
from fastad.core.scalar cimport Special, special_operands, special_row
from fastad.core.tape cimport (
    OP_ARRAY, OP_CONSTANT, OP_EXTRA, OP_GATHER, OP_INPUT, OP_PUT, OP_SPECIAL, CTape, fastad_prefer_large_pages,
)
from libc.math cimport NAN

cdef extern from "fastad/core/dots.h":
    void fastad_dots(const double* v, double* out, int64_t count, int64_t length, int64_t c, int64_t step_c, int64_t a,
                     int64_t step_a, int64_t b, int64_t step_b) noexcept nogil
    void fastad_listed_dots(const double* v, double* out, int64_t count, int64_t length, const double* c, const int32_t* a,
                            const int32_t* b) noexcept nogil
    void fastad_listed_sums(const double* v, double* out, int64_t count, int64_t length, const double* c,
                            const int32_t* a) noexcept nogil
    void fastad_add_multiple(double* w, const double* p, double f, int64_t n) noexcept nogil
    void fastad_add_rows(double* w, const double* p, int64_t step, const double* f, int64_t count, int64_t n) noexcept nogil
    void fastad_products_double(double* out, const double* w, const double* p, int n, bint add) noexcept nogil
    void fastad_sums_double(double* out, const double* w, int64_t n, bint add) noexcept nogil
    void fastad_differences_double(double* out, const double* w, int64_t n, bint add) noexcept nogil


cdef struct Switches:          # what is done, for the tests; and when a schedule is made at all
    bint constants
    bint common
    bint dead
    bint chains
    bint runs
    int64_t least              # instructions
    double mean                # instructions per run


cdef Switches switches = Switches(True, True, True, True, True, 300, 4.0)


def switch(**changes):
    """Switches passes on and off: `constants`, `common`, `dead`, `chains`, `runs`; sets `least`, the instructions of a path from
    which it is scheduled, and `mean`, how many of them there must be per run. Returns what was set before."""
    global switches
    before = dict(switches)
    switches = {**before, **changes}
    return before


include "generated/value.pxi"
include "generated/sweeps.pxi"
include "generated/loops.pxi"
include "partials.pxi"
include "passes.pxi"
include "running.pxi"

set_value_loops()
set_partials()


cdef class Schedule:
    """Runs, and where inputs, constants and wanted values are; never written once it is made."""

    def __dealloc__(self):
        free(self.plan.runs)
        free(self.plan.listed)
        free(self.plan.inputs)
        free(self.plan.constants)
        free(self.plan.kept)
        free(self.plan.kept_index)

    cdef int64_t index_of(self, int32_t place, int64_t* hint) noexcept:
        """Where the value of a wanted place is; looked for from number `hint` of those on, which becomes the one behind it."""
        cdef int64_t k, n = self.plan.kept_count
        for k in range(n):
            if hint[0] >= n:
                hint[0] = 0
            hint[0] += 1
            if self.plan.kept[hint[0] - 1] == place:
                return self.plan.kept_index[hint[0] - 1]
        return -1

    @property
    def runs(self):
        """Number of runs."""
        return self.plan.run_count

    @property
    def instructions(self):
        """Number of instructions of the path that are left."""
        return self.plan.instructions

    @property
    def nbytes(self):
        """Bytes of the runs, their lists and the slots of a workspace."""
        cdef const Plan* p = &self.plan
        return (8 * (p.end - p.base) + p.run_count * sizeof(Run) + p.listed_count * sizeof(int32_t) + p.input_count * sizeof(int32_t)
                + p.constant_count * sizeof(double) + p.kept_count * 2 * sizeof(int32_t))


cdef Schedule schedule_of(const CTape* t, const int32_t* inputs, int64_t input_count, const int32_t* kept, int64_t kept_count,
                          const int64_t* storages, int64_t base):
    """The schedule of a path; None if it is better replayed one instruction after the other, or there is no memory.

    inputs     places of the scalar inputs
    kept       places whose values are wanted: results and operands of guards
    storages   for each storage that is gathered from the index of its first element, -1 if it lies elsewhere
    base       the index behind all storages
    """
    cdef Schedule schedule = Schedule()
    cdef Plan* p = &schedule.plan
    cdef Draft d
    cdef bint good
    if t.n < switches.least or is_sequential(t):
        return None
    p.base = base
    with nogil:
        good = begin(&d, t) and begin_plan(p, inputs, input_count, kept, kept_count)
        if good:
            simplify(&d, storages, p)
            count_uses(&d, p)
            if switches.chains:
                join_chains(&d)
            good = place_first(&d, p) and emit(&d, p)
        end(&d)
    if not good or p.instructions < switches.mean * p.run_count:
        return None
    schedule.passes = {"constants": d.folded, "common": d.common, "dead": d.dead, "joined": d.joined}
    return schedule
