"""One step of a scan, as a program of lists of numbers and arrays: the step itself, its reverse and its tangent.

    step        consts, carry, x                    ->  carry, y
    keeping     the same                            ->  carry, the carry before
    backward    consts, (w, sums), (carry, x, w_y)  ->  (w^T d carry/d carry, sums + w^T d carry/d consts), w^T d carry/d x
    tangent     (consts, t), (carry, t), (x, t)     ->  the step with tangents
"""

import numpy as np

from .. import leaves as _leaves
from .. import transforms
from ..arrays import active, functions
from ..arrays.active import ActiveArray
from ..core import scalar
from ..core.scalar import Active, is_plain
from ..errors import kind_of
from ..pytrees import flatten, frozen, leaf_path, same_structure, unflatten
from . import calls
from .code import Steps
from .program import Program
from .signature import Arguments

FLOAT = ((), np.dtype(np.float64))


def layout_of(x):
    """(shape, dtype) of a number or an array, plain or active; TypeError for anything else."""
    if type(x) is float or (type(x) is Active and not scalar.is_whole(x)):
        return FLOAT
    if type(x) is Active:
        return (), np.asarray(scalar.plain(x)).dtype
    if type(x) in (int, bool) or is_plain(x, np.generic) or type(x) is np.ndarray:
        x = np.asarray(x)
        if x.dtype.kind in "biuf":
            return x.shape, x.dtype.newbyteorder("=")
    elif type(x) is ActiveArray:
        return x.shape, x.dtype
    raise TypeError(f"a {type(x).__name__}, where numbers and arrays are needed")


def normal(x):
    """A leaf as loops have it: float64 numbers are floats, whole numbers and decisions arrays."""
    if type(x) is Active and scalar.is_whole(x):
        plain = np.asarray(scalar.plain(x))[()]
        return active.record_tracked(type(plain), (x,), {}, plain) if scalar.recording() else np.asarray(plain)
    if type(x) is np.ndarray or type(x) is ActiveArray:
        return x[()] if x.shape == () and x.dtype == np.float64 else x
    if type(x) in (int, bool, np.float64) or is_plain(x, (np.integer, np.bool_)):
        return float(x) if type(x) is np.float64 else np.asarray(x)
    return x


def is_smooth(layout):
    """Whether numbers of this layout have a derivative."""
    return layout[1].kind == "f"


def smooth_among(leaves):
    """Positions of the leaves that have a derivative."""
    return [k for k, x in enumerate(leaves) if is_smooth(layout_of(x))]


def zeros_like(leaves):
    """Zeros for numbers and arrays, plain."""
    return [0.0 if layout == FLOAT else np.zeros(*layout) for layout in map(layout_of, leaves)]


class Step:
    """f, a function of (consts, carry, x), as one of three lists of leaves that gives two, the new carry and y.

    TypeError, which names the leaf, if the new carry is unlike the old one.
    """

    def __init__(self, f, name, wrapped, carry_structure, x_structure):
        self.f, self.__name__, self.__wrapped__ = f, name, wrapped
        self.carry_structure, self.x_structure = carry_structure, x_structure
        self.y_structure = self.const_structure = None

    def __call__(self, consts, carry, x):
        if self.const_structure is not None:
            consts = unflatten(self.const_structure, consts)
        result = self.f(consts, unflatten(self.carry_structure, carry), unflatten(self.x_structure, x))
        if not isinstance(result, tuple) or len(result) != 2:
            returned = ("None (is a return missing?)" if result is None else "a number" if _leaves.is_number(result) else
                        f"a tuple of {len(result)}" if isinstance(result, tuple) else kind_of(result))
            raise TypeError(f"scan: {self.__name__} must return (carry, y), not {returned}")
        leaves, structure = flatten(result[0])
        if not same_structure(structure, self.carry_structure):
            raise TypeError(f"scan: {self.__name__} returned a carry with the structure {transforms._shown(structure)} where it was "
                            f"given {transforms._shown(self.carry_structure).removeprefix('of ')}")
        for k, (before, after) in enumerate(zip(carry, leaves)):
            self.compare(result[0], k, before, after)
        ys, structure = flatten(result[1])
        for k, y in enumerate(ys):
            self.described(result[1], k, y, "y")
        if self.y_structure is None:
            self.y_structure = (frozen(structure),)
        elif not same_structure(structure, self.y_structure[0]):
            raise TypeError(f"scan: {self.__name__} returned a y with the structure {transforms._shown(structure)} after one with "
                            f"the structure {transforms._shown(self.y_structure[0])}")
        return [normal(x) for x in leaves], [normal(y) for y in ys]

    def described(self, tree, k, x, what):
        try:
            return layout_of(x)
        except TypeError as error:
            raise TypeError(f"scan: {self.__name__} returned {what}{leaf_path(tree, k)} that is {error}") from None

    def compare(self, tree, k, before, after):
        before, after = layout_of(before), self.described(tree, k, after, "a carry")
        if before != after:
            raise TypeError(f"scan: {self.__name__} was given carry{leaf_path(tree, k)} of shape {before[0]} and type {before[1]} "
                            f"and returned one of shape {after[0]} and type {after[1]}; start with what it returns, or convert it")


class Keeping:
    """The step with the carry before it as y."""

    def __init__(self, step):
        self.step, self.__name__, self.__wrapped__ = step, step.__name__, step.__wrapped__

    def __call__(self, consts, carry, x):
        return self.step(consts, carry, x)[0], carry


class _Linear:
    """The step as a function of those of its leaves that have a derivative."""

    def __init__(self, step):
        self.step, self.__name__, self.__wrapped__ = step, step.__name__, step.__wrapped__

    def parts(self, *lists):
        """(function of the smooth leaves that gives the smooth results, those leaves, how many of each list, all results once run)."""
        leaves = [x for part in lists for x in part]
        chosen = smooth_among(leaves)
        counts = [len(smooth_among(part)) for part in lists]
        found = {}

        def f(*xs):
            everything = list(leaves)
            for k, x in zip(chosen, xs):
                everything[k] = x
            split = iter(everything)
            found["results"] = self.step(*[[next(split) for _ in part] for part in lists])
            return [x for part in found["results"] for x in part if is_smooth(layout_of(x))]
        return f, [leaves[k] for k in chosen], counts, found


class Backward(_Linear):
    """Adjoints through one step; `sums` are those of the consts so far."""

    def __call__(self, consts, state, item):
        w, sums = state
        carry, x, w_y = item
        f, smooth, counts, _ = self.parts(consts, carry, x)
        adjoints = iter(transforms.vjp(f, *smooth)[1]([*w, *w_y]))
        by_consts, by_carry, by_x = ([next(adjoints) for _ in range(count)] for count in counts)
        return (by_carry, [total + part for total, part in zip(sums, by_consts)]), by_x


class Tangent(_Linear):
    """The step and its tangent."""

    def __call__(self, consts, state, item):
        (consts, t_consts), (carry, t_carry), (x, t_x) = consts, state, item
        f, smooth, _, found = self.parts(consts, carry, x)
        tangents = transforms.jvp(f, smooth, [*t_consts, *t_carry, *t_x])[1]
        carry, y = found["results"]
        count = len(smooth_among(carry))
        return (carry, tangents[:count]), (y, tangents[count:])


class Runner:
    """A program of (consts, carry, x), run step after step on buffers: arrays that the carry is in, and xs and ys with the steps
    along their first axis. Without `keeps` there is one entry of each of ys, which is that of the last step.
    """

    def __init__(self, program, consts, carry, xs, steps, keeps=True):
        xs = [x if x.ndim == 1 or not steps or x[0].flags.c_contiguous else np.ascontiguousarray(x) for x in xs]
        self.program, self.consts, self.xs, self.all_xs, self.length, self.keeps = program, consts, xs, xs, steps, keeps
        self.buffers = [np.array(x, order="C") for x in carry]
        self.entries = columns(xs)
        first = [entry(0) for entry in self.entries] if steps else [normal(np.zeros(x.shape[1:], x.dtype)) for x in xs]
        self.arguments = Arguments(([*consts], [*carry], first), {})
        self.kinds = calls.kinds_of(self.arguments.leaves)
        if len(self.kinds) != len(consts) + len(carry) + len(xs):
            raise TypeError("scan: numbers and arrays are needed")
        self.ys = self.steps = self.replay = None

    def window(self, first):
        """Counts the entries of xs from number `first` on."""
        self.xs = [x[first:] for x in self.all_xs]
        self.entries = columns(self.xs)

    def carry(self):
        """The carry as numbers and arrays that nothing else refers to."""
        kinds = self.kinds[len(self.consts):]
        return [x.copy() if kind is None else kind(x) for kind, x in zip(kinds, self.buffers)]

    def advance(self, first, stop, kept=()):
        """Carries out step `first`, and those behind it up to `stop` or before it down to `stop`, exclusive."""
        k, direction = first, 1 if stop > first else -1
        while k != stop:
            if self.steps is not None and self.ys is not None:
                k = self.steps.run(self.consts, self.buffers, self.xs, self.ys, list(kept), k, stop)
                if k == stop:
                    return
            # The first step, or one that takes another path.
            for whole, x in zip(kept, self.buffers):
                whole[k] = x
            self.note(k, self.one([*self.consts, *self.carry(), *[entry(k) for entry in self.entries]]))
            k += direction

    def one(self, leaves):
        """The results of one step; NoCall where the function must run itself."""
        self.close()
        code, self.replay = calls.started(self.program, self.arguments.with_leaves(leaves))
        if code.draws:
            raise calls.NoCall
        steps = Steps(self.replay, len(self.consts), len(self.buffers))
        self.steps = steps if steps.possible else None
        return self.replay.result()

    def note(self, k, results):
        """Puts the results of step k where they belong."""
        count = len(self.buffers)
        if self.ys is None:
            self.ys = [_entries_of(self.length, *layout, self.keeps) for layout in map(layout_of, results[count:])]
        for y, part in zip(self.ys, results[count:]):
            if (y.shape[1:], y.dtype) != layout_of(part):
                self.steps = None
                raise TypeError(f"scan: {self.program._name} returned a y of shape {np.shape(part)} after one of {y.shape[1:]}")
            y[k] = part
        for buffer, part in zip(self.buffers, results):
            buffer[...] = part

    def close(self):
        """Gives the workspace back."""
        if self.replay is not None:
            self.replay.finish()
            self.replay = self.steps = None


def _entries_of(length, shape, dtype, all_of_them):
    """An array with entries of a shape, or one in which they are all the same one."""
    if all_of_them:
        return np.empty((length, *shape), dtype)
    one = np.empty(shape, dtype)
    return np.lib.stride_tricks.as_strided(one, (length, *shape), (0, *one.strides))


def columns(xs):
    """For each array a function of k that gives its entry k: a float, np.float32 or an array."""
    return [_floats(x) if x.ndim == 1 and x.dtype == np.float64 else
            x.__getitem__ if x.ndim > 1 or x.dtype == np.float32 else _entries(x) for x in xs]


def _floats(x):
    return lambda k: float(x[k])


def _entries(x):
    return lambda k: x[k:k + 1].reshape(())


def stack(parts):
    """Entries of y as one array, active where they are."""
    if type(parts[0]) is Active or type(parts[0]) is float:
        return functions.array(parts)
    return np.stack(parts)


class Loop:
    """A step of lists as a program, and what it is to be run again and again."""

    def __init__(self, step):
        self.step, self.program = step, Program(step)
        self.derived: dict = {}

    def with_step(self, kind, structures):
        """The loop of the step's `Keeping`, `Backward` or `Tangent`, whose carry and x are nestings of these structures."""
        key = kind, *[str(structure) for structure in structures]
        found = self.derived.get(key)
        if found is None:
            inner = kind(self.step)
            found = self.derived[key] = Loop(Step(inner, self.step.__name__, self.step.__wrapped__, *structures))
        return found

    def run(self, consts, carry, xs, steps):
        """(carry, ys) of plain lists: ys are arrays with a first axis of length `steps`."""
        runner = Runner(self.program, consts, carry, xs, steps)
        try:
            if not steps:
                # What y is like without a step is seen from one.
                results = runner.one([*consts, *carry, *[normal(np.zeros(x.shape[1:], x.dtype)) for x in xs]])
                return carry, [np.zeros((0, *shape), dtype) for shape, dtype in map(layout_of, results[len(carry):])]
            runner.advance(0, steps)
            return runner.carry(), runner.ys
        finally:
            runner.close()
