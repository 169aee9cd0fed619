"""The adjoint of np.pad in each of its modes."""

from functools import partial

import numpy as np

from ...errors import TraceError
from .helpers import flat_indices, scatter_add, selection_vjp
from .registry import RULES

STATISTICS = {"maximum": np.max, "minimum": np.min, "mean": np.mean, "median": np.median}


def adjoint(w, result, shape, pad_width, mode, **options):
    """The adjoint of an array of this shape that was padded, for the adjoint w of the padded one."""
    pairs = _pairs(pad_width, len(shape))
    if mode in ("constant", "empty"):
        return w[tuple(slice(before, before + n) for (before, _), n in zip(pairs, shape, strict=True))]
    even = options.get("reflect_type", "even") == "even"
    if mode in ("edge", "wrap") or mode in ("reflect", "symmetric") and even:
        return selection_vjp(w, shape, partial(np.pad, pad_width=pad_width, mode=mode))
    if mode in STATISTICS:
        unpad = partial(_unpad_statistic, np.broadcast_to(options.get("stat_length"), (len(shape), 2)), mode)
    elif mode in ("reflect", "symmetric", "linear_ramp"):
        unpad = partial(_unpad_linear, mode)
    else:
        raise TraceError(f"np.pad with mode {mode!r} has no derivative rule; join the parts with np.concatenate")
    # NumPy pads one axis after the other; their adjoints follow in the opposite order.
    for axis in reversed(range(len(shape))):
        before, after = pairs[axis]
        if before or after:
            cut = (slice(None),) * (axis + 1) + tuple(
                slice(b, b + n) for (b, _), n in zip(pairs[axis + 1:], shape[axis + 1:], strict=True))
            padded = np.moveaxis(result[cut], axis, 0)
            w = np.moveaxis(unpad(np.moveaxis(w, axis, 0), padded, before, shape[axis], axis), 0, axis)
    return w


def _pairs(pad_width, ndim):
    """The (before, after) widths of each axis."""
    if isinstance(pad_width, dict):
        widths = {axis % ndim: np.broadcast_to(width, (2,)).tolist() for axis, width in pad_width.items()}
        return [tuple(widths.get(axis, (0, 0))) for axis in range(ndim)]
    return [tuple(pair) for pair in np.broadcast_to(pad_width, (ndim, 2)).tolist()]


def _unpad_statistic(lengths, mode, w, padded, before, n, axis):
    """The adjoint along the first axis, of which n elements from `before` on are padded with a statistic of theirs."""
    total = w[before:before + n]
    function = STATISTICS[mode]
    for side, edge in enumerate((slice(0, before), slice(before + n, None))):
        length = lengths[axis][side]
        if w[edge].shape[0] == 0:
            continue
        length = n if length is None else min(int(length), n)
        start = before if side == 0 else before + n - length
        value, chunk = padded[edge][:1], padded[start:start + length]
        part = RULES[function].vjp(np.sum(w[edge], axis=0, keepdims=True), value, chunk, axis=0, keepdims=True)
        if isinstance(part, tuple):      # of the array and of `initial`
            part = part[0]()
        around = (0, n - length) if side == 0 else (n - length, 0)
        total = total + np.pad(part, (around,) + ((0, 0),) * (w.ndim - 1))
    return total


def _unpad_linear(mode, w, padded, before, n, axis):
    """As _unpad_statistic, for padding with c times the first element, d times the last and s times another one."""
    widths = before, w.shape[0] - before - n
    options = {"end_values": 0} if mode == "linear_ramp" else {"reflect_type": "odd"}
    first, last = np.zeros(n), np.zeros(n)
    first[0] = last[-1] = 1.0
    # NumPy's own padding of unit vectors gives c and d; what else there is in an element is selected as if padded evenly.
    c, d = np.pad(first, widths, mode, **options), np.pad(last, widths, mode, **options)
    source = np.pad(np.arange(n), widths, "edge" if mode == "linear_ramp" else mode)
    inside = (source != 0) & (source != n - 1)
    weight = np.where(inside, 1.0 - c - d, c if n == 1 else c * (source == 0) + d * (source == n - 1))
    c, d = (np.where(source == 0, 0.0, c), np.where(source == n - 1, 0.0, d)) if n > 1 else (0.0 * c, 0.0 * d)
    across = (-1,) + (1,) * (w.ndim - 1)
    weights = [np.reshape(v, across).astype(w.dtype) for v in (weight, c, d)]
    rows = flat_indices((n, *w.shape[1:]))
    total = scatter_add(w * weights[0], rows[source], rows.shape)
    if n == 1:
        return total
    ends = [np.sum(w * v, axis=0, keepdims=True) for v in weights[1:]]
    rest = np.zeros((n - 2, *w.shape[1:]), w.dtype)
    return total + np.concatenate([ends[0], rest, ends[1]])
