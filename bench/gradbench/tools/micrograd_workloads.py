"""The workloads by micrograd: the one made of sums and products alone, on its numbers."""

import sys

from micrograd.engine import Value

from bench.workloads import lorenz

# It sorts its graph by recursion, as deep as the longest chain of operations.
DEPTH = 1_000_000


def trajectory(start, parameters, steps):
    def call():
        moving = [[Value(x) for x in numbers] for numbers in (start, parameters)]
        sys.setrecursionlimit(DEPTH)
        lorenz.end(*moving, steps).backward()
        return [[x.grad for x in numbers] for numbers in moving]

    return call


PROBLEMS = {"lorenz": trajectory}
UNABLE = dict.fromkeys(("language", "logistic", "process", "options", "basket", "arm", "heat", "markov"), "no exp, log or sin")
UNABLE["nbody"] = "not written: millions of objects"
