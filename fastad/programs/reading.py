"""The instructions of a tape as a reader sees them: what each computes, of what, and where the user wrote it."""

import linecache
from typing import Any, NamedTuple

import numpy as np

from ..arrays import active
from ..elementals import opcode_name
from ..errors import expression_at
from ..table import ELEMENTARY, SPECIAL

ROWS = {op.name: op for op in ELEMENTARY + SPECIAL}

# The tape's own opcodes (core/tape.pxd).
CONSTANT, INPUT, EXTRA, SPECIAL_ROW, ARRAY, GATHER, PUT, GUARD_LESS, GUARD_LESS_EQUAL, GUARD_EQUAL, GUARD_VALUE = range(11)
COMPARISONS = {GUARD_LESS: "<", GUARD_LESS_EQUAL: "<=", GUARD_EQUAL: "=="}
# What is made of a number that leaves to Python, by Rounding: text before and after it.
ROUNDINGS = (("", ""), ("int(", ")"), ("floor(", ")"), ("ceil(", ")"), ("round(", ")"), ("", ".is_integer()"), ("frexp(", ")[1]"))
IS_WHOLE = 5

# Kinds of Operand (arrays/active.pyx).
SCALAR_OPERAND, ARRAY_OPERAND = 1, 2


class Slot(NamedTuple):
    """A scalar as an operand, by its slot."""

    number: int


class Whole(NamedTuple):
    """All of a storage as an operand, by its number."""

    number: int


class Phrase(NamedTuple):
    """An operand made of others and the text around them."""

    parts: tuple[Any, ...]


class Result(NamedTuple):
    """A result of an instruction: the number of its storage, None for the instruction's own slot, and which part it is."""

    storage: int | None
    part: str = ""


class Instruction(NamedTuple):
    """What an instruction does.

    operation  the name of a row of the op table or of a function, or one of the words of fastad.programs.steps
    operands   Slot, Whole, active.Operand, Phrase, plain values, and str for what is only text
    results    see Result; none for a guard
    kind       "input", "constant", "guard", "write" (into a storage that is there), "tracked" (no derivative), "" for all others
    decided    what a guard found
    """

    operation: str
    operands: tuple[Any, ...] = ()
    results: tuple[Result, ...] = (Result(None),)
    kind: str = ""
    decided: Any = None


class Reader:
    """The instructions of a tape, one at a time."""

    def __init__(self, tape: Any) -> None:
        self.tape = tape
        self.opcode, self.a, self.b, self.v = tape.opcode.tolist(), tape.a.tolist(), tape.b.tolist(), tape.value.tolist()
        self.n = len(self.opcode)
        self._positions: dict[Any, list[Any]] = {}

    def __getitem__(self, i: int) -> Instruction | None:
        """What instruction i does; None if it only holds operands of the next one."""
        opcode, a, b = self.opcode[i], self.a[i], self.b[i]
        if opcode == EXTRA:
            return None
        if opcode == ARRAY:
            record = self.tape.records[a]
            return of_record(self.tape, record)
        if opcode == GATHER:
            return Instruction("gather", (Phrase((Whole(a), self._index(a, b))),))
        if opcode == PUT:
            return Instruction("put", (Whole(a), self._index(a, b), Slot(self.a[i - 1])), (Result(a),), "write")
        if opcode in COMPARISONS:
            outcome = bool(self.v[i])
            return Instruction("guard", (Slot(a), COMPARISONS[opcode], Slot(b), f"is {outcome}"), (), "guard", outcome)
        if opcode == GUARD_VALUE:
            return self._rounded(a, b, self.v[i])
        if opcode == CONSTANT:
            return Instruction("constant", (), (Result(None),), "constant")
        if opcode == INPUT:
            return Instruction("input", (), (Result(None),), "input")
        name = opcode_name(opcode, b)
        slots = [a, b]
        if opcode == SPECIAL_ROW:
            # Operands 2 to 4 stand in the instructions before.
            slots = [a, *([self.a[i - 1], self.b[i - 1]] if i >= 1 else []), *([self.a[i - 2]] if i >= 2 else [])]
        row = ROWS[name]
        return Instruction(name, tuple(map(Slot, slots[:row.arity])), (Result(None),), "tracked" if row.kind != "float" else "")

    def _index(self, storage: int, element: int) -> str:
        shape = self.tape.storages[storage][0]
        return f"[{', '.join(map(str, np.unravel_index(element, shape)))}]" if shape else "[()]"

    def _rounded(self, slot: int, how: int, number: float) -> Instruction:
        before, after = ROUNDINGS[how]
        outcome: Any = number
        if how == IS_WHOLE or (how == 0 and self.kind_of(slot) == "boolean"):
            outcome = bool(number)
        elif number == number and abs(number) != float("inf") and (how != 0 or self.kind_of(slot) != "float"):
            outcome = int(number)
        return Instruction("guard", (Phrase((before, Slot(slot), after)), f"is {outcome!r}"), (), "guard", outcome)

    def kind_of(self, slot: int) -> str:
        """Whether a slot holds a "float", a whole number or a truth value ("boolean")."""
        opcode = self.opcode[slot]
        row = ROWS.get(opcode_name(opcode, self.b[slot])) if opcode > GUARD_VALUE or opcode == SPECIAL_ROW else None
        return row.kind if row is not None else "float"

    def place(self, i: int) -> tuple[str, str] | None:
        """("file:line", the user's expression there) of instruction i; None where that is not known."""
        found = self.tape.place(i)
        if found is None:
            return None
        code, offset = found
        if type(code) is tuple:          # of a program that was loaded
            return code
        if code not in self._positions:
            self._positions[code] = list(code.co_positions())
        return expression_at(code.co_filename, self._positions[code], offset)

    @staticmethod
    def place_on(tape: Any, i: int) -> tuple[str, str] | None:
        """The same, of one instruction of a tape."""
        found = tape.place(i)
        if found is None or type(found[0]) is tuple:
            return found and found[0]
        return expression_at(found[0].co_filename, found[0].co_positions(), found[1])


def definition(function: Any) -> tuple[str, str] | None:
    """("file:line", the line) at which a Python function begins; None for others."""
    function = getattr(function, "__func__", function)
    code = getattr(function, "__code__", None)
    if code is None:
        return None
    for line in range(code.co_firstlineno, code.co_firstlineno + 100):
        text = linecache.getline(code.co_filename, line).strip()
        if not text:
            break
        if text.startswith(("def ", "async def ")) or "lambda" in text:
            return f"{code.co_filename}:{line}", text
    return None


# ---- array instructions --------------------------------------------------------------------------------------------------------

def _name(function: Any) -> str:
    return getattr(function, "__name__", type(function).__name__)


def _flat(value: Any) -> list[Any]:
    """The operands in an argument of a function: arrays and floats as they are, everything else as text."""
    if isinstance(value, (list, tuple)) and any(isinstance(x, (active.Operand, list, tuple)) for x in value):
        return [x for entry in value for x in _flat(entry)]
    if isinstance(value, (active.Operand, float, np.ndarray, np.number)):
        return [value]
    return [_plain(value)]


def _plain(value: Any) -> str:
    if isinstance(value, type):
        return value.__name__
    return str(value) if isinstance(value, np.dtype) else repr(value)


def _arguments(args: Any, kwargs: dict[str, Any]) -> tuple[Any, ...]:
    found = [x for arg in args for x in _flat(arg)]
    for name, value in kwargs.items():
        for x in _flat(value):
            found.append(f"{name}={x}" if isinstance(x, str) else x)
    return tuple(found)


def _results(outs: Any, path: str = "") -> tuple[Result, ...]:
    if outs is None:
        return ()
    if isinstance(outs, int):
        return (Result(outs if outs >= 0 else None, path),)
    return tuple(x for k, out in enumerate(outs) for x in _results(out, f"{path}[{k}]"))


def _out(record: Any) -> tuple[Result, ...]:
    return (Result(record.out if record.out >= 0 else None),)


def _key(key: Any) -> tuple[Any, ...]:
    """An index as text and operands: ("[", Operand, ", 1:]")."""
    parts: list[Any] = ["["]
    for k, entry in enumerate(key if type(key) is tuple else (key,)):
        parts.append(", " if k else "")
        parts.append(entry if isinstance(entry, active.Operand) else _entry(entry))
    return (*parts, "]")


def _entry(entry: Any) -> str:
    if isinstance(entry, slice):
        start, stop = ("" if x is None else str(x) for x in (entry.start, entry.stop))
        return f"{start}:{stop}" + ("" if entry.step is None else f":{entry.step}")
    if entry is Ellipsis:
        return "..."
    if isinstance(entry, np.ndarray) and entry.size <= 4:
        return repr(entry.tolist())
    return f"array {entry.shape}" if isinstance(entry, np.ndarray) else repr(entry)


def _elementwise(tape: Any, record: Any) -> Instruction:
    name = opcode_name(record.op)
    operands = (record.x,) if record.arity == 1 else (record.x, record.y)
    return Instruction(name, operands, _out(record), "tracked" if ROWS[name].kind != "float" else "")


def _special(tape: Any, record: Any) -> Instruction:
    return Instruction(SPECIAL[record.row].name, tuple(record.operands), _out(record))


def _copy(tape: Any, record: Any) -> Instruction:
    x = record.x
    shape, dtype = tape.storages[record.out]
    if x is None:
        return Instruction("input", (), _out(record), "input")
    if x.kind != ARRAY_OPERAND and x.layout is None:
        return Instruction("full", (str(shape), x), _out(record))
    converted = x.layout is not None and x.layout[1] != dtype
    return Instruction("copy", (x, f"dtype={dtype}") if converted else (x,), _out(record))


def _total(tape: Any, record: Any) -> Instruction:
    return Instruction("sum", (record.x,), _out(record))


def _constant(tape: Any, record: Any) -> Instruction:
    return Instruction("constant", (record.value if record.origin is None else record.origin,), _out(record), "constant")


def _selection(tape: Any, record: Any) -> Instruction:
    return Instruction("getitem", (Phrase((record.x, *_key(record.key))),), _out(record))


def _assign(tape: Any, record: Any) -> Instruction:
    number = record.target.number
    index: Any = view_text(tape.storages[number], record.target) or "[:]"
    if record.key is not None:
        index = Phrase((index if index != "[:]" else "", *_key(record.key)))
    return Instruction("assign", (Whole(number), index, record.x), (Result(number),), "write")


def _add_at(tape: Any, record: Any) -> Instruction:
    number = record.target.number
    index = view_text(tape.storages[number], record.target) or ""
    return Instruction("add.at", (Whole(number), Phrase((index, *_key(record.key))), record.x), (Result(number),), "write")


def _tracked(tape: Any, record: Any) -> Instruction:
    return Instruction(_name(record.function), _arguments(record.args, record.kwargs), _results(record.outs), "tracked")


def _call(tape: Any, record: Any) -> Instruction:
    return Instruction(_name(record.rule.function), _arguments(record.args, record.kwargs), _results(record.outs))


def _program(tape: Any, record: Any) -> Instruction:
    return Instruction(_name(record.function), _arguments(record.args, {}), _results(record.outs))


def _guard(tape: Any, record: Any) -> Instruction:
    expected = record.expected
    text = np.array2string(expected, threshold=8, edgeitems=2, separator=", ").replace("\n", "")
    return Instruction("guard", (record.x, f"is {text}"), (), "guard", expected)


_OF_RECORD = {
    active.Elementwise: _elementwise, active.SpecialElementwise: _special, active.Copy: _copy, active.Total: _total,
    active.Constant: _constant, active.Selection: _selection, active.Assign: _assign, active.AddAt: _add_at,
    active.Tracked: _tracked, active.Call: _call, active.ProgramCall: _program, active.Guard: _guard,
}


def of_record(tape: Any, record: Any) -> Instruction:
    """What an array instruction does."""
    return _OF_RECORD[type(record)](tape, record)


# ---- views ---------------------------------------------------------------------------------------------------------------------

def view_text(layout: tuple[tuple[int, ...], Any], operand: Any) -> str:
    """The index that makes a view of a storage, "[1:, 0]"; "" for all of it, the shape of the view where no index is found."""
    if operand.strides is None:
        return ""
    shape, dtype = layout
    # Never read: it only has the strides.
    whole = np.empty(shape, dtype)
    wanted = operand.layout[0], operand.strides
    for axes, suffix in _orders(operand):
        text = _index_of(whole, tuple(wanted[0][k] for k in axes), tuple(wanted[1][k] for k in axes), operand.offset)
        if text is not None:
            return text + suffix if text != "[:]" else suffix
    if operand.offset == 0 and np.prod(wanted[0]) == whole.size and np.empty(wanted[0], dtype).strides == operand.strides:
        return f".reshape({', '.join(map(str, wanted[0]))})"
    return f"[... of shape {wanted[0]}]"


def _orders(operand: Any) -> list[tuple[list[int], str]]:
    """The order of a view's axes in which it may be an index, and what makes the view's order of that."""
    axes = list(range(len(operand.strides)))
    by_stride = sorted(axes, key=lambda k: -abs(operand.strides[k]))
    found = [(axes, "")]
    if by_stride == axes[::-1]:
        found.append((by_stride, ".T"))
    elif by_stride != axes:
        back = tuple(by_stride.index(k) for k in axes)
        found.append((by_stride, f".transpose{back}"))
    return found


def _index_of(whole: np.ndarray[Any, Any], shape: tuple[int, ...], strides: tuple[int, ...], offset: int) -> str | None:
    """The basic index of an array that gives a view with this shape, strides and offset (bytes); None if none is found."""
    size = whole.itemsize
    if offset % size or not 0 <= offset // size < max(whole.size, 1) or whole.size == 0:
        return None
    starts = [int(k) for k in np.unravel_index(offset // size, whole.shape)]
    key: list[Any] = []
    texts: list[str] = []
    axis = 0
    for n, stride in zip(shape, strides):
        while axis < whole.ndim and not _steps_along(whole, axis, starts[axis], n, stride):
            key.append(starts[axis])
            texts.append(str(starts[axis]))
            axis += 1
        if axis == whole.ndim:
            return None
        step = stride // whole.strides[axis] if n > 1 else 1
        stop: int | None = starts[axis] + n * step
        if step < 0 and stop is not None and stop < 0:
            stop = None
        key.append(slice(starts[axis], stop, step))
        texts.append(_slice_text(starts[axis], stop, step, whole.shape[axis]))
        axis += 1
    key += starts[axis:]
    texts += map(str, starts[axis:])
    view = whole[(*key, ...)]
    at = view.__array_interface__["data"][0] - whole.__array_interface__["data"][0]
    steps = [(a, b) for n, a, b in zip(shape, view.strides, strides) if n > 1]
    if view.shape != shape or at != offset or any(a != b for a, b in steps):
        return None
    while len(texts) > 1 and texts[-1] == ":":
        texts.pop()
    return f"[{', '.join(texts)}]"


def _steps_along(whole: np.ndarray[Any, Any], axis: int, start: int, n: int, stride: int) -> bool:
    """Whether n elements at this stride (bytes) from `start` lie along an axis."""
    own = whole.strides[axis]
    if n == 1:
        return abs(stride) >= own
    return stride != 0 and stride % own == 0 and 0 <= start + (n - 1) * (stride // own) < whole.shape[axis]


def _slice_text(start: int, stop: int | None, step: int, length: int) -> str:
    if step < 0:
        first = "" if start == length - 1 else str(start)
        return f"{first}:{'' if stop is None else stop}:{step}"
    assert stop is not None
    text = f"{start or ''}:{'' if stop > length - step else stop}"
    return text if step == 1 else f"{text}:{step}"
