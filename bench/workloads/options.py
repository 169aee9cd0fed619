"""options: Black and Scholes' price of many call options; delta, vega, rho and theta as one gradient."""

import numpy as np
from scipy import special

from bench.workloads.problem import workload


def total(spot, volatility, rate, maturity, strike):
    """Returns the sum of the prices, all arguments arrays (n,)."""
    spread = volatility * np.sqrt(maturity)
    first = (np.log(spot / strike) + (rate + 0.5 * volatility**2) * maturity) / spread
    return np.sum(spot * normal(first) - strike * np.exp(-rate * maturity) * normal(first - spread))


def normal(x):
    """Returns the distribution function of the normal distribution."""
    return 0.5 * (1.0 + special.erf(x / np.sqrt(2.0)))


def sample(n):
    rng = np.random.default_rng(5)
    spot = rng.uniform(80.0, 120.0, n)
    return spot, rng.uniform(0.1, 0.5, n), rng.uniform(0.0, 0.05, n), rng.uniform(0.1, 2.0, n), spot * rng.uniform(0.8, 1.2, n)


PROBLEM = workload("options", total, (0, 1, 2, 3), sample, ((5,), (100_000,)))
