"""Jacobians and Hessians of programs with arrays: several seeds per sweep give what the same derivatives give one by one."""

import random

import numpy as np
import pytest

import fastad
import fastad.numpy as fnp
from fastad.programs.code import passes, seeds_at_once

A = np.random.default_rng(7).normal(size=(4, 4))


@pytest.fixture(params=[32, 1, 3])
def at_once(request, monkeypatch):
    """At most so many seeds per sweep."""
    monkeypatch.setitem(seeds_at_once, "most", request.param)
    return request.param


def close(found, expected, tolerance=1e-12):
    assert found.shape == expected.shape and found.dtype == expected.dtype
    scale = max(1.0, np.abs(expected).max(initial=0.0))
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * scale)


def same_derivatives(f, *arguments, others=None, second=True):
    """Checks Jacobians in both modes and the Hessian of the sum of squares, at two sets of arguments; returns the program."""
    program = fastad.record(f)
    argnums = tuple(range(len(arguments)))
    points = arguments, others or tuple(1.1 * x for x in arguments)
    for xs in points:
        for mode in ("forward", "reverse"):
            found = program.jacobian(*xs, argnums=argnums, mode=mode)
            expected = fastad.jacobian(f, argnums=argnums, mode=mode)(*xs)
            for one, other in zip(fastad_leaves(found), fastad_leaves(expected), strict=True):
                close(one, other)
    if second:
        def g(*xs):
            return sum(np.sum(leaf * leaf) for leaf in fastad_leaves(f(*xs)))

        squares = fastad.record(g)
        for xs in points:
            found = squares.hessian(*xs, argnums=argnums)
            expected = fastad.hessian(g, argnums=argnums)(*xs)
            for one, other in zip(fastad_leaves(found), fastad_leaves(expected), strict=True):
                close(one, other, 1e-10)
    return program


def fastad_leaves(tree):
    """The numbers and arrays of a nesting of tuples, lists and dicts, numbers as arrays where they are plain."""
    if isinstance(tree, dict):
        tree = list(tree.values())
    if isinstance(tree, (list, tuple)):
        return [leaf for part in tree for leaf in fastad_leaves(part)]
    return [np.asarray(tree) if type(tree) in (float, np.float64, np.float32) else tree]


def random_function(seed):
    """A function of a vector (4) and a matrix (4, 3): views, writes, elements, products, reductions, functions that call Python."""
    def f(x, m):
        rng = random.Random(seed)
        vectors, matrices = [x, m[:, 1] * 0.5], [m]
        for _ in range(12):
            v, w, a = rng.choice(vectors), rng.choice(vectors), rng.choice(matrices)
            kind = rng.randrange(12)
            if kind == 0:
                vectors.append(np.sin(v) * w)
            elif kind == 1:
                vectors.append(A @ v)
            elif kind == 2:
                matrices.append(A @ np.tanh(a))
            elif kind == 3:
                vectors.append(np.sum(a * v[:, None], axis=1))
            elif kind == 4:
                y = np.copy(v)
                y[1:3] = w[::2] * v[2]
                y[0] = np.cos(w[3])
                vectors.append(y)
            elif kind == 5:
                vectors.append(v[np.array([3, 0, 0, 2])] + w)
            elif kind == 6:
                vectors.append(np.where(v > w, v, 0.5 * w))
            elif kind == 7:
                vectors.append(np.cumsum(v) / (1.0 + np.sum(w**2)))
            elif kind == 8:
                vectors.append(np.max(np.outer(v, w), axis=0))
            elif kind == 9:
                b = fnp.zeros((4, 3))
                b[np.arange(3), np.arange(3)] = v[:3]
                b[3] = a[2]
                matrices.append(b + a)
            elif kind == 10:
                vectors.append(np.linalg.solve(5.0 * np.eye(4) + np.outer(v, v), w))
            else:
                vectors.append(np.concatenate([v[2:], np.stack([w[0] * v[1], np.exp(-w[1] ** 2)])]))
            vectors[-1] = vectors[-1] / (1.0 + 0.1 * vectors[-1] ** 2)
        return {"v": vectors[-1], "m": matrices[-1].T, "n": vectors[-2][0] * 2.0}
    return f


def arguments(seed):
    rng = np.random.default_rng(seed)
    return rng.normal(size=4), rng.normal(size=(4, 3))


@pytest.mark.parametrize("seed", range(12))
def test_random_functions(seed, at_once):
    same_derivatives(random_function(seed), *arguments(seed), second=seed < 6)


@pytest.mark.parametrize("name", passes)
def test_without_a_pass(name, monkeypatch):
    monkeypatch.setitem(passes, name, False)
    for seed in (3, 4):
        same_derivatives(random_function(seed), *arguments(seed))


def test_with_numbers_and_results_that_do_not_move(at_once):
    def f(x, s, y):
        return x * s, s * s, np.arange(3.0), 2.5, y[0] * x[1], np.array([1, 2])

    same_derivatives(f, np.array([0.5, 1.5]), 0.7, np.array([[2.0, 3.0]]), second=False)


def test_of_float32(at_once):
    def f(x):
        return np.sin(x[:3]) * x[3], np.sum(x * x)

    x = np.array([0.1, 0.2, 0.3, 0.4], np.float32)
    program = fastad.record(f)
    program.jacobian(x)
    for mode in ("forward", "reverse"):
        for found, expected in zip(program.jacobian(2 * x, mode=mode), fastad.jacobian(f, mode=mode)(2 * x), strict=True):
            close(np.asarray(found), np.asarray(expected), 1e-6)


def test_of_nothing(at_once):
    def f(x, y):
        return x * 2.0, y[:0] * 3.0

    same_derivatives(f, np.ones(5), np.ones((2, 3)), second=False)
    same_derivatives(lambda x: x * 2.0, np.ones((0, 3)), second=False)


def test_of_arrays_without_dimensions(at_once):
    same_derivatives(lambda x, y: x * y[1] + y, np.array(2.0), np.arange(3.0))


def test_in_place_and_element_by_element(at_once):
    def f(x):
        y = fnp.zeros(6)
        for k in range(6):
            y[k] = x[k % 4] * (y[k - 1] if k else 1.0)
        y[1:] += y[:-1]
        y *= x[0]
        return y

    same_derivatives(f, np.array([0.5, 1.5, -0.5, 2.0]))


def test_that_take_other_paths(at_once):
    def f(x):
        return np.sin(x) * (2.0 if x[0] > 0.0 else np.sum(x))

    program = fastad.record(f)
    for x in (np.array([1.0, 2.0, 3.0]), np.array([-1.0, 2.0, 3.0]), np.array([0.5, 1.0, 2.0]), np.array([-2.0, 1.0, 2.0])):
        close(program.jacobian(x), fastad.jacobian(f)(x))
    assert program.stats["paths"] == 2


def test_what_no_seed_reaches_runs_once(monkeypatch):
    monkeypatch.setitem(seeds_at_once, "most", 2)

    def f(x):
        return np.exp(A) @ (x * np.sin(x))

    program = same_derivatives(f, np.arange(4.0))
    [code] = [derived for paths in program._paths.values() for code in paths.codes for (kind, _), derived in code.owner.derived.items()
              if kind == "tangent"]
    spread = code.wide.spread
    behind = [record.out for record in code.tape.records[len(code.owner[2]().tape.records):] if type(record).__name__ == "Elementwise"]
    assert spread.count == 2 and spread.total == 4
    assert any(out not in spread.spans for out in behind) and any(out in spread.spans for out in behind)


def test_calls_inside_take_one_seed_at_a_time():
    def f(x):
        return fastad.scan(lambda carry, a: (carry * a + np.sin(carry), carry), x, np.linspace(0.5, 1.5, 40))

    program = same_derivatives(f, np.array([0.3, 0.4, 0.5]), second=False)
    assert program.stats["seeds_by_one"] > 0


def test_large_arrays_in_chunks(monkeypatch):
    monkeypatch.setitem(seeds_at_once, "array", 1 << 14)
    x, y = np.linspace(0.1, 1.0, 9), np.random.default_rng(0).normal(size=(300, 9))

    def f(x):
        return np.exp(-y @ x) * np.sum(y * x, axis=1)

    same_derivatives(f, x, second=True)


def test_the_same_from_run_to_run():
    f = random_function(5)
    first, second = (fastad.record(f).jacobian(*arguments(5), mode="reverse") for _ in range(2))
    for one, other in zip(fastad_leaves(first), fastad_leaves(second), strict=True):
        assert one.tobytes() == other.tobytes()


def test_python_in_a_derivative_sees_each_seed(at_once):
    def f(x):
        return np.percentile(x, [20.0, 70.0]) * np.trace(np.outer(x, x))

    same_derivatives(f, np.array([0.5, -1.5, 2.5, 0.1]))


def test_single_elements_at_places(at_once):
    """The loop over seeds is the only one there, and the arrays that an element comes from or goes to are those of its seed."""
    def f(x):
        y = np.append(x[1:] ** 2, np.sin(x[0] * x[1]))
        y[[0]] += x[[3]] * y[2]
        return y, x[np.array([2])] ** 2 * x, np.insert(x, 1, x[0] * x[2])

    same_derivatives(f, np.array([0.5, 1.5, -0.5, 2.0, 0.3]))


def test_sums_that_chains_compute_at_later_instructions(at_once):
    def f(x):
        return np.exp(np.sort(x)[1]) * x

    program = fastad.record(lambda x: np.sum(f(x)))
    for x in np.random.default_rng(3).normal(size=(4, 5)):
        close(program.hessian(x), fastad.hessian(lambda x: np.sum(f(x)))(x))
    same_derivatives(f, *np.random.default_rng(4).normal(size=(1, 5)))
