"""What fastad.debug looks at: the values and adjoints of a tape, for the first that is NaN or infinite."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..arrays import active
from ..core import scalar
from . import reading
from .code import Code, OneStepSweep, Single
from .listing import Adjoints, Values, has_scalar_result, input_names
from .reading import ARRAY_OPERAND, SCALAR_OPERAND, Instruction, Phrase, Reader, Slot, Whole
from .steps import Step, Text, formula, value_text

DIGITS = 6


# ---- what is found -------------------------------------------------------------------------------------------------------------

def _is_finite(x: Any) -> bool:
    if isinstance(x, np.ndarray) or isinstance(x, np.generic):
        return x.dtype.kind not in "fc" or bool(np.isfinite(x).all())
    return not isinstance(x, float) or bool(np.isfinite(x))


class _Watch:
    """Looks at the instructions of a tape as they are carried out; `found` is the first whose value is not finite."""

    def __init__(self, tape: Any) -> None:
        self.tape = tape
        self.found: tuple[int, Instruction, tuple[Any, ...], Any] | None = None

    def whole(self, number: int) -> Any:
        """The array of a storage as it is now."""
        raise NotImplementedError

    def scalar(self, slot: int) -> float:
        """The value of a slot."""
        raise NotImplementedError

    def look(self, i: int, record: Any, v: float) -> None:
        """Array instruction i was carried out; v is its value if that is a scalar."""
        if self.found is not None:
            return
        instruction = reading.of_record(self.tape, record)
        if instruction.kind in ("constant", "guard", "write"):
            return
        for result in instruction.results:
            value = v if result.storage is None else self.whole(result.storage)
            if _is_finite(value):
                continue
            operands = tuple(self.value(x) for x in instruction.operands)
            if all(_is_finite(x) for x in _flat(operands)) or instruction.kind == "input":
                self.found = i, instruction, operands, np.array(value)
                return

    def value(self, x: Any) -> Any:
        """The plain value of an operand as an instruction is read."""
        if isinstance(x, Phrase):
            return Text(tuple(self.value(part) for part in x.parts))
        if isinstance(x, Slot):
            return self.scalar(x.number)
        if isinstance(x, Whole):
            return self.whole(x.number)
        if not isinstance(x, active.Operand):
            return x
        if x.kind == SCALAR_OPERAND:
            return self.scalar(x.number)
        if x.kind != ARRAY_OPERAND:
            # A constant counts as finite: what is made of it does not.
            return str(x.value) if isinstance(x.value, float) and not np.isfinite(x.value) else x.value
        whole = self.whole(x.number)
        return whole if x.strides is None else np.ndarray(x.layout[0], whole.dtype, whole, x.offset, x.strides)

    def first(self, values: np.ndarray[Any, Any]) -> None:
        """Raises for the first value that is not finite, among those of arrays that were looked at and of all slots."""
        reader = None
        for i in np.nonzero(~np.isfinite(values))[0].tolist():
            if self.found is not None and self.found[0] < i:
                break
            reader = Reader(self.tape) if reader is None else reader
            instruction = reader[i]
            if reader.opcode[i] in (reading.ARRAY, reading.GATHER, reading.PUT) or instruction is None:
                continue
            if instruction.kind in ("constant", "guard"):
                continue
            slots = [x.number for x in instruction.operands if isinstance(x, Slot)]
            if instruction.kind == "input" or all(np.isfinite(values[k]) or reader.opcode[k] == reading.CONSTANT for k in slots):
                self.found = i, instruction, tuple(float(values[k]) for k in slots), float(values[i])
                break
        if self.found is not None:
            i, instruction, operands, value = self.found
            raise self.error(i, instruction, operands, value)

    def error(self, i: int, instruction: Instruction, operands: tuple[Any, ...], value: Any) -> FloatingPointError:
        if instruction.kind == "input":
            return FloatingPointError(f"{self.input_name(i, instruction)} is {_shown(value)}")
        return FloatingPointError(f"{_applied(instruction, operands)} is {_shown(value)}{self.at(i)}")

    def input_name(self, i: int, instruction: Instruction) -> str:
        """What an input is called."""
        return "an input"

    def at(self, i: int) -> str:
        """The user's expression and place, as an end of a message."""
        found = Reader.place_on(self.tape, i)
        return "" if found is None else f": {found[1]} at {found[0]}" if found[1] else f" at {found[0]}"

    # Adjoints.

    def sweep(self, sweep: "_WatchingSweep", n: int, first: int) -> None:
        """A reverse sweep over instructions n-1 to `first`; raises for the first adjoint that is not finite."""
        reader = Reader(self.tape)
        with np.errstate(all="ignore"):
            for i in range(n - 1, first - 1, -1):
                opcode = reader.opcode[i]
                if opcode == reading.ARRAY:
                    before = self.adjoint_of_result(sweep, i)
                    self.tape.records[reader.a[i]].reverse(sweep, i)
                    if sweep.infinite is None:
                        continue
                elif sweep.scalars[i] == 0.0 and opcode != reading.PUT:
                    continue
                else:
                    before = float(sweep.scalars[i])
                    sweep.numbers.reverse(i, i + 1)
                    if opcode in (reading.GATHER, reading.PUT) or opcode < reading.ARRAY and opcode != reading.SPECIAL_ROW:
                        continue
                    wanted = [x.number for x in (reader[i] or Instruction("")).operands if isinstance(x, Slot)]
                    wrong = [w for w in sweep.scalars[wanted].tolist() if not np.isfinite(w)]
                    reached = [k for k in wanted if not np.isfinite(sweep.scalars[k]) and reader.opcode[k] != reading.CONSTANT]
                    if not reached:
                        continue
                    sweep.infinite = wrong[0]
                instruction = reader[i]
                assert instruction is not None
                operands = tuple(self.value(x) for x in instruction.operands)
                raise FloatingPointError(
                    f"the derivative of {_applied(instruction, operands)}{self.result_text(i, instruction)} is "
                    f"{_shown(sweep.infinite)} (times the adjoint {value_text(before, DIGITS) or 'of its result'}){self.at(i)}")

    def adjoint_of_result(self, sweep: "_WatchingSweep", i: int) -> Any:
        """A copy of the adjoint of what array instruction i gives, if it is one thing."""
        results = reading.of_record(self.tape, self.tape.records[self.tape.a[i]]).results
        if len(results) != 1:
            return None
        return float(sweep.scalars[i]) if results[0].storage is None else sweep.array(results[0].storage).copy()

    def result_text(self, i: int, instruction: Instruction) -> str:
        """The value of an instruction, as part of a message."""
        if len(instruction.results) != 1:
            return ""
        [result] = instruction.results
        value = self.scalar(i) if result.storage is None else self.whole(result.storage)
        return f" = {value_text(value, DIGITS)}"


def _flat(operands: tuple[Any, ...]) -> Iterator[Any]:
    for x in operands:
        if isinstance(x, Text):
            yield from _flat(x.parts)
        else:
            yield x


def _applied(instruction: Instruction, operands: tuple[Any, ...]) -> str:
    """An operation with the values of its operands: "sqrt(-1)", "log([0 1] (2,) float64)"."""
    return formula(Step(0, instruction.operation, tuple(_operand(x) for x in operands)), DIGITS)


def _operand(x: Any) -> Any:
    if isinstance(x, Text):
        return Text(tuple(_operand(part) for part in x.parts))
    if isinstance(x, np.ndarray):
        return value_text(x, DIGITS)
    return str(x) if isinstance(x, (int, bool)) or x is None else x


def _shown(value: Any) -> str:
    """A value that is not finite: of an array the first such element too."""
    if not isinstance(value, np.ndarray) or value.ndim == 0:
        return value_text(value, DIGITS)
    index = np.unravel_index(int(np.argmax(~np.isfinite(value))), value.shape)
    return f"{value_text(value[index], DIGITS)} at [{', '.join(map(str, index))}], in {value_text(value, DIGITS)}"


class _WatchingSweep(Adjoints):
    """Adjoints of which the first that is not finite is noted."""

    infinite: Any = None

    def add(self, operand: Any, w: Any, owned: bool = False) -> None:
        super().add(operand, w, owned)
        if self.infinite is not None or w is None or not self.wanted(operand):
            return
        part = self.scalars[operand.number] if operand.kind == SCALAR_OPERAND else self.writable(operand)
        if not _is_finite(part):
            self.infinite = np.array(part)


# ---- eager transforms ----------------------------------------------------------------------------------------------------------

class TraceWatch(_Watch):
    """Looks at a trace of an eager transform while its function runs."""

    def __init__(self, tape: Any, is_on: Any) -> None:
        super().__init__(tape)
        self.is_on = is_on
        tape.note_places()
        self.buffers: dict[int, Any] = {}
        tape.buffers = self.buffers
        tape.watch = self.look

    def whole(self, number: int) -> Any:
        return self.buffers[number]

    def scalar(self, slot: int) -> float:
        return float(self.tape.value[slot])

    def operand(self, operand: Any) -> Any:
        """What a rule asks for."""
        return operand.value

    def result(self, value: Any, number: int, i: int) -> Any:
        return value

    def argument(self, transform: str, name: str, where: str, leaf: Any) -> None:
        """Raises for a number or an array in the arguments that is not finite."""
        if not _is_finite(leaf):
            raise FloatingPointError(f"{transform} of {name}: {where} is {_shown(leaf)}")

    def values(self) -> None:
        """Raises for the first value so far that is not finite."""
        if self.is_on():
            self.first(np.array(self.tape.value))

    def reverse(self, inputs: list[Any], outputs: list[Any], adjoints: list[Any]) -> None:
        """Raises for the first value that is not finite, or the first adjoint of this reverse sweep."""
        if not self.is_on():
            return
        self.values()
        sweep = _WatchingSweep(OneStepSweep(self.tape), self, self.tape.storages, lambda x: x.kind != 0)
        for x, w in zip(outputs, adjoints):
            if isinstance(x, active.Operand):
                if w is not None:
                    sweep.add(x, w)
            elif scalar.slot_of(x) >= 0:
                sweep.scalars[scalar.slot_of(x)] += w
        places = [x.slot if isinstance(x, active.Operand) else scalar.slot_of(x) for x in inputs]
        self.sweep(sweep, len(self.tape), max(places, default=-1) + 1)

    def derivatives(self, what: str, inputs: list[Any], outputs: list[Any], numbers: list[Any]) -> None:
        """Raises for tangents of results that are not finite: for the operation to blame, if adjoints of these results tell."""
        if not self.is_on() or all(_is_finite(x) for x in numbers):
            return
        self.reverse(inputs, outputs, [None if _is_finite(x) and isinstance(x, np.ndarray) else 0.0 if _is_finite(x) else
                                       np.ones_like(x) if isinstance(x, np.ndarray) else 1.0 for x in numbers])
        wrong = next(x for x in numbers if not _is_finite(x))
        raise FloatingPointError(f"{what} is {_shown(wrong)}, though all values and adjoints are finite")

    def second_derivatives(self, columns: list[list[Any]]) -> None:
        """Raises for second derivatives that are not finite, where first ones were."""
        if self.is_on():
            for x in (x for column in columns for x in column):
                if not _is_finite(x):
                    raise FloatingPointError(f"a second derivative is {_shown(x)}, though all values and adjoints are finite")


# ---- programs ------------------------------------------------------------------------------------------------------------------

class _ReplayWatch(_Watch):
    """Looks at a replay while it goes on."""

    def __init__(self, code: Code, name: str, names: list[str]) -> None:
        super().__init__(code.tape)
        self.code, self.name, self.names = code, name, names
        self.values: Any = None

    def whole(self, number: int) -> Any:
        return self.values.replay.arrays[number]

    def scalar(self, slot: int) -> float:
        return float(self.values.replay.scalars()[slot])

    def input_name(self, i: int, instruction: Instruction) -> str:
        [result] = instruction.results
        place = i if result.storage is None else result.storage
        for handle, name in zip(self.code.inputs, self.names):
            is_array = isinstance(handle, active.Operand)
            if is_array == (result.storage is not None) and (handle.number if is_array else handle) == place:
                return f"{self.name}: the input {name}"
        return "an input"


def check_path(code: Code, name: str, function: Any, key: Any, leaves: list[Any], adjoints: bool) -> None:
    """Raises for the first value of a path at these inputs that is not finite; with `adjoints` also for the first adjoint of a
    scalar result.
    """
    watch = _ReplayWatch(code, name, input_names(function, key))
    reader = Reader(code.tape)

    def seen(values: Values, i: int) -> None:
        watch.values = values
        if reader.opcode[i] == reading.ARRAY and watch.found is None:
            watch.look(i, code.tape.records[reader.a[i]], float(values.replay.scalars()[i]))

    with np.errstate(all="ignore"):
        values = watch.values = Values(code, leaves, reader, seen)
    if not values.held:
        return
    watch.first(np.array(values.scalars))
    if adjoints and has_scalar_result(code):
        sweep = _WatchingSweep(OneStepSweep(code.tape, values.replay), values, code.tape.storages, lambda x: x.kind != 0)
        [x] = code.outputs
        if isinstance(x, int):
            sweep.scalars[x] = 1.0
        else:
            sweep.add(x.operand if isinstance(x, Single) else x, 1.0)
        watch.sweep(sweep, code.n, 0)
