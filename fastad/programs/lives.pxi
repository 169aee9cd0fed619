# When storages are read and written, and where in a workspace's memory they are for it: what nobody reads any more makes room.

@cython.final
cdef class Lives:
    """By storage the first and the last time that it is touched, in the order of the first."""

    cdef int64_t* first        # -2: never
    cdef int64_t* last
    cdef int32_t* order
    cdef int64_t count

    def __cinit__(self, Py_ssize_t storages):
        cdef Py_ssize_t k
        self.first, self.last = <int64_t*>malloc((storages + 1) * sizeof(int64_t)), <int64_t*>malloc((storages + 1) * sizeof(int64_t))
        self.order = <int32_t*>malloc((storages + 1) * sizeof(int32_t))
        if self.first == NULL or self.last == NULL or self.order == NULL:
            raise MemoryError("no memory for a program")
        for k in range(storages):
            self.first[k] = -2

    def __dealloc__(self):
        free(self.first)
        free(self.last)
        free(self.order)

    cdef void touch(self, Py_ssize_t number, int64_t at) noexcept:
        """Notes a time, not before those noted so far."""
        if self.first[number] == -2:
            self.first[number] = at
            self.order[self.count] = <int32_t>number
            self.count += 1
        self.last[number] = at

    cdef int sort(self) except -1:
        """Puts those that are there from the start before the others."""
        numbers = sorted([self.order[k] for k in range(self.count)], key=lambda number: self.first[<Py_ssize_t>number] >= 0)
        for k, number in enumerate(numbers):
            self.order[k] = number
        return 0

    cdef void touch_chain(self, const Chain* chain, int64_t at) noexcept:
        cdef int j, k
        for j in range(chain.count):
            for k in range(chain.steps[j].count):
                if chain.steps[j].arguments[k].kind != IN_TILE and chain.steps[j].arguments[k].place.kind == ARRAY:
                    self.touch(chain.steps[j].arguments[k].place.number, at)
        self.touch(chain.buffer, at)

    cdef void touch_kernel(self, const Kernel* kernel, int64_t at) noexcept:
        cdef int k
        for k in range(kernel.count):
            if kernel.places[k].kind == ARRAY:
                self.touch(kernel.places[k].number, at)


cdef Lives lives_of(Code code, Fusion fusion):
    """When the storages of a path are touched, by the kernels it is replayed with; inputs are there from the start."""
    cdef const CTape* c = &code.c
    cdef const Kernel* kernel
    cdef const Short* short
    cdef Strips strips = code.taken
    cdef Lives lives = Lives(len(code.tape.storages) + len(code.extra))
    cdef int64_t i, s, pause = -1, count = 0, next_short = 0
    cdef int j, k
    cdef int64_t end
    cdef dict ends = dict(strips.ends)
    for k in range(<int>len(code.inputs)):
        if code.leaves[k].kind == ARRAY:
            lives.touch(code.leaves[k].number, -1)
    for number, _ in code.refreshed:
        lives.touch(number, -1)
    # On a path of scalars there are no others.
    for i in range(0 if code.scalars_only else c.n):
        if code.pauses and i == code.place(code.start):
            pause = count
        count += 1
        if c.opcode[i] == OP_GATHER or c.opcode[i] == OP_PUT:
            lives.touch(c.a[i], count)
        elif c.opcode[i] == OP_ARRAY:
            if code.counts[c.a[i]] < 0:
                for number in storages_of(code.tape.records[c.a[i]]):
                    lives.touch(number, count)
            for j in range(code.counts[c.a[i]]):
                count += 1
                kernel = &code.kernels[c.a[i]][j]
                if kernel.chain != NULL:
                    lives.touch_chain(kernel.chain, count)
                elif c.a[i] in ends:
                    end = ends[c.a[i]]
                    while next_short < end:
                        count += 1
                        short = &strips.shorts[strips.order[next_short]]
                        for k in range(short.count):
                            if short.at[k].kind == ARRAY:
                                lives.touch(short.at[k].number, count)
                        next_short += 1
                else:
                    lives.touch_kernel(kernel, count)
    # What is copied in may be asked for once and serve several replays.
    for number in [*fusion.asked, *[number for number, _ in code.refreshed]]:
        lives.touch(number, count + 1)
    if code.pauses:
        # What is behind the path may run again: what it reads of the path, and its seeds, stay.
        pause = count if pause < 0 else pause
        for s in range(lives.count):
            i = lives.order[s]
            if lives.first[i] <= pause and (lives.last[i] > pause or lives.first[i] < 0):
                lives.last[i] = count + 1
            elif lives.first[i] > pause and code.spread is not None and i not in code.spread.spans:
                # Computed for the first seeds only, and there for the others.
                lives.first[i], lives.last[i] = -1, count + 1
        if code.spread is not None:
            lives.sort()
    return lives
