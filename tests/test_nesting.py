"""Transforms inside transforms: perturbation confusion, closures over outer values, mixed partials, cost."""

import itertools
import math

import numpy as np
import pytest

import fastad
from fastad import grad, hessian, hvp, jacobian, jvp, linearize, stop_gradient, value_and_grad, vjp
from fastad import math as fm


def tangent_of(f):
    """f' by a tangent sweep."""
    return lambda x: jvp(f, (x,), (1.0,))[1]


def adjoint_of(f):
    """f' by a vjp_fun."""
    return lambda x: vjp(f, x)[1](1.0)[0]


def linear_of(f):
    """f' by the linear function at x."""
    return lambda x: linearize(f, x)[1](1.0)


DERIVATIVES = [grad, tangent_of, adjoint_of, linear_of, jacobian]
PAIRS = [(outer, inner) for outer in DERIVATIVES for inner in DERIVATIVES]


# Perturbation confusion

@pytest.mark.parametrize("outer, inner", PAIRS)
def test_siskind_and_pearlmutter(outer, inner):
    """After Siskind and Pearlmutter, Perturbation Confusion and Referential Transparency (IFL 2005)."""
    assert outer(lambda x: x * inner(lambda y: x + y)(1.0))(1.0) == 1.0
    assert outer(lambda x: x * inner(lambda y: x + y)(x))(5.0) == 1.0
    assert outer(lambda x: x * inner(lambda y: x * y)(2.0))(3.0) == 6.0
    assert outer(lambda x: inner(lambda y: x * y * y)(x))(3.0) == 12.0
    assert outer(lambda x: inner(lambda y: x)(2.0) + x)(3.0) == 1.0


@pytest.mark.parametrize("outer, inner", PAIRS)
def test_one_variable_twice(outer, inner):
    assert outer(inner(lambda x: x**4))(2.0) == 48.0
    expected = math.cos(0.5) - 0.5 * math.sin(0.5)
    assert outer(lambda x: x * inner(fm.sin)(x))(0.5) == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize("second", DERIVATIVES)
@pytest.mark.parametrize("first, third", PAIRS)
def test_three_levels(first, second, third):
    def f(x):
        return x * second(lambda y: y * third(lambda z: x * y * z * z)(y))(x)

    # By z: 2xyz, at z = y 2xy^2; times y 2xy^3, by y 6xy^2, at y = x 6x^3; times x 6x^4, by x 24x^3.
    assert f(2.0) == 96.0 and first(f)(2.0) == 192.0


def test_a_higher_order_function_called_twice():
    """The derivative of a shift of a function (Manzyuk, Pearlmutter, Radul, Rush and Siskind, JFP 2019)."""
    def shifted(u):
        return lambda f: lambda x: f(x + u)

    def shift_derivative(f):
        return lambda x: tangent_of(lambda u: shifted(u)(f)(x))(0.0)

    expected = math.exp(1.0)
    twice = shift_derivative(shift_derivative(fm.exp))
    assert twice(1.0) == pytest.approx(expected, rel=1e-15)
    assert shift_derivative(twice)(1.0) == pytest.approx(expected, rel=1e-15)


def test_tangent_in_gradient_in_tangent():
    def inner(x, y):
        return jvp(lambda z: fm.sin(z * x) * y, (y,), (x,))[1]         # x^2 y cos(x y)

    def middle(x):
        return grad(lambda y: inner(x, y))(2.0 * x)                    # x^2 (cos(2x^2) - 2x^2 sin(2x^2))

    value, tangent = jvp(middle, (0.7,), (3.0,))
    u = 2.0 * 0.7**2
    assert value == pytest.approx(0.49 * (math.cos(u) - u * math.sin(u)), rel=1e-14)
    slope = 1.4 * (math.cos(u) - u * math.sin(u)) + 0.49 * 4.0 * 0.7 * (-2.0 * math.sin(u) - u * math.cos(u))
    assert tangent == pytest.approx(3.0 * slope, rel=1e-14)


def test_inner_functions_of_outer_values_only():
    assert grad(lambda x: x * grad(lambda y: x * x)(1.0) + x)(3.0) == 1.0
    assert grad(lambda x: value_and_grad(lambda y: x * x)(1.0)[0])(3.0) == 6.0
    assert grad(lambda x: jvp(lambda y: x * x, (x,), (1.0,))[0])(3.0) == 6.0
    assert grad(lambda x: jvp(lambda y: (x, y * x), (1.0,), (x,))[1][1])(3.0) == 6.0
    assert grad(lambda x: jvp(lambda y: (5.0, x, y), (1.0,), (x,))[1][1] + x)(3.0) == 1.0
    assert grad(lambda x: vjp(lambda y: x, x * x)[1](x)[0] + x)(3.0) == 1.0
    assert grad(lambda x: hessian(lambda y: x)(x) + x)(3.0) == 1.0


def test_stop_gradient_stops_every_level():
    assert grad(lambda x: x * grad(lambda y: y * y * stop_gradient(x))(x))(3.0) == 2.0 * 2.0 * 3.0 * 3.0
    assert grad(lambda x: grad(lambda y: stop_gradient(y) * y * x)(x))(3.0) == 3.0
    assert grad(grad(lambda x: stop_gradient(x) ** 3 * x))(2.0) == 0.0


# Gradients in loops

def test_gradient_through_descent_steps():
    """Loss (w - 1)^2 / 2 after two steps w -= r a (w - b) from w: w2 = b + (1 - r a)^2 (w - b)."""
    def loss(w, rate, b):
        for _ in range(2):
            w = w - rate * grad(lambda v: 0.5 * 3.0 * (v - b) ** 2)(w)
        return 0.5 * (w - 1.0) ** 2

    w, r, b = 2.0, 0.1, 0.5
    q = 1.0 - 3.0 * r
    error = b + q * q * (w - b) - 1.0
    by_w, by_r, by_b = grad(loss, (0, 1, 2))(w, r, b)
    assert by_w == pytest.approx(error * q * q, rel=1e-14)
    assert by_r == pytest.approx(error * 2.0 * q * -3.0 * (w - b), rel=1e-14)
    assert by_b == pytest.approx(error * (1.0 - q * q), rel=1e-14)
    assert hessian(loss)(w, r, b) == pytest.approx(q**4, rel=1e-14)


def test_meta_learning_of_a_regression():
    """MAML (Finn, Abbeel and Levine 2017): the initial weights before an inner step, in a loop over tasks."""
    tasks = [((0.5, 1.0), (1.5, -0.5)), ((-1.0, 0.3), (2.0, 0.8))]

    def inner_loss(p, task):
        return sum((fm.tanh(p["w"] * x) + p["b"] - y) ** 2 for x, y in task)

    def meta(p):
        total = 0.0
        for task in tasks:
            g = grad(inner_loss)(p, task)
            total += inner_loss({key: p[key] - 0.1 * g[key] for key in p}, task)
        return total

    gradient = grad(meta)({"w": 0.4, "b": -0.2})
    expected = {"w": 0.0, "b": 0.0}
    w, b = 0.4, -0.2
    for task in tasks:
        t = [math.tanh(w * x) for x, _ in task]
        e = [ti + b - y for ti, (_, y) in zip(t, task, strict=True)]
        s = [x * (1.0 - ti * ti) for ti, (x, _) in zip(t, task, strict=True)]
        # Hessian of the inner loss; the meta gradient is (1 - 0.1 H) times the gradient at the stepped point.
        h_ww = 2.0 * sum(si * si - 2.0 * ei * ti * si * x
                         for si, ei, ti, (x, _) in zip(s, e, t, task, strict=True))
        h_wb, h_bb = 2.0 * sum(s), 2.0 * len(task)
        w1 = w - 0.1 * 2.0 * sum(ei * si for ei, si in zip(e, s, strict=True))
        b1 = b - 0.1 * 2.0 * sum(e)
        e1 = [math.tanh(w1 * x) + b1 - y for x, y in task]
        g_w = 2.0 * sum(ei * x / math.cosh(w1 * x) ** 2 for ei, (x, _) in zip(e1, task, strict=True))
        g_b = 2.0 * sum(e1)
        expected["w"] += g_w - 0.1 * (h_ww * g_w + h_wb * g_b)
        expected["b"] += g_b - 0.1 * (h_wb * g_w + h_bb * g_b)
    assert gradient == pytest.approx(expected, rel=1e-13)


def test_newton_iteration_of_gradients():
    """The minimum of exp(y) - x y is log x, and its derivative 1 / x."""
    def argmin(x):
        y = 0.5
        for _ in range(8):
            def f(z):
                return fm.exp(z) - x * z
            y = y - grad(f)(y) / hessian(f)(y)
        return y

    value, slope = value_and_grad(argmin)(3.0)
    assert value == pytest.approx(math.log(3.0), rel=1e-15) and slope == pytest.approx(1.0 / 3.0, rel=1e-14)
    assert grad(grad(argmin))(3.0) == pytest.approx(-1.0 / 9.0, rel=1e-13)


# Closures that outlive their level

def test_vjp_fun_from_outside_with_an_active_cotangent():
    (_, _), vjp_fun = vjp(lambda x, y: (x * y, fm.sin(x)), 2.0, 3.0)
    assert grad(lambda w: vjp_fun((w * w, 0.0))[0])(5.0) == 30.0
    twice = 2.0 * (3.0 + math.cos(2.0))
    assert grad(lambda w: vjp_fun((w, w))[0] * w)(1.0) == pytest.approx(twice, rel=1e-15)
    assert grad(grad(lambda w: vjp_fun((w**3, 1.0))[1]))(1.0) == 12.0
    assert vjp_fun((1.0, 0.0)) == (3.0, 2.0)


def test_jvp_fun_from_outside_with_active_tangents():
    _, jvp_fun = linearize(lambda x, y: x * y, 2.0, 3.0)
    assert grad(lambda t: jvp_fun(t * t, t))(5.0) == 32.0
    assert jvp(lambda t: jvp_fun(t, 1.0), (4.0,), (1.0,)) == (14.0, 3.0)
    assert jvp_fun(1.0, 1.0) == 5.0


def test_closures_from_outside_with_plain_numbers_inside():
    _, vjp_fun = vjp(lambda x: x**3, 2.0)
    assert grad(lambda x: x * vjp_fun(1.0)[0])(7.0) == 12.0


def test_closures_made_inside_and_called_inside():
    def f(x):
        _, vjp_fun = vjp(lambda y: y * y * x, x)
        _, jvp_fun = linearize(lambda y: y * y * x, x)
        z = x * 1.0
        return vjp_fun(z)[0] + vjp_fun(1.0)[0] + jvp_fun(z)

    assert value_and_grad(f)(3.0) == (54.0 + 18.0 + 54.0, 54.0 + 12.0 + 54.0)


def test_closures_called_deeper_than_they_were_made():
    def f(x):
        _, vjp_fun = vjp(lambda y: y * y * x, x)
        _, jvp_fun = linearize(lambda y: y * y * x, x)
        return grad(lambda z: vjp_fun(z)[0] * z)(x) + tangent_of(lambda z: jvp_fun(z) * z)(x)

    assert value_and_grad(f)(3.0) == (2.0 * 4.0 * 27.0, 2.0 * 12.0 * 9.0)


def test_closures_made_inside_and_called_later():
    kept = []

    def f(x):
        kept.append(vjp(lambda y: y * y * x, 2.0)[1])
        kept.append(linearize(lambda y: y * y * x, 2.0)[1])
        return x * x

    assert grad(f)(3.0) == 6.0
    assert [kept[0](1.0), kept[1](1.0)] == [(12.0,), 12.0]
    assert grad(lambda w: w * kept[0](w)[0])(1.0) == 24.0
    assert [kept[0](1.0), kept[1](1.0)] == [(12.0,), 12.0]


def test_values_that_outlive_their_trace_are_refused():
    kept = []
    grad(lambda x: kept.append(x) or x * x)(3.0)
    with pytest.raises(fastad.TraceError):
        kept[0] + 1.0
    with pytest.raises(fastad.TraceError):
        grad(lambda x: x * kept[0])(1.0)
    with pytest.raises(fastad.TraceError):
        grad(lambda x: kept[0])(1.0)
    with pytest.raises(fastad.TraceError):
        vjp(fm.sin, 1.0)[1](kept[0])


def test_inner_values_are_ordinary_outer_values():
    def f(x):
        kept = []
        inner = grad(lambda y: kept.append(y * x) or y**3)(x)
        return inner + kept[0]

    assert value_and_grad(f)(2.0) == (16.0, 16.0)


def test_aux_stays_differentiable_in_the_outer_trace():
    def f(x):
        gradient, aux = grad(lambda y: (y**2 * x, {"cube": [y**3, "text"]}), has_aux=True)(x)
        (_, more), _ = value_and_grad(lambda y: (y, y * x), has_aux=True)(2.0)
        return gradient * aux["cube"][0] + more

    assert value_and_grad(f)(2.0) == (2.0 * 2.0**5 + 4.0, 10.0 * 2.0**4 + 2.0)
    assert grad(grad(f))(2.0) == 40.0 * 2.0**3


def test_nothing_is_left_after_an_exception():
    def raising(x):
        raise ZeroDivisionError

    def f(x):
        try:
            grad(lambda y: raising(y * x))(x)
        except ZeroDivisionError:
            return x * grad(lambda y: y * x)(x)

    assert grad(f)(3.0) == 6.0
    with pytest.raises(ZeroDivisionError):
        grad(grad(raising))(1.0)
    assert grad(f)(3.0) == 6.0 and not fastad.core.scalar.tracing()


# Higher orders

def test_hessian_in_gradient():
    def trace_of_hessian(x, y):
        h = hessian(lambda a, b: fm.exp(a * b) + a**3, (0, 1))(x, y)
        return h[0][0] + h[1][1]

    x, y = 0.5, -0.8
    e = math.exp(x * y)
    assert trace_of_hessian(x, y) == pytest.approx((y * y + x * x) * e + 6.0 * x, rel=1e-14)
    assert grad(trace_of_hessian, (0, 1))(x, y) == pytest.approx(
        (2.0 * x * e + (x * x + y * y) * y * e + 6.0, 2.0 * y * e + (x * x + y * y) * x * e), rel=1e-14)
    assert grad(lambda a: hvp(lambda b: b**4, (a,), (a,)))(2.0) == 12.0 * 3 * 4.0


@pytest.mark.parametrize("order", list(itertools.product((0, 1), repeat=4)))
def test_mixed_partials_to_fourth_order(order):
    """sin(a x + b y): each derivative brings a factor a or b, in any order of differentiation."""
    def f(x, y):
        return fm.sin(2.0 * x + 3.0 * y)

    def forward(g, argument):
        return lambda x, y: jvp(g, (x, y), (1.0 - argument, 1.0 * argument))[1]

    for k, argument in enumerate(order):
        f = (forward, grad)[k % 2](f, argument)
    expected = math.sin(1.8) * 2.0 ** (4 - sum(order)) * 3.0 ** sum(order)
    assert f(0.3, 0.4) == pytest.approx(expected, rel=1e-13)


def test_seventh_derivative_of_a_polynomial():
    f = lambda x: x**7 / 5040.0 + x**6 + x**2  # noqa: E731
    for _ in range(7):
        f = grad(f)
    assert f(1.3) == pytest.approx(1.0, rel=1e-13)


# Cost

def circuit(length):
    def f(x):
        y = x
        for k in range(length):
            y = fm.sin(y) * x + 0.5 * y if k % 2 else fm.tanh(y) / (2.0 + x)
        return y
    return f


COSTS = {
    "f": (lambda f: f, 1.0),
    "grad": (grad, 3.5),
    "tangent": (tangent_of, 3.5),
    "grad grad": (lambda f: grad(grad(f)), 12.0),
    "tangent grad": (lambda f: tangent_of(grad(f)), 12.0),
    "grad tangent": (lambda f: grad(tangent_of(f)), 12.0),
    "grad grad grad": (lambda f: grad(grad(grad(f))), 36.0),
    "tangent grad tangent": (lambda f: tangent_of(grad(tangent_of(f))), 36.0),
}


@pytest.mark.parametrize("name", COSTS)
def test_the_tape_grows_linearly(name):
    """One more level multiplies the tape by at most 3.5 for this circuit, whatever its length."""
    outer, most = COSTS[name]
    lengths = [100, 200, 400, 800]
    plain = [len(fastad.trace(circuit(n), 0.4)) for n in lengths]
    sizes = [len(fastad.trace(outer(circuit(n)), 0.4)) for n in lengths]
    slopes = np.diff(sizes) / np.diff(plain)
    assert slopes == pytest.approx([slopes[0]] * 3, rel=1e-12) and slopes[0] <= most
    assert abs(sizes[0] - slopes[0] * plain[0]) < 6.0 * slopes[0]


def test_gradients_in_a_loop_stay_linear():
    """An inner sweep covers its own stretch of the tape, not what is before it."""
    def f(x, n):
        for _ in range(n):
            x = x - 0.1 * grad(lambda y: fm.sin(y) * y)(x)
        return x

    sizes = [len(fastad.trace(lambda x, n=n: f(x, n), 0.4)) for n in (50, 100, 200)]
    assert sizes[2] - sizes[1] == 2 * (sizes[1] - sizes[0]) and sizes[2] < 200 * 25
