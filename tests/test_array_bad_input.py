"""What is wrong or unusual about arrays ends in NumPy's error, in a TraceError that says what to do, or in the right number."""

import numpy as np
import pytest
from refusals import refused, still_works  # noqa: F401

import fastad

X = np.array([0.5, 1.5, 2.5])


@pytest.mark.parametrize("f", [
    lambda x: x + np.ones(4), lambda x: x * x[:2], lambda x: np.add(np.ones((2, 2)), x), lambda x: x[:2].reshape(3),
    lambda x: x @ np.ones(4),
], ids=["plain", "active", "ufunc", "reshape", "matmul"])
def test_shapes_that_do_not_fit(f):
    with pytest.raises(ValueError) as plain:
        f(X)
    with pytest.raises(ValueError) as active:
        fastad.grad(lambda x: np.sum(f(x)))(X)
    assert str(active.value) == str(plain.value)


@pytest.mark.parametrize("x", [
    X[::-1], np.broadcast_to(1.5, (3,)), np.arange(12.0).reshape(3, 4).T[1:3], X.astype(">f8"), np.ones((0, 3)), np.array(2.0),
], ids=["negative strides", "zero strides", "transposed", "byte-swapped", "empty", "0-d"])
def test_layouts(x):
    np.testing.assert_array_equal(fastad.grad(lambda x: np.sum(x * x))(x), 2.0 * x)


@pytest.mark.parametrize("x", [
    np.array([1, 2]), np.array(["a"]), np.array([None]), np.zeros(2, "f8,i4"), np.ma.array([1.0, 2.0]), np.array([True]),
], ids=["int", "str", "object", "structured", "masked", "bool"])
def test_arguments_without_a_derivative(x):
    for transform in (fastad.grad, fastad.jacobian, fastad.hessian):
        with refused(TypeError, "argument 0", "which has no derivative"):
            transform(lambda x: 1.0)(x)


def test_masked_out_places():
    x = np.array([0.5, 1.0, 5.0])
    with np.errstate(invalid="ignore"):
        gradient = fastad.grad(lambda x: np.sum(np.where(x > 1.0, np.sqrt(x - 1.0), 0.0)))(x)
    np.testing.assert_array_equal(gradient, [0.0, 0.0, 0.25])


def test_a_captured_array_may_change_after_use():
    def f(x):
        c = np.arange(1.0, 4.0)
        y = x * c
        c[:] = 9.0
        return np.sum(y)

    np.testing.assert_array_equal(fastad.grad(f)(X), [1.0, 2.0, 3.0])


def test_singular_matrices():
    with pytest.raises(np.linalg.LinAlgError, match="Singular"):
        fastad.grad(lambda a: np.sum(np.linalg.inv(a)))(np.ones((2, 2)))


def test_active_arrays_of_an_ended_trace_and_errors_inside():
    kept = []
    fastad.grad(lambda x: (kept.append(x), np.sum(x))[1])(X)
    for use in (lambda x: x + 1.0, lambda x: x[0], lambda x: np.sin(x), lambda x: x.__setitem__(0, 1.0)):
        with refused(fastad.TraceError, "another trace"):
            use(kept[0])
    with pytest.raises(ZeroDivisionError):
        fastad.grad(lambda x: 1 / 0)(X)


def test_errstate():
    with np.errstate(all="raise"), pytest.raises(FloatingPointError):
        fastad.grad(lambda x: np.sum(1.0 / x))(np.zeros(2))


@pytest.mark.parametrize("change", [
    lambda a: a.sort(), lambda a: a[::-1].sort(), lambda a: np.random.default_rng(0).shuffle(a), lambda a: a.__iadd__(1.0),
    lambda a: a.__setitem__(slice(None), a[::-1].copy()), lambda a: a.__setitem__([3, 4], a[[4, 3]]),
    lambda a: a.__setitem__([3, 19], a[[19, 3]]), lambda a: a.__setitem__(slice(None), np.roll(a, 16)), lambda a: a.fill(0.0),
])
def test_a_large_plain_array_that_is_changed_before_the_sweep(change):
    def f(x):
        data = np.random.default_rng(1).normal(size=10_001)
        y = np.sum(np.sin(x * data))
        change(data)
        return y

    with refused(fastad.TraceError, "was changed before its derivative"):
        fastad.grad(f)(np.linspace(0.0, 1.0, 10_001))
