"""nbody: how far bodies end from where they should after steps of a leapfrog scheme; the gradient by their first velocities."""

import numpy as np

from bench.workloads.problem import workload

STEP, SOFTENING = 0.01, 0.5


def miss(velocities, positions, masses, targets, steps):
    """Returns the sum of squared distances (n, 3) after `steps` steps; gravity's constant is 1."""
    x, v = positions, velocities
    pull = accelerations(x, masses)
    for _ in range(steps):
        x, v, pull = step(x, v, pull, masses)
    return np.sum((x - targets) ** 2)


def step(x, v, pull, masses):
    """Returns positions, velocities and accelerations a step later."""
    v = v + 0.5 * STEP * pull
    x = x + STEP * v
    pull = accelerations(x, masses)
    return x, v + 0.5 * STEP * pull, pull


def accelerations(x, masses):
    gaps = x[np.newaxis, :, :] - x[:, np.newaxis, :]
    squares = np.sum(gaps**2, axis=2) + SOFTENING**2
    return np.sum(gaps * (masses / squares**1.5)[:, :, np.newaxis], axis=1)


def sample(bodies, steps):
    rng = np.random.default_rng(1)
    x, v = rng.normal(size=(2, bodies, 3))
    return 0.3 * v, x, rng.uniform(0.5, 1.0, bodies), x + 0.1 * rng.normal(size=x.shape), steps


PROBLEM = workload("nbody", miss, (0,), sample, ((4, 10), (20, 200)))
