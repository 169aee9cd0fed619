"""Derivatives behind a replay: of the paths of a signature, by the chosen ones of the arguments."""

import threading
import weakref

import numpy as np

from .. import leaves as _leaves
from .. import transforms
from ..core import scalar
from ..errors import GuardError, TraceError
from ..pytrees import flatten, unflatten, unflatten_derivatives
from .code import Plain, Single
from .paths import RunEagerly
from .signature import Arguments

FEWEST_SEEDS = 3         # from which a sweep of several at a time is the faster one
OWN_PROGRAM = 8          # elements of an input from which on its tangents may have a program of their own
MOST_PROGRAMS = 4        # for the tangents of one Jacobian: each replays the path


class Chosen:
    """The arguments of a call of which some are differentiated."""

    __slots__ = ("arguments", "parts", "single", "inputs")

    @classmethod
    def of(cls, name, argnums, args, kwargs):
        """None for arguments that can not be differentiated by: the eager transform says why."""
        if isinstance(argnums, range):
            positions, single = list(argnums), False
        else:
            positions, single = transforms._positions(name, argnums, len(args))
        self = cls()
        self.arguments, self.single = Arguments(args, kwargs), single
        self.parts = self.arguments.parts(positions)
        if self.parts is None:
            return None
        self.inputs = tuple(k for _, start, stop in self.parts for k in range(start, stop))
        if not all(_leaves.can_be_input(self.arguments.leaves[k]) for k in self.inputs):
            return None
        return self

    @classmethod
    def inputs_of(cls, arguments, inputs):
        """These inputs, for the sweeps alone."""
        self = cls()
        self.arguments, self.inputs = arguments, tuple(inputs)
        return self

    @property
    def leaves(self):
        return [self.arguments.leaves[k] for k in self.inputs]

    def rebuild(self, numbers):
        """Derivatives by the chosen arguments in their structure."""
        numbers = _leaves.typed_as(self.leaves, numbers)
        trees, at = [], 0
        for structure, start, stop in self.parts:
            trees.append(unflatten_derivatives(structure, numbers[at:at + stop - start]))
            at += stop - start
        return trees[0] if self.single else tuple(trees)

    def flatten_like(self, transform, what, trees):
        if not isinstance(trees, (tuple, list)) or len(trees) != len(self.parts):
            raise TypeError(f"{transform}: {what} must be a tuple with one entry per primal ({len(self.parts)})")
        numbers = []
        leaves = self.arguments.leaves
        for k, (tree, (structure, start, stop)) in enumerate(zip(trees, self.parts)):
            numbers += transforms._seeds_like(transform, f"{what}[{k}]", tree, structure, leaves[start:stop])
        return numbers


# ---- one sweep -----------------------------------------------------------------------------------------------------------------

def adjoints_behind(code, replay, chosen, adjoints):
    """Adjoints of the chosen inputs for adjoints of the results, behind a replay of "reverse"."""
    if code.numeric:
        return replay.reverse([x if isinstance(x, int) else -1 for x in code.outputs], adjoints, list(chosen.inputs))
    seeds = [_full(code, x, w) for x, w in zip(code.outputs, adjoints) if not isinstance(x, Plain)]
    return _sweep(code, replay, chosen, seeds)


def tangents_behind(code, replay, chosen, tangents, kind="tangent"):
    """Tangents of the results (for "product" of the gradient) for tangents of the chosen inputs."""
    if code.numeric and kind == "tangent":
        return replay.tangent(list(chosen.inputs), tangents, [x if isinstance(x, int) else -1 for x in code.outputs])
    if code.numeric_product:
        return replay.product(list(chosen.inputs), tangents, code.outputs[0] if isinstance(code.outputs[0], int) else -1)
    seeds = [_full(code, code.inputs[k], t) for k, t in zip(chosen.inputs, tangents)]
    results = _sweep(code, replay, chosen, seeds)
    if kind == "product":
        return results
    moving = iter(results)
    return [np.zeros_like(x.value) if isinstance(x, Plain) and isinstance(x.value, np.ndarray) else
            0.0 if isinstance(x, Plain) else next(moving) for x in code.outputs]


def _sweep(code, replay, chosen, seeds):
    """The instructions of a derivative behind those of the path, for seeds."""
    if replay.length == code.n:
        raise RunEagerly                 # nothing is recorded behind it: see `Paths.code_for`
    replay.start(seeds, len(chosen.arguments.leaves))
    if not replay.go_on(code.n):
        raise RunEagerly
    return replay.result()


def _full(code, x, w):
    """A seed in full: zeros where it is None."""
    if w is not None or isinstance(x, int):
        return 0.0 if w is None else w
    shape, dtype = (x.operand if type(x) is Single else x).layout
    return np.zeros(shape, dtype)


# ---- as the transforms give them -----------------------------------------------------------------------------------------------

def value_and_gradient(paths, chosen):
    """(value, gradient) of a scalar result."""
    code, replay = paths.run("gradient", chosen.inputs, chosen.arguments)
    [value] = replay.result(code.outputs)
    gradient = adjoints_behind(code, replay, chosen, [1.0]) if code.numeric else replay.result()
    replay.finish()
    return _as_number(value), chosen.rebuild(gradient)


def jvp(paths, chosen, tangents):
    """(value, tangent) of the result."""
    directions = chosen.flatten_like("jvp", "tangents", tangents)
    code, replay = paths.run("tangent", chosen.inputs, chosen.arguments)
    value = replay.result(code.outputs)
    tangent = tangents_behind(code, replay, chosen, directions)
    replay.finish()
    return unflatten(code.structure, value), unflatten_derivatives(code.structure, tangent)


def vjp(paths, chosen):
    """(value, what gives w^T J for a cotangent, any number of times)."""
    code, replay = paths.run("reverse", chosen.inputs, chosen.arguments)
    value = replay.result(code.outputs)
    lock = threading.Lock()

    def vjp_fun(cotangent):
        if scalar.tracing() and any(_leaves.is_active(x) for x in flatten(cotangent)[0]):
            raise TraceError("vjp_fun of a replayed program takes plain cotangents; inside a trace use fastad.vjp(f)")
        adjoints = transforms._seeds_like("vjp_fun", "the cotangent", cotangent, code.structure, value)
        with lock:
            try:
                return chosen.rebuild(adjoints_behind(code, replay, chosen, adjoints))
            except RunEagerly:
                if paths.f is None:
                    raise GuardError("a derivative of this program without source takes a path that it does not have") from None
        return transforms.vjp(paths.f, *chosen.arguments.args)[1](cotangent)

    weakref.finalize(vjp_fun, replay.finish).atexit = False
    return unflatten(code.structure, value), vjp_fun


def hvp(paths, chosen, tangents):
    """The Hessian of a scalar result times tangents."""
    directions = chosen.flatten_like("hvp", "tangents", tangents)
    code, replay = paths.run("product", chosen.inputs, chosen.arguments)
    product = chosen.rebuild(tangents_behind(code, replay, chosen, directions, "product"))
    replay.finish()
    return product[0] if len(chosen.parts) == 1 else product


def jacobian(paths, chosen, mode):
    """The Jacobian, by tangents ("forward") or adjoints ("reverse"): by those of which it takes fewer for "auto"."""
    leaves = chosen.leaves
    first = paths.last if paths.last is not None else paths.record(chosen.arguments, None)
    n, m = _leaves.count(leaves), _count(first.outputs)
    if mode == "forward" or (mode == "auto" and n < m):
        blocks: dict = {}
        for inputs in _apart(first, chosen, n):
            part = chosen if inputs == chosen.inputs else Chosen.inputs_of(chosen.arguments, inputs)
            code, found = _blocks(paths, part, "tangent", n >= FEWEST_SEEDS)
            blocks.update(zip(inputs, zip(*found)))
        rows = list(zip(*[blocks[k] for k in chosen.inputs])) if blocks else []
    else:
        code, rows = _blocks(paths, chosen, "reverse", m >= FEWEST_SEEDS)
    return unflatten_derivatives(code.structure, [chosen.rebuild(list(row)) for row in rows])


def _apart(code, chosen, count):
    """The chosen inputs in groups whose tangents have a program of their own, so that what depends on other groups stays out of it."""
    large = [(k,) for k, leaf in zip(chosen.inputs, chosen.leaves) if _leaves.count([leaf]) >= OWN_PROGRAM]
    others = tuple(k for k in chosen.inputs if (k,) not in large)
    groups = [*large, others] if others else large
    return groups if 1 < len(groups) <= MOST_PROGRAMS and count >= FEWEST_SEEDS and not code.numeric and not code.draws else [chosen.inputs]


def _blocks(paths, chosen, kind, several):
    """(Code, entries of the Jacobian by result and chosen input)"""
    leaves = chosen.leaves
    code, replay = paths.run(kind, chosen.inputs, chosen.arguments, several or kind == "tangent", several)
    value = replay.result(code.outputs)
    if replay.is_wide:
        blocks = _wide_blocks(code, replay, chosen, kind, value)
    elif several and code.takes_lanes:
        slots = [slot for x, y in zip(code.outputs, value) for slot in ([x] if isinstance(x, int) else [-1] * _leaves.count([y]))]
        matrix = (replay.columns if kind == "tangent" else replay.rows)(list(chosen.inputs), slots)
        blocks = _leaves.blocks_of(matrix, value, leaves)
    elif kind == "tangent":
        columns = [tangents_behind(code, replay, chosen, unit) for unit in _leaves.units(leaves)]
        blocks = _leaves.blocks(value, leaves, columns=columns)
    else:
        rows = [adjoints_behind(code, replay, chosen, unit) for unit in _leaves.units(value)]
        blocks = _leaves.blocks(value, leaves, rows=rows)
    replay.finish()
    return code, blocks


def hessian(paths, chosen):
    """The Hessian of a scalar result."""
    leaves = chosen.leaves
    several = _leaves.count(leaves) >= FEWEST_SEEDS
    code, replay = paths.run("product", chosen.inputs, chosen.arguments, True, several)
    if replay.is_wide:
        blocks = _wide_blocks(code, replay, chosen, "product", leaves)
    elif code.takes_lanes and code.numeric_product and several:
        matrix = replay.curvature(list(chosen.inputs), code.outputs[0] if isinstance(code.outputs[0], int) else -1)
        blocks = _leaves.blocks_of(matrix, leaves, leaves)
    else:
        columns = [tangents_behind(code, replay, chosen, unit, "product") for unit in _leaves.units(leaves)]
        blocks = _leaves.blocks(leaves, leaves, columns=columns)
    replay.finish()
    return chosen.rebuild([chosen.rebuild(row) for row in blocks])


def _wide_blocks(code, replay, chosen, kind, value):
    """Entries by result (a leaf of `value`) and chosen input, as of `_leaves.blocks`, behind a replay for several seeds."""
    columns = kind != "reverse"
    tables = replay.derivatives(len(chosen.arguments.leaves), columns)
    if tables is None:
        raise RunEagerly
    moving = [k for k in range(len(value)) if kind == "product" or not isinstance(code.outputs[k], Plain)]
    order = dict(zip(moving, range(len(moving))))
    blocks = []
    for k, leaf in enumerate(value):
        if k not in order:
            blocks.append([_leaves.zero_block(leaf, x, x if kind == "reverse" else leaf) for x in chosen.leaves])
        elif columns:
            blocks.append([_leaves.block(tables[j][order[k]], leaf, x) for j, x in enumerate(chosen.leaves)])
        else:
            blocks.append([_leaves.block(table, leaf, x) for x, table in zip(chosen.leaves, tables[order[k]])])
    return blocks


def _count(outputs):
    """How many numbers a result is."""
    total = 0
    for x in outputs:
        shape = () if isinstance(x, (int, Single)) else np.shape(x.value) if isinstance(x, Plain) else x.layout[0]
        total += int(np.prod(shape))
    return total


def _as_number(value):
    value = _leaves.single(value)
    return value if isinstance(value, np.float32) else float(value)
