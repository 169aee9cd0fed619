"""Products of matrices and functions of linear algebra in a replay: NumPy's results, and its errors."""

import numpy as np
import pytest
from test_map import run

import fastad
from fastad.core import simd

SIZES = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 33]


def replayed(f, *arguments):
    """f's result at twice the arguments it was recorded with; nothing of it may call Python."""
    program = fastad.record(f)
    program(*arguments)
    result = program(*[2 * x for x in arguments])
    assert program.stats["python_calls"] == [] and program.stats["replays"] == 1
    return result


def check_product(f, x, y):
    found, expected = replayed(f, x, y), f(2 * x, 2 * y)
    assert found.dtype == expected.dtype and found.shape == expected.shape
    tolerance = 1e-14 if x.dtype == float else 1e-5
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * 40 * np.abs(expected).max(initial=1.0))


def numbers(*shape, dtype=float):
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(dtype)


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("dtype", [float, np.float32])
def test_products_of_all_sizes(n, dtype):
    for k in SIZES:
        for m in (1, 3, n):
            check_product(np.matmul, numbers(n, k, dtype=dtype), numbers(k, m, dtype=dtype))
            check_product(np.dot, numbers(n, k, dtype=dtype), numbers(k, m, dtype=dtype))


@pytest.mark.parametrize("n", [1, 3, 4, 9, 20])
def test_products_of_vectors(n):
    check_product(np.matmul, numbers(n, 5), numbers(5))
    check_product(np.matmul, numbers(5), numbers(5, n))
    check_product(lambda x, y: np.dot(x, y) * np.ones(2), numbers(n), numbers(n))


@pytest.mark.parametrize("n", [2, 4, 11, 30])
def test_products_of_parts_and_transposes(n):
    x, y = numbers(2 * n, 3 * n), numbers(n, n)
    for f in (lambda x, y: x[::2, ::3] @ y.T, lambda x, y: x.T[::3, ::2] @ y, lambda x, y: y[::-1] @ x[:n, ::-3],
              lambda x, y: x[1::2, :n].T @ y.T, lambda x, y: (x[:, 0] @ x)[:n] * y):
        check_product(f, x, y)


@pytest.mark.parametrize("shapes", [((5, 4, 4), (4, 4)), ((5, 4, 4), (5, 4, 4)), ((4, 4), (5, 4, 3)), ((2, 3, 4, 4), (3, 4, 2)),
                                    ((2, 1, 3, 4), (1, 3, 4, 9)), ((20, 20), (7, 20, 1)), ((3, 20), (2, 7, 20, 1)), ((6, 20, 20), (20, 20)), ((3, 2, 20), (3, 20, 1)), ((7, 1, 4), (4, 4))])
def test_products_of_stacks(shapes):
    check_product(np.matmul, numbers(*shapes[0]), numbers(*shapes[1]))
    check_product(lambda x, y: np.swapaxes(x, -1, -2) @ (np.swapaxes(x, -1, -2).shape[-1] * x), numbers(*shapes[0]), numbers(3))
    check_product(lambda x, y: x[..., ::2, :] @ y, numbers(*shapes[0]), numbers(*shapes[1]))


NARROW = [(4, 17, 5), (5, 40, 9), (6, 16, 13), (7, 64, 16), (67, 12, 25), (131, 10, 10), (64, 32, 64), (3, 300, 12), (9, 257, 4), (16, 1000, 16),
          (32, 300, 30), (5, 40, 4100)]


@pytest.mark.parametrize("shape", NARROW)
@pytest.mark.parametrize("dtype", [float, np.float32])
def test_products_of_short_rows(shape, dtype):
    n, k, m = shape
    for around in ((), (3,)):
        x, y = numbers(*around, n, k, dtype=dtype), numbers(*around, k, m, dtype=dtype)
        check_product(np.matmul, x, y)
        check_product(lambda x, y: np.swapaxes(x, -1, -2) @ y, np.swapaxes(x, -1, -2).copy(), y)
        check_product(lambda x, y: x @ np.swapaxes(y, -1, -2), x, np.swapaxes(y, -1, -2).copy())
        check_product(lambda x, y: x[..., ::2, ::-1] @ y[..., ::-1, 1:], x, y)
        check_product(lambda x, y: np.swapaxes(x @ y, -1, -2), x, y)


def test_short_rows_that_are_not_finite():
    x, y = numbers(20, 20), numbers(20, 10)
    x[3, 4], x[7, 7], y[9, 9] = np.nan, np.inf, -np.inf
    program = fastad.record(np.matmul)
    program(x, y)
    np.testing.assert_array_equal(np.isfinite(program(x, y)), np.isfinite(x @ y))


LEVEL_SCRIPT = """
import sys
sys.path.insert(0, "tests")
import test_products_and_systems as tests
from fastad.core import simd
for shape in tests.NARROW:
    tests.test_products_of_short_rows(shape, float)
print(simd.level())
"""


@pytest.mark.parametrize("level", simd.LEVELS[:simd.LEVELS.index(simd.best_level()) + 1])
def test_short_rows_at_every_level(level):
    done = run(LEVEL_SCRIPT, FASTAD_SIMD=level)
    assert done.stdout.strip() == level, done.stderr


def test_products_of_nothing():
    for x, y in ((numbers(0, 3), numbers(3, 2)), (numbers(2, 0), numbers(0, 3)), (numbers(0, 2, 2), numbers(2, 2))):
        program = fastad.record(np.matmul)
        program(x, y)
        np.testing.assert_array_equal(program(x, y), x @ y)


def test_gradients_of_products():
    def f(x, y):
        return np.sum(np.sin(x @ y @ np.swapaxes(x, -1, -2)))

    x, y = numbers(6, 4, 3), numbers(3, 3)
    program = fastad.record(f)
    program.grad(x, y, argnums=(0, 1))
    for found, expected in zip(program.grad(2 * x, y, argnums=(0, 1)), fastad.grad(f, argnums=(0, 1))(2 * x, y), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
    assert program.stats["python_calls"] == []


def definite(*shape):
    x = numbers(*shape)
    return x @ np.swapaxes(x, -1, -2) + shape[-1] * np.eye(shape[-1])


FUNCTIONS = {
    "solve": lambda a: np.linalg.solve(a, np.ones(a.shape[-1:] if a.ndim == 2 else (a.shape[-1], 2), a.dtype)),
    "solve transposed": lambda a: np.linalg.solve(np.swapaxes(a, -1, -2), a),
    "inv": np.linalg.inv,
    "det": np.linalg.det,
    "slogdet": lambda a: np.linalg.slogdet(a)[1] * np.linalg.slogdet(-a)[0],
    "cholesky": np.linalg.cholesky,
    "eigh": lambda a: np.linalg.eigh(a)[1] * np.linalg.eigh(a, "U")[0][..., None, :],
    "eigvalsh": lambda a: np.linalg.eigvalsh(a) + np.linalg.eigvalsh(a, UPLO="U"),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (14, 14), (4, 3, 3), (2, 3, 2, 2)])
def test_linear_algebra(name, shape):
    f, a = FUNCTIONS[name], definite(*shape)
    np.testing.assert_array_equal(replayed(f, a), f(2 * a))
    single = replayed(f, a.astype(np.float32))
    assert single.dtype == np.float32
    np.testing.assert_array_equal(single, f(2 * a.astype(np.float32)))

    def g(a):
        return np.sum(np.square(f(a)))

    program = fastad.record(g)
    program.grad(a)
    expected = fastad.grad(g)(1.1 * a)
    # A symmetric matrix that solves for itself gives the identity: its gradient is zero but for rounding.
    tolerance = 1e-12 if name == "solve transposed" else 1e-9 * np.abs(expected).max()
    np.testing.assert_allclose(program.grad(1.1 * a), expected, rtol=0, atol=tolerance)
    assert program.stats["python_calls"] == []


def test_upper_factors():
    a = definite(3, 3)
    np.testing.assert_array_equal(replayed(lambda a: np.linalg.cholesky(a, upper=True), a), np.linalg.cholesky(2 * a, upper=True))


@pytest.mark.parametrize("f, good, bad, message", [
    (np.linalg.inv, np.eye(3), np.zeros((3, 3)), "Singular matrix"),
    (lambda a: np.linalg.solve(a, np.ones(3)), np.eye(3), np.ones((3, 3)), "Singular matrix"),
    (np.linalg.cholesky, np.eye(3), -np.eye(3), "not positive definite"),
    (np.linalg.inv, np.stack([np.eye(2)] * 3), np.stack([np.eye(2), np.zeros((2, 2)), np.eye(2)]), "Singular matrix"),
])
def test_errors_are_those_of_numpy(f, good, bad, message):
    program = fastad.record(f)
    program(good)
    with pytest.raises(np.linalg.LinAlgError, match=message):
        program(bad)
    np.testing.assert_array_equal(program(2 * good), f(2 * good))
    with pytest.raises(np.linalg.LinAlgError, match=message):
        program.jacobian(bad)
    assert program.stats["eager"] == []


def test_the_determinant_of_a_singular_matrix_has_a_derivative():
    a = np.array([[1.0, 2.0], [2.0, 4.0]])
    program = fastad.record(np.linalg.det)
    program.grad(np.eye(2))
    assert program(a) == 0.0
    np.testing.assert_allclose(program.grad(a), [[4.0, -2.0], [-2.0, 1.0]], atol=1e-14)


def test_nan_stays_nan():
    for f in (np.linalg.inv, np.linalg.det, lambda a: np.linalg.solve(a, np.ones(2))):
        program = fastad.record(f)
        program(np.eye(2))
        bad = np.array([[np.nan, 1.0], [1.0, 2.0]])
        with np.errstate(all="ignore"):
            np.testing.assert_array_equal(program(bad), f(bad))
