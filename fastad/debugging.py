"""fastad.debug: NaN and infinity as errors, with the user's line."""

import contextlib
import contextvars
import threading
from collections.abc import Iterator
from typing import Any

from .core import scalar

_debugging = contextvars.ContextVar("fastad.debug", default=False)
_lock = threading.Lock()
_contexts = 0


@contextlib.contextmanager
def debug() -> Iterator[None]:
    """A context in which the first NaN or infinity is a FloatingPointError with the user's file, line and expression.

    Every transform and every program called in it looks at all values of the function when it has run, and at all adjoints
    of a reverse sweep: the error names the first operation whose operands are finite and whose result is not, with their
    values, or whose derivative is not. Inputs that are not finite are named as such. Masked-out elements count too, as in
    `np.where(x > 0, np.log(x), 0)`. It holds for this thread, or task of asyncio, and is slow.

        >>> with fastad.debug():
        ...     fastad.grad(f)(0.0)
        FloatingPointError: the derivative of sqrt(0) = 0 is inf: math.sqrt(x) at model.py:12
    """
    _count(1)
    token = _debugging.set(True)
    try:
        yield
    finally:
        _debugging.reset(token)
        _count(-1)


def _count(step: int) -> None:
    global _contexts
    with _lock:
        _contexts += step
        scalar.set_watch(_contexts, _open)


def is_on() -> bool:
    """Whether this thread or task is in a context of `debug`."""
    return _debugging.get()


def _open(trace: Any) -> None:
    """A trace was opened while some thread is in such a context."""
    if is_on() and not trace.recording:
        from .programs.watching import TraceWatch
        trace.watch = TraceWatch(trace.tape, is_on)
