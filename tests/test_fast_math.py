"""Values under fast_math: within 4 units in the last place of the exact ones, everywhere; without it NumPy's to the last bit."""

import mpmath
import numpy as np
import pytest

import fastad
from fastad.programs.code import passes

NAMES = ["sin", "cos", "exp", "log", "tanh"]


def points(name):
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(size=300), rng.normal(size=100) * 1e3, 10.0 ** rng.uniform(-320, 308, 100)])
    if name == "log":
        return np.abs(x)
    return np.concatenate([x, -x]) if name != "exp" else np.clip(x, -745.0, 709.7)


def chain(name):
    function = getattr(np, name)
    return lambda x: function(x * 1.0) + 0.0


@pytest.mark.parametrize("name", NAMES)
def test_values_are_within_four_ulp(name):
    F = fastad.record(chain(name), fast_math=True)
    x = points(name)
    F(x)
    found = F(x)
    with mpmath.workprec(200):
        for number, value in zip(x, found, strict=True):
            exact = getattr(mpmath, name)(mpmath.mpf(float(number)))
            ulp = np.spacing(abs(float(exact))) if np.isfinite(float(exact)) else 1.0
            assert abs(mpmath.mpf(float(value)) - exact) <= 4 * mpmath.mpf(float(ulp)), (number, value)


@pytest.mark.parametrize("name", NAMES)
def test_special_values_are_numpys(name):
    F = fastad.record(chain(name), fast_math=True)
    x = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 800.0, -800.0, -1.0])
    with np.errstate(all="ignore"):
        F(x)
        np.testing.assert_allclose(F(x), getattr(np, name)(x), rtol=1e-14)


def test_without_it_values_are_numpys_to_the_last_bit():
    x = np.linspace(0.1, 3.0, 1001)
    for name in NAMES:
        F = fastad.record(chain(name))
        F(x)
        np.testing.assert_array_equal(F(x), chain(name)(x))


def test_derivatives_and_files_keep_it(tmp_path):
    def f(x):
        return np.sum(np.exp(np.sin(x)) * np.tanh(x))

    F = fastad.record(f, fast_math=True)
    x = np.linspace(-2.0, 2.0, 501)
    F.grad(x)
    np.testing.assert_allclose(F.grad(x), fastad.grad(f)(x), rtol=1e-12, atol=1e-13)
    F.save(tmp_path / "f")
    G = fastad.load(tmp_path / "f")
    assert G(x) == F(x)
    np.testing.assert_array_equal(G.grad(x), F.grad(x))


@pytest.mark.parametrize("n", [2, 5, 200, 1000, 5000])
def test_sine_and_cosine_of_the_same_numbers_at_once(n):
    """The same bits as one after the other, whichever is asked for first, in memory or in between."""
    def f(x, y):
        s, c = np.sin(x), np.cos(x)
        d = np.cos(y * x) * 2.0 - x
        return s, c * s + 1.0, d - np.sin(y * x), np.cos(d), np.sin(d)

    def total(x, y):
        return sum(np.sum(part * part) for part in f(x, y))

    rng = np.random.default_rng(n)
    x, y = rng.normal(scale=10.0, size=(2, n))
    x[:2] = -0.0, 3e5
    found = []
    for on in (True, False):
        passes["pairs"] = on
        try:
            F, G = fastad.record(f, fast_math=True), fastad.record(total, fast_math=True)
            F(y, x), G.grad(y, x, argnums=(0, 1))
            found.append([*F(x, y), *G.grad(x, y, argnums=(0, 1))])
        finally:
            passes["pairs"] = True
    expected = [*f(x, y), *fastad.grad(total, (0, 1))(x, y)]
    for a, b, e in zip(*found, expected, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_allclose(a, e, rtol=1e-11, atol=1e-9 * np.abs(e).max())
    assert np.signbit(found[0][0][0])
