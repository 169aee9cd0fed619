"""The derivative of an extreme along axes: elements that tie for it share the adjoint in equal parts.

With ties the elements equal to the extreme and c their number, elements get w / c (`tie_shares`), and the extreme moves by the mean
of their tangents (`tie_means`). Each is linear, and the transpose of the other, so these two rules serve every order.
"""

import math

import numpy as np

from ..active import Scattered
from .helpers import like, normal_axes, passes_on
from .registry import rule


SCARCE = 8          # one element in so many, at most, ties where they are looked up one by one
SMALL = 1000        # elements for which that takes longer


def _scarce(ties, axis):
    """Coordinates of the elements that tie, the number of the extreme that each ties for, and the shape of these with the reduced axes
    kept; None where ties are not few among many.
    """
    if ties.size < SMALL or SCARCE * np.count_nonzero(ties) > ties.size:
        return None
    coordinates = np.unravel_index(np.flatnonzero(ties), ties.shape)
    reduced = normal_axes(axis, ties.ndim)
    kept = tuple(1 if k in reduced else n for k, n in enumerate(ties.shape))
    return coordinates, np.ravel_multi_index([c % kept[k] for k, c in enumerate(coordinates)], kept), kept


def tie_shares(w, extreme, a, axis):
    """w in equal parts to the elements of a that are the extreme along axis, 0 to all others: an array of a's shape in w's dtype.

    w and extreme have the reduced axes kept, or are numbers. No element equals an extreme of NaN.
    """
    for operand in (w, extreme, a):
        if passes_on(operand):
            return type(operand).__array_function__(operand, tie_shares, (type(operand),), (w, extreme, a, axis), {})
    shares = _plain_shares(w, extreme, a, axis)
    return shares.dense() if type(shares) is Scattered else shares


def scattered_shares(w, extreme, a, axis):
    """The same where a rule gives it to a sweep: Scattered, in a's dtype, where few of many elements of plain arrays tie."""
    if any(passes_on(operand) for operand in (w, extreme, a)):
        return like(tie_shares(w, extreme, a, axis), a)
    shares = _plain_shares(w, extreme, a, axis)
    return Scattered(shares.shape, shares.places, like(shares.values, a[shares.places])) if type(shares) is Scattered else like(shares, a)


def _plain_shares(w, extreme, a, axis):
    w, ties = np.asarray(w), np.equal(a, extreme)
    scarce = _scarce(ties, axis)
    if scarce is None:
        return np.where(ties, w / np.maximum(np.sum(ties, axis=axis, keepdims=True, dtype=w.dtype), 1), w.dtype.type(0))
    coordinates, groups, kept = scarce
    return Scattered(ties.shape, coordinates, np.broadcast_to(w, kept).reshape(-1)[groups] / np.bincount(groups).astype(w.dtype)[groups])


def tie_means(t, extreme, a, axis):
    """The mean of the elements of t at the places where a is the extreme along axis, 0 where there are none.

    t has a's shape; the result has the reduced axes kept, in t's dtype.
    """
    for operand in (t, extreme, a):
        if passes_on(operand):
            return type(operand).__array_function__(operand, tie_means, (type(operand),), (t, extreme, a, axis), {})
    t, ties = np.asarray(t), np.equal(a, extreme)
    scarce = _scarce(ties, axis)
    if scarce is not None:
        coordinates, groups, kept = scarce
        counts = np.bincount(groups, minlength=math.prod(kept))
        if counts.max() <= 2:                    # of more the order of the sum would show
            sums = np.bincount(groups, t[coordinates], len(counts)).astype(t.dtype)
            return (sums / np.maximum(counts, 1).astype(t.dtype)).reshape(kept)
    count = np.sum(ties, axis=axis, keepdims=True, dtype=t.dtype)
    return np.sum(np.where(ties, t, t.dtype.type(0)), axis=axis, keepdims=True) / np.maximum(count, 1)


@rule(tie_shares, "w", structure="reduction", linear="each", fixed=("extreme", "a"))
def _tie_shares(v, result, w, extreme, a, axis):
    return like(tie_means(v, extreme, a, axis), w)


@rule(tie_means, "t", structure="reduction", linear="each", fixed=("extreme", "a"))
def _tie_means(w, result, t, extreme, a, axis):
    return like(tie_shares(w, extreme, a, axis), t)
