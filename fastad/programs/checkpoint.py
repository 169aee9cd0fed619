"""Checkpoints: a function whose inner tape is not kept, and which runs again when its derivative is asked for.

Memory is that of its arguments and results, time one more run of the function in each sweep. (Griewank and Walther, Evaluating
Derivatives, 2nd ed. 2008, chapter 12.)
"""

import functools
import threading
from collections.abc import Callable
from typing import Any

from .. import transforms
from ..core import scalar
from ..errors import StaleError, TraceError
from ..pytrees import flatten, unflatten
from . import calls
from .captures import Captures
from .closures import lifted
from .draws import Streams
from .program import Program
from .signature import Arguments


class EagerBody(calls.Body):
    """A function at arguments of one signature, which runs for every sweep: in traces that are not recorded."""

    def __init__(self, f, arguments):
        self.f, self.arguments = f, arguments
        self.kinds = calls.kinds_of(arguments.leaves)
        self.found = self.streams = None
        self.__name__ = transforms._name(f)

    def flat(self):
        return calls.Flat(self.f, self.arguments)

    def derivative(self, kind, chosen):
        f = calls.Derivative(kind, self.flat(), chosen)
        return lambda leaves, seeds: _eager_call(f, (leaves, seeds), {})

    def values(self, leaves):
        with scalar.Suspended():
            before = self.random_numbers()
            found = self.flat().values(self.at(leaves).leaves)
            self.streams = before if before.moved() else None
            return found

    def random_numbers(self):
        return Streams(Captures(self.f), Captures(None, self.arguments.kept))

    def reverse(self, leaves, w, chosen, recording):
        if recording:
            return super().reverse(leaves, w, chosen, True)
        return self.again(lambda: self.flat().reverse(self.at(leaves).leaves, w, chosen, self.check))

    def tangent(self, leaves, t, chosen, recording):
        if recording:
            return super().tangent(leaves, t, chosen, True)
        tangents = iter(self.again(lambda: self.flat().tangent(self.at(leaves).leaves, t, chosen, self.check)))
        return [next(tangents) if smooth else None for smooth in self.smooth]

    def again(self, run):
        """What `run` gives, which meets the random numbers that the first run met."""
        with scalar.Suspended():
            if self.streams is None:
                return run()
            now = self.random_numbers()
            self.streams.restore()
            try:
                return run()
            finally:
                now.restore()


def _eager_call(f, args, kwargs):
    """A call of f inside a trace that is not recorded, as one instruction."""
    leaves, structure = flatten([list(args), kwargs])
    plain_args, plain_kwargs = unflatten(structure, [calls._argument(x) for x in leaves])
    arguments = Arguments(plain_args, plain_kwargs)
    return calls.apply(EagerBody(f, arguments.with_leaves(arguments.leaves)), calls.inputs_among(leaves, arguments))


class _Opened:
    """A lifted function, its arguments in three nestings."""

    def __init__(self, f, name):
        self.f, self.__name__ = f, name

    def __call__(self, captured, args, kwargs):
        return self.f(captured, *args, **kwargs)


class Checkpointed:
    """What `checkpoint` gives."""

    def __init__(self, f: Callable[..., Any]):
        self.__wrapped__ = f
        self._program: Program | None = f if isinstance(f, Program) else None
        self._lock = threading.Lock()
        functools.update_wrapper(self, f, updated=())

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else Checkpointed(self.__wrapped__.__get__(instance, owner))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        f = self.__wrapped__
        if not scalar.tracing() or scalar.is_watched():
            return f(*args, **kwargs)
        try:
            if self._program is not None:
                return calls.call(self._program, args, kwargs, always=True)
            g, captured = lifted(f)
            if not captured:
                return self._call(f, args, kwargs)
            return self._call(_Opened(g, transforms._name(f)), (captured, list(args), kwargs), {})
        except calls.NoCall:
            return f(*args, **kwargs)
        except StaleError as error:
            raise TraceError(f"{error}. fastad.checkpoint runs {transforms._name(f)} in a trace of its own: pass it the values of "
                             "the outer one as arguments") from None

    def _call(self, f, args, kwargs):
        if not scalar.recording():
            return _eager_call(f, args, kwargs)
        if f is not self.__wrapped__:
            return calls.call(Program(f), args, kwargs, always=True)
        with self._lock:
            if self._program is None:
                self._program = Program(f)
        return calls.call(self._program, args, kwargs, always=True)


def checkpoint(f: Callable[..., Any]) -> Checkpointed:
    """f, of which a trace keeps arguments and results only: its inner values are computed anew when a derivative is asked for.

    Eager and recorded, to any order, one inside the other. Values of the trace that f has captured count as arguments where they are
    in its closure or that of a function it has captured, in nestings too; elsewhere they are a TraceError. Random numbers are the
    same in each run. A function that gives other results the second time is a TraceError.

        >>> fastad.grad(lambda w: loss(fastad.checkpoint(block)(fastad.checkpoint(block)(w))))(w)
    """
    if not callable(f):
        raise TypeError(f"checkpoint needs a function, not {type(f).__name__}")
    return Checkpointed(f)
