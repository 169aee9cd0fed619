# Reading and writing elements. One element of a float64 array is a scalar on the tape and needs no record; slices are views.

cdef int32_t gather(CTape* t, ActiveArray x, Py_ssize_t k) except -1:
    """The slot of element k of the storage of x."""
    cdef double* data = <double*>PyArray_DATA(x.storage.buffer)
    if k > 2**31 - 1:
        raise MemoryError("single elements beyond 2**31 - 1 of an array can not be read; take a slice first")
    return append_structural(t, OP_GATHER, x.storage.number, <int32_t>k, data[k])


cdef int put_element(CTape* t, ActiveArray x, Py_ssize_t k, int32_t slot) except -1:
    """Writes a scalar into element k of the storage of x, which must be float64."""
    if k > 2**31 - 1:
        raise MemoryError("single elements beyond 2**31 - 1 of an array can not be written; assign to a slice")
    make_writable(t, x)
    append(t, OP_EXTRA, slot, 0, 0.0)
    append_structural(t, OP_PUT, x.storage.number, <int32_t>k, 0.0)
    (<double*>PyArray_DATA(x.storage.buffer))[k] = t.v[slot]
    return 0


def array_of_scalars(scalars):
    """A sequence of numbers, plain or active, as an active float64 array of one dimension; None if something in it is no number."""
    cdef CTape* t = tape_in_progress()
    cdef Py_ssize_t k
    cdef ndarray buffer
    cdef ActiveArray x
    cdef double* data
    cdef int32_t slot
    for scalar in scalars:
        if type(scalar) is not Active and not PyFloat_CheckExact(scalar) and not PyLong_CheckExact(scalar):
            return None
    buffer = np.zeros(len(scalars))
    data = <double*>PyArray_DATA(buffer)
    for k, scalar in enumerate(scalars):
        if type(scalar) is not Active:
            data[k] = scalar
    x = writable_constant(t, buffer)
    for k, scalar in enumerate(scalars):
        if type(scalar) is Active:
            slot = slot_in(t, scalar)
            append(t, OP_EXTRA, slot, 0, 0.0)
            append_structural(t, OP_PUT, x.storage.number, <int32_t>k, 0.0)
            data[k] = t.v[slot]
    return x


cdef inline Py_ssize_t place_of(ActiveArray x, key) except -2:
    """Position in the storage, in elements of 8 bytes, of the element of a float64 array at an int; -1 for all other keys."""
    cdef ndarray array = x.array
    cdef Py_ssize_t k
    if PyArray_NDIM(array) != 1 or PyArray_TYPE(array) != NPY_DOUBLE or not PyLong_CheckExact(key):
        return -1
    k = key
    if k < 0:
        k += PyArray_DIMS(array)[0]
    if not 0 <= k < PyArray_DIMS(array)[0]:
        raise IndexError(f"index {key} is out of bounds for axis 0 with size {PyArray_DIMS(array)[0]}")
    return (offset_of(x) + k * PyArray_STRIDES(array)[0]) >> 3


cdef bint is_index(key) except -1:
    """Whether a key, or an entry of one, is a basic one: it makes a view, or reads one element."""
    return key is None or key is Ellipsis or isinstance(key, slice) or (not isinstance(key, (bool, np.bool_, ndarray, list, tuple, ActiveArray))
                                                                        and hasattr(key, "__index__"))


cdef object plain_key(CTape* t, key):
    """An index with plain whole numbers and arrays, copied where the user could change them later."""
    if type(key) is tuple:
        return tuple([plain_key(t, entry) for entry in key])
    if type(key) is Active:
        return key.__index__()
    if is_tracked(key):
        # As an index, but for bool, an element counts as a whole number: recorded too, unless it makes a view.
        return key
    if type(key) is ActiveArray:
        raise IndexError("arrays used as indices must be of integer (or boolean) type")
    if isinstance(key, slice):
        if type(key.start) is Active or type(key.stop) is Active or type(key.step) is Active:
            return slice(*[plain_key(t, entry) for entry in (key.start, key.stop, key.step)])
        return key
    if isinstance(key, list):
        if any([type(entry) is ActiveArray for entry in key]):
            return plain_key(t, _array_of(key))
        return np.array([plain_key(t, entry) for entry in key], dtype=np.intp if not key else None)
    if isinstance(key, ndarray):
        return key if t.recording else np.array(key)
    return key


cdef bint is_basic(key) except -1:
    if type(key) is tuple:
        for entry in key:
            if not is_index(entry):
                return False
        return True
    return is_index(key)


cdef tuple view_key(key):
    """The basic index that makes a view, also of one element, of what a basic index means."""
    cdef tuple entries = key if type(key) is tuple else (key,)
    for entry in entries:
        if entry is Ellipsis:
            return entries
    return (*entries, Ellipsis)


cdef inline bint is_stopped(ActiveArray x) noexcept:
    """Whether x is what stop_gradient gave, or a view of that, and has not been written to."""
    return x.storage.stopped == x.storage.number + 1


cdef inline object number_at(CTape* t, ActiveArray x, Py_ssize_t k):
    """Element k of the storage of x, a scalar."""
    scalar = wrap(t, gather(t, x, k))
    return _stop_scalar(scalar) if is_stopped(x) else scalar


cdef object get_item(ActiveArray x, key):
    cdef CTape* t = tape_in_progress()
    cdef Selection instruction
    cdef Py_ssize_t k
    cdef ActiveArray result
    check_epoch(t, x)
    values(x)
    k = place_of(x, key)
    if k >= 0:
        return number_at(t, x, k)
    key = plain_key(t, key)
    if is_basic(key):
        part = x.array[key]
        if type(part) is ndarray:
            return view_of(x, part)
        # One element, for which NumPy gives a scalar: the view with the same key tells where it is.
        part = x.array[view_key(key)]
        if PyArray_TYPE(part) != NPY_DOUBLE:
            result = copied(t, view_of(x, part))
            result.scalar = True
            return result
        return number_at(t, x, (<char*>PyArray_DATA(part) - <char*>PyArray_DATA(x.looks_at)) >> 3)
    if t.recording:
        return selected(t, x, key)
    part = x.array[key]
    if type(part) is not ndarray:
        # One element at index arrays without dimensions.
        return get_item(x, tuple([int(entry) for entry in (key if type(key) is tuple else (key,)) if entry is not Ellipsis]))
    result = fresh(t, np.array(part, order="C"))
    instruction = Selection.__new__(Selection)
    instruction.x, instruction.key, instruction.out = operand_of(t, x, False), key, result.storage.number
    append_record(t, instruction, 0.0)
    return result


cdef object selected(CTape* t, ActiveArray x, key):
    """The elements at an index with arrays, which are recorded themselves: they may be others in a replay."""
    cdef Selection instruction = Selection.__new__(Selection)
    cdef ActiveArray result
    instruction.x, instruction.key = operand_of(t, x, False), noted_key(t, key)
    part = x.array[filled(instruction.key, value_now)]
    if isinstance(part, np.float64):
        return scalar_result(t, instruction, part)
    result = fresh_of_any_type(t, np.array(part, order="C"))
    result.scalar = type(part) is not ndarray
    instruction.out = result.storage.number
    append_record(t, instruction, 0.0)
    return lend(x, result) if is_whole_numbers(key) else result


cdef bint is_whole_numbers(key) except -1:
    """Whether an index would make a view if its recorded whole numbers were plain ones."""
    for entry in key if type(key) is tuple else (key,):
        if not is_index(entry) and not (is_tracked(entry) and entry.ndim == 0 and entry.dtype.kind != "b"):
            return False
    return True


cdef int set_item(ActiveArray x, key, value) except -1:
    cdef CTape* t = tape_in_progress()
    cdef Py_ssize_t k
    check_epoch(t, x)
    values(x)
    k = place_of(x, key)
    if k >= 0 and (type(value) is Active or PyFloat_CheckExact(value)):
        put_element(t, x, k, slot_in(t, value))
        return 0
    write(t, x, plain_key(t, key), value)
    return 0


cdef int write(CTape* t, ActiveArray x, key, value) except -1:
    """x[key] = value."""
    cdef Assign instruction
    cdef ActiveArray target
    cdef bint basic = is_basic(key)
    value = as_operand(value)
    if not basic and t.recording:
        if np.ndim(value) == 0 and is_mask(key):
            # Where the mask does not set a shape it need not guard one.
            key = np.reshape(key, key.shape + (1,) * (PyArray_NDIM(x.array) - key.ndim))
            return write(t, x, Ellipsis, np.where(key, value, x))
        key = noted_key(t, key)
    plain = plain_value(t, value)
    part = x.array[view_key(key) if basic else filled(key, value_now)]
    shape = np.shape(part)
    if np.iscomplexobj(plain):
        raise TypeError("complex values can not be written into a real array; use x.real or x.imag")
    source = operand_of(t, value, False)
    if type(value) is not ActiveArray and type(value) is not Active and not (t.recording and type(value) is ndarray):
        source.kind = CONSTANT
    elif type(value) is ActiveArray and (<ActiveArray>value).storage is x.storage:
        plain = np.array(plain)
    make_writable(t, x)
    if source.kind == ARRAY and (<ActiveArray>value).storage is x.storage:
        # The source's number changed with the target's if that was moved.
        source.number = x.storage.number
    instruction = Assign.__new__(Assign)
    if basic:
        part = x.array[view_key(key)]
        part[...] = plain
        target = view_of(x, part)
        instruction.target = operand_of(t, target, False)
    else:
        x.array[filled(key, value_now)] = plain
        instruction.target, instruction.key = operand_of(t, x, False), key
        if holds_operand(key):
            instruction.lost = lost_recorded(t, x, key, shape)
        else:
            instruction.lost = overwritten(x.array, key, shape) if source.kind != CONSTANT else None
    instruction.x, instruction.out = source, x.storage.number
    append_record(t, instruction, 0.0)
    return 0


cdef bint repeats(tuple shape, tuple key) except -1:
    """Whether an index meets an element twice; takes time in proportion to its own size, so that loops stay linear."""
    cdef list lengths = [], indices = []
    cdef Py_ssize_t axis = 0
    cdef Py_ssize_t used = 0
    for entry in key:
        if isinstance(entry, ndarray) and entry.dtype.kind == "b":
            used += entry.ndim
        elif entry is not None and entry is not Ellipsis and not isinstance(entry, (bool, np.bool_)):
            used += 1
    for entry in key:
        if entry is None or isinstance(entry, (bool, np.bool_)):
            continue
        if entry is Ellipsis:
            axis += len(shape) - used
        elif isinstance(entry, ndarray) and entry.dtype.kind == "b":
            indices.extend(entry.nonzero() if entry.ndim else ())
            lengths.extend(shape[axis:axis + entry.ndim])
            axis += entry.ndim
        else:
            if isinstance(entry, ndarray):
                indices.append(entry % shape[axis] if shape[axis] else entry)
                lengths.append(shape[axis])
            axis += 1
    if not indices:
        return False
    places = np.ravel_multi_index([index.astype(np.intp).ravel() for index in np.broadcast_arrays(*indices)], lengths)
    return np.unique(places).size < places.size


cdef object overwritten(ndarray array, key, shape):
    """The mask of elements of what is written at a key that are written over by later ones; None if there are none."""
    cdef object places
    if not repeats((<object>array).shape, key if type(key) is tuple else (key,)):
        return None
    places = np.zeros((<object>array).shape, np.intp)
    order = np.arange(int(np.prod(shape))).reshape(shape)
    places[key] = order
    lost = places[key] != order
    return lost if lost.any() else None


cdef bint is_mask(key) except -1:
    return (type(key) is ActiveArray or type(key) is ndarray) and key.dtype.kind == "b"


def lost_elements(shape, written, *key):
    """The mask, in the shape of what is written, of elements that later ones at the same place write over."""
    places, order = np.zeros(shape, np.intp), np.arange(math.prod(written)).reshape(written)
    places[key] = order
    return places[key] != order


cdef object lost_recorded(CTape* t, ActiveArray x, key, shape):
    """The recorded mask of elements that are overwritten, as an Operand; None where an index can not meet an element twice."""
    cdef tuple entries = key if type(key) is tuple else (key,)
    cdef Tracked instruction
    cdef ActiveArray mask
    if not any([type(entry) is Operand and (<Operand>entry).layout[1].kind != "b" and (<Operand>entry).layout[0]
                for entry in entries]):
        return None
    instruction = Tracked.__new__(Tracked)
    instruction.function, instruction.args, instruction.kwargs = lost_elements, [x.layout[0], shape, *entries], {}
    mask = tracked_storage(t, lost_elements(x.layout[0], shape, *[filled(entry, value_now) for entry in entries]))
    instruction.outs = <int>mask.storage.number
    append_record(t, instruction, 0.0)
    return operand_of(t, mask, True)


cdef int assign_whole(ActiveArray x, result) except -1:
    """x[...] = result for an operation in place; `result`, which nothing else refers to, gives its buffer to x if it fits."""
    cdef CTape* t = tape_in_progress()
    cdef ActiveArray y
    check_epoch(t, x)
    check_lent(x)
    values(x)
    if type(result) is ActiveArray:
        y = <ActiveArray>result
        if y.layout[0] != x.layout[0]:
            raise ValueError(f"non-broadcastable output operand with shape {shape_text(x.layout[0])} doesn't match the broadcast "
                             f"shape {shape_text(y.layout[0])}")
        if is_whole(x) and is_whole(y) and has_layout(y.array, x.layout) and has_layout(y.array, x.storage.layout):
            x.storage.buffer, x.storage.number, x.storage.saved = y.storage.buffer, y.storage.number, y.storage.saved
            values(x)
            return 0
    elif np.shape(result) != x.layout[0]:
        raise ValueError(f"non-broadcastable output operand with shape {shape_text(x.layout[0])} doesn't match the broadcast "
                         f"shape {shape_text(np.shape(result))}")
    return write(t, x, Ellipsis, result)


cdef str shape_text(shape):
    return "(" + ",".join([str(n) for n in shape]) + ("," if len(shape) == 1 else "") + ")"
