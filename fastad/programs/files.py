"""Programs as documents: what is kept of every path, and how it is checked before a program is made of it again.

The document names instructions and functions; functions are looked up in the tables of this module, never imported by name. A
path is accepted only if every operand, shape and size is one that a recording could have given, so that no instruction of it can
reach outside of its arrays. See docs/file-format.md.
"""

import math
import struct
from typing import Any

import numpy as np

from ..arrays import active, partials
from ..arrays.functions import converted, parameters_of
from ..arrays.rules.extremes import tie_means, tie_shares
from ..arrays.rules.helpers import scatter_add
from ..arrays.rules.registry import RULES
from ..core.nested import leaves_of
from ..elementals import opcode_name, register_special
from ..errors import FormatError, expression_at
from ..pytrees import NUMBER, Nesting
from ..table import ELEMENTARY, SPECIAL
from ..table.generate import FIRST_OPCODE
from . import container
from .code import Code, Plain, Single, outcome_recorded, tape_with
from .container import DTYPES, dtype_name, layout, shape
from .signature import orders, skeleton

MEMORY = 64 << 20          # bytes of arrays that a path may always declare beside its inputs,
MEMORY_PER_BYTE = 1000     # and for every byte of the file and of its inputs
WORK_PER_BYTE = 100        # elements that a path may visit for every such byte
DEPTH = 100                # of nestings

CONSTANT, INPUT, EXTRA, SPECIAL_ROW, ARRAY, GATHER, PUT = range(7)
GUARD_LESS, GUARD_LESS_EQUAL, GUARD_EQUAL, GUARD_VALUE = range(7, 11)
ROUNDINGS = 7

_DOUBLE = np.dtype(float)
_ROWS = {op.name: FIRST_OPCODE + index for index, op in enumerate(ELEMENTARY)}
_SPECIAL_ROWS = {op.name: index for index, op in enumerate(SPECIAL)}
_ARITY = np.array([0] * FIRST_OPCODE + [op.arity for op in ELEMENTARY])
_SPECIAL_ARITY = np.array([op.arity for op in SPECIAL])

# Ufuncs whose results have derivative zero, or that are applied to whole numbers.
_TRACKED_UFUNCS = {getattr(np, name): name for name in (
    "less", "less_equal", "equal", "not_equal", "greater", "greater_equal", "logical_and", "logical_or", "logical_xor",
    "logical_not", "isnan", "isinf", "isfinite",
    "signbit", "bitwise_and", "bitwise_or", "bitwise_xor", "invert", "left_shift", "right_shift",
    "add", "subtract", "multiply", "floor_divide", "remainder", "negative", "positive", "absolute", "sign", "minimum", "maximum",
    "square", "divide")}
_TRACKED = {np.any: "any", np.all: "all", converted: "converted", **_TRACKED_UFUNCS}
_CALLS = {function: function.__name__ for function in (
    np.sum, np.prod, np.max, np.min, np.mean, np.matmul, np.dot, np.where, np.concatenate, np.stack, np.reshape, np.broadcast_to,
    np.copy, scatter_add, np.take, np.outer, tie_shares, tie_means)}
_TRACKED_BY_NAME = {name: function for function, name in _TRACKED.items()}
_CALLS_BY_NAME = {name: function for function, name in _CALLS.items()}


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
        raise FormatError(f"no value: {container._short(x)}")
    kind, *rest = x
    if kind == "list" or kind == "tuple":
        entries = [decode_value(entry, operands, depth + 1) for entry in rest]
        return entries if kind == "list" else tuple(entries)
    if operands is not None and kind in ("constant", "scalar", "array", "view"):
        return operands(x)
    if kind == "not given" and not rest:
        return np._NoValue
    if not rest or any(type(entry) is not str for entry in rest):
        raise FormatError(f"no value: {container._short(x)}")
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
            raise FormatError(f"no value: {container._short(x)}")
        return np.frombuffer(data, dtype.newbyteorder("<")).astype(dtype)[0]
    raise FormatError(f"no value: {container._short(x)}")


def _dtype(name):
    if name not in DTYPES:
        raise FormatError(f"no type of number: {container._short(name)}")
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
                raise FormatError("no argument: " + container._short(leaf))
            described.append(("=", type(value), str(value) if isinstance(value, complex) else value))
        elif type(leaf) is list and len(leaf) == 3 and leaf[0] == "array":
            lengths, dtype = layout(leaf[1:])
            described.append((dtype.str, lengths))
            inputs.append((lengths, dtype))
        else:
            raise FormatError("no argument: " + container._short(leaf))
    outline = skeleton(structure)
    if outline is structure:
        tree = _decode_nesting(entry[0][1], True, 0)
        _need(type(tree) is list and 1 <= len(tree) <= 2 and type(tree[0]) is list, "no structure of arguments")
        outline = outline, orders([tree[0], tree[1] if len(tree) > 1 else {}])
    return (outline, tuple(described)), inputs


# ---- writing paths -------------------------------------------------------------------------------------------------------------

class _Arrays:
    """The arrays of a document, each once."""

    def __init__(self):
        self.arrays: list[Any] = []
        self._known: dict[Any, int] = {}

    def add(self, x):
        """The number of an array among those of the document."""
        x = np.asarray(x)
        key = (dtype_name(x.dtype), x.shape, np.ascontiguousarray(x, x.dtype.newbyteorder("=")).tobytes())
        if key not in self._known:
            self._known[key] = len(self.arrays)
            self.arrays.append(x.copy())
        return self._known[key]


class _Rows:
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


class _Places:
    """Lines of the user's code, each once."""

    def __init__(self):
        self.lines: list[Any] = []
        self._known: dict[Any, Any] = {}

    def add(self, place):
        """The number of a line; `place` is what a tape gives for an instruction."""
        code, offset = place
        if type(code) is tuple:
            line = code
        else:
            line = self._known.get((code, offset))
            if line is None:
                line = self._known[code, offset] = expression_at(code.co_filename, code.co_positions(), offset)
        if line not in self._known:
            self._known[line] = len(self.lines)
            self.lines.append(list(line))
        return self._known[line]


def encode_operand(x: Any, storages: Any) -> Any:
    """An Operand in JSON's types."""
    kind, *rest = active.operand_parts(x)
    if kind == "constant":
        return ["constant", encode_value(rest[0], "an operand")]
    if kind == "scalar":
        return ["scalar", rest[0]]
    number, lengths, dtype, strides, offset, keeps = rest
    if dtype != storages[number][1] or (strides is None and lengths != storages[number][0]):
        raise TypeError("an operand is an array in another type or shape than its memory, which can not be kept in a file")
    return ["array", number, keeps] if strides is None else ["view", number, list(lengths), list(strides), offset, keeps]


def encode_record(record: Any, storages: Any, arrays: Any) -> Any:
    """An array instruction in JSON's types."""
    def operand(x):
        return encode_operand(x, storages)

    def nesting(x):
        return encode_value(x, f"an argument of {name}", operand)

    name = kind = type(record).__name__
    if kind == "Copy":
        return ["input", record.out] if record.x is None else ["copy", operand(record.x), record.out]
    if kind == "Constant":
        return ["constant", arrays.add(record.value if record.origin is None else record.origin), record.out]
    if kind == "Elementwise":
        name = opcode_name(record.op)
        operands = [record.x] if record.arity == 1 else [record.x, record.y]
        ufunc = _ufunc_name(record.ufunc, ELEMENTARY[record.op - FIRST_OPCODE])
        return ["elementwise", name, ufunc, [operand(x) for x in operands], record.out, active.keeps_result(record)]
    if kind == "SpecialElementwise":
        name = SPECIAL[record.row].name
        ufunc = _ufunc_name(record.ufunc, SPECIAL[record.row])
        return ["special", name, ufunc, [operand(x) for x in record.operands], record.out, active.keeps_result(record)]
    if kind == "Assign" and record.key is None:
        return ["assign", operand(record.target), operand(record.x)]
    if kind == "Total":
        return ["total", operand(record.x), record.out]
    if kind == "Selection":
        return ["selection", operand(record.x), nesting(record.key), record.out]
    if kind == "AddAt":
        return ["add at", operand(record.target), None if record.key is None else nesting(record.key), operand(record.x)]
    if kind == "Guard":
        return ["guard", operand(record.x), arrays.add(record.expected)]
    if kind in ("Tracked", "Call") and type(record.outs) is int:
        function = record.function if kind == "Tracked" else record.rule.function
        name = getattr(function, "__name__", str(function))
        known = (_TRACKED if kind == "Tracked" else _CALLS).get(function)
        if known is not None:
            keywords = {key: nesting(x) for key, x in record.kwargs.items()}
            written = [known, [nesting(x) for x in record.args], keywords, record.outs]
            return ["tracked", *written] if kind == "Tracked" else ["call", *written, active.keeps_result(record)]
    raise TypeError(f"{name} is an instruction that can not be kept in a file")


def _ufunc_name(ufunc, op):
    """The name of the ufunc that computes a row; "row" if the row itself does."""
    if type(ufunc) is not np.ufunc:
        return "row"
    for name in op.numpy:
        if getattr(np, name, None) is ufunc:
            return f"numpy.{name}"
    if op.scipy:
        import scipy.special
        for name in op.scipy:
            if getattr(scipy.special, name, None) is ufunc:
                return f"scipy.special.{name}"
    raise TypeError(f"{ufunc.__name__} is a function that can not be kept in a file")


def encode_path(code: Any, arrays: Any, places: Any, rows: Any) -> dict[str, Any]:
    """A path in JSON's types; TypeError that names the functions in it that need Python."""
    if code.callbacks:
        raise TypeError(f"{', '.join(sorted(set(code.callbacks)))}: in a replay these run in Python, and a file holds no code")
    tape = code.tape
    opcode, value = np.array(tape.opcode), np.array(tape.value)
    with_value = (opcode == CONSTANT) | ((opcode >= GUARD_LESS) & (opcode <= GUARD_VALUE))
    opcode, b = rows.instructions(opcode, np.array(tape.b))
    lines = np.full(len(opcode), -1, np.int32)
    for i in range(len(opcode)):
        place = tape.place(i)
        if place is not None:
            lines[i] = places.add(place)
    return {
        "opcode": arrays.add(opcode), "a": arrays.add(tape.a), "b": arrays.add(b), "values": arrays.add(value[with_value]),
        "lines": arrays.add(lines),
        "storages": [[dtype_name(dtype), list(lengths)] for lengths, dtype in tape.storages],
        "records": [encode_record(record, tape.storages, arrays) for record in tape.records],
        "inputs": [x if isinstance(x, int) else ["array", x.number] for x in code.inputs],
        "outputs": [_encode_output(x, tape.storages) for x in code.outputs],
        "structure": encode_structure(code.structure, "the structure of the result"),
    }


def _encode_output(x, storages):
    if isinstance(x, int):
        return ["scalar", x]
    if type(x) is Plain:
        return ["plain", encode_value(x.value, "a part of the result")]
    return ["number", encode_operand(x.operand, storages)] if type(x) is Single else ["array", encode_operand(x, storages)]


def encode(name: str, fast_math: bool, signatures: Any) -> tuple[bytes, list[Any]]:
    """The parts of a file, as of `container.pack`, of a program: its Paths with at least one path each."""
    arrays, places, rows, written = _Arrays(), _Places(), _Rows(), []
    for paths in signatures:
        codes = list(paths.codes)
        numbers = {id(code): k for k, code in enumerate(codes)}
        written.append({
            "key": encode_key(paths),
            "last": numbers.get(id(paths.last), len(codes) - 1),
            "paths": [{**encode_path(code, arrays, places, rows), "parent": numbers.get(id(code.owner.parent), -1),
                       "fork": code.owner.fork} for code in codes],
        })
    document = {"name": name, "fast_math": bool(fast_math), "signatures": written, "lines": places.lines, "rows": rows.elementary,
                "special_rows": rows.special}
    return container.pack(document, arrays.arrays)


# ---- reading paths -------------------------------------------------------------------------------------------------------------

def _need(condition, problem):
    if not condition:
        raise FormatError(problem)


def _fields(entry, what, **kinds):
    """The values of an object that has exactly these fields, each of a type."""
    _need(type(entry) is dict and entry.keys() == kinds.keys(), f"{what} has other fields than {', '.join(kinds)}")
    for name, kind in kinds.items():
        _need(kind is object or type(entry[name]) is kind, f"{name} of {what} is not of type {kind.__name__}")
    return [entry[name] for name in kinds]


def _row_numbers(names, known, first):
    """The numbers in a table of the rows with these names."""
    _need(all(type(name) is str and name in known for name in names) and len(set(names)) == len(names),
          "a function that this fastad does not have, or one twice: " + container._short(names))
    return np.array([known[name] - first for name in names], np.int32)


def _numbers_from(numbers, which, first, table):
    """Puts numbers of the tables in place of those of a file."""
    given = numbers[which].astype(np.int64) - first
    _need(not len(given) or (given.min() >= 0 and given.max() < len(table)), "an instruction of a function that is not named")
    if len(given):
        numbers[which] = first + table[given]


class _PathReader:
    """One path as it is checked and put together."""

    def __init__(self, entry, arrays, lines, rows, inputs, limit):
        (opcode, a, b, values, lines_of, storages, records, handles, outputs, structure, self.parent, self.fork) = _fields(
            entry, "a path", opcode=int, a=int, b=int, values=int, lines=int, storages=list, records=list, inputs=list,
            outputs=list, structure=object, parent=int, fork=int)
        self.arrays = arrays
        self.opcode, self.a, self.b = self.array(opcode, "uint8").copy(), self.array(a, "int32"), self.array(b, "int32").copy()
        self.n = len(self.opcode)
        self.lines = self.array(lines_of, "int32")
        _need(len(self.a) == len(self.b) == len(self.lines) == self.n, "a path has operands for other instructions")
        _need(0 < self.n < 2**31, "a path has no instructions")
        _need(self.lines.min() >= -1 and self.lines.max() < len(lines), "an instruction has a line that is not there")
        self.storages = [layout(x) for x in storages]
        elementary, special_rows = rows
        _numbers_from(self.opcode, self.opcode >= FIRST_OPCODE, FIRST_OPCODE, elementary)
        _numbers_from(self.b, self.opcode == SPECIAL_ROW, 0, special_rows)
        self.entries = records
        self.defined = [-1] * len(storages)          # by storage: the instruction that makes it
        self.fixed = [False] * len(storages)         # whether it is a plain array
        self.is_input = [False] * len(storages)
        self.i = 0
        self.work = 0
        self.converted = 0                           # bytes of operands that are converted to another type
        self.values = self.spread(self.array(values, "float64"))
        self.check_instructions()
        slots = np.flatnonzero(self.opcode == ARRAY)
        _need(len(slots) == len(records) and (self.a[slots] == np.arange(len(records))).all() and not self.b[slots].any(),
              "a path has other array instructions than its tape")
        self.records = [self.record(i, x) for i, x in zip(slots.tolist(), records)]
        self.check_elements()
        self.inputs = self.read_inputs(handles, inputs)
        self.outputs = [self.output(x) for x in outputs]
        self.structure, count = decode_structure(structure)
        _need(count == len(outputs), "a result has a structure for another number of leaves")
        self.check_memory(inputs, limit)

    def array(self, number, dtype):
        """Array `number` of the document, which must have one dimension and this type."""
        x = self.any_array(number)
        _need(x.dtype == DTYPES[dtype] and x.ndim == 1, f"array {number} is not of type {dtype} and one dimension")
        return x

    def any_array(self, number):
        _need(type(number) is int and 0 <= number < len(self.arrays), f"there is no array {container._short(number)}")
        return self.arrays[number]

    # ---- the tape ----

    def spread(self, given):
        with_value = (self.opcode == CONSTANT) | ((self.opcode >= GUARD_LESS) & (self.opcode <= GUARD_VALUE))
        _need(len(given) == np.count_nonzero(with_value), "a path has values for other instructions")
        values = np.zeros(self.n)
        values[with_value] = given
        return values

    def check_instructions(self):
        """Opcodes, and operands that are slots: all of them before the instruction."""
        opcode, a, b, n = self.opcode, self.a, self.b, self.n
        here = np.arange(n)
        row = opcode >= FIRST_OPCODE
        _need(((opcode <= GUARD_VALUE) | row).all(), "an instruction has an opcode that does not exist")
        arity = _ARITY[opcode]
        comparison = (opcode >= GUARD_LESS) & (opcode <= GUARD_EQUAL)
        by_slot = row | comparison | (opcode == EXTRA) | (opcode == SPECIAL_ROW) | (opcode == GUARD_VALUE)
        _need(((a >= 0) & (b >= 0)).all() and (a[by_slot] < here[by_slot]).all(), "an instruction uses the result of a later one")
        two = (row & (arity > 1)) | comparison | (opcode == EXTRA)
        _need((b[two] < here[two]).all(), "an instruction uses the result of a later one")
        self.is_guard = comparison | (opcode == GUARD_VALUE)
        _need(not (self.is_guard[a[by_slot]].any() or self.is_guard[b[two]].any()), "an instruction uses the result of a guard")
        none = (opcode == CONSTANT) | (opcode == INPUT)
        _need(not (a[none].any() or b[none].any() or b[row & (arity < 2)].any()), "an instruction has an operand too many")
        _need((b[opcode == GUARD_VALUE] < ROUNDINGS).all(), "a guard on a number that does not exist")
        decided = self.values[comparison]
        _need(((decided == 0.0) | (decided == 1.0)).all(), "a guard expects neither true nor false")
        special = np.flatnonzero(opcode == SPECIAL_ROW)
        if len(special):
            arity = _SPECIAL_ARITY[b[special]]
            behind = special[arity > 1]
            _need((behind > 0).all() and (opcode[behind - 1] == EXTRA).all(), "an instruction lacks operands")
            behind = special[arity > 3]
            _need((behind > 1).all() and (opcode[behind - 2] == EXTRA).all(), "an instruction lacks operands")
            register_special()
        puts = np.flatnonzero(opcode == PUT)
        _need((puts > 0).all() and (opcode[puts - 1] == EXTRA).all(), "an instruction lacks operands")

    def check_elements(self):
        """Single elements that are read and written."""
        for kind in (GATHER, PUT):
            at = np.flatnonzero(self.opcode == kind)
            if not len(at):
                continue
            _need((self.a[at] < len(self.storages)).all(), "an element of an array that is not there")
            sizes = np.array([math.prod(lengths) if dtype == _DOUBLE else 0 for lengths, dtype in self.storages])
            _need((self.b[at] < sizes[self.a[at]]).all(), "an element outside of its array")
            defined = np.array(self.defined)[self.a[at]]
            _need(((defined >= 0) & (defined < at)).all(), "an element of an array that is not there yet")
            if kind == PUT:
                _need(not np.array(self.fixed)[self.a[at]].any(), "an instruction writes into a constant")

    def check_memory(self, inputs, limit):
        given = sum(x[1].itemsize * math.prod(x[0]) for x in inputs if x is not float)
        if limit is None:
            return
        limit = limit + MEMORY_PER_BYTE * given
        needed = self.converted + sum(dtype.itemsize * math.prod(lengths)
                                      for (lengths, dtype), fixed in zip(self.storages, self.fixed) if not fixed)
        _need(needed <= limit, f"a path needs {needed} bytes of arrays, more than the {limit} that the file's size lets expect; "
                               "if you trust the file, load it with max_bytes")
        limit *= WORK_PER_BYTE
        _need(self.work <= limit, f"a path visits {self.work} elements, more than the {limit} that the file's size lets expect; "
                                  "if you trust the file, load it with max_bytes")

    # ---- array instructions ----

    def operand(self, entry):
        """The Operand that an entry describes, of what is there before instruction i."""
        _need(type(entry) is list and len(entry) > 1 and type(entry[0]) is str, "no operand: " + container._short(entry))
        kind, number = entry[:2]
        if kind == "constant" and len(entry) == 2:
            value = decode_value(number)
            _need(isinstance(value, (float, int, complex, np.generic)), "no operand: " + container._short(entry))
            return active.constant_operand(value)
        _need(type(number) is int and number >= 0, "no operand: " + container._short(entry))
        if kind == "scalar" and len(entry) == 2:
            _need(number < self.i and not self.is_guard[number], "an instruction uses the result of a later one, or of a guard")
            return active.scalar_operand(number)
        _need(number < len(self.storages), "an instruction uses an array that is not there")
        of_storage = self.storages[number]
        # An array without elements needs no instruction.
        _need(self.defined[number] < self.i and (self.defined[number] >= 0 or 0 in of_storage[0]),
              "an instruction uses an array that is not there yet")
        keeps = entry[-1]
        _need(type(keeps) is int and 0 <= keeps <= 2, "no operand: " + container._short(entry))
        if kind == "array" and len(entry) == 3:
            return active.array_operand(number, of_storage, None, 0, keeps, self.n)
        _need(kind == "view" and len(entry) == 6, "no operand: " + container._short(entry))
        lengths, strides, offset = shape(entry[2], of_storage[1].itemsize), entry[3], entry[4]
        self.check_view(lengths, strides, offset, of_storage)
        return active.array_operand(number, (lengths, of_storage[1]), tuple(strides), offset, keeps, self.n)

    def check_view(self, lengths, strides, offset, of_storage):
        item, inside = of_storage[1].itemsize, of_storage[1].itemsize * math.prod(of_storage[0])
        _need(type(strides) is list and len(strides) == len(lengths) and all(type(x) is int for x in (*strides, offset)),
              "a part of an array without strides")
        _need(all(abs(x) <= container.LARGEST and x % item == 0 for x in (*strides, offset)), "a part of an array is not aligned")
        _need(0 <= offset <= inside and math.prod(lengths) <= math.prod(of_storage[0]), "a part of an array is outside of it")
        if 0 not in lengths:
            low = offset + sum(min(0, step * (n - 1)) for n, step in zip(lengths, strides))
            high = offset + sum(max(0, step * (n - 1)) for n, step in zip(lengths, strides)) + item
            _need(low >= 0 and high <= inside, "a part of an array is outside of it")

    def array_operand(self, entry):
        x = self.operand(entry)
        _need(x.layout is not None, "an instruction needs an array")
        return x

    def out(self, number):
        """Notes that instruction i makes a storage (a scalar for -1); returns the shape and type of its result."""
        _need(type(number) is int and -1 <= number < len(self.storages), "an instruction has no result")
        if number < 0:
            return (), _DOUBLE
        _need(self.defined[number] < 0, "an array is made twice")
        self.defined[number] = self.i
        self.work += math.prod(self.storages[number][0])
        return self.storages[number]

    def converts(self, operands, result):
        """Notes the memory for operands in other types than the result."""
        for x in operands:
            if type(x) is active.Operand and x.layout is not None and x.layout[1] != result[1]:
                self.converted += 16 * math.prod(x.layout[0])

    def target(self, entry):
        x = self.array_operand(entry)
        _need(not self.fixed[x.number], "an instruction writes into a constant")
        self.work += math.prod(x.layout[0])
        return x

    def made_by_writing(self, entry):
        """Counts an array as made if an assignment, instruction i, writes all of it and nothing has made it before."""
        number = entry[1] if type(entry) is list and len(entry) > 1 and entry[0] in ("array", "view") else None
        if type(number) is not int or not 0 <= number < len(self.storages) or self.defined[number] >= 0:
            return
        lengths, _ = self.storages[number]
        if entry[0] == "view" and len(entry) == 6:
            lengths = shape(entry[2])
            _need(math.prod(lengths) == math.prod(self.storages[number][0]), "an instruction uses an array that is not there yet")
            self.check_view(lengths, entry[3], entry[4], self.storages[number])
            reach = self.storages[number][1].itemsize
            for step, n in sorted((abs(step), n) for step, n in zip(entry[3], lengths) if n > 1):
                _need(step >= reach, "elements of an array that is made share memory")
                reach = step * n
        self.defined[number] = self.i

    def record(self, i, entry):
        """Array instruction i."""
        self.i = i
        _need(type(entry) is list and entry and type(entry[0]) is str, "no instruction")
        read, length = _READERS.get(entry[0], (None, 0))
        _need(read is not None and len(entry) == length, "no instruction: " + container._short(entry))
        return read(self, *entry[1:])

    def key(self, entry):
        """An index of Operands."""
        key = decode_value(entry, self.array_operand)
        for x in key if type(key) is tuple else (key,):
            _need(type(x) is active.Operand, "an index that is not made of arrays")
            self.work += math.prod(x.layout[0])
        return key

    # ---- what goes in and comes out ----

    def read_inputs(self, handles, inputs):
        _need(len(handles) == len(inputs), "a path has another number of inputs than its signature")
        found, scalars, arrays = [], [], []
        for handle, expected in zip(handles, inputs):
            if expected is float:
                _need(type(handle) is int, "an input is no number")
                scalars.append(handle)
                found.append(handle)
                continue
            _need(type(handle) is list and len(handle) == 2 and handle[0] == "array" and type(handle[1]) is int
                  and 0 <= handle[1] < len(self.storages), "an input is no array")
            number = handle[1]
            _need(self.storages[number] == expected and self.is_input[number], "an input is not what its signature says")
            arrays.append(number)
            found.append(active.array_operand(number, self.storages[number], None, 0, 0, self.defined[number]))
        _need(scalars == np.flatnonzero(self.opcode == INPUT).tolist(), "inputs are not those of the tape")
        _need(sorted(arrays) == [k for k, is_input in enumerate(self.is_input) if is_input] and len(set(arrays)) == len(arrays),
              "inputs are not those of the tape")
        return found

    def output(self, entry):
        self.i = self.n
        _need(type(entry) is list and len(entry) == 2, "no result")
        kind, x = entry
        if kind == "scalar":
            _need(type(x) is int and 0 <= x < self.n and not self.is_guard[x], "a result is not there")
            return x
        if kind == "plain":
            value = decode_value(x)
            _need(not isinstance(value, (list, tuple, np.dtype)) and value is not np._NoValue, "no result")
            return Plain(value)
        _need(kind in ("number", "array"), "no result")
        x = self.array_operand(x)
        _need(kind == "array" or x.layout[0] == (), "a number has dimensions")
        return Single(x) if kind == "number" else x

    def code(self, lines, beside, fast):
        """The Code of the path, which shares workspaces with the one before it."""
        places = np.where(self.lines < 0, np.int64(-1), self.lines.astype(np.int64) << 32)
        tape = tape_with(np.array(self.opcode), np.array(self.a), np.array(self.b), self.values, places, self.records,
                         self.storages, lines)
        code = Code(tape, self.inputs, self.outputs, beside, fast=fast)
        _need(not code.callbacks, f"a path has instructions that do not exist in this form: {', '.join(code.callbacks)}")
        code.structure = self.structure
        return code

    def goes_along(self, other, fork):
        """Whether this path is the other up to a guard."""
        if not 0 <= fork < min(self.n, other.n) or self.guard(fork) is None or self.guard(fork) != other.guard(fork):
            return False
        for name in ("opcode", "a", "b", "values"):
            if getattr(self, name)[:fork].tobytes() != getattr(other, name)[:fork].tobytes():
                return False
        records = int(np.count_nonzero(self.opcode[:fork] == ARRAY))
        storages = 1 + max((k for k, at in enumerate(self.defined) if 0 <= at < fork), default=-1)
        return (self.entries[:records] == other.entries[:records] and self.storages[:storages] == other.storages[:storages]
                and self.fixed[:storages] == other.fixed[:storages] and _handles(self.inputs) == _handles(other.inputs))

    def guard(self, i):
        """What guard i looks at; None if instruction i is no guard."""
        if GUARD_LESS <= self.opcode[i] <= GUARD_VALUE:
            return self.opcode[i], self.a[i], self.b[i]
        if self.opcode[i] == ARRAY and self.entries[self.a[i]][0] == "guard":
            return self.entries[self.a[i]][1]
        return None


def _handles(inputs):
    return [x if isinstance(x, int) else ("array", x.number) for x in inputs]


# ---- array instructions by kind ------------------------------------------------------------------------------------------------

def _shape_of(x):
    """The shape of an operand; () of a number."""
    return x.layout[0] if type(x) is active.Operand and x.layout is not None else ()


def _broadcast(shapes, result, what, exactly=True):
    """Checks that shapes are broadcast to that of the result; to no other one, or at least to that."""
    try:
        found = np.broadcast_shapes(*shapes) if exactly else np.broadcast_shapes(*shapes, result)
    except ValueError:
        found = None
    _need(found == result, f"{what} has operands of shapes that do not fit")


def _read_input(path, out):
    _need(type(out) is int and out >= 0, "an input is no array")
    path.out(out)
    path.is_input[out] = True
    return active.copy_record(None, out)


def _read_copy(path, x, out):
    x = path.operand(x)
    _need(type(out) is int and out >= 0, "a copy has no array")
    _broadcast([_shape_of(x)], path.out(out)[0], "a copy", False)
    return active.copy_record(x, out)


def _read_constant(path, number, out):
    value = path.any_array(number)
    _need(type(out) is int and out >= 0 and path.out(out) == (value.shape, value.dtype), "a constant has another shape or type")
    path.fixed[out] = True
    return active.constant_record(value, out)


def _ufunc(name, op):
    """The function that computes a row's values, by its name."""
    if name == "row" and op.name in _ROWS:
        found = partials.value_function(op.name)
        return found if type(found) is not np.ufunc else partials._element_by_element(op.name)
    module, _, name = name.rpartition(".") if type(name) is str else (None, None, None)
    if module == "numpy" and name in op.numpy:
        found = getattr(np, name, None)
    elif module == "scipy.special" and name in op.scipy:
        import scipy.special
        found = getattr(scipy.special, name, None)
    else:
        found = None
    _need(type(found) is np.ufunc and found.nin == op.arity, f"no function that computes {op.name}")
    return found


def _row(path, rows, name, ufunc, operands, out, keeps):
    _need(type(name) is str and name in rows and type(operands) is list and type(keeps) is bool, "no function of elements")
    op = (ELEMENTARY[_ROWS[name] - FIRST_OPCODE] if rows is _ROWS else SPECIAL[_SPECIAL_ROWS[name]])
    _need(len(operands) == op.arity, f"{name} has another number of operands")
    operands = [path.operand(x) for x in operands]
    result = path.out(out)
    _broadcast([_shape_of(x) for x in operands], result[0], name)
    path.converts(operands, result)
    return rows[name], _ufunc(ufunc, op), operands, result


def _read_elementwise(path, name, ufunc, operands, out, keeps):
    op, ufunc, operands, result = _row(path, _ROWS, name, ufunc, operands, out, keeps)
    return active.elementwise_record(op, ufunc, operands, out, result if out >= 0 else None, keeps)


def _read_special(path, name, ufunc, operands, out, keeps):
    row, ufunc, operands, _ = _row(path, _SPECIAL_ROWS, name, ufunc, operands, out, keeps)
    return active.special_record(row, ufunc, operands, out, keeps)


def _read_assign(path, target, x):
    x = path.operand(x)
    path.made_by_writing(target)
    path.i += 1                      # the target may be what this instruction makes
    target = path.target(target)
    own = _shape_of(x)
    while len(own) > len(target.layout[0]) and own[0] == 1:
        own = own[1:]
    _broadcast([own], target.layout[0], "an assignment", False)
    return active.assign_record(target, x)


def _read_total(path, x, out):
    x = path.array_operand(x)
    path.work += math.prod(x.layout[0])
    _need(path.out(out)[0] == (), "a sum has dimensions")
    return active.total_record(x, out)


def _selected(x, key, result):
    """Checks that elements of x at a key have the shape of the result."""
    indices = key if type(key) is tuple else (key,)
    _need(0 < len(indices) <= len(x), "an index for more dimensions than there are")
    try:
        around = np.broadcast_shapes(*[index.layout[0] for index in indices])
    except ValueError:
        raise FormatError("an index of shapes that do not fit") from None
    _need(around + x[len(indices):] == result, "a selection has another shape")


def _read_selection(path, x, key, out):
    x, key = path.array_operand(x), path.key(key)
    _selected(x.layout[0], key, path.out(out)[0])
    return active.selection_record(x, key, out)


def _read_add_at(path, target, key, x):
    target, x = path.target(target), path.array_operand(x)
    if key is None:
        _need(x.layout == target.layout, "an addition of another shape or type")
        return active.add_at_record(target, None, x)
    key = path.key(key)
    _selected(target.layout[0], key, x.layout[0])
    return active.add_at_record(target, key, x)


def _read_guard(path, x, number):
    x, expected = path.array_operand(x), path.any_array(number)
    path.work += expected.size
    _need(x.layout == (expected.shape, expected.dtype), "a guard expects another shape or type")
    return active.guard_record(x, expected)


def _arguments(path, args, kwargs):
    _need(type(args) is list and type(kwargs) is dict, "a call without arguments")
    return [decode_value(x, path.operand) for x in args], {name: decode_value(x, path.operand) for name, x in kwargs.items()}


def _read_tracked(path, name, args, kwargs, out):
    _need(type(name) is str and name in _TRACKED_BY_NAME, f"no function {container._short(name)}")
    function = _TRACKED_BY_NAME[name]
    args, kwargs = _arguments(path, args, kwargs)
    result = path.out(out)
    _need(not kwargs, f"{name} has other arguments than a recording gives it")
    if function is converted:
        _need(len(args) == 2 and isinstance(args[1], np.dtype) and _shape_of(args[0]) == result[0] and args[1] == result[1],
              "a conversion has another shape or type")
    elif type(function) is np.ufunc:
        _need(len(args) == function.nin and not any(isinstance(x, (list, tuple, str, bytes, np.dtype)) for x in args),
              f"{name} has other operands than a recording gives it")
        _broadcast([_shape_of(x) for x in args], result[0], name)
    else:
        _need(len(args) == 1 and type(args[0]) is active.Operand and result[0] == (), f"{name} has another shape")
        path.work += math.prod(_shape_of(args[0]))
    return active.tracked_record(function, args, kwargs, out)


def _read_call(path, name, args, kwargs, out, keeps):
    _need(type(name) is str and name in _CALLS_BY_NAME and type(keeps) is bool, f"no function {container._short(name)}")
    rule = RULES[_CALLS_BY_NAME[name]]
    args, kwargs = _arguments(path, args, kwargs)
    result = path.out(out)
    try:
        arguments = rule.bind(args, kwargs).arguments
        found = _SHAPES[name](path, **arguments)
    except (TypeError, ValueError, IndexError, AttributeError) as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(f"{name} has arguments that do not fit: {str(error)[:200]}") from None
    _need(found == result[0], f"{name} has a result of another shape")
    path.converts(args, result)
    path.converts(kwargs.values(), result)
    return active.call_record(rule, args, kwargs, parameters_of(rule).places(args, kwargs), out, keeps)


_READERS = {
    "input": (_read_input, 2), "copy": (_read_copy, 3), "constant": (_read_constant, 3), "elementwise": (_read_elementwise, 6),
    "special": (_read_special, 6), "assign": (_read_assign, 3), "total": (_read_total, 3), "selection": (_read_selection, 4),
    "add at": (_read_add_at, 4), "guard": (_read_guard, 3), "tracked": (_read_tracked, 5), "call": (_read_call, 6),
}


# ---- shapes of the results of calls --------------------------------------------------------------------------------------------
# For each function (path, **arguments by name) -> shape; FormatError for arguments that a recording does not give it.

def _array(x):
    """The shape of an argument that is an array or an active scalar."""
    _need(type(x) is active.Operand, "an argument is no array")
    return _shape_of(x)


def _parts(arrays):
    _need(isinstance(arrays, (list, tuple)) and arrays and all(isinstance(x, (active.Operand, float, int)) for x in arrays),
          "an argument is no sequence of arrays")
    return [_shape_of(x) for x in arrays]


def _plain(**given):
    """Checks that arguments have the values they have when they are not given."""
    for name, (value, usual) in given.items():
        _need(value is usual or value is None or value is np._NoValue or (type(value) is type(usual) and value == usual),
              f"the argument {name} is given")


def _whole(x, low, high):
    _need(type(x) is int and low <= x < high, "an argument is no whole number of its range")
    return x


def _reduced(path, a, axis=None, dtype=None, out=None, keepdims=np._NoValue, initial=np._NoValue, where=np._NoValue):
    lengths = _array(a)
    _plain(out=(out, None), initial=(initial, np._NoValue), where=(where, True))
    _need(dtype is None or isinstance(dtype, np.dtype), "an argument is no type of number")
    _need(keepdims is np._NoValue or type(keepdims) is bool, "keepdims is neither true nor false")
    path.work += math.prod(lengths)
    n = len(lengths)
    axes = range(n) if axis is None else [_whole(k, -n, n) % n for k in (axis if type(axis) is tuple else (axis,))]
    _need(len(set(axes)) == len(axes), "an axis is given twice")
    return tuple([1 if k in axes else length for k, length in enumerate(lengths) if keepdims is True or k not in axes])


def _matmul(path, x1, x2, out=None, axes=np._NoValue, axis=np._NoValue, keepdims=False, casting="same_kind", order="K",
            dtype=None, subok=True, signature=None):
    _plain(out=(out, None), axes=(axes, None), axis=(axis, None), keepdims=(keepdims, False), casting=(casting, "same_kind"),
           order=(order, "K"), dtype=(dtype, None), subok=(subok, True), signature=(signature, None))
    return _matrix_product(path, _array(x1), _array(x2))


def _matrix_product(path, x, y):
    _need(x and y, "a product of other things than matrices")
    p, q = x if len(x) > 1 else (1, *x), y if len(y) > 1 else (*y, 1)
    _need(p[-1] == q[-2], "a product of matrices that do not fit")
    around = np.broadcast_shapes(p[:-2], q[:-2])
    path.work += math.prod(around) * p[-2] * p[-1] * q[-1]
    return around + p[-2:-1] * (len(x) > 1) + q[-1:] * (len(y) > 1)


def _dot(path, a, b, out=None):
    _need(out is None and len(_array(a)) < 3 and len(_array(b)) < 3, "a product of other things than matrices")
    return _matrix_product(path, _array(a), _array(b))


def _where(path, condition, x=None, y=None):
    _need(all(isinstance(value, (active.Operand, float, int)) for value in (x, y)), "an argument is neither array nor number")
    return np.broadcast_shapes(_array(condition), _shape_of(x), _shape_of(y))


def _concatenate(path, arrays, axis=0, out=None, **other):
    shapes = _parts(arrays)
    _need(out is None and not any(value not in (None, "same_kind") for value in other.values()), "an argument is given")
    axis = _whole(axis, -len(shapes[0]), len(shapes[0])) % len(shapes[0])
    _need(len({(x[:axis], x[axis + 1:], len(x)) for x in shapes}) == 1, "arrays of shapes that do not fit")
    return (*shapes[0][:axis], sum(x[axis] for x in shapes), *shapes[0][axis + 1:])


def _stack(path, arrays, axis=0, out=None, **other):
    shapes = _parts(arrays)
    _need(out is None and not any(value not in (None, "same_kind") for value in other.values()), "an argument is given")
    _need(len(set(shapes)) == 1, "arrays of shapes that do not fit")
    axis = _whole(axis, -len(shapes[0]) - 1, len(shapes[0]) + 1) % (len(shapes[0]) + 1)
    return (*shapes[0][:axis], len(shapes), *shapes[0][axis:])


def _reshape(path, a, shape=None, order="C", **other):
    lengths = _array(a)
    _plain(order=(order, "C"), **{name: (value, None) for name, value in other.items() if name != "copy"})
    size = math.prod(lengths)
    new = [_whole(n, -1, size + 1) for n in (shape if isinstance(shape, (tuple, list)) else (shape,))]
    if -1 in new:
        rest = math.prod(n for n in new if n >= 0)
        _need(new.count(-1) == 1 and rest and size % rest == 0, "a shape that does not fit")
        new[new.index(-1)] = size // rest
    _need(math.prod(new) == size and len(new) <= 32, "a shape that does not fit")
    return tuple(new)


def _broadcast_to(path, array, shape, subok=False):
    _need(subok is False and isinstance(shape, (tuple, int)), "an argument is given")
    shape = shape if type(shape) is tuple else (shape,)
    _broadcast([_array(array)], shape, "broadcast_to", False)
    return shape


def _copied(path, a, order="K", subok=False):
    _need(order in ("K", "C", "A") and subok is False, "an argument is given")
    return _array(a)


def _scattered(path, w, indices, shape):
    _need(type(shape) is tuple and all(type(n) is int and n >= 0 for n in shape), "no shape")
    _need(_array(w) == _array(indices), "indices for other elements")
    path.work += math.prod(_array(w))
    return shape


def _taken(path, a, indices, axis=None, out=None, mode="raise"):
    lengths = _array(a)
    _need(out is None and mode == "raise" and lengths, "an argument is given")
    _need((type(axis) is int and axis == 0) or (axis is None and len(lengths) == 1), "another axis than the first")
    return _array(indices) + lengths[1:]


def _outer(path, a, b, out=None):
    _need(out is None and len(_array(a)) == len(_array(b)) == 1, "an outer product of other things than vectors")
    return _array(a) + _array(b)


def _tied(path, extreme, a, axis, **others):
    """The shape of a with the reduced axes kept, of which all other operands are unless said otherwise."""
    kept = _reduced(path, a, axis, keepdims=True)
    for x in (extreme, *others.values()):
        _need(isinstance(x, float) or _array(x) in ((), kept), "operands of other shapes")
    return kept


def _tie_shares(path, w, extreme, a, axis):
    _tied(path, extreme, a, axis, w=w)
    return _array(a)


def _tie_means(path, t, extreme, a, axis):
    _need(_array(t) == _array(a), "operands of other shapes")
    return _tied(path, extreme, a, axis)


def _mean(path, a, axis=None, dtype=None, out=None, keepdims=np._NoValue, where=np._NoValue):
    return _reduced(path, a, axis, dtype, out, keepdims, np._NoValue, where)


_SHAPES = {
    "sum": _reduced, "prod": _reduced, "max": _reduced, "min": _reduced, "mean": _mean,
    "matmul": _matmul, "dot": _dot, "where": _where, "concatenate": _concatenate, "stack": _stack, "reshape": _reshape,
    "broadcast_to": _broadcast_to, "copy": _copied, "scatter_add": _scattered, "take": _taken, "outer": _outer,
    "tie_shares": _tie_shares, "tie_means": _tie_means,
}


# ---- a whole program -----------------------------------------------------------------------------------------------------------

def decode(data: Any, buffers: Any = None, max_bytes: int | None = None, trusted: bool = False) -> tuple[str, bool, list[Any]]:
    """(name, fast_math, signatures) of a file's bytes, or of its parts; FormatError for anything that is not what `encode` makes.

    A signature is (key, paths, number of the path taken last); a path is (Code, number of its parent or -1, fork).
    """
    document, arrays = container.unpack(data, buffers)
    size = len(data) + sum(x.nbytes for x in arrays)
    limit = None if trusted else max(MEMORY, MEMORY_PER_BYTE * size, max_bytes or 0)
    try:
        name, fast_math, signatures, lines, elementary, special = _fields(
            document, "the program", name=str, fast_math=bool, signatures=list, lines=list, rows=list, special_rows=list)
        rows = _row_numbers(elementary, _ROWS, FIRST_OPCODE), _row_numbers(special, _SPECIAL_ROWS, 0)
        for line in lines:
            _need(type(line) is list and list(map(type, line)) == [str, str], "no line of a file")
        lines = [tuple(line) for line in lines]
        found = [_signature(entry, arrays, lines, rows, limit, fast_math) for entry in signatures]
        _need(len({key for key, _, _ in found}) == len(found), "a signature occurs twice")
    except FormatError as error:
        raise FormatError(f"the program can not be used: {error}") from None
    except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RecursionError) as error:
        raise FormatError(f"the program can not be used: {type(error).__name__}: {str(error)[:200]}") from None
    return name, fast_math, found


def _signature(entry, arrays, lines, rows, limit, fast):
    key, last, paths = _fields(entry, "a signature", key=object, last=int, paths=list)
    key, inputs = decode_key(key)
    hash(key)
    _need(0 <= last < len(paths), "a signature has no path")
    readers = [_PathReader(path, arrays, lines, rows, inputs, limit) for path in paths]
    codes: list[Any] = []
    for reader in readers:
        codes.append(reader.code(lines, codes[0] if codes else None, fast))
    for k, reader in enumerate(readers):
        _need(-1 <= reader.parent < k, "a path branches off from one that is not there")
        if reader.parent >= 0:
            _need(reader.goes_along(readers[reader.parent], reader.fork), "a path is not like the one it branches off from")
            _need(outcome_recorded(codes[k], reader.fork) != outcome_recorded(codes[reader.parent], reader.fork),
                  "a path branches off without another decision")
    return key, [(code, reader.parent, reader.fork) for code, reader in zip(codes, readers)], last
