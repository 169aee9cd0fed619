"""The transforms of functions of arrays and of nestings of arrays and numbers, beside JAX."""

import dataclasses
import functools
from collections import namedtuple

import numpy as np
import pytest
from refusals import refused, still_works  # noqa: F401

import fastad

jax = pytest.importorskip("jax")
jax.config.update("jax_enable_x64", True)

Layer = namedtuple("Layer", "weights bias")


@dataclasses.dataclass
class Model:
    layers: list
    scale: float
    name: str = dataclasses.field(default="model", metadata={"static": True})


@dataclasses.dataclass(frozen=True, slots=True)
class Spring:
    stiffness: object
    mass: float
    inverse: float = dataclasses.field(init=False)

    def __post_init__(self):
        if self.mass < 0.0:
            raise ValueError("a negative mass")
        object.__setattr__(self, "inverse", 1.0 / self.mass)


jax.tree_util.register_dataclass(Model, ["layers", "scale"], ["name"])

X = np.array([0.5, -1.25, 2.0])
W = np.array([[0.3, -0.7, 1.1], [0.9, 0.2, -0.4]])


def module_of(x):
    return jax.numpy if any(isinstance(leaf, jax.Array) for leaf in jax.tree_util.tree_leaves(x)) else np


def loss(p):
    """A number that depends on every leaf of p, and on pairs of them."""
    m, total, before = module_of(p), 0.0, 1.0
    for leaf in leaves_of(p):
        part = m.sum(m.sin(leaf) * before + leaf**3)
        total, before = total + part * part, part
    return total


def curve(p):
    """A nesting of arrays and a number that depend on every leaf of p."""
    m, total = module_of(p), loss(p)
    leaves = leaves_of(p)
    return {"each": [m.sin(leaf) * total for leaf in leaves], "total": (total, m.exp(-0.1 * leaves[0])), "constant": np.ones(2)}


def leaves_of(p):
    if isinstance(p, dict):
        return [leaf for key in sorted(p) for leaf in leaves_of(p[key])]
    if isinstance(p, (list, tuple)):
        return [leaf for entry in p for leaf in leaves_of(entry)]
    if dataclasses.is_dataclass(p):
        return [leaf for f in dataclasses.fields(p) if f.init and not f.metadata for leaf in leaves_of(getattr(p, f.name))]
    return [p]


TREES = {
    "vector": X, "matrix": W, "0-d": np.array(0.7), "number": 0.7, "empty": np.zeros((0, 2)), "fortran": np.asfortranarray(W),
    "strided": np.arange(6.0)[::2] / 7.0, "list": [X, 0.5], "tuple": (0.5, X), "dict": {"b": X, "a": 0.5, "c": np.array(0.25)},
    "namedtuple": Layer(W, X[:2]), "nested": {"layers": [Layer(X[:2], 0.5), Layer(np.ones((1, 2)), np.array(0.1))], "k": (1.5,)},
    "dataclass": Model([Layer(X, 0.5)], 0.3), "dataclass in a list": [Model([X[:1]], 0.3), 2.0], "with empty": [np.zeros(0), X],
}
trees = pytest.mark.parametrize("tree", TREES.values(), ids=TREES)


def same(one, other, rtol=1e-9):
    """Asserts equal numbers, shapes and structure."""
    if dataclasses.is_dataclass(other):
        assert type(one) is type(other)
        for field in dataclasses.fields(other):
            if not field.metadata:
                same(getattr(one, field.name), getattr(other, field.name), rtol)
    elif isinstance(other, dict):
        assert list(one) == list(other) or sorted(one) == sorted(other)
        for key in other:
            same(one[key], other[key], rtol)
    elif isinstance(other, (list, tuple)):
        assert type(one) is type(other) and len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            same(a, b, rtol)
    else:
        assert isinstance(one, (float, np.floating, np.ndarray)) and np.shape(one) == np.shape(other)
        np.testing.assert_allclose(one, other, rtol=rtol, atol=1e-10)


def typed(one, like):
    """Asserts that derivatives have the types of what they are derivatives by."""
    for a, b in zip(leaves_of(one), leaves_of(like), strict=True):
        assert type(a) is type(b) and getattr(a, "dtype", None) == getattr(b, "dtype", None)


def in_jax(tree):
    return jax.tree_util.tree_map(jax.numpy.asarray, tree)


def direction_like(tree, seed=0):
    rng = np.random.default_rng(seed)
    return jax.tree_util.tree_map(lambda x: rng.standard_normal(np.shape(x)) if np.ndim(x) or isinstance(x, np.ndarray)
                                  else float(rng.standard_normal()), tree)


# ---- beside JAX ------------------------------------------------------------------------------------------------------------

@jax.jit
def products(tree, t, w):
    """J t and w^T J of `curve`."""
    return jax.jvp(curve, (tree,), (t,))[1], jax.vjp(curve, tree)[1](w)


@jax.jit
def hessian_product(tree, t):
    return jax.jvp(jax.grad(loss), (tree,), (t,))[1]


# Compiled once for trees of the same shapes.
slopes_of_loss, hessian_of_loss, jacobian_of_curve = (
    jax.jit(transform) for transform in (jax.grad(loss), jax.hessian(loss), jax.jacobian(curve)))


@trees
def test_grad(tree):
    value, gradient = fastad.value_and_grad(loss)(tree)
    slopes = slopes_of_loss(in_jax(tree))
    same(value, loss(tree))
    same(gradient, slopes)
    typed(gradient, tree)
    same(fastad.grad(loss)(tree), slopes)


@trees
@pytest.mark.parametrize("mode", ["auto", "forward", "reverse"])
def test_jacobian(tree, mode):
    same(fastad.jacobian(curve, mode=mode)(tree), jacobian_of_curve(in_jax(tree)))


@trees
def test_hessian(tree):
    expected = hessian_of_loss(in_jax(tree))
    same(fastad.hessian(loss)(tree), expected)
    same(fastad.jacobian(fastad.grad(loss), mode="forward")(tree), expected)
    same(fastad.jacobian(fastad.grad(loss), mode="reverse")(tree), expected)


@trees
def test_products_with_the_jacobian(tree):
    t = direction_like(tree)
    expected = curve(tree)
    w = direction_like(expected)
    slope, adjoint = products(in_jax(tree), in_jax(t), in_jax(w))
    value, tangent = fastad.jvp(curve, (tree,), (t,))
    same(value, expected)
    same(tangent, slope)
    again, product = fastad.linearize(curve, tree)
    same(again, expected)
    same(product(t), slope)
    same(product(t), slope)
    value, pull = fastad.vjp(curve, tree)
    same(value, expected)
    same(pull(w), adjoint)
    same(pull(w), adjoint)
    typed(pull(w)[0], tree)


@trees
def test_products_with_the_hessian(tree):
    t = direction_like(tree)
    expected = hessian_product(in_jax(tree), in_jax(t))
    product = fastad.hvp(loss, (tree,), (t,))
    same(product, expected)
    typed(product, tree)
    same(fastad.jvp(fastad.grad(loss), (tree,), (t,))[1], expected)
    same(fastad.vjp(fastad.grad(loss), tree)[1](t)[0], expected)
    same(fastad.linearize(fastad.grad(loss), tree)[1](t), expected)


@pytest.mark.parametrize("tree", [X, np.array(0.7), {"b": X[:2], "a": 0.5}], ids=["vector", "0-d", "dict"])
def test_third_order(tree):
    expected = jax.jit(jax.jacobian(jax.hessian(loss)))(in_jax(tree))
    same(fastad.jacobian(fastad.hessian(loss))(tree), expected, 1e-8)
    same(fastad.hessian(lambda p: fastad.jvp(loss, (p,), (tree,))[1])(tree),
         jax.jit(jax.hessian(lambda p: jax.jvp(loss, (p,), (in_jax(tree),))[1]))(in_jax(tree)), 1e-8)


REPEATED = {
    "twice": lambda x: (lambda y: (y, y))(x * x), "the argument twice": lambda x: {"a": x, "b": x},
    "an array and its transpose": lambda x: (lambda y: [y, y.T, y[0]])(np.sin(x)),
    "an argument and a part": lambda x: (x, x[::-1]), "a copy between": lambda x: (lambda y: (y, y.copy(), y))(x * 2.0),
    "among numbers": lambda x: (lambda y: (y, y[0, 1], y, y[1]))(x**3),
}


@pytest.mark.parametrize("f", REPEATED.values(), ids=REPEATED)
def test_results_that_are_one_array(f):
    x, t = W[:, :2], np.array([[1.0, -2.0], [0.5, 3.0]])
    forward, reverse = (fastad.jacobian(f, mode=mode)(x) for mode in ("forward", "reverse"))
    expected = [np.tensordot(block, t, np.ndim(t)) for block in leaves_of(reverse)]
    value, product = fastad.linearize(f, x)
    for tangents in (fastad.jvp(f, (x,), (t,))[1], product(t), product(t), fastad.record(f).jvp((x,), (t,))[1]):
        for one, other in zip(leaves_of(tangents), expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-14)
            if np.ndim(one):
                one[...] = np.nan                              # nothing else refers to it
    for one, other in zip(leaves_of(forward), leaves_of(reverse), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-14)


@pytest.mark.parametrize("view", [np.atleast_2d, lambda x: x[None], lambda x: np.reshape(x, (1, 1)), lambda x: x.T], ids=range(4))
def test_second_order_of_views_of_no_dimensions(view):
    def f(x):
        return np.sum(view(x) ** 3) + x * np.sin(x) * x

    def second(x):
        return 6.0 * x + 2.0 * np.sin(x) + 4.0 * x * np.cos(x) - x * x * np.sin(x)

    F, twice = fastad.record(f), fastad.record(fastad.grad(fastad.grad(f)))
    for x in (0.5, -1.25, 2.0):
        x = np.array(x)
        for got in (fastad.grad(fastad.grad(f))(x), fastad.hvp(f, (x,), (1.0,)), F.hvp((x,), (1.0,)), twice(x)):
            assert got == pytest.approx(second(x), rel=1e-13)


def test_several_arguments():
    def f(w, b, x=None):
        return (x if x is not None else 1.0) * ((w @ X + b)**2).sum()

    expected = jax.grad(f, (0, 1))(in_jax(W), 0.5, x=2.0)
    same(fastad.grad(f, (0, 1))(W, 0.5, x=2.0), expected)
    same(fastad.grad(f, 1)(W, 0.5, x=2.0), expected[1])
    second = jax.jit(jax.hessian(f, (0, 1)))(in_jax(W), 0.5)
    same(fastad.hessian(f, (0, 1))(W, 0.5), second)
    product = [np.tensordot(by_w, W, 2) + by_b for by_w, by_b in second]
    same(fastad.hvp(f, (W, 0.5), (W, 1.0)), tuple(product))


# ---- calls of vjp_fun and jvp_fun, later and inside other traces ----------------------------------------------------------

def test_vjp_fun_later_and_inside_other_traces():
    value, pull = fastad.vjp(np.sin, X)
    slope = np.cos(X)
    same(value, np.sin(X))
    fastad.grad(lambda x: np.sum(x))(X)
    same(pull(np.ones(3)), (slope,))
    same(fastad.grad(lambda w: np.sum(pull(w)[0]**2))(X), 2.0 * slope**2 * X)
    same(fastad.jacobian(lambda w: pull(w)[0])(X), np.diag(slope))
    same(fastad.hessian(lambda w: np.sum(pull(w)[0]**2))(X), np.diag(2.0 * slope**2))
    same(pull(X), (slope * X,))


def test_vjp_and_linearize_inside_a_trace():
    def through_vjp(x):
        return np.sum(fastad.vjp(lambda y: y**3 * x, x)[1](x)[0])

    def through_linearize(x):
        return np.sum(fastad.linearize(lambda y: y**3 * x, x)[1](x))

    for f in (through_vjp, through_linearize):      # 3 x^4
        same(fastad.grad(f)(X), 12.0 * X**3)
        same(fastad.hessian(f)(X), np.diag(36.0 * X**2))
        same(fastad.grad(lambda x, f=f: np.sum(fastad.grad(f)(x)**2))(X), 2.0 * 12.0 * 36.0 * X**5)


def test_results_do_not_change_with_the_arguments():
    x = X.copy()
    value, pull = fastad.vjp(lambda x: x * x, x)
    again, product = fastad.linearize(lambda x: x * x, x)
    x[:] = 0.0
    value[:] = again[:] = 0.0
    same(pull(np.ones(3))[0], 2.0 * X)
    same(product(np.ones(3)), 2.0 * X)
    first = pull(np.ones(3))[0]
    first[:] = 7.0
    same(pull(np.ones(3))[0], 2.0 * X)


def test_has_aux():
    def f(x):
        y = x * x
        aux = {"y": y, "view": y[1:], "x": x, "scalar": y[0], "plain": X, "text": "t", "model": Model([y], y[0])}
        return np.sum(y), aux

    (value, aux), gradient = fastad.value_and_grad(f, has_aux=True)(X)
    same(gradient, 2.0 * X)
    assert value == np.sum(X * X) and type(value) is float and type(aux["scalar"]) is float
    same({k: aux[k] for k in ("y", "view", "x", "scalar")}, {"y": X * X, "view": (X * X)[1:], "x": X, "scalar": X[0] ** 2})
    assert aux["plain"] is X and aux["text"] == "t" and type(aux["model"].layers[0]) is np.ndarray
    aux["x"][:] = 0.0
    assert X[0] == 0.5


# ---- types -----------------------------------------------------------------------------------------------------------------

SINGLES = {"vector": np.float32([0.5, -1.25, 2.0]), "0-d": np.array(0.5, np.float32), "number": np.float32(0.5),
           "empty": np.zeros(0, np.float32)}


@pytest.mark.parametrize("x", SINGLES.values(), ids=SINGLES)
def test_float32(x):
    dtypes = []

    def f(x):
        for y in (x * 2.0, np.sin(x), x**2 + 1, np.sum(x * x), x / 3):
            dtypes.append(y.dtype)
        return np.sum(np.sin(x) * x * x)

    value, gradient = fastad.value_and_grad(f)(x)
    wide = np.asarray(x, float)
    same(gradient, fastad.grad(f)(wide), 1e-5)
    results = [value, gradient, fastad.hessian(f)(x), fastad.jacobian(f)(x), fastad.hvp(f, (x,), (x,)),
               *fastad.jvp(f, (x,), (x,)), *fastad.jvp(lambda x: np.sin(x) * x, (x,), (x,)),
               fastad.linearize(f, x)[1](x), *fastad.vjp(f, x)[1](1.0),
               fastad.jacobian(lambda x: x * np.cos(x), mode="forward")(x), fastad.jacobian(fastad.hessian(f))(x)]
    assert {r.dtype for r in results} == {np.dtype(np.float32)} and set(dtypes[:5]) == {np.dtype(np.float32)}
    same(np.asarray(results[-1], float), fastad.jacobian(fastad.hessian(f))(wide), 2e-5)
    if isinstance(x, np.floating):
        assert {type(r) for r in results} == {np.float32}


def test_float32_and_float64_mix():
    tree = {"a": SINGLES["vector"], "b": X, "c": np.float32(0.5), "d": 0.25}
    gradient = fastad.grad(lambda p: np.sum(p["a"] * p["b"] * p["c"]) * p["d"])(tree)
    dtypes = {"a": np.float32, "b": float, "c": np.float32, "d": float}
    assert {k: getattr(g, "dtype", float) for k, g in gradient.items()} == dtypes
    same(gradient["b"], np.float64(tree["a"]) * 0.125, 1e-6)
    same(fastad.hessian(lambda p: np.sum(p["a"] * p["b"]))(tree)["a"]["b"], np.eye(3))


def test_seeds():
    same(fastad.jvp(lambda x: x * x, (X,), (np.float32([1, 1, 1]),))[1], 2.0 * X)
    same(fastad.jvp(lambda x, y: x * y, (X, 2.0), (np.array([1, 0, 0]), np.array(1.0)))[1], X + [2.0, 0.0, 0.0])
    same(fastad.vjp(lambda x: np.sum(x * x), X)[1](np.array(1.0))[0], 2.0 * X)
    for call in (lambda: fastad.jvp(np.sin, (X,), (np.ones(2),)), lambda: fastad.vjp(np.sin, X)[1](np.ones((3, 1)))):
        with refused(ValueError, "shape"):
            call()
    for call in (lambda: fastad.jvp(np.sin, (X,), ("text",)), lambda: fastad.vjp(np.sum, X)[1]("text")):
        with refused((TypeError, ValueError), ""):
            call()


@pytest.mark.parametrize("x, words", [
    (np.arange(3), "int64.*astype"), (np.array([True]), "bool"), (np.array(["a"]), "U1"), (np.array([None]), "object"),
    (np.ma.array([1.0]), "MaskedArray"), ({"a": [X, np.arange(2)]}, r"\['a'\]\[1\].*int64"),
    (Model([np.arange(2)], 1.0), r"\.layers\[0\].*int64"),
], ids=["int", "bool", "text", "object", "masked", "in a dict", "in a dataclass"])
def test_arguments_without_a_derivative(x, words):
    with refused(TypeError, "argument 0.*" + words):
        fastad.grad(lambda x: 1.0)(x)


# ---- dataclasses ---------------------------------------------------------------------------------------------------------------

def test_what_a_constructor_computes_is_differentiated():
    spring = Spring(np.array([1.0, 2.0]), 4.0)
    gradient = fastad.grad(lambda s: np.sum(s.stiffness) * s.inverse)(spring)
    same(gradient.stiffness, np.full(2, 0.25))
    assert gradient.mass == -3.0 / 16.0 and type(gradient) is Spring and gradient.inverse is None
    second = fastad.hessian(lambda s: np.sum(s.stiffness) * s.inverse)(spring)
    assert second.mass.mass == 2.0 * 3.0 / 64.0
    same(fastad.hvp(lambda s: np.sum(s.stiffness) * s.inverse, (spring,), (gradient,)).stiffness, np.full(2, 3.0 / 256.0))
    assert fastad.jvp(lambda s: Spring(s.stiffness * 2.0, s.mass), (spring,), (spring,))[0].inverse == 0.25


def test_dataclasses_that_can_not_be_rebuilt():
    @dataclasses.dataclass
    class Scaled:
        x: float
        factor: dataclasses.InitVar[float]

    scaled = Scaled(1.0, 2.0)
    with refused(TypeError, "Scaled.*register_pytree_node"):
        fastad.grad(lambda s: s.x)(scaled)
    assert fastad.grad(lambda x: (x, scaled), has_aux=True)(1.0) == (1.0, scaled)


def test_dataclasses_registered_by_hand():
    import optree

    @functools.partial(optree.dataclasses.dataclass, namespace="fastad")
    class Pair:
        x: object
        n: int = optree.dataclasses.field(pytree_node=False, default=2)

    gradient = fastad.grad(lambda p: np.sum(p.x**p.n))(Pair(X))
    same(gradient.x, 2.0 * X)
    assert type(gradient) is Pair and gradient.n == 2


def test_static_fields_are_part_of_the_structure():
    model = Model([X], 1.0, "one")
    assert fastad.grad(lambda m: m.scale)(model).name == "one"
    with refused(ValueError, "structure"):
        fastad.jvp(loss, (model,), (Model([X], 1.0, "two"),))


# ---- results that are no arrays of the trace --------------------------------------------------------------------------------

@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_results_without_derivative(mode):
    found = fastad.jacobian(lambda x: [np.ones(2), np.arange(2), np.argsort(x), 5.0, x[0]], mode=mode)(X)
    same(found, [np.zeros((2, 3)), np.zeros((2, 3)), np.zeros((3, 3)), np.zeros(3), np.eye(3)[0]])


@pytest.mark.parametrize("result, words", [(np.ones(1), r"shape \(1,\)"), ([1.0], "list"), (None, "None"), (1j, "complex")])
def test_grad_of_what_is_no_scalar(result, words):
    with refused(TypeError, words):
        fastad.grad(lambda x: result)(X)


# ---- functions of scalars whose instructions are arrays' -----------------------------------------------------------------

def test_array_functions_of_numbers_alone():
    """No array is ever active here."""
    def f(x):
        return np.interp(x, [0.0, 1.0, 2.0], [1.0, 3.0, 2.0]) ** 2

    assert fastad.grad(f)(1.5) == fastad.jvp(f, (1.5,), (1.0,))[1] == -5.0
    assert fastad.hessian(f)(1.5) == fastad.grad(fastad.grad(f))(1.5) == fastad.hvp(f, (1.5,), (1.0,)) == 2.0
    assert fastad.grad(fastad.grad(fastad.grad(lambda x: f(x) * x)))(1.5) == 6.0


@pytest.mark.parametrize("f", [
    lambda x: np.sinc(x), lambda x: np.i0(x), lambda x: np.interp(x, [-2.0, 0.0, 3.0], [1.0, 3.0, 2.0]),
    lambda x: np.atleast_2d(x)[0] ** 2, lambda x: np.einsum("i,j->ij", x, x * x), lambda x: np.einsum(x, [0], 2.0 * x, [0]),
    lambda x: np.meshgrid(x, [1.0, 2.0])[0] ** 2, lambda x: np.broadcast_arrays(x, 3.0)[0] * x,
    lambda x: np.linalg.multi_dot([x, np.outer(x, x), x]), lambda x: np.dot(x, [1.0, 2.0, 3.0]),
    lambda x: np.concatenate([[1.0, 2.0], x * x]),
], ids=["sinc", "i0", "interp", "atleast_2d", "einsum", "einsum lists", "meshgrid", "broadcast_arrays", "multi_dot", "dot",
        "concatenate"])
def test_tangents_of_calls(f):
    def total(x):
        return np.sum(f(x) ** 2)

    forward, reverse = (fastad.jacobian(f, mode=mode)(X) for mode in ("forward", "reverse"))
    same(forward, reverse)
    for k in range(3):
        steps = [(f(X + s * np.eye(3)[k]) - f(X - s * np.eye(3)[k])) / (2.0 * s) for s in (1e-3, 5e-4)]
        same(forward[..., k], (4.0 * steps[1] - steps[0]) / 3.0, 1e-7)
    same(fastad.hessian(total)(X), fastad.jacobian(fastad.grad(total), mode="reverse")(X))


def test_tangents_that_nothing_asks_for():
    """The gradient by c is linear in the squares of c, whatever the other values are whose tangents the value would need."""
    c, x = np.random.default_rng(0).normal(size=(3, 2)), np.random.default_rng(1).normal(size=(50, 2))

    def f(c):
        return np.sum(np.min(np.sum(c**2, axis=1) - 2.0 * (x @ c.T), axis=1))

    _, found = fastad.jvp(fastad.grad(f), (c,), (np.ones_like(c),))
    np.testing.assert_allclose(found, fastad.hessian(f)(c).sum(axis=(2, 3)), rtol=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_tangents_of_gradients_through_writes_scalars_and_calls(seed):
    rng = np.random.default_rng(seed)
    x, t, w = rng.normal(size=5), rng.normal(size=5), rng.normal(size=(5, 5))

    def f(x):
        y = np.sin(x @ w) * x
        y[1:3] = np.cumsum(y)[1:3] * x[0]
        y[0] = x[2] * y[4] + fastad.math.exp(0.1 * y[3])
        np.linalg.norm(np.outer(y, y))
        z = np.sort(y)[::-1] * np.max(x)
        z += x**2
        return np.sum(z * z) + y[0] * np.sum(z)

    hessian = fastad.hessian(f)(x)
    value, found = fastad.jvp(fastad.grad(f), (x,), (t,))
    np.testing.assert_allclose(found, hessian @ t, rtol=1e-10, atol=1e-10)
    _, along = fastad.linearize(fastad.grad(f), x)
    for direction in (t, x):
        np.testing.assert_allclose(along(direction), hessian @ direction, rtol=1e-10, atol=1e-10)
    step = 1e-6
    near = (fastad.grad(f)(x + step * t) - fastad.grad(f)(x - step * t)) / (2.0 * step)
    np.testing.assert_allclose(found, near, rtol=1e-5, atol=1e-5)
