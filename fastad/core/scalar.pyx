# cython: cdivision=True
"""Active scalars: numbers that write an instruction for every operation done with them.

An active scalar is a slot number and the epoch of its trace; its value is on the tape. The thread's state is three words of
thread-local storage: the tape in progress and a free list of scalars.
"""

cimport cython
from cpython.object cimport Py_EQ, Py_GE, Py_GT, Py_LE, Py_LT, PyObject_RichCompare
from cpython.float cimport PyFloat_AS_DOUBLE
from cpython.ref cimport PyObject
from libc.math cimport NAN, ceil, floor, frexp, rint, trunc
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t, uintptr_t

from fastad.core.generated.kernels cimport *
from fastad.core.generated.opcodes cimport *
from fastad.core.tape cimport (
    AS_IT_IS, CEILED, EXPONENT, FLOORED, IS_WHOLE, LITERALS, NEAREST, OP_ARRAY, OP_CONSTANT, OP_EXTRA, OP_GATHER, OP_GUARD_EQUAL,
    OP_GUARD_LESS, OP_GUARD_LESS_EQUAL, OP_GUARD_VALUE, OP_INPUT, OP_SPECIAL, TRUNCATED, Constant, CTape, Tape, append,
    append_structural, constant, write,
)

import math as _math
import operator as _operator

include "generated/value.pxi"
include "thread.pxi"


cdef enum:
    FREE_SCALARS = 1 << 16           # 2 MB of scalars ready for reuse per thread
    SPARE_CAPACITY = 1 << 22         # a finished tape larger than this gives its memory back
    LOOK_BACK = 256                  # instructions that has_derivative looks at before it believes the worst
    NOT_A_NUMBER = -2                # lift: not a number, let the other operand's type try

ctypedef PyObject* (*NewReference)(int op, PyObject* x, PyObject* y) noexcept


# ---- operations --------------------------------------------------------------------------------------------------------

cdef inline CTape* tape_in_progress() noexcept nogil:
    return <CTape*>fastad_thread.tape


cdef CTape* current_tape() noexcept nogil:
    return tape_in_progress()


cdef inline object new_active(CTape* t, int32_t slot):
    return fastad_new_active(<PyTypeObject*>Active, t.epoch, slot)


cdef object wrap(CTape* t, int32_t slot):
    return new_active(t, slot)


cdef int32_t lift_slowly(CTape* t, object x) except -1:
    """The slot of an operand that is neither a plain float nor an active scalar of this trace."""
    if isinstance(x, Active):
        raise _errors().stale_value((<Active>x).epoch != 0)
    if isinstance(x, (float, int)):
        return constant(t, x)
    if Py_TYPE(<PyObject*>x) == array_type or (Py_TYPE(<PyObject*>x) == plain_array_type and x.ndim):
        return NOT_A_NUMBER
    number = _errors().plain_number(x)
    return NOT_A_NUMBER if number is None else constant(t, number)


cdef inline uint64_t bits_of(PyObject* number) noexcept:
    """The bits of a Python float."""
    cdef double v = PyFloat_AS_DOUBLE(<object>number)
    return (<uint64_t*>&v)[0]


cdef inline Constant* literal_entry(const CTape* t, PyObject* number) noexcept:
    return t.literals + ((<uintptr_t>number >> 4) & (LITERALS - 1))


cdef int32_t literal(CTape* t, PyObject* number) except -1:
    """The slot of a float, which is then at hand the next time the same object comes (a literal in a loop does)."""
    cdef Constant* entry = literal_entry(t, number)
    entry.slot = constant(t, PyFloat_AS_DOUBLE(<object>number))
    entry.bits, entry.stamp = bits_of(number), t.stamp
    return entry.slot


cdef inline int32_t lift(CTape* t, object x) except -1:
    """The slot of an operand: its own if it is active, a constant's if it is a number, NOT_A_NUMBER otherwise."""
    if type(x) is Active and (<Active>x).epoch == t.epoch:
        return (<Active>x).slot
    if PyFloat_CheckExact(x):
        return literal(t, <PyObject*>x)
    if PyLong_CheckExact(x):
        return constant(t, x)
    return lift_slowly(t, x)


cdef inline int32_t own_slot(CTape* t, Active x) except -1:
    """The slot of an active scalar, which must be of the trace in progress."""
    if x.epoch != t.epoch:
        raise _errors().stale_value()
    return x.slot


cdef inline int operand_slots(CTape* t, object x, object y, int32_t* a, int32_t* b) except -1:
    """Slots of two operands, at least one of them active (which is looked at first: a thread without a trace has no tape)."""
    if type(x) is Active:
        a[0] = own_slot(t, <Active>x)
        b[0] = lift(t, y)
    else:
        b[0] = own_slot(t, <Active>y)
        a[0] = lift(t, x)
    return a[0] == NOT_A_NUMBER or b[0] == NOT_A_NUMBER


cdef inline int32_t slot_at_hand(const CTape* t, PyObject* x) noexcept:
    """The slot of an active scalar or of a literal the tape has; -1 for all that needs a closer look."""
    cdef Constant* entry
    if likely(Py_TYPE(x) == <PyTypeObject*>Active):
        return (<FastadActive*>x).slot if (<FastadActive*>x).epoch == t.epoch else -1
    if Py_TYPE(x) == &PyFloat_Type and t.stamp:
        entry = literal_entry(t, x)
        if likely(entry.bits == bits_of(x) and entry.stamp == t.stamp):
            return entry.slot
    return -1


cdef inline PyObject* arithmetic(int op, PyObject* x, PyObject* y) noexcept:
    """x op y for the four operations the interpreter meets most, as a new reference; `op` is a constant to the compiler.

    This is the price of fastad per operation. The path taken nearly always calls nothing and the other one is a call in last
    place, so that there is no stack frame: both slots are at hand, and so are room on the tape and a scalar on the free list.
    """
    cdef CTape* t = tape_in_progress()
    cdef int32_t a = slot_at_hand(t, x)
    cdef int32_t b = slot_at_hand(t, y)
    cdef int64_t i = t.n
    if unlikely((a | b) < 0 or i == t.capacity or fastad_thread.free == NULL):
        return (<NewReference>binary)(op, x, y)
    write(t, i, op, a, b, elementary_arithmetic(op, t.v[a], t.v[b]))
    return fastad_reuse_active(t.epoch, <int32_t>i)


# What Active's number slots call: its methods, made by Cython, look at their arguments and errors once more.

cdef PyObject* quick_add(PyObject* x, PyObject* y) noexcept:
    return arithmetic(OP_ADD, x, y)


cdef PyObject* quick_subtract(PyObject* x, PyObject* y) noexcept:
    return arithmetic(OP_SUBTRACT, x, y)


cdef PyObject* quick_multiply(PyObject* x, PyObject* y) noexcept:
    return arithmetic(OP_MULTIPLY, x, y)


cdef PyObject* quick_divide(PyObject* x, PyObject* y) noexcept:
    return arithmetic(OP_DIVIDE, x, y)


cdef inline double elementary_arithmetic(int op, double x, double y) noexcept nogil:
    if op == OP_ADD:
        return x + y
    if op == OP_SUBTRACT:
        return x - y
    if op == OP_MULTIPLY:
        return x * y
    return x / y


cdef object binary(int op, object x, object y):
    """Any elemental of two operands, as an operator: NotImplemented where an operand is no number."""
    cdef CTape* t = tape_in_progress()
    cdef int32_t a, b
    if operand_slots(t, x, y, &a, &b):
        return NotImplemented
    return new_active(t, append(t, op, a, b, value_of(op, t.v[a], t.v[b])))


cdef object apply_unary(int op, Active x):
    cdef CTape* t = tape_in_progress()
    cdef int32_t a = own_slot(t, x)
    return new_active(t, append(t, op, a, 0, value_of(op, t.v[a], 0.0)))


cdef object apply_binary(int op, object x, object y):
    """Any elemental of two operands, as a function: TypeError where an operand is no number."""
    result = binary(op, x, y)
    if result is NotImplemented:
        raise TypeError(f"must be a real number, not {type(y if isinstance(x, Active) else x).__name__}")
    return result


def apply(int op, *operands):
    """The elementary op with this opcode on operands of which at least one is active; returns an active scalar."""
    if len(operands) == 1:
        return apply_unary(op, operands[0])
    return apply_binary(op, operands[0], operands[1])


def value_by_row(int op, *operands):
    """The value of the elementary op with this opcode on plain numbers."""
    return value_of(op, operands[0], operands[1] if len(operands) > 1 else 0.0)


include "special_rows.pxi"


# ---- recording rules: instructions that no Python code asked for ---------------------------------------------------------

cdef double value_by_opcode(int opcode, double x, double y) noexcept nogil:
    return value_of(opcode, x, y)


cdef int32_t record(CTape* t, int op, int32_t a, int32_t b) except -1:
    """Appends an elementary operation of a rule, folding constants and multiplications by one."""
    cdef bint a_constant = t.opcode[a] == OP_CONSTANT
    cdef bint b_constant = ARITY[op] > 1 and t.opcode[b] == OP_CONSTANT
    if a_constant and (b_constant or ARITY[op] == 1):
        return constant(t, value_of(op, t.v[a], t.v[b]))
    if op == OP_MULTIPLY or op == OP_MULZ:
        if op == OP_MULZ and ((a_constant and t.v[a] == 0.0) or (b_constant and t.v[b] == 0.0)):
            return constant(t, 0.0)
        if b_constant and t.v[b] == 1.0:
            return a
        if a_constant and t.v[a] == 1.0:
            return b
        if b_constant and t.v[b] == -1.0:
            return append(t, OP_NEGATIVE, a, 0, -t.v[a])
        if a_constant and t.v[a] == -1.0:
            return append(t, OP_NEGATIVE, b, 0, -t.v[b])
    elif op == OP_POWER and b_constant:
        if t.v[b] == 0.0:
            return constant(t, 1.0)
        if t.v[b] == 1.0:
            return a
        if t.v[b] == 2.0:
            return append(t, OP_SQUARE, a, 0, t.v[a] * t.v[a])
    elif (op == OP_ADD or op == OP_SUBTRACT) and b_constant and t.v[b] == 0.0:
        return a
    return append(t, op, a, b, value_of(op, t.v[a], t.v[b]))


# ---- what leaves to Python: on a tape that is recorded for replay each decision is a guard -----------------------------------

cdef double rounded(double v, int how) noexcept nogil:
    """The number that leaves, as a guard compares it."""
    cdef int exponent
    if how == TRUNCATED:
        return trunc(v)
    if how == FLOORED:
        return floor(v)
    if how == CEILED:
        return ceil(v)
    if how == NEAREST:
        return rint(v)
    if how == IS_WHOLE:
        return v == floor(v) and v - v == 0.0
    if how == EXPONENT:
        return frexp(v, &exponent) * 0.0 + exponent
    return v


cdef inline double leaving(Active x, int how) except? -1.0:
    """The value of an active scalar of which a decision is made that depends on no more than the value rounded so."""
    cdef CTape* t = tape_in_progress()
    cdef int32_t slot = own_slot(t, x)
    if t.recording:
        append_structural(t, OP_GUARD_VALUE, slot, how, rounded(t.v[slot], how))
    return t.v[slot]


cdef double without_derivative(Active x, kind, what) except? -1.0:
    """The value of an active scalar that has no derivative to lose; TraceError of a `kind` (errors.turned_into) for others."""
    cdef CTape* t = tape_in_progress()
    if has_derivative(t, own_slot(t, x)):
        raise _errors().turned_into(kind, what)
    return leaving(x, AS_IT_IS)


cdef bint decided(CTape* t, int op, int32_t a, int32_t b) except -1:
    """The outcome of a comparison, noted as a guard."""
    cdef bint outcome
    if op == OP_GUARD_LESS:
        outcome = t.v[a] < t.v[b]
    elif op == OP_GUARD_LESS_EQUAL:
        outcome = t.v[a] <= t.v[b]
    else:
        outcome = t.v[a] == t.v[b]
    append(t, op, a, b, outcome)
    return outcome


cdef object compare_recorded(CTape* t, Active x, y, int op):
    """A comparison on a tape that is recorded for replay; of arrays it is recorded as they are."""
    cdef int32_t a = own_slot(t, x)
    cdef int32_t b
    cdef bint simple = PyFloat_CheckExact(y) or type(y) is Active
    if not simple and _compare_hook is not None and hasattr(y, "__array_ufunc__") and getattr(y, "ndim", 0):
        return _compare_hook(x, y, op)
    if simple:
        pass
    elif isinstance(y, int) and not -2**53 <= y <= 2**53 or isinstance(y, complex) or not isinstance(y, (int, float, Active)):
        # Not exactly a float, or no number at all.
        return PyObject_RichCompare(leaving(x, AS_IT_IS), y, op)
    b = lift(t, y)
    if op == Py_LT:
        return decided(t, OP_GUARD_LESS, a, b)
    if op == Py_LE:
        return decided(t, OP_GUARD_LESS_EQUAL, a, b)
    if op == Py_GT:
        return decided(t, OP_GUARD_LESS, b, a)
    if op == Py_GE:
        return decided(t, OP_GUARD_LESS_EQUAL, b, a)
    if op == Py_EQ:
        return decided(t, OP_GUARD_EQUAL, a, b)
    return not decided(t, OP_GUARD_EQUAL, a, b)


# ---- the active scalar -----------------------------------------------------------------------------------------------------

_ufunc_hook = _function_hook = _compare_hook = _as_array_hook = _method_hook = _dtype = None
cdef PyTypeObject* array_type = NULL
cdef PyTypeObject* plain_array_type = NULL


def set_array_hooks(type type_of_arrays, type type_of_plain_arrays, dtype, call_ufunc, call_function, compare, as_array, method):
    """Sets the types of active and of plain arrays, NumPy's float64, and what NumPy's protocols on an active scalar call.

    call_ufunc(ufunc, method, inputs, kwargs), call_function(function, args, kwargs), compare(x, array, op of Python's),
    as_array(x), which has no dimensions, and method(x, name), one that np.float64 has and float has not.
    """
    global array_type, plain_array_type, _dtype, _ufunc_hook, _function_hook, _compare_hook, _as_array_hook, _method_hook
    _compare_hook, _as_array_hook, _method_hook = compare, as_array, method
    array_type, plain_array_type = <PyTypeObject*>type_of_arrays, <PyTypeObject*>type_of_plain_arrays
    _dtype, _ufunc_hook, _function_hook = dtype, call_ufunc, call_function


cdef object _errors():
    """The module that words the errors, loaded when there is one to word."""
    from fastad import errors
    return errors


cdef inline double value_in(Active x) except? -1.0:
    cdef CTape* t = tape_in_progress()
    return t.v[own_slot(t, x)]


cdef object whole_number(x):
    """A tracked integer or boolean as a plain int, any other active scalar as NotImplemented."""
    cdef CTape* t = tape_in_progress()
    if not isinstance(x, Active):
        return x
    if not KIND[t.opcode[own_slot(t, x)]]:
        return NotImplemented
    leaving(x, AS_IT_IS)
    return _plain(t, x)


@cython.final
@cython.c_api_binop_methods(True)
cdef class Active:
    """A float64 whose operations are recorded; made by fastad's transforms, never by hand.

    Everything a Python float does works and is recorded. What turns it into a plain number and would lose its
    derivative (`float(x)`, `math.sin(x)`, storing it in an ndarray) raises `fastad.TraceError`.
    """

    def __cinit__(self):
        # Those that fastad makes do not come this way.
        raise TypeError("active values are made by fastad.grad and the other transforms; pass them a plain float")

    def __add__(x, y):
        return binary(OP_ADD, x, y)

    def __sub__(x, y):
        return binary(OP_SUBTRACT, x, y)

    def __mul__(x, y):
        return binary(OP_MULTIPLY, x, y)

    def __truediv__(x, y):
        return binary(OP_DIVIDE, x, y)

    def __pow__(x, y, modulus):
        if modulus is not None:
            raise TypeError("pow() 3rd argument not allowed unless all arguments are integers")
        return binary(OP_POWER, x, y)

    def __floordiv__(x, y):
        return binary(OP_FLOOR_DIVIDE, x, y)

    def __mod__(x, y):
        return binary(OP_REMAINDER, x, y)

    def __divmod__(x, y):
        quotient = binary(OP_FLOOR_DIVIDE, x, y)
        return quotient if quotient is NotImplemented else (quotient, binary(OP_REMAINDER, x, y))

    def __neg__(self):
        return apply_unary(OP_NEGATIVE, self)

    def __pos__(self):
        return apply_unary(OP_POSITIVE, self)

    def __abs__(self):
        return apply_unary(OP_ABSOLUTE, self)

    # Decisions and whole numbers: the value leaves to Python.

    def __bool__(self):
        cdef CTape* t = tape_in_progress()
        if t.recording:
            return not decided(t, OP_GUARD_EQUAL, own_slot(t, self), constant(t, 0.0))
        return value_in(self) != 0.0

    def __richcmp__(self, y, int op):
        cdef CTape* t = tape_in_progress()
        cdef double p = t.v[own_slot(t, self)]
        cdef double q
        if t.recording:
            return compare_recorded(t, self, y, op)
        if PyFloat_CheckExact(y):
            q = PyFloat_AS_DOUBLE(y)
        elif type(y) is Active:
            q = t.v[own_slot(t, <Active>y)]
        else:
            return PyObject_RichCompare(p, y, op)
        if op == Py_LT:
            return p < q
        if op == Py_LE:
            return p <= q
        if op == Py_GT:
            return p > q
        if op == Py_GE:
            return p >= q
        if op == Py_EQ:
            return p == q
        return p != q

    def __int__(self):
        return int(leaving(self, TRUNCATED))

    def __index__(self):
        number = whole_number(self)
        if number is NotImplemented:
            raise TypeError("an active float cannot be interpreted as an integer; use int(x) or fastad.math.floor(x)")
        return int(number)

    def __round__(self, digits=None):
        return round(leaving(self, NEAREST if digits is None else AS_IT_IS), digits)

    def __floor__(self):
        return _math.floor(leaving(self, FLOORED))

    def __ceil__(self):
        return _math.ceil(leaving(self, CEILED))

    def __trunc__(self):
        return _math.trunc(leaving(self, TRUNCATED))

    def __and__(x, y):
        return _bitwise("__and__", x, y)

    def __or__(x, y):
        return _bitwise("__or__", x, y)

    def __xor__(x, y):
        return _bitwise("__xor__", x, y)

    def __lshift__(x, y):
        return _bitwise("__lshift__", x, y)

    def __rshift__(x, y):
        return _bitwise("__rshift__", x, y)

    def __invert__(self):
        number = whole_number(self)
        if number is NotImplemented:
            raise TypeError("bad operand type for unary ~: an active float")
        return not number if type(number) is bool else ~number

    # What would lose the derivative.

    def __float__(self):
        return without_derivative(self, "float", "float(x)")

    def __complex__(self):
        return complex(without_derivative(self, "complex", "complex(x)"))

    def __hash__(self):
        raise _errors().turned_into("hash", "hash(x)")

    def __array__(self, *args, **kwargs):
        import numpy
        number = whole_number(self)
        if number is NotImplemented:
            number = without_derivative(self, "array", "np.asarray(x)")
        return numpy.array(number, *args, **kwargs)

    def __reduce_ex__(self, protocol):
        raise _errors().turned_into("pickle", "pickling")

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        return _ufunc_hook(ufunc, method, inputs, kwargs)

    def __array_function__(self, function, types, args, kwargs):
        return _function_hook(function, args, kwargs)

    # The rest of float's attributes.

    @property
    def __class__(self):
        """float; int or bool where it is tracked as one. isinstance asks for it, `type` does not."""
        cdef CTape* t = tape_in_progress()
        if self.epoch != t.epoch:
            return float
        cdef int kind = KIND[t.opcode[self.slot]]
        return float if kind == 0 else int if kind == 1 else bool

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self

    @property
    def real(self):
        """The number itself."""
        own_slot(tape_in_progress(), self)
        return self

    @property
    def imag(self):
        """0.0"""
        return 0.0

    # What NumPy's np.ndim, np.shape and np.size look for.

    @property
    def ndim(self):
        """0"""
        return 0

    @property
    def shape(self):
        """()"""
        return ()

    @property
    def dtype(self):
        """NumPy's float64."""
        return _dtype

    @property
    def size(self):
        """1"""
        return 1

    def __getattr__(self, name):
        if _method_hook is None or name.startswith("_"):
            raise AttributeError(f"active numbers have no attribute {name!r}")
        return _method_hook(self, name)

    def __getitem__(self, key):
        try:
            return _as_array_hook(self)[key]
        except IndexError:
            # As of a float, so that code that tries an index goes the way of a number.
            raise TypeError("a number has no elements: x[()], x[...] and x[None] are the indices that it takes") from None

    def conjugate(self):
        """The number itself."""
        return self

    def is_integer(self):
        """Whether the value is a whole number."""
        return leaving(self, IS_WHOLE).is_integer()

    def as_integer_ratio(self):
        """The value as a pair of ints, if it has no derivative to lose; else TraceError."""
        return float(self).as_integer_ratio()

    def hex(self):
        """The value in hexadecimal, as float.hex."""
        return leaving(self, AS_IT_IS).hex()

    def __repr__(self):
        cdef CTape* t = tape_in_progress()
        if self.epoch != t.epoch:
            return "Active(of an ended trace)"
        return f"Active(slot {self.slot})" if t.recording else f"Active({_plain(t, self)!r})"

    def __str__(self):
        return str(printed(self))

    def __format__(self, spec):
        return format(printed(self), spec)


(<PyTypeObject*>Active).tp_dealloc = fastad_dealloc_active
# An index does not make it a sequence, which iter(x) would find to be empty.
(<PyTypeObject*>Active).tp_as_sequence.sq_item = NULL
(<PyTypeObject*>Active).tp_as_number.nb_add = quick_add
(<PyTypeObject*>Active).tp_as_number.nb_subtract = quick_subtract
(<PyTypeObject*>Active).tp_as_number.nb_multiply = quick_multiply
(<PyTypeObject*>Active).tp_as_number.nb_true_divide = quick_divide


cdef object _plain(CTape* t, Active x):
    """The value as a plain float, int or bool for printing."""
    cdef double v = t.v[own_slot(t, x)]
    cdef int kind = KIND[t.opcode[x.slot]]
    if kind == 0 or v - v != 0.0:
        return v
    return int(v) if kind == 1 else bool(v)


cdef object printed(Active x):
    """The number that a text is made of; on a tape for replay the text would be of one run only."""
    cdef CTape* t = tape_in_progress()
    if t.recording and x.epoch == t.epoch:
        raise _errors().turned_into("text", "str(x)")
    return _plain(t, x)


cdef object _bitwise(str name, x, y):
    x, y = whole_number(x), whole_number(y)
    if x is NotImplemented or y is NotImplemented:
        return NotImplemented
    return getattr(_operator, name)(x, y)


include "traces.pxi"
