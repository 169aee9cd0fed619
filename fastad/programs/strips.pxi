# Strips: kernels over a few elements each, as one list of short loops (short_loops.h).
#
#     records ──take──▶ short loops ──simplify──▶ those that are wanted ──assemble──▶ strips, each a kernel of its last record
#
# Short loops stay in order. A copy of a whole storage is another name of what it copies until one of them is written; equal loops are
# one; a product with 1.0 is the other factor; what nobody reads is left out. What is read of a storage may have been written by
# anything before, and so each write makes another version of it. A strip ends where something else comes between: a guard, a kernel
# that is no short loop, an instruction that Python carries out, a scalar that needs a sum of the strip.

cdef int simplify(Strips strips, Fusion fusion) except -1:
    """Gives operands the names of what they are copies of, finds equal loops, and drops what nobody reads."""
    cdef Code code = strips.code
    cdef const CTape* c = &code.c
    cdef Py_ssize_t k, storages = len(code.tape.storages) + len(code.extra)
    cdef int64_t i, j
    cdef int32_t record
    cdef dict known = {}
    strips.sizes, strips.versions = <int64_t*>calloc(storages + 1, sizeof(int64_t)), <int64_t*>calloc(storages + 1, sizeof(int64_t))
    strips.names, strips.order = <Name*>calloc(storages + 1, sizeof(Name)), <int64_t*>malloc((strips.count + 1) * sizeof(int64_t))
    if strips.sizes == NULL or strips.versions == NULL or strips.names == NULL or strips.order == NULL:
        raise MemoryError("no memory for a program")
    for k, layout in enumerate(code.tape.storages + code.extra):
        strips.sizes[k] = size_of_layout(<tuple>layout)
    for i in range(c.n):
        if c.opcode[i] == OP_PUT:
            strips.versions[c.a[i]] += 1
        elif c.opcode[i] == OP_ARRAY:
            record = c.a[i]
            for j in range(strips.first[record], strips.first[record] + strips.many[record]):
                if not strips.shorts[j].dropped:
                    rename(strips, j, known, i <= fusion.last_guard)
            if code.counts[record]:
                for number in fusion.touched(record, True):
                    strips.versions[<Py_ssize_t>number] += 1
    drop_unread(strips, fusion, storages)
    return 0


cdef int rename(Strips strips, int64_t number, dict known, bint guarded) except -1:
    """Goes on over short loop `number`, the next in order; `guarded` if another path may go on from behind it, where storages between
    kernels are not kept.
    """
    cdef Short* short = &strips.shorts[number]
    cdef const Short* other
    cdef Spot* target = &short.at[short.count - 1]
    cdef int32_t kept = <int32_t>len(strips.code.tape.storages) if guarded else 0x7fffffff
    cdef int k
    cdef bint whole = target.kind == ARRAY and target.flat and target.offset == 0 and target.bytes == strips.sizes[target.number]
    cdef Spot* source = &short.at[0]
    for k in range(short.count - 1):
        look_up(strips, short, k)
    if passes["ones"] and (FASTAD_SHORT_MULTIPLY <= short.code < FASTAD_SHORT_DIVIDE
                           or FASTAD_SHORT_MULZ <= short.code < FASTAD_SHORT_NEGATIVE):
        for k in range(2):
            if is_one_everywhere(strips, &short.at[k]):
                short.at[0], short.at[1], short.count, short.code = short.at[1 - k], target[0], 2, FASTAD_SHORT_COPY
                target = &short.at[1]
                break
    key = None
    if target.kind == ARRAY and target.flat and passes["equal"] and short.code != FASTAD_SHORT_COPY and short.code != FASTAD_SHORT_FILL:
        key = key_of(strips, short)
        found = known.get(key)
        if found is not None:
            other = &strips.shorts[<int64_t>found]
            if strips.versions[other.at[other.count - 1].number] == other.version:
                source[0] = other.at[other.count - 1]
                if target.number == source.number and target.offset == source.offset:
                    short.dropped = True
                    return 0
                short.at[1], short.count, short.code = target[0], 2, FASTAD_SHORT_COPY
                target = &short.at[1]
                key = None
    if target.kind != ARRAY:
        return 0
    strips.versions[target.number] += 1
    short.version = strips.versions[target.number]
    if key is not None and target.number < kept:
        known[key] = number
    if whole and passes["copies"] and (short.code == FASTAD_SHORT_COPY or short.code == FASTAD_SHORT_FILL) \
            and not (source.kind == ARRAY and (source.number == target.number or source.number >= kept)):
        strips.names[target.number] = Name(source[0], short.version, strips.versions[source.number] if source.kind == ARRAY else 0)
    return 0


cdef bint is_one_everywhere(Strips strips, const Spot* spot) noexcept:
    """Whether it is the number 1.0 for all elements, in every replay."""
    if not spot.uniform or spot.bytes != 8:
        return False
    if spot.kind == SCALAR:
        return strips.code.c.opcode[spot.number] == OP_CONSTANT and strips.code.c.v[spot.number] == 1.0
    return spot.kind == POOLED and (<double*>(<char*>strips.pool + spot.offset))[0] == 1.0


cdef int look_up(Strips strips, Short* short, int k) except -1:
    """Reads operand k where it was copied from, if both are as they were then."""
    cdef Spot* spot = &short.at[k]
    cdef Spot* target = &short.at[short.count - 1]
    cdef Name* name
    cdef bint other
    if spot.kind != ARRAY:
        return 0
    name = &strips.names[spot.number]
    if name.version == 0 or name.version != strips.versions[spot.number] \
            or (name.of.kind == ARRAY and name.source_version != strips.versions[name.of.number]):
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


cdef bytes key_of(Strips strips, const Short* short):
    """What tells loops apart that may give different results."""
    cdef int64_t[4 + 4 * OPERANDS] key
    cdef const Spot* spot
    cdef int k, m = 4
    key[0], key[1], key[2], key[3] = short.code, short.called, short.n, short.at[short.count - 1].bytes
    for k in range(short.count - 1):
        spot = &short.at[k]
        key[m], key[m + 1], key[m + 2] = 4 * spot.kind + 2 * spot.flat + spot.uniform, spot.number, spot.offset
        key[m + 3] = strips.versions[spot.number] if spot.kind == ARRAY else 0
        m += 4
    return (<char*>key)[:m * sizeof(int64_t)]


cdef int drop_unread(Strips strips, Fusion fusion, Py_ssize_t storages) except -1:
    """Finds, from the last to the first, the short loops whose results nobody reads."""
    cdef Code code = strips.code
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
            for j in range(strips.first[record] + strips.many[record] - 1, strips.first[record] - 1, -1):
                short = &strips.shorts[j]
                target = &short.at[short.count - 1]
                if short.dropped:
                    continue
                if target.kind == ARRAY:
                    if not read[target.number] and passes["unwanted"]:
                        strips.shorts[j].dropped = True
                        continue
                    if target.flat and target.offset == 0 and target.bytes == strips.sizes[target.number]:
                        read[target.number] = always[target.number]
                for k in range(short.count - 1):
                    if short.at[k].kind == ARRAY:
                        read[short.at[k].number] = 1
    return 0


# ---- strips ----------------------------------------------------------------------------------------------------------------------

cdef int assemble(Strips strips) except -1:
    """Divides the short loops into strips, each at the last of its records."""
    cdef Code code = strips.code
    cdef const CTape* c = &code.c
    cdef int64_t i, j, check = 0
    cdef int64_t pause = code.place(code.start) if code.start else -1
    cdef int32_t record
    cdef int op
    cdef Py_ssize_t home = -1, storages = len(code.tape.storages) + len(code.extra)
    cdef int32_t strip = 1              # number of the one that grows; by storage and slot the last that reads, writes or sums it
    cdef bint ends, sums = False
    cdef int32_t* read = <int32_t*>calloc(2 * storages + c.n + 1, sizeof(int32_t))
    cdef int32_t* written = read + storages
    cdef int32_t* summed = written + storages
    if read == NULL:
        raise MemoryError("no memory for a program")
    for i in range(c.n):
        op = c.opcode[i]
        ends = i == pause
        while check < code.guards and code.checks[check].place <= i:
            check += 1
            ends = True
        if op == OP_GATHER:
            ends = ends or written[c.a[i]] == strip
        elif op == OP_PUT:
            ends = ends or written[c.a[i]] == strip or read[c.a[i]] == strip or sums
        elif op == OP_ARRAY:
            ends = ends or code.counts[c.a[i]] != 0
        elif op > OP_INPUT and sums:
            # An operand that is no slot may look like one: the strip ends too early then, no harm.
            ends = ends or op == OP_SPECIAL or op == OP_EXTRA or summed[c.a[i]] == strip or summed[c.b[i]] == strip
        if ends and home >= 0:
            strips.ends.append((home, strips.wanted))
            home, sums = -1, False
            strip += 1
        if op != OP_ARRAY:
            continue
        record = c.a[i]
        for j in range(strips.first[record], strips.first[record] + strips.many[record]):
            if not strips.shorts[j].dropped:
                sums = note_spots(&strips.shorts[j], read, written, summed, strip) or sums
                strips.order[strips.wanted] = j
                strips.wanted += 1
                home = record
    free(read)
    if home >= 0:
        strips.ends.append((home, strips.wanted))
    for home, _ in strips.ends:
        code.kernels[home] = <Kernel*>calloc(1, sizeof(Kernel))
        if code.kernels[home] == NULL:
            raise MemoryError("no memory for a program")
        code.counts[home] = 1
    return 0


cdef int pack(Strips strips) except -1:
    """Writes the strips down as they are carried out, now that storages have their places."""
    cdef Code code = strips.code
    cdef int64_t at = 0, begin = 0, end, j, words = 0
    cdef Kernel* kernel
    for j in range(strips.wanted):
        words += 1 + (strips.shorts[strips.order[j]].count == 4)
    code.strip_words = words
    code.strips = <fastad_short*>calloc(words + 1, sizeof(fastad_short))
    code.called = <fastad_called*>calloc(len(strips.called) + 1, sizeof(fastad_called))
    code.constants = <char*>malloc(len(strips.pool) + 1)
    if code.strips == NULL or code.called == NULL or code.constants == NULL:
        raise MemoryError("no memory for a program")
    memcpy(code.constants, <char*>strips.pool, len(strips.pool))
    for k, (loop, data, *steps) in enumerate(strips.called):
        code.called[<Py_ssize_t>k].loop, code.called[<Py_ssize_t>k].data = <Loop><size_t>loop, <void*><size_t>data
        for j in range(OPERANDS):
            code.called[<Py_ssize_t>k].steps[j] = steps[j]
    elsewhere = {number for number, _ in [*code.given, *code.fixed]}
    elsewhere.update([(<Operand>x).number for x in code.inputs if type(x) is Operand])
    for home, end in strips.ends:
        kernel = &code.kernels[<Py_ssize_t>home][0]
        kernel.strip, kernel.called, kernel.strip_words = &code.strips[at], code.called, 0
        for j in range(begin, end):
            kernel.strip_words += write_short(strips, &strips.shorts[strips.order[j]], &kernel.strip[kernel.strip_words], elsewhere)
        at += kernel.strip_words
        begin = end
    return 0


cdef int write_short(Strips strips, const Short* short, fastad_short* to, set elsewhere) except -1:
    """Writes a short loop; how many places it takes."""
    cdef int k, last = short.count - 1
    to.code, to.called = short.code, short.called
    to.n = short.at[last].bytes if short.code == FASTAD_SHORT_COPY else short.n
    for k in range(short.count):
        # The result of arithmetic is always the third.
        set_base(strips, &short.at[k], to + (k == 3), 0 if k == 3 else 2 if k == last and short.code < FASTAD_SHORT_CALL else k, elsewhere)
    return 1 + (short.count == 4)


cdef int set_base(Strips strips, const Spot* spot, fastad_short* to, int k, set elsewhere) except -1:
    cdef Code code = strips.code
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


cdef bint note_spots(const Short* short, int32_t* read, int32_t* written, int32_t* summed, int32_t strip) noexcept:
    """Notes what a short loop of a strip reads and writes; whether that is a slot."""
    cdef int k, last = short.count - 1
    for k in range(short.count):
        if short.at[k].kind == ARRAY:
            (written if k == last else read)[short.at[k].number] = strip
    if short.at[last].kind == SCALAR:
        summed[short.at[last].number] = strip
    return short.at[last].kind == SCALAR
