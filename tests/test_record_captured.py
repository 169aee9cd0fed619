"""What a function has captured in less usual places: a change there is seen at the next call."""

import argparse
import array
import collections
import contextvars
import functools
import threading
import types
import weakref

import numpy as np
import pytest

import fastad

RATE = 2.0


def set_rate(value):
    global RATE
    RATE = value


# ---- containers --------------------------------------------------------------------------------------------------------

def _namespace():
    place = argparse.Namespace(k=2.0)
    return lambda x: x * place.k, lambda: setattr(place, "k", 3.0)


def _simple_namespace():
    place = types.SimpleNamespace(k=2.0)
    return lambda x: x * place.k, lambda: setattr(place, "k", 3.0)


def _array_array():
    place = array.array("d", [2.0])
    return lambda x: x * place[0], lambda: place.__setitem__(0, 3.0)


def _growing_array_array():
    place = array.array("d", [2.0])
    return lambda x: x * len(place), lambda: place.append(3.0)


def _bytearray():
    place = bytearray(b"a")
    return lambda x: x * place[0], lambda: place.__setitem__(0, 98)


def _memoryview():
    place = memoryview(bytearray(b"a"))
    return lambda x: x * place[0], lambda: place.__setitem__(0, 98)


def _user_dict():
    place = collections.UserDict(k=2.0)
    return lambda x: x * place["k"], lambda: place.__setitem__("k", 3.0)


def _user_list():
    place = collections.UserList([2.0])
    return lambda x: x * place[0], lambda: place.__setitem__(0, 3.0)


def _chain_map():
    below = {"k": 2.0}
    place = collections.ChainMap({}, below)
    return lambda x: x * place["k"], lambda: below.__setitem__("k", 3.0)


def _mapping_proxy():
    below = {"k": 2.0}
    place = types.MappingProxyType(below)
    return lambda x: x * place["k"], lambda: below.__setitem__("k", 3.0)


def _dict_view():
    below = {"k": 2.0}
    place = below.values()
    return lambda x: x * sum(place), lambda: below.__setitem__("k", 3.0)


def _context_variable():
    place = contextvars.ContextVar("place", default=2.0)
    return lambda x: x * place.get(), lambda: place.set(3.0)


def _thread_local():
    place = threading.local()
    place.k = 2.0
    return lambda x: x * place.k, lambda: setattr(place, "k", 3.0)


def _weak_reference():
    class Holder:
        k = 2.0
    held = Holder()
    place = weakref.ref(held)
    return lambda x, held=held: x * place().k, lambda: setattr(held, "k", 3.0)


def _masked_array():
    place = np.ma.array([1.0, 2.0], mask=[False, False])
    return lambda x: x * float(place.sum()), lambda: place.__setitem__(0, np.ma.masked)


def _masked_array_without_a_mask():
    place = np.ma.array([1.0, 2.0])
    return lambda x: x * float(place.sum()), lambda: place.__setitem__(0, np.ma.masked)


def _structured_array():
    place = np.zeros(2, [("a", float)])
    return lambda x: x * (place["a"][0] + 1.0), lambda: place["a"].__setitem__(0, 3.0)


def _deep():
    place = [[1.0, [2.0]], {"z": (3.0, [4.0])}]
    return lambda x: x * place[1]["z"][1][0], lambda: place[1]["z"][1].__setitem__(0, 9.0)


# ---- classes -----------------------------------------------------------------------------------------------------------

def _super():
    class Base:
        def scale(self, x):
            return x * self.factor

    class Derived(Base):
        factor = 2.0

        def f(self, x):
            return super().scale(x)
    return Derived().f, lambda: setattr(Derived, "factor", 3.0)


def _type_of_self():
    class Model:
        k = 2.0

        def f(self, x):
            return x * type(self).k
    return Model().f, lambda: setattr(Model, "k", 3.0)


def _class_of_self():
    class Model:
        k = 2.0

        def f(self, x):
            return x * self.__class__.k
    return Model().f, lambda: setattr(Model, "k", 3.0)


def _getattr():
    class Model:
        k = 2.0

        def f(self, x):
            return x * getattr(self, "".join(("k",)))
    return Model().f, lambda: setattr(Model, "k", 3.0)


def _class_of_another_object():
    class Model:
        k = 2.0
    model = Model()
    return lambda x: x * type(model).k, lambda: setattr(Model, "k", 3.0)


def _missing_attribute():
    class Model:
        def __getattr__(self, name):
            if name == "k":
                return RATE
            raise AttributeError(name)

        def f(self, x):
            return x * self.k
    return Model().f, lambda: set_rate(3.0)


def _descriptor():
    class Rate:
        def __get__(self, instance, owner):
            return RATE

    class Model:
        k = Rate()
    model = Model()
    return lambda x: x * model.k, lambda: set_rate(3.0)


def _property_of_a_metaclass():
    class Meta(type):
        @property
        def k(cls):
            return RATE

    class Model(metaclass=Meta):
        pass
    return lambda x: x * Model.k, lambda: set_rate(3.0)


def _operators_of_an_object():
    class Model:
        def __getitem__(self, _):
            return RATE

        def __len__(self):
            return int(RATE)

        def __mul__(self, x):
            return x * RATE

        def __contains__(self, x):
            return x == RATE
    model = Model()
    return lambda x: model * x + model[0] * len(model) * x * (3.0 in model), lambda: set_rate(3.0)


# ---- functions ---------------------------------------------------------------------------------------------------------

def _cached_function():
    place = [2.0]

    @functools.lru_cache
    def cached(n):
        return n * place[0]
    return lambda x: x * cached(3), lambda: (place.__setitem__(0, 3.0), cached.cache_clear())


def _decorated():
    def doubled(g):
        @functools.wraps(g)
        def wrapper(x):
            return g(x) * RATE
        return wrapper
    return doubled(lambda x: x * x), lambda: set_rate(3.0)


def _function_in_a_dict():
    place = {"f": lambda x: 2.0 * x}
    return lambda x: place["f"](x), lambda: place.__setitem__("f", lambda x: 3.0 * x)


def _evaluated():
    return lambda x: x * eval("RATE"), lambda: set_rate(3.0)


def _global_by_text():
    return lambda x: x * globals()["RATE"], lambda: set_rate(3.0)


MAKERS = [f for name, f in list(globals().items()) if name.startswith("_") and isinstance(f, types.FunctionType)]


@pytest.fixture(autouse=True)
def rate():
    set_rate(2.0)


@pytest.mark.parametrize("make", MAKERS, ids=[make.__name__.lstrip("_") for make in MAKERS])
def test_a_change_is_seen(make):
    f, change = make()
    F = fastad.record(f)
    for _ in range(3):
        assert F(1.5) == f(1.5)
        assert F.grad(1.5) == fastad.grad(f)(1.5)
    before = f(1.5)
    change()
    assert f(1.5) != before
    for _ in range(3):
        assert F(1.5) == f(1.5)
        assert F.grad(1.5) == fastad.grad(f)(1.5)


def test_functions_among_the_arguments():
    place = [2.0]

    def g(x):
        return x * place[0]
    F = fastad.record(lambda x, g: g(x))
    assert F(1.0, g) == 2.0
    place[0] = 3.0
    assert F(1.0, g) == F.grad(1.0, g) == 3.0


def test_files(tmp_path):
    path = tmp_path / "number"
    path.write_text("2")

    def f(x):
        with open(path) as file:
            return x * float(file.read())
    F = fastad.record(f)
    assert F(1.0) == 2.0
    path.write_text("3")
    assert F(1.0) == F.grad(1.0) == 3.0
    assert "file" in F.stats["eager"][0]


def test_modules_imported_inside():
    def f(x):
        import time as clock

        from numpy import random as draws
        return x * draws.default_rng(int(clock.time() > 0)).random()
    F = fastad.record(f)
    F(1.0)
    assert "time.time" in F.stats["eager"][0]
