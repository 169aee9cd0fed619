"""Writing a path: its tape as arrays, and its array instructions, inputs and results in JSON's types."""

from typing import Any

import numpy as np

from ..arrays import active
from ..elementals import opcode_name
from ..errors import expression_at
from ..table import ELEMENTARY, SPECIAL
from ..table.generate import FIRST_OPCODE
from .code import Plain, Single
from .container import dtype_name
from .named_functions import CALLS, TRACKED, ufunc_name
from .reading import CONSTANT, GUARD_LESS, GUARD_VALUE
from .values import encode_structure, encode_value


class Arrays:
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


class Places:
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
        ufunc = ufunc_name(record.ufunc, ELEMENTARY[record.op - FIRST_OPCODE])
        return ["elementwise", name, ufunc, [operand(x) for x in operands], record.out, active.keeps_result(record)]
    if kind == "SpecialElementwise":
        name = SPECIAL[record.row].name
        ufunc = ufunc_name(record.ufunc, SPECIAL[record.row])
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
        known = (TRACKED if kind == "Tracked" else CALLS).get(function)
        if known is not None:
            keywords = {key: nesting(x) for key, x in record.kwargs.items()}
            written = [known, [nesting(x) for x in record.args], keywords, record.outs]
            return ["tracked", *written] if kind == "Tracked" else ["call", *written, active.keeps_result(record)]
    raise TypeError(f"{name} is an instruction that can not be kept in a file")


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
