"""The contract of the transforms for floats and nestings of floats: what each returns, and for what."""

import functools
import math
from collections import namedtuple

import numpy as np
import pytest

import fastad
from fastad import math as fm

Point = namedtuple("Point", "x y")
Pair = namedtuple("Pair", "first second")


def product(x, y):
    return x * x * y


# Grad and value_and_grad

def test_grad():
    gradient = fastad.grad(product)(3.0, 2.0)
    assert gradient == 12.0 and type(gradient) is float


def test_value_and_grad():
    value, gradient = fastad.value_and_grad(product)(3.0, 2.0)
    assert (value, gradient) == (18.0, 12.0) and type(value) is type(gradient) is float


@pytest.mark.parametrize("argnums, expected", [
    (0, 12.0), (1, 9.0), (-1, 9.0), (-2, 12.0), ((0,), (12.0,)), ((0, 1), (12.0, 9.0)), ((1, 0), (9.0, 12.0)),
    ((-1, 0), (9.0, 12.0)), ([0, 1], (12.0, 9.0)), (np.int64(1), 9.0), ((), ()),
])
def test_argnums(argnums, expected):
    assert fastad.grad(product, argnums)(3.0, 2.0) == expected
    assert fastad.grad(product, argnums=argnums)(3.0, 2.0) == expected


@pytest.mark.parametrize("argnums", [2, -3, (0, 2)])
def test_argnums_out_of_range(argnums):
    with pytest.raises(ValueError, match="argnums"):
        fastad.grad(product, argnums)(3.0, 2.0)


@pytest.mark.parametrize("argnums", [1.0, "x", (0, "y")])
def test_argnums_of_a_wrong_type(argnums):
    with pytest.raises(TypeError, match="argnums"):
        fastad.grad(product, argnums)(3.0, 2.0)


def test_has_aux():
    def f(x):
        return x * x, {"twice": 2.0 * x, "name": "f", "none": None, "list": [x, 1]}

    gradient, aux = fastad.grad(f, has_aux=True)(3.0)
    assert gradient == 6.0 and aux == {"twice": 6.0, "name": "f", "none": None, "list": [3.0, 1]}
    assert type(aux["twice"]) is type(aux["list"][0]) is float
    assert fastad.value_and_grad(f, has_aux=True)(3.0) == ((9.0, aux), 6.0)
    with pytest.raises(TypeError, match="aux"):
        fastad.grad(lambda x: x * x, has_aux=True)(3.0)


def test_keyword_arguments_pass_through():
    seen = []

    def f(x, *, power=2.0, data=None):
        seen.append((power, data))
        return x**power

    data = object()
    assert fastad.grad(f)(3.0, power=3.0, data=data) == 27.0
    assert seen == [(3.0, data)] and type(seen[0][0]) is float
    assert fastad.value_and_grad(f)(3.0, power=3.0) == (27.0, 27.0)
    assert fastad.jacobian(f)(3.0, power=3.0) == 27.0
    assert fastad.hessian(f)(3.0, power=3.0) == 18.0


def test_other_arguments_pass_through():
    assert fastad.grad(lambda name, x, table, n: table[name] * x**n, 1)("a", 2.0, {"a": 5.0}, 3) == 60.0


@pytest.mark.parametrize("x, kind", [(3, "int"), (True, "bool"), ("3", "str"), ([1.0, 2], "int")])
def test_arguments_without_a_derivative(x, kind):
    with pytest.raises(TypeError, match=rf"argument 0.*{kind}"):
        fastad.grad(lambda x: 1.0)(x)


@pytest.mark.parametrize("x, kind", [
    (np.zeros(2, np.float16), r"an ndarray of float16.*x\.astype"),
    (np.ma.array([1.0]), r"a MaskedArray of float64.*np\.asarray\(x, float\)"),
    (np.int64(3), "an int64.*pass floats"), (np.arange(2), r"an ndarray of int64.*x\.astype"),
])
def test_what_to_pass_instead(x, kind):
    with pytest.raises(TypeError, match=kind):
        fastad.grad(lambda x: 1.0)(x)


@pytest.mark.parametrize("transform", [fastad.grad, fastad.value_and_grad, fastad.jacobian, fastad.hessian])
def test_what_is_no_function(transform):
    with pytest.raises(TypeError, match=rf"{transform.__name__} needs a function, not a float: fastad\.grad\(f\)\(x\)"):
        transform(1.0)


def test_grad_of_what_is_no_scalar():
    for result in (None, "text", [1.0, 2.0], (1.0,), {"a": 1.0}, True, 1j):
        with pytest.raises(TypeError, match="grad needs a function with a real scalar result"):
            fastad.grad(lambda x, result=result: result)(1.0)
    with pytest.raises(TypeError, match="real scalar"):
        fastad.grad(lambda x: [x, x])(1.0)


def test_results_that_do_not_depend_on_the_argument():
    for constant in (5.0, 5, np.float64(5.0), np.int32(5)):
        assert fastad.value_and_grad(lambda x, c=constant: c)(3.0) == (5.0, 0.0)
        assert fastad.hessian(lambda x, c=constant: c)(3.0) == 0.0
    assert fastad.grad(lambda x, y: y, (0, 1))(3.0, 4.0) == (0.0, 1.0)
    assert fastad.grad(lambda x: x)(3.0) == 1.0
    assert fastad.jvp(lambda x: 5.0, (3.0,), (1.0,)) == (5.0, 0.0)
    assert fastad.vjp(lambda x, y: y, 3.0, 4.0)[1](2.0) == (0.0, 2.0)
    assert fastad.jacobian(lambda x, y: (x, 7.0), (0, 1))(3.0, 4.0) == ((1.0, 0.0), (0.0, 0.0))


# Numpy scalars

def test_numpy_scalars_keep_their_type():
    x, y = np.float64(3.0), 2.0
    gradient = fastad.grad(product, (0, 1))(x, y)
    assert gradient == (12.0, 9.0) and [type(g) for g in gradient] == [np.float64, float]
    tree = fastad.grad(lambda p: product(*p))([x, y])
    assert [type(g) for g in tree] == [np.float64, float]
    assert type(fastad.vjp(product, x, y)[1](1.0)[0]) is np.float64
    assert type(fastad.hessian(product)(x, y)) is np.float64
    assert type(fastad.hvp(product, (x, y), (1.0, 1.0))[0]) is np.float64
    assert fastad.hvp(product, (x, y), (1.0, 1.0)) == (10.0, 6.0)
    assert fastad.jvp(product, (x, y), (np.float64(1.0), np.float64(0.0))) == (18.0, 12.0)


# Nestings

def weighted(p):
    return p["a"] * p["b"][0] + fm.sin(p["b"][1].x) * p["c"][0][0] + p["b"][1].y


def test_grad_keeps_the_structure():
    tree = {"a": 2.0, "b": [3.0, Point(0.5, 4.0)], "c": ((1.5,), None), "empty": []}
    gradient = fastad.grad(weighted)(tree)
    by_b = [2.0, Point(1.5 * math.cos(0.5), 1.0)]
    assert gradient == {"a": 3.0, "b": by_b, "c": ((math.sin(0.5),), None), "empty": []}
    assert type(gradient["b"][1]) is Point and list(gradient) == list(tree)
    assert tree == {"a": 2.0, "b": [3.0, Point(0.5, 4.0)], "c": ((1.5,), None), "empty": []}


def test_jacobian_of_nestings():
    def f(p, q):
        return {"out": Pair(p["u"] * q, p["v"][0]), "list": [q * q]}

    p, q = {"u": 2.0, "v": [3.0]}, 5.0
    for mode in ("auto", "forward", "reverse"):
        by_p = fastad.jacobian(f, mode=mode)(p, q)
        assert by_p == {"out": Pair({"u": 5.0, "v": [0.0]}, {"u": 0.0, "v": [1.0]}),
                        "list": [{"u": 0.0, "v": [0.0]}]}
        assert type(by_p["out"]) is Pair
        both = fastad.jacobian(f, (1, 0), mode)(p, q)
        assert both["out"].first == (2.0, {"u": 5.0, "v": [0.0]})
        assert both["list"] == [(10.0, {"u": 0.0, "v": [0.0]})]


def test_hessian_of_nestings():
    hessian = fastad.hessian(lambda p: p["u"] ** 2 * p["v"][0])({"u": 2.0, "v": [3.0]})
    assert hessian == {"u": {"u": 6.0, "v": [4.0]}, "v": [{"u": 4.0, "v": [0.0]}]}
    assert fastad.hessian(product, (0, 1))(3.0, 2.0) == ((4.0, 6.0), (6.0, 0.0))
    assert fastad.hessian(product, 1)(3.0, 2.0) == 0.0


def test_jvp_and_vjp_of_nestings():
    value, tangent = fastad.jvp(lambda p, q: (p[0] * q, {"s": p[1]}), ([2.0, 3.0], 5.0), ([1.0, 0.5], 0.25))
    assert value == (10.0, {"s": 3.0}) and tangent == (5.5, {"s": 0.5})
    value, vjp_fun = fastad.vjp(lambda p, q: (p[0] * q, {"s": p[1]}), [2.0, 3.0], 5.0)
    assert value == (10.0, {"s": 3.0}) and vjp_fun((1.0, {"s": 2.0})) == ([5.0, 2.0], 2.0)


def test_structures_that_do_not_match():
    with pytest.raises(ValueError, match="tangents"):
        fastad.jvp(lambda p: p[0], ([1.0, 2.0],), ([1.0],))
    with pytest.raises(TypeError, match="tangents"):
        fastad.jvp(product, (1.0, 2.0), (1.0,))
    with pytest.raises(TypeError, match="primals"):
        fastad.jvp(fm.sin, 1.0, 1.0)
    with pytest.raises(ValueError, match="cotangent"):
        fastad.vjp(product, 1.0, 2.0)[1]([1.0])
    with pytest.raises(TypeError, match="cotangent"):
        fastad.vjp(product, 1.0, 2.0)[1]("1.0")
    with pytest.raises(ValueError, match="mode"):
        fastad.jacobian(product, mode="sideways")


# Jvp, vjp, linearize, hvp

def test_jvp():
    value, tangent = fastad.jvp(product, (3.0, 2.0), (1.0, 10.0))
    assert (value, tangent) == (18.0, 102.0) and type(value) is type(tangent) is float
    assert fastad.jvp(product, [3.0, 2.0], [1, 10]) == (18.0, 102.0)


def test_vjp_may_be_called_later_and_again():
    value, vjp_fun = fastad.vjp(lambda x, y: (x * y, x + y), 3.0, 2.0)
    assert value == (6.0, 5.0)
    for _ in range(50):
        fastad.grad(product)(1.0, 1.0)
    assert vjp_fun((1.0, 0.0)) == (2.0, 3.0)
    assert vjp_fun((0.0, 1.0)) == (1.0, 1.0)
    assert vjp_fun((2, 10)) == (14.0, 16.0)
    assert vjp_fun((1.0, 0.0)) == (2.0, 3.0)
    several = [fastad.vjp(fm.sin, float(k))[1] for k in range(20)]
    assert [g(1.0) for g in several] == [(math.cos(k),) for k in range(20)]


def test_closures_do_not_see_later_changes_of_the_arguments():
    point = {"a": 2.0, "b": [3.0]}
    _, vjp_fun = fastad.vjp(lambda p: p["a"] ** 2 * p["b"][0], point)
    _, jvp_fun = fastad.linearize(lambda p: p["a"] ** 2 * p["b"][0], point)
    point["b"].append("text")
    del point["a"]
    assert vjp_fun(1.0) == ({"a": 12.0, "b": [4.0]},)
    assert jvp_fun({"a": 1.0, "b": [1.0]}) == 16.0


def test_linearize_runs_f_once():
    runs = []

    def f(x, y):
        runs.append(1)
        return x * y, x

    value, jvp_fun = fastad.linearize(f, 3.0, 2.0)
    fastad.grad(product)(1.0, 1.0)
    assert value == (6.0, 3.0)
    for _ in range(2):
        assert jvp_fun(1.0, 0.0) == (2.0, 1.0) and jvp_fun(0.0, 1.0) == (3.0, 0.0)
    assert len(runs) == 1
    with pytest.raises(TypeError, match="tangents"):
        jvp_fun(1.0)


def test_hvp():
    assert fastad.hvp(lambda x: x**3, (2.0,), (5.0,)) == 60.0
    assert fastad.hvp(product, (3.0, 2.0), (1.0, 10.0)) == (64.0, 6.0)
    assert fastad.hvp(lambda p: p["u"] ** 2 * p["v"], ({"u": 2.0, "v": 3.0},), ({"u": 1.0, "v": 0.0},)) == {
        "u": 6.0, "v": 4.0}
    with pytest.raises(TypeError, match="real scalar"):
        fastad.hvp(lambda x: [x], (2.0,), (1.0,))


def test_stop_gradient():
    assert fastad.grad(lambda x: x * fastad.stop_gradient(x))(3.0) == 3.0
    assert fastad.grad(lambda x: fastad.stop_gradient([x, {"a": x}])[1]["a"] * x)(3.0) == 3.0
    assert fastad.hessian(lambda x: x * x * fastad.stop_gradient(x))(3.0) == 6.0
    assert fastad.grad(fastad.grad(lambda x: x**2 * fastad.stop_gradient(x * x)))(3.0) == 18.0
    assert fastad.stop_gradient(3.0) == 3.0 and fastad.stop_gradient([1.0, (2.0,)]) == [1.0, (2.0,)]
    assert fastad.value_and_grad(fastad.stop_gradient)(3.0) == (3.0, 0.0)


# The transformed functions as functions

def test_names_and_docstrings():
    def f(x):
        """Squares."""
        return x * x

    for transform in (fastad.grad, fastad.value_and_grad, fastad.jacobian, fastad.hessian):
        g = transform(f)
        assert (g.__name__, g.__doc__, g.__wrapped__) == ("f", "Squares.", f)


class Model:
    """Callable, with a bound method, a class method and a static one."""

    def __init__(self, w):
        self.w = w

    def __call__(self, x):
        return self.w * x * x

    def loss(self, x):
        return self.w * x**3

    @classmethod
    def shared(cls, x):
        return 2.0 * x

    @staticmethod
    def alone(x):
        return x * x


def test_callables():
    model = Model(2.0)
    assert fastad.grad(model)(3.0) == 12.0
    assert fastad.grad(model.loss)(3.0) == 54.0
    assert fastad.grad(Model.loss, 1)(model, 3.0) == 54.0
    assert fastad.grad(Model.shared)(3.0) == 2.0 and fastad.grad(Model.alone)(3.0) == 6.0
    assert fastad.grad(lambda x: x * x)(3.0) == 6.0
    assert fastad.grad(functools.partial(product, 3.0))(2.0) == 9.0
    assert fastad.grad(fm.sin)(0.0) == 1.0 and fastad.grad(np.sin)(0.0) == 1.0
    assert fastad.hessian(model)(3.0) == 4.0 and fastad.jvp(model, (3.0,), (1.0,)) == (18.0, 12.0)


def test_methods_that_are_transformed_in_a_class():
    class Decorated:
        scale = 2.0

        def f(self, x):
            return self.scale * x * x

        df = fastad.grad(f, argnums=1)

    assert Decorated().df(3.0) == 12.0


# Ordinary Python inside f

def loops(x):
    total, k = 0.0, 0
    while total < 10.0:
        for i in range(3):
            total += x * i
        k += 1
    return total * k


def branches(x):
    if x > 1.0:
        return x * x
    elif not x < 0.0:
        return -x
    return 1.0 if x == -1.0 else x**3


def power(x, n):
    return 1.0 if n == 0 else x * power(x, n - 1)


def generator(x):
    def powers():
        y = x
        while True:
            yield y
            y = y * x
    source = powers()
    return sum(next(source) for _ in range(4))


def closure(x):
    state = {"calls": 0, "sum": 0.0}

    def add(y):
        nonlocal x
        state["calls"] += 1
        state["sum"] += y * x
        x = x * 2.0
    add(x)
    add(x)
    return state["sum"] * state["calls"]


def in_order(x):
    numbers = sorted([x * 3.0, -x, x * x, 0.5], reverse=True)
    first, *_, last = numbers
    return sum(k * y for k, y in enumerate(numbers, 1)) + first - last


def containers(x):
    table = {"a": x, "b": [x * x, (x,)]}
    table["a"] += table["b"].pop()[0]
    stack = [y + 1.0 for y in table["b"]] + [table.setdefault("c", x)]
    return math.prod(stack) * table["a"]


def exceptions(x):
    try:
        if x > 1.0:
            raise ValueError("too large")
        return x
    except ValueError:
        return x * x
    finally:
        x = None


def rounding(x):
    return round(x) * x + round(x, 1) * x + int(x) * x + sum(divmod(x, 2)) + x // 2 + x % 2 + abs(-x)


@pytest.mark.parametrize("f, x, expected", [
    (loops, 1.5, 3.0 * 3.0 * 3), (loops, 4.0, 3.0),
    (branches, 2.0, 4.0), (branches, 0.5, -1.0), (branches, -2.0, 12.0), (branches, -1.0, 0.0),
    (lambda x: power(x, 5), 2.0, 80.0), (generator, 2.0, 1.0 + 4.0 + 12.0 + 32.0),
    (closure, 3.0, 2.0 * (6.0 + 24.0)), (in_order, 2.0, 4.0 + 2 * 3.0 - 4.0 + 4.0 + 1.0),
    (containers, 3.0, 2 * 3.0 * 3.0 * 6.0 + 10.0 * 6.0 + 10.0 * 3.0 * 2.0),
    (exceptions, 2.0, 4.0), (exceptions, 0.5, 1.0),
    (rounding, 3.7, 4.0 + 3.7 + 3.0 + 1.0 + 1.0 + 1.0),
    (lambda x: min(x, 2.0) * max(x, 2.0, 1.0) + max([x, -x]), 3.0, 3.0),
    (lambda x: min([x * x, x], key=lambda y: -y) + sum([x] * 3), 3.0, 9.0),
    (lambda x: pow(x, 3) + pow(2.0, x) + (+x) - (-x), 2.0, 12.0 + 4.0 * math.log(2.0) + 2.0),
    (lambda x: [10.0, x, x * x][int(x)] * x, 2.0, 12.0),
    (lambda x: functools.reduce(lambda a, b: a * b, [x, x, 2.0]), 3.0, 12.0),
    (lambda x: (lambda **k: k["a"] * k["b"])(a=x, b=x + 1.0), 3.0, 7.0),
    (lambda x: x * len(f"{x:.2f}"), 3.0, 4.0),
])
def test_ordinary_python(f, x, expected):
    value, gradient = fastad.value_and_grad(f)(x)
    assert value == f(x) and gradient == pytest.approx(expected, rel=1e-14)
    assert fastad.jvp(f, (x,), (1.0,)) == (value, pytest.approx(expected, rel=1e-14))


def test_deep_recursion_and_long_loops():
    def f(x):
        for _ in range(200_000):
            x = 0.5 * x + 1.0
        return x + power(x, 500)

    value, gradient = fastad.value_and_grad(lambda x: f(x) * x)(1.0)
    assert math.isfinite(value) and gradient == 2.0 + 2.0**500


# Fastad.trace

def test_trace_shows_the_tape():
    tape = fastad.trace(lambda x, y: (fm.sin(x) * y, 2.0), 0.5, 3.0)
    assert len(tape) == len(tape.opcode) == len(tape.a) == len(tape.b) == len(tape.value)
    arrays = (tape.opcode, tape.a, tape.b, tape.value)
    assert [array.dtype for array in arrays] == [np.uint8, np.int32, np.int32, np.float64]
    names = [fastad.elementals.opcode_name(op, b) for op, b in zip(tape.opcode, tape.b, strict=True)]
    assert names == ["input", "input", "sin", "multiply"]
    assert list(tape.value) == [0.5, 3.0, math.sin(0.5), math.sin(0.5) * 3.0]
    assert (tape.a[2], tape.a[3], tape.b[3]) == (0, 2, 1)
    assert tape.inputs == (0, 1) and tape.outputs == (3, -1) and tape.nbytes == 17 * len(tape)


def test_trace_is_read_only_and_stays():
    tape = fastad.trace(lambda x: x * x + 1.0, 3.0)
    value = tape.value
    for array in (tape.opcode, tape.a, tape.b, value):
        assert not array.flags.writeable
        with pytest.raises(ValueError):
            array[0] = 1
        with pytest.raises(ValueError):
            array.setflags(write=True)
    before = value.copy()
    del tape
    for k in range(20):
        fastad.grad(lambda x: fm.sin(x) * x + 7.0)(float(k))
    assert (value == before).all() and set(value) == {3.0, 9.0, 1.0, 10.0}


def test_trace_of_nestings_and_inside_a_trace():
    tape = fastad.trace(lambda p: {"s": p[0] + p[1], "c": p[1]}, [1.0, 2.0])
    assert tape.inputs == (0, 1) and sorted(tape.outputs) == [1, 2]
    with pytest.raises(RuntimeError, match="outside"):
        fastad.grad(lambda x: fastad.trace(fm.sin, 1.0).value[0] * x)(1.0)
    assert fastad.grad(fm.sin)(0.0) == 1.0
