"""Random numbers: draws from a NumPy Generator that is an argument or captured are instructions, drawn anew in replays."""

import contextlib
import ctypes
import random
import sys

import numpy as np

from ..arrays import active
from ..arrays.functions import holds_active
from ..core import scalar

_DRAWS = [name for name in dir(np.random.Generator) if not name.startswith("_") and name not in ("bit_generator", "spawn")]
_IN_PLACE = {"shuffle"}
_TWISTER_BYTES = 624 * 4 + 4               # key and position


class RecordedGenerator(np.random.Generator):
    """Stands for a generator while a function is recorded: the same stream of numbers."""

    def __init__(self, generator):
        super().__init__(generator.bit_generator)
        self._generator = generator

    def __reduce__(self):
        return self._generator.__reduce__()


def _recorded(name):
    def draw(self, *args, **kwargs):
        method = getattr(self._generator, name)
        if not scalar.recording():
            return method(*args, **kwargs)
        if name in _IN_PLACE or kwargs.get("out") is not None:
            x = args[0] if name in _IN_PLACE else kwargs["out"]
            if not holds_active(x):
                from ..errors import TraceError, user_line
                place, code = user_line()
                raise TraceError(f"{code} at {place} writes random numbers into a plain array, which a replay would not see; "
                                 "use the result of rng.permutation(x), or of a call without out=")
            x[...] = active.record_tracked(self._generator.permutation, (x, *args[1:]), kwargs,
                                           self._generator.permutation(active.plain(x)), True)
            return None
        plain_args, plain_kwargs = active.plain_arguments(args, kwargs)
        result = method(*plain_args, **plain_kwargs)
        if isinstance(result, bytes):
            from ..errors import TraceError, user_line
            place, code = user_line()
            raise TraceError(f"{code} at {place} gives bytes, which can not be recorded for replay; draw numbers")
        return active.record_tracked(method, args, kwargs, result, True)
    draw.__name__ = name
    return draw


for _name in _DRAWS:
    setattr(RecordedGenerator, _name, _recorded(_name))


@contextlib.contextmanager
def watched(*captures):
    """While a function is recorded, the generators it has captured record their draws."""
    undo = [known.replace_generators(RecordedGenerator) for known in captures]
    try:
        yield
    finally:
        for put_back in reversed(undo):
            if put_back is not None:
                put_back()


class Streams:
    """The random numbers that a function can draw from, as they were before it was recorded.

    `everywhere`: also those that code which is not followed may draw from: reading their state takes longer than most functions.
    """

    def __init__(self, *captures, everywhere=True):
        found = [stream for known in captures for stream in known.streams]
        self._hidden = {id(stream) for known in captures for stream in known.hidden}
        self._states = [(stream, _state(stream)) for stream in {id(stream): stream for stream in found}.values()]
        self._memory = None
        if everywhere:
            self._states += [(random, _state(random)), (np.random, _state(np.random))]
            self._memory = _memory_of(self._states[-1][1])
        self._moved = None                 # found once

    def moved(self):
        """Those that gave numbers since."""
        return [stream for stream, state in self._states if not self._rests(stream, state)]

    def _rests(self, stream, state):
        """Whether a stream is in a state still."""
        if stream is np.random and self._memory is not None and _memory_of(None) == self._memory:
            return True
        return _equal(_state(stream), state)

    def frozen(self):
        """What a function drew from that a replay would not: a text, None if it did not."""
        self._moved = self.moved()
        for stream in self._moved:
            if stream is random or isinstance(stream, random.Random):
                return "`random`"
            if stream is np.random or isinstance(stream, np.random.RandomState):
                return "numpy.random's own functions or a RandomState"
            if id(stream) in self._hidden:
                return "a Generator that is kept in a tuple, a partial or as a method of its own"
        return None

    def restore(self):
        """Puts them back, for the run that counts."""
        moved = self.moved() if self._moved is None else self._moved
        for stream, state in self._states:
            if any(stream is other for other in moved):
                _set_state(stream, state)
        self._moved = None


def _state(stream):
    if isinstance(stream, np.random.Generator):
        return stream.bit_generator.state
    return stream.getstate() if stream is random or isinstance(stream, random.Random) else stream.get_state(legacy=False)


def _memory_of(state):
    """The Mersenne twister of numpy.random's own functions as it stands in memory, which takes a hundredth of the time of its state.

    None if it does not stand there in the form of `state` (if that is not None), or if a draw could leave it as it is: where the
    second normal number of a pair is waiting.
    """
    generator = np.random.get_bit_generator()
    if type(generator) is not np.random.MT19937:
        return None
    memory = ctypes.string_at(generator.ctypes.state_address, _TWISTER_BYTES)
    if state is None:
        return memory
    twister = state["state"]
    same = memory == twister["key"].tobytes() + int(twister["pos"]).to_bytes(4, sys.byteorder)
    return memory if same and not state["has_gauss"] else None


def _set_state(stream, state):
    if isinstance(stream, np.random.Generator):
        stream.bit_generator.state = state
    elif stream is random or isinstance(stream, random.Random):
        stream.setstate(state)
    else:
        stream.set_state(state)


def _equal(one, other):
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
    if isinstance(one, np.ndarray):
        return np.array_equal(one, other)
    if isinstance(one, tuple) and any(isinstance(x, np.ndarray) for x in one):
        return all(map(_equal, one, other))
    return one == other
