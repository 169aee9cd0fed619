"""Arguments and results as flat lists of numbers and a structure (pytrees).

Floats in plain lists, tuples and dicts are flattened by the compiled core, everything else by optree, which is imported when
first needed.
"""

import numpy as np

from .core.nested import leaves_of, rebuild, set_array_types
from .core.scalar import Active

NUMBER = None      # the structure of a lone number or array

_LEAVES = {float, Active, np.ndarray}


def add_array_type(active_array):
    """Makes active arrays leaves."""
    _LEAVES.add(active_array)
    set_array_types(np.ndarray, active_array)


class Nesting:
    """The structure of a tree of plain lists, tuples and dicts: the tree itself serves as template."""

    __slots__ = ("template",)

    def __init__(self, template):
        self.template = template

    def frozen(self):
        """The same structure, whatever becomes of the tree it was read from."""
        return Nesting(rebuild(self.template, [0.0] * len(leaves_of(self.template))))

    def spec(self):
        """The structure as optree knows it."""
        import optree
        return optree.tree_structure(self.template, namespace="fastad")

    def __eq__(self, other):
        return isinstance(other, Nesting) and (self.template is other.template or self.spec() == other.spec())

    def __str__(self):
        return str(self.spec())


def flatten(tree):
    """(leaves, structure) of a nesting of dict, list, tuple, namedtuple; a lone number has the structure NUMBER."""
    if type(tree) in _LEAVES:
        return [tree], NUMBER
    leaves = leaves_of(tree)
    if leaves is not None:
        return leaves, Nesting(tree)
    import optree
    leaves, structure = optree.tree_flatten(tree, namespace="fastad")
    return leaves, NUMBER if optree.treespec_is_leaf(structure) else structure


def unflatten(structure, leaves):
    """The nesting with this structure and these leaves."""
    if structure is NUMBER:
        return leaves[0]
    if type(structure) is Nesting:
        return rebuild(structure.template, leaves)
    import optree
    return optree.tree_unflatten(structure, leaves)


def frozen(structure):
    """A structure that outlives changes of the tree it was read from."""
    return structure.frozen() if type(structure) is Nesting else structure


def same_structure(one, other):
    """Whether two structures are equal, however they were found."""
    if one is NUMBER or other is NUMBER:
        return one is other
    if type(one) is not type(other):
        one, other = (s.spec() if type(s) is Nesting else s for s in (one, other))
    return one == other


def leaf_path(tree, index):
    """Where leaf number `index` is in the nesting, as written after a variable's name: "['weights'][0]"."""
    if flatten(tree)[1] is NUMBER:
        return ""
    import optree
    return optree.tree_accessors(tree, namespace="fastad")[index].codify("")
