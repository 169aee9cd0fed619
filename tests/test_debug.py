"""fastad.debug: the first NaN or infinity is an error that names the operation, the numbers and the user's line."""

import re
import threading

import numpy as np
import pytest

import fastad
from fastad import math

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


def negative_root(x):
    y = x - 2.0
    return 3.0 * math.sqrt(y)


def root_at_zero(x):
    return 3.0 * math.sqrt(x)


def overflow(x):
    return math.exp(x) * 1e10


def logarithm(x):
    y = x * 2.0
    return np.sum(np.log(y))


def root_of_part(x):
    return np.sum(np.sqrt(x[1:]))


def loop(x):
    y = np.zeros_like(x)
    for k in range(3):
        y[k] = math.log(x[k])
    y[1:] = x[1:] / x[0]
    return np.sum(y)


def norm(x):
    return np.sum(np.sum(x) ** 1.5 * x)


def literal(x):
    return x * 2.0 + math.inf


A = np.array([1.0, 0.0, 2.0])
CASES = {
    "value of a scalar": (negative_root, 1.0, r"sqrt\(-1\) is nan: math.sqrt\(y\) at .*test_debug.py:17", False),
    "derivative of a scalar": (root_at_zero, 0.0, r"derivative of sqrt\(0\) = 0 is inf .*: math.sqrt\(x\) at .*:21", True),
    "overflow": (overflow, 709.0, r"8.21841e\+307 \* 1e\+10 is inf: math.exp\(x\) \* 1e10 at", False),
    "value of an array": (logarithm, A, r"log\(\[2 0 4\] .* is -inf at \[1\], in .*: np.log\(y\) at .*:30", False),
    "derivative of an array": (root_of_part, A, r"derivative of sqrt\(\[0 2\] .* is inf at \[0\].*: np.sqrt\(x\[1:\]\) at", True),
    "element of an array": (loop, A, r"log\(0\) is -inf: math.log\(x\[k\]\) at", False),
    "literal": (literal, 1.0, r"2 \+ inf is inf: x \* 2.0 \+ math.inf at", False),
    "input": (root_at_zero, float("nan"), r"(argument 0|input x) is nan", False),
    "input array": (logarithm, np.array([1.0, np.inf]), r"(argument 0|input x) is inf at \[1\]", False),
}
TRANSFORMS = {
    "grad": lambda f, x: fastad.grad(f)(x), "value_and_grad": lambda f, x: fastad.value_and_grad(f)(x),
    "jacobian": lambda f, x: fastad.jacobian(f, mode="reverse")(x), "hessian": lambda f, x: fastad.hessian(f)(x),
    "vjp": lambda f, x: fastad.vjp(f, x)[1](1.0), "jvp": lambda f, x: fastad.jvp(f, (x,), (np.ones_like(x)[()],)),
    "hvp": lambda f, x: fastad.hvp(f, (x,), (np.ones_like(x)[()],)),
    "linearize": lambda f, x: fastad.linearize(f, x)[1](np.ones_like(x)[()]),
    "program": lambda f, x: fastad.record(f).value_and_grad(x), "program's gradient": lambda f, x: fastad.record(f, x).grad(x),
    "program's vjp": lambda f, x: fastad.record(f).vjp(x), "program's Hessian": lambda f, x: fastad.record(f).hessian(x),
    "gradient of a program": lambda f, x: fastad.grad(fastad.record(f))(x),
}


@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)
@pytest.mark.parametrize("function, x, expected, derivative", CASES.values(), ids=CASES)
def test_the_first_that_is_not_finite_is_named(transform, function, x, expected, derivative):
    with fastad.debug(), pytest.raises(FloatingPointError, match=expected):
        transform(function, x)


@pytest.mark.parametrize("function, x, expected, derivative", CASES.values(), ids=CASES)
def test_values_of_programs(function, x, expected, derivative):
    program = fastad.record(function)
    with fastad.debug():
        if derivative:
            assert np.isfinite(program(x))
        else:
            with pytest.raises(FloatingPointError, match=expected):
                program(x)


def test_the_short_way_of_a_program_is_looked_at_too():
    program = fastad.record(root_at_zero, 1.0)
    for _ in range(3):
        assert program.grad(4.0) == 0.75 and program(4.0) == 6.0
    with fastad.debug():
        with pytest.raises(FloatingPointError, match="sqrt"):
            program.grad(0.0)
        with pytest.raises(FloatingPointError, match="sqrt"):
            program(-1.0)
    assert program.grad(0.0) == np.inf


@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)
@pytest.mark.parametrize("function, x", [(root_at_zero, 4.0), (logarithm, A + 1.0), (loop, A + 1.0), (norm, A)],
                         ids=["scalar", "array", "elements", "both"])
def test_finite_functions_go_through_unchanged(transform, function, x):
    outside = transform(function, x)
    with fastad.debug():
        inside = transform(function, x)
    if not callable(outside) and not (isinstance(outside, tuple) and callable(outside[-1])):
        for one, other in zip(np.broadcast_arrays(*outside) if isinstance(outside, tuple) else [outside],
                              np.broadcast_arrays(*inside) if isinstance(inside, tuple) else [inside]):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("transform", ["grad", "jvp", "hessian"])
@pytest.mark.parametrize("function, x", [(negative_root, 1.0), (root_at_zero, 0.0), (logarithm, A)],
                         ids=["value", "root", "array"])
def test_nothing_changes_outside(transform, function, x):
    with fastad.debug(), pytest.raises(FloatingPointError):
        TRANSFORMS[transform](function, x)
    assert not np.isfinite(np.sum(np.asarray(TRANSFORMS[transform](function, x)[-1] if transform == "jvp" else
                                             TRANSFORMS[transform](function, x))))


def test_inner_transforms():
    with fastad.debug(), pytest.raises(FloatingPointError, match=r"0 \*\* 0.5 = 0 is inf"):
        fastad.grad(fastad.grad(lambda x: x ** 1.5))(0.0)
    with fastad.debug():
        assert fastad.grad(fastad.grad(lambda x: x ** 3))(2.0) == 12.0


def test_second_derivatives():
    with fastad.debug(), pytest.raises(FloatingPointError, match="second derivative is inf"):
        fastad.hessian(lambda x: x ** 1.5)(0.0)


def test_arguments_are_named_by_their_place():
    expected = re.escape("grad of <lambda>: argument 0, at ['w'], is nan at [1]")
    with fastad.debug(), pytest.raises(FloatingPointError, match=expected):
        fastad.grad(lambda p: np.sum(p["w"]))({"w": np.array([1.0, np.nan])})
    program = fastad.record(lambda p: np.sum(p["w"]))
    with fastad.debug(), pytest.raises(FloatingPointError, match=re.escape("the input p['w'] is nan at [1]")):
        program({"w": np.array([1.0, np.nan])})


def test_zero_wins_over_infinity():
    # The derivative of sqrt at 0 is infinite, but nothing asks for it.
    with fastad.debug():
        assert fastad.grad(lambda x: math.sqrt(x) * 0.0 + x)(0.0) == 1.0


def test_float32_and_writes():
    def g(x):
        y = np.zeros(4, np.float32) + x[0]
        y[1:] = np.exp(x * 100.0)
        return np.sum(y)

    x = np.ones(3, np.float32)
    with fastad.debug(), pytest.raises(FloatingPointError, match=r"exp\(\[100 100 100\] .* is inf at \[0\].*np.exp\(x"):
        fastad.grad(g)(x)
    with fastad.debug():
        np.testing.assert_allclose(fastad.grad(g)(x / 10), [100 * np.exp(10) + 4, 100 * np.exp(10), 100 * np.exp(10)], rtol=1e-5)


def test_only_this_thread():
    entered, done = threading.Event(), threading.Event()
    found = []

    def other():
        entered.wait(10)
        found.append(fastad.grad(root_at_zero)(0.0))
        done.set()

    thread = threading.Thread(target=other)
    thread.start()
    with fastad.debug():
        entered.set()
        done.wait(10)
        with pytest.raises(FloatingPointError):
            fastad.grad(root_at_zero)(0.0)
    thread.join()
    assert found == [np.inf]


def test_contexts_nest():
    with fastad.debug():
        with fastad.debug():
            pass
        with pytest.raises(FloatingPointError):
            fastad.grad(root_at_zero)(0.0)
    assert fastad.grad(root_at_zero)(0.0) == np.inf


def test_the_functions_own_error_comes_out():
    def g(x):
        if not math.isfinite(math.log(x)):
            raise ValueError("no logarithm")
        return x

    with fastad.debug(), pytest.raises(ValueError, match="no logarithm"):
        fastad.grad(g)(0.0)
    assert fastad.grad(g)(2.0) == 1.0
