"""check_derivatives of functions of arrays, and of nestings of arrays and numbers."""

import dataclasses
import re
from collections import namedtuple

import numpy as np
import pytest
from refusals import refused, still_works  # noqa: F401

import fastad
from fastad import stop_gradient

Layer = namedtuple("Layer", "weights bias")


@dataclasses.dataclass
class Model:
    weights: np.ndarray
    scale: float


@dataclasses.dataclass
class Spring:
    stiffness: np.ndarray
    mass: float
    frequency: object = dataclasses.field(init=False)

    def __post_init__(self):
        if self.mass <= 0.0:
            raise ValueError("a mass that is not positive")
        self.frequency = np.sqrt(self.stiffness / self.mass)


X = np.array([0.5, -1.25, 2.0])
W = np.array([[0.3, -0.7, 1.1], [0.9, 0.2, -0.4]])
LONG = np.sin(np.arange(1.0, 61.0)).reshape(6, 10)


def single(*trees):
    """The same arguments in float32."""
    return tuple({key: single(entry)[0] for key, entry in x.items()} if isinstance(x, dict) else np.float32(x) for x in trees)


def network(p, x):
    h = np.tanh(p["w"] @ x + p["b"])
    return np.sum(h**2) * p["scale"]


def outputs(p, x):
    return {"each": [p["w"] * x, np.sum(x**2)], "outer": np.outer(x, p["b"]), "scale": p["scale"] ** 2, "order": np.argsort(x)}


def fills(x):
    y = np.zeros_like(x)
    y[0] = x[0]
    for i in range(1, len(x)):
        y[i] = np.sin(y[i - 1]) * x[i]
    x[0] = 3.0
    return y * x


NET = {"w": W, "b": np.array([0.1, -0.2]), "scale": 1.5}

CASES = {
    "vector": (lambda x: np.sum(np.sin(x) * x), X),
    "matrix": (lambda w: np.sum(w @ w.T), W),
    "fortran": (lambda w: np.sum(np.sin(np.ravel(w)) * np.arange(6.0)), np.asfortranarray(W)),
    "strided": (lambda x: np.prod(x), LONG[0, ::4]),
    "big endian": (lambda x: np.sum(x**3), X.astype(">f8")),
    "0-d": (lambda x: np.exp(x) * x, np.array(0.7)),
    "empty": (lambda x: np.sum(x), np.zeros((0, 2))),
    "empty result": (lambda x: x[:0], X),
    "with empty": (lambda xs: np.sum(xs[0]) + np.sum(xs[1] ** 2), [np.zeros(0), X]),
    "several arguments": (network, NET, X),
    "several results": (outputs, NET, X),
    "array of one number": (lambda x: np.array([1.0, 2.0]) * x**2, 0.3),
    "constant": (lambda x: np.ones(3), X),
    "namedtuple": (lambda layer: layer.weights @ X + layer.bias, Layer(W, np.array([0.5, -0.5]))),
    "dataclass": (lambda m: np.sum(m.weights**3) * m.scale, Model(X, 0.5)),
    "list of numbers and arrays": (lambda xs: xs[0] * xs[1] + xs[2] ** 2, [X, 0.5, np.array(0.25)]),
    "many numbers": (lambda x: np.sum(np.cumsum(x, axis=1) ** 2), LONG),
    "many results": (lambda x: x @ x.T, LONG),
    "writes into its argument": (fills, X),
    "wide range": (lambda x: np.sum(np.log(x) * x), np.array([1e-6, 1.0, 1e6])),
    "large values": (lambda x: np.linalg.norm(x), 1e8 * X),
    "inverse": (np.linalg.inv, W[:, :2] + np.eye(2)),
}
cases = pytest.mark.parametrize("f, args", [(f, args) for f, *args in CASES.values()], ids=CASES)


@cases
def test_right_derivatives(f, args):
    kept = np.array(X)
    assert fastad.check_derivatives(f, *args) is None
    np.testing.assert_array_equal(X, kept)


@pytest.mark.parametrize("f, args", [
    (lambda x: np.sum(np.sin(x) * x), (X,)), (lambda w: np.sum(w @ w.T), (W,)), (network, (NET, X)), (outputs, (NET, X)),
    (lambda x: np.exp(x) * x, (0.7,)), (lambda x: np.sum(np.cumsum(x, axis=1) ** 2), (LONG,)), (lambda x: x @ x.T, (LONG,)),
    (lambda x: np.linalg.norm(x), (1e4 * X,)), (fills, (X,)), (np.linalg.inv, (W[:, :2] + np.eye(2),)),
    (lambda x: np.log(x) * 1e-3, (X**2,)),
], ids=["vector", "matrix", "network", "several results", "number", "many numbers", "many results", "large values", "fills",
        "inverse", "small results"])
def test_right_derivatives_in_float32(f, args):
    assert fastad.check_derivatives(f, *single(*args)) is None


def test_float32_and_float64_mix():
    assert fastad.check_derivatives(lambda x, y: np.sum(np.sin(x) * y), *single(X), X) is None
    assert fastad.check_derivatives(lambda x: np.sin(x).astype(np.float32), X) is None


def test_tangents_need_not_satisfy_what_a_constructor_asks_for():
    assert fastad.check_derivatives(lambda s: s.frequency**3, Spring(X**2, 0.5), order=1) is None


def test_third_order():
    assert fastad.check_derivatives(network, NET, X, order=3) is None


# ---- wrong derivatives -----------------------------------------------------------------------------------------------------

def wrong(x, amount=0.1):
    """x with a derivative that is off by `amount` (relative)."""
    return x * (1.0 - amount) + stop_gradient(x) * amount


def wrong_at(x, place, amount=0.1):
    """x with a wrong derivative by the element at `place`."""
    amounts = np.zeros(x.shape, x.dtype)
    amounts[place] = amount
    return wrong(x, amounts)


def inner(p, q):
    return np.sum(np.sin(wrong_at(p["w"], (1, 2))) * p["b"]) * q


FAULTS = {
    "element of a matrix": (inner, ({"w": W, "b": 0.5}, 2.0), r"of inner by argument 0['w'][1, 2]: "),
    "element of a vector": (lambda a, x: a * np.sum(wrong_at(x, 1) ** 2), (2.0, X), "by argument 1[1]: "),
    "0-d": (lambda x: wrong(x) ** 2, (np.array(0.5),), "by argument 0: "),
    "number beside arrays": (lambda xs: np.sum(xs[0] * wrong(xs[1])), ([X, 0.5],), "by argument 0[1]: "),
    "field": (lambda layer: np.sum(layer.weights @ X + wrong(layer.bias)), (Layer(W, np.array([0.5, -0.5])),),
              "by argument 0.bias[0]: "),
    "dataclass": (lambda s: np.sum(wrong_at(s.stiffness, 2)) * s.mass, (Spring(X**2, 0.5),), "by argument 0.stiffness[2]: "),
    "element of a result": (lambda x: np.outer(x, x) + wrong_at(np.outer(x, X), (2, 1)), (X,),
                            ", result[2, 1], by argument 0[2]: "),
    "one of several results": (lambda x: {"a": x * x, "b": (1.0, [wrong(x[2:])])}, (X,),
                               ", result['b'][1][0][0], by argument 0[2]: "),
    "one of many numbers": (lambda x: np.sum(np.sin(wrong_at(x, (4, 7)))), (LONG,), "by argument 0[4, 7]: "),
    "one of many, in a nesting": (lambda p: np.sum(np.sin(p["a"])) * np.sum(wrong_at(p["b"][0], (0, 3)) ** 2),
                                  ({"a": LONG, "b": [LONG]},), "by argument 0['b'][0][0, 3]: "),
    "one of many, little": (lambda x: np.sum(np.exp(wrong_at(x, (5, 9), 1e-4))), (LONG,), "by argument 0[5, 9]: "),
}


@pytest.mark.parametrize("f, args, words", FAULTS.values(), ids=FAULTS)
def test_wrong_derivatives_are_reported_with_their_place(f, args, words):
    with refused(AssertionError, r"^first derivative \(", re.escape(words)):
        fastad.check_derivatives(f, *args)


@pytest.mark.parametrize("name", ["element of a matrix", "element of a vector", "0-d", "element of a result",
                                  "one of many numbers"])
def test_wrong_derivatives_in_float32(name):
    f, args, words = FAULTS[name]
    with refused(AssertionError, r"^first derivative \(", re.escape(words)):
        fastad.check_derivatives(f, *single(*args))


def test_the_message():
    with pytest.raises(AssertionError) as error:
        fastad.check_derivatives(lambda x: np.sum(wrong_at(x, (0, 1), 0.5) * 4.0), W)
    assert str(error.value) == (
        "first derivative (jvp) of <lambda> by argument 0[0, 1]: fastad gives 2.0, differences give 4.0 "
        f"(off by 2, relative 0.5), at {W!r}")
    with pytest.raises(AssertionError) as error:
        fastad.check_derivatives(lambda x: np.sum(wrong(x)), np.ones(1000))
    assert "by argument 0[0]: " in str(error.value) and "..." in str(error.value) and len(str(error.value)) < 300


def bent(x):
    """x**2 with the right first derivative and a wrong second one, half of it."""
    z = stop_gradient(x)
    return 0.5 * x * x + z * x - 0.5 * z * z


@pytest.mark.parametrize("f, args, words", [
    (lambda x: np.sum(bent(x)), (X,), "by argument 0[0] and argument 0[0]: "),
    (lambda x: np.sum(bent(x[2:]) * x[0]), (X,), "by argument 0[2] and argument 0[2]: "),
    (lambda p, x: p["a"] * np.sum(x * p["w"]) + bent(p["w"][1, 2]), ({"a": 0.5, "w": W}, X),
     "by argument 0['w'][1, 2] and argument 0['w'][1, 2]: "),
    (lambda x: np.sum(np.sin(x)) + bent(x[3, 4]), (LONG,), "by argument 0[3, 4] and argument 0[3, 4]: "),
    (lambda x: bent(x), (X,), "by argument 0[0] and argument 0[0]: "),
    (lambda x: np.sum(bent(x)), single(X), "by argument 0[0] and argument 0[0]: "),
], ids=["vector", "part of a vector", "nesting", "many numbers", "array result", "float32"])
def test_wrong_second_derivatives(f, args, words):
    assert fastad.check_derivatives(f, *args, order=1) is None
    with refused(AssertionError, r"^second derivative \(jvp of grad\) ", re.escape(words)):
        fastad.check_derivatives(f, *args)


def test_only_the_reverse_mode_is_wrong(monkeypatch):
    from fastad import checking
    right = checking.vjp

    def patched(f, *args):
        value, pull = right(f, *args)
        return value, lambda w: tuple(wrong_gradient(g) for g in pull(w))

    def wrong_gradient(g):
        return g * np.array([1.0, 1.0, 1.1])

    monkeypatch.setattr(checking, "vjp", patched)
    with refused(AssertionError, r"first derivative \(grad\) of <lambda> by argument 0\[2\]: "):
        fastad.check_derivatives(lambda x: np.sum(x**2), X)
    with refused(AssertionError, r"first derivative \(vjp\) of sin, result\[2\], by argument 0\[2\]: "):
        fastad.check_derivatives(np.sin, X)


@pytest.mark.parametrize("x, words", [
    (np.arange(3), "argument 0.*int64"), ({"a": [X, np.array(["b"])]}, r"argument 0, at \['a'\]\[1\]"),
    (np.array([1j]), "argument 0.*complex"),
], ids=["int", "text", "complex"])
def test_arguments_without_a_derivative(x, words):
    with refused(TypeError, words):
        fastad.check_derivatives(lambda x: 1.0, x)
