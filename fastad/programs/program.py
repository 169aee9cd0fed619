"""Programs: a function recorded once per path and replayed, with guards where it decided something.

    F(x) ──▶ Arguments (key, inputs) ──▶ Paths (one per key) ──▶ Code of the path taken last ──replay──▶ result
                                            ▲                        │ a guard does not hold
                                            └── f runs again ◀── no ─┴─ is a sibling known for what it found? ── yes ──▶ go on
"""

import functools
import os
import pickle
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any, overload

import numpy as np

from .. import debugging, transforms
from .. import leaves as _leaves
from ..core import scalar
from ..errors import FormatError, GuardError, TraceError
from ..pytrees import NUMBER, flatten, unflatten, unflatten_derivatives
from . import calls
from .captures import Captures
from .code import Code, Counts, Plain, Replay, Replayed, Shortcut, Single, first_difference, outcome_recorded, values_noted
from .draws import Streams
from .recording import derive, made_by_the_function, note_lines, record_path
from .signature import Arguments

MAX_INSTANCES = 64       # of a class whose method is a program, for which paths are kept
MAX_PATHS = 256          # per signature; the one not used for longest makes room
FORGOTTEN = 1 << 20      # bytes of arrays from which on a path lets go of their values, and a derivative runs it once more for them
FEWEST_SEEDS = 3         # from which a sweep of several at a time is the faster one
OWN_PROGRAM = 8          # elements of an input from which on its tangents may have a program of their own
MOST_PROGRAMS = 4        # for the tangents of one Jacobian: each replays the path
PATIENCE = 64            # misses in a row, or more misses than hits after that, before a signature runs eagerly


_SCALARS = (float, scalar.Active)


class _RunEagerly(Exception):
    """A replay can not go on; the function itself must run."""


class _Branches:
    """What the recorder keeps with a Code: where it branched off, and what branched off from it."""

    __slots__ = ("parent", "fork", "siblings", "derived", "lanes", "exits", "used", "version", "arguments")

    def __init__(self):
        self.parent = None                # the Code whose instructions before `fork` are this one's
        self.fork = 0
        self.siblings: dict = {}          # by instruction: {outcome of the guard: Code}
        self.derived: dict = {}           # by kind and inputs: Code
        self.lanes: dict = {}             # by inputs: Lanes, for maps
        self.exits: tuple = (-1, {})      # (how many paths had been recorded, ways out of a loop that were known then)
        self.used = 0
        self.version = 0                  # of the elements of captured arrays that it is known to be right for
        self.arguments: Arguments | None = None     # those it was recorded with, where arrays are captured


class Paths:
    """The paths of one signature."""

    def __init__(self, f, captures, key, kept, fast=False):
        self.f, self.captures, self.key, self.kept, self.fast = f, captures, key, kept, fast
        self.held = Captures(None, kept) if kept else None         # what the arguments that are objects hold
        self.example: Arguments | None = None     # a call of this signature of which all inputs are numbers
        self.codes: list[Code] = []
        self.last: Code | None = None
        self.reason: str | None = None    # why this signature runs eagerly
        self.called: bool | None = None   # whether a call inside a trace is one instruction; None if that was not asked yet
        self.counts = Counts()
        self.counts.valid = True
        self.clock = 0
        self.looked = self.version        # of captured arrays, when they were last looked at
        self.lock = threading.Lock()

    # ---- replaying ----

    def run(self, kind, differentiated, arguments, plain=False, several=False):
        """(Code, Replay at its end) for these arguments; _RunEagerly if they must be computed without a program.

        `plain` is for sweeps over the instructions as they are, which want the value of each, `several` for several seeds.
        """
        if self.reason is not None:
            raise _RunEagerly
        pause = kind in ("reverse", "tangent", "product")     # what is behind the path waits for seeds
        attempts = 0
        code, recorded = self.last, None
        if code is None or not code.live_arrays() or not self.is_current(code):
            code = recorded = self.record(arguments, code)
        while True:
            target = self.code_for(code, kind, differentiated, arguments, several)
            states = self.generator_states(target, {})
            replay = Replay(target, plain)
            replay.start(arguments.leaves)
            held = replay.go_on(0, pause)
            while not held and replay.at < code.n:
                sibling = self.sibling(code, replay.at, replay.outcome)
                if sibling is None:
                    break
                code = sibling
                target = self.code_for(code, kind, differentiated, arguments, several)
                self.generator_states(target, states)
                replay.switch(target)
                held = replay.go_on(replay.at, pause)
            if held and not self.is_current(code):
                for generator, state in states.values():
                    generator.bit_generator.state = state
                attempts += 1
                if attempts > 3:
                    self.miss("arrays that it has captured change while it runs")
                    raise _RunEagerly
                code = recorded = self.record(arguments, code)
                continue
            if held:
                if kind != "value" and target is code and not _sweeps_serve(code, kind):
                    # Its derivative was to be recorded at values at which it was said not to hold.
                    raise GuardError("a derivative of this program without source can not be recorded for these arguments")
                self.last, code.owner.used, self.clock = code, self.clock, self.clock + 1
                if code is not recorded:
                    self.counts.replays += 1
                    self.counts.in_a_row = 0
                return code, replay
            at = replay.at
            if self.f is None:
                self.without_source(code, kind, differentiated, at, attempts)
                attempts += 1
                continue
            for generator, state in states.values():
                generator.bit_generator.state = state
            attempts += 1
            if at >= code.n or attempts > 3:
                # A decision of a derivative's own, or a function that does not repeat itself.
                self.miss("it takes another path each time it is run with the same arguments" if attempts > 3 else None)
                raise _RunEagerly
            code = recorded = self.record(arguments, code)

    def code_for(self, code, kind, differentiated, arguments=None, several=False):
        """The Code that computes a derivative behind a path: the path's own where numeric sweeps serve; for `several` seeds at a time
        if it can.

        A program without its source has no values to record a derivative at; they are those of a replay with these arguments. If
        that leaves the path, the path itself comes back, which stops at the same guard; None if there are no arguments.
        """
        if kind == "value":
            return code
        nothing = not code.outputs and unflatten(code.structure, []) is None
        if nothing or any(isinstance(x, Plain) and not _leaves.is_number(x.value) for x in code.outputs) \
                or kind in SCALAR and not _is_scalar(code):
            if self.f is None:
                raise TypeError("the result of this program must be " + (
                    "a single number for a gradient; use jacobian for several" if kind in SCALAR else
                    "made of numbers and arrays for a derivative"))
            raise _RunEagerly            # the eager transform says what is wrong
        if _sweeps_serve(code, kind):
            return code
        found = code.owner.derived.get((kind, differentiated))
        if found is None:
            values = None
            if self.f is None or code.forgotten:
                if arguments is None:
                    return None
                values = values_noted(code, arguments.leaves)
                if values is None:
                    return code
            try:
                with scalar.Suspended():
                    found = derive(code, kind, differentiated, values)
            except Exception as error:
                if self.f is None and isinstance(error, (AttributeError, LookupError)):
                    # Only what is in the file can lead there.
                    raise FormatError(f"the program can not be used: a derivative of it can not be computed ({error})") from error
                if self.f is None:
                    raise
                # The eager transform decides whether that is the user's error.
                self.give_up(f"its derivative can not be recorded: {error}")
                raise _RunEagerly from None
            if code.forgotten:
                found.forget(0)
            found.is_number, found.value_slot = code.is_number, code.value_slot
            found.owner = (kind, differentiated, weakref.ref(code))
            code.owner.derived[kind, differentiated] = found
        if several:
            found.widen(code)
        return found.wide if several and found.wide is not None else found

    def path_for(self, arguments):
        """The Code of the path that these arguments take, with lines, for looking at; also where the function runs eagerly."""
        try:
            code, replay = self.run("value", (), arguments)
        except _RunEagerly:
            with scalar.Suspended():
                return record_path(self.f, arguments, self.captured())
        replay.finish()
        self.note_lines(code)
        return code

    def note_lines(self, code):
        """Finds the user's lines of a path that was recorded without them."""
        if self.f is None or self.example is None or code.tape.has_places:
            return
        streams = self.streams()
        try:
            with scalar.Suspended():
                note_lines(code, self.f, self.example, self.captured())
        finally:
            streams.restore()

    def captured(self):
        """What is known of what f has captured, and of what the arguments hold."""
        return [known for known in (self.captures, self.held) if known is not None]

    @property
    def version(self):
        """Counts how often the elements of captured arrays were found to have changed."""
        return sum([known.contents.version for known in self.captured()])

    def is_current(self, code):
        """Whether a path is known to be right for captured arrays as they were last looked at."""
        return code.owner.version == self.version

    def look_at_arrays(self):
        """Looks whether the elements of captured arrays have changed: what was recorded before is then right only if f, run again,
        does the same.
        """
        for known in self.captured():
            known.contents.renew()
        if self.version != self.looked:
            self.looked = self.version
            for code in self.codes:
                for one in (code, *code.owner.derived.values()):
                    one.others.clear()

    def streams(self):
        """The random numbers that f can draw from, as they are."""
        return Streams(*self.captured())

    def sibling(self, code, at, outcome):
        """The path that took another outcome of the guard at an instruction; None if it is not known."""
        return _owner(code, at).owner.siblings.get(at, {}).get(outcome)

    def beside(self, target, at, outcome):
        """What goes on for another outcome of a guard on a path, or on what is behind it; None if that is not known."""
        kind, differentiated, path = target.owner if type(target.owner) is tuple else ("value", (), lambda: target)
        code = path()
        # A path may have been dropped by another thread while what is behind it was replayed here.
        other = self.sibling(code, at, outcome) if code is not None and at < code.n else None
        try:
            return None if other is None or not self.is_current(other) else self.code_for(other, kind, differentiated)
        except _RunEagerly:
            return None

    def without_source(self, code, kind, differentiated, at, attempts):
        """What follows a guard that does not hold where there is no source: GuardError, or the derivative is recorded anew."""
        if at < code.n or attempts > 3:
            raise GuardError("this program has no source, and these arguments take a path that it does not have; record the "
                             "function again, call it with such arguments, and save it with that path")
        code.owner.derived.pop((kind, differentiated), None)

    def generator_states(self, code, known):
        """Adds (generator, state) of the generators that a path draws from to those known; none has drawn before it is known."""
        if code.draws:
            for generator in _generators(code):
                if id(generator) not in known:
                    known[id(generator)] = generator, generator.bit_generator.state
        return known

    # ---- recording ----

    def record(self, arguments, beside, counted=True):
        """Runs f and adds its path. _RunEagerly if f can not be recorded."""
        if counted:
            self.miss()
        captured = self.captured()
        for known in captured:
            if known.unrepeatable is not None:
                self.give_up(known.unrepeatable)
        if self.reason is not None:
            raise _RunEagerly
        streams = Streams(*captured, everywhere=not (arguments.plain and all(known.closed for known in captured)))
        self.look_at_arrays()
        version = self.version
        try:
            with scalar.Suspended():
                code = record_path(self.f, arguments, captured, beside, not arguments.only_numbers, self.fast)
        except TraceError as error:
            streams.restore()
            self.give_up(str(error))
            raise _RunEagerly from None
        frozen = streams.frozen()
        # The run that counts is the replay, or the function's own.
        streams.restore()
        if frozen is not None:
            self.give_up(f"it draws random numbers from {frozen}, which a replay can not; use a numpy.random.Generator that is "
                         "an argument, a variable or an attribute")
            raise _RunEagerly
        made = made_by_the_function(code, arguments, captured)
        if made is not None:
            self.give_up(f"its result holds an object that it made, of type {type(made).__name__}, which a replay can not make again; "
                         "return numbers, arrays, and nestings of them")
            raise _RunEagerly
        if not all([known.contents.unchanged() for known in captured]):
            self.give_up("it writes into an array that it has captured, which a replay would not")
            raise _RunEagerly
        for known in captured:
            known.settle()
        code.forget(FORGOTTEN)
        _prepare(code)
        code.owner.version = version
        if any(known.contents.arrays for known in captured):
            code.owner.arguments = arguments.with_leaves([x.copy() if isinstance(x, np.ndarray) else x for x in arguments.leaves])
        if self.example is None and arguments.only_numbers:
            self.example = arguments
        return self.publish(code, counted)

    def restore(self, found, last):
        """Makes these the paths: (Code, number of its parent or -1, fork) each, and the one that was taken last."""
        for code, parent, fork in found:
            _prepare(code)
            if parent >= 0:
                before = self.codes[parent]
                code.owner.parent, code.owner.fork = before, fork
                siblings = _owner(before, fork).owner.siblings.setdefault(fork, {outcome_recorded(before, fork): before})
                siblings.setdefault(outcome_recorded(code, fork), code)
            self.codes.append(code)
        self.last = self.codes[last]

    def publish(self, code, counted):
        """Makes a new path known to all threads; the same path if another thread was faster. `counted`: it is among the misses."""
        from .sameness import same_path
        with self.lock:
            self.counts.recordings += 1
            if not all([known.live_arrays() for known in self.codes]):
                self.codes = []          # a captured array was resized
            before = self.codes[0] if self.codes else None
            while before is not None:
                if before.owner.version != code.owner.version:
                    # Arrays have changed: the path that was known is kept if it is the same again, with those beside it.
                    for known in self.codes:
                        if same_path(known, code):
                            known.owner.version = code.owner.version
                            self.last = known
                            return known
                    self.codes = []
                    break
                at = first_difference(before, code)
                if at < 0:
                    self.counts.misses -= counted          # it was no new path
                    return before
                outcome = outcome_recorded(code, at)
                if outcome is None or outcome == outcome_recorded(before, at):
                    break                # no guard: f is no function of its arguments and of what it was seen to decide
                siblings = _owner(before, at).owner.siblings.setdefault(at, {outcome_recorded(before, at): before})
                if outcome not in siblings:
                    code.owner.parent, code.owner.fork = before, at
                    siblings[outcome] = code
                    break
                before = siblings[outcome]
            self.codes.append(code)
            self.last = code
            code.owner.used = self.clock
            if len(self.codes) > MAX_PATHS:
                self.evict()
            return code

    def evict(self):
        """Drops the path that was not used for longest among those from which no other branched off; all but one if each has."""
        parents = {id(code.owner.parent) for code in self.codes}
        free = [code for code in self.codes if id(code) not in parents and code is not self.last]
        if not free:
            self.keep_last()
            return
        oldest = min(free, key=lambda code: code.owner.used)
        self.codes.remove(oldest)
        if oldest.owner.parent is not None:
            siblings = _owner(oldest.owner.parent, oldest.owner.fork).owner.siblings[oldest.owner.fork]
            for outcome in [outcome for outcome, code in siblings.items() if code is oldest]:
                del siblings[outcome]
        gone = {id(oldest), *(id(code) for code in oldest.owner.derived.values())}
        for code in self.codes:
            for one in (code, *code.owner.derived.values()):
                for at in [at for at, other in one.others.items() if id(other) in gone]:
                    del one.others[at]

    def keep_last(self):
        """Drops all paths but the one taken last."""
        self.codes = [self.last]
        self.last.owner.parent, self.last.owner.fork, self.last.owner.siblings = None, 0, {}
        for code in (self.last, *self.last.owner.derived.values()):
            code.others.clear()

    def keep_current(self):
        """Records paths again that may not be right for captured arrays as they are now."""
        self.look_at_arrays()
        for code in list(self.codes):
            if not self.is_current(code) and code.owner.arguments is not None:
                try:
                    self.record(code.owner.arguments, code, False)
                except _RunEagerly:
                    break
        with self.lock:
            if self.last is not None and not self.is_current(self.last):
                self.codes, self.last = [], None
            elif not all(map(self.is_current, self.codes)):
                self.keep_last()

    def miss(self, reason=None):
        counts = self.counts
        counts.misses += 1
        counts.in_a_row += 1
        if reason is not None or counts.in_a_row > PATIENCE or (counts.misses > 2 * PATIENCE and counts.misses > counts.replays):
            calls = counts.misses + counts.replays
            self.give_up(reason or (
                f"it took a new path {counts.misses} times in {calls} calls" if 2 * self.looked < counts.misses else
                f"arrays that it has captured had other elements {self.looked} times in {calls} calls; an array that is an argument "
                "may change each time"))

    def give_up(self, reason):
        """From now on the function itself runs."""
        self.reason = reason
        self.forget()

    def forget(self):
        """Drops all paths."""
        self.codes, self.last, self.counts.valid = [], None, False


SCALAR = ("gradient", "product", "elements")       # derivatives of a single number


def _sweeps_serve(code, kind):
    """Whether numeric sweeps over a path give this derivative."""
    return code.numeric_product if kind == "product" else code.numeric and kind != "elements"


def _prepare(code):
    """Makes a new Code a path."""
    code.owner = _Branches()
    code.is_number = code.structure is NUMBER and not isinstance(code.outputs[0], Plain)
    code.value_slot = code.outputs[0] if code.is_number and isinstance(code.outputs[0], int) else -1


def _owner(code, at):
    """The path that instruction `at` was first recorded with."""
    while code.owner.parent is not None and at <= code.owner.fork:
        code = code.owner.parent
    return code


def _generators(code):
    for record in code.tape.records:
        function = getattr(record, "function", None)
        if getattr(record, "draws", False):
            yield function.__self__


class Program(Replayed):
    """A function that is recorded and replayed; made by `fastad.record`, or without its source by `fastad.load`."""

    is_program: bool = True        # what the transforms ask: they replay it

    def __init__(self, f: Callable[..., Any] | None, fast_math: bool = False):
        self._f = f
        self._fast_math = fast_math
        self._name = transforms._name(f) if f is not None else "a program"
        self._captures: Captures | None = None
        self._paths: dict[Any, Paths] = {}
        self._lock = threading.RLock()
        self._bound: dict[int, Program] = {}
        self._forms: list[Any] = []       # of results, by the numbers that call instructions know them by
        self._short: set[int] = set()     # numbers of arguments, all scalars, with which it is too short for an instruction
        self._derivatives: dict[Any, Any] = {}
        self._rebound = 0                 # times in a row that captured values had changed before a single replay
        if f is not None:
            functools.update_wrapper(self, f, updated=())

    # ---- which paths ----

    def _find(self, arguments):
        """The Paths of a call."""
        with self._lock:
            if self._f is not None:
                if self._captures is None:
                    self._captures = Captures(self._f)
                elif self._captures.changed():
                    # A function that rebinds what it has captured is recorded in vain.
                    replays = sum(paths.counts.replays for paths in self._paths.values())
                    self._rebound = 0 if replays else self._rebound + 1
                    self._captures = Captures(self._f)
                    self._forget()
            paths = self._paths.get(arguments.key)
            if paths is not None and paths.held is not None and paths.held.changed():
                paths = None
            if paths is not None:
                paths.look_at_arrays()
            if paths is None:
                if self._f is None:
                    raise GuardError(f"{self._name} has no source and was not recorded for arguments of these types and shapes; "
                                     "record the function again, call it with such arguments, and save it")
                paths = self._paths[arguments.key] = Paths(self._f, self._captures, arguments.key, arguments.kept, self._fast_math)
                if self._rebound > PATIENCE:
                    paths.give_up("what it has captured is bound anew in every call")
            return paths

    # ---- value and derivatives ----

    def replay_value(self, args: Any, kwargs: Any) -> Any:
        """A call, in full."""
        if scalar.tracing():
            return self._inside(*args, **kwargs)
        arguments = Arguments(args, kwargs)
        if scalar.is_watched():
            self._look(arguments, False)
        paths = self._find(arguments)
        try:
            code, replay = paths.run("value", (), arguments)
        except _RunEagerly:
            return self._source()(*args, **kwargs)
        leaves = replay.result(code.outputs)
        replay.finish()
        self._remember("value", 0, arguments, paths, code)
        return unflatten(code.structure, leaves)

    def replay_gradient(self, transform: str, argnums: Any, args: Any, kwargs: Any) -> Any:
        """A call of "grad" or "value_and_grad", in full."""
        def eager(f):
            # Each by its own name, which errors tell.
            if transform == "value_and_grad":
                return transforms.value_and_grad(f, argnums)(*args, **kwargs)
            return None, transforms.grad(f, argnums)(*args, **kwargs)

        result = self._replayed(transform, argnums, args, kwargs, _value_and_gradient, eager)
        return result if transform == "value_and_grad" else result[1]

    def jacobian(self, *args: Any, argnums: int | Sequence[int] = 0, mode: str = "auto", **kwargs: Any) -> Any:
        """The Jacobian as by fastad.jacobian, replayed: sweeps behind the path, each for several rows or columns."""
        if mode not in ("auto", "forward", "reverse"):
            raise ValueError(f'jacobian: mode must be "auto", "forward" or "reverse", not {mode!r}')
        return self._replayed("jacobian", argnums, args, kwargs, lambda paths, chosen: _jacobian(paths, chosen, mode))

    def hessian(self, *args: Any, argnums: int | Sequence[int] = 0, **kwargs: Any) -> Any:
        """The Hessian of a scalar program as by fastad.hessian, replayed: one sweep behind the gradient for each column."""
        return self._replayed("hessian", argnums, args, kwargs, _hessian)

    def jvp(self, primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
        """(value, tangent) as by fastad.jvp, replayed."""
        primals = transforms._tuple("jvp", primals)
        return self._replayed("jvp", range(len(primals)), primals, {}, lambda paths, chosen: _jvp(paths, chosen, tangents),
                              lambda f: transforms.jvp(f, primals, tangents))

    def vjp(self, *primals: Any) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
        """(value, vjp_fun) as by fastad.vjp; vjp_fun sweeps behind the replay, any number of times."""
        return self._replayed("vjp", range(len(primals)), primals, {}, _vjp, lambda f: transforms.vjp(f, *primals))

    def hvp(self, primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
        """The Hessian of a scalar program times tangents as by fastad.hvp, replayed."""
        primals = transforms._tuple("hvp", primals)
        return self._replayed("hvp", range(len(primals)), primals, {}, lambda paths, chosen: _hvp(paths, chosen, tangents),
                              lambda f: transforms.hvp(f, primals, tangents))

    def map(self, *batched: Any, what: str = "value_and_grad", in_axes: Any = 0, argnums: int | Sequence[int] = 0, threads: int = 1,
            progress: bool = False, **kwargs: Any) -> Any:
        """The same as calling `what` for every entry along the batch axis of the arguments: its results, each stacked along axis 0.

        batched   arguments whose arrays have one entry per row; an array of one dimension is a float in each row
        what      "value", "grad", "value_and_grad", "jacobian" or "hessian"
        in_axes   the batch axis: one for all arguments, or a tuple with an entry per argument, which may be a pytree like the argument;
                  None for what all rows share, as keyword arguments are
        threads   how many work at once; results do not depend on it
        progress  whether to show a bar, by tqdm or rich

        An exception is that of the first row that raises, with its number as a note. ValueError for batches of different lengths, and
        for results of different shapes.
        """
        from .mapping import map_rows
        return map_rows(self, _Chosen.of, _RunEagerly, batched, what, in_axes, argnums, threads, progress, kwargs)

    def _replayed(self, transform, argnums, args, kwargs, replayed, eager=None):
        """What `replayed(paths, chosen arguments)` gives; where there is no program for this call, the eager transform of f."""
        if not scalar.tracing():
            chosen = _Chosen.of(self._name, argnums, args, kwargs)
            if chosen is not None:
                if scalar.is_watched():
                    self._look(chosen.arguments, True)
                try:
                    paths = self._find(chosen.arguments)
                    result = replayed(paths, chosen)
                    if transform in ("grad", "value_and_grad") and type(argnums) in (int, tuple) and paths.last is not None:
                        self._remember(transform, argnums, chosen.arguments, paths, paths.last)
                    return result
                except _RunEagerly:
                    pass
        f = self._source() if not scalar.tracing() else functools.wraps(self, updated=())(lambda *a, **k: self._inside(*a, **k))
        if eager is not None:
            return eager(f)
        return getattr(transforms, transform)(f, argnums)(*args, **kwargs)

    # ---- inside traces ----

    def _inside(self, *args, **kwargs):
        """A call inside a trace: one instruction, or its function where that does as well."""
        if self._f is not None and not kwargs and len(args) in self._short and all([type(x) in _SCALARS for x in args]):
            return self._f(*args)
        try:
            return calls.call(self, args, kwargs)
        except calls.NoCall as reason:
            if self._f is None:
                raise GuardError(f"{self._name} has no source, which a call inside another trace needs for {reason}") from None
            return self._f(*args, **kwargs)

    def _is_called(self, arguments, always):
        """Whether calls like this one inside a trace are an instruction, `always` if they can be; decided once, by the first path."""
        paths = self._find(arguments)
        if paths.reason is None and paths.called is None:
            try:
                code = paths.last or paths.record(arguments, None)
            except _RunEagerly:
                return False
            except Exception as error:
                raise calls.NoCall from error         # the function meets that itself
            paths.called = calls.is_long(code)
            if not paths.called and not arguments.kwargs and all([type(x) is float for x in arguments.args]):
                self._short.add(len(arguments.args))
        return paths.reason is None and (paths.called or always) and not any([code.draws for code in paths.codes])

    def _number_of(self, form):
        """The number by which call instructions know what of a result is not a number that moves."""
        with self._lock:
            if form.key not in self._forms:
                self._forms.append(form.key)
            return np.int64(self._forms.index(form.key))

    def _elements(self):
        """What tells the elements of the captured arrays, as they are now, from other ones."""
        captures = self._captures
        if captures is None:
            return None
        captures.contents.renew()
        return captures, captures.contents.version

    def _started(self, arguments):
        """(Code, Replay at its end) of a value; NoCall where the function runs eagerly or draws random numbers."""
        try:
            paths = self._find(arguments)
            if paths.last is None and paths.reason is None:
                paths.record(arguments, None)
            if any([code.draws for code in paths.codes]):
                raise calls.NoCall
            return paths.run("value", (), arguments)
        except _RunEagerly:
            raise calls.NoCall from None

    def _results(self, arguments):
        """(leaves of the result, Code) of a replay; None where the function runs eagerly."""
        try:
            code, replay = self._find(arguments).run("value", (), arguments)
        except _RunEagerly:
            return None
        results = replay.result(code.outputs)
        replay.finish()
        return results, code

    def _adjoints(self, arguments, inputs, w, check):
        """w^T J by inputs (their numbers), for adjoints of the results that move; None where the function runs eagerly."""
        chosen = _Chosen.inputs_of(arguments, inputs)
        try:
            code, replay = self._find(arguments).run("reverse", chosen.inputs, arguments)
            check([x for x in replay.result(code.outputs) if calls.moves(x)])
            seeds = iter(w)
            adjoints = _reverse(code, replay, chosen, [next(seeds) if _moves(x) else 0.0 for x in code.outputs])
        except _RunEagerly:
            return None
        replay.finish()
        return adjoints

    def _tangents(self, arguments, inputs, t, check):
        """J t of the results that move, for tangents of inputs; None where the function runs eagerly."""
        chosen = _Chosen.inputs_of(arguments, inputs)
        try:
            code, replay = self._find(arguments).run("tangent", chosen.inputs, arguments, True)
            check([x for x in replay.result(code.outputs) if calls.moves(x)])
            tangents = _tangent(code, replay, chosen, t)
        except _RunEagerly:
            return None
        replay.finish()
        return [part for x, part in zip(code.outputs, tangents) if _moves(x)]

    def _derivative(self, kind, body, inputs):
        """A function of (inputs, seeds) that records w^T J ("reverse") or J t ("tangent") of a call as a call."""
        if self._f is None:
            return calls.Stored(kind, body, inputs, body.smooth)
        key = kind, body.arguments.key, tuple(inputs)
        with self._lock:
            found = self._derivatives.get(key)
            if found is None:
                found = self._derivatives[key] = Program(calls.Derivative(kind, body.flat(), list(inputs)))
        return found

    def _remember(self, kind, argnums, arguments, paths, code):
        """Notes the short way for calls like this one, if arguments are floats and arrays in plain containers, the result one."""
        key = kind if kind == "value" else (kind, argnums)
        if any(shortcut.paths is paths and shortcut.is_current() for shortcut in self.shortcuts.get(key, ())):
            return
        if arguments.kwargs or code.structure is not NUMBER or code.draws or not arguments.plain:
            return
        if kind == "value":
            if isinstance(code.outputs[0], Plain):
                return
            target, chosen, inputs = code, 0, ()
        else:
            if not isinstance(code.outputs[0], int):
                return
            positions, single = transforms._positions(kind, argnums, len(arguments.args))
            inputs = tuple([k for _, start, stop in arguments.parts(positions) for k in range(start, stop)])
            target = paths.code_for(code, "gradient", inputs)
            chosen = positions[0] if single else tuple(positions)
        self.remember(key, Shortcut(paths, code, target, kind, chosen, inputs, arguments.args))

    def _look(self, arguments, adjoints):
        """In fastad.debug() looks for NaN and infinity in a replay before its results are asked for."""
        if not debugging.is_on():
            return
        from .watching import check_path
        paths = self._find(arguments)
        if paths.reason is None:
            streams = paths.streams()
            try:
                code = paths.path_for(arguments)
                streams.restore()
                check_path(code, self._name, self._f, arguments.key, arguments.leaves, adjoints)
            finally:
                streams.restore()

    @property
    def has_source(self) -> bool:
        """Whether the function is there to be run for new paths; not after `fastad.load`."""
        return self._f is not None

    def _source(self):
        if self._f is None:
            raise GuardError(f"{self._name} has no source, which this call needs: inside another trace, and for what its own "
                             "methods do not give, record the function again")
        return self._f

    # ---- methods ----

    def __get__(self, instance: Any, owner: Any = None) -> "Program":
        """A program of its own for every instance it is a method of."""
        if instance is None:
            return self
        with self._lock:
            found = self._bound.pop(id(instance), None)
            if found is None:
                found = Program(self._source().__get__(instance, owner), self._fast_math)
            # A program keeps its instance alive, and so only those used last are kept.
            self._bound[id(instance)] = found
            if len(self._bound) > MAX_INSTANCES:
                del self._bound[next(iter(self._bound))]
        return found

    # ---- what it has recorded ----

    def _prepare(self, args):
        """Records the path of these arguments."""
        arguments = Arguments(args, {})
        paths = self._find(arguments)
        if paths.last is None and paths.reason is None:
            try:
                paths.record(arguments, None)
            except _RunEagerly:
                pass

    def explain(self, *args: Any, **kwargs: Any) -> Any:
        """Every step at these arguments with its value, and for a scalar result its adjoint and the reverse sweep by hand.

        Prints as text, shows itself as HTML in a notebook; `rows` and `sweep` hold the numbers. The function may run once more, to
        find its lines.

            >>> F = fastad.record(lambda x: x * np.sin(x))
            >>> print(F.explain(2.0))
        """
        from .explain import explain
        return explain(self._listing(args, kwargs))

    def draw(self, *args: Any, format: str = "svg", **kwargs: Any) -> Any:
        """The circuit as a picture ("svg" or "png" in a notebook, `.save("f.png")` elsewhere), through graphviz.

        With values and adjoints where arguments are given; without, the path that was taken last.
        """
        from .draw import draw
        if args or kwargs:
            return draw(self._listing(args, kwargs), format)
        from .listing import list_path
        with self._lock:
            known = [(paths, paths.last) for paths in self._paths.values() if paths.last is not None]
        if not known:
            return draw(self._listing(args, kwargs), format)
        paths, code = known[-1]
        paths.note_lines(code)
        listing = list_path(code, self._name, self._f, paths.key)
        assert listing is not None
        return draw(listing, format)

    def _listing(self, args, kwargs):
        """The listing of a call."""
        from .listing import list_call
        if scalar.tracing():
            raise RuntimeError("a program is explained and drawn outside of differentiated and recorded functions")
        arguments = Arguments(args, kwargs)
        return list_call(self._find(arguments), arguments, self._name)

    @property
    def stats(self) -> dict[str, Any]:
        """What is recorded and how it went, over all signatures: numbers, `bytes`, the names of functions that call Python in
        a replay or a derivative, how many derivatives take one seed at a time in Jacobians and Hessians, and why signatures run eagerly.
        """
        with self._lock:
            paths = list(self._paths.values())
        codes = [code for p in paths for code in p.codes]
        derived = [code for path in codes for code in list(path.owner.derived.values())]
        derived += [code.wide for code in derived if code.wide is not None]
        from .listing import Stats
        return Stats(self._name, {
            "signatures": len(paths), "paths": len(codes), "recordings": sum(p.counts.recordings for p in paths),
            "replays": sum(p.counts.replays for p in paths), "guard_misses": sum(max(0, p.counts.misses - 1) for p in paths),
            "instructions": sum(code.n for code in codes), "guards": sum(code.guards for code in codes),
            "slots": sum(code.n for code in codes), "bytes": sum(code.nbytes for code in codes),
            "scheduled": sum(code.n for code in codes if code.schedule is not None),
            "runs": sum(code.schedule.runs for code in codes if code.schedule is not None),
            "python_calls": sorted({name for code in codes + derived for name in code.callbacks}),
            "seeds_by_one": sum(code.by_one for code in derived),
            "eager": [p.reason for p in paths if p.reason is not None],
        })

    def clear(self) -> None:
        """Forgets all paths."""
        if self._f is None:
            raise GuardError(f"{self._name} has no source and could not record its paths again")
        with self._lock:
            self._captures = None
            self._forget()

    def _forget(self):
        self._short, self._derivatives = set(), {}
        for paths in self._paths.values():
            paths.forget()
        self._paths = {}
        self.remember(None, None)

    def _repr_html_(self) -> str:
        return self.stats._repr_html_()  # type: ignore[attr-defined, no-any-return]

    # ---- files ----

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes what is recorded, without the source, to a file that `fastad.load` reads; docs/file-format.md describes it.

        The function may run once more for each path, to find its lines, and to see that it does the same with captured arrays as they are.

        TypeError, which names them, for functions that a replay calls in Python and for arguments that a file can not hold.
        """
        from . import container
        container.write(path, *self._packed())

    def _packed(self):
        """(head and text, arrays) of a file with all paths."""
        from . import files
        if self._f is not None and self._captures is not None and self._captures.changed():
            with self._lock:
                self._forget()
        with self._lock:
            signatures = list(self._paths.values())
        reasons = [paths.reason for paths in signatures if paths.reason is not None]
        if reasons:
            raise TypeError(f"{self._name} can not be saved: it runs eagerly, as {reasons[0]}")
        for paths in signatures:
            paths.keep_current()
            for code in list(paths.codes):
                paths.note_lines(code)
        if not any(paths.codes for paths in signatures):
            raise TypeError(f"{self._name} can not be saved: nothing is recorded yet; call it first, with arguments of every "
                            "kind and path that the file is to have")
        try:
            prefix, arrays = files.encode(self._name, self._fast_math, [paths for paths in signatures if paths.codes])
        except TypeError as error:
            raise TypeError(f"{self._name} can not be saved: {error}") from None
        try:
            files.decode(prefix, arrays, trusted=True)
        except FormatError as error:
            raise TypeError(f"{self._name} can not be saved: {error}") from None
        return prefix, arrays

    def __reduce_ex__(self, protocol: Any) -> Any:
        """The bytes of a file, the arrays out of band from protocol 5 on; what comes back has no source."""
        prefix, arrays = self._packed()
        if protocol >= 5:
            return _unpickled, (prefix, [pickle.PickleBuffer(x.reshape(-1).view(np.uint8)) for x in arrays])
        from . import container
        return _unpickled, (container.joined(prefix, arrays), None)

    def __copy__(self) -> "Program":
        return self

    def __deepcopy__(self, memo: Any) -> "Program":
        return self

    def __repr__(self) -> str:
        return f"<fastad program {self._name}: {sum(len(p.codes) for p in self._paths.values())} paths>"


# ---- derivatives behind a replay -----------------------------------------------------------------------------------------------

def _value_and_gradient(paths, chosen):
    code, replay = paths.run("gradient", chosen.inputs, chosen.arguments)
    [value] = replay.result(code.outputs)
    gradient = _reverse(code, replay, chosen, [1.0]) if code.numeric else replay.result()
    replay.finish()
    return _as_number(value), chosen.rebuild(gradient)


def _reverse(code, replay, chosen, adjoints):
    """Adjoints of the chosen inputs for adjoints of the results, behind a replay of "reverse"."""
    if code.numeric:
        return replay.reverse([x if isinstance(x, int) else -1 for x in code.outputs], adjoints, list(chosen.inputs))
    seeds = [_full(code, x, w) for x, w in zip(code.outputs, adjoints) if not isinstance(x, Plain)]
    return _sweep(code, replay, chosen, seeds)


def _tangent(code, replay, chosen, tangents, kind="tangent"):
    """Tangents of the results (for "product" of the gradient) for tangents of the chosen inputs."""
    if code.numeric and kind == "tangent":
        return replay.tangent(list(chosen.inputs), tangents, [x if isinstance(x, int) else -1 for x in code.outputs])
    if code.numeric_product:
        return replay.product(list(chosen.inputs), tangents, code.outputs[0] if isinstance(code.outputs[0], int) else -1)
    seeds = [_full(code, code.inputs[k], t) for k, t in zip(chosen.inputs, tangents)]
    results = _sweep(code, replay, chosen, seeds)
    if kind == "product":
        return results
    moving = iter(results)
    return [np.zeros_like(x.value) if isinstance(x, Plain) and isinstance(x.value, np.ndarray) else
            0.0 if isinstance(x, Plain) else next(moving) for x in code.outputs]


def _sweep(code, replay, chosen, seeds):
    """The instructions of a derivative behind those of the path, for seeds."""
    if replay.length == code.n:
        raise _RunEagerly                # nothing is recorded behind it: see `Paths.code_for`
    replay.start(seeds, len(chosen.arguments.leaves))
    if not replay.go_on(code.n):
        raise _RunEagerly
    return replay.result()


def _full(code, x, w):
    """A seed in full: zeros where it is None."""
    if w is not None or isinstance(x, int):
        return 0.0 if w is None else w
    shape, dtype = (x.operand if type(x) is Single else x).layout
    return np.zeros(shape, dtype)


def _jvp(paths, chosen, tangents):
    directions = chosen.flatten_like("jvp", "tangents", tangents)
    code, replay = paths.run("tangent", chosen.inputs, chosen.arguments)
    value = replay.result(code.outputs)
    tangent = _tangent(code, replay, chosen, directions)
    replay.finish()
    return unflatten(code.structure, value), unflatten_derivatives(code.structure, tangent)


def _vjp(paths, chosen):
    code, replay = paths.run("reverse", chosen.inputs, chosen.arguments)
    value = replay.result(code.outputs)
    lock = threading.Lock()

    def vjp_fun(cotangent):
        if scalar.tracing() and any(_leaves.is_active(x) for x in flatten(cotangent)[0]):
            raise TraceError("vjp_fun of a replayed program takes plain cotangents; inside a trace use fastad.vjp(f)")
        adjoints = transforms._seeds_like("vjp_fun", "the cotangent", cotangent, code.structure, value)
        with lock:
            try:
                return chosen.rebuild(_reverse(code, replay, chosen, adjoints))
            except _RunEagerly:
                if paths.f is None:
                    raise GuardError("a derivative of this program without source takes a path that it does not have") from None
        return transforms.vjp(paths.f, *chosen.arguments.args)[1](cotangent)

    weakref.finalize(vjp_fun, replay.finish).atexit = False
    return unflatten(code.structure, value), vjp_fun


def _hvp(paths, chosen, tangents):
    directions = chosen.flatten_like("hvp", "tangents", tangents)
    code, replay = paths.run("product", chosen.inputs, chosen.arguments)
    product = chosen.rebuild(_tangent(code, replay, chosen, directions, "product"))
    replay.finish()
    return product[0] if len(chosen.parts) == 1 else product


def _jacobian(paths, chosen, mode):
    leaves = chosen.leaves
    first = paths.last if paths.last is not None else paths.record(chosen.arguments, None)
    n, m = _leaves.count(leaves), _count(first.outputs)
    if mode == "forward" or (mode == "auto" and n < m):
        blocks: dict = {}
        for inputs in _apart(first, chosen, n):
            part = chosen if inputs == chosen.inputs else _Chosen.inputs_of(chosen.arguments, inputs)
            code, found = _blocks(paths, part, "tangent", n >= FEWEST_SEEDS)
            blocks.update(zip(inputs, zip(*found)))
        rows = list(zip(*[blocks[k] for k in chosen.inputs])) if blocks else []
    else:
        code, rows = _blocks(paths, chosen, "reverse", m >= FEWEST_SEEDS)
    return unflatten_derivatives(code.structure, [chosen.rebuild(list(row)) for row in rows])


def _apart(code, chosen, count):
    """The chosen inputs in groups whose tangents have a program of their own, so that what depends on other groups stays out of it."""
    large = [(k,) for k, leaf in zip(chosen.inputs, chosen.leaves) if _leaves.count([leaf]) >= OWN_PROGRAM]
    others = tuple(k for k in chosen.inputs if (k,) not in large)
    groups = [*large, others] if others else large
    return groups if 1 < len(groups) <= MOST_PROGRAMS and count >= FEWEST_SEEDS and not code.numeric and not code.draws else [chosen.inputs]


def _blocks(paths, chosen, kind, several):
    """(Code, entries of the Jacobian by result and chosen input)"""
    leaves = chosen.leaves
    code, replay = paths.run(kind, chosen.inputs, chosen.arguments, several or kind == "tangent", several)
    value = replay.result(code.outputs)
    if replay.is_wide:
        blocks = _wide_blocks(code, replay, chosen, kind, value)
    elif several and code.takes_lanes:
        slots = [slot for x, y in zip(code.outputs, value) for slot in ([x] if isinstance(x, int) else [-1] * _leaves.count([y]))]
        matrix = (replay.columns if kind == "tangent" else replay.rows)(list(chosen.inputs), slots)
        blocks = _leaves.blocks_of(matrix, value, leaves)
    elif kind == "tangent":
        columns = [_tangent(code, replay, chosen, unit) for unit in _leaves.units(leaves)]
        blocks = _leaves.blocks(value, leaves, columns=columns)
    else:
        rows = [_reverse(code, replay, chosen, unit) for unit in _leaves.units(value)]
        blocks = _leaves.blocks(value, leaves, rows=rows)
    replay.finish()
    return code, blocks


def _hessian(paths, chosen):
    leaves = chosen.leaves
    several = _leaves.count(leaves) >= FEWEST_SEEDS
    code, replay = paths.run("product", chosen.inputs, chosen.arguments, True, several)
    if replay.is_wide:
        blocks = _wide_blocks(code, replay, chosen, "product", leaves)
    elif code.takes_lanes and code.numeric_product and several:
        matrix = replay.curvature(list(chosen.inputs), code.outputs[0] if isinstance(code.outputs[0], int) else -1)
        blocks = _leaves.blocks_of(matrix, leaves, leaves)
    else:
        columns = [_tangent(code, replay, chosen, unit, "product") for unit in _leaves.units(leaves)]
        blocks = _leaves.blocks(leaves, leaves, columns=columns)
    replay.finish()
    return chosen.rebuild([chosen.rebuild(row) for row in blocks])


def _wide_blocks(code, replay, chosen, kind, value):
    """Entries by result (a leaf of `value`) and chosen input, as of `_leaves.blocks`, behind a replay for several seeds."""
    columns = kind != "reverse"
    tables = replay.derivatives(len(chosen.arguments.leaves), columns)
    if tables is None:
        raise _RunEagerly
    moving = [k for k in range(len(value)) if kind == "product" or not isinstance(code.outputs[k], Plain)]
    order = dict(zip(moving, range(len(moving))))
    blocks = []
    for k, leaf in enumerate(value):
        if k not in order:
            blocks.append([_leaves.zero_block(leaf, x, x if kind == "reverse" else leaf) for x in chosen.leaves])
        elif columns:
            blocks.append([_leaves.block(tables[j][order[k]], leaf, x) for j, x in enumerate(chosen.leaves)])
        else:
            blocks.append([_leaves.block(table, leaf, x) for x, table in zip(chosen.leaves, tables[order[k]])])
    return blocks


def _count(outputs):
    """How many numbers a result is."""
    total = 0
    for x in outputs:
        shape = () if isinstance(x, (int, Single)) else np.shape(x.value) if isinstance(x, Plain) else x.layout[0]
        total += int(np.prod(shape))
    return total


class _Chosen:
    """The arguments of a call of which some are differentiated."""

    __slots__ = ("arguments", "parts", "single", "inputs")

    @classmethod
    def of(cls, name, argnums, args, kwargs):
        """None for arguments that can not be differentiated by: the eager transform says why."""
        if isinstance(argnums, range):
            positions, single = list(argnums), False
        else:
            positions, single = transforms._positions(name, argnums, len(args))
        self = cls()
        self.arguments, self.single = Arguments(args, kwargs), single
        self.parts = self.arguments.parts(positions)
        if self.parts is None:
            return None
        self.inputs = tuple(k for _, start, stop in self.parts for k in range(start, stop))
        if not all(_leaves.can_be_input(self.arguments.leaves[k]) for k in self.inputs):
            return None
        return self

    @classmethod
    def inputs_of(cls, arguments, inputs):
        """These inputs, for the sweeps alone."""
        self = cls()
        self.arguments, self.inputs = arguments, tuple(inputs)
        return self

    @property
    def leaves(self):
        return [self.arguments.leaves[k] for k in self.inputs]

    def rebuild(self, numbers):
        """Derivatives by the chosen arguments in their structure."""
        numbers = _leaves.typed_as(self.leaves, numbers)
        trees, at = [], 0
        for structure, start, stop in self.parts:
            trees.append(unflatten_derivatives(structure, numbers[at:at + stop - start]))
            at += stop - start
        return trees[0] if self.single else tuple(trees)

    def flatten_like(self, transform, what, trees):
        if not isinstance(trees, (tuple, list)) or len(trees) != len(self.parts):
            raise TypeError(f"{transform}: {what} must be a tuple with one entry per primal ({len(self.parts)})")
        numbers = []
        leaves = self.arguments.leaves
        for k, (tree, (structure, start, stop)) in enumerate(zip(trees, self.parts)):
            numbers += transforms._seeds_like(transform, f"{what}[{k}]", tree, structure, leaves[start:stop])
        return numbers


def _moves(x):
    """Whether a leaf of a result is one of the numbers and arrays that a call instruction gives."""
    return not isinstance(x, Plain) or calls.moves(x.value)


def _is_scalar(code):
    if code.structure is not NUMBER:
        return False
    [x] = code.outputs
    if isinstance(x, Plain):
        return _leaves.is_number(x.value)
    return isinstance(x, int) or (type(x) is Single or x.layout[0] == ())


def _as_number(value):
    value = _leaves.single(value)
    return value if isinstance(value, np.float32) else float(value)


def load(path: str | os.PathLike[str], *, max_bytes: int | None = None) -> Program:
    """The program in a file that `Program.save` has written: without its source, with the paths in the file and no others.

    Nothing in a file is run as code, and everything in it is checked before it is used: FormatError for what is no program, or a
    damaged one. Arguments that take another path are a GuardError. A file may ask for arrays in some proportion to its own size;
    what goes beyond that is refused unless `max_bytes`, in bytes per path, allows it.
    """
    from . import files
    with open(path, "rb") as file:
        return _program_of(*files.decode(file.read(), None, max_bytes))


def _unpickled(data: Any, buffers: Sequence[Any] | None) -> Program:
    """What pickle calls."""
    from . import files
    return _program_of(*files.decode(data, buffers))


def _program_of(name, fast_math, signatures):
    program = Program(None, fast_math)
    program._name = name
    for key, found, last in signatures:
        paths = program._paths[key] = Paths(None, Captures(None), key, [], fast_math)
        paths.restore(found, last)
    return program


@overload
def record(f: Callable[..., Any], *example_args: Any, fast_math: bool = False) -> Program: ...
@overload
def record(f: None = None, *, fast_math: bool = False) -> Callable[[Callable[..., Any]], Program]: ...
def record(f: Callable[..., Any] | None = None, *example_args: Any, fast_math: bool = False) -> Any:
    """f as a Program: recorded once per path, replayed from then on; recorded now if example arguments are given.

    Also a decorator, with or without arguments, of functions and methods.
    """
    if f is None:
        return functools.partial(record, fast_math=fast_math)
    if not callable(f):
        raise TypeError(f"record needs a function, not {type(f).__name__}"
                        + ("; put @classmethod above @fastad.record" if isinstance(f, classmethod) else ""))
    program = Program(f, fast_math)
    if example_args:
        program._prepare(example_args)
    return program
