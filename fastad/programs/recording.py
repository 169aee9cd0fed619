"""Recording a path: the function is run once on active values, and what it did becomes a Code."""

import datetime
import enum
import numbers
import threading
import types

import numpy as np

from .. import leaves as _leaves
from ..arrays import active
from ..arrays.active import ActiveArray
from ..core import scalar, sweeps
from ..core.scalar import Active
from ..pytrees import flatten, frozen
from ..transforms import _Trace
from .code import Code, Plain, Single, first_difference
from .draws import RecordedGenerator, watched

_running = threading.local()


def is_being_recorded(f):
    """Whether this thread is recording a function: then its calls of itself run it."""
    return any(other is f for other in getattr(_running, "functions", ()))


def record_path(f, arguments, captures, beside=None, places=True, fast=False):
    """The Code of the path that f takes for these arguments, sharing workspaces with `beside`. What f raises comes out.

    `places`: with the user's place of each instruction. That takes as long as an operation on numbers, and so it is left out where
    all inputs are numbers until somebody asks: `note_lines` finds them. `fast`: values may be a bit off where that is faster.
    """
    trace = _Trace()
    trace.recording = True
    before = getattr(_running, "functions", ())
    with watched(*captures), trace:
        if places:
            trace.tape.note_places()
        actives, inputs = independents(arguments.leaves)
        args, kwargs = arguments.rebuilt(actives, _standing_in)
        _running.functions = (*before, f)
        try:
            result = f(*args, **kwargs)
        finally:
            _running.functions = before
        leaves, structure = flatten(result)
        outputs = [handle_of(leaf) for leaf in leaves]
        active.settle_constants(trace.tape)
        code = Code(trace.tape, inputs, outputs, beside, fast=fast)
    code.structure = frozen(structure)
    return code


def note_lines(code, f, arguments, captures):
    """Notes the user's lines on a path that was recorded without them: f runs once more, at the numbers it was recorded with.

    `arguments` are those of any call of the signature. Lines are known as far as f does the same again.
    """
    recorded = code.tape.value
    try:
        again = record_path(f, arguments.with_leaves([float(recorded[slot]) for slot in code.inputs]), captures)
    except Exception:
        # It may have side effects, or have changed: a path without lines is still right.
        code.tape.note_places()
        return
    same = first_difference(code, again)
    code.tape.take_places(again.tape, code.n if same < 0 else same)


def independents(leaves):
    """(active values, handles) of inputs: floats and arrays of any type of number."""
    actives, handles = [], []
    for leaf in leaves:
        if isinstance(leaf, float):
            x = scalar.independents([float(leaf)], True)[0]
            handle = scalar.slot_of(x)
        else:
            plain = np.asarray(leaf)
            x, handle = active.independent(plain.astype(plain.dtype.newbyteorder("="), order="C"), True)
            if not isinstance(leaf, np.ndarray):
                x = active.as_number(x)
        actives.append(x)
        handles.append(handle)
    return actives, handles


def handle_of(leaf):
    """A leaf of a result as a Code refers to it."""
    if type(leaf) is Active:
        if not scalar.is_whole(leaf):
            return scalar.slot_of(leaf)
        # A whole number of math.floor and its kind is a plain int outside.
        return Plain(scalar.leave(leaf))
    if type(leaf) is ActiveArray:
        operand = active.result_operand(leaf)
        return Single(operand) if active.is_number(leaf) else operand
    if isinstance(leaf, np.ndarray) and type(leaf) is np.ndarray and leaf.dtype.kind in "biufc":
        return active.result_operand(active.plain_operand(leaf))
    return Plain(leaf)


_IMMUTABLE = (numbers.Number, str, bytes, bool, type(None), np.generic, np.dtype, type, enum.Enum, range, slice, frozenset,
              datetime.date, datetime.time, datetime.timedelta, types.ModuleType, types.BuiltinFunctionType)


def made_by_the_function(code, arguments, captured):
    """An object among the results of a path that was neither passed nor captured and can change; None if there is none."""
    for output in code.outputs:
        x = output.value if type(output) is Plain else None
        if not isinstance(x, _IMMUTABLE) and not any(x is kept for kept in arguments.kept) \
                and not any(known.holds(x) for known in captured):
            return x
    return None


def derive(code, kind, differentiated, values=None):
    """The Code that goes on behind a path with one of its derivatives; `differentiated` are the numbers of the inputs.

    It is recorded at the values that the path was recorded with, or those of another run, which `values_noted` gives.

    "reverse"   w^T J for adjoints of the results: these are inputs too
    "gradient"  the same for the adjoint 1 of a scalar result
    "tangent"   J t for tangents of the inputs
    "product"   the Hessian times tangents of the inputs
    "elements"  the gradient of a path of scalars as scalars: of each of `elements_read`
    The outputs are the derivative's; the instructions before `code.n` are those of the path.
    """
    trace = _Trace()
    trace.recording = True
    trace.start = code.tape.copy() if values is None else values
    with trace:
        tape = trace.tape
        if tape.watch is None:
            # All of it is written by one line of the user's, the one that asks for the derivative.
            tape.leave_places()
        inputs = [_handle(code.inputs[k]) for k in differentiated]
        outputs = [_handle(x.operand if type(x) is Single else x) for x in code.outputs if not isinstance(x, Plain)]
        seeds: list = []
        if kind == "reverse":
            actives, seeds = independents([_seed(x) for x in code.outputs if not isinstance(x, Plain)])
            results = sweeps.record_reverse(tape, inputs, outputs, actives)
        elif kind == "elements":
            reads = elements_read(code, differentiated).values()
            adjoints = iter(sweeps.record_reverse(tape, [scalar.active_at(slot) for slots in reads for slot in slots], outputs, [1.0]))
            results = [sum([next(adjoints) for _ in slots[1:]], start=next(adjoints)) for slots in reads]
        elif kind == "gradient":
            results = sweeps.record_reverse(tape, inputs, outputs, [1.0])
        else:
            if kind == "product":
                outputs = _leaves.handles_of(sweeps.record_reverse(tape, inputs, outputs, [1.0]))
            actives, seeds = independents([_seed(code.inputs[k]) for k in differentiated])
            results = _tangents(tape, inputs, actives, outputs)
        active.settle_constants(tape, len(code.tape.records))
        return Code(tape, code.inputs + seeds, [handle_of(x) for x in results], code, code.n,
                    kind not in ("gradient", "elements"), code.fast)


def elements_read(code, differentiated):
    """{(place among the differentiated inputs, element): slots that hold it} of a path of scalars, whose arrays nothing is put into."""
    from .reading import GATHER
    found: dict = {}
    arrays = {}
    for j, k in enumerate(differentiated):
        if isinstance(code.inputs[k], int):
            found[j, 0] = [code.inputs[k]]
        else:
            arrays[code.inputs[k].number] = j
    tape = code.tape
    for slot in np.flatnonzero(tape.opcode[:code.n] == GATHER).tolist():
        j = arrays.get(int(tape.a[slot]))
        if j is not None:
            found.setdefault((j, int(tape.b[slot])), []).append(slot)
    return found


def puts_elements(code):
    """Whether a path writes into an array."""
    from .reading import PUT
    return bool(np.any(code.tape.opcode[:code.n] == PUT))


def _tangents(tape, inputs, seeds, outputs):
    """Tangents of outputs, zeros of their shape for those that are constant."""
    moving = [x for x in outputs if isinstance(x, (Active, active.Operand))]
    tangents = iter(sweeps.record_tangent(tape, inputs, seeds, moving))
    return [next(tangents) if isinstance(x, (Active, active.Operand)) else np.zeros_like(x) if isinstance(x, np.ndarray) else 0.0
            for x in outputs]


def _handle(x):
    return scalar.active_at(x) if isinstance(x, int) else x


def _seed(x):
    """A seed for an input or a result, to be recorded with: a one, as rules may take zeros as not asked for."""
    if isinstance(x, int):
        return 1.0
    shape, dtype = (x.operand if type(x) is Single else x).layout
    return np.ones(shape, dtype if dtype in _leaves.FLOATS else float)


def _standing_in(leaf):
    """What an argument that is no input is while the function is recorded."""
    return RecordedGenerator(leaf) if type(leaf) is np.random.Generator else leaf
