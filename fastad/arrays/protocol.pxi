# The active array itself: Python's operators, NumPy's protocols, and what an ndarray has.

_call_ufunc = _call_function = _array_of = _methods = None
cdef dict opcodes = {}


def set_protocol(dict opcode_of_ufunc, call_ufunc, call_function, array_of, dict methods):
    """Sets what NumPy's protocols on an active array call, and its methods: functions of the array and the arguments.

    opcode_of_ufunc: ufuncs with an elementary row; call_ufunc(ufunc, method, inputs, kwargs); call_function(function, args, kwargs);
    array_of(nesting) makes an active array of a list that holds active values.
    """
    global opcodes, _call_ufunc, _call_function, _array_of, _methods
    opcodes, _call_ufunc, _call_function, _array_of, _methods = opcode_of_ufunc, call_ufunc, call_function, array_of, methods


cdef object as_operand(x):
    """An operand of an operator or an assignment as a number, a plain or an active array; TraceError for what can not be one."""
    if type(x) is ActiveArray or type(x) is Active or type(x) is ndarray or PyFloat_CheckExact(x) or PyLong_CheckExact(x):
        return x
    if isinstance(x, (list, tuple)):
        return _array_of(x)
    if isinstance(x, ndarray):
        refuse_subclass(x)
    return x


cdef bint may_leave(ActiveArray x) except -1:
    """Whether no derivative is lost if the values of x become plain ones."""
    return is_tracked(x) or is_stopped(x)


def refuse_subclass(x):
    """Raises the TraceError for an array of a subclass of ndarray."""
    place, code = user_line()
    raise TraceError(f"{code} at {place}: {type(x).__name__} and active arrays do not mix; use a plain array (np.asarray) "
                     "and np.where for masks")


cdef inline bint is_operand(x) except -1:
    return (type(x) is ActiveArray or PyFloat_CheckExact(x) or type(x) is ndarray or type(x) is Active
            or is_other_operand(x))


cdef bint is_other_operand(x) except -1:
    return (isinstance(x, (float, int, complex, ndarray, np.generic, list, tuple)))


cdef object operator(int op, object ufunc, x, y):
    """x op y; NotImplemented for what is neither a number nor an array."""
    if not is_operand(x) or not is_operand(y):
        return NotImplemented
    return elementwise(op, ufunc, as_operand(x), as_operand(y), 2)


cdef object quick_ufunc(ufunc, tuple inputs):
    """A ufunc with derivatives of two operands, one of which is an array, as the operator is computed; NotImplemented for all others."""
    cdef int op
    cdef object x, y
    if ufunc is _matmul:
        return _call_function(ufunc, inputs, {})
    found = opcodes.get(ufunc)
    if found is None or len(inputs) != 2 or current_tape().recording:
        return NotImplemented
    op, x, y = found, inputs[0], inputs[1]
    if partials[op][0].form == FORM_NONE and partials[op][1].form == FORM_NONE:
        return NotImplemented
    if type(x) is ActiveArray or type(y) is ActiveArray or is_simple(x) or is_simple(y):
        return operator(op, ufunc, x, y)
    return NotImplemented


def ufunc_of_scalar(ufunc, method, inputs, kwargs):
    """A ufunc, or one of its methods, with an active scalar among its operands; what its `__array_ufunc__` does."""
    if method == "__call__" and not kwargs:
        result = quick_ufunc(ufunc, inputs)
        if result is not NotImplemented:
            return result
    return _call_ufunc(ufunc, method, inputs, kwargs)


cdef object in_place(ActiveArray x, int op, object ufunc, y):
    result = operator(op, ufunc, x, y)
    if result is NotImplemented or x.scalar:
        return result
    assign_whole(x, result)
    return x


cdef dict _comparisons = {Py_LT: np.less, Py_LE: np.less_equal, Py_EQ: np.equal, Py_NE: np.not_equal, Py_GT: np.greater,
                          Py_GE: np.greater_equal}


cdef object power(x, y):
    """x ** y as ndarray computes it: the exponents 2, 1, 0.5 and -1 as the functions they are."""
    if type(x) is ActiveArray and (PyFloat_CheckExact(y) or PyLong_CheckExact(y)):
        if y == 2:
            return elementwise(OP_SQUARE, np.square, x, None, 1)
        if y == 1:
            return elementwise(OP_POSITIVE, np.positive, x, None, 1)
        if y == 0.5:
            return elementwise(OP_SQRT, np.sqrt, x, None, 1)
        if y == -1:
            return elementwise(OP_RECIPROCAL, np.reciprocal, x, None, 1)
    return operator(OP_POWER, _power, x, y)


@cython.final
@cython.no_gc
@cython.freelist(256)
cdef class ActiveArray:
    """A float64 or float32 array whose operations are recorded; made by fastad's transforms and by operations on active values.

    It has ndarray's operators, attributes and methods, and NumPy's functions take it. Views follow their base, and writes (`x[i] = y`,
    `x += y`) are recorded too. What would lose the derivative, as `np.asarray(x)`, raises `fastad.TraceError`.
    """

    def __cinit__(self, buffer):
        if buffer is not None:
            raise TypeError("active arrays are made by fastad.grad and the other transforms; pass them an ndarray")

    # Arithmetic.

    def __add__(self, y):
        return operator(OP_ADD, _add, self, y)

    def __radd__(self, x):
        return operator(OP_ADD, _add, x, self)

    def __iadd__(self, y):
        return in_place(self, OP_ADD, _add, y)

    def __sub__(self, y):
        return operator(OP_SUBTRACT, _subtract, self, y)

    def __rsub__(self, x):
        return operator(OP_SUBTRACT, _subtract, x, self)

    def __isub__(self, y):
        return in_place(self, OP_SUBTRACT, _subtract, y)

    def __mul__(self, y):
        return operator(OP_MULTIPLY, _multiply, self, y)

    def __rmul__(self, x):
        return operator(OP_MULTIPLY, _multiply, x, self)

    def __imul__(self, y):
        return in_place(self, OP_MULTIPLY, _multiply, y)

    def __truediv__(self, y):
        return operator(OP_DIVIDE, _divide, self, y)

    def __rtruediv__(self, x):
        return operator(OP_DIVIDE, _divide, x, self)

    def __itruediv__(self, y):
        return in_place(self, OP_DIVIDE, _divide, y)

    def __pow__(self, y, modulus):
        if modulus is not None:
            return NotImplemented
        return power(self, y)

    def __rpow__(self, x, modulus):
        return operator(OP_POWER, _power, x, self)

    def __ipow__(self, y):
        result = power(self, y)
        if result is NotImplemented or self.scalar:
            return result
        assign_whole(self, result)
        return self

    def __mod__(self, y):
        return operator(OP_REMAINDER, _remainder, self, y)

    def __rmod__(self, x):
        return operator(OP_REMAINDER, _remainder, x, self)

    def __imod__(self, y):
        return in_place(self, OP_REMAINDER, _remainder, y)

    def __floordiv__(self, y):
        return operator(OP_FLOOR_DIVIDE, _floor_divide, self, y)

    def __rfloordiv__(self, x):
        return operator(OP_FLOOR_DIVIDE, _floor_divide, x, self)

    def __ifloordiv__(self, y):
        return in_place(self, OP_FLOOR_DIVIDE, _floor_divide, y)

    def __divmod__(self, y):
        return self // y, self % y

    def __rdivmod__(self, x):
        return x // self, x % self

    def __and__(self, y):
        return bitwise(np.bitwise_and, self, y)

    def __rand__(self, x):
        return bitwise(np.bitwise_and, x, self)

    def __or__(self, y):
        return bitwise(np.bitwise_or, self, y)

    def __ror__(self, x):
        return bitwise(np.bitwise_or, x, self)

    def __xor__(self, y):
        return bitwise(np.bitwise_xor, self, y)

    def __rxor__(self, x):
        return bitwise(np.bitwise_xor, x, self)

    def __lshift__(self, y):
        return bitwise(np.left_shift, self, y)

    def __rlshift__(self, x):
        return bitwise(np.left_shift, x, self)

    def __rshift__(self, y):
        return bitwise(np.right_shift, self, y)

    def __rrshift__(self, x):
        return bitwise(np.right_shift, x, self)

    def __invert__(self):
        return _call_ufunc(np.invert, "__call__", (self,), {})

    def __matmul__(self, y):
        return _call_function(np.matmul, (self, as_operand(y)), {}) if is_operand(y) else NotImplemented

    def __rmatmul__(self, x):
        return _call_function(np.matmul, (as_operand(x), self), {}) if is_operand(x) else NotImplemented

    def __imatmul__(self, y):
        assign_whole(self, self @ y)
        return self

    def __neg__(self):
        return elementwise(OP_NEGATIVE, np.negative, self, None, 1)

    def __pos__(self):
        return elementwise(OP_POSITIVE, np.positive, self, None, 1)

    def __abs__(self):
        return elementwise(OP_ABSOLUTE, np.absolute, self, None, 1)

    # Decisions and whole numbers: the value leaves to Python.

    def __richcmp__(self, y, int op):
        return compared(self, y, op)

    def __bool__(self):
        cdef CTape* t = tape_in_progress()
        if t.recording and PyArray_SIZE(self.array) == 1:
            return bool(leave(self if self.layout[1].kind == "b" else compared(self, 0, Py_NE)))
        return bool(plain_value(t, self))

    def __int__(self):
        cdef CTape* t = tape_in_progress()
        if t.recording and PyArray_SIZE(self.array) == 1:
            return int(leave(self if is_tracked(self) else np.trunc(self)))
        return int(plain_value(t, self))

    def __index__(self):
        if is_tracked(self) and self.layout[1].kind != "b" and not self.layout[0]:
            return int(leave(self))
        raise TypeError("only integer scalar arrays can be converted to a scalar index")

    def __round__(self, digits=None):
        return _call_function(np.round, (self, digits or 0), {})

    # What would lose the derivative.

    def __float__(self):
        if may_leave(self) and PyArray_SIZE(self.array) == 1:
            return float(leave(self))
        raise turned_into("float", "float(x)")

    def __complex__(self):
        if may_leave(self) and PyArray_SIZE(self.array) == 1:
            return complex(leave(self))
        raise turned_into("complex", "complex(x)")

    def _as_number(self):
        """It as an active scalar, for fastad.math, if it has no dimensions."""
        if self.layout[0] or is_tracked(self):
            return self
        return self[()] if PyArray_TYPE(self.array) == NPY_DOUBLE else self.astype(float)[()]

    def __hash__(self):
        raise TypeError("unhashable type: 'ActiveArray'")

    def __array__(self, *args, **kwargs):
        if may_leave(self):
            return np.array(leave(self), *args, **kwargs)
        raise turned_into("array", "np.asarray(x)")

    def __reduce_ex__(self, protocol):
        raise turned_into("pickle", "pickling")

    # NumPy's protocols.

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        if method == "__call__" and not kwargs:
            op = opcodes.get(ufunc) if len(inputs) == 1 else None
            result = quick_ufunc(ufunc, inputs) if op is None else elementwise(op, ufunc, inputs[0], None, 1)
            if result is not NotImplemented:
                return result
        return _call_ufunc(ufunc, method, inputs, kwargs)

    def __array_function__(self, function, types, args, kwargs):
        if function is _sum and not kwargs and len(args) == 1 and type(args[0]) is ActiveArray:
            return total(args[0])
        return _call_function(function, args, kwargs)

    # Elements.

    def __len__(self):
        if not self.layout[0]:
            raise TypeError("len() of unsized object")
        return self.layout[0][0]

    def __iter__(self):
        for k in range(len(self)):
            yield get_item(self, k)

    def __contains__(self, value):
        return bool(np.any(compared(self, value, Py_EQ)))

    def __getitem__(self, key):
        return get_item(self, key)

    def __setitem__(self, key, value):
        set_item(self, key, value)

    def __copy__(self):
        return copied(tape_in_progress(), self)

    def __deepcopy__(self, memo):
        return copied(tape_in_progress(), self)

    # Attributes.

    @property
    def __class__(self):
        """numpy.ndarray, or the type of NumPy's number that it stands for. isinstance asks for it, `type` does not."""
        return self.layout[1].type if self.scalar else ndarray

    @property
    def shape(self):
        """Lengths of the dimensions."""
        return self.layout[0]

    @property
    def dtype(self):
        """float64 or float32."""
        return self.layout[1]

    @property
    def ndim(self):
        """Number of dimensions."""
        return len(self.layout[0])

    @property
    def size(self):
        """Number of elements."""
        return self.array.size

    @property
    def itemsize(self):
        """Bytes of one element."""
        return self.array.itemsize

    @property
    def nbytes(self):
        """Bytes of all elements."""
        return self.array.nbytes

    @property
    def strides(self):
        """Bytes from one element to the next along each dimension."""
        return (<object>self.array).strides

    @property
    def flags(self):
        """Memory layout, as of an ndarray."""
        return (<object>self.array).flags

    @property
    def T(self):
        """The array with its dimensions in reverse order."""
        return view_of(self, plain_value(tape_in_progress(), self).T)

    @property
    def mT(self):
        """The array with its last two dimensions exchanged."""
        return view_of(self, plain_value(tape_in_progress(), self).mT)

    @property
    def real(self):
        """The array itself."""
        return self

    @property
    def imag(self):
        """Zeros of the array's shape."""
        return np.zeros(self.layout[0], self.layout[1])

    @property
    def flat(self):
        """The elements in C order: an iterator over them, which is also read and written at an index."""
        return Flat(self)

    @flat.setter
    def flat(self, value):
        Flat(self)[:] = value

    @property
    def base(self):
        """None, as views do not tell their base."""
        return None

    def __getattr__(self, name):
        method = _methods.get(name)
        if method is None:
            raise AttributeError(f"active arrays have no attribute {name!r}")
        return Method(method, self)

    def __dir__(self):
        return sorted({*object.__dir__(self), *_methods})

    def __repr__(self):
        if self.epoch != current_tape().epoch:
            return "ActiveArray(of an ended trace)"
        if current_tape().recording:
            return f"ActiveArray(recorded, shape {self.layout[0]}, {self.layout[1]})"
        return f"Active{np.array_repr(values(self))}"

    def __str__(self):
        return str(printed(self))

    def __format__(self, spec):
        return format(printed(self), spec)


cdef object compared(ActiveArray x, y, int op):
    """x compared with y: plain decisions about elements, on a tape for replay recorded ones."""
    cdef CTape* t = tape_in_progress()
    if not is_operand(y):
        return NotImplemented
    y = as_operand(y)
    result = _comparisons[op](plain_value(t, x), plain_value(t, y))
    return tracked(t, _comparisons[op], (x, y), {}, result) if t.recording else result


def compare(x, y, int op):
    """The comparison (Py_LT and so on) of an active scalar with an array, on a tape for replay."""
    cdef CTape* t = tape_in_progress()
    return tracked(t, _comparisons[op], (x, y), {}, _comparisons[op](plain_value(t, x), plain_value(t, y)))


cdef object bitwise(ufunc, x, y):
    return _call_ufunc(ufunc, "__call__", (as_operand(x), as_operand(y)), {}) if is_operand(x) and is_operand(y) else NotImplemented


cdef object printed(ActiveArray x):
    """The values that a text is made of; on a tape for replay the text would be of one run only."""
    cdef CTape* t = tape_in_progress()
    if t.recording:
        raise turned_into("text", "str(x)")
    return plain_value(t, x)


@cython.final
cdef class Method:
    """A method of an active array, bound to it."""

    cdef object function
    cdef ActiveArray array

    def __cinit__(self, function, ActiveArray array):
        self.function, self.array = function, array

    def __call__(self, *args, **kwargs):
        return self.function(self.array, *args, **kwargs)


@cython.final
cdef class Flat:
    """What `x.flat` gives: an iterator over the elements of an active array in C order that is read and written at an index."""

    cdef ActiveArray array
    cdef object rest           # the iterator itself, None before the first element is asked for

    def __cinit__(self, ActiveArray array):
        self.array = array

    def __iter__(self):
        return self

    def __next__(self):
        if self.rest is None:
            self.rest = iter(self.array.ravel())
        return next(self.rest)

    def __len__(self):
        return self.array.size

    def __getitem__(self, key):
        return self.array.flatten()[key]

    def __setitem__(self, key, value):
        places = np.arange(self.array.size)[key]
        self.array[np.unravel_index(places, self.array.layout[0])] = np.resize(value, np.shape(places))

    def __array__(self, dtype=None, copy=None):
        raise turned_into("array", "np.asarray(x)")

    def copy(self):
        """The elements as an array of one dimension."""
        return self.array.flatten()


def apply_row(int op, ufunc, x, y=None):
    """The elementary row with this opcode of active and plain arrays and numbers; `ufunc` computes its values."""
    return elementwise(op, ufunc, as_operand(x), None if y is None else as_operand(y), 1 if y is None else 2)


def plain(x):
    """The plain array or number behind an active value; others as they are."""
    return plain_value(current_tape(), x)


def constant_array(array):
    """An active copy of a plain array, with derivative zero: active values can be written into it."""
    return writable_constant(tape_in_progress(), np.array(array, order="C"))


def convert(x, dtype):
    """An active array in another floating-point type."""
    return copied(tape_in_progress(), x, dtype)


def assign(ActiveArray x, result):
    """x[...] = result as an `out=` argument does it; `result` must be a temporary value. Returns x."""
    assign_whole(x, as_operand(result))
    return x


def view(ActiveArray x, change):
    """The view that `change` makes of the plain values of x."""
    return view_of(x, change(plain_value(tape_in_progress(), x)))
