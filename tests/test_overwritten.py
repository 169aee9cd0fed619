"""Arrays written over part by part, and results in the memory of operands: the same answers as eager runs, whatever is left out."""

import random

import numpy as np
import pytest

import fastad
from fastad.programs.code import passes

SLICES = [slice(None), slice(1, None), slice(None, -1), slice(2, 5), slice(5, None), slice(None, 5), slice(None, None, 2),
          slice(1, None, 2), slice(None, None, -1), slice(3, 4), slice(0, 0)]


@pytest.fixture(params=["all", "parts", "in place", "memory", "chains", "dead"])
def one_pass_off(request, monkeypatch):
    if request.param != "all":
        monkeypatch.setitem(passes, request.param, False)


def random_writes(seed):
    """A function of an array and a number that writes into arrays and reads parts of them in between."""
    def f(x, s):
        rng = random.Random(seed)
        n = len(x)
        arrays = [np.zeros_like(x), np.empty_like(x)]
        arrays[1][:3], arrays[1][3:] = x[:3], 2.0 * x[3:]
        total = 0.0
        for _ in range(20):
            kind, part = rng.randrange(9), rng.choice(SLICES)
            y, z = rng.choice(arrays), rng.choice([x, *arrays])
            if kind < 2:
                y[part] = np.sin(z[part]) * s
            elif kind == 2:
                y[part] += 0.5 * z[part]
            elif kind == 3:
                y[rng.randrange(n)] = z[rng.randrange(n)] * s
            elif kind == 4:
                y[part] *= s
            elif kind == 5:
                y[part] = 0.25
            elif kind == 6:
                total = total + np.sum(y[part] * z[part])
            elif kind == 7:
                total = total + y[rng.randrange(n)] * s
            else:
                y[...] = np.tanh(z)
                arrays.append(0.5 * y + x)
        return total + np.sum(arrays[-1] * x)
    return f


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("n", [8, 300])
def test_random_writes(seed, n, one_pass_off):
    f, x = random_writes(seed), np.random.default_rng(seed).normal(size=n)
    program = fastad.record(f)
    for point in (x, 0.5 * x, x[::-1].copy()):
        value, (by_x, by_s) = fastad.value_and_grad(f, argnums=(0, 1))(point, 0.7)
        found, gradient = program.value_and_grad(point, 0.7, argnums=(0, 1))
        np.testing.assert_allclose(found, value, rtol=1e-12, atol=1e-12)
        for a, e in zip(gradient, (by_x, by_s)):
            np.testing.assert_allclose(a, e, rtol=1e-11, atol=1e-11 * max(1.0, np.max(np.abs(e))))
        assert program(point, 0.7) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("seed", range(8))
def test_second_derivatives(seed, one_pass_off):
    f, x = random_writes(seed), np.random.default_rng(seed).normal(size=8)
    expected = fastad.hessian(f)(x, 0.7)
    np.testing.assert_allclose(fastad.record(f).hessian(x, 0.7), expected, rtol=1e-10, atol=1e-10 * max(1.0, np.max(np.abs(expected))))


def test_exchanged_arrays(one_pass_off):
    def f(x):
        a, b = np.sin(x), np.cos(x)
        total = np.sum(np.cumsum(a) * b)        # both are in memory
        for _ in range(3):
            a[...], b[...] = b * 2.0, a + 1.0
            a += b * a
            total = total + np.sum(np.cumsum(a) / (2.0 + np.cumsum(b) ** 2))
        return total

    x = np.linspace(0.1, 2.0, 500)
    np.testing.assert_allclose(fastad.record(f).grad(x), fastad.grad(f)(x), rtol=1e-11)


def test_a_product_is_written_over(monkeypatch):
    """The result of a chain takes the memory of the product of matrices that it is made of."""
    def f(a, b):
        return np.sin(a @ b) @ b.T

    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2000, 4)), rng.normal(size=(4, 64))
    bytes_of = {}
    for on in (True, False):
        monkeypatch.setitem(passes, "in place", on)
        program = fastad.record(f)
        np.testing.assert_allclose(program(a, b), f(a, b), rtol=1e-12, atol=1e-12)
        bytes_of[on] = program.stats["bytes"]
    assert bytes_of[False] - bytes_of[True] >= 8 * 2000 * 64


def test_zeros_are_left_out_where_all_is_written():
    def f(x):
        y = np.zeros_like(x)
        y[0] = x[0]
        y[1:] = x[1:] * x[:-1]
        return np.sum(y * y[::-1])

    x = np.linspace(0.1, 2.0, 500)
    program = fastad.record(f)
    np.testing.assert_allclose(program.grad(x), fastad.grad(f)(x), rtol=1e-12)
    assert program(x) == pytest.approx(f(x), rel=1e-14)
