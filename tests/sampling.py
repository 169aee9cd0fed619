"""Points inside the domains of the op table's rows, and derivatives by extrapolated central differences."""

import math
import random

COLUMNS = 8


def points(op, count):
    """`count` points (tuples of floats) of a row's domain, the same at every run.

    Orders are whole numbers of their interval, both ends included. Other operands come in turns from the
    middle of the interval, from near its ends (a fiftieth of a finite one, 0.03 from the end of a half-line)
    and, on the real line, from both signs.
    """
    numbers = random.Random(op.name)
    return [tuple(_whole(interval, numbers) if k in op.order else _inside(interval, (i + k) % 4, numbers)
                  for k, interval in enumerate(op.domain)) for i in range(count)]


def _whole(interval, numbers):
    low, high = (math.copysign(min(abs(end), 5.0), end) for end in interval)
    return float(numbers.randint(math.ceil(low), math.floor(high)))


def _inside(interval, turn, numbers):
    low, high = interval
    if math.isinf(low) and math.isinf(high):
        return math.copysign(math.exp(numbers.uniform(-3.0, 1.2)), (-1.0) ** turn)
    if math.isinf(low) or math.isinf(high):
        away = 0.03 * numbers.uniform(1.0, 2.0) if turn == 0 else math.exp(numbers.uniform(-2.0, 1.6))
        return low + away if math.isinf(high) else high - away
    part = (0.02, 0.98, numbers.uniform(0.1, 0.5), numbers.uniform(0.5, 0.9))[turn]
    return low + part * (high - low)


def derivative(f, op, point, k):
    """df/d(operand k) of a function of a row's operands at a point, and an estimate of its error.

    Central differences with steps h, h/2, h/4 ... inside the domain; each column of the table removes the
    next even power of h (C. J. F. Ridders, Advances in Engineering Software 4, 1982, 75-76). The error is
    infinite where a jump seems near.
    """
    low, high = op.domain[k]
    h = min(0.25 * min(point[k] - low, high - point[k]), 0.1 * max(0.3, abs(point[k])))

    def at(t):
        return f(*point[:k], t, *point[k + 1:])

    above, best, error = [], math.nan, math.inf
    for _ in range(COLUMNS):
        row = [(at(point[k] + h) - at(point[k] - h)) / (2.0 * h)]
        for j, corner in enumerate(above):
            factor = 4.0 ** (j + 1)
            row.append((factor * row[j] - corner) / (factor - 1.0))
            change = max(abs(row[-1] - row[-2]), abs(row[-1] - corner))
            if change <= error:
                best, error = row[-1], change
        above, h = row, 0.5 * h
    # The smallest step stays clear of most jumps that larger ones cross.
    last = above[0]
    return best, (error if abs(best - last) <= 1e-2 * (abs(best) + abs(last)) + 1e-9 else math.inf)
