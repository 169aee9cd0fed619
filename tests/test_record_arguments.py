"""Arguments of every kind: numbers, trees, objects, arrays of no numbers; by value and by keyword, against the plain function."""

import collections
import dataclasses
import types

import numpy as np
import pytest
from vectors import VECTORS, close

import fastad

Pair = collections.namedtuple("Pair", "a b")


@dataclasses.dataclass
class Point:
    a: object
    b: object


ARGUMENTS = {
    "int": (1, 2, 3, True, False, 0, -1),
    "string": ("a", "b", "a", ""),
    "None": (None, 1, None, "a"),
    "NumPy's int": (np.int64(1), np.int64(2), np.int32(2), 2),
    "bytes": (b"a", b"b"),
    "complex": (1j, 2j, 0j, complex(-0.0, 0.0), complex(0.0, -0.0)),
    "frozenset": (frozenset([1]), frozenset([1, 2])),
    "half": (np.float16(1), np.float16(2)),
    "function": (np.sin, np.cos, abs),
}


@pytest.mark.parametrize("kind", ARGUMENTS)
def test_arguments_by_value(kind):
    def f(x, k):
        if callable(k):
            return k(x)
        return x * len(repr(k)) + x * (abs(k) if isinstance(k, (int, np.integer)) else 1) + (1.0 if repr(k) == "0j" else 2.0)

    F = fastad.record(f)
    for k in ARGUMENTS[kind] * 2:
        for x in (1.5, 2.5):
            assert F(x, k) == f(x, k)
            assert F.grad(x, k) == fastad.grad(f)(x, k)


def test_keyword_arguments():
    def f(x, *more, k=1.0, mode="a", **others):
        return x * k * (2 if mode == "a" else 3) + sum(more) + sum((j + 1) * y for j, y in enumerate(others.values()))

    F = fastad.record(f)
    calls = [((1.0,), {}), ((1.0,), {"k": 2.0}), ((1.0,), {"k": 3.0, "mode": "b"}), ((1.0, 2.0, 3.0), {}),
             ((1.0,), {"z": 4.0, "y": 5.0}), ((1.0,), {"y": 4.0, "z": 5.0}), ((2.0,), {"k": 2}), ((2.0,), {"k": 3})]
    for args, kwargs in calls * 2:
        assert F(*args, **kwargs) == f(*args, **kwargs)
        assert F.grad(*args, **kwargs) == fastad.grad(f)(*args, **kwargs)


def test_objects_as_arguments():
    holder = types.SimpleNamespace(rate=2.0, parts=[1.0])
    F = fastad.record(lambda x, h: x * h.rate + sum(h.parts))
    assert F(1.5, holder) == 4.0
    holder.rate = 4.0
    assert F(1.5, holder) == 7.0
    holder.parts.append(2.0)
    assert F(1.5, holder) == 9.0
    assert F(1.5, types.SimpleNamespace(rate=1.0, parts=[])) == 1.5


@pytest.mark.parametrize("array, other", [(np.array([1.0, 2.0], object), 4.0), (np.array(["ab", "c"]), "x")],
                         ids=["objects", "texts"])
def test_arrays_of_no_numbers_as_arguments(array, other):
    def f(x, a):
        return x * (a[0] if a.dtype == object else len(a[0]))
    F = fastad.record(f)
    assert F(1.5, array) == f(1.5, array)
    array[0] = other
    assert F(1.5, array) == f(1.5, array)


TREES = {
    "nested": [{"a": [1.5, (VECTORS[0], 2.0)], "b": 1.0}, {"a": [-1.5, (VECTORS[1], 3.0)], "b": 2.0}],
    "order of a dict": [{"a": 1.0, "b": 2.0}, {"b": 1.0, "a": 2.0}, {"a": 5.0, "b": 2.0}],
    "keys of mixed types": [{"a": 1.0, 2: 3.0}, {"a": 2.0, 2: 5.0}],
    "namedtuple": [Pair(1.0, VECTORS[0]), Pair(-2.0, VECTORS[1])],
    "dataclass": [Point(1.0, VECTORS[0]), Point(-2.0, VECTORS[1])],
    "int inside": [[1.0, 2], [1.0, 3], [2.0, 3], [2.0, 3.5]],
    "None inside": [[1.0, None], [2.0, None], [2.0, 3.0]],
    "empty": [[], [1.0], [], [1.0, 2.0]],
    "order of a dict beside a namedtuple": [{"p": {"a": 3.0, "b": 2.0}, "q": Pair(1.0, 2.0)},
                                            {"p": {"b": 2.0, "a": 3.0}, "q": Pair(1.0, 2.0)}],
}


@pytest.mark.parametrize("name", TREES)
def test_trees(name):
    def f(tree):
        total = 0.5
        leaves = []

        def walk(x):
            if isinstance(x, dict):
                x = list(x.values())
            elif isinstance(x, Point):
                x = [x.a, x.b]
            if isinstance(x, (list, tuple)):
                for entry in x:
                    walk(entry)
            elif x is not None:
                leaves.append(x)
        walk(tree)
        for k, x in enumerate(leaves):
            total = total + (k + 1) * (np.sum(x * x) if np.sum(x) > 1 else np.sum(x))
        return {"total": total, "leaves": leaves}

    F = fastad.record(f)
    for tree in TREES[name] * 2:
        close(F(tree), f(tree))


@pytest.mark.parametrize("x", [np.float32(1.5), np.float64(1.5), np.array(1.5), np.array(1.5, np.float32), np.ones(3, np.float32),
                               np.arange(3), np.array([True, False]), np.zeros((0, 2)), np.ones((2, 3)).T], ids=repr)
def test_types_of_numbers(x):
    def f(x):
        return [x * 2 + x, np.sum(x), x]
    F = fastad.record(f)
    for factor in (1, 2, 3):
        y = x if x.dtype == bool else (x * factor).astype(x.dtype)
        found, wanted = F(y), f(y)
        close([np.asarray(z) for z in found], [np.asarray(z) for z in wanted])
        assert [np.asarray(z).dtype for z in found] == [np.asarray(z).dtype for z in wanted]
