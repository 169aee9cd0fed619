"""Kernels by batches: products of many matrices and what stands around them give what they give one kernel after the other."""

import random

import numpy as np
import pytest

import fastad
from fastad.core import simd
from fastad.programs.code import passes


def codes_of(program):
    """The Codes of a program: of its paths and of the derivatives behind them."""
    paths = [code for found in program._paths.values() for code in found.codes]
    return [*paths, *[code for path in paths for code in path.owner.derived.values()]]


def mixture(x, means, factors):
    """Squares of what is left of points by the means of several Gaussians, in their units: products of many matrices of few columns."""
    left = (x - means[:, np.newaxis, :]) @ np.swapaxes(factors, 1, 2)
    return np.sum(left**2, axis=2)


def loss(x, means, factors):
    squares = mixture(x, means, factors)
    return np.sum(np.log(np.sum(np.exp(np.min(squares, axis=0) - squares), axis=0))) + np.sum(factors**2)


def of_mixture(batches, n, width, dtype=float, seed=0):
    rng = np.random.default_rng(seed)
    return [x.astype(dtype) for x in (rng.normal(size=(n, width)), rng.normal(size=(batches, width)),
                                      0.2 * rng.normal(size=(batches, width, width)))]


def with_and_without(f, arguments, monkeypatch):
    """Values and gradients of f as a program gives them with rounds, which are those without, and how many rounds there are."""
    found = []
    for on in (True, False):
        monkeypatch.setitem(passes, "rounds", on)
        program = fastad.record(f)
        for _ in range(3):
            value, gradient = program.value_and_grad(*arguments, argnums=tuple(range(len(arguments))))
        found.append(([value, program(*arguments), *gradient], sum(code.rounds for code in codes_of(program))))
    (with_rounds, count), (without, none) = found
    assert none == 0
    for x, y in zip(with_rounds, without, strict=True):
        np.testing.assert_array_equal(x, y)
    return with_rounds, count


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("batches, n, width", [(25, 1000, 32), (2, 5000, 16), (100, 400, 8), (7, 700, 40), (3, 50, 8)])
def test_mixture(batches, n, width, dtype, monkeypatch):
    arguments = of_mixture(batches, n, width, dtype)
    (value, _, *gradient), count = with_and_without(loss, arguments, monkeypatch)
    size = batches * n * width * np.dtype(dtype).itemsize
    assert count == 0 or size >= 1 << 20
    assert count > 0 or batches != 25 or simd.best_level() == "baseline"
    expected, by_arguments = fastad.value_and_grad(loss, argnums=(0, 1, 2))(*arguments)
    tolerance = 1e-11 if dtype == np.float64 else 2e-3
    np.testing.assert_allclose(value, expected, rtol=tolerance)
    for x, y in zip(gradient, by_arguments, strict=True):
        np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance * np.max(np.abs(y)))


def random_batches(seed, batches, m, n):
    """A function of two arrays of `batches` matrices: products, and much that goes within a batch, across batches or into a part."""
    def f(x, y):
        rng = random.Random(seed)
        values = [x, y]
        squares = [np.swapaxes(x, 1, 2) @ y / m]
        for _ in range(14):
            kind, a, b = rng.randrange(16), rng.choice(values), rng.choice(values)
            if kind < 4:
                c = a @ rng.choice(squares)
            elif kind < 6:
                squares.append(np.swapaxes(a, 1, 2) @ b / m)
                continue
            elif kind == 6:
                c = a * b + 0.5
            elif kind == 7:
                c = a - b[:, :, :1] * np.max(a, axis=2, keepdims=True)
            elif kind == 8:
                c = a - np.sum(b, axis=1, keepdims=True) * 0.01
            elif kind == 9:
                c = a + b[::-1]
            elif kind == 10:
                c = a * np.mean(b, axis=0)
            elif kind == 11:
                c = np.copy(a)
                c[1:] += b[:-1]
            elif kind == 12:
                c = np.copy(a)
                c[:, : m // 2] = b[:, m // 2 : 2 * (m // 2)]
            elif kind == 13:
                c = a * (1.0 + 0.1 * b[:, :, :1] + a[0, 0, 0])
            elif kind == 14:
                c = np.tanh(a) * b
            else:
                c = a @ rng.choice(squares)[batches // 2]
            values.append(c / (1.0 + 0.1 * np.abs(c)))
        return np.sum(values[-1] * values[-2]) + np.mean(values[-3]) + np.sum(squares[-1])
    return f


SHAPES = [(8, 600, 32), (2, 2000, 34), (33, 600, 8), (5, 700, 40)]


@pytest.mark.parametrize("seed", range(60))
def test_random_programs(seed, monkeypatch):
    f, shape = random_batches(seed, *SHAPES[seed % 4]), SHAPES[seed % 4]
    x, y = np.random.default_rng(seed).normal(size=(2, *shape))
    (value, _, *gradient), _ = with_and_without(f, (x, y), monkeypatch)
    expected, by_arguments = fastad.value_and_grad(f, argnums=(0, 1))(x, y)
    np.testing.assert_allclose(value, expected, rtol=1e-9, atol=1e-9)
    for found, wanted in zip(gradient, by_arguments, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-8, atol=1e-8 * np.max(np.abs(wanted)))


@pytest.mark.skipif(simd.best_level() == "baseline", reason="products are BLAS's there")
def test_there_are_rounds_in_random_programs(monkeypatch):
    counts = []
    for seed in range(0, 40, 4):
        x, y = np.random.default_rng(seed).normal(size=(2, *SHAPES[0]))
        counts.append(with_and_without(random_batches(seed, *SHAPES[0]), (x, y), monkeypatch)[1])
    assert sum(count > 0 for count in counts) > 5


def test_decisions_and_other_inputs(monkeypatch):
    def f(x, means, factors):
        squares = mixture(x, means, factors)
        if squares[0, 0] > 1.0:
            return np.sum(squares * loss(x * 0.5, means, factors))
        return np.sum(squares) - loss(x, means, np.swapaxes(factors, 1, 2))

    program = fastad.record(f)
    for seed in range(6):
        arguments = of_mixture(8, 700, 30, seed=seed)
        value, gradient = program.value_and_grad(*arguments, argnums=(0, 1, 2))
        expected, wanted = fastad.value_and_grad(f, argnums=(0, 1, 2))(*arguments)
        np.testing.assert_allclose(value, expected, rtol=1e-11)
        for x, y in zip(gradient, wanted, strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-9, atol=1e-11 * np.max(np.abs(y)))
    # Arrays of the caller's that are no contiguous ones, and one that is given twice.
    def g(x, y):
        return np.sum((x * 2.0) @ np.swapaxes(y, 1, 2)[:, :, :30] * np.sum(x, axis=1, keepdims=True))

    program = fastad.record(g)
    x = np.random.default_rng(9).normal(size=(8, 700, 30))
    for arguments in ([x, x], [x[::-1], x], [x, x[:, ::-1]], [x, np.asfortranarray(x)]):
        value, gradient = program.value_and_grad(*arguments, argnums=(0, 1))
        expected, wanted = fastad.value_and_grad(g, argnums=(0, 1))(*arguments)
        np.testing.assert_allclose(value, expected, rtol=1e-11)
        for found, one in zip(gradient, wanted, strict=True):
            np.testing.assert_allclose(found, one, rtol=1e-9, atol=1e-11 * np.max(np.abs(one)))
