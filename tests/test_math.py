"""fastad.math: every name of `math`, its results for plain numbers, values and derivatives of active ones."""

import itertools
import math
from fractions import Fraction

import mpmath as mp
import numpy as np
import pytest

import fastad
from fastad import math as fm

NAMES = [name for name in dir(math) if not name.startswith("_")]
FUNCTIONS = [name for name in NAMES if callable(getattr(math, name))]

PLAIN = (0, 1, -1, 2, 7, -3, True, 0.0, -0.0, 0.5, -0.5, 1.0, 2.0, 2.5, -2.5, 20.0, 200.0, 1e-300, 1e300,
         -1e300, math.inf, -math.inf, math.nan, Fraction(1, 3), np.float64(0.3), np.int64(3), 10**30, 10**400,
         "a", None, 1j, [1.0])
PAIRS = list(itertools.product((0, 1, -2, 3.5, -0.0, 0.5, 1e300, math.inf, math.nan, 7, "a"), repeat=2))
POINTS = [([1.0, 2.0], [4.0, 6.0]), ((1, 2, 3), (1, 2, 3)), ([], []), ([1.0], [2.0, 3.0]),
          ([math.inf], [1.0]), ([1e300], [-1e300]), (["a"], [1.0]), (1.0, 2.0), (iter([1.0]), iter([2.0]))]
SEQUENCES = [([0.1] * 10,), ([],), ([1e100, 1.0, -1e100],), ([1e308, 1e308],), ([math.inf, 1.0],),
             ([math.inf, -math.inf],), ([math.nan],), ((1, 2, 3),), ([Fraction(1, 2), 1],), (["a"],), (5,),
             ()]
ARGUMENTS = {
    "atan2": PAIRS, "copysign": PAIRS, "fmod": PAIRS, "pow": PAIRS, "remainder": PAIRS,
    "nextafter": PAIRS,
    "hypot": [(), (3,), (3.0, 4), (1, 2, 2.0), (math.inf, math.nan), (math.nan, 1.0), ("a",), (1e300,) * 4,
              (5e-324,) * 3],
    "isclose": [*PAIRS, (1.0, 1.0 + 1e-10)], "dist": POINTS, "sumprod": POINTS, "fsum": SEQUENCES,
    "prod": SEQUENCES, "log": [*[(x,) for x in PLAIN], *PAIRS, (8, 2), (10**400, 10), (2.0, None), ()],
    "ldexp": [(0.5, 3), (0.5, -3), (1.0, 5000), (1.0, -5000), (math.inf, 3), (1.0, 2.0), ("a", 1), (3, 2)],
    "comb": [(5, 2), (2, 5), (5.0, 2), (-1, 2), (5, -1)], "perm": [(5, 2), (5,), (5.0,), (-1,)],
    "gcd": [(), (4,), (12, 18, 27), (1.0,), (-4, 6)], "lcm": [(), (4,), (12, 18, 27), (1.0,), (-4, 6)],
    "fma": [(2.0, 3.0, 4.0), (1e300, 1e300, -math.inf), (math.inf, 0.0, 1.0), (0.1, 10, -1), ("a", 1, 2)],
}


def outcome(function, arguments):
    """The type and digits of what comes back, or the type of the exception."""
    try:
        result = function(*arguments)
    except Exception as error:
        return type(error)
    return type(result), repr(result)


def fresh(arguments):
    """The same arguments, with iterators that have not been used up."""
    return [iter([1.0, 2.5]) if hasattr(argument, "__next__") else argument for argument in arguments]


# Plain numbers

def test_every_name_is_there():
    assert set(NAMES) <= set(fm.__all__)
    for name in NAMES:
        assert hasattr(fm, name), name
        assert callable(getattr(fm, name)) == callable(getattr(math, name))
        if not callable(getattr(math, name)):
            assert repr(getattr(fm, name)) == repr(getattr(math, name))
    namespace = {}
    exec("from fastad.math import *", namespace)
    assert set(NAMES) <= set(namespace)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_plain_numbers_give_what_math_gives(name):
    for arguments in ARGUMENTS.get(name, [(x,) for x in PLAIN] + [(), (1.0, 2.0, 3.0)]):
        got = outcome(getattr(fm, name), fresh(arguments))
        assert got == outcome(getattr(math, name), fresh(arguments)), arguments


def test_keywords():
    assert fm.isclose(1.0, 1.1, rel_tol=0.2) and not fm.isclose(1.0, 1.1, abs_tol=0.01)
    assert fm.isclose(a=1.0, b=1.0)
    with pytest.raises(ValueError):
        fm.isclose(1.0, 1.0, rel_tol=-1.0)
    assert fm.prod([2, 3], start=5) == 30
    with pytest.raises(TypeError):
        fm.sin(x=1.0)


# Active numbers: mpmath's function and its derivative

def real_root(x):
    return mp.sign(x) * mp.cbrt(abs(x))


UNARY = {
    "acos": (mp.acos, (-0.9, 0.3)), "acosh": (mp.acosh, (1.1, 40.0)), "asin": (mp.asin, (-0.9, 0.3)),
    "asinh": (mp.asinh, (-30.0, 0.2)), "atan": (mp.atan, (-30.0, 0.2)), "atanh": (mp.atanh, (-0.9, 0.3)),
    "cbrt": (real_root, (-30.0, 0.2)), "cos": (mp.cos, (-30.0, 0.2)), "cosh": (mp.cosh, (-3.0, 0.2)),
    "degrees": (mp.degrees, (-30.0, 0.2)), "erf": (mp.erf, (-2.0, 0.2)),
    "erfc": (mp.erfc, (-2.0, 0.2, 5.0)), "exp": (mp.exp, (-30.0, 0.2)),
    "exp2": (lambda x: mp.mpf(2)**x, (-30.0, 0.2)), "expm1": (mp.expm1, (-3.0, 1e-9)),
    "fabs": (abs, (-3.0, 1e-9)), "gamma": (mp.gamma, (-2.5, 0.2, 7.3)),
    "lgamma": (mp.loggamma, (0.2, 7.3, 1e6)), "log": (mp.log, (0.2, 30.0)),
    "log10": (mp.log10, (0.2, 30.0)), "log1p": (mp.log1p, (-0.9, 1e-9, 30.0)),
    "log2": (lambda x: mp.log(x, 2), (0.2, 30.0)), "radians": (mp.radians, (-30.0, 0.2)),
    "sin": (mp.sin, (-30.0, 0.2)), "sinh": (mp.sinh, (-3.0, 0.2)), "sqrt": (mp.sqrt, (0.2, 1e10)),
    "tan": (mp.tan, (-3.0, 0.2)), "tanh": (mp.tanh, (-3.0, 0.2)), "ceil": (mp.ceil, (-3.5, 0.2)),
    "floor": (mp.floor, (-3.5, 0.2)), "trunc": (lambda x: mp.sign(x) * mp.floor(abs(x)), (-3.5, 0.2)),
    "ulp": (lambda x: math.ulp(x), (-3.5, 0.2)),
}
BINARY = {
    "atan2": (mp.atan2, [(1.5, -2.0), (-1.5, -2.0), (0.1, 3.0)]),
    "pow": (mp.power, [(1.5, -2.0), (0.3, 4.1)]),
    "copysign": (lambda x, y: mp.sign(y) * abs(x), [(1.5, -2.0), (-1.5, 2.0), (-1.5, -2.0)]),
    "fmod": (lambda x, y: x - y * (mp.sign(x / y) * mp.floor(abs(x / y))), [(7.3, -2.0), (-7.3, 2.2)]),
    "remainder": (lambda x, y: x - y * mp.nint(x / y), [(7.3, -2.0), (-7.3, 2.2), (9.4, 2.0)]),
    "log": (mp.log, [(5.0, 3.0), (0.2, 10.0)]), "nextafter": (lambda x, y: x, [(1.5, 2.0)]),
    "hypot": (mp.hypot, [(1.5, -2.0), (1e-9, 3.0)]),
}
# The C library's functions are not those of `math` here; all of them are this close to the truth.
ULPS = {"gamma": 8, "lgamma": 8}
ONE_ULP, TWO_ULP = 1, 2


def close(got, want, ulps):
    return abs(mp.mpf(got) - want) <= ulps * math.ulp(float(want))


def mp_gradient(f, point):
    """Partials of an mpmath function at a point of floats."""
    orders = np.eye(len(point), dtype=int).tolist()
    return [float(mp.diff(f, tuple(map(mp.mpf, point)), tuple(order))) for order in orders]


@pytest.fixture(autouse=True)
def digits():
    with mp.workdps(50):
        yield


@pytest.mark.parametrize("name", UNARY)
def test_functions_of_one_number(name):
    exact, points = UNARY[name]
    function = getattr(fm, name)
    for x in points:
        value, derivative = fastad.value_and_grad(function)(x)
        if name in ULPS:
            assert close(value, mp.re(exact(mp.mpf(x))), ULPS[name])
        else:
            assert close(value, mp.mpf(getattr(math, name)(x)), ONE_ULP)
        want = float(mp.diff(exact, mp.mpf(x))) if name not in ("ceil", "floor", "trunc", "ulp") else 0.0
        assert derivative == pytest.approx(want, rel=1e-13, abs=1e-300)
        assert fastad.jvp(function, (x,), (1.0,)) == (value, derivative)
        if name in ("ceil", "floor", "trunc", "ulp", "fabs"):
            assert fastad.hessian(function)(x) == 0.0
        else:
            want = float(mp.diff(exact, mp.mpf(x), 2))
            assert fastad.hessian(function)(x) == pytest.approx(want, rel=1e-11, abs=1e-25)


@pytest.mark.parametrize("name", BINARY)
def test_functions_of_two_numbers(name):
    exact, points = BINARY[name]
    function = getattr(fm, name)
    for x, y in points:
        value, gradient = fastad.value_and_grad(function, argnums=(0, 1))(x, y)
        assert close(value, mp.mpf(getattr(math, name)(x, y)), ONE_ULP)
        assert gradient == pytest.approx(mp_gradient(exact, (x, y)), rel=1e-13, abs=1e-30)
        assert fastad.value_and_grad(lambda v, y=y: function(v, y))(x) == (value, gradient[0])
        assert fastad.value_and_grad(lambda v, x=x: function(x, v))(y) == (value, gradient[1])


def test_no_function_is_left_out():
    whole = {"comb", "factorial", "gcd", "isqrt", "lcm", "perm"}
    answers = {"isclose", "isfinite", "isinf", "isnan"}
    several = {"dist", "fma", "frexp", "fsum", "ldexp", "modf", "prod", "sumprod"}
    assert set(FUNCTIONS) <= set(UNARY) | set(BINARY) | whole | answers | several


@pytest.mark.parametrize("name", [name for name in UNARY if name not in ("ceil", "floor", "trunc")])
def test_outside_the_domain_and_beyond_the_range(name):
    # No exception where math has one: as in NumPy the value is NaN or an infinity.
    for x in (0.0, -0.0, -1.0, -2.0, 1.0, 2.0, 1e4, 1e308, -1e308, math.inf, -math.inf, math.nan):
        value, _ = fastad.value_and_grad(getattr(fm, name))(x)
        try:
            want = float(getattr(math, name)(x))
        except (ValueError, OverflowError):
            assert not math.isfinite(value), (x, value)
        else:
            both_nan = math.isnan(value) and math.isnan(want)
            assert both_nan or value == want or close(value, mp.mpf(want), ULPS.get(name, ONE_ULP)), x


# Whole numbers and answers

def test_answers_are_plain():
    def f(x):
        answers = (fm.isnan(x), fm.isinf(x), fm.isfinite(x), fm.isclose(x, 2.0),
                   fm.isclose(2.0, x, rel_tol=x), fm.isclose(x, x + 1))
        assert answers == (False, False, True, True, True, False)
        assert {type(answer) for answer in answers} == {bool}
        return x * x

    assert fastad.grad(f)(2.0) == 4.0
    assert fastad.grad(lambda x: x if fm.isnan(x) or fm.isinf(x) else 2 * x)(math.inf) == 1.0


def test_whole_numbers():
    def f(x):
        n = fm.floor(x)
        numbers = (fm.factorial(n), fm.comb(n, 2), fm.perm(n, 2), fm.gcd(n, 6), fm.lcm(n, 6), fm.isqrt(n))
        assert numbers == (120, 10, 20, 1, 30, 2) and {type(number) for number in numbers} == {int}
        return x * numbers[0]

    assert fastad.grad(f)(5.5) == 120.0
    for name in ("factorial", "isqrt"):
        with pytest.raises(TypeError, match="floor"):
            fastad.grad(getattr(fm, name))(5.5)


def test_parts_of_a_number():
    for x in (2.75, -2.75, 0.125, -8.0, 0.0, 1e300, 5e-324, math.inf, -math.inf, math.nan):
        for function, plain in ((fm.modf, math.modf), (fm.frexp, math.frexp)):
            _, got = fastad.grad(lambda v, call=function: (v, call(v)), has_aux=True)(x)
            assert [*map(float, got)] == pytest.approx([*map(float, plain(x))], rel=0, abs=0, nan_ok=True)
    assert [fastad.grad(lambda x, k=k: fm.modf(x)[k])(2.75) for k in (0, 1)] == [1.0, 0.0]
    assert fastad.grad(lambda x: fm.frexp(x)[0])(2.75) == 0.25
    assert type(fastad.grad(lambda x: (x, fm.frexp(x)), has_aux=True)(2.75)[1][1]) is int
    assert fastad.value_and_grad(lambda x: fm.ldexp(x, 3))(1.5) == (12.0, 8.0)
    assert fastad.value_and_grad(lambda x: fm.ldexp(1.5, fm.floor(x)))(3.5) == (12.0, 0.0)
    assert fastad.value_and_grad(lambda x: fm.ldexp(x, fm.floor(x)))(3.5) == (28.0, 8.0)


# Several numbers

VECTORS = [[3.0, 4.0, 12.0], [0.1, -0.7, 1e-3, 2.0], [1e200, 1e200, -1e199], [1e-200, 3e-200, 1e-201, 5e-201],
           [2.0], [0.3 * k + 0.01 for k in range(40)]]


@pytest.mark.parametrize("point", VECTORS, ids=len)
def test_hypot_and_dist(point):
    origin = [0.01 * x for x in point]
    distance = [mp.mpf(x) - mp.mpf(y) for x, y in zip(point, origin, strict=True)]
    for f, numbers in ((lambda xs: fm.hypot(*xs), [mp.mpf(x) for x in point]),
                       (lambda xs: fm.dist(xs, origin), distance),
                       (lambda xs: fm.dist(origin, xs), distance)):
        length = mp.sqrt(sum(x * x for x in numbers))
        value, gradient = fastad.value_and_grad(f)(point)
        assert close(value, length, TWO_ULP)
        assert gradient == pytest.approx([float(x / length) for x in numbers], rel=1e-13)


@pytest.mark.parametrize("point", [
    [3.0, 4.0], [0.0, 1.0], [3.0, 4.0, 12.0], [0.0, 0.0, 2.0], [0.0, 3.0, 4.0], [-1.0, 0.0, 0.0, 0.0],
])
@pytest.mark.parametrize("f", [lambda xs: fm.hypot(*xs), lambda xs: fm.dist(xs, [0.0] * len(xs))],
                         ids=["hypot", "dist"])
def test_curvature_of_lengths(f, point):
    r = math.hypot(*point)
    want = (np.eye(len(point)) - np.outer(point, point) / r**2) / r
    np.testing.assert_allclose(fastad.hessian(f)(point), want, rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(fastad.jacobian(fastad.grad(f))(point), want, rtol=1e-13, atol=1e-15)


SUMS = [[0.1] * 10, [1e100, 1.0, -1e100], [1e16, 1.0, 1e-16, -1e16], [3.0, 1e-20, -3.0],
        [math.sin(k) * 10.0**(k % 17) for k in range(60)], [1e308, 1e307, -1e308]]


@pytest.mark.parametrize("numbers", SUMS, ids=len)
def test_fsum(numbers):
    value, gradient = fastad.value_and_grad(fm.fsum)(numbers)
    assert close(value, mp.mpf(math.fsum(numbers)), TWO_ULP)
    assert gradient == [1.0] * len(numbers)
    curvature = fastad.hessian(lambda xs: fm.fsum(x * x for x in xs))(numbers[:3])
    np.testing.assert_array_equal(curvature, 2.0 * np.eye(3))


def test_sums_and_products_of_plain_and_active_numbers():
    assert fastad.value_and_grad(lambda x: fm.fsum([1, x, Fraction(1, 2), x]))(0.25) == (2.0, 2.0)
    assert fastad.value_and_grad(lambda x: fm.fsum(iter([x, math.inf])))(0.25) == (math.inf, 1.0)
    assert fastad.value_and_grad(lambda x: fm.prod([2, x, x, 3.0]))(0.5) == (1.5, 6.0)
    assert fastad.value_and_grad(lambda x: fm.prod([2, 3.0], start=x))(0.5) == (3.0, 6.0)
    assert fastad.value_and_grad(lambda x: fm.fma(x, x, 2))(3.0) == (11.0, 6.0)
    assert fastad.value_and_grad(lambda x: fm.fma(2, 3, x))(3.0) == (9.0, 1.0)


def test_sumprod():
    p, q = [0.1 * k - 1.3 for k in range(20)], [1.0 / (k + 1) for k in range(20)]
    value, (dp, dq) = fastad.value_and_grad(fm.sumprod, argnums=(0, 1))(p, q)
    assert close(value, mp.fdot(p, q), TWO_ULP)
    assert (dp, dq) == (q, p)
    assert fastad.grad(lambda x: fm.sumprod([1, x], [x, 2]))(3.0) == 3.0
    with pytest.raises(ValueError):
        fastad.grad(lambda x: fm.sumprod([x], [1.0, 2.0]))(3.0)


def test_sumprod_loses_nothing_to_cancellation():
    p, q = [1e8 + 1.0, 1e8, 1.0], [1e8 - 1.0, -1e8, 0.5]
    value, _ = fastad.value_and_grad(fm.sumprod)(p, q)
    assert value == -0.5


def test_sumprod_beyond_the_range():
    assert fastad.value_and_grad(lambda x: fm.sumprod([x, 1.0], [math.inf, 2.0]))(1.0) == (math.inf, math.inf)
    assert fastad.value_and_grad(lambda x: fm.sumprod([x, 1.0], [1e308, 2.0]))(10.0) == (math.inf, 1e308)


def test_plain_and_active_operands_together():
    assert fastad.grad(lambda x: fm.pow(2.0, x))(3.0) == pytest.approx(8.0 * math.log(2.0), rel=1e-15)
    assert fastad.grad(lambda x: fm.log(x, 2))(8.0) == pytest.approx(1.0 / (8.0 * math.log(2.0)), rel=1e-15)
    assert fastad.value_and_grad(lambda x: fm.log(8.0, x))(2.0)[0] == 3.0
    assert fastad.grad(lambda x: fm.hypot(3.0, x, 12.0))(4.0) == pytest.approx(4.0 / 13.0, rel=1e-15)
    assert fastad.grad(lambda x: fm.dist([0, 0], [3, x]))(4.0) == pytest.approx(0.8, rel=1e-15)
    assert fastad.grad(lambda x: fm.atan2(Fraction(1, 2), x))(0.5) == pytest.approx(-1.0, rel=1e-15)
    assert fastad.grad(lambda x: fm.copysign(x, np.int64(-1)))(0.5) == -1.0


def test_wrong_arguments():
    for f in (lambda x: fm.pow(x, "a"), lambda x: fm.sin(x, x), lambda x: fm.atan2(x),
              lambda x: fm.log(x, "a"), lambda x: fm.hypot(x, None), lambda x: fm.fsum([x, "a"]),
              lambda x: fm.log(), lambda x: fm.ldexp(x)):
        with pytest.raises(TypeError):
            fastad.grad(f)(2.0)
    with pytest.raises(ValueError, match="dimensions"):
        fastad.grad(lambda x: fm.dist([x, x], [x]))(2.0)
    assert fastad.grad(fm.sin)(0.0) == 1.0


@pytest.mark.parametrize("recorded", [False, True])
@pytest.mark.parametrize("f", [
    lambda x: fm.sin(x[0]) * fm.gamma(x[1]), lambda x: fm.hypot(x[0], x[1], x[2]), lambda x: fm.dist([x[0], x[1]], [1.0, 2.0]),
    lambda x: fm.fsum([x[0], x[1]]), lambda x: fm.sumprod([x[0]], [x[1]]), lambda x: fm.fma(x[0], x[1], x[2]),
    lambda x: x[0] if fm.isclose(x[0], x[1]) else x[1] * fm.nextafter(x[2], 2.0), lambda x: fm.modf(x[1])[0] * fm.frexp(x[2])[0],
    lambda x: fm.log(x[0], x[1]), lambda x: fm.pow(x[0], x[1]) * fm.atan2(x[1], x[2]), lambda x: x[fm.floor(x[0])] * x[2],
    lambda x: x[0] if fm.isnan(x[1]) or fm.isinf(x[0]) or not fm.isfinite(x[1]) else x[2], lambda x: fm.cos(x[0] + x[1]),
])
def test_numbers_of_float32_and_arrays_without_dimensions(f, recorded):
    x = np.array([1.5, 2.5, 0.3], np.float32)
    expected = fastad.grad(f)(x.astype(float))
    grad = fastad.record(f).grad if recorded else fastad.grad(f)
    found = grad(x)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    zero = [np.array(float(v)) for v in x]
    np.testing.assert_allclose(grad(zero), expected, rtol=1e-6, atol=1e-7)
