# Short loops: kernels over a few elements each, as the records of a path give them.
#
#     records ──quick──▶ short loops ◀──take── kernels
#
# Records of the kinds there are most of are read right here, which takes a tenth of the time of looking for kernels.

cdef enum:
    FEW = 64                # elements up to which a loop is short: tiles are as fast from there on
    POOLED = 4              # kind of a place: constants of the program, side by side
    POOLED_BYTES = 4096     # of an array that is copied there
    MOST_CALLED = 65535
    BASES = 3               # pointers behind those of the storages: the workspace's memory, its slots, the pool


cdef struct Spot:           # where an operand is
    int kind                # ARRAY, SCALAR or POOLED
    int32_t number          # storage, or slot
    int64_t offset
    int64_t bytes           # of all its elements
    bint uniform            # one number for all elements
    bint flat               # its elements are side by side


cdef struct Short:
    int code
    int called
    int count               # operands, the result is the last
    bint dropped
    int64_t n
    int64_t version         # of the result's storage behind it
    Spot[OPERANDS] at


cdef struct Name:           # what the elements of a whole storage are, too
    Spot of
    int64_t version         # of the storage
    int64_t source_version


cdef inline int simple_code(Loop loop) noexcept:
    """The code of a loop for operands that are all side by side; -1 if it has none."""
    if loop == fastad_add_double:
        return FASTAD_SHORT_ADD
    if loop == fastad_subtract_double:
        return FASTAD_SHORT_SUBTRACT
    if loop == fastad_multiply_double:
        return FASTAD_SHORT_MULTIPLY
    if loop == fastad_divide_double:
        return FASTAD_SHORT_DIVIDE
    if loop == fastad_mulz_double:
        return FASTAD_SHORT_MULZ
    if loop == fastad_negative_double:
        return FASTAD_SHORT_NEGATIVE
    if loop == fastad_square_double:
        return FASTAD_SHORT_SQUARE
    return FASTAD_SHORT_TOTAL if loop == fastad_total_double else -1


@cython.final
cdef class Strips:
    """The short loops of a Code."""

    cdef Code code
    cdef Short* shorts
    cdef int64_t count, room
    cdef int64_t* first         # by record: the number of its first short loop
    cdef int32_t* many          # by record: how many it has
    cdef bytearray pool
    cdef dict pooled            # by bytes: their place in the pool
    cdef list called            # loop, data and steps of each loop that is called
    cdef dict numbers           # its number among them, by the same
    cdef dict loops             # by row of the op table: a kernel with its loop
    cdef object learning        # the row whose loop the kernel to come has
    cdef int64_t* sizes         # by storage: bytes
    cdef int64_t* versions      # by storage
    cdef Name* names            # by storage
    cdef int64_t* order         # those that are wanted, as they are carried out
    cdef int64_t wanted
    cdef list ends              # of each strip: its record, and the end of its stretch of `order`

    def __cinit__(self, Code code):
        self.code, self.pool, self.pooled, self.called, self.numbers = code, bytearray(), {}, [], {}
        self.loops, self.ends, self.learning = {}, [], None
        self.first = <int64_t*>calloc(max(code.records, 1), sizeof(int64_t))
        self.many = <int32_t*>calloc(max(code.records, 1), sizeof(int32_t))
        if self.first == NULL or self.many == NULL:
            raise MemoryError("no memory for a program")

    def __dealloc__(self):
        free(self.shorts)
        free(self.first)
        free(self.many)
        free(self.sizes)
        free(self.versions)
        free(self.names)
        free(self.order)

    # ---- taking records and kernels ----

    cdef Short* add(self) except NULL:
        """A new short loop, behind the others."""
        cdef Short* shorts
        if self.count == self.room:
            self.room = max(2 * self.room, <int64_t>64)
            shorts = <Short*>realloc(self.shorts, self.room * sizeof(Short))
            if shorts == NULL:
                raise MemoryError("no memory for a program")
            self.shorts = shorts
        self.count += 1
        memset(&self.shorts[self.count - 1], 0, sizeof(Short))
        return &self.shorts[self.count - 1]

    cdef int64_t constant(self, bytes value) except -1:
        """Where bytes are in the pool."""
        cdef object at = self.pooled.get(value)
        if at is None:
            at = self.pooled[value] = len(self.pool)
            self.pool += value + bytes((8 - len(value) % 8) % 8)
        return at

    cdef int number(self, Loop loop, void* data, const cnp.npy_intp* steps) except -2:
        """The number of a loop that is called; -1 if they are too many."""
        key = <size_t>loop, <size_t>data, steps[0], steps[1], steps[2], steps[3]
        at = self.numbers.get(key)
        if at is None:
            if len(self.called) == MOST_CALLED:
                return -1
            at = self.numbers[key] = len(self.called)
            self.called.append(key)
        return at

    cdef bint take(self, Lowering lowering, Py_ssize_t record) except -1:
        """Makes the kernels of a record short loops, if all of them can be."""
        cdef int64_t before = self.count
        cdef BoxedKernel boxed
        cdef int k
        if not passes["short"] or self.code.spread is not None:
            return False
        if self.learning is not None and lowering.count == 1:
            boxed = self.loops[self.learning] = BoxedKernel()
            boxed.kernel = lowering.kernels[0]
        for k in range(lowering.count):
            if not self.take_kernel(&lowering.kernels[k]):
                self.count = before
                return False
        self.first[record], self.many[record] = before, lowering.count
        return True

    cdef bint take_kernel(self, const Kernel* kernel) except -1:
        cdef Short* short
        cdef int k, form
        cdef int last = kernel.count - 1
        cdef int64_t n = elements_of(kernel)
        cdef const Place* place
        cdef Spot* spot
        if n > FEW or n < 1 or not kernel.elementwise or kernel.by_rows or kernel.checked != NULL or kernel.chain != NULL:
            return False
        short = self.add()
        short.n, short.count = n, kernel.count
        for k in range(kernel.count):
            form = flat_form(kernel, k) if n > 1 else IN_MEMORY
            if form == 0 and kernel.outer:
                return False
            place, spot = &kernel.places[k], &short.at[k]
            spot.flat, spot.uniform = form == IN_MEMORY, form == UNIFORM
            spot.bytes = n * kernel.sizes[k] if spot.flat else kernel.sizes[k] if spot.uniform else -1
            spot.kind, spot.number, spot.offset = place.kind, place.number, place.offset
            if k == last and kernel.total:
                spot.flat, spot.uniform, spot.bytes = True, False, kernel.sizes[k]
            elif k == last and spot.uniform:
                return False
            if place.kind == SCALAR:
                spot.offset = 0
            elif place.kind != ARRAY:
                if not 0 < spot.bytes <= POOLED_BYTES:
                    return False
                spot.kind, spot.number = POOLED, 0
                spot.offset = self.constant(address_of(<Place*>place, NULL, NULL)[:spot.bytes])
        return self.choose(short, kernel.loop, kernel.data, kernel.strides)

    cdef bint choose(self, Short* short, Loop loop, void* data, const cnp.npy_intp* strides) except -1:
        """Sets the code of a short loop whose operands are known, with their strides if those are not plain; False if it has none."""
        cdef cnp.npy_intp[OPERANDS] steps
        cdef Spot* x = &short.at[0]
        cdef int k
        cdef int simple = simple_code(loop)
        if is_copy(loop) and short.at[1].flat and (x.flat or (x.uniform and x.bytes == 8)):
            short.code = FASTAD_SHORT_COPY if x.flat else FASTAD_SHORT_FILL
            return True
        if short.count == 3 and 0 <= simple <= FASTAD_SHORT_MULZ and short.at[2].flat and (x.flat or short.at[1].flat) \
                and (x.flat or x.uniform) and (short.at[1].flat or short.at[1].uniform):
            short.code = simple + (0 if x.flat and short.at[1].flat else 1 if x.flat else 2)
            return True
        if short.count == 2 and simple >= FASTAD_SHORT_NEGATIVE and x.flat and short.at[1].flat:
            short.code = simple
            return True
        for k in range(OPERANDS):
            steps[k] = 0 if k >= short.count else strides[k] if strides != NULL else 8 if short.at[k].flat else 0
        short.code, short.called = FASTAD_SHORT_CALL if short.count < 4 else FASTAD_SHORT_CALL_FOUR, self.number(loop, data, steps)
        return short.called >= 0

    cdef bint quick(self, Py_ssize_t k, record, int64_t slot, bint fast) except -1:
        """Takes a record of the kinds there are most of, of float64 arrays of one shape and numbers, without looking for kernels."""
        cdef int64_t before = self.count
        cdef Short* short
        cdef bint taken = False
        kind = type(record)
        self.learning = None
        if not passes["short"] or self.code.spread is not None:
            return False
        if kind is Elementwise:
            short = self.add()
            short.count = record.arity + 1
            taken = self.set_whole(short, short.count - 1, record.out) and self.set_spot(short, 0, record.x) \
                and (short.count == 2 or self.set_spot(short, 1, record.y)) and self.choose_row(short, record, fast)
        elif kind is AddAt and record.key is None:
            short = self.add()
            short.count, short.n = 3, elements_in(<Operand>record.target)
            taken = self.set_part(short, 0, record.target) and self.set_part(short, 2, record.target) and self.set_spot(short, 1, record.x) \
                and self.choose(short, fastad_add_double, NULL, NULL)
        elif kind is Copy and record.x is not None:
            short = self.add()
            short.count = 2
            taken = self.set_whole(short, 1, record.out) and self.set_spot(short, 0, record.x) and self.choose(short, copy_8, NULL, NULL)
        elif kind is Assign and record.key is None and ((<Operand>record.x).kind != ARRAY or (<Operand>record.x).number != record.out):
            short = self.add()
            short.count, short.n = 2, elements_in(<Operand>record.target)
            taken = self.set_part(short, 1, record.target) and self.set_spot(short, 0, record.x) and self.choose(short, copy_8, NULL, NULL)
        elif kind is Total:
            short = self.add()
            short.count, short.n, short.code = 2, elements_in(<Operand>record.x), FASTAD_SHORT_TOTAL
            taken = self.set_part(short, 0, record.x) and self.set_sum(short, record.out, slot)
        if not taken:
            self.count = before
            return False
        self.first[k], self.many[k] = before, 1
        return True

    cdef bint set_whole(self, Short* short, int k, int32_t number) except -1:
        """Makes operand k, the result, a float64 storage, whose elements are then how many there are."""
        if number < 0:
            return False
        short.n = elements_of_layout(<tuple>self.code.tape.storages[number])
        short.at[k] = Spot(ARRAY, number, 0, 8 * short.n, False, True)
        return 1 <= short.n <= FEW

    cdef bint set_part(self, Short* short, int k, Operand x) except -1:
        """Makes operand k all the elements of x, whose number is known."""
        if x.kind != ARRAY or not 1 <= short.n <= FEW:
            return False
        short.at[k] = Spot(ARRAY, x.number, x.offset, 8 * short.n, False, True)
        return True

    cdef bint set_sum(self, Short* short, int32_t number, int64_t slot) except -1:
        """Makes the last operand one number."""
        if number < 0:
            short.at[1] = Spot(SCALAR, <int32_t>self.code.place(slot), 0, 8, False, True)
            return True
        short.at[1] = Spot(ARRAY, number, 0, 8, False, True)
        return elements_of_layout(<tuple>self.code.tape.storages[number]) == 1

    cdef bint set_spot(self, Short* short, int k, Operand x) except -1:
        """Notes operand k if it is a number, or float64 side by side: one, or as many as there are results, which are then of its shape."""
        cdef Spot* spot = &short.at[k]
        cdef int64_t n = 1
        cdef double number
        if x.kind == ARRAY:
            n = elements_in(x)
            if n != 1 and n != short.n:
                return False
            spot.kind, spot.number, spot.offset = ARRAY, x.number, x.offset
        elif x.kind == SCALAR:
            spot.kind, spot.number = SCALAR, <int32_t>self.code.place(x.number)
        elif type(x.value) is float or type(x.value) is int:
            number = x.value
            spot.kind, spot.offset = POOLED, self.constant((<char*>&number)[:8])
        else:
            return False
        spot.flat, spot.uniform, spot.bytes = n == short.n, n != short.n, 8 * n
        return True

    cdef bint choose_row(self, Short* short, record, bint fast) except -1:
        """Sets the code of a row of the op table; False if its loop is not known yet."""
        cdef int op = record.op
        if op == OP_ADD:
            return self.choose(short, fastad_add_double, NULL, NULL)
        if op == OP_SUBTRACT:
            return self.choose(short, fastad_subtract_double, NULL, NULL)
        if op == OP_MULTIPLY:
            return self.choose(short, fastad_multiply_double, NULL, NULL)
        if op == OP_DIVIDE:
            return self.choose(short, fastad_divide_double, NULL, NULL)
        if op == OP_MULZ:
            return self.choose(short, fastad_mulz_double, NULL, NULL)
        if op == OP_NEGATIVE:
            return self.choose(short, fastad_negative_double, NULL, NULL)
        key = op, record.ufunc, fast
        found = self.loops.get(key)
        if found is None:
            self.learning = key
            return False
        return self.choose(short, (<BoxedKernel>found).kernel.loop, (<BoxedKernel>found).kernel.data, NULL)


cdef int64_t elements_of_layout(tuple layout) except -2:
    """How many elements a float64 layout has; -1 for another type."""
    cdef int64_t n = 1
    if (<cnp.dtype>layout[1]).type_num != NPY_DOUBLE:
        return -1
    for length in <tuple>layout[0]:
        n *= <int64_t>length
    return n


cdef int64_t elements_in(Operand x) except -2:
    """How many float64 an operand has that are side by side; -1 if it is none or they are not."""
    cdef int64_t n, step = 8
    cdef Py_ssize_t k
    cdef tuple shape
    if x.kind != ARRAY:
        return -1
    n = elements_of_layout(x.layout)
    if x.strides is None or n <= 1:
        return n
    shape = <tuple>x.layout[0]
    for k in range(len(shape) - 1, -1, -1):
        if <int64_t>shape[k] != 1 and <int64_t>x.strides[k] != step:
            return -1
        step *= <int64_t>shape[k]
    return n


cdef int64_t size_of_layout(tuple layout) except -1:
    """Bytes of a layout."""
    cdef int64_t size = (<cnp.dtype>layout[1]).itemsize
    for length in <tuple>layout[0]:
        size *= <int64_t>length
    return size
