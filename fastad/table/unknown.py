"""Fills in UNKNOWN for a row that has no rules for some of its operands or orders."""

from itertools import combinations_with_replacement

from .op import OPERANDS, UNKNOWN


def unknown(operands, arity, flat=""):
    """Partials of a row without rules for `operands` (of its `arity`): a dict giving UNKNOWN for each first
    partial by one of them and each second partial that involves one (none but by the operands `flat`)."""
    pairs = combinations_with_replacement(OPERANDS[:arity], 2)
    names = list(operands) + [j + k for j, k in pairs
                              if (j in operands or k in operands) and j not in flat and k not in flat]
    return {"d" + name: UNKNOWN for name in names}


def unknown_second(arity):
    """Partials of a row that has rules of first order only: a dict giving UNKNOWN for every second
    partial."""
    return {"d" + j + k: UNKNOWN for j, k in combinations_with_replacement(OPERANDS[:arity], 2)}
