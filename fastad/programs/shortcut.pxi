# The short way of a call whose arguments are like the last one's: nothing of Python between the arguments and the result.

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
    cdef readonly Code code        # the path
    cdef Code target               # the path with what comes behind it
    cdef list layouts              # for each argument float, or (shape, dtype) of an array
    cdef bint gradient
    cdef bint with_value
    cdef bint numeric              # the gradient is a numeric sweep over the path itself
    cdef Py_ssize_t chosen         # the argument differentiated by
    cdef Counts counts

    def __cinit__(self, paths, Code code, Code target, str kind, Py_ssize_t chosen):
        self.paths, self.code, self.target = paths, code, target
        self.gradient, self.with_value = kind != "value", kind == "value_and_grad"
        self.chosen, self.counts = chosen, paths.counts
        self.layouts = []
        self.numeric = target is code
        for x in code.inputs:
            self.layouts.append((<Operand>x).layout if type(x) is Operand else float)

    def __call__(self, tuple args):
        cdef Code target = self.target
        cdef Workspace ws
        cdef Leaf* leaf
        cdef Py_ssize_t k
        cdef Position at
        cdef object x, layout, other
        if len(args) != len(self.layouts) or current_tape().epoch != 0 or not self.counts.valid:
            return NotImplemented
        for k in range(len(args)):
            x, layout = args[k], self.layouts[k]
            if layout is float:
                if not PyFloat_CheckExact(x):
                    return NotImplemented
            elif not is_like(x, <tuple>layout):
                return NotImplemented
        if not same_captures(<list>self.paths.captures.entries) or (target.live and not target.live_arrays()):
            return NotImplemented
        ws = target.workspace()
        for k in range(len(args)):
            x = args[k]
            leaf = &target.leaves[k]
            if leaf.kind == SCALAR:
                ws.v[leaf.number] = PyFloat_AS_DOUBLE(x)
            else:
                memcpy(ws.data[leaf.number], PyArray_DATA(<ndarray>x), PyArray_NBYTES(<ndarray>x))
        if target.refreshed:
            ws.refresh()
        at = Position(0, 0, 0)
        while not ws.run(&at):
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
            at = target.position(ws.at)
        if not target.is_number or (self.gradient and target.value_slot < 0):
            target.release(ws)
            return NotImplemented
        self.counts.replays += 1
        self.counts.in_a_row = 0
        if not self.gradient:
            x = leaf_value(ws, target.outputs[0])
        elif self.numeric:
            x = self.swept(ws)
        else:
            x = leaf_value(ws, target.outputs[0])
        if self.with_value:
            x = (ws.v[target.place(target.value_slot)], x)
        target.release(ws)
        return x

    cdef object swept(self, Workspace ws):
        """The gradient by a numeric reverse sweep."""
        cdef Sweep sweep = Sweep(ws)
        cdef int64_t i = sweep.t.n
        cdef Leaf* leaf = &ws.code.leaves[self.chosen]
        sweep.w[ws.code.place(ws.code.value_slot)] = 1.0
        with nogil:
            while i > 0:
                i = reverse_sweep(&sweep.t, sweep.w, 0, i, sweep.data)
        return sweep.w[leaf.number] if leaf.kind == SCALAR else sweep.arrays[leaf.number]


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


cdef bint same_captures(list entries) except -1:
    """Whether what was captured is still the same objects; entries are (container, key, value)."""
    cdef tuple entry
    cdef PyObject* now
    for entry in entries:
        container = entry[0]
        if PyFunction_Check(container):
            now = PyFunction_GetDefaults(container) if entry[1] == "__defaults__" else \
                PyFunction_GetKwDefaults(container) if entry[1] == "__kwdefaults__" else PyFunction_GetCode(container)
            if now != <PyObject*>entry[2] and not (now == NULL and entry[2] is None):
                return False
            continue
        if type(container) is dict:
            key = entry[1]
            now = PyDict_GetItem(container, key if type(key) is not tuple else (<tuple>key)[1])
            if now != <PyObject*>entry[2]:
                return False
        elif type(entry[1]) is str:
            try:
                if getattr(container, entry[1]) is not entry[2]:
                    return False
            except (AttributeError, ValueError):
                return False
        else:
            try:
                if container[(<tuple>entry[1])[1]] is not entry[2]:
                    return False
            except (LookupError, TypeError):
                return False
    return True


cdef class Replayed:
    """The calls of a Program that have a short way; `replay_value` and `replay_gradient`, which a Program has, are the long one."""

    cdef public dict shortcuts       # by kind, or for derivatives by (kind, argument)
    cdef Shortcut value
    cdef object __weakref__

    def __cinit__(self, *args, **kwargs):
        self.shortcuts = {}

    def __call__(self, *args, **kwargs):
        if self.value is not None and not kwargs:
            result = self.value(args)
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
        if self.shortcuts and not kwargs and type(argnums) is int:
            shortcut = self.shortcuts.get((kind, argnums))
            if shortcut is not None:
                result = (<Shortcut>shortcut)(args)
                if result is not NotImplemented:
                    return result
        return self.replay_gradient(kind, argnums, args, kwargs)

    def remember(self, key, shortcut):
        """Sets the short way of calls of one kind; None for none, and no key for none at all."""
        if key is None:
            self.shortcuts, self.value = {}, None
            return
        if key == "value":
            self.value = shortcut
        self.shortcuts[key] = shortcut
