"""heat: how well a conductivity explains a temperature measured after steps of the heat equation; the gradient by it."""

import numpy as np

from bench.workloads.problem import workload


def misfit(logarithm, first, measured, steps):
    """Returns the mean squared difference, for the conductivity's logarithm (n,) between points of temperatures (n + 1,)."""
    conductivity = 0.2 * np.exp(logarithm)
    temperature = first
    for _ in range(steps):
        temperature = step(temperature, conductivity)
    return np.mean((temperature - measured) ** 2) + 1e-4 * np.mean((logarithm[1:] - logarithm[:-1]) ** 2)


def step(temperature, conductivity):
    flux = conductivity * (temperature[1:] - temperature[:-1])
    return temperature + np.concatenate([flux[:1], flux[1:] - flux[:-1], -flux[-1:]])


def sample(n, steps):
    x = np.linspace(0.0, 1.0, n + 1)
    return 0.3 * np.sin(7.0 * x[:-1]), np.exp(-50.0 * (x - 0.4) ** 2), 0.4 * np.exp(-10.0 * (x - 0.4) ** 2), steps


PROBLEM = workload("heat", misfit, (0,), sample, ((10, 5), (1000, 500)))
