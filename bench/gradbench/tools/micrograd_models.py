"""The evals by micrograd, a tape of Python objects: those made of sums and products alone."""

from micrograd.engine import Value

from bench.gradbench import det


def determinant(flat, size):
    def call():
        values = [Value(x) for x in flat.tolist()]
        det.determinant(values, size).backward()
        return [value.grad for value in values]

    return call


def square(x):
    def call():
        value = Value(x)
        (value * value).backward()
        return value.grad

    return call


PROBLEMS = {"hello": square, "det": determinant}
UNABLE = dict.fromkeys(("gmm", "ba", "ht", "lse", "lstm"), "no exp, log, sin or square root")
UNABLE |= dict.fromkeys(("kmeans", "particle", "saddle"), "first derivatives only")
UNABLE |= dict.fromkeys(("llsq", "ode"), "not written: millions of objects")
