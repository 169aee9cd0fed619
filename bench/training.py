"""Two training runs of one model side by side: their losses, their times, and how far they drift apart."""

import itertools
import statistics
from typing import NamedTuple


class Step(NamedTuple):
    """One training step: its loss, the seconds of loss and gradient, those of it all, the new parameters."""

    loss: float
    gradient_seconds: float
    step_seconds: float
    parameters: object


class Run:
    """A training in progress: takes `Step`s from an iterator, keeps losses, times and the last parameters."""

    def __init__(self, steps):
        self.steps = iter(steps)
        self.losses = []
        self.gradient_seconds = []
        self.step_seconds = []
        self.parameters = None

    def advance(self, count, after_step):
        """Takes up to `count` steps and calls `after_step()` after each."""
        for step in itertools.islice(self.steps, count):
            self.losses.append(step.loss)
            self.gradient_seconds.append(step.gradient_seconds)
            self.step_seconds.append(step.step_seconds)
            self.parameters = step.parameters
            after_step()

    @property
    def median(self):
        """The median seconds of a whole step."""
        return statistics.median(self.step_seconds)

    @property
    def best(self):
        """The least seconds of a whole step."""
        return min(self.step_seconds)


def alternate(first, second, steps, after_step, block=20):
    """Advances both runs by `steps`, in turns of `block`: a slow spell of the machine hits both."""
    for start in range(0, steps, block):
        count = min(block, steps - start)
        first.advance(count, after_step)
        second.advance(count, after_step)


def speedups(slow, fast):
    """Returns how many times longer the slow run took (dimensionless): loss and gradient, whole steps.

    Only the steps that both runs took count.
    """
    common = min(len(slow.losses), len(fast.losses))
    return (
        sum(slow.gradient_seconds[:common]) / sum(fast.gradient_seconds[:common]),
        sum(slow.step_seconds[:common]) / sum(fast.step_seconds[:common]),
    )


def largest_difference(slow, fast):
    """Returns the largest relative difference of two runs' losses at the same step (dimensionless)."""
    return max(abs(a - b) / max(abs(a), abs(b)) for a, b in zip(slow.losses, fast.losses))
