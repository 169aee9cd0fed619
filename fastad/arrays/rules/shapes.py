"""Rules of functions that arrange the elements of one array: axes, order, shape, copies, padding."""

import numpy as np

from . import padding
from .helpers import (
    like,
    normal_axes,
    scatter_add,
    selection_or_constant_vjp,
    selection_vjp,
    slice_along,
    unbroadcast,
)
from .registry import rule


def index_map(function, *operands, linear="jointly", **options):
    """Declares a function that only selects elements of its operands."""
    return rule(function, *operands, structure="index map", linear=linear, **options)


# Shape and order of axes.

@index_map(np.reshape, "a")
def _reshape(w, result, a, /, shape, order="C", *, copy=None):
    if order == "A":
        order = "F" if a.flags.fnc else "C"
    return np.reshape(w, a.shape, order=order)


@index_map(np.ravel, "a")
def _ravel(w, result, a, order="C"):
    if order == "K":
        # Memory order is C order of the axes sorted by the size of their strides.
        axes = sorted(range(a.ndim), key=lambda i: -abs(a.strides[i]))
        return np.transpose(np.reshape(w, tuple(a.shape[i] for i in axes)), tuple(np.argsort(axes)))
    return _reshape(w, result, a, -1, order)


@index_map(np.transpose, "a")
def _transpose(w, result, a, axes=None):
    return np.transpose(w, None if axes is None else np.argsort(normal_axes(tuple(axes), w.ndim)))


@index_map(np.matrix_transpose, "x")
@index_map(np.linalg.matrix_transpose, "x")
def _matrix_transpose(w, result, x, /):
    return np.swapaxes(w, -1, -2)


@index_map(np.swapaxes, "a")
def _swapaxes(w, result, a, axis1, axis2):
    return np.swapaxes(w, axis1, axis2)


@index_map(np.moveaxis, "a")
def _moveaxis(w, result, a, source, destination):
    return np.moveaxis(w, destination, source)


@index_map(np.rollaxis, "a")
def _rollaxis(w, result, a, axis, start=0):
    axis, start = axis % a.ndim, start + a.ndim if start < 0 else start
    return np.moveaxis(w, start - 1 if axis < start else start, axis)


@index_map(np.expand_dims, "a")
def _expand_dims(w, result, a, axis):
    return np.reshape(w, a.shape)


@index_map(np.squeeze, "a")
def _squeeze(w, result, a, axis=None):
    return np.reshape(w, a.shape)


def _atleast(w, result, *arys):
    return [None if v is None else np.reshape(v, np.shape(x))
            for v, x in zip([w] if len(arys) == 1 else w, arys, strict=True)]


for _function in (np.atleast_1d, np.atleast_2d, np.atleast_3d):
    index_map(_function, "*arys", results="list")(_atleast)


@index_map(np.broadcast_to, "array")
def _broadcast_to(w, result, array, shape, subok=False):
    return unbroadcast(w, array.shape)


@index_map(np.broadcast_arrays, "*args", results="list")
def _broadcast_arrays(w, result, *args, subok=False):
    return [None if v is None else unbroadcast(v, np.shape(x)) for v, x in zip(w, args, strict=True)]


# Order along axes.

@index_map(np.flip, "m")
def _flip(w, result, m, axis=None):
    return np.flip(w, axis)


@index_map(np.fliplr, "m")
def _fliplr(w, result, m):
    return np.flip(w, 1)


@index_map(np.flipud, "m")
def _flipud(w, result, m):
    return np.flip(w, 0)


@index_map(np.roll, "a")
def _roll(w, result, a, shift, axis=None):
    return np.roll(w, np.negative(shift), axis)


@index_map(np.rot90, "m")
def _rot90(w, result, m, k=1, axes=(0, 1)):
    return np.rot90(w, -k, axes)


@index_map(np.fft.fftshift, "x")
def _fftshift(w, result, x, axes=None):
    return np.fft.ifftshift(w, axes)


@index_map(np.fft.ifftshift, "x")
def _ifftshift(w, result, x, axes=None):
    return np.fft.fftshift(w, axes)


# Elements several times, or not at all.

@index_map(np.tile, "A")
def _tile(w, result, A, reps):
    reps = tuple(reps) if np.ndim(reps) else (reps,)
    ndim = max(len(reps), A.ndim)
    reps, shape = (1,) * (ndim - len(reps)) + reps, (1,) * (ndim - A.ndim) + A.shape
    pairs = tuple(n for pair in zip(reps, shape, strict=True) for n in pair)
    return np.reshape(np.sum(np.reshape(w, pairs), axis=tuple(range(0, 2 * ndim, 2))), A.shape)


@index_map(np.repeat, "a")
def _repeat(w, result, a, repeats, axis=None):
    if np.size(repeats) != 1:
        return selection_vjp(w, a.shape, lambda indices: np.repeat(indices, repeats, axis))
    shape, axis = ((a.size,), 0) if axis is None else (a.shape, axis % a.ndim)
    count = int(np.reshape(repeats, ()))
    return np.reshape(np.sum(np.reshape(w, (*shape[:axis + 1], count, *shape[axis + 1:])), axis=axis + 1), a.shape)


@index_map(np.resize, "a")
def _resize(w, result, a, new_shape):
    return selection_vjp(w, a.shape, lambda indices: np.resize(indices, new_shape))


@index_map(np.delete, "arr")
def _delete(w, result, arr, obj, axis=None):
    return selection_vjp(w, arr.shape, lambda indices: np.delete(indices, obj, axis))


@index_map(np.insert, "arr", "values")
def _insert(w, result, arr, obj, values, axis=None):
    def of_array():
        new = np.full(np.shape(values), -1)
        kept = selection_or_constant_vjp(w, np.shape(arr), lambda indices: np.insert(indices, obj, new, axis))
        return like(kept, arr)

    def of_values():
        old = np.full(np.shape(arr), -1)
        inserted = selection_or_constant_vjp(w, np.shape(values), lambda indices: np.insert(old, obj, indices, axis))
        return like(inserted, values)
    return of_array, of_values


@index_map(np.append, "arr", "values")
def _append(w, result, arr, values, axis=None):
    length = np.size(arr) if axis is None else np.shape(arr)[axis]
    axis = axis or 0

    def of_array():
        return like(np.reshape(slice_along(w, axis, None, length), np.shape(arr)), arr)

    def of_values():
        return like(np.reshape(slice_along(w, axis, length, None), np.shape(values)), values)
    return of_array, of_values


@index_map(np.trim_zeros, "filt", linear="")
def _trim_zeros(w, result, filt, trim="fb", axis=None):
    # The result is a box inside the operand; its corner is computed with arithmetic only, as it may be tracked.
    if result.size == 0:
        return np.zeros(filt.shape, filt.dtype)
    axes, corner = normal_axes(axis, filt.ndim), 0
    if "f" in trim.lower():
        for i in axes:
            others = tuple(j for j in range(filt.ndim) if j != i)
            corner = corner + np.argmax(np.any(filt != 0, axis=others)) * int(np.prod(filt.shape[i + 1:]))
    box = np.arange(filt.size).reshape(filt.shape)[tuple(map(slice, result.shape))]
    return scatter_add(w, box + corner, filt.shape)


@index_map(np.lib.stride_tricks.sliding_window_view, "x")
def _sliding_window_view(w, result, x, window_shape, axis=None, *, subok=False, writeable=False):
    view = np.lib.stride_tricks.sliding_window_view
    return selection_vjp(w, x.shape, lambda indices: view(indices, window_shape, axis))


@rule(np.pad, "array", structure="call")
def _pad(w, result, array, pad_width, mode="constant", **kwargs):
    return padding.adjoint(w, result, array.shape, pad_width, mode, **kwargs)


# Diagonals and triangles.

@index_map(np.diagonal, "a")
def _diagonal(w, result, a, offset=0, axis1=0, axis2=1):
    return selection_vjp(w, a.shape, lambda indices: np.diagonal(indices, offset, axis1, axis2))


@index_map(np.linalg.diagonal, "x")
def _linalg_diagonal(w, result, x, /, *, offset=0):
    return _diagonal(w, result, x, offset, -2, -1)


@index_map(np.diag, "v")
def _diag(w, result, v, k=0):
    return np.diagonal(w, k) if v.ndim == 1 else _diagonal(w, result, v, k)


@index_map(np.diagflat, "v")
def _diagflat(w, result, v, k=0):
    return np.reshape(np.diagonal(w, k), v.shape)


@index_map(np.tril, "m")
def _tril(w, result, m, k=0):
    return unbroadcast(np.tril(w, k), m.shape)


@index_map(np.triu, "m")
def _triu(w, result, m, k=0):
    return unbroadcast(np.triu(w, k), m.shape)


# Copies and conversions.

@index_map(np.copy, "a")
def _copy(w, result, a, order="K", subok=False):
    return w


def _astype(w, result, x, dtype, /, *, copy=True, device=None):
    return like(w, x)


if hasattr(np, "astype"):      # NumPy 2.1
    index_map(np.astype, "x")(_astype)


@index_map(np.real, "val")
def _real(w, result, val):
    return like(w, val)


@index_map(np.imag, "val")
def _imag(w, result, val):
    # For a function of z = x + iy the gradient is df/dx - i df/dy.
    return -1j * w if val.dtype.kind == "c" else np.zeros_like(w)


@index_map(np.real_if_close, "a", linear="")
def _real_if_close(w, result, a, tol=100):
    return like(w, a)


@rule(np.nan_to_num, "x", structure="elementwise")
def _nan_to_num(w, result, x, copy=True, nan=0.0, posinf=None, neginf=None):
    return np.where(np.isfinite(x), w, 0)
