"""The vectorised functions are within their bounds of the exact results, wherever a double can be."""

import itertools
import math

import mpmath
import numpy as np
import pytest

import fastad
from fastad import math as fm
from fastad.core import lanes

EXACT = {"exp": mpmath.exp, "log": mpmath.log, "sin": mpmath.sin, "cos": mpmath.cos, "tanh": mpmath.tanh}
EDGES = [0.0, 5e-324, 2.2e-308, 2.3e-308, 1e-300, 1e-17, 2.0**-54, 1e-8, 0.17, 0.3465, 0.3466, 0.5, 0.70710678, 1.0, 1.0 + 2**-52, 1.0 - 2**-53,
         1.41421356, 2.0, math.pi / 2, math.pi, 10.0, 19.0, 22.0, 22.1, 44.0, 355.0, 708.3, 709.7, 709.79, 745.1, 745.2, 746.5, 1e5, 1.1e5, 1e10,
         1e22, 1e300, 1.7976931348623157e308]


def applied(name, x):
    x = np.ascontiguousarray(x, float)
    result = np.empty_like(x)
    lanes.function_on(name, x.ctypes.data, result.ctypes.data, len(x))
    return result


def in_ulp(found, x, exact):
    """How far a result is from the exact one, in units of the last place of the exact one."""
    with mpmath.workdps(60 if abs(x) < 1e30 else 400):
        right = exact(mpmath.mpf(x))
        nearest = float(right)
        if math.isinf(nearest) or math.isinf(found):
            return 0.0 if nearest == found else math.inf
        return float(abs(mpmath.mpf(found) - right) / mpmath.mpf(math.ulp(nearest)))


@pytest.mark.parametrize("name", EXACT)
def test_within_four_units_of_the_last_place(name):
    rng = np.random.default_rng(3)
    signs = (1.0,) if name == "log" else (1.0, -1.0)
    x = [sign * edge for sign, edge in itertools.product(signs, EDGES) if name != "log" or edge > 0.0]
    x += list(rng.choice(signs, 400) * 10.0 ** rng.uniform(-20.0, 3.0, 400)) + list(rng.choice(signs, 400) * rng.uniform(0.0, 2.0, 400))
    found = applied(name, x)
    worst = max((in_ulp(y, float(t), EXACT[name]), t) for t, y in zip(x, found.tolist()))
    assert worst[0] <= 4.0, worst


NAN, INF = math.nan, math.inf
AT_THE_ENDS = {            # at NaN, infinity, -infinity, 0 and -0
    "exp": [NAN, INF, 0.0, 1.0, 1.0],
    "log": [NAN, INF, NAN, -INF, -INF],
    "sin": [NAN, NAN, NAN, 0.0, -0.0],
    "cos": [NAN, NAN, NAN, 1.0, 1.0],
    "tanh": [NAN, 1.0, -1.0, 0.0, -0.0],
}


@pytest.mark.parametrize("name", EXACT)
def test_at_the_ends_of_the_line(name):
    found = applied(name, [NAN, INF, -INF, 0.0, -0.0])
    np.testing.assert_array_equal(found, AT_THE_ENDS[name])
    assert [math.copysign(1.0, y) for y in found[3:]] == [math.copysign(1.0, y) for y in AT_THE_ENDS[name][3:]]
    assert name != "log" or np.isnan(applied("log", [-1.0, -5e-324])).all()


@pytest.mark.parametrize("name", EXACT)
def test_the_place_in_a_block_does_not_matter(name):
    x = np.random.default_rng(0).uniform(0.1, 3.0, 61)
    whole = applied(name, x)
    assert [applied(name, x[k:k + 1])[0] for k in range(61)] == whole.tolist()


def test_an_unknown_name():
    with pytest.raises(ValueError, match="no vectorised tan"):
        applied("tan", [1.0])


def test_fast_math_is_near_and_plain_is_equal():
    def f(x):
        return fm.exp(-x) * fm.sin(x) + fm.tanh(x) * fm.log(x + 2.0) - fm.cos(3.0 * x)

    x = np.linspace(-1.5, 1.5, 501)
    plain = np.array([fastad.record(f)(t) for t in x.tolist()])
    np.testing.assert_array_equal(fastad.record(f).map(x, what="value"), plain)
    np.testing.assert_allclose(fastad.record(f, fast_math=True).map(x, what="value"), plain, rtol=1e-14, atol=1e-15)
