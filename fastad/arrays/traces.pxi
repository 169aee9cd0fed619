# What the transforms ask of arrays: inputs, results as they leave, sweeps.

from fastad.core.scalar import Trace
from fastad.core.scalar import leave as _leave_scalar
from fastad.core.scalar import stop_gradient as _stop_scalar


cdef ActiveArray input_array(CTape* t, ndarray buffer):
    """A fresh independent, on a buffer that is the caller's; on a tape for replay of any type of number."""
    cdef Copy instruction = Copy.__new__(Copy)
    cdef ActiveArray x = fresh_of_any_type(t, buffer) if t.recording else fresh(t, buffer)
    x.storage.saved = True
    instruction.out = x.storage.number
    append_record(t, instruction, 0.0)
    return x


def independent(x, bint opened):
    """(active array, its Operand): a fresh input for a plain array, or in a nested trace for a copy of an active one."""
    cdef CTape* t = tape_in_progress()
    cdef Copy instruction
    cdef ActiveArray active, source
    if t.recording and not opened and type(x) is ndarray:
        # No input of the program: a replay must find the elements too.
        x = constant_storage(t, <ndarray>x)
    if type(x) is ActiveArray:
        source = <ActiveArray>x
        check_epoch(t, source)
        values(source)
        if is_whole(source):
            # The copy shares the buffer until one of the two is written.
            source.storage.saved = True
            instruction = Copy.__new__(Copy)
            instruction.x = operand_of(t, source, False)
            active = active_on(t, source.looks_at, source.layout, new_number(t, source.layout), True)
            instruction.out = active.storage.number
            append_record(t, instruction, 0.0)
        else:
            active = copied(t, source)
    else:
        active = input_array(t, <ndarray>x)
    operand = operand_of(t, active, False)
    (<Operand>operand).slot = t.n - 1
    return active, operand


cdef inline bint is_plain_array(x) noexcept:
    """Whether x is exactly an ndarray of float64 or float32 with dimensions."""
    return (type(x) is ndarray and PyArray_NDIM(<ndarray>x) > 0 and PyArray_ISBEHAVED_RO(<ndarray>x)
            and (PyArray_TYPE(<ndarray>x) == NPY_DOUBLE or PyArray_TYPE(<ndarray>x) == NPY_FLOAT))


def are_arrays(list leaves):
    """Whether all leaves are plain arrays of float64 or float32 with dimensions, the commonest inputs."""
    for x in leaves:
        if not is_plain_array(x):
            return False
    return len(leaves) > 0


def array_inputs(list leaves, bint copy):
    """(active arrays, operands) for leaves that `are_arrays`, in an opened trace; on copies of the buffers if asked for."""
    cdef list actives = []
    cdef list operands = []
    for x in leaves:
        active, operand = independent(x.copy() if copy else x, True)
        actives.append(active)
        operands.append(operand)
    return actives, operands


def result_operand(ActiveArray x):
    """How a sweep over the instructions so far refers to a result."""
    cdef CTape* t = tape_in_progress()
    return operand_of(t, x, False)


def leaving(x, bint snapshot):
    """A result as it leaves a trace: a plain array that nothing else refers to; with `snapshot` a copy in any case."""
    cdef ActiveArray active
    if type(x) is not ActiveArray:
        return x
    active = <ActiveArray>x
    check_epoch(tape_in_progress(), active)
    array = values(active)
    return array.copy() if snapshot or active.storage.saved or array is not active.looks_at else array


def snapshot(x):
    """An active array that later writes to x do not change."""
    return copied(tape_in_progress(), x) if type(x) is ActiveArray else x


def stop_gradient(x):
    """x with derivative zero."""
    cdef CTape* t
    cdef Storage storage
    if type(x) is not ActiveArray:
        return _stop_scalar(x)
    t = tape_in_progress()
    if is_tracked(x):
        return x
    stopped = elementwise(OP_STOP_GRADIENT, np.positive, x, None, 1) if t.recording else fresh(t, plain_value(t, x).copy())
    if type(stopped) is ActiveArray:       # without dimensions it is a scalar
        # A write copies what is saved, and gives it another number.
        storage = (<ActiveArray>stopped).storage
        storage.saved, storage.stopped = True, storage.number + 1
    return stopped


def slot_of(x):
    """Slot of a scalar handle, the number of the storage of an array's; -1 for a constant."""
    return (<Operand>x).number if type(x) is Operand else (<Active>x).slot if type(x) is Active else -1


cdef int64_t stop_of(list outputs) except -1:
    """One more than the last instruction that these results depend on."""
    cdef int64_t stop = 0
    for x in outputs:
        stop = max(stop, (<Operand>x).slot if type(x) is Operand else slot_number(x) + 1)
    return stop


cdef int64_t start_of(list inputs, int64_t stop) except -1:
    for x in inputs:
        stop = min(stop, (<Operand>x).slot if type(x) is Operand else slot_number(x))
    return stop


cdef int64_t last_input(list inputs) except -1:
    cdef int64_t last = -1
    for x in inputs:
        last = max(last, (<Operand>x).slot if type(x) is Operand else slot_number(x))
    return last


cdef inline int64_t slot_number(x) except -2:
    return (<Active>x).slot if type(x) is Active else -1


cdef int seed(NumericSweep sweep, list actives, list numbers) except -1:
    for x, number in zip(actives, numbers):
        if type(x) is Active:
            sweep.scalars[(<Active>x).slot] += <double>number
        elif type(x) is Operand and number is not None:
            sweep.add(x, number, False)
    return 0


cdef list collected(NumericSweep sweep, list actives):
    """Results of a sweep, arrays that only the sweep refers to besides; what lies beyond it is zero."""
    cdef list results = []
    cdef Operand operand
    for x in actives:
        if type(x) is Operand:
            operand = <Operand>x
            w = sweep.get(operand) if operand.number < len(sweep.arrays) else None
            if w is None:
                w = np.zeros(operand.layout[0], operand.layout[1])
            elif operand.strides is not None:
                w = np.array(w)
            results.append(w)
        else:
            results.append(sweep.scalars[(<Active>x).slot] if type(x) is Active and (<Active>x).slot < sweep.n else 0.0)
    return results


def tangent(Tape tape, list inputs, list tangents, list outputs):
    """As fastad.core.sweeps.tangent, where actives may be Operands and numbers arrays."""
    cdef int64_t first = last_input(inputs) + 1
    cdef NumericSweep sweep = NumericSweep(tape, max(stop_of(outputs), first))
    cdef Quiet quiet = Quiet()
    cdef Needed needed = None
    if len(tape.records) * SCALARS_EACH > sweep.n - first:
        needed = Needed(tape, sweep.n)
        needed.find(outputs, first)
    try:
        seed(sweep, inputs, tangents)
        sweep.tangent(first, quiet, needed)
    finally:
        quiet.leave()
    # Two results may be one array, or an input.
    return [np.array(w) if isinstance(w, ndarray) else w for w in collected(sweep, outputs)]


def reverse(Tape tape, list inputs, list outputs, list adjoints):
    """As fastad.core.sweeps.reverse, where actives may be Operands and numbers arrays."""
    cdef int64_t first = last_input(inputs) + 1
    cdef NumericSweep sweep = NumericSweep(tape, max(stop_of(outputs), first))
    cdef Quiet quiet = Quiet()
    try:
        seed(sweep, outputs, adjoints)
        sweep.reverse(first, quiet)
    finally:
        quiet.leave()
    return collected(sweep, inputs)


cdef RecordingSweep recording(Tape tape, list inputs, list outputs):
    cdef int64_t stop = stop_of(outputs)
    cdef ArrayRecorder recorder = ArrayRecorder(tape, start_of(inputs, stop), stop)
    recorder.sweep = RecordingSweep(tape, recorder)
    for x in inputs:
        if type(x) is Operand:
            recorder.sweep.mark((<Operand>x).number)
    recorder.mark(inputs)
    return recorder.sweep


cdef list recorded(RecordingSweep sweep, list actives):
    cdef list results = []
    for x in actives:
        if type(x) is Operand:
            w = sweep.get(x)
            results.append(np.zeros((<Operand>x).layout[0], (<Operand>x).layout[1]) if w is None else snapshot(w))
        else:
            results.append(sweep.recorder.scalar((<Active>x).slot) if type(x) is Active else 0.0)
    return results


cdef int seed_recorded(RecordingSweep sweep, list actives, list numbers) except -1:
    for x, number in zip(actives, numbers):
        if type(x) is Operand:
            if number is not None:
                sweep.add(x, snapshot(number), False)
        elif type(x) is Active:
            sweep.recorder.set_scalar((<Active>x).slot, number, True)
    return 0


def record_tangent(Tape tape, list inputs, list tangents, list outputs):
    """As fastad.core.sweeps.record_tangent, where actives may be Operands and numbers arrays."""
    cdef RecordingSweep sweep = recording(tape, inputs, outputs)
    cdef CTape* target = tape_in_progress()
    target.sweeping += 1
    try:
        with np.errstate(all="ignore"):
            seed_recorded(sweep, inputs, tangents)
            sweep.recorder.tangent_sweep()
        return recorded(sweep, outputs)
    finally:
        target.sweeping -= 1
        # The two refer to each other.
        sweep.recorder.sweep = None


def record_reverse(Tape tape, list inputs, list outputs, list adjoints):
    """As fastad.core.sweeps.record_reverse, where actives may be Operands and numbers arrays."""
    cdef RecordingSweep sweep = recording(tape, inputs, outputs)
    cdef CTape* target = tape_in_progress()
    target.sweeping += 1
    try:
        with np.errstate(all="ignore"):
            seed_recorded(sweep, outputs, adjoints)
            sweep.recorder.reverse_sweep()
        return recorded(sweep, inputs)
    finally:
        target.sweeping -= 1
        # The two refer to each other.
        sweep.recorder.sweep = None


# ---- what recording for replay asks -----------------------------------------------------------------------------------------

def as_number(ActiveArray x):
    """An array without dimensions as what stands for a number of NumPy's: `x += y` makes a new one."""
    x.scalar = True
    return x


def is_number(ActiveArray x):
    """Whether an array stands for a number of NumPy's."""
    return x.scalar


def plain_operand(ndarray array):
    """A plain array as an active one of the tape in progress, which is recorded for replay."""
    return constant_storage(tape_in_progress(), array)
