"""Chains of elementwise kernels: the same answers as without, bit for bit for values, whatever they are made of."""

import math
import random
import tracemalloc

import numpy as np
import pytest

import fastad
from fastad.programs.code import passes

LENGTHS = [2, 3, 10, 127, 128, 129, 4096, 5000]


@pytest.fixture(params=["all", *passes])
def one_pass_off(request, monkeypatch):
    """Nothing, or one of the passes switched off."""
    if request.param != "all":
        monkeypatch.setitem(passes, request.param, False)


def unary(rng):
    return rng.choice([np.sin, np.cos, np.tanh, np.exp, np.negative, np.square, np.abs, np.sqrt, np.arctan, np.copy])


def random_chain(seed):
    """A function of two arrays of one shape, a row and a number, with views, writes, masks and sums in between."""
    def f(x, y, row, s):
        rng = random.Random(seed)
        values = [x, y, x * 0.5, y + s]
        sums = [s]
        for _ in range(25):
            kind = rng.randrange(12)
            a, b = rng.choice(values), rng.choice(values)
            if kind < 3:
                values.append(rng.choice([np.add, np.subtract, np.multiply])(a, b))
            elif kind < 5:
                values.append(unary(rng)(np.abs(a) + 0.1) * 0.5)
            elif kind == 5:
                values.append(a * row - rng.choice(sums) * 0.01)
            elif kind == 6:
                values.append(np.where(a > b, a, b * 1.0))
            elif kind == 7:
                c = np.copy(a)
                c += b
                c[..., 1:] *= 0.5
                c[..., :-1] += a[..., 1:]
                values.append(c)
            elif kind == 8:
                sums.append(np.sum(a * b) * 1e-3)
            elif kind == 9:
                values.append(a / (np.abs(b) + 1.0))
            elif kind == 10:
                values.append(a - 0.5 * rng.choice([np.max, np.min])(b, axis=-1, keepdims=True))
            else:
                values.append(a / (2.0 + np.sum(b * b, axis=-1, keepdims=True)))
            values[-1] = values[-1] / (1.0 + 0.01 * values[-1] ** 2)
        return np.sum(values[-1]) + np.mean(values[-2]) + sums[-1]
    return f


def point(shape, dtype=float, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.normal(size=shape).astype(dtype), rng.normal(size=shape).astype(dtype), rng.normal(size=shape[-1:]).astype(dtype), 0.7)


def assert_close(found, expected, scale=1e-12):
    for a, e in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, e, rtol=scale, atol=scale * max(1.0, np.max(np.abs(e), initial=0.0)))


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("shape", [(2,), (129,), (7, 5), (300, 40), (3, 1, 4)])
def test_random_chains(seed, shape):
    f = random_chain(seed)
    F = fastad.record(f)
    everything = (0, 1, 2, 3)
    for k in range(3):
        at = point(shape, seed=k)
        value, gradient = F.value_and_grad(*at, argnums=everything)
        expected, wanted = fastad.value_and_grad(f, everything)(*at)
        assert_close([value], [expected])
        assert_close(gradient, wanted, 1e-10)


@pytest.mark.parametrize("seed", range(4))
def test_each_pass_may_be_off(seed, one_pass_off):
    f = random_chain(seed)
    F = fastad.record(f)
    for k in range(2):
        at = point((60, 9), seed=k)
        value, gradient = F.value_and_grad(*at, argnums=(0, 1, 2, 3))
        expected, wanted = fastad.value_and_grad(f, (0, 1, 2, 3))(*at)
        assert_close([value], [expected])
        assert_close(gradient, wanted, 1e-10)


@pytest.mark.parametrize("n", LENGTHS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_values_are_those_of_numpy_to_the_last_bit(n, dtype):
    def f(x, y):
        z = np.sin(x) * y + np.exp(x) / (1.0 + y * y)
        w = np.tanh(z) - np.log1p(x * x) * 0.25
        return {"z": z, "w": np.where(w > 0.1, w, -w), "r": np.sqrt(w * w + 2.0)[::-1]}

    rng = np.random.default_rng(1)
    F = fastad.record(f)
    for _ in range(3):
        x, y = rng.normal(size=n).astype(dtype), rng.normal(size=n).astype(dtype)
        found, expected = F(x, y), f(x, y)
        for name in expected:
            assert found[name].dtype == expected[name].dtype
            np.testing.assert_array_equal(found[name], expected[name])


def test_several_seeds_behind_one_replay():
    def f(x):
        y = np.sin(x) * x
        return y * np.sum(y), np.cos(y)

    F = fastad.record(f)
    x = np.linspace(0.1, 2.0, 50)
    _, pull = F.vjp(x)
    _, eager_pull = fastad.vjp(f, x)
    rng = np.random.default_rng(0)
    for _ in range(4):
        seeds = rng.normal(size=50), rng.normal(size=50)
        assert_close(pull(seeds), eager_pull(seeds))
    assert_close(F.jacobian(x), fastad.jacobian(f)(x))


def test_other_branches_go_on_from_kept_values():
    def f(x):
        y = np.sin(x) * 2.0
        z = y * y + x
        if np.sum(z) > 3.0:
            return np.sum(y * z)
        if z[0] > 0.5:
            return np.sum(z / (1.0 + y * y))
        return np.sum(np.exp(-z))

    F = fastad.record(f)
    rng = np.random.default_rng(2)
    for _ in range(60):
        x = rng.normal(size=6) * rng.choice([0.1, 1.0])
        value, gradient = F.value_and_grad(x)
        expected, wanted = fastad.value_and_grad(f)(x)
        assert_close([value, gradient], [expected, wanted])
    assert F.stats["paths"] == 3


def test_zero_wins_over_infinity():
    def f(x):
        return np.sum(np.where(x > 0.0, np.sqrt(x), 0.0) * 2.0 + x)

    F = fastad.record(f)
    x = np.array([-1.0, 0.0, 4.0, 9.0])
    with np.errstate(invalid="ignore"):
        F.grad(x)
        np.testing.assert_array_equal(F.grad(x), fastad.grad(f)(x))


def test_views_written_in_one_storage():
    def f(x):
        y = np.zeros(len(x) + 2)
        y = y + x[0] * 0.0
        y[1:-1] = x
        y[2:] += x * x
        y[:-2] -= np.sin(x)
        return np.sum(y[1:] * y[:-1])

    F = fastad.record(f)
    for n in LENGTHS:
        x = np.linspace(-1.0, 1.0, n)
        for _ in range(2):
            assert_close([F.grad(x)], [fastad.grad(f)(x)])


def test_overlapping_reads_come_before_the_write():
    def f(x):
        y = x * 1.5
        z = y[:-1] * 2.0
        y[1:] += z
        w = y * y
        y[:-1] = y[1:] * 1.0
        return np.sum(w) + np.sum(y)

    F = fastad.record(f)
    x = np.linspace(-1.0, 1.0, 1000)
    for _ in range(3):
        assert_close([F.grad(x)], [fastad.grad(f)(x)])
        x = x * 0.5


def test_intermediate_arrays_need_no_memory():
    def f(x):
        y = x
        for _ in range(20):
            y = np.sin(y) * 0.5 + x
        return np.sum(y)

    n = 200_000
    x = np.linspace(-1.0, 1.0, n)
    F = fastad.record(f)
    F.value_and_grad(x)
    F.value_and_grad(x)
    [paths] = F._paths.values()
    [code] = paths.codes
    [target] = code.owner.derived.values()
    assert target.nbytes < 4 * x.nbytes
    tracemalloc.start()
    F.value_and_grad(x)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3 * x.nbytes


def test_sums_of_many_lose_nothing():
    rng = np.random.default_rng(3)
    x = rng.normal(size=1_000_003) + 1.0
    F = fastad.record(lambda x: (np.sum(x * 1.0), np.sum(x * 0.1)))
    F(x)
    for found, terms in zip(F(x), (x, x * 0.1), strict=True):
        assert abs(found - math.fsum(terms)) <= 1e-15 * math.fsum(np.abs(terms))


def test_infinite_and_missing_sums():
    F = fastad.record(lambda x: np.sum(x * 2.0 + 1.0))
    x = np.ones(9000)
    for bad in (np.inf, -np.inf, np.nan):
        x[8500] = bad
        np.testing.assert_equal(F(x), np.sum(x * 2.0 + 1.0))
    x[0], x[8500] = np.inf, -np.inf
    assert np.isnan(F(x))


def test_loaded_programs_derive_at_the_values_of_a_run(tmp_path):
    F = fastad.record(lambda x: np.sum(np.sin(x) * x / (1.0 + x * x)))
    x = np.linspace(0.5, 2.0, 300)
    F(x)
    F.save(tmp_path / "f")
    G = fastad.load(tmp_path / "f")
    for scale in (1.0, -0.5, 3.0):
        assert_close([G.grad(scale * x), G.hvp((x * scale,), (x,))], [F.grad(scale * x), F.hvp((x * scale,), (x,))])


def polynomial(x, t):
    """Residuals of a polynomial whose coefficients are read one by one, as scalars."""
    residual, power = np.sign(t), np.ones(len(t))
    for k in range(len(x)):
        residual = residual - x[k] * power
        power = power * t
    return np.sum(residual**2) / 2.0


@pytest.mark.parametrize("n", [2, 300, 3001])
@pytest.mark.parametrize("terms", [3, 40, 300])
def test_many_sums_end_one_chain(n, terms):
    t = np.linspace(-1.0, 1.0, n)
    F = fastad.record(lambda x: polynomial(x, t))
    for seed in range(3):
        x = np.random.default_rng(seed).normal(size=terms)
        value, gradient = F.value_and_grad(x)
        expected, wanted = fastad.value_and_grad(lambda x: polynomial(x, t))(x)
        assert_close([value, gradient], [expected, wanted], 1e-11)
    t = np.linspace(-0.5, 1.0, n)
    assert_close([F.grad(x)], [fastad.grad(lambda x: polynomial(x, t))(x)], 1e-11)


@pytest.mark.parametrize("shape", [(3, 5), (40, 10), (1000, 7), (7, 4096), (2, 3, 50)])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_sums_of_rows(shape, dtype, one_pass_off):
    def f(x, y):
        z = x * y - x
        norms = np.sum(z * z, axis=-1)
        shares = z / (1.0 + np.sum(np.abs(z), axis=-1, keepdims=True))
        top = np.max(shares, axis=-1)
        return np.sum(np.sqrt(norms + 1.0)) + np.sum(shares * shares) + np.sum(np.log(2.0 + top) * norms)

    F = fastad.record(f)
    for seed in range(2):
        rng = np.random.default_rng(seed)
        x, y = rng.normal(size=shape).astype(dtype), rng.normal(size=shape[-1:]).astype(dtype)
        scale = 1e-10 if dtype == np.float64 else 1e-4
        value, gradient = F.value_and_grad(x, y, argnums=(0, 1))
        expected, wanted = fastad.value_and_grad(f, (0, 1))(x, y)
        assert_close([value], [expected], scale)
        assert_close(gradient, wanted, scale)


@pytest.mark.parametrize("number", [np.float32(0.3), np.float64(0.3), 0.3, 3, True])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_numbers_of_any_type_beside_arrays(number, dtype):
    def f(x):
        return x * number, number - x, np.maximum(x, number) / (x + number), (x > 0.5) * number

    x = np.random.default_rng(5).normal(size=50).astype(dtype)
    F = fastad.record(f)
    F(x)
    for found, expected in zip(F(x), f(x)):
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("n", [2, 127, 3000])
def test_products_made_one_with_what_follows_change_no_bit(n, dtype):
    def f(x, y, s):
        return x * y + x, x - s * y, y * x - y, (x * s) * (y * y), np.sum(x * y), np.sum(y * y), np.sum(x * s), (x * y) * 1.0 - (x * y)

    rng = np.random.default_rng(5)
    x, y, s = rng.normal(size=n).astype(dtype), rng.normal(size=n).astype(dtype), 0.3
    found = []
    for on in (True, False):
        passes["products"] = on
        try:
            F = fastad.record(f)
            F(x, y, s)
            found.append(F(x, y, s))
        finally:
            passes["products"] = True
    for a, b, expected in zip(*found, f(x, y, s), strict=True):
        np.testing.assert_array_equal(a, b)
        assert_close([a], [expected], 1e-12 if dtype == np.float64 else 1e-5)


def test_what_nothing_asks_for_is_not_computed():
    def f(x, t):
        return fastad.jvp(fastad.grad(lambda x: np.sum(np.max(np.sum(x * x * x, axis=1) * np.ones((50, 1)), axis=0))), (x,), (t,))[1]

    F = fastad.record(f)
    x, t = np.random.default_rng(6).normal(size=(2, 300, 4))
    for _ in range(3):
        assert_close([F(x, t)], [f(x, t)])
        x = x * 1.5


@pytest.mark.parametrize("shape", [(5, 5), (40, 30)])
def test_sums_of_rows_of_one_number(shape, one_pass_off):
    def f(p):
        return np.mean(p**2 - np.max(p, axis=1, keepdims=True))

    F = fastad.record(f)
    for seed in range(2):
        p, t = np.random.default_rng(seed).normal(size=(2, *shape))
        assert_close([F.grad(p), F.hvp((p,), (t,))], [fastad.grad(f)(p), fastad.hvp(f, (p,), (t,))])


def softmax(z):
    e = np.exp(z - np.max(z, axis=-1, keepdims=True))
    return e / np.sum(e, axis=-1, keepdims=True)


@pytest.mark.parametrize("dtype", [float, np.float32])
@pytest.mark.parametrize("shape", [(4, 1), (1, 9), (50, 7), (3, 5, 40), (700, 64), (6, 300), (2, 5000)])
def test_numbers_of_rows_beside_their_elements(shape, dtype, one_pass_off):
    z = np.random.default_rng(0).normal(size=shape).astype(dtype)

    def f(z):
        p = softmax(z * 2.0)
        return np.sum(p * p * np.arange(shape[-1], dtype=dtype)) + np.sum(np.min(p + z, axis=-1) ** 2)

    F = fastad.record(f)
    for x in (z, -z):
        F.grad(x)
        value, gradient = F.value_and_grad(x)
        assert value == pytest.approx(f(x), rel=1e-12 if dtype is float else 1e-5)
        assert_close([gradient], [fastad.grad(f)(x)], 1e-12 if dtype is float else 1e-4)


def cross_entropy(z, labels):
    """Of rows of logits, by way of the logarithm of a sum of exponentials and weights of the rows."""
    top = np.max(z, axis=-1, keepdims=True)
    logs = np.log(np.sum(np.exp(z - top), axis=-1)) + top[..., 0]
    found = np.sum(labels * z, axis=-1)
    return np.mean((logs - found) * (1.0 + 0.1 * np.tanh(logs)))


@pytest.mark.parametrize("dtype", [float, np.float32])
@pytest.mark.parametrize("shape", [(5, 1), (2, 2), (1, 9), (9, 3), (50, 7), (3, 5, 40), (700, 64), (6, 300)])
def test_arithmetic_with_numbers_of_rows(shape, dtype, one_pass_off):
    rng = np.random.default_rng(1)
    z, labels = rng.normal(size=shape).astype(dtype), rng.uniform(size=shape).astype(dtype)
    F = fastad.record(cross_entropy, z, labels)
    for x in (z, -2.0 * z):
        value, gradient = F.value_and_grad(x, labels, argnums=(0, 1))
        expected, wanted = fastad.value_and_grad(cross_entropy, (0, 1))(x, labels)
        assert value == pytest.approx(expected, rel=1e-13 if dtype is float else 1e-5)
        assert_close(gradient, wanted, 1e-12 if dtype is float else 1e-5)
        assert_close([F.jacobian(x, labels)], [gradient[0]], 1e-12 if dtype is float else 1e-5)


def test_a_softmax_is_one_chain():
    z = np.random.default_rng(0).normal(size=(200, 30))
    F = fastad.record(softmax, z)
    array = z.nbytes
    tracemalloc.start()
    try:
        F(z)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1.5 * array
    np.testing.assert_array_equal(F(z), softmax(z))


@pytest.mark.parametrize("dtype", [float, np.float32])
@pytest.mark.parametrize("n", [1, 2, 7, 8, 9, 16, 31, 100, 4097])
def test_extremes_of_rows(n, dtype, one_pass_off):
    rng = np.random.default_rng(n)
    x = rng.integers(-3, 4, (12, n)).astype(dtype)
    x[1, rng.integers(n)] = np.nan
    x[2, rng.integers(n)], x[3, rng.integers(n)] = np.inf, -np.inf
    x[4, 0], x[4, -1] = np.inf, -np.inf
    x[5], x[6] = np.inf, np.nan

    def f(x):
        return np.min(x, axis=1), np.max(x, axis=1), np.max(x[:, ::-1], axis=1), np.min(x * 1.0, axis=1)

    F = fastad.record(f, np.zeros_like(x))
    with np.errstate(invalid="ignore"):
        for found, expected in zip(F(x), f(x), strict=True):
            np.testing.assert_array_equal(found, expected)


def test_large_arrays_that_only_small_ones_read():
    def f(x):
        y = np.sum(np.sin(x), axis=0)
        return np.sum(np.exp(y * 0.01) * y)

    F = fastad.record(f)
    x = np.random.default_rng(7).normal(size=(2000, 3))
    for _ in range(2):
        assert_close([F(x), F.grad(x)], [f(x), fastad.grad(f)(x)])
        x = x * 0.5


@pytest.mark.parametrize("shape", [(3, 300, 2), (2, 5000), (4, 257, 1), (3, 64, 32), (5, 700, 3), (2, 2, 300)])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_operands_that_are_broadcast(shape, dtype, one_pass_off):
    """Along the first axis, along all others, along the last: read where they lie, if far enough, or brought into the tile."""
    def f(x, first, rest, last):
        z = x * first - rest
        z = z * last + first
        return np.sum(z * first), np.sum(rest * first + last, axis=-1), first * last, np.where(z > rest, first, last) - z / (rest * rest + 1.0)

    def total(*args):
        return sum(np.sum(part * part) for part in f(*args))

    F, gradients = fastad.record(f), fastad.record(total)
    for seed in range(3):
        rng = np.random.default_rng(seed)
        first = rng.normal(size=(shape[0], *[1] * (len(shape) - 1)))
        args = [part.astype(dtype) for part in (rng.normal(size=shape), first, rng.normal(size=shape[1:]), rng.normal(size=(*shape[:-1], 1)))]
        for found, expected in zip(F(*args), f(*args), strict=True):
            assert_close([found], [expected], 1e-12 if dtype == np.float64 else 1e-4)
        for found, expected in list(zip(F(*args), f(*args), strict=True))[2:]:
            np.testing.assert_array_equal(found, expected)
        assert_close(gradients.grad(*args, argnums=(0, 1, 2, 3)), fastad.grad(total, (0, 1, 2, 3))(*args),
                     1e-10 if dtype == np.float64 else 1e-3)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("shape, axis", [
    *[((9, n), 1) for n in (1, 2, 7, 8, 9, 10, 15, 16, 17, 63, 64, 65, 127, 128, 129, 136, 255, 257, 300, 1025, 5001)],
    *[((100, n), 0) for n in (2, 3, 5, 8, 15, 16, 31, 33, 64)],
    ((1, 5), 0), ((2, 5), 0), ((7, 300, 10), 1), ((7, 3000, 33), 1), ((3, 4, 50, 5), 2), ((6, 40, 2, 3), 1), ((20, 1, 6), 1), ((3, 2, 9), 0),
])
def test_sums_along_an_axis_are_numpys_to_the_last_bit(shape, axis, dtype):
    def f(x):
        return np.sum(x, axis=axis), np.sum(x[::-1], axis=axis), np.sum(x, axis=axis, keepdims=True)

    F = fastad.record(f)
    for seed in range(3):
        x = np.random.default_rng(seed).normal(size=shape).astype(dtype)
        for found, expected in zip(F(x), f(x), strict=True):
            assert found.dtype == expected.dtype
            np.testing.assert_array_equal(found, expected)


def test_sums_along_an_axis_of_other_strides():
    def f(x):
        return np.sum(x.T, axis=0), np.sum(x[:, ::2], axis=0), np.sum(x[:, ::-1], axis=1), np.sum(x[::3, 1:5], axis=0), np.sum(x[None], axis=1)

    F = fastad.record(f)
    for seed in range(3):
        x = np.random.default_rng(seed).normal(size=(40, 12))
        assert_close(F(x), f(x), 1e-14)
