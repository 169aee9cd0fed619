"""Identities of random programs: transposition, symmetry, forward = reverse, recorded = numeric."""

import itertools
import math
import random

import numpy as np
import programs
import pytest
from programs import DIFFERENTIABLE, SMOOTH, draw

import fastad
from fastad import checking, stop_gradient
from fastad import math as fm
from fastad.core import sweeps

SEEDS = range(60)


def close(a, b, scale=None, tolerance=1e-10):
    """Agreement relative to the size of the terms that were added, or of the results where none is given."""
    a, b = np.asarray(a, float), np.asarray(b, float)
    assert np.isfinite(a).all() and np.isfinite(b).all()
    scale = np.abs(a).max() if scale is None else scale
    np.testing.assert_allclose(a, b, rtol=0.0, atol=tolerance * max(scale, 1e-30))


def directions(seed, n):
    numbers = random.Random(seed + 10_000)
    return tuple(numbers.uniform(-1.0, 1.0) for _ in range(n))


@pytest.fixture(params=SEEDS, scope="module")
def scalar_case(request):
    """A scalar program, a point and a direction; every second one with rows that have kinks."""
    program, x = draw(request.param, rows=DIFFERENTIABLE if request.param % 2 else SMOOTH)
    return program, x, directions(request.param, program.n)


@pytest.fixture(params=SEEDS, scope="module")
def vector_case(request):
    program, x = draw(request.param + 1000, n=3 + request.param % 3, m=2 + request.param % 4,
                      rows=DIFFERENTIABLE if request.param % 2 else SMOOTH)
    return program, x, directions(request.param, program.n)


# Products with the Jacobian

def test_transposed(vector_case):
    f, x, t = vector_case
    values, tangent = fastad.jvp(f, x, t)
    _, vjp_fun = fastad.vjp(f, *x)
    w = directions(len(values), len(values))
    adjoints = vjp_fun(w)
    forward, backward = np.multiply(w, tangent), np.multiply(adjoints, t)
    close(forward.sum(), backward.sum(), np.abs(forward).sum() + np.abs(backward).sum())


def test_forward_and_reverse_give_one_jacobian(vector_case):
    f, x, t = vector_case
    positions = tuple(range(f.n))
    forward = np.array(fastad.jacobian(f, positions, mode="forward")(*x))
    reverse = np.array(fastad.jacobian(f, positions, mode="reverse")(*x))
    close(forward, reverse)
    _, tangent = fastad.jvp(f, x, t)
    close(forward @ t, tangent, np.abs(forward).max())


def test_closures_give_what_the_transforms_give(vector_case):
    f, x, t = vector_case
    values, tangent = fastad.jvp(f, x, t)
    same_values, jvp_fun = fastad.linearize(f, *x)
    also_same, vjp_fun = fastad.vjp(f, *x)
    assert values == same_values == also_same == f(*x)
    assert jvp_fun(*t) == tangent == jvp_fun(*t)
    w = (1.0,) + (0.0,) * (len(values) - 1)
    first_row = fastad.grad(lambda *args: f(*args)[0], tuple(range(f.n)))(*x)
    assert vjp_fun(w) == first_row == vjp_fun(w)


def test_closures_are_linear_where_they_are_called(vector_case):
    """The gradients of <w^T J, t> by w and <w, J t> by t, recorded on another tape than the closures' own."""
    f, x, t = vector_case
    values, jvp_fun = fastad.linearize(f, *x)
    _, vjp_fun = fastad.vjp(f, *x)
    w = directions(len(values), len(values))
    by_w = fastad.grad(lambda w: sum(a * b for a, b in zip(vjp_fun(w), t, strict=True)))(w)
    by_t = fastad.grad(lambda t: sum(a * b for a, b in zip(jvp_fun(*t), w, strict=True)))(t)
    close(jvp_fun(*t), by_w, np.abs(vjp_fun(w)).max() + np.abs(by_w).max())
    close(vjp_fun(w), by_t)


# Second derivatives

def test_hessian_is_symmetric(scalar_case):
    f, x, t = scalar_case
    hessian = np.array(fastad.hessian(f, tuple(range(f.n)))(*x))
    close(hessian, hessian.T)
    close(hessian @ t, fastad.hvp(f, x, t), np.abs(hessian).max())


@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_recorded_second_derivatives_are_the_numeric_ones(scalar_case, mode):
    f, x, _ = scalar_case
    positions = tuple(range(f.n))
    numeric = np.array(fastad.hessian(f, positions)(*x))
    recorded = np.array(fastad.jacobian(fastad.grad(f, positions), positions, mode=mode)(*x))
    close(numeric, recorded)


def test_recorded_gradient_is_the_numeric_one(scalar_case):
    f, x, t = scalar_case
    positions = tuple(range(f.n))
    gradient = fastad.grad(f, positions)
    numeric = gradient(*x)
    recorded, product = fastad.jvp(gradient, x, t)
    close(numeric, recorded, tolerance=1e-12)
    close(product, fastad.hvp(f, x, t))


def test_recorded_tangent_is_the_numeric_one(scalar_case):
    f, x, t = scalar_case
    _, tangent = fastad.jvp(f, x, t)
    (_, recorded), (_, second) = fastad.jvp(lambda *y: fastad.jvp(f, y, t), x, t)
    size = np.abs(fastad.grad(f, tuple(range(f.n)))(*x)).sum()
    close(tangent, recorded, size, 1e-12)
    hessian = np.array(fastad.hessian(f, tuple(range(f.n)))(*x))
    close(second, np.dot(hessian @ t, t), np.abs(hessian).sum())


def test_third_derivatives_in_any_order_of_sweeps(scalar_case):
    f, x, t = scalar_case
    positions = tuple(range(f.n))

    def along(g):
        return lambda *y: fastad.jvp(g, y, t)[1]

    forward = fastad.grad(along(along(f)), positions)(*x)
    reverse = along(along(fastad.grad(f, positions)))(*x)

    def curvature(*y):
        return sum(a * b for a, b in zip(fastad.hvp(f, y, t), t, strict=True))

    mixed = fastad.grad(curvature, positions)(*x)
    close(forward, reverse, tolerance=1e-9)
    close(forward, mixed, tolerance=1e-9)


# Sweeps

def test_forward_sweep_computes_the_eager_values_bit_for_bit(scalar_case):
    program, x, t = scalar_case
    inputs = []

    def f(*actives):
        inputs.extend(actives)
        return program(*actives)

    elsewhere = [a + 0.01 * b for a, b in zip(x, t, strict=True)]
    tape, moved = fastad.trace(f, *x), fastad.trace(program, *elsewhere)
    eager = tape.value.tobytes()
    sweeps.forward(tape, inputs[:program.n], elsewhere)
    assert tape.value.tobytes() == moved.value.tobytes() != eager
    sweeps.forward(tape, inputs[:program.n], list(x))
    assert tape.value.tobytes() == eager


def test_active_values_are_the_plain_ones(scalar_case):
    f, x, _ = scalar_case
    value, _ = fastad.value_and_grad(f)(*x)
    assert value == f(*x)


# Differences

@pytest.mark.parametrize("seed", range(6))
def test_differences_of_random_programs(seed):
    program, x = draw(seed, n=3, steps=15, m=1 + seed % 2)
    assert fastad.check_derivatives(program, *x) is None


def wrong(x, amount):
    """x with a derivative that is off by `amount` (relative)."""
    return x * (1.0 - amount) + stop_gradient(x) * amount


@pytest.mark.parametrize("row", ["sin", "multiply", "exp", "arctan2"])
@pytest.mark.parametrize("amount", [1e-4, -1e-2])
def test_differences_find_a_wrong_rule(monkeypatch, row, amount):
    apply, found = programs.apply, 0

    def patched(name, *operands):
        return wrong(apply(name, *operands), amount) if name == row else apply(name, *operands)

    for seed in range(100):
        program, x = draw(seed, n=2, steps=6)
        gradient = np.array(fastad.grad(program, (0, 1))(*x))
        with monkeypatch.context() as patch:
            patch.setattr(programs, "apply", patched)
            change = np.abs(np.array(fastad.grad(program, (0, 1))(*x)) - gradient)
            if (change > 0.1 * abs(amount) * np.maximum(np.abs(gradient), 1e-3)).any():
                with pytest.raises(AssertionError, match="first derivative"):
                    fastad.check_derivatives(program, *x, order=1)
                found += 1
    assert found >= 4


@pytest.mark.parametrize("scale", [1e-8, 1e-3, 1e3, 1e8])
@pytest.mark.parametrize("size", [1e-8, 1.0, 1e8])
def test_differences_at_every_scale(scale, size):
    def f(x):
        u = x / scale
        return size * fm.sin(u) * fm.exp(u)

    for u in (0.0, 0.7, -1.3):
        assert fastad.check_derivatives(f, u * scale) is None
        with pytest.raises(AssertionError):
            fastad.check_derivatives(lambda x: f(wrong(x, 1e-4)), u * scale, order=1)


def test_what_the_differences_say():
    def first(p, q):
        return {"a": p["w"][0] * q, "b": [fm.sin(q * p["b"]), stop_gradient(p["w"][1]) * p["w"][1]]}

    with pytest.raises(AssertionError) as error:
        fastad.check_derivatives(first, {"w": [1.0, 2.0], "b": 0.3}, -2.0)
    assert str(error.value).startswith(
        "first derivative (jvp) of first, result['b'][1], by argument 0['w'][1]: fastad gives 2.0, "
        "differences give 4.0 (off by 2, relative 0.5), at {'w': ")

    def second(x):
        z = stop_gradient(x)
        return z * z + 2.0 * z * (x - z)

    assert fastad.check_derivatives(second, 1.5, order=1) is None
    with pytest.raises(AssertionError, match=r"second derivative \(jvp of grad\) of second by argument 0"):
        fastad.check_derivatives(second, 1.5)

    def third(x, y):
        z = stop_gradient(x)
        return y * (z**3 + 3.0 * z * z * (x - z) + 3.0 * z * (x - z) ** 2)

    assert fastad.check_derivatives(third, 1.5, 2.0, order=2) is None
    with pytest.raises(AssertionError, match="third derivative .* by argument 0 and argument 0: "):
        fastad.check_derivatives(third, 1.5, 2.0, order=3)


@pytest.mark.parametrize("transform, label", [("jvp", "jvp"), ("vjp", "grad"), ("hvp", "hvp")])
def test_differences_tell_the_modes_apart(monkeypatch, transform, label):
    right = getattr(checking, transform)

    def patched(*arguments):
        result = right(*arguments)
        if transform == "hvp":
            return 1.01 * result
        return result[0], 1.01 * result[1] if transform == "jvp" else lambda w: right(*arguments)[1](1.01 * w)

    monkeypatch.setattr(checking, transform, patched)
    with pytest.raises(AssertionError, match=rf"derivative \({label}\) of sin by argument 0"):
        fastad.check_derivatives(fm.sin, 0.7)


def test_differences_of_many_inputs_name_the_wrong_one():
    def f(x):
        return sum(fm.sin(a * b) for a, b in itertools.pairwise(x)) + 0.01 * stop_gradient(x[7])

    x = [0.01 * k + 0.3 for k in range(30)]
    with pytest.raises(AssertionError, match=r"by argument 0\[7\]: "):
        fastad.check_derivatives(f, x)
    assert fastad.check_derivatives(lambda x: [a * b for a, b in itertools.pairwise(x)], x) is None


@pytest.mark.parametrize("f, x", [
    (fm.cos, 0.0), (fm.cos, 1e-8), (lambda x: 1.0 / x, 1e-8), (fm.sin, 1e8), (lambda x: 5.0, 0.3),
    (lambda x: x // 1.0, 0.3), (abs, 1e-5), (fm.log, 1e8), (lambda x: x**3, 0.0), (lambda x: 1e8 + x, 1.0),
    (fm.log, 1e-12), (np.tan, np.float64(1.5)), (lambda x: fm.sin(x) ** 2 + fm.cos(x) ** 2, 0.7),
])
def test_no_false_alarm(f, x):
    assert fastad.check_derivatives(f, x, order=3) is None


def test_differences_at_the_end_of_a_domain():
    with pytest.raises(AssertionError, match="differences give inf"):
        fastad.check_derivatives(fm.sqrt, 0.0)
    with pytest.raises(TypeError, match="argument 0.*int"):
        fastad.check_derivatives(fm.sin, 1)
    with pytest.raises(TypeError, match="str"):
        fastad.check_derivatives(lambda x: "text", 1.0)
    assert fastad.check_derivatives(lambda x: x, []) is None


# The samples

def test_the_samples_spread():
    values, gradients, curvatures, rows = [], [], [], set()
    for seed in SEEDS:
        program, x = draw(seed)
        value, gradient = fastad.value_and_grad(program, tuple(range(program.n)))(*x)
        values.append(value)
        gradients += gradient
        curvatures += list(np.ravel(fastad.hessian(program, tuple(range(program.n)))(*x)))
        rows |= program.rows()
    assert rows == {op.name for op in SMOOTH}
    assert np.std(values) > 1.0 and len(set(values)) == len(values)
    for numbers, share in ((gradients, 0.95), (curvatures, 0.8)):
        assert np.isfinite(numbers).all()
        assert np.mean(np.array(numbers) != 0.0) > share
        low, high = np.percentile(np.abs(numbers), (20, 80))
        assert 1e-3 < low < 0.3 * high and high < 1e3
        assert len(set(numbers)) > 0.5 * len(numbers) and min(numbers) < 0.0 < max(numbers)
    piecewise = set().union(*(draw(seed, rows=DIFFERENTIABLE)[0].rows() for seed in SEEDS))
    assert piecewise == {op.name for op in DIFFERENTIABLE}
    assert math.isfinite(sum(values))
