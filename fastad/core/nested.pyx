"""Flattening and rebuilding the commonest pytrees: floats in exact lists, tuples and dicts.

The same order as optree's (dictionary keys sorted), at a tenth of its price per number; what else occurs is left to optree.
"""

from fastad.core.scalar cimport Active

cdef enum:
    MAX_DEPTH = 100

cdef object array_type = float, active_array_type = float


def set_array_types(type array, type active_array):
    """Sets the types of arrays, which are leaves as numbers are."""
    global array_type, active_array_type
    array_type, active_array_type = array, active_array


cdef inline bint is_leaf(item):
    return type(item) is float or type(item) is Active or <object>type(item) is array_type or <object>type(item) is active_array_type

CHANGED = "an argument changed its structure while it was being differentiated"


def leaves_of(tree):
    """The leaves of a nesting of lists, tuples and dicts that holds only floats, arrays and active values; None for any other tree."""
    cdef list leaves = []
    return leaves if collect(tree, leaves, 0) else None


cdef bint collect(tree, list leaves, int depth) except -1:
    if depth > MAX_DEPTH:
        return False
    if type(tree) is dict:
        try:
            keys = sorted(tree)
        except TypeError:
            return False
        for key in keys:
            if not collect_item((<dict>tree)[key], leaves, depth):
                return False
        return True
    if type(tree) is list:
        for item in <list>tree:
            if not collect_item(item, leaves, depth):
                return False
        return True
    if type(tree) is tuple:
        for item in <tuple>tree:
            if not collect_item(item, leaves, depth):
                return False
        return True
    return False


cdef inline bint collect_item(item, list leaves, int depth) except -1:
    if is_leaf(item):
        leaves.append(item)
        return True
    return collect(item, leaves, depth + 1)


cdef class Numbers:
    """A list of numbers read one after the other."""

    cdef list numbers
    cdef Py_ssize_t position


def rebuild(template, list numbers):
    """The nesting of `template` (a tree that `leaves_of` took) with these numbers; RuntimeError if it has more or fewer."""
    cdef Numbers reader = Numbers()
    reader.numbers = numbers
    tree = build(template, reader)
    if reader.position != len(numbers):
        raise RuntimeError(CHANGED)
    return tree


cdef object build(template, Numbers reader):
    if type(template) is list:
        return build_items(<list>template, reader)
    if type(template) is tuple:
        return tuple(build_items(list(<tuple>template), reader))
    if type(template) is dict:
        tree = dict.fromkeys(template)
        for key in sorted(template):
            tree[key] = build_item((<dict>template)[key], reader)
        return tree
    raise RuntimeError(CHANGED)


cdef list build_items(list template, Numbers reader):
    return [build_item(item, reader) for item in template]


cdef inline object build_item(template, Numbers reader):
    if is_leaf(template):
        if reader.position >= len(reader.numbers):
            raise RuntimeError(CHANGED)
        reader.position += 1
        return reader.numbers[reader.position - 1]
    return build(template, reader)
