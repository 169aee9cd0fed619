"""process: the negative log-likelihood of a Gaussian process; the gradient by its length scales, amplitude and noise."""

import numpy as np

from bench.workloads.problem import workload


def negative_likelihood(logarithms, x, y):
    """Returns it for observations y (n,) at x (n, d); logarithms are d length scales, the amplitude and the noise."""
    n, d = x.shape
    scaled = x / np.exp(logarithms[:d])
    squares = np.sum((scaled[:, np.newaxis, :] - scaled[np.newaxis, :, :]) ** 2, axis=2)
    covariance = np.exp(2.0 * logarithms[d] - 0.5 * squares) + np.exp(2.0 * logarithms[d + 1]) * np.eye(n)
    factor = np.linalg.cholesky(covariance)
    white = np.linalg.solve(factor, y)
    return 0.5 * np.sum(white**2) + np.sum(np.log(np.diag(factor))) + 0.5 * n * np.log(2.0 * np.pi)


def sample(n, d):
    rng = np.random.default_rng(4)
    x = rng.uniform(size=(n, d))
    return np.concatenate([np.full(d, -0.5), [0.1, -1.0]]), x, np.sin(3.0 * x.sum(axis=1)) + 0.1 * rng.normal(size=n)


PROBLEM = workload("process", negative_likelihood, (0,), sample, ((8, 2), (200, 3)))
