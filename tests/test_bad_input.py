"""What is wrong or unusual ends in an error that says what and where, or in the right number."""

import collections
import math
import re

import numpy as np
import pytest
from refusals import cube, refused, still_works  # noqa: F401

import fastad
from fastad import math as fm
from fastad.core import scalar

# Results of f

@pytest.mark.parametrize("result, returned", [
    ([1.0, 2.0], "a list"), ((1.0,), "a tuple"), ({"a": 1.0}, "a dict"),
    (None, r"None \(is a return missing"), ("a", "a str"), (1j, "a complex"), (np.ones(2), "ndarray"),
    (True, "a bool"), (object(), "object"), ((x for x in ()), "a generator"),
])
def test_result_is_no_scalar(result, returned):
    def energy(x):
        return result

    for transform in (fastad.grad, fastad.value_and_grad, fastad.hessian):
        with refused(TypeError, "energy", returned, "jacobian", "vjp"):
            transform(energy)(1.0)
    with refused(TypeError, "energy", returned):
        fastad.hvp(energy, (1.0,), (1.0,))


@pytest.mark.parametrize("name", ["grad", "value_and_grad", "hessian"])
def test_the_message_names_the_transform_that_was_called(name):
    transform = getattr(fastad, name)
    with refused(TypeError, rf"\b{name}\b", "cube", "argument 0"):
        transform(cube)("a")
    with refused(TypeError, rf"(^|[^_]){name}\b"):
        transform(lambda x: None)(1.0)


def test_active_results_of_the_wrong_shape():
    with refused(TypeError, "grad", "a list", "jacobian"):
        fastad.grad(lambda x: [x, x])(1.0)
    for transform in (fastad.jacobian, lambda f: lambda x: fastad.jvp(f, (x,), (1.0,)),
                      lambda f: lambda x: fastad.vjp(f, x)):
        with refused(TypeError, "energies", "str", r"\[1\]"):
            def energies(x):
                return [x, "a"]

            transform(energies)(1.0)
        with refused(TypeError, "nothing", "None"):
            def nothing(x):
                x * x

            transform(nothing)(1.0)


@pytest.mark.parametrize("result", [3.0, 3, np.float64(3), np.float32(3), np.int64(3), np.array(3.0)])
def test_a_plain_result_has_gradient_zero(result):
    assert fastad.value_and_grad(lambda x: result)(1.0) == (3.0, 0.0)
    assert fastad.grad(lambda x: result)([1.0, (2.0,)]) == [0.0, (0.0,)]
    assert fastad.hessian(lambda x: result)(1.0) == 0.0
    assert fastad.jvp(lambda x: result, (1.0,), (1.0,)) == (3.0, 0.0)
    assert fastad.vjp(lambda x: result, 1.0)[1](1.0) == (0.0,)
    assert fastad.jacobian(lambda x: [x, result])(1.0) == [1.0, 0.0]
    assert fastad.grad(fastad.grad(lambda x: result))(1.0) == 0.0
    assert fastad.hvp(lambda x: result, (1.0,), (1.0,)) == 0.0


def test_results_that_do_not_come_from_the_arguments():
    assert fastad.grad(lambda x, y: y * y)(1.0, 2.0) == 0.0
    assert fastad.grad(lambda x: fastad.grad(lambda y: x * x)(x))(3.0) == 0.0
    assert fastad.grad(lambda x: x)(3.0) == 1.0
    assert fastad.grad(lambda xs: xs[1])([1.0, 2.0, 3.0]) == [0.0, 1.0, 0.0]
    _, vjp_fun = fastad.vjp(lambda xs: [xs[2], xs[2], 5.0], [1.0, 2.0, 3.0])
    assert vjp_fun([2.0, 3.0, 4.0]) == ([0.0, 0.0, 5.0],)


def test_aux_must_come_as_a_pair():
    for result in (1.0, (1.0, 2.0, 3.0), [1.0, 2.0]):
        with refused(TypeError, "has_aux", "<lambda>", "pair"):
            fastad.grad(lambda x, result: result, has_aux=True)(1.0, result)


# Arguments

@pytest.mark.parametrize("argument, kind, advice", [
    (3, "int", r"3\.0"), (True, "bool", "float"), ("a", "str", "float"), (b"a", "bytes", "float"),
    (object(), "object", "float"), (None, "None", "float"), (np.int64(3), "int64", "float"),
    (np.array("a"), "ndarray", ""), ({1.0}, "set", ""), (np.array([1, 2]), "ndarray", ""),
    (np.array([None]), "ndarray", ""), (fm.sin, "", "float"),
])
def test_arguments_without_a_derivative(argument, kind, advice):
    def energy(x, y):
        return y

    for transform in (fastad.grad, fastad.value_and_grad, fastad.jacobian, fastad.hessian):
        with refused(TypeError, "energy", "argument 1", kind, advice):
            transform(energy, 1)(1.0, argument)
    point, ones = (1.0, argument), (1.0, 1.0)
    for call in (lambda: fastad.jvp(energy, point, ones), lambda: fastad.hvp(energy, point, ones),
                 lambda: fastad.vjp(energy, *point), lambda: fastad.linearize(energy, *point)):
        with refused(TypeError, "energy", "argument 1", kind, advice):
            call()
    assert fastad.grad(lambda x, y: x * x)(1.0, argument) == 2.0


def test_the_place_in_a_nesting_is_named():
    weights = {"layers": [{"w": 1.0, "b": 2}], "name": 1.0}
    with refused(TypeError, "argument 0", re.escape("['layers'][0]['b']"), "int", r"2\.0"):
        fastad.grad(lambda w: w["name"])(weights)
    with refused(TypeError, "argument 0", re.escape("['name']"), "str"):
        fastad.grad(lambda w: w["name"])({"name": "a"})


def test_argument_of_another_type_may_stand_beside():
    assert fastad.grad(lambda x, n, name, flag: x**n if flag and name else 0.0)(2.0, 3, "a", True) == 12.0
    assert fastad.grad(lambda x, *, n=1: x**n)(2.0, n=3) == 12.0


@pytest.mark.parametrize("argnums", [1, -2, 5, (0, 1), (-3,)])
def test_argnums_out_of_range(argnums):
    for transform in (fastad.grad, fastad.value_and_grad, fastad.jacobian, fastad.hessian):
        with refused(ValueError, "argnums", "cube", "1 positional argument"):
            transform(cube, argnums)(2.0)
    with refused(ValueError, "argnums", "keyword"):
        fastad.grad(lambda x: x)(x=1.0)


@pytest.mark.parametrize("argnums", ["a", 1.0, None, (0, "a"), {0}, np.array([0])])
def test_argnums_of_the_wrong_type(argnums):
    for transform in (fastad.grad, fastad.jacobian, fastad.hessian):
        with refused(TypeError, "argnums", "int"):
            transform(cube, argnums)(2.0)


@pytest.mark.parametrize("argnums", [(0, 0), (0, -1), (1, 0, 1)])
def test_argnums_that_name_an_argument_twice(argnums):
    with refused(ValueError, "argnums", "twice"):
        fastad.grad(lambda x, *_: x * x, argnums)(*[2.0] * (1 + max(argnums)))


def test_argnums_of_every_kind():
    f = lambda x, y: x * x * y  # noqa: E731
    assert fastad.grad(f, -1)(3.0, 5.0) == 9.0 and fastad.grad(f, np.int64(1))(3.0, 5.0) == 9.0
    assert fastad.grad(f, [1, 0])(3.0, 5.0) == (9.0, 30.0) and fastad.grad(f, (1,))(3.0, 5.0) == (9.0,)
    assert fastad.grad(f, ())(3.0, 5.0) == ()


def test_what_is_no_function():
    with refused(TypeError, "callable|function"):
        fastad.grad(3.0)(1.0)


def test_nan_and_infinity_pass_through():
    inf, nan = math.inf, math.nan
    assert fastad.value_and_grad(lambda x: x * x)(inf) == (inf, inf)
    assert fastad.value_and_grad(lambda x: 2 * x)(-inf) == (-inf, 2.0)
    value, gradient = fastad.value_and_grad(lambda xs: xs[0] * xs[1] + xs[2])([nan, 2.0, 3.0])
    assert math.isnan(value) and gradient[0] == 2.0 and math.isnan(gradient[1]) and gradient[2] == 1.0
    assert fastad.value_and_grad(lambda x: 1 / x)(0.0) == (inf, -inf)
    assert fastad.value_and_grad(lambda x: x / 0)(1.0) == (inf, inf)
    assert math.isnan(fastad.jvp(lambda x: x * x, (1.0,), (nan,))[1])


# Structures

Pair = collections.namedtuple("Pair", "first second")


def test_ragged_and_mixed_structures():
    point = {"a": [1.0, [2.0, (3.0,)]], "b": Pair(4.0, []), "c": {}, 7: ()}
    want = {"a": [2.0, [4.0, (6.0,)]], "b": Pair(8.0, []), "c": {}, 7: ()}

    def f(p):
        first, (second, (third,)) = p["a"]
        return first**2 + second**2 + third**2 + p["b"].first**2

    got = fastad.grad(f)(point)
    assert got == want and type(got["b"]) is Pair
    constant = fastad.grad(lambda p: 1.0)
    assert constant([]) == [] and constant({"a": None, "b": 2.0}) == {"a": None, "b": 0.0}


def test_structures_that_change_from_call_to_call():
    total = fastad.grad(lambda xs: sum(x * x for x in xs))
    assert [total([1.0] * n) for n in (3, 1, 0, 2)] == [[2.0] * n for n in (3, 1, 0, 2)]
    either = fastad.jacobian(lambda x: [x, 2 * x] if x > 0 else {"a": x})
    assert either(1.0) == [1.0, 2.0] and either(-1.0) == {"a": 1.0}


def test_the_caller_s_containers_are_left_alone():
    point = {"xs": [1.0, 2.0]}

    def f(p):
        p["xs"].append(p["xs"].pop(0) * 3)
        p["new"] = 1
        return p["xs"][1] * p["xs"][0]

    assert fastad.grad(f)(point) == {"xs": [6.0, 3.0]}
    assert point == {"xs": [1.0, 2.0]}


def test_a_nesting_that_changes_after_vjp():
    point, result = [1.0, 2.0], []

    def f(xs):
        result[:] = [xs[0] * xs[1], xs[0]]
        return result

    _, vjp_fun = fastad.vjp(f, point)
    _, jvp_fun = fastad.linearize(f, point)
    point[0], result[0] = np.float64(5.0), None
    point.append(3.0)
    assert vjp_fun([1.0, 1.0]) == ([3.0, 1.0],) and jvp_fun([1.0, 1.0]) == [3.0, 1.0]


def test_a_list_that_holds_itself():
    endless = [1.0]
    endless.append(endless)
    with pytest.raises((RecursionError, ValueError)):
        fastad.grad(lambda x: x[0])(endless)


@pytest.mark.parametrize("tangents, error, part", [
    (1.0, TypeError, "tuple"), ((), TypeError, "1"), ((1.0, 1.0), TypeError, "1"),
    (([1.0],), ValueError, r"tangents\[0\]"), (([1.0, 2.0, 3.0],), ValueError, r"tangents\[0\]"),
    (((1.0, 2.0),), ValueError, r"tangents\[0\]"), ((1.0,), ValueError, "number"),
    ((["a", 1.0],), TypeError, r"tangents\[0\]\[0\].*str"), (([1.0, None],), ValueError, r"tangents\[0\]"),
    (([1j, 1.0],), TypeError, "complex"), (([True, 1.0],), TypeError, "bool"), (None, TypeError, "tuple"),
])
def test_tangents_of_the_wrong_structure(tangents, error, part):
    def f(xs):
        return xs[0] * xs[1]

    for name, call in (("jvp", lambda: fastad.jvp(f, ([1.0, 2.0],), tangents)),
                       ("hvp", lambda: fastad.hvp(f, ([1.0, 2.0],), tangents))):
        with refused(error, name, part):
            call()
    if isinstance(tangents, tuple):
        with refused(error, "jvp_fun", part):
            fastad.linearize(f, [1.0, 2.0])[1](*tangents)


@pytest.mark.parametrize("primals", [1.0, None, {"x": 1.0}, "a"])
def test_primals_must_be_a_tuple(primals):
    for name in ("jvp", "hvp"):
        with refused(TypeError, name, "primals", "tuple"):
            getattr(fastad, name)(cube, primals, (1.0,))


@pytest.mark.parametrize("cotangent, error", [
    (1.0, ValueError), ([1.0], ValueError), ([1.0, 2.0, 3.0], ValueError), ((1.0, 2.0), ValueError),
    ([1.0, "a"], TypeError), (None, ValueError), ([1.0, None], ValueError), ([1.0, 1j], TypeError),
    ([1.0, np.ones(2)], TypeError), ([1.0, True], TypeError),
])
def test_cotangents_of_the_wrong_structure(cotangent, error):
    _, vjp_fun = fastad.vjp(lambda x: [x, x * x], 3.0)
    with refused(error, "vjp_fun", "cotangent"):
        vjp_fun(cotangent)
    assert vjp_fun([1.0, 2]) == (13.0,)
    with pytest.raises(ValueError) as caught:
        vjp_fun([1.0])
    assert str(caught.value).count("[") == str(caught.value).count("]") and "(" not in str(caught.value)


def test_numpy_scalars_and_ints_as_tangents():
    for one in (1, np.float64(1), np.float32(1), np.int64(1), np.array(1.0)):
        assert fastad.jvp(cube, (2.0,), (one,))[1] == 12.0
        assert fastad.vjp(cube, 2.0)[1](one) == (12.0,)


def test_jacobian_mode():
    with refused(ValueError, "jacobian", "mode", "forward", "reverse", "sideways"):
        fastad.jacobian(cube, mode="sideways")


# Exceptions in f

class Unwind(BaseException):
    pass


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, GeneratorExit, SystemExit, MemoryError,
                                   StopIteration, Unwind])
def test_an_exception_in_f_leaves_the_thread_as_it_was(error):
    def f(x):
        y = x * x
        if y > 1:
            raise error("in f")
        return y

    g = fastad.grad(f)
    for run in (g, fastad.grad(g), fastad.hessian(f), lambda x: fastad.jvp(f, (x,), (1.0,)),
                lambda x: fastad.vjp(f, x), lambda x: fastad.hvp(f, (x,), (1.0,)),
                lambda x: fastad.linearize(f, x), lambda x: fastad.trace(f, x),
                lambda x: fastad.jacobian(g)(x)):
        with pytest.raises(error, match="in f"):
            run(2.0)
        assert not scalar.tracing()
        assert g(0.5) == 1.0


def test_an_exception_that_f_catches_itself():
    def inner(x):
        raise ArithmeticError

    def f(x):
        for _ in range(3):
            try:
                fastad.grad(inner)(x * x)
            except ArithmeticError:
                x = x * 2
        assert scalar.tracing()
        return fastad.grad(cube)(x) * x

    assert fastad.grad(f)(1.0) == 9 * 8.0**3


def test_recursion_without_end():
    def f(x):
        return f(x * x)

    def g(x):
        return fastad.grad(g)(x)

    for function in (f, g):
        with pytest.raises(RecursionError):
            fastad.grad(function)(1.0)
        assert not scalar.tracing()
