"""Random numbers: draws from a NumPy Generator that the function was given or has captured are instructions, drawn anew in replays."""

import contextlib

import numpy as np

from ..arrays import active
from ..arrays.functions import holds_active
from ..core import scalar

_DRAWS = [name for name in dir(np.random.Generator) if not name.startswith("_") and name not in ("bit_generator", "spawn")]
_IN_PLACE = {"shuffle"}


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
            x[...] = active.record_tracked(getattr(self._generator, "permutation"), (x, *args[1:]), kwargs,
                                           self._generator.permutation(active.plain(x)), True)
            return None
        plain_args, plain_kwargs = active.plain_arguments(args, kwargs)
        return active.record_tracked(method, args, kwargs, method(*plain_args, **plain_kwargs), True)
    draw.__name__ = name
    return draw


for _name in _DRAWS:
    setattr(RecordedGenerator, _name, _recorded(_name))


@contextlib.contextmanager
def watched(captures):
    """While a function is recorded, the generators it has captured record their draws."""
    undo = captures.replace_generators(RecordedGenerator) if captures is not None else None
    try:
        yield
    finally:
        if undo is not None:
            undo()
