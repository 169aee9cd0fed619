"""The workloads by autograd: their own functions on its namespaces."""

from dataclasses import replace

import autograd
import autograd.numpy as anp
import autograd.scipy.special
import numpy as np

from bench.workloads import lorenz
from bench.workloads.registry import WORKLOADS


def workload(problem):
    """Returns the start of a workload."""
    derivative = autograd.grad(problem.on(np=anp, special=autograd.scipy.special, math=anp), problem.argnums)
    return lambda *arguments: lambda: derivative(*arguments)


def trajectory(start, parameters, steps):
    return workload(replace(lorenz.PROBLEM, function=lorenz.end_of_array))(np.array(start), np.array(parameters), steps)


PROBLEMS = {name: workload(problem) for name, problem in WORKLOADS.items()} | {"lorenz": trajectory}
UNABLE = {}
