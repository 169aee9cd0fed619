"""Derivative rules of products of vectors, matrices and tensors."""

import numpy as np

from .einsum import einsum_adjoint, labels_of
from .helpers import like, normal_axes, unbroadcast
from .registry import rule

_NO = np._NoValue


# dot and its relatives: the adjoint of an operand is w contracted with the other over that one's free axes.

def _times(w, a, b):
    """Both adjoints of a product of which an operand is a number."""
    return lambda: like(w * b, a), lambda: like(w * a, b)


@rule(np.dot, "a", "b", structure="dense", linear="each")
def _dot(w, result, a, b, out=None):
    na, nb = np.ndim(a), np.ndim(b)
    if na == 0 or nb == 0 or na == nb == 1:
        return _times(w, a, b)
    if na <= 2 and nb <= 2:
        return _matmul(w, result, a, b)
    free = tuple(range(na - 1))
    if nb == 1:
        return lambda: like(np.expand_dims(w, -1) * b, a), lambda: like(np.tensordot(a, w, (free, free)), b)
    rest = (*range(nb - 2), nb - 1)
    return (lambda: like(np.tensordot(w, b, (tuple(range(na - 1, w.ndim)), rest)), a),
            lambda: like(np.moveaxis(np.tensordot(a, w, (free, free)), 0, -2), b))


@rule(np.inner, "a", "b", structure="dense", linear="each")
def _inner(w, result, a, b, /):
    na, nb = np.ndim(a), np.ndim(b)
    if na == 0 or nb == 0 or na == nb == 1:
        return _times(w, a, b)
    free = tuple(range(na - 1))
    return (lambda: like(np.tensordot(w, b, (tuple(range(na - 1, w.ndim)), tuple(range(nb - 1)))), a),
            lambda: like(np.tensordot(w, a, (free, free)), b))


@rule(np.vdot, "a", "b", structure="dense", linear="each")
def _vdot(w, result, a, b, /):
    return lambda: like(w * np.reshape(b, np.shape(a)), a), lambda: like(w * np.reshape(a, np.shape(b)), b)


@rule(np.outer, "a", "b", structure="dense", linear="each")
def _outer(w, result, a, b, out=None):
    return (lambda: like(np.reshape(np.dot(w, np.reshape(b, -1)), np.shape(a)), a),
            lambda: like(np.reshape(np.dot(np.reshape(a, -1), w), np.shape(b)), b))


@rule(np.linalg.outer, "x1", "x2", structure="dense", linear="each")
def _linalg_outer(w, result, x1, x2, /):
    return _outer(w, result, x1, x2)


# matmul and the other gufuncs: on operands whose core axes have been brought to the end.

def _core(x, entry):
    """x with its core axes, listed in an entry of `axes`, at the end; x itself for None."""
    return x if entry is None else np.moveaxis(x, entry, tuple(range(-len(entry), 0)))


def _back(adjoint, x, entry):
    """The adjoint of x for that of _core(x, entry), which may have been broadcast."""
    if entry is None:
        return like(adjoint, x)
    shape = np.shape(_core(np.broadcast_to(np.intp(0), np.shape(x)), entry))
    return like(np.moveaxis(unbroadcast(adjoint, shape), tuple(range(-len(entry), 0)), entry), x)


def _entries(axes, axis, keepdims):
    """For the two operands and the result of a gufunc its core axes; None for the last ones."""
    if axes is not _NO:
        entries = [entry if isinstance(entry, tuple) else (entry,) for entry in axes]
        return entries if len(entries) == 3 else [*entries, entries[0] if keepdims else ()]
    if axis is not _NO:
        return [(axis,), (axis,), (axis,) if keepdims else ()]
    return None, None, None


def _gufunc(adjoints):
    """The rule of a gufunc of two operands, by a function that gives both adjoints for core axes at the end."""
    def vjp(w, result, x1, x2, /, out=None, *, axes=_NO, axis=_NO, keepdims=False, casting="same_kind",
            order="K", dtype=None, subok=True, signature=None):
        if axes is _NO and axis is _NO and not keepdims:
            one, two = adjoints(w, x1, x2)
            return lambda: like(one(), x1), lambda: like(two(), x2)
        first, second, last = _entries(axes, axis, keepdims)
        if keepdims:
            w = np.squeeze(w, last or -1)
        elif last:
            w = _core(w, last)
        one, two = adjoints(w, _core(x1, first), _core(x2, second))
        return lambda: _back(one(), x1, first), lambda: _back(two(), x2, second)
    return vjp


def _turned(x):
    """The transpose of matrices in the last two axes."""
    return x.swapaxes(-1, -2) if type(x) is np.ndarray else np.swapaxes(x, -1, -2)


def _column(w):
    """Vectors in the last axis as matrices of one column."""
    return w[..., np.newaxis] if type(w) is np.ndarray else np.expand_dims(w, -1)       # the same, in less time


def _matmul_adjoints(w, a, b):
    if np.ndim(a) == 1 and np.ndim(b) == 1:
        return lambda: w * b, lambda: w * a
    if np.ndim(a) == 1:
        return lambda: np.matmul(b, _column(w))[..., 0], lambda: np.expand_dims(a, 1) * np.expand_dims(w, -2)
    if np.ndim(b) == 1:
        return lambda: _column(w) * b, lambda: np.matmul(_turned(a), _column(w))[..., 0]
    return lambda: np.matmul(w, _turned(b)), lambda: np.matmul(_turned(a), w)


def _vecdot_adjoints(w, a, b):
    w = np.expand_dims(w, -1)
    return lambda: w * b, lambda: w * a


def _matvec_adjoints(w, a, b):
    return (lambda: np.expand_dims(w, -1) * np.expand_dims(b, -2),
            lambda: np.matmul(_turned(a), np.expand_dims(w, -1))[..., 0])


def _vecmat_adjoints(w, a, b):
    return (lambda: np.matmul(b, np.expand_dims(w, -1))[..., 0],
            lambda: np.expand_dims(a, -1) * np.expand_dims(w, -2))


_matmul = rule(np.matmul, "x1", "x2", structure="dense", linear="each")(_gufunc(_matmul_adjoints))
rule(np.vecdot, "x1", "x2", structure="dense", linear="each")(_gufunc(_vecdot_adjoints))
if hasattr(np, "matvec"):       # since NumPy 2.2
    rule(np.matvec, "x1", "x2", structure="dense", linear="each")(_gufunc(_matvec_adjoints))
    rule(np.vecmat, "x1", "x2", structure="dense", linear="each")(_gufunc(_vecmat_adjoints))


@rule(np.linalg.matmul, "x1", "x2", structure="dense", linear="each")
def _linalg_matmul(w, result, x1, x2, /):
    return _matmul(w, result, x1, x2)


@rule(np.linalg.vecdot, "x1", "x2", structure="dense", linear="each")
def _linalg_vecdot(w, result, x1, x2, /, *, axis=-1):
    return _gufunc(_vecdot_adjoints)(w, result, x1, x2, axis=axis)


# Tensor products.

@rule(np.tensordot, "a", "b", structure="dense", linear="each")
def _tensordot(w, result, a, b, axes=2):
    na, nb = np.ndim(a), np.ndim(b)
    if isinstance(axes, (int, np.integer)):
        axes_a, axes_b = tuple(range(na - axes, na)), tuple(range(axes))
    else:
        axes_a, axes_b = (normal_axes(np.ravel(part).tolist(), n) for part, n in ((axes[0], na), (axes[1], nb)))
    free_a = tuple(i for i in range(na) if i not in axes_a)
    free_b = tuple(i for i in range(nb) if i not in axes_b)

    def of_a():
        # The axes come out as those of b that were summed, in b's order.
        order = [axes_a[axes_b.index(i)] for i in sorted(axes_b)]
        part = np.tensordot(w, b, (tuple(range(len(free_a), w.ndim)), free_b))
        return like(np.transpose(part, np.argsort([*free_a, *order])), a)

    def of_b():
        order = [axes_b[axes_a.index(i)] for i in sorted(axes_a)]
        part = np.tensordot(a, w, (free_a, tuple(range(len(free_a)))))
        return like(np.transpose(part, np.argsort([*order, *free_b])), b)
    return of_a, of_b


@rule(np.linalg.tensordot, "x1", "x2", structure="dense", linear="each")
def _linalg_tensordot(w, result, x1, x2, /, *, axes=2):
    return _tensordot(w, result, x1, x2, axes)


@rule(np.kron, "a", "b", structure="dense", linear="each")
def _kron(w, result, a, b):
    ndim = max(np.ndim(a), np.ndim(b))
    shape_a, shape_b = ((1,) * (ndim - np.ndim(x)) + np.shape(x) for x in (a, b))
    blocks = np.reshape(w, tuple(n for pair in zip(shape_a, shape_b, strict=True) for n in pair))
    even, odd, every = tuple(range(0, 2 * ndim, 2)), tuple(range(1, 2 * ndim, 2)), tuple(range(ndim))

    def adjoint(other, shape, axes, x):
        part = np.tensordot(blocks, np.reshape(other, shape), (axes, every))
        return like(np.reshape(part, np.shape(x)), x)
    return lambda: adjoint(b, shape_b, odd, a), lambda: adjoint(a, shape_a, even, b)


@rule(np.einsum, "*operands", structure="dense", linear="each")
def _einsum(w, result, *operands, out=None, optimize=False, **kwargs):
    """A list in the nesting of `operands`, with None in the places of subscripts."""
    arrays, labels, output = labels_of(operands)
    adjoints = iter([like(einsum_adjoint(w, i, arrays, labels, output, optimize), x)
                     for i, x in enumerate(arrays)])
    if isinstance(operands[0], str):
        return [None, *adjoints]
    return [[None] * len(entry) if place % 2 or place == 2 * len(arrays) else next(adjoints)
            for place, entry in enumerate(operands)]


# The vector product.

def _pad(x, length, at):
    """Vectors in the last axis, lengthened to three components with zeros: x begins at component `at`."""
    if length == 3:
        return x
    zero = np.zeros_like(x[..., :1])
    return np.concatenate([zero] * at + [x] + [zero] * (3 - length - at), axis=-1)


@rule(np.cross, "a", "b", structure="dense", linear="each")
def _cross(w, result, a, b, axisa=-1, axisb=-1, axisc=-1, axis=None):
    if axis is not None:
        axisa = axisb = axisc = axis
    first, second = np.moveaxis(a, axisa, -1), np.moveaxis(b, axisb, -1)
    sizes = first.shape[-1], second.shape[-1]
    w = _pad(np.expand_dims(w, -1), 1, 2) if sizes == (2, 2) else np.moveaxis(w, axisc, -1)

    def adjoint(product, moved, axis, x):
        return like(np.moveaxis(unbroadcast(product[..., :moved.shape[-1]], moved.shape), -1, axis), x)
    return (lambda: adjoint(np.cross(_pad(second, sizes[1], 0), w), first, axisa, a),
            lambda: adjoint(np.cross(w, _pad(first, sizes[0], 0)), second, axisb, b))


@rule(np.linalg.cross, "x1", "x2", structure="dense", linear="each")
def _linalg_cross(w, result, x1, x2, /, *, axis=-1):
    return _cross(w, result, x1, x2, axis=axis)


# Chains and powers of matrices.

@rule(np.linalg.multi_dot, "*arrays", structure="dense", linear="each")
def _multi_dot(w, result, arrays, *, out=None):
    last = len(arrays) - 1
    vector_shapes = {0: (1, -1), last: (-1, 1)}
    matrices = [np.reshape(x, vector_shapes[i]) if np.ndim(x) == 1 else x for i, x in enumerate(arrays)]
    w = np.reshape(w, (np.shape(matrices[0])[0], np.shape(matrices[-1])[1]))
    turned = [np.transpose(x) for x in matrices]
    return [like(np.reshape(np.linalg.multi_dot([*turned[:i][::-1], w, *turned[:i:-1]]), np.shape(x)), x)
            for i, x in enumerate(arrays)]


@rule(np.linalg.matrix_power, "a", structure="dense")
def _matrix_power(w, result, a, n):
    if n == 0:
        return np.zeros_like(a)
    turned = _turned(a)
    if n < 0:
        turned = np.linalg.inv(turned)
    adjoint = _power_adjoint(w, turned, abs(n))
    return like(adjoint if n > 0 else -np.matmul(np.matmul(turned, adjoint), turned), a)


def _power_adjoint(w, turned, n):
    """The sum of turned^k w turned^(n-1-k): the upper right block of [[turned, w], [0, turned]]^n."""
    if n == 1:
        return w
    size = turned.shape[-1]
    top = np.concatenate([turned, w], axis=-1)
    bottom = np.concatenate([np.zeros_like(turned), turned], axis=-1)
    return np.linalg.matrix_power(np.concatenate([top, bottom], axis=-2), n)[..., :size, size:]
