"""Plain values, structures and signatures as a document has them: each way to write one next to the way to read it."""

import struct
from typing import Any

import numpy as np

from ..arrays import active
from ..core.nested import leaves_of
from ..errors import FormatError
from ..pytrees import NUMBER, Nesting
from .container import DTYPES, dtype_name, layout, need, short
from .signature import orders, skeleton

DEPTH = 100                # of nestings


# ---- plain values: arguments that are no inputs, parts of indices --------------------------------------------------------------

def _bits(x):
    return struct.pack(">d", x).hex()


def _number_from(text):
    if type(text) is not str or len(text) != 16:
        raise FormatError("no bits of a number")
    return struct.unpack(">d", bytes.fromhex(text))[0]


def encode_value(x: Any, what: str, operands: Any = None) -> Any:
    """A plain value in JSON's types; TypeError for one that can not be kept in a file. `operands` encodes Operands."""
    kind = type(x)
    if x is None or kind is bool or kind is str or (kind is int and -2**63 <= x < 2**63):
        return x
    if kind is int:
        return ["int", hex(x)]
    if kind is float:
        return ["float", _bits(x)]
    if kind is complex:
        return ["complex", _bits(x.real), _bits(x.imag)]
    if kind is bytes:
        return ["bytes", x.hex()]
    if kind is list or kind is tuple:
        return [kind.__name__, *(encode_value(entry, what, operands) for entry in x)]
    if isinstance(x, np.generic) and kind.__module__ == "numpy" and x.dtype.kind in "biufc":
        return ["number", dtype_name(x.dtype), x.astype(x.dtype.newbyteorder("<")).tobytes().hex()]
    if isinstance(x, np.dtype) or (kind is type and issubclass(x, (np.generic, float, int, bool))):
        return ["dtype", dtype_name(x)]
    if x is np._NoValue:
        return ["not given"]
    if kind is active.Operand and operands is not None:
        return operands(x)
    raise TypeError(f"{what} is a {kind.__module__}.{kind.__qualname__}, which can not be kept in a file")


def decode_value(x: Any, operands: Any = None, depth: int = 0) -> Any:
    """The value that `encode_value` made this of; FormatError for anything else."""
    if x is None or type(x) is bool or type(x) is str:
        return x
    if type(x) is int:
        if not -2**63 <= x < 2**63:
            raise FormatError("a whole number is too large")
        return x
    if type(x) is not list or not x or type(x[0]) is not str or depth > DEPTH:
        raise FormatError(f"no value: {short(x)}")
    kind, *rest = x
    if kind == "list" or kind == "tuple":
        entries = [decode_value(entry, operands, depth + 1) for entry in rest]
        return entries if kind == "list" else tuple(entries)
    if operands is not None and kind in ("constant", "scalar", "array", "view"):
        return operands(x)
    if kind == "not given" and not rest:
        return np._NoValue
    if not rest or any(type(entry) is not str for entry in rest):
        raise FormatError(f"no value: {short(x)}")
    if kind == "int" and len(rest) == 1 and len(rest[0]) < 4000:
        return int(rest[0], 16)
    if kind == "float" and len(rest) == 1:
        return _number_from(rest[0])
    if kind == "complex" and len(rest) == 2:
        return complex(_number_from(rest[0]), _number_from(rest[1]))
    if kind == "bytes" and len(rest) == 1:
        return bytes.fromhex(rest[0])
    if kind == "dtype" and len(rest) == 1:
        return _dtype(rest[0])
    if kind == "number" and len(rest) == 2:
        dtype, data = _dtype(rest[0]), bytes.fromhex(rest[1])
        if len(data) != dtype.itemsize or (dtype.kind == "b" and data[0] > 1):
            raise FormatError(f"no value: {short(x)}")
        return np.frombuffer(data, dtype.newbyteorder("<")).astype(dtype)[0]
    raise FormatError(f"no value: {short(x)}")


def _dtype(name):
    if name not in DTYPES:
        raise FormatError(f"no type of number: {short(name)}")
    return DTYPES[name]


# ---- structures ----------------------------------------------------------------------------------------------------------------

def encode_structure(structure: Any, what: str) -> Any:
    """A structure of dicts, lists and tuples: [whether optree read it, the nesting with 0 for leaves]; None for a lone number."""
    if structure is NUMBER:
        return None
    if type(structure) is Nesting:
        return [False, _encode_nesting(structure.template, what, False)]
    import optree
    return [True, _encode_nesting(optree.tree_unflatten(structure, [0.0] * structure.num_leaves), what, True)]


def _encode_nesting(tree, what, empty):
    kind = type(tree)
    if kind is dict:
        return ["dict", *([encode_value(key, f"a key in {what}"), _encode_nesting(entry, what, empty)]
                          for key, entry in tree.items())]
    if kind is list or kind is tuple:
        return [kind.__name__, *(_encode_nesting(entry, what, empty) for entry in tree)]
    if tree is None and empty:
        return None
    if empty and kind is not float:
        raise TypeError(f"{what} has a {kind.__module__}.{kind.__qualname__} in it, whose class can not be kept in a file; "
                        "use dict, list and tuple")
    return 0


def decode_structure(entry: Any) -> tuple[Any, int]:
    """(structure, number of leaves); FormatError for anything else."""
    if entry is None:
        return NUMBER, 1
    if type(entry) is not list or len(entry) != 2 or type(entry[0]) is not bool:
        raise FormatError("no structure of arguments or results")
    tree = _decode_nesting(entry[1], entry[0], 0)
    if entry[0]:
        import optree
        structure = optree.tree_structure(tree, namespace="fastad")
        return structure, structure.num_leaves
    leaves = leaves_of(tree)
    if leaves is None:
        raise FormatError("no structure of arguments or results")
    return Nesting(tree), len(leaves)


def _decode_nesting(entry, empty, depth):
    if type(entry) is int and entry == 0:
        return 0.0
    if entry is None and empty:
        return None
    if type(entry) is not list or not entry or depth > DEPTH:
        raise FormatError("no structure of arguments or results")
    kind, *rest = entry
    if kind == "list" or kind == "tuple":
        entries = [_decode_nesting(part, empty, depth + 1) for part in rest]
        return entries if kind == "list" else tuple(entries)
    if kind != "dict" or any(type(part) is not list or len(part) != 2 for part in rest):
        raise FormatError("no structure of arguments or results")
    tree = {}
    for key, part in rest:
        key = decode_value(key)
        if key in tree or key != key:
            raise FormatError("a key of a dict occurs twice")
        tree[key] = _decode_nesting(part, empty, depth + 1)
    return tree


# ---- signatures ----------------------------------------------------------------------------------------------------------------

_FLOATS = {float: "float", np.float64: "float64", np.float32: "float32"}
_FLOATS_BY_NAME = {name: kind for kind, name in _FLOATS.items()}


def encode_key(paths: Any) -> Any:
    """A signature: [structure of the arguments, what stands for each leaf]."""
    outline, described = paths.key
    leaves: list[Any] = []
    for entry in described:
        if isinstance(entry, type):
            if entry not in _FLOATS:
                raise TypeError(f"an argument is a {entry.__module__}.{entry.__qualname__}, which can not be kept in a file")
            leaves.append(_FLOATS[entry])
        elif entry[0] == "=":
            value = entry[1](complex(entry[2])) if issubclass(entry[1], complex) else entry[2]
            leaves.append(["=", encode_value(value, "an argument")])
        elif entry[0] == "is":
            kind = next((type(x) for x in paths.kept if id(x) == entry[1]), object)
            raise TypeError(f"an argument is a {kind.__module__}.{kind.__qualname__}, which is told apart by its identity; "
                            "capture it, or pass the numbers in it")
        else:
            leaves.append(["array", dtype_name(entry[0]), list(entry[1])])
    return [_encode_outline(outline), leaves]


def _encode_outline(outline):
    """The structure of arguments as `encode_structure` has it, from the key that it has become."""
    what = "the structure of the arguments"
    if isinstance(outline[0], type):
        return [False, _encode_outline_part(outline, what)]
    import optree
    spec, orders = outline
    tree = optree.tree_unflatten(spec, [0.0] * spec.num_leaves)
    return [True, _encode_nesting(_ordered(tree, orders), what, True)]


def _ordered(tree, orders):
    """A nesting with its dicts in the order that a key has noted."""
    if type(tree) is dict:
        return {key: _ordered(tree[key], part) for key, part in zip(orders[0], orders[1:])}
    if type(tree) is list or type(tree) is tuple:
        return type(tree)(_ordered(entry, part) for entry, part in zip(tree, orders))
    return tree


def _encode_outline_part(part, what):
    if part is None:
        return 0
    kind, *rest = part
    if kind is dict:
        return ["dict", *([encode_value(key, f"a key in {what}"), _encode_outline_part(entry, what)] for _, key, entry in rest)]
    return [kind.__name__, *(_encode_outline_part(entry, what) for entry in rest)]


def decode_key(entry: Any) -> tuple[Any, list[Any]]:
    """(key, for each input float or its layout) of a signature."""
    if type(entry) is not list or len(entry) != 2 or type(entry[1]) is not list:
        raise FormatError("no signature")
    structure, count = decode_structure(entry[0])
    if structure is NUMBER or count != len(entry[1]):
        raise FormatError("a signature whose structure and leaves do not fit")
    described: list[Any] = []
    inputs: list[Any] = []
    for leaf in entry[1]:
        if type(leaf) is str and leaf in _FLOATS_BY_NAME:
            kind = _FLOATS_BY_NAME[leaf]
            described.append(kind)
            inputs.append(((), DTYPES["float32"]) if kind is np.float32 else float)
        elif type(leaf) is list and len(leaf) == 2 and leaf[0] == "=":
            value = decode_value(leaf[1])
            if isinstance(value, (list, tuple, float, np.dtype)) or value is np._NoValue:
                raise FormatError("no argument: " + short(leaf))
            described.append(("=", type(value), str(value) if isinstance(value, complex) else value))
        elif type(leaf) is list and len(leaf) == 3 and leaf[0] == "array":
            lengths, dtype = layout(leaf[1:])
            described.append((dtype.str, lengths))
            inputs.append((lengths, dtype))
        else:
            raise FormatError("no argument: " + short(leaf))
    outline = skeleton(structure)
    if outline is structure:
        tree = _decode_nesting(entry[0][1], True, 0)
        need(type(tree) is list and 1 <= len(tree) <= 2 and type(tree[0]) is list, "no structure of arguments")
        outline = outline, orders([tree[0], tree[1] if len(tree) > 1 else {}])
    return (outline, tuple(described)), inputs
