"""Covariances, correlations and histograms."""

import numpy as np

from .helpers import like
from .registry import rule
from .selection import pick


@rule(np.cov, "m", "y", "aweights", structure="dense")
def _cov(w, result, m, y=None, rowvar=True, bias=False, ddof=None, fweights=None, aweights=None, *,
         dtype=None):
    operands = [x for x in (m, y) if x is not None]
    shapes = [np.shape(x) for x in operands]
    # A single row with rowvar=False is a variable to older NumPy, an observation to newer: the result tells.
    alone = len(shapes) == 1 and np.size(result) == max(shapes[0], default=1) ** 2 != 1
    turned = [len(shape) == 2 and not rowvar and (shape[0] != 1 or alone) for shape in shapes]
    rows = [_variables(x, turn) for x, turn in zip(operands, turned, strict=True)]
    sample = np.concatenate(rows)
    count, n = sample.shape
    repeats = 1 if fweights is None else np.array(fweights, dtype=float)
    weights = _product(fweights, aweights, repeats)
    if ddof is None:
        ddof = 0 if bias else 1
    if weights is None:
        centred = sample - np.mean(sample, axis=1, keepdims=True)
        weighted, norm = centred, n - ddof
    else:
        total = np.sum(weights)
        centred = sample - np.sum(sample * weights, axis=1, keepdims=True) / total
        weighted = centred * weights
        squares = 0 if aweights is None else np.sum(weights * aweights)
        norm = total - (ddof if aweights is None else ddof * squares / total)
    w, result = np.reshape(w, (count, count)), np.reshape(result, (count, count))

    def onto(k, x):
        # The means drop out: the weighted deviations from them add up to zero.
        start = 0 if k == 0 else rows[0].shape[0]
        part = (w + np.transpose(w))[start:start + rows[k].shape[0]]
        adjoint = np.matmul(part, weighted) / norm
        return like(np.reshape(np.transpose(adjoint) if turned[k] else adjoint, np.shape(x)), x)

    def onto_weights():
        slope = repeats - ddof * repeats * (2 * aweights - squares / total) / total
        spread = np.sum(centred * np.matmul(w, centred), axis=0) * repeats
        return like((spread - np.sum(w * result) * slope) / norm, aweights)
    return lambda: onto(0, m), lambda: onto(1, y), onto_weights


def _variables(x, turned):
    """x as a matrix with a row for every variable."""
    shape = np.shape(x)
    if len(shape) < 2:
        return np.reshape(x, (1, -1))
    return np.transpose(x) if turned else x


def _product(fweights, aweights, repeats):
    if aweights is None:
        return None if fweights is None else repeats
    return np.multiply(aweights, repeats)


@rule(np.corrcoef, "x", "y", structure="dense")
def _corrcoef(w, result, x, y=None, rowvar=True, bias=np._NoValue, ddof=np._NoValue, *, dtype=None):
    # bias and ddof have no effect and are gone from newer versions of NumPy.
    if np.ndim(result) == 0:        # one variable with itself
        return (lambda: like(np.zeros(np.shape(x)), x)), (lambda: like(np.zeros(np.shape(y)), y))
    covariance = np.cov(x, y, rowvar, dtype=dtype)
    variance = np.diagonal(covariance)
    # Variables that do not vary have no correlation (NaN) and get adjoint zero.
    varies = variance > 0
    scale = np.where(varies, 1 / np.sqrt(np.where(varies, variance, 1)), 0)
    w = np.where(np.logical_and(varies[:, None], varies[None, :]), w, 0)
    direct = w * scale[:, None] * scale[None, :]
    flow = direct * covariance
    # NumPy's clipping to [-1, 1] only removes rounding errors: a perfect correlation is an extreme.
    through_scale = -0.5 * (np.sum(flow, axis=0) + np.sum(flow, axis=1)) * np.square(scale)
    onto_covariance = direct + np.eye(len(varies), dtype=w.dtype) * through_scale
    return _cov(onto_covariance, covariance, x, y, rowvar)[:2]


@rule(np.bincount, "weights", structure="call", linear="jointly")
def _bincount(w, result, x, /, weights=None, minlength=0):
    return like(pick(w, x), weights)


@rule(np.histogram_bin_edges, "a", structure="call")
def _histogram_bin_edges(w, result, a, bins=10, range=None, weights=None):
    return _from_edges(w, a, bins, range)


@rule(np.histogram, "a", "weights", structure="call", results=2)
def _histogram(w, result, a, bins=10, range=None, density=None, weights=None):
    (w_counts, w_edges), (counts, edges) = w, result

    def onto_weights():
        bin_of = np.searchsorted(edges, np.reshape(a, -1), side="right") - 1
        last = np.equal(np.reshape(a, -1), edges[-1])
        bin_of = np.where(last, len(counts) - 1, bin_of)
        counted = np.logical_and(bin_of >= 0, bin_of < len(counts))
        flow = w_counts
        if density:
            total = np.sum(np.where(counted, np.reshape(weights, -1), 0))
            flow = (w_counts / np.diff(edges) - np.sum(w_counts * counts)) / total
        flow = np.where(counted, pick(flow, np.where(counted, bin_of, 0)), 0)
        return like(np.reshape(flow, np.shape(weights)), weights)

    def onto_data():
        # Numbers in bins are constant between jumps; the edges move with the smallest and largest element.
        flow = w_edges
        if density:
            widths = w_counts * counts / np.diff(edges)
            nothing = np.zeros(1, widths.dtype)
            flow = flow + np.concatenate([widths, nothing]) - np.concatenate([nothing, widths])
        return _from_edges(flow, a, bins, range)
    return onto_data, onto_weights


def _from_edges(w, a, bins, range):
    """The adjoint of the data of a histogram for that of its edges."""
    if range is not None or np.ndim(bins) != 0 or np.size(a) == 0:
        return np.zeros(np.shape(a), getattr(a, "dtype", float))
    n = w.shape[0] - 1
    along = np.arange(n + 1) / n
    low, high = np.equal(a, np.min(a)), np.equal(a, np.max(a))
    low = np.where(low, np.sum(w * (1 - along)) / np.sum(low), 0)
    return like(low + np.where(high, np.sum(w * along) / np.sum(high), 0), a)
