"""Random straight-line programs over the rows of the op table, drawn so that every value stays finite."""

import random

from fastad.elementals import apply
from fastad.table import ELEMENTARY

# Rows with a jump or a kink somewhere in their domain, where differences tell nothing.
PIECEWISE = frozenset((
    "remainder", "fmod", "ieee_remainder", "absolute", "copysign", "heaviside", "maximum", "minimum", "fmax",
    "fmin", "nextafter", "ldexp"))
DIFFERENTIABLE = tuple(op for op in ELEMENTARY if op.sparsity != "zero")
SMOOTH = tuple(op for op in DIFFERENTIABLE if op.name not in PIECEWISE)


class Program:
    """A function of `n` numbers with `m` results: a list of steps, each a row of earlier slots and constants.

    steps: (row name, operands), an int for a slot (slots 0 to n-1 are the inputs) and a float for a constant;
    outputs: slots. Called with numbers or active scalars it returns a tuple, or the number for one output.
    """

    def __init__(self, n, steps, outputs):
        self.n, self.steps, self.outputs = n, steps, outputs

    def __call__(self, *inputs):
        slots = self.slots(inputs)
        results = tuple(slots[k] for k in self.outputs)
        return results if len(results) > 1 else results[0]

    def slots(self, inputs):
        """The value of every slot."""
        slots = list(inputs)
        for name, operands in self.steps:
            slots.append(apply(name, *(slots[k] if type(k) is int else k for k in operands)))
        return slots

    def rows(self):
        """Names of the rows it uses."""
        return {name for name, _ in self.steps}


class _Draw:
    """A program in the making at a point, whose values tell which operands must be brought into a domain."""

    def __init__(self, seed, n, rows):
        self.random, self.rows = random.Random(seed), rows
        self.values = [self.random.choice((-1.0, 1.0)) * self.random.uniform(0.2, 1.8) for _ in range(n)]
        self.n, self.steps, self.unused = n, [], set(range(n))

    def step(self, name, *operands):
        values = [self.values[k] if type(k) is int else k for k in operands]
        self.values.append(apply(name, *values))
        self.steps.append((name, operands))
        self.unused -= set(operands)
        self.unused.add(len(self.values) - 1)
        return len(self.values) - 1

    def operand(self, op, k):
        """A slot or a constant inside row op's domain for its operand k."""
        if k in op.order:
            return float(self.random.randint(-3, 3))
        if op.arity > 1 and self.random.random() < 0.15:
            slot = round(self.random.uniform(0.3, 0.9), 3)
        else:
            # Recent slots more often than not: deep and shared, with inputs and old slots coming back.
            waiting = [slot for slot in self.unused if slot < self.n] or [0]
            recent = self.random.randrange(max(0, len(self.values) - 6), len(self.values))
            anywhere = self.random.randrange(len(self.values))
            slot = self.random.choice((recent, recent, anywhere, min(waiting)))
        return self.inside(slot, *op.domain[k])

    def inside(self, slot, low, high):
        """The slot itself if its value is inside (low, high) and not near zero, else one squashed to be."""
        low, high = max(low, -2.0), min(high, 2.5)
        margin = 0.1 * (high - low)
        value = self.values[slot] if type(slot) is int else slot
        if low + margin <= value <= high - margin and abs(value) > 0.1:
            return slot
        if abs(value) > 2.0:
            slot = self.step("multiply", slot, 1.0 / abs(round(value)))
        low = max(low, 0.0)
        middle, half = 0.5 * (low + high), 0.35 * (high - low)
        return self.step("add", self.step("multiply", self.step("sin", slot), half), middle)

    def joined(self, ends):
        """One slot that depends on all of these, nonlinearly."""
        total = ends[0]
        for end in ends[1:]:
            weight = self.random.choice((-1.0, 1.0)) * self.random.uniform(0.3, 1.5)
            product = self.step("multiply", total, self.inside(end, 0.0, 2.0))
            total = self.step("add", product, self.step("multiply", end, weight))
        return total


def draw(seed, n=4, steps=25, m=1, rows=SMOOTH):
    """(program, point): a random program of n inputs, `steps` random rows and m outputs, and its inputs.

    Every input and every step reaches an output. At the point all operands lie inside their rows' domains.
    """
    making = _Draw(seed, n, rows)
    for _ in range(steps):
        op = making.random.choice(rows)
        operands = [making.operand(op, k) for k in range(op.arity)]
        if all(type(k) is float for k in operands):
            operands[0] = making.inside(making.random.randrange(n), *op.domain[0])
        making.step(op.name, *operands)
    ends = sorted(making.unused)
    outputs = [making.joined([ends[k % len(ends)]] + ends[k + m::m]) for k in range(m)]
    return Program(n, making.steps, outputs), tuple(making.values[:n])
