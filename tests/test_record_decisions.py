"""Functions that decide by values: a frozen branch, index or mask would give wrong numbers, against the plain function."""

import numpy as np
import pytest
from vectors import VECTORS, close

import fastad

# Decisions about values: each function of five numbers, at six points, twice in sequence


def loop_to(x):
    rounds = 0
    while x * x > 0.01 and rounds < 50:
        x, rounds = x * 0.5, rounds + 1
    return x * rounds


def filled(v):
    y = np.zeros_like(v)
    for i in range(5):
        if v[i] > 0:
            y[i] = v[i] ** 2
        else:
            y[i] += v[i]
    return np.sum(y)


def written(key, value):
    def f(v):
        y = v * 1.0
        y[key(y)] = value(y)
        return np.sum(y * v)
    return f


DECISIONS = {
    "if": lambda v: v[0] if v[0] > 0.5 else v[1] ** 2,
    "equal": lambda v: v[0] * 2 if v[0] == VECTORS[0][0] else v[0] * 3,
    "not equal": lambda v: v[0] * 2 if v[0] != VECTORS[1][0] else v[0] * 3,
    "in": lambda v: v[0] * 2 if v[0] in (VECTORS[0][0], VECTORS[1][0]) else v[0] * 3,
    "while": lambda v: loop_to(v[0]),
    "range of an int": lambda v: sum(v[0] ** k for k in range(int(abs(v[1]) * 4))) + 0.0 * v[0],
    "arange of an int": lambda v: np.sum(np.arange(int(abs(v[1]) * 4)) * v[0]),
    "round": lambda v: round(v[0]) * v[1],
    "round to a digit": lambda v: round(v[0], 1) * v[1],
    "divmod": lambda v: divmod(v[0], 0.3)[0] * v[1] + divmod(v[0], 0.3)[1],
    "index of a table": lambda v: [1.0, 2.0, 3.0, 4.0, 5.0][np.argmax(v)] * v[0],
    "key of a dict": lambda v: {0: 1.0, 1: 2.0, 2: 3.0}.get(int(abs(v[0])), 9.0) * v[0],
    "argmax": lambda v: v[np.argmax(v)] * 2 + v[0],
    "argmax as a method": lambda v: v[v.argmax()] * 2 + v[0],
    "argmax as int": lambda v: v[int(np.argmax(v))] ** 2,
    "argmax as float": lambda v: float(np.argmax(v)) * v[0],
    "argmax along an axis": lambda v: np.sum(np.outer(v, VECTORS[1])[np.arange(5), np.argmax(np.outer(v, VECTORS[1]), axis=1)]),
    "argmax of a plain array's element": lambda v: VECTORS[0][np.argmax(v)] * v[0],
    "argsort": lambda v: np.sum(v[np.argsort(v)] * np.arange(5.0)),
    "argsort of a plain array": lambda v: np.sum(VECTORS[0][np.argsort(v)] * v),
    "argsort as a list": lambda v: sum(k * v[i] for k, i in enumerate(np.argsort(v).tolist())),
    "argpartition": lambda v: np.sum(v[np.argpartition(v, 2)[:2]] ** 2),
    "sort": lambda v: np.sum(np.sort(v) * np.arange(5.0)),
    "sorted": lambda v: sum(k * x for k, x in enumerate(sorted(v))),
    "sorted by key": lambda v: sum(k * v[i] for k, i in enumerate(sorted(range(5), key=lambda i: v[i]))),
    "max": lambda v: max(v) * 2 + min(v) ** 2,
    "max by key": lambda v: max(range(5), key=lambda i: v[i]) * v[0],
    "index of max": lambda v: list(v).index(max(v)) * v[0],
    "slice to an index": lambda v: np.sum(v[:np.argmax(v)] ** 2) + v[0],
    "roll by an index": lambda v: np.sum(np.roll(v, np.argmax(v)) * np.arange(5.0)),
    "floor to int": lambda v: v[int(np.floor(abs(v[0]) * 3)) % 5] ** 2,
    "astype int": lambda v: np.sum(v[(np.abs(v) * 2).astype(int) % 5] ** 2),
    "arithmetic of ints": lambda v: np.sum(v * ((np.abs(v) * 2).astype(int) + 1)),
    "searchsorted": lambda v: np.sum(np.arange(7.0)[np.searchsorted(np.linspace(-1, 1, 6), v)] * v),
    "digitize": lambda v: np.sum(np.digitize(v, [-1.0, 0.0, 1.0]) * v),
    "bincount": lambda v: np.sum(np.bincount((v > 0).astype(int), minlength=2) * np.arange(2.0)) * v[0],
    "histogram": lambda v: np.sum(np.histogram(v, bins=[-3, -1, 0, 1, 3])[0] * np.arange(4.0)) * v[0],
    "count_nonzero": lambda v: np.count_nonzero(v > 0) * np.sum(v),
    "sum of a mask": lambda v: np.sum(v > 0) * np.sum(v),
    "mean of a mask": lambda v: (v > 0).mean() * np.sum(v),
    "mask": lambda v: np.sum(v[v > 0] ** 2),
    "mask as factor": lambda v: np.sum((v > 0) * v),
    "mask combined": lambda v: np.sum(np.where((v > 0) & (v < 1) | ~(v > -1), v ** 2, v)),
    "mask's size": lambda v: v[v > 0].size * np.sum(v),
    "mask's length": lambda v: len(v[v > 0]) * np.sum(v),
    "mask in a loop": lambda v: sum(2 * x for x, m in zip(v, v > 0) if m) + 0.0 * v[0],
    "mask as a list": lambda v: sum(2 * x for x, m in zip(v, (v > 0).tolist()) if m) + 0.0 * v[0],
    "nonzero": lambda v: np.sum(v[np.nonzero(v > 0)] ** 2),
    "argwhere": lambda v: np.sum(v[np.argwhere(v > 0)[:, 0]] ** 2),
    "flatnonzero": lambda v: np.sum(v[np.flatnonzero(v > 0)] ** 2),
    "where alone": lambda v: np.sum(v[np.where(v > 0)[0]] ** 2),
    "where": lambda v: np.sum(np.where(v > 0, v ** 2, v)),
    "where of a row": lambda v: np.sum(np.where((v > 0)[:, None], 2.0, np.outer(v, v)) ** 2),
    "mask of rows written": lambda v: written(lambda y: v > 0, lambda y: 2.0)(np.outer(v, v)),
    "select": lambda v: np.sum(np.select([v > 1, v > 0], [v ** 2, v ** 3], v)),
    "choose": lambda v: np.sum(np.choose((v > 0).astype(int), [v, v ** 2])),
    "piecewise": lambda v: np.sum(np.piecewise(v, [v < 0, v >= 0], [lambda t: -t, lambda t: t ** 2])),
    "any": lambda v: np.sum(v) if np.any(v > 1) else np.sum(v ** 2),
    "all": lambda v: np.sum(v) if (v > -1).all() else np.sum(v ** 2),
    "allclose": lambda v: np.sum(v) if np.allclose(v, VECTORS[0]) else np.sum(v ** 2),
    "array_equal": lambda v: np.sum(v) if np.array_equal(v, VECTORS[0]) else np.sum(v ** 2),
    "unique": lambda v: np.sum(np.unique(np.round(v))) * v[0],
    "take": lambda v: np.take(v, np.argmin(v)) ** 2,
    "take_along_axis": lambda v: np.sum(np.take_along_axis(v, np.argsort(v), 0) * np.arange(5.0)),
    "unravel_index": lambda v: np.outer(v, v)[np.unravel_index(np.argmax(np.outer(v, VECTORS[0])), (5, 5))],
    "delete": lambda v: np.sum(np.delete(v, np.argmax(v)) ** 2),
    "insert": lambda v: np.sum(np.insert(v, int(np.argmax(v)), 1.0) * np.arange(6.0)),
    "compress": lambda v: np.sum(np.compress(v > 0, v) ** 2),
    "extract": lambda v: np.sum(np.extract(v > 0, v) ** 2),
    "repeat": lambda v: np.sum(np.repeat(v, (v > 0) + 1)),
    "repeat or not": lambda v: np.sum(np.repeat(v, (np.abs(v) * 2).astype(int)) ** 2),
    "split": lambda v: np.sum(np.split(v, [np.argmax(v)])[0] ** 2) + v[0],
    "split in three": lambda v: sum(k * np.sum(part ** 2)
                                    for k, part in enumerate(np.array_split(v, [np.argmin(v), np.argmax(v)]))),
    "trim_zeros": lambda v: (lambda y: np.sum(y * 2.0) * np.size(y))(np.trim_zeros(np.where(v > 0, v, 0.0))),
    "delete by a mask": lambda v: np.sum(np.delete(v, v > 0) ** 2),
    "setdiff1d": lambda v: np.sum(np.setdiff1d(v, VECTORS[0]) ** 2),
    "intersect1d": lambda v: np.sum(np.intersect1d(v, VECTORS[0]) ** 2),
    "write beside a split": lambda v: (lambda y, s: (y.__setitem__(0, s), np.sum(y * v))[1])(
        v * 1.0, np.sum(np.split(v * 2.0, [np.argmax(v)])[1])),
    "put": lambda v: (lambda y: (np.put(y, np.argmax(v), 3.0), np.sum(y * v))[1])(v * 1.0),
    "write at an index": written(np.argmax, lambda y: 3.0),
    "write at indices": written(lambda y: np.argsort(y)[:2], lambda y: 3.0),
    "write at a mask": written(lambda y: y > 0, lambda y: 0.5 * y[y > 0] ** 2),
    "write a plain array": written(lambda y: slice(None), lambda y: np.arange(5.0)),
    "write a plain array in part": written(lambda y: slice(1, None, 2), lambda y: [3.0, 4.0]),
    "write a plain array at indices": written(lambda y: np.array([3, 1]), lambda y: np.array([3.0, 4.0])),
    "add at": lambda v: (lambda y: (np.add.at(y, (np.abs(v) * 2).astype(int) % 5, v), np.sum(y * np.arange(5.0)))[1])(v * 1.0),
    "fill in a loop": filled,
    "median": lambda v: np.median(v) ** 2,
    "clip": lambda v: np.sum(np.clip(v, -0.5, 0.5) * v),
    "interp": lambda v: np.sum(np.interp(v, [-1.0, 0.0, 1.0], [1.0, 2.0, 5.0])),
    "sign": lambda v: np.sum(np.sign(v) * v),
    "floor_divide": lambda v: np.sum((v // 0.3) * v),
    "frexp": lambda v: np.sum(np.frexp(v)[1] * v),
    "stop_gradient": lambda v: np.sum(fastad.stop_gradient(v)[v > 0]) * v[0],
}


@pytest.mark.parametrize("name", DECISIONS)
def test_decisions(name):
    f = DECISIONS[name]
    F = fastad.record(f)
    for v in VECTORS + VECTORS[::-1]:
        close(F(v), f(v.copy()))


@pytest.mark.parametrize("name", DECISIONS)
def test_derivatives_of_decisions(name):
    f = DECISIONS[name]
    F = fastad.record(f)
    for v in VECTORS + VECTORS[:2]:
        close(F.value_and_grad(v), fastad.value_and_grad(f)(v))
        close(F.hvp((v,), (VECTORS[2],)), fastad.hvp(f, (v,), (VECTORS[2],)), 1e-10)
        close(F.jvp((v,), (VECTORS[1],)), fastad.jvp(f, (v,), (VECTORS[1],)))


SELECTED = {
    "extract": lambda v: np.extract(v > 0, v), "compress": lambda v: np.compress(v > 0, v), "mask": lambda v: v[v > 0],
    "delete": lambda v: np.delete(v, v <= 0), "repeat": lambda v: np.repeat(v, v > 0),
    "trim_zeros": lambda v: np.trim_zeros(np.maximum(v, 0)),
    "split": lambda v: np.split(np.sort(v), [np.count_nonzero(v <= 0)])[1],
    "setdiff1d": lambda v: np.setdiff1d(np.maximum(v, 0.0), [0.0]),
    "take": lambda v: np.take(v, np.flatnonzero(v > 0)), "unique": lambda v: np.unique(v[v > 0]),
}


@pytest.mark.parametrize("name", SELECTED)
@pytest.mark.parametrize("n", [1, 2, 5])
def test_nothing_selected_and_something(name, n):
    """A result without elements has them in another call."""
    def f(v):
        part = SELECTED[name](v)
        return {"part": part * 2.0, "sum": np.sum(part ** 2)}

    F = fastad.record(f)
    v = np.arange(1.0, n + 1.0)
    for x in (-v, v, np.where(v > 1.0, v, -v), -v, v):
        value, pull = F.vjp(x)
        expected, plain_pull = fastad.vjp(f, x)
        plain = f(x.copy())
        for got in (value, expected, F(x)):
            np.testing.assert_array_equal(got["part"], plain["part"])
            close(got["sum"], plain["sum"])
        w = {"part": np.cos(plain["part"]), "sum": 0.5}
        close(pull(w)[0], plain_pull(w)[0])


ONE_OF_SEVERAL = {
    "meshgrid": lambda x, y: np.meshgrid(x, y)[0], "broadcast_arrays": lambda x, y: np.broadcast_arrays(x, y[:, None])[0],
    "divmod": lambda x, y: np.divmod(y * 3.0, 1.7)[1], "modf": lambda x, y: np.modf(y)[0] * x,
    "split": lambda x, y: np.split(y * x, 5)[1],
    "eigh": lambda x, y: np.linalg.eigh(np.diag(x) + np.outer(y, y))[0],
    "slogdet": lambda x, y: np.linalg.slogdet(np.outer(x, y) + np.eye(5))[1],
}


@pytest.mark.parametrize("name", ONE_OF_SEVERAL)
def test_one_of_several_results(name):
    """Adjoints of the others are zeros, also where an operand was written in part."""
    def f(v):
        y = v.copy()
        y[0:1] = 0.7
        y[v > 1.0] = 0.5
        return np.sum(np.sin(ONE_OF_SEVERAL[name](v * v, y)))

    F = fastad.record(f)
    for v in VECTORS + VECTORS[:2]:
        close(F.value_and_grad(v), fastad.value_and_grad(f)(v), 1e-10)
        close(F.hvp((v,), (VECTORS[2],)), fastad.hvp(f, (v,), (VECTORS[2],)), 1e-9)
        close(fastad.jvp(F.grad, (v,), (VECTORS[2],))[1], fastad.hvp(f, (v,), (VECTORS[2],)), 1e-9)


def test_writes_beside_a_view_whose_place_is_recorded():
    """NumPy writes through; a program has a copy there, and runs eagerly."""
    def f(v):
        y = v * 1.0
        part = np.split(y, [np.argmax(v)])[1]
        part[0] = 5.0
        y[-1] = 7.0
        return np.sum(y * v) + np.sum(part)

    F = fastad.record(f)
    for v in VECTORS:
        close(F(v), f(v.copy()))
        close(F.grad(v), fastad.grad(f)(v))


def test_gradients_where_some_paths_have_arrays_and_some_have_none():
    data = np.array([1.0, 2.0, 3.0])

    def f(x):
        if x > 1.0:
            return x * x
        return np.sum(x * x * data) if x > 0.0 else x

    for first in (1.5, 0.5, -0.5):
        F = fastad.record(f)
        for x in (first, 1.5, 0.5, -0.5, 0.3, 1.2, -0.2, 0.4):
            close(F.grad(x), fastad.grad(f)(x))
            close(F.value_and_grad(x), fastad.value_and_grad(f)(x))


def test_gradients_of_paths_with_and_without_arrays():
    F = fastad.record(lambda x: x * x if x < 1 else np.sum(x * np.arange(3.0)))
    for x, gradient in ((2.0, 3.0), (0.5, 1.0), (0.25, 0.5), (3.0, 3.0), (0.5, 1.0)):
        assert F.grad(x) == gradient and F.value_and_grad(x)[1] == gradient


@pytest.mark.parametrize("argnums", [0, 1, -1, (0,), (0, 1), (2, 0), (0, 1, 2), (-1, 0), (), [0, 2]])
def test_gradients_by_several_arguments(argnums):
    def f(x, part, y):
        return x * part["a"][0] * y[1] if x > y[0] else np.sum(part["a"] * y) * part["b"] - x

    F = fastad.record(f)
    for k in range(4):
        for x in (-9.0, 9.0):
            args = x + k, {"a": VECTORS[k], "b": 2.0}, VECTORS[k + 1]
            close(F.grad(*args, argnums=argnums), fastad.grad(f, argnums)(*args))
            close(F.value_and_grad(*args, argnums=argnums), fastad.value_and_grad(f, argnums)(*args))


@pytest.mark.parametrize("argnums", [(1.0,), ([1],), (0, 0), (5,), ("x",), None])
def test_argnums_that_are_none(argnums):
    def f(x, y):
        return x * y

    F = fastad.record(f)
    F.grad(2.0, 3.0, argnums=(1,))
    with pytest.raises((TypeError, ValueError)) as eager:
        fastad.grad(f, argnums)(2.0, 3.0)
    with pytest.raises(type(eager.value)) as replayed:
        F.grad(2.0, 3.0, argnums=argnums)
    assert str(replayed.value) == str(eager.value)
