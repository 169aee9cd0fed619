"""Functions of one variable that are not ufuncs: interpolation in a table, sinc, i0 and phases."""

import math

import numpy as np

from ...elementals import scipy_special
from .helpers import like, scatter_add
from .registry import rule
from .selection import pick


@rule(np.interp, "x", "xp", "fp", "left", "right", structure="call")
def _interp(w, result, x, xp, fp, left=None, right=None, period=None):
    n = np.shape(xp)[0]
    place = np.arange(n)        # where the points, as they are used below, stand in xp and fp
    ends = left, right
    if period is not None:
        ends = None, None
        period = abs(period)
        x, knots = np.remainder(x, period), np.remainder(xp, period)
        place = np.argsort(knots)
        place = np.concatenate([place[-1:], place, place[:1]])
        turns = np.zeros(n + 2)
        turns[0], turns[-1] = -period, period
        knots = pick(knots, place) + turns
    else:
        knots = xp
    # The interval to the right of a knot, but of the last knot the interval to its left.
    i = np.minimum(np.maximum(np.searchsorted(knots, x, side="right") - 1, 0), max(np.shape(knots)[0] - 2, 0))
    j = np.minimum(i + 1, np.shape(knots)[0] - 1)
    before, after = np.less(x, knots[0]), np.greater(x, knots[-1])
    inside = np.logical_and(np.greater_equal(x, knots[0]), np.less_equal(x, knots[-1]))
    x0 = pick(knots, i)
    width = pick(knots, j) - x0
    # An interval without slope (a step, a single point, an end at -inf) has the value of its right end.
    flat = np.logical_or(np.logical_or(width == 0, np.isinf(x0)), np.logical_not(inside))
    i, j = pick(place, i), pick(place, j)
    width = np.where(flat, 1, width)
    share = np.where(flat, 1, np.subtract(x, np.where(flat, 0, x0)) / width)
    w_inside = np.where(inside, w, 0)
    flows = np.logical_or(flat, w_inside == 0)

    def slope():
        rise = pick(fp, j) - pick(fp, i)
        return np.where(flows, 0, w_inside * np.where(flows, 0, rise) / width)

    def onto_knots():
        return like(_scatter_pair(-slope() * (1 - share), -slope() * share, i, j, n), xp)

    def onto_values():
        first = np.where(before, w if ends[0] is None else 0, w_inside * (1 - share))
        last = np.where(after, w if ends[1] is None else 0, w_inside * share)
        return like(_scatter_pair(first, last, i, j, n), fp)
    return (lambda: like(slope(), x), onto_knots, onto_values,
            lambda: like(np.where(np.logical_and(before, ends[0] is not None), w, 0), left),
            lambda: like(np.where(np.logical_and(after, ends[1] is not None), w, 0), right))


def _scatter_pair(first, last, i, j, n):
    """Zeros of length n with `first` added at the indices i and `last` at j."""
    w = np.concatenate([np.reshape(first, -1), np.reshape(last, -1)])
    return scatter_add(w, np.concatenate([np.reshape(i, -1), np.reshape(j, -1)]), (n,))


# Coefficients of sinc'(x) / (pi**2 x) in powers of (pi x)**2, enough for |pi x| < 2.
_SINC_SERIES = [(-1.0) ** (m + 1) * 2 * (m + 1) / math.factorial(2 * m + 3) for m in range(13)]


@rule(np.sinc, "x", structure="elementwise")
def _sinc(w, result, x):
    # The closed form cancels near 0 and has no value at 0; the series gives derivatives of every order there.
    near = np.less(np.abs(x), 2 / math.pi)
    small, large = np.where(near, x, 0), np.where(near, 1, x)
    square = np.square(math.pi * small)
    series = _SINC_SERIES[-1]
    for coefficient in reversed(_SINC_SERIES[:-1]):
        series = series * square + coefficient
    phase = math.pi * large
    slope = np.where(near, math.pi ** 2 * small * series, (np.cos(phase) - np.sin(phase) / phase) / large)
    return like(np.where(w == 0, 0, w * slope), x)


@rule(np.i0, "x", structure="elementwise")
def _i0(w, result, x):
    return like(np.where(w == 0, 0, w * scipy_special("the derivative of np.i0").i1(x)), x)


@rule(np.unwrap, "p", structure="elementwise")
def _unwrap(w, result, p, discont=None, axis=-1, *, period=2 * math.pi):
    # The number of periods added to an element depends on others, but is constant between jumps.
    return like(w, p)


@rule(np.angle, "z", structure="elementwise")
def _angle(w, result, z, deg=False):
    if np.iscomplexobj(z):
        raise NotImplementedError("np.angle of complex numbers has no derivative rule yet")
    return np.zeros(np.shape(z), getattr(z, "dtype", float))       # 0 or pi
