"""Random programs over arrays, which read and write through views, and the two ways to run them.

A program is a list of seeds, one per step, so that any of its steps can be left out. It runs on active arrays, or slowly on
object arrays of active scalars: then NumPy itself does all that has to do with indices, views and overlap, and the derivatives
are those of scalars.
"""

import operator
import random

import numpy as np

from fastad import math as fm

SHAPES = ((3, 4), (5,), ())


class Number:
    """A number in an object array: what NumPy asks of an object, and no more, so that it never takes one for an array."""

    def __init__(self, value):
        self.value = value

    def sin(self):
        return Number(fm.sin(self.value))

    def tanh(self):
        return Number(fm.tanh(self.value))

    def __gt__(self, other):
        return self.value > other


def _operator(op, swapped):
    def method(self, other):
        if isinstance(other, Number):
            other = other.value
        elif isinstance(other, np.ndarray):
            return NotImplemented
        return Number(op(other, self.value) if swapped else op(self.value, other))

    return method


for _name, _op in (("add", operator.add), ("sub", operator.sub), ("mul", operator.mul)):
    setattr(Number, f"__{_name}__", _operator(_op, False))
    setattr(Number, f"__r{_name}__", _operator(_op, True))


def as_numbers(x):
    """A number or array, with a Number for each of its elements."""
    if isinstance(x, Number):
        return x
    if not isinstance(x, np.ndarray):
        return Number(x)
    new = np.empty(x.shape, object)
    for place in np.ndindex(x.shape):
        new[place] = as_numbers(x[place])
    return new


def function(seeds, slowly=False):
    """f(x, y, s) of arrays with the first two of SHAPES and a number: a program with one step per seed."""
    def f(x, y, s):
        run = _Run([x, y], [s], as_numbers if slowly else lambda x: x)
        for seed in seeds:
            run.step(random.Random(seed))
        return run.total()

    return f


def on_scalars(seeds):
    """The same function of a list of numbers, run slowly."""
    f = function(seeds, True)

    def f_of_numbers(numbers):
        x = np.empty(18, object)
        for k, number in enumerate(numbers):
            x[k] = Number(number)
        return f(x[:12].reshape(3, 4), x[12:17], x[17]).value

    return f_of_numbers


class _Run:
    """`ready` prepares a value for being written; it is also applied to results of functions of arrays."""

    def __init__(self, arrays, scalars, ready):
        self.arrays, self.scalars, self.ready = arrays, scalars, ready

    def total(self):
        total = 0.0
        for k, x in enumerate(self.arrays):
            weights = np.cos(np.arange(x.size) + 0.7 * k).reshape(x.shape)
            total = total + np.sum(np.sin(x) * weights)
        for k, s in enumerate(self.scalars):
            total = total + np.sin(s) * (0.3 + k)
        return total

    def step(self, draw):
        getattr(self, draw.choice(STEPS))(draw)

    # What steps are made of

    def pick(self, draw, least=0):
        """An array with at least so many elements, more often a recent one."""
        many = [x for x in self.arrays if x.size >= least]
        return many[max(draw.randrange(len(many)), draw.randrange(len(many)))]

    def keep(self, x):
        if isinstance(x, np.ndarray) or hasattr(x, "strides"):
            if x.ndim <= 4 and x.size <= 100:
                self.arrays.append(x)
        else:
            self.scalars.append(x)

    def operand(self, draw, shape):
        """Something that broadcasts to a shape: a number, a plain array, an array or part of one."""
        kind = draw.randrange(6)
        if kind == 0:
            return self.ready(draw.uniform(-1.0, 1.0))
        if kind == 1:
            return self.ready(draw.choice(self.scalars))
        if kind == 2:
            return self.ready(np.linspace(-0.9, 0.8, int(np.prod(shape))).reshape(shape))
        fitting = [x for x in self.arrays if fits(x.shape, shape)]
        if kind < 5 and fitting:
            return draw.choice(fitting)
        flat = self.pick(draw, 1).reshape(-1)
        places = np.array([draw.randrange(-flat.shape[0], flat.shape[0]) for _ in range(int(np.prod(shape)))], int)
        return flat[places].reshape(shape)

    # Views

    def do_slice(self, draw):
        x = self.pick(draw)
        self.keep(x[basic_key(draw, x.shape)])

    def do_turn(self, draw):
        x = self.pick(draw)
        axes = list(range(x.ndim))
        draw.shuffle(axes)
        self.keep(draw.choice([lambda: x.T, lambda: x.transpose(axes), lambda: np.transpose(x, axes),
                               lambda: np.flip(x), lambda: np.expand_dims(x, draw.randint(0, x.ndim)),
                               lambda: np.squeeze(x), lambda: x.swapaxes(0, -1) if x.ndim else x[...],
                               lambda: np.moveaxis(x, 0, -1) if x.ndim else x[...]])())

    def do_reshape(self, draw):
        x = self.pick(draw)
        shapes = [(-1,), (x.size,), (1, x.size), (x.size, 1)] if x.size else [x.shape]
        shapes += [(n, x.size // n) for n in (2, 3, 4) if x.size and x.size % n == 0]
        shape = draw.choice(shapes)
        self.keep(draw.choice([lambda: x.reshape(shape), lambda: np.reshape(x, shape), lambda: x.ravel(), lambda: np.ravel(x),
                               lambda: x.flatten()])())

    # New arrays

    def do_elementwise(self, draw):
        x = self.pick(draw)
        ufunc = draw.choice([np.sin, np.tanh])
        self.keep(self.ready(ufunc(x)))

    def do_arithmetic(self, draw):
        x = self.pick(draw)
        y = self.operand(draw, x.shape)
        op = draw.choice([operator.add, operator.sub, lambda x, y: np.sin(x) * y])
        self.keep(self.ready(op(x, y) if draw.random() < 0.7 else op(y, x)))

    def do_copy(self, draw):
        self.keep(self.pick(draw).copy())

    def do_join(self, draw):
        x, y = self.pick(draw), self.pick(draw)
        self.keep(draw.choice([lambda: np.concatenate([x.ravel(), y.ravel()]), lambda: np.stack([x, x]),
                               lambda: self.ready(np.where(x > 0.1, x, self.operand(draw, x.shape))),
                               lambda: np.concatenate([x, x[::-1]]) if x.ndim else x.copy()])())

    def do_read(self, draw):
        x = self.pick(draw)
        key = any_key(draw, x)
        advanced = any(isinstance(entry, (list, np.ndarray)) for entry in (key if isinstance(key, tuple) else (key,)))
        self.keep(self.ready(x[key]) if advanced else x[key])

    # Scalars

    def do_element(self, draw):
        x = self.pick(draw, 1)
        self.scalars.append(x[tuple([draw.randrange(-n, n) for n in x.shape])])

    def do_scalar(self, draw):
        x, y = draw.choice(self.scalars), draw.choice(self.scalars)
        self.scalars.append(draw.choice([lambda: np.sin(x) * y, lambda: x + 0.5 * y, lambda: np.tanh(x)])())

    def do_sum(self, draw):
        x = self.pick(draw)
        axis = draw.choice([None, 0, -1]) if x.ndim else None
        self.keep(self.ready(np.tanh(np.sum(x, axis=axis) if draw.random() < 0.5 else x.sum(axis=axis))
                                       if axis is not None or x.size == 0 else np.tanh(np.sum(x) + 0.0)))

    def do_loop_reads(self, draw):
        x = self.pick(draw, 2).reshape(-1)
        s = draw.choice(self.scalars)
        for i in range(1, min(x.shape[0], 8)):
            s = np.sin(s) + x[i] * x[i - 1]
        self.scalars.append(np.tanh(s))

    # Writes

    def do_fill_loop(self, draw):
        x, y = self.pick(draw, 1), self.pick(draw, 1).reshape(-1)
        if x.ndim == 1:
            for i in range(1, min(x.shape[0], 8)):
                x[i] = np.sin(x[i - 1]) + 0.5 * y[i % y.shape[0]]
        else:
            places = list(np.ndindex(x.shape))[:8]
            for here, there in zip(places[1:], places):
                x[here] = np.tanh(x[there]) * y[-1]

    def do_element_write(self, draw):
        x = self.pick(draw, 1)
        key = tuple([draw.randrange(-n, n) for n in x.shape])
        how = draw.randrange(4)
        if how == 0:
            x[key] = self.ready(draw.choice(self.scalars))
        elif how == 1:
            x[key] = self.ready(draw.uniform(-1.0, 1.0))
        elif how == 2:
            x[key] += 0.5 * draw.choice(self.scalars)
        else:
            x[key] *= np.sin(draw.choice(self.scalars))

    def do_write(self, draw):
        x = self.pick(draw)
        key = any_key(draw, x)
        y = self.operand(draw, np.shape(x[key]))
        if isinstance(key, np.ndarray) and key.dtype == bool:
            # The one write for which NumPy does not look whether the two overlap.
            y = y + 0.0
        # NumPy would store an array without dimensions as such in one element of an object array.
        x[key] = y[()] if x.dtype == object and isinstance(y, np.ndarray) and y.ndim == 0 else y

    def do_augmented_write(self, draw):
        x = self.pick(draw)
        key = any_key(draw, x)
        y = self.operand(draw, np.shape(x[key]))
        how = draw.randrange(3)
        if how == 0:
            x[key] += y
        elif how == 1:
            x[key] -= y
        else:
            x[key] *= np.sin(y)

    def do_in_place(self, draw):
        x = self.pick(draw)
        y = self.operand(draw, x.shape)
        how = draw.randrange(4)
        if how == 0:
            x += y
        elif how == 1:
            x -= y
        elif how == 2:
            x *= np.sin(y)
        else:
            x[...] = y

    def do_overlap(self, draw):
        x = self.pick(draw, 2)
        if not x.ndim:
            return
        how = draw.randrange(6)
        if how == 0:
            x[1:] = x[:-1]
        elif how == 1:
            x[:-1] = x[1:]
        elif how == 2:
            x[...] = x[::-1]
        elif how == 3:
            x[1:] += x[:-1]
        elif how == 4:
            x += x[::-1]
        elif x.shape[0] == x.shape[-1]:
            x += x.swapaxes(0, -1)

    def do_out(self, draw):
        x = self.pick(draw)
        y = self.operand(draw, x.shape)
        how = draw.randrange(4)
        if how == 0:
            np.sin(x, out=x)
        elif how == 1:
            np.add(x, y, out=x)
        elif how == 2:
            np.subtract(y, x, out=x)
        else:
            np.multiply(np.tanh(x), y, out=x)

    def do_fill(self, draw):
        x = self.pick(draw)
        x.fill(self.ready(draw.choice([0.25, draw.choice(self.scalars)])))

    def do_add_at(self, draw):
        x = self.pick(draw, 1)
        if x.ndim:
            places = [draw.randrange(-x.shape[0], x.shape[0]) for _ in range(3)]
            np.add.at(x, places, self.operand(draw, x[places].shape))


STEPS = tuple(sorted(name for name in vars(_Run) if name.startswith("do_")))


def fits(shape, into):
    """Whether an array of one shape broadcasts into another."""
    return len(shape) <= len(into) and all(n in (1, m) for n, m in zip(shape[::-1], into[::-1]))


def basic_key(draw, shape):
    """A random basic index: ints, slices of any step, newaxis, an ellipsis, perhaps for fewer than all dimensions."""
    key = []
    for n in shape[:draw.randint(0, len(shape))]:
        kind = draw.randrange(5)
        if kind == 0 and n:
            key.append(draw.randrange(-n, n))
        elif kind == 1:
            key.append(slice(None))
        else:
            start, stop = (draw.choice([None, draw.randint(-n - 1, n + 1)]) for _ in range(2))
            key.append(slice(start, stop, draw.choice([None, 1, 2, -1, -1, -2])))
    if draw.random() < 0.3:
        key.insert(draw.randint(0, len(key)), None)
    if draw.random() < 0.3:
        key.append(...)
    return key[0] if len(key) == 1 and draw.random() < 0.5 else tuple(key)


def any_key(draw, x):
    """A random index of an array: basic, integer arrays or lists, masks, or a mixture."""
    kind = draw.randrange(7)
    if kind < 2 or not x.ndim:
        return basic_key(draw, x.shape)
    if kind == 2:
        return x > 0.2
    if kind == 3:
        return np.array([draw.random() < 0.5 for _ in range(x.shape[0])], bool)

    def places(n, shape):
        return np.array([draw.randrange(-n, n) for _ in range(int(np.prod(shape)))], int).reshape(shape)

    if x.size == 0:
        return basic_key(draw, x.shape)
    if kind == 4:
        return draw.choice([lambda: places(x.shape[0], (3,)), lambda: places(x.shape[0], (2, 2)),
                            lambda: places(x.shape[0], (3,)).tolist(), lambda: (..., places(x.shape[-1], (2,)))])()
    if kind == 5:
        return tuple([places(n, draw.choice([(3,), (2, 1, 3), ()])) for n in x.shape])
    if x.ndim == 1:
        return (None, places(x.shape[0], (2,)))
    return draw.choice([
        lambda: (slice(None, None, -1), places(x.shape[1], (3,))),
        lambda: (places(x.shape[0], (2,)), slice(1, None)),
        lambda: (places(x.shape[0], (2,)), None, slice(None)),
        lambda: (draw.randrange(x.shape[0]), places(x.shape[1], (3,))),
        lambda: (np.array([draw.random() < 0.5 for _ in range(x.shape[0])], bool), slice(None, None, 2)),
    ])()
