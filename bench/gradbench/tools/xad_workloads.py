"""The workloads by XAD: their own functions on NumPy's arrays of its numbers."""

from dataclasses import replace

import xad.math

from bench.gradbench.tools.xad_models import NAMES, gradient
from bench.workloads import process
from bench.workloads.registry import WORKLOADS


def workload(problem):
    """Returns the start of a workload."""
    return lambda *arguments: gradient(*problem.by_moving(arguments, np=NAMES, math=xad.math, special=NAMES))


PROBLEMS = {name: workload(problem) for name, problem in WORKLOADS.items()}
# NumPy has no Cholesky factorisation of arrays of objects.
PROBLEMS["process"] = workload(replace(process.PROBLEM, function=process.by_columns))
UNABLE = {}
