# Calls of NumPy's functions: one record for all of them, with the derivative rule of fastad.arrays.rules.

@cython.final
cdef class Call(Record):
    """A function of NumPy called with these arguments, Operands in place of arrays; its rule does the rest."""

    cdef readonly object rule
    cdef readonly object args  # as the user gave them, with an Operand for every active value and every plain array
    cdef readonly dict kwargs
    cdef list places           # of the rule's operands: positions among args or names; None for one that is not given
    cdef int several           # position from which on all of args are operands, or -1
    cdef list operands         # for each of the rule's operands what stands for it: an Operand, or a nesting of them
    cdef object results        # kept value, or nesting of them; None if the rule does not ask
    cdef readonly object outs  # number of the storage of the result, or nesting of them (None for parts without derivative)

    cdef object compute(self, values):
        args, kwargs = self.arguments(values)
        return self.rule.function(*args, **kwargs)

    def depends(self, Sweep sweep):
        cdef bint found = False
        for operand in self.operands:
            found = found or wants_any(sweep, operand)
        if found:
            mark_all(<RecordingSweep>sweep, self.outs)
        return found

    cdef object arguments(self, fill):
        return [filled(a, fill) for a in self.args], {name: filled(a, fill) for name, a in self.kwargs.items()}

    cdef object kept_results(self, Sweep sweep, int64_t i):
        return None if self.results is None else result_values(sweep, self.results, self.outs, i)

    def reverse(self, Sweep sweep, int64_t i):
        w = adjoints_of(sweep, self.outs, i)
        if w is None:
            return
        args, kwargs = self.arguments(sweep.value)
        w = with_zeros(sweep, w, self.outs)
        g = self.rule.vjp(w, self.kept_results(sweep, i), *args, **kwargs)
        del w
        if len(self.operands) == 1:
            add_all(sweep, self.operands[0], g)
            return
        for operand, of_operand in zip(self.operands, g):
            if wants_any(sweep, operand):
                g = of_operand()
                if type(operand) is Operand:
                    # Nothing but `g` refers to an array that the rule made.
                    sweep.add(operand, g, is_last(g))
                else:
                    add_all(sweep, operand, g)

    def tangent(self, Sweep sweep, int64_t i):
        if self.rule.linear == "jointly":
            set_tangents(sweep, self.outs, i, self.joint_tangent(sweep))
        elif self.rule.linear == "each":
            total = None
            for operand in flat_operands(self.operands):
                if sweep.get(operand) is not None:
                    t = self.tangent_by(sweep, operand)
                    total = added(total, t)
            t = None          # the sweep takes what nothing else refers to
            if type(self.outs) is int:
                sweep.put(self.outs, i, total)
            else:
                set_tangents(sweep, self.outs, i, total)
        elif not self.own_tangent(sweep, i):
            self.transposed_tangent(sweep, i)

    cdef bint own_tangent(self, Sweep sweep, int64_t i) except -1:
        """Sets the tangent by the rule's own way, if it has one that serves here."""
        if self.rule.tangent is None or not has_any(sweep, self.operands[0]) or has_any(sweep, self.operands[1:]):
            return False
        args, kwargs = self.arguments(sweep.value)
        t = self.rule.tangent(sweep.get(self.operands[0]), self.kept_results(sweep, i), *args, **kwargs)
        if t is None:
            return False
        sweep.put(self.outs, i, as_scalar(t) if self.outs < 0 and type(t) is ActiveArray else t)
        return True

    cdef object joint_tangent(self, Sweep sweep):
        """The function of the tangents of all operands."""
        if not has_any(sweep, self.operands):
            return None

        def change(value, place):
            varying = place in self.places or (self.several >= 0 and type(place) is int and place >= self.several)
            return tangent_or_zeros(sweep, value) if varying else filled(value, sweep.value)

        args = [change(a, place) for place, a in enumerate(self.args)]
        kwargs = {name: change(a, name) for name, a in self.kwargs.items()}
        return self.rule.function(*args, **kwargs)

    cdef object tangent_by(self, Sweep sweep, Operand chosen):
        """The function with the tangent of one operand in its place, the others at their values."""
        def fill(operand):
            return sweep.get(operand) if operand is chosen else sweep.value(operand)

        args, kwargs = self.arguments(fill)
        return self.rule.function(*args, **kwargs)

    cdef int transposed_tangent(self, Sweep sweep, int64_t i) except -1:
        """J t as the gradient by w of the sum over operands of <t, vjp(w)>, which is linear in w."""
        cdef list seeds = []
        cdef list parts = []
        cdef list tangents
        cdef bint numeric = type(sweep) is NumericSweep
        with Trace() as trace:
            args, kwargs = self.arguments(sweep.value)
            w = seeds_for(tape_in_progress(), sweep, self.outs, seeds)
            g = self.rule.vjp(w, self.kept_results(sweep, i), *args, **kwargs)
            single = len(self.operands) == 1
            for operand, of_operand in zip(self.operands, [g] if single else g):
                if has_any(sweep, operand):
                    add_parts(sweep, operand, of_operand if single else of_operand(), parts)
            tangents = [None] * len(seeds)
            if parts:
                outputs = [result_operand(g) if type(g) is ActiveArray else g for g, _ in parts]
                tangents = (reverse if numeric else record_reverse)(trace.tape, seeds, outputs, [t for _, t in parts])
        tangents.reverse()
        put_all(sweep, self.outs, i, tangents)
        return 0


# What walks over nestings of operands, storages and arrays: lists and tuples, arbitrarily deep (np.block).

cdef object filled(value, fill):
    if type(value) is Operand:
        return fill(value)
    if type(value) is list or type(value) is tuple:
        return type(value)([filled(entry, fill) for entry in value])
    return value


cdef list flat_operands(value):
    """The Operands in a nesting, in order."""
    if type(value) is Operand:
        return [value]
    if type(value) is list or type(value) is tuple:
        return [operand for entry in value for operand in flat_operands(entry)]
    return []


cdef object tangent_or_zeros(Sweep sweep, value):
    """A nesting of operands and constants with tangents in their places, zeros where there is none."""
    if type(value) is Operand:
        t = sweep.get(value)
        return zeros_for(value) if t is None else t
    if type(value) is list or type(value) is tuple:
        return type(value)([tangent_or_zeros(sweep, entry) for entry in value])
    return type(value)() if isinstance(value, (int, float, np.generic)) else value


cdef bint wants_any(Sweep sweep, operand) except -1:
    if type(operand) is Operand:
        return sweep.wants(operand)
    if type(operand) is list or type(operand) is tuple:
        for entry in operand:
            if wants_any(sweep, entry):
                return True
    return False


cdef bint has_any(Sweep sweep, operand) except -1:
    if type(operand) is Operand:
        return sweep.get(operand) is not None
    if type(operand) is list or type(operand) is tuple:
        for entry in operand:
            if has_any(sweep, entry):
                return True
    return False


cdef int add_all(Sweep sweep, operand, g) except -1:
    if type(operand) is Operand:
        if sweep.wants(operand):
            sweep.add(operand, g, False)
    elif type(operand) is list or type(operand) is tuple:
        if g is not None:
            for entry, part in zip(operand, g):
                add_all(sweep, entry, part)
    return 0


cdef int add_parts(Sweep sweep, operand, g, list parts) except -1:
    """Adds (adjoint, tangent) over a nesting, of those that depend on what is traced; their inner product where shapes or types differ."""
    if type(operand) is Operand:
        t = sweep.get(operand)
        if (type(t) is ndarray or type(t) is ActiveArray) and type(g) is ActiveArray and shape_of(t) == shape_of(g) and t.dtype == g.dtype:
            parts.append((g, t))
        elif t is not None and g is not None:
            g = np.sum(product(g, t))
            if is_traced(g):
                parts.append((as_scalar(g) if type(g) is ActiveArray else g, 1.0))
    elif type(operand) is list or type(operand) is tuple:
        for entry, part in zip(operand, g):
            add_parts(sweep, entry, part, parts)
    return 0


cdef int mark_all(RecordingSweep sweep, outs) except -1:
    if type(outs) is int:
        sweep.mark(outs)
    elif outs is not None:
        for entry in outs:
            mark_all(sweep, entry)
    return 0


cdef object adjoints_of(Sweep sweep, outs, int64_t i):
    """Adjoints in the nesting of the results; None if all are zero."""
    if outs is None:
        return None
    if type(outs) is int:
        return sweep.take(outs, i)
    parts = [adjoints_of(sweep, entry, i) for entry in outs]
    return parts if any([part is not None for part in parts]) else None


cdef object with_zeros(Sweep sweep, w, outs):
    """Adjoints with zeros for those of a nesting that are not there."""
    if outs is None or type(outs) is int and w is not None:
        return w
    if type(outs) is int:
        shape, dtype = sweep.layout(outs)
        return np.zeros(shape, dtype)
    return [with_zeros(sweep, part, entry) for part, entry in zip(w if w is not None else [None] * len(outs), outs)]


cdef object seeds_for(CTape* t, Sweep sweep, outs, list seeds):
    """Active ones in the nesting of the results; the operands that stand for them are appended to seeds.

    Rules are linear in them, but take zeros as not asked for.
    """
    if outs is None:
        return None
    if type(outs) is int:
        if outs < 0:
            layout = ((), DOUBLE)
        else:
            layout = sweep.layout(outs)
        x, operand = independent(np.ones(layout[0], layout[1]), not t.recording)
        seeds.append(operand)
        return x
    return [seeds_for(t, sweep, entry, seeds) for entry in outs]


cdef int put_all(Sweep sweep, outs, int64_t i, list tangents) except -1:
    """Sets the tangents of a nesting, the last one first."""
    if type(outs) is int:
        t = tangents.pop()
        sweep.put(outs, i, as_scalar(t) if outs < 0 and t is not None else t)
    elif outs is not None:
        for entry in outs:
            put_all(sweep, entry, i, tangents)
    return 0


cdef int set_tangents(Sweep sweep, outs, int64_t i, t) except -1:
    if type(outs) is int:
        sweep.put(outs, i, t)
    elif outs is not None:
        for k, entry in enumerate(outs):
            set_tangents(sweep, entry, i, None if t is None else t[k])
    return 0


cdef object result_values(Sweep sweep, results, outs, int64_t i):
    if outs is None or type(outs) is int:
        return results if outs is None else sweep.result(results, outs, i)
    return [result_values(sweep, value, entry, i) for value, entry in zip(results, outs)]


cdef object zeros_for(Operand operand):
    if operand.layout is None:
        return 0.0
    return np.zeros(operand.layout[0], operand.layout[1])


cdef bint is_traced(x) except -1:
    return type(x) is ActiveArray or type(x) is Active


# ---- recording a call --------------------------------------------------------------------------------------------------------

cdef dict _zeros = {}        # by dtype: one without dimensions


cdef object stand_in(ndarray array):
    """An array of this shape and dtype that takes no memory, for a rule that does not look at values."""
    cdef object dtype = array.dtype
    if not PyArray_IS_C_CONTIGUOUS(array):
        return array
    zero = _zeros.get(dtype)
    if zero is None:
        zero = _zeros[dtype] = np.zeros((), dtype)
    return broadcast_plain(zero, (<object>array).shape)


cdef object noted(CTape* t, value, bint by_value):
    """An argument as it is recorded: Operands in place of active values and plain arrays."""
    cdef Operand operand
    cdef ActiveArray active
    if type(value) is ActiveArray:
        active = <ActiveArray>value
        array = values(active)
        # What stands in for an array has no strides: it can be the whole of a storage only.
        # Whole numbers and decisions shape what a rule does.
        by_value = by_value or not PyArray_IS_C_CONTIGUOUS(array) or (t.recording and not is_whole(active)) or is_tracked(active)
        operand = operand_of(t, value, by_value)
        if not by_value:
            operand.value = stand_in(array)
        return operand
    if type(value) is Active or type(value) is ndarray:
        operand = operand_of(t, value, True)
        if t.recording and operand.kind == ARRAY and not by_value and operand.layout[1].kind == "f":
            operand.value, operand.buffer = stand_in(operand.value), None
        if operand.kind == SCALAR:
            # Rules ask for shape and dtype.
            operand.value = np.float64(operand.value)
        return operand
    if type(value) is list or type(value) is tuple:
        return type(value)([noted(t, entry, by_value) for entry in value])
    return value


cdef object plain_tree(CTape* t, value):
    """An argument with plain values in place of active ones."""
    if type(value) is list or type(value) is tuple:
        return type(value)([plain_tree(t, entry) for entry in value])
    return plain_value(t, value)


def plain_arguments(args, kwargs):
    """Arguments (a tuple and a dict) with plain arrays and numbers in place of active ones, also in lists and tuples."""
    cdef CTape* t = tape_in_progress()
    return [plain_tree(t, a) for a in args], {name: plain_tree(t, a) for name, a in kwargs.items()}


cdef int collect_arrays(value, list found) except -1:
    """Appends the active arrays of a nesting."""
    if type(value) is ActiveArray:
        found.append(value)
    elif type(value) is list or type(value) is tuple:
        for entry in value:
            collect_arrays(entry, found)
    return 0


cdef ActiveArray base_of(ndarray array, list sources):
    """The active array of which an array is a view, or which it is; None if there is none."""
    for x in sources:
        if is_view(array, <ActiveArray>x):
            return x
    return None


cdef int place_operands(Call instruction, operands) except -1:
    """Notes where the rule's operands stand among the arguments, as `record_call` is told."""
    instruction.places = [None if type(place) is tuple else place for place in operands]
    instruction.several = max([place[0] for place in operands if type(place) is tuple], default=-1)
    instruction.operands = [None if place is None else instruction.kwargs[place] if type(place) is str else
                            instruction.args[place] if type(place) is int else instruction.args[place[0]:]
                            for place in operands]
    return 0


def record_call(rule, args, dict kwargs, operands, result, bint keep_results):
    """The active value of a call with a rule, `result` being its plain value; views of arguments where that is one.

    operands: the positions or names of the rule's operands among the arguments (None for one that is not given).
    """
    cdef CTape* t = tape_in_progress()
    cdef Call instruction
    cdef ActiveArray base
    cdef list sources = []
    cdef bint by_value = rule.linear != "jointly"
    for value in (*args, *kwargs.values()):
        collect_arrays(value, sources)
    if type(result) is ndarray:
        base = base_of(<ndarray>result, sources)
        if base is not None and not (t.recording and is_placed_by_values(rule, args, kwargs, operands)):
            return view_of(base, <ndarray>result)
    instruction = Call.__new__(Call)
    instruction.rule = rule
    instruction.args = [noted(t, a, by_value) for a in args]
    instruction.kwargs = {name: noted(t, a, by_value) for name, a in kwargs.items()}
    place_operands(instruction, operands)
    keep_results = keep_results and by_value
    if type(result) is not ndarray and not isinstance(result, (list, tuple)):
        if type(result) is float:      # np.real and its kind of a Python float
            result = np.float64(result)
        if not isinstance(result, np.floating):
            return tracked(t, rule.function, tuple(args), kwargs, result) if t.recording else result
        active = scalar_result(t, instruction, result)
        instruction.outs = <int>instruction.out
        if keep_results:
            instruction.results = result
        return active
    views = are_views(result, sources)
    if views and not (t.recording and is_placed_by_values(rule, args, kwargs, operands)):
        return as_views(t, result, sources)
    instruction.out = -1
    active, instruction.outs, results = wrapped(t, result, keep_results)
    if keep_results:
        instruction.results = results
    append_record(t, instruction, 0.0)
    # A rule writes adjoints that are its own.
    if views or not t.sweeping:
        lend_all(active, result, sources)
    return with_scalars(t, active, result)


cdef inline bint is_plain_setting(value) except -1:
    """Whether an argument that is no operand has nothing active in it, and is no array of a subclass."""
    if type(value) is list or type(value) is tuple:
        return not holds_active(value)
    return not isinstance(value, (ndarray, ActiveArray, Active, list, tuple)) or type(value) is ndarray


def call_simply(rule, where, args, dict kwargs):
    """A call with a rule whose active values are all operands given by position, and none of these in a list, outside of recordings;
    NotImplemented for all others, which take longer to look at. `where` tells where the rule's operands stand.
    """
    cdef CTape* t = tape_in_progress()
    cdef list plain
    cdef tuple is_operand = where.is_operand
    cdef Py_ssize_t k, count = len(args)
    cdef bint found = False
    if t.recording or count > len(is_operand):
        return NotImplemented
    for k, value in enumerate(args):
        if type(value) is ActiveArray or type(value) is Active:
            if not is_operand[k]:
                return NotImplemented
            found = True
        elif type(value) is not ndarray and not PyFloat_CheckExact(value) and (
                not is_plain_setting(value) or (is_operand[k] and isinstance(value, (list, tuple)))):
            return NotImplemented
    if not found:
        return NotImplemented
    for name, value in kwargs.items():
        if name == "out" or name == "overwrite_input" or name in where.operands or not is_plain_setting(value):
            return NotImplemented
    plain = [plain_value(t, value) for value in args]
    result = rule.function(*plain, **kwargs)
    return record_call(rule, args, kwargs, where.places_by_position(count), result, where.keeps_result)


cdef bint is_placed_by_values(rule, args, dict kwargs, operands) except -1:
    """Whether values say how many elements a result has, or which: those of an argument that is no operand, or the operands' own, of a
    function that is not linear and either moves elements or is of unknown structure.
    """
    cdef Py_ssize_t k, several
    if not rule.linear and rule.structure in ("index map", "call"):
        return True
    several = min([place[0] for place in operands if type(place) is tuple], default=len(args))
    for k, value in enumerate(args[:several]):
        if k not in operands and holds_active(value):
            return True
    for name, value in kwargs.items():
        if name not in operands and holds_active(value):
            return True
    return False


def holds_active(value):
    """Whether value is active or a list or tuple that holds something active, at any depth."""
    if isinstance(value, (list, tuple)):
        for entry in value:
            if holds_active(entry):
                return True
        return False
    return is_traced(value)


cdef int lend_all(active, result, list sources) except -1:
    """Notes which copies in a nesting stand for views of the sources: of elements that are placed by values, or that overlap."""
    if isinstance(result, (list, tuple)):
        for copy, view in zip(active, result):
            lend_all(copy, view, sources)
    elif type(active) is ActiveArray and type(result) is ndarray:
        for x in sources:
            if looks_into(<ndarray>result, <ActiveArray>x):
                lend(x, active)
                break
    return 0


cdef ndarray keep_result(ActiveArray x):
    x.storage.saved = True
    return x.array


cdef bint looks_into(ndarray array, ActiveArray x) noexcept:
    """Whether an array looks at the storage of x."""
    cdef char* start = <char*>PyArray_DATA(x.looks_at)
    cdef char* at = <char*>PyArray_DATA(array)
    return start <= at < start + max(<Py_ssize_t>1, <Py_ssize_t>PyArray_NBYTES(x.looks_at)) and PyArray_SIZE(array) > 0 \
        and <object>PyArray_DESCR(array) == <object>PyArray_DESCR(x.looks_at)


cdef bint is_view(ndarray array, ActiveArray x) noexcept:
    """Whether an array looks at the storage of x, every element at one place of its own."""
    return looks_into(array, x) and not overlaps_itself(array)


cdef bint overlaps_itself(ndarray array) noexcept:
    """Whether elements may share memory, as those of windows: True unless every stride steps over all the smaller ones."""
    cdef Py_ssize_t reach = 0          # of the dimensions with smaller strides than the one at hand
    cdef Py_ssize_t step, smallest, n
    cdef Py_ssize_t previous = -1
    cdef int k, seen, left = PyArray_NDIM(array)
    while left:
        smallest, seen, n = -1, 0, 0
        for k in range(PyArray_NDIM(array)):
            step = abs(<Py_ssize_t>PyArray_STRIDES(array)[k]) if PyArray_DIMS(array)[k] > 1 else -1
            if step > previous and (smallest < 0 or step < smallest):
                smallest, n, seen = step, PyArray_DIMS(array)[k], 0
            if step == smallest and step >= 0:
                seen += 1
        if smallest < 0:
            return False
        if seen > 1 or smallest <= reach:
            return True
        reach += smallest * (n - 1)
        previous = smallest
        left -= 1
    return False


cdef extern from *:
    """
    #define FASTAD_OWNS(array) PyArray_CHKFLAGS((PyArrayObject *)(array), NPY_ARRAY_OWNDATA)
    """
    bint PyArray_OWNS "FASTAD_OWNS"(object array) noexcept


cdef bint are_views(result, list sources) except -1:
    """Whether all arrays of a nesting of results are views of arguments, or empty: then there is nothing to record."""
    if isinstance(result, (list, tuple)):
        for entry in result:
            if not are_views(entry, sources):
                return False
        return True
    return type(result) is ndarray and (result.dtype == DOUBLE or result.dtype == SINGLE or current_tape().recording) \
        and (PyArray_SIZE(<ndarray>result) == 0 or base_of(<ndarray>result, sources) is not None)


cdef object nested_as(result, list parts):
    """Parts in the list, tuple or namedtuple that a result is."""
    return parts if type(result) is list else type(result)(*parts) if hasattr(result, "_fields") else type(result)(parts)


cdef object as_views(CTape* t, result, list sources):
    """Active arrays for results that `are_views`."""
    if isinstance(result, (list, tuple)):
        return nested_as(result, [as_views(t, entry, sources) for entry in result])
    if PyArray_SIZE(<ndarray>result) == 0:
        return fresh(t, np.array(result))
    return view_of(base_of(<ndarray>result, sources), <ndarray>result)


cdef tuple wrapped(CTape* t, result, bint keep):
    """(active values, numbers of their storages, kept values) of a nesting of results."""
    cdef ActiveArray x
    if isinstance(result, (list, tuple)):
        parts = [wrapped(t, entry, keep) for entry in result]
        return nested_as(result, [part[0] for part in parts]), [part[1] for part in parts], [part[2] for part in parts]
    if not isinstance(result, (ndarray, np.floating)) or result.dtype.kind in "iub":
        if t.recording and isinstance(result, (ndarray, np.generic, int)):
            x = tracked_storage(t, result)
            return x, <int>x.storage.number, x.array
        return result, None, result
    check_dtype(result.dtype)
    array = np.asarray(result)
    x = fresh(t, array if PyArray_OWNS(array) and type(array) is ndarray
              else np.array(array))
    return x, <int>x.storage.number, keep_result(x) if keep else None


cdef object with_scalars(CTape* t, active, result):
    """Results with active scalars where NumPy gave float64 scalars."""
    if isinstance(active, (list, tuple)):
        return nested_as(result, [with_scalars(t, entry, plain) for entry, plain in zip(active, result)])
    if type(active) is ActiveArray and isinstance(result, np.float64):
        return wrap(t, gather(t, <ActiveArray>active, 0))
    return active
