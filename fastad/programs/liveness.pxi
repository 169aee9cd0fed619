# Array instructions whose results nothing asks for: they are not carried out. Derivatives are recorded with all that a sweep comes by,
# as a tangent of the value beside that of the gradient.


cdef int drop_dead(Fusion fusion) except -1:
    """Takes away the kernels of array instructions behind the last guard that nothing reads, from the last one back.

    What calls Python or can fail stays, and scalar instructions: these cost less than to renumber them.
    """
    cdef Code code = fusion.code
    cdef const CTape* c = &code.c
    cdef bytearray slots = bytearray(c.n + 1)
    cdef set storages = set(fusion.asked)
    cdef int64_t i
    cdef int32_t record
    cdef int op
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
                drop_dead_shorts(code.taken, record, i <= fusion.last_guard, slots, storages)
            elif code.counts[record] < 0:
                storages.update(storages_of(code.tape.records[record]))
                mark_slots(code, code.tape.records[record], slots)
            elif i <= fusion.last_guard or is_live(code.kernels[record], code.counts[record], slots, storages):
                mark_operands(code.kernels[record], code.counts[record], slots, storages)
            else:
                free_kernels(code.kernels[record], code.counts[record])
                code.kernels[record], code.counts[record] = NULL, 0
        elif op == OP_GATHER:
            if slots[i] or i <= fusion.last_guard:
                storages.add(<Py_ssize_t>c.a[i])
        elif op >= FIRST_OPCODE or op == OP_EXTRA:
            if slots[i] or op == OP_EXTRA or i <= fusion.last_guard:
                slots[c.a[i]] = slots[c.b[i]] = 1
        elif op == OP_SPECIAL:
            slots[c.a[i]] = 1
    return 0


cdef int drop_dead_shorts(Strips strips, int32_t record, bint early, bytearray slots, set storages) except -1:
    """The same for an instruction that is short loops."""
    cdef const Spot* spot
    cdef int64_t j
    cdef int k
    for j in range(strips.first[record] + strips.many[record] - 1, strips.first[record] - 1, -1):
        spot = &strips.shorts[j].at[strips.shorts[j].count - 1]
        if not early and not (slots[spot.number] if spot.kind == SCALAR else spot.number in storages):
            strips.shorts[j].dropped = True
            continue
        for k in range(strips.shorts[j].count):
            spot = &strips.shorts[j].at[k]
            if spot.kind == SCALAR:
                slots[spot.number] = 1
            elif spot.kind == ARRAY:
                storages.add(<Py_ssize_t>spot.number)
    return 0


cdef bint is_live(const Kernel* kernels, int count, bytearray slots, set storages) except -1:
    """Whether one of an instruction's kernels writes what is read later, or can fail."""
    cdef const Place* place
    cdef int j, k
    for j in range(count):
        if kernels[j].checked != NULL:
            return True
        for k in range(kernels[j].count):
            place = &kernels[j].places[k]
            if is_written(&kernels[j], k) and (slots[place.number] if place.kind == SCALAR
                                               else place.kind == ARRAY and place.number in storages):
                return True
    return False


cdef int mark_operands(const Kernel* kernels, int count, bytearray slots, set storages) except -1:
    cdef const Place* place
    cdef int j, k
    for j in range(count):
        for k in range(kernels[j].count):
            place = &kernels[j].places[k]
            if place.kind == SCALAR:
                slots[place.number] = 1
            elif place.kind == ARRAY:
                storages.add(<Py_ssize_t>place.number)
    return 0


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
