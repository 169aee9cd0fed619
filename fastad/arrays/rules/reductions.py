"""Derivative rules of reductions: sums, products, moments, extremes, norms, with and without NaN."""

import numpy as np

from ...core.scalar import is_plain
from ..active import broadcast
from .extremes import scattered_shares, tie_means, tie_shares
from .helpers import expand_reduced, like, normal_axes
from .registry import rule

_NO = np._NoValue


def _spread(w, a, axis, keepdims, where=_NO):
    """The adjoint w of a reduction of a, for each of a's elements that took part: shape and dtype of a."""
    w = broadcast(_keeping(w, axis, keepdims, a), np.shape(a))
    return like(w if where is _NO else np.where(where, w, 0), a)


def _keeping(result, axis, keepdims, a):
    """A reduction's result as it broadcasts against a: with the reduced axes, of length 1, or as a number."""
    return result if result.ndim == 0 else expand_reduced(result, axis, keepdims, np.ndim(a))


def _mask(where, a):
    """The reduction's mask in a's shape; None if everything takes part."""
    return None if where is _NO or where is True else np.broadcast_to(where, np.shape(a))


def _count(a, axis, where, dtype):
    """How many elements make each result: a number, or with a mask an array with the reduced axes kept."""
    mask = _mask(where, a)
    if mask is None:
        shape, count = np.shape(a), 1
        for i in normal_axes(axis, len(shape)):
            count *= shape[i]
        return count
    return np.sum(mask, axis=axis, keepdims=True, dtype=dtype)


def _reciprocal(count):
    """1 / count, and 0 where that is not positive: no element takes part, or no freedom is left."""
    if is_plain(count, (int, float)):
        return 1.0 / count if count > 0 else 0.0
    return np.where(count > 0, 1.0 / np.where(count > 0, count, 1), 0)


def _not_nan(a, where=_NO):
    """The mask of the nan-functions."""
    valid = ~np.isnan(a)
    return valid if where is _NO else valid & where


# Sums and means.

@rule(np.sum, "a", "initial", structure="reduction", linear="jointly")
def _sum(w, result, a, axis=None, dtype=None, out=None, keepdims=_NO, initial=_NO, where=_NO):
    return lambda: _spread(w, a, axis, keepdims, where), lambda: like(w, initial)


@rule(np.nansum, "a", "initial", structure="reduction")
def _nansum(w, result, a, axis=None, dtype=None, out=None, keepdims=_NO, initial=_NO, where=_NO):
    return lambda: _spread(w, a, axis, keepdims, _not_nan(a, where)), lambda: like(w, initial)


@rule(np.mean, "a", structure="reduction", linear="jointly")
def _mean(w, result, a, axis=None, dtype=None, out=None, keepdims=_NO, *, where=_NO):
    w = _keeping(w, axis, keepdims, a)
    return _spread(w * _reciprocal(_count(a, axis, where, w.dtype)), a, axis, True, where)


@rule(np.nanmean, "a", structure="reduction")
def _nanmean(w, result, a, axis=None, dtype=None, out=None, keepdims=_NO, *, where=_NO):
    return _mean(w, result, a, axis, None, None, keepdims, where=_not_nan(a, where))


@rule(np.average, "a", "weights", structure="reduction", results="list")
def _average(w, result, a, axis=None, weights=None, returned=False, *, keepdims=_NO):
    """With `returned` w and result are pairs, of which the second is the sum of the weights."""
    w, total_w = w if returned else (w, None)
    result = result[0] if returned else result
    ndim = np.ndim(a)
    if weights is None:
        return lambda: _mean(w, result, a, axis, None, None, keepdims), lambda: None
    w, mean = _keeping(w, axis, keepdims, a), _keeping(result, axis, keepdims, a)
    expanded = weights
    if np.shape(weights) != np.shape(a):
        axes = normal_axes(axis, ndim)
        order = sorted(range(len(axes)), key=axes.__getitem__)
        shape = tuple(np.shape(a)[i] if i in axes else 1 for i in range(ndim))
        expanded = np.reshape(np.transpose(weights, order), shape)
    share = w / np.sum(expanded, axis=axis if expanded is weights else None, keepdims=True)

    def weights_adjoint():
        out = share * (a - mean)
        if returned:
            out = out + _keeping(total_w, axis, keepdims, a)
        if expanded is weights:
            return like(out, weights)
        others = tuple(i for i in range(ndim) if i not in axes)
        back = sorted(range(len(order)), key=order.__getitem__)
        return like(np.transpose(np.sum(out, axis=others), back), weights)
    return lambda: like(broadcast(share * expanded, np.shape(a)), a), weights_adjoint


@rule(np.trace, "a", structure="reduction", linear="jointly")
def _trace(w, result, a, offset=0, axis1=0, axis2=1, dtype=None, out=None):
    shape, ndim = np.shape(a), np.ndim(a)
    diagonal = np.eye(shape[axis1], shape[axis2], offset, dtype=bool)
    spread = np.where(diagonal, np.reshape(w, (*np.shape(w), 1, 1)), 0)
    return like(np.moveaxis(spread, (ndim - 2, ndim - 1), (axis1, axis2)), a)


@rule(np.linalg.trace, "x", structure="reduction", linear="jointly")
def _linalg_trace(w, result, x, /, *, offset=0, dtype=None):
    return _trace(w, result, x, offset, -2, -1)


# Products: that of all others is made of those before and those after, so zeros need no care.

def products_of_others(a):
    """For each element along the last axis the product of all the others."""
    one = np.ones((*np.shape(a)[:-1], 1), a.dtype)
    if np.shape(a)[-1] < 2:
        return broadcast(one, np.shape(a))
    before = np.concatenate([one, np.cumprod(a[..., :-1], axis=-1)], axis=-1)
    after = np.concatenate([one, np.cumprod(a[..., :0:-1], axis=-1)], axis=-1)[..., ::-1]
    return before * after


@rule(np.prod, "a", "initial", structure="reduction")
def _prod(w, result, a, axis=None, dtype=None, out=None, keepdims=_NO, initial=_NO, where=_NO):
    mask = _mask(where, a)
    factors = a if mask is None else np.where(mask, a, 1)

    def operand():
        shape = np.shape(a)
        axes = normal_axes(axis, len(shape))
        order = tuple(i for i in range(len(shape)) if i not in axes) + axes
        moved = np.transpose(factors, order)
        length = 1
        for i in axes:
            length *= shape[i]
        flat = np.reshape(moved, (*moved.shape[:moved.ndim - len(axes)], length))
        others = np.transpose(np.reshape(products_of_others(flat), moved.shape), np.argsort(order))
        spread = _keeping(w, axis, keepdims, a) * (others if initial is _NO else others * initial)
        return like(spread if mask is None else np.where(mask, spread, 0), a)
    return operand, lambda: like(w * np.prod(factors, axis=axis, keepdims=keepdims), initial)


@rule(np.nanprod, "a", "initial", structure="reduction")
def _nanprod(w, result, a, axis=None, dtype=None, out=None, keepdims=_NO, initial=_NO, where=_NO):
    return _prod(w, result, a, axis, None, None, keepdims, initial, _not_nan(a, where))


# Moments.

def _deviation(a, axis, where, mean):
    """a minus its mean (given, or along axis), 0 where masked."""
    if mean is _NO:
        masked = {} if where is _NO else {"where": where}
        mean = np.mean(a, axis=axis, keepdims=True, **masked)
    mask = _mask(where, a)
    return a - mean if mask is None else np.where(mask, a - mean, 0)


def _freedom(a, axis, where, ddof, correction, dtype):
    """The reciprocal of the number of degrees of freedom."""
    return _reciprocal(_count(a, axis, where, dtype) - (ddof if correction is _NO else correction))


@rule(np.var, "a", "mean", structure="reduction")
def _var(w, result, a, axis=None, dtype=None, out=None, ddof=0, keepdims=_NO, *,
         where=_NO, mean=_NO, correction=_NO):
    share = _keeping(w, axis, keepdims, a) * (2 * _freedom(a, axis, where, ddof, correction, w.dtype))

    def operand():
        return like(share * _deviation(a, axis, where, mean), a)
    return operand, lambda: like(-(share * _deviation(a, axis, where, mean)), mean)


@rule(np.std, "a", "mean", structure="reduction")
def _std(w, result, a, axis=None, dtype=None, out=None, ddof=0, keepdims=_NO, *,
         where=_NO, mean=_NO, correction=_NO):
    # Where std is 0 so are all deviations, and the partial is 0.
    w = w * 0.5 / np.where(result > 0, result, 1)
    return _var(w, None, a, axis, None, None, ddof, keepdims, where=where, mean=mean, correction=correction)


@rule(np.nanvar, "a", "mean", structure="reduction")
def _nanvar(w, result, a, axis=None, dtype=None, out=None, ddof=0, keepdims=_NO, *,
            where=_NO, mean=_NO, correction=_NO):
    return _var(w, None, a, axis, None, None, ddof, keepdims,
                where=_not_nan(a, where), mean=mean, correction=correction)


@rule(np.nanstd, "a", "mean", structure="reduction")
def _nanstd(w, result, a, axis=None, dtype=None, out=None, ddof=0, keepdims=_NO, *,
            where=_NO, mean=_NO, correction=_NO):
    return _std(w, result, a, axis, None, None, ddof, keepdims,
                where=_not_nan(a, where), mean=mean, correction=correction)


# Extremes: elements that tie share the adjoint in equal parts. No element equals a result of NaN: adjoint 0.

def _shares(w, extreme, a, axis, where=_NO, initial=_NO):
    """w in equal parts to the elements of a that are the extreme, and the number of parts.

    w and extreme broadcast against a; the number has the reduced axes kept.
    """
    ties = a == extreme if where is _NO else (a == extreme) & where
    count = np.sum(ties, axis=axis, keepdims=True, dtype=w.dtype)
    if initial is not _NO:
        count = count + np.where(initial == extreme, 1, 0).astype(w.dtype)
    return np.where(ties, w / np.maximum(count, 1), 0), count


def _extreme(w, result, a, axis=None, out=None, keepdims=_NO, initial=_NO, where=_NO):
    w, extreme = _keeping(w, axis, keepdims, a), _keeping(result, axis, keepdims, a)
    if initial is _NO and where is _NO:
        return lambda: scattered_shares(w, extreme, a, axis), lambda: None

    def start():
        count = _shares(w, extreme, a, axis, where, initial)[1]
        return like(np.where(initial == extreme, w / np.maximum(count, 1), 0), initial)
    return lambda: like(_shares(w, extreme, a, axis, where, initial)[0], a), start


def _extreme_moves(t, result, a, axis=None, out=None, keepdims=_NO, initial=_NO, where=_NO):
    if initial is _NO and where is _NO:
        return np.reshape(tie_means(t, _keeping(result, axis, keepdims, a), a, axis), result.shape)


for _function in (np.max, np.amax, np.min, np.amin, np.nanmax, np.nanmin):
    rule(_function, "a", "initial", structure="reduction", tangent=_extreme_moves)(_extreme)


@rule(np.ptp, "a", structure="reduction")
def _ptp(w, result, a, axis=None, out=None, keepdims=_NO):
    w = _keeping(w, axis, keepdims, a)
    high = tie_shares(w, np.max(a, axis=axis, keepdims=True), a, axis)
    return like(high - tie_shares(w, np.min(a, axis=axis, keepdims=True), a, axis), a)


def logaddexp_reduce(array, axis=0, dtype=None, out=None, keepdims=False, initial=_NO, where=True):
    """np.logaddexp.reduce, as a function that has a rule."""
    return np.logaddexp.reduce(array, axis, dtype, out, keepdims, initial, where)


def logaddexp2_reduce(array, axis=0, dtype=None, out=None, keepdims=False, initial=_NO, where=True):
    """np.logaddexp2.reduce, as a function that has a rule."""
    return np.logaddexp2.reduce(array, axis, dtype, out, keepdims, initial, where)


def _softmax(power):
    """The rule of a logarithm of a sum of powers: w times softmax.

    Operands of -inf get 0, also where the result is -inf; where it is inf those of inf share w.
    """
    def vjp(w, result, array, axis=0, dtype=None, out=None, keepdims=False, initial=_NO, where=True):
        w, total = _keeping(w, axis, keepdims, array), _keeping(result, axis, keepdims, array)
        finite = np.isfinite(total)

        def share(x, equal):
            ratio = power(np.where(finite, x, 0) - np.where(finite, total, 0))
            return like(np.where(finite, w * ratio, np.where(total > 0, equal, 0)), x)

        def operand():
            chosen = np.where(where, array, -np.inf)
            return share(chosen, _shares(w, total, chosen, axis)[0]).astype(array.dtype)
        return operand, lambda: share(initial, np.where(initial == total, w, 0))
    return vjp


rule(logaddexp_reduce, "array", "initial", structure="reduction")(_softmax(np.exp))
rule(logaddexp2_reduce, "array", "initial", structure="reduction")(_softmax(np.exp2))


# Norms. At 0 the adjoint is 0.

def _nonzero(x):
    """x with zeros replaced by ones, to divide by."""
    return np.where(x == 0, 1, x)


def _vector_norm(w, n, x, ord, axis):
    """The adjoint of x for its vector norm n along axis; w and n broadcast against x."""
    if ord is None or ord == 2:
        return w * (x / _nonzero(n))
    if ord == 0:
        return np.zeros_like(x)
    size = np.abs(x)
    if np.isinf(ord):
        return _shares(w, n, size, axis)[0] * np.sign(x)
    if ord == 1:
        return w * np.sign(x)
    # The ratio is at most 1 for ord > 1, so that nothing overflows on the way.
    return w * np.sign(x) * (_nonzero(size) / _nonzero(n)) ** (ord - 1)


def _spectral_norm(w, x, ord):
    """The adjoint of x for a norm of singular values (last two axes); w broadcasts against x."""
    u, s, vt = np.linalg.svd(x, full_matrices=False)
    if ord == "nuc":
        # Singular values that are rounding errors have no direction.
        largest = np.max(s, axis=-1, keepdims=True, initial=0.0)
        weight = (s > largest * (max(np.shape(x)[-2:]) * np.finfo(s.dtype).eps)).astype(s.dtype)
    else:
        extreme = (np.max if ord > 0 else np.min)(s, axis=-1, keepdims=True)
        weight = _shares(np.where(extreme == 0, 0, 1).astype(s.dtype), extreme, s, -1)[0]
    return w * ((u * weight[..., None, :]) @ vt)


def _matrix_norm(w, n, x, ord, axis):
    """The adjoint of x for its matrix norm n over a pair of axes; w and n broadcast against x."""
    if ord is None or ord == "fro":
        return w * (x / _nonzero(n))
    if ord in ("nuc", 2, -2):
        last = (x.ndim - 2, x.ndim - 1)
        w = np.moveaxis(w, axis, last) if w.ndim else w
        g = _spectral_norm(w, np.moveaxis(x, axis, last), ord)
        return np.moveaxis(g, last, axis)
    along, over = (0, 1) if abs(ord) == 1 else (1, 0)
    sums = np.sum(np.abs(x), axis=axis[along], keepdims=True)
    return _shares(w, n, sums, axis[over])[0] * np.sign(x)


@rule(np.linalg.norm, "x", structure="reduction")
def _norm(w, result, x, ord=None, axis=None, keepdims=False):
    ndim = np.ndim(x)
    w, n = _keeping(w, axis, keepdims, x), _keeping(result, axis, keepdims, x)
    axes = normal_axes(axis, ndim)
    if ord is None:
        return like(_vector_norm(w, n, x, 2, axes), x)
    if len(axes) == 2:
        return like(_matrix_norm(w, n, x, ord, axes), x)
    return like(_vector_norm(w, n, x, ord, axes), x)


@rule(np.linalg.vector_norm, "x", structure="reduction")
def _linalg_vector_norm(w, result, x, /, *, axis=None, keepdims=False, ord=2):
    w, n = _keeping(w, axis, keepdims, x), _keeping(result, axis, keepdims, x)
    return like(_vector_norm(w, n, x, ord, normal_axes(axis, np.ndim(x))), x)


@rule(np.linalg.matrix_norm, "x", structure="reduction")
def _linalg_matrix_norm(w, result, x, /, *, keepdims=False, ord="fro"):
    return _norm(w, result, x, ord, (-2, -1), keepdims)


# The functions that reduce as a ufunc's `reduce` does; axis is 0 there where it is not given.
REDUCE = {np.add: np.sum, np.multiply: np.prod, np.maximum: np.max, np.minimum: np.min, np.fmax: np.nanmax,
          np.fmin: np.nanmin, np.logaddexp: logaddexp_reduce, np.logaddexp2: logaddexp2_reduce,
          np.logical_and: np.all, np.logical_or: np.any}
