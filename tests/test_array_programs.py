"""Random programs with views and writes give what a slow interpreter gives, values and derivatives of first and second order."""

import random

import array_programs
import numpy as np
import pytest

import fastad

RTOL, ATOL = 1e-9, 1e-10


def flat(tree):
    """Numbers and arrays of a nesting, as one array."""
    if isinstance(tree, (list, tuple)):
        return np.concatenate([flat(entry) for entry in tree])
    return np.ravel(tree)


def matrix(blocks):
    """A Hessian by three arguments as a matrix."""
    sizes = [int(np.prod(shape)) for shape in array_programs.SHAPES]
    return np.block([[np.reshape(block, (n, m)) for block, m in zip(row, sizes)] for row, n in zip(blocks, sizes)])


class Case:
    """A program, a point and directions, for both ways to run it."""

    def __init__(self, number, steps):
        self.seeds = [1000 * number + k for k in range(steps)]
        rng = np.random.default_rng(number)
        self.point, self.direction = (
            tuple(rng.uniform(-1.0, 1.0, shape) if shape else float(rng.uniform()) for shape in array_programs.SHAPES)
            for _ in range(2))
        self.numbers, self.tangents = flat(self.point).tolist(), flat(self.direction).tolist()
        self.before = [np.copy(x) for x in self.point]
        self.f = array_programs.function(self.seeds)
        self.slow = array_programs.on_scalars(self.seeds)

    def unchanged(self):
        return all(np.array_equal(x, y) for x, y in zip(self.point, self.before))


def close(actual, desired):
    np.testing.assert_allclose(actual, desired, RTOL, ATOL)


def first_order(case):
    value, gradient = fastad.value_and_grad(case.slow)(case.numbers)
    close(fastad.value_and_grad(case.f, (0, 1, 2))(*case.point)[0], value)
    close(flat(fastad.grad(case.f, (0, 1, 2))(*case.point)), gradient)
    tangent = np.dot(gradient, case.tangents)
    close(fastad.jvp(case.f, case.point, case.direction)[1], tangent)
    _, jvp_fun = fastad.linearize(case.f, *case.point)
    _, vjp_fun = fastad.vjp(case.f, *case.point)
    close(jvp_fun(*case.direction), tangent)
    close(flat(vjp_fun(2.0)), 2.0 * np.array(gradient))
    assert case.unchanged()


def second_order(case):
    product = fastad.hvp(case.slow, (case.numbers,), (case.tangents,))
    close(flat(fastad.hvp(case.f, case.point, case.direction)), product)
    hessian = np.array(fastad.hessian(case.slow)(case.numbers))
    close(matrix(fastad.hessian(case.f, (0, 1, 2))(*case.point)), hessian)
    # Recorded tangents under a reverse sweep.
    mixed = fastad.grad(lambda *x: fastad.jvp(case.f, x, case.direction)[1], (0, 1, 2))(*case.point)
    close(flat(mixed), product)
    assert case.unchanged()


@pytest.mark.parametrize("number", range(200))
def test_first_order(number):
    first_order(Case(number, 6 + number % 20))


@pytest.mark.parametrize("number", range(60))
def test_second_order(number):
    second_order(Case(1000 + number, 6 + number % 14))


@pytest.mark.parametrize("number", range(10))
def test_third_order(number):
    case = Case(2000 + number, 8)
    _, slow = fastad.jvp(lambda x: fastad.hvp(case.slow, (x,), (case.tangents,)), (case.numbers,), (case.tangents,))
    _, fast = fastad.jvp(lambda *x: fastad.hvp(case.f, x, case.direction), case.point, case.direction)
    close(flat(fast), slow)


def test_long_programs():
    for number in range(3000, 3004):
        first_order(Case(number, 150))


def test_every_step_is_met():
    first = [random.Random(seed).choice(array_programs.STEPS)
             for number in range(200) for seed in Case(number, 6 + number % 20).seeds]
    assert {name: first.count(name) >= 20 for name in array_programs.STEPS} == dict.fromkeys(array_programs.STEPS, True)


@pytest.mark.parametrize("shape", [(25, 300, 10), (400, 3, 5), (900, 7), (9000, 1), (64, 128), (40, 129), (3, 2, 4000), (5000,)])
@pytest.mark.parametrize("dtype", [float, np.float32])
def test_sums_over_what_was_broadcast(shape, dtype):
    """Adjoints of operands that are 1 along each of the axes: sums along it, whichever way they are added up."""
    x = np.random.default_rng(0).normal(size=shape).astype(dtype)
    for axis in range(len(shape)):
        small = np.ones(tuple(1 if k == axis else n for k, n in enumerate(shape)), dtype)
        gradient = fastad.grad(lambda y: np.sum(np.sin(x * y)))(small)
        assert gradient.dtype == dtype and gradient.shape == small.shape
        expected = np.sum(x.astype(float) * np.cos(x.astype(float)), axis=axis, keepdims=True)
        np.testing.assert_allclose(gradient, expected, atol=(1e-12 if dtype is float else 1e-4) * shape[axis])
