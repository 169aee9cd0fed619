# Elementwise operations: every row of the op table on arrays. Values are NumPy's bit for bit; adjoints of contiguous arrays
# are computed here, block by block, without the GIL's being needed; everything else goes through NumPy.

cdef extern from "fastad/core/vector.h":
    void fastad_products_double(double* out, const double* w, const double* p, int n, bint add) noexcept nogil
    void fastad_products_float(float* out, const float* w, const double* p, int n, bint add) noexcept nogil
    void fastad_multiples_double(double* out, const double* w, double factor, int64_t n, bint add) noexcept nogil
    void fastad_multiples_float(float* out, const float* w, float factor, int64_t n, bint add) noexcept nogil
    void fastad_sums_double(double* out, const double* w, int64_t n, bint add) noexcept nogil
    void fastad_sums_float(float* out, const float* w, int64_t n, bint add) noexcept nogil
    void fastad_differences_double(double* out, const double* w, int64_t n, bint add) noexcept nogil
    void fastad_differences_float(float* out, const float* w, int64_t n, bint add) noexcept nogil
    double fastad_sum_of_products(const double* w, const double* p, int n) noexcept nogil
    int FASTAD_MULTIPLIED_WITH_ZERO
    void fastad_arithmetic_double(int op, const double* x, const double* y, double x0, double y0, double* v, int64_t n) noexcept nogil
    void fastad_arithmetic_float(int op, const float* x, const float* y, float x0, float y0, float* v, int64_t n) noexcept nogil

cdef extern from "<fenv.h>" nogil:
    int fetestexcept(int flags)
    int FE_DIVBYZERO, FE_OVERFLOW, FE_INVALID

include "../core/partials.pxi"


# ---- values ------------------------------------------------------------------------------------------------------------------

cdef inline bint is_simple(x) noexcept:
    """Whether x is a contiguous array of float64 or float32 with at least one dimension."""
    return (type(x) is ndarray and (PyArray_TYPE(<ndarray>x) == NPY_DOUBLE or PyArray_TYPE(<ndarray>x) == NPY_FLOAT)
            and PyArray_NDIM(<ndarray>x) > 0 and PyArray_IS_C_CONTIGUOUS(<ndarray>x) and PyArray_ISBEHAVED_RO(<ndarray>x))


cdef inline bint same_shape(ndarray x, ndarray y) noexcept:
    cdef int k
    if PyArray_NDIM(x) != PyArray_NDIM(y):
        return False
    for k in range(PyArray_NDIM(x)):
        if PyArray_DIMS(x)[k] != PyArray_DIMS(y)[k]:
            return False
    return True


cdef ndarray quick_arithmetic(int op, x, y):
    """x op y for simple arrays and numbers; None where NumPy has to do it: conversions, broadcasts, warnings."""
    cdef ndarray shape_of, v
    cdef const char* p = NULL
    cdef const char* q = NULL
    cdef double x0 = 0.0, y0 = 0.0
    cdef int kind
    if is_simple(x):
        shape_of = <ndarray>x
        p = <const char*>PyArray_DATA(shape_of)
        if is_simple(y):
            if PyArray_TYPE(<ndarray>x) != PyArray_TYPE(<ndarray>y) or not same_shape(<ndarray>x, <ndarray>y):
                return None
            q = <const char*>PyArray_DATA(<ndarray>y)
        elif PyFloat_CheckExact(y):
            y0 = PyFloat_AS_DOUBLE(y)
        else:
            return None
    elif PyFloat_CheckExact(x) and is_simple(y):
        x0 = PyFloat_AS_DOUBLE(x)
        shape_of = <ndarray>y
        q = <const char*>PyArray_DATA(shape_of)
    else:
        return None
    kind = PyArray_TYPE(shape_of)
    v = PyArray_EMPTY(PyArray_NDIM(shape_of), PyArray_DIMS(shape_of), kind, 0)
    op = FASTAD_MULTIPLIED_WITH_ZERO if op == OP_MULZ else op - OP_ADD
    if kind == NPY_DOUBLE:
        fastad_arithmetic_double(op, <const double*>p, <const double*>q, x0, y0, <double*>PyArray_DATA(v), PyArray_SIZE(v))
    else:
        fastad_arithmetic_float(op, <const float*>p, <const float*>q, <float>x0, <float>y0, <float*>PyArray_DATA(v), PyArray_SIZE(v))
    return None if fetestexcept(FE_DIVBYZERO | FE_OVERFLOW | FE_INVALID) else v


# NumPy's own inner loops of ufuncs of one operand: calling one on a contiguous array saves most of the price of a call.

cdef extern from "numpy/ufuncobject.h":
    ctypedef void (*UfuncLoop "PyUFuncGenericFunction")(char** args, const cnp.npy_intp* dimensions, const cnp.npy_intp* strides,
                                                        void* data) noexcept
    ctypedef struct PyUFuncObject:
        int nin, nout, ntypes
        UfuncLoop* functions
        void** data
        char* types


cdef struct UnaryLoop:
    void* ufunc               # whose loops these are
    UfuncLoop loop[2]         # for float64 and float32, NULL where there is none
    void* data[2]


cdef UnaryLoop[256] unary_loops


cdef int find_loops(int op, object ufunc) except -1:
    """Notes the loops of the first ufunc that is met for an opcode."""
    cdef UnaryLoop* entry = &unary_loops[op]
    cdef PyUFuncObject* u
    cdef int i, k
    if type(ufunc) is not np.ufunc:
        return 0
    u = <PyUFuncObject*>ufunc
    if u.nin != 1 or u.nout != 1:
        return 0
    for i in range(u.ntypes):
        for k in range(2):
            # The first that fits is the one NumPy takes; others are for machines without its instructions.
            if entry.loop[k] == NULL and u.types[2 * i] == u.types[2 * i + 1] == (NPY_FLOAT if k else NPY_DOUBLE):
                entry.loop[k], entry.data[k] = u.functions[i], u.data[i]
    Py_INCREF(ufunc)
    entry.ufunc = <void*>ufunc
    return 0


cdef ndarray quick_unary(int op, object ufunc, x):
    """ufunc(x) for a simple array; None where NumPy has to do it."""
    cdef UnaryLoop* entry = &unary_loops[op]
    cdef ndarray v
    cdef char* args[2]
    cdef cnp.npy_intp strides[2]
    cdef cnp.npy_intp n
    cdef int single
    if entry.ufunc == NULL:
        find_loops(op, ufunc)
    if entry.ufunc != <void*>ufunc or not is_simple(x):
        return None
    single = PyArray_TYPE(<ndarray>x) == NPY_FLOAT
    if entry.loop[single] == NULL:
        return None
    v = PyArray_EMPTY(PyArray_NDIM(<ndarray>x), PyArray_DIMS(<ndarray>x), PyArray_TYPE(<ndarray>x), 0)
    args[0], args[1] = <char*>PyArray_DATA(<ndarray>x), <char*>PyArray_DATA(v)
    n = PyArray_SIZE(v)
    strides[0] = strides[1] = 4 if single else 8
    entry.loop[single](args, &n, strides, entry.data[single])
    return None if fetestexcept(FE_DIVBYZERO | FE_OVERFLOW | FE_INVALID) else v


# ---- recording an operation ------------------------------------------------------------------------------------------------

@cython.final
@cython.no_gc
cdef class Elementwise(Record):
    """One row of the op table on arrays, of one operand or two."""

    cdef readonly int op
    cdef readonly int arity
    cdef readonly Operand x
    cdef readonly Operand y
    cdef object v              # the result if a partial needs it
    cdef tuple layout          # of the result
    cdef readonly object ufunc # what computes the values; None but on a tape for replay

    def depends(self, Sweep sweep):
        cdef bint found = ((partials[self.op][0].form and sweep.wants(self.x))
                           or (self.arity > 1 and partials[self.op][1].form and sweep.wants(self.y)))
        if found:
            (<RecordingSweep>sweep).mark(self.out)
        return found

    cdef object compute(self, values):
        return self.ufunc(values(self.x)) if self.arity == 1 else self.ufunc(values(self.x), values(self.y))

    cdef object products(self, Sweep sweep, int64_t i, int k, w):
        """w times the partial by operand k."""
        cdef Partial* partial = &partials[self.op][k]
        cdef object x, y, v
        if partial.form == FORM_ONE:
            return w
        if partial.form == FORM_MINUS_ONE:
            return -w
        x = sweep.value(self.x) if partial.needs & NEEDS_X else None
        y = sweep.value(self.y) if partial.needs & NEEDS_Y else None
        v = sweep.result(self.v, self.out, i) if partial.needs & NEEDS_V else None
        return product_of(w, rules_of(self.op)[k](x, y, None, None, v))

    cdef object adjoint(self, Sweep sweep, int64_t i, int k, w):
        """What the adjoint w of the result adds to that of operand k."""
        cdef Operand operand = self.y if k else self.x
        if partials[self.op][k].form == FORM_MINUS_ONE and (type(w) is ndarray or type(w) is ActiveArray):
            # The sum over what was broadcast comes first: then fewer signs change.
            return -(np.sum(w) if operand.kind == SCALAR else reduced_to(operand.layout, w))
        return self.products(sweep, i, k, w)

    def reverse(self, Sweep sweep, int64_t i):
        w = sweep.take(self.out, i)
        if w is None:
            return
        if partials[self.op][0].form and sweep.wants(self.x):
            sweep.add(self.x, self.adjoint(sweep, i, 0, w), False)
        if self.arity > 1 and partials[self.op][1].form and sweep.wants(self.y):
            sweep.add(self.y, self.adjoint(sweep, i, 1, w), False)

    def tangent(self, Sweep sweep, int64_t i):
        cdef object total = None
        cdef int k
        for k in range(self.arity):
            if partials[self.op][k].form:
                t = sweep.get(self.y if k else self.x)
                if t is not None and total is not None and partials[self.op][k].form == FORM_MINUS_ONE:
                    total = total - t
                elif t is not None:
                    t = self.products(sweep, i, k, t)
                    total = added(total, t)
        t = None          # the sweep takes what nothing else refers to
        sweep.put(self.out, i, total)


cdef object product_of(w, p):
    """w p as `product` gives it; arrays go the short way."""
    if (type(w) is ActiveArray and (type(p) is ActiveArray or type(p) is ndarray)) or (type(p) is ActiveArray and type(w) is ndarray):
        return elementwise(OP_MULZ, _mulz, w, p, 2)
    return product(w, p)


cdef object elementwise(int op, object ufunc, x, y, int arity):
    """Applies an elementary row to active arrays, active scalars and plain values; the result is active if it has a derivative.

    NotImplemented for an operand that is neither a number nor an array.
    """
    cdef CTape* t = tape_in_progress()
    cdef object a = plain_value(t, x)
    cdef object b = plain_value(t, y) if arity > 1 else None
    cdef object v = None
    if OP_ADD <= op <= OP_DIVIDE or op == OP_MULZ:
        v = quick_arithmetic(op, a, b)
    elif arity == 1:
        v = quick_unary(op, ufunc, a)
    if v is None:
        v = ufunc(a, b) if arity > 1 else ufunc(a)
        if v is NotImplemented:
            return v
        if t.recording and not is_floating(v):
            return tracked(t, ufunc, (x,) if arity == 1 else (x, y), {}, v)
        return record_elementwise(t, op, ufunc, x, y, arity, v, False)
    return record_elementwise(t, op, ufunc, x, y, arity, v, True)


cdef object record_elementwise(CTape* t, int op, object ufunc, x, y, int arity, v, bint quick):
    """The active value of an operation whose value is v; `quick` if that is a new array with the layout of an active operand."""
    cdef Elementwise instruction
    cdef Partial* by_x = &partials[op][0]
    cdef Partial* by_y = &partials[op][1]
    cdef bint x_active = by_x.form and (type(x) is ActiveArray or type(x) is Active)
    cdef bint y_active = arity > 1 and by_y.form and (type(y) is ActiveArray or type(y) is Active)
    cdef int needs = (by_x.needs if x_active else 0) | (by_y.needs if y_active else 0)
    cdef tuple hint = (<ActiveArray>x).layout if type(x) is ActiveArray else (<ActiveArray>y).layout if type(y) is ActiveArray else None
    cdef ActiveArray result
    if not x_active and not y_active and not t.recording:
        return constant_result(t, v)
    instruction = Elementwise.__new__(Elementwise)
    instruction.op, instruction.arity = op, arity
    if t.recording:
        instruction.ufunc = ufunc
    instruction.x = shared_operand(t, x, needs & NEEDS_X)
    if arity > 1:
        instruction.y = shared_operand(t, y, needs & NEEDS_Y)
    if type(v) is ndarray:
        if quick and hint is not None:
            result = active_on(t, <ndarray>v, hint, new_number(t, hint), False)
        else:
            check_dtype((<ndarray>v).dtype)
            result = fresh(t, v, hint)
        instruction.out, instruction.layout = result.storage.number, result.layout
        if needs & NEEDS_V:
            instruction.v = result.array
            result.storage.saved = True
        append_record(t, instruction, 0.0)
        return result
    if needs & NEEDS_V:
        instruction.v = v
    return scalar_result(t, instruction, v)


cdef object scalar_result(CTape* t, Record instruction, v):
    """What an instruction gives whose value NumPy returns as a scalar: float64 is an active scalar, float32 an array without
    dimensions.
    """
    cdef ActiveArray result
    check_dtype(v.dtype)
    if v.dtype == DOUBLE:
        instruction.out = -1
        return wrap(t, append_record(t, instruction, v))
    result = fresh(t, np.array(v))
    result.scalar = True
    instruction.out = result.storage.number
    append_record(t, instruction, 0.0)
    return result


cdef object constant_result(CTape* t, v):
    """A result without derivative: floating arrays may be written active values into, the others are plain."""
    if isinstance(v, ndarray) and (v.dtype == DOUBLE or v.dtype == SINGLE):
        return fresh(t, v if PyArray_OWNS(v) else v.copy())
    return v


cdef int check_dtype(dtype) except -1:
    if dtype is not DOUBLE and dtype is not SINGLE and dtype != DOUBLE and dtype != SINGLE:
        place, code = user_line()
        raise TraceError(f"{code} at {place} gives {dtype.name}, of which fastad has no derivatives; "
                         "use float64 or float32, or fastad.stop_gradient(x)")
    return 0


# ---- adjoints ----------------------------------------------------------------------------------------------------------------

cdef struct Source:
    const double* d           # elements, or NULL
    const float* f            # elements, or NULL
    double number             # what it is everywhere if both are NULL


cdef bint source_of(object value, ndarray like, Source* source) except -1:
    """How a loop over the elements of `like` reads a kept value; False if it is broadcast, strided or of another type."""
    source.d, source.f, source.number = NULL, NULL, 0.0
    if value is None:
        return True
    if PyFloat_Check(value):
        source.number = PyFloat_AS_DOUBLE(value)
        return True
    if type(value) is ndarray and PyArray_NDIM(<ndarray>value) > 0:
        if not is_simple(value) or PyArray_TYPE(<ndarray>value) != PyArray_TYPE(like) or not same_shape(<ndarray>value, like):
            return False
        if PyArray_TYPE(like) == NPY_DOUBLE:
            source.d = <const double*>PyArray_DATA(<ndarray>value)
        else:
            source.f = <const float*>PyArray_DATA(<ndarray>value)
        return True
    if isinstance(value, int):
        source.number = value
        return True
    return False


cdef inline const double* block_of(const Source* source, Py_ssize_t start, int n, double* room) noexcept nogil:
    """n elements of a source as doubles."""
    cdef int i
    if source.d != NULL:
        return source.d + start
    for i in range(n):
        room[i] = source.number if source.f == NULL else source.f[start + i]
    return room


cdef inline const Source* source_that_is(Partial* partial, const Source* x, const Source* y, const Source* v) noexcept nogil:
    """The source that a partial is; NULL if it is not one of them."""
    return x if partial.form == FORM_X else y if partial.form == FORM_Y else v if partial.form == FORM_V else NULL


cdef void add_product(real* out, const real* w, Partial* partial, const Source* x, const Source* y, const Source* v, Py_ssize_t n,
                      bint add) noexcept nogil:
    """out (+)= w times a partial; out may be w if nothing is added."""
    cdef double[BLOCK] p
    cdef double[BLOCK] x_room
    cdef double[BLOCK] y_room
    cdef double[BLOCK] v_room
    cdef Py_ssize_t start, block
    cdef int m
    cdef const double* factors
    cdef const Source* direct = source_that_is(partial, x, y, v)
    if partial.form == FORM_ONE:
        if real is double:
            fastad_sums_double(out, w, n, add)
        else:
            fastad_sums_float(out, w, n, add)
    elif partial.form == FORM_MINUS_ONE:
        if real is double:
            fastad_differences_double(out, w, n, add)
        else:
            fastad_differences_float(out, w, n, add)
    elif direct != NULL and direct.d == NULL and direct.f == NULL and direct.number - direct.number == 0.0:
        if real is double:
            fastad_multiples_double(out, w, direct.number, n, add)
        else:
            fastad_multiples_float(out, w, <float>direct.number, n, add)
    else:
        for block in range((n + BLOCK - 1) // BLOCK):
            start = block * BLOCK
            m = <int>min(<Py_ssize_t>BLOCK, n - start)
            if direct != NULL:
                factors = block_of(direct, start, m, x_room)
            else:
                factors = p
                partial.kernel(block_of(x, start, m, x_room), block_of(y, start, m, y_room), block_of(v, start, m, v_room), p, m)
            if real is double:
                fastad_products_double(out + start, w + start, factors, m, add)
            else:
                fastad_products_float(out + start, w + start, factors, m, add)


cdef double sum_of(const real* w, Py_ssize_t n) noexcept nogil:
    cdef double[8] totals
    cdef double total = 0.0
    cdef Py_ssize_t i
    cdef int k
    memset(totals, 0, sizeof(totals))
    for i in range(n // 8):
        for k in range(8):
            totals[k] += w[8 * i + k]
    for i in range(n - n % 8, n):
        total += w[i]
    for k in range(8):
        total += totals[k]
    return total


cdef double total_product(const real* w, Partial* partial, const Source* x, const Source* y, const Source* v, Py_ssize_t n) noexcept nogil:
    """The sum of w times a partial."""
    cdef double[BLOCK] room
    cdef real* out = <real*>room
    cdef Source[3] at
    cdef double total = 0.0
    cdef Py_ssize_t start, block
    cdef int m, k
    cdef const Source* direct = source_that_is(partial, x, y, v)
    if real is double and direct != NULL and direct.d != NULL:
        for block in range((n + BLOCK - 1) // BLOCK):
            start = block * BLOCK
            total += fastad_sum_of_products(w + start, direct.d + start, <int>min(<Py_ssize_t>BLOCK, n - start))
        return total
    at[0], at[1], at[2] = x[0], y[0], v[0]
    for block in range((n + BLOCK - 1) // BLOCK):
        start = block * BLOCK
        m = <int>min(<Py_ssize_t>BLOCK, n - start)
        add_product(out, w + start, partial, &at[0], &at[1], &at[2], m, False)
        total += sum_of[real](<const real*>out, m)
        for k in range(3):
            if at[k].d != NULL:
                at[k].d += m
            elif at[k].f != NULL:
                at[k].f += m
    return total


cdef bint elementwise_reverse(NumericSweep sweep, Elementwise instruction, int64_t i) except -1:
    """The reverse step of contiguous arrays of one type; False, with nothing done, for all others."""
    cdef Source[3] sources
    cdef Operand operand
    cdef ndarray w, into
    cdef int k, order, op = instruction.op, arity = instruction.arity
    cdef int needs = 0
    cdef int last = -1
    cdef bint is_double
    cdef void* pw
    cdef Py_ssize_t n
    if instruction.out < 0:
        return False
    adjoint = sweep.arrays[instruction.out]
    if adjoint is None:
        return True
    w = <ndarray>adjoint
    for k in range(arity):
        operand = instruction.y if k else instruction.x
        if operand.kind == CONSTANT or partials[op][k].form == FORM_NONE:
            continue
        if operand.kind == ARRAY:
            if operand.strides is not None or not (operand.layout is instruction.layout or has_layout(w, operand.layout)):
                return False
            last = k
        needs |= partials[op][k].needs
    if not source_of(kept(instruction.x) if needs & NEEDS_X else None, w, &sources[0]) \
            or not source_of(kept(instruction.y) if needs & NEEDS_Y else None, w, &sources[1]) \
            or not source_of(instruction.v if needs & NEEDS_V else None, w, &sources[2]):
        return False
    n = PyArray_SIZE(w)
    pw = PyArray_DATA(w)
    is_double = PyArray_TYPE(w) == NPY_DOUBLE
    # Scalars first: the last array may take over the adjoint's own memory.
    for k in range(arity):
        operand = instruction.y if k else instruction.x
        if operand.kind == SCALAR and partials[op][k].form != FORM_NONE:
            if is_double:
                sweep.scalars[operand.number] += total_product[double](
                    <double*>pw, &partials[op][k], &sources[0], &sources[1], &sources[2], n)
            else:
                sweep.scalars[operand.number] += total_product[float](
                    <float*>pw, &partials[op][k], &sources[0], &sources[1], &sources[2], n)
    sweep.store(instruction.out, None)
    if last == 1 and instruction.x.kind == ARRAY and partials[op][0].form and instruction.x.number != instruction.y.number \
            and sweep.arrays[instruction.x.number] is None \
            and (partials[op][0].form == FORM_ONE or sweep.arrays[instruction.y.number] is not None):
        # What is added to something goes first, so that the other can take over the memory; so does what is another number.
        last = 0
    for order in range(arity):
        k = order ^ (arity > 1 and last == 0)
        operand = instruction.y if k else instruction.x
        if operand.kind != ARRAY or partials[op][k].form == FORM_NONE:
            continue
        present = sweep.arrays[operand.number]
        if present is not None:
            into = <ndarray>present
        elif k == last:
            into = w
            sweep.store(operand.number, w)
        else:
            into = PyArray_EMPTY(PyArray_NDIM(w), PyArray_DIMS(w), PyArray_TYPE(w), 0)
            sweep.store(operand.number, into)
        if is_double:
            add_product[double](<double*>PyArray_DATA(into), <double*>pw, &partials[op][k], &sources[0], &sources[1], &sources[2], n,
                                present is not None)
        else:
            add_product[float](<float*>PyArray_DATA(into), <float*>pw, &partials[op][k], &sources[0], &sources[1], &sources[2], n,
                               present is not None)
    return True


# ---- rules on arrays, from the table ------------------------------------------------------------------------------------------

_rules_of = _rules_of_special = None
product = None
unbroadcast = None
scatter_add = None


cdef object rules_of(int op):
    return _rules_of(op)


def set_rules(rules_of_opcode, rules_of_special, functions):
    """Sets what gives the partials of an opcode and of a special row, functions of (x, y, z, u, v), and the functions (product,
    unbroadcast, scatter_add, and what computes the values of mulz) that sweeps use.
    """
    global _rules_of, _rules_of_special, product, unbroadcast, scatter_add, _mulz
    _rules_of, _rules_of_special = rules_of_opcode, rules_of_special
    product, unbroadcast, scatter_add, _mulz = functions


# ---- special rows: up to four operands, all of it with NumPy and SciPy ----------------------------------------------------------

@cython.final
cdef class SpecialElementwise(Record):
    """One special row of the op table on arrays."""

    cdef readonly int row
    cdef readonly list operands
    cdef object v
    cdef readonly object ufunc

    cdef object compute(self, values):
        return self.ufunc(*[values(operand) for operand in self.operands])

    def depends(self, Sweep sweep):
        cdef bint found = False
        for operand, rule in zip(self.operands, _rules_of_special(self.row)):
            found = found or (rule is not None and sweep.wants(operand))
        if found:
            (<RecordingSweep>sweep).mark(self.out)
        return found

    cdef object products(self, Sweep sweep, int64_t i, rule, w):
        values = [sweep.value(operand) for operand in self.operands]
        values += [None] * (4 - len(values))
        return product(w, rule(*values, sweep.result(self.v, self.out, i)))

    def reverse(self, Sweep sweep, int64_t i):
        w = sweep.take(self.out, i)
        if w is None:
            return
        for operand, rule in zip(self.operands, _rules_of_special(self.row)):
            if rule is not None and sweep.wants(operand):
                sweep.add(operand, self.products(sweep, i, rule, w), False)

    def tangent(self, Sweep sweep, int64_t i):
        total = None
        for operand, rule in zip(self.operands, _rules_of_special(self.row)):
            t = None if rule is None else sweep.get(operand)
            if t is not None:
                t = self.products(sweep, i, rule, t)
                total = added(total, t)
        t = None
        sweep.put(self.out, i, total)


def apply_special_row(int row, ufunc, operands):
    """A special row of active and plain arrays and numbers; `ufunc` computes its values."""
    cdef CTape* t = tape_in_progress()
    cdef SpecialElementwise instruction = SpecialElementwise.__new__(SpecialElementwise)
    cdef list parts = [as_operand(x) for x in operands]
    cdef object v = ufunc(*[plain_value(t, x) for x in parts])
    cdef ActiveArray result
    if t.recording:
        instruction.ufunc = ufunc
    elif not any([is_traced(x) and rule is not None for x, rule in zip(parts, _rules_of_special(row))]):
        return constant_result(t, v)
    instruction.row, instruction.operands = row, [operand_of(t, x, True) for x in parts]
    for x, rule, k in zip(parts, _rules_of_special(row), range(len(parts))):
        if is_traced(x) and rule is not None and rule.__name__ == "unknown":
            rule()
    if type(v) is ndarray:
        check_dtype((<ndarray>v).dtype)
        result = fresh(t, v)
        instruction.out, instruction.v = result.storage.number, result.array
        result.storage.saved = True
        append_record(t, instruction, 0.0)
        return result
    instruction.v = v
    return scalar_result(t, instruction, v)
