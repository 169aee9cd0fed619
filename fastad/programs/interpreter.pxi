# The interpreter: scalar instructions up to the end of a window, its guards, and the array instruction behind it.

cdef enum:
    FEW_GUARDS = 4         # that are looked at one by one


cdef enum Stop:
    FINISHED = 0
    MISSED = 1          # a guard does not hold
    FAILED = 2          # a guard on an array does not hold
    ASKS_PYTHON = 3     # an array instruction without a kernel


cdef struct CodeView:       # what the interpreter reads of a Code
    const CTape* t
    Kernel** kernels
    const int32_t* counts
    const Check* checks
    const int32_t* check_origins
    const double* recorded          # values on the tape
    const Window* windows
    const int32_t* pairs


cdef inline bint same(double x, double y) noexcept nogil:
    return x == y or (x != x and y != y)


cdef inline bint holds(const CodeView* code, int64_t k, const double* v) noexcept nogil:
    """Whether guard k holds."""
    cdef const Check* check = &code.checks[k]
    cdef double found, expected
    if check.op == OP_GUARD_LESS:
        return (v[check.a] < v[check.b]) == check.expected
    if check.op == OP_GUARD_LESS_EQUAL:
        return (v[check.a] <= v[check.b]) == check.expected
    if check.op == OP_GUARD_EQUAL:
        return (v[check.a] == v[check.b]) == check.expected
    found, expected = rounded(v[check.a], check.b), code.recorded[code.check_origins[k]]
    return same(found, expected) and (check.b != AS_IT_IS or found != 0.0 or memcmp(&found, &expected, sizeof(double)) == 0)


cdef void run_scalars(const CTape* t, double* v, char** data, int64_t first, int64_t n) noexcept nogil:
    """Values of instructions that can not fail and write nothing but their slot."""
    cdef const uint8_t* opcode = t.opcode
    cdef const int32_t* pa = t.a
    cdef const int32_t* pb = t.b
    cdef int64_t i
    cdef int op, k
    cdef int32_t[4] slots
    cdef double[4] operands
    for i in range(first, n):
        op = opcode[i]
        if op == OP_MULTIPLY:
            v[i] = v[pa[i]] * v[pb[i]]
        elif op == OP_ADD:
            v[i] = v[pa[i]] + v[pb[i]]
        elif op == OP_SUBTRACT:
            v[i] = v[pa[i]] - v[pb[i]]
        elif op >= FIRST_OPCODE:
            v[i] = value_of(op, v[pa[i]], v[pb[i]])
        elif op == OP_GATHER:
            v[i] = (<double*>data[pa[i]])[pb[i]]
        elif op == OP_SPECIAL:
            special_operands(t, i, slots)
            for k in range(4):
                operands[k] = v[slots[k]]
            v[i] = special_row(pb[i]).value(operands)


cdef bint all_hold(const CodeView* code, const Window* w, const double* v) noexcept nogil:
    """Whether all guards of a window hold."""
    cdef const int32_t* pairs = code.pairs + 2 * w.first
    cdef int kind
    if w.by_itself:
        return False
    for kind in range(6):
        if w.counts[kind]:
            if fastad_fails[kind](v, pairs, w.counts[kind]):
                return False
            pairs += 2 * w.counts[kind]
    return True


cdef bint checked(const CodeView* code, const Window* w, const double* v, Position* at) noexcept nogil:
    """Whether the guards of a window hold from number at.check on; goes on to the next window's or the first that does not."""
    if at.check != w.first or w.last - w.first <= FEW_GUARDS or not all_hold(code, w, v):
        while at.check < w.last:
            if not holds(code, at.check, v):
                return False
            at.check += 1
    at.check = w.last
    return True


cdef Stop run(const CodeView* code, double* v, char** data, Position* at, int64_t end) noexcept nogil:
    """Goes on to a place where a window ends. Where it does not get there, `at` says where it stopped: at.i, or at guard at.check if that MISSED."""
    cdef const Window* w
    cdef int32_t record
    cdef int k
    while True:
        w = &code.windows[at.window]
        run_scalars(code.t, v, data, at.i, w.end)
        if not checked(code, w, v, at):
            return MISSED
        at.i = w.end
        if at.i == end:
            return FINISHED
        if w.stops:
            if code.t.opcode[at.i] == OP_PUT:
                (<double*>data[code.t.a[at.i]])[code.t.b[at.i]] = v[code.t.a[at.i - 1]]
            else:
                record = code.t.a[at.i]
                if code.counts[record] < 0:
                    return ASKS_PYTHON
                for k in range(code.counts[record]):
                    if not run_kernel(&code.kernels[record][k], v, data):
                        return FAILED if code.kernels[record][k].is_guard else ASKS_PYTHON
            at.i += 1
        at.window += 1
