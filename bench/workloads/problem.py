"""How a workload becomes a problem: a function of arrays, the arguments it is differentiated by, arguments for a size."""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bench.gradbench.problem import Eval, Function


@dataclass(frozen=True)
class Workload(Eval):
    """A problem whose timed function is the gradient of one function by the arguments `argnums`."""

    function: Callable | None = None
    argnums: tuple[int, ...] = ()

    def on(self, **namespaces):
        """Returns the function from a copy of its module in which these names are other libraries' namespaces."""
        found = importlib.util.find_spec(self.function.__module__)
        copy = importlib.util.module_from_spec(found)
        found.loader.exec_module(copy)
        for name, namespace in namespaces.items():
            if hasattr(copy, name):
                setattr(copy, name, namespace)
        return getattr(copy, self.function.__name__)


def workload(name, f, argnums, sample, sizes):
    """Returns the problem of f's gradient by `argnums`; `sample(*size)` returns f's arguments."""
    by = argnums[0] if len(argnums) == 1 else argnums
    functions = {
        "value": Function(lambda way, *arguments: way.value(f, *arguments)),
        "gradient": Function(
            lambda way, *arguments: way.gradient(f, *arguments, argnums=by),
            lambda found: [np.asarray(part).tolist() for part in found],
        ),
    }
    return Workload(name, functions, tuple, sample, sizes, "gradient", 1, f, argnums)
