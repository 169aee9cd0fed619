"""fastad: exact derivatives of ordinary Python, at about the price of one more evaluation."""

from . import math
from ._version import __version__ as __version__
from .checking import check_derivatives
from .errors import FormatError, GuardError, TraceError
from .transforms import grad, hessian, hvp, jacobian, jvp, linearize, stop_gradient, trace, value_and_grad, vjp

__all__ = [
    "FormatError", "GuardError", "TraceError", "check_derivatives", "grad", "hessian", "hvp", "jacobian", "jvp", "linearize",
    "math", "stop_gradient", "trace", "value_and_grad", "vjp",
]
