# Array instructions whose results nothing asks for: they are not carried out. Derivatives are recorded with all that a sweep comes by,
# as a tangent of the value beside that of the gradient; and arrays begin as zeros, or as nothing, that is written over part by part.

cdef enum:
    SPANS = 4                   # parts of a storage that are told apart


cdef struct Spans:
    int count
    int64_t[SPANS] first        # bytes
    int64_t[SPANS] end


cdef int64_t EVERYTHING = 1 << 62


@cython.final
cdef class Reads:
    """What is read of which storages later: at least all that is."""

    cdef Spans* of_storage
    cdef bint precise           # whether parts are told apart at all

    def __cinit__(self, Py_ssize_t storages, bint precise):
        self.of_storage, self.precise = <Spans*>calloc(storages + 1, sizeof(Spans)), precise
        if self.of_storage == NULL:
            raise MemoryError("no memory for a program")

    def __dealloc__(self):
        free(self.of_storage)

    cdef void add(self, Py_ssize_t number, int64_t first, int64_t end) noexcept:
        cdef Spans* spans = &self.of_storage[number]
        cdef int k
        if not self.precise:
            first, end = 0, EVERYTHING
        for k in range(spans.count):
            if spans.first[k] <= first and end <= spans.end[k]:
                return
        if spans.count == SPANS:
            spans.count, first, end = 0, 0, EVERYTHING
        spans.first[spans.count], spans.end[spans.count] = first, end
        spans.count += 1

    cdef void add_all(self, Py_ssize_t number) noexcept:
        self.add(number, 0, EVERYTHING)

    cdef bint has(self, Py_ssize_t number, int64_t first, int64_t end) noexcept:
        cdef Spans* spans = &self.of_storage[number]
        cdef int k
        for k in range(spans.count):
            if spans.first[k] < end and first < spans.end[k]:
                return True
        return False

    cdef void remove(self, Py_ssize_t number, int64_t first, int64_t end) noexcept:
        """Notes that this part is written here, whatever it was before."""
        cdef Spans* spans = &self.of_storage[number]
        cdef int k = 0
        if not self.precise:
            return
        while k < spans.count:
            if first <= spans.first[k] and spans.end[k] <= end:
                spans.count -= 1
                spans.first[k], spans.end[k] = spans.first[spans.count], spans.end[spans.count]
                continue
            if first <= spans.first[k] < end:
                spans.first[k] = end
            elif first < spans.end[k] <= end:
                spans.end[k] = first
            elif spans.first[k] < first and end < spans.end[k] and spans.count < SPANS:
                spans.first[spans.count], spans.end[spans.count] = end, spans.end[k]
                spans.end[k] = first
                spans.count += 1
            k += 1


cdef int drop_dead(Fusion fusion) except -1:
    """Takes away the kernels of array instructions behind the last guard that nothing reads, from the last one back.

    What calls Python or can fail stays, and scalar instructions: these cost less than to renumber them.
    """
    cdef Code code = fusion.code
    cdef const CTape* c = &code.c
    cdef bytearray slots = bytearray(c.n + 1)
    cdef Reads reads = Reads(len(code.tape.storages) + len(code.extra), code.spread is None and passes["parts"])
    cdef int64_t i
    cdef int32_t record
    cdef int op
    for number in fusion.asked:
        reads.add_all(number)
    for i in fusion.asked_slots:
        slots[i] = 1
    for i in range(code.guards):
        slots[code.checks[i].a] = 1
        if code.checks[i].op != OP_GUARD_VALUE:
            slots[code.checks[i].b] = 1
    for i in range(c.n - 1, -1, -1):
        op = c.opcode[i]
        if op == OP_ARRAY:
            record = c.a[i]
            if code.taken.many[record]:
                drop_dead_shorts(code.taken, record, i <= fusion.last_guard, slots, reads)
            elif code.counts[record] < 0:
                for number in storages_of(code.tape.records[record]):
                    reads.add_all(number)
                mark_slots(code, code.tape.records[record], slots)
            elif i <= fusion.last_guard or is_live(code.kernels[record], code.counts[record], slots, reads):
                mark_operands(code.kernels[record], code.counts[record], slots, reads)
            else:
                free_kernels(code.kernels[record], code.counts[record])
                code.kernels[record], code.counts[record] = NULL, 0
        elif op == OP_GATHER:
            if slots[i] or i <= fusion.last_guard:
                reads.add(c.a[i], 8 * <int64_t>c.b[i], 8 * <int64_t>c.b[i] + 8)
        elif op == OP_PUT:
            reads.remove(c.a[i], 8 * <int64_t>c.b[i], 8 * <int64_t>c.b[i] + 8)
        elif op >= FIRST_OPCODE or op == OP_EXTRA:
            if slots[i] or op == OP_EXTRA or i <= fusion.last_guard:
                slots[c.a[i]] = slots[c.b[i]] = 1
        elif op == OP_SPECIAL:
            slots[c.a[i]] = 1
    return 0


cdef int drop_dead_shorts(Strips strips, int32_t record, bint early, bytearray slots, Reads reads) except -1:
    """The same for an instruction that is short loops."""
    cdef const Spot* spot
    cdef int64_t j
    cdef int k
    for j in range(strips.first[record] + strips.many[record] - 1, strips.first[record] - 1, -1):
        spot = &strips.shorts[j].at[strips.shorts[j].count - 1]
        if not early and not (slots[spot.number] if spot.kind == SCALAR else reads.has(spot.number, 0, EVERYTHING)):
            strips.shorts[j].dropped = True
            continue
        for k in range(strips.shorts[j].count):
            spot = &strips.shorts[j].at[k]
            if spot.kind == SCALAR:
                slots[spot.number] = 1
            elif spot.kind == ARRAY:
                reads.add_all(spot.number)
    return 0


cdef bint is_live(const Kernel* kernels, int count, bytearray slots, Reads reads) noexcept:
    """Whether one of an instruction's kernels writes what is read later, or can fail."""
    cdef const Place* place
    cdef int64_t[2] part
    cdef int j, k
    for j in range(count):
        if kernels[j].checked != NULL:
            return True
        for k in range(kernels[j].count):
            place = &kernels[j].places[k]
            part_of(&kernels[j], k, part)
            if is_written(&kernels[j], k) and (slots[place.number] if place.kind == SCALAR
                                               else place.kind == ARRAY and reads.has(place.number, part[0], part[1])):
                return True
    return False


cdef void mark_operands(const Kernel* kernels, int count, bytearray slots, Reads reads) noexcept:
    """Notes what an instruction's kernels read, from the last one back, and what they write over."""
    cdef const Kernel* kernel
    cdef const Place* place
    cdef int64_t[2] part
    cdef int j, k, target
    for j in range(count - 1, -1, -1):
        kernel = &kernels[j]
        target = kernel.count - 1 if kernel.elementwise and kernel.checked == NULL and not kernel.total else -1
        if target >= 0 and kernel.places[target].kind == ARRAY and flat_form(kernel, target) == IN_MEMORY:
            part_of(kernel, target, part)
            reads.remove(kernel.places[target].number, part[0], part[1])
        for k in range(kernel.count):
            place = &kernel.places[k]
            if place.kind == SCALAR:
                slots[place.number] = 1
            elif place.kind == ARRAY and k != target:
                part_of(kernel, k, part)
                reads.add(place.number, part[0], part[1])


cdef void part_of(const Kernel* kernel, int k, int64_t* part) noexcept:
    """The bytes of its storage that operand k of a kernel goes over, the first and the one behind the last."""
    cdef int64_t length
    cdef int d
    if not kernel.elementwise or kernel.by_rows or kernel.checked != NULL:
        part[0], part[1] = 0, EVERYTHING
        return
    part[0] = part[1] = kernel.places[k].offset
    for d in range(-1, kernel.outer):
        length = (kernel.lengths[0] - 1) * kernel.strides[k] if d < 0 else (kernel.around[d] - 1) * kernel.steps[d][k]
        part[0 if length < 0 else 1] += length
    part[1] += kernel.sizes[k]


cdef int mark_slots(Code code, x, bytearray slots) except -1:
    """Marks the slots among the operands of an instruction that calls Python, or of a nesting of them."""
    if type(x) is Operand:
        if (<Operand>x).kind == SCALAR:
            slots[code.place((<Operand>x).number)] = 1
    elif type(x) is dict:
        mark_slots(code, list((<dict>x).values()), slots)
    elif isinstance(x, (list, tuple)):
        for entry in x:
            mark_slots(code, entry, slots)
    elif isinstance(x, Record):
        for name in ("x", "y", "target", "key", "args", "kwargs", "operands"):
            mark_slots(code, getattr(x, name, None), slots)
    return 0
