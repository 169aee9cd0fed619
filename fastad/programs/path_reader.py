"""Reading a path: it is accepted only if every operand, shape and size is one that a recording could have given, so that no
instruction of it can reach outside of its arrays.
"""

import math

import numpy as np

from ..arrays import active
from ..elementals import register_special
from ..table import ELEMENTARY, SPECIAL
from ..table.generate import FIRST_OPCODE
from .code import Code, Plain, Single, tape_with
from .container import DTYPES, LARGEST, fields, layout, need, shape, short
from .named_functions import numbers_from
from .reading import (
    ARRAY, CONSTANT, EXTRA, GATHER, GUARD_EQUAL, GUARD_LESS, GUARD_VALUE, INPUT, PUT, ROUNDINGS, SPECIAL_ROW,
)
from .record_readers import READERS
from .values import decode_structure, decode_value

MEMORY = 64 << 20          # bytes of arrays that a path may always declare beside its inputs,
MEMORY_PER_BYTE = 1000     # and for every byte of the file and of its inputs
WORK_PER_BYTE = 100        # elements that a path may visit for every such byte

_DOUBLE = np.dtype(float)
_ARITY = np.array([0] * FIRST_OPCODE + [op.arity for op in ELEMENTARY])
_SPECIAL_ARITY = np.array([op.arity for op in SPECIAL])


class PathReader:
    """One path as it is checked and put together."""

    def __init__(self, entry, arrays, lines, rows, inputs, limit):
        (opcode, a, b, values, lines_of, storages, records, handles, outputs, structure, self.parent, self.fork) = fields(
            entry, "a path", opcode=int, a=int, b=int, values=int, lines=int, storages=list, records=list, inputs=list,
            outputs=list, structure=object, parent=int, fork=int)
        self.arrays = arrays
        self.opcode, self.a, self.b = self.array(opcode, "uint8").copy(), self.array(a, "int32"), self.array(b, "int32").copy()
        self.n = len(self.opcode)
        self.lines = self.array(lines_of, "int32")
        need(len(self.a) == len(self.b) == len(self.lines) == self.n, "a path has operands for other instructions")
        need(0 < self.n < 2**31, "a path has no instructions")
        need(self.lines.min() >= -1 and self.lines.max() < len(lines), "an instruction has a line that is not there")
        self.storages = [layout(x) for x in storages]
        elementary, special_rows = rows
        numbers_from(self.opcode, self.opcode >= FIRST_OPCODE, FIRST_OPCODE, elementary)
        numbers_from(self.b, self.opcode == SPECIAL_ROW, 0, special_rows)
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
        need(len(slots) == len(records) and (self.a[slots] == np.arange(len(records))).all() and not self.b[slots].any(),
             "a path has other array instructions than its tape")
        self.records = [self.record(i, x) for i, x in zip(slots.tolist(), records)]
        self.check_elements()
        self.inputs = self.read_inputs(handles, inputs)
        self.outputs = [self.output(x) for x in outputs]
        self.structure, count = decode_structure(structure)
        need(count == len(outputs), "a result has a structure for another number of leaves")
        self.check_memory(inputs, limit)

    def array(self, number, dtype):
        """Array `number` of the document, which must have one dimension and this type."""
        x = self.any_array(number)
        need(x.dtype == DTYPES[dtype] and x.ndim == 1, f"array {number} is not of type {dtype} and one dimension")
        return x

    def any_array(self, number):
        need(type(number) is int and 0 <= number < len(self.arrays), f"there is no array {short(number)}")
        return self.arrays[number]

    # ---- the tape ----

    def spread(self, given):
        with_value = (self.opcode == CONSTANT) | ((self.opcode >= GUARD_LESS) & (self.opcode <= GUARD_VALUE))
        need(len(given) == np.count_nonzero(with_value), "a path has values for other instructions")
        values = np.zeros(self.n)
        values[with_value] = given
        return values

    def check_instructions(self):
        """Opcodes, and operands that are slots: all of them before the instruction."""
        opcode, a, b, n = self.opcode, self.a, self.b, self.n
        here = np.arange(n)
        row = opcode >= FIRST_OPCODE
        need(((opcode <= GUARD_VALUE) | row).all(), "an instruction has an opcode that does not exist")
        arity = _ARITY[opcode]
        comparison = (opcode >= GUARD_LESS) & (opcode <= GUARD_EQUAL)
        by_slot = row | comparison | (opcode == EXTRA) | (opcode == SPECIAL_ROW) | (opcode == GUARD_VALUE)
        need(((a >= 0) & (b >= 0)).all() and (a[by_slot] < here[by_slot]).all(), "an instruction uses the result of a later one")
        two = (row & (arity > 1)) | comparison | (opcode == EXTRA)
        need((b[two] < here[two]).all(), "an instruction uses the result of a later one")
        self.is_guard = comparison | (opcode == GUARD_VALUE)
        need(not (self.is_guard[a[by_slot]].any() or self.is_guard[b[two]].any()), "an instruction uses the result of a guard")
        none = (opcode == CONSTANT) | (opcode == INPUT)
        need(not (a[none].any() or b[none].any() or b[row & (arity < 2)].any()), "an instruction has an operand too many")
        need((b[opcode == GUARD_VALUE] < len(ROUNDINGS)).all(), "a guard on a number that does not exist")
        decided = self.values[comparison]
        need(((decided == 0.0) | (decided == 1.0)).all(), "a guard expects neither true nor false")
        special = np.flatnonzero(opcode == SPECIAL_ROW)
        if len(special):
            arity = _SPECIAL_ARITY[b[special]]
            behind = special[arity > 1]
            need((behind > 0).all() and (opcode[behind - 1] == EXTRA).all(), "an instruction lacks operands")
            behind = special[arity > 3]
            need((behind > 1).all() and (opcode[behind - 2] == EXTRA).all(), "an instruction lacks operands")
            register_special(SPECIAL[b[special[0]]].name)
        puts = np.flatnonzero(opcode == PUT)
        need((puts > 0).all() and (opcode[puts - 1] == EXTRA).all(), "an instruction lacks operands")

    def check_elements(self):
        """Single elements that are read and written."""
        for kind in (GATHER, PUT):
            at = np.flatnonzero(self.opcode == kind)
            if not len(at):
                continue
            need((self.a[at] < len(self.storages)).all(), "an element of an array that is not there")
            sizes = np.array([math.prod(lengths) if dtype == _DOUBLE else 0 for lengths, dtype in self.storages])
            need((self.b[at] < sizes[self.a[at]]).all(), "an element outside of its array")
            defined = np.array(self.defined)[self.a[at]]
            need(((defined >= 0) & (defined < at)).all(), "an element of an array that is not there yet")
            if kind == PUT:
                need(not np.array(self.fixed)[self.a[at]].any(), "an instruction writes into a constant")

    def check_memory(self, inputs, limit):
        given = sum(x[1].itemsize * math.prod(x[0]) for x in inputs if x is not float)
        if limit is None:
            return
        limit = limit + MEMORY_PER_BYTE * given
        needed = self.converted + sum(dtype.itemsize * math.prod(lengths)
                                      for (lengths, dtype), fixed in zip(self.storages, self.fixed) if not fixed)
        need(needed <= limit, f"a path needs {needed} bytes of arrays, more than the {limit} that the file's size lets expect; "
                              "if you trust the file, load it with max_bytes")
        limit *= WORK_PER_BYTE
        need(self.work <= limit, f"a path visits {self.work} elements, more than the {limit} that the file's size lets expect; "
                                 "if you trust the file, load it with max_bytes")

    # ---- array instructions ----

    def operand(self, entry):
        """The Operand that an entry describes, of what is there before instruction i."""
        need(type(entry) is list and len(entry) > 1 and type(entry[0]) is str, "no operand: " + short(entry))
        kind, number = entry[:2]
        if kind == "constant" and len(entry) == 2:
            value = decode_value(number)
            need(isinstance(value, (float, int, complex, np.generic)), "no operand: " + short(entry))
            return active.constant_operand(value)
        need(type(number) is int and number >= 0, "no operand: " + short(entry))
        if kind == "scalar" and len(entry) == 2:
            need(number < self.i and not self.is_guard[number], "an instruction uses the result of a later one, or of a guard")
            return active.scalar_operand(number)
        need(number < len(self.storages), "an instruction uses an array that is not there")
        of_storage = self.storages[number]
        # An array without elements needs no instruction.
        need(self.defined[number] < self.i and (self.defined[number] >= 0 or 0 in of_storage[0]),
             "an instruction uses an array that is not there yet")
        keeps = entry[-1]
        need(type(keeps) is int and 0 <= keeps <= 2, "no operand: " + short(entry))
        if kind == "array" and len(entry) == 3:
            return active.array_operand(number, of_storage, None, 0, keeps, self.n)
        need(kind == "view" and len(entry) == 6, "no operand: " + short(entry))
        lengths, strides, offset = shape(entry[2], of_storage[1].itemsize), entry[3], entry[4]
        self.check_view(lengths, strides, offset, of_storage)
        return active.array_operand(number, (lengths, of_storage[1]), tuple(strides), offset, keeps, self.n)

    def check_view(self, lengths, strides, offset, of_storage):
        item, inside = of_storage[1].itemsize, of_storage[1].itemsize * math.prod(of_storage[0])
        need(type(strides) is list and len(strides) == len(lengths) and all(type(x) is int for x in (*strides, offset)),
             "a part of an array without strides")
        need(all(abs(x) <= LARGEST and x % item == 0 for x in (*strides, offset)), "a part of an array is not aligned")
        need(0 <= offset <= inside and math.prod(lengths) <= math.prod(of_storage[0]), "a part of an array is outside of it")
        if 0 not in lengths:
            low = offset + sum(min(0, step * (n - 1)) for n, step in zip(lengths, strides))
            high = offset + sum(max(0, step * (n - 1)) for n, step in zip(lengths, strides)) + item
            need(low >= 0 and high <= inside, "a part of an array is outside of it")

    def array_operand(self, entry):
        x = self.operand(entry)
        need(x.layout is not None, "an instruction needs an array")
        return x

    def out(self, number):
        """Notes that instruction i makes a storage (a scalar for -1); returns the shape and type of its result."""
        need(type(number) is int and -1 <= number < len(self.storages), "an instruction has no result")
        if number < 0:
            return (), _DOUBLE
        need(self.defined[number] < 0, "an array is made twice")
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
        need(not self.fixed[x.number], "an instruction writes into a constant")
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
            need(math.prod(lengths) == math.prod(self.storages[number][0]), "an instruction uses an array that is not there yet")
            self.check_view(lengths, entry[3], entry[4], self.storages[number])
            reach = self.storages[number][1].itemsize
            for step, n in sorted((abs(step), n) for step, n in zip(entry[3], lengths) if n > 1):
                need(step >= reach, "elements of an array that is made share memory")
                reach = step * n
        self.defined[number] = self.i

    def record(self, i, entry):
        """Array instruction i."""
        self.i = i
        need(type(entry) is list and entry and type(entry[0]) is str, "no instruction")
        read, length = READERS.get(entry[0], (None, 0))
        need(read is not None and len(entry) == length, "no instruction: " + short(entry))
        return read(self, *entry[1:])

    def key(self, entry):
        """An index of Operands."""
        key = decode_value(entry, self.array_operand)
        for x in key if type(key) is tuple else (key,):
            need(type(x) is active.Operand, "an index that is not made of arrays")
            self.work += math.prod(x.layout[0])
        return key

    # ---- what goes in and comes out ----

    def read_inputs(self, handles, inputs):
        need(len(handles) == len(inputs), "a path has another number of inputs than its signature")
        found, scalars, arrays = [], [], []
        for handle, expected in zip(handles, inputs):
            if expected is float:
                need(type(handle) is int, "an input is no number")
                scalars.append(handle)
                found.append(handle)
                continue
            need(type(handle) is list and len(handle) == 2 and handle[0] == "array" and type(handle[1]) is int
                 and 0 <= handle[1] < len(self.storages), "an input is no array")
            number = handle[1]
            need(self.storages[number] == expected and self.is_input[number], "an input is not what its signature says")
            arrays.append(number)
            found.append(active.array_operand(number, self.storages[number], None, 0, 0, self.defined[number]))
        need(scalars == np.flatnonzero(self.opcode == INPUT).tolist(), "inputs are not those of the tape")
        need(sorted(arrays) == [k for k, is_input in enumerate(self.is_input) if is_input] and len(set(arrays)) == len(arrays),
             "inputs are not those of the tape")
        return found

    def output(self, entry):
        self.i = self.n
        need(type(entry) is list and len(entry) == 2, "no result")
        kind, x = entry
        if kind == "scalar":
            need(type(x) is int and 0 <= x < self.n and not self.is_guard[x], "a result is not there")
            return x
        if kind == "plain":
            value = decode_value(x)
            need(not isinstance(value, (list, tuple, np.dtype)) and value is not np._NoValue, "no result")
            return Plain(value)
        need(kind in ("number", "array"), "no result")
        x = self.array_operand(x)
        need(kind == "array" or x.layout[0] == (), "a number has dimensions")
        return Single(x) if kind == "number" else x

    def code(self, lines, beside, fast):
        """The Code of the path, which shares workspaces with the one before it."""
        places = np.where(self.lines < 0, np.int64(-1), self.lines.astype(np.int64) << 32)
        tape = tape_with(np.array(self.opcode), np.array(self.a), np.array(self.b), self.values, places, self.records,
                         self.storages, lines)
        code = Code(tape, self.inputs, self.outputs, beside, fast=fast)
        need(not code.callbacks, f"a path has instructions that do not exist in this form: {', '.join(code.callbacks)}")
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
