"""Functions that have captured values, containers, objects and functions, which change between calls, against the plain function."""

import functools
import sys
import types

import numpy as np
import pytest
from vectors import VECTORS, close

import fastad

# What a function has captured. Each case is a function and what is done to its surroundings between calls.

RATE = 2.0
TABLE = [1.0, 2.0, 3.0]
CONFIG = {"rate": 2.0, "deep": {"rate": 3.0}}
ARRAY = np.array([1.0, 2.0, 3.0])
HOLDER = types.SimpleNamespace(rate=2.0, part=types.SimpleNamespace(rate=3.0), array=np.ones(3), table={"rate": 2.0})


@pytest.fixture(autouse=True)
def _restored():
    """Module state as it was before a test."""
    yield
    globals().update(RATE=2.0, TABLE=[1.0, 2.0, 3.0], CONFIG={"rate": 2.0, "deep": {"rate": 3.0}},
                     ARRAY=np.array([1.0, 2.0, 3.0]),
                     HOLDER=types.SimpleNamespace(rate=2.0, part=types.SimpleNamespace(rate=3.0), array=np.ones(3),
                                                  table={"rate": 2.0}))


def bind(name, value):
    return lambda: globals().update({name: value})


def follows(f, *changes, points=(1.5, -0.5)):
    """F gives what f gives, after each change of what f has captured."""
    F = fastad.record(f)
    for change in (lambda: None, *changes, lambda: None):
        change()
        for x in points:
            assert F(x) == f(x)
            assert F(x) == f(x)


def helper(x):
    return x * RATE


def through_a_name(x):
    part = HOLDER.part
    return x * part.rate


class Maker:
    def __init__(self, x):
        self.x = x

    def result(self):
        return self.x * RATE


CAPTURED = {
    "global": (lambda x: x * RATE, bind("RATE", 3.0), bind("RATE", 2.0), bind("RATE", 3), bind("RATE", np.float64(4.0))),
    "sign of zero": (lambda x: np.copysign(x, RATE), bind("RATE", 0.0), bind("RATE", -0.0), bind("RATE", 0.0)),
    "global of a helper": (lambda x: helper(x), bind("RATE", 7.0)),
    "helper": (lambda x: helper(x), bind("helper", lambda x: x - 1.0), bind("helper", helper)),
    "global in a comprehension": (lambda x: sum([x * RATE for _ in range(2)]), bind("RATE", 7.0)),
    "global in a generator": (lambda x: sum(x * RATE for _ in range(2)), bind("RATE", 7.0)),
    "global of a class": (lambda x: Maker(x).result(), bind("RATE", 7.0)),
    "item of a list": (lambda x: x * TABLE[1], lambda: TABLE.__setitem__(1, 9.0)),
    "items of a list": (lambda x: sum(t * x for t in TABLE), lambda: TABLE.append(9.0), lambda: TABLE.pop(0),
                        lambda: TABLE.reverse()),
    "length of a list": (lambda x: len(TABLE) * x, lambda: TABLE.append(9.0), lambda: TABLE.clear()),
    "item of a dict": (lambda x: x * CONFIG["rate"], lambda: CONFIG.__setitem__("rate", 9.0)),
    "missing item of a dict": (lambda x: CONFIG.get("late", 1.0) * x, lambda: CONFIG.__setitem__("late", 9.0)),
    "nested dict": (lambda x: x * CONFIG["deep"]["rate"], lambda: CONFIG["deep"].__setitem__("rate", 9.0)),
    "attribute": (lambda x: x * HOLDER.rate, lambda: setattr(HOLDER, "rate", 9.0), lambda: setattr(HOLDER, "rate", 2.0)),
    "attribute of an attribute": (lambda x: x * HOLDER.part.rate, lambda: setattr(HOLDER.part, "rate", 9.0)),
    "attribute by name": (lambda x: x * getattr(HOLDER, "ra" + "te"), lambda: setattr(HOLDER, "rate", 9.0)),
    "missing attribute": (lambda x: x * getattr(HOLDER, "late", 1.0), lambda: setattr(HOLDER, "late", 9.0)),
    "attribute through a variable": (through_a_name, lambda: setattr(HOLDER.part, "rate", 9.0)),
    "dict of an attribute": (lambda x: x * HOLDER.table["rate"], lambda: HOLDER.table.__setitem__("rate", 9.0)),
    "object replaced": (lambda x: x * HOLDER.rate, bind("HOLDER", types.SimpleNamespace(rate=5.0))),
    "array changed": (lambda x: np.sum(ARRAY * x), lambda: ARRAY.__setitem__(0, 9.0), lambda: ARRAY.fill(0.5)),
    "array changed in part": (lambda x: np.sum(ARRAY[1:] * x), lambda: ARRAY.__setitem__(1, 9.0)),
    "array replaced": (lambda x: np.sum(ARRAY * x), bind("ARRAY", np.arange(3.0)), bind("ARRAY", np.arange(4.0))),
    "array of an attribute": (lambda x: np.sum(HOLDER.array * x), lambda: HOLDER.array.fill(3.0),
                              lambda: setattr(HOLDER, "array", np.arange(2.0))),
    "array in a branch": (lambda x: np.sum(ARRAY * x) if np.sum(ARRAY * x) > 3.0 else np.sum(ARRAY + x), lambda: ARRAY.fill(0.1),
                          lambda: ARRAY.fill(9.0)),
}


@pytest.mark.parametrize("name", CAPTURED)
def test_captured(name):
    follows(*CAPTURED[name])


PLAIN_WORK = {
    "element": lambda x: ARRAY[0] * x,
    "sum": lambda x: ARRAY.sum() * x,
    "decision": lambda x: x if ARRAY[0] > 0 else -x,
    "mask": lambda x: np.sum(np.where(ARRAY > 0, x, 2 * x)),
    "product": lambda x: np.sum((ARRAY * 2) * x),
    "rounding": lambda x: np.sum(np.floor(ARRAY) * x),
}


@pytest.mark.parametrize("name", PLAIN_WORK)
def test_plain_work_on_a_captured_array(name):
    follows(PLAIN_WORK[name], lambda: ARRAY.__setitem__(0, -5.5))


@pytest.mark.parametrize("dtype", ["f8", "f4", "i8", "?", ">f8"])
def test_captured_arrays_of_other_types_are_read_live(dtype):
    array = np.ones(5, dtype)
    def f(v):
        return np.sum(v * array) * v[0]
    F = fastad.record(f)
    for k in range(3):
        array[k] = 3 * k
        close(F(VECTORS[k]), f(VECTORS[k]), 1e-6)
        close(F.grad(VECTORS[k]), fastad.grad(f)(VECTORS[k]), 1e-6)


def test_captured_array_that_is_no_block():
    array = np.ones(10)[::2]
    def f(v):
        return np.sum(v * array) * v[0]
    F = fastad.record(f)
    for k in range(3):
        array[k] = 3 * k
        close(F(VECTORS[k]), f(VECTORS[k]))


def test_a_captured_array_that_the_function_writes():
    buffer = np.zeros(5)

    def f(v):
        buffer[:] = 0.0
        buffer[int(np.argmax(v))] = 1.0
        return np.sum(v * buffer) * v[0]

    F = fastad.record(f)
    for v in VECTORS + VECTORS:
        close(F(v), f(v))
    assert "writes" in F.stats["eager"][0]


def test_cells():
    rate = 2.0

    def f(x):
        return x * rate

    def g(x):
        return sum(x * rate for _ in range(2))

    F, G = fastad.record(f), fastad.record(g)
    for rate in (2.0, 3.0, -0.0, 2.0):             # noqa: B007
        assert (F(1.5), G(1.5)) == (f(1.5), g(1.5))


@pytest.mark.parametrize("attribute, value", [("__defaults__", (5.0,)), ("__kwdefaults__", {"shift": 3.0})])
def test_defaults_replaced(attribute, value):
    def f(x, rate=2.0, *, shift=1.0):
        return x * rate + shift

    follows(f, lambda: setattr(f, attribute, value))


def test_defaults_changed():
    array = np.ones(3)

    def f(x, rates=[2.0], *, shift=1.0, array=array):           # noqa: B006
        return x * rates[0] + shift + np.sum(x * array)

    follows(f, lambda: f.__defaults__[0].__setitem__(0, 7.0), lambda: f.__kwdefaults__.__setitem__("shift", 4.0),
            lambda: array.fill(2.0))


def test_code_replaced():
    def f(x):
        return x * 2.0

    follows(f, lambda: setattr(f, "__code__", (lambda x: x * 3.0).__code__))


# Methods

def reads_rate(model, x):
    return model.rate * x


class Model:
    shared = 3.0

    def __init__(self, rate):
        self.rate, self.array, self.parts = rate, np.ones(3), [types.SimpleNamespace(rate=1.0)]

    def direct(self, x):
        return x * self.rate * self.shared

    def in_a_generator(self, x):
        return sum(x * self.rate for _ in range(2))

    def in_a_function(self, x):
        def scaled(y):
            return y * self.rate
        return scaled(x)

    def through_another(self, x):
        return self.direct(x) + 1.0

    def through_a_function(self, x):
        return reads_rate(self, x)

    def through_a_name(self, x):
        me = self
        return me.rate * x

    def through_parts(self, x):
        return sum(part.rate * x for part in self.parts)

    def of_an_array(self, x):
        return np.sum(self.array * x)

    def with_a_property(self, x):
        return x * self.doubled

    def missing(self, x):
        return x * getattr(self, "late", 1.0)

    @property
    def doubled(self):
        return self.rate * 2.0

    def __call__(self, x):
        return x * self.rate

    @classmethod
    def of_the_class(cls, x):
        return x * cls.shared

    @staticmethod
    def of_nothing(x):
        return x * RATE

    @fastad.record
    def recorded(self, x):
        return x * self.rate if x > 0 else self.shared - x

    @fastad.record(fast_math=False)
    def recorded_too(self, x):
        return sum(x * self.rate for _ in range(2))


METHODS = ["direct", "in_a_generator", "in_a_function", "through_another", "through_a_function", "through_a_name",
           "through_parts", "of_an_array", "with_a_property", "missing", "__call__", "of_the_class", "of_nothing"]


@pytest.mark.parametrize("method", METHODS)
def test_methods(method):
    model = Model(2.0)
    old = Model.shared
    try:
        follows(getattr(model, method), lambda: setattr(model, "rate", 5.0), lambda: model.array.fill(9.0),
                lambda: setattr(model.parts[0], "rate", 4.0), lambda: model.parts.append(types.SimpleNamespace(rate=0.5)),
                lambda: setattr(Model, "shared", 8.0), lambda: setattr(model, "shared", 7.0), lambda: setattr(model, "late", 6.0),
                bind("RATE", 11.0))
    finally:
        Model.shared = old


def test_an_object_that_is_called():
    model = Model(2.0)
    follows(model, lambda: setattr(model, "rate", 5.0))


def test_recorded_methods_of_two_instances():
    a, b = Model(2.0), Model(3.0)

    def check():
        for model in (a, b, a):
            for x in (1.5, -1.0, 0.5):
                assert model.recorded(x) == (x * model.rate if x > 0 else 3.0 - x)
                assert model.recorded.grad(x) == (model.rate if x > 0 else -1.0)
                assert model.recorded_too(x) == 0 + x * model.rate + x * model.rate
    check()
    a.rate = 7.0
    check()
    b.rate = 0.5
    check()


def test_slots():
    class Slotted:
        __slots__ = ("rate",)

        def f(self, x):
            return x * self.rate

    model = Slotted()
    model.rate = 2.0
    follows(model.f, lambda: setattr(model, "rate", 5.0))


# Partials, lambdas

def test_partials():
    rates, array = [2.0], np.ones(3)
    follows(functools.partial(lambda r, x: r[0] * x, rates), lambda: rates.__setitem__(0, 4.0))
    follows(functools.partial(lambda r, x: np.sum(r * x), array), lambda: array.fill(4.0))
    follows(functools.partial(lambda x, r: r[0] * x, r=rates), lambda: rates.__setitem__(0, 5.0))
    follows(functools.partial(helper), bind("RATE", 4.0))


def test_lambdas_are_told_apart():
    programs = [fastad.record(lambda x, k=k: x * k) for k in (1.0, 2.0)]
    assert [F(3.0) for F in programs] == [3.0, 6.0]


def test_wrapped_functions():
    @functools.wraps(helper)
    def wrapper(x):
        return helper(x) + 1.0

    follows(wrapper, bind("RATE", 5.0))


def test_functions_in_modules():
    module = types.ModuleType("a_module_of_the_users")
    exec("RATE = 2.0\ndef scaled(x):\n    return x * RATE\n", module.__dict__)
    sys.modules[module.__name__] = module
    module.__file__ = __file__
    try:
        globals()["module_of_the_users"] = module
        follows(lambda x: module_of_the_users.scaled(x), lambda: setattr(module, "RATE", 5.0))          # noqa: F821
    finally:
        del sys.modules[module.__name__], globals()["module_of_the_users"]


def test_a_captured_array_changes_before_the_first_derivative():
    w = np.ones(3)
    F = fastad.record(lambda v: np.sum(v * v * w))
    assert F(np.ones(3)) == 3.0
    w[...] = 2.0
    assert np.array_equal(F.grad(np.ones(3)), [4.0, 4.0, 4.0])
    w[...] = 3.0
    assert np.array_equal(F.grad(np.ones(3)), [6.0, 6.0, 6.0])
