"""The paths of one signature: replaying the one taken last, going over to others at guards, recording those that are new."""

import threading
import weakref

import numpy as np

from .. import leaves as _leaves
from ..core import scalar
from ..errors import FormatError, GuardError, TraceError
from ..pytrees import unflatten
from .branches import generators, is_scalar, owner, prepare
from .captures import Captures
from .code import Code, Counts, Plain, Replay, first_difference, outcome_recorded, values_noted
from .draws import Streams
from .recording import derive, made_by_the_function, note_lines, record_path
from .signature import Arguments

MAX_PATHS = 256          # per signature; the one not used for longest makes room
FORGOTTEN = 1 << 20      # bytes of arrays from which on a path lets go of their values, and a derivative runs it once more for them
PATIENCE = 64            # misses in a row, or more misses than hits after that, before a signature runs eagerly

SCALAR = ("gradient", "product", "elements")       # derivatives of a single number


class RunEagerly(Exception):
    """A replay can not go on; the function itself must run."""


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
        """(Code, Replay at its end) for these arguments; RunEagerly if they must be computed without a program.

        `plain` is for sweeps over the instructions as they are, which want the value of each, `several` for several seeds.
        """
        if self.reason is not None:
            raise RunEagerly
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
                    raise RunEagerly
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
                if replay.error is not None:
                    raise replay.error
                self.without_source(code, kind, differentiated, at, attempts)
                attempts += 1
                continue
            for generator, state in states.values():
                generator.bit_generator.state = state
            attempts += 1
            if at >= code.n or attempts > 3:
                # A decision of a derivative's own, or a function that does not repeat itself.
                self.miss("it takes another path each time it is run with the same arguments" if attempts > 3 else None)
                raise RunEagerly
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
                or kind in SCALAR and not is_scalar(code):
            if self.f is None:
                raise TypeError("the result of this program must be " + (
                    "a single number for a gradient; use jacobian for several" if kind in SCALAR else
                    "made of numbers and arrays for a derivative"))
            raise RunEagerly            # the eager transform says what is wrong
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
            except ImportError:
                raise               # says what to install; once it is there the program goes on
            except Exception as error:
                if self.f is None and isinstance(error, (AttributeError, LookupError)):
                    # Only what is in the file can lead there.
                    raise FormatError(f"the program can not be used: a derivative of it can not be computed ({error})") from error
                if self.f is None:
                    raise
                # The eager transform decides whether that is the user's error.
                self.give_up(f"its derivative can not be recorded: {error}")
                raise RunEagerly from None
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
        except RunEagerly:
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
        return owner(code, at).owner.siblings.get(at, {}).get(outcome)

    def beside(self, target, at, outcome):
        """What goes on for another outcome of a guard on a path, or on what is behind it; None if that is not known."""
        kind, differentiated, path = target.owner if type(target.owner) is tuple else ("value", (), lambda: target)
        code = path()
        # A path may have been dropped by another thread while what is behind it was replayed here.
        other = self.sibling(code, at, outcome) if code is not None and at < code.n else None
        try:
            return None if other is None or not self.is_current(other) else self.code_for(other, kind, differentiated)
        except RunEagerly:
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
            for generator in generators(code):
                if id(generator) not in known:
                    known[id(generator)] = generator, generator.bit_generator.state
        return known

    # ---- recording ----

    def record(self, arguments, beside, counted=True):
        """Runs f and adds its path. RunEagerly if f can not be recorded."""
        if counted:
            self.miss()
        captured = self.captured()
        for known in captured:
            if known.unrepeatable is not None:
                self.give_up(known.unrepeatable)
        if self.reason is not None:
            raise RunEagerly
        streams = Streams(*captured, everywhere=not (arguments.plain and all(known.closed for known in captured)))
        self.look_at_arrays()
        version = self.version
        try:
            with scalar.Suspended():
                code = record_path(self.f, arguments, captured, beside, not arguments.only_numbers, self.fast)
        except TraceError as error:
            streams.restore()
            self.give_up(str(error))
            raise RunEagerly from None
        frozen = streams.frozen()
        # The run that counts is the replay, or the function's own.
        streams.restore()
        if frozen is not None:
            self.give_up(f"it draws random numbers from {frozen}, which a replay can not; use a numpy.random.Generator that is "
                         "an argument, a variable or an attribute")
            raise RunEagerly
        made = made_by_the_function(code, arguments, captured)
        if made is not None:
            self.give_up(f"its result holds an object that it made, of type {type(made).__name__}, which a replay can not make again; "
                         "return numbers, arrays, and nestings of them")
            raise RunEagerly
        if not all([known.contents.unchanged() for known in captured]):
            self.give_up("it writes into an array that it has captured, which a replay would not")
            raise RunEagerly
        for known in captured:
            known.settle()
        code.forget(FORGOTTEN)
        prepare(code)
        code.owner.version = version
        if any(known.contents.arrays for known in captured):
            code.owner.arguments = arguments.with_leaves([x.copy() if isinstance(x, np.ndarray) else x for x in arguments.leaves])
        if self.example is None and arguments.only_numbers:
            self.example = arguments
        return self.publish(code, counted)

    def restore(self, found, last):
        """Makes these the paths: (Code, number of its parent or -1, fork) each, and the one that was taken last."""
        for code, parent, fork in found:
            prepare(code)
            if parent >= 0:
                before = self.codes[parent]
                code.owner.parent, code.owner.fork = before, fork
                siblings = owner(before, fork).owner.siblings.setdefault(fork, {outcome_recorded(before, fork): before})
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
                siblings = owner(before, at).owner.siblings.setdefault(at, {outcome_recorded(before, at): before})
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
            siblings = owner(oldest.owner.parent, oldest.owner.fork).owner.siblings[oldest.owner.fork]
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
                except RunEagerly:
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


def _sweeps_serve(code, kind):
    """Whether numeric sweeps over a path give this derivative."""
    return code.numeric_product if kind == "product" else code.numeric and kind != "elements"
