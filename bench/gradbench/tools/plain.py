"""The functions themselves, without derivatives, in NumPy and plain Python: for scale."""

from bench.gradbench.problem import Eager
from bench.gradbench.registry import EVALS

VALUES = {"hello": "square", "gmm": "objective", "ba": "objective", "ht": "objective", "kmeans": "cost", "llsq": "primal", "lse": "primal",
          "lstm": "objective", "ode": "primal", "det": "primal"}


def started(name, function):
    return lambda *arguments: EVALS[name].functions[function].start(Eager(), *arguments)


PROBLEMS = {name: started(name, function) for name, function in VALUES.items()}
UNABLE = dict.fromkeys(("particle", "saddle"), "the function itself takes derivatives")
