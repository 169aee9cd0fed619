# A chain of tiles.pxi as it is put together: its members, and the values between them.

@cython.final
cdef class Element:
    """A value of a chain: an operand in memory, or what a member computes."""

    cdef Argument at
    cdef Nest nest              # of an operand that is not read element by element
    cdef bint is_nest
    cdef Member behind          # the member that makes the numbers of rows that are read beside all their elements; None for others
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
    cdef Element result         # None for a sum, and for numbers of rows
    cdef Element second         # what it computes beside it: the cosine of a sine
    cdef Place target           # of these
    cdef int size
    cdef bint is_total
    cdef bint single
    cdef int product            # of a sum: MULTIPLIED or MULZ if it is one of products
    cdef int64_t row            # of what makes numbers of rows, or sums of those: their length
    cdef int of_elements        # which of its sources have rows of elements, a bit for each


@cython.final
cdef class BoxedKernel:
    cdef Kernel kernel


cdef int flat_form(const Kernel* kernel, int k) noexcept:
    """How operand k of a kernel lies: IN_MEMORY if its elements are side by side, BY_ROW if numbers for rows are, UNIFORM if it is one number,
    else 0.
    """
    cdef int d
    cdef cnp.npy_intp length = kernel.lengths[0]
    cdef bint flat = kernel.strides[k] == kernel.sizes[k] or kernel.by_rows >> k & 1
    cdef bint uniform = kernel.strides[k] == 0
    for d in range(kernel.outer - 1, -1, -1):
        flat = flat and kernel.steps[d][k] == length * kernel.sizes[k]
        uniform = uniform and kernel.steps[d][k] == 0
        length *= kernel.around[d]
    if flat and kernel.by_rows and not kernel.by_rows >> k & 1:
        return BY_ROW
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
    cdef set sums            # slots and storages of sums, and of numbers of rows
    cdef dict of_rows        # by storage: the member that writes numbers of rows there
    cdef int totals
    cdef int64_t row         # the length of the rows of which it makes numbers, 0 if it does not
    cdef bint seeded         # whether its members depend on the seeds of a sweep of several: all do, or none
    cdef Py_ssize_t kernels  # how many it stands for
    cdef Py_ssize_t home     # the record of the last of them, whose entry it will be
    cdef BoxedKernel first   # the first of them

    def __cinit__(self, Code code, int64_t n):
        self.code, self.n = code, n
        self.members, self.loaded, self.written, self.known, self.sums, self.of_rows = [], {}, {}, {}, set(), {}

    cdef bint touches(self, int32_t number, bint writes) except -1:
        """Whether what reads (or writes) a storage must stand behind this chain."""
        return number in self.written or number in self.sums or (writes and number in self.loaded)

    cdef bint is_of_rows(self, const Kernel* kernel) noexcept:
        """Whether a kernel goes over one number for each row."""
        cdef int k
        for k in range(kernel.count):
            if flat_form(kernel, k) == 0:
                return False
        return passes["rows"] and self.row > 1 and not kernel.by_rows and elements_of(kernel) * self.row == self.n

    cdef bint fits(self, const Kernel* kernel) except -1:
        """Whether a kernel goes over as many elements, or over rows that this chain has numbers of."""
        return kernel.seeded == self.seeded and (
            elements_of(kernel) == self.n or (self.is_of_rows(kernel) and self.conflicts(kernel, False)))

    cdef int form_of(self, const Kernel* kernel, int k) noexcept:
        """How operand k of a kernel that joins lies."""
        cdef int form = flat_form(kernel, k)
        return BY_ROW if form == IN_MEMORY and elements_of(kernel) != self.n else form

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
            form = self.form_of(kernel, k)
            if place.number in self.sums:
                if k == writes or not self.reads_rows(kernel, k, form):
                    return True
                continue
            if place.number in self.written and (form != IN_MEMORY or self.written[place.number][1] != place.offset
                                                 or (<Element>self.written[place.number][0]).at.size != kernel.sizes[k]):
                return True
            if k == kernel.count - 1 and place.number in self.loaded:
                if kernel.total or kernel.by_rows or list(self.loaded[place.number]) != [(place.offset, IN_MEMORY, kernel.sizes[k])]:
                    return True
        return (kernel.total and self.totals == TOTALS) or (kernel.by_rows and self.row not in (0, kernel.lengths[1]))

    cdef bint reads_rows(self, const Kernel* kernel, int k, int form) except -1:
        """Whether operand k of a kernel is what a member has made of rows: one by one, or each beside all elements of its row."""
        cdef const Place* place = &kernel.places[k]
        cdef Member member = self.of_rows.get(place.number)
        cdef Nest nest
        if not passes["rows"] or member is None or member.target.offset != place.offset:
            return False
        if form != 0:
            return form == BY_ROW
        nest = nest_of(kernel, k)
        return nest.ndim == 2 and nest.lengths[1] == self.row and nest.strides[1] == 0 and nest.strides[0] == nest.size

    cdef Element source(self, const Kernel* kernel, int k):
        """Operand k of a kernel that joins."""
        cdef const Place* place = &kernel.places[k]
        cdef Element element
        cdef int form = self.form_of(kernel, k)
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
                element.is_nest, element.nest = True, nest_of(kernel, k)
                element.behind = self.of_rows.get(place.number) if place.kind == ARRAY else None
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
        member.row = kernel.lengths[1] if kernel.by_rows else self.row if elements_of(kernel) != self.n else 0
        if kernel.total:
            member.target, member.is_total, member.single = target[0], True, kernel.sizes[0] == 4
            self.sums.add(target.number if target.kind == ARRAY else ~<int64_t>target.number)
            self.totals += 1
            self.members.append(member)
            return 0
        if member.row:
            self.row = member.row
            member.target, member.size, member.of_elements = target[0], kernel.sizes[last], kernel.by_rows
            self.sums.add(<Py_ssize_t>target.number)
            self.of_rows[<Py_ssize_t>target.number] = member
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


cdef Nest nest_of(const Kernel* kernel, int k) noexcept:
    """How operand k of a kernel is read in order."""
    cdef Nest nest
    cdef int d
    nest.ndim, nest.size = 0, kernel.sizes[k]
    for d in range(kernel.outer):
        put_dimension(&nest, kernel.around[d], kernel.steps[d][k])
    put_dimension(&nest, kernel.lengths[0], kernel.strides[k])
    return nest


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


cdef bint is_arithmetic(Loop loop) noexcept:
    cdef int k
    for k in range(OWN_LOOPS):
        if loop == own_loop[k].double_loop or loop == own_loop[k].float_loop:
            return True
    for k in range(joined_count):
        if loop == joined_loops[k].loop:
            return True
    return False
