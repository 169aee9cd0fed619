"""lorenz: where a trajectory of Lorenz's equations ends, on plain numbers; the gradient by start and parameters."""

import numpy as np

from bench.workloads.problem import workload

STEP = 0.002


def end(start, parameters, steps):
    """Returns x after `steps` steps of Runge and Kutta's method from [x, y, z], for [sigma, rho, beta]."""
    state = start
    for _ in range(steps):
        state = step(state, parameters)
    return state[0]


def step(state, parameters):
    a = slope(state, parameters)
    b = slope(moved(state, 0.5 * STEP, a), parameters)
    c = slope(moved(state, 0.5 * STEP, b), parameters)
    d = slope(moved(state, STEP, c), parameters)
    return [s + STEP / 6.0 * (p + 2.0 * q + 2.0 * r + t) for s, p, q, r, t in zip(state, a, b, c, d)]


def slope(state, parameters):
    (x, y, z), (sigma, rho, beta) = state, parameters
    return [sigma * (y - x), x * (rho - z) - y, x * y - beta * z]


def moved(state, step, slopes):
    return [s + step * d for s, d in zip(state, slopes)]


# The slope of a state s is x * (TURN @ s) + A @ s, where A is a sum of these matrices times 1, sigma, rho and beta.
TURN = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
PARTS = np.zeros((4, 3, 3))
PARTS[[0, 1, 1, 2, 3], [1, 0, 0, 1, 2], [1, 0, 1, 0, 2]] = -1.0, -1.0, 1.0, 1.0, -1.0


def end_of_array(state, parameters, steps):
    """Returns the same for arrays: for tools that take long over any operation."""
    linear = PARTS[0] + sum(parameter * part for parameter, part in zip(parameters, PARTS[1:]))

    def slope(state):
        return linear @ state + state[0] * (TURN @ state)

    for _ in range(steps):
        a = slope(state)
        b = slope(state + 0.5 * STEP * a)
        c = slope(state + 0.5 * STEP * b)
        d = slope(state + STEP * c)
        state = state + STEP / 6.0 * (a + 2.0 * (b + c) + d)
    return state[0]


PROBLEM = workload("lorenz", end, (0, 1), lambda steps: ([1.0, 2.0, 3.0], [10.0, 28.0, 8.0 / 3.0], steps), ((20,), (2000,)))
