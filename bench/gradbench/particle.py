"""particle: the position of a charge by which another charge, moved by Euler's method, meets the origin.

The force is the derivative of a potential, and the position is found by gradient descent: derivatives of functions that take
derivatives, each by forward or by reverse mode.
"""

import functools

from bench.gradbench.descent import BY, argmin
from bench.gradbench.problem import Eval, Function
from fastad import math

STEP = 0.1


def potential(x, w):
    """Returns the potential at x of charges at (10, 10 - w) and (10, 0)."""
    return sum(1.0 / math.sqrt((x[0] - a) ** 2 + (x[1] - b) ** 2) for a, b in ((10.0, 10.0 - w), (10.0, 0.0)))


def miss(w, mode):
    """Returns the square of where the particle crosses the first axis, for the control [w]."""
    force_of = BY[mode](lambda x: -potential(x, w[0]))
    x, v = [0.0, 8.0], [0.75, 0.0]
    while True:
        force = force_of(x)
        following = [a + STEP * b for a, b in zip(x, v)]
        if following[1] < 0.0:
            break
        x, v = following, [a + STEP * b for a, b in zip(v, force)]
    crossing = x[0] - x[1] / v[1] * v[0]
    return crossing**2


def control(way, w, outer, inner):
    """Returns the call that finds w."""
    f = way.taken(functools.partial(miss, mode=inner), [w])
    return lambda: argmin(f, BY[outer](f), [w])[0]


def read(message):
    return (float(message["w"]),)


EVAL = Eval(
    name="particle",
    functions={
        outer + inner: Function(
            functools.partial(lambda way, w, outer, inner: control(way, w, outer, inner), outer=outer, inner=inner), float
        )
        for outer in "rf"
        for inner in "rf"
    },
    read=read,
    sample=lambda: {"w": 0.0},
    sizes=((),),
    timed="rr",
)
