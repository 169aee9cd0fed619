# What only a tape for replay has: every value that can change from run to run is an instruction, whole numbers and decisions
# about elements included, and what leaves to Python is a guard.

@cython.final
cdef class Tracked(Record):
    """A function called with these arguments, Operands in place of arrays; its result has derivative zero."""

    cdef readonly object function
    cdef readonly object args
    cdef readonly dict kwargs
    cdef readonly object outs      # number of the storage of the result, -1 for a scalar slot, or a nesting (None: a constant)
    cdef readonly bint draws       # it gives other numbers each time

    cdef object compute(self, values):
        return self.function(*filled(self.args, values), **{name: filled(a, values) for name, a in self.kwargs.items()})

    def depends(self, Sweep sweep):
        return False

    def reverse(self, Sweep sweep, int64_t i):
        pass

    def tangent(self, Sweep sweep, int64_t i):
        pass


@cython.final
cdef class Guard(Record):
    """The elements of an operand left to Python: they were these."""

    cdef readonly Operand x
    cdef readonly ndarray expected

    cdef object compute(self, values):
        x = values(self.x)
        return x.tobytes() == self.expected.tobytes()

    def depends(self, Sweep sweep):
        return False

    def reverse(self, Sweep sweep, int64_t i):
        pass

    def tangent(self, Sweep sweep, int64_t i):
        pass


@cython.final
cdef class Constant(Record):
    """A storage with the elements of a plain array. One that outlives the recording is read anew in every replay."""

    cdef readonly ndarray value    # as it was when it was recorded
    cdef public object origin      # the user's array; None once it is known that nobody can change it

    cdef object compute(self, values):
        return self.value if self.origin is None else self.origin

    def depends(self, Sweep sweep):
        return False

    def reverse(self, Sweep sweep, int64_t i):
        pass

    def tangent(self, Sweep sweep, int64_t i):
        pass


@cython.final
cdef class AddAt(Record):
    """Elements of an operand are added to those of a storage, all or those at a key, where an element may be met several times."""

    cdef readonly Operand target
    cdef readonly object key
    cdef readonly Operand x

    cdef object compute(self, values):
        if self.key is None:
            target = values(self.target)
            np.add(target, values(self.x), out=target)
        else:
            np.add.at(values(self.target), filled(self.key, values), values(self.x))

    def depends(self, Sweep sweep):
        if sweep.wants(self.x):
            (<RecordingSweep>sweep).mark(self.target.number)
        return sweep.wants(self.target)

    def reverse(self, Sweep sweep, int64_t i):
        w = sweep.get(self.target)
        if w is not None:
            sweep.add(self.x, np.positive(w) if self.key is None else w[filled(self.key, sweep.value)], False)

    def tangent(self, Sweep sweep, int64_t i):
        t = sweep.get(self.x)
        if t is None:
            return
        part = sweep.writable(self.target)
        if self.key is None:
            part += t
        else:
            add_at(part, filled(self.key, sweep.value), t)


cdef inline bint is_floating(v) except -1:
    return isinstance(v, (ndarray, np.generic)) and (v.dtype == DOUBLE or v.dtype == SINGLE)


cdef inline bint is_tracked(x) except -1:
    """Whether x is an array of whole numbers or decisions, which has no derivative."""
    return type(x) is ActiveArray and (<ActiveArray>x).layout[1].kind in "iub"


cdef ActiveArray tracked_storage(CTape* t, value):
    """An active array for the result of an instruction without derivative: of any type of number."""
    cdef ndarray buffer = np.array(value, order="C")
    cdef ActiveArray x
    if (<object>buffer).dtype.kind not in "biufc":
        place, code = user_line()
        raise TraceError(f"{code} at {place} gives {(<object>buffer).dtype}, which can not be recorded for replay")
    x = fresh_of_any_type(t, buffer)
    x.scalar = not isinstance(value, ndarray)
    return x


cdef ActiveArray fresh_of_any_type(CTape* t, ndarray buffer):
    """As `fresh`, without regard to the dtype; never written in place."""
    cdef tuple layout
    if (<object>buffer).dtype == DOUBLE or (<object>buffer).dtype == SINGLE:
        return fresh(t, buffer)
    layout = layout_of(buffer)
    return active_on(t, buffer, layout, new_number(t, layout), True)


cdef object tracked(CTape* t, function, args, kwargs, result, bint draws=False):
    """The recorded value of a call whose result has derivative zero."""
    cdef Tracked instruction = Tracked.__new__(Tracked)
    instruction.function, instruction.draws = function, draws
    instruction.args = [noted(t, a, True) for a in args]
    instruction.kwargs = {name: noted(t, a, True) for name, a in kwargs.items()}
    if isinstance(result, float):
        instruction.out = -1
        instruction.outs = -1
        return wrap(t, append_record(t, instruction, result))
    active, instruction.outs = tracked_results(t, result)
    append_record(t, instruction, 0.0)
    return active


cdef tuple tracked_results(CTape* t, result):
    """(active values, numbers of their storages) of a nesting of results."""
    cdef ActiveArray x
    if isinstance(result, (list, tuple)):
        parts = [tracked_results(t, entry) for entry in result]
        return nested_as(result, [part[0] for part in parts]), [part[1] for part in parts]
    if not isinstance(result, (ndarray, np.generic, int, float)):
        return result, None
    x = tracked_storage(t, result)
    return x, <int>x.storage.number


def record_tracked(function, args, kwargs, result, draws=False):
    """The recorded value of a call with active arguments whose result (plain) has derivative zero: arrays of any type of number.

    `draws` if the function gives other numbers each time it is called.
    """
    return tracked(tape_in_progress(), function, args, kwargs, result, draws)


cdef object constant_storage(CTape* t, ndarray array):
    """An active array that stands for a plain one on a tape for replay; the array itself if it holds no numbers."""
    cdef Tape tape = tape_of(t)
    cdef Constant instruction
    cdef ActiveArray x
    cdef ndarray value
    found = tape.plain_arrays.get(<size_t><void*>array)
    if found is not None and same_bytes(found[0].value, array):
        return found[1]
    if (<object>array).dtype.kind not in "biufc" or type(array) is not ndarray:
        return array
    value = np.array(array, dtype=(<object>array).dtype.newbyteorder("="), order="C")
    x = fresh_of_any_type(t, value)
    x.storage.saved = True
    instruction = Constant.__new__(Constant)
    instruction.value, instruction.origin, instruction.out = x.storage.buffer, array, x.storage.number
    append_record(t, instruction, 0.0)
    tape.plain_arrays[<size_t><void*>array] = (instruction, x)
    return x


cdef bint same_bytes(ndarray value, ndarray array) except -1:
    """Whether an array still has the shape and the elements it was recorded with."""
    if (<object>value).shape != (<object>array).shape or (<object>value).dtype != (<object>array).dtype:
        return False
    if PyArray_IS_C_CONTIGUOUS(array) and PyArray_ISBEHAVED_RO(array):
        return memcmp(PyArray_DATA(value), PyArray_DATA(array), PyArray_NBYTES(value)) == 0
    return value.tobytes() == array.tobytes()


def settle_constants(Tape tape, Py_ssize_t first=0):
    """Keeps the user's arrays that someone else holds, and so may change, as arrays to be read anew; called when the recorded
    function has returned. Of the array instructions those before `first` belong to a path, which has settled them.
    """
    cdef Constant constant
    cdef dict own = {}           # by address: references that the tape has
    tape.plain_arrays = {}
    records = [record for record in tape.records if type(record) is Constant and (<Constant>record).origin is not None]
    for record in records:
        array = (<Constant>record).origin
        if <size_t><void*>array not in own and isinstance(array.base, ndarray):
            own[<size_t><void*>array.base] = own.get(<size_t><void*>array.base, 0) + 1
        own[<size_t><void*>array] = own.get(<size_t><void*>array, 0) + 1
        array = None
    settled = {id(record) for record in tape.records[:first]}
    for record in records:
        constant = <Constant>record
        if id(record) not in settled and not (is_held(constant, own) and same_bytes(constant.value, constant.origin)):
            constant.origin = None


cdef bint is_held(Constant constant, dict own) except -1:
    # What is held in a variable here is one reference more. Where Python is built free-threaded the counts hold too, as long as the
    # GIL is on: recording needs programs.code, which switches it on.
    array = constant.origin
    base = array.base
    if base is not None and not isinstance(base, ndarray):
        return True
    if reference_count(array) > own[<size_t><void*>array] + 1:
        return True
    return base is not None and reference_count(base) > own[<size_t><void*>base] + 1


def leave(x):
    """The plain values of an active value of which Python makes a decision: on a tape for replay with a guard."""
    cdef CTape* t
    cdef Guard instruction
    cdef ActiveArray active
    if type(x) is not ActiveArray:
        return _leave_scalar(x)
    t = tape_in_progress()
    active = <ActiveArray>x
    check_epoch(t, active)
    array = values(active)
    if t.recording:
        instruction = Guard.__new__(Guard)
        instruction.x, instruction.out = operand_of(t, x, False), -1
        array = instruction.expected = np.array(array, order="C")
        append_record(t, instruction, 0.0)
    return array


cdef int check_lent(ActiveArray x) except -1:
    """TraceError where NumPy would write through a view of which the tape has a copy."""
    cdef list lent = x.storage.lent
    if x.lent or (lent is not None and any([reference_count(y) > 2 for y in lent])):
        place, code = user_line()
        raise TraceError(f"{code} at {place} writes to an array, or to a view of it, of which fastad has made a copy (of x[i] with a recorded "
                         "index i, of np.broadcast_to, of windows); write x[i, j] = value with one index, or copy x before it is written")
    x.storage.lent = None
    return 0


cdef object lend(ActiveArray x, ActiveArray copy):
    """Notes that `copy` stands for a view of x."""
    copy.lent = True
    if x.storage.lent is None:
        x.storage.lent = []
    x.storage.lent.append(copy)
    return copy


cdef int add_at_recorded(CTape* t, ActiveArray array, key, w) except -1:
    """array[key] += w as one instruction."""
    cdef AddAt instruction = AddAt.__new__(AddAt)
    make_writable(t, array)
    w = as_operand(w)
    instruction.x = operand_of(t, w, False)
    instruction.key = noted_key(t, key)
    instruction.target, instruction.out = operand_of(t, array, False), array.storage.number
    np.add.at(values(array), filled(instruction.key, value_now), plain_value(t, w))
    append_record(t, instruction, 0.0)
    return 0


cdef int add_to_part(CTape* t, ActiveArray part, w) except -1:
    """part += w as one instruction, where w has the layout of `part` and another storage."""
    cdef AddAt instruction = AddAt.__new__(AddAt)
    make_writable(t, part)
    instruction.x = operand_of(t, w, False)
    instruction.target, instruction.out = operand_of(t, part, False), part.storage.number
    array = values(part)
    np.add(array, plain_value(t, w), out=array)
    append_record(t, instruction, 0.0)
    return 0


def value_now(operand):
    """The value of an operand of a key that was just noted."""
    return (<Operand>operand).value


cdef object noted_key(CTape* t, key):
    """An index with Operands in place of arrays."""
    if type(key) is tuple:
        return tuple([noted_key(t, entry) for entry in key])
    if type(key) is ActiveArray or type(key) is ndarray:
        return operand_of(t, key, True)
    return key


cdef bint holds_operand(key) except -1:
    if type(key) is tuple:
        for entry in key:
            if type(entry) is Operand:
                return True
        return False
    return type(key) is Operand
