# The special elementals on the tape: one opcode, and a table of function pointers that core/special.pyx fills in.

cdef Special[MAX_SPECIAL] special_rows


cdef Special* special_row(int index) noexcept nogil:
    return &special_rows[index]


cdef void special_operands(const CTape* t, int64_t i, int32_t* slots) noexcept nogil:
    """Slots of the operands of special instruction i."""
    cdef int arity = special_rows[t.b[i]].arity
    slots[0] = t.a[i]
    slots[1] = slots[2] = slots[3] = 0
    if arity > 1:
        slots[1] = t.a[i - 1]
        slots[2] = t.b[i - 1]
    if arity > 3:
        slots[3] = t.a[i - 2]


cdef int32_t record_special(CTape* t, int row, int32_t x, int32_t y, int32_t z, int32_t u) except -1:
    cdef double[4] operands
    cdef int arity = special_rows[row].arity
    check_rules(t, row, x, y, z, u)
    operands[0], operands[1], operands[2], operands[3] = t.v[x], t.v[y], t.v[z], t.v[u]
    if arity > 3:
        append(t, OP_EXTRA, u, 0, 0.0)
    if arity > 1:
        append(t, OP_EXTRA, y, z, 0.0)
    return append_special(t, x, row, special_rows[row].value(operands))


cdef int check_rules(CTape* t, int row, int32_t x, int32_t y, int32_t z, int32_t u) except -1:
    """TraceError if an operand has a derivative by which the row has no rule."""
    cdef int32_t[4] slots
    cdef int k
    if special_rows[row].unknown:
        slots[0], slots[1], slots[2], slots[3] = x, y, z, u
        for k in range(special_rows[row].arity):
            if special_rows[row].unknown >> k & 1 and has_derivative(t, slots[k]):
                raise _errors().no_rule(row, k)
    return 0


cdef inline int32_t append_special(CTape* t, int32_t x, int row, double v) except -1:
    # Operand b is a row, not a slot, so the check of `append` on slots does not apply to it.
    cdef int32_t slot = append(t, OP_SPECIAL, x, 0, v)
    t.b[slot] = row
    return slot


def apply_special(int row, *operands):
    """Row `row` of the special table on numbers and active scalars; a float if none of them is active."""
    cdef CTape* t = tape_in_progress()
    cdef double[4] numbers
    cdef int32_t[4] slots
    cdef int k
    for operand in operands:
        if isinstance(operand, Active):
            own_slot(t, operand)
            break
    else:
        for k, operand in enumerate(operands):
            numbers[k] = operand
        return special_rows[row].value(numbers)
    slots[0] = slots[1] = slots[2] = slots[3] = 0
    for k, operand in enumerate(operands):
        slots[k] = lift(t, operand)
        if slots[k] == NOT_A_NUMBER:
            raise TypeError(f"must be a real number, not {type(operand).__name__}")
    return new_active(t, record_special(t, row, slots[0], slots[1], slots[2], slots[3]))


cdef bint has_derivative(const CTape* t, int32_t slot) noexcept nogil:
    """Whether a slot may depend on an input along partials that are not blank.

    Walks back from it; what is not settled in LOOK_BACK instructions counts as dependent.
    """
    cdef int32_t[LOOK_BACK + 4] waiting
    cdef int32_t[4] slots
    cdef int count = 1, looked = 0, mask, k
    waiting[0] = slot
    while count:
        count -= 1
        looked += 1
        slot = waiting[count]
        if t.opcode[slot] in (OP_INPUT, OP_ARRAY, OP_GATHER) or looked + count > LOOK_BACK:
            return True
        mask = operands_of(t, slot, slots)
        for k in range(4):
            if mask >> k & 1:
                waiting[count] = slots[k]
                count += 1
    return False


cdef int operands_of(const CTape* t, int64_t i, int32_t* slots) noexcept nogil:
    """Slots of instruction i's operands (up to 4); returns the mask of those by which it has a partial."""
    if t.opcode[i] == OP_SPECIAL:
        special_operands(t, i, slots)
        return special_rows[t.b[i]].mask
    slots[0], slots[1] = t.a[i], t.b[i]
    return PARTIALS[t.opcode[i]]
