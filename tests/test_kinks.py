"""Kinks and poles: the documented derivative where a function has none, the same in every mode."""

import math

import numpy as np
import pytest
from scipy import special

import fastad
from fastad import math as fm

inf, nan = math.inf, math.nan


# Gradients at a point given as a list of floats, in the four ways fastad has

def units(point):
    return [[float(i == k) for i in range(len(point))] for k in range(len(point))]


def reverse(f, point):
    return fastad.grad(f)(point)


def tangent(f, point):
    return [fastad.jvp(f, (point,), (unit,))[1] for unit in units(point)]


def recorded_reverse(f, point):
    return fastad.vjp(fastad.grad(f), point)[0]


def recorded_tangent(f, point):
    return [fastad.vjp(lambda xs, unit=unit: fastad.jvp(f, (xs,), (unit,))[1], point)[0]
            for unit in units(point)]


WAYS = [reverse, tangent, recorded_reverse, recorded_tangent]


# Hessians, in the four ways fastad has

def reverse_tangent(f, point):
    return fastad.hessian(f)(point)


def forward_over_reverse(f, point):
    return fastad.jacobian(fastad.grad(f), mode="forward")(point)


def reverse_over_reverse(f, point):
    return fastad.jacobian(fastad.grad(f), mode="reverse")(point)


def forward_over_forward(f, point):
    return [[fastad.jvp(lambda xs, u=u: fastad.jvp(f, (xs,), (u,))[1], (point,), (w,))[1]
             for w in units(point)] for u in units(point)]


SECOND_WAYS = [reverse_tangent, forward_over_reverse, reverse_over_reverse, forward_over_forward]


def named(cases):
    return [pytest.param(*values, id=name) for name, values in cases.items()]


def one(f):
    return lambda xs: f(xs[0])


def two(f):
    return lambda xs: f(xs[0], xs[1])


FIRST = {
    "abs": (one(abs), [0.0], [0.0]), "abs of -0.0": (one(abs), [-0.0], [0.0]),
    "fabs": (one(fm.fabs), [0.0], [0.0]), "np.abs": (one(np.abs), [0.0], [0.0]),
    "sign": (one(np.sign), [0.0], [0.0]), "maximum": (two(np.maximum), [2.0, 2.0], [0.5, 0.5]),
    "minimum": (two(np.minimum), [2.0, 2.0], [0.5, 0.5]), "fmax": (two(np.fmax), [2.0, 2.0], [0.5, 0.5]),
    "fmin": (two(np.fmin), [2.0, 2.0], [0.5, 0.5]), "fmax of nan": (two(np.fmax), [nan, 2.0], [0.0, 1.0]),
    "fmin of nan": (two(np.fmin), [2.0, nan], [1.0, 0.0]),
    "maximum with a number": (one(lambda x: np.maximum(x, 0)), [0.0], [0.5]),
    "maximum of infinities": (two(np.maximum), [inf, inf], [0.5, 0.5]),
    "max takes the first": (two(max), [2.0, 2.0], [1.0, 0.0]),
    "min takes the first": (two(min), [2.0, 2.0], [1.0, 0.0]),
    "copysign of 0": (two(fm.copysign), [0.0, -2.0], [0.0, 0.0]),
    "copysign to 0": (two(np.copysign), [3.0, 0.0], [1.0, 0.0]),
    "heaviside": (two(np.heaviside), [0.0, 0.5], [0.0, 1.0]),
    "heaviside above": (two(np.heaviside), [1.0, 0.5], [0.0, 0.0]), "floor": (one(fm.floor), [2.0], [0.0]),
    "ceil": (one(fm.ceil), [2.0], [0.0]), "trunc": (one(fm.trunc), [2.0], [0.0]),
    "rint": (one(np.rint), [2.5], [0.0]), "round": (one(lambda x: round(x) * x), [2.0], [2.0]),
    "//": (one(lambda x: x // 1), [2.0], [0.0]), "%": (one(lambda x: x % 1), [2.0], [1.0]),
    "sqrt": (one(fm.sqrt), [0.0], [inf]), "np.sqrt": (one(np.sqrt), [0.0], [inf]),
    "cbrt": (one(fm.cbrt), [0.0], [inf]), "log": (one(fm.log), [0.0], [inf]),
    "log2": (one(fm.log2), [0.0], [inf]), "log10": (one(fm.log10), [0.0], [inf]),
    "log1p": (one(fm.log1p), [-1.0], [inf]), "asin": (one(fm.asin), [1.0], [inf]),
    "acos": (one(fm.acos), [1.0], [-inf]), "acosh": (one(fm.acosh), [1.0], [inf]),
    "atanh": (one(fm.atanh), [1.0], [inf]), "1/x": (one(lambda x: 1 / x), [0.0], [-inf]),
    "hypot": (two(fm.hypot), [0.0, 0.0], [0.0, 0.0]), "np.hypot": (two(np.hypot), [0.0, 0.0], [0.0, 0.0]),
    "hypot of three": (lambda xs: fm.hypot(*xs), [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]),
    "hypot of one": (one(fm.hypot), [0.0], [0.0]),
    "dist": (lambda xs: fm.dist(xs, [1.0, 2.0, 3.0]), [1.0, 2.0, 3.0], [0.0, 0.0, 0.0]),
    "atan2": (two(fm.atan2), [0.0, 0.0], [0.0, 0.0]),
    "np.arctan2": (two(np.arctan2), [-0.0, 0.0], [0.0, 0.0]),
    "logaddexp": (two(np.logaddexp), [-inf, -inf], [0.5, 0.5]),
    "logaddexp2": (two(np.logaddexp2), [-inf, -inf], [0.5, 0.5]),
    "logaddexp of -inf": (two(np.logaddexp), [-inf, 1.0], [0.0, 1.0]),
    "logaddexp of inf": (two(np.logaddexp), [inf, 1.0], [1.0, 0.0]),
    "root of a square": (one(lambda x: fm.sqrt(x * x)), [0.0], [0.0]),
    "root of a sum of squares": (two(lambda x, y: fm.sqrt(x**2 + y**2)), [0.0, 0.0], [0.0, 0.0]),
    "xlogy": (two(special.xlogy), [0.0, 0.0], [0.0, 0.0]), "0**0": (two(pow), [0.0, 0.0], [0.0, 0.0]),
    "0**2": (two(pow), [0.0, 2.0], [0.0, 0.0]), "0**1": (two(pow), [0.0, 1.0], [1.0, 0.0]),
    "0**0.5": (two(pow), [0.0, 0.5], [inf, 0.0]), "x**0": (one(lambda x: x**0), [0.0], [0.0]),
    "x**1": (one(lambda x: x**1), [0.0], [1.0]), "x**2": (one(lambda x: x**2), [0.0], [0.0]),
    "x**0.5": (one(lambda x: x**0.5), [0.0], [inf]), "x**-1": (one(lambda x: x**-1), [0.0], [-inf]),
    "0**y": (one(lambda y: 0.0**y), [2.0], [0.0]), "0**y at 0": (one(lambda y: 0.0**y), [0.0], [0.0]),
    "1**y": (one(lambda y: 1.0**y), [3.0], [0.0]), "inf**0": (one(lambda x: x**0), [inf], [0.0]),
    "nan**0": (one(lambda x: x**0), [nan], [0.0]), "(-2)**3": (one(lambda x: x**3), [-2.0], [12.0]),
    "(-2)**-2": (one(lambda x: x**-2), [-2.0], [0.25]), "(-2)**y": (two(pow), [-2.0, 3.0], [12.0, nan]),
    "negative base": (one(lambda y: (-2.0)**y), [3.0], [nan]),
    "(-2)**floor(y)": (two(lambda x, y: x**fm.floor(y)), [-2.0, 3.5], [12.0, 0.0]),
    "(-2)**stop_gradient(y)": (two(lambda x, y: x**fastad.stop_gradient(y)), [-2.0, 3.0], [12.0, 0.0]),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("f, point, want", named(FIRST))
def test_first_derivatives(way, f, point, want):
    np.testing.assert_array_equal(way(f, point), want)


SECOND = {
    "x**0": (one(lambda x: x**0), [0.0], [[0.0]]), "x**1": (one(lambda x: x**1), [0.0], [[0.0]]),
    "x**2": (one(lambda x: x**2), [0.0], [[2.0]]), "x**3": (one(lambda x: x**3), [0.0], [[0.0]]),
    "x**2 in the exponent": (two(pow), [0.0, 2.0], [[2.0, 0.0], [0.0, 0.0]]),
    "x**3 in the exponent": (two(pow), [0.0, 3.0], [[0.0, 0.0], [0.0, 0.0]]),
    "(-2)**3": (one(lambda x: x**3), [-2.0], [[-12.0]]),
    "polynomial": (one(lambda x: sum(c * x**k for k, c in enumerate([1.0, 2.0, 3.0, 4.0]))), [0.0], [[6.0]]),
    "abs": (one(abs), [0.0], [[0.0]]), "hypot": (two(np.hypot), [0.0, 0.0], [[0.0, 0.0], [0.0, 0.0]]),
    "arctan2": (two(np.arctan2), [0.0, 0.0], [[0.0, 0.0], [0.0, 0.0]]),
    "maximum": (two(lambda x, y: np.maximum(x**2, y)), [2.0, 4.0], [[1.0, 0.0], [0.0, 0.0]]),
    "logaddexp": (two(np.logaddexp), [-inf, -inf], [[0.25, -0.25], [-0.25, 0.25]]),
    "floor": (one(lambda x: x * fm.floor(x)), [2.0], [[0.0]]),
}


@pytest.mark.parametrize("way", SECOND_WAYS)
@pytest.mark.parametrize("f, point, want", named(SECOND))
def test_second_derivatives(way, f, point, want):
    np.testing.assert_array_equal(way(f, point), want)


def test_poles_of_second_derivatives():
    assert fastad.hessian(fm.sqrt)(0.0) == -inf and fastad.hessian(fm.log)(0.0) == -inf
    assert fastad.grad(fastad.grad(fm.sqrt))(0.0) == -inf and fastad.grad(fastad.grad(fm.log))(0.0) == -inf


@pytest.mark.parametrize("f, degree", [(np.hypot, 1), (np.arctan2, 0)])
@pytest.mark.parametrize("scale", [2.0**-400, 2.0**-100, 2.0**100, 2.0**400])
def test_lengths_and_angles_at_every_scale(f, degree, scale):
    # A homogeneous function: its second derivatives at scale*p are those at p times scale**(degree - 2).
    near = np.array(fastad.hessian(two(f))([3.0, 4.0]))
    for way in SECOND_WAYS:
        far = np.array(way(two(f), [3.0 * scale, 4.0 * scale]))
        np.testing.assert_allclose(far * scale ** (2 - degree), near, rtol=1e-13)


def test_values_at_the_poles():
    assert fastad.value_and_grad(fm.log)(0.0) == (-inf, inf)
    assert fastad.value_and_grad(fm.sqrt)(0.0) == (0.0, inf)
    assert fastad.value_and_grad(lambda x: 0.0**x)(-1.0)[0] == inf
    assert fastad.value_and_grad(lambda x: x**0)(nan) == (1.0, 0.0)
    assert math.isnan(fastad.value_and_grad(lambda x: x ** (1 / 3))(-8.0)[0])


# A branch not taken, and an adjoint or tangent of zero, keep infinity and NaN out

@pytest.mark.parametrize("x", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("way", WAYS + SECOND_WAYS)
def test_branch_not_taken(way, x):
    result = way(one(lambda x: fm.sqrt(x - 1) if x > 1 else 0.0), [x])
    np.testing.assert_array_equal(np.ravel(result), [0.0])


# Each is x*y plus a part that the result does not depend on, infinite or NaN at y = 0.
MASKED = {
    "zero times a pole": lambda x, y: x * y + 0.0 * fm.sqrt(y),
    "a power of zero": lambda x, y: x * y + 0.0 * y**0.5,
    "a pole of zero": lambda x, y: x * y + fm.sqrt(0.0 * y),
    "a pole before and behind": lambda x, y: x * y + fm.sqrt(y) * (0.0 * fm.sqrt(y)),
    "stopped": lambda x, y: x * y + 0.0 * fastad.stop_gradient(1 / y if y else 0.0) + 0 * fm.cbrt(y),
    "selected": lambda x, y: x * y + (0.0, fm.sqrt(y))[0],
    "a minimum": lambda x, y: x * y + np.minimum(fm.sqrt(y), -1.0),
    "zero by a decision": lambda x, y: x * y + np.greater(y, 1.0) * fm.sqrt(y),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", MASKED)
def test_zero_wins_over_infinity(way, name):
    assert way(two(MASKED[name]), [2.0, 0.0]) == [0.0, 2.0]


@pytest.mark.parametrize("way", SECOND_WAYS)
@pytest.mark.parametrize("name", MASKED)
def test_zero_wins_over_infinity_at_second_order(way, name):
    np.testing.assert_array_equal(way(two(MASKED[name]), [2.0, 0.0]), [[0.0, 1.0], [1.0, 0.0]])


@pytest.mark.parametrize("derivative", [fm.sqrt, fm.log, lambda y: 1 / y, lambda y: y**y,
                                        lambda y: fm.acos(y + 1)])
def test_an_independent_that_stands_still(derivative):
    # Along (1, 0) the pole in y is not felt, in a tangent sweep or a recorded one.
    def f(x, y):
        return x * x + derivative(y) * 1.0

    assert fastad.jvp(f, (3.0, 0.0), (1.0, 0.0))[1] == 6.0
    assert fastad.jvp(lambda x, y: fastad.jvp(f, (x, y), (1.0, 0.0))[1], (3.0, 0.0), (1.0, 0.0))[1] == 2.0
    assert fastad.grad(lambda x: fastad.jvp(f, (x, 0.0), (1.0, 0.0))[1])(3.0) == 2.0
    assert fastad.hvp(f, (3.0, 0.0), (1.0, 0.0))[0] == 2.0


def test_nan_is_not_hidden_where_the_result_depends_on_it():
    assert math.isnan(fastad.grad(lambda x: fm.sin(x))(inf))
    assert math.isnan(fastad.grad(lambda x: x * fm.log(x))(-1.0))
    assert fastad.grad(lambda x, y: x * y)(nan, 2.0) == 2.0
    assert math.isnan(fastad.grad(lambda x, y: x * y)(2.0, nan))
