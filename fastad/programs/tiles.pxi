# Chains: kernels over the elements of arrays of one length, run tile by tile, so that what only lies between them stays in the first
# caches and never becomes an array.
#
#     kernels in order ──Fusion──▶ chains (members, values) ──emit──▶ Chain (steps over a tile) ; storages that need memory
#
# A chain grows while the next kernel is elementwise over as many elements; what stands between its members and neither reads what they
# write nor writes what they read goes before it. Within a chain copies are other names of one value, equal members are one, a
# product with 1.0 is the other factor, and what nobody asks for is left out. Guards end a chain, and what was computed before the last
# guard is kept in memory, as other paths go on from there.

# What is done to make a program faster, each to be switched off by a test: the answers are the same without.
passes = {"short": True, "chains": True, "copies": True, "ones": True, "equal": True, "unwanted": True, "memory": True, "dead": True,
          "products": True, "late": True}

cdef enum:
    TILE_BYTES = 65536      # of the values of a tile that are not in memory, together
    NARROWEST = 128         # elements of a tile, a multiple of what vector instructions take
    WIDEST = 4096
    TOTALS = 256            # sums that a chain may end in
    AT_HAND = 524288        # bytes of a tile's operands in memory that several steps read
    STREAMS = 16            # operands in memory that the processor fetches ahead by itself
    AHEAD = 2               # steps

    IN_TILE = 1             # where an argument of a step is
    IN_MEMORY = 2           # of a storage, from element to element
    UNIFORM = 3             # one number for all elements

    MULTIPLIED = 1
    MULZ = 2


cdef struct Nest:           # how an operand of any strides is read in order
    int size                # of an element
    int ndim
    cnp.npy_intp[OUTER + 1] lengths
    cnp.npy_intp[OUTER + 1] strides


cdef struct Argument:
    int kind
    int64_t slot            # of the tile
    Place place
    int size


cdef struct Step:
    Loop loop               # NULL: `nest` says how the first argument is read into the second
    void* data
    int count
    int total               # which of the chain's sums it adds to, -1 for none
    int product             # it adds up products of its operands: MULTIPLIED or MULZ
    int64_t row             # it makes one number of each row of so many elements
    bint single             # it adds up float32
    Argument[OPERANDS] arguments
    cnp.npy_intp[OPERANDS] strides
    Nest nest


cdef struct Chain:
    int64_t n
    int64_t width           # elements of a tile
    int32_t buffer          # storage of the tile's values
    int count
    int totals
    bint fetches            # operands in memory are fetched ahead
    Step* steps


cdef inline char* address_of(Place* place, double* v, char** data) noexcept nogil:
    if place.kind == ARRAY:
        return data[place.number] + place.offset
    if place.kind == SCALAR:
        return <char*>&v[place.number]
    if place.kind == FIXED:
        return place.address
    return <char*>&place.constant + place.offset


cdef enum:
    SHORT_ROW = 16          # elements along a last dimension that are read together with the dimension around it


cdef inline void read_rows(const char* source, char* target, int64_t rows, int64_t n, cnp.npy_intp row, cnp.npy_intp step) noexcept nogil:
    """Rows of n elements of 8 bytes side by side."""
    cdef int64_t i, k
    cdef int64_t* to = <int64_t*>target
    cdef int64_t x
    if step == 0:
        for i in range(rows):
            x = (<const int64_t*>(source + i * row))[0]
            for k in range(n):
                to[k] = x
            to += n
    else:
        for i in range(rows):
            for k in range(n):
                to[k] = (<const int64_t*>(source + i * row + k * step))[0]
            to += n


cdef void read_nest(const Nest* nest, const char* source, char* target, int64_t start, int64_t n) noexcept nogil:
    """Elements start to start + n - 1 of an operand of any strides, side by side."""
    cdef cnp.npy_intp[OUTER + 1] index
    cdef int64_t left = start, run, rows, k, x
    cdef int d, last = nest.ndim - 1
    cdef int64_t inner = nest.lengths[last]
    cdef cnp.npy_intp step = nest.strides[last]
    for d in range(last, -1, -1):
        index[d] = left % nest.lengths[d]
        left //= nest.lengths[d]
        source += index[d] * nest.strides[d]
    while n > 0:
        d = last
        if last > 0 and nest.size == 8 and inner <= SHORT_ROW and index[last] == 0 and n >= inner:
            d = last - 1
            rows = min(n // inner, nest.lengths[d] - index[d])
            run = rows * inner
            if inner == 2:
                read_rows(source, target, rows, 2, nest.strides[d], step)
            elif inner == 3:
                read_rows(source, target, rows, 3, nest.strides[d], step)
            elif inner == 4:
                read_rows(source, target, rows, 4, nest.strides[d], step)
            else:
                read_rows(source, target, rows, inner, nest.strides[d], step)
            index[d] += rows
            source += rows * nest.strides[d]
        else:
            run = min(n, inner - index[last])
            if step == nest.size:
                memcpy(target, source, run * nest.size)
            elif step == 0 and nest.size == 8:
                x = (<const int64_t*>source)[0]
                for k in range(run):
                    (<int64_t*>target)[k] = x
            elif nest.size == 8:
                for k in range(run):
                    (<int64_t*>target)[k] = (<const int64_t*>(source + k * step))[0]
            elif nest.size == 4:
                for k in range(run):
                    (<int32_t*>target)[k] = (<const int32_t*>(source + k * step))[0]
            else:
                for k in range(run):
                    memcpy(target + k * nest.size, source + k * step, nest.size)
            index[last] += run
            source += run * step
        target += run * nest.size
        n -= run
        while d > 0 and index[d] == nest.lengths[d]:
            source -= index[d] * nest.strides[d]
            index[d] = 0
            d -= 1
            index[d] += 1
            source += nest.strides[d]


cdef inline void fetch(const Step* step, double* v, char** data, int64_t start, int64_t m) noexcept nogil:
    cdef int k
    for k in range(step.count - 1):
        if step.arguments[k].kind == IN_MEMORY and step.loop != NULL:
            fastad_fetch(address_of(&step.arguments[k].place, v, data) + start * step.arguments[k].size, m * step.arguments[k].size, False)


cdef void run_chain(const Chain* chain, double* v, char** data) noexcept nogil:
    cdef double[TOTALS] totals
    cdef double[TOTALS] lost                # what rounding took from them (Neumaier 1974)
    cdef char* buffer = data[chain.buffer]
    cdef char* args[OPERANDS]
    cdef Step* step
    cdef Argument* argument
    cdef cnp.npy_intp m
    cdef cnp.npy_intp[2] rows
    cdef int64_t start = 0
    cdef double part, total
    cdef int j, k
    for k in range(chain.totals):
        totals[k] = lost[k] = 0.0
    while start < chain.n:
        m = min(chain.width, chain.n - start)
        for j in range(chain.count):
            step = &chain.steps[j]
            if chain.fetches and j + AHEAD < chain.count:
                fetch(&chain.steps[j + AHEAD], v, data, start, m)
            for k in range(step.count):
                argument = &step.arguments[k]
                if argument.kind == IN_TILE:
                    args[k] = buffer + argument.slot
                else:
                    args[k] = address_of(&argument.place, v, data)
                    if argument.kind == IN_MEMORY and step.loop != NULL:
                        args[k] += start * argument.size
            if step.total >= 0:
                if step.product:
                    part = fastad_dot(args[0], args[1], m, step.strides, step.product == MULZ, step.single)
                else:
                    part = fastad_total(args[0], m, step.strides[0], step.single)
                total = totals[step.total] + part
                lost[step.total] += (totals[step.total] - total) + part if fabs(totals[step.total]) >= fabs(part) else (part - total) + totals[step.total]
                totals[step.total] = total
            elif step.row:
                rows[0], rows[1] = m // step.row, step.row
                args[1] += start // step.row * step.strides[1]
                step.loop(args, rows, step.strides, step.data)
            elif step.loop != NULL:
                step.loop(args, &m, step.strides, step.data)
            else:
                read_nest(&step.nest, args[0], args[1] + (start * step.nest.size if step.arguments[1].kind == IN_MEMORY else 0), start, m)
        start += m
    for j in range(chain.count):
        step = &chain.steps[j]
        if step.total >= 0:
            # An infinite sum has lost nothing that is a number.
            total = totals[step.total] + lost[step.total]
            total = total if total == total else totals[step.total]
            k = step.count - 1
            args[k] = address_of(&step.arguments[k].place, v, data)
            if step.single:
                (<float*>args[k])[0] = <float>total
            else:
                (<double*>args[k])[0] = total


# ---- a chain as it is put together ----------------------------------------------------------------------------------------------

@cython.final
cdef class Element:
    """A value of a chain: an operand in memory, or what a member computes."""

    cdef Argument at
    cdef Nest nest              # of an operand that is not read element by element
    cdef bint is_nest
    cdef Member member          # what computes it; None for an operand
    cdef bint stored            # it lives in memory
    cdef int64_t last           # the last step that reads it
    cdef bint loaded            # it is first brought into the tile

    cdef bint is_one(self, Code code) noexcept:
        """Whether it is the number 1.0 everywhere, in every replay."""
        cdef Place* place = &self.at.place
        if self.at.kind != UNIFORM:
            return False
        if place.kind == SCALAR:
            return code.c.opcode[place.number] == OP_CONSTANT and code.c.v[place.number] == 1.0
        return place.kind == 0 and (place.constant == 1.0 if place.offset == 0 else place.single == 1.0 if self.at.size == 4 else False)


@cython.final
cdef class Member:
    """One step of a chain: a loop over its values."""

    cdef Loop loop
    cdef void* data
    cdef list sources           # Elements
    cdef Element result         # None for a sum, and for sums of rows
    cdef Place target           # of these
    cdef bint single
    cdef int product            # of a sum: MULTIPLIED or MULZ if it is one of products
    cdef int64_t row            # of sums of rows: their length


@cython.final
cdef class BoxedKernel:
    cdef Kernel kernel


cdef int flat_form(const Kernel* kernel, int k) noexcept:
    """How operand k of a kernel lies: IN_MEMORY if its elements are side by side, UNIFORM if it is one, else 0."""
    cdef int d
    cdef cnp.npy_intp length = kernel.lengths[0]
    cdef bint flat = kernel.strides[k] == kernel.sizes[k] or (kernel.by_rows and k == 0)
    cdef bint uniform = kernel.strides[k] == 0
    for d in range(kernel.outer - 1, -1, -1):
        flat = flat and kernel.steps[d][k] == length * kernel.sizes[k]
        uniform = uniform and kernel.steps[d][k] == 0
        length *= kernel.around[d]
    return IN_MEMORY if flat else UNIFORM if uniform else 0


cdef int target_of(const Kernel* kernel) noexcept:
    """The operand that a kernel writes, the last one it does."""
    return 0 if kernel.checked == add_rows or kernel.checked == add_pairs else kernel.count - 1


cdef bint is_written(const Kernel* kernel, int k) noexcept:
    """Whether a kernel writes an operand."""
    return k == target_of(kernel) or (kernel.two_results and k == kernel.count - 2)


cdef int64_t elements_of(const Kernel* kernel) noexcept:
    cdef int d
    cdef int64_t n = kernel.lengths[0] * (kernel.lengths[1] if kernel.by_rows else 1)
    for d in range(kernel.outer):
        n *= kernel.around[d]
    return n


@cython.final
cdef class Growing:
    """A chain that may still grow."""

    cdef Code code
    cdef int64_t n
    cdef list members
    cdef dict loaded         # by storage: {(offset, form): Element} of what it reads of memory
    cdef dict written        # by storage: the Element it holds now, and its offset
    cdef dict known          # by loop and operands: the member that computes it
    cdef set sums            # slots and storages of sums
    cdef int totals
    cdef int64_t row         # the length of the rows of which it makes numbers, 0 if it does not
    cdef bint seeded         # whether its members depend on the seeds of a sweep of several: all do, or none
    cdef Py_ssize_t kernels  # how many it stands for
    cdef BoxedKernel first   # the first of them

    def __cinit__(self, Code code, int64_t n):
        self.code, self.n = code, n
        self.members, self.loaded, self.written, self.known, self.sums = [], {}, {}, {}, set()

    cdef bint touches(self, int32_t number, bint writes) except -1:
        """Whether what reads (or writes) a storage must stand behind this chain."""
        return number in self.written or number in self.sums or (writes and number in self.loaded)

    cdef bint conflicts(self, const Kernel* kernel, bint member) except -1:
        """Whether a kernel can not join this chain; of one that is no member: can not go before it."""
        cdef const Place* place
        cdef int k, form
        cdef int writes = target_of(kernel)
        for k in range(kernel.count):
            place = &kernel.places[k]
            if place.kind == SCALAR and ~<int64_t>place.number in self.sums:
                return True
            if place.kind != ARRAY:
                continue
            if not member:
                if self.touches(place.number, is_written(kernel, k)):
                    return True
                continue
            form = flat_form(kernel, k)
            if place.number in self.sums:
                return True
            if place.number in self.written and (form != IN_MEMORY or (kernel.by_rows and k == writes) or self.written[place.number][1] != place.offset
                                                 or (<Element>self.written[place.number][0]).at.size != kernel.sizes[k]):
                return True
            if k == kernel.count - 1 and place.number in self.loaded:
                if kernel.total or kernel.by_rows or list(self.loaded[place.number]) != [(place.offset, IN_MEMORY, kernel.sizes[k])]:
                    return True
        return (kernel.total and self.totals == TOTALS) or (kernel.by_rows and self.row not in (0, kernel.lengths[1]))

    cdef Element source(self, const Kernel* kernel, int k):
        """Operand k of a kernel that joins."""
        cdef const Place* place = &kernel.places[k]
        cdef Element element
        cdef int form = flat_form(kernel, k)
        cdef int d
        if place.kind == ARRAY:
            if place.number in self.written:
                return self.written[place.number][0]
            key = place.offset, form, kernel.sizes[k]
            if form == 0:
                key += tuple([(kernel.steps[d][k], kernel.around[d]) for d in range(kernel.outer)]) + ((kernel.strides[k], kernel.lengths[0]),)
            of_storage = self.loaded.setdefault(place.number, {})
        else:
            key = (place.kind, place.number) if place.kind == SCALAR else (<size_t>place.address, place.constant.hex(), place.offset,
                                                                            place.single, place.whole)
            of_storage = self.loaded.setdefault(-1, {})
        element = of_storage.get(key)
        if element is None:
            element = of_storage[key] = Element()
            element.at.kind, element.at.place, element.at.size = form or IN_MEMORY, place[0], kernel.sizes[k]
            if form == 0:
                element.is_nest = True
                element.nest.size = kernel.sizes[k]
                for d in range(kernel.outer):
                    put_dimension(&element.nest, kernel.around[d], kernel.steps[d][k])
                put_dimension(&element.nest, kernel.lengths[0], kernel.strides[k])
        return element

    cdef int join(self, const Kernel* kernel) except -1:
        cdef Member member = Member()
        cdef int last = kernel.count - 1
        cdef const Place* target = &kernel.places[last]
        cdef int k
        cdef Element found = None
        self.kernels += 1
        if self.kernels == 1:
            self.first = BoxedKernel()
            self.first.kernel = kernel[0]
        member.sources = [self.source(kernel, k) for k in range(last)]
        member.loop, member.data = kernel.loop, kernel.data
        if kernel.total:
            member.target, member.single = target[0], kernel.sizes[0] == 4
            self.sums.add(target.number if target.kind == ARRAY else ~<int64_t>target.number)
            self.totals += 1
            self.members.append(member)
            return 0
        if kernel.by_rows:
            self.row = member.row = kernel.lengths[1]
            member.target = target[0]
            self.sums.add(<Py_ssize_t>target.number)
            self.members.append(member)
            return 0
        if passes["copies"] and is_copy(kernel.loop):
            found = member.sources[0]
        elif passes["ones"] and is_product(kernel.loop):
            for k in range(2):
                if (<Element>member.sources[k]).is_one(self.code):
                    found = member.sources[1 - k]
        if found is None:
            key = <size_t>kernel.loop, <size_t>kernel.data, tuple([id(x) for x in member.sources])
            found = self.known.get(key) if passes["equal"] else None
        if found is None:
            member.result = found = self.known[key] = Element()
            found.at.kind, found.at.size, found.member = IN_TILE, kernel.sizes[last], member
            self.members.append(member)
        self.written[target.number] = found, target.offset
        return 0


cdef void put_dimension(Nest* nest, cnp.npy_intp length, cnp.npy_intp stride) noexcept:
    """Adds an inner dimension to a nest; two that are one in memory become one."""
    if nest.ndim and nest.strides[nest.ndim - 1] == length * stride:
        nest.lengths[nest.ndim - 1] *= length
        nest.strides[nest.ndim - 1] = stride
        return
    nest.lengths[nest.ndim], nest.strides[nest.ndim] = length, stride
    nest.ndim += 1


cdef bint is_copy(Loop loop) noexcept:
    return loop == copy_8 or loop == copy_4 or loop == copy_1


cdef bint is_product(Loop loop) noexcept:
    return loop == fastad_multiply_double or loop == fastad_mulz_double or loop == fastad_multiply_float or loop == fastad_mulz_float


# ---- which kernels are chains -----------------------------------------------------------------------------------------------------

@cython.final
cdef class Fusion:
    """The kernels of a Code, in order, with chains in place of some."""

    cdef Code code
    cdef list entries         # by record: BoxedKernels and Growings
    cdef Growing chain        # the one that may still grow
    cdef bint chaining
    cdef bint mixed    # there is more than short loops
    cdef Py_ssize_t home      # the record whose entry it will be
    cdef readonly set needed  # storages that are read from memory
    cdef readonly set early   # those of before the last guard
    cdef readonly set asked   # those that leave as results
    cdef set asked_slots      # slots that do
    cdef int64_t last_guard   # place behind which no other path goes on

    def __cinit__(self, Code code):
        self.code, self.needed, self.early, self.asked, self.asked_slots = code, set(), set(), set(), set()
        self.entries = [[] for _ in range(code.records)]
        self.last_guard, self.chaining = -1, passes["chains"]

    cdef int close(self) except -1:
        if self.chain is not None:
            self.entries[self.home].append(self.chain)
            self.chain = None
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
                    if code.kernels[code.c.a[i]][k].is_guard:
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
                self.close()
                while check < code.guards and code.checks[check].place <= i:
                    check += 1
            op = c.opcode[i]
            if op == OP_ARRAY:
                if code.counts[c.a[i]] < 0:
                    self.close()
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
                if self.chain is not None and self.chain.touches(c.a[i], op == OP_PUT):
                    self.close()
            elif self.chain is not None and self.chain.sums and op > OP_INPUT:
                # An operand that is no slot may look like one: the chain ends too early then, no harm.
                if ~<int64_t>c.a[i] in self.chain.sums or ~<int64_t>c.b[i] in self.chain.sums:
                    self.close()
        self.close()
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
        """The next kernel: it joins the chain, goes before it, or ends it."""
        cdef BoxedKernel boxed
        cdef bint member = self.can_be_member(kernel)
        cdef int k
        if self.chain is not None and ((member and (elements_of(kernel) != self.chain.n or kernel.seeded != self.chain.seeded))
                                       or kernel.is_guard):
            if kernel.is_guard or self.chain.conflicts(kernel, False) or elements_of(kernel) >= self.chain.n:
                self.close()
            else:
                member = False
        if self.chain is not None and self.chain.conflicts(kernel, member):
            self.close()
        if member:
            if self.chain is None:
                self.chain = Growing(self.code, elements_of(kernel))
                self.chain.seeded = kernel.seeded
            self.chain.join(kernel)
            self.home = record
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
        if not self.chaining or not kernel.elementwise or elements_of(kernel) < 2 or (kernel.by_rows and kernel.lengths[1] > WIDEST):
            return False
        for k in range(kernel.count):
            if kernel.sizes[k] > 8:
                return False
            form = flat_form(kernel, k)
            # NumPy's functions may round otherwise at other strides.
            if form == 0 and not kernel.own:
                return False
            if k == last and form != (UNIFORM if kernel.total else IN_MEMORY):
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
        """Lets a short loop go before the chain that is growing, or ends that."""
        cdef const Spot* spot
        cdef int k
        for k in range(short.count):
            spot = &short.at[k]
            if self.chain is not None and ((spot.kind == ARRAY and self.chain.touches(spot.number, k == short.count - 1))
                                           or (spot.kind == SCALAR and ~<int64_t>spot.number in self.chain.sums)):
                self.close()
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
    """The storages that a step of a chain reads or writes in memory, or only the one it writes."""
    cdef int k
    for k in range(step.count - 1 if written else 0, step.count):
        if step.arguments[k].kind != IN_TILE and step.arguments[k].place.kind == ARRAY:
            numbers.add(step.arguments[k].place.number)
    return 0


cdef void free_kernels(Kernel* kernels, int count) noexcept:
    cdef int k
    for k in range(count):
        if kernels[k].chain != NULL:
            free(kernels[k].chain.steps)
            free(kernels[k].chain)
    free(kernels)


@cython.final
cdef class Emission:
    """The steps of a chain: what is wanted, in order, with places in the tile that are used again."""

    cdef Fusion fusion
    cdef Growing growing
    cdef list moves            # (Element, storage, offset): copies at the end
    cdef list loads            # Elements that are first brought into the tile

    def __cinit__(self, Fusion fusion, Growing growing):
        self.fusion, self.growing = fusion, growing
        self.moves, self.loads = [], []

    cdef int store(self) except -1:
        """Decides where results that memory needs are put: by the member that computes them, or by a copy at the end."""
        cdef Element element
        for number, (element, offset) in self.growing.written.items():
            if not self.fusion.is_needed(number):
                continue
            if element.member is not None and not element.stored and number not in self.growing.loaded:
                element.stored = True
                element.at.kind = IN_MEMORY
                element.at.place.kind, element.at.place.number, element.at.place.offset = ARRAY, number, offset
            else:
                self.moves.append((element, number, offset))
        return 0

    cdef list wanted(self):
        """The members that something depends on."""
        cdef Member member
        cdef Element element
        cdef list chosen = []
        if not passes["unwanted"]:
            return self.growing.members
        moved = {id(element) for element, _, _ in self.moves}
        asked = set(moved)
        for member in reversed(self.growing.members):
            if member.result is None or (<Element>member.result).stored or id(member.result) in asked:
                asked.update([id(element) for element in member.sources])
                chosen.append(member)
        chosen.reverse()
        return joined(chosen, moved) if passes["products"] else chosen

    cdef Chain* chain(self) except NULL:
        cdef Chain* chain
        cdef Member member
        cdef Element element
        cdef list members, sources
        cdef int64_t slots, at = 0
        self.store()
        members = self.wanted()
        for member in members:
            self.note_loads(member.sources)
        self.note_loads([move[0] for move in self.moves])
        for element in self.loads:
            element.last = 0
        at = len(self.loads)
        for member in members:
            for element in member.sources:
                element.last = at
            at += 1
        for element, _, _ in self.moves:
            element.last = at
        chain = <Chain*>calloc(1, sizeof(Chain))
        if chain == NULL:
            raise MemoryError("no memory for a program")
        chain.n = self.growing.n
        chain.steps = <Step*>calloc(len(self.loads) + len(members) + len(self.moves) + 1, sizeof(Step))
        if chain.steps == NULL:
            free(chain)
            raise MemoryError("no memory for a program")
        slots = self.place(members)
        chain.fetches = self.streams(members) > STREAMS
        chain.width = max(<int64_t>NARROWEST, min(<int64_t>WIDEST, TILE_BYTES // (8 * max(slots, <int64_t>1)) // NARROWEST * NARROWEST))
        chain.width = min(chain.width, max(<int64_t>NARROWEST, AT_HAND // (8 * self.read_again(members) + 1) // NARROWEST * NARROWEST))
        chain.width = min(chain.width, (chain.n + 7) // 8 * 8)
        if self.growing.row and chain.width < chain.n:
            chain.width = max(self.growing.row, chain.width // self.growing.row * self.growing.row)
        chain.buffer = self.fusion.code.tile_buffer(slots * bytes_between(chain))
        for element in self.loads:
            self.add_load(chain, element)
        for member in members:
            self.add_member(chain, member)
        for element, number, offset in self.moves:
            self.add_move(chain, element, number, offset)
        return chain

    cdef int64_t streams(self, list members) except -1:
        """How many operands there are in memory."""
        cdef Member member
        cdef Element element
        cdef set found = set()
        for member in members:
            for element in member.sources:
                if element.member is None and element.at.kind == IN_MEMORY and not element.loaded:
                    found.add(id(element))
        return len(found)

    cdef int64_t read_again(self, list members) except -1:
        """How many operands in memory are read by more than one step."""
        cdef Member member
        cdef Element element
        cdef dict counts = {}
        for member in members:
            for element in member.sources:
                if element.member is None and element.at.kind == IN_MEMORY and not element.loaded:
                    counts[id(element)] = counts.get(id(element), 0) + 1
        return sum([count > 1 for count in counts.values()])

    cdef int note_loads(self, list elements) except -1:
        """Operands that must be read into the tile: those of other strides, and those whose memory the chain writes."""
        cdef Element element
        for element in elements:
            if element.member is None and not element.loaded and (element.is_nest or (
                    element.at.place.kind == ARRAY and element.at.kind == IN_MEMORY and element.at.place.number in self.growing.written)):
                element.loaded = True
                self.loads.append(element)
        return 0

    cdef int64_t place(self, list members) except -1:
        """Gives every value that is not in memory a place in the tile; how many places there are."""
        cdef Member member
        cdef Element element
        cdef list spare = []
        cdef dict ending = {}          # by step: the places that are free behind it
        cdef int64_t count = 0, at = 0, loads = len(self.loads)
        for element in [*self.loads, *[member.result for member in members]]:
            if element is not None and (element.member is None or not element.stored):
                if spare:
                    element.at.slot = spare.pop()
                else:
                    element.at.slot, count = count, count + 1
                ending.setdefault(max(element.last, at, loads), []).append(element.at.slot)
            # Behind the step: a result never lies where an operand of its own lay.
            spare += ending.pop(at, ())
            at += 1
        return count

    cdef int set_argument(self, Step* step, int k, Element element, Chain* chain) except -1:
        step.arguments[k] = element.at
        step.strides[k] = 0 if element.at.kind == UNIFORM else element.at.size
        if element.at.kind == IN_TILE or element.loaded:
            step.arguments[k].kind = IN_TILE
            step.arguments[k].slot = element.at.slot * bytes_between(chain)
        return 0

    cdef Step* next_step(self, Chain* chain) noexcept:
        cdef Step* step = &chain.steps[chain.count]
        chain.count += 1
        step.total, step.count = -1, 2
        return step

    cdef int add_load(self, Chain* chain, Element element) except -1:
        cdef Step* step = self.next_step(chain)
        step.arguments[0], step.strides[0] = element.at, element.at.size
        if element.is_nest:
            step.nest = element.nest
        else:
            step.loop = copy_loop(element.at.size)
        self.set_argument(step, 1, element, chain)
        return 0

    cdef int add_member(self, Chain* chain, Member member) except -1:
        cdef Step* step = self.next_step(chain)
        cdef int k
        step.loop, step.data, step.count = member.loop, member.data, <int>len(member.sources) + 1
        for k in range(step.count - 1):
            self.set_argument(step, k, member.sources[k], chain)
        if member.row:
            step.row, step.arguments[1].kind, step.arguments[1].place = member.row, UNIFORM, member.target
            # Elements may be one number, the results are not.
            step.strides[1], step.strides[2] = (<Element>member.sources[0]).at.size, step.strides[0]
            step.strides[0] *= member.row
        elif member.result is None:
            step.total, step.single, step.product = chain.totals, member.single, member.product
            chain.totals += 1
            step.arguments[step.count - 1].kind, step.arguments[step.count - 1].place = UNIFORM, member.target
        else:
            self.set_argument(step, step.count - 1, member.result, chain)
        return 0

    cdef int add_move(self, Chain* chain, Element element, int32_t number, int64_t offset) except -1:
        cdef Step* step = self.next_step(chain)
        step.loop = copy_loop(element.at.size)
        self.set_argument(step, 0, element, chain)
        step.arguments[1].kind, step.arguments[1].size = IN_MEMORY, element.at.size
        step.arguments[1].place.kind, step.arguments[1].place.number, step.arguments[1].place.offset = ARRAY, number, offset
        step.strides[1] = element.at.size
        return 0


cdef inline int64_t bytes_between(const Chain* chain) noexcept:
    """From one value of a tile to the next: a cache line more than it needs, so that they do not all fall on the same few places of the cache."""
    return (8 * chain.width + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT + ALIGNMENT


cdef Loop copy_loop(int size) noexcept:
    return copy_8 if size == 8 else copy_4 if size == 4 else copy_1


include "joined.pxi"
