"""lse: the logarithm of a sum of exponentials, and its gradient."""

import numpy as np

from bench.gradbench.problem import Eval, Function, array


def log_sum_exp(x):
    """Returns log(sum(exp(x))), from the largest element on."""
    largest = np.max(x)
    return largest + np.log(np.sum(np.exp(x - largest)))


def read(message):
    return (array(message, "x", None),)


def sample(n):
    return {"x": np.random.default_rng(31337).uniform(size=n).tolist()}


EVAL = Eval(
    name="lse",
    functions={
        "primal": Function(lambda way, x: way.value(log_sum_exp, x), float),
        "gradient": Function(lambda way, x: way.gradient(log_sum_exp, x)),
    },
    read=read,
    sample=sample,
    sizes=((2500,), (80_000,), (1_280_000,)),
    timed="gradient",
)
