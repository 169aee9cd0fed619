"""The functions themselves, without derivatives, in NumPy and plain Python: for scale."""

from bench.gradbench.problem import Eager
from bench.problems import PROBLEMS as ALL
from bench.workloads.registry import WORKLOADS

VALUES = {
    "hello": "square",
    "gmm": "objective",
    "ba": "objective",
    "ht": "objective",
    "kmeans": "cost",
    "llsq": "primal",
    "lse": "primal",
    "lstm": "objective",
    "ode": "primal",
    "det": "primal",
}


def started(name, function):
    return lambda *arguments: ALL[name].functions[function].start(Eager(), *arguments)


PROBLEMS = {name: started(name, function) for name, function in (VALUES | dict.fromkeys(WORKLOADS, "value")).items()}
UNABLE = dict.fromkeys(("particle", "saddle"), "the function itself takes derivatives")
