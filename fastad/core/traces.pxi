# Opening and closing a trace, and what the transforms ask of active scalars.

cdef class ThreadState:
    """What a thread keeps between traces; lives in the thread's dictionary and dies with the thread."""

    cdef Tape tape       # in progress, or None
    cdef Tape spare
    cdef int depth

    def __dealloc__(self):
        fastad_set_room(0)


cdef ThreadState thread_state():
    cdef dict slots = <dict>PyThreadState_GetDict()
    state = slots.get(ThreadState)
    if state is None:
        state = slots[ThreadState] = ThreadState()
        fastad_set_room(FREE_SCALARS)
    return state


_watch = None      # what is called with a trace that opens while `watching`


def is_watched():
    """Whether any thread is in a context of fastad.debug."""
    return watching != 0


def set_watch(int count, watch):
    """Sets how many contexts watch traces, and what is called with a trace that opens."""
    global watching, _watch
    _watch, watching = watch, count          # in this order: without the GIL another thread may open a trace in between


cdef class Trace:
    """One level of this thread's trace, as a context: the outermost opens the tape and closes it, which makes its values stale.

    `opened` says whether this level is the outermost. Both ends are compiled so that no signal handler can run inside them: an
    interrupt leaves no trace open.
    """

    cdef readonly Tape tape
    cdef readonly bint opened
    cdef public bint recording        # for replay, on a tape that outlives the trace
    cdef public Tape start            # a tape to go on with
    cdef public object watch          # what looks for NaN and infinity (fastad.debug), or None

    def __enter__(self):
        cdef ThreadState state = thread_state()
        self.opened = state.depth == 0
        if self.opened:
            state.tape = state.spare if state.spare is not None and not self.recording else Tape()
            if not self.recording:
                state.spare = None
            if self.start is not None:
                state.tape = self.start
                state.tape.resume(FASTAD_NEXT_EPOCH())
            else:
                state.tape.begin(FASTAD_NEXT_EPOCH())
            state.tape.c.recording = self.recording
            fastad_thread.tape = &state.tape.c
        state.depth += 1
        self.tape = state.tape
        if watching and self.opened:
            _watch(self)
        return self

    def __exit__(self, *_):
        cdef ThreadState state = thread_state()
        state.depth -= 1
        if state.depth:
            return
        state.tape = None
        fastad_thread.tape = fastad_idle
        self.tape.c.epoch = 0
        self.tape.watch = self.tape.buffers = None
        if self.tape.at_end is not None:
            at_end, self.tape.at_end = self.tape.at_end, None
            at_end()
        if self.recording:
            self.tape.c.recording = False
            return
        if not self.tape.retained and not self.tape.exports:
            self.tape.c.n = 0
            self.tape.forget_arrays()
            if self.tape.c.capacity > SPARE_CAPACITY:
                self.tape.release()
            state.spare = self.tape


def tracing():
    """Whether this thread has a trace in progress."""
    return tape_in_progress().epoch != 0


def is_plain(x, kinds):
    """Whether x is of one of these types, active values left out: those say that they are floats and arrays."""
    return issubclass(type(x), kinds)


def is_active(x):
    """Whether x is an active scalar; TraceError if it is one of another trace."""
    if type(x) is not Active:
        return False
    own_slot(tape_in_progress(), x)
    return True


cdef int32_t slot_in(CTape* t, object x) except -1:
    """The slot of a float or of an active scalar of this trace."""
    cdef int32_t slot = lift(t, x)
    if slot == NOT_A_NUMBER:
        raise TypeError(f"must be a real number, not {type(x).__name__}")
    return slot


def independents(list numbers, bint opened):
    """Fresh active scalars for numbers (floats or active scalars of this trace): inputs of an opened trace, copies in a nested one.

    An inner transform differentiates with respect to copies so that what the outer one does with the same variables
    stays out of it.
    """
    cdef CTape* t = tape_in_progress()
    cdef list actives = []
    cdef int32_t slot
    for x in numbers:
        if opened:
            slot = append(t, OP_INPUT, 0, 0, x)
        else:
            slot = slot_in(t, x)
            slot = append(t, OP_POSITIVE, slot, 0, t.v[slot])
        actives.append(new_active(t, slot))
    return actives


def plain(x):
    """The number an active scalar of this trace holds, as float (int or bool if it is tracked as such); others as they are."""
    return _plain(tape_in_progress(), x) if type(x) is Active else x


def exponent(x):
    """The exponent that math.frexp gives for x, as a plain int."""
    return _math.frexp(leaving(x, EXPONENT))[1] if type(x) is Active else _math.frexp(x)[1]


def leave(x):
    """The plain number an active scalar holds where a decision depends on all of it; others as they are."""
    if type(x) is not Active:
        return x
    leaving(x, AS_IT_IS)
    return _plain(tape_in_progress(), x)


def recording():
    """Whether this thread's trace is recorded for replay."""
    return tape_in_progress().recording != 0


class Suspended:
    """A context in which this thread has no trace; the one in progress goes on behind it."""

    def __enter__(self):
        cdef ThreadState state = thread_state()
        self.tape, self.depth = state.tape, state.depth
        state.tape, state.depth = None, 0
        fastad_thread.tape = fastad_idle
        return self

    def __exit__(self, *_):
        cdef ThreadState state = thread_state()
        state.tape, state.depth = self.tape, self.depth
        if state.tape is not None:
            fastad_thread.tape = &state.tape.c


def stop_gradient(x):
    """x with derivative zero."""
    return apply_unary(OP_STOP_GRADIENT, x) if type(x) is Active else x


def in_progress(Tape tape):
    """Whether this tape is the one this thread is recording."""
    return &tape.c == tape_in_progress()


def active_at(int32_t slot):
    """The active scalar of a slot of the tape in progress."""
    cdef CTape* t = tape_in_progress()
    if not 0 <= slot < t.n:
        raise IndexError(f"the tape has {t.n} instructions")
    return new_active(t, slot)


def slot_of(x):
    """The slot of an active scalar, -1 for anything else."""
    return (<Active>x).slot if type(x) is Active else -1


def first_not_float(list numbers):
    """Index of the first entry that is neither a float nor an active scalar of this trace, -1 if there is none."""
    cdef Py_ssize_t k
    for k in range(len(numbers)):
        if PyFloat_CheckExact(numbers[k]):
            continue
        if not isinstance(numbers[k], float) and not is_active(numbers[k]):
            return k
    return -1


def typed_as(list originals, list numbers):
    """The numbers, as np.float64 where the original is one."""
    cdef Py_ssize_t k
    cdef list typed = numbers
    for k in range(len(originals)):
        if not PyFloat_CheckExact(originals[k]) and isinstance(originals[k], float) and isinstance(numbers[k], float):
            if typed is numbers:
                typed = list(numbers)
            typed[k] = type(originals[k])(numbers[k])
    return typed


def is_whole(x):
    """Whether x is an int (of Python or NumPy), a bool, or a tracked whole number or decision."""
    return hasattr(x, "__index__") and whole_number(x) is not NotImplemented
