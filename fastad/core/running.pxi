# Sweeps over the runs of a schedule. u, w, t and s are its values, adjoints, tangents and adjoint tangents by index.

cdef inline const double* operand(const Plan* p, const Span* span, const double* u, int64_t start, int n,
                                  double* room) noexcept nogil:
    """The operands of instructions start to start + n - 1 of a run, one behind the other: where they are, or copied to `room`."""
    cdef const int32_t* listed
    cdef int k
    if span.list < 0 and span.step == 1:
        return u + span.base + start
    if span.list < 0:
        for k in range(n):
            room[k] = u[span.base + (start + k) * span.step]
    else:
        listed = p.listed + span.list + start
        for k in range(n):
            room[k] = u[listed[k]]
    return room


cdef inline int64_t index_of(const Plan* p, const Span* span, int64_t length, int64_t k, int64_t j) noexcept nogil:
    """The index of term j of instruction k."""
    return span.base + k * span.step + j if span.list < 0 else p.listed[span.list + k * length + j]


# ---- values -----------------------------------------------------------------------------------------------------------------

cdef void load_constants(const Plan* p, double* u) noexcept nogil:
    """Sets what every replay finds there."""
    memcpy(u + p.base + p.input_count, p.constants, p.constant_count * sizeof(double))


cdef void copy_kept(const Plan* p, const double* u, double* v) noexcept nogil:
    """Puts the values that are wanted to their places on the path."""
    cdef int64_t k
    for k in range(p.kept_count):
        v[p.kept[k]] = u[p.kept_index[k]]


cdef void run_forward(const Plan* p, const double* v, double* u, char** data) noexcept nogil:
    """All values, from the inputs as they stand at their places on the path (v) and in the storages."""
    cdef const Run* r
    cdef int64_t i, k
    for k in range(p.input_count):
        u[p.base + k] = v[p.inputs[k]]
    for i in range(p.run_count):
        r = &p.runs[i]
        if r.opcode == DOT or r.opcode == SUM:
            add_up(p, r, u)
        elif r.opcode == OP_GATHER:
            gather_run(p, r, u, <const double*>data[r.length])
        elif r.opcode == OP_SPECIAL:
            for k in range(r.count):
                special_value(p, r, u, k)
        else:
            elementary_run(p, r, u)


cdef void elementary_run(const Plan* p, const Run* r, double* u) noexcept nogil:
    cdef double[512] x
    cdef double[512] y
    cdef const double* px
    cdef int64_t block, start
    cdef int n
    for block in range((r.count + BLOCK - 1) // BLOCK):
        start = block * BLOCK
        n = <int>min(r.count - start, <int64_t>BLOCK)
        px = operand(p, &r.a, u, start, n, x)
        VALUE_LOOPS[r.opcode](px, operand(p, &r.b, u, start, n, y) if ARITY[r.opcode] > 1 else px, u + r.out + start, n)


cdef void add_up(const Plan* p, const Run* r, double* u) noexcept nogil:
    """A run of sums or dots."""
    cdef double[512] c
    cdef const double* pc
    cdef int64_t block, start
    cdef int n
    if r.opcode == DOT and r.a.list < 0 and r.c.list < 0:
        fastad_dots(u, u + r.out, r.count, r.length, r.c.base, r.c.step, r.a.base, r.a.step, r.b.base, r.b.step)
        return
    for block in range((r.count + BLOCK - 1) // BLOCK):
        start = block * BLOCK
        n = <int>min(r.count - start, <int64_t>BLOCK)
        pc = operand(p, &r.c, u, start, n, c)
        if r.opcode == SUM:
            fastad_listed_sums(u, u + r.out + start, n, r.length, pc, p.listed + r.a.list + start * r.length)
        elif r.a.list >= 0:
            fastad_listed_dots(u, u + r.out + start, n, r.length, pc, p.listed + r.a.list + start * r.length,
                               p.listed + r.b.list + start * r.length)
        else:
            spread_dots(r, u, pc, start, n)


cdef void spread_dots(const Run* r, double* u, const double* c, int64_t start, int n) noexcept nogil:
    """Dots whose terms are spans and which begin anywhere."""
    cdef int64_t k, j
    cdef const double* a
    cdef const double* b
    cdef double total
    for k in range(start, start + n):
        a, b, total = u + r.a.base + k * r.a.step, u + r.b.base + k * r.b.step, c[k - start]
        for j in range(r.length):
            total += a[j] * b[j]
        u[r.out + k] = total


cdef void gather_run(const Plan* p, const Run* r, double* u, const double* data) noexcept nogil:
    cdef int64_t k
    for k in range(r.count):
        u[r.out + k] = data[index_of(p, &r.a, 1, k, 0)]


cdef inline Special* load_special(const Plan* p, const Run* r, const double* u, int64_t k, double* found) noexcept nogil:
    """The row of a special instruction, and its operands."""
    cdef int j
    for j in range(4):
        found[j] = u[p.listed[r.a.list + 4 * k + j]]
    return special_row(p.listed[r.c.list + k])


cdef void special_value(const Plan* p, const Run* r, double* u, int64_t k) noexcept nogil:
    cdef double[4] found
    cdef Special* row = load_special(p, r, u, k, found)
    u[r.out + k] = row.value(found)


# ---- adjoints ----------------------------------------------------------------------------------------------------------------

cdef void run_reverse(const Plan* p, const double* u, double* w) noexcept nogil:
    """Adjoints from those that are set. Storages that are gathered from in runs are constants, whose adjoints nobody asks for."""
    cdef const Run* r
    cdef int64_t i, k
    for i in range(p.run_count - 1, -1, -1):
        r = &p.runs[i]
        if r.opcode == DOT:
            reverse_dots(p, r, u, w)
        elif r.opcode == SUM:
            reverse_sums(p, r, w)
        elif r.opcode == OP_SPECIAL:
            for k in range(r.count):
                special_adjoint(p, r, u, w, k)
        elif r.opcode >= FIRST_OPCODE:
            reverse_elementary(p, r, u, w)


cdef void add_to(const Plan* p, const Span* span, double* w, int64_t start, int n, const double* terms) noexcept nogil:
    """Adds to the adjoints of operands, one after the other: an operand may come more than once."""
    cdef const int32_t* listed
    cdef int k
    if span.list >= 0:
        listed = p.listed + span.list + start
        for k in range(n):
            w[listed[k]] += terms[k]
    elif span.step == 1:
        fastad_sums_double(w + span.base + start, terms, n, True)
    else:
        for k in range(n):
            w[span.base + (start + k) * span.step] += terms[k]


cdef void reverse_elementary(const Plan* p, const Run* r, const double* u, double* w) noexcept nogil:
    cdef double[512] x
    cdef double[512] y
    cdef double[512] terms
    cdef const double* px
    cdef const double* py
    cdef const double* pv
    cdef const double* pw
    cdef const double* factors
    cdef const Partial* partial
    cdef int64_t block, start
    cdef int n, k, needs = partials[r.opcode][0].needs | partials[r.opcode][1].needs
    for block in range((r.count + BLOCK - 1) // BLOCK):
        start = block * BLOCK
        n = <int>min(r.count - start, <int64_t>BLOCK)
        pv, pw = u + r.out + start, w + r.out + start
        px = operand(p, &r.a, u, start, n, x) if needs & NEEDS_X else pv
        py = operand(p, &r.b, u, start, n, y) if needs & NEEDS_Y else pv
        for k in range(ARITY[r.opcode]):
            partial = &partials[r.opcode][k]
            if partial.form == FORM_NONE:
                continue
            factors = pw
            if partial.form == FORM_MINUS_ONE:
                fastad_differences_double(terms, pw, n, False)
                factors = terms
            elif partial.form != FORM_ONE:
                factors = px if partial.form == FORM_X else py if partial.form == FORM_Y else pv
                if partial.form == FORM_KERNEL:
                    partial.kernel(px, py, pv, terms, n)
                    factors = terms
                fastad_products_double(terms, pw, factors, n, False)
                factors = terms
            add_to(p, &r.b if k else &r.a, w, start, n, factors)


cdef void reverse_dots(const Plan* p, const Run* r, const double* u, double* w) noexcept nogil:
    cdef const int32_t* a
    cdef const int32_t* b
    cdef const double* pw = w + r.out
    cdef int64_t block, start, k, j
    cdef double wk
    for block in range((r.count + BLOCK - 1) // BLOCK):
        start = block * BLOCK
        add_to(p, &r.c, w, start, <int>min(r.count - start, <int64_t>BLOCK), pw + start)
    if r.a.list < 0:
        for k in range(r.count):
            fastad_add_multiple(w + r.a.base + k * r.a.step, u + r.b.base + k * r.b.step, pw[k], r.length)
        if r.b.step == 0:
            fastad_add_rows(w + r.b.base, u + r.a.base, r.a.step, pw, r.count, r.length)
            return
        for k in range(r.count):
            fastad_add_multiple(w + r.b.base + k * r.b.step, u + r.a.base + k * r.a.step, pw[k], r.length)
        return
    for k in range(r.count):
        a, b, wk = p.listed + r.a.list + k * r.length, p.listed + r.b.list + k * r.length, pw[k]
        if wk != 0.0:
            for j in range(r.length):
                w[a[j]] += mulz(wk, u[b[j]])
                w[b[j]] += mulz(wk, u[a[j]])


cdef void reverse_sums(const Plan* p, const Run* r, double* w) noexcept nogil:
    cdef const int32_t* a
    cdef int64_t block, start, k, j
    for block in range((r.count + BLOCK - 1) // BLOCK):
        start = block * BLOCK
        add_to(p, &r.c, w, start, <int>min(r.count - start, <int64_t>BLOCK), w + r.out + start)
    for k in range(r.count):
        a = p.listed + r.a.list + k * r.length
        for j in range(r.length):
            w[a[j]] += w[r.out + k]


cdef void special_adjoint(const Plan* p, const Run* r, const double* u, double* w, int64_t k) noexcept nogil:
    cdef double[4] found
    cdef double[4] first
    cdef double wk = w[r.out + k]
    cdef Special* row
    cdef int j
    if wk == 0.0:
        return
    row = load_special(p, r, u, k, found)
    row.first(found, u[r.out + k], first)
    for j in range(row.arity):
        w[p.listed[r.a.list + 4 * k + j]] += mulz(wk, first[j])


# ---- tangents ------------------------------------------------------------------------------------------------------------------

cdef void run_tangent(const Plan* p, const double* u, double* t) noexcept nogil:
    """Tangents from those of the inputs; what is gathered in runs is constant."""
    cdef const Run* r
    cdef int64_t i, k, a, b
    for i in range(p.run_count):
        r = &p.runs[i]
        if r.opcode >= FIRST_OPCODE:
            for k in range(r.count):
                a = index_of(p, &r.a, 1, k, 0)
                b = index_of(p, &r.b, 1, k, 0) if ARITY[r.opcode] > 1 else a
                tangent_step(r.opcode, r.out + k, a, b, u[a], u[b], u[r.out + k], t)
        elif r.opcode == OP_SPECIAL:
            for k in range(r.count):
                t[r.out + k] = special_tangent(p, r, u, t, k)
        elif r.opcode != OP_GATHER:
            for k in range(r.count):
                t[r.out + k] = tangent_sum(p, r, u, t, k)


cdef double special_tangent(const Plan* p, const Run* r, const double* u, const double* t, int64_t k) noexcept nogil:
    cdef double[4] found
    cdef double[4] first
    cdef Special* row = load_special(p, r, u, k, found)
    cdef double total = 0.0
    cdef int j
    row.first(found, u[r.out + k], first)
    for j in range(row.arity):
        total += mulz(t[p.listed[r.a.list + 4 * k + j]], first[j])
    return total


cdef double tangent_sum(const Plan* p, const Run* r, const double* u, const double* t, int64_t k) noexcept nogil:
    """The tangent of a sum or dot."""
    cdef double total = t[index_of(p, &r.c, 1, k, 0)]
    cdef int64_t j, a, b
    for j in range(r.length):
        a = index_of(p, &r.a, r.length, k, j)
        if r.opcode == SUM:
            total += t[a]
            continue
        b = index_of(p, &r.b, r.length, k, j)
        total += mulz(t[a], u[b]) + mulz(t[b], u[a])
    return total


# ---- adjoint tangents ----------------------------------------------------------------------------------------------------------

cdef void run_reverse_tangent(const Plan* p, const double* u, double* t, double* w, double* s) noexcept nogil:
    """Adjoints and adjoint tangents from those that are set and the tangents of all; every second partial must have a rule."""
    cdef const Run* r
    cdef int64_t i, k, a, b, out
    for i in range(p.run_count - 1, -1, -1):
        r = &p.runs[i]
        for k in range(r.count):
            out = r.out + k
            if r.opcode == OP_GATHER or (w[out] == 0.0 and s[out] == 0.0):
                continue
            if r.opcode >= FIRST_OPCODE:
                a = index_of(p, &r.a, 1, k, 0)
                b = index_of(p, &r.b, 1, k, 0) if ARITY[r.opcode] > 1 else a
                reverse_tangent_step(r.opcode, a, b, u[a], u[b], u[out], w[out], s[out], t, w, s)
            elif r.opcode == OP_SPECIAL:
                special_reverse_tangent(p, r, u, t, w, s, k)
            else:
                reverse_tangent_sum(p, r, u, t, w, s, k)


cdef void special_reverse_tangent(const Plan* p, const Run* r, const double* u, const double* t, double* w, double* s,
                                  int64_t k) noexcept nogil:
    cdef double[4] found
    cdef double[4] first
    cdef double[16] second
    cdef const int32_t* at = p.listed + r.a.list + 4 * k
    cdef double wk = w[r.out + k], sk = s[r.out + k], curvature
    cdef Special* row = load_special(p, r, u, k, found)
    cdef int i, j
    row.first(found, u[r.out + k], first)
    row.second(found, u[r.out + k], second)
    for j in range(row.arity):
        curvature = 0.0
        for i in range(row.arity):
            curvature += mulz(t[at[i]], second[4 * i + j])
        w[at[j]] += mulz(wk, first[j])
        s[at[j]] += mulz(sk, first[j]) + mulz(wk, curvature)


cdef void reverse_tangent_sum(const Plan* p, const Run* r, const double* u, const double* t, double* w, double* s,
                              int64_t k) noexcept nogil:
    cdef double wk = w[r.out + k], sk = s[r.out + k]
    cdef int64_t j, a = index_of(p, &r.c, 1, k, 0), b
    w[a] += wk
    s[a] += sk
    for j in range(r.length):
        a = index_of(p, &r.a, r.length, k, j)
        if r.opcode == SUM:
            w[a] += wk
            s[a] += sk
            continue
        b = index_of(p, &r.b, r.length, k, j)
        w[a] += mulz(wk, u[b])
        w[b] += mulz(wk, u[a])
        s[a] += mulz(sk, u[b]) + mulz(wk, t[b])
        s[b] += mulz(sk, u[a]) + mulz(wk, t[a])
