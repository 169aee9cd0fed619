"""Clocks for the benchmarks: best-of timings, and ratios whose two sides alternate in one run.

The minimum is reported because noise only ever adds time. The cyclic garbage collector is emptied before and
disabled during every timed block, as `timeit` does, so that reference cycles left behind are not charged.
"""

import contextlib
import gc
import math
import time
from typing import NamedTuple


class Comparison(NamedTuple):
    """Best seconds per call of two functions, and the first divided by the second (dimensionless)."""

    first: float
    second: float
    ratio: float


@contextlib.contextmanager
def collector_off():
    """Empties the garbage collector, keeps it disabled inside the block, restores its state afterwards."""
    was_enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def once(function, number=1):
    """Returns the seconds per call of `number` consecutive calls of `function`, measured one time."""
    calls = range(number)
    with collector_off():
        start = time.perf_counter()
        for _ in calls:
            function()
        return (time.perf_counter() - start) / number


def calls_for(function, seconds=0.02):
    """Returns how many calls of `function` last at least `seconds`; calling it at least once warms it up."""
    number = 1
    while True:
        elapsed = once(function, number) * number
        if elapsed >= seconds:
            return number
        number = max(number + 1, math.ceil(number * min(10.0, 1.2 * seconds / max(elapsed, 1e-9))))


def best_of(function, repeat=5, number=None):
    """Returns the least seconds per call over `repeat` blocks of `number` calls (default: 20 ms of them)."""
    number = number or calls_for(function)
    return min(once(function, number) for _ in range(repeat))


def ratio(a, b, rounds=5, number=None, pause=0.0):
    """Returns the `Comparison` of a with b: best seconds per call of each, and a's over b's.

    One block of a and one of b alternate `rounds` times, so that a slow spell of the machine hits both.
    `number` is the pair of calls per block, by default enough for 20 ms each. Before each block there are `pause` seconds: threads
    that a library keeps may be awake for so long after its last call, in the way of the other's.
    """
    number_a, number_b = number or (calls_for(a), calls_for(b))
    first = second = math.inf
    for _ in range(rounds):
        time.sleep(pause)
        first = min(first, once(a, number_a))
        time.sleep(pause)
        second = min(second, once(b, number_b))
    return Comparison(first, second, first / second)
