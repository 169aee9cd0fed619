"""The signature of a call: structure of the arguments, shapes and types of arrays, and the value of everything else.

Two calls with one signature differ only in floats and in the elements of arrays, which are the inputs of a program.
"""

import dataclasses
from typing import Any

import numpy as np

from ..core.scalar import is_plain
from ..pytrees import NUMBER, Nesting, flatten, is_dataclass, unflatten

_BY_VALUE = (int, bool, str, bytes, complex, type(None), np.integer, np.bool_)


class Arguments:
    """Arguments of one call, taken apart: `key`, `leaves` (the inputs), and what puts them together again."""

    __slots__ = ("args", "kwargs", "leaves", "key", "kept", "_structure", "_all", "_dynamic")

    def __init__(self, args, kwargs):
        self.args, self.kwargs = args, kwargs
        self._all, self._structure = flatten([list(args), kwargs] if kwargs else [list(args)])
        self._dynamic = []
        self.leaves, self.kept = [], []
        described = []
        for index, leaf in enumerate(self._all):
            if type(leaf) is float:
                described.append(float)
            elif is_input(leaf):
                if isinstance(leaf, np.ndarray):
                    described.append((leaf.dtype.newbyteorder("=").str, leaf.shape))
                else:
                    described.append(type(leaf))
            else:
                described.append(self._constant(leaf))
                continue
            self._dynamic.append(index)
            self.leaves.append(leaf)
        outline = skeleton(self._structure)
        if outline is self._structure and outline is not None:
            outline = outline, orders([args, kwargs])
        self.key = (outline, tuple(described))

    @property
    def plain(self):
        """Whether there are only floats and arrays, in plain containers."""
        return not self.kept and type(self._structure) is Nesting and all(type(x) in (float, np.ndarray) for x in self._all)

    def with_leaves(self, leaves):
        """The same call with other inputs."""
        other = Arguments.__new__(Arguments)
        other._all, other._structure, other._dynamic = list(self._all), self._structure, self._dynamic
        other.args, other.kwargs, other.key, other.kept, other.leaves = None, self.kwargs, self.key, self.kept, leaves
        for index, leaf in zip(self._dynamic, leaves, strict=True):
            other._all[index] = leaf
        return other

    @property
    def only_numbers(self):
        """Whether all inputs are floats."""
        return all(isinstance(leaf, float) for leaf in self.leaves)

    def _constant(self, leaf):
        """What tells an argument apart that is no input: its value, or the object that it is."""
        if isinstance(leaf, _BY_VALUE):
            # The text tells 0.0 and -0.0 apart in complex numbers.
            return "=", type(leaf), str(leaf) if isinstance(leaf, complex) else leaf
        self.kept.append(leaf)
        return "is", id(leaf)

    def rebuilt(self, leaves, stand_in):
        """(args, kwargs) with other leaves in place of the inputs, and stand_in(x) in place of everything else."""
        everything = list(map(stand_in, self._all))
        for index, leaf in zip(self._dynamic, leaves, strict=True):
            everything[index] = leaf
        tree = unflatten(self._structure, everything)
        return tree[0], tree[1] if self.kwargs else {}

    def parts(self, positions):
        """For each position of an argument (structure, start, stop): its inputs; None if it holds other things."""
        bounds = []
        at = 0
        for arg in self.args:
            leaves, structure = flatten(arg)
            inputs = [is_input(leaf) for leaf in leaves]
            bounds.append((structure, at, at + sum(inputs), all(inputs) and bool(leaves or arg is not None)))
            at += sum(inputs)
        found = [bounds[k] for k in positions]
        return [bound[:3] for bound in found] if all(bound[3] for bound in found) else None


def is_input(leaf: Any) -> bool:
    """Whether a leaf may be another number, or have other elements, in the next call."""
    if type(leaf) is np.ndarray:
        return leaf.dtype.kind in "biufc"
    return is_plain(leaf, (float, np.float32))


def skeleton(structure: Any) -> Any:
    """A structure as something that can be a key."""
    if structure is NUMBER:
        return None
    return _outline(structure.template) if type(structure) is Nesting else structure


def _outline(tree):
    if type(tree) is dict:
        return (dict, *((type(key), key, _outline(entry)) for key, entry in tree.items()))
    if type(tree) is list or type(tree) is tuple:
        return (type(tree), *map(_outline, tree))
    return None


def orders(tree):
    """The keys of all dicts of a tree as they come, which optree's structures leave out."""
    if isinstance(tree, (float, np.ndarray)):
        return None
    if isinstance(tree, dict):
        return (tuple(tree), *map(orders, tree.values()))
    if isinstance(tree, (list, tuple)):
        return tuple(map(orders, tree))
    return tuple([orders(getattr(tree, field.name)) for field in dataclasses.fields(tree)]) if is_dataclass(tree) else None
