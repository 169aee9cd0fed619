"""Values under fast_math: within 4 units in the last place of the exact ones, everywhere; without it NumPy's to the last bit."""

import mpmath
import numpy as np
import pytest

import fastad

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
