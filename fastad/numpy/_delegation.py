"""How a namespace finds NumPy's names: those with a derivative rule take active values everywhere, the rest are NumPy's."""

import functools
from typing import Any

import numpy

from ..arrays import functions
from ..arrays.active import ActiveArray
from ..arrays.functions import COMPOSED, RULES, TRACKED, call_function, holds_active
from ..core import scalar

# They call functions of the user's, whose results may be active though no argument is.
_CALLING = {numpy.apply_along_axis, numpy.apply_over_axes, numpy.piecewise}


def found(module: Any, name: str, namespace: dict[str, Any]) -> Any:
    """`module.name` for active values, kept in the namespace; AttributeError for what the module does not have."""
    if name.startswith("_") and name not in module.__all__:
        raise AttributeError(f"module {namespace['__name__']!r} has no attribute {name!r}")
    value = getattr(module, name)
    if callable(value) and not isinstance(value, (type, numpy.ufunc)):
        value = routed(value)
    namespace[name] = value
    return value


def routed(function: Any) -> Any:
    """A function with a rule that takes active values also where NumPy does not look for them: in lists, in options."""
    if function not in RULES and function not in COMPOSED and function not in TRACKED:
        return function
    calls = function in _CALLING

    @functools.wraps(function)
    def call(*args, **kwargs):
        # An active array in the first place is what NumPy itself sees.
        if scalar.tracing() and not (args and type(args[0]) is ActiveArray) and (
                calls or holds_active(args) or holds_active(tuple(kwargs.values()))):
            return call_function(function, args, kwargs)
        return function(*args, **kwargs)

    return call


def names(module: Any, namespace: dict[str, Any]) -> list[str]:
    """Public names of a module and of the namespace that stands for it."""
    return sorted({name for name in (*dir(module), *namespace) if not name.startswith("_")})


__all__ = ["found", "functions", "names", "routed"]
