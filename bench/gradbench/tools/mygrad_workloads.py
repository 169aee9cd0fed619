"""The workloads by MyGrad: their own functions on its names."""

from dataclasses import replace

from bench.gradbench.tools.mygrad_models import NAMES, gradient
from bench.workloads import lorenz, process
from bench.workloads.registry import WORKLOADS


def workload(problem):
    """Returns the start of a workload."""
    return lambda *arguments: gradient(*problem.by_moving(arguments, np=NAMES, math=NAMES))


UNABLE = {"options": "no error function"}
PROBLEMS = {name: workload(problem) for name, problem in WORKLOADS.items() if name not in UNABLE}
PROBLEMS["lorenz"] = workload(replace(lorenz.PROBLEM, function=lorenz.end_of_array))
# It has no Cholesky factorisation.
PROBLEMS["process"] = workload(replace(process.PROBLEM, function=process.by_columns))
