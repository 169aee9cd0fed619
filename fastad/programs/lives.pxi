# When storages are read and written, and where in a workspace's memory they are for it: what nobody reads any more makes room.

cdef enum:
    VERY_LARGE = 65536     # bytes of a result from which on memory of those that were freed pays


@cython.final
cdef class Lives:
    """By storage the first and the last time that it is touched, in the order of the first."""

    cdef int64_t* first        # -2: never
    cdef int64_t* last
    cdef int32_t* order
    cdef int64_t count
    cdef dict successors       # by storage that is a result: the operands in whose memory it may be

    def __cinit__(self, Py_ssize_t storages):
        cdef Py_ssize_t k
        self.first, self.last = <int64_t*>malloc((storages + 1) * sizeof(int64_t)), <int64_t*>malloc((storages + 1) * sizeof(int64_t))
        self.order = <int32_t*>malloc((storages + 1) * sizeof(int32_t))
        if self.first == NULL or self.last == NULL or self.order == NULL:
            raise MemoryError("no memory for a program")
        for k in range(storages):
            self.first[k] = -2
        self.successors = {}

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

    cdef int touch_chain(self, const Chain* chain, int64_t at) except -1:
        cdef int j, k
        for j in range(chain.count):
            for k in range(chain.steps[j].count):
                if chain.steps[j].arguments[k].kind != IN_TILE and chain.steps[j].arguments[k].place.kind == ARRAY:
                    self.touch(chain.steps[j].arguments[k].place.number, at)
        self.touch(chain.buffer, at)
        if passes["in place"]:
            self.successors.update(successors_in(chain))
        return 0

    cdef int touch_kernel(self, const Kernel* kernel, int64_t at) except -1:
        cdef int k
        for k in range(kernel.count):
            if kernel.places[k].kind == ARRAY:
                self.touch(kernel.places[k].number, at)
        if passes["in place"] and kernel.elementwise and kernel.checked == NULL and not kernel.two_results:
            self.successors.update(successors_of(kernel))
        return 0


cdef dict successors_in(const Chain* chain):
    """By result of a chain: the operands in whose memory it may be if nothing reads them later.

    Both are gone through element by element, and the steps that read the operand stand before those that write the result: what is
    overwritten of a tile was read.
    """
    cdef const Argument* argument
    cdef int j, k, size
    cdef dict reads = {}       # by storage: the last step that reads it, and the size of its elements, 0 where it is read otherwise
    cdef dict writes = {}      # by storage: the first step that writes it, likewise
    for j in range(chain.count):
        for k in range(chain.steps[j].count):
            argument = &chain.steps[j].arguments[k]
            if argument.kind == IN_TILE or argument.place.kind != ARRAY:
                continue
            size = argument.size if argument.kind == IN_MEMORY and argument.place.offset == 0 else 0
            number = argument.place.number
            if k >= chain.steps[j].count - chain.steps[j].results:
                writes.setdefault(number, (j, size))
            else:
                known = reads.get(number, (j, size))[1]
                reads[number] = j, size if size == known and chain.steps[j].loop != NULL else 0
    for k in range(chain.follows):
        reads[chain.followed[k].place.number] = chain.count, 0
    return {result: [operand for operand, (last, of_operand) in reads.items() if last < first and of_operand == size and operand not in writes]
            for result, (first, size) in writes.items() if size}


cdef dict successors_of(const Kernel* kernel):
    """The same for an elementwise kernel."""
    cdef int k, last = kernel.count - 1
    cdef dict forms = {}
    for k in range(kernel.count):
        if kernel.places[k].kind == ARRAY:
            in_memory = flat_form(kernel, k) == IN_MEMORY and kernel.places[k].offset == 0 and kernel.sizes[k] == kernel.sizes[last]
            forms[kernel.places[k].number] = in_memory and forms.get(kernel.places[k].number, True)
    result = kernel.places[last].number
    if kernel.places[last].kind != ARRAY or not forms.pop(result):
        return {}
    return {result: [operand for operand, in_memory in forms.items() if in_memory]}


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


cdef int place_storages(Code code, Fusion fusion) except -1:
    """Gives storages their places in a workspace's memory.

    Those of before the last guard stand in order, as other paths go on from there; the others share memory with those of the same
    size that nothing reads any more, and have none if nothing but a chain knows them.
    """
    cdef Py_ssize_t number
    cdef list storages = code.tape.storages + code.extra
    cdef Lives lives
    cdef set apart = fusion.early
    code.offsets = <int64_t*>calloc(max(len(storages), 1), sizeof(int64_t))
    if code.offsets == NULL:
        raise MemoryError("no memory for a program")
    place_constants(code)
    lives = lives_of(code, fusion)
    if not code.pauses:
        give_results(code, fusion)
        apart = apart.union([number for number, _ in code.given])
    for number in sorted(fusion.early):
        if code.offsets[number] == 0:
            code.offsets[number] = room_for(code, bytes_for(code, number, storages[number]))
    share_memory(code, lives, storages, apart)
    return 0


cdef int place_constants(Code code) except -1:
    """Finds the storages that are arrays of their own, with offset -1, and those that are copied in."""
    cdef Py_ssize_t number
    for record in code.tape.records:
        if type(record) is not Constant:
            continue
        number = record.out
        array = record.value if record.origin is None else record.origin
        if record.origin is None or (PyArray_IS_C_CONTIGUOUS(<ndarray>array) and PyArray_ISBEHAVED_RO(<ndarray>array)):
            code.offsets[number] = -1
            code.fixed.append((number, array))
            if record.origin is not None:
                code.live.append((number, array, <size_t>PyArray_DATA(<ndarray>array), array.shape))
        else:
            code.refreshed.append((number, array))
    return 0


cdef int give_results(Code code, Fusion fusion) except -1:
    """Finds the results that are written where they leave: not those that another path may have begun."""
    cdef Operand operand
    inputs = [(<Operand>x).number for x in code.inputs if type(x) is Operand]
    for x in code.outputs:
        if type(x) is Operand and (<Operand>x).strides is None:
            operand = <Operand>x
            entry = (operand.number, operand.layout)
            if bytes_of(operand.layout[0], operand.layout[1]) >= LARGE and code.offsets[operand.number] >= 0 and entry not in code.given \
                    and operand.number not in inputs and operand.number not in fusion.early:
                code.given.append(entry)
                code.borrows |= bytes_of(operand.layout[0], operand.layout[1]) >= VERY_LARGE
    return 0


cdef int share_memory(Code code, Lives lives, list storages, set apart) except -1:
    """Gives storages, but those apart, their places in memory, one that is free behind another of the same size if there is one."""
    cdef int64_t k, at, time = -1, latest = -1
    cdef int32_t number, other, before
    cdef Py_ssize_t kind
    cdef dict kinds = {}                # by size: its number
    cdef list spare = []                # by that: the first of the storages whose memory is free, -1 if there is none
    cdef int32_t* ending
    cdef int32_t* following
    cdef int32_t* kind_of_storage
    cdef bint share = passes["memory"]
    cdef bytearray overwritten = bytearray(len(storages))
    for k in range(lives.count):
        latest = max(latest, lives.last[lives.order[k]])
    # Storages by the time of their end, and then by their size, are lists: the first of each, and what follows a storage.
    ending = <int32_t*>malloc((latest + 3) * sizeof(int32_t))
    following, kind_of_storage = <int32_t*>malloc((len(storages) + 1) * sizeof(int32_t)), <int32_t*>malloc((len(storages) + 1) * sizeof(int32_t))
    try:
        if ending == NULL or following == NULL or kind_of_storage == NULL:
            raise MemoryError("no memory for a program")
        for k in range(latest + 2):
            ending[k] = -1
        for k in range(<int64_t>len(storages)):
            kind_of_storage[k] = -1
        for k in range(lives.count):
            number = lives.order[k]
            while time < lives.first[number]:
                # What ends at a time is free from the next on; times begin with -1.
                other = ending[time + 1]
                while other >= 0:
                    at, kind = following[other], kind_of_storage[other]
                    if not overwritten[other]:
                        following[other] = spare[kind]
                        spare[kind] = other
                    other = <int32_t>at
                time += 1
            if code.offsets[number] < 0 or number in apart:
                continue
            at = bytes_for(code, number, storages[number])
            found = kinds.get(at)
            if found is None:
                found = kinds[at] = len(spare)
                spare.append(-1)
            kind = found
            other = spare[kind]
            before = predecessor(lives, number, kind, kind_of_storage, overwritten)
            if before >= 0 and share:
                code.offsets[number] = code.offsets[before]
                overwritten[before] = True
            elif other >= 0 and share:
                code.offsets[number] = code.offsets[other]
                spare[kind] = following[other]
            else:
                code.offsets[number] = room_for(code, at)
            kind_of_storage[number], following[number] = <int32_t>kind, ending[lives.last[number] + 1]
            ending[lives.last[number] + 1] = number
    finally:
        free(ending)
        free(following)
        free(kind_of_storage)
    return 0


cdef int32_t predecessor(Lives lives, int32_t number, Py_ssize_t kind, const int32_t* kind_of_storage, bytearray overwritten) except -2:
    """The operand in whose memory a result is, of the same size and read there for the last time; -1 if there is none."""
    cdef int32_t other
    for other in lives.successors.get(number, ()):
        if lives.last[other] == lives.first[number] and kind_of_storage[other] == kind and not overwritten[other]:
            return other
    return -1


cdef int64_t bytes_for(Code code, Py_ssize_t number, layout) except -1:
    """Bytes of a storage, of the values for all seeds if it depends on them."""
    cdef int64_t size = bytes_of(layout[0], layout[1])
    return size if code.spread is None or number not in code.spread.spans else size * code.spread.count


cdef int64_t room_for(Code code, int64_t size) except -1:
    """An offset in a workspace's memory, behind what has its place."""
    cdef int64_t at = code.bytes
    code.bytes += (size + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT
    return at


cdef int64_t bytes_of(shape, dtype) except -1:
    cdef int64_t size = dtype.itemsize
    for length in shape:
        size *= length
    return size
