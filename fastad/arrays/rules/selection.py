"""Functions whose result takes elements of their operands by a condition, a choice or an index."""

import math
import operator

import numpy as np

from ...core.scalar import is_plain
from .helpers import flat_indices, like, scatter_add, selection_vjp
from .registry import rule

# Functions that call functions of the user's: written with functions that have rules and given active arrays.
COMPOSED: dict = {}


def composed(function):
    """Declares, as a decorator, that `function` of active arrays is the decorated function."""
    def declare(implementation):
        COMPOSED[function] = implementation
        return implementation
    return declare


def pick(values, indices):
    """The elements of a one-dimensional array at the indices, in their shape; either or both may be active.

    np.take and indexing would not see that the indices of a plain array are tracked.
    """
    picked = np.take_along_axis(np.reshape(values, -1), np.reshape(indices, -1), 0)
    return np.reshape(picked, np.shape(indices))


@rule(np.where, "x", "y", structure="elementwise", linear="jointly")
def _where(w, result, condition, x=None, y=None, /):
    return (lambda: like(np.where(condition, w, 0), x),
            lambda: like(np.where(condition, 0, w), y))


@rule(np.select, "*choicelist", "default", structure="elementwise", linear="jointly")
def _select(w, result, condlist, choicelist, default=0):
    taken, free = [], True
    for condition in condlist:
        taken.append(np.logical_and(free, condition))
        free = np.logical_and(free, np.logical_not(condition))

    def choices():
        pairs = zip(taken, choicelist, strict=True)
        return _as_sequence([like(np.where(mask, w, 0), choice) for mask, choice in pairs], choicelist)
    return choices, lambda: like(np.where(free, w, 0), default)


@rule(np.choose, "*choices", structure="elementwise", linear="jointly")
def _choose(w, result, a, choices, out=None, mode="raise"):
    count = len(choices)
    chosen = np.choose(a, list(range(count)), mode=mode)
    return _as_sequence([like(np.where(chosen == k, w, 0), choices[k]) for k in range(count)], choices)


def _as_sequence(adjoints, operands):
    """Adjoints of a sequence's entries as a list, or as one array where the sequence is an array."""
    return np.stack(adjoints) if hasattr(operands, "ndim") else adjoints


@rule(np.clip, "a", "a_min", "a_max", "min", "max", structure="elementwise")
def _clip(w, result, a, a_min=np._NoValue, a_max=np._NoValue, out=None, *, min=np._NoValue,
          max=np._NoValue, **kwargs):
    if a_min is np._NoValue and a_max is np._NoValue:
        low, high = min, max
    else:
        low, high = a_min, a_max
    low, high = (None if bound is np._NoValue else bound for bound in (low, high))
    if "where" in kwargs:
        w = np.where(kwargs["where"], w, 0)
    # NumPy's definition, minimum(maximum(a, low), high), settles a low above high and how ties share.
    raised = a if low is None else np.maximum(a, low)
    passed = w if high is None else _preferred(w, np.less, raised, high)

    def operand():
        return like(passed if low is None else _preferred(passed, np.greater, a, low), a)

    def lower():
        return like(_preferred(passed, np.less, a, low), low)

    def upper():
        return like(_preferred(w, np.greater, raised, high), high)
    return operand, lower, upper, lower, upper


def _preferred(w, compare, x, y):
    """w where x compares as asked with y, half of it where they are equal, 0 elsewhere (NaN included)."""
    ties = np.equal(x, y)
    if is_plain(ties, (np.ndarray, np.bool_)) and not ties.any():   # plain and without ties: half the work
        return np.where(compare(x, y), w, 0)
    return np.where(compare(x, y), w, np.where(ties, 0.5 * w, 0))


@rule(np.take, "a", structure="index map", linear="jointly")
def _take(w, result, a, indices, axis=None, out=None, mode="raise"):
    # The flat indices are computed: np.take of a plain array does not see that its indices are tracked.
    shape = np.shape(a)
    if not hasattr(indices, "ndim"):
        indices = np.array(indices, dtype=np.intp)
    axis = 0 if axis is None and len(shape) == 1 else axis
    n = math.prod(shape) if axis is None else shape[axis]
    if mode == "wrap":
        indices = np.remainder(indices, n)
    elif mode == "clip":
        indices = np.clip(indices, 0, n - 1)
    else:
        indices = np.where(indices < 0, indices + n, indices)
    if axis is not None:
        axis %= len(shape)
        after = shape[axis + 1:]
        stride = math.prod(after)
        starts = np.arange(math.prod(shape[:axis])) * (n * stride)
        starts = starts.reshape(shape[:axis] + (1,) * (indices.ndim + len(after)))
        indices = np.reshape(indices * stride, indices.shape + (1,) * len(after))
        indices = starts + indices + np.arange(stride).reshape(after)
    return scatter_add(w, indices, shape)


@rule(np.take_along_axis, "arr", structure="index map", linear="jointly")
def _take_along_axis(w, result, arr, indices, axis=-1):
    return selection_vjp(w, np.shape(arr), lambda flat: np.take_along_axis(flat, indices, axis))


@rule(np.compress, "a", structure="index map", linear="jointly")
def _compress(w, result, condition, a, axis=None, out=None):
    return selection_vjp(w, np.shape(a), lambda flat: np.compress(condition, flat, axis))


@rule(np.extract, "arr", structure="index map", linear="jointly")
def _extract(w, result, condition, arr):
    return selection_vjp(w, np.shape(arr), lambda flat: np.extract(condition, flat))


@composed(np.piecewise)
def piecewise(x, condlist, funclist, *args, **kw):
    """np.piecewise of an active x: each function is called with the elements that its condition selects."""
    if np.isscalar(condlist) or np.ndim(condlist[0]) == 0 and np.ndim(x) != 0:
        condlist = [condlist]
    conditions = [np.not_equal(condition, 0) for condition in condlist]
    if len(funclist) == len(conditions) + 1:
        otherwise = True
        for condition in conditions:
            otherwise = np.logical_and(otherwise, np.logical_not(condition))
        conditions.append(otherwise)
    elif len(funclist) != len(conditions):
        n = len(conditions)
        raise ValueError(f"with {n} condition(s), either {n} or {n + 1} functions are expected")
    y = np.zeros_like(x)
    for condition, function in zip(conditions, funclist, strict=True):
        shape = np.shape(condition)
        rest = np.shape(x)[len(shape):]              # a condition of fewer dimensions selects rows
        if shape + rest != np.shape(x):
            raise IndexError(f"a condition of shape {shape} for an array of shape {np.shape(x)}")
        condition = np.reshape(condition, -1)
        if callable(function):
            if not np.any(condition):
                continue
            rows = np.flatnonzero(condition)
            indices = np.reshape(rows, (-1, *[1] * len(rest))) * math.prod(rest) + flat_indices(rest) if rest else rows
            piece = function(np.take(np.reshape(x, (np.size(condition), *rest)), rows, axis=0), *args, **kw)
            piece = np.broadcast_to(piece, np.shape(indices)).astype(x.dtype)
            function = scatter_add(piece, indices, np.shape(x))
        y = np.where(np.reshape(condition, shape + (1,) * len(rest)), function, y)
    return y if y.dtype == x.dtype else y.astype(x.dtype)


@composed(np.apply_along_axis)
def apply_along_axis(func1d, axis, arr, *args, **kwargs):
    """np.apply_along_axis of an active array: the function's results for every slice, stacked."""
    axis = operator.index(axis)
    if not -arr.ndim <= axis < arr.ndim:
        raise np.exceptions.AxisError(axis, arr.ndim)
    axis %= arr.ndim
    slices = np.moveaxis(arr, axis, -1)
    outer = slices.shape[:-1]
    if 0 in outer:
        raise ValueError("Cannot apply_along_axis when any iteration dimensions are 0")
    values = [func1d(slices[index], *args, **kwargs) for index in np.ndindex(outer)]
    inner = np.shape(values[0])
    stacked = np.reshape(np.stack(values), outer + inner)
    return np.moveaxis(stacked, range(len(outer), stacked.ndim), range(axis, axis + len(inner)))


@composed(np.apply_over_axes)
def apply_over_axes(func, a, axes):
    """np.apply_over_axes of an active array: the function along one axis after the other, dimensions kept."""
    value, ndim = a, np.ndim(a)
    for axis in (axes,) if np.ndim(axes) == 0 else axes:
        axis = operator.index(axis) % ndim
        reduced = func(value, axis)
        if np.ndim(reduced) != np.ndim(value):
            reduced = np.expand_dims(reduced, axis)
            if np.ndim(reduced) != np.ndim(value):
                raise ValueError("function is not returning an array of the correct shape")
        value = reduced
    return value
