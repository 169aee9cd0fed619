"""lorenz: where a trajectory of Lorenz's equations ends, on plain numbers; the gradient by start and parameters."""

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


PROBLEM = workload("lorenz", end, (0, 1), lambda steps: ([1.0, 2.0, 3.0], [10.0, 28.0, 8.0 / 3.0], steps), ((20,), (2000,)))
