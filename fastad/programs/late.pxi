# Scalar instructions as late as array instructions let them be: what becomes of the sums a chain ends in is computed behind it, and the
# chain goes on.


cdef int postpone(Code code, int64_t low) except -1:
    """Puts what is replayed behind place `low`, from where no other path goes on, into that order."""
    cdef const CTape* c = &code.c
    cdef int64_t n = c.n, m = 0, waiting = 0, i
    cdef int64_t pause = code.place(code.start) if code.pauses else -1
    cdef Py_ssize_t storages = len(code.tape.storages) + len(code.extra)
    cdef int32_t* order = <int32_t*>malloc((n + 1) * sizeof(int32_t))
    cdef int32_t* queue = <int32_t*>malloc((n + 1) * sizeof(int32_t))
    cdef uint8_t* waits = <uint8_t*>calloc(n + 1, 1)
    cdef uint8_t* held = <uint8_t*>calloc(storages + 1, 1)         # by storage: 1 if one that waits reads it, 2 if one writes it
    cdef bint moved = False, is_scalar
    cdef int op
    try:
        if order == NULL or queue == NULL or waits == NULL or held == NULL:
            raise MemoryError(f"no memory for a program of {n} instructions")
        for i in range(n):
            op = c.opcode[i]
            is_scalar = op > OP_INPUT and op != OP_ARRAY
            if i == pause and op == OP_EXTRA:
                return 0                                            # it must stand before the instruction it belongs to
            if is_scalar and i > low and i != pause and not ((op == OP_PUT or op == OP_SPECIAL) and c.opcode[i - 1] == OP_EXTRA and not waits[i - 1]):
                waits[i], queue[waiting], waiting = True, <int32_t>i, waiting + 1
                if op == OP_GATHER or op == OP_PUT:
                    held[c.a[i]] |= 1 if op == OP_GATHER else 2
                continue
            if waiting and (is_scalar or i == pause or (op == OP_ARRAY and asks_for(code, c.a[i], waits, held))):
                m = let_go(order, m, queue, waiting, waits)
                waiting = 0
                memset(held, 0, storages)
            moved = moved or waiting > 0
            order[m], m = <int32_t>i, m + 1
        m = let_go(order, m, queue, waiting, waits)
        if moved:
            reorder(code, order)
    finally:
        free(order)
        free(queue)
        free(waits)
        free(held)
    return 0


cdef int64_t let_go(int32_t* order, int64_t m, const int32_t* queue, int64_t waiting, uint8_t* waits) noexcept:
    cdef int64_t k
    for k in range(waiting):
        order[m + k] = queue[k]
        waits[queue[k]] = False
    return m + waiting


cdef bint asks_for(Code code, int32_t record, const uint8_t* waits, const uint8_t* held) noexcept:
    """Whether an array instruction must stand behind the scalar ones that wait."""
    cdef const Kernel* kernel
    cdef const Place* place
    cdef const Short* short
    cdef const Spot* spot
    cdef Strips strips = code.taken
    cdef int64_t s
    cdef int j, k
    if code.counts[record] < 0:
        return True
    for s in range(strips.first[record], strips.first[record] + strips.many[record]):
        short = &strips.shorts[s]
        for k in range(short.count):
            spot = &short.at[k]
            if spot.kind == SCALAR and waits[spot.number]:
                return True
            if spot.kind == ARRAY and held[spot.number] and (held[spot.number] & 2 or k == short.count - 1):
                return True
    for j in range(code.counts[record]):
        kernel = &code.kernels[record][j]
        for k in range(kernel.count):
            place = &kernel.places[k]
            if place.kind == SCALAR and waits[place.number]:
                return True
            if place.kind == ARRAY and held[place.number] and (held[place.number] & 2 or is_written(kernel, k)):
                return True
    return False


cdef int reorder(Code code, const int32_t* order) except -1:
    """Puts the instructions of what is replayed into an order in which operands come first."""
    cdef CTape c = code.c
    cdef int64_t n = c.n, i, m
    cdef int j, k
    cdef int32_t op
    cdef Place* place
    cdef uint8_t* opcode = <uint8_t*>malloc(n + 1)
    cdef double* v = <double*>malloc((n + 1) * sizeof(double))
    cdef int32_t* a = <int32_t*>malloc((n + 1) * sizeof(int32_t))
    cdef int32_t* b = <int32_t*>malloc((n + 1) * sizeof(int32_t))
    cdef int32_t* to = <int32_t*>malloc((n + 1) * sizeof(int32_t))
    cdef int32_t* places = <int32_t*>malloc((code.n + 1) * sizeof(int32_t))
    cdef int32_t* origins = <int32_t*>malloc((n + 1) * sizeof(int32_t))
    if opcode == NULL or v == NULL or a == NULL or b == NULL or to == NULL or places == NULL or origins == NULL:
        for pointer in (<size_t>opcode, <size_t>v, <size_t>a, <size_t>b, <size_t>to, <size_t>places, <size_t>origins):
            free(<void*><size_t>pointer)
        raise MemoryError(f"no memory for a program of {n} instructions")
    to[n] = <int32_t>n
    for m in range(n):
        to[order[m]] = <int32_t>m
    for m in range(n):
        i = order[m]
        op = c.opcode[i]
        opcode[m], v[m], a[m], b[m] = op, c.v[i], c.a[i], c.b[i]
        if op >= FIRST_OPCODE or op == OP_EXTRA:
            a[m], b[m] = to[c.a[i]], to[c.b[i]]
        elif op == OP_SPECIAL:
            a[m] = to[c.a[i]]
    for i in range(code.n + 1):
        places[i] = to[code.place(i)]
    for i in range(n + 1):
        origins[to[i]] = <int32_t>code.origin(i)
    for i in range(code.records):
        for j in range(code.counts[i]):
            for k in range(code.kernels[i][j].count):
                place = &code.kernels[i][j].places[k]
                if place.kind == SCALAR:
                    place.number = to[place.number]
    for i in range(code.taken.count):
        for k in range(code.taken.shorts[i].count):
            if code.taken.shorts[i].at[k].kind == SCALAR:
                code.taken.shorts[i].at[k].number = to[code.taken.shorts[i].at[k].number]
    for i in range(<int64_t>len(code.inputs)):
        if code.leaves[i].kind == SCALAR:
            code.leaves[i].number = to[code.leaves[i].number]
    free(to)
    if code.places != NULL:
        free(code.c.opcode)
        free(code.c.v)
        free(code.c.a)
        free(code.c.b)
        free(code.places)
        free(code.origins)
    code.c.opcode, code.c.v, code.c.a, code.c.b, code.places, code.origins = opcode, v, a, b, places, origins
    return 0
