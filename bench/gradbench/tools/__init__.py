"""The evals and the workloads by other tools, a module for each: `PROBLEMS` maps a name to a function of the eval's arguments.

Such a function returns the call for the eval's timed function (gradient, Jacobian, direction) in the tool's own best idiom,
complete when it returns; `UNABLE` maps the evals or workloads that the tool has not to the reason.
"""

from dataclasses import dataclass
from importlib import import_module


@dataclass(frozen=True)
class Tool:
    """A tool: its module here, the module that its library's import is timed by, and its color in charts.

    `peer` where it is another library, which a user may leave out; `only` names the problems it is run on, all where None;
    `workloads` is the module of its workloads, where they have one of their own.
    """

    module: str
    library: str | None
    color: str
    peer: bool = True
    only: frozenset[str] | None = None
    workloads: str | None = None


BY_HAND_IN_C = frozenset({"gmm", "ba", "kmeans", "llsq", "lse", "lstm", "ode", "det"})
TOOLS = {
    "fastad": Tool("fastad_programs", "fastad", "#1f4e79", peer=False),
    "fastad fast_math": Tool("fastad_fast_math", "fastad", "#2f6ea5", peer=False, only=frozenset({"lse"})),
    "fastad no cse": Tool("fastad_no_cse", "fastad", "#2f6ea5", peer=False, only=frozenset({"det"})),
    "fastad eager": Tool("fastad_eager", "fastad", "#6fa3d2", peer=False),
    "plain f": Tool("plain", None, "#999999", peer=False),
    "C": Tool("c_models", None, "black", peer=False, only=BY_HAND_IN_C),
    "Python": Tool("python_models", None, "black", peer=False, only=frozenset({"particle", "saddle"})),
    "JAX": Tool("jax_models", "jax", "#d98c3f", workloads="jax_workloads"),
    "PyTorch": Tool("torch_models", "torch", "#c0392b", workloads="torch_workloads"),
    "autograd": Tool("autograd_models", "autograd.numpy", "#5b8c5a", workloads="autograd_workloads"),
    "CasADi": Tool("casadi_models", "casadi", "#8e6bb0", workloads="casadi_workloads"),
    "MyGrad": Tool("mygrad_models", "mygrad", "#3f9c9c", workloads="mygrad_workloads"),
    "PyTensor": Tool("pytensor_models", "pytensor", "#c76b98", workloads="pytensor_workloads"),
    "XAD": Tool("xad_models", "xad", "#7a7a3a", workloads="xad_workloads"),
    "micrograd": Tool("micrograd_models", "micrograd.engine", "#b0803f", workloads="micrograd_workloads"),
}


def load(name, problem):
    """Returns the module of a tool for a problem; ModuleNotFoundError where its library is not installed."""
    from bench.workloads.registry import WORKLOADS

    tool = TOOLS[name]
    return import_module(f"{__name__}.{tool.workloads if tool.workloads and problem in WORKLOADS else tool.module}")
