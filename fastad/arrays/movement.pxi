# Instructions that move elements without changing them: copies, writes into a part of a storage, reading by index arrays.

@cython.final
@cython.no_gc
cdef class Copy(Record):
    """A storage with the elements, and perhaps in the dtype, of an operand; of an input without operand."""

    cdef readonly Operand x

    cdef object compute(self, values):
        return values(self.x)

    def depends(self, Sweep sweep):
        cdef bint found = self.x is not None and sweep.wants(self.x)
        if found:
            (<RecordingSweep>sweep).mark(self.out)
        return found

    def reverse(self, Sweep sweep, int64_t i):
        w = sweep.take(self.out, i)
        if self.x is not None and w is not None:
            sweep.add(self.x, w, True)

    def tangent(self, Sweep sweep, int64_t i):
        if self.x is not None:
            sweep.put(self.out, i, sweep.get(self.x))


cdef ActiveArray copied(CTape* t, x, dtype=None):
    """An active copy, with a storage of its own, of an active or plain array."""
    cdef Copy instruction
    cdef ndarray array = np.array(plain_value(t, x), dtype=dtype, order="C")
    cdef ActiveArray result
    if type(x) is not ActiveArray:
        return writable_constant(t, array)
    instruction = Copy.__new__(Copy)
    result = fresh_of_any_type(t, array) if t.recording else fresh(t, array)
    instruction.x = operand_of(t, x, False)
    instruction.out = result.storage.number
    append_record(t, instruction, 0.0)
    return result


cdef int make_writable(CTape* t, ActiveArray x) except -1:
    """Moves the storage of x to a copy, under a new number, if anything holds its buffer."""
    cdef Storage storage = x.storage
    cdef Copy instruction
    cdef Operand source
    cdef int32_t number
    check_lent(x)
    if storage.saved:
        source = Operand.__new__(Operand)
        source.kind, source.number, source.layout, source.slot = ARRAY, storage.number, storage.layout, t.n
        instruction = Copy.__new__(Copy)
        number = new_number(t, storage.layout)
        instruction.x, instruction.out = source, number
        buffer = storage.buffer.copy()
        if t.places != NULL:
            note_buffer(t, number, buffer)
        append_record(t, instruction, 0.0)
        storage.buffer, storage.number, storage.saved = buffer, number, False
    values(x)
    return 0


@cython.final
cdef class Assign(Record):
    """Elements of a storage, all or those at a key, become those of an operand."""

    cdef readonly Operand target   # the part that is written; with a key, the part that the key indexes
    cdef readonly object key       # plain index arrays or masks, or Operands; None if the whole target is written
    cdef object lost           # mask of the elements of the source that others written later replaced, None if none
    cdef readonly Operand x
    cdef tuple shape           # of what is written

    def depends(self, Sweep sweep):
        if sweep.wants(self.x):
            (<RecordingSweep>sweep).mark(self.target.number)
        return sweep.wants(self.target)

    def reverse(self, Sweep sweep, int64_t i):
        if sweep.get(self.target) is None:
            return
        part = sweep.writable(self.target)
        key = ... if self.key is None else filled(self.key, sweep.value)
        # Index arrays select a copy; a view must be copied before it is set to zero.
        w = np.positive(part[key]) if self.key is None else part[key]
        part[key] = 0.0
        lost = filled(self.lost, sweep.value)
        sweep.add(self.x, w if lost is None else np.where(lost, 0.0, w), False)

    def tangent(self, Sweep sweep, int64_t i):
        t = sweep.get(self.x)
        if t is not None and self.x.kind == ARRAY and self.x.number == self.target.number:
            t = np.positive(t)
        if t is not None or sweep.get(self.target) is not None:
            key = ... if self.key is None else filled(self.key, sweep.value)
            sweep.writable(self.target)[key] = 0.0 if t is None else t

    cdef object compute(self, values):
        target, x = values(self.target), values(self.x)
        if self.x.kind == ARRAY and self.x.number == self.target.number:
            x = np.array(x)
        target[... if self.key is None else filled(self.key, values)] = x


@cython.final
@cython.no_gc
cdef class Total(Record):
    """The sum of all elements: what most functions end with, without the price of a call of the rule for np.sum."""

    cdef readonly Operand x

    cdef object compute(self, values):
        return np.sum(values(self.x))

    def depends(self, Sweep sweep):
        cdef bint found = sweep.wants(self.x)
        if found:
            (<RecordingSweep>sweep).mark(self.out)
        return found

    def reverse(self, Sweep sweep, int64_t i):
        w = sweep.take(self.out, i)
        if w is not None:
            sweep.add(self.x, w if type(sweep) is not NumericSweep else float(w), False)

    def tangent(self, Sweep sweep, int64_t i):
        t = sweep.get(self.x)
        sweep.put(self.out, i, None if t is None else np.sum(t))


cdef object total(ActiveArray x):
    """np.sum(x)"""
    cdef CTape* t = tape_in_progress()
    cdef Total instruction = Total.__new__(Total)
    check_epoch(t, x)
    if is_tracked(x):
        return tracked(t, _sum, (x,), {}, _sum(values(x)))
    instruction.x = operand_of(t, x, False)
    result = scalar_result(t, instruction, _add.reduce(values(x), None))
    return stop_gradient(result) if is_stopped(x) else result


@cython.final
cdef class Selection(Record):
    """The elements of an operand at a key of index arrays or masks: plain ones, or Operands."""

    cdef readonly Operand x
    cdef readonly object key

    cdef object compute(self, values):
        return values(self.x)[filled(self.key, values)]

    def depends(self, Sweep sweep):
        cdef bint found = sweep.wants(self.x)
        if found:
            (<RecordingSweep>sweep).mark(self.out)
        return found

    def reverse(self, Sweep sweep, int64_t i):
        w = sweep.take(self.out, i)
        if w is not None and sweep.wants(self.x):
            # In place: a loop that takes a few elements at a time from a long array stays linear.
            add_at(sweep.writable(self.x), filled(self.key, sweep.value), w)

    def tangent(self, Sweep sweep, int64_t i):
        t = sweep.get(self.x)
        sweep.put(self.out, i, None if t is None else t[filled(self.key, sweep.value)])


cdef int add_at(array, key, w) except -1:
    """array[key] += w, where an element may be met any number of times."""
    if type(array) is ActiveArray and current_tape().recording:
        return add_at_recorded(current_tape(), <ActiveArray>array, key, w)
    if type(key) is ndarray and (<ndarray>key).dtype.kind == "b":
        array[key] += w
    elif type(array) is ndarray:
        np.add.at(array, key, w)
    else:
        indices = np.arange(array.size).reshape(array.shape)[key]
        unique, places = np.unique(indices, return_inverse=True)
        if unique.size != indices.size:
            w = scatter_add(w, places.reshape(indices.shape), (unique.size,))
        else:
            unique = indices
        at = np.unravel_index(unique, array.shape)
        array[at] = array[at] + w
    return 0
