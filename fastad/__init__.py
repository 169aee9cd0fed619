"""fastad: exact derivatives of ordinary Python, at about the price of one more evaluation."""

import sys as _sys
from importlib.util import find_spec as _find_spec
from typing import TYPE_CHECKING

from ._version import __version__ as __version__

if _sys.version_info < (3, 11):
    raise ImportError(f"fastad needs Python 3.11 or newer; this is Python {_sys.version.split()[0]} at {_sys.executable}")

try:
    from . import math
    from .debugging import debug
    from .errors import FormatError, GuardError, TraceError
    from .transforms import grad, hessian, hvp, jacobian, jvp, linearize, stop_gradient, trace, value_and_grad, vjp
    # It is imported when it is first needed, as that takes long; that it is missing is said here.
    if _find_spec("optree") is None:
        raise ModuleNotFoundError("No module named 'optree'", name="optree")
except Exception as _error:      # whichever it is: an import that is tried again, after one that failed, ends in another
    from ._installation import explain
    explain(_error)
    raise

__all__ = [
    "FormatError", "GuardError", "TraceError", "check_derivatives", "checkpoint", "debug", "grad", "hessian", "hvp", "jacobian",
    "jvp", "linearize", "load", "math", "record", "scan", "stop_gradient", "trace", "value_and_grad", "vjp",
]

if TYPE_CHECKING:
    from . import numpy as numpy
    from .checking import check_derivatives
    from .programs.checkpoint import checkpoint
    from .programs.program import load, record
    from .programs.scan import scan
else:
    # What is imported when it is first asked for: not everybody records programs.
    _LATE = {"numpy": ".numpy", "check_derivatives": ".checking", "record": ".programs.program", "load": ".programs.program",
             "checkpoint": ".programs.checkpoint", "scan": ".programs.scan"}

    def __getattr__(name):
        if name not in _LATE:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module
        module = import_module(_LATE[name], __name__)
        globals()[name] = module if name == "numpy" else getattr(module, name)
        return globals()[name]

    def __dir__():
        return sorted({*globals(), *_LATE})
