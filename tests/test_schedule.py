"""Schedules: with any pass switched off the same values to the bit and the same derivatives, and the eager run's."""

import math
import random

import branching_programs
import numpy as np
import programs
import pytest
from threaded import in_threads

import fastad
import fastad.math as fm
from fastad.core import schedule
from fastad.elementals import apply
from fastad.table import ELEMENTARY, SPECIAL

PASSES = ("constants", "common", "dead", "chains", "runs")


@pytest.fixture(autouse=True)
def every_path_is_scheduled():
    before = schedule.switch(least=1, mean=0.0)
    yield
    schedule.switch(**before)


@pytest.fixture(params=(None, *PASSES), ids=lambda name: f"no_{name}" if name else "all_passes")
def passes(request):
    """Switches one pass off."""
    before = schedule.switch(**({request.param: False} if request.param else {}))
    yield request.param
    schedule.switch(**before)


def same(x, y):
    return np.array_equal(np.asarray(x, float).view(np.uint64), np.asarray(y, float).view(np.uint64))


def close(x, y):
    np.testing.assert_allclose(np.asarray(x, float), np.asarray(y, float), rtol=1e-11, atol=1e-12)


def scheduled(F):
    """Whether every path of a program has a schedule; it is made at the second replay."""
    return F.stats["scheduled"] == F.stats["instructions"] > 0


def assert_replayed(f, *points, argnums=0):
    """Values of f's program are f's to the bit, gradients those of an eager run."""
    F = fastad.record(f)
    for _ in range(3):
        for point in points:
            value, gradient = F.value_and_grad(*point, argnums=argnums)
            eager_value, eager = fastad.value_and_grad(f, argnums)(*point)
            assert same(value, eager_value) and same(F(*point), eager_value)
            for found, expected in zip(fastad.pytrees.flatten(gradient)[0], fastad.pytrees.flatten(eager)[0]):
                close(found, expected)
    assert scheduled(F)
    return F


@pytest.mark.parametrize("seed", range(8))
def test_random_programs(seed, passes):
    f, point = programs.draw(seed, n=4, steps=60)
    other = tuple(x * 1.01 for x in point)
    assert_replayed(f, point, other, argnums=(0, 1, 2, 3))


@pytest.mark.parametrize("seed", range(4))
def test_several_results(seed, passes):
    f, point = programs.draw(seed + 100, n=3, steps=50, m=4)
    f.outputs = [*f.outputs, 1, f.outputs[0]]             # an input among them, and one twice
    F = fastad.record(f)
    for _ in range(3):
        assert same(F(*point), f(*point))
        value, back = F.vjp(*point)
        weights = (0.5, -1.0, 0.25, 2.0, 3.0, 0.0)
        close(back(weights), fastad.vjp(f, *point)[1](weights))
        close(F.jvp(point, (1.0, -0.5, 2.0))[1], fastad.jvp(f, point, (1.0, -0.5, 2.0))[1])
        for mode in ("forward", "reverse"):
            close(F.jacobian(*point, argnums=(0, 1, 2), mode=mode), fastad.jacobian(f, (0, 1, 2))(*point))
    assert scheduled(F)


@pytest.mark.parametrize("seed", range(4))
def test_second_order(seed, passes):
    f, point = programs.draw(seed + 200, n=3, steps=30)
    F = fastad.record(f)
    for _ in range(3):
        assert same(F(*point), f(*point))
        close(F.hessian(*point, argnums=(0, 1, 2)), fastad.hessian(f, (0, 1, 2))(*point))
        close(F.hvp(point, (1.0, 0.5, -2.0)), fastad.hvp(f, point, (1.0, 0.5, -2.0)))
    assert scheduled(F)


@pytest.mark.parametrize("seed", range(6))
def test_special_rows(seed, passes):
    rows = [op for op in SPECIAL if op.arity <= 4 and all(d is not None for d in op.partials.values())]
    draw = random.Random(seed)
    chosen = [(op.name, [_inside(op, k, draw) for k in range(op.arity)]) for op in draw.sample(rows, 12)]

    def f(x):
        total = 0.0
        for name, operands in chosen:
            moved = [operand + 0.001 * x if type(operand) is float else operand for operand in operands]
            total = total + apply(name, *moved)
        return total

    eager, gradient = fastad.value_and_grad(f)(0.5)
    F = fastad.record(f)
    for _ in range(3):
        value, slope = F.value_and_grad(0.5)
        assert same(value, eager)
        close(slope, gradient)


def _inside(op, k, draw):
    low, high = max(op.domain[k][0], -2.0), min(op.domain[k][1], 2.5)
    return draw.randint(1, 3) if k in op.order else draw.uniform(low + 0.2 * (high - low), high - 0.2 * (high - low))


@pytest.mark.parametrize("seed", range(12))
def test_programs_that_decide(seed):
    f = branching_programs.function([random.Random(seed).random() for _ in range(6)])
    F = fastad.record(f)
    for _ in range(2):
        for v, s in branching_programs.points(seed, 6):
            value, gradient = F.value_and_grad(v.copy(), s, argnums=(0, 1))
            expected, eager = fastad.value_and_grad(f, (0, 1))(v.copy(), s)
            close(value, expected)
            close(gradient[0], eager[0])
            close(gradient[1], eager[1])


def deciding(v, s):
    total = s
    for k in range(len(v)):
        u = v[k] * s
        if u > 0.3:
            total = total + fm.sin(u)
        elif u < -0.3:
            total = total - u * v[k - 1]
        else:
            total = total * v[k]
    return total


def test_guards_in_scheduled_paths(passes):
    draw = np.random.default_rng(3)
    F = fastad.record(deciding)
    for _ in range(120):
        v, s = draw.normal(size=4), float(draw.normal())
        value, gradient = F.value_and_grad(v, s, argnums=(0, 1))
        expected, eager = fastad.value_and_grad(deciding, (0, 1))(v, s)
        assert same(value, expected) and same(F(v, s), deciding(v, s))
        close(gradient[0], eager[0])
        close(gradient[1], eager[1])
    assert F.stats["scheduled"] > 0 and F.stats["eager"] == []


def test_a_rounding_is_a_guard(passes):
    def f(x, y):
        return sum(x * k * y for k in range(1, 2 + int(x))) + round(y, 1)

    F = fastad.record(f)
    for x, y in [(2.5, 0.31), (2.6, 0.32), (2.7, 0.29), (4.5, 0.3), (2.5, 0.31), (4.4, 0.3)] * 3:
        assert same(F(x, y), f(x, y))
        close(F.grad(x, y), fastad.grad(f)(x, y))


def layers(weights, biases, x):
    values = [x[i] for i in range(len(x))]
    for w, b in zip(weights, biases):
        rows = []
        for j in range(len(b)):
            total = b[j]
            for i in range(len(values)):
                total = total + w[j][i] * values[i]
            rows.append(fm.tanh(total))
        values = rows
    return sum(values)


@pytest.mark.parametrize("as_lists", [False, True])
def test_a_network(passes, as_lists):
    draw = np.random.default_rng(1)
    sizes = (5, 9, 4, 1)
    weights = [draw.normal(size=(m, n)) for n, m in zip(sizes, sizes[1:])]
    biases = [draw.normal(size=m) for m in sizes[1:]]
    x = draw.normal(size=sizes[0])
    if as_lists:
        weights, biases, x = [w.tolist() for w in weights], [b.tolist() for b in biases], x.tolist()
    F = assert_replayed(layers, (weights, biases, x), argnums=(0, 1, 2))
    if passes is None:
        assert F.stats["runs"] < 15


def test_orders_of_additions_stay(passes):
    def f(x, y, z):
        forms = [x * y + z * x, z * x + (x * y + 1e16), (x + y) + (z + x), ((x + 1e16) + y) - 1e16, -0.0 + x * 0.0,
                 (x * y + z) + (z * y + x), x * y + x * y, (x * x + y) * (x * x + y), y + x + z * x + z * y + 0.0,
                 x + (y + (z + (x + y))), x * (y * 1.0) / 1.0 - 0.0, -(-x) + -0.0, x * x + (y * y + (z * z + 1.0)),
                 (x * y) * (x * y) + x * y]
        total = 0.0
        for k, form in enumerate(forms):
            total = total + form * (1.0 + k)
        return (*forms, total)

    F = fastad.record(f)
    for point in [(0.1, 0.7, -1e-3), (-0.0, 0.0, 1e300), (1.0 / 3.0, 1e-16, 1e16), (0.1, 0.7, -1e-3)]:
        assert same(F(*point), f(*point))
        assert same(F(*point), f(*point))
        close(F.vjp(*point)[1]((1.0,) * 15), fastad.vjp(f, *point)[1]((1.0,) * 15)) if point[2] < 1.0 else None
    assert scheduled(F)


def test_results_that_are_inputs_or_constants(passes):
    def f(x, v):
        y = x * 2.0
        return x, v[1], 3.0, y * 1.0, y + v[0], 0.5 * 4.0

    F = fastad.record(f)
    for _ in range(3):
        assert same(F(1.5, np.array([2.0, -0.0])), (1.5, -0.0, 3.0, 3.0, 5.0, 2.0))
        value, back = F.vjp(1.5, np.array([2.0, -0.0]))
        x, v = back((1.0, 10.0, 0.0, 100.0, 1000.0, 0.0))
        assert x == 2201.0 and v.tolist() == [1000.0, 10.0]
    assert scheduled(F)


@pytest.mark.parametrize("special", [math.nan, math.inf, -math.inf, 0.0, -0.0])
def test_infinity_and_nan(passes, special):
    draw = np.random.default_rng(4)
    w, x = draw.normal(size=(8, 6)), draw.normal(size=6)
    for place in range(6):
        x[place] = special
        v = w.copy()
        v[3, place] = 0.0

        def f(w, x):
            return sum(fm.tanh(sum(w[j, i] * x[i] for i in range(6))) for j in range(8))

        F = fastad.record(f)
        for _ in range(3):
            (value, gradient), (expected, eager) = F.value_and_grad(v, x, argnums=(0, 1)), fastad.value_and_grad(f, (0, 1))(v, x)
            assert np.array_equal(value, expected, equal_nan=True)
            for found, wanted in zip(gradient, eager):
                np.testing.assert_allclose(found, wanted, rtol=1e-11, atol=1e-12, equal_nan=True)
        x[place] = 1.0


def test_zero_wins(passes):
    def f(x, y):
        masked = [fm.sqrt(x - k) * 0.0 + y * x for k in range(12)]      # sqrt of zero at x = 1: its slope is infinite
        return sum(masked) + sum(fm.log(y) * 0.0 for _ in range(12))

    F = fastad.record(f)
    for _ in range(3):
        with np.errstate(all="ignore"):
            found, expected = F.grad(12.0, 0.0, argnums=(0, 1)), fastad.grad(f, (0, 1))(12.0, 0.0)
        assert np.array_equal(found, expected, equal_nan=True)


def test_paths_with_array_instructions_stay_as_they_are():
    table, x = np.arange(1.0, 7.0), np.linspace(0.5, 1.0, 6)

    def f(x):
        return sum(np.multiply(table, x)[k] * x[k] for k in range(6))

    def g(x):
        x[2] = x[1] * x[0]
        return sum(x[k] * x[k] for k in range(6))

    for function in (f, g):
        F = fastad.record(function)
        for _ in range(3):
            close(F.grad(x.copy()), fastad.grad(function)(x.copy()))
        assert F.stats["scheduled"] == 0
    table[2] = -8.0
    F = fastad.record(f)
    close(F.grad(x), fastad.grad(f)(x))


def test_other_types_of_arrays():
    x = np.linspace(0.1, 1.0, 4)
    for kind in (np.float64, np.float32):
        F = fastad.record(lambda x, y: sum(x[i] * y for i in range(4)))
        for _ in range(3):
            value, gradient = F.value_and_grad(x.astype(kind), 0.5, argnums=(0, 1))
            assert gradient[0].dtype == kind
            close(gradient[0], np.full(4, 0.5))


def test_long_sums_and_chains(passes):
    def f(x, y):
        total, power = x, y
        for k in range(3000):
            total = total + y
        for _ in range(9000):
            power = power * 0.999 + x
        return total * power

    assert_replayed(f, (0.3, 0.2), argnums=(0, 1))


def test_a_chain_keeps_the_interpreter():
    schedule.switch(least=300, mean=4.0)

    def f(x, y):
        for _ in range(40_000):
            x = x + 1e-3 * y
            y = y - 1e-3 * x
        return x * y

    F = fastad.record(f)
    for _ in range(3):
        assert same(F(0.3, 0.2), f(0.3, 0.2))
    assert F.stats["scheduled"] == 0


def test_short_paths_keep_the_interpreter():
    schedule.switch(least=300, mean=4.0)
    F = fastad.record(lambda x: x * x + 1.0)
    for _ in range(3):
        F(2.0)
    assert F.stats["scheduled"] == 0


def test_what_passes_take_away():
    def f(x, y):
        return (x * y) * (y * x) + (x * 1.0) * y - fm.sin(x) * 0.0 + sum(x * k for k in range(5))

    F = fastad.record(f)
    for _ in range(3):
        F(0.5, 0.7)
    [path] = [code for paths in F._paths.values() for code in paths.codes]
    assert path.schedule.passes["constants"] >= 1 and path.schedule.passes["common"] >= 2 and path.schedule.passes["joined"] >= 5
    assert path.schedule.instructions < path.n


def test_every_elementary_row(passes):
    for op in ELEMENTARY:
        points = [[_inside(op, k, random.Random(seed)) for k in range(op.arity)] for seed in range(40)]
        F = fastad.record(lambda *xs, name=op.name: sum(apply(name, *xs[k:k + op.arity]) * (1.0 + k)
                                                        for k in range(0, len(xs), op.arity)))
        flat = [float(x) for point in points for x in point]
        wanted = fastad.value_and_grad(F._f, tuple(range(len(flat))))(*flat)
        for _ in range(3):
            value, gradient = F.value_and_grad(*flat, argnums=tuple(range(len(flat))))
            assert same(value, wanted[0]), op.name
            np.testing.assert_allclose(gradient, wanted[1], rtol=1e-9, atol=1e-12, err_msg=op.name)


def test_explaining_and_files(tmp_path):
    draw = np.random.default_rng(2)
    w, x = draw.normal(size=(4, 3)), draw.normal(size=3)

    def f(w, x):
        return sum(fm.tanh(sum(w[j, i] * x[i] for i in range(3))) for j in range(4))

    F = fastad.record(f)
    for _ in range(3):
        F.value_and_grad(w, x)
    assert scheduled(F)
    rows = F.explain(w, x).rows
    assert rows[-1].value == f(w, x)
    F.save(tmp_path / "f.fastad")
    G = fastad.load(tmp_path / "f.fastad")
    for _ in range(3):
        assert same(G(w, x), f(w, x))
        close(G.hvp((w, x), (w, x))[0], fastad.hvp(f, (w, x), (w, x))[0])


def test_many_threads():
    draw = np.random.default_rng(5)
    points = [(draw.normal(size=4), float(draw.normal())) for _ in range(30)]
    expected = [fastad.value_and_grad(deciding)(*point) for point in points]
    F = fastad.record(deciding)

    def work(seed):
        order = list(range(len(points)))
        for _ in range(20):
            random.Random(seed).shuffle(order)
            for k in order:
                value, gradient = F.value_and_grad(*points[k])
                assert value == expected[k][0] and np.allclose(gradient, expected[k][1], rtol=1e-10, atol=1e-12)

    in_threads(6, work)
    assert F.stats["scheduled"] > 0
