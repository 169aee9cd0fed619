# What is replayed: the instructions without the guards, in stretches behind which their guards are looked at.

cdef enum:
    WINDOW = 256           # instructions after which guards are looked at, while the values are at hand: at most
    FIRST_WINDOW = 16      # and at first, as what is carried out behind a guard that does not hold was for nothing


cdef struct Window:         # a stretch of instructions, and the guards in it
    int64_t end             # place
    bint stops              # behind it is an instruction that guards must not pass: an array instruction or a put
    int32_t first           # of its guards
    int32_t last            # behind them
    int32_t[6] counts       # how many of each kind there are: those that were less, not less, less or equal ...
    bint by_itself          # one of them is no comparison, and so they are looked at one by one


cdef struct Position:
    int64_t i              # place of the next instruction
    int64_t check          # the next guard
    int64_t window         # the one it is in


cdef int set_guards_apart(Code code) except -1:
    """Sets the guards apart from the instructions."""
    cdef const CTape* t = &code.tape.c
    cdef int64_t i, checks = 0
    for i in range(code.n):
        checks += OP_GUARD_LESS <= t.opcode[i] <= OP_GUARD_VALUE
    code.checks, code.check_origins = <Check*>malloc((checks + 1) * sizeof(Check)), <int32_t*>malloc((checks + 1) * sizeof(int32_t))
    code.pairs = <int32_t*>malloc(2 * (checks + 1) * sizeof(int32_t))
    if code.checks == NULL or code.check_origins == NULL or code.pairs == NULL:
        raise MemoryError(f"no memory for a program of {code.n} instructions")
    code.c = t[0]
    if checks:
        copy_without_guards(code)
    return 0


cdef int copy_without_guards(Code code) except -1:
    """Copies the instructions without the guards."""
    cdef const CTape* t = &code.tape.c
    cdef CTape* c = &code.c
    cdef int64_t n = code.n
    cdef int64_t i, m = 0
    cdef int op
    c.opcode, c.v = <uint8_t*>malloc(n + 1), <double*>malloc((n + 1) * sizeof(double))
    c.a, c.b = <int32_t*>malloc((n + 1) * sizeof(int32_t)), <int32_t*>malloc((n + 1) * sizeof(int32_t))
    code.places, code.origins = <int32_t*>malloc((n + 1) * sizeof(int32_t)), <int32_t*>malloc((n + 1) * sizeof(int32_t))
    if c.opcode == NULL or c.v == NULL or c.a == NULL or c.b == NULL or code.places == NULL or code.origins == NULL:
        raise MemoryError(f"no memory for a program of {n} instructions")
    for i in range(n):
        op = t.opcode[i]
        code.places[i] = <int32_t>m
        if OP_GUARD_LESS <= op <= OP_GUARD_VALUE:
            code.checks[code.guards] = Check(<int32_t>m, code.places[t.a[i]],
                                             t.b[i] if op == OP_GUARD_VALUE else code.places[t.b[i]], op, t.v[i] != 0.0)
            code.check_origins[code.guards] = <int32_t>i
            code.guards += 1
            continue
        c.opcode[m], c.v[m], c.a[m], c.b[m] = op, t.v[i], t.a[i], t.b[i]
        if op >= FIRST_OPCODE or op == OP_EXTRA:
            c.a[m], c.b[m] = code.places[t.a[i]], code.places[t.b[i]]
        elif op == OP_SPECIAL:
            c.a[m] = code.places[t.a[i]]
        code.origins[m] = <int32_t>i
        m += 1
    code.places[n], code.origins[m] = <int32_t>m, <int32_t>n
    c.n = m
    return 0


cdef int divide(Code code) except -1:
    """Divides what is replayed into windows."""
    cdef CTape* c = &code.c
    cdef Window* w
    cdef int64_t i, length, start = 0, count = 2
    cdef int64_t pause = code.place(code.start)
    cdef int32_t check = 0
    cdef bint stops
    cdef bint plain = code.scalars_only and not code.start       # nothing stops it
    if not plain:
        for i in range(c.n):
            count += ends_window(code, i)
    # Nine at most are shorter than WINDOW because they are among the first.
    code.windows = <Window*>calloc(count + c.n // WINDOW + 9, sizeof(Window))
    if code.windows == NULL:
        raise MemoryError(f"no memory for a program of {code.n} instructions")
    i = -1
    while i < c.n:
        length = max(<int64_t>FIRST_WINDOW, min(<int64_t>WINDOW, start // 2))
        i = min(start + length, c.n) if plain else i + 1
        stops = not plain and i < c.n and ends_window(code, i)
        if not plain and not stops and i < c.n and i - start < length and (i != pause or i == 0):
            continue
        w = &code.windows[code.window_count]
        w.end, w.stops, w.first = i, stops, check
        while check < code.guards and code.checks[check].place <= i:
            check += 1
        sort_checks(code, w, check)
        code.window_count += 1
        start = i + stops
    return 0


cdef bint ends_window(Code code, int64_t i) noexcept:
    """Whether the instruction at place i ends a window: one with kernels, or that writes to an array."""
    return code.c.opcode[i] == OP_PUT or (code.c.opcode[i] == OP_ARRAY and code.counts[code.c.a[i]] != 0)


cdef inline int kind_of(const Check* check) noexcept nogil:
    """Place among fastad_fails."""
    return 2 * (check.op - OP_GUARD_LESS) + (not check.expected)


cdef void sort_checks(Code code, Window* w, int32_t end) noexcept:
    """Lists the guards of a window by kind."""
    cdef int32_t k
    cdef int kind
    cdef int32_t[6] at
    w.last = end
    for k in range(w.first, end):
        if code.checks[k].op == OP_GUARD_VALUE:
            w.by_itself = True
        else:
            w.counts[kind_of(&code.checks[k])] += 1
    at[0] = w.first
    for kind in range(1, 6):
        at[kind] = at[kind - 1] + w.counts[kind - 1]
    for k in range(w.first, end):
        if code.checks[k].op != OP_GUARD_VALUE:
            kind = kind_of(&code.checks[k])
            code.pairs[2 * at[kind]], code.pairs[2 * at[kind] + 1] = code.checks[k].a, code.checks[k].b
            at[kind] += 1


cdef Position position_of(Code code, int64_t i) noexcept nogil:
    """Where instruction i of the tape stands."""
    cdef Position at
    cdef int64_t low = 0, high = code.window_count - 1, middle
    at.i, at.check = code.place(i), check_from(code, i)
    while low < high:
        middle = (low + high) // 2
        if code.windows[middle].end < at.i:
            low = middle + 1
        else:
            high = middle
    at.window = low
    return at


cdef int64_t check_from(Code code, int64_t i) noexcept nogil:
    """The first guard at or behind instruction i of the tape."""
    cdef int64_t low = 0, high = code.guards, middle
    while low < high:
        middle = (low + high) // 2
        if code.check_origins[middle] < i:
            low = middle + 1
        else:
            high = middle
    return low
