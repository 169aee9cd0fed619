"""Derivatives of extremes: ties share in equal parts at every order, eager and replayed, in whatever way the axes lie."""

import numpy as np
import pytest
from rule_checks import case, check, check_covered

import fastad
from fastad.arrays.rules import extremes
from fastad.arrays.rules.extremes import tie_means, tie_shares

RNG = np.random.default_rng(0)
AXES = [None, 0, 1, -1, (0, 2), (0, 1, 2), (1,)]
TIED = RNG.integers(0, 3, (4, 5, 6)).astype(float)


def kept(axis, a=TIED):
    return np.max(a, axis=axis, keepdims=True)


CASES = [case(tie_shares, RNG.normal(size=kept(axis).shape), kept(axis), TIED, axis) for axis in AXES]
CASES += [case(tie_means, RNG.normal(size=TIED.shape), kept(axis), TIED, axis) for axis in AXES]
CASES += [case(tie_shares, np.array(0.5), 2.0, TIED, None), case(tie_means, RNG.normal(size=TIED.shape), 2.0, TIED, None)]


@pytest.mark.parametrize("one", CASES)
def test_rule(one):
    check(one)


def test_every_rule_has_a_case():
    check_covered(extremes, CASES)


LAYOUTS = {
    "as it is": lambda x: x,
    "transposed": lambda x: np.transpose(x, (2, 0, 1)),
    "every second": lambda x: x[:, ::2, ::-1],
    "one row": lambda x: x[1:2],
    "long": lambda x: np.reshape(x, (1, 3, 40)),
}


def assert_close(found, expected, dtype=float):
    np.testing.assert_allclose(found, expected, rtol=1e-12 if dtype == float else 1e-5, atol=1e-12 if dtype == float else 1e-5)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_replays_do_as_eager_runs(layout, axis, dtype):
    def f(x):
        y = LAYOUTS[layout](x)
        return np.sum(np.sin(np.max(y, axis=axis)) + np.cos(np.min(y * 0.5, axis=axis, keepdims=True).ravel()[:1]))

    def directional(x, t):
        return fastad.jvp(fastad.grad(f), (x,), (t,))

    F, G = fastad.record(f), fastad.record(directional)
    for seed in range(3):
        rng = np.random.default_rng(seed)
        x, t = rng.integers(0, 3, (4, 5, 6)).astype(dtype), rng.normal(size=(4, 5, 6)).astype(dtype)
        assert_close(F.grad(x), fastad.grad(f)(x), dtype)
        for found, expected in zip(G(x, t), directional(x, t), strict=True):
            assert_close(found, expected, dtype)
    if dtype == float:
        assert_close(F.jvp((x,), (t,))[1], fastad.jvp(f, (x,), (t,))[1])
        assert_close(F.hvp((x,), (t,)), fastad.hvp(f, (x,), (t,)))
    assert not F.stats["python_calls"] and not G.stats["python_calls"]


@pytest.mark.parametrize("n", [1, 7, 8, 35, 300, 1001])
def test_means_over_lines_of_any_length(n):
    for seed in range(20):
        rng = np.random.default_rng(seed)
        x, t = rng.integers(0, 3, n).astype(float), rng.normal(size=n)
        F = fastad.record(lambda x, t: fastad.jvp(np.max, (x,), (t,))[1])
        for _ in range(2):
            assert_close(F(x, t), np.mean(t[x == x.max()]))


def test_nan_and_infinity():
    F = fastad.record(lambda x: np.sum(np.max(x, axis=1)))
    for x in ([[1.0, np.nan, 2.0]], [[np.inf, 1.0, np.inf]], [[-np.inf, -np.inf, -np.inf]]):
        for _ in range(2):
            np.testing.assert_array_equal(F.grad(np.array(x)), fastad.grad(lambda x: np.sum(np.max(x, axis=1)))(np.array(x)))


def test_files_hold_them(tmp_path):
    G = fastad.record(fastad.grad(lambda x: np.sum(np.max(x, axis=1) ** 2)))
    H = fastad.record(lambda x, t: fastad.jvp(lambda x: np.max(x, axis=0), (x,), (t,))[1])
    x, t = TIED[0], RNG.normal(size=(5, 6))
    G(x), H(x, t)
    G.save(tmp_path / "g")
    H.save(tmp_path / "h")
    assert_close(fastad.load(tmp_path / "g")(x * 2.0), G(x * 2.0))
    assert_close(fastad.load(tmp_path / "h")(x * 2.0, t), H(x * 2.0, t))


def test_an_active_array_and_a_constant_adjoint():
    w = RNG.normal(size=(5,))
    g = fastad.grad(lambda x: np.sum(tie_shares(w[:, np.newaxis], np.max(x, axis=1, keepdims=True), x, 1)))(TIED[0])
    np.testing.assert_array_equal(g, np.zeros((5, 6)))


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("top", [1, 2, 5])
def test_ties_that_are_scarce_are_found_as_all_are(axis, dtype, top, monkeypatch):
    rng = np.random.default_rng(top)
    a, t = rng.uniform(size=(12, 31, 14)).astype(dtype)[:, ::-1], rng.normal(size=(12, 31, 14)).astype(dtype)
    for _ in range(top):
        a.flat[rng.integers(0, a.size, 40)] = 2.0
    a[3, 4, 5], a[5] = np.nan, -1.0
    extreme = kept(axis, a)
    w = rng.normal(size=extreme.shape).astype(dtype)
    found = tie_shares(w, extreme, a, axis), tie_means(t, extreme, a, axis)
    monkeypatch.setattr(extremes, "SMALL", 10**9)
    for one, other in zip(found, (tie_shares(w, extreme, a, axis), tie_means(t, extreme, a, axis)), strict=True):
        assert one.dtype == other.dtype == dtype
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("axis", [None, 0, 1, (0, 1)])
def test_few_ties_among_many_are_added_where_they_are(axis, dtype, monkeypatch):
    """Adjoints before and after, of views, mixed types and several extremes: as with all elements looked at."""
    def f(x):
        y = np.sin(x)
        first = np.max(x, axis=axis) * 2.0
        last = np.min(y[::-1], axis=axis) + np.max(y * x, axis=axis)
        return np.sum(first * first + last) + np.sum(y * x) + np.max(x.T) * np.sum(np.min(x, axis=axis))

    x = np.random.default_rng(3).normal(size=(60, 40)).astype(dtype)
    x[3, :7] = x[50, 2] = x.max() + 1
    t = np.random.default_rng(4).normal(size=x.shape).astype(dtype)
    few = fastad.grad(f)(x), fastad.hvp(f, (x,), (t,)), fastad.jvp(f, (x,), (t,))[1]
    monkeypatch.setattr(extremes, "_scarce", lambda ties, axis: None)
    for found, expected in zip(few, (fastad.grad(f)(x), fastad.hvp(f, (x,), (t,)), fastad.jvp(f, (x,), (t,))[1]), strict=True):
        assert np.asarray(found).dtype == np.asarray(expected).dtype
        np.testing.assert_allclose(found, expected, rtol=1e-12 if dtype == np.float64 else 1e-4, atol=1e-12 if dtype == np.float64 else 1e-4)
