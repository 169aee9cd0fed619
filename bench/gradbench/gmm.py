"""gmm: the log posterior of a mixture of Gaussians with a Wishart prior, and its gradient by all parameters."""

import fastad.numpy as np
from bench.gradbench.problem import Eval, Function, array, whole
from fastad import math


def objective(alpha, mu, q, l, x, m, gamma):
    """Returns the log posterior of weights alpha (k,), means mu (k, d) and factors of the precisions, given points x (n, d).

    The factors are lower triangular with diagonal exp(q) and l, column by column, below it.
    """
    n, d = x.shape
    k = len(alpha)
    factors = precision_factors(q, l)
    log_determinants = np.sum(q, axis=1)
    deviations = (x - mu[:, np.newaxis, :]) @ np.transpose(factors, (0, 2, 1))
    terms = (alpha + log_determinants)[:, np.newaxis] - 0.5 * np.sum(deviations**2, axis=2)
    likelihood = np.sum(log_sum_exp(terms)) - n * (0.5 * d * math.log(2.0 * math.pi) + log_sum_exp(alpha))
    freedom = d + m + 1
    prior = -0.5 * gamma**2 * np.sum(factors**2) + m * np.sum(log_determinants)
    return likelihood + prior + k * (freedom * d * math.log(gamma / math.sqrt(2.0)) - log_multigamma(0.5 * freedom, d))


def precision_factors(q, l):
    """Returns the k lower triangular matrices (d, d)."""
    k, d = q.shape
    columns, rows = np.triu_indices(d, 1)
    factors = np.zeros((k, d, d))
    factors[:, range(d), range(d)] = np.exp(q)
    factors[:, rows, columns] = l
    return factors


def log_sum_exp(x):
    """Returns log(sum(exp(x))) over the first axis."""
    largest = np.max(x, axis=0)
    return largest + np.log(np.sum(np.exp(x - largest), axis=0))


def log_multigamma(a, d):
    """Returns the logarithm of the multivariate gamma function."""
    return 0.25 * d * (d - 1) * math.log(math.pi) + sum(math.lgamma(a - 0.5 * j) for j in range(d))


def read(message):
    d, k, n = (whole(message, name, 1) for name in "dkn")
    return (
        array(message, "alpha", k),
        array(message, "mu", k, d),
        array(message, "q", k, d),
        array(message, "l", k, d * (d - 1) // 2),
        array(message, "x", n, d),
        whole(message, "m"),
        float(message["gamma"]),
    )


def sample(d, k, n):
    rng = np.random.default_rng(31337)
    return {
        "d": d,
        "k": k,
        "n": n,
        "x": rng.normal(size=(n, d)).tolist(),
        "m": 0,
        "gamma": 1.0,
        "alpha": rng.normal(size=k).tolist(),
        "mu": rng.uniform(size=(k, d)).tolist(),
        "q": rng.normal(size=(k, d)).tolist(),
        "l": rng.normal(size=(k, d * (d - 1) // 2)).tolist(),
    }


def jacobian(way, *arguments):
    return way.gradient(objective, *arguments, argnums=(0, 1, 2, 3))


def written(gradient):
    return {name: part.tolist() for name, part in zip(("alpha", "mu", "q", "l"), gradient)}


EVAL = Eval(
    name="gmm",
    functions={
        "objective": Function(lambda way, *arguments: way.value(objective, *arguments), float),
        "jacobian": Function(jacobian, written),
    },
    read=read,
    sample=sample,
    sizes=((2, 5, 100), (10, 25, 1000), (32, 25, 1000)),
    timed="jacobian",
    tabled=2,
)
