"""Derivative rules of functions that arrange, join, split and create arrays."""

import numpy as np
import pytest
from rule_checks import case, check, check_against_jax, check_covered, first_cases, load_all_rules

from fastad.arrays.rules import helpers, joins, shapes
from fastad.arrays.rules.registry import RULES
from fastad.errors import TraceError

load_all_rules()
rng = np.random.default_rng(0)


def array(*shape):
    return rng.uniform(-2.0, 2.0, shape)


windows = np.lib.stride_tricks.sliding_window_view
fortran = np.asfortranarray(array(2, 3, 4))
holes = array(5)
holes[[0, 2, 4]] = 0.0

SHAPES = [
    *(case(np.reshape, array(2, 3, 4), s, **k) for s in ((6, 4), -1, (4, -1)) for k in ({}, {"order": "F"}, {"order": "C"})),
    case(np.reshape, fortran, (6, 4), order="A", layouts=False),
    case(np.reshape, array(2, 3), (3, 2), order="A", layouts=False),
    case(np.reshape, array(), (1, 1)), case(np.reshape, array(0, 3), (3, 0, 2)),
    case(np.reshape, array(2), (2,), copy=True),
    *(case(np.ravel, x, order=o, layouts=o in "CF") for x in (array(2, 3, 4), fortran, fortran.transpose(1, 0, 2), array())
      for o in "CFAK"),
    case(np.ravel, np.broadcast_to(array(3, 1), (3, 4)), "K", layouts=False),
    case(np.ravel, array(4, 6)[::-1, ::2], "K", layouts=False),
    case(np.transpose, array(2, 3, 4)), case(np.transpose, array(2, 3, 4), (1, 2, 0)),
    case(np.transpose, array(2, 3, 4), [-1, 0, -2]),
    case(np.transpose, array(3)), case(np.transpose, array()),
    case(np.permute_dims, array(2, 3, 4), axes=(2, 0, 1)),
    case(np.matrix_transpose, array(2, 3, 4)), case(np.linalg.matrix_transpose, array(2, 3)),
    case(np.swapaxes, array(2, 3, 4), 0, -1), case(np.moveaxis, array(2, 3, 4), 0, -1),
    case(np.moveaxis, array(2, 3, 4, 5), [0, -1], [2, 0]),
    *(case(np.rollaxis, array(2, 3, 4, 5), axis, start) for axis in (-1, 0, 2) for start in (-2, 0, 1, 3, 4)),
    case(np.expand_dims, array(2, 3), 1), case(np.expand_dims, array(2, 3), (0, -1)),
    case(np.expand_dims, array(), 0),
    case(np.squeeze, array(1, 3, 1)), case(np.squeeze, array(1, 3, 1), -1),
    case(np.squeeze, array(1, 3, 1), axis=(0, 2)),
    case(np.squeeze, array(1, 1)),
    *(case(f, *x) for f in (np.atleast_1d, np.atleast_2d, np.atleast_3d)
      for x in ([array()], [array(3)], [array(2, 3)], [array(), 2.5, array(2, 3), array(2, 3, 4, 1), [1, 2]], [array(0)])),
    case(np.broadcast_to, array(3, 1), (2, 3, 4)), case(np.broadcast_to, array(), (2, 3)),
    case(np.broadcast_to, array(1), (0,)),
    case(np.broadcast_to, array(2, 3), (2, 3)), case(np.broadcast_to, array(1, 1), (1, 4)),
    case(np.broadcast_arrays, array(3, 1), array(4), array(), 1.5), case(np.broadcast_arrays, array(2)),
    *(case(np.flip, array(2, 3, 4), axis) for axis in (None, 0, -1, (0, 2), ())), case(np.flip, array()),
    case(np.fliplr, array(2, 3, 4)), case(np.flipud, array(3, 2)), case(np.flipud, array(3)),
    *(case(np.roll, array(2, 3, 4), *a) for a in ((5,), (-1, 0), (2, -1), ((1, 2), (0, 2)), (1, (0, 1)), ((1, 2), 1))),
    case(np.roll, array(), 1), case(np.roll, array(0), 1),
    *(case(np.rot90, array(2, 3, 4), k, axes) for k in (-1, 0, 1, 2, 7) for axes in ((0, 1), (2, 0), (-1, 1))),
    *(case(f, array(4, 5), axes) for f in (np.fft.fftshift, np.fft.ifftshift) for axes in (None, 0, -1, (0, 1))),
]

SELECTIONS = [
    *(case(np.tile, array(2, 3), reps) for reps in (2, (2,), (2, 1), (3, 2, 2), [1, 4], 0, (2, 0), ())),
    case(np.tile, array(), 3), case(np.tile, array(), ()), case(np.tile, array(3), (2, 2)),
    case(np.tile, array(0), 2),
    case(np.tile, array(2), np.array([2, 3])),
    *(case(np.repeat, array(2, 3), *a) for a in (
        (3,), (2, 0), (2, -1), ([2], 1), ([2, 0, 3], 1), ([1, 2], 0), (np.arange(6),), (0,))),
    case(np.repeat, array(), 3), case(np.repeat, array(), [3]), case(np.repeat, array(0, 2), 2, axis=1),
    case(np.repeat, array(1, 2), [3], axis=0),
    case(np.resize, array(2, 3), (4, 4)), case(np.resize, array(2, 3), 4), case(np.resize, array(), (2,)),
    case(np.resize, array(0), (2, 2)), case(np.resize, array(3), (0,)),
    *(case(np.delete, array(3, 4), *a) for a in ((1,), (-1, 1), ([0, 2], 0), (slice(None, None, 2), 1), ([0, 0, -1],),
                                                 (np.array([True, False, True]), 0), ([], 0))),
    *(case(np.insert, array(3, 4), *a) for a in (
        (2, 1.5), (2, array(), 1), (1, array(4), 0), (1, array(3), 1), ([1], array(3, 1), 1),
        ([0, 2], array(3, 2), -1), ([0, 3], 2.5, 0),
        ([3, 0, 3], array(3), None), (slice(0, 2), array(2, 4), 0), (-1, array(1), 0), ([1, 1], array(2, 1), 0),
        (0, array(2, 4), 0))),
    case(np.insert, array(3), 1, [1, 2]), case(np.insert, [1.0, 2.0], 1, array(2)),
    case(np.insert, array(0), 0, array()),
    case(np.append, array(2, 3), array(4)), case(np.append, array(2, 3), array(1, 3), 0),
    case(np.append, array(2, 3), array(2, 2), axis=-1),
    case(np.append, array(2), 1.5), case(np.append, [1.0, 2.0], array()), case(np.append, array(), array(0)),
    *(case(np.trim_zeros, holes, t, keep_zeros=True) for t in ("fb", "f", "b", "FB")),
    case(np.trim_zeros, np.zeros(0)),
    case(windows, array(5), 3), case(windows, array(4, 5), (2, 3)), case(windows, array(4, 5), 2, axis=-1),
    case(windows, array(4, 5), (2, 2), axis=(1, 1)),
    *(case(f, array(*shape), *a) for f in (np.diagonal,) for shape, a in (
        ((3, 4), ()), ((3, 4), (1,)), ((3, 4), (-2,)), ((2, 3, 4), (1, 2, 0)),
        ((2, 3, 4), (0, -1, -2)), ((3, 4), (7,)), ((0, 2), ()))),
    case(np.linalg.diagonal, array(2, 3, 4)), case(np.linalg.diagonal, array(2, 3, 4), offset=-1),
    *(case(f, array(*shape), k) for f in (np.diag, np.diagflat) for shape in ((3,), (3, 4), (0,)) for k in (0, 1, -2)),
    case(np.diagflat, array()),
    *(case(f, array(*shape), k) for f in (np.tril, np.triu) for shape in ((3, 4), (2, 3, 3), (3,), (0, 2)) for k in (0, 1, -2)),
    case(np.copy, array(2, 3)), case(np.copy, array(), order="C"), case(np.copy, array(0)),
    case(np.real, array(2, 3)), case(np.imag, array(2, 3)), case(np.real_if_close, array(2, 3)),
    case(np.real, array()),
    case(np.nan_to_num, array(2, 3)), case(np.nan_to_num, array(), nan=1.0, posinf=2.0, copy=True),
]
if hasattr(np, "astype"):
    SELECTIONS += [case(np.astype, array(2, 3), np.float64),
                   case(np.astype, array(2, 3), np.float32, step=0.5, rtol=1e-6, float32=False, linear=False)]
if np.lib.NumpyVersion(np.__version__) >= "2.2.0":
    block = np.zeros((4, 5, 3))
    block[1:3, 2:4, 1:] = array(2, 2, 2)
    SELECTIONS += [case(np.trim_zeros, block, t, axis=a, keep_zeros=True) for t in ("fb", "f", "b")
                   for a in (None, 0, -1, (0, 1))]

WIDTHS = (2, (1, 3), ((1, 2), (0, 3)), ((2,), (1,)), ((1, 2),), 0, np.array([[2, 1], [0, 0]]))
PADS = [
    *(case(np.pad, array(3, 4), width, mode) for width in WIDTHS for mode in (
        "constant", "edge", "linear_ramp", "maximum", "mean", "median", "minimum", "reflect", "symmetric", "wrap")),
    case(np.pad, array(3, 4), 1), case(np.pad, array(2), 1, "constant", constant_values=3.0),
    case(np.pad, array(3, 4), ((1, 2), (3, 4)), constant_values=((1.0, 2.0), (3.0, 4.0))),
    *(case(np.pad, array(n), (5, 7), mode, reflect_type=kind) for n in (1, 2, 3, 4) for mode in ("reflect", "symmetric")
      for kind in ("even", "odd")),
    *(case(np.pad, array(3, 4), ((2, 1), (5, 3)), mode, reflect_type="odd") for mode in ("reflect", "symmetric")),
    *(case(np.pad, array(n), (5, 7), mode) for n in (1, 2, 3) for mode in ("wrap", "edge", "linear_ramp", "mean", "maximum")),
    *(case(np.pad, array(4, 5), 2, mode, stat_length=s) for mode in ("maximum", "mean", "median", "minimum")
      for s in (1, 2, 9, (2, 3), ((1, 2), (3, 4)))),
    case(np.pad, array(3, 4), (2, 3), "linear_ramp", end_values=2.5),
    case(np.pad, array(2, 3, 2), (2, 1), "linear_ramp", end_values=((1, 2), (3, 4), (5, 6))),
    case(np.pad, array(2, 3, 2), ((0, 1), (2, 0), (1, 1)), "reflect"),
    case(np.pad, array(2, 3, 2), 1, "mean"),
    case(np.pad, array(0, 3), 1), case(np.pad, array(0, 3), ((0, 0), (1, 1)), "edge"),
]
if np.lib.NumpyVersion(np.__version__) >= "2.4.0":
    PADS += [case(np.pad, array(3, 4), {-1: (1, 2)}, "edge"), case(np.pad, array(3, 4), {0: 2})]

two, three = array(2, 3), array(2, 3, 4)
JOINS = [
    *(case(np.concatenate, (array(2, 3), array(2, 3)), axis) for axis in (0, -1, 1, None)),
    case(np.concatenate, [array(2), [1.0, 2.0], array(0), array(3)]),
    case(np.concatenate, array(3, 2, 2), axis=1),
    case(np.concatenate, (array(2), array(3)), dtype=np.float64, casting="same_kind"),
    case(np.concatenate, (array(), array(2, 2)), axis=None),
    case(np.concat, (array(2, 1), array(2, 4)), axis=1),
    *(case(np.stack, [array(2, 3), array(2, 3)], axis) for axis in (0, 1, -1)),
    case(np.stack, (array(), 1.5, array())),
    case(np.stack, array(3, 2), axis=-1), case(np.stack, [array(0), array(0)]),
    *(case(f, x) for f in (np.vstack, np.hstack, np.dstack, np.column_stack) for x in (
        (array(3), array(3)), [array(), array(), 2.0], (array(2, 3), array(2, 3)), array(3, 2, 2), [[1.0, 2.0], array(2)])),
    case(np.vstack, (array(3), array(2, 3))), case(np.hstack, (array(2, 1, 3), array(2, 2, 3))),
    case(np.hstack, (array(), array(3))),
    case(np.dstack, (array(3), array(1, 3, 2))), case(np.dstack, (array(2, 3), array(2, 3, 4))),
    case(np.column_stack, (array(3), array(3, 2))),
    case(np.block, [array(2), array(), 1.5]), case(np.block, [[array(2, 2), array(2, 1)], [array(3), ]]),
    case(np.block, [[array(2, 3)], [array(3)]]),
    case(np.block, array(2, 3)), case(np.block, [[[array(1)], [array(1)]]]),
    case(np.block, [array(2, 0), array(2, 3)]),
    *(case(np.split, array(6, 4), *a) for a in ((3,), ([1, 4],), (2, -1), ([4, 2],), ([-1],), ([9],), ([0, 0],))),
    *(case(np.array_split, array(7, 2), *a) for a in ((3,), ([2, 5], 0), (4, -1), ([5, 2, 9],))),
    case(np.hsplit, array(2, 4), 2), case(np.hsplit, array(4), [1]), case(np.vsplit, array(4, 2), [1, 2]),
    case(np.dsplit, array(2, 2, 4), 2),
]
if hasattr(np, "unstack"):
    JOINS += [case(np.unstack, array(2, 3)), case(np.unstack, array(2, 3), axis=-1),
              case(np.unstack, array(3)), case(np.unstack, array(0, 2))]

CREATION = [
    *(case(f, array(2, 3), **k) for f in (np.zeros_like, np.ones_like) for k in ({}, {"shape": (4,)}, {"dtype": np.float32})),
    case(np.empty_like, array(0)),
    case(np.full_like, array(2, 3), array()), case(np.full_like, array(2, 3), array(3)),
    case(np.full_like, array(2, 3), 1.5, shape=(4,)),
    case(np.full_like, array(2, 3), array(2, 1), order="F", subok=False),
    case(np.full_like, array(0), array()),
    case(np.full, (2, 3), array(2, 1)), case(np.full, 4, array()), case(np.full, (2,), 1.5),
    *(case(np.meshgrid, array(3), array(2), array(4), indexing=i, sparse=s) for i in ("xy", "ij") for s in (False, True)),
    case(np.meshgrid, array(3)), case(np.meshgrid, array(3), 2.5, copy=True),
    case(np.meshgrid, array(2), array(0)), case(np.meshgrid, array(2, 2), array(3)),
    *(case(np.linspace, *a, **k) for a in (
        (array(), array()), (1.0, array(3)), (array(2, 1), array(3), 5), (0.5, 2.5, 1), (array(), array(), 0))
      for k in ({"num": 4} if len(a) < 3 else {}, {"endpoint": False}, {"retstep": True, "layouts": False}, {"axis": -1})
      if not (k.get("retstep") and len(a) > 2 and a[2] < 2)),
    *(case(np.logspace, *a, **k) for a in ((array(), array(3), 4), (0.5, 1.5, 1), (array(2, 1), array(3), 3))
      for k in ({}, {"endpoint": False}, {"base": 2.5}, {"axis": -1}, {"base": np.array([2.0, 3.0, 1.5])})),
    *(case(np.geomspace, *a, **k) for a in (
        (1.5 + abs(array()), 1 + abs(array(3)), 4), (0.5, 1.5, 1), (-2 - abs(array(2, 1)), -1 - abs(array(3)), 3))
      for k in ({}, {"endpoint": False}, {"axis": -1})),
    *(case(np.vander, array(4), *a, **k) for a in ((), (2,), (6,), (0,), (1,)) for k in ({}, {"increasing": True})),
    case(np.vander, np.zeros(2)),
    case(np.vander, array(0), 3),
]

HELPERS = [
    case(helpers.scatter_add, array(3, 4), rng.integers(-10, 10, (3, 4)), (2, 5)),
    case(helpers.scatter_add, array(), np.array(1), (2,)),
    case(helpers.scatter_add, array(0), np.zeros(0, int), (2, 0)),
]

CASES = SHAPES + SELECTIONS + PADS + JOINS + CREATION + HELPERS


@pytest.mark.parametrize("one", CASES)
def test_rule(one):
    check(one)


@pytest.mark.parametrize("module", [shapes, joins, helpers])
def test_covered(module):
    check_covered(module, CASES)


def test_an_element_of_value_zero_inside_the_trimmed_part_has_a_derivative():
    x = np.array([0.0, 0.0, 3.0, 0.0, 4.0, 0.0])
    rule = RULES[np.trim_zeros]
    w = np.array([5.0, 6.0, 7.0])
    np.testing.assert_array_equal(rule.vjp(w, np.trim_zeros(x), x), [0, 0, 5, 6, 7, 0])
    np.testing.assert_array_equal(rule.vjp(w[:0], x[:0], np.zeros(2)), [0, 0])


def test_infinities_and_nans_replaced_by_constants_have_derivative_zero():
    x = np.array([1.0, np.nan, np.inf, -np.inf])
    np.testing.assert_array_equal(RULES[np.nan_to_num].vjp(np.full(4, 2.0), np.nan_to_num(x), x), [2, 0, 0, 0])


def test_infinite_adjoints_of_elements_left_out_do_not_spread():
    w = np.full((2, 2), np.inf)
    np.testing.assert_array_equal(RULES[np.tril].vjp(w, np.tril(w), np.ones((2, 2))), [[np.inf, 0], [np.inf, np.inf]])
    np.testing.assert_array_equal(RULES[np.delete].vjp(np.array([np.inf]), np.ones(1), np.ones(2), 0), [0, np.inf])


def test_padding_with_a_function_of_the_user_is_refused():
    def fill(vector, width, axis, kwargs):
        vector[:width[0]] = vector[width[0]]
    x = array(3)
    with pytest.raises(TraceError, match="np.concatenate"):
        RULES[np.pad].vjp(array(5), np.pad(x, 1, fill), x, 1, fill)


def test_operands_of_mixed_precision_keep_theirs():
    x, y = array(2), array(2).astype(np.float32)
    for function in (np.concatenate, np.stack, np.vstack, np.hstack, np.dstack, np.column_stack, np.block):
        result = function([x, y])
        one, other = RULES[function].vjp(np.ones_like(result), result, [x, y])
        assert (one.dtype, other.dtype) == (np.float64, np.float32)
    of_array, of_values = RULES[np.insert].vjp(np.ones(4, np.float32), np.insert(y, 1, x), y, 1, x)
    assert (of_array().dtype, of_values().dtype) == (np.float32, np.float64)


@pytest.mark.parametrize("one", first_cases(CASES, 2) + PADS[::5])
def test_jax(one):
    check_against_jax(one)
