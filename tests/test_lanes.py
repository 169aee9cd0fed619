"""Jacobians and Hessians of programs by several seeds per sweep: those of the eager transforms, at every number of seeds."""

import math

import numpy as np
import programs
import pytest

import fastad
import fastad.math as fm
from fastad.elementals import apply
from fastad.table import SPECIAL


def close(x, y):
    np.testing.assert_allclose(np.asarray(x, float), np.asarray(y, float), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("m", [1, 2, 3, 7, 8, 9, 17])
@pytest.mark.parametrize("n", [1, 3, 8, 9, 16, 17])
def test_every_number_of_seeds(n, m):
    def f(x):
        total = sum(x[k] * (k + 1.0) for k in range(n))
        return [fm.sin(total * (0.1 * k)) * x[k % n] for k in range(m)]

    F, x = fastad.record(f), np.linspace(0.2, 1.1, n)
    for mode in ("forward", "reverse", "auto"):
        for _ in range(2):
            found, expected = F.jacobian(x, mode=mode), fastad.jacobian(f)(x)
            assert [row.shape for row in found] == [row.shape for row in expected]
            close(found, expected)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("rows", [programs.SMOOTH, programs.DIFFERENTIABLE], ids=["smooth", "all"])
def test_random_programs(seed, rows):
    f, point = programs.draw(seed, n=11, steps=40, m=5, rows=rows)
    F = fastad.record(f)
    for mode in ("forward", "reverse"):
        close(F.jacobian(*point, argnums=tuple(range(11)), mode=mode), fastad.jacobian(f, tuple(range(11)))(*point))
    g, point = programs.draw(seed, n=11, steps=40, rows=rows)
    argnums = tuple(range(10, -1, -2))
    close(fastad.record(g).hessian(*point, argnums=argnums), fastad.hessian(g, argnums)(*point))


def test_arrays_and_numbers_among_the_inputs():
    def f(a, b, c):
        total = c
        for i in range(3):
            for j in range(2):
                total = total + fm.exp(0.1 * a[i, j] * b[j]) * c
        return total

    F, point = fastad.record(f), (np.arange(6.0).reshape(3, 2) / 7.0, np.array([0.3, -0.4]), 0.7)
    for argnums in (0, 1, 2, (0, 1), (2, 0), (0, 1, 2)):
        found, expected = F.hessian(*point, argnums=argnums), fastad.hessian(f, argnums)(*point)
        for x, y in zip(fastad.pytrees.flatten(found)[0], fastad.pytrees.flatten(expected)[0], strict=True):
            assert np.shape(x) == np.shape(y) and type(x) is type(y)
            close(x, y)
    direction = (np.cos(point[0]), np.sin(point[1]), 2.0)
    for x, y in zip(F.hvp(point, direction), fastad.hvp(f, point, direction), strict=True):
        assert np.shape(x) == np.shape(y) and type(x) is type(y)
        close(x, y)


def test_types_are_those_of_the_inputs():
    def f(x, y):
        return sum(x[k] * x[k] for k in range(4)) * y

    x = np.linspace(0.1, 1.0, 4).astype(np.float32)
    found, expected = fastad.record(f).hessian(x, np.float32(0.5)), fastad.hessian(f)(x, np.float32(0.5))
    assert found.dtype == expected.dtype and found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_results_that_are_constant():
    def f(x):
        return [x[0] * 2.0, 3.0, np.array([1.0, 2.0]), x[1]]

    found, expected = fastad.record(f).jacobian(np.ones(3)), fastad.jacobian(f)(np.ones(3))
    for x, y in zip(found, expected, strict=True):
        assert np.shape(x) == np.shape(y)
        close(x, y)
    assert np.array_equal(fastad.record(lambda x: 2.0 * fm.floor(x[0])).hessian(np.ones(4)), np.zeros((4, 4)))


def test_zero_wins_in_every_lane():
    def f(x):
        return [fm.sqrt(x[k]) * 0.0 + x[k] * x[(k + 1) % 10] for k in range(10)]

    x = np.arange(10.0)
    for mode in ("forward", "reverse"):
        found, expected = fastad.record(f).jacobian(x, mode=mode), fastad.jacobian(f)(x)
        assert np.array_equal(found, expected, equal_nan=True)

    def g(x):
        return sum(fm.log(x[k]) * 0.0 + x[k] ** 3 for k in range(10))

    found, expected = fastad.record(g).hessian(x), fastad.hessian(g)(x)
    assert np.array_equal(np.isnan(found), np.isnan(expected))
    close(np.nan_to_num(found), np.nan_to_num(expected))


@pytest.mark.parametrize("special", [math.nan, math.inf])
def test_infinity_and_nan(special):
    def f(x):
        return [fm.tanh(x[k]) * x[(k + 1) % 9] for k in range(9)]

    x = np.linspace(0.1, 1.0, 9)
    x[4] = special
    for mode in ("forward", "reverse"):
        np.testing.assert_allclose(fastad.record(f).jacobian(x, mode=mode), fastad.jacobian(f)(x), equal_nan=True)


def test_special_rows():
    known = [op for op in SPECIAL if not op.order and all(d is not None for d in op.partials.values())]
    for op in known:
        point = [0.5 * (max(low, 0.1) + min(high, 1.5)) for low, high in op.domain]

        def f(*xs, name=op.name):
            return apply(name, *xs) * (1.0 + sum(xs))

        argnums = tuple(range(op.arity))
        close(fastad.record(f).jacobian(*point, argnums=argnums, mode="reverse"), fastad.jacobian(f, argnums)(*point))
        if op.arity < 3:
            continue
        close(fastad.record(f).hessian(*point, argnums=argnums), fastad.hessian(f, argnums)(*point))


@pytest.mark.parametrize("as_array", [False, True])
def test_a_second_partial_without_a_rule_is_an_error(as_array):
    refused = 0
    for op in SPECIAL:
        if op.order or None not in op.partials.values() or any(op.partials.get("d" + letter, 0.0) is None for letter in "xyzu"):
            continue
        point = [0.5 * (max(low, 0.1) + min(high, 1.5)) for low, high in op.domain] + [0.3] * (5 - op.arity)

        def f(*xs, name=op.name, arity=op.arity):
            xs = xs[0] if as_array else xs
            return apply(name, *(xs[k] for k in range(arity))) * xs[4]

        args, argnums = ((np.array(point),), 0) if as_array else (point, tuple(range(5)))
        try:
            expected = fastad.hessian(f, argnums)(*args)
        except fastad.TraceError as error:
            refused += 1
            with pytest.raises(fastad.TraceError, match="no rule is known for"):
                fastad.record(f).hessian(*args, argnums=argnums)
            assert "second derivative" in str(error) or as_array
        else:
            np.testing.assert_allclose(fastad.record(f).hessian(*args, argnums=argnums), expected, rtol=1e-10, atol=1e-12)
    assert refused


def test_guards_are_kept():
    def f(x):
        return [x[k] * x[k] if x[k] > 0.0 else x[k] * 3.0 for k in range(6)]

    F = fastad.record(f)
    for seed in range(20):
        x = np.random.default_rng(seed).normal(size=6)
        for mode in ("forward", "reverse"):
            close(F.jacobian(x, mode=mode), fastad.jacobian(f)(x))
