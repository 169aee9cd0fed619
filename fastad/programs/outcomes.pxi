# What guards found, what they were recorded with, and where two paths differ.

cdef object outcome_of(Workspace ws, int64_t i):
    """What a guard found, as a key that tells siblings apart."""
    cdef CTape* t = &ws.code.tape.c
    cdef int op = t.opcode[i]
    if op == OP_ARRAY:
        record = ws.code.tape.records[t.a[i]]
        if type(record) is Guard:
            return ws.value(record.x).tobytes()
        return ws.found
    if op == OP_GUARD_VALUE:
        return number_key(rounded(ws.v[ws.code.place(t.a[i])], t.b[i]))
    return not t.v[i]


cdef object number_key(double number):
    """A number as a key: zeros of both signs are one, as guards compare them."""
    return float.hex(number if number != 0.0 else 0.0)


cdef object shapes_found(result):
    if isinstance(result, (list, tuple)):
        return tuple([shapes_found(part) for part in result])
    return np.shape(result), str(getattr(result, "dtype", type(result).__name__))


cdef object shapes_recorded(Tape tape, outs):
    if outs is None or isinstance(outs, int):
        if outs is None or outs < 0:
            return None
        return tape.storages[outs][0], str(tape.storages[outs][1])
    return tuple([shapes_recorded(tape, out) for out in outs])


def outcome_recorded(Code code, int64_t i):
    """The outcome a guard was recorded with; None where no guard stands."""
    cdef CTape* t = &code.tape.c
    cdef int op
    if i >= t.n:
        return None
    op = t.opcode[i]
    if op != OP_ARRAY and not OP_GUARD_LESS <= op <= OP_GUARD_VALUE:
        return None
    if op == OP_ARRAY:
        record = code.tape.records[t.a[i]]
        if type(record) is Guard:
            return record.expected.tobytes()
        return shapes_recorded(code.tape, outs_of(record))
    return number_key(t.v[i]) if op == OP_GUARD_VALUE else bool(t.v[i])


def first_difference(Code one, Code other):
    """The first instruction in which two paths differ, -1 if they are the same."""
    cdef CTape* p = &one.tape.c
    cdef CTape* q = &other.tape.c
    cdef int64_t i
    for i in range(min(p.n, q.n)):
        if p.opcode[i] != q.opcode[i] or p.a[i] != q.a[i] or p.b[i] != q.b[i]:
            return i
        if p.opcode[i] == OP_CONSTANT and memcmp(&p.v[i], &q.v[i], sizeof(double)) != 0:
            return i
        if OP_GUARD_LESS <= p.opcode[i] <= OP_GUARD_VALUE and not same(p.v[i], q.v[i]):
            return i
        if p.opcode[i] == OP_ARRAY and not same_record(one.tape, other.tape, p.a[i]):
            return i
    return -1 if p.n == q.n else min(p.n, q.n)


cdef bint same_record(Tape one, Tape other, int32_t k) except -1:
    """Whether the array instructions number k of two tapes, which agree so far, give the same."""
    p, q = one.records[k], other.records[k]
    if type(p) is not type(q) or name_of(p) != name_of(q):
        return False
    if type(p) is Guard:
        return p.expected.tobytes() == q.expected.tobytes()
    if type(p) is Constant:
        return (p.origin is None) == (q.origin is None) and (p.origin is q.origin if p.origin is not None else
                                                             p.value.tobytes() == q.value.tobytes())
    return shapes_recorded(one, outs_of(p)) == shapes_recorded(other, outs_of(q))


cdef object outs_of(record):
    """The storage of the result of an array instruction, -1 for a scalar slot, or a nesting of them."""
    if type(record) is Call or type(record) is Tracked or type(record) is ProgramCall:
        return record.outs
    return (<Record>record).out


def name_of(record):
    """What an array instruction is called: the name of its function."""
    function = getattr(record, "function", None) or (record.rule.function if type(record) is Call else getattr(record, "ufunc", None))
    return getattr(function, "__name__", None) or {Copy: "copy", Assign: "assign", Total: "sum", Selection: "getitem", Guard: "guard",
                                                  AddAt: "add.at"}.get(type(record), type(record).__name__.lower())
