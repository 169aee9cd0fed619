"""Replays give what the eager transforms give, on random programs and at points that no path was recorded for."""

import array_programs
import branching_programs
import numpy as np
import programs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastad
from fastad.table import ELEMENTARY

RTOL, ATOL = 1e-12, 1e-13


def flat(tree):
    """Numbers and arrays of a nesting, as one array."""
    if isinstance(tree, (list, tuple)):
        return np.concatenate([flat(entry) for entry in tree]) if tree else np.zeros(0)
    return np.ravel(tree)


def close(actual, desired, scale=1.0):
    actual, desired = flat(actual), flat(desired)
    size = np.max(np.abs(desired), initial=1.0)
    np.testing.assert_allclose(actual, desired, scale * 1e2 * RTOL, scale * ATOL * size)


def compare(F, f, point, direction, hessian=False):
    """All transforms of F replayed, against the eager ones of f."""
    everything = tuple(range(len(point)))
    close(F.value_and_grad(*point, argnums=everything), fastad.value_and_grad(f, everything)(*point))
    close(F.jvp(point, direction), fastad.jvp(f, point, direction))
    value, pull = F.vjp(*point)
    wanted, eager_pull = fastad.vjp(f, *point)
    close(value, wanted)
    close(pull(1.5), eager_pull(1.5))
    close(pull(-0.5), eager_pull(-0.5))
    close(F.hvp(point, direction), fastad.hvp(f, point, direction), 1e2)
    if hessian:
        close(F.hessian(*point, argnums=everything), fastad.hessian(f, everything)(*point), 1e2)


def copies(point):
    return tuple(np.copy(x) if isinstance(x, np.ndarray) else x for x in point)


def eager_value(f, point):
    return fastad.vjp(f, *point)[0]


# Arrays, views and writes

def array_point(rng):
    return tuple(rng.uniform(-1.0, 1.0, shape) if shape else float(rng.uniform(-1.0, 1.0)) for shape in array_programs.SHAPES)


@pytest.mark.parametrize("number", range(40))
def test_array_programs(number):
    f = array_programs.function([1000 * number + k for k in range(6 + number % 20)])
    F = fastad.record(f)
    rng = np.random.default_rng(number)
    for _ in range(3):
        point, direction = array_point(rng), array_point(rng)
        before = copies(point)
        close(F(*point), eager_value(f, point))
        compare(F, f, point, direction, number % 8 == 0)
        assert all(np.array_equal(x, y) for x, y in zip(point, before))
    assert F.stats["replays"] > 0
    assert F.stats["eager"] == []


def test_a_long_array_program():
    f = array_programs.function(range(150))
    F = fastad.record(f)
    rng = np.random.default_rng(1)
    for _ in range(3):
        point = array_point(rng)
        close(F(*point), eager_value(f, point))
        close(F.grad(*point, argnums=(0, 1, 2)), fastad.grad(f, (0, 1, 2))(*point))


def elementwise(seeds):
    """The arrays of a program that sums nothing."""
    def f(x, y, s):
        run = array_programs._Run([x, y], [s], lambda x: x)
        for seed in seeds:
            draw = array_programs.random.Random(seed)
            name = draw.choice(array_programs.STEPS)
            if name not in ("do_sum", "do_add_at"):
                getattr(run, name)(draw)
        return [*run.arrays, *run.scalars]

    return f


@pytest.mark.parametrize("number", range(30))
def test_elementwise_values_bit_for_bit(number):
    f = elementwise([5000 * number + k for k in range(12)])
    F = fastad.record(f)
    rng = np.random.default_rng(number)
    for _ in range(3):
        point = array_point(rng)
        replayed, plain = F(*point), eager_value(f, point)
        assert [np.shape(x) for x in replayed] == [np.shape(x) for x in plain]
        assert [np.asarray(x).tobytes() for x in replayed] == [np.asarray(x).tobytes() for x in plain]


# Scalars

@pytest.mark.parametrize("number", range(60))
def test_scalar_programs(number):
    rows = programs.SMOOTH if number % 2 else ELEMENTARY
    f, point = programs.draw(number, n=4, steps=25, rows=rows)
    F = fastad.record(f)
    rng = np.random.default_rng(number)
    for k in range(3):
        here = tuple(float(x * (1.0 + 0.01 * k * rng.uniform())) for x in point)
        with np.errstate(all="ignore"):
            eager = fastad.value_and_grad(f, (0, 1, 2, 3))(*here)
            assert np.float64(F(*here)).tobytes() == np.float64(eager[0]).tobytes()
            replayed = F.value_and_grad(*here, argnums=(0, 1, 2, 3))
            assert flat(replayed).tobytes() == flat(eager).tobytes()
        if number % 2:
            compare(F, f, here, tuple(rng.normal(size=4).tolist()), number % 3 == 0)
    assert F.stats["recordings"] == F.stats["paths"]
    assert F.stats["eager"] == []


@pytest.mark.parametrize("number", range(20))
def test_scalar_programs_with_several_results(number):
    f, point = programs.draw(100 + number, n=3, steps=15, m=3, rows=programs.SMOOTH)
    F = fastad.record(f)
    for k in range(3):
        here = tuple(x * (1.0 + 0.003 * k) for x in point)
        assert flat(F(*here)).tobytes() == flat(eager_value(f, here)).tobytes()
        close(F.jacobian(*here, argnums=(0, 1, 2)), fastad.jacobian(f, (0, 1, 2))(*here))
        for mode in ("forward", "reverse"):
            close(F.jacobian(*here, argnums=(0, 1, 2), mode=mode), fastad.jacobian(f, (0, 1, 2), mode)(*here))
        close(F.vjp(*here)[1]((1.0, -2.0, 0.5)), fastad.vjp(f, *here)[1]((1.0, -2.0, 0.5)))


# Branches, loops, whole numbers, masks

def branching(seeds, points, order):
    f = branching_programs.function(seeds)
    F = fastad.record(f)
    direction = (np.linspace(-0.5, 1.0, branching_programs.SIZE), 0.7)
    for k in order:
        v, s = points[k % len(points)]
        with np.errstate(all="ignore"):
            close(F(v, s), f(v.copy(), s))
            compare(F, f, (v, s), direction)
    return F


@pytest.mark.parametrize("number", range(100))
def test_branching_programs(number):
    points = branching_programs.points(number, 4)
    F = branching([700 * number + k for k in range(3 + number % 14)], points, (0, 1, 0, 2, 3, 1))
    assert F.stats["eager"] == []


@given(seeds=st.lists(st.integers(0, 10**6), min_size=1, max_size=10), start=st.integers(0, 1000),
       order=st.lists(st.integers(0, 3), min_size=2, max_size=4))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_branching_programs_as_hypothesis_finds_them(seeds, start, order):
    branching(seeds, branching_programs.points(start, 4), order)


def test_every_branching_step_is_met():
    first = {branching_programs.random.Random(700 * number + k).choice(branching_programs.STEPS)
             for number in range(100) for k in range(3 + number % 14)}
    assert first == set(branching_programs.STEPS)
