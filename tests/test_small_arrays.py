"""Programs of very many small arrays: what it takes to record them grows as they do."""

import random
import time

import numpy as np
import pytest

import fastad
from fastad.programs.code import passes


def recurrence(steps):
    """A function of a matrix of weights and a state that goes through so many steps of a small network."""
    def f(weights, state):
        total = 0.0
        for k in range(steps):
            row = weights[k % len(weights)]
            gate = 1.0 / (1.0 + np.exp(-(state * row[:5] + row[5:])))
            state = gate * np.tanh(state) + (1.0 - gate) * row[:5]
            total = total + np.sum(state * gate)
        return total
    return f


def processor_time(work):
    start = time.process_time()
    work()
    return time.process_time() - start


@pytest.mark.parametrize("kind", ["value", "grad"])
def test_recording_is_linear(kind):
    """Eight times as many records take eight times as long, with room for what else the machine does; in steps of squares it were 64."""
    weights, state = np.random.default_rng(0).normal(size=(7, 10)), np.linspace(-1.0, 1.0, 5)

    def recorded(steps):
        F = fastad.record(recurrence(steps))
        if kind == "value":
            return processor_time(lambda: F(weights, state))
        F(weights, state)
        return processor_time(lambda: F.grad(weights, state))

    recorded(10)
    few = min(recorded(200) for _ in range(5))
    assert min(recorded(1600) for _ in range(2)) < 8 * 3.5 * few


def test_what_lies_between_kernels_is_not_kept_for_other_paths():
    """The whole numbers become floats on the way to the product and in its derivative; paths differ behind the first."""
    def f(x):
        y = x * 1.0
        return np.sum(np.sort(y) * np.arange(x.size)) + np.sum(x[x > 0.5] ** 2)

    F = fastad.record(f)
    for _ in range(2):
        for x in ([0.3, 0.8, 0.4, -1.3], [0.2, -0.5, -0.4, -2.4], [-0.7, -0.2, 1.7, 0.7], [-0.8, -1.3, -0.2, 0.4]):
            np.testing.assert_array_equal(F.grad(np.array(x)), fastad.grad(f)(np.array(x)))


@pytest.fixture(params=["all", *passes])
def one_pass_off(request, monkeypatch):
    """Nothing, or one of the passes switched off."""
    if request.param != "all":
        monkeypatch.setitem(passes, request.param, False)


def random_function(seed):
    """A function of a vector and a row of parameters: slices, sums, writes, numbers from sums, a guard, joins."""
    def f(x, p):
        rng = random.Random(seed)
        values, numbers = [x, x * p[: x.size], p[1 : 1 + x.size] + 0.0], [p[0]]
        for step in range(30):
            a, b, kind = rng.choice(values), rng.choice(values), rng.randrange(11)
            if kind < 3:
                c = rng.choice([np.add, np.subtract, np.multiply])(a, b)
            elif kind == 3:
                c = rng.choice([np.tanh, np.negative, np.square, np.copy, np.cos])(a)
            elif kind == 4:
                numbers.append(np.sum(a * b) * 0.1)
                c = a - numbers[-1]
            elif kind == 5:
                c = np.copy(a)
                c[1:] = b[:-1]
                c[:2] += p[step % 4 : step % 4 + 2]
            elif kind == 6:
                c = np.concatenate([a, b])[1 : 1 + x.size] * rng.choice(numbers)
            elif kind == 7:
                c = a / (1.0 + b * b)
            elif kind == 8:
                c = np.where(a > b, a, 1.0 * b)
            elif kind == 9:
                c = a if numbers[-1] > 0.3 else -b
            else:
                c = np.broadcast_to(rng.choice(numbers), x.shape) * a + np.zeros(x.size)
            values.append(c / (1.0 + 0.1 * c * c))
        return np.sum(values[-1]) + values[-2][0] + np.sum(values[-3] * values[3])
    return f


@pytest.mark.parametrize("seed", range(25))
@pytest.mark.parametrize("n", [2, 3, 5, 14])
def test_random_functions(seed, n):
    f = random_function(seed)
    F = fastad.record(f)
    for k in range(4):
        x, p = np.random.default_rng(k).normal(size=n), np.random.default_rng(100 + k).normal(size=n + 6)
        np.testing.assert_allclose(F(x, p), f(x, p), 1e-12, 1e-13)
        for found, expected in zip(F.grad(x, p, argnums=(0, 1)), fastad.grad(f, argnums=(0, 1))(x, p), strict=True):
            np.testing.assert_allclose(found, expected, 1e-10, 1e-12)
    t = np.random.default_rng(7).normal(size=n)
    for found, expected in zip(F.hvp((x, p), (t, p)), fastad.hvp(f, (x, p), (t, p)), strict=True):
        np.testing.assert_allclose(found, expected, 1e-9, 1e-11)


def test_passes(one_pass_off):
    for seed in range(12):
        f = random_function(seed)
        F = fastad.record(f)
        for k in range(3):
            x, p = np.random.default_rng(k).normal(size=4), np.random.default_rng(100 + k).normal(size=10)
            np.testing.assert_allclose(F(x, p), f(x, p), 1e-12, 1e-13)
            for found, expected in zip(F.grad(x, p, argnums=(0, 1)), fastad.grad(f, argnums=(0, 1))(x, p), strict=True):
                np.testing.assert_allclose(found, expected, 1e-10, 1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [1, 2, 3, 4, 7, 255, 256, 257])
def test_values_are_those_of_numpy(n, dtype):
    """Every code of a short loop, with numbers on either side and at every length of the tail."""
    def f(x, y):
        z = np.concatenate([x + y, x - y, x * y, x / y, -x, x**2, 2.0 + x, x - 0.5, 0.25 * x, 3.0 / y])
        return z, np.sum(z), np.where(z > 0, z, 0.0 * z)

    F = fastad.record(f)
    for k in range(2):
        x, y = np.random.default_rng(k).normal(size=(2, n)).astype(dtype)
        for found, expected in zip(F(x, y), f(x, y), strict=True):
            np.testing.assert_allclose(found, expected, 1e-6 if dtype is np.float32 and np.ndim(found) == 0 else 0.0 if np.ndim(found) else 1e-13)


def test_zero_wins_over_infinity():
    F = fastad.record(lambda x: np.sum(np.where(x > 1.0, np.sqrt(np.where(x > 1.0, x - 1.0, 0.0)), 0.0)))
    for x in (np.array([0.0, 2.0, 0.5, 5.0, 0.2]), np.array([3.0, 0.0, 0.0])):
        np.testing.assert_array_equal(F.grad(x), np.where(x > 1.0, 0.5 / np.sqrt(np.maximum(x - 1.0, 1e-300)), 0.0))
