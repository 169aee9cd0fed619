"""How a workload becomes a problem: a function of arrays, the arguments it is differentiated by, arguments for a size."""

import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bench.gradbench.problem import Eval, Function
from bench.peers import module_on


@dataclass(frozen=True)
class Workload(Eval):
    """A problem whose timed function is the gradient of one function by the arguments `argnums`."""

    function: Callable | None = None
    argnums: tuple[int, ...] = ()

    def on(self, **namespaces):
        """Returns the function from a copy of its module in which these names are other libraries' namespaces."""
        return getattr(module_on(sys.modules[self.function.__module__], **namespaces), self.function.__name__)

    def by_moving(self, arguments, **namespaces):
        """Returns the function of the arguments it is differentiated by alone, the others as they are, and those arguments."""
        function = self.on(**namespaces)

        def of_moving(*moving):
            whole = list(arguments)
            for place, x in zip(self.argnums, moving):
                whole[place] = x
            return function(*whole)

        return of_moving, [arguments[place] for place in self.argnums]


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
