"""Kernels by batches: products of many matrices and what stands around them give what they give one kernel after the other."""

import random

import numpy as np
import pytest

import fastad
from fastad.programs.code import passes


def codes_of(program):
    """The Codes of a program: of its paths and of the derivatives behind them."""
    paths = [code for found in program._paths.values() for code in found.codes]
    return [*paths, *[code for path in paths for code in path.owner.derived.values()]]


def attention(q, k, v):
    scores = q @ np.swapaxes(k, -1, -2) / np.sqrt(q.shape[-1])
    weights = np.exp(scores - np.max(scores, axis=-1, keepdims=True))
    return weights / np.sum(weights, axis=-1, keepdims=True) @ v


def loss(q, k, v):
    return np.sum(np.tanh(attention(q, k, v)))


def heads(batches, n, width, dtype=float, seed=0):
    return [x.astype(dtype) for x in np.random.default_rng(seed).normal(size=(3, batches, n, width))]


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
@pytest.mark.parametrize("batches, n, width", [(16, 128, 32), (2, 300, 20), (100, 60, 8), (7, 200, 64)])
def test_attention(batches, n, width, dtype, monkeypatch):
    arguments = heads(batches, n, width, dtype)
    (value, _, *gradient), count = with_and_without(loss, arguments, monkeypatch)
    far = batches * n * n * np.dtype(dtype).itemsize >= 1 << 20
    assert count > 0 or not far or n * n * np.dtype(dtype).itemsize > 1 << 18
    expected, by_arguments = fastad.value_and_grad(loss, argnums=(0, 1, 2))(*arguments)
    tolerance = 1e-11 if dtype == np.float64 else 2e-3
    np.testing.assert_allclose(value, expected, rtol=tolerance)
    for x, y in zip(gradient, by_arguments, strict=True):
        np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance)


def random_batches(seed, batches, n):
    """A function of two arrays of `batches` matrices: products, and much that goes within a batch, across batches or into a part."""
    def f(x, y):
        rng = random.Random(seed)
        values = [x, y]
        for _ in range(12):
            kind, a, b = rng.randrange(14), rng.choice(values), rng.choice(values)
            if kind < 4:
                c = a @ (b if rng.random() < 0.5 else np.swapaxes(b, 1, 2)) * (1.0 / n)
            elif kind == 4:
                c = np.tanh(a) * b
            elif kind == 5:
                weights = np.exp(a - np.max(a, axis=2, keepdims=True))
                c = weights / np.sum(weights, axis=2, keepdims=True)
            elif kind == 6:
                c = a - np.sum(b, axis=1, keepdims=True) * 0.01
            elif kind == 7:
                c = a + b[::-1]
            elif kind == 8:
                c = a * np.mean(b, axis=0)
            elif kind == 9:
                c = np.copy(a)
                c[1:] += b[:-1]
            elif kind == 10:
                c = np.copy(a)
                c[:, : n // 2] = b[:, n // 2 : 2 * (n // 2)]
            elif kind == 11:
                c = a * (1.0 + 0.1 * np.sin(b[:, :, :1] + a[0, 0, 0]))
            elif kind == 12:
                c = np.swapaxes(a, 1, 2) + b
            else:
                c = a @ b[batches // 2] * (1.0 / n)
            values.append(c / (1.0 + 0.1 * np.abs(c)))
        return np.sum(values[-1] * values[-2]) + np.mean(values[-3])
    return f


@pytest.mark.parametrize("seed", range(40))
def test_random_programs(seed, monkeypatch):
    batches, n = [(8, 128), (2, 260), (33, 64), (5, 165)][seed % 4]
    f = random_batches(seed, batches, n)
    x, y = np.random.default_rng(seed).normal(size=(2, batches, n, n))
    (value, _, *gradient), _ = with_and_without(f, (x, y), monkeypatch)
    expected, by_arguments = fastad.value_and_grad(f, argnums=(0, 1))(x, y)
    np.testing.assert_allclose(value, expected, rtol=1e-9, atol=1e-9)
    for found, wanted in zip(gradient, by_arguments, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-8, atol=1e-8 * np.max(np.abs(wanted)))


def test_there_are_rounds_in_random_programs(monkeypatch):
    counts = []
    for seed in range(0, 40, 4):
        x, y = np.random.default_rng(seed).normal(size=(2, 8, 128, 128))
        counts.append(with_and_without(random_batches(seed, 8, 128), (x, y), monkeypatch)[1])
    assert sum(count > 0 for count in counts) > 5


def test_decisions_and_other_inputs(monkeypatch):
    def f(q, k, v):
        x = attention(q, k, v)
        if x[0, 0, 0] > 0.0:
            x = x @ np.swapaxes(x, 1, 2)
        else:
            x = np.exp(x) @ np.swapaxes(v, 1, 2)
        return np.sum(attention(x, x * 0.5, x))

    program = fastad.record(f)
    for seed in range(6):
        arguments = heads(8, 130, 40, seed=seed)
        value, gradient = program.value_and_grad(*arguments, argnums=(0, 1, 2))
        expected, wanted = fastad.value_and_grad(f, argnums=(0, 1, 2))(*arguments)
        np.testing.assert_allclose(value, expected, rtol=1e-11)
        for x, y in zip(gradient, wanted, strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-9, atol=1e-11)
    # The caller's own arrays, twice the same one, and one that is no contiguous array.
    q = np.random.default_rng(9).normal(size=(8, 130, 40))
    for arguments in ([q, q, q], [q[::-1], q, q[:, ::-1]]):
        value, gradient = program.value_and_grad(*arguments, argnums=(0, 1, 2))
        np.testing.assert_allclose(value, f(*arguments), rtol=1e-11)
