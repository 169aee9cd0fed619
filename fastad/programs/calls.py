"""Programs inside traces: a call of one is one instruction.

    value      a replay of the program, outside of the trace
    reverse    a replay of the program and of what is behind it: w^T J, nothing of which was kept
    tangent    likewise J t
    recorded   where a sweep is itself recorded, a call of another program, which computes w^T J or J t: so every order follows

Short programs, and those that a replay can not stand for, run their function in the trace as if they had not been recorded.
"""

import zlib

import numpy as np

from .. import leaves as _leaves
from .. import transforms
from ..arrays import active
from ..arrays.active import ActiveArray
from ..core import scalar
from ..core.scalar import Active
from ..errors import GuardError, TraceError
from ..pytrees import flatten, frozen, unflatten
from .code import Plain
from .derivatives import Chosen, adjoints_behind, tangents_behind
from .paths import RunEagerly
from .recording import is_being_recorded
from .signature import Arguments, skeleton

# Instructions, one of arrays counted as ARRAY_WEIGHT, below which a program runs its function in a trace. A call costs about as
# much as recording and sweeping that many.
SHORT = 5000
ARRAY_WEIGHT = 30


def is_long(code):
    """Whether a call of a path is worth an instruction."""
    return code.n + ARRAY_WEIGHT * len(code.tape.records) >= SHORT


class NoCall(Exception):
    """This call of a program can not be an instruction: the function itself must run."""


# ---- results -----------------------------------------------------------------------------------------------------------------------

class Form:
    """What of a result is the same for all calls on a path: the structure, and the whole numbers and decisions in it."""

    __slots__ = ("structure", "fixed", "key")

    def __init__(self, structure, fixed):
        self.structure, self.fixed = frozen(structure), fixed
        self.key = (skeleton(self.structure), tuple([x if x is MOVES else (type(x), x) for x in fixed]))

    def rebuilt(self, moving):
        """The result with these numbers and arrays in it."""
        moving = iter(moving)
        return unflatten(self.structure, [next(moving) if x is MOVES else x for x in self.fixed])


MOVES = type("Moves", (), {"__repr__": lambda self: "a number or an array"})()


def split(result):
    """(numbers and arrays, Form) of a result, plain or active. NoCall for one that holds anything else than numbers."""
    leaves, structure = flatten(result)
    return parted(leaves, structure)


def parted(leaves, structure):
    """The same for leaves and their structure."""
    moving, fixed = [], []
    for x in leaves:
        if type(x) is Active and scalar.is_whole(x):
            x = scalar.leave(x)
        if type(x) is int or type(x) is bool:
            fixed.append(x)
        elif moves(x):
            moving.append(x)
            fixed.append(MOVES)
        else:
            raise NoCall(f"a result that is a {type(x).__name__}")
    return moving, Form(structure, fixed)


def moves(x):
    """Whether a leaf of a result is a number or an array that an instruction gives."""
    return type(x) is Active or type(x) is ActiveArray or isinstance(x, (float, np.floating, np.integer, np.bool_)) or (
        type(x) is np.ndarray and x.dtype.kind in "biuf")


def has_derivative(x):
    """Whether a number or an array of a result has a derivative."""
    return type(x) is Active or isinstance(x, float) or (hasattr(x, "dtype") and x.dtype.kind == "f")


# ---- the function itself, on plain values -----------------------------------------------------------------------------------------

class Flat:
    """A function as one of the numbers and arrays in its arguments, whose result is the numbers and arrays of its own."""

    def __init__(self, f, arguments):
        self.f, self.arguments = f, arguments

    def __call__(self, leaves):
        args, kwargs = self.arguments.rebuilt(leaves, lambda leaf: leaf)
        return split(self.f(*args, **kwargs))

    def smooth(self, leaves, chosen, check=None):
        """The function of the chosen numbers and arrays that gives those of its results which have a derivative."""
        def f(*xs):
            everything = list(leaves)
            for k, x in zip(chosen, xs):
                everything[k] = x
            results = self(everything)[0]
            if check is not None:
                check([_plain(x) for x in results])
            return [x for x in results if has_derivative(x)]
        return f

    def values(self, leaves):
        """(results, Form), plain, computed on active values as in a trace."""
        with transforms._Trace() as trace:
            actives = [_leaves.independents([x], trace.opened, False)[0][0] if _leaves.can_be_input(x) else x for x in leaves]
            moving, form = self(actives)
            return [_leaves.leaving(x, True) if _leaves.is_active(x) else x for x in moving], form

    def reverse(self, leaves, w, chosen, check=None):
        """w^T J by the chosen ones; w is None for a result without derivative. `check` is called with all results."""
        value, vjp_fun = transforms.vjp(self.smooth(leaves, chosen, check), *[leaves[k] for k in chosen])
        return vjp_fun([x for x in w if x is not None])

    def tangent(self, leaves, t, chosen, check=None):
        """J t of the results with a derivative."""
        return transforms.jvp(self.smooth(leaves, chosen, check), [leaves[k] for k in chosen], list(t))[1]


def kinds_of(leaves):
    """What each of the inputs is as a number: float, np.float64, np.float32; None for an array."""
    return [None if isinstance(x, np.ndarray) else type(x) for x in leaves]


# ---- replays -----------------------------------------------------------------------------------------------------------------------

def started(program, arguments):
    """(Code, Replay at its end) of a value; NoCall where the function runs eagerly or draws random numbers."""
    try:
        paths = program._find(arguments)
        if paths.last is None and paths.reason is None:
            paths.record(arguments, None)
        if any([code.draws for code in paths.codes]):
            raise NoCall
        return paths.run("value", (), arguments)
    except RunEagerly:
        raise NoCall from None


def _results(program, arguments):
    """(leaves of the result, Code) of a replay; None where the function runs eagerly."""
    try:
        code, replay = program._find(arguments).run("value", (), arguments)
    except RunEagerly:
        return None
    results = replay.result(code.outputs)
    replay.finish()
    return results, code


def _adjoints(program, arguments, inputs, w, check):
    """w^T J by inputs (their numbers), for adjoints of the results that move; None where the function runs eagerly."""
    chosen = Chosen.inputs_of(arguments, inputs)
    try:
        code, replay = program._find(arguments).run("reverse", chosen.inputs, arguments)
        check([x for x in replay.result(code.outputs) if moves(x)])
        seeds = iter(w)
        adjoints = adjoints_behind(code, replay, chosen, [next(seeds) if _gives(x) else 0.0 for x in code.outputs])
    except RunEagerly:
        return None
    replay.finish()
    return adjoints


def _tangents(program, arguments, inputs, t, check):
    """J t of the results that move, for tangents of inputs; None where the function runs eagerly."""
    chosen = Chosen.inputs_of(arguments, inputs)
    try:
        code, replay = program._find(arguments).run("tangent", chosen.inputs, arguments, True)
        check([x for x in replay.result(code.outputs) if moves(x)])
        tangents = tangents_behind(code, replay, chosen, t)
    except RunEagerly:
        return None
    replay.finish()
    return [part for x, part in zip(code.outputs, tangents) if _gives(x)]


def _gives(x):
    """Whether a leaf of a result is one of the numbers and arrays that a call instruction gives."""
    return not isinstance(x, Plain) or moves(x.value)


# ---- bodies ------------------------------------------------------------------------------------------------------------------------

class Body:
    """A program at arguments of one signature, as a call instruction of arrays.active asks for it."""

    def __init__(self, program, arguments):
        self.program, self.arguments = program, arguments
        self.kinds = kinds_of(arguments.leaves)
        self.found = None              # a checksum of the results, where they are kept by no program
        self.__name__ = program._name

    @property
    def identity(self):
        """What is the same for two bodies that give the same."""
        return self.program, self.arguments.key

    def at(self, leaves):
        """The arguments with other numbers and arrays."""
        return self.arguments.with_leaves([x if kind is None else kind(x) for kind, x in zip(self.kinds, leaves)])

    def derivative(self, kind, chosen):
        """A function of (inputs, seeds) that gives w^T J ("reverse") or J t ("tangent") inside a trace, as one instruction."""
        return self.program._derivative(kind, self, chosen)

    def flat(self):
        """The function itself."""
        return Flat(self.program._source(), self.arguments)

    def values(self, leaves):
        """(results, Form), plain."""
        with scalar.Suspended():
            arguments = self.at(leaves)
            found = _results(self.program, arguments)
            if found is None:
                return self.flat().values(arguments.leaves)
            results, code = found
            if code.draws:
                raise NoCall("random numbers, which another replay would draw anew")
            return parted(results, code.structure)

    def replayed(self, leaves):
        """The results and the number of their form; nothing where the function fails or its result is of another kind."""
        try:
            moving, form = self.values(leaves)
        except (MemoryError, RecursionError, GuardError):
            raise
        except Exception:
            # What called this program runs anew, and meets that again.
            return []
        return [*moving, self.program._number_of(form)]

    def reverse(self, leaves, w, chosen, recording):
        if recording:
            return self.derivative("reverse", chosen)(leaves, [x for x in w if x is not None])
        with scalar.Suspended():
            arguments = self.at(leaves)
            adjoints = _adjoints(self.program, arguments, chosen, w, self.check)
            return self.flat().reverse(arguments.leaves, w, chosen, self.check) if adjoints is None else adjoints

    def tangent(self, leaves, t, chosen, recording):
        if recording:
            tangents = iter(self.derivative("tangent", chosen)(leaves, list(t)))
            return [next(tangents) if smooth else None for smooth in self.smooth]
        with scalar.Suspended():
            arguments = self.at(leaves)
            tangents = _tangents(self.program, arguments, chosen, t, self.check)
            if tangents is not None:
                return tangents
            tangents = iter(self.flat().tangent(arguments.leaves, t, chosen, self.check))
            return [next(tangents) if smooth else None for smooth in self.smooth]

    def note(self, results, lasting):
        """Remembers which results have a derivative and, unless the instruction is `lasting`, what the results were."""
        self.smooth = [has_derivative(x) for x in results]
        self.found = None if lasting else checksum(results)

    def check(self, results):
        """TraceError if these are not the results that were found before."""
        if self.found is not None and checksum(results) != self.found:
            raise TraceError(f"{self.__name__} gave other results when it was run again for its derivative: something that it has "
                             "captured was changed in between, or it does not repeat itself")


def checksum(results):
    """A number that tells results apart."""
    found = 0
    for x in results:
        found = zlib.crc32(np.ascontiguousarray(x).data, found) if np.size(x) else found
    return found


class Stored(Body):
    """The first derivative of a program without source, w^T J or J t, as an instruction: for that there is what is stored."""

    def __init__(self, kind, body, chosen, smooth):
        self.kind, self.body, self.chosen, self.smooth_before = kind, body, chosen, smooth
        self.count = len(body.kinds)
        self.__name__ = body.__name__

    @property
    def identity(self):
        return self.kind, self.body.identity, tuple(self.chosen)

    def __call__(self, leaves, seeds):
        arguments = [*leaves, *seeds]
        results = self.replayed([_plain(x) for x in arguments])
        results = [float(x) if kind is float else x for kind, x in zip(self.result_kinds(), results)]
        return active.record_program(self, arguments, results)

    def result_kinds(self):
        return [self.body.kinds[k] for k in self.chosen] if self.kind == "reverse" else [None] * sum(self.smooth_before)

    def replayed(self, leaves):
        leaves, seeds = leaves[:self.count], iter(leaves[self.count:])
        if self.kind == "reverse":
            w = [next(seeds) if smooth else None for smooth in self.smooth_before]
            return [np.array(x) for x in self.body.reverse(leaves, w, self.chosen, False)]
        tangents = self.body.tangent(leaves, list(seeds), self.chosen, False)
        return [np.array(x) for x, smooth in zip(tangents, self.smooth_before) if smooth]

    def reverse(self, leaves, w, chosen, recording):
        raise GuardError(f"{self.__name__} has no source, and inside another trace only its first derivative is stored; "
                         "record the function again for derivatives of a higher order")

    tangent = reverse


class Derivative:
    """w^T J or J t of a function by some of its arguments, as a function of numbers and arrays that can be recorded itself."""

    def __init__(self, kind, flat, chosen):
        self.kind, self.flat, self.chosen = kind, flat, chosen
        self.__name__ = f"{kind} of {transforms._name(flat.f)}"
        self.__wrapped__ = flat.f          # what it has captured is what the function has

    def __call__(self, leaves, seeds):
        if self.kind == "reverse":
            return list(self.flat.reverse(leaves, seeds, self.chosen))
        return self.flat.tangent(leaves, seeds, self.chosen)


# ---- a call ------------------------------------------------------------------------------------------------------------------------

def _plain(x):
    return scalar.plain(x) if type(x) is Active else active.plain(x) if type(x) is ActiveArray else x


def _argument(x):
    """An argument as a program is told its signature by: whole numbers and decisions of the trace are plain."""
    if type(x) is ActiveArray and active.is_number(x):
        return active.plain(x)[()]
    return _plain(x)


def call(program, args, kwargs, always=False):
    """The result of a program inside a trace, by one instruction; NoCall if its function should run there instead."""
    if program.has_source and (scalar.is_watched() or is_being_recorded(program._f)):
        raise NoCall
    leaves, structure = flatten([list(args), kwargs])
    if program.has_source and not any([_leaves.is_active(x) for x in leaves]):
        raise NoCall
    args, kwargs = unflatten(structure, [_argument(x) for x in leaves])
    arguments = Arguments(args, kwargs)
    if arguments.kept and program.has_source:
        raise NoCall
    with scalar.Suspended():
        if program.has_source and not program._is_called(arguments, always):
            raise NoCall
    return apply(Body(program, arguments.with_leaves(arguments.leaves)), inputs_among(leaves, arguments))


def inputs_among(leaves, arguments):
    """Those of the leaves that are inputs; the others, which the signature has by value, leave the trace."""
    inputs, at = [], set(arguments._dynamic)
    for k, x in enumerate(leaves):
        if k in at:
            inputs.append(x)
        elif type(x) is ActiveArray:
            active.leave(x)
        else:
            scalar.leave(x)
    return inputs


def apply(body, inputs):
    """The result of a body for active and plain numbers and arrays, by one instruction."""
    moving, form = body.values([_plain(x) for x in inputs])
    lasting = scalar.recording()
    body.note(moving, lasting)
    if not lasting:
        return form.rebuilt(active.record_program(body, inputs, moving))
    *moving, number = active.record_program(body, inputs, [*moving, body.program._number_of(form)])
    active.leave(number)
    return form.rebuilt(moving)
