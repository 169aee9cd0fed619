"""The table of derivatives, written from the op table that the kernels are written from."""

import ast
from importlib import import_module

import fastad
from fastad.table import ELEMENTARY, OPERANDS, SPECIAL, UNKNOWN, special

GROUPS = ("basic", "error", "gamma", "bessel", "elliptic", "hyper", "polynomial", "distribution")


def _names(op):
    """Where a user finds the row."""
    own = [f"`fastad.{op.name}`"] if op.name in fastad.__all__ else []
    return ", ".join([*own, *(f"`math.{name}`" for name in op.math), *(f"`np.{name}`" for name in op.numpy),
                      *(f"`special.{name}`" for name in op.scipy)]) or "(serves other rules)"


def _rule(rule):
    """A rule as one reads it: 2*x, not 2.0*x."""
    if rule is UNKNOWN:
        return "no rule"
    tree = ast.parse(rule, mode="eval")
    for constant in ast.walk(tree):
        if isinstance(constant, ast.Constant) and isinstance(constant.value, float) and constant.value == int(constant.value):
            constant.value = int(constant.value)
    return f"`{ast.unparse(tree)}`"


def _partials(op, names):
    return "<br>".join(f"{name[1:]}: {_rule(op.partials[name])}" for name in names if name in op.partials) or "0"


def _value(op):
    return f"{op.name}({', '.join(OPERANDS[:op.arity])})"


def rows(ops):
    """Lines of a Markdown table of rows."""
    yield "| row | names | first partials | second partials | |"
    yield "|---|---|---|---|---|"
    for op in ops:
        cells = (f"`{_value(op)}`", _names(op), _partials(op, op.first_names()), _partials(op, op.second_names()), op.sparsity)
        yield "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def markdown():
    """The table as Markdown: elementary rows first, then scipy.special by family."""
    lines = [f"{len(ELEMENTARY)} elementary rows and {len(SPECIAL)} of `scipy.special`, which need SciPy.", "", "## Elementary", "",
             *rows(ELEMENTARY)]
    for group in GROUPS:
        module = import_module(f"fastad.table.special_{group}")
        lines += ["", f"## {group.capitalize()}: `scipy.special`", "", *rows(getattr(module, group.upper()))]
    lines += ["", "## Not covered", "", "Functions of `scipy.special` that are no row, and why:", "", "| function | why |", "|---|---|"]
    lines += [f"| `{name}` | {why} |" for name, why in sorted(special.NOT_COVERED.items())]
    return "\n".join(lines) + "\n"
