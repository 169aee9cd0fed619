"""Arguments and results as flat lists of numbers and a structure (pytrees), through optree; a lone float needs neither."""

from .core.scalar import Active, plain

NUMBER = None      # the structure of a lone number


def flatten(tree):
    """(leaves, structure) of a nesting of dict, list, tuple, namedtuple; a lone number has the structure NUMBER."""
    if type(tree) is float or type(tree) is Active:
        return [tree], NUMBER
    import optree
    leaves, structure = optree.tree_flatten(tree, namespace="fastad")
    return (leaves, structure) if structure != _leaf_structure() else (leaves, NUMBER)


def unflatten(structure, leaves):
    """The nesting with this structure and these leaves."""
    if structure is NUMBER:
        return leaves[0]
    import optree
    return optree.tree_unflatten(structure, leaves)


def plain_tree(tree):
    """The same nesting with active scalars of the trace in progress replaced by their plain values."""
    leaves, structure = flatten(tree)
    return unflatten(structure, [plain(leaf) for leaf in leaves])


def leaf_path(tree, index):
    """Where leaf number `index` is in the nesting, as written after a variable's name: "['weights'][0]"."""
    if flatten(tree)[1] is NUMBER:
        return ""
    import optree
    return optree.tree_accessors(tree, namespace="fastad")[index].codify("")


_leaf = None


def _leaf_structure():
    global _leaf
    if _leaf is None:
        import optree
        _leaf = optree.tree_structure(0.0, namespace="fastad")
    return _leaf
