"""Random programs that decide: branches, loops of a length that depends on values, whole numbers and masks made of values.

A program is a list of seeds, one per step, as in array_programs. f(v, s) takes an array of six numbers and a number; what it does
next depends on what it has computed so far, in every way that Python and NumPy offer.
"""

import random

import numpy as np

from fastad import math as fm

SIZE = 6


def function(seeds):
    """f(v, s): one step per seed, and a number of all that there is at the end."""
    def f(v, s):
        run = _Run(v, s)
        for seed in seeds:
            run.step(random.Random(seed))
        return run.total()

    return f


def points(seed, count):
    """Arguments, with values on both sides of every decision's threshold; some numbers are equal and some are zero."""
    draw = random.Random(seed)
    found = []
    for _ in range(count):
        v = [draw.uniform(-1.5, 1.5) for _ in range(SIZE)]
        if draw.random() < 0.3:
            v[draw.randrange(SIZE)] = v[draw.randrange(SIZE)]
        if draw.random() < 0.2:
            v[draw.randrange(SIZE)] = 0.0
        found.append((np.array(v), draw.uniform(-2.0, 2.0)))
    return found


class _Run:
    def __init__(self, v, s):
        self.arrays, self.scalars, self.counts = [v, np.sin(v)], [s, fm.sin(s) + 0.3], [2]

    def step(self, draw):
        getattr(self, draw.choice(STEPS))(draw)

    def total(self):
        total = 0.1 * sum(self.counts)
        for k, x in enumerate(self.arrays):
            total = total + np.sum(np.tanh(x) * np.cos(np.arange(SIZE) + k))
        for k, s in enumerate(self.scalars):
            total = total + fm.sin(s) * (0.3 + k)
        return total

    def array(self, draw):
        return draw.choice(self.arrays[-4:])

    def scalar(self, draw):
        return draw.choice(self.scalars[-5:])

    def keep(self, x):
        """Keeps a number."""
        self.scalars.append(fm.tanh(x))

    # Decisions of Python

    def do_if(self, draw):
        s, t = self.scalar(draw), self.scalar(draw)
        how = draw.randrange(6)
        taken = (s > t, s <= t, s == t, s != 0.3, 0.1 < s < 1.0, not s)[how]
        if taken:
            self.keep(s * t + 1.0)
        else:
            self.keep(s - 2.0 * t)

    def do_if_element(self, draw):
        v, k = self.array(draw), draw.randrange(SIZE)
        if v[k] > draw.choice([0.0, 0.4, self.scalar(draw)]):
            v[k] = v[k] * self.scalar(draw)
        elif v[k - 1] > 0:
            v[k] += 0.5

    def do_while(self, draw):
        s, rounds = self.scalar(draw), 0
        while abs(s) > 0.2 and rounds < 9:
            s, rounds = s * 0.55, rounds + 1
        self.counts.append(rounds)
        self.keep(s * rounds + 0.1)

    def do_bisection(self, draw):
        target = self.scalar(draw)
        low, high = -1.0, 1.0
        for _ in range(4):
            middle = 0.5 * (low + high)
            if middle * middle * middle < target:
                low = middle
            else:
                high = middle
        self.keep(low + target)

    def do_loop(self, draw):
        v, s = self.array(draw), self.scalar(draw)
        for x in v:
            if x < -1.0:
                break
            if x > 1.2:
                continue
            s = s + 0.3 * x if x > s else s * 0.9
        else:
            s = s + 0.1
        self.keep(s)

    def do_raise(self, draw):
        s = self.scalar(draw)
        try:
            if s > 0.25:
                raise ValueError("large")
            self.keep(s * 2.0)
        except ValueError:
            self.keep(s * s)

    def do_max(self, draw):
        s, t, v = self.scalar(draw), self.scalar(draw), self.array(draw)
        self.keep(draw.choice([lambda: max(s, t), lambda: min(s, t, 0.2), lambda: max(v), lambda: min(v, key=lambda x: x * x),
                               lambda: sorted([s, t, 0.1])[1], lambda: sorted(v)[draw.randrange(SIZE)], lambda: abs(s) - abs(t),
                               lambda: sorted(range(SIZE), key=lambda k: v[k])[1] * s, lambda: list(v).index(max(v)) + t])())

    def do_round(self, draw):
        s, t = self.scalar(draw), self.scalar(draw)
        self.keep(draw.choice([lambda: round(2.0 * s) * t, lambda: round(s, 1) + t, lambda: int(3.0 * s) + t,
                               lambda: s // 0.3 + t, lambda: divmod(s, 0.7)[1] * t,
                               lambda: fm.floor(4.0 * s) * t, lambda: s % 0.4 - t])())

    def do_range(self, draw):
        s = self.scalar(draw)
        for k in range(int(abs(s) * 4.0)):
            s = s * 0.7 + 0.1 * k
        self.keep(s)

    def do_count(self, draw):
        n = draw.choice(self.counts)
        table = [0.3, -0.2, 0.9]
        self.keep(table[n % 3] * self.scalar(draw) if n % 2 else self.scalar(draw) + n)

    # Whole numbers

    def index(self, draw):
        """A whole number below SIZE that depends on values."""
        v, s = self.array(draw), self.scalar(draw)
        return draw.choice([lambda: np.argmax(v), lambda: v.argmin(), lambda: int(np.argmax(v)), lambda: int(abs(s) * 3.0) % SIZE,
                            lambda: np.searchsorted(np.linspace(-1.0, 1.0, SIZE - 1), s),
                            lambda: np.floor(np.abs(v) * 2.0).astype(int)[0] % SIZE,
                            lambda: np.argsort(v)[2], lambda: np.count_nonzero(v > s) % SIZE])()

    def indices(self, draw):
        """SIZE whole numbers below SIZE."""
        v = self.array(draw)
        return draw.choice([lambda: np.argsort(v), lambda: (np.abs(v) * 3.0).astype(int) % SIZE, lambda: np.argsort(v)[::-1],
                            lambda: np.searchsorted(np.linspace(-1.0, 1.0, SIZE - 1), v),
                            lambda: np.where(v > 0, np.argmax(v), 0)])()

    def do_read_index(self, draw):
        self.keep(self.array(draw)[self.index(draw)] * self.scalar(draw))

    def do_write_index(self, draw):
        v, k = self.array(draw), self.index(draw)
        how = draw.randrange(3)
        if how == 0:
            v[k] = self.scalar(draw)
        elif how == 1:
            v[k] += 0.4
        else:
            v[k] *= self.scalar(draw)

    def do_read_indices(self, draw):
        self.arrays.append(self.array(draw)[self.indices(draw)])

    def do_write_indices(self, draw):
        v, k = self.array(draw), self.indices(draw)
        how = draw.randrange(4)
        if how == 0:
            v[k] = np.sin(self.array(draw))
        elif how == 1:
            v[k] = np.linspace(0.0, 0.5, SIZE)
        elif how == 2:
            v[k] += 0.2 * np.cos(self.array(draw))
        else:
            np.add.at(v, k, 0.1 * self.array(draw))

    def do_nonzero(self, draw):
        v, s = self.array(draw), self.scalar(draw)
        found = draw.choice([lambda: np.nonzero(v > s)[0], lambda: np.flatnonzero(v < 0.5), lambda: np.where(v > s)[0]])()
        self.keep(np.sum(v[found] ** 2) + 0.1 * len(found))

    # Masks

    def mask(self, draw):
        v, w = self.array(draw), self.array(draw)
        return draw.choice([lambda: v > 0.1, lambda: v >= w, lambda: (v > -0.5) & (w < 0.5), lambda: ~(v > self.scalar(draw)),
                            lambda: np.abs(v) < 0.6, lambda: np.logical_or(v > 1.0, w < 0.0), lambda: np.isclose(v, w)])()

    def do_read_mask(self, draw):
        part = self.array(draw)[self.mask(draw)]
        self.keep(np.sum(part * part) + 0.1 * part.size if len(part) != 2 else part[0] - part[1])

    def do_write_mask(self, draw):
        v, m = self.array(draw), self.mask(draw)
        how = draw.randrange(5)
        if how == 0:
            v[m] = 0.3
        elif how == 1:
            v[m] = self.scalar(draw)
        elif how == 2:
            v[m] *= 0.5
        elif how == 3:
            v[m] = np.sin(v[m])
        else:
            v[m] += self.array(draw)[m]

    def do_where(self, draw):
        v, w, m = self.array(draw), self.array(draw), self.mask(draw)
        self.arrays.append(draw.choice([lambda: np.where(m, v, w), lambda: np.where(m, v, 0.5),
                                        lambda: np.where(m, w, self.scalar(draw)), lambda: np.maximum(v, w),
                                        lambda: np.clip(v, -0.7, 0.7), lambda: m * v + (1.0 - m) * w,
                                        lambda: np.sort(v), lambda: np.select([v > 0.5, m], [v, w], 0.2)])())

    def do_any(self, draw):
        v, m = self.array(draw), self.mask(draw)
        if draw.choice([lambda: np.any(m), lambda: m.all(), lambda: v[0] > v[1], lambda: np.allclose(v, 0.0), lambda: m[2]])():
            self.arrays.append(np.sin(v))
        else:
            self.arrays.append(v * self.scalar(draw))

    # Writes that later steps see

    def do_in_place(self, draw):
        v = self.array(draw)
        how = draw.randrange(5)
        if how == 0:
            v += 0.1
        elif how == 1:
            v *= self.scalar(draw)
        elif how == 2:
            v[1:] = v[:-1]
        elif how == 3:
            v[::2] = np.linspace(0.0, 1.0, SIZE // 2)
        else:
            v[:] = np.tanh(v)

    def do_fill(self, draw):
        v, w = self.array(draw), np.zeros_like(self.array(draw))
        for k in range(SIZE):
            w[k] = v[k] ** 2 if v[k] > 0.0 else w[k - 1] + v[k]
        self.arrays.append(w)


STEPS = tuple(sorted(name for name in vars(_Run) if name.startswith("do_")))
