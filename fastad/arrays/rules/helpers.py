"""What the derivative rules of NumPy's functions share: reversing broadcasts, reductions and selections of elements."""

import math
from operator import index

import numpy as np

from .registry import rule


def unbroadcast(w, shape):
    """w summed over the axes along which an operand of this shape was broadcast: an adjoint of that shape.

    What is written into a part of an array may have more dimensions than the part, all of length 1.
    """
    if w.shape == shape:
        return w
    if w.ndim < len(shape):
        w = np.reshape(w, (1,) * (len(shape) - w.ndim) + w.shape)
    extra = w.ndim - len(shape)
    axes = [*range(extra), *(extra + i for i, n in enumerate(shape) if n == 1 and w.shape[extra + i] != 1)]
    if type(w) is not np.ndarray:
        return np.reshape(np.sum(w, axis=tuple(axes), keepdims=True), shape)
    if len(axes) == 1 and goes_by_few(w, axes[0]):
        return sum_by_product(w, axes[0]).reshape(shape)
    return np.add.reduce(w, axis=tuple(axes), keepdims=True).reshape(shape)


# Elements side by side, at most, that NumPy's sum takes so long for that a product with ones is several times faster; it adds up
# fewer than so many along a last axis one after the other too, and any number along others.
FEW_BESIDE, FEW_ALONG = 64, 128
MANY = 4096


def goes_by_few(w, axis):
    """Whether NumPy's sum of an array along an axis goes over few elements at a time."""
    beside = math.prod(w.shape[axis + 1:])
    return axis > 0 and w.size >= MANY and w.dtype.char in "fd" and w.flags.c_contiguous \
        and beside <= FEW_BESIDE and (beside > 1 or w.shape[axis] <= FEW_ALONG)


def sum_by_product(w, axis):
    """The sum of an array along an axis, side by side in memory, by a product of matrices."""
    along, beside = w.shape[axis], math.prod(w.shape[axis + 1:])
    ones = np.ones(along, w.dtype)
    return w.reshape(-1, along) @ ones if beside == 1 else ones @ w.reshape(-1, along, beside)


def like(w, x):
    """The adjoint w in the shape and floating-point type of the operand x, which was broadcast or converted (or neither)."""
    w = unbroadcast(w, np.shape(x))
    dtype = getattr(x, "dtype", None)
    if dtype is None or dtype == w.dtype or dtype.kind not in "fc":
        return w
    return w.astype(dtype) if hasattr(w, "astype") else np.stack([w]).astype(dtype)[0]


def normal_axes(axis, ndim):
    """The axes as a tuple of numbers from 0 to ndim - 1; all of them for None."""
    if axis is None:
        return tuple(range(ndim))
    return tuple(index(i) % ndim if ndim else 0 for i in (axis if isinstance(axis, (tuple, list)) else (axis,)))


def expand_reduced(w, axis, keepdims, ndim):
    """w with the axes of length 1 that a reduction of an array of ndim dimensions dropped; w itself where it kept them.

    keepdims may be np._NoValue, which is False.
    """
    if keepdims is True or (keepdims is not np._NoValue and keepdims):
        return w
    reduced = normal_axes(axis, ndim)
    kept = iter(w.shape)
    shape = tuple([1 if i in reduced else next(kept) for i in range(ndim)])
    return w.reshape(shape) if type(w) is np.ndarray else np.reshape(w, shape)


def passes_on(operand):
    """Whether functions called with an operand are its own affair: it is active."""
    protocol = getattr(type(operand), "__array_function__", None)
    return protocol is not None and protocol is not np.ndarray.__array_function__


def scatter_add(w, indices, shape):
    """Zeros of this shape (a tuple) with every element of w added at its index into the flat result; w.shape == indices.shape.

    The transpose of reading elements; an index may occur any number of times. Called with active arrays it goes through
    __array_function__, as NumPy's own functions do.
    """
    for operand in (w, indices):
        if passes_on(operand):
            return type(operand).__array_function__(operand, scatter_add, (type(operand),), (w, indices, shape), {})
    out = np.zeros(math.prod(shape), getattr(w, "dtype", float))
    np.add.at(out, np.reshape(indices, -1), np.reshape(w, -1))
    return out.reshape(shape)


@rule(scatter_add, "w", structure="call", linear="jointly")
def _scatter_add(v, result, w, indices, shape):
    return np.reshape(v, -1)[indices]


def flat_indices(shape):
    """An integer array of this shape that holds the flat index of each of its elements."""
    return np.arange(math.prod(shape)).reshape(shape)


def selection_vjp(w, shape, select):
    """The adjoint of an operand of this shape of which `select` takes elements, each any number of times.

    w is the adjoint of what `select` gives; it is called with an integer array in place of the operand.
    """
    if 0 in shape:
        return np.zeros(shape, w.dtype)
    return scatter_add(w, select(flat_indices(shape)), shape)


def selection_or_constant_vjp(w, shape, select):
    """As selection_vjp, where other elements of the result are constants: `select` puts -1 there."""
    indices = select(flat_indices(shape))
    operand = indices >= 0
    return scatter_add(w[operand], indices[operand], shape)


def slice_along(w, axis, start, stop, step=None):
    """w[start:stop:step] along one axis."""
    return w[(slice(None),) * (axis % w.ndim) + (slice(start, stop, step),)]
