"""Derivative rules of running sums and products, differences, convolutions and the trapezoidal rule."""

import numpy as np

from .helpers import like, normal_axes
from .registry import rule

_NO = np._NoValue


# Running sums: the adjoint is the running sum from the end.

def _along(w, axis, shape):
    """The adjoint of a running sum or product, and its axis: flat where axis is None, as the result is."""
    return (np.reshape(w, -1), 0) if axis is None else (w, axis % len(shape) if shape else 0)


def _sum_from_end(w, axis):
    return np.flip(np.cumsum(np.flip(w, axis), axis=axis), axis)


@rule(np.cumsum, "a", structure="reduction", linear="jointly")
def _cumsum(w, result, a, axis=None, dtype=None, out=None):
    shape = np.shape(a)
    w, axis = _along(w, axis, shape)
    return like(np.reshape(_sum_from_end(w, axis), shape), a)


@rule(np.nancumsum, "a", structure="reduction")
def _nancumsum(w, result, a, axis=None, dtype=None, out=None):
    return np.where(np.isnan(a), 0, _cumsum(w, result, a, axis))


def _without_initial(w, axis, ndim, include_initial):
    """w without the entry of the initial value, a constant."""
    return w[_take(ndim, axis, slice(1, None))] if include_initial else w


def _take(ndim, axis, part):
    """The index of a part along one axis."""
    return (slice(None),) * (axis % ndim) + (part,)


def _only_axis(axis):
    """The Array API functions may leave out the axis of one-dimensional arrays."""
    return 0 if axis is None else axis


if hasattr(np, "cumulative_sum"):
    @rule(np.cumulative_sum, "x", structure="reduction", linear="jointly")
    def _cumulative_sum(w, result, x, /, *, axis=None, dtype=None, out=None, include_initial=False):
        axis = _only_axis(axis)
        return _cumsum(_without_initial(w, axis, np.ndim(x), include_initial), result, x, axis)

    @rule(np.cumulative_prod, "x", structure="reduction")
    def _cumulative_prod(w, result, x, /, *, axis=None, dtype=None, out=None, include_initial=False):
        axis = _only_axis(axis)
        return _cumprod(_without_initial(w, axis, np.ndim(x), include_initial), result, x, axis)


# Running products. The adjoint of a[i] is the product of those before i times
# s[i] = w[i] + a[i+1] (w[i+1] + a[i+2] (w[i+2] + ...)): a recurrence without divisions, so that zeros need no
# care. It is solved by doubling: pairs (factor, s) of neighbouring runs are joined, log2(n) times.

def _sums_of_products(w, a):
    """s[..., i] = w[i] + a[i+1] w[i+1] + a[i+1] a[i+2] w[i+2] + ..."""
    length = np.shape(a)[-1]
    factor = np.concatenate([a[..., 1:], np.zeros_like(a[..., :1])], axis=-1)
    total, reach = w, 1
    while reach < length:
        # total[i] covers w[i] ... w[i + reach - 1], factor[i] = a[i+1] ... a[i+reach], 0 beyond the end.
        head, tail = total[..., :-reach], total[..., -reach:]
        total = np.concatenate([head + factor[..., :-reach] * total[..., reach:], tail], axis=-1)
        if 2 * reach < length:
            ahead = np.concatenate([factor[..., reach:], np.zeros_like(factor[..., :reach])], axis=-1)
            factor = factor * ahead
        reach *= 2
    return total


def _cumprod_operand(w, a, axis):
    """The adjoint of a, which is not flattened."""
    if np.shape(a)[axis] == 0:
        return np.zeros_like(a)
    w, moved = np.moveaxis(w, axis, -1), np.moveaxis(a, axis, -1)
    before = np.concatenate([np.ones_like(moved[..., :1]), np.cumprod(moved[..., :-1], axis=-1)], axis=-1)
    return np.moveaxis(before * _sums_of_products(w, moved), -1, axis)


@rule(np.cumprod, "a", structure="reduction")
def _cumprod(w, result, a, axis=None, dtype=None, out=None):
    shape = np.shape(a)
    w, axis = _along(w, axis, shape)
    flat = np.reshape(a, np.shape(w))
    return like(np.reshape(_cumprod_operand(w, flat, axis), shape), a)


@rule(np.nancumprod, "a", structure="reduction")
def _nancumprod(w, result, a, axis=None, dtype=None, out=None):
    nan = np.isnan(a)
    return np.where(nan, 0, _cumprod(w, result, np.where(nan, 1, a), axis))


# Differences.

def _diff_transposed(w, axis):
    """The adjoint of x for np.diff(x, axis=axis): minus the difference of w between zeros."""
    edge = np.zeros_like(w[_take(w.ndim, axis, slice(0, 1))])
    if edge.shape[axis] == 0:
        edge = np.zeros(tuple(1 if i == axis else n for i, n in enumerate(w.shape)), w.dtype)
    return np.concatenate([edge, w], axis=axis) - np.concatenate([w, edge], axis=axis)


@rule(np.diff, "a", "prepend", "append", structure="reduction", linear="jointly")
def _diff(w, result, a, n=1, axis=-1, prepend=_NO, append=_NO):
    ndim, length = np.ndim(a), np.shape(a)[axis]
    axis = axis % ndim
    before, after = _extent(prepend, axis), _extent(append, axis)

    def whole():
        extended = before + length + after
        if n > extended:
            return np.zeros(tuple(extended if i == axis else m for i, m in enumerate(w.shape)), w.dtype)
        out = w
        for _ in range(n):
            out = _diff_transposed(out, axis)
        return out
    # For n = 0 NumPy returns a itself, without the edges.
    if n == 0:
        return lambda: like(w, a), lambda: np.zeros_like(prepend), lambda: np.zeros_like(append)
    return (lambda: like(whole()[_take(ndim, axis, slice(before, before + length))], a),
            lambda: like(whole()[_take(ndim, axis, slice(0, before))], prepend),
            lambda: like(whole()[_take(ndim, axis, slice(before + length, None))], append))


def _extent(edge, axis):
    """The length along an axis of what np.diff puts before or after: numbers count as one."""
    return 0 if edge is _NO else 1 if np.ndim(edge) == 0 else np.shape(edge)[axis]


@rule(np.ediff1d, "ary", "to_end", "to_begin", structure="reduction", linear="jointly")
def _ediff1d(w, result, ary, to_end=None, to_begin=None):
    before = 0 if to_begin is None else np.size(to_begin)
    middle = max(np.size(ary) - 1, 0)

    def operand():
        if np.size(ary) == 0:
            return np.zeros_like(ary)
        return like(np.reshape(_diff_transposed(w[before:before + middle], 0), np.shape(ary)), ary)
    return (operand, lambda: like(np.reshape(w[before + middle:], np.shape(to_end)), to_end),
            lambda: like(np.reshape(w[:before], np.shape(to_begin)), to_begin))


# Numerical gradients: along one axis a band of three coefficients per point, computed from the spacing.

def _band(x, length, edge_order, spacing):
    """Coefficients of np.gradient along an axis of at least three points: a list of three arrays of this length.

    Row i multiplies f[i-1], f[i], f[i+1], the first row f[0], f[1], f[2] and the last one f[-3], f[-2], f[-1].
    `spacing` says what x holds: "number", or "points".
    """
    h = x[1:] - x[:-1] if spacing == "points" else None
    if spacing == "number":
        first, last = x, x
        inside = [_row(-0.5 / x, length - 2), _row(0.0 / x, length - 2), _row(0.5 / x, length - 2)]
    else:
        first, last = h[0], h[-1]
        p, q = h[:-1], h[1:]
        inside = [-q / (p * (p + q)), (q - p) / (p * q), p / (q * (p + q))]
    if edge_order == 1:
        start, end = [-1 / first, 1 / first, 0 / first], [0 / last, -1 / last, 1 / last]
    else:
        p, q = (first, last) if spacing == "number" else (h[0], h[1])
        start = [-(2 * p + q) / (p * (p + q)), (p + q) / (p * q), -p / (q * (p + q))]
        p, q = (first, last) if spacing == "number" else (h[-2], h[-1])
        end = [q / (p * (p + q)), -(q + p) / (p * q), (2 * q + p) / (q * (p + q))]
    return [np.concatenate([np.reshape(s, 1), np.reshape(i, -1), np.reshape(e, 1)])
            for s, i, e in zip(start, inside, end, strict=True)]


def _row(value, length):
    return np.broadcast_to(value, (length,))


def _band_columns(length):
    """For each row of the band the first index of f that it multiplies."""
    start = np.arange(-1, length - 1)
    start[0], start[-1] = 0, length - 3
    return start


def _spacings(varargs, axes):
    """For each axis its spacing argument and its position in varargs: position None for the default 1."""
    if len(varargs) == 0:
        return [(1.0, None)] * len(axes)
    if len(varargs) == 1 and np.ndim(varargs[0]) == 0:
        return [(varargs[0], 0)] * len(axes)
    return [(np.asarray(x) if isinstance(x, (list, tuple)) else x, i) for i, x in enumerate(varargs)]


@rule(np.gradient, "f", "*varargs", structure="reduction", results="list")
def _gradient(w, result, f, *varargs, axis=None, edge_order=1):
    """With several axes w is a sequence, as the result is."""
    axes = normal_axes(axis, np.ndim(f))
    ws = [w] if len(axes) == 1 and np.ndim(w) == np.ndim(f) else w
    spacings = _spacings(varargs, axes)

    def operand():
        total = 0
        for one, k, (x, _) in zip(ws, axes, spacings, strict=True):
            total = total + np.moveaxis(_gradient_operand(np.moveaxis(one, k, -1), x, edge_order), -1, k)
        return like(total, f)

    def spacing():
        out = [0] * len(varargs)
        for one, k, (x, i) in zip(ws, axes, spacings, strict=True):
            if i is not None:
                part = _gradient_spacing(np.moveaxis(one, k, -1), np.moveaxis(f, k, -1), x, edge_order)
                out[i] = out[i] + like(part, x)
        return out
    return operand, spacing


def _two_points(x):
    """The distance of the only two points there are."""
    return x if np.ndim(x) == 0 else x[1] - x[0]


def _gradient_operand(w, x, edge_order):
    """The adjoint of f for its gradient along the last axis."""
    length = w.shape[-1]
    if length == 2:
        slope = (w[..., :1] + w[..., 1:]) / _two_points(x)
        return np.concatenate([-slope, slope], axis=-1)
    bands = _band(x, length, edge_order, "number" if np.ndim(x) == 0 else "points")
    total = 0
    for shift, band in enumerate(bands):
        part = w * band
        # The first row begins at f[0] and the last one at f[-3], not one before their own place.
        ends = [_placed(part[..., :1], shift, length), _placed(part[..., -1:], length - 3 + shift, length)]
        total = total + _placed(part[..., 1:-1], shift, length) + ends[0] + ends[1]
    return total


def _placed(part, start, length):
    """Zeros of this length along the last axis with `part` from index `start` on."""
    def zeros(n):
        return np.zeros((*part.shape[:-1], n), part.dtype)
    return np.concatenate([zeros(start), part, zeros(length - start - part.shape[-1])], axis=-1)


def _gradient_spacing(w, f, x, edge_order):
    """The adjoint of the spacing x along the last axis."""
    length = w.shape[-1]
    if np.ndim(x) == 0:
        slope = np.gradient(f, x, axis=-1, edge_order=edge_order)
        return -np.sum(w * slope) / x
    w, f = (np.reshape(v, (-1, length)) for v in (w, f))
    if length == 2:
        h = _two_points(x)
        part = np.reshape(-np.sum(w * (f[:, 1:] - f[:, :1])) / h / h, 1)
        return np.concatenate([-part, part])
    columns = _band_columns(length)
    moments = [np.sum(w * f[:, columns + shift], axis=0) for shift in range(3)]
    return _band_spacing(moments, x, edge_order)


def _quotients(p, q):
    """Partials of -q/(p(p+q)), (q-p)/(pq), p/(q(p+q)), the inner coefficients, by the distances p and q."""
    both = p + q
    return ([q * (p + both) / (p * both) ** 2, -1 / p ** 2, 1 / both ** 2],
            [-1 / both ** 2, 1 / q ** 2, -p * (q + both) / (q * both) ** 2])


def _band_spacing(moments, x, edge_order):
    """The adjoint of the points x for the adjoints of the three coefficients of every row."""
    h = x[1:] - x[:-1]
    length = len(x)
    by_p, by_q = _quotients(h[:-1], h[1:])
    inner_p = sum(m[1:-1] * d for m, d in zip(moments, by_p, strict=True))
    inner_q = sum(m[1:-1] * d for m, d in zip(moments, by_q, strict=True))
    total = _placed(inner_p, 0, length - 1) + _placed(inner_q, 1, length - 1)
    if edge_order == 1:
        start = np.reshape((moments[0][:1] - moments[1][:1]) / h[:1] ** 2, 1)
        end = np.reshape((moments[1][-1:] - moments[2][-1:]) / h[-1:] ** 2, 1)
        total = total + _placed(start, 0, length - 1) + _placed(end, length - 2, length - 1)
    else:
        p, q = h[:1], h[1:2]
        both = p + q
        # The first row is -(1/p + 1/both), 1/p + 1/q, 1/both - 1/q; the last one is that from the other side
        # with the opposite sign.
        first, second, third = (m[:1] for m in moments)
        by_p = first * (1 / p ** 2 + 1 / both ** 2) - second / p ** 2 - third / both ** 2
        by_q = first / both ** 2 - second / q ** 2 + third * (1 / q ** 2 - 1 / both ** 2)
        total = total + _placed(by_p, 0, length - 1) + _placed(by_q, 1, length - 1)
        p, q = h[-1:], h[-2:-1]
        both = p + q
        third, second, first = (m[-1:] for m in moments)
        by_p = -first * (1 / p ** 2 + 1 / both ** 2) + second / p ** 2 + third / both ** 2
        by_q = -first / both ** 2 + second / q ** 2 - third * (1 / q ** 2 - 1 / both ** 2)
        total = total + _placed(by_p, length - 2, length - 1) + _placed(by_q, length - 3, length - 1)
    return _diff_transposed(total, 0)


# Convolutions: each operand's adjoint is the correlation of w with the other.

_MODES = ("valid", "same", "full")


def _mode_name(mode):
    """NumPy takes a mode by any word with the right first letter, and by number."""
    return _MODES[mode] if isinstance(mode, int) else next(m for m in _MODES if m[0] == mode[0].lower())


def _whole(w, n, m, mode):
    """The adjoint of the full convolution of n and m elements for that of its part by mode."""
    mode = _mode_name(mode)
    if mode == "full":
        return w
    before = min(n, m) - 1 if mode == "valid" else (min(n, m) - 1) // 2
    return _placed(w, before, n + m - 1)


def _vector(x):
    """A convolution's operand, which may be a number."""
    return np.reshape(x, -1) if np.ndim(x) == 0 else x


@rule(np.convolve, "a", "v", structure="dense", linear="each")
def _convolve(w, result, a, v, mode="full"):
    n, m = np.size(a), np.size(v)
    w = _whole(w, n, m, mode)
    return (lambda: like(np.reshape(np.correlate(w, _vector(v), "valid")[:n], np.shape(a)), a),
            lambda: like(np.reshape(np.correlate(w, _vector(a), "valid")[:m], np.shape(v)), v))


@rule(np.correlate, "a", "v", structure="dense", linear="each")
def _correlate(w, result, a, v, mode="valid"):
    n, m = np.size(a), np.size(v)
    # The correlation is the convolution with v turned round. Where v is the longer one NumPy swaps the operands
    # and turns the result round, so that the middle part of an even length begins one further on.
    if n < m:
        w = _whole(w[::-1], n, m, mode)[::-1]
    else:
        w = _whole(w, n, m, mode)
    return (lambda: like(np.reshape(np.convolve(w, _vector(v), "valid"), np.shape(a)), a),
            lambda: like(np.reshape(np.correlate(w, _vector(a), "valid")[::-1], np.shape(v)), v))


# The trapezoidal rule.

@rule(np.trapezoid, "y", "x", "dx", structure="reduction")
def _trapezoid(w, result, y, x=None, dx=1.0, axis=-1):
    points = 0 if x is None else np.ndim(x)
    full = list(np.broadcast_shapes(np.shape(y), np.shape(x))) if points > 1 else list(np.shape(y))
    ndim = len(full)
    axis = axis if axis < 0 else axis - np.ndim(y)
    full[axis] = max(np.shape(y)[axis] - 1, 0)
    step = dx if x is None else np.diff(x, axis=0 if points == 1 else axis)
    if points == 1:
        step = np.reshape(step, (-1, *(1,) * (-1 - axis)))
    w = np.expand_dims(w, axis)

    def of_y():
        return like(_sum_of_neighbours(np.broadcast_to(w * step * 0.5, full), axis % ndim), y)

    def of_step():
        low, high = (_take(np.ndim(y), axis, part) for part in (slice(None, -1), slice(1, None)))
        return np.broadcast_to(w * (y[low] + y[high]) * 0.5, full)

    def of_x():
        if points == 1:
            others = tuple(i for i in range(ndim) if i != axis % ndim)
            return like(_diff_transposed(np.sum(of_step(), axis=others), 0), x)
        return like(_diff_transposed(of_step(), axis % ndim), x)
    return of_y, of_x, lambda: like(of_step(), dx) if x is None else np.zeros_like(dx)


def _sum_of_neighbours(w, axis):
    """The adjoint of x for x[:-1] + x[1:] along axis."""
    edge = np.zeros(tuple(1 if i == axis else n for i, n in enumerate(w.shape)), w.dtype)
    return np.concatenate([edge, w], axis=axis) + np.concatenate([w, edge], axis=axis)


# The functions that accumulate as a ufunc's `accumulate` does; axis is 0 there where it is not given.
ACCUMULATE = {np.add: np.cumsum, np.multiply: np.cumprod}
