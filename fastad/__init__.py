"""fastad: exact derivatives of ordinary Python, at about the price of one more evaluation."""

from typing import TYPE_CHECKING

from . import math
from ._version import __version__ as __version__
from .checking import check_derivatives
from .debugging import debug
from .errors import FormatError, GuardError, TraceError
from .programs.program import load, record
from .transforms import grad, hessian, hvp, jacobian, jvp, linearize, stop_gradient, trace, value_and_grad, vjp

__all__ = [
    "FormatError", "GuardError", "TraceError", "check_derivatives", "debug", "grad", "hessian", "hvp", "jacobian", "jvp",
    "linearize", "load", "math", "record", "stop_gradient", "trace", "value_and_grad", "vjp",
]

if TYPE_CHECKING:
    from . import numpy as numpy
else:
    def __getattr__(name):
        if name == "numpy":
            from importlib import import_module
            return import_module(".numpy", __name__)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__():
        return sorted({*globals(), "numpy"})
