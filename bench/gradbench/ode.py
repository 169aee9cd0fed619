"""ode: a chain of differential equations solved by Runge and Kutta's method, and the gradient of its last element."""

import numpy as np

from bench.gradbench.problem import Eval, Function, array, whole

END = 2.0


def solution(x, steps):
    """Returns y(2) for y_0' = x_0, y_i' = x_i y_(i-1), y(0) = 0, by `steps` steps of the classical method of fourth order."""
    h = END / steps
    y = np.zeros_like(x)
    for _ in range(steps):
        y = step(slope, x, y, h)
    return y


def step(slope, x, y, h):
    """Returns y after a step of length h, where y' = slope(x, y)."""
    k1 = slope(x, y)
    k2 = slope(x, y + h * k1 / 2.0)
    k3 = slope(x, y + h * k2 / 2.0)
    k4 = slope(x, y + h * k3)
    return y + h * (k1 + 2.0 * k2 + 2.0 * k3 + k4) / 6.0


def slope(x, y):
    dy = np.empty_like(x)
    dy[0] = x[0]
    dy[1:] = x[1:] * y[:-1]
    return dy


def last(x, steps):
    return solution(x, steps)[-1]


def read(message):
    return array(message, "x", None), whole(message, "s", 1)


def sample(n, steps):
    return {"x": np.random.default_rng(31337).uniform(size=n).tolist(), "s": steps}


EVAL = Eval(
    name="ode",
    functions={
        "primal": Function(lambda way, *arguments: way.value(solution, *arguments)),
        "gradient": Function(lambda way, *arguments: way.gradient(last, *arguments)),
    },
    read=read,
    sample=sample,
    sizes=((10, 4), (1000, 10), (100_000, 10)),
    timed="gradient",
)
