"""llsq: half the sum of squares of the residuals of a polynomial fitted to the sign function, and its gradient."""

import numpy as np

from bench.gradbench.problem import Eval, Function, array, whole


def objective(x, n):
    """Returns half the sum over n points t in [-1, 1] of (sign(t) - sum_j x_j t**j)**2."""
    t = np.linspace(-1.0, 1.0, n)
    residual = np.sign(t)
    power = np.ones(n)
    for j in range(len(x)):
        residual = residual - x[j] * power
        power = power * t
    return np.sum(residual**2) / 2.0


def read(message):
    return array(message, "x", None), whole(message, "n", 2)


def sample(n, m=128):
    return {"x": np.random.default_rng(31337).uniform(size=m).tolist(), "n": n}


EVAL = Eval(
    name="llsq",
    functions={
        "primal": Function(lambda way, *arguments: way.value(objective, *arguments), float),
        "gradient": Function(lambda way, *arguments: way.gradient(objective, *arguments)),
    },
    read=read,
    sample=sample,
    sizes=((16,), (1024,), (16392,)),
    timed="gradient",
)
