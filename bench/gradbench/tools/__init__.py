"""The evals by other tools, a module for each: `PROBLEMS` maps an eval's name to a function of the eval's arguments.

Such a function returns the call for the eval's timed function (gradient, Jacobian, direction) in the tool's own best idiom,
complete when it returns; `UNABLE` maps the evals that the tool has not to the reason.
"""

from importlib import import_module

MODULES = {
    "fastad": "fastad_programs",
    "fastad eager": "fastad_eager",
    "JAX": "jax_models",
    "PyTorch": "torch_models",
    "autograd": "autograd_models",
    "CasADi": "casadi_models",
    "C": "c_models",
    "Python": "python_models",
    "micrograd": "micrograd_models",
    "plain f": "plain",
}


def load(name):
    """Returns the module of a tool; ModuleNotFoundError where its library is not installed."""
    return import_module(f"{__name__}.{MODULES[name]}")
