"""Arguments and results as flat lists of numbers and a structure (pytrees).

Floats in plain lists, tuples and dicts are flattened by the compiled core, everything else by optree, which is imported when
first needed. A dataclass is registered with optree when one is first seen.
"""

import threading

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
    """(leaves, structure) of a nesting of dict, list, tuple, namedtuple, dataclass; a lone number has the structure NUMBER."""
    if type(tree) in _LEAVES:
        return [tree], NUMBER
    leaves = leaves_of(tree)
    if leaves is not None:
        return leaves, Nesting(tree)
    import optree
    leaves, structure = optree.tree_flatten(tree, namespace="fastad")
    while _register_dataclasses(leaves):
        leaves, structure = optree.tree_flatten(tree, namespace="fastad")
    return leaves, NUMBER if optree.treespec_is_leaf(structure) else structure


# ---- dataclasses -------------------------------------------------------------------------------------------------------

_registering = threading.Lock()
_rebuilding = threading.local()
_opaque: set[type] = set()      # dataclasses that can not be rebuilt from their fields


def is_dataclass(x):
    """Whether x is an instance of a dataclass."""
    return hasattr(type(x), "__dataclass_fields__")


def _register_dataclasses(leaves):
    """Registers the dataclasses among leaves; whether there are any."""
    found = {kind for kind in set(map(type, leaves)) if hasattr(kind, "__dataclass_fields__")} - _opaque
    with _registering:
        for kind in found:
            _register(kind)
    return bool(found)


def _register(kind):
    """Makes a dataclass a node: what its constructor takes are the children, but for fields marked static.

    Its other fields are what the constructor makes of these, and None in derivatives, which do not pass through the constructor.
    """
    import dataclasses

    import optree
    if any(field._field_type is dataclasses._FIELD_INITVAR for field in kind.__dataclass_fields__.values()):
        _opaque.add(kind)
        return
    fields = [field for field in dataclasses.fields(kind) if field.init]
    static = tuple([f.name for f in fields if f.metadata.get("static") or not f.metadata.get("pytree_node", True)])
    names = tuple([f.name for f in fields if f.name not in static])

    def children_of(x):
        return [getattr(x, name) for name in names], tuple([getattr(x, name) for name in static]), names

    derived = [field.name for field in dataclasses.fields(kind) if not field.init]

    def rebuilt(constants, children):
        values = dict(zip(names + static, (*children, *constants)))
        if not getattr(_rebuilding, "derivatives", False):
            return kind(**values)
        x = object.__new__(kind)
        for name, value in {**values, **dict.fromkeys(derived)}.items():
            object.__setattr__(x, name, value)
        return x

    try:
        optree.register_pytree_node(kind, children_of, rebuilt, path_entry_type=optree.DataclassEntry, namespace="fastad")
    except ValueError:
        # Another thread did, or the class is a node of optree's own; if it still comes as a leaf it stays one.
        _opaque.add(kind)


def unflatten(structure, leaves):
    """The nesting with this structure and these leaves."""
    if structure is NUMBER:
        return leaves[0]
    if type(structure) is Nesting:
        return rebuild(structure.template, leaves)
    import optree
    return optree.tree_unflatten(structure, leaves)


def unflatten_derivatives(structure, leaves):
    """The same for leaves that are derivatives, or nestings of them: dataclasses are filled without their constructors."""
    if structure is NUMBER or type(structure) is Nesting:
        return unflatten(structure, leaves)
    before = getattr(_rebuilding, "derivatives", False)
    _rebuilding.derivatives = True
    try:
        return unflatten(structure, leaves)
    finally:
        _rebuilding.derivatives = before


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
