"""logistic: the penalised loss of a logistic regression; the gradient by its coefficients."""

import numpy as np

from bench.workloads.problem import workload


def loss(coefficients, x, labels):
    """Returns the mean loss over rows of x (n, d) with labels -1 and 1."""
    margins = labels * (x @ coefficients)
    return np.mean(np.logaddexp(0.0, -margins)) + 0.01 * np.sum(coefficients**2)


def sample(rows, columns):
    rng = np.random.default_rng(3)
    x = rng.normal(size=(rows, columns))
    truth = rng.normal(size=columns)
    return 0.1 * rng.normal(size=columns), x, np.where(x @ truth + rng.normal(size=rows) > 0.0, 1.0, -1.0)


PROBLEM = workload("logistic", loss, (0,), sample, ((20, 3), (20_000, 50)))
