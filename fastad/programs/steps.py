"""What a program does, step by step, as text, tables and pictures show it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..core.tape import Tape
from ..elementals import opcode_name
from ..table import ELEMENTARY, SPECIAL

ROWS = {op.name: op for op in ELEMENTARY + SPECIAL}

INFIX = {
    "add": "+", "subtract": "-", "multiply": "*", "divide": "/", "power": "**", "floor_divide": "//", "remainder": "%",
    "matmul": "@", "greater": ">", "greater_equal": ">=", "less": "<", "less_equal": "<=", "equal": "==", "not_equal": "!=",
    "logical_and": "and", "logical_or": "or",
}
PREFIX = {"negative": "-", "positive": "+", "logical_not": "not "}

# Arrays of no more elements are shown whole, of larger ones this many elements at the head.
WHOLE_ARRAY = 6
HEAD_OF_ARRAY = 3
# Formulas, names and lines of code are cut off here.
LONGEST_TEXT = 72

# Operations that read from an array or write into one, as in `v3[1:]` and `v3 with [1:] = v4`.
READS = frozenset({"gather", "getitem", "view"})
WRITES = {"put": "=", "assign": "=", "add.at": "+="}

# The tape's own opcodes that are not elementals (core/tape.pxd).
OP_CONSTANT, OP_INPUT, OP_EXTRA, OP_SPECIAL, FIRST_OF_ARRAYS, LAST_OF_ARRAYS = 0, 1, 2, 3, 4, 6

Value = float | complex | np.generic | np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Text:
    """An operand that is part of a step's value, or something made of it, as text around the number of the step: "v3[1:]"."""

    parts: tuple["Operand", ...]

    @property
    def numbers(self) -> tuple[int, ...]:
        """Numbers of the steps in it."""
        return tuple(number for part in self.parts for number in numbers_of(part))


# The number of a step (an int), part of a step (a Text), a constant (a float or anything of NumPy), or a label ("axis=0").
Operand = int | float | complex | np.generic | np.ndarray[Any, Any] | str | Text


def numbers_of(operand: Operand) -> tuple[int, ...]:
    """Numbers of the steps that an operand refers to."""
    return (operand,) if type(operand) is int else operand.numbers if isinstance(operand, Text) else ()


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One step of a program.

    number     its position; operands refer to it
    operation  "input", "constant", "guard", a row of the op table, or the name of an array operation
    operands   see Operand; those of a guard after the first say what is required ("is True")
    value      None where the program was not run
    adjoint    derivative of the result by this step's value, None where none was asked for
    name       the user's name of an input ("x", "w[0]"), or of a result
    place      "file.py:12"
    code       the user's expression there
    part       which part of the result this value is ("[0]" of several)
    tracked    whether the value has no derivative, as that of argmax
    """

    number: int
    operation: str
    operands: tuple[Operand, ...] = ()
    value: Value | None = None
    adjoint: Value | None = None
    name: str | None = None
    place: str | None = None
    code: str | None = None
    part: str = ""
    tracked: bool = False


@dataclass(frozen=True, eq=False)
class Listing:
    """The steps of a program in the order they run.

    name     of the function
    inputs   numbers of the steps that are its independents
    results  numbers of the steps that are its dependents
    seeds    what the reverse sweep started with, one for each result; without them 1 for each
    labels   what the results are called ("result['loss']"), one for each; without them by their position
    """

    name: str
    steps: tuple[Step, ...]
    inputs: tuple[int, ...] = ()
    results: tuple[int, ...] = ()
    seeds: tuple[Value, ...] = ()
    labels: tuple[str, ...] = ()

    @cached_property
    def by_number(self) -> dict[int, Step]:
        """The steps by their numbers."""
        return {step.number: step for step in self.steps}

    @cached_property
    def result_names(self) -> dict[int, str]:
        """What each step that is a result is called: its own name, "result", or "result[0]", "result[1]" of several."""
        found: dict[int, list[str]] = {}
        for k, number in enumerate(self.results):
            step = self.by_number.get(number)
            own = step.name if step is not None and step.operation != "input" else None
            label = self.labels[k] if self.labels else "result" if len(self.results) == 1 else f"result[{k}]"
            found.setdefault(number, []).append(own or label)
        return {number: printable(", ".join(dict.fromkeys(names))) for number, names in found.items()}

    @cached_property
    def dependent(self) -> frozenset[int]:
        """Numbers of the steps that have a derivative by the inputs."""
        found = set(self.inputs)
        for step in self.steps:
            if step.operation != "guard" and any(number in found and has_partial(step, k)
                                                 for k, x in enumerate(step.operands) for number in numbers_of(x)):
                found.add(step.number)
        return frozenset(found)

    def summary(self) -> str:
        """The function and the size of its program, in one line."""
        inputs, results = len(self.inputs), len(self.results)
        return (f"{printable(self.name)}: {counted(len(self.steps), 'step')}, {counted(inputs, 'input')}, "
                f"{counted(results, 'result')}")


def counted(count: int, noun: str) -> str:
    """A number of things: "1 step", "2 steps"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def ends(sequence: Sequence[Any], limit: int) -> tuple[Sequence[Any], Sequence[Any]]:
    """What is shown of a long sequence: its head and its tail, `limit` together; the whole and nothing where it is short."""
    if len(sequence) <= limit:
        return sequence, ()
    tail = limit // 2
    return sequence[:limit - tail], sequence[len(sequence) - tail:]


def rule_row(step: Step) -> Any:
    """The row of the op table that is a step's operation, or None."""
    row = ROWS.get(step.operation)
    return row if row is not None and row.arity == len(step.operands) else None


def has_partial(step: Step, k: int) -> bool:
    """Whether a step's value may depend smoothly on its operand k."""
    row = rule_row(step)
    return not step.tracked and (row is None or row.depends(k))


def printable(text: str, longest: int = LONGEST_TEXT) -> str:
    """Text in one line, no longer than `longest`, whose characters can all be seen: names and code may come out of a file."""
    text = " ".join(text[:4 * longest].split())
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return text if len(text) <= longest else text[:longest - 3] + "..."


def number_text(x: Any, digits: int) -> str:
    """A number to so many significant digits; whole numbers of few digits, truth values and the like as they are."""
    if isinstance(x, (bool, np.bool_, str)) or not isinstance(x, (int, float, complex, np.number)):
        return printable(str(x))
    if isinstance(x, (int, np.integer)) and abs(int(x)) < 10**9:
        return str(int(x))
    if isinstance(x, int) and x.bit_length() > 1000:
        return f"integer of {x.bit_length()} bits"
    return format(x, f".{digits}g")


def value_text(x: Value | None, digits: int) -> str:
    """A value or adjoint in one line: a number, or the first elements of an array with its shape and dtype; "" for None."""
    if x is None:
        return ""
    if not isinstance(x, np.ndarray) or x.ndim == 0:
        return number_text(x[()] if isinstance(x, np.ndarray) else x, digits)
    if x.size <= WHOLE_ARRAY:
        elements = np.array2string(x, max_line_width=10**6, threshold=WHOLE_ARRAY,
                                   formatter={"all": lambda element: number_text(element, digits)})
        elements = printable(elements.replace("\n", " "))
    else:
        elements = f"[{' '.join(number_text(element, digits) for element in x.flat[:HEAD_OF_ARRAY])} ...]"
    return f"{elements} {shape_text(x)}"


def shape_text(x: np.ndarray[Any, Any]) -> str:
    """Shape and dtype of an array: "(3, 4) float64"."""
    return f"{x.shape} {x.dtype}"


def operand_text(operand: Operand, digits: int) -> str:
    """An operand within a formula: "v3", "2.5", "array (3, 4) float64", or its label."""
    if type(operand) is int:
        return f"v{operand}"
    if isinstance(operand, str):
        return printable(operand)
    if isinstance(operand, Text):
        return "".join(part if isinstance(part, str) else operand_text(part, digits) for part in operand.parts)
    if isinstance(operand, np.ndarray) and operand.ndim:
        return f"array {shape_text(operand)}"
    return value_text(operand, digits)


def formula(step: Step, digits: int) -> str:
    """What a step computes: "v1 * v2", "sin(v4)", "sum(v3, axis=0)"; the name of an input."""
    if step.operation == "input":
        return printable(step.name or "input")
    texts = [operand_text(operand, digits) for operand in step.operands]
    if step.operation == "constant":
        return texts[0] if texts else value_text(step.value, digits)
    if step.operation == "guard":
        return printable(" ".join(["guard", *texts]))
    if step.operation in READS and texts:
        return printable(texts[0])
    if step.operation in WRITES and len(texts) > 2:
        return printable(f"{texts[0]} with {texts[1]} {WRITES[step.operation]} {texts[2]}")
    infix = INFIX.get(step.operation)
    if infix is not None and len(texts) == 2:
        left, right = texts
        # A sign after an operator, or before a power, needs parentheses.
        left = f"({left})" if left.startswith("-") and infix == "**" else left
        return printable(f"{left} {infix} " + (f"({right})" if right.startswith("-") else right))
    prefix = PREFIX.get(step.operation)
    if prefix is not None and len(texts) == 1:
        return printable(prefix + (f"({texts[0]})" if texts[0].startswith("-") else texts[0]))
    return printable(f"{step.operation}({', '.join(texts)}){step.part}")


def equation(step: Step, digits: int) -> str:
    """A step with the name of its value: "v4 = v1 * v2"; a guard has no value to name."""
    text = formula(step, digits)
    return text if step.operation == "guard" else f"v{step.number} = {text}"


def line_text(step: Step) -> str:
    """Where the user wrote a step, the file without its folders, and the code there."""
    place = (step.place or "").replace("\\", "/").rpartition("/")[2]
    return "  ".join(printable(text) for text in (place, step.code or "") if text)


def listing_of_tape(tape: Tape, names: Sequence[str] | None = None, adjoints: ArrayLike | None = None, name: str = "f",
                    places: Mapping[int, tuple[str, str]] | None = None) -> Listing:
    """The listing of a tape of scalars, as `fastad.trace` gives it; steps are numbered as the tape's slots.

    `names` are those of the inputs in the order of `tape.inputs`, `adjoints` holds one number for each slot, `places` the place
    and the code of a slot. Constants stand in the formulas that use them, and are steps only where they are results. TypeError
    for a tape with array instructions.
    """
    opcodes, a, b = tape.opcode.tolist(), tape.a.tolist(), tape.b.tolist()
    values = tape.value.tolist()
    derivatives = [None] * len(opcodes) if adjoints is None else np.asarray(adjoints, float).tolist()
    if len(derivatives) != len(opcodes):
        raise ValueError(f"a tape of {len(opcodes)} slots needs as many adjoints, not {len(derivatives)}")
    inputs = tuple(slot for slot in tape.inputs if slot >= 0)
    results = tuple(slot for slot in tape.outputs if slot >= 0)
    names_of = dict(zip(inputs, names or ()))
    steps = []
    for slot, opcode in enumerate(opcodes):
        if FIRST_OF_ARRAYS <= opcode <= LAST_OF_ARRAYS:
            raise TypeError(f"instruction {slot} of the tape is one of arrays; this listing is of tapes of scalars")
        if opcode == OP_EXTRA or (opcode == OP_CONSTANT and slot not in results):
            continue
        slots: list[int] = []
        operation = opcode_name(opcode, b[slot])
        if opcode == OP_SPECIAL:
            # Operands 2 to 4 stand in the instructions before.
            slots = [a[slot], *([a[slot - 1], b[slot - 1]] if slot >= 1 else []), *([a[slot - 2]] if slot >= 2 else [])]
        elif opcode > LAST_OF_ARRAYS:
            slots = [a[slot], b[slot]]
        row = ROWS.get(operation)
        slots = slots[:row.arity] if row is not None else []
        value: float = values[slot]
        if row is not None and row.kind != "float" and np.isfinite(value):
            value = bool(value) if row.kind == "boolean" else int(value)
        place, code = (places or {}).get(slot, (None, None))
        steps.append(Step(slot, operation, tuple(values[k] if opcodes[k] == OP_CONSTANT else k for k in slots), value,
                          derivatives[slot], names_of.get(slot), place, code))
    return Listing(name, tuple(steps), inputs, results)
