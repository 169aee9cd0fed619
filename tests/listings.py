"""Listings of programs for the tests of what shows them."""

import math

import numpy as np

from fastad.programs.steps import Listing, Step


def textbook(adjoints=True):
    """ln(x1) + x1*x2 - sin(x2) at (2, 5).

    A. G. Baydin, B. A. Pearlmutter, A. A. Radul, J. M. Siskind, Automatic differentiation in machine learning: a survey, JMLR 18,
    2018, tables 2 and 3. Their v-1, v0, v1 ... are v0, v1, v2 ... here.
    """
    rows = (
        ("input", (), 2.0, 1 / 2 + 5, "x1", "m.py:2", "def f(x1, x2):"),
        ("input", (), 5.0, 2 - math.cos(5), "x2", "m.py:2", "def f(x1, x2):"),
        ("log", (0,), math.log(2), 1.0, None, "/home/me/m.py:3", "log(x1)"),
        ("multiply", (0, 1), 10.0, 1.0, None, "/home/me/m.py:3", "x1*x2"),
        ("sin", (1,), math.sin(5), -1.0, None, "/home/me/m.py:4", "sin(x2)"),
        ("add", (2, 3), math.log(2) + 10, 1.0, None, None, None),
        ("subtract", (5, 4), math.log(2) + 10 - math.sin(5), 1.0, None, None, None),
    )
    return Listing("f", tuple(Step(number, operation, operands, value, adjoint if adjoints else None, *rest)
                              for number, (operation, operands, value, adjoint, *rest) in enumerate(rows)), (0, 1), (6,))


def arrays():
    """An array program with a guard, a constant, NaN, and two results."""
    w = np.arange(12.0).reshape(3, 4)
    return Listing("model", (
        Step(0, "input", (), w, w / 7, "params['w']"),
        Step(1, "matmul", (0, np.ones(4)), w @ np.ones(4), np.full(3, 1 / 3)),
        Step(2, "sum", (1, "axis=0"), 66.0, 1.0),
        Step(3, "greater", (2, 0.0), True),
        Step(4, "guard", (3, "is True"), True, place="m.py:5", code="if s > 0:"),
        Step(5, "power", (2, -1.5), 66.0 ** -1.5, 1.0),
        Step(6, "sin", (1,), np.sin(w @ np.ones(4)), np.zeros(3)),
        Step(7, "constant", (), 3.25),
        Step(8, "subtract", (5, 7), math.nan, 1.0),
        Step(9, "exp", (1,), np.exp(w @ np.ones(4)), np.ones(3)),
    ), (0,), (8, 9))


def chain(count):
    """sin(sin(... sin(x)))."""
    steps = [Step(0, "input", (), 0.5, 0.1, "x")]
    steps += [Step(k, "sin", (k - 1,), 0.5, 0.1) for k in range(1, count)]
    return Listing("chain", tuple(steps), (0,), (count - 1,))


HOSTILE = '<script>alert("x")</script>&amp; \\N \\" \n\x1b[31m\u202e]]>'


def hostile():
    """Names, operations, labels and code that are markup, escapes and control characters."""
    return Listing(HOSTILE, (
        Step(0, "input", (), 1.0, 1.0, HOSTILE, HOSTILE, HOSTILE),
        Step(1, HOSTILE, (0, HOSTILE), 1.0, 1.0, HOSTILE, HOSTILE, HOSTILE),
        Step(2, "guard", (1, HOSTILE), None, None, None, HOSTILE, HOSTILE),
    ), (0,), (1,))


LISTINGS = {"textbook": textbook(), "without adjoints": textbook(False), "arrays": arrays(), "long": chain(500),
            "hostile": hostile(), "empty": Listing("nothing", ())}
