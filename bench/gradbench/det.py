"""det: the determinant of a matrix by expansion along its first row, minor by minor, and its gradient."""

import numpy as np

from bench.gradbench.problem import Eval, Function, array, whole


def determinant(flat, size):
    """Returns the determinant of a matrix (size, size) given row by row."""
    rows = [[flat[size * i + j] for j in range(size)] for i in range(size)]
    return expanded(rows, 0, tuple(range(size)))


def expanded(rows, first, columns):
    """Returns the determinant of the minor made of the rows from `first` on and of these columns."""
    row = rows[first]
    if len(columns) == 1:
        return row[columns[0]]
    total = 0.0
    for place, column in enumerate(columns):
        term = row[column] * expanded(rows, first + 1, columns[:place] + columns[place + 1 :])
        total = total - term if place % 2 else total + term
    return total


def read(message):
    size = whole(message, "ell", 1)
    return array(message, "A", size * size), size


def sample(size):
    return {"A": np.random.default_rng(31337).uniform(size=size * size).tolist(), "ell": size}


EVAL = Eval(
    name="det",
    functions={
        "primal": Function(lambda way, *arguments: way.value(determinant, *arguments), float),
        "gradient": Function(lambda way, *arguments: way.gradient(determinant, *arguments)),
    },
    read=read,
    sample=sample,
    sizes=((4,), (6,), (8,), (10,)),
    timed="gradient",
    tabled=2,
)
