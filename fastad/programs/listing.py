"""The listing of a path of a program: its steps under the user's names, with values and adjoints where it was replayed."""

import dataclasses
import inspect
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..arrays import active
from ..arrays.rules.helpers import unbroadcast
from ..pytrees import NUMBER, Nesting, leaf_path, unflatten
from . import reading
from .code import Code, OneStep, OneStepSweep, Plain, Single
from .reading import ARRAY_OPERAND, SCALAR_OPERAND, Instruction, Phrase, Reader, Slot, Whole
from .steps import Listing, Operand, Step, Text

# Values of arrays after writes into them are kept up to so many bytes in all: a loop that fills an array has many.
KEPT_BYTES = 1 << 26

# Functions whose result has a shape that depends on values, which a replay checks.
OF_ANY_SHAPE = frozenset({"nonzero", "flatnonzero", "argwhere", "unique", "extract", "compress"})


# ---- names ---------------------------------------------------------------------------------------------------------------------

def input_names(function: Any, key: Any) -> list[str]:
    """What the inputs of a signature (Arguments.key) are called: "x", "params['w'][0]"."""
    structure, described = key
    paths = list(_paths(structure))
    names = []
    positional, by_keyword = _parameters(function)
    for path, what in zip(paths, described):
        if isinstance(what, tuple) and what and what[0] in ("=", "is"):
            continue
        which, argument, rest = path
        if which == 1:
            names.append(argument + rest)
        else:
            named = positional[argument] if argument < len(positional) else f"{by_keyword}[{argument - len(positional)}]"
            names.append(named + rest)
    return names


def _parameters(function: Any) -> tuple[list[str], str]:
    """Names of a function's positional parameters, and of the one that takes the others."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return [], "args"
    others = next((p.name for p in parameters if p.kind is p.VAR_POSITIONAL), "args")
    return [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)], others


def _paths(structure: Any) -> Iterator[tuple[int, Any, str]]:
    """Where each leaf of [list(args)] or [list(args), kwargs] is: (0 or 1, argument, "['w'][0]" within it)."""
    plain = type(structure) is tuple and structure[0] in (list, tuple, dict)
    for path in _outline_paths(structure) if plain else _accessors(structure[0]):
        yield path[0][0], path[1][0], "".join(text for _, text in path[2:])


def _outline_paths(outline: Any) -> Iterator[tuple[tuple[Any, str], ...]]:
    if outline is None:
        yield ()
        return
    kind, *children = outline
    entries = [entry[1:] for entry in sorted(children, key=lambda entry: entry[1])] if kind is dict else enumerate(children)
    for key, child in entries:
        for rest in _outline_paths(child):
            yield ((key, f"[{key!r}]"), *rest)


def _accessors(structure: Any) -> Iterator[tuple[tuple[Any, str], ...]]:
    for accessor in structure.accessors():
        yield tuple((entry.entry, entry.codify("")) for entry in accessor)


def result_labels(structure: Any, count: int) -> list[str]:
    """What the leaves of a result are called: "result", "result['loss']"."""
    if structure is NUMBER:
        return ["result"]
    tree = unflatten(structure, [0.0] * count) if type(structure) is Nesting else None
    if tree is not None:
        return [f"result{leaf_path(tree, k)}" for k in range(count)]
    return [f"result{accessor.codify('')}" for accessor in structure.accessors()]


# ---- values and adjoints -----------------------------------------------------------------------------------------------------

class Values:
    """Values of every instruction of a replay: `scalars` by slot, `arrays` by instruction, one for each of its results.

    `seen(values, i)`, if given, is called after each array instruction; then no values are kept.
    """

    def __init__(self, code: Code, leaves: list[Any], reader: Reader, seen: Any = None) -> None:
        self.seen = seen
        self.replay = OneStep(code, leaves)
        self.arrays: dict[int, list[Any]] = {}
        self.held = self._run(code, reader)
        self.scalars = self.replay.scalars().tolist()

    def _run(self, code: Code, reader: Reader) -> bool:
        """Replays one array instruction at a time; False if a guard did not hold."""
        room = KEPT_BYTES
        at = 0
        for i in range(code.n):
            if reader.opcode[i] not in (reading.ARRAY, reading.PUT):
                continue
            if not self.replay.go_on(at, i + 1):
                return False
            at = i + 1
            if self.seen is not None:
                self.seen(self, i)
                continue
            instruction = reader[i]
            assert instruction is not None
            if instruction.kind == "constant":
                continue
            stored = [None if result.storage is None else self.replay.arrays[result.storage] for result in instruction.results]
            if instruction.kind == "write":
                room -= sum(x.nbytes for x in stored if x is not None)
                if room < 0:
                    continue
            self.arrays[i] = [None if x is None else x.copy() for x in stored]
        return bool(self.replay.go_on(at, code.n))

    def operand(self, operand: Any) -> Any:
        """The value of an operand at the end of the replay: what rules ask for is never written over."""
        return self.replay.value(operand)

    def result(self, value: Any, number: int, i: int) -> Any:
        """The value of a result of instruction i."""
        return np.float64(self.scalars[i]) if number < 0 else self.replay.arrays[number]


class Adjoints(active.Sweep):
    """A numeric reverse sweep that can be stopped and looked at: the array instructions' view of it."""

    def __init__(self, numbers: Any, values: Any, layouts: list[Any], wanted: Any) -> None:
        self.numbers, self.values, self.layouts, self.wanted = numbers, values, layouts, wanted
        self.scalars = numbers.scalars()
        self.others: dict[int, Any] = {}

    def layout(self, number: int) -> Any:
        return self.layouts[number]

    def wants(self, operand: Any) -> Any:
        return self.wanted(operand)

    def value(self, operand: Any) -> Any:
        return self.values.operand(operand)

    def result(self, value: Any, number: int, i: int) -> Any:
        return self.values.result(value, number, i)

    def array(self, number: int) -> Any:
        """The adjoint of a storage."""
        found = self.numbers.arrays[number]
        if found is None:
            shape, dtype = self.layouts[number]
            found = self.others.setdefault(number, np.zeros(shape, dtype if dtype.kind == "f" else float))
        return found

    def get(self, operand: Any) -> Any:
        if operand.kind == SCALAR_OPERAND:
            return self.scalars[operand.number] or None
        part = self.writable(operand) if operand.kind == ARRAY_OPERAND else None
        return part if part is not None and part.any() else None

    def take(self, number: int, i: int) -> Any:
        if number < 0:
            return np.float64(self.scalars[i]) if self.scalars[i] else None
        array = self.array(number)
        if not array.any():
            return None
        w = array.copy()
        array[...] = 0.0
        return w

    def writable(self, operand: Any) -> Any:
        array = self.array(operand.number)
        if operand.strides is None:
            return array
        return np.ndarray(operand.layout[0], array.dtype, array, operand.offset, operand.strides)

    def add(self, operand: Any, w: Any, owned: bool = False) -> None:
        if w is None or not self.wanted(operand):
            return
        if operand.kind == SCALAR_OPERAND:
            self.scalars[operand.number] += np.sum(w)
            return
        part = self.writable(operand)
        if np.shape(w) != part.shape and np.size(w) >= part.size:
            w = unbroadcast(w, part.shape)
        np.add(part, w, out=part, casting="same_kind")


def swept(tape: Any, sweep: Adjoints, first: int, n: int) -> Iterator[int]:
    """Goes through instructions n-1 to `first` in reverse; yields each array instruction and put before its part is done."""
    opcode = tape.opcode.tolist()
    stop = n
    with np.errstate(all="ignore"):
        for i in range(n - 1, first - 1, -1):
            if opcode[i] not in (reading.ARRAY, reading.PUT):
                continue
            sweep.numbers.reverse(i + 1, stop)
            yield i
            if opcode[i] == reading.ARRAY:
                tape.records[tape.a[i]].reverse(sweep, i)
                stop = i
            else:
                stop = i + 1
        sweep.numbers.reverse(first, stop)


# ---- the listing ---------------------------------------------------------------------------------------------------------------

class _Lister:
    """Turns the instructions of a path into steps. Numbers are those of values, without gaps; guards come behind."""

    def __init__(self, code: Code, function: Any, key: Any, leaves: list[Any] | None) -> None:
        self.code, self.reader = code, Reader(code.tape)
        self.values = None if leaves is None else Values(code, leaves, self.reader)
        self.names = input_names(function, key)
        self.input_place = reading.definition(function)
        self.steps: list[Step] = []
        self.guards: list[int] = []                   # positions among the steps
        self.source: list[tuple[int, int]] = []       # for each step, its instruction and which result
        self.of_slot: dict[int, int] = {}             # number of the step that a slot is
        self.of_storage: dict[int, int] = {}          # number of the step that wrote a storage last
        self.plain: dict[int, Any] = {}               # storages that are constants
        self.versions: dict[int, set[int]] = {}       # all numbers of steps that a storage was
        self.count = 0
        self.inputs: dict[tuple[str, int], str] = {}
        for handle, name in zip(code.inputs, self.names):
            self.inputs[("storage", handle.number) if isinstance(handle, active.Operand) else ("slot", handle)] = name

    def run(self) -> None:
        for i in range(self.code.n):
            instruction = self.reader[i]
            if instruction is None:
                continue
            if instruction.kind == "guard":
                self.guard(i, instruction.operands)
            elif instruction.kind == "constant":
                for result in instruction.results:
                    if result.storage is not None:
                        self.plain[result.storage] = instruction.operands[0]
            else:
                self.step(i, instruction)

    def step(self, i: int, instruction: Instruction) -> None:
        operands = tuple(self.operand(x) for x in instruction.operands)
        dtypes = [np.dtype(float) if r.storage is None else self.code.tape.storages[r.storage][1] for r in instruction.results]
        place, code = self.place(i, instruction)
        for k, result in enumerate(instruction.results):
            where = ("slot", i) if result.storage is None else ("storage", result.storage)
            tracked = instruction.kind == "tracked" or dtypes[k].kind not in "fc"
            self.add(Step(self.count, instruction.operation, operands, self.value(i, k, result, instruction), None,
                          self.inputs.get(where), place, code, result.part, tracked), i, k)
            if result.storage is None:
                self.of_slot[i] = self.count - 1
            else:
                self.of_storage[result.storage] = self.count - 1
                self.versions.setdefault(result.storage, set()).add(self.count - 1)
        self.guard_shape(i, instruction)

    def add(self, step: Step, i: int, k: int) -> None:
        self.steps.append(step)
        self.source.append((i, k))
        self.count += 1

    def guard(self, i: int, operands: tuple[Any, ...]) -> None:
        place, code = self.place(i, None)
        self.guards.append(len(self.steps))
        self.source.append((i, -1))
        self.steps.append(Step(-1, "guard", tuple(self.operand(x) for x in operands), None, None, None, place, code))

    def guard_shape(self, i: int, instruction: Instruction) -> None:
        """A guard where an instruction's result may have another shape in another replay."""
        masked = instruction.operation == "getitem" and any(
            isinstance(x, active.Operand) and x.layout is not None and x.layout[1].kind == "b"
            for phrase in instruction.operands for x in phrase.parts[1:])
        if masked or instruction.operation in OF_ANY_SHAPE:
            for result in instruction.results:
                if result.storage is not None:
                    shape = self.code.tape.storages[result.storage][0]
                    self.guard(i, (Phrase((Whole(result.storage), ".shape")), f"is {shape}"))

    def place(self, i: int, instruction: Instruction | None) -> tuple[str | None, str | None]:
        found = self.input_place if instruction is not None and instruction.kind == "input" else self.reader.place(i)
        return found if found is not None else (None, None)

    def value(self, i: int, k: int, result: reading.Result, instruction: Instruction) -> Any:
        if self.values is None:
            return None
        if result.storage is not None:
            kept = self.values.arrays.get(i)
            return None if kept is None else kept[k]
        value = self.values.scalars[i]
        kind = self.reader.kind_of(i)
        if kind != "float" and np.isfinite(value):
            return bool(value) if kind == "boolean" else int(value)
        return value

    def operand(self, x: Any) -> Operand:
        if isinstance(x, Phrase):
            return Text(tuple(self.operand(part) for part in x.parts))
        if isinstance(x, Slot):
            return self.slot(x.number)
        if isinstance(x, Whole):
            return self.storage(x.number)
        if not isinstance(x, active.Operand):
            found: Operand = x
            return found
        if x.kind == SCALAR_OPERAND:
            return self.slot(x.number)
        if x.kind != ARRAY_OPERAND:
            return _constant(x.value)
        text = reading.view_text(self.code.tape.storages[x.number], x)
        whole = self.storage(x.number)
        if isinstance(whole, np.ndarray) and text:
            return np.ndarray(x.layout[0], x.layout[1], np.ascontiguousarray(whole), x.offset, x.strides)
        return Text((whole, text)) if text else whole

    def slot(self, number: int) -> Operand:
        found = self.of_slot.get(number)
        return self.reader.v[number] if found is None else found

    def storage(self, number: int) -> Operand:
        found = self.of_storage.get(number)
        if found is not None:
            return found
        whole = self.plain.get(number)
        return "?" if whole is None else whole[()] if whole.ndim == 0 else whole

    # Results.

    def results(self) -> tuple[list[int], list[str]]:
        """Numbers of the steps that are results, and what they are called; parts of steps become steps."""
        labels = result_labels(self.code.structure, len(self.code.outputs))
        numbers, kept = [], []
        for x, label in zip(self.code.outputs, labels):
            if isinstance(x, Plain):
                continue
            operand = self.operand(Slot(x) if isinstance(x, int) else x.operand if isinstance(x, Single) else x)
            if type(operand) is not int:
                # A part of a step, or a constant.
                step = Step(self.count, "view" if isinstance(operand, Text) else "constant", (operand,), self.result_value(x))
                self.add(step, self.code.n, 0)
                operand = step.number
            numbers.append(operand)
            kept.append(label)
        return numbers, kept

    def result_value(self, x: Any) -> Any:
        if self.values is None:
            return None
        if isinstance(x, int):
            return self.values.scalars[x]
        return np.array(self.values.replay.value(x.operand if isinstance(x, Single) else x))

    # Adjoints.

    def with_adjoints(self, dependent: frozenset[int]) -> list[Step]:
        """The steps with adjoints, for the adjoint 1 of a scalar result."""
        assert self.values is not None
        code, tape = self.code, self.code.tape
        slots = {slot for slot, number in self.of_slot.items() if number in dependent}
        storages = {storage for storage, numbers in self.versions.items() if numbers & dependent}
        sweep = Adjoints(OneStepSweep(tape, self.values.replay), self.values, tape.storages,
                         lambda x: x.number in (slots if x.kind == SCALAR_OPERAND else storages) if x.kind else False)
        [x] = code.outputs
        if isinstance(x, int):
            sweep.scalars[x] = 1.0
        else:
            sweep.add(x.operand if isinstance(x, Single) else x, 1.0)
        found: dict[tuple[int, int], Any] = {}
        for i in swept(tape, sweep, 0, code.n):
            for k, x in enumerate(self.values.arrays.get(i, ())):
                if x is not None and x.dtype.kind in "fc":
                    instruction = self.reader[i]
                    assert instruction is not None
                    storage = instruction.results[k].storage
                    assert storage is not None
                    found[i, k] = sweep.array(storage).copy()
        scalars = sweep.scalars.tolist()
        steps = []
        for step, (i, k) in zip(self.steps, self.source):
            adjoint = None
            if i == code.n:
                adjoint = 1.0
            elif step.operation != "guard" and not step.tracked:
                adjoint = found.get((i, k), scalars[i] if self.of_slot.get(i) == step.number else None)
            if adjoint is not None:
                step = dataclasses.replace(step, adjoint=_matched(adjoint, step.value))
            steps.append(step)
        return steps

    def numbered(self, steps: list[Step]) -> tuple[Step, ...]:
        """The steps with numbers for the guards, behind all others."""
        for k, position in enumerate(self.guards):
            steps[position] = dataclasses.replace(steps[position], number=self.count + k)
        return tuple(steps)


def _constant(x: Any) -> Operand:
    """A constant operand; whole numbers as text, as an int is the number of a step."""
    return str(x) if isinstance(x, (bool, int)) or x is None else x


def _matched(adjoint: Any, value: Any) -> Any:
    return adjoint[()] if isinstance(adjoint, np.ndarray) and adjoint.ndim == 0 and not isinstance(value, np.ndarray) else adjoint


def list_path(code: Code, name: str, function: Any, key: Any, leaves: list[Any] | None = None) -> Listing | None:
    """The listing of a path, with values at the inputs `leaves` if these are given, and adjoints if its result is a scalar.

    None if the path is not the one that these inputs take.
    """
    lister = _Lister(code, function, key, leaves)
    if lister.values is not None and not lister.values.held:
        return None
    lister.run()
    results, labels = lister.results()
    order = {text: k for k, text in enumerate(lister.names)}
    found = sorted((order.get(step.name or "", 0), step.number) for step in lister.steps
                   if step.operation == "input" and not step.tracked)
    listing = Listing(name, tuple(lister.steps), tuple(number for _, number in found), tuple(results), labels=tuple(labels))
    steps = lister.with_adjoints(listing.dependent) if leaves is not None and has_scalar_result(code) else lister.steps
    return dataclasses.replace(listing, steps=lister.numbered(steps))


def has_scalar_result(code: Code) -> bool:
    """Whether a path's result is one real number that is not the same for all inputs."""
    if code.structure is not NUMBER or isinstance(code.outputs[0], Plain):
        return False
    x = code.outputs[0]
    if isinstance(x, int):
        return True
    shape, dtype = (x.operand if isinstance(x, Single) else x).layout
    return bool(shape == () and dtype.kind == "f")


def list_call(paths: Any, arguments: Any, name: str) -> Listing:
    """The listing of a call of a program: of the path that these arguments take, which is recorded if it is not known.

    Random numbers are those the next call draws.
    """
    streams = paths.streams()
    try:
        code = paths.path_for(arguments)
        streams.restore()
        listing = list_path(code, name, paths.f, arguments.key, arguments.leaves)
    finally:
        streams.restore()
    if listing is None:
        raise RuntimeError(f"{name} takes another path each time it is run with the same arguments")
    return listing
