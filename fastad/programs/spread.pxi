# Derivatives of paths with arrays for several seeds per sweep: what depends on a seed has as many values as there are seeds, side by
# side, and the kernels that touch it have one loop more, around all others; everything else is there, and runs, once.
#
#     derivative behind a path (recorded once) ──spread_of──▶ storages and slots that depend on a seed
#         ──Lowering.nest──▶ the same kernels with a loop over seeds ──▶ a Code for `count` seeds
#     path, once ──▶ for `count` unit seeds at a time: kernels that no seed reaches (the first time only) and those it reaches
#         ──▶ columns (tangents) or rows (adjoints) of the Jacobian, or columns of the Hessian

# How many seeds go through the kernels at a time, at most: from there on a call of a kernel is paid for; bytes of the largest array of
# all seeds, which one kernel leaves in the cache for the next; bytes of all arrays of all seeds.
seeds_at_once = {"most": 32, "array": 1 << 20, "all": 1 << 26}



@cython.final
cdef class Spread:
    """How far the values of one seed lie from those of the next."""

    cdef readonly int64_t count    # seeds at a time
    cdef readonly int64_t total    # in all
    cdef readonly dict spans       # by storage that depends on a seed: bytes
    cdef bytearray slots           # by instruction of the tape: whether its slot does
    cdef int64_t lane              # slots from one seed's to the next's
    cdef int64_t* dense            # spans once more, 0 for other storages
    cdef uint8_t* seeded           # by place: whether the slot depends on a seed
    cdef int32_t* moving           # the storages with a span
    cdef Py_ssize_t moving_count

    def __cinit__(self, dict spans, bytearray slots):
        self.spans, self.slots, self.count = spans, slots, 1

    def __dealloc__(self):
        free(self.dense)
        free(self.seeded)
        free(self.moving)

    cdef int64_t step(self, int kind, int32_t number) except -1:
        """Bytes from an operand of one seed to that of the next; 0 if it is the same for all."""
        if kind == ARRAY:
            return self.spans.get(number, 0)
        return self.lane * sizeof(double) if kind == SCALAR and self.slots[number] else 0

    cdef int choose_count(self, int64_t slots, int64_t total) except -1:
        """Decides how many seeds go through the kernels at a time."""
        cdef int64_t largest = max(list(self.spans.values()) + [1])
        cdef int64_t every = sum(self.spans.values()) + 8 * slots + 1
        cdef int64_t most = max(1, min(total, seeds_at_once["most"], seeds_at_once["array"] // largest, seeds_at_once["all"] // every))
        self.total = total
        # As even as can be, so that few are left over.
        self.count = -(-total // -(-total // most)) if total else 1
        return 0

    cdef int lay_out(self, Code code, Py_ssize_t storages) except -1:
        """Notes for sweeps what kernels were made with."""
        cdef int64_t i
        self.dense = <int64_t*>calloc(max(storages, 1), sizeof(int64_t))
        self.moving = <int32_t*>calloc(max(storages, 1), sizeof(int32_t))
        self.seeded = <uint8_t*>calloc(code.c.n + 1, sizeof(uint8_t))
        if self.dense == NULL or self.seeded == NULL or self.moving == NULL:
            raise MemoryError("no memory for a sweep of several seeds")
        for number, span in self.spans.items():
            self.dense[<Py_ssize_t>number] = span
            self.moving[self.moving_count] = number
            self.moving_count += 1
        for i in range(code.c.n):
            self.seeded[i] = self.slots[code.origin(i)]
        return 0
