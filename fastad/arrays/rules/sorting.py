"""Sorting, order statistics and functions of sets: a result is an element of the operand or lies between two.

Ties follow the permutation of a sort, except in the functions of sets, where equal elements share the adjoint
equally.
"""

import math

import numpy as np

from ...core.scalar import is_plain
from .helpers import flat_indices, like, normal_axes, scatter_add, selection_vjp
from .registry import rule
from .selection import pick


@rule(np.sort, "a", structure="call")
def _sort(w, result, a, axis=-1, kind=None, order=None, *, stable=None):
    ranking = np.argsort(a, axis, kind=kind, stable=stable)
    return selection_vjp(w, a.shape, lambda flat: np.take_along_axis(flat, ranking, axis))


@rule(np.partition, "a", structure="call")
def _partition(w, result, a, kth, axis=-1, kind="introselect", order=None):
    # argpartition may leave the unsorted parts in another order than partition: sorting both finds the match.
    ranking, ranks = np.argsort(a, axis), np.argsort(result, -1 if axis is None else axis)
    in_order = np.take_along_axis(w, ranks, -1 if axis is None else axis)
    return selection_vjp(in_order, a.shape, lambda flat: np.take_along_axis(flat, ranking, axis))


# Order statistics. A result stands at a position among the sorted elements, a real number from 0 to n - 1:
# its whole part names the element below, its fraction is the weight of the next one. `interpolation` is
# what older versions of NumPy call `method`.

@rule(np.median, "a", structure="reduction")
def _median(w, result, a, axis=None, out=None, overwrite_input=False, keepdims=False):
    slices = _Slices(a, axis, ())
    return slices.adjoint(w, np.full((1, 1), (slices.rows.shape[1] - 1) / 2))


@rule(np.nanmedian, "a", structure="reduction")
def _nanmedian(w, result, a, axis=None, out=None, overwrite_input=False, keepdims=np._NoValue):
    slices = _Slices(a, axis, (), skip_nan=True)
    return slices.adjoint(w, (slices.count - 1) / 2)


@rule(np.quantile, "a", "q", structure="call")
def _quantile(w, result, a, q, axis=None, out=None, overwrite_input=False, method="linear", keepdims=False, *,
              weights=None, interpolation=None):
    return _quantiles(np.quantile, w, a, q, axis, interpolation or method, weights)


@rule(np.percentile, "a", "q", structure="call")
def _percentile(w, result, a, q, axis=None, out=None, overwrite_input=False, method="linear", keepdims=False,
                *, weights=None, interpolation=None):
    return _quantiles(np.percentile, w, a, q, axis, interpolation or method, weights, unit=0.01)


@rule(np.nanquantile, "a", "q", structure="call")
def _nanquantile(w, result, a, q, axis=None, out=None, overwrite_input=False, method="linear",
                 keepdims=np._NoValue, *, weights=None, interpolation=None):
    return _quantiles(np.nanquantile, w, a, q, axis, interpolation or method, weights, skip_nan=True)


@rule(np.nanpercentile, "a", "q", structure="call")
def _nanpercentile(w, result, a, q, axis=None, out=None, overwrite_input=False, method="linear",
                   keepdims=np._NoValue, *, weights=None, interpolation=None):
    method = interpolation or method
    return _quantiles(np.nanpercentile, w, a, q, axis, method, weights, unit=0.01, skip_nan=True)


def _quantiles(function, w, a, q, axis, method, weights, unit=1.0, skip_nan=False):
    slices = _Slices(a, axis, np.shape(q), skip_nan)
    n = slices.rows.shape[1]
    if n == 0:
        position = None
    elif weights is None and not skip_nan:
        # The quantiles of 0, 1 ... n - 1 are their own positions, whatever the method.
        position = np.reshape(function(np.arange(n, dtype=slices.dtype), q, method=method), (1, -1))
    else:
        if weights is not None:
            whole = np.shape(weights) == a.shape
            weights = _Slices(weights, axis, ()).rows if whole else np.reshape(weights, (1, -1))
            weights = np.broadcast_to(weights, slices.matrix)
        position = function(slices.ranks(), q, axis=1, method=method, weights=weights)
        position = np.transpose(np.reshape(position, (math.prod(np.shape(q)), slices.rows.shape[0])))
    return (lambda: like(slices.adjoint(w, position), a),
            lambda: like(_quantile_slope(slices, w, position, np.shape(q), method, unit), q))


# How far the position moves with the quantile, beyond the number of elements; other methods have steps.
_STRETCH = {"linear": -1.0, "interpolated_inverted_cdf": 0.0, "hazen": 0.0, "weibull": 1.0,
            "median_unbiased": 1.0 / 3.0, "normal_unbiased": 0.25}


def _quantile_slope(slices, w, position, shape, method, unit):
    """The adjoint of q: the distance between the two neighbours times the speed of the position."""
    if position is None or method not in _STRETCH:
        return np.zeros(shape, w.dtype)
    speed = (slices.count + _STRETCH[method]) * unit
    if method != "linear":
        # Outside its range a position stays at the first or last element.
        speed = np.where(np.logical_and(position > 0, position < slices.count - 1), speed, 0.0)
    below, above, _ = slices.neighbours(position)
    gap = np.take_along_axis(slices.rows, above, 1) - np.take_along_axis(slices.rows, below, 1)
    flowing = slices.columns(w) * speed
    return np.reshape(np.sum(np.where(flowing == 0, 0, flowing * gap), axis=0), shape)


class _Slices:
    """The slices of a that a reduction along `axis` collapses, as the rows of a matrix.

    shape is that of the values which each slice becomes. count is the number of elements that take part in
    each, as an integer or as a column.
    """

    def __init__(self, a, axis, shape, skip_nan=False):
        self.shape, self.size = np.shape(a), math.prod(shape)
        axes = normal_axes(axis, len(self.shape))
        self.order = (*(i for i in range(len(self.shape)) if i not in axes), *axes)
        lengths = [self.shape[i] for i in self.order]
        kept = len(lengths) - len(axes)
        self.matrix = math.prod(lengths[:kept]), math.prod(lengths[kept:])
        self.rows = self._arranged(a)
        dtype = getattr(a, "dtype", None)
        self.dtype = dtype if dtype is not None and dtype.kind == "f" else np.dtype(float)
        self.missing = np.isnan(self.rows) if skip_nan else None
        self.count = self.matrix[1]
        if skip_nan:
            self.count = np.sum(np.logical_not(self.missing), axis=1, keepdims=True)

    def _arranged(self, a):
        return np.reshape(np.transpose(a, self.order), self.matrix)

    def columns(self, w):
        """The result's adjoint: a row for every slice, a column for every value; 0 for slices of NaN only."""
        w = np.transpose(np.reshape(w, (self.size, self.matrix[0])))
        return w if self.missing is None else np.where(self.count > 0, w, 0)

    def ranks(self):
        """Places in the sorted row; NaN for elements left out, except in rows that have no others."""
        ranks = np.argsort(np.argsort(self.rows, axis=1), axis=1).astype(self.dtype)
        if self.missing is None:
            return ranks
        return np.where(np.logical_and(self.missing, self.count > 0), np.nan, ranks).astype(self.dtype)

    def neighbours(self, position):
        """Columns of the elements below and above each position, and the share of the latter."""
        last = self.count - 1
        low = np.maximum(np.minimum(np.floor(position), last - 1), 0)
        below = low.astype(np.intp)
        above = np.maximum(np.minimum(below + 1, last), below)
        if is_plain(below, np.ndarray) and below.shape[0] == 1:
            kth = np.unique(np.concatenate([below, above], axis=1))
            ranking = np.argpartition(self.rows, kth, axis=1)
        else:
            ranking = np.argsort(self.rows, axis=1)
        return np.take_along_axis(ranking, below, 1), np.take_along_axis(ranking, above, 1), position - low

    def adjoint(self, w, position):
        """The adjoint of a for the result's adjoint w; positions have one row for all slices or one each."""
        if 0 in self.matrix or self.size == 0:
            return np.zeros(self.shape, w.dtype)
        below, above, share = self.neighbours(position)
        w, share = self.columns(w), share.astype(w.dtype)
        places = self._arranged(flat_indices(self.shape))
        places = [np.take_along_axis(places, columns, 1) for columns in (below, above)]
        w = np.concatenate([w * (1 - share), w * share], axis=1)
        return scatter_add(w, np.concatenate(places, axis=1), self.shape)


# Functions of sets.

@rule(np.unique, "ar", structure="call", results="list")
def _unique(w, result, ar, return_index=False, return_inverse=False, return_counts=False, axis=None, *,
            equal_nan=True, sorted=True):
    w, values = _first(w), _first(result)
    if axis is None:
        return _shared(w, values, ar)[0]()
    inverse = np.reshape(np.unique(ar, return_inverse=True, axis=axis)[1], -1)
    counts = scatter_add(np.ones(ar.shape[axis], w.dtype), inverse, (values.shape[axis],))
    alone = [1] * ar.ndim
    alone[axis] = -1
    return np.take_along_axis(w / np.reshape(counts, alone), np.reshape(inverse, alone), axis)


def _unique_of_x(w, result, x):
    return _shared(_first(w), _first(result), x)[0]()


for _function, _results in ((np.unique_values, 1), (np.unique_counts, 2), (np.unique_inverse, 2),
                            (np.unique_all, 4)):
    rule(_function, "x", structure="call", results=_results)(_unique_of_x)


@rule(np.union1d, "ar1", "ar2", structure="call")
def _union1d(w, result, ar1, ar2):
    return _shared(w, result, ar1, ar2)


@rule(np.intersect1d, "ar1", "ar2", structure="call", results="list")
def _intersect1d(w, result, ar1, ar2, assume_unique=False, return_indices=False):
    return _shared(_first(w), _first(result), ar1, ar2)


@rule(np.setdiff1d, "ar1", structure="call")
def _setdiff1d(w, result, ar1, ar2, assume_unique=False):
    return _shared(w, result, ar1)[0]()


@rule(np.setxor1d, "ar1", "ar2", structure="call")
def _setxor1d(w, result, ar1, ar2, assume_unique=False):
    return _shared(w, result, ar1, ar2)


def _first(results):
    """The values of a function that returns them alone or with integers that count or place them."""
    return results[0] if isinstance(results, (tuple, list)) else results


def _shared(w, values, *operands):
    """For every operand a function that gives its adjoint: each value's w in equal parts to its equals."""
    if values.size == 0:
        return tuple(lambda x=x: like(np.zeros(np.shape(x), w.dtype), x) for x in operands)
    ranking = np.argsort(values)
    w, values = pick(w, ranking), pick(values, ranking)
    places = [np.minimum(np.searchsorted(values, x), values.size - 1) for x in operands]
    matches = [pick(values, at) for at in places]
    hits = [np.logical_or(np.equal(x, y), np.logical_and(np.isnan(x), np.isnan(y)))
            for x, y in zip(operands, matches, strict=True)]
    counts = sum(scatter_add(np.where(hit, w.dtype.type(1), w.dtype.type(0)), at, values.shape)
                 for hit, at in zip(hits, places, strict=True))
    each = w / np.maximum(counts, 1)
    return tuple(lambda x=x, hit=hit, at=at: like(np.where(hit, pick(each, at), 0), x)
                 for x, hit, at in zip(operands, hits, places, strict=True))
