"""Loops as one instruction: `scan`, whose step is a program and whose adjoint is another loop.

    value      carry, y[k] = f(carry, x[k])   for k = 0, 1, ...
    reverse    w = w^T d f(carry[k], x[k])    for k = ..., 1, 0: with the carries kept, or computed anew as `revolve` has it
"""

import collections
import contextlib
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import leaves as _leaves
from .. import transforms
from ..arrays import active
from ..arrays.active import ActiveArray
from ..core import scalar
from ..core.scalar import Active, is_plain
from ..errors import GuardError, TraceError
from ..pytrees import flatten, frozen, leaf_path, unflatten
from . import calls, revolve
from .closures import lifted
from .loops import (
    FLOAT,
    Backward,
    Keeping,
    Loop,
    Runner,
    Step,
    Tangent,
    columns,
    is_smooth,
    layout_of,
    normal,
    smooth_among,
    stack,
    zeros_like,
)
from .signature import skeleton

KEPT = 32                # loops of functions that were scanned last

_lock = threading.Lock()
_loops: collections.OrderedDict = collections.OrderedDict()


class Scan:
    """A loop at one number of consts, carries and xs: the body of a call instruction, as arrays.active asks for it.

    Its arguments are the number of steps, where that is traced, the consts, the carry and the xs; its results carry and ys.
    """

    def __init__(self, loop, counts, steps, checkpoints):
        self.loop, self.counts, self.checkpoints = loop, counts, checkpoints
        self.steps = steps                # None where it is the first argument
        self.found = None                 # the elements of captured arrays, where no program keeps the instruction
        self.__name__ = f"scan of {loop.step.__name__}"

    @property
    def identity(self):
        """What is the same for two loops that give the same."""
        return self.loop, self.counts, self.steps, self.checkpoints

    def parts(self, leaves):
        """(number of steps, consts, carry, xs) of arguments."""
        leaves = list(leaves)
        steps = leaves.pop(0) if self.steps is None else self.steps
        consts, carry, _ = self.counts
        return steps, leaves[:consts], leaves[consts:consts + carry], leaves[consts + carry:]

    def plain_parts(self, leaves):
        steps, consts, carry, xs = self.parts(leaves)
        if steps < 0:
            raise ValueError(f"scan: length must not be negative, it is {int(steps)}")
        return int(steps), [_number(x) for x in consts], [_number(x) for x in carry], xs

    def values(self, leaves):
        """The results, plain."""
        with scalar.Suspended():
            steps, consts, carry, xs = self.plain_parts(leaves)
            carry, ys = self.loop.run(consts, carry, xs, steps)
            return [*carry, *ys]

    def replayed(self, leaves):
        try:
            return self.values(leaves)
        except (MemoryError, RecursionError, GuardError):
            raise
        except Exception:
            # What called this loop runs anew, and meets that again.
            return []

    def reverse(self, leaves, w, chosen, recording):
        if recording:
            # The number of steps, if that is traced, has no derivative.
            smooth = [k for k in chosen if k or self.steps is not None]
            adjoints = dict(zip(smooth, record(Adjoint(self, smooth), [*leaves, *[x for x in w if x is not None]])))
            return [adjoints.get(k) for k in chosen]
        adjoints = self.adjoints(leaves, [x for x in w if x is not None])
        return [adjoints.get(k) for k in chosen]

    def adjoints(self, leaves, w):
        """Adjoints of the arguments that have a derivative, by position, for adjoints of the results that have one; all plain."""
        with scalar.Suspended():
            if self.found is not None and self.found != self.loop.program._elements():
                raise TraceError(f"an array that {self.loop.step.__name__} has captured was changed between the scan and its "
                                 "derivative; write into a copy of it")
            steps, consts, carry, xs = self.plain_parts(leaves)
            return self.by_position(leaves, _reversed(self.loop, consts, carry, xs, steps, w, self.states(steps)))

    def by_position(self, leaves, adjoints):
        """Adjoints of the smooth arguments by their positions."""
        offset = self.steps is None
        return {k + offset: part for k, part in zip(smooth_among(leaves[offset:]), adjoints)}

    def states(self, steps):
        """How many carries a reverse sweep keeps; None for all."""
        return revolve.states_for(steps) if self.checkpoints is True else self.checkpoints

    def recorded_adjoints(self, leaves, w):
        """The same inside a trace, of which every derivative can be taken: a loop that keeps the carries and one back."""
        steps, consts, carry, xs = self.parts(leaves)
        w, count = list(w), len(smooth_among(carry))
        items = _scanned(self.loop.with_step(Keeping, _structures(carry, xs)), consts, carry, xs, steps)[1]
        state = w[:count], zeros_like([consts[k] for k in smooth_among(consts)])
        backwards = [[x[::-1] for x in part] for part in (items, xs, w[count:])]
        (w, sums), by_x = _scanned_trees(self.loop, Backward, consts, state, tuple(backwards), steps)
        return self.by_position(leaves, [*sums, *w, *[x[::-1] for x in by_x]])

    def tangent(self, leaves, t, chosen, recording):
        with contextlib.nullcontext() if recording else scalar.Suspended():
            steps, consts, carry, xs = self.parts(leaves) if recording else self.plain_parts(leaves)
            offset = self.steps is None
            given = {k - offset: x for k, x in zip(chosen, t)}
            everything = leaves[offset:]
            tangents = [given.get(k, zero) for k, zero in enumerate(zeros_like(everything)) if is_smooth(layout_of(everything[k]))]
            tangents = [_like(x, everything[k]) for k, x in zip(smooth_among(everything), tangents)]
            counts = [len(smooth_among(part)) for part in (consts, carry, xs)]
            split = iter(tangents)
            t_consts, t_carry, t_xs = ([next(split) for _ in range(count)] for count in counts)
            (carry, t_carry), (ys, t_ys) = _scanned_trees(self.loop, Tangent, (consts, t_consts), (carry, t_carry), (xs, t_xs), steps)
            results = iter([*t_carry, *t_ys])
            return [next(results) if is_smooth(layout_of(x)) else None for x in [*carry, *ys]]


class Adjoint:
    """w^T J of a scan by some of its arguments, as an instruction; its arguments are the scan's and w."""

    def __init__(self, scan, chosen):
        self.scan, self.chosen = scan, list(chosen)
        self.count = sum(scan.counts) + (scan.steps is None)
        self.__name__ = f"reverse of {scan.__name__}"

    @property
    def identity(self):
        return self.scan.identity, tuple(self.chosen)

    def values(self, leaves):
        found = self.scan.adjoints(leaves[:self.count], leaves[self.count:])
        return [found[k] for k in self.chosen]

    def replayed(self, leaves):
        return self.values(leaves)

    def smooth(self, leaves, chosen):
        """The same in terms of loops, as a function of the chosen arguments."""
        def f(*xs):
            everything = list(leaves)
            for k, x in zip(chosen, xs):
                everything[k] = x
            found = self.scan.recorded_adjoints([normal(x) for x in everything[:self.count]], [normal(x) for x in everything[self.count:]])
            return [found[k] for k in self.chosen]
        return f

    def differentiated(self, leaves, chosen):
        """Those of the chosen arguments that have a derivative."""
        return [k for k in chosen if not (k == 0 and self.scan.steps is None) and is_smooth(layout_of(leaves[k]))]

    def reverse(self, leaves, w, chosen, recording):
        with contextlib.nullcontext() if recording else scalar.Suspended():
            leaves = [normal(x) for x in leaves]
            smooth = self.differentiated(leaves, chosen)
            adjoints = dict(zip(smooth, transforms.vjp(self.smooth(leaves, smooth), *[leaves[k] for k in smooth])[1](
                [normal(x) for x in w])))
            return [adjoints.get(k) for k in chosen]

    def tangent(self, leaves, t, chosen, recording):
        with contextlib.nullcontext() if recording else scalar.Suspended():
            leaves = [normal(x) for x in leaves]
            smooth = self.differentiated(leaves, chosen)
            given = [normal(x) for k, x in zip(chosen, t) if k in smooth]
            return transforms.jvp(self.smooth(leaves, smooth), [leaves[k] for k in smooth], given)[1]


def _number(x):
    """A plain argument of an instruction as loops have it."""
    return float(x) if layout_of(x) == FLOAT else x if isinstance(x, (np.ndarray, np.float32)) else np.asarray(x)


def _like(tangent, x):
    """A tangent as the leaf it is one of: a number where that is one."""
    return normal(tangent) if layout_of(x) == FLOAT else tangent


def _reversed(loop, consts, carry, xs, steps, w, states):
    """Adjoints of the smooth consts, carries and xs, all plain, for those of the smooth results."""
    count = len(smooth_among(carry))
    sums = zeros_like([consts[k] for k in smooth_among(consts)])
    by_x = [np.zeros(xs[k].shape, xs[k].dtype) for k in smooth_among(xs)]
    state, w_ys = [_number(x) for x in w[:count]], [np.ascontiguousarray(x) for x in w[count:]]
    if not steps:
        return [*sums, *state, *by_x]
    forward = Runner(loop.program, consts, carry, xs, steps, False)
    rows = steps if states is None else min(states + 2, steps)
    before = [np.empty((rows, *x.shape), x.dtype) for x in forward.buffers]     # the carries before the steps to be reversed next
    item = carry, [entry(0) for entry in columns(xs)], [entry(0) for entry in columns(w_ys)]
    backward = loop.with_step(Backward, _structures((state, sums), item))
    back = Runner(backward.program, consts, [*state, *sums], [*before, *xs, *w_ys], steps)
    kept: dict[int, list[Any]] = {}
    try:
        for action, i, k in revolve.schedule(steps, states or steps):
            if action == revolve.STORE:
                kept[k] = [x.copy() for x in forward.buffers]
            elif action == revolve.RESTORE:
                for x, value in zip(forward.buffers, kept[k]):
                    x[...] = value
            elif action == revolve.ADVANCE:
                forward.advance(i, k)
            else:
                _reverse_between(forward, back, before, [*xs, *w_ys], by_x, i, k)
        adjoints = back.carry()
    finally:
        forward.close()
        back.close()
    return [*adjoints[count:], *adjoints[:count], *by_x]


def _reverse_between(forward, back, before, items, by_x, first, stop):
    """Reverses steps stop - 1 to `first`, where `forward` is before step `first`."""
    count = stop - first
    forward.window(first)
    forward.advance(0, count - 1, before)
    forward.window(0)
    for whole, x in zip(before, forward.buffers):
        whole[count - 1] = x
    back.xs = [*before, *[x[first:] for x in items]]
    back.entries = columns(back.xs)
    back.ys = [x[first:] for x in by_x]
    back.advance(count - 1, -1)


# ---- inside a trace ----------------------------------------------------------------------------------------------------------------

def record(body, inputs):
    """The results of a body for active and plain numbers and arrays, by one instruction."""
    return active.record_program(body, inputs, body.values([calls._plain(x) for x in inputs]))


def _structures(*trees):
    return [frozen(flatten(tree)[1]) for tree in trees]


def _scanned_trees(loop, kind, consts, carry, xs, steps):
    """(carry, ys) of a derived step, whose consts, carry and xs are nestings."""
    carry_structure, x_structure = _structures(carry, xs)
    const_leaves, const_structure = flatten(consts)
    derived = loop.with_step(kind, (carry_structure, x_structure))
    derived.step.const_structure = const_structure
    carry, ys = _scanned(derived, const_leaves, flatten(carry)[0], flatten(xs)[0], steps)
    return unflatten(carry_structure, carry), unflatten(derived.step.y_structure[0], ys)


def _scanned(loop, consts, carry, xs, steps, checkpoints=None):
    """(carry, ys), lists of leaves, of a loop: by one instruction inside a trace. NoCall where it can not be one."""
    consts, carry = [normal(x) for x in consts], [normal(x) for x in carry]
    inputs = [*consts, *carry, *xs]
    traced = _leaves.is_active(steps)
    body = Scan(loop, (len(consts), len(carry), len(xs)), None if traced else steps, checkpoints)
    if traced:
        inputs = [steps, *inputs]
    if scalar.recording() or any([_leaves.is_active(x) for x in inputs]):
        results = record(body, inputs)
        body.found = None if scalar.recording() else loop.program._elements()
    else:
        results = body.values(inputs)
    return results[:len(carry)], results[len(carry):]


def _unrolled(step, consts, carry, xs, steps):
    """The same step by step, in the trace in progress if there is one."""
    carry, rows = [normal(x) for x in carry], []
    if not steps:
        raise TypeError(f"scan: what {step.__name__} gives in zero steps is not known, as it can not be recorded")
    for k in range(int(steps)):
        carry, y = step(consts, carry, [normal(x[k]) for x in xs])
        rows.append(y)
    return carry, [stack(list(column)) for column in zip(*rows)]


# ---- the function ------------------------------------------------------------------------------------------------------------------

def _arrays(xs):
    """(leaves of xs, their structure, the length of their first axis, None if there are none)."""
    leaves, structure = flatten(xs)
    length = None
    for k, x in enumerate(leaves):
        if not _leaves.is_array(x) or not x.ndim:
            raise TypeError(f"scan: xs{leaf_path(xs, k)} must be an array with the steps along its first axis, not a "
                            f"{'number' if not hasattr(x, 'shape') or x.shape == () else type(x).__name__}")
        if length is None:
            length = x.shape[0]
        elif length != x.shape[0]:
            raise ValueError(f"scan: xs{leaf_path(xs, k)} has {x.shape[0]} entries where others have {length}")
    return [x if type(x) is ActiveArray else np.ascontiguousarray(x, x.dtype.newbyteorder("=")) for x in leaves], structure, length


def _steps(given, length):
    """The number of steps, active where it is traced; TypeError or ValueError."""
    if given is None:
        if length is None:
            raise TypeError("scan needs xs or length")
        return length
    number = calls._argument(given)
    if is_plain(number, (bool, np.bool_)) or not hasattr(number, "__index__") or layout_of(number)[1].kind not in "iu":
        raise TypeError(f"scan: length must be a whole number, not {type(given).__name__}")
    if number < 0:
        raise ValueError(f"scan: length must not be negative, it is {int(number)}")
    if length is not None:
        if int(given) != length:
            raise ValueError(f"scan: length is {int(number)} where xs have {length} entries")
        return length
    return given if scalar.recording() and _leaves.is_active(given) else int(number)


def _loop_of(f, carry, xs, carry_structure, x_structure):
    """(Loop, consts): the function's loop for arguments like these, one that was made before if there is one."""
    name = transforms._name(f)
    g, consts = lifted(f) if scalar.tracing() else (None, [])
    key = None
    if not consts:
        g = _Plain(f)
        key = id(f), skeleton(carry_structure), skeleton(x_structure), *map(layout_of, carry), *map(layout_of, xs)
        with _lock:
            found = _loops.pop(key, None)
            if found is not None and found[0] is f:
                _loops[key] = found
                return found[1], consts
    loop = Loop(Step(g, name, f, frozen(carry_structure), frozen(x_structure)))
    if key is not None:
        with _lock:
            _loops[key] = f, loop
            if len(_loops) > KEPT:
                _loops.popitem(last=False)
    return loop, consts


class _Plain:
    """A function without captured values of the trace, as one that is given them."""

    def __init__(self, f):
        self.f = self.__wrapped__ = f

    def __call__(self, consts, carry, x):
        return self.f(carry, x)


def scan(f: Callable[[Any, Any], tuple[Any, Any]], carry: Any, xs: Any = None, length: int | None = None, *,
         checkpoint: bool = False, checkpoints: int | None = None) -> tuple[Any, Any]:
    """(carry, ys) of the loop `for k in range(length): carry, ys[k] = f(carry, xs[k])`, as jax.lax.scan has it.

    carry, xs and the y that f returns are numbers, arrays, and nestings of them; xs have the steps along their first axis, and so
    have ys. Without xs, f is given None and `length` is the number of steps; that may be a whole number of the trace. f is recorded
    once and replayed for every step. Inside a trace the loop is one instruction, whose derivatives, of any order, are loops; the
    adjoint keeps the carries of all steps. With `checkpoints` it keeps that many and computes the others anew, in the least number
    of steps (Griewank and Walther 2000, Algorithm 799); with `checkpoint=True` as many as let no step run more than twice for it.

    TypeError if f changes the structure, shape or type of the carry or of y, or returns no pair; ValueError for xs of different
    lengths. Where f can not be recorded, it runs step by step. A loop of no step runs f once, to see what y is.
    """
    if not callable(f):
        raise TypeError(f"scan needs a function, not {type(f).__name__}")
    if checkpoints is not None and (isinstance(checkpoints, bool) or not hasattr(checkpoints, "__index__")):
        raise TypeError(f"scan: checkpoints must be a whole number, not {type(checkpoints).__name__}")
    if checkpoints is not None and checkpoints < 1:
        raise ValueError(f"scan: checkpoints must be at least 1, not {checkpoints}")
    x_leaves, x_structure, count = _arrays(xs)
    steps = _steps(length, count)
    leaves, structure = flatten(carry)
    for k, x in enumerate(leaves):
        try:
            layout_of(x)
        except TypeError as error:
            raise TypeError(f"scan: carry{leaf_path(carry, k)} is {error}") from None
    loop, consts = _loop_of(f, leaves, x_leaves, structure, x_structure)
    kinds = [type(x) for x in leaves]
    new, ys = _run(loop, consts, leaves, x_leaves, steps, checkpoints if checkpoints is not None else checkpoint or None)
    new = [kind(x) if kind in (int, bool) and not _leaves.is_active(x) else x for kind, x in zip(kinds, new)]
    return unflatten(structure, new), unflatten(loop.step.y_structure[0], ys)


def _run(loop, consts, carry, xs, steps, checkpoints):
    if not scalar.is_watched():
        try:
            return _scanned(loop, consts, carry, xs, steps, checkpoints)
        except calls.NoCall:
            pass
    if type(steps) is Active or type(steps) is ActiveArray:
        steps = int(steps)
    return _unrolled(loop.step, consts, carry, xs, steps)
