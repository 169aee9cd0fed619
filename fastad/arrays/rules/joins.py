"""Rules of functions that join arrays, split them, or create an array from active numbers."""

import numpy as np

from .helpers import flat_indices, like, scatter_add, slice_along
from .registry import rule
from .shapes import index_map

# Joins.

def _as_given(arrays, parts):
    """The parts' adjoints as a list; joined again where the function was given one array and took it as a sequence."""
    return np.stack(parts) if hasattr(arrays, "shape") and parts else parts


def _parts(w, arrays, axis, lengths):
    """The adjoints of arrays that take up `lengths` along one axis of w, each in the shape of its array."""
    out, start = [], 0
    for x, length in zip(arrays, lengths, strict=True):
        out.append(like(np.reshape(slice_along(w, axis, start, start + length), np.shape(x)), x))
        start += length
    return _as_given(arrays, out)


@index_map(np.concatenate, "*arrays")
def _concatenate(w, result, arrays, /, axis=0, out=None, *, dtype=None, casting="same_kind"):
    if axis is None:
        return _parts(w, arrays, 0, map(np.size, arrays))
    return _parts(w, arrays, axis, [np.shape(x)[axis] for x in arrays])


@index_map(np.stack, "*arrays")
def _stack(w, result, arrays, axis=0, out=None, *, dtype=None, casting="same_kind"):
    before = (slice(None),) * (axis % w.ndim)
    return _as_given(arrays, [like(w[(*before, i, ...)], x) for i, x in enumerate(arrays)])


@index_map(np.vstack, "*tup")
def _vstack(w, result, tup, *, dtype=None, casting="same_kind"):
    return _parts(w, tup, 0, [np.shape(x)[0] if np.ndim(x) > 1 else 1 for x in tup])


@index_map(np.hstack, "*tup")
def _hstack(w, result, tup, *, dtype=None, casting="same_kind"):
    axis = 0 if np.ndim(tup[0]) < 2 else 1
    return _parts(w, tup, axis, [np.shape(x)[axis] if np.ndim(x) else 1 for x in tup])


@index_map(np.dstack, "*tup")
def _dstack(w, result, tup):
    return _parts(w, tup, 2, [np.shape(x)[2] if np.ndim(x) > 2 else 1 for x in tup])


@index_map(np.column_stack, "*tup")
def _column_stack(w, result, tup):
    return _parts(w, tup, 1, [np.shape(x)[1] if np.ndim(x) > 1 else 1 for x in tup])


@index_map(np.block, "*arrays")
def _block(w, result, arrays):
    start = 0

    def number(tree):
        nonlocal start
        if isinstance(tree, list):
            return [number(entry) for entry in tree]
        start += np.size(tree)
        return start - np.size(tree) + flat_indices(np.shape(tree))
    numbers = number(arrays)
    # The inverse of the permutation that block makes of all elements: where in w each of them went.
    places = np.empty(w.size, int)
    places[np.block(numbers).reshape(-1)] = np.arange(w.size)
    flat = np.reshape(w, -1)

    def pick(tree, index):
        if isinstance(tree, list):
            return [pick(*entry) for entry in zip(tree, index, strict=True)]
        return like(flat[places[index]], tree)
    return pick(arrays, numbers)


# Splits.

def _joined(w, ary, split, axis):
    """The adjoint of an array for the adjoints w of what `split` cuts it into along an axis."""
    if sum(v.shape[axis] for v in w) == ary.shape[axis]:
        return np.concatenate(w, axis)
    # Sections out of order overlap.
    return scatter_add(np.concatenate(w, axis), np.concatenate(split(flat_indices(ary.shape)), axis), ary.shape)


@index_map(np.array_split, "ary", results="list")
@index_map(np.split, "ary", results="list")
def _split(w, result, ary, indices_or_sections, axis=0):
    return _joined(w, ary, lambda x: np.array_split(x, indices_or_sections, axis), axis)


@index_map(np.hsplit, "ary", results="list")
def _hsplit(w, result, ary, indices_or_sections):
    return _split(w, result, ary, indices_or_sections, 1 if ary.ndim > 1 else 0)


@index_map(np.vsplit, "ary", results="list")
def _vsplit(w, result, ary, indices_or_sections):
    return _split(w, result, ary, indices_or_sections, 0)


@index_map(np.dsplit, "ary", results="list")
def _dsplit(w, result, ary, indices_or_sections):
    return _split(w, result, ary, indices_or_sections, 2)


def _unstack(w, result, x, /, *, axis=0):
    return np.stack(w, axis) if w else np.zeros(x.shape, x.dtype)


if hasattr(np, "unstack"):      # NumPy 2.1
    index_map(np.unstack, "x", results="list")(_unstack)


# Creation.

@index_map(np.zeros_like)
def _zeros_like(w, result, a, dtype=None, order="K", subok=True, shape=None, *, device=None):
    return ()


@index_map(np.ones_like, linear="")
def _ones_like(w, result, a, dtype=None, order="K", subok=True, shape=None, *, device=None):
    return ()


@index_map(np.empty_like, linear="")
def _empty_like(w, result, prototype, /, dtype=None, order="K", subok=True, shape=None, *, device=None):
    return ()


@index_map(np.full_like, "fill_value")
def _full_like(w, result, a, fill_value, dtype=None, order="K", subok=True, shape=None, *, device=None):
    return like(w, fill_value)


@index_map(np.full, "fill_value")
def _full(w, result, shape, fill_value, dtype=None, order="C", *, device=None, like=None):
    return _full_like(w, result, None, fill_value)


@index_map(np.meshgrid, "*xi", results="list")
def _meshgrid(w, result, *xi, copy=True, sparse=False, indexing="xy"):
    out = []
    for i, (v, x) in enumerate(zip(w, xi, strict=True)):
        if v is None:
            out.append(None)
            continue
        axis = 1 - i if indexing == "xy" and i < 2 and len(xi) > 1 else i
        others = tuple(j for j in range(v.ndim) if j != axis)
        out.append(np.reshape(np.sum(v, axis=others), np.shape(x)))
    return out


def _fractions(num, endpoint, dtype):
    """How far each of num points is on the way from start to stop."""
    steps = num - 1 if endpoint else num
    return (np.arange(num) / max(steps, 1)).astype(dtype)


def _along(w, weights, axis):
    """The sum of w along an axis with these weights."""
    return np.tensordot(weights, np.moveaxis(w, axis, 0), 1)


@rule(np.linspace, "start", "stop", structure="dense", linear="jointly", results="list")
def _linspace(w, result, start, stop, num=50, endpoint=True, retstep=False, dtype=None, axis=0, *, device=None):
    points, step = w if retstep else (w, None)
    u = _fractions(num, endpoint, points.dtype)
    steps = num - 1 if endpoint else num

    def ends(weights, sign):
        total = _along(points, weights, axis)
        return total if step is None or steps < 1 else total + sign * step / steps
    return lambda: like(ends(1 - u, -1), start), lambda: like(ends(u, 1), stop)


@rule(np.logspace, "start", "stop", "base", structure="dense")
def _logspace(w, result, start, stop, num=50, endpoint=True, base=10.0, dtype=None, axis=0):
    u = _fractions(num, endpoint, w.dtype)

    def lift(x):
        """x with as many axes as all operands have together."""
        return np.reshape(x, (1,) * (w.ndim - 1 - np.ndim(x)) + np.shape(x))

    def of_exponent(weights, x):
        return like(_along(w * result * np.log(np.expand_dims(lift(base), axis)), weights, axis), x)

    def of_base():
        exponent = np.linspace(lift(start), lift(stop), num, endpoint, axis=axis)
        return like(np.sum(w * result * exponent, axis=axis) / lift(base), base)
    return lambda: of_exponent(1 - u, start), lambda: of_exponent(u, stop), of_base


@rule(np.geomspace, "start", "stop", structure="dense")
def _geomspace(w, result, start, stop, num=50, endpoint=True, dtype=None, axis=0):
    u = _fractions(num, endpoint, w.dtype)
    return (lambda: like(_along(w * result, 1 - u, axis) / start, start),
            lambda: like(_along(w * result, u, axis) / stop, stop))


@rule(np.vander, "x", structure="dense")
def _vander(w, result, x, N=None, increasing=False):
    powers = np.arange(w.shape[1])[::1 if increasing else -1].astype(w.dtype)
    return like(np.sum(w * powers * np.expand_dims(x, 1) ** np.maximum(powers - 1, 0), axis=1), x)
