"""Kernels at places known beforehand: constant indices, functions that move elements, short inner loops; none of them asks Python."""

import numpy as np
import pytest

import fastad

RNG = np.random.default_rng(0)
M = RNG.normal(size=(4, 5, 3))
MASK = RNG.random((4, 5)) > 0.5
LOWER = np.tril_indices(3, -1)

READS = {
    "rows": lambda m: m[[0, 2, 2]],
    "axis 1": lambda m: m[:, [0, 4, 4, -1]],
    "last axis": lambda m: m[1:3, :, [2, 0]],
    "pairs": lambda m: m[:, [0, 1], [2, 1]],
    "range": lambda m: m[:, range(3), range(3)],
    "of a view": lambda m: m[::-1, ::2][:, [0, 2, -1]],
    "of reversed axes": lambda m: m[::-1, ::-1, ::-1][:, [0, 2], 1:],
    "of a transposed view": lambda m: np.swapaxes(m, 0, 2)[:, [3, 3]],
    "apart": lambda m: m[[0, 1], :, [2, 0]],
    "mask": lambda m: m[np.array(MASK)],
    "mask of an axis": lambda m: m[:, np.array(MASK[0])],
    "new axis": lambda m: m[:, None, [1, 1]],
    "grid": lambda m: m[np.ix_([0, 3], [1, 1, 2])],
    "none": lambda m: m[:, np.array([], int)] * 1.0,
    "a number": lambda m: m[[1], [2], [0]] * 2.0,
    "held": lambda m: m[:, LOWER[0], LOWER[1]],
    "held mask": lambda m: m[MASK],
}

MOVES = {
    "flip": lambda m: np.flip(m, 1),
    "roll": lambda m: np.roll(m, 2, axis=1),
    "roll flat": lambda m: np.roll(m, 3),
    "tile": lambda m: np.tile(m, (2, 1, 3)),
    "repeat": lambda m: np.repeat(m, 2, axis=1),
    "repeat by counts": lambda m: np.repeat(m, [1, 0, 2], axis=2),
    "diag": lambda m: np.diag(m[0, :3]),
    "diag of a vector": lambda m: np.diag(m[0, 0] * 1.0, 1),
    "tril": lambda m: np.tril(m),
    "triu": lambda m: np.triu(m[:, :, ::-1], 1),
    "take": lambda m: np.take(m, [0, -1, 2], axis=1),
    "transpose": lambda m: np.transpose(m, (2, 0, 1)) * 1.0,
    "rot90": lambda m: np.rot90(m),
    "insert": lambda m: np.insert(m, 1, 0.5, axis=1),
    "insert values": lambda m: np.insert(m, [0, 2], m[:, 0:1], axis=1),
    "delete": lambda m: np.delete(m, [1, 2], axis=1),
    "append": lambda m: np.append(m, m[::2], axis=0),
    "resize": lambda m: np.resize(m, (7, 11)),
    "windows": lambda m: np.lib.stride_tricks.sliding_window_view(m, 3, axis=1) * 1.0,
    "memory order": lambda m: np.ravel(np.swapaxes(m, 0, 1), order="K"),
    "fftshift": lambda m: np.fft.fftshift(m),
    "vstack": lambda m: np.vstack([m, m[:2] * 2]),
    "take_along_axis": lambda m: np.take_along_axis(m, np.array([0, 1, 2, 4]).reshape(4, 1, 1), axis=1),
}


def writing(key, value):
    def f(m):
        y = m * 0
        y[key] = value(m)
        return y * 2
    return f


def adding(key, value):
    def f(m):
        y = m * 0.5
        np.add.at(y, key, value(m))
        return y
    return f


def onto_itself(m):
    y = m * 1.0
    y[:, [0, 1, 2]] = y[:, [2, 0, 1]]
    y[[1, 0]] = y[[0, 0]]
    return y


WHOLE = slice(None)
WRITES = {
    "triangle": writing((WHOLE, *LOWER), lambda m: m[:, 0, :]),
    "diagonal": writing((WHOLE, range(3), range(3)), lambda m: m[:, :3, 0]),
    "repeated rows": writing(([0, 0, 1],), lambda m: m[:3]),
    "repeated elements": writing(([0, 0, 1], [1, 1, 1]), lambda m: m[0, :3]),
    "repeated pairs": writing((WHOLE, [1, 1], [0, 0]), lambda m: m[:, 0, :2]),
    "mask": writing(MASK, lambda m: m[0, 0, 0]),
    "broadcast": writing((WHOLE, [0, 2]), lambda m: m[0, 0]),
    "one row": writing((0, [0, 1]), lambda m: m[1, :2]),
    "a constant": writing(([0, 1], Ellipsis), lambda m: 1.5),
    "onto itself": onto_itself,
}
ADDS = {
    "repeated rows": adding(([0, 0, 1],), lambda m: m[:3]),
    "repeated pairs": adding((WHOLE, [1, 1], [0, 0]), lambda m: m[:, 0, :2]),
    "an axis": adding((WHOLE, [1, 2]), lambda m: m[:, :2]),
}
CASES = [pytest.param(f, f in ADDS.values(), id=f"{kind} {name}") for kind, table in
         (("read", READS), ("move", MOVES), ("write", WRITES), ("add", ADDS)) for name, f in table.items()]


def summed(f, dtype):
    def total(m):
        y = f(m)
        weights = np.cos(np.arange(np.size(y))).reshape(np.shape(y)).astype(dtype)
        return np.sum(np.sin(y) * weights)
    return total


@pytest.mark.parametrize("dtype", [float, np.float32])
@pytest.mark.parametrize(("f", "to_rounding"), CASES)
def test_as_eager(f, to_rounding, dtype):
    m, changed = M.astype(dtype), (M * 1.3 + 0.1).astype(dtype)
    program, total = fastad.record(f, m), summed(f, dtype)
    summing = fastad.record(total, m)
    tolerance = {"rtol": 1e-12, "atol": 1e-13} if dtype is float else {"rtol": 3e-4, "atol": 1e-4}
    for x in (m, changed):
        if to_rounding:
            np.testing.assert_allclose(program(x), f(x), **tolerance)
        else:
            np.testing.assert_array_equal(program(x), f(x))
        np.testing.assert_allclose(summing.grad(x), fastad.grad(total)(x), **tolerance)
        v = np.cos(x)
        np.testing.assert_allclose(summing.hvp((x,), (v,)), fastad.hvp(total, (x,), (v,)), **tolerance)
    assert not program.stats["eager"]
    if dtype is float:
        assert not program.stats["python_calls"]


def test_saved(tmp_path):
    def f(m):
        return m[[0, 2, 2]], m[np.array([1]), np.array([2])], np.where(m > 0, m, 0.0)[np.array([3, 1])]

    program = fastad.record(f, M)
    program.save(tmp_path / "reads.fastad")
    for got, want in zip(fastad.load(tmp_path / "reads.fastad")(M + 1), f(M + 1), strict=True):
        np.testing.assert_array_equal(got, want)


def test_write_that_a_file_can_not_hold(tmp_path):
    with pytest.raises(TypeError, match="can not be kept in a file"):
        fastad.record(WRITES["diagonal"], M).save(tmp_path / "writes.fastad")


def test_indices_the_user_changes():
    first, second, mask = np.array([0, 2]), np.array([1, 1, 2]), MASK[0].copy()

    def f(m):
        y = m * 0.5
        y[:, first] = m[:, [4, 3]] + 1
        z = np.sin(y[:, second] * 2) + y[:, second]
        np.add.at(y, (WHOLE, second), z)
        return np.sum(np.take(y, first, axis=2) ** 2) + np.sum(y[:, mask] * 3) + np.sum(np.exp(y[:, first] * 0.1))

    program = fastad.record(f, M)
    program.grad(M)
    for a, b in (([0, 2], [1, 1, 2]), ([1, 0], [1, 1, 2]), ([1, 0], [0, 4, 4]), ([0, 2], [0, 4, 4]), ([0, 2], [2, 2, 2])):
        first[:], second[:] = a, b
        x, v = M + a[0], np.cos(M)
        np.testing.assert_allclose(program(x), f(x), rtol=1e-13)
        np.testing.assert_allclose(program.grad(x), fastad.grad(f)(x), rtol=1e-12)
        np.testing.assert_allclose(program.hvp((x,), (v,)), fastad.hvp(f, (x,), (v,)), rtol=1e-11, atol=1e-12)


def test_array_of_the_user_outlives_the_recording():
    held = np.arange(3.0)
    program = fastad.record(lambda m: m * held + m * np.ones(3), M)
    held += 1
    np.testing.assert_array_equal(program(M), M * held + M * np.ones(3))


@pytest.mark.parametrize("dtype", [float, np.float32])
@pytest.mark.parametrize("shape", [(50, 3), (50, 1), (3, 50), (2, 40, 3), (40, 2, 3), (7, 65), (1, 5), (30, 64)])
def test_short_loops(shape, dtype):
    def values(x):
        return x[..., ::-1] * x[..., :1] - x

    def sums(x):
        return [np.sum(x, axis=axis, keepdims=keep) for axis in range(-1, len(shape) - 1) for keep in (False, True)] + [
            np.max(x, axis=-1), np.min(x, axis=0), np.mean(x, axis=-1), np.sum(x, axis=(0, -1)), np.sum(x[..., ::2], axis=-1)]

    x = RNG.normal(size=shape).astype(dtype)
    np.testing.assert_array_equal(fastad.record(values, x)(x), values(x))
    for got, want in zip(fastad.record(sums, x)(x), sums(x), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12 if dtype is float else 1e-4, atol=1e-12 if dtype is float else 1e-5)
        assert np.asarray(got).dtype == want.dtype

    def total(x):
        return np.sum(np.sum(x ** 2, axis=-1) ** 2)
    np.testing.assert_allclose(fastad.record(total, x).grad(x), fastad.grad(total)(x), rtol=1e-12 if dtype is float else 1e-4)
