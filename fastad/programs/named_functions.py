"""The functions that a document may name: rows of the op table, the ufuncs that compute them, and functions of arrays.

They are looked up in the tables of this module, never imported by name. Each way to write names stands next to the way to read
them.
"""

import sys
from typing import Any

import numpy as np

from ..arrays import partials
from ..arrays.functions import converted
from ..arrays.rules.extremes import tie_means, tie_shares
from ..arrays.rules.helpers import scatter_add
from ..elementals import scipy_special
from ..table import ELEMENTARY, SPECIAL
from ..table.generate import FIRST_OPCODE
from .container import need, short
from .reading import SPECIAL_ROW

ROWS = {op.name: FIRST_OPCODE + index for index, op in enumerate(ELEMENTARY)}
SPECIAL_ROWS = {op.name: index for index, op in enumerate(SPECIAL)}

# Ufuncs whose results have derivative zero, or that are applied to whole numbers.
_TRACKED_UFUNCS = {getattr(np, name): name for name in (
    "less", "less_equal", "equal", "not_equal", "greater", "greater_equal", "logical_and", "logical_or", "logical_xor",
    "logical_not", "isnan", "isinf", "isfinite",
    "signbit", "bitwise_and", "bitwise_or", "bitwise_xor", "invert", "left_shift", "right_shift",
    "add", "subtract", "multiply", "floor_divide", "remainder", "negative", "positive", "absolute", "sign", "minimum", "maximum",
    "square", "divide")}
TRACKED = {np.any: "any", np.all: "all", converted: "converted", **_TRACKED_UFUNCS}
CALLS = {function: function.__name__ for function in (
    np.sum, np.prod, np.max, np.min, np.mean, np.matmul, np.dot, np.where, np.concatenate, np.stack, np.reshape, np.broadcast_to,
    np.copy, scatter_add, np.take, np.outer, tie_shares, tie_means)}
TRACKED_BY_NAME = {name: function for function, name in TRACKED.items()}
CALLS_BY_NAME = {name: function for function, name in CALLS.items()}


# ---- rows by number ------------------------------------------------------------------------------------------------------------

class Rows:
    """The rows of the tables of functions that paths use, by their names: tables change."""

    def __init__(self):
        self.elementary: list[str] = []
        self.special: list[str] = []

    def instructions(self, opcode, b):
        """Opcodes, and operands b, with these numbers of rows instead of the tables'."""
        opcode, b = opcode.copy(), b.copy()
        _renumber(opcode, opcode >= FIRST_OPCODE, FIRST_OPCODE, ELEMENTARY, self.elementary)
        _renumber(b, opcode == SPECIAL_ROW, 0, SPECIAL, self.special)
        return opcode, b


def _renumber(numbers, which, first, table, names):
    for number in np.unique(numbers[which]).tolist():
        name = table[number - first].name
        if name not in names:
            names.append(name)
    known = {op.name: k for k, op in enumerate(table)}
    new = np.zeros(len(table), numbers.dtype)
    new[[known[name] for name in names]] = np.arange(len(names))
    numbers[which] = first + new[numbers[which] - first]


def row_numbers(names: list[Any], known: dict[str, int], first: int) -> Any:
    """The numbers in a table of the rows with these names."""
    need(all(type(name) is str and name in known for name in names) and len(set(names)) == len(names),
         "a function that this fastad does not have, or one twice: " + short(names))
    return np.array([known[name] - first for name in names], np.int32)


def numbers_from(numbers: Any, which: Any, first: int, table: Any) -> None:
    """Puts numbers of the tables in place of those of a file."""
    given = numbers[which].astype(np.int64) - first
    need(not len(given) or (given.min() >= 0 and given.max() < len(table)), "an instruction of a function that is not named")
    if len(given):
        numbers[which] = first + table[given]


# ---- ufuncs --------------------------------------------------------------------------------------------------------------------

def ufunc_name(ufunc: Any, op: Any) -> str:
    """The name of the ufunc that computes a row; "row" if the row itself does."""
    if type(ufunc) is not np.ufunc:
        return "row"
    for name in op.numpy:
        if getattr(np, name, None) is ufunc:
            return f"numpy.{name}"
    special = sys.modules.get("scipy.special")       # where it is not imported, the ufunc is not of it
    for name in op.scipy:
        if getattr(special, name, None) is ufunc:
            return f"scipy.special.{name}"
    raise TypeError(f"{ufunc.__name__} is a function that can not be kept in a file")


def ufunc_named(name: Any, op: Any) -> Any:
    """The function that computes a row's values, by its name."""
    if name == "row" and op.name in ROWS:
        found = partials.value_function(op.name)
        return found if type(found) is not np.ufunc else partials._element_by_element(op.name)
    module, _, name = name.rpartition(".") if type(name) is str else (None, None, None)
    if module == "numpy" and name in op.numpy:
        found = getattr(np, name, None)
    elif module == "scipy.special" and name in op.scipy:
        found = getattr(scipy_special(f"scipy.special.{name}"), name, None)
    else:
        found = None
    need(type(found) is np.ufunc and found.nin == op.arity, f"no function that computes {op.name}")
    return found
