"""The rules for selecting, sorting, interpolating, polynomials and statistics."""

import autograd
import autograd.numpy
import numpy as np
import probe
import pytest
from rule_checks import case, check, check_covered, load_all_rules, random_like

import fastad
from fastad.arrays.rules import interpolation, polynomials, selection, sorting, statistics
from fastad.arrays.rules.registry import RULES
from fastad.arrays.rules.tracked import TRACKED, TRACKED_GROUPS

# Tracked functions answer active arrays too.
load_all_rules()
probe.ALLOWED |= TRACKED

RNG = np.random.default_rng(0)


def spread(*shape):
    """Numbers in random order, neighbours at least 0.05 apart and none of them nearer than 0.02 to a multiple of 0.1."""
    n = int(np.prod(shape))
    return RNG.permutation(np.arange(n) * 0.1 - 0.05 * n + 0.03 + RNG.uniform(0.0, 0.04, n)).reshape(shape)


A, B, V, W = spread(3, 4), spread(3, 4), spread(5), spread(7)
CUBE = spread(2, 3, 4)
MASK = np.array([[True, False, True, True], [False, False, True, False], [True, True, False, True]])
ROW = np.array([True, False, True, True])
EMPTY = np.zeros((0, 4))
WITH_NAN = np.where(np.arange(24).reshape(2, 3, 4) % 5 == 1, np.nan, CUBE)

SELECTION = [
    case(np.where, MASK, A, B), case(np.where, MASK, A, 0.5), case(np.where, ROW, 0.25, A), case(np.where, MASK, V[:4], A),
    case(np.where, MASK, A[:, :1], B[:1]), case(np.where, True, A, V[:4]), case(np.where, MASK[0, 0], 1.5, 2.5),
    case(np.where, EMPTY > 0, EMPTY, V[:4]), case(np.where, MASK, A, 1),
    case(np.select, [MASK, ROW], [A, B]), case(np.select, [MASK, A > 0, ROW], [A, V[:4], 2.5], 0.5),
    case(np.select, [MASK, ~MASK], [A[0], B], default=B[:, :1]), case(np.select, [ROW], [A]),
    case(np.select, [V > 0], [V], V[0]), case(np.select, [EMPTY > 0], [EMPTY], 1.5),
    case(np.choose, np.array([0, 2, 1, 0]), [V[:4], A, 1.5]), case(np.choose, [[1], [0], [1]], (A, V[:4])),
    case(np.choose, np.array([-1, 4, 2, 5]), [V[:4], B[0], A[1]], mode="wrap"),
    case(np.choose, np.array([-1, 4, 2, 5]), [V[:4], B[0], A[1]], mode="clip"), case(np.choose, np.array(1), [A, B]),
    case(np.clip, A, -0.3, 0.4), case(np.clip, A, None, 0.2), case(np.clip, A, -0.2, None), case(np.clip, A, B, None),
    case(np.clip, A, B - 0.1, B + 0.3), case(np.clip, A, B[0], 0.9), case(np.clip, A, B[:, :1] + 0.05, V[:4] + 0.15),
    case(np.clip, V[0], -0.1, 0.1), case(np.clip, A, 0.5, -0.5), case(np.clip, A, None, None), case(np.clip, EMPTY, 0.0, 1.0),
    case(np.clip, A, -1, 0, linear=False), case(np.clip, 0.5, V, 2.5),
    case(np.take, A, [1, 0, 1, 11]), case(np.take, A, 3), case(np.take, A, [[0, 2], [2, 2]], 0), case(np.take, A, [-1, 1], 1),
    case(np.take, CUBE, [[0, 2]], axis=-2), case(np.take, V, [-7, 9, 2], mode="wrap"), case(np.take, V, [-7, 9, 2], mode="clip"),
    case(np.take, A, [], axis=1), case(np.take, CUBE, 1, axis=1), case(np.take, EMPTY, [0, 0], axis=1),
    case(np.take, np.array(1.5), [0, 0]),
    case(np.take_along_axis, A, np.array([[0, 1, 1, 2]]), 0), case(np.take_along_axis, A, np.array([[3], [0], [-1]]), 1),
    case(np.take_along_axis, A, np.array([[3, 3], [0, 1], [-1, 2]]), axis=-1),
    case(np.take_along_axis, A, np.array([5, 5, 0]), None), case(np.take_along_axis, A[:1], np.array([[3], [0], [1]]), 1),
    case(np.compress, [True, False, True], A, 0), case(np.compress, [False, True], A), case(np.compress, ROW, A, axis=-1),
    case(np.compress, [False], A, axis=0),
    case(np.extract, MASK, A), case(np.extract, ROW, V[:4]), case(np.extract, MASK[:2], A), case(np.extract, EMPTY > 0, EMPTY),
]
if tuple(map(int, np.__version__.split(".")[:2])) >= (2, 1):
    SELECTION += [case(np.clip, A, min=-0.3), case(np.clip, A, max=V[:4] + 0.03), case(np.clip, A, min=B, max=0.6),
                  case(np.clip, A)]

METHODS = ("inverted_cdf averaged_inverted_cdf closest_observation interpolated_inverted_cdf hazen weibull linear "
           "median_unbiased normal_unbiased lower higher midpoint nearest").split()
WEIGHTS = np.array([0.5, 1.0, 0.0, 2.5])
# NumPy 2.0 gives wrong values for several weighted quantiles of several slices.
ONE_BY_ONE = [np.quantile(CUBE[:, j].ravel(), 0.83, weights=np.arange(1.0, 9.0), method="inverted_cdf") for j in range(3)]
WEIGHTED_RIGHT = np.array_equal(ONE_BY_ONE, np.quantile(
    CUBE, np.array([0.11, 0.83]), (0, 2), weights=np.arange(1.0, 9.0).reshape(2, 4), method="inverted_cdf")[1])
SORTING = [
    *(case(np.sort, x, *axis) for x in (A, CUBE, V) for axis in ((), (0,), (-1,), (None,))),
    case(np.sort, A, kind="stable"), case(np.sort, A, 0, stable=True), case(np.sort, EMPTY, 0), case(np.sort, V[:1]),
    *(case(np.partition, x, k, *axis) for x in (CUBE, W.reshape(1, 7)) for k, *axis in ((1,), ([0, 2],), (-2, -1))),
    case(np.partition, spread(40), 7), case(np.partition, spread(30, 3), [4, 20], 0), case(np.partition, CUBE, 5, None),
    case(np.partition, CUBE, 1, 1), case(np.partition, EMPTY, 1),
    *(case(np.median, x, **options) for x in (V, A, CUBE, V[:1], np.array(0.5))
      for options in ({}, {"keepdims": True}, {"axis": None})),
    *(case(f, x, axis=axis, keepdims=k) for f, x in ((np.median, CUBE), (np.nanmedian, CUBE), (np.nanmedian, WITH_NAN))
      for axis in (0, 1, -1, (0, 2), (2, 0), (-1, 0, 1), None) for k in (False, True)),
    case(np.median, np.zeros((0, 3)), axis=1), case(np.nanmedian, V),
    *(case(np.quantile, W, q, method=m) for m in METHODS for q in (0.3, np.array([0.05, 0.41, 0.52, 0.97]))),
    *(case(np.quantile, CUBE, q, axis=axis, keepdims=k) for axis in (0, -1, (2, 0), None) for k in (False, True)
      for q in (0.37, np.array([0.2, 0.55]), np.array([[0.2, 0.55], [0.7, 0.1]]))),
    case(np.quantile, CUBE, [0.25, 0.75]), case(np.quantile, V[:1], 0.5, linear=False), case(np.quantile, np.array(0.5), 0.3),
    case(np.quantile, np.zeros((0, 3)), 0.5, 1),
    *(case(np.percentile, A, q, **options) for q in (37.0, np.array([11.0, 60.0])) for options in (
        {}, {"axis": 1}, {"axis": 0, "keepdims": True, "method": "hazen"}, {"axis": (0, 1), "method": "lower"})),
    *(case(f, x, q, axis=axis, method=m, step=1e-4) for f, scale in ((np.nanquantile, 1.0), (np.nanpercentile, 100.0))
      for x in (WITH_NAN, CUBE) for q in (0.34 * scale, np.array([0.22, 0.57]) * scale) for axis in (2, (0, 1), None)
      for m in ("linear", "hazen", "nearest")),
    *(case(f, x, q, axis=axis, weights=weights, method="inverted_cdf", keepdims=k, step=1e-5)
      for f in (np.quantile, np.nanquantile)
      for x, axis, weights in ((V[:4], None, WEIGHTS), (CUBE, 2, WEIGHTS), (CUBE, -1, np.abs(spread(2, 3, 4))),
                               (CUBE, (2, 0), np.abs(spread(4, 2))), (CUBE, None, np.abs(spread(2, 3, 4))))
      for q in (0.4, np.array([0.11, 0.83])) for k in (False, True)
      if (f is np.quantile or weights.shape == x.shape)
      and (WEIGHTED_RIGHT or not isinstance(axis, tuple) or np.ndim(q) == 0)),
    *(case(np.nanpercentile, WITH_NAN, 43.0, axis=2, weights=np.abs(spread(2, 3, 4)) + 0.1, method="inverted_cdf", keepdims=k)
      for k in (False, True)),
    case(np.percentile, A, 43.0, axis=1, weights=WEIGHTS, method="inverted_cdf"),
    case(np.unique, A), case(np.unique, EMPTY), case(np.unique, A, axis=0), case(np.unique, CUBE, axis=1),
    case(np.unique, CUBE, axis=-1), case(np.unique, 0.5),
    case(np.unique_values, A),
    case(np.union1d, V, A), case(np.union1d, V, EMPTY), case(np.setdiff1d, A, V),
    case(np.setxor1d, A, V), case(np.intersect1d, A, np.arange(4)), case(np.setdiff1d, A, V, assume_unique=True),
]
DIRECT = {np.unique_counts, np.unique_inverse, np.unique_all}       # have a test of their own below

XP, FP = np.cumsum(np.abs(spread(6)) + 0.3), spread(6)
X = np.array([XP[0] - 0.5, XP[0] + 0.1, XP[2] + 0.11, XP[4] + 0.2, XP[5] - 0.1, XP[5] + 2.0, XP[1] + 0.07])
INTERPOLATION = [
    case(np.interp, X, XP, FP), case(np.interp, X, XP, FP, 0.5), case(np.interp, X, XP, FP, right=1.5),
    case(np.interp, X, XP, FP, 0.5, 2.0), case(np.interp, X.reshape(7, 1), XP, FP), case(np.interp, X[2], XP, FP),
    case(np.interp, X, XP, FP, period=2.3), case(np.interp, X, XP, FP, 0.5, 0.6, -1.7), case(np.interp, X, XP[:2], FP[:2]),
    case(np.interp, [1, 2], XP, FP), case(np.interp, np.array([0.5, 2.5]), [1, 2], V[:2]), case(np.interp, X[:0], XP, FP),
    case(np.interp, X, XP[:1] + 0.05, FP[:1]), case(np.interp, 2, XP, [1, 2, 5, 7, 7, 8]),
    case(np.sinc, A), case(np.sinc, A / 10), case(np.sinc, 10 * A), case(np.sinc, np.array([0.0, 1e-9, -1e-5, 2 / np.pi, 0.63])),
    case(np.sinc, 0.5), case(np.sinc, EMPTY),
    case(np.i0, A), case(np.i0, 10 * A), case(np.i0, np.array([0.0, 1.0])), case(np.i0, 1.5),
    case(np.unwrap, 7 * V), case(np.unwrap, 20 * CUBE, axis=1), case(np.unwrap, 20 * CUBE, 0.3, 0, period=1.3),
    case(np.angle, A), case(np.angle, A, deg=True),
]

POLYNOMIALS = [
    case(np.polyval, V, A), case(np.polyval, V, 0.5), case(np.polyval, V[:1], A), case(np.polyval, V[:0], A),
    case(np.polyval, A, V[:4]), case(np.polyval, A, 0.5), case(np.polyval, V, [1, 2]), case(np.polyval, [1, 0, 2], V),
    case(np.polyval, CUBE, np.zeros((3, 1))), case(np.polyval, V, EMPTY),
    *(case(f, x, y) for f in (np.polyadd, np.polysub) for x, y in ((V, W), (W, V), (V, V + 1), (V, 0.5), (np.array(0.5), W))),
    case(np.polymul, V, W), case(np.polymul, W, V), case(np.polymul, V, 0.5), case(np.polymul, [0, 0, 2, 1], V, linear=False),
    case(np.polymul, V[:1], W),
    case(np.polyder, V), case(np.polyder, V, 0), case(np.polyder, V, 2), case(np.polyder, V, m=4), case(np.polyder, V, 5),
    case(np.polyder, V[:1]),
    case(np.polyint, V), case(np.polyint, V, 0), case(np.polyint, V, 2), case(np.polyint, V, 1, 0.5), case(np.polyint, V, 3, 0.5),
    case(np.polyint, V, 2, W[:2]), case(np.polyint, V, 2, W), case(np.polyint, V[:0], 2, W), case(np.polyint, V, 1, W[:1]),
]

COUNTS = np.array([2, 1, 3, 1])
WEIGHT_VECTOR = np.array([0.5, 1.25, 0.75, 2.0])
EDGES = np.array([-0.52, -0.2, 0.0, 0.1, 0.6])
STATISTICS = [
    *(case(np.cov, x, **options) for x in (A, V, CUBE[0], A[:1]) for options in ({}, {"bias": True}, {"ddof": 0}, {"ddof": 2})),
    case(np.cov, A, B), case(np.cov, A, V[:4]), case(np.cov, V, W[:5]), case(np.cov, A, rowvar=False),
    case(np.cov, A, B, rowvar=False), case(np.cov, A.T.copy(), V[:4], False), case(np.cov, V, rowvar=False),
    *(case(np.cov, A, aweights=WEIGHT_VECTOR, **options) for options in ({}, {"ddof": 0}, {"fweights": COUNTS},
      {"fweights": COUNTS, "ddof": 0}, {"bias": True}, {"y": V[:4]})),
    case(np.cov, A, fweights=COUNTS), case(np.cov, A, dtype=np.float64),
    case(np.cov, A.T.copy(), rowvar=False, aweights=WEIGHT_VECTOR),
    case(np.corrcoef, A), case(np.corrcoef, A, B), case(np.corrcoef, A.T.copy(), rowvar=False), case(np.corrcoef, V, W[:5]),
    case(np.corrcoef, V),
    case(np.bincount, np.array([0, 3, 3, 1]), V[:4]), case(np.bincount, [1, 2, 1], V[:3], 7),
    case(np.bincount, np.array([], dtype=int), V[:0], minlength=2),
    case(np.histogram, A, EDGES, weights=B), case(np.histogram, A, 4, weights=B),
    case(np.histogram, A, 3, (-0.43, 0.51), None, B),
    case(np.histogram, A, EDGES, weights=np.abs(B), density=True), case(np.histogram, A, 4, weights=np.abs(B), density=True),
    case(np.histogram, A, 5), case(np.histogram, A, "sturges"), case(np.histogram, A, 5, density=True),
    case(np.histogram_bin_edges, A), case(np.histogram_bin_edges, A, 3), case(np.histogram_bin_edges, A, 3, (0, 1)),
    case(np.histogram_bin_edges, A, EDGES), case(np.histogram_bin_edges, A, "sturges"),
]
MODULES = [(selection, SELECTION), (sorting, SORTING), (interpolation, INTERPOLATION), (polynomials, POLYNOMIALS),
           (statistics, STATISTICS)]


@pytest.mark.parametrize("one", [one for _, cases in MODULES for one in cases])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_rule(one):
    check(one)


@pytest.mark.parametrize("module", [selection, interpolation, polynomials, statistics, sorting], ids=lambda m: m.__name__)
def test_every_rule_has_a_case(module):
    cases = next(cases for m, cases in MODULES if m is module)
    extra = [case(f, A) for f in DIRECT] if module is sorting else []
    check_covered(module, cases + extra)


# Operands that are not differentiated (conditions, indices) may be tracked, and w may be a constant.

TRACKED_ARGUMENTS = [
    (np.where, (MASK, A, B)), (np.select, ([MASK, ROW], [A, B], 0.5)), (np.choose, (np.array([0, 2, 1, 0]), [V[:4], A, 1.5])),
    *((np.take, (CUBE, np.array([[0, 1], [1, -1]]), axis, None, mode)) for axis in (None, 0, 1, -1)
      for mode in ("raise", "wrap", "clip")),
    (np.take, (V, np.array(-2))), (np.take, (V, np.array(2), 0)), (np.take_along_axis, (A, np.array([[3], [0], [-1]]), 1)),
    (np.compress, (ROW, A, 1)), (np.extract, (MASK, A)), (np.clip, (A, B - 0.1, B + 0.2)),
    (np.quantile, (CUBE, 0.3, 1)), (np.nanquantile, (WITH_NAN, 0.3, 2)), (np.unique, (CUBE,)), (np.sort, (CUBE, 1)),
    (np.partition, (CUBE, 2)), (np.median, (CUBE,)), (np.interp, (X, XP, FP, 0.5)),
    (np.bincount, (np.array([0, 3, 3, 1]), V[:4])),
    (np.histogram, (A, EDGES, None, True, np.abs(B))), (np.cov, (A, B)), (np.corrcoef, (A, B)), (np.polymul, (V, W)),
    (np.polyval, (V, A)), (np.union1d, (A, V)), (np.sinc, (A,)), (np.i0, (A,)),
]


@pytest.mark.parametrize("function, args", TRACKED_ARGUMENTS, ids=lambda v: getattr(v, "__name__", ""))
@pytest.mark.parametrize("constant", ["w", "operands", "nothing"])
def test_tracked_arguments_and_constant_adjoints(function, args, constant):
    rule = RULES[function]
    result = function(*args)
    w = random_like(result, np.random.default_rng(8))
    skip = next((i for i, name in enumerate(rule.signature.parameters) if name in ("mode", "axis")), None)

    def active(i, value):
        if isinstance(value, list):
            return [active(i, v) for v in value]
        return probe.Probe.wrap(value) if isinstance(value, (np.ndarray, float)) and i != skip else value
    traced = [active(i, value) for i, value in enumerate(args)] if constant != "operands" else args
    traced_w = probe.probe_tree(w) if constant != "w" else w
    traced_result = probe.probe_tree(result) if constant != "operands" else result
    expected, got = rule.vjp(w, result, *args), rule.vjp(traced_w, traced_result, *traced)
    if callable(expected) or isinstance(expected, tuple):
        present = [name.lstrip("*") in list(rule.signature.parameters)[:len(args)] for name in rule.operands]
        expected, got = ([f() for f, here in zip(fs, present, strict=True) if here] for fs in (expected, got))
    else:
        expected, got = [expected], [got]
    for one, other in zip(expected, got, strict=True):
        for p, q in zip(listed(one), listed(other), strict=True):
            np.testing.assert_allclose(probe.plain_tree(q), p, rtol=1e-12, atol=1e-14)


def listed(adjoints):
    """Adjoints of a sequence as they are, that of one operand as a list."""
    return adjoints if isinstance(adjoints, list) else [adjoints]


# Kinks and ties.

def vjp(function, w, *args, **kwargs):
    """The adjoint, or a list of those of the operands that are given (None for the others)."""
    rule = RULES[function]
    adjoint = rule.vjp(w, function(*args, **kwargs), *args, **kwargs)
    given = rule.signature.bind(*args, **kwargs).arguments
    if not isinstance(adjoint, tuple):
        return adjoint
    return [f() if n.lstrip("*") in given else None for n, f in zip(rule.operands, adjoint, strict=True)]


def test_clip_shares_at_its_bounds():
    x = np.array([-1.0, 0.0, 0.5, 1.0, 2.0, np.nan])
    low, high = np.zeros(6), np.ones(6)
    adjoints = vjp(np.clip, np.ones(6), x, low, high)
    np.testing.assert_array_equal(adjoints[0], [0, 0.5, 1, 0.5, 0, 0])
    np.testing.assert_array_equal(adjoints[1], [1, 0.5, 0, 0, 0, 0])
    np.testing.assert_array_equal(adjoints[2], [0, 0, 0, 0.5, 1, 0])


def test_clip_with_where():
    x, where, out = np.array([-2.0, 0.5, 0.7]), np.array([True, False, True]), np.zeros(3)
    result = np.clip(x, 0.0, 1.0, where=where, out=out)
    adjoints = [f() for f in RULES[np.clip].vjp(np.ones(3), result, x, 0.0, 1.0, where=where)[:3]]
    np.testing.assert_array_equal(adjoints[0], [0, 0, 1])
    assert adjoints[1] == 1.0 and adjoints[2] == 0.0


def test_sorting_moves_each_adjoint_to_one_of_the_equal_elements():
    x = np.array([2.0, 1.0, 2.0, 1.0, np.nan])
    for function, args in ((np.sort, ()), (np.partition, (2,))):
        adjoint = vjp(function, np.array([1.0, 2.0, 4.0, 8.0, 16.0]), x, *args)
        assert {adjoint[1], adjoint[3]} == {1.0, 2.0} and {adjoint[0], adjoint[2]} == {4.0, 8.0} and adjoint[4] == 16.0
    assert sorted(vjp(np.median, np.array(1.0), np.array([1.0, 1.0, 1.0, 1.0]))) == [0.0, 0.0, 0.5, 0.5]


def test_unique_shares_between_equal_elements():
    x = np.array([2.0, 1.0, 2.0, 2.0])
    np.testing.assert_allclose(vjp(np.unique, np.array([3.0, 6.0]), x), [2.0, 3.0, 2.0, 2.0])
    np.testing.assert_allclose(vjp(np.unique, np.array([[3.0], [6.0]]), x[:, None], axis=0).ravel(), [2.0, 3.0, 2.0, 2.0])
    first, second = vjp(np.intersect1d, np.array([6.0]), x, np.array([2.0, 5.0]))
    np.testing.assert_allclose(first, [1.5, 0.0, 1.5, 1.5])
    np.testing.assert_allclose(second, [1.5, 0.0])
    np.testing.assert_allclose(vjp(np.setdiff1d, np.array([6.0]), x, np.array([1.0])), [2.0, 0.0, 2.0, 2.0])
    np.testing.assert_allclose(vjp(np.unique, np.array([1.0, 4.0]), np.array([np.nan, 3.0, np.nan])), [2.0, 1.0, 2.0])


@pytest.mark.parametrize("function", sorted(DIRECT, key=lambda f: f.__name__), ids=lambda f: f.__name__)
def test_unique_with_integer_results(function):
    x = np.array([[2.0, 1.0], [2.0, 0.5]])
    result = function(x)
    w = tuple(np.array([1.0, 2.0, 4.0])[np.argsort(np.argsort(r))] if i == 0 else None for i, r in enumerate(result))
    np.testing.assert_allclose(RULES[function].vjp(w, result, x), [[2.0, 2.0], [2.0, 1.0]])
    result = np.unique(x, return_index=True, return_counts=True)
    w = np.array([1.0, 2.0, 4.0]), None, None
    np.testing.assert_allclose(RULES[np.unique].vjp(w, result, x, True, False, True), [[2.0, 2.0], [2.0, 1.0]])


def test_quantile_at_the_ends_has_the_slope_inside():
    x = np.array([3.0, 1.0, 7.0])
    for q, slope in ((0.0, 4.0), (1.0, 8.0), (0.5, 8.0)):
        np.testing.assert_allclose(vjp(np.quantile, np.array(1.0), x, q)[1], slope)
        np.testing.assert_allclose(vjp(np.percentile, np.array(1.0), x, 100 * q)[1], slope / 100)
    assert vjp(np.quantile, np.array(1.0), x, 0.01, method="hazen")[1] == 0.0


def test_slices_of_nan_get_zero():
    x = np.array([[np.nan, np.nan], [np.nan, 2.0]])
    with pytest.warns(RuntimeWarning):
        median = vjp(np.nanmedian, np.array([1.0, 3.0]), x, axis=1)
        quantile, _ = vjp(np.nanquantile, np.array([1.0, 3.0]), x, 0.3, axis=1)
        for adjoint in (median, quantile):
            np.testing.assert_array_equal(adjoint, [[0.0, 0.0], [0.0, 3.0]])


def test_interp_at_knots_steps_and_infinities():
    xp, fp = np.array([0.0, 1.0, 1.0, 3.0]), np.array([0.0, 1.0, 5.0, 9.0])
    x = np.array([0.0, 1.0, 3.0, np.nan])
    adjoints = vjp(np.interp, np.ones(4), x, xp, fp)
    np.testing.assert_array_equal(adjoints[0], [1.0, 2.0, 2.0, 0.0])
    np.testing.assert_array_equal(adjoints[2], [1.0, 0.0, 1.0, 1.0])
    ends = vjp(np.interp, np.ones(2), np.array([-5.0, 5.0]), np.array([-np.inf, 0.0, np.inf]), np.array([1.0, 2.0, 3.0]))
    np.testing.assert_array_equal(ends[0], [0.0, 0.0])
    np.testing.assert_array_equal(ends[2], [0.0, 2.0, 0.0])
    step = vjp(np.interp, np.ones(1), np.array([1.0]), np.array([0.0, 1.0, 1.0]), np.array([0.0, 1.0, 5.0]))
    np.testing.assert_array_equal(step[2], [0.0, 0.0, 1.0])


def test_constant_variables_do_not_spoil_other_correlations():
    x = np.array([[1.0, 1.0, 1.0], [1.0, 2.0, 4.0], [2.0, 0.0, 1.0]])
    w = np.zeros((3, 3))
    w[1, 2] = 1.0
    with pytest.warns(RuntimeWarning):
        got = vjp(np.corrcoef, w, x)[0]
    np.testing.assert_allclose(got[1:], vjp(np.corrcoef, w[1:, 1:], x[1:])[0])
    np.testing.assert_array_equal(got[0], 0.0)


def test_polymul_drops_leading_zeros():
    first, second = vjp(np.polymul, np.array([1.0, 10.0, 100.0]), np.array([0.0, 2.0, 3.0]), np.array([0.0, 0.0, 1.0, 5.0]))
    np.testing.assert_array_equal(first, [0.0, 51.0, 510.0])
    np.testing.assert_array_equal(second, [0.0, 0.0, 32.0, 320.0])


def test_polymul_of_tangents_that_begin_with_zeros():
    """NumPy would drop these; the tangent of the product has them."""
    a, b = np.array([1.0, 2.0, 3.0]), np.array([2.0, -1.0, 0.5, 4.0])
    for at in range(3):
        value, tangent = fastad.jvp(lambda a: np.polymul(a, b), (a,), (np.eye(3)[at],))
        np.testing.assert_array_equal(tangent, np.convolve(np.eye(3)[at], b))
    np.testing.assert_allclose(fastad.hessian(lambda a: np.sum(np.polymul(a, a)))(a), np.full((3, 3), 2.0))


def test_angle_of_complex_numbers_is_refused():
    with pytest.raises(NotImplementedError):
        RULES[np.angle].vjp(np.ones(2), np.ones(2), np.array([1.0 + 1j, 2.0]))


# Functions that call the user's functions run on active arrays.

PIECES = [
    (A, [A < -0.2, A > 0.3], [np.negative, np.square]), (A, [A < -0.2, A > 0.3], [1.5, np.square, lambda x: x + 1]),
    (A, [A < 0.3, A < 0.0], [np.sin, np.cos, 7]), (V, V < 0, [np.exp]), (V, [v < 0 for v in V], [np.exp, np.log1p]),
    (np.array(0.3), [True], [np.exp, 2]), (np.array(0.3), [False], [np.exp, np.sin]), (np.arange(5), [np.arange(5) > 2], [0.7]),
    (EMPTY, [EMPTY > 0], [np.exp]), (A, [A[:, 0] < 0, A[:, 0] >= 0], [np.negative, np.square]),
    (A, [A[:, 0] < 0], [lambda x, *_, **k: x * np.sum(x), 2.0]), (np.ones((2, 0)), [np.array([True, False])], [np.exp, 1.0]),
]


@pytest.mark.parametrize("x, conditions, functions", PIECES, ids=range(len(PIECES)))
def test_piecewise(x, conditions, functions):
    expected = np.piecewise(x, conditions, functions)
    got = selection.piecewise(x, conditions, functions)
    np.testing.assert_array_equal(got, expected)
    assert got.dtype == expected.dtype
    with pytest.raises(ValueError, match="functions are expected"):
        selection.piecewise(A, [A > 0], [1, 2, 3])
    with pytest.raises(IndexError, match=r"shape \(4,\) for an array of shape \(3, 4\)"):
        selection.piecewise(CUBE[0], [CUBE[0, 0] > 0], [1.0, 2.0])
    scaled = selection.piecewise(x, conditions, [lambda v, a, b=0: a * v + b] * len(functions), 2.0, b=1.0)
    np.testing.assert_array_equal(scaled, np.piecewise(x, conditions, [lambda v, a, b=0: a * v + b] * len(functions), 2.0, b=1.0))


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -3])
@pytest.mark.parametrize("function", [np.sum, np.sort, np.diff, np.outer, lambda v: v[:2, None] * v])
def test_apply_along_axis(axis, function):
    call = (lambda v: np.outer(v, v)) if function is np.outer else function
    np.testing.assert_array_equal(selection.apply_along_axis(call, axis, CUBE), np.apply_along_axis(call, axis, CUBE))


def test_apply_along_axis_refuses_as_numpy_does():
    with pytest.raises(np.exceptions.AxisError):
        selection.apply_along_axis(np.sum, 3, CUBE)
    with pytest.raises(ValueError, match="iteration dimensions are 0"):
        selection.apply_along_axis(np.sum, 1, EMPTY)
    np.testing.assert_array_equal(selection.apply_along_axis(np.sum, 0, EMPTY), np.zeros(4))


@pytest.mark.parametrize("axes", [0, -1, (0, 2), [1], ()])
@pytest.mark.parametrize("function", [np.sum, lambda a, axis: np.sum(a, axis, keepdims=True), np.cumsum])
def test_apply_over_axes(axes, function):
    np.testing.assert_array_equal(selection.apply_over_axes(function, CUBE, axes), np.apply_over_axes(function, CUBE, axes))


# JAX and autograd as oracles, second derivatives of sinc included.

JAX = [
    (np.where, (MASK, A, B), "where", 1), (np.clip, (A, -0.3, 0.4), "clip", 0), (np.take, (CUBE, [[0, 1]], 1), None, 0),
    (np.sort, (CUBE, 1), "sort", 0), (np.median, (CUBE, 2), "median", 0), (np.interp, (X, XP, FP), "interp", 0),
    (np.interp, (X, XP, FP), "interp", 1), (np.interp, (X, XP, FP), "interp", 2), (np.sinc, (A,), "sinc", 0),
    (np.quantile, (CUBE, np.array([0.3, 0.6]), 2), "quantile", 0),
    (np.quantile, (CUBE, np.array([0.3, 0.6]), 2), "quantile", 1),
    (np.nanquantile, (WITH_NAN, 0.3, 2), "nanquantile", 0), (np.cov, (A,), "cov", 0), (np.corrcoef, (A,), "corrcoef", 0),
    (np.polyval, (V, A), "polyval", 0), (np.polyval, (V, A), "polyval", 1), (np.unwrap, (20 * CUBE,), "unwrap", 0),
    (np.polymul, (V, W), "polymul", 0), (np.i0, (A,), "i0", 0),
]


@pytest.mark.parametrize("function, args, peer, k", JAX, ids=lambda v: getattr(v, "__name__", v if isinstance(v, str) else None))
def test_against_jax(function, args, peer, k):
    jax = pytest.importorskip("jax")
    jnp = jax.numpy
    with jax.enable_x64(True):
        peer = getattr(jnp, peer) if peer else (lambda a, indices, axis: jnp.take(a, jnp.array(indices), axis))
        w = random_like(function(*args), np.random.default_rng(9))
        one = jax.vjp(lambda x: peer(*args[:k], x, *args[k + 1:]), args[k])[1](jnp.asarray(w))[0]
        name = list(RULES[function].signature.parameters)[k]
        got = vjp(function, w, *args)
        if isinstance(got, list):
            got = got[RULES[function].operands.index(name)]
        np.testing.assert_allclose(got, one, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name, args", [("sort", (V,)), ("clip", (A, -0.3, 0.4)), ("where", (MASK, A, B)), ("partition", (W, 3))])
def test_against_autograd(name, args):
    function, peer, k = getattr(np, name), getattr(autograd.numpy, name), 1 if name == "where" else 0
    w = random_like(function(*args), np.random.default_rng(10))
    one = autograd.make_vjp(lambda x: peer(*args[:k], x, *args[k + 1:]))(args[k])[0](w)
    adjoints = vjp(function, w, *args)
    np.testing.assert_allclose(adjoints[0] if isinstance(adjoints, list) else adjoints, one)


def test_slope_of_sinc_near_zero():
    import mpmath
    x = np.array([1e-12, 1e-4, 0.1, 0.3, 0.6, 0.63, 0.64, 0.7, 1.0, 3.3])
    with mpmath.workdps(60):
        exact = [float((mpmath.cos(mpmath.pi * t) - mpmath.sincpi(t)) / t) for t in map(mpmath.mpf, x)]
    np.testing.assert_allclose(vjp(np.sinc, np.ones(len(x)), x), exact, rtol=2e-15, atol=0)
    assert vjp(np.sinc, np.array(1.0), np.array(0.0)) == 0.0


def test_tracked_functions():
    assert all(callable(f) for f in TRACKED)
    assert not [f for f in TRACKED & set(RULES) if RULES[f].operands]
    assert sum(len(functions) for functions in TRACKED_GROUPS.values()) == len(TRACKED)
    assert {np.argmax, np.isclose, np.round, np.shape, np.linalg.matrix_rank} <= TRACKED
