"""Captured arrays whose elements change between calls: what plain NumPy work, or Python, made of them is never answered from a recording."""

import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threaded import in_threads

import fastad


class Model:
    """Holds arrays as attributes, in a list and in a dict."""

    def __init__(self, data):
        self.data, self.parts, self.table = data, [data], {"data": data}

    def loss(self, x):
        return np.sum(self.data * x) * self.data[0]


def helper(data, x):
    return x * data[1] + (data > 0).sum()


def reading(data):
    """Functions of a vector and of a number that read an array in one way each."""
    model = Model(data)

    def inner(x):
        def within(y):
            return y * data[0]
        return within(x)

    def default(x, weights=data):
        return np.sum(weights * x) * float(weights[0])

    return {
        "operand": lambda x: np.sum(data * x),
        "element": lambda x: data[0] * x,
        "element and operand": lambda x: np.sum(data * x) * data[1],
        "decision": lambda x: x if data[0] > 0 else -x,
        "decision that seldom changes": lambda x: x * x if data[0] > 2.5 else np.sum(x * data),
        "rounded": lambda x: x * round(float(data[0])),
        "index": lambda x: np.sum(x * data[int(abs(data[1])) % 3:]),
        "argmax": lambda x: x * int(np.argmax(data)),
        "order": lambda x: np.sum(data[np.argsort(data)][:2] * x),
        "mean": lambda x: data.mean() * x,
        "mask": lambda x: np.sum(np.where(data > 0, x, 2 * x)),
        "mask of another array": lambda x: np.sum(x * np.arange(3.0)[data > 0]),
        "copy": lambda x: np.sum(np.array(data) * x),
        "view": lambda x: np.sum(data[1:] * x),
        "list": lambda x: sum(d * x for d in data.tolist()),
        "loop": lambda x: sum((d * x for d in data), 0.0 * x),
        "any": lambda x: x * 2 if (data > 0.7).any() else x,
        "exponent": lambda x: x ** int(abs(data[0])),
        "result beside": lambda x: (x * 2, data.sum()),
        "result": lambda x: (x * 2, data * 2),
        "text": lambda x: x * len(str(data[0])),
        "memory": lambda x: x * data.tobytes()[7],
        "helper": lambda x: helper(data, x),
        "function inside": inner,
        "default": default,
        "partial": functools.partial(lambda weights, x: x * weights[0], data),
        "attribute": lambda x: model.data[0] * x,
        "method": lambda x: model.loss(x),
        "bound method": model.loss,
        "list of arrays": lambda x: model.parts[0][1] * x,
        "dict of arrays": lambda x: np.sum(model.table["data"] * x) + model.table["data"][2],
    }


def layouts():
    """Arrays of three elements in several forms, and how each is written."""
    block = np.zeros((3, 2))
    return {
        "float64": np.zeros(3), "float32": np.zeros(3, "f4"), "strided": np.zeros(6)[::2], "reversed": np.zeros(3)[::-1],
        "byte-swapped": np.zeros(3, ">f8"), "int": np.zeros(3, int), "column": block[:, 1], "Fortran": np.zeros((3, 1), order="F")[:, 0],
        "complex": np.zeros(3, complex).real,
    }


CONTENTS = [[1.0, 2.0, 3.0], [1.0, 2.0, 3.0], [2.0, 2.0, 3.0], [-1.0, 2.0, 3.0], [-1.0, -2.0, 3.0], [3.0, 2.0, 1.0], [0.0, 0.0, 0.0],
            [-0.0, 0.0, 0.0], [1.0, 2.0, 3.0]]


def same(found, expected):
    found, expected = (x if isinstance(x, tuple) else (x,) for x in (found, expected))
    assert len(found) == len(expected)
    for x, y in zip(found, expected):
        np.testing.assert_allclose(x, y, 1e-6, 1e-12)


@pytest.mark.parametrize("name", reading(np.zeros(3)))
def test_a_change_of_elements_is_seen(name):
    data = np.zeros(3)
    f = reading(data)[name]
    F, G = fastad.record(f), fastad.record(lambda *args: f(*args))
    for numbers in CONTENTS:
        data[:] = numbers
        for x in (1.5, -0.5):
            same(F(x), f(x))
            if not isinstance(f(x), tuple):
                same(G.grad(x), fastad.grad(f)(x))


@pytest.mark.parametrize("name", layouts())
def test_arrays_of_every_form(name):
    data = layouts()[name]
    f = reading(data)["element and operand"]
    F = fastad.record(f)
    for numbers in CONTENTS:
        data[:] = numbers
        same(F(1.5), f(1.5))
        same(F.grad(-0.5), fastad.grad(f)(-0.5))


def test_an_array_in_an_argument():
    model = Model(np.array([1.0, 2.0, 3.0]))

    def f(x, model):
        return x * model.data[0] if model.data[1] > 0 else x

    F = fastad.record(f)
    for numbers in CONTENTS:
        model.data[:] = numbers
        assert F(1.5, model) == f(1.5, model) and F.grad(1.5, model) == fastad.grad(f)(1.5, model)


def test_paths_beside_each_other():
    data = np.array([1.0, 2.0, 3.0])

    def f(x):
        if x > 1.0:
            return x * data[0]
        return np.sum(x * data) if x > 0.0 else x + data.max()

    F = fastad.record(f)
    random = np.random.default_rng(1)
    for k in range(60):
        if k % 7 == 0:
            data[random.integers(3)] = random.normal()
        x = random.uniform(-1.0, 2.0)
        same(F(x), f(x))
        same(F.grad(x), fastad.grad(f)(x))
    assert F.stats["eager"] == [] and F.stats["replays"] > 60


def test_a_path_that_is_the_same_again_is_kept():
    data = np.ones((20, 3))
    F = fastad.record(lambda w: np.mean((data @ w - 1.0) ** 2))
    for k in range(4):
        data[k] = 2.0
        for _ in range(3):
            np.testing.assert_allclose(F(np.ones(3)), np.mean((data @ np.ones(3) - 1.0) ** 2))
    assert (F.stats["paths"], F.stats["recordings"]) == (1, 4)


def test_an_array_that_changes_in_every_call():
    data = np.zeros(3)
    f = reading(data)["element and operand"]
    F = fastad.record(f)
    for k in range(200):
        data[:] = k + 1.0
        assert F(1.5) == f(1.5)
    assert "argument" in F.stats["eager"][0]


def test_another_shape():
    data = np.arange(4.0)
    F = fastad.record(lambda x: x * len(data) * data.ravel()[0])
    assert F(1.0) == 0.0
    data[0] = 1.0
    data.resize(2, 2, refcheck=False)
    assert F(1.0) == 2.0
    data[:] = 0.0
    data.resize(3, 3, refcheck=False)
    data[:] = 5.0
    assert F(1.0) == 15.0


def test_arrays_that_can_not_be_written_are_not_compared():
    data = np.arange(3.0)
    data.flags.writeable = False
    F = fastad.record(lambda x: x * data[1])
    assert F(2.0) == 2.0
    open_view = np.arange(3.0)
    view = open_view[:]
    view.flags.writeable = False
    G = fastad.record(lambda x: x * view[1])
    assert G(2.0) == 2.0
    open_view[1] = 5.0
    assert G(2.0) == 10.0


def test_which_arrays_are_compared(tmp_path):
    def compared(data):
        return len(Captures(lambda x: x * data[0]).contents.arrays)

    from fastad.programs.captures import Captures
    np.arange(8.0).tofile(tmp_path / "numbers")
    buffer = bytearray(64)
    assert compared(np.arange(3.0)) == compared(np.frombuffer(buffer)) == compared(np.arange(4.0)[::2]) == 1
    assert compared(np.memmap(tmp_path / "numbers", float, "r+")) == compared(np.lib.stride_tricks.as_strided(np.arange(3.0))) == 1
    assert compared(np.memmap(tmp_path / "numbers", float, "r")) == compared(np.frombuffer(bytes(64))) == 0


def test_saving_after_a_change(tmp_path):
    data = np.array([1.0, 2.0, 3.0])

    def f(x):
        return x * data[0] if x > 0 else np.sum(x * data)

    F = fastad.record(f)
    assert (F(2.0), F(-2.0)) == (f(2.0), f(-2.0))
    data[0] = 7.0
    F.save(tmp_path / "f.fastad")
    loaded = fastad.load(tmp_path / "f.fastad")
    assert loaded(2.0) == f(2.0) and loaded(-2.0) == f(-2.0)


def test_signatures_share_what_is_known():
    data = np.array([1.0, 2.0, 3.0])
    F = fastad.record(lambda x: np.sum(x * data[0]))
    for k in range(6):
        data[0] = k // 2
        for x in (2.0, np.arange(3.0), np.arange(4.0)):
            for _ in range(3):
                assert F(x) == np.sum(x * data[0])


def test_threads_see_a_change():
    data = np.array([1.0, 2.0, 3.0])
    F = fastad.record(lambda x: x * data[0] if x > 0 else x - data[1])

    def calls(seed):
        for x in np.random.default_rng(seed).normal(size=50):
            assert F(x) == (x * data[0] if x > 0 else x - data[1])

    for k in range(5):
        data[:] = k
        in_threads(4, calls)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from([-2.0, -0.0, 0.0, 0.6, 1.0, 3.0]), st.floats(-2.0, 2.0)), max_size=12),
       st.sampled_from(sorted(reading(np.zeros(3)))))
def test_random_changes(changes, name):
    data = np.array([1.0, 2.0, 3.0])
    f = reading(data)[name]
    F = fastad.record(f)
    for k, number, x in changes:
        data[k] = number
        with np.errstate(all="ignore"):
            same(F(x), f(x))


def test_matrices_in_either_order():
    for data in (np.zeros((3, 4)), np.zeros((3, 4), order="F"), np.zeros((4, 3)).T, np.zeros((6, 8))[::2, ::2], np.zeros((2, 3, 4))[1]):
        F = fastad.record(lambda v: np.sum(data @ v) * data[2, 1])
        for k in range(3):
            data[2, k] = k + 1.0
            data[0, 3] = -k
            for v in (np.arange(4.0), np.ones(4)):
                np.testing.assert_allclose(F(v), np.sum(data @ v) * data[2, 1])
