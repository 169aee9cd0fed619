# The short way of a call whose arguments are like the last one's: nothing of Python between the arguments and the result.

cdef enum:
    SIGNATURES = 16        # of which calls of one kind have a short way


@cython.final
cdef class Counts:
    """What happened to the paths of one signature."""

    cdef public int64_t replays
    cdef public int64_t misses         # calls whose path was not known, the first included
    cdef public int64_t recordings
    cdef public int64_t in_a_row       # misses since the last hit
    cdef public bint valid             # they are still in use


@cython.final
cdef class Shortcut:
    """A call of one kind ("value", "gradient") whose arguments are floats and arrays, replayed on the path taken last.

    Calling it gives NotImplemented wherever something is not as it was: the caller then goes the long way.
    """

    cdef readonly object paths
    cdef list captured             # names, attributes and items that the function read, and what they were
    cdef readonly Code code        # the path
    cdef Code target               # the path with what comes behind it
    cdef tuple layouts             # of each argument: float, (shape, dtype) of an array, or a Node
    cdef bint gradient
    cdef bint with_value
    cdef object chosen             # the argument differentiated by, or a tuple of them
    cdef list inputs               # and which inputs these are
    cdef Counts counts
    cdef Contents contents         # of the arrays that the function has captured, and the version the path is right for
    cdef int64_t version

    def __cinit__(self, paths, Code code, Code target, str kind, chosen, tuple inputs, tuple args):
        self.paths, self.code, self.target = paths, code, target
        self.gradient, self.with_value = kind != "value", kind == "value_and_grad"
        self.chosen, self.inputs, self.counts = chosen, list(inputs), paths.counts
        self.captured, self.contents = [Captured(*entry) for entry in paths.captures.entries], paths.captures.contents
        self.version = self.contents.version
        left = [(<Operand>x).layout if type(x) is Operand else float for x in code.inputs]
        self.layouts = tuple([layout_like(arg, left) for arg in args])

    def __call__(self, tuple args):
        cdef Code target = self.target
        cdef Workspace ws
        cdef Position at
        cdef object x, other
        cdef bint numeric              # the gradient is a numeric sweep over the path itself
        if len(args) != len(self.layouts) or current_tape().epoch != 0 or watching or not self.counts.valid:
            return NotImplemented
        ws = target.workspace()
        if not self.applies(ws, args):
            target.release(ws)
            return NotImplemented
        if target.given:
            ws.make_results(target)
        if target.refreshed:
            ws.refresh()
        at = Position(0, 0, 0)
        while not ws.run(&at, ws.code.c.n):
            other = target.others.get(ws.at)
            if other is None:
                other = self.paths.beside(target, ws.at, outcome_of(ws, ws.at))
                if other is None:
                    target.release(ws)
                    return NotImplemented
                if OP_GUARD_LESS <= target.tape.c.opcode[ws.at] <= OP_GUARD_EQUAL:
                    target.others[ws.at] = other
            target = <Code>other
            ws.enter(target, ws.at)
            at = position_of(target, ws.at)
        # The path of these inputs may have arrays where the last one had none, or the other way round.
        numeric = type(target.owner) is not tuple
        if not target.is_number or (self.gradient and (target.value_slot < 0 or (numeric and not target.scalars_only))):
            target.release(ws)
            return NotImplemented
        self.counts.replays += 1
        self.counts.in_a_row = 0
        if not self.gradient:
            x = ws.v[target.place(target.value_slot)] if target.value_slot >= 0 else leaf_value(ws, target.outputs[0])
        else:
            x = self.derivatives(self.swept(ws) if numeric else [leaf_value(ws, x) for x in target.outputs])
        if self.with_value:
            x = (ws.v[target.place(target.value_slot)], x)
        target.release(ws)
        return x

    cdef bint applies(self, Workspace ws, tuple args) except -1:
        """Whether arguments, which are put into the workspace, and what was captured are like the last time."""
        cdef Py_ssize_t k, leaves = 0
        for k in range(len(args)):
            if not put_leaves(self.layouts[k], args[k], self.target, ws, &leaves):
                return False
        for x in self.captured:
            if not (<Captured>x).is_same():
                return False
        if self.target.live and not self.target.live_arrays():
            return False
        return self.version == self.contents.version and self.contents.unchanged()

    cpdef bint is_current(self):
        """Whether its path is known to be right for captured arrays as they were last looked at."""
        return self.version == self.contents.version

    cdef list swept(self, Workspace ws):
        """The gradient by a numeric reverse sweep."""
        cdef Sweep sweep
        cdef int64_t i
        if ws.schedule is not None:
            return scheduled_reverse(ws, [ws.code.value_slot], [1.0], self.inputs)
        sweep = Sweep(ws)
        i = sweep.t.n
        sweep.w[ws.code.place(ws.code.value_slot)] = 1.0
        if ws.code.short:
            back_to_inputs(sweep, i)
        else:
            with nogil:
                back_to_inputs(sweep, i)
        return sweep.collect(ws.code, self.inputs)

    cdef object derivatives(self, list leaves):
        """Derivatives by the chosen arguments in their structure."""
        cdef Py_ssize_t start = 0
        if type(self.chosen) is not tuple:
            return built(self.layouts[self.chosen], leaves, 0)
        trees = []
        for k in <tuple>self.chosen:
            layout = self.layouts[k]
            trees.append(built(layout, leaves, start))
            start += leaf_count(layout)
        return tuple(trees)


cdef void back_to_inputs(Sweep sweep, int64_t i) noexcept nogil:
    """Adjoints, from instruction i down to the first."""
    while i > 0:
        i = reverse_sweep(&sweep.t, sweep.w, 0, i, sweep.data)


@cython.final
cdef class Node:
    """A plain list, tuple or dict among the arguments."""

    cdef object kind
    cdef list keys             # of a dict, sorted
    cdef list children         # float, (shape, dtype) or Node


cdef object layout_like(x, list left):
    """The layout of an argument whose inputs have the first of the layouts that are left."""
    cdef Node node
    if type(x) is float or type(x) is ndarray:
        return left.pop(0)
    node = Node()
    node.kind = type(x)
    node.keys = sorted(x) if node.kind is dict else None
    node.children = [layout_like(entry, left) for entry in (x if node.keys is None else [x[key] for key in node.keys])]
    return node


cdef bint put_leaves(layout, x, Code code, Workspace ws, Py_ssize_t* count) except -1:
    """Puts the leaves of an argument, from number `count` on, into the workspace; False where it has not this layout."""
    cdef Node node
    cdef Leaf* leaf
    cdef PyObject* entry
    cdef Py_ssize_t k
    if type(layout) is Node:
        node = <Node>layout
        if <object>type(x) is not node.kind or len(x) != len(node.children):
            return False
        for k in range(len(node.children)):
            if node.keys is None:
                if not put_leaves(node.children[k], x[k], code, ws, count):
                    return False
            else:
                entry = PyDict_GetItem(x, node.keys[k])
                if entry == NULL or not put_leaves(node.children[k], <object>entry, code, ws, count):
                    return False
        return True
    leaf = &code.leaves[count[0]]
    count[0] += 1
    if layout is float:
        if not PyFloat_CheckExact(x):
            return False
        ws.v[leaf.number] = PyFloat_AS_DOUBLE(x)
    elif not is_like(x, <tuple>layout):
        return False
    elif PyArray_NBYTES(<ndarray>x) >= LARGE and code.lends and ws.schedule is None:
        ws.lend(leaf.number, <ndarray>x)
    else:
        memcpy(ws.data[leaf.number], PyArray_DATA(<ndarray>x), PyArray_NBYTES(<ndarray>x))
    return True


cdef object built(layout, list leaves, Py_ssize_t start):
    """The nesting with a layout and the leaves from number `start` on."""
    return leaves[start] if type(layout) is not Node else built_from(<Node>layout, iter(leaves[start:]))


cdef object built_from(Node node, leaves):
    children = [built_from(<Node>child, leaves) if type(child) is Node else next(leaves) for child in node.children]
    return dict(zip(node.keys, children)) if node.keys is not None else children if node.kind is list else tuple(children)


cdef bint are_ints(argnums) except -1:
    """Whether argnums are an int or a tuple of ints; what else they may be has no short way."""
    if type(argnums) is not tuple:
        return type(argnums) is int
    for k in <tuple>argnums:
        if type(k) is not int:
            return False
    return True


cdef Py_ssize_t leaf_count(layout) except -1:
    return 1 if type(layout) is not Node else sum([leaf_count(child) for child in (<Node>layout).children])


cdef inline bint is_like(x, tuple layout) noexcept:
    """Whether x is an aligned, contiguous array of this shape and dtype."""
    cdef tuple shape = <tuple>layout[0]
    cdef int k
    if type(x) is not ndarray or PyArray_NDIM(<ndarray>x) != len(shape) or not PyArray_IS_C_CONTIGUOUS(<ndarray>x) \
            or not PyArray_ISBEHAVED_RO(<ndarray>x) or PyArray_TYPE(<ndarray>x) != (<cnp.dtype>layout[1]).num:
        return False
    for k in range(PyArray_NDIM(<ndarray>x)):
        if <Py_ssize_t>shape[k] != PyArray_DIMS(<ndarray>x)[k]:
            return False
    return True


cdef extern from "Python.h":
    bint PyFunction_Check(object f)
    PyObject* PyFunction_GetDefaults(object f)
    PyObject* PyFunction_GetKwDefaults(object f)
    PyObject* PyFunction_GetCode(object f)


cdef enum Whereabouts:
    IN_DICT = 0
    DEFAULTS = 1           # of a function
    KEYWORD_DEFAULTS = 2
    FUNCTION_CODE = 3
    ATTRIBUTE = 4
    ITEM = 5


_OF_FUNCTIONS = {"__defaults__": DEFAULTS, "__kwdefaults__": KEYWORD_DEFAULTS, "__code__": FUNCTION_CODE}


@cython.final
cdef class Captured:
    """A name, attribute or item that a function read, and what it was."""

    cdef Whereabouts place
    cdef object container
    cdef object key
    cdef object value

    def __cinit__(self, container, key, value):
        self.container, self.key, self.value = container, key if type(key) is not tuple else key[1], value
        self.place = IN_DICT if type(container) is dict else ITEM if type(key) is tuple else ATTRIBUTE
        if PyFunction_Check(container) and key in _OF_FUNCTIONS:
            self.place = _OF_FUNCTIONS[key]

    cdef bint is_same(self) except -1:
        """Whether it still is that object."""
        cdef PyObject* now
        if self.place == IN_DICT:
            return PyDict_GetItem(self.container, self.key) == <PyObject*>self.value
        if self.place == FUNCTION_CODE:
            return PyFunction_GetCode(self.container) == <PyObject*>self.value
        if self.place == DEFAULTS or self.place == KEYWORD_DEFAULTS:
            now = PyFunction_GetDefaults(self.container) if self.place == DEFAULTS else PyFunction_GetKwDefaults(self.container)
            return now == <PyObject*>self.value or (now == NULL and self.value is None)
        try:
            return (getattr(self.container, self.key) if self.place == ATTRIBUTE else self.container[self.key]) is self.value
        except (AttributeError, ValueError, LookupError, TypeError):
            return False


cdef class Replayed:
    """The calls of a Program that have a short way; `replay_value` and `replay_gradient`, which a Program has, are the long one."""

    cdef public dict shortcuts       # by kind, for derivatives (kind, argument): those of several signatures
    cdef list value
    cdef object __weakref__

    def __cinit__(self, *args, **kwargs):
        self.remember(None, None)

    def __call__(self, *args, **kwargs):
        if not kwargs:
            for shortcut in self.value:
                result = (<Shortcut>shortcut)(args)
                if result is not NotImplemented:
                    return result
        return self.replay_value(args, kwargs)

    def value_and_grad(self, *args, argnums=0, **kwargs):
        """(value, gradient) of a scalar program as by fastad.value_and_grad, replayed."""
        return self.gradient("value_and_grad", args, argnums, kwargs)

    def grad(self, *args, argnums=0, **kwargs):
        """The gradient of a scalar program as by fastad.grad, replayed."""
        return self.gradient("grad", args, argnums, kwargs)

    cdef object gradient(self, str kind, tuple args, argnums, dict kwargs):
        # Held here: where Python is built free-threaded a look-up may let go of the GIL, and another thread forget them all.
        cdef dict shortcuts = self.shortcuts
        if not kwargs and are_ints(argnums):
            for shortcut in shortcuts.get((kind, argnums), ()):
                result = (<Shortcut>shortcut)(args)
                if result is not NotImplemented:
                    return result
        return self.replay_gradient(kind, argnums, args, kwargs)

    def remember(self, key, shortcut):
        """Adds the short way of calls of one kind; no key: forgets all."""
        cdef dict shortcuts = self.shortcuts
        if key is None:
            self.shortcuts, self.value = {}, []
            return
        known = [other for other in shortcuts.get(key, ()) if (<Shortcut>other).counts.valid and (<Shortcut>other).is_current()]
        shortcuts[key] = known = [shortcut, *known[:SIGNATURES - 1]]
        if key == "value":
            self.value = known
