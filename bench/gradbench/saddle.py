"""saddle: where the least over x of the greatest over y of a function lies, by gradient descent inside gradient descent.

The outer derivative goes through the whole inner search, which takes derivatives itself, each by forward or by reverse mode.
"""

import functools

from bench.gradbench.descent import BY, argmax, argmin
from bench.gradbench.problem import Eval, Function, array


def f(x, y):
    return (x[0] ** 2 + x[1] ** 2) - (y[0] ** 2 + y[1] ** 2)


def highest(x, start, mode):
    """Returns the y at which f(x, y) is greatest, searched from `start`."""
    along = functools.partial(f, x)
    return argmax(along, BY[mode](along), start)


def greatest(x, start, mode):
    """Returns the greatest value over y of f(x, y)."""
    return f(x, highest(x, start, mode))


def saddle(way, start, outer, inner):
    """Returns the call that finds x and y, one list."""
    start = start.tolist()
    g = way.taken(functools.partial(greatest, start=start, mode=inner), start)

    def search():
        x = argmin(g, BY[outer](g), start)
        return x + highest(x, start, inner)

    return search


def read(message):
    return (array(message, "start", 2),)


EVAL = Eval(
    name="saddle",
    functions={outer + inner: Function(functools.partial(saddle, outer=outer, inner=inner)) for outer in "rf" for inner in "rf"},
    read=read,
    sample=lambda: {"start": [1.0, 1.0]},
    sizes=((),),
    timed="rr",
)
