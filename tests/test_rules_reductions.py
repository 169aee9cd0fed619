"""Derivative rules of reductions, running sums and differences against differences and JAX, in every form."""

import numpy as np
import pytest
from rule_checks import case, check, check_covered, load_all_rules

from fastad.arrays.rules import cumulative, reductions
from fastad.arrays.rules.registry import RULES
from fastad.arrays.rules.tracked import TRACKED

load_all_rules()

rng = np.random.default_rng(20)


def spaced(*shape):
    """Numbers that are all at least 0.1 apart, in random order, none near 0."""
    n = int(np.prod(shape))
    return np.asarray(rng.permutation(n) * 0.15 - 0.075 * n + 0.031).reshape(shape)


def holes(*shape):
    """As spaced, with a NaN in every third place."""
    x = spaced(*shape)
    x.reshape(-1)[::3] = np.nan
    return x


def positive(*shape):
    return rng.uniform(0.5, 1.5, shape)


A, M, V, S = spaced(2, 3, 4), spaced(3, 5), spaced(7), spaced()
W = rng.uniform(size=(2, 3, 4)) < 0.6
W[0, 0, 0] = W[1, 1, 1] = True
ROW = np.array([True, False, True, True])
AXES = [None, 0, -1, 1, (0, 2), (-1, -3), (0, 1, 2), ()]

CASES = [case(f, A, axis=axis, keepdims=keepdims)
         for f in (np.sum, np.prod, np.mean, np.max, np.amax, np.min, np.amin)
         for axis in AXES for keepdims in (False, True)]
CASES += [case(f, A, axis=axis, keepdims=keepdims) for f in (np.var, np.std)
          for axis in AXES[:-1] for keepdims in (False, True)]
CASES += [case(f, S) for f in (np.sum, np.prod, np.mean, np.max, np.min, np.ptp, np.linalg.norm,
                               np.linalg.vector_norm)
          if f is not np.linalg.norm]
CASES += [case(f, A, axis=axis, where=W, initial=initial) for f in (np.sum, np.prod)
          for axis in (None, 1, (0, -1))
          for initial in (0.7, np._NoValue)]
CASES += [case(f, A, where=ROW) for f in (np.sum, np.prod, np.mean, np.var, np.std)]
CASES += [case(f, A, axis=1, where=W, initial=v) for f,
          v in ((np.max, -0.91), (np.min, 0.93), (np.amax, -9.0), (np.amin, 9.0))]
CASES += [case(f, A, axis=(0, 2), initial=v, keepdims=True) for f, v in ((np.max, 0.5), (np.min, -0.5))]
CASES += [case(np.sum, A, 1, np.float64), case(np.sum, A, initial=0.3),
          case(np.prod, M, 0, initial=1.3, keepdims=True)]
CASES += [case(np.mean, A, axis=(0, 2), where=W, keepdims=True), case(np.mean, A, 2, where=ROW)]
CASES += [case(f, A, axis=axis, ddof=ddof) for f in (np.var, np.std) for axis in (None, 0, (1, 2))
          for ddof in (1, 0.5)]
CASES += [case(f, A, axis=2, where=ROW, correction=1) for f in (np.var, np.std)]
CASES += [case(f, A, axis=1, mean=rng.uniform(-1, 1, (2, 1, 4)), keepdims=keepdims) for f in (np.var, np.std)
          for keepdims in (False, True)]
CASES += [case(f, holes(3, 5), axis=axis, keepdims=keepdims, float32=False)
          for f in (np.nansum, np.nanprod, np.nanmean, np.nanmax, np.nanmin, np.nanvar, np.nanstd)
          for axis in (None, 0, -1, (0, 1)) for keepdims in (False, True)]
CASES += [case(f, holes(2, 3, 4), axis=(1, 2), where=ROW)
          for f in (np.nansum, np.nanprod, np.nanmean, np.nanvar, np.nanstd)]
CASES += [case(f, holes(3, 5), axis=0, initial=v) for f, v in
          ((np.nansum, 0.3), (np.nanprod, 0.3), (np.nanmax, 0.35), (np.nanmin, 0.35))]
CASES += [case(f, holes(3, 5), ddof=1) for f in (np.nanvar, np.nanstd)]
CASES += [case(f, M) for f in (np.nansum, np.nanprod, np.nanmean, np.nanmax, np.nanmin, np.nanvar, np.nanstd)]
CASES += [case(np.ptp, A, axis=axis, keepdims=keepdims) for axis in AXES[:-1] for keepdims in (False, True)]
CASES += [case(np.average, A, axis=axis, keepdims=keepdims) for axis in (None, -1, (0, 2))
          for keepdims in (False, True)]
CASES += [case(np.average, A, axis=axis, weights=positive(2, 3, 4), returned=returned, keepdims=keepdims)
          for axis in (None, 1, (2, 0)) for returned in (False, True) for keepdims in (False, True)]
CASES += [case(np.average, A, axis=-2, weights=positive(3), returned=returned) for returned in (False, True)]
CASES += [case(np.average, A, axis=axes, weights=positive(*(A.shape[i] for i in axes)))
          for axes in ((0, 2), (2, 0), (1, 0))]
CASES += [case(np.trace, M, offset) for offset in (0, 1, -1, 4, -3)]
CASES += [case(np.trace, A, 0, 2, 0), case(np.trace, A, 1, -1, 1),
          case(np.trace, spaced(2, 3, 4, 5), -1, 3, 1)]
CASES += [case(np.linalg.trace, A), case(np.linalg.trace, A, offset=1), case(np.linalg.trace, M, offset=-1)]

# Sums of these do not tie, as those of spaced numbers may.
rng = np.random.default_rng(3)
V, M, A = rng.uniform(-1, 1, 7), rng.uniform(-1, 1, (3, 5)), rng.uniform(-1, 1, (2, 3, 4))
VECTOR_ORDERS = (None, 2, 1, 3, 2.5, 0.5, -1, -2, 0, np.inf, -np.inf)
MATRIX_ORDERS = (None, "fro", "nuc", 2, -2, 1, -1, np.inf, -np.inf)
CASES += [case(np.linalg.norm, V, ord, step=1e-4)
          for ord in VECTOR_ORDERS] + [case(np.linalg.norm, M, ord, step=1e-4) for ord in MATRIX_ORDERS]
CASES += [case(np.linalg.norm, A, ord, axis, keepdims=keepdims, step=1e-4) for ord in VECTOR_ORDERS
          for axis in (1, -1)
          for keepdims in (False, True)]
CASES += [case(np.linalg.norm, A, ord, axis, keepdims, step=1e-4) for ord in MATRIX_ORDERS
          for axis in ((0, 1), (2, 0), (-1, -2))
          for keepdims in (False, True)]
CASES += [case(np.linalg.norm, A, step=1e-4), case(np.linalg.norm, A, keepdims=True, step=1e-4),
          case(np.linalg.norm, M, keepdims=True, step=1e-4)]
CASES += [case(np.linalg.vector_norm, A, axis=axis, ord=ord, keepdims=keepdims, step=1e-4)
          for ord in VECTOR_ORDERS[1:]
          for axis in (None, 0, (0, -1)) for keepdims in (False, True)]
CASES += [case(np.linalg.matrix_norm, x, ord=ord, keepdims=keepdims, step=1e-4) for x in (A, M)
          for ord in MATRIX_ORDERS[1:]
          for keepdims in (False, True)]
CASES += [case(f, A, axis=axis, keepdims=keepdims)
          for f in (reductions.logaddexp_reduce, reductions.logaddexp2_reduce)
          for axis in (0, -1, (0, 2), None) for keepdims in (False, True)]
CASES += [case(f, A, axis=1, where=W, initial=0.3)
          for f in (reductions.logaddexp_reduce, reductions.logaddexp2_reduce)]

Z = np.array([[0.5, 0.0, -2.0, 1.5, 0.7], [1.1, 2.0, 0.3, -0.4, 0.9], [0.0, 0.2, 0.0, 1.0, 3.0]])
CASES += [case(np.prod, Z, axis=axis) for axis in (None, 0, 1)] + [case(np.cumprod, Z, axis=axis)
                                                                   for axis in (None, 0, 1)]

for f in (np.cumsum, np.cumprod):
    CASES += [case(f, A, axis) for axis in (None, 0, 1, -1)] + [case(f, V), case(f, S), case(f, spaced(1)),
                                                                case(f, V, dtype=float)]
for f in (np.nancumsum, np.nancumprod):
    CASES += [case(f, holes(3, 5), axis) for axis in (None, 0, -1)]
for f in (getattr(np, name) for name in ("cumulative_sum", "cumulative_prod") if hasattr(np, name)):
    CASES += [case(f, A, axis=axis, include_initial=first, layouts=True) for axis in (0, -1)
              for first in (False, True)]
    CASES += [case(f, V), case(f, V, include_initial=True)]

CASES += [case(np.diff, A, n, axis) for n in (0, 1, 2, 3, 7) for axis in (0, 1, -1)]
CASES += [case(np.diff, V), case(np.diff, V, 2, prepend=0.5), case(np.diff, V, append=0.5),
          case(np.diff, V, 3, prepend=1.5, append=0.2)]
CASES += [case(np.diff, A, 2, 1, prepend=spaced(2, 2, 4), append=spaced(2, 1, 4)),
          case(np.diff, A, 1, prepend=0.1, append=spaced(2, 3, 3)),
          case(np.diff, A, 0, 1, prepend=0.3)]
CASES += [case(np.ediff1d, A), case(np.ediff1d, V, 0.5, spaced(2)),
          case(np.ediff1d, V, to_end=spaced(2, 2)), case(np.ediff1d, spaced(1)),
          case(np.ediff1d, np.zeros(0), 0.2)]

POINTS = {n: np.cumsum(positive(n)) for n in (2, 3, 4, 5, 6, 7)}
for order in (1, 2):
    B = spaced(3, 4, 6)
    CASES += [case(np.gradient, V, edge_order=order), case(np.gradient, V, 0.7, edge_order=order),
              case(np.gradient, V, POINTS[7], edge_order=order), case(np.gradient, B, edge_order=order),
              case(np.gradient, B, 0.3, axis=-2, edge_order=order),
              case(np.gradient, B, 0.3, edge_order=order),
              case(np.gradient, B, 0.3, POINTS[4], 2.0, edge_order=order),
              case(np.gradient, B, POINTS[6], 0.5, axis=(2, 0), edge_order=order),
              case(np.gradient, B, POINTS[6], axis=2, edge_order=order),
              case(np.gradient, spaced(3), POINTS[3], edge_order=order)]
CASES += [case(np.gradient, spaced(2)), case(np.gradient, spaced(2), 0.5),
          case(np.gradient, spaced(3, 2), POINTS[2], axis=1),
          case(np.gradient, spaced(2, 2))]

for f in (np.convolve, np.correlate):
    CASES += [case(f, spaced(n), spaced(m), mode) for n,
              m in ((5, 3), (3, 5), (4, 4), (6, 4), (4, 6), (5, 1), (1, 4), (5, 2), (2, 5))
              for mode in ("full", "same", "valid")]
    CASES += [case(f, spaced(5), spaced(3))]
CASES += [case(np.convolve, spaced(5), 0.7), case(np.convolve, 0.3, spaced(4))]

CASES += [case(np.trapezoid, y, axis=axis) for y, axis in ((V, -1), (A, 0), (A, 1))]
CASES += [case(np.trapezoid, V, POINTS[7]), case(np.trapezoid, A, POINTS[3], axis=1),
          case(np.trapezoid, A, dx=0.3),
          case(np.trapezoid, A, spaced(2, 3, 4)), case(np.trapezoid, A, spaced(2, 3, 4), axis=0),
          case(np.trapezoid, A, spaced(3, 4)),
          case(np.trapezoid, A, spaced(2, 1, 4)), case(np.trapezoid, V[:4], spaced(3, 4)),
          case(np.trapezoid, V[:1])]

EMPTY = np.zeros((0, 3))
CASES += [case(f, EMPTY, axis=axis) for f in (np.sum, np.prod, np.cumsum, np.cumprod)
          for axis in (None, 0, 1)]
CASES += [case(f, EMPTY, axis=1) for f in (np.mean, np.var, np.std, np.max, np.min, np.linalg.norm, np.ptp,
                                           np.nansum, np.nanmax)]
CASES += [case(np.diff, EMPTY, axis=0), case(np.diff, EMPTY), case(np.linalg.norm, EMPTY),
          case(np.trace, EMPTY)]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("one", CASES)
def test_rule(one):
    check(one)


@pytest.mark.parametrize("module", [reductions, cumulative])
def test_every_rule_has_a_case(module):
    check_covered(module, CASES)


def adjoint(function, *args, w=1.0, position=None, **kwargs):
    """The rule's adjoint of the first operand for an array w of the result's shape."""
    result = function(*args, **kwargs)
    got = RULES[function].vjp(w * np.ones_like(result), result, *args, **kwargs)
    return got[0]() if isinstance(got, tuple) else got


def test_ties_share_in_equal_parts():
    x = np.array([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]])
    np.testing.assert_array_equal(adjoint(np.max, x, axis=1), [[0, 0.5, 0.5], [1 / 3] * 3])
    np.testing.assert_array_equal(adjoint(np.min, x, axis=1), [[1, 0, 0], [1 / 3] * 3])
    np.testing.assert_array_equal(adjoint(np.max, x, axis=1, initial=3.0), [[0, 1 / 3, 1 / 3], [0] * 3])
    np.testing.assert_array_equal(adjoint(np.ptp, x, axis=1)[1], [0, 0, 0])
    np.testing.assert_array_equal(adjoint(np.linalg.norm, np.array([2.0, -2.0, 1.0]), np.inf), [0.5, -0.5, 0])


@pytest.mark.parametrize("ord", VECTOR_ORDERS)
def test_norm_of_zero(ord):
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(adjoint(np.linalg.norm, np.zeros(3), ord), np.zeros(3))


@pytest.mark.parametrize("ord", MATRIX_ORDERS)
def test_norm_of_zero_matrix(ord):
    np.testing.assert_array_equal(adjoint(np.linalg.norm, np.zeros((3, 2)), ord), np.zeros((3, 2)))


@pytest.mark.parametrize("f", [np.var, np.std, np.nanvar, np.nanstd])
def test_moments_of_constants(f):
    np.testing.assert_array_equal(adjoint(f, np.full((2, 3), 1.5), axis=1), np.zeros((2, 3)))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("f", [np.max, np.nanmax, np.nanmean, np.nanstd, np.nanprod, np.nansum])
def test_all_nan(f):
    np.testing.assert_array_equal(adjoint(f, np.full(3, np.nan)), np.zeros(3))


def test_masked_out_values_do_not_matter():
    x = np.array([1.0, np.nan, 2.0, np.inf])
    mask = np.array([True, False, True, False])
    for f in (np.sum, np.mean, np.var, np.std):
        got = adjoint(f, x, where=mask)
        assert np.isfinite(got).all() and (got[~mask] == 0).all()
        np.testing.assert_allclose(got[mask], adjoint(f, x[mask]))


def test_gradient_with_points_in_a_list():
    x, points = spaced(4), [0.0, 1.0, 3.0, 4.5]
    np.testing.assert_array_equal(adjoint(np.gradient, x, points), adjoint(np.gradient, x, np.array(points)))


def test_logaddexp_at_infinity():
    reduce = reductions.logaddexp_reduce
    np.testing.assert_array_equal(adjoint(reduce, np.full(3, -np.inf)), np.zeros(3))
    np.testing.assert_array_equal(adjoint(reduce, np.array([np.inf, 1.0, np.inf])), [0.5, 0, 0.5])
    np.testing.assert_allclose(adjoint(reduce, np.array([-np.inf, 1.0, 1.0])), [0, 0.5, 0.5])
    np.testing.assert_allclose(adjoint(reduce, np.array([1000.0, 1000.0])), [0.5, 0.5])


def test_reduce_and_accumulate_tables():
    x = spaced(3, 4) * 2
    for ufunc, function in reductions.REDUCE.items():
        np.testing.assert_allclose(ufunc.reduce(x, axis=0), function(x, axis=0))
        assert function in RULES or function in TRACKED
    for ufunc, function in cumulative.ACCUMULATE.items():
        np.testing.assert_allclose(ufunc.accumulate(x, axis=0), function(x, axis=0))
        assert function in RULES


@pytest.mark.parametrize("axis", [None, 0, 1])
@pytest.mark.parametrize("name", "sum prod mean var std max min ptp cumsum cumprod linalg.norm".split())
def test_against_jax(name, axis):
    jax = pytest.importorskip("jax")
    function, other = np, jax.numpy
    for word in name.split("."):
        function, other = getattr(function, word), getattr(other, word)
    x = spaced(4, 5)
    with jax.enable_x64(True):
        expected = jax.grad(lambda v: 1.3 * jax.numpy.sum(other(v, axis=axis)))(x)
    np.testing.assert_allclose(adjoint(function, x, axis=axis, w=1.3), expected, rtol=1e-10, atol=1e-12)
