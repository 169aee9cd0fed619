"""Active scalars in place of floats: operators, comparisons, conversions, printing, containers and code."""

import copy
import functools
import itertools
import math
import numbers
import operator
import struct
from fractions import Fraction

import numpy as np
import pytest

import fastad
from fastad import math as fm

OPERATORS = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "**": operator.pow,
    "//": operator.floordiv, "%": operator.mod,
}
IN_PLACE = {
    "+": operator.iadd, "-": operator.isub, "*": operator.imul, "/": operator.itruediv, "**": operator.ipow,
    "//": operator.ifloordiv, "%": operator.imod,
}
PARTIALS = {
    "+": (lambda x, y: 1.0, lambda x, y: 1.0), "-": (lambda x, y: 1.0, lambda x, y: -1.0),
    "*": (lambda x, y: y, lambda x, y: x), "/": (lambda x, y: 1 / y, lambda x, y: -x / y**2),
    "**": (lambda x, y: y * x**(y - 1), lambda x, y: x**y * np.log(x)),
    "//": (lambda x, y: 0.0, lambda x, y: 0.0), "%": (lambda x, y: 1.0, lambda x, y: -(x // y)),
}
COMPARISONS = (operator.lt, operator.le, operator.eq, operator.ne, operator.gt, operator.ge)
NUMBERS = (2, 2.5, -3, True, 0.75, 2**70, 10**30, Fraction(3, 2), Fraction(1, 3), np.float64(2.5),
           np.float32(0.3), np.float16(0.5), np.int64(3), np.int8(-2), np.uint8(5), np.bool_(True),
           np.array(2.5), np.array(3), np.longdouble(1.5))
EDGES = (0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0, 3.7, -3.7, 7.0, 0.1, -0.3, 5e-324, -5e-324, 1e-310,
         1e308, -1e308, 1.7976931348623157e308, 1e16, -1e16, math.inf, -math.inf, math.nan)


def named(cases):
    return [f"{type(case).__name__}-{case}"[:30] for case in cases]


def seen(f, *xs):
    """What f returns, as plain numbers, when it runs on active values of xs."""
    return fastad.grad(lambda *actives: (actives[0], f(*actives)), has_aux=True)(*xs)[1]


def same(got, want):
    """Equal bit for bit, every NaN being the same."""
    return struct.pack("d", got) == struct.pack("d", want) or (got != got and want != want)


# Arithmetic

@pytest.mark.parametrize("sign", OPERATORS)
@pytest.mark.parametrize("other", NUMBERS, ids=named(NUMBERS))
def test_operator_with_every_kind_of_number(sign, other):
    op, x, y = OPERATORS[sign], np.float64(1.375), np.float64(other)
    with np.errstate(all="ignore"):
        wanted = [(op(x, y), PARTIALS[sign][0](x, y)), (op(y, x), PARTIALS[sign][1](y, x))]
    for f, want in zip((lambda v: op(v, other), lambda v: op(other, v)), wanted, strict=True):
        value, derivative = fastad.value_and_grad(f)(1.375)
        assert type(value) is float and type(derivative) is float
        assert same(value, want[0])
        assert derivative == pytest.approx(want[1], rel=1e-14, abs=1e-300, nan_ok=True)


@pytest.mark.parametrize("sign", IN_PLACE)
@pytest.mark.parametrize("other", NUMBERS, ids=named(NUMBERS))
def test_operator_in_place(sign, other):
    def f(x):
        kept = x
        result = IN_PLACE[sign](x, other)
        assert kept == 1.375
        return result

    assert fastad.value_and_grad(f)(1.375) == fastad.value_and_grad(OPERATORS[sign])(1.375, float(other))


@pytest.mark.parametrize("sign", OPERATORS)
def test_operator_on_two_active_values(sign):
    for x, y in ((3.7, 1.4), (0.3, -2.5), (12.0, 0.5)):
        value, gradient = fastad.value_and_grad(OPERATORS[sign], argnums=(0, 1))(x, y)
        assert value == OPERATORS[sign](x, y)
        assert gradient == pytest.approx([partial(x, y) for partial in PARTIALS[sign]], rel=1e-14)


@pytest.mark.parametrize("sign", OPERATORS)
def test_arithmetic_is_that_of_float64_bit_for_bit(sign):
    op = OPERATORS[sign]
    pairs = list(itertools.product(EDGES, EDGES))

    def f(x):
        actives = {struct.pack("d", a): x * 0.0 + a if a == a and a - a == 0.0 and a else stand_in(x, a)
                   for a in EDGES}
        active = [(actives[struct.pack("d", a)], actives[struct.pack("d", b)]) for a, b in pairs]
        return x, [(op(x, y), op(x, b), op(a, y)) for (x, y), (a, b) in zip(active, pairs, strict=True)]

    def stand_in(x, a):
        return fm.copysign(x * 0.0, a) if a == 0.0 else x * a

    results = fastad.grad(f, has_aux=True)(1.0)[1]
    with np.errstate(all="ignore"):
        for (a, b), numbers_ in zip(pairs, results, strict=True):
            want = float(op(np.float64(a), np.float64(b)))
            assert all(same(number, want) for number in numbers_), (a, b, numbers_, want)


def test_divmod_and_unary_operators_on_edges():
    for a, b in itertools.product(EDGES, EDGES):
        with np.errstate(all="ignore"):
            quotient, rest = map(float, np.divmod(np.float64(a), np.float64(b)))
        for got in (seen(divmod, a, b), seen(lambda x, b=b: divmod(x, b), a),
                    seen(lambda y, a=a: divmod(a, y), b)):
            assert same(got[0], quotient) and same(got[1], rest), (a, b, got)
    for a in EDGES:
        for unary in (operator.neg, operator.pos, abs):
            assert same(seen(unary, a), unary(a))


def test_ieee_instead_of_exceptions():
    inf = math.inf
    assert seen(lambda x: x / 0.0, 1.0) == inf and seen(lambda x: x / -0.0, 1.0) == -inf
    assert seen(lambda x: 1 / x, 0.0) == inf and math.isnan(seen(lambda x: x / 0, 0.0))
    assert seen(lambda x: x * 1e308 * 10, 5.0) == inf and seen(lambda x: x**1000, 1e10) == inf
    assert seen(lambda x: x**-1, 0.0) == inf and math.isnan(seen(lambda x: x**0.5, -1.0))
    assert seen(lambda x: x // 0, 1.0) == inf and math.isnan(seen(lambda x: x % 0, 1.0))
    assert fastad.grad(lambda x: 1 / x)(0.0) == -inf
    assert math.isnan(fastad.grad(lambda x: x * x)(math.nan)) and fastad.grad(lambda x: x * x)(inf) == inf


def test_an_int_too_large_for_a_float_is_refused_as_by_float():
    with pytest.raises(OverflowError):
        fastad.grad(lambda x: x + 10**400)(1.0)
    assert seen(lambda x: (x < 10**400, x > -10**400, x == 10**400), math.inf) == (False, True, False)


def test_sums_of_one_value_with_itself():
    assert fastad.grad(lambda x: x + x)(3.0) == 2.0
    assert fastad.grad(lambda x: x * x * x)(3.0) == 27.0
    assert fastad.grad(lambda x: x - x)(3.0) == 0.0
    assert fastad.grad(lambda x: x / x)(3.0) == 0.0
    assert fastad.grad(lambda x: x**x)(2.0) == pytest.approx(4.0 * (1.0 + math.log(2.0)), rel=1e-15)
    assert fastad.grad(lambda x: divmod(x, 0.7)[1])(3.0) == 1.0


# Comparisons and conversions

OTHERS = (*NUMBERS, 1.375, math.inf, -math.inf, math.nan, 10**400, -10**400, Fraction(11, 8),
          np.float64(1.375))


@pytest.mark.parametrize("other", OTHERS, ids=named(OTHERS))
def test_comparisons(other):
    for compare in COMPARISONS:
        for x in (1.375, 2.5, 2.0, math.inf, math.nan):
            assert seen(lambda v, c=compare: bool(c(v, other)), x) == bool(compare(x, other))
            if type(other) is Fraction:
                # Fraction converts what says it is a float before the active value is asked.
                with pytest.raises(fastad.TraceError):
                    seen(lambda v, c=compare: bool(c(other, v)), x)
                continue
            assert seen(lambda v, c=compare: bool(c(other, v)), x) == bool(compare(other, x))


def test_what_isinstance_says():
    kinds = (float, int, bool, np.ndarray, np.generic, numbers.Real, numbers.Integral, complex, str)

    def told(x):
        return [isinstance(x, kind) for kind in kinds]
    for make in (lambda x: x, lambda x: 2 * x, round, math.floor, lambda x: x * np.ones(2), lambda x: [x, 1.0]):
        assert seen(lambda x: told(make(x)), 1.375) == told(make(1.375))           # noqa: B023
    for make in (lambda a: a, lambda a: a * 2, lambda a: a[:1], lambda a: a.astype(np.float32), lambda a: a.astype(np.float32).sum()):
        found = []
        fastad.grad(lambda a: (found.append(told(make(a))), np.sum(a))[1])(np.ones(3))   # noqa: B023
        assert found == [told(make(np.ones(3)))]
    F = fastad.record(lambda x: 2.0 * x if isinstance(x, float) else 3.0 * x)
    assert F(1.0) == F.grad(1.0) == 2.0


def test_comparisons_of_active_values():
    for compare, x, y in itertools.product(COMPARISONS, EDGES, EDGES):
        assert seen(compare, x, y) is compare(x, y)
        assert seen(lambda v, c=compare, y=y: c(v, y), x) is compare(x, y)


def test_comparisons_with_what_is_no_number():
    assert seen(lambda x: (x == "a", x != "a", x == None, x == [], x == 1.5 + 0j), 1.5) == (  # noqa: E711
        False, True, False, False, True)
    for other in ("a", None, [], 1j):
        with pytest.raises(TypeError):
            fastad.grad(lambda x, other: x < other)(1.5, other)


@pytest.mark.parametrize("convert", [
    bool, int, round, math.floor, math.ceil, math.trunc, lambda x: round(x, 1), lambda x: round(x, -1),
    lambda x: x.is_integer(), lambda x: x.real, lambda x: x.imag, lambda x: x.conjugate(), lambda x: not x,
])
def test_conversions_are_those_of_float(convert):
    for x in (0.0, -0.0, 0.5, 1.5, 2.5, -0.5, -2.5, 17.25, -17.0, 1e20):
        got, want = seen(convert, x), convert(x)
        assert got == want and type(got) is type(want)
    for x in (math.inf, math.nan):
        if convert in (int, round, math.floor, math.ceil, math.trunc):
            with pytest.raises((OverflowError, ValueError)):
                fastad.grad(convert)(x)


def test_it_is_a_real_number():
    def f(x):
        assert isinstance(x, numbers.Real) and isinstance(x, float) and not isinstance(x, int) and callable(type(x).__add__)
        return x

    assert fastad.grad(f)(2.0) == 1.0


def test_pow_with_a_modulus_is_refused_as_by_float():
    for f in (lambda x: pow(x, 2, 3), lambda x: pow(2, x, 3), lambda x: pow(2, 3, x)):
        with pytest.raises(TypeError):
            fastad.grad(f)(2.0)


# Printing

@pytest.mark.parametrize("x", [0.1, -2.0, 1e100, math.inf, math.nan, 12345.678])
def test_printing(x):
    for show in (str, "{}".format, "{:.3f}".format, "{:+e}".format, "{:>12.4g}".format, "{:,.1f}".format,
                 "{:%}".format, "{!s}".format, lambda v: f"{v:{8}.{2}f}", lambda v: "%s" % v):  # noqa: UP031
        assert seen(show, x) == show(x)
    assert repr(x) in seen(repr, x)
    assert seen(lambda v: repr([v]), x) == f"[{seen(repr, x)}]"


def test_printing_tracked_whole_numbers_and_decisions():
    assert seen(lambda x: f"{fm.floor(x)} {fm.ceil(x)}", 2.5) == "2 3"
    assert seen(lambda x: f"{np.greater(x, 1.0)}", 2.5) == "True"
    assert seen(lambda x: np.greater(x, 1.0), 2.5) is True and seen(np.isnan, 2.5) is False
    assert seen(fm.floor, 2.5) == 2 and type(seen(fm.floor, 2.5)) is int


# Containers and control flow

def test_containers_and_copies():
    def f(x, y):
        table = {"x": x, "y": [y, (x, y)]}
        table["x"] *= 2
        shallow, deep = copy.copy(table), copy.deepcopy(table)
        assert shallow["y"] is table["y"] and deep["y"][0] == y and x in [y, x] and [x, y].index(y) == 1
        first, *rest = [x, *shallow["y"]]
        return first * rest[1][1] + deep["x"]

    assert fastad.grad(f, argnums=(0, 1))(3.0, 5.0) == (7.0, 3.0)


def test_sorting_and_selecting():
    def f(xs):
        low, middle, high = sorted(xs)
        assert [high, middle, low] == sorted(xs, reverse=True) == sorted(xs, key=lambda v: -2 * v)
        return 2 * min(xs) + 3 * max(xs) + 5 * middle + 7 * min(xs, key=lambda v: -v)

    assert fastad.grad(f)([3.0, 1.0, 2.0]) == [10.0, 2.0, 5.0]


@pytest.mark.parametrize("total", [
    sum, lambda xs: sum(xs, 10), lambda xs: functools.reduce(operator.add, xs), lambda xs: fm.fsum(xs),
    lambda xs: sum(x for x in xs), lambda xs: sum(xs[1:], xs[0]),
])
def test_sums(total):
    assert fastad.grad(total)([1.0, 2.0, 4.0]) == [1.0, 1.0, 1.0]


def test_products_and_accumulation():
    product = [8.0, 4.0, 2.0]
    assert fastad.grad(lambda xs: functools.reduce(operator.mul, xs, 1))([1.0, 2.0, 4.0]) == product
    assert fastad.grad(lambda xs: math.prod(xs))([1.0, 2.0, 4.0]) == product
    running = fastad.jacobian(lambda xs: list(itertools.accumulate(xs, operator.mul)))([1.0, 2.0, 4.0])
    assert running == [[1.0, 0.0, 0.0], [2.0, 1.0, 0.0], product]
    assert fastad.grad(lambda xs: fm.sumprod(xs, xs))([1.0, 2.0, 4.0]) == [2.0, 4.0, 8.0]


def test_recursion_generators_and_closures():
    def power(x, n):
        return 1 if n == 0 else x * power(x, n - 1)

    def partial_sums(x, n):
        total, term = 0.0, 1.0
        for k in range(1, n):
            total += term
            term *= x / k
            yield total

    def adder(x):
        return lambda y: x + y

    assert fastad.grad(lambda x: power(x, 5))(2.0) == 80.0
    assert fastad.grad(lambda x: list(partial_sums(x, 30))[-1])(1.0) == pytest.approx(math.e, rel=1e-15)
    assert fastad.grad(lambda x: adder(x)(x * x))(3.0) == 7.0
    assert fastad.grad(lambda x: functools.partial(operator.mul, x)(x))(3.0) == 6.0


def test_loops_that_depend_on_the_value():
    def newton_root(a):
        x = a
        while abs(x * x - a) > 1e-14 * a:
            x = 0.5 * (x + a / x)
        return x

    assert fastad.grad(newton_root)(2.0) == pytest.approx(0.5 / math.sqrt(2.0), rel=1e-9)


def test_exceptions_and_match():
    def f(x):
        try:
            if x > 1:
                raise ValueError(x)
        except ValueError as error:
            x = error.args[0] * 3
        match x:
            case 0.0:
                return 0.0
            case 6.0:
                return x * x
            case _ if x > 100:
                return x
        return -x

    assert [fastad.grad(f)(x) for x in (2.0, 0.0, 50.0, 0.5)] == [36.0, 0.0, 3.0, -1.0]


def test_classes_that_do_arithmetic():
    class Vector:
        def __init__(self, *coordinates):
            self.coordinates = coordinates

        def __mul__(self, other):
            return sum(a * b for a, b in zip(self.coordinates, other.coordinates, strict=True))

        def __rmul__(self, factor):
            return Vector(*(factor * c for c in self.coordinates))

    assert fastad.grad(lambda x: (x * Vector(x, 1.0)) * Vector(2.0, x))(3.0) == 4 * 3.0 + 2 * 3.0


# Tracked whole numbers

def test_tracked_whole_numbers_as_python_ints():
    def f(x):
        i = fm.floor(x)
        numbers_ = [10, 20, 30, 40]
        assert numbers_[i] == 30 and numbers_[:i] == [10, 20]
        assert "ab" * i == "abab" and list(range(i)) == [0, 1]
        assert hex(i) == "0x2" and int(i) == 2 and divmod(7, int(i)) == (3, 1) and operator.index(i) == 2
        assert (i & 3, 3 & i, i | 1, 1 | i, i ^ 3, 3 ^ i, i << 1, 1 << i, i >> 1, 8 >> i, ~i) == (
            2, 2, 3, 3, 1, 1, 4, 4, 1, 2, -3)
        assert fm.factorial(i) == 2 and fm.comb(5, i) == 10 and math.gcd(i, 6) == 2 and float(i) == 2.0
        return i * x + fm.ceil(x) + fm.trunc(x)

    assert fastad.grad(f)(2.5) == 2.0
    assert fastad.jvp(f, (2.5,), (1.0,))[1] == 2.0
    assert fastad.hessian(f)(2.5) == 0.0


def test_tracked_whole_numbers_of_negative_values():
    assert [seen(whole, -2.5) for whole in (fm.floor, fm.ceil, fm.trunc)] == [-3, -2, -2]
    assert seen(lambda x: operator.index(fm.floor(x)), -2.5) == -3


def test_tracked_whole_numbers_with_numpy_integers():
    assert seen(lambda x: (fm.floor(x) & np.int64(3), np.int64(3) & fm.floor(x)), 2.5) == (2, 2)


def test_tracked_decisions():
    def f(x):
        above, missing = np.greater(x, 1.0), np.isnan(x)
        assert above and not missing and (above & True) and not (above & False) and (missing | True)
        assert above ^ missing and ~missing and not ~above
        assert np.bitwise_and(above, ~missing) and np.invert(missing) and not np.invert(above)
        return x * above

    assert fastad.grad(f)(2.0) == 1.0


@pytest.mark.parametrize("f", [
    lambda x: x & 1, lambda x: 1 << x, lambda x: ~x, lambda x: [1, 2, 3][x], range, lambda x: "a" * x,
    bytes, math.factorial, lambda x: 1.5 & fm.floor(x), lambda x: fm.floor(x) & 1.5,
    lambda x: fm.floor(x) | x, lambda x: "a" ^ fm.floor(x),
])
def test_an_active_float_is_no_whole_number(f):
    with pytest.raises(TypeError):
        fastad.grad(f)(2.0)
    assert fastad.grad(lambda x: x * x)(2.0) == 4.0


# What x[0] has of a float64 array, and a float has not. Attributes that tell an array from a number are not among it.
FLOAT64_METHODS = {
    "item": lambda x: x.item(), "tolist": lambda x: x.tolist(), "copy": lambda x: x.copy(),
    "sum": lambda x: x.sum(), "mean": lambda x: x.mean(), "prod": lambda x: x.prod(), "std": lambda x: x.std(), "var": lambda x: x.var(),
    "max": lambda x: x.max(), "min": lambda x: x.min(), "clip": lambda x: x.clip(0.0, 1.0), "round": lambda x: x.round(1),
    "conj": lambda x: x.conj(), "astype": lambda x: x.astype(float), "squeeze": lambda x: x.squeeze(), "transpose": lambda x: x.transpose(),
    "reshape": lambda x: x.reshape(1, 1), "ravel": lambda x: x.ravel(), "flatten": lambda x: x.flatten(), "repeat": lambda x: x.repeat(3),
    "cumsum": lambda x: x.cumsum(), "cumprod": lambda x: x.cumprod(), "any": lambda x: x * x.any(),
    "argmax": lambda x: x + x.argmax(),
    "[()]": lambda x: x[()], "[...]": lambda x: x[...], "[None]": lambda x: x[None], "[None, None]": lambda x: x[None, None],
}


@pytest.mark.parametrize("name", FLOAT64_METHODS)
def test_methods_of_float64(name):
    def f(x):
        return FLOAT64_METHODS[name](x[0] * x[1])

    x = np.array([0.7, 1.5])
    step = 0.0 if name in ("std", "var", "round") else 1.0
    F = fastad.record(lambda x: np.sum(f(x)))
    for scale in (1.0, 0.5, 1.2):
        at = x * scale
        value, tangent = fastad.jvp(f, (at,), (np.array([1.0, 0.0]),))
        slope = step * (0.0 if name == "clip" and at[0] * at[1] > 1.0 else 1.0)
        np.testing.assert_array_equal(value, f(at))
        assert np.shape(value) == np.shape(f(at))
        np.testing.assert_array_equal(tangent, np.full(np.shape(value), slope * at[1]))
        np.testing.assert_array_equal(F(at), np.sum(f(at)))
        np.testing.assert_array_equal(F.grad(at), fastad.grad(lambda x: np.sum(f(x)))(at))


def test_what_is_no_attribute_of_float64():
    def f(x):
        for name in ("nothing", "__len__", "__iter__", "strides", "T", "flags"):
            assert not hasattr(x[0], name)
        with pytest.raises(TypeError, match="not iterable"):
            iter(x[0])
        with pytest.raises(TypeError, match="no len"):
            len(x[0])
        with pytest.raises(TypeError, match="no elements"):
            x[0][0]
        return x[0]

    assert fastad.grad(f)(np.ones(2)).tolist() == [1.0, 0.0]
