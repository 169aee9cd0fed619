# Strips: kernels over a few elements each, as one list of short loops (short_loops.h).
#
#     records ──take──▶ short loops ──simplify──▶ those that are wanted ──assemble──▶ strips, each a kernel of its last record
#
# Short loops stay in order. A copy of a whole storage is another name of what it copies until one of them is written; equal loops are
# one; a product with 1.0 is the other factor; what nobody reads is left out. What is read of a storage may have been written by
# anything before, and so each write makes another version of it. A strip ends where something else comes between: a guard, a kernel
# that is no short loop, an instruction that Python carries out, a scalar that needs a sum of the strip.

cdef enum:
    FEW = 256               # elements up to which a loop is short
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
        if n > FEW or n < 1 or not kernel.elementwise or kernel.checked != NULL or kernel.chain != NULL:
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

    # ---- what is wanted ----

    cdef int simplify(self, Fusion fusion) except -1:
        """Gives operands the names of what they are copies of, finds equal loops, and drops what nobody reads."""
        cdef Code code = self.code
        cdef const CTape* c = &code.c
        cdef Py_ssize_t k, storages = len(code.tape.storages) + len(code.extra)
        cdef int64_t i, j
        cdef int32_t record
        cdef dict known = {}
        self.sizes, self.versions = <int64_t*>calloc(storages + 1, sizeof(int64_t)), <int64_t*>calloc(storages + 1, sizeof(int64_t))
        self.names, self.order = <Name*>calloc(storages + 1, sizeof(Name)), <int64_t*>malloc((self.count + 1) * sizeof(int64_t))
        if self.sizes == NULL or self.versions == NULL or self.names == NULL or self.order == NULL:
            raise MemoryError("no memory for a program")
        for k, layout in enumerate(code.tape.storages + code.extra):
            self.sizes[k] = size_of_layout(<tuple>layout)
        for i in range(c.n):
            if c.opcode[i] == OP_PUT:
                self.versions[c.a[i]] += 1
            elif c.opcode[i] == OP_ARRAY:
                record = c.a[i]
                for j in range(self.first[record], self.first[record] + self.many[record]):
                    if not self.shorts[j].dropped:
                        self.rename(&self.shorts[j], known, i <= fusion.last_guard)
                if code.counts[record]:
                    for number in fusion.touched(record, True):
                        self.versions[<Py_ssize_t>number] += 1
        self.drop(fusion, storages)
        return 0

    cdef int rename(self, Short* short, dict known, bint guarded) except -1:
        """Goes on over a short loop, the next in order; `guarded` if another path may go on from behind it, where storages between
        kernels are not kept.
        """
        cdef Spot* target = &short.at[short.count - 1]
        cdef int32_t kept = <int32_t>len(self.code.tape.storages) if guarded else 0x7fffffff
        cdef int k
        cdef bint whole = target.kind == ARRAY and target.flat and target.offset == 0 and target.bytes == self.sizes[target.number]
        cdef Spot* source = &short.at[0]
        cdef int64_t version
        for k in range(short.count - 1):
            self.look_up(short, k)
        if passes["ones"] and (FASTAD_SHORT_MULTIPLY <= short.code < FASTAD_SHORT_DIVIDE
                               or FASTAD_SHORT_MULZ <= short.code < FASTAD_SHORT_NEGATIVE):
            for k in range(2):
                if self.is_one(&short.at[k]):
                    short.at[0], short.at[1], short.count, short.code = short.at[1 - k], target[0], 2, FASTAD_SHORT_COPY
                    target = &short.at[1]
                    break
        key = None
        if target.kind == ARRAY and target.flat and passes["equal"] and short.code != FASTAD_SHORT_COPY and short.code != FASTAD_SHORT_FILL:
            key = self.key_of(short)
            found = known.get(key)
            if found is not None and self.versions[<Py_ssize_t>found[0]] == found[2]:
                if target.number == found[0] and target.offset == found[1]:
                    short.dropped = True
                    return 0
                short.at[0] = Spot(ARRAY, found[0], found[1], target.bytes, False, True)
                short.at[1], short.count, short.code = target[0], 2, FASTAD_SHORT_COPY
                target = &short.at[1]
                key = None
        if target.kind != ARRAY:
            return 0
        self.versions[target.number] += 1
        version = self.versions[target.number]
        if key is not None and target.number < kept:
            known[key] = target.number, target.offset, version
        if whole and passes["copies"] and (short.code == FASTAD_SHORT_COPY or short.code == FASTAD_SHORT_FILL) \
                and not (source.kind == ARRAY and (source.number == target.number or source.number >= kept)):
            self.names[target.number] = Name(source[0], version, self.versions[source.number] if source.kind == ARRAY else 0)
        return 0

    cdef bint is_one(self, const Spot* spot) noexcept:
        """Whether it is the number 1.0 for all elements, in every replay."""
        if not spot.uniform or spot.bytes != 8:
            return False
        if spot.kind == SCALAR:
            return self.code.c.opcode[spot.number] == OP_CONSTANT and self.code.c.v[spot.number] == 1.0
        return spot.kind == POOLED and (<double*>(<char*>self.pool + spot.offset))[0] == 1.0

    cdef int look_up(self, Short* short, int k) except -1:
        """Reads operand k where it was copied from, if both are as they were then."""
        cdef Spot* spot = &short.at[k]
        cdef Spot* target = &short.at[short.count - 1]
        cdef Name* name
        cdef bint other
        if spot.kind != ARRAY:
            return 0
        name = &self.names[spot.number]
        if name.version == 0 or name.version != self.versions[spot.number] \
                or (name.of.kind == ARRAY and name.source_version != self.versions[name.of.number]):
            return 0
        if name.of.flat and not (name.of.kind == ARRAY and name.of.number == target.number):
            spot.kind, spot.number = name.of.kind, name.of.number
            spot.offset += name.of.offset
        elif name.of.uniform and spot.flat and short.n > 1:
            # One number for all: there are codes for that.
            if short.code <= FASTAD_SHORT_MULZ and short.code % 3 == 0 and k < 2:
                short.code += 2 if k == 0 else 1
            elif short.code == FASTAD_SHORT_COPY:
                short.code = FASTAD_SHORT_FILL
            else:
                return 0
            spot[0] = name.of
        elif name.of.uniform and spot.bytes == 8:
            other = spot.flat
            spot[0] = name.of
            spot.flat, spot.uniform = other, not other
        return 0

    cdef bytes key_of(self, const Short* short):
        """What tells loops apart that may give different results."""
        cdef int64_t[4 + 4 * OPERANDS] key
        cdef const Spot* spot
        cdef int k, m = 4
        key[0], key[1], key[2], key[3] = short.code, short.called, short.n, short.at[short.count - 1].bytes
        for k in range(short.count - 1):
            spot = &short.at[k]
            key[m], key[m + 1], key[m + 2] = 4 * spot.kind + 2 * spot.flat + spot.uniform, spot.number, spot.offset
            key[m + 3] = self.versions[spot.number] if spot.kind == ARRAY else 0
            m += 4
        return (<char*>key)[:m * sizeof(int64_t)]

    cdef int drop(self, Fusion fusion, Py_ssize_t storages) except -1:
        """Finds, from the last to the first, the short loops whose results nobody reads."""
        cdef Code code = self.code
        cdef const CTape* c = &code.c
        cdef const Short* short
        cdef const Spot* target
        cdef int64_t i, j
        cdef int32_t record
        cdef int k
        cdef bytearray read = bytearray(storages), always = bytearray(storages)
        for number in (fusion.asked, fusion.early):
            for k in number:
                always[k] = read[k] = 1
        for i in range(c.n - 1, -1, -1):
            if c.opcode[i] == OP_GATHER:
                read[c.a[i]] = 1
            elif c.opcode[i] == OP_ARRAY:
                record = c.a[i]
                if code.counts[record]:
                    for number in fusion.touched(record, False):
                        read[number] = 1
                for j in range(self.first[record] + self.many[record] - 1, self.first[record] - 1, -1):
                    short = &self.shorts[j]
                    target = &short.at[short.count - 1]
                    if short.dropped:
                        continue
                    if target.kind == ARRAY:
                        if not read[target.number] and passes["unwanted"]:
                            self.shorts[j].dropped = True
                            continue
                        if target.flat and target.offset == 0 and target.bytes == self.sizes[target.number]:
                            read[target.number] = always[target.number]
                    for k in range(short.count - 1):
                        if short.at[k].kind == ARRAY:
                            read[short.at[k].number] = 1
        return 0

    # ---- strips ----

    cdef int assemble(self) except -1:
        """Divides the short loops into strips, each at the last of its records."""
        cdef Code code = self.code
        cdef const CTape* c = &code.c
        cdef int64_t i, j, check = 0
        cdef int64_t pause = code.place(code.start) if code.start else -1
        cdef int32_t record
        cdef int op
        cdef set sums = set(), read = set(), written = set()
        cdef Py_ssize_t home = -1
        for i in range(c.n):
            op = c.opcode[i]
            ends = i == pause
            while check < code.guards and code.checks[check].place <= i:
                check += 1
                ends = True
            if op == OP_GATHER:
                ends = ends or c.a[i] in written
            elif op == OP_PUT:
                ends = ends or c.a[i] in written or c.a[i] in read or bool(sums)
            elif op == OP_ARRAY:
                ends = ends or code.counts[c.a[i]] != 0
            elif op > OP_INPUT and sums:
                # An operand that is no slot may look like one: the strip ends too early then, no harm.
                ends = ends or c.a[i] in sums or c.b[i] in sums or op == OP_SPECIAL or op == OP_EXTRA
            if ends and home >= 0:
                self.ends.append((home, self.wanted))
                home = -1
                sums, read, written = set(), set(), set()
            if op != OP_ARRAY:
                continue
            record = c.a[i]
            for j in range(self.first[record], self.first[record] + self.many[record]):
                if not self.shorts[j].dropped:
                    self.note(&self.shorts[j], sums, read, written)
                    self.order[self.wanted] = j
                    self.wanted += 1
                    home = record
        if home >= 0:
            self.ends.append((home, self.wanted))
        for home, _ in self.ends:
            code.kernels[home] = <Kernel*>calloc(1, sizeof(Kernel))
            if code.kernels[home] == NULL:
                raise MemoryError("no memory for a program")
            code.counts[home] = 1
        return 0

    cdef int note(self, const Short* short, set sums, set read, set written) except -1:
        cdef int k
        for k in range(short.count):
            if short.at[k].kind == ARRAY:
                (written if k == short.count - 1 else read).add(short.at[k].number)
        if short.at[short.count - 1].kind == SCALAR:
            sums.add(short.at[short.count - 1].number)
        return 0

    cdef int pack(self, Fusion fusion) except -1:
        """Writes the strips down as they are carried out, now that storages have their places."""
        cdef Code code = self.code
        cdef int64_t at = 0, begin = 0, end, j, words = 0
        cdef Kernel* kernel
        for j in range(self.wanted):
            words += 1 + (self.shorts[self.order[j]].count == 4)
        code.strip_words = words
        code.strips = <fastad_short*>calloc(words + 1, sizeof(fastad_short))
        code.called = <fastad_called*>calloc(len(self.called) + 1, sizeof(fastad_called))
        code.constants = <char*>malloc(len(self.pool) + 1)
        if code.strips == NULL or code.called == NULL or code.constants == NULL:
            raise MemoryError("no memory for a program")
        memcpy(code.constants, <char*>self.pool, len(self.pool))
        for k, (loop, data, *steps) in enumerate(self.called):
            code.called[<Py_ssize_t>k].loop, code.called[<Py_ssize_t>k].data = <Loop><size_t>loop, <void*><size_t>data
            for j in range(OPERANDS):
                code.called[<Py_ssize_t>k].steps[j] = steps[j]
        elsewhere = {number for number, _ in [*code.given, *code.fixed]}
        elsewhere.update([(<Operand>x).number for x in code.inputs if type(x) is Operand])
        for home, end in self.ends:
            kernel = &code.kernels[<Py_ssize_t>home][0]
            kernel.strip, kernel.called, kernel.strip_words = &code.strips[at], code.called, 0
            for j in range(begin, end):
                kernel.strip_words += self.write(&self.shorts[self.order[j]], &kernel.strip[kernel.strip_words], elsewhere)
            at += kernel.strip_words
            begin = end
        return 0

    cdef int write(self, const Short* short, fastad_short* to, set elsewhere) except -1:
        """Writes a short loop; how many places it takes."""
        cdef int k, last = short.count - 1
        to.code, to.called = short.code, short.called
        to.n = short.at[last].bytes if short.code == FASTAD_SHORT_COPY else short.n
        for k in range(short.count):
            # The result of arithmetic is always the third.
            self.set_base(&short.at[k], to + (k == 3), 0 if k == 3 else 2 if k == last and short.code < FASTAD_SHORT_CALL else k, elsewhere)
        return 1 + (short.count == 4)

    cdef int set_base(self, const Spot* spot, fastad_short* to, int k, set elsewhere) except -1:
        cdef Code code = self.code
        cdef Py_ssize_t storages = len(code.tape.storages) + len(code.extra)
        cdef int64_t base = spot.number, offset = spot.offset
        if spot.kind == SCALAR:
            base, offset = storages + 1, <int64_t>sizeof(double) * spot.number
        elif spot.kind == POOLED:
            base = storages + 2
        elif spot.number not in elsewhere and code.offsets[spot.number] + offset <= 0xffffffff:
            # A pointer less to read.
            base, offset = storages, code.offsets[spot.number] + offset
        if not 0 <= offset <= 0xffffffff:
            raise MemoryError("a program of small arrays that needs more than 4 GB")
        to.at[k].base, to.at[k].offset = <int32_t>base, <uint32_t>offset
        return 0


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
