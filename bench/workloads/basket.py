"""basket: a Monte-Carlo price of a call on the mean of several assets; its greeks by spots, volatilities and the rate."""

import numpy as np

from bench.workloads.problem import workload

MATURITY, STRIKE = 1.0, 100.0


def price(spots, volatilities, rate, normals):
    """Returns the discounted mean payoff for correlated normal numbers (paths, assets)."""
    growth = (rate - 0.5 * volatilities**2) * MATURITY + volatilities * np.sqrt(MATURITY) * normals
    means = np.mean(spots * np.exp(growth), axis=1)
    return np.exp(-rate * MATURITY) * np.mean(np.maximum(means - STRIKE, 0.0))


def sample(paths, assets):
    rng = np.random.default_rng(6)
    factor = np.linalg.cholesky(0.5 * np.eye(assets) + 0.5)
    return np.linspace(90.0, 110.0, assets), np.linspace(0.1, 0.4, assets), 0.03, rng.normal(size=(paths, assets)) @ factor.T


PROBLEM = workload("basket", price, (0, 1, 2), sample, ((10, 3), (20_000, 10)))
