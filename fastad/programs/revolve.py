"""Binomial checkpointing: the order in which a chain of steps is reversed with a few of its states kept.

t(l, s), the least number of steps forward that reverse l steps with s states kept, the first among them, is

    t(l, s) = min over m of m + t(l - m, s - 1) + t(m, s) = r l - beta(s + 1, r - 1)       beta(s, r) = (s + r)! / (s! r!)

where r is the number with beta(s, r - 1) < l <= beta(s, r): no step is taken more than r times. Reversing a step from the state
before it counts as none. (Griewank and Walther, Algorithm 799: revolve, ACM TOMS 26, 2000.)
"""

from collections.abc import Iterator
from math import comb

STORE, RESTORE, ADVANCE, REVERSE = "store", "restore", "advance", "reverse"


def beta(states: int, repetitions: int) -> int:
    """The greatest number of steps that can be reversed with this many states if none is taken more often than that."""
    return comb(states + repetitions, states) if repetitions >= 0 else 0


def repetitions(steps: int, states: int) -> int:
    """How often a step is taken at most: the r above."""
    low, high = 0, 1
    while beta(states, high) < steps:
        low, high = high, 2 * high
    while low < high:
        middle = (low + high) // 2
        if beta(states, middle) < steps:
            low = middle + 1
        else:
            high = middle
    return low


def least_forward_steps(steps: int, states: int) -> int:
    """t(steps, states)."""
    r = repetitions(steps, states)
    return r * steps - beta(states + 1, r - 1)


def split(steps: int, states: int) -> int:
    """How far to go before the next state is kept: the greatest m at which the minimum is taken, which leaves long stretches of
    which all states can be kept at once.
    """
    r = repetitions(steps, states)
    return min(beta(states, r - 1), steps - beta(states - 1, r - 1))


def states_for(steps: int, repeated: int = 2) -> int:
    """The fewest states with which no step is taken more than `repeated` times."""
    low, high = 1, max(1, steps)
    while low < high:
        middle = (low + high) // 2
        if beta(middle, repeated) < steps:
            low = middle + 1
        else:
            high = middle
    return low


def schedule(steps: int, states: int) -> Iterator[tuple[str, int, int]]:
    """What to do to reverse a chain of steps with at most `states` states kept, in order.

    ("store", i, k)     keep the state before step i, where one is, as number k
    ("restore", i, k)   go to that state again
    ("advance", i, j)   from the state before step i to that before step j
    ("reverse", i, j)   reverse steps j - 1 to i from the state before step i, where one is; the states between are kept meanwhile
    """
    if states < 1:
        raise ValueError(f"checkpoints must be at least 1, not {states}")
    kept = [0]
    end, at = steps, 0
    if steps:
        yield STORE, 0, 0
    while end:
        if at != kept[-1]:
            at = kept[-1]
            yield RESTORE, at, len(kept) - 1
        # The state before the last of the steps is where one is then, and need not be kept.
        while end - at - 2 > states - len(kept):
            free = states - len(kept)
            to = at + split(end - at, free + 1) if free else end - 1
            yield ADVANCE, at, to
            at = to
            if free:
                kept.append(at)
                yield STORE, at, len(kept) - 1
        yield REVERSE, at, end
        end, at = at, -1
        if kept[-1] == end:
            kept.pop()
