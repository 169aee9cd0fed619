"""F.map of Jacobians and Hessians gives what a loop of calls gives: on lanes, for every way that rows can differ."""

import numpy as np
import pytest
from programs import SMOOTH, draw
from test_map import LEVEL_SCRIPT, assert_same, nearby, newton, run, stacked

import fastad
from fastad import math as fm
from fastad.core import lanes, simd
from fastad.programs import mapping


def check(f, columns, what, argnums=None, one_by_one=False, **options):
    """map is the loop, and on lanes unless every row is expected to be called by itself."""
    program, plain = fastad.record(f), fastad.record(f)
    argnums = tuple(range(len(columns))) if argnums is None else argnums
    rows = [tuple(float(c[i]) if c.ndim == 1 else c[i] for c in columns) for i in range(len(columns[0]))]
    expected = stacked([getattr(plain, what)(*row, argnums=argnums) for row in rows])
    for _ in range(2):
        assert_same(program.map(*columns, what=what, argnums=argnums, **options), expected)
    used = [found for paths in program._paths.values() for path in paths.codes for found in path.owner.lanes.values()]
    assert one_by_one or (used and None not in used)
    return program


def rotated(v, angle):
    """A point turned and bent: three results of an array and a number."""
    s, c = fm.sin(angle), fm.cos(angle)
    x, y, z = c * v[0] - s * v[1], s * v[0] + c * v[1], v[2] / (1.0 + v[0] * v[0])
    return [x * z, fm.exp(y) + v[1] * z, z * angle]


def columns_of(count, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(count, 3)), rng.normal(size=count)]


@pytest.mark.parametrize("argnums", [0, 1, (0, 1), (1, 0), (1,)])
def test_jacobians_by_numbers_and_arrays(argnums):
    check(rotated, columns_of(100), "jacobian", argnums)


@pytest.mark.parametrize("argnums", [0, 1, (0, 1), (1, 0), (1,)])
def test_hessians_by_numbers_and_arrays(argnums):
    def f(v, s):
        # Elements that are read again, and one that is not read.
        total = v[0] * v[2] * fm.sin(s) + v[0] ** 3
        return total * v[0] + fm.exp(v[2] * s) / (1.0 + v[0] * v[0]) + 2.0 * v[2]

    check(f, columns_of(100), "hessian", argnums)
    check(lambda v, s: v[0] * 2.0 + s, columns_of(20), "hessian", argnums)


def test_elements_that_are_put():
    def f(v, s):
        v[1] = v[0] * v[2] * s
        v[0] = v[1] * v[1]
        return v[0] * s

    def g(v, s):
        x = fastad.numpy.zeros(2)
        x[0] = v[1] * s
        x[1] = x[0] * v[0] + x[0]
        return x[1] * x[1] * s

    for function in (f, g):
        check(function, columns_of(30), "hessian", one_by_one=True)
        check(lambda v, s, f=function: [f(v, s), v[1]], columns_of(30), "jacobian", one_by_one=True)


def test_results_are_pytrees_and_some_are_constant():
    def f(v, s):
        return {"a": (v[0] * s, 3.0), "b": [v[1], np.array([1.0, 2.0]), s, v[0] * s]}

    # An array among the results is none of a path of numbers.
    check(f, columns_of(50), "jacobian", one_by_one=True)
    check(lambda v, s: {"a": (v[0] * s, 3.0), "b": [v[1], 2, s, v[0] * s]}, columns_of(50), "jacobian")
    check(lambda v, s: {"a": {"x": v[0]}, "b": 2.0 * fm.floor(s)}, columns_of(50), "jacobian")


@pytest.mark.parametrize("seed", range(8))
def test_random_programs(seed):
    program, point = draw(seed, n=4, steps=30, m=5)
    check(program, nearby(point, 37, seed), "jacobian")
    program, point = draw(seed, n=4, steps=25, rows=SMOOTH)
    check(program, nearby(point, 37, seed), "hessian")


def test_special_functions():
    from scipy import special

    def f(x, y):
        return [special.gammaln(x) * special.ndtr(x - y), special.j0(y) + special.gammaln(x) * y, special.ndtr(x)]

    rng = np.random.default_rng(0)
    columns = [rng.uniform(0.5, 3.0, 21), rng.uniform(0.1, 0.9, 21)]
    check(f, columns, "jacobian")
    check(lambda x, y: special.ndtr(x * y) * special.ndtr(x), columns, "hessian")


def test_rows_that_go_different_ways():
    def f(x, y):
        if x > 0.3:
            return [x * y, y, fm.sin(x)]
        if y < 0.0:
            return [x, x * x * y, 1.0]
        total = 0.0
        for k in range(int(4.0 * y)):
            total = total + x ** k * y
        return [total, fm.exp(y), x]

    rng = np.random.default_rng(3)
    columns = [rng.uniform(-1.0, 1.0, 300), rng.uniform(-1.0, 1.0, 300)]
    check(f, columns, "jacobian")
    check(lambda x, y: sum(f(x, y)), columns, "hessian")
    a = np.exp(rng.uniform(0.1, 18.0, 300))
    check(newton, [a], "jacobian")
    check(newton, [a], "hessian")


def test_rows_that_are_not_finite():
    def f(x, y):
        return [fm.sqrt(x) * y, x / y, fm.log(x) * 0.0 + y, x * y * y]

    x = np.array([np.nan, 1.0, -1.0, np.inf, 0.0, -np.inf, 2.0, -0.0, 1e-320, 0.5])
    y = np.array([0.0, np.nan, 1.0, 0.0, 0.0, 2.0, -0.0, np.inf, 1.0, 3.0])
    with np.errstate(all="ignore"):
        check(f, [x, y], "jacobian")
        check(lambda x, y: sum(f(x, y)), [x, y], "hessian")


def test_the_first_row_that_raises():
    def f(x):
        if x > 3.0:
            raise LookupError(f"too large: {x > 10.0}")
        return [x * x, fm.sin(x)]

    x = np.array([1.0, 2.0, 0.5, 20.0, 4.0, 5.0])
    F = fastad.record(f)
    for _ in range(2):
        with pytest.raises(LookupError, match="too large: True") as caught:
            F.map(x, what="jacobian")
        assert any("row 3" in note for note in caught.value.__notes__)
    assert_same(F.map(x[:3], what="jacobian"), [2.0 * x[:3], np.cos(x[:3])])


def test_results_of_different_structure():
    F = fastad.record(lambda x: [x, x * x] if x > 0.0 else [x])
    for _ in range(2):
        with pytest.raises(ValueError, match="rows 0 and 2 differ in structure"):
            F.map(np.array([1.0, 2.0, -1.0]), what="jacobian")


@pytest.mark.parametrize("width", [8, 24, 120, 408])
def test_every_width_at_every_tail(width, monkeypatch):
    monkeypatch.setattr(lanes, "Worker", lambda points, make=lanes.Worker: make(points, width))
    F, H = fastad.record(rotated), fastad.record(lambda x, y: fm.exp(x * y) * y / x)
    for count in (*range(1, min(width, 24) + 2), width, width + 1, 2 * width - 1, 2 * width + 3):
        v, s = columns_of(count, count)
        found = F.map(v, s, what="jacobian", argnums=(0, 1))
        curved = H.map(s, v[:, 0], what="hessian", argnums=(0, 1))
        for i in {0, count // 2, count - 1}:
            alone = F.jacobian(v[i], float(s[i]), argnums=(0, 1))
            for row, one in zip(found, alone, strict=True):
                for x, y in zip(row, one, strict=True):
                    np.testing.assert_allclose(x[i], y, rtol=1e-12, atol=1e-14)
            alone = H.hessian(float(s[i]), float(v[i, 0]), argnums=(0, 1))
            np.testing.assert_allclose([[x[i] for x in row] for row in curved], alone, rtol=1e-10)


def test_arrays_and_threads():
    F = fastad.record(lambda v: np.sin(v) * v[0])
    v = columns_of(30)[0]
    assert_same(F.map(v, what="jacobian"), stacked([F.jacobian(row) for row in v]))
    G = fastad.record(rotated)
    v, s = columns_of(3000)
    assert_same(G.map(v, s, what="jacobian", threads=3), G.map(v, s, what="jacobian"), exact=True)


def test_sweeps_that_are_too_long(monkeypatch):
    monkeypatch.setattr(mapping, "MOST_SWEPT", 20)
    check(rotated, columns_of(10), "jacobian", one_by_one=True)


def test_shared_arguments():
    F, (v, s) = fastad.record(rotated), columns_of(40)
    found = F.map(v[0], s, in_axes=(None, 0), what="jacobian", argnums=(0, 1))
    assert_same(found, stacked([F.jacobian(v[0], float(x), argnums=(0, 1)) for x in s]))


def test_every_level_gives_the_same_bits():
    levels = simd.LEVELS[:simd.LEVELS.index(simd.best_level()) + 1]
    script = LEVEL_SCRIPT.replace("steps=40)", "steps=40, m=3)").replace("value, gradient = ", "value, *gradient = sum(") \
        .replace("argnums=(0, 1, 2, 3))", "what='jacobian', argnums=(0, 1, 2, 3)), ())")
    assert script.count("jacobian") == 1
    found = [run(script, FASTAD_SIMD=level) for level in levels]
    assert [done.stdout.split()[0] for done in found] == list(levels), found[0].stderr
    assert len({tuple(done.stdout.split()[1:]) for done in found}) == 1


def test_derivatives_that_are_zero_on_a_path():
    """Arrays begin with whatever was in their memory: what no sweep writes must be zero all the same."""
    def f(v, s):
        return v[0] * v[2] if s > 0.0 else s * 3.0 + v[1]

    v, s = columns_of(3000)
    kept = [np.full((3000, 3), np.nan) for _ in range(20)]
    del kept
    for what in ("grad", "value_and_grad"):
        check(f, (v, s), what, (0, 1))
    check(lambda v, s: [v[0] * v[0], s * 2.0, 3.0], (v[:50], s[:50]), "jacobian", (0, 1))
    check(lambda v, s: v[0] ** 3 + s, (v[:50], s[:50]), "hessian", (0, 1))
