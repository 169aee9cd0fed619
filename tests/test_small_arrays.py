"""Programs of very many small arrays: what it takes to record them grows as they do."""

import time

import numpy as np
import pytest

import fastad


def recurrence(steps):
    """A function of a matrix of weights and a state that goes through so many steps of a small network."""
    def f(weights, state):
        total = 0.0
        for k in range(steps):
            row = weights[k % len(weights)]
            gate = 1.0 / (1.0 + np.exp(-(state * row[:5] + row[5:])))
            state = gate * np.tanh(state) + (1.0 - gate) * row[:5]
            total = total + np.sum(state * gate)
        return total
    return f


def processor_time(work):
    start = time.process_time()
    work()
    return time.process_time() - start


@pytest.mark.parametrize("kind", ["value", "grad"])
def test_recording_is_linear(kind):
    """Eight times as many records take eight times as long, with room for what else the machine does."""
    weights, state = np.random.default_rng(0).normal(size=(7, 10)), np.linspace(-1.0, 1.0, 5)

    def recorded(steps):
        F = fastad.record(recurrence(steps))
        F(weights, state)
        return processor_time(lambda: F.grad(weights, state)) if kind == "grad" else processor_time(lambda: fastad.record(recurrence(steps))(weights, state))

    recorded(10)
    few = min(recorded(200) for _ in range(3))
    assert recorded(1600) < 8 * 2.5 * few
