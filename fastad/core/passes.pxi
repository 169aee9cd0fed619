# The passes that make runs of a path: each goes once over a draft, a copy of the instructions whose operands are theirs.

cdef enum:
    # Opcodes of a draft beside those of the tape
    NOTHING = 16           # taken away
    PLACED = 17            # has its index already: an input, a number, an element of a storage
    PART = 18              # a sum or dot that goes on in another one
    FACTORS = 19           # a product that is a term of a dot
    SUM = 20               # operand a and behind it operand b, or all that a sum in operand a (a PART) adds up
    DOT = 21               # the same where b is FACTORS; a too may be FACTORS: the sum then begins with minus zero

    WINDOW = 8192          # instructions that are sorted together: their values and adjoints fit the second-level cache
    RECENT_BITS = 16       # of the table in which common subexpressions are found
    SAMPLE = 4096
    SAMPLES = 16


cdef struct Draft:
    const CTape* t
    int64_t n
    uint8_t* opcode
    int32_t* a
    int32_t* b
    int32_t* alias         # the instruction that has the same value: itself or an earlier one
    int32_t* uses          # instructions and wants that need it
    int32_t* length        # terms of a sum or dot
    int32_t* level
    int32_t* index         # of its value, -1 as long as it has none
    int64_t folded
    int64_t common
    int64_t dead
    int64_t joined
    int32_t minus_zero     # its index


cdef bint begin(Draft* d, const CTape* t) noexcept nogil:
    """Copies the instructions; False if there is no memory."""
    cdef int64_t n = t.n, i
    cdef int op
    memset(d, 0, sizeof(Draft))
    d.t, d.n = t, n
    d.opcode, d.alias = <uint8_t*>malloc(n + 1), <int32_t*>malloc((n + 1) * sizeof(int32_t))
    d.a, d.b = <int32_t*>malloc((n + 1) * sizeof(int32_t)), <int32_t*>malloc((n + 1) * sizeof(int32_t))
    d.uses, d.length = <int32_t*>calloc(n + 1, sizeof(int32_t)), <int32_t*>calloc(n + 1, sizeof(int32_t))
    d.level, d.index = <int32_t*>malloc((n + 1) * sizeof(int32_t)), <int32_t*>malloc((n + 1) * sizeof(int32_t))
    if d.opcode == NULL or d.a == NULL or d.b == NULL or d.alias == NULL or d.uses == NULL or d.length == NULL \
            or d.level == NULL or d.index == NULL:
        return False
    for i in range(n):
        op = t.opcode[i]
        d.opcode[i] = NOTHING if op == OP_ARRAY or op == OP_EXTRA else op
        d.a[i], d.b[i], d.alias[i], d.index[i] = t.a[i], t.b[i], <int32_t>i, -1
    return True


cdef void end(Draft* d) noexcept nogil:
    free(d.opcode)
    free(d.alias)
    free(d.a)
    free(d.b)
    free(d.uses)
    free(d.length)
    free(d.level)
    free(d.index)


cdef inline bint is_work(int op) noexcept nogil:
    """Whether a draft's instruction computes something."""
    return op >= FIRST_OPCODE or op == OP_GATHER or op == OP_SPECIAL or op == SUM or op == DOT


cdef bint is_sequential(const CTape* t) noexcept:
    """Whether hardly any instructions are independent, as samples of a long path tell. A chain of additions counts as one."""
    cdef int32_t[4096] level
    cdef int64_t sample, start, i, work = 0, levels = 0, step = t.n // SAMPLES
    cdef int32_t deepest, one, other
    if t.n < SAMPLES * SAMPLE:
        return False
    for sample in range(SAMPLES):
        start, deepest = sample * step, 0
        for i in range(start, start + SAMPLE):
            level[i - start] = 0
            if t.opcode[i] < FIRST_OPCODE:
                continue
            one = level[t.a[i] - start] if t.a[i] >= start else 0
            other = level[t.b[i] - start] if t.b[i] >= start and ARITY[t.opcode[i]] > 1 else 0
            level[i - start] = max(one, other) + (t.opcode[i] != OP_ADD)
            deepest = max(deepest, level[i - start])
            work += 1
        levels += deepest
    return work < switches.mean * levels


# ---- constants and common subexpressions ------------------------------------------------------------------------------------

cdef inline bint is_number(const Draft* d, int32_t i, double number) noexcept nogil:
    """Whether an instruction is this constant to the bit."""
    return d.opcode[i] == OP_CONSTANT and memcmp(&d.t.v[i], &number, sizeof(double)) == 0


cdef int32_t same_as(const Draft* d, int64_t i) noexcept nogil:
    """The operand whose value an instruction passes on as it is; -1 if it does not."""
    cdef int op = d.opcode[i]
    cdef int32_t a = d.a[i], b = d.b[i]
    if op == OP_POSITIVE:
        return a
    if op == OP_MULTIPLY:
        return a if is_number(d, b, 1.0) else b if is_number(d, a, 1.0) else -1
    if op == OP_DIVIDE:
        return a if is_number(d, b, 1.0) else -1
    if op == OP_ADD:
        return a if is_number(d, b, -0.0) else b if is_number(d, a, -0.0) else -1
    if op == OP_SUBTRACT:
        return a if is_number(d, b, 0.0) else -1
    if op == OP_NEGATIVE:
        return d.a[a] if d.opcode[a] == OP_NEGATIVE else -1
    return -1


cdef bint is_folded(const Draft* d, int64_t i) noexcept nogil:
    """Whether an instruction of constants alone has the value that stands on the tape."""
    cdef int op = d.opcode[i]
    cdef double value
    if d.opcode[d.a[i]] != OP_CONSTANT or (ARITY[op] > 1 and d.opcode[d.b[i]] != OP_CONSTANT):
        return False
    value = value_of(op, d.t.v[d.a[i]], d.t.v[d.b[i]])
    return memcmp(&value, &d.t.v[i], sizeof(double)) == 0


cdef inline bint commutes(int op) noexcept nogil:
    return op == OP_ADD or op == OP_MULTIPLY


cdef inline uint64_t hash_of(const Draft* d, int64_t i) noexcept nogil:
    cdef uint64_t key
    if d.opcode[i] == OP_CONSTANT:
        key = (<const uint64_t*>&d.t.v[i])[0]
    else:
        key = <uint64_t>d.opcode[i] << 56 ^ <uint64_t>d.a[i] << 28 ^ <uint64_t>d.b[i]
    return key * <uint64_t>0x9E3779B97F4A7C15 >> (64 - RECENT_BITS)


cdef inline bint equal(const Draft* d, int64_t i, int64_t j) noexcept nogil:
    if d.opcode[i] != d.opcode[j]:
        return False
    if d.opcode[i] == OP_CONSTANT:
        return memcmp(&d.t.v[i], &d.t.v[j], sizeof(double)) == 0
    return d.a[i] == d.a[j] and d.b[i] == d.b[j]


cdef void simplify(Draft* d, const int64_t* storages, const Plan* p) noexcept nogil:
    """Leads operands to what has the same value: folded constants, operands passed on, recent instructions like this one.

    Elements of storages that lie with the values are read where they are.
    """
    cdef int32_t* recent = <int32_t*>malloc(sizeof(int32_t) << RECENT_BITS)
    cdef int64_t i
    cdef int32_t other
    cdef int op
    if recent != NULL:
        memset(recent, 0xFF, sizeof(int32_t) << RECENT_BITS)
    for i in range(d.n):
        op = d.opcode[i]
        if op == OP_GATHER and storages[d.a[i]] >= 0:
            d.opcode[i], d.index[i] = PLACED, <int32_t>(storages[d.a[i]] + d.b[i])
            continue
        if op >= FIRST_OPCODE:
            d.a[i] = d.alias[d.a[i]]
            d.b[i] = d.alias[d.b[i]] if ARITY[op] > 1 else d.a[i]
            if commutes(op) and d.a[i] > d.b[i] and switches.common:
                d.a[i], d.b[i] = d.b[i], d.a[i]
            if switches.constants:
                other = same_as(d, i)
                if other >= 0:
                    d.alias[i], d.opcode[i] = other, NOTHING
                    d.folded += 1
                    continue
                if is_folded(d, i):
                    d.opcode[i] = op = OP_CONSTANT
                    d.folded += 1
        if switches.common and recent != NULL and (op >= FIRST_OPCODE or op == OP_GATHER or op == OP_CONSTANT):
            other = recent[hash_of(d, i)]
            if other >= 0 and equal(d, i, other):
                d.alias[i], d.opcode[i] = other, NOTHING
                d.common += 1
            else:
                recent[hash_of(d, i)] = <int32_t>i
    free(recent)


# ---- dead code -----------------------------------------------------------------------------------------------------------------

cdef int operands(const Draft* d, int64_t i, int32_t* found) noexcept nogil:
    """Instructions that an instruction other than a sum or dot needs; returns how many."""
    cdef int op = d.opcode[i], k, arity
    if op >= FIRST_OPCODE:
        found[0], found[1] = d.a[i], d.b[i]
        return ARITY[op]
    if op != OP_SPECIAL:
        return 0
    special_operands(d.t, i, found)
    arity = special_row(d.t.b[i]).arity
    for k in range(arity):
        found[k] = d.alias[found[k]]
    return arity


cdef void count_uses(Draft* d, const Plan* p) noexcept nogil:
    """Counts what needs each value, from the last to the first: what nothing needs is taken away."""
    cdef int64_t i
    cdef int32_t[4] found
    cdef int k
    for i in range(p.kept_count):
        d.uses[d.alias[p.kept[i]]] += 1
    for i in range(d.n - 1, -1, -1):
        if not is_work(d.opcode[i]):
            continue
        if d.uses[i] == 0 and switches.dead:
            d.opcode[i] = NOTHING
            d.dead += 1
            continue
        for k in range(operands(d, i, found)):
            d.uses[found[k]] += 1


# ---- sums and dots ------------------------------------------------------------------------------------------------------------

cdef inline bint goes_on(const Draft* d, int32_t i, int op) noexcept nogil:
    """Whether an instruction is a sum or dot that nothing else needs."""
    return d.uses[i] == 1 and (d.opcode[i] == op or (op == SUM and d.opcode[i] == OP_ADD))


cdef void join_chains(Draft* d) noexcept nogil:
    """Joins additions one behind the other, with the products they add: what needs an intermediate is then the next one alone.

    ((c + a0*b0) + a1*b1) + ... becomes one DOT, ((c + a0) + a1) + ... one SUM; the order of additions stays.
    """
    cdef int64_t i
    cdef int32_t before, term
    cdef bint is_product, before_is_product, neither
    for i in range(d.n):
        if d.opcode[i] != OP_ADD:
            continue
        before, term = d.a[i], d.b[i]
        before_is_product = d.opcode[before] == OP_MULTIPLY and d.uses[before] == 1
        is_product = d.opcode[term] == OP_MULTIPLY and d.uses[term] == 1
        neither = not before_is_product and not is_product
        if (before_is_product and not is_product) or (neither and goes_on(d, term, SUM) and not goes_on(d, before, SUM)):
            before, term = term, before
            before_is_product, is_product = is_product, before_is_product
        d.a[i], d.b[i] = before, term
        if is_product:
            d.opcode[i], d.opcode[term] = DOT, FACTORS
            if goes_on(d, before, DOT):
                d.length[i], d.opcode[before] = d.length[before] + 1, PART
            elif before_is_product:
                d.length[i], d.opcode[before] = 2, FACTORS
            else:
                d.length[i] = 1
            d.joined += 1
        elif goes_on(d, before, SUM):
            d.opcode[i], d.length[i] = SUM, max(d.length[before], 1) + 1
            d.opcode[before] = PART
            d.joined += 1


# ---- runs ------------------------------------------------------------------------------------------------------------------------

cdef bint begin_plan(Plan* p, const int32_t* inputs, int64_t input_count, const int32_t* kept, int64_t kept_count) noexcept nogil:
    p.inputs, p.kept = <int32_t*>malloc((input_count + 1) * sizeof(int32_t)), <int32_t*>malloc((kept_count + 1) * sizeof(int32_t))
    p.kept_index = <int32_t*>malloc((kept_count + 1) * sizeof(int32_t))
    if p.inputs == NULL or p.kept == NULL or p.kept_index == NULL:
        return False
    memcpy(p.inputs, inputs, input_count * sizeof(int32_t))
    memcpy(p.kept, kept, kept_count * sizeof(int32_t))
    p.input_count, p.kept_count = input_count, kept_count
    return True


cdef bint place_first(Draft* d, Plan* p) noexcept nogil:
    """Gives inputs and constants their slots."""
    cdef int64_t i, k = 0
    for i in range(d.n):
        k += d.opcode[i] == OP_CONSTANT and (d.uses[i] > 0 or not switches.dead)
    p.constants = <double*>malloc((k + 1) * sizeof(double))
    if p.constants == NULL or p.base + p.input_count + k + d.n + 1 > 0x7FFFFFFF:
        return False
    for i in range(p.input_count):
        d.index[p.inputs[i]], d.opcode[p.inputs[i]] = <int32_t>(p.base + i), PLACED
    p.end = p.base + p.input_count
    p.constants[0], d.minus_zero, p.constant_count = -0.0, <int32_t>p.end, 1
    for i in range(d.n):
        if d.opcode[i] == OP_INPUT or d.opcode[i] == OP_PUT:
            return False             # it is not a path of scalars
        if d.opcode[i] == OP_CONSTANT and (d.uses[i] > 0 or not switches.dead):
            d.index[i], d.opcode[i] = <int32_t>(p.end + p.constant_count), PLACED
            p.constants[p.constant_count] = d.t.v[i]
            p.constant_count += 1
    p.end += p.constant_count
    return True


cdef inline int32_t level_above(const Draft* d, int32_t level, int32_t i) noexcept nogil:
    """The level of what needs instruction i beside others; what has its index stands in an earlier window."""
    return level if d.index[i] >= 0 or d.level[i] < level else d.level[i] + 1


cdef int32_t level_of(const Draft* d, int64_t i) noexcept nogil:
    """One more than the highest level among the operands of this window."""
    cdef int op = d.opcode[i], k
    cdef int32_t level = 0
    cdef int32_t[4] found
    if op != SUM and op != DOT:
        for k in range(operands(d, i, found)):
            level = level_above(d, level, found[k])
        return level
    while True:
        if op == DOT:
            level = level_above(d, level_above(d, level, d.a[d.b[i]]), d.b[d.b[i]])
        else:
            level = level_above(d, level, d.b[i])
        i = d.a[i]
        if d.opcode[i] == FACTORS:
            return level_above(d, level_above(d, level, d.a[i]), d.b[i])
        if d.opcode[i] != PART:
            return level_above(d, level, <int32_t>i)


cdef int by_key(const void* x, const void* y) noexcept nogil:
    cdef uint64_t a = (<const uint64_t*>x)[0], b = (<const uint64_t*>y)[0]
    return (a > b) - (a < b)


cdef bint emit(Draft* d, Plan* p) noexcept nogil:
    """Sorts the instructions of each window by level and opcode and makes runs of them; False if there is no memory."""
    cdef uint64_t[8192] keys           # from the highest bits: level 14, opcode 8, length 28, place in the window 14
    cdef int32_t[8192] members
    cdef int64_t i = 0, place
    cdef int32_t count, k, first
    while i < d.n:
        count = 0
        while i < d.n and count < WINDOW:
            if is_work(d.opcode[i]):
                d.level[i] = level_of(d, i)
                if d.opcode[i] == OP_GATHER:
                    d.length[i] = d.a[i]
                place = d.level[i] if switches.runs else count
                keys[count] = <uint64_t>place << 50 | <uint64_t>d.opcode[i] << 42 | <uint64_t>min(d.length[i], 0xFFFFFFF) << 14 | count
                members[count] = <int32_t>i
                count += 1
            i += 1
        qsort(keys, count, sizeof(uint64_t), by_key)
        first = 0
        for k in range(1, count + 1):
            if k == count or keys[k] >> 14 != keys[first] >> 14 or \
                    d.length[members[keys[k] & 0x3FFF]] != d.length[members[keys[first] & 0x3FFF]]:
                if not add_run(d, p, keys + first, members, k - first):
                    return False
                first = k
    for i in range(p.kept_count):
        p.kept_index[i] = d.index[d.alias[p.kept[i]]]
    return True


cdef bint make_room(Plan* p, int64_t indices) noexcept nogil:
    """Room for one run more and its indices."""
    cdef void* grown
    cdef int64_t room
    if p.run_count == p.run_room:
        room = 2 * p.run_room + 64
        grown = realloc(p.runs, room * sizeof(Run))
        if grown == NULL:
            return False
        p.runs, p.run_room = <Run*>grown, room
    if p.listed_count + indices > p.listed_room:
        room = 2 * p.listed_room + indices + 1024
        grown = realloc(p.listed, room * sizeof(int32_t))
        if grown == NULL:
            return False
        p.listed, p.listed_room = <int32_t*>grown, room
    return True


cdef bint add_run(Draft* d, Plan* p, const uint64_t* keys, const int32_t* members, int32_t count) noexcept nogil:
    cdef int32_t first = members[keys[0] & 0x3FFF]
    cdef int op = d.opcode[first]
    cdef int64_t length = d.length[first]
    cdef Run* run
    cdef int32_t k
    if not make_room(p, count * (2 * max(length, 2) + 2) if op == DOT or op == SUM else 5 * count):
        return False
    run = &p.runs[p.run_count]
    p.run_count += 1
    run.opcode, run.count, run.length, run.out = op, count, length, p.end
    for k in range(count):
        d.index[members[keys[k] & 0x3FFF]] = <int32_t>(p.end + k)
    p.end += count
    p.instructions += count * (2 * length if op == DOT else length if op == SUM else 1)
    if op == DOT or op == SUM:
        list_terms(d, p, run, keys, members)
    else:
        list_operands(d, p, run, keys, members)
    return True


cdef void list_operands(const Draft* d, Plan* p, Run* run, const uint64_t* keys, const int32_t* members) noexcept nogil:
    """Lists the operands of a run of elementals or gathers."""
    cdef int32_t* at = p.listed + p.listed_count
    cdef int32_t n = run.count, i, k, j
    cdef int32_t[4] found
    cdef int arity
    run.b.list = run.c.list = -1
    for k in range(n):
        i = members[keys[k] & 0x3FFF]
        if run.opcode == OP_GATHER:
            at[k] = d.b[i]
            continue
        arity = operands(d, i, found)
        if run.opcode == OP_SPECIAL:
            for j in range(4):
                at[4 * k + j] = d.index[found[j]] if j < arity else 0
            at[4 * n + k] = d.t.b[i]
            p.second_unknown |= special_row(d.t.b[i]).unknown_second != 0
            continue
        at[k] = d.index[found[0]]
        if arity > 1:
            at[n + k] = d.index[found[1]]
    if run.opcode == OP_SPECIAL:
        run.a.list, run.c.list = p.listed_count, p.listed_count + 4 * n
        p.listed_count += 5 * n
        return
    keep_span(p, &run.a, at, n, 1)
    if run.opcode >= FIRST_OPCODE and ARITY[run.opcode] > 1:
        keep_span(p, &run.b, at + n, n, 1)


cdef void list_terms(const Draft* d, Plan* p, Run* run, const uint64_t* keys, const int32_t* members) noexcept nogil:
    """Lists the terms of a run of sums or dots, and what these begin with."""
    cdef int64_t n = run.count, length = run.length, j
    cdef int32_t* a = p.listed + p.listed_count
    cdef int32_t* b = a + n * length
    cdef int32_t* c = b + n * length
    cdef int32_t k, i
    for k in range(n):
        i, j = members[keys[k] & 0x3FFF], (k + 1) * length - 1
        while True:
            if run.opcode == DOT:
                list_factors(d, d.b[i], a + j, b + j)
            else:
                a[j] = d.index[d.b[i]]
            i, j = d.a[i], j - 1
            if d.opcode[i] != PART:
                break
        c[k] = d.index[i]
        if d.opcode[i] == FACTORS:
            list_factors(d, i, a + j, b + j)
            c[k] = d.minus_zero
    if run.opcode == SUM:
        run.b.list = -1
        run.a.list, p.listed_count = p.listed_count, p.listed_count + n * length
    elif is_span(a, n, length, &run.a) and is_span(b, n, length, &run.b):
        run.a.list = run.b.list = -1
    else:
        run.a.list, run.b.list = p.listed_count, p.listed_count + n * length
        p.listed_count += 2 * n * length
    keep_span(p, &run.c, c, n, 1)


cdef inline void list_factors(const Draft* d, int32_t product, int32_t* a, int32_t* b) noexcept nogil:
    """The factors of a product, the one with the lower index first: then those that are alike stand together."""
    cdef int32_t x = d.index[d.a[product]], y = d.index[d.b[product]]
    a[0], b[0] = min(x, y), max(x, y)


cdef bint is_span(const int32_t* indices, int64_t n, int64_t length, Span* span) noexcept nogil:
    """Whether indices are base + k*step + j; sets base and step."""
    cdef int64_t k, j
    span.base, span.step = indices[0], indices[length] - indices[0] if n > 1 else 0
    for k in range(n):
        for j in range(length):
            if indices[k * length + j] != span.base + k * span.step + j:
                return False
    return True


cdef void keep_span(Plan* p, Span* span, int32_t* indices, int64_t n, int64_t length) noexcept nogil:
    """Notes where operands are, in the list only if they are no span."""
    if is_span(indices, n, length, span):
        span.list = -1
        return
    span.list = p.listed_count
    if p.listed + p.listed_count != indices:
        memcpy_down(p.listed + p.listed_count, indices, n * length)
    p.listed_count += n * length


cdef void memcpy_down(int32_t* to, const int32_t* source, int64_t n) noexcept nogil:
    """Copies to a lower place, which may overlap."""
    cdef int64_t k
    for k in range(n):
        to[k] = source[k]
