"""Shapes of the results of calls: for each function of arrays (path, **arguments by name) -> shape.

FormatError for arguments that a recording does not give it.
"""

import math

import numpy as np

from ..arrays import active
from .container import need


def shape_of(x):
    """The shape of an operand; () of a number."""
    return x.layout[0] if type(x) is active.Operand and x.layout is not None else ()


def check_broadcast(shapes, result, what, exactly=True):
    """Checks that shapes are broadcast to that of the result; to no other one, or at least to that."""
    try:
        found = np.broadcast_shapes(*shapes) if exactly else np.broadcast_shapes(*shapes, result)
    except ValueError:
        found = None
    need(found == result, f"{what} has operands of shapes that do not fit")


def _array(x):
    """The shape of an argument that is an array or an active scalar."""
    need(type(x) is active.Operand, "an argument is no array")
    return shape_of(x)


def _parts(arrays):
    need(isinstance(arrays, (list, tuple)) and arrays and all(isinstance(x, (active.Operand, float, int)) for x in arrays),
         "an argument is no sequence of arrays")
    return [shape_of(x) for x in arrays]


def _plain(**given):
    """Checks that arguments have the values they have when they are not given."""
    for name, (value, usual) in given.items():
        need(value is usual or value is None or value is np._NoValue or (type(value) is type(usual) and value == usual),
             f"the argument {name} is given")


def _whole(x, low, high):
    need(type(x) is int and low <= x < high, "an argument is no whole number of its range")
    return x


def _reduced(path, a, axis=None, dtype=None, out=None, keepdims=np._NoValue, initial=np._NoValue, where=np._NoValue):
    lengths = _array(a)
    _plain(out=(out, None), initial=(initial, np._NoValue), where=(where, True))
    need(dtype is None or isinstance(dtype, np.dtype), "an argument is no type of number")
    need(keepdims is np._NoValue or type(keepdims) is bool, "keepdims is neither true nor false")
    path.work += math.prod(lengths)
    n = len(lengths)
    axes = range(n) if axis is None else [_whole(k, -n, n) % n for k in (axis if type(axis) is tuple else (axis,))]
    need(len(set(axes)) == len(axes), "an axis is given twice")
    return tuple([1 if k in axes else length for k, length in enumerate(lengths) if keepdims is True or k not in axes])


def _matmul(path, x1, x2, out=None, axes=np._NoValue, axis=np._NoValue, keepdims=False, casting="same_kind", order="K",
            dtype=None, subok=True, signature=None):
    _plain(out=(out, None), axes=(axes, None), axis=(axis, None), keepdims=(keepdims, False), casting=(casting, "same_kind"),
           order=(order, "K"), dtype=(dtype, None), subok=(subok, True), signature=(signature, None))
    return _matrix_product(path, _array(x1), _array(x2))


def _matrix_product(path, x, y):
    need(x and y, "a product of other things than matrices")
    p, q = x if len(x) > 1 else (1, *x), y if len(y) > 1 else (*y, 1)
    need(p[-1] == q[-2], "a product of matrices that do not fit")
    around = np.broadcast_shapes(p[:-2], q[:-2])
    path.work += math.prod(around) * p[-2] * p[-1] * q[-1]
    return around + p[-2:-1] * (len(x) > 1) + q[-1:] * (len(y) > 1)


def _dot(path, a, b, out=None):
    need(out is None and len(_array(a)) < 3 and len(_array(b)) < 3, "a product of other things than matrices")
    return _matrix_product(path, _array(a), _array(b))


def _where(path, condition, x=None, y=None):
    need(all(isinstance(value, (active.Operand, float, int)) for value in (x, y)), "an argument is neither array nor number")
    return np.broadcast_shapes(_array(condition), shape_of(x), shape_of(y))


def _concatenate(path, arrays, axis=0, out=None, **other):
    shapes = _parts(arrays)
    need(out is None and not any(value not in (None, "same_kind") for value in other.values()), "an argument is given")
    axis = _whole(axis, -len(shapes[0]), len(shapes[0])) % len(shapes[0])
    need(len({(x[:axis], x[axis + 1:], len(x)) for x in shapes}) == 1, "arrays of shapes that do not fit")
    return (*shapes[0][:axis], sum(x[axis] for x in shapes), *shapes[0][axis + 1:])


def _stack(path, arrays, axis=0, out=None, **other):
    shapes = _parts(arrays)
    need(out is None and not any(value not in (None, "same_kind") for value in other.values()), "an argument is given")
    need(len(set(shapes)) == 1, "arrays of shapes that do not fit")
    axis = _whole(axis, -len(shapes[0]) - 1, len(shapes[0]) + 1) % (len(shapes[0]) + 1)
    return (*shapes[0][:axis], len(shapes), *shapes[0][axis:])


def _reshape(path, a, shape=None, order="C", **other):
    lengths = _array(a)
    _plain(order=(order, "C"), **{name: (value, None) for name, value in other.items() if name != "copy"})
    size = math.prod(lengths)
    new = [_whole(n, -1, size + 1) for n in (shape if isinstance(shape, (tuple, list)) else (shape,))]
    if -1 in new:
        rest = math.prod(n for n in new if n >= 0)
        need(new.count(-1) == 1 and rest and size % rest == 0, "a shape that does not fit")
        new[new.index(-1)] = size // rest
    need(math.prod(new) == size and len(new) <= 32, "a shape that does not fit")
    return tuple(new)


def _broadcast_to(path, array, shape, subok=False):
    need(subok is False and isinstance(shape, (tuple, int)), "an argument is given")
    shape = shape if type(shape) is tuple else (shape,)
    check_broadcast([_array(array)], shape, "broadcast_to", False)
    return shape


def _copied(path, a, order="K", subok=False):
    need(order in ("K", "C", "A") and subok is False, "an argument is given")
    return _array(a)


def _scattered(path, w, indices, shape):
    need(type(shape) is tuple and all(type(n) is int and n >= 0 for n in shape), "no shape")
    need(_array(w) == _array(indices), "indices for other elements")
    path.work += math.prod(_array(w))
    return shape


def _taken(path, a, indices, axis=None, out=None, mode="raise"):
    lengths = _array(a)
    need(out is None and mode == "raise" and lengths, "an argument is given")
    need((type(axis) is int and axis == 0) or (axis is None and len(lengths) == 1), "another axis than the first")
    return _array(indices) + lengths[1:]


def _outer(path, a, b, out=None):
    need(out is None and len(_array(a)) == len(_array(b)) == 1, "an outer product of other things than vectors")
    return _array(a) + _array(b)


def _tied(path, extreme, a, axis, **others):
    """The shape of a with the reduced axes kept, of which all other operands are unless said otherwise."""
    kept = _reduced(path, a, axis, keepdims=True)
    for x in (extreme, *others.values()):
        need(isinstance(x, float) or _array(x) in ((), kept), "operands of other shapes")
    return kept


def _tie_shares(path, w, extreme, a, axis):
    _tied(path, extreme, a, axis, w=w)
    return _array(a)


def _tie_means(path, t, extreme, a, axis):
    need(_array(t) == _array(a), "operands of other shapes")
    return _tied(path, extreme, a, axis)


def _mean(path, a, axis=None, dtype=None, out=None, keepdims=np._NoValue, where=np._NoValue):
    return _reduced(path, a, axis, dtype, out, keepdims, np._NoValue, where)


SHAPES = {
    "sum": _reduced, "prod": _reduced, "max": _reduced, "min": _reduced, "mean": _mean,
    "matmul": _matmul, "dot": _dot, "where": _where, "concatenate": _concatenate, "stack": _stack, "reshape": _reshape,
    "broadcast_to": _broadcast_to, "copy": _copied, "scatter_add": _scattered, "take": _taken, "outer": _outer,
    "tie_shares": _tie_shares, "tie_means": _tie_means,
}
