"""Derivatives to fourth order against JAX (64 bit), autograd and SymPy: each function is written once."""

import functools
import itertools
import math
import os
from types import SimpleNamespace

import numpy as np
import pytest

import fastad
from fastad import math as fm

# Functions of one number, in the names of `math`, and the points they are compared at.
CASES = {
    "polynomial": (lambda m, x: ((2.0 * x - 3.0) * x + 0.5) * x**2 - x + 7.0, (0.7, -1.3, 0.0)),
    "integer power": (lambda m, x: x**5 - 2.0 * x**-3, (0.8, -1.4)),
    "real power": (lambda m, x: x**2.5 + x**-0.75, (0.6, 2.3)),
    "base": (lambda m, x: 2.0**x + 0.3 ** (x * x), (0.4, -1.1)),
    "x to the x": (lambda m, x: x**x + m.pow(x, m.sin(x)), (0.9, 2.2)),
    "rational": (lambda m, x: (x**2 + 1.0) / (x**3 - 2.0 * x + 5.0), (0.3, -1.7)),
    "continued fraction": (lambda m, x: 1.0 / (1.0 + x / (2.0 + x / (3.0 + x / (4.0 + x)))), (0.5, 1.9)),
    "shared": (lambda m, x: functools.reduce(lambda y, _: y * (1.5 - y) + x, range(5), x), (0.3, 0.6)),
    "sqrt": (lambda m, x: m.sqrt(1.0 + x * x) + m.sqrt(x), (0.4, 2.7)),
    "cbrt": (lambda m, x: m.cbrt(x) * x, (0.7, -2.2)),
    "exp": (lambda m, x: m.exp(-0.5 * x * x) * m.exp(x), (0.3, -1.2)),
    "exp2": (lambda m, x: m.exp2(x) * x, (0.8, -0.9)),
    "expm1": (lambda m, x: m.expm1(x) / x, (0.6, -1.4)),
    "log": (lambda m, x: m.log(x) ** 2 / x, (0.5, 3.2)),
    "log2": (lambda m, x: m.log2(1.0 + x * x) * x, (0.9, -1.6)),
    "log10": (lambda m, x: m.log10(x) * m.log(2.0 + x), (0.8, 5.1)),
    "log1p": (lambda m, x: m.log1p(x) * m.log1p(x * x), (0.4, -0.6)),
    "sin": (lambda m, x: m.sin(3.0 * x) * m.sin(x), (0.7, -2.1)),
    "cos": (lambda m, x: m.cos(x) / (2.0 + m.cos(2.0 * x)), (0.5, 2.4)),
    "tan": (lambda m, x: m.tan(x) * x, (0.6, -1.1)),
    "arcsin": (lambda m, x: m.asin(x) * x, (0.3, -0.7)),
    "arccos": (lambda m, x: m.acos(x) ** 2, (0.2, -0.6)),
    "arctan": (lambda m, x: m.atan(x) * m.atan(2.0 * x), (0.8, -1.5)),
    "arctan2": (lambda m, x: m.atan2(x * x, 1.0 - x) + m.atan2(-x, -1.0 - x * x), (0.7, 2.5)),
    "sinh": (lambda m, x: m.sinh(x) / (1.0 + x * x), (0.9, -1.8)),
    "cosh": (lambda m, x: m.log(m.cosh(x)) * x, (0.5, -2.0)),
    "tanh": (lambda m, x: m.tanh(x) * m.tanh(x * x), (0.6, -1.2)),
    "arcsinh": (lambda m, x: m.asinh(x) * x, (0.8, -2.6)),
    "arccosh": (lambda m, x: m.acosh(1.0 + x * x), (0.7, 1.9)),
    "arctanh": (lambda m, x: m.atanh(x) * x, (0.4, -0.6)),
    "hypot": (lambda m, x: m.hypot(x, 1.0 - 2.0 * x), (0.9, -1.3)),
    "degrees": (lambda m, x: m.sin(m.radians(40.0 * x)) * m.degrees(x), (0.6, -1.1)),
    "abs": (lambda m, x: m.fabs(x**3) * m.sin(x) + abs(m.cos(4.0 * x)), (0.9, -1.4)),
    "erf": (lambda m, x: m.erf(x) * m.erfc(0.5 * x), (0.4, -1.1)),
    "sigmoid": (lambda m, x: 1.0 / (1.0 + m.exp(-3.0 * x)) * x, (0.7, -0.8)),
    "softplus": (lambda m, x: m.log1p(m.exp(x)) ** 2, (0.9, -1.7)),
    "gaussian": (lambda m, x: m.exp(-((x - 0.3) ** 2) / 0.5) * m.cos(5.0 * x), (0.1, 0.9)),
    "oscillation": (lambda m, x: m.exp(-x) * m.sin(x * x) / m.sqrt(x), (1.1, 2.3)),
    "nested": (lambda m, x: m.sin(m.cos(m.tanh(m.exp(m.sin(x))))), (0.4, -1.0)),
    "newton": (lambda m, x: functools.reduce(lambda y, _: 0.5 * (y + x / y), range(4), 1.0 + x), (2.0, 0.7)),
    "cancelling": (lambda m, x: m.sin(x) ** 2 + m.cos(x) ** 2 + 0.1 * x**4, (0.5, -2.2)),
    "quotient of series": (lambda m, x: sum(x**k / (k + 1.0) for k in range(6)) / sum(x**k for k in range(5)),
                           (0.4, 1.6)),
}

# Functions of several numbers.
SEVERAL = {
    "rosenbrock": (lambda m, x, y: (1.0 - x) ** 2 + 100.0 * (y - x * x) ** 2, (-1.2, 1.0)),
    "beale": (lambda m, x, y: sum((c - x + x * y**k) ** 2 for k, c in ((1, 1.5), (2, 2.25), (3, 2.625))),
              (0.7, -0.4)),
    "lennard-jones": (lambda m, x, y, z: (x * x + y * y + z * z) ** -6 - 2.0 * (x * x + y * y + z * z) ** -3,
                      (0.7, 0.8, -0.5)),
    "helmholtz": (lambda m, x, y, z: m.log(x / (1.0 - 0.1 * x)) * x + y * m.log(y * z) - x * y / m.sqrt(z),
                  (0.8, 0.6, 1.3)),
    "angles": (lambda m, x, y: m.atan2(y, x) * m.hypot(x, y), (0.9, -1.4)),
    "power": (lambda m, x, y: x**y + y**x, (1.3, 2.1)),
    "network": (lambda m, a, b, c, d: m.tanh(a * m.tanh(b + c) + d * m.tanh(b * d - a)) ** 2,
                (0.5, -1.2, 0.8, 1.6)),
    "saddle": (lambda m, x, y: x * y + 0.0 * x, (0.4, -0.9)),
}

IN_NUMPY = {"asin": "arcsin", "acos": "arccos", "atan": "arctan", "atan2": "arctan2", "asinh": "arcsinh",
            "acosh": "arccosh", "atanh": "arctanh", "pow": "power"}
NAMES = ("cbrt", "cos", "cosh", "degrees", "exp", "exp2", "expm1", "fabs", "hypot", "log", "log10", "log1p",
         "log2", "radians", "sin", "sinh", "sqrt", "tan", "tanh", *IN_NUMPY)
ORDERS = 4


def names_of(numpy_like, special):
    """The functions the cases use, by their names in `math`."""
    found = {name: getattr(numpy_like, IN_NUMPY.get(name, name), None) for name in NAMES}
    return SimpleNamespace(**found, erf=special.erf, erfc=special.erfc)


@functools.cache
def jax_results():
    """name -> derivatives of order 0 to 4, an array (5, points) of each case; name -> (gradient, Hessian)."""
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    jax = pytest.importorskip("jax")
    import jax.numpy as jnp
    import jax.scipy.special
    jax.config.update("jax_enable_x64", True)
    m = names_of(jnp, jax.scipy.special)

    def derivatives(f, order):
        def d(x):
            values, slopes = jax.jvp(derivatives(f, order - 1), (x,), (jnp.ones_like(x),))
            return values + slopes[-1:]
        return d if order else lambda x: [f(x)]

    def second(f, x):
        positions = tuple(range(len(x)))
        return jax.grad(f, positions)(*x), jax.hessian(f, positions)(*x)

    # One compilation for all: compiled one by one they take minutes.
    @jax.jit
    def all_of_them():
        return ({name: derivatives(functools.partial(f, m), ORDERS)(jnp.array(points))
                 for name, (f, points) in CASES.items()},
                {name: second(functools.partial(f, m), x) for name, (f, x) in SEVERAL.items()})

    return jax.tree_util.tree_map(np.asarray, all_of_them())


@functools.cache
def autograd_namespace():
    import autograd.numpy
    import autograd.scipy.special
    return names_of(autograd.numpy, autograd.scipy.special)


def agree(got, expected, tolerance):
    """Agreement of derivatives of order 0, 1, 2 ... relative to the largest of those up to each."""
    size = 1.0
    for order, (a, b) in enumerate(zip(got, expected, strict=True)):
        size = max(size, abs(b))
        assert abs(a - b) <= tolerance * size, f"order {order}: {a!r} instead of {b!r}"


def reverse_derivatives(f, x):
    """f(x), f'(x) ... to order 4 by gradients of gradients."""
    derivatives = [f(x)]
    for _ in range(ORDERS):
        f = fastad.grad(f)
        derivatives.append(f(x))
    return derivatives


def tangent_of(f):
    return lambda x: fastad.jvp(f, (x,), (1.0,))[1]


def forward_derivatives(f, x):
    """The same by tangents of tangents."""
    derivatives = [f(x)]
    for _ in range(ORDERS):
        f = tangent_of(f)
        derivatives.append(f(x))
    return derivatives


def mixed_derivatives(f, x):
    """Second and fourth order by the numeric and the recorded reverse-tangent sweep."""
    second = fastad.hessian(f)
    return [f(x), fastad.grad(f)(x), second(x), fastad.grad(second)(x), fastad.hessian(second)(x)]


@pytest.mark.parametrize("derivatives", [reverse_derivatives, forward_derivatives, mixed_derivatives])
@pytest.mark.parametrize("name", CASES)
def test_jax(name, derivatives):
    f, points = CASES[name]
    expected = np.array(jax_results()[0][name])
    for k, x in enumerate(points):
        agree(derivatives(functools.partial(f, fm), x), expected[:, k], 1e-11)


# autograd has no rule for cbrt.
@pytest.mark.parametrize("name", [name for name in CASES if name != "cbrt"])
def test_autograd(name):
    import autograd
    f, points = CASES[name]
    g, expected = functools.partial(f, autograd_namespace()), []
    for _ in range(ORDERS + 1):
        expected.append(float(g(points[0])))
        g = autograd.grad(g)
    agree(reverse_derivatives(functools.partial(f, fm), points[0]), expected, 1e-11)


@pytest.mark.parametrize("name", SEVERAL)
def test_gradients_and_hessians(name):
    f, x = SEVERAL[name]
    positions = tuple(range(len(x)))
    f, (gradient, hessian) = functools.partial(f, fm), jax_results()[1][name]
    np.testing.assert_allclose(fastad.grad(f, positions)(*x), gradient, rtol=1e-12, atol=1e-13)
    size = np.abs(hessian).max()
    slopes = fastad.grad(f, positions)
    for mine in (fastad.hessian(f, positions), fastad.jacobian(slopes, positions, "forward"),
                 fastad.jacobian(slopes, positions, "reverse")):
        np.testing.assert_allclose(mine(*x), hessian, rtol=0.0, atol=1e-12 * size)
    t = tuple(0.3 + 0.7 * k for k in positions)
    np.testing.assert_allclose(fastad.hvp(f, x, t), np.array(hessian) @ t, rtol=0.0, atol=1e-11 * size)


@pytest.mark.parametrize("name", [
    "polynomial", "rational", "x to the x", "arcsin", "arctanh", "erf", "oscillation", "nested"])
def test_sympy(name):
    import sympy
    f, points = CASES[name]
    m = SimpleNamespace(pow=sympy.Pow, **{name: getattr(sympy, name) for name in
                                           "sin cos tanh exp sqrt log asin atanh erf erfc".split()})
    x = sympy.Symbol("x", positive=True)
    at = sympy.Rational(points[0])
    expression = f(m, x)
    expected = [float(sympy.diff(expression, x, order).subs(x, at).evalf(30)) for order in range(ORDERS + 1)]
    agree(reverse_derivatives(functools.partial(f, fm), points[0]), expected, 1e-12)


@pytest.mark.parametrize("modes", list(itertools.product("gj", repeat=4)), ids="".join)
def test_whole_powers_at_zero(modes):
    """Derivatives of x**k at 0 are 0, the k-th is k!, in any order of tangent (j) and reverse (g) sweeps."""
    for k in range(6):
        f = functools.partial(lambda k, x: x**k, k)
        for order, mode in enumerate(modes, 1):
            f = fastad.grad(f) if mode == "g" else tangent_of(f)
            assert f(0.0) == (math.factorial(k) if k == order else 0.0), f"order {order} of x**{k}"


def test_sixth_derivative():
    """The derivatives of arctan at 0 are 1, 0, -2, 0, 24, 0 (its series)."""
    f, derivatives = fm.atan, []
    for _ in range(6):
        f = fastad.grad(f)
        derivatives.append(f(0.0))
    assert derivatives == pytest.approx([1.0, 0.0, -2.0, 0.0, 24.0, 0.0], abs=1e-12)


def test_the_samples_spread():
    one, several = jax_results()
    derivatives = np.abs(np.hstack([np.array(one[name]) for name in CASES]))
    assert np.isfinite(derivatives).all() and len(CASES) >= 40
    assert (derivatives > 0.0).mean() > 0.97 and (derivatives[ORDERS] > 0.1).mean() > 0.8
    assert all(np.isfinite(np.array(hessian)).all() for _, hessian in several.values())
