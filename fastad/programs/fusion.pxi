# Which kernels are chains (tiles.pxi), which stand alone, in which order.

cdef enum:
    OPEN = 4                  # chains that may grow at a time


@cython.final
cdef class Fusion:
    """The kernels of a Code, in order, with chains in place of some."""

    cdef Code code
    cdef list entries         # by record: BoxedKernels and Growings
    cdef list open            # Growings that may still grow, the newest last; none needs another
    cdef bint chaining
    cdef bint mixed    # there is more than short loops
    cdef readonly set needed  # storages that are read from memory
    cdef readonly set early   # those of before the last guard
    cdef readonly set asked   # those that leave as results
    cdef set asked_slots      # slots that do
    cdef int64_t last_guard   # place behind which no other path goes on

    def __cinit__(self, Code code):
        self.code, self.needed, self.early, self.asked, self.asked_slots = code, set(), set(), set(), set()
        self.entries, self.open = [[] for _ in range(code.records)], []
        self.last_guard, self.chaining = -1, passes["chains"]

    cdef int close(self, Growing chain) except -1:
        """Ends a chain: it stands where its last member did."""
        self.entries[chain.home].append(chain)
        self.open.remove(chain)
        return 0

    cdef int close_all(self) except -1:
        for chain in self.open[:]:
            self.close(chain)
        return 0

    cdef int ask(self, list outputs) except -1:
        """Notes what leaves as a result."""
        for x in outputs:
            if type(x) is Single:
                x = x.operand
            if type(x) is Operand and (<Operand>x).kind == ARRAY:
                self.asked.add((<Operand>x).number)
            elif type(x) is int and x >= 0:
                self.asked_slots.add(self.code.place(x))
            elif type(x) is Operand and (<Operand>x).kind == SCALAR:
                self.asked_slots.add(self.code.place((<Operand>x).number))
        return 0

    cdef int find_last_guard(self) except -1:
        cdef Code code = self.code
        cdef int64_t i
        cdef int k
        if code.guards:
            self.last_guard = code.checks[code.guards - 1].place
        for i in range(code.c.n):
            if code.c.opcode[i] == OP_ARRAY:
                if code.counts[code.c.a[i]] < 0 and type(code.tape.records[code.c.a[i]]) not in NEVER_FORK:
                    self.last_guard = max(self.last_guard, i)
                for k in range(code.counts[code.c.a[i]]):
                    # The user's function may catch that a matrix has no inverse; what is behind a path has no other ways.
                    if code.kernels[code.c.a[i]][k].is_guard or (code.kernels[code.c.a[i]][k].checked == run_general
                                                                 and (not code.start or i < code.place(code.start))):
                        self.last_guard = max(self.last_guard, i)
        return 0

    cdef int walk(self) except -1:
        cdef Code code = self.code
        cdef const CTape* c = &code.c
        cdef int64_t i, check = 0
        cdef int64_t pause = code.place(code.start) if code.pauses else -1
        cdef int op, k
        cdef int32_t known = -1            # the storage read last
        self.find_last_guard()
        if passes["dead"]:
            drop_dead(self)
        self.mixed = any([code.counts[k] for k in range(<int>code.records)])
        self.needed.update(self.asked)
        for i in range(c.n):
            if i == pause or (check < code.guards and code.checks[check].place <= i):
                self.close_all()
                while check < code.guards and code.checks[check].place <= i:
                    check += 1
            op = c.opcode[i]
            if op == OP_ARRAY:
                if code.counts[c.a[i]] < 0:
                    self.close_all()
                    numbers = storages_of(code.tape.records[c.a[i]])
                    self.needed.update(numbers)
                    if i <= self.last_guard:
                        self.early.update(numbers)
                for k in range(code.taken.many[c.a[i]]):
                    self.pass_by(&code.taken.shorts[code.taken.first[c.a[i]] + k], i <= self.last_guard)
                for k in range(code.counts[c.a[i]]):
                    self.offer(&code.kernels[c.a[i]][k], c.a[i])
                    if i <= self.last_guard:
                        self.note_early(&code.kernels[c.a[i]][k])
            elif op == OP_GATHER or op == OP_PUT:
                if c.a[i] != known:
                    known = c.a[i]
                    self.needed.add(known)
                    if i <= self.last_guard:
                        self.early.add(<Py_ssize_t>known)
                for chain in self.open[:]:
                    if (<Growing>chain).touches(c.a[i], op == OP_PUT):
                        self.close(chain)
            elif self.open and op > OP_INPUT:
                # An operand that is no slot may look like one: the chain ends too early then, no harm.
                for chain in self.open[:]:
                    if (<Growing>chain).sums and (~<int64_t>c.a[i] in (<Growing>chain).sums or ~<int64_t>c.b[i] in (<Growing>chain).sums):
                        self.close(chain)
        self.close_all()
        if self.last_guard >= 0:
            for k in range(<int>len(code.inputs)):
                if code.leaves[k].kind == ARRAY:
                    self.early.add(<Py_ssize_t>code.leaves[k].number)
        return 0

    cdef int note_early(self, const Kernel* kernel) except -1:
        cdef int k
        for k in range(kernel.count):
            if kernel.places[k].kind == ARRAY:
                self.early.add(<Py_ssize_t>kernel.places[k].number)
        return 0

    cdef int offer(self, const Kernel* kernel, Py_ssize_t record) except -1:
        """The next kernel: it joins a chain, or goes before those that are open; what it needs of others ends these."""
        cdef BoxedKernel boxed
        cdef Growing chain, into = None
        cdef bint needs_it = False
        cdef int k
        if kernel.is_guard:
            self.close_all()
        if self.can_be_member(kernel):
            for chain in self.open:
                # The newest, but rather one that it needs.
                if chain.fits(kernel) and not chain.conflicts(kernel, True) and (chain.conflicts(kernel, False) or not needs_it):
                    into, needs_it = chain, chain.conflicts(kernel, False)
            if into is None:
                into = Growing(self.code, elements_of(kernel))
                into.seeded = kernel.seeded
        for chain in self.open[:]:
            if chain is not into and chain.conflicts(kernel, False):
                self.close(chain)
        if into is not None:
            if into.kernels == 0:
                if len(self.open) == OPEN:
                    self.close(self.open[0])
                self.open.append(into)
            into.join(kernel)
            into.home = record
            return 0
        boxed = BoxedKernel()
        boxed.kernel = kernel[0]
        self.entries[record].append(boxed)
        for k in range(kernel.count):
            if kernel.places[k].kind == ARRAY:
                self.needed.add(kernel.places[k].number)
        return 0

    cdef bint can_be_member(self, const Kernel* kernel) noexcept:
        cdef int k, form
        cdef int last = kernel.count - 1
        if not self.chaining or not kernel.elementwise or elements_of(kernel) < 2 or (kernel.by_rows and kernel.lengths[1] > LONGEST_ROW):
            return False
        for k in range(kernel.count):
            if kernel.sizes[k] > 8:
                return False
            form = flat_form(kernel, k)
            # NumPy's functions may round otherwise at other strides.
            if form == 0 and not kernel.own:
                return False
            if k == last and form != (UNIFORM if kernel.total else BY_ROW if kernel.by_rows else IN_MEMORY):
                return False
        return kernel.places[last].kind == ARRAY or (kernel.total and kernel.places[last].kind == SCALAR)

    cdef bint is_needed(self, int32_t number) except -1:
        return number in self.needed or number in self.early

    cdef set touched(self, Py_ssize_t record, bint written):
        """The storages that the kernels of an instruction read or write, or only those that are written; of one that Python carries
        out all.
        """
        cdef Code code = self.code
        cdef const Kernel* kernel
        cdef int j, k
        cdef set numbers = storages_of(code.tape.records[record]) if code.counts[record] < 0 else set()
        for j in range(code.counts[record]):
            kernel = &code.kernels[record][j]
            for k in range(kernel.count if kernel.chain == NULL else 0):
                if kernel.places[k].kind == ARRAY and (not written or is_written(kernel, k)):
                    numbers.add(kernel.places[k].number)
            for k in range(kernel.chain.count if kernel.chain != NULL else 0):
                collect_arguments(&kernel.chain.steps[k], written, numbers)
        return numbers

    cdef int pass_by(self, const Short* short, bint early) except -1:
        """Lets a short loop go before the chains that are open, or ends them."""
        cdef const Spot* spot
        cdef int k
        for k in range(short.count):
            spot = &short.at[k]
            for chain in self.open[:]:
                if (spot.kind == ARRAY and (<Growing>chain).touches(spot.number, k == short.count - 1)) \
                        or (spot.kind == SCALAR and ~<int64_t>spot.number in (<Growing>chain).sums):
                    self.close(chain)
            if spot.kind == ARRAY:
                if self.mixed:
                    self.needed.add(spot.number)
                if early:
                    self.early.add(<Py_ssize_t>spot.number)
        return 0

    cdef int emit(self) except -1:
        """Puts kernels and chains into the Code."""
        cdef Code code = self.code
        cdef Growing chain
        cdef Kernel* kernels
        cdef Py_ssize_t record
        cdef int k
        for record in range(code.records):
            for entry in self.entries[record]:
                if type(entry) is Growing:
                    self.needed.update(number for number in (<Growing>entry).loaded if number >= 0)
                    self.needed.update(number for number in (<Growing>entry).sums if number >= 0)
        for record in range(code.records):
            if code.counts[record] <= 0:
                continue
            kernels = <Kernel*>calloc(max(len(self.entries[record]), 1), sizeof(Kernel))
            if kernels == NULL:
                raise MemoryError("no memory for a program")
            free_kernels(code.kernels[record], code.counts[record])
            code.kernels[record], code.counts[record] = kernels, 0
            for entry in self.entries[record]:
                if type(entry) is BoxedKernel:
                    kernels[code.counts[record]] = (<BoxedKernel>entry).kernel
                    put_long_inside(&kernels[code.counts[record]])
                elif not self.wants(<Growing>entry):
                    continue
                elif (<Growing>entry).kernels == 1 and not repeats_rows(&(<Growing>entry).first.kernel):
                    kernels[code.counts[record]] = (<Growing>entry).first.kernel
                    put_long_inside(&kernels[code.counts[record]])
                    for k in range(kernels[code.counts[record]].count):
                        if kernels[code.counts[record]].places[k].kind == ARRAY:
                            self.needed.add(kernels[code.counts[record]].places[k].number)
                else:
                    kernels[code.counts[record]].chain = Emission(self, <Growing>entry).chain()
                    kernels[code.counts[record]].seeded = (<Growing>entry).seeded
                    code.chains += 1
                code.counts[record] += 1
        return 0


    cdef bint wants(self, Growing chain) except -1:
        """Whether anything asks for what a chain computes."""
        if chain.sums or not passes["unwanted"]:
            return True
        for number in chain.written:
            if self.is_needed(number):
                return True
        return False


cdef bint repeats_rows(const Kernel* kernel) noexcept:
    """Whether a kernel reads a short row again and again: in tiles its loops are longer."""
    cdef int k
    for k in range(kernel.count - 1):
        if kernel.outer and kernel.lengths[0] <= SHORT_SUM and kernel.strides[k] == kernel.sizes[k] and kernel.steps[kernel.outer - 1][k] == 0 \
                and kernel.around[kernel.outer - 1] >= SHORT_LOOP:
            return True
    return False


# Instructions that give the same shapes in every replay, also where Python carries them out.
NEVER_FORK = (Elementwise, SpecialElementwise, Copy, Assign, AddAt, Total)


cdef set storages_of(record):
    """The storages that Python reads and writes to carry out an instruction."""
    cdef set numbers = set()
    for name in ("x", "y", "target", "key", "args", "kwargs", "operands"):
        collect_storages(getattr(record, name, None), numbers)
    collect_numbers(record.outs if type(record) in (Call, Tracked, ProgramCall) else (<Record>record).out, numbers)
    return numbers


cdef int collect_numbers(outs, set numbers) except -1:
    if isinstance(outs, (list, tuple)):
        for out in outs:
            collect_numbers(out, numbers)
    elif outs is not None and outs >= 0:
        numbers.add(<Py_ssize_t>outs)
    return 0


cdef int collect_storages(x, set numbers) except -1:
    if type(x) is Operand:
        if (<Operand>x).kind == ARRAY:
            numbers.add(<Py_ssize_t>(<Operand>x).number)
    elif type(x) is dict:
        collect_storages(list((<dict>x).values()), numbers)
    elif isinstance(x, (list, tuple)):
        for entry in x:
            collect_storages(entry, numbers)
    return 0


cdef int collect_arguments(const Step* step, bint written, set numbers) except -1:
    """The storages that a step of a chain reads or writes in memory, or only what it writes."""
    cdef int k
    for k in range(step.count - step.results if written else 0, step.count):
        if step.arguments[k].kind != IN_TILE and step.arguments[k].place.kind == ARRAY:
            numbers.add(step.arguments[k].place.number)
    return 0


cdef void free_kernels(Kernel* kernels, int count) noexcept:
    cdef int k
    for k in range(count):
        if kernels[k].round != NULL:
            free_kernels(kernels[k].round.kernels, kernels[k].round.count)
            free(kernels[k].round)
        if kernels[k].chain != NULL:
            free(kernels[k].chain.steps)
            free(kernels[k].chain.followed)
            free(kernels[k].chain)
    free(kernels)
