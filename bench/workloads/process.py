"""process: the negative log-likelihood of a Gaussian process; the gradient by its length scales, amplitude and noise."""

import numpy as np

from bench.workloads.problem import workload


def negative_likelihood(logarithms, x, y):
    """Returns it for observations y (n,) at x (n, d); logarithms are d length scales, the amplitude and the noise."""
    factor = np.linalg.cholesky(covariance(logarithms, x))
    white = np.linalg.solve(factor, y)
    return 0.5 * np.sum(white**2) + np.sum(np.log(np.diag(factor))) + 0.5 * len(y) * np.log(2.0 * np.pi)


def covariance(logarithms, x):
    n, d = x.shape
    scaled = x / np.exp(logarithms[:d])
    squares = np.sum((scaled[:, np.newaxis, :] - scaled[np.newaxis, :, :]) ** 2, axis=2)
    return np.exp(2.0 * logarithms[d] - 0.5 * squares) + np.exp(2.0 * logarithms[d + 1]) * np.eye(n)


def by_columns(logarithms, x, y):
    """Returns the same, with a factor found column by column: for tools that have none."""
    rest, total = np.concatenate([covariance(logarithms, x), y[np.newaxis]]), 0.0
    for _ in range(len(y)):
        column = rest[:, 0] / np.sqrt(rest[0, 0])
        total = total + 0.5 * column[-1] ** 2 + np.log(column[0])
        rest = rest[1:, 1:] - column[1:, np.newaxis] * column[1:-1]
    return total + 0.5 * len(y) * np.log(2.0 * np.pi)


def sample(n, d):
    rng = np.random.default_rng(4)
    x = rng.uniform(size=(n, d))
    return np.concatenate([np.full(d, -0.5), [0.1, -1.0]]), x, np.sin(3.0 * x.sum(axis=1)) + 0.1 * rng.normal(size=n)


PROBLEM = workload("process", negative_likelihood, (0,), sample, ((8, 2), (200, 3)))
