"""F.map gives what a loop of calls gives: on lanes of every width and tail, for every way that rows can differ."""

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from branching_programs import function as branching
from branching_programs import points
from programs import DIFFERENTIABLE, draw
from refusals import refused

import fastad
from fastad import math as fm
from fastad.core import lanes, simd
from fastad.programs import mapping


def stacked(results):
    """The results of a loop, leaf by leaf stacked."""
    first = results[0]
    if isinstance(first, dict):
        return {key: stacked([result[key] for result in results]) for key in first}
    if isinstance(first, (tuple, list)):
        return type(first)(stacked([result[k] for result in results]) for k in range(len(first)))
    return np.stack([np.asarray(result) for result in results])


def assert_same(found, expected, exact=False):
    if isinstance(expected, dict):
        assert list(found) == list(expected)
        found, expected = list(found.values()), list(expected.values())
    if isinstance(expected, (tuple, list)):
        assert len(found) == len(expected)
        for one, other in zip(found, expected):
            assert_same(one, other, exact)
        return
    assert type(found) is np.ndarray and (found.shape, found.dtype) == (expected.shape, expected.dtype)
    if exact:
        np.testing.assert_array_equal(found, expected)
    else:
        np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-13)


def check(f, columns, **options):
    """map of f over columns (arrays of the same length) is the loop."""
    program, plain = fastad.record(f), fastad.record(f)
    argnums = tuple(range(len(columns)))
    rows = [tuple(float(c[i]) if c.ndim == 1 else c[i] for c in columns) for i in range(len(columns[0]))]
    assert_same(program.map(*columns, what="value", **options), stacked([plain(*row) for row in rows]), exact=True)
    value, gradient = program.map(*columns, argnums=argnums, **options)
    results = [plain.value_and_grad(*row, argnums=argnums) for row in rows]
    assert_same(value, stacked([result[0] for result in results]), exact=True)
    assert_same(gradient, stacked([result[1] for result in results]))
    return program


def nearby(point, count, seed=0, spread=1e-3):
    """`count` points near one, at which a random program stays inside its domains."""
    noise = np.random.default_rng(seed).uniform(1.0 - spread, 1.0 + spread, (len(point), count))
    return [number * factors for number, factors in zip(point, noise)]


@pytest.mark.parametrize("seed", range(12))
def test_random_programs(seed):
    rows = tuple(op for op in DIFFERENTIABLE if op.name != "ldexp")
    program, point = draw(seed, n=4, steps=30, rows=rows)
    check(program, nearby(point, 21, seed))


@pytest.mark.parametrize("seed", range(10))
def test_programs_that_decide(seed):
    f = branching([seed * 10 + k for k in range(4)])
    given = points(seed, 30)
    check(f, [np.stack([v for v, _ in given]), np.array([s for _, s in given])])


def test_every_row_of_the_table():
    for op in DIFFERENTIABLE:
        program, point = draw(7, n=3, steps=4, rows=(op,))
        check(program, nearby(point, 9, 1))


def test_special_functions():
    from scipy import special

    def f(x, y):
        return special.gammaln(x) * special.ndtr(x - y) + special.j0(y) * special.betainc(2.0, 3.0, y)

    rng = np.random.default_rng(0)
    check(f, [rng.uniform(0.5, 3.0, 19), rng.uniform(0.1, 0.9, 19)])


def test_elements_are_read_and_put():
    captured = np.array([0.5, -0.25, 2.0])

    def f(v, s):
        v[1] = v[0] * v[2] + captured[2]
        total = v[1] * s + v[2]
        v[0] = total
        return v[0] * v[1] + v[0] * captured[1] * v[3]

    rng = np.random.default_rng(0)
    check(f, [rng.normal(size=(33, 5)), rng.normal(size=33)])
    program = check(lambda v, s: v[0] * v[3] * s + v[1] * v[0] * captured[2], [rng.normal(size=(33, 5)), rng.normal(size=33)])
    [paths] = program._paths.values()
    assert paths.last.owner.lanes and None not in paths.last.owner.lanes.values()


@pytest.mark.parametrize("width", [8, 24, 64, 128, 504])
def test_every_width_at_every_tail(width, monkeypatch):
    monkeypatch.setattr(lanes, "Worker", lambda points, make=lanes.Worker: make(points, width))
    program, point = draw(3, n=3, steps=20)
    for count in (*range(1, width + 2), 2 * width - 1, 2 * width + 3):
        columns = nearby(point, count, count)
        F = fastad.record(program)
        value, gradient = F.map(*columns, argnums=(0, 1, 2))
        i = count - 1
        alone = F.value_and_grad(*(float(c[i]) for c in columns), argnums=(0, 1, 2))
        assert value[i] == alone[0]
        np.testing.assert_allclose([g[i] for g in gradient], alone[1], rtol=1e-12)
LEVEL_SCRIPT = """
import numpy as np, sys
sys.path.insert(0, "tests")
from programs import draw
import fastad
from fastad.core import simd
found = [simd.level()]
for seed in range(6):
    program, point = draw(seed, n=4, steps=40)
    x = [p * np.random.default_rng(seed).uniform(0.999, 1.001, 37) for p in point]
    for fast in (False, True):
        value, gradient = fastad.record(program, fast_math=fast).map(*x, argnums=(0, 1, 2, 3))
        found += [value.tobytes().hex(), *[g.tobytes().hex() for g in gradient]]
print(*found)
"""


def run(code, **environment):
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    return subprocess.run([sys.executable, "-W", "always", "-c", code], capture_output=True, text=True, cwd=root, timeout=120,
                          env={**os.environ, **environment})


def test_every_level_gives_the_same_bits():
    levels = simd.LEVELS[:simd.LEVELS.index(simd.best_level()) + 1]
    found = [run(LEVEL_SCRIPT, FASTAD_SIMD=level) for level in levels]
    assert [done.stdout.split()[0] for done in found] == list(levels), found[0].stderr
    assert len({tuple(done.stdout.split()[1:]) for done in found}) == 1


def test_a_level_that_is_not_there_is_a_warning():
    show = "from fastad.core import simd; print(simd.level())"
    done = run(show, FASTAD_SIMD="sse9")
    assert "RuntimeWarning" in done.stderr and done.stdout.strip() == simd.best_level()
    if simd.best_level() != "avx512":
        done = run(show, FASTAD_SIMD="avx512")
        assert "RuntimeWarning" in done.stderr and done.stdout.strip() == simd.best_level()


# ---- rows that go different ways ----

def newton(a):
    x = a
    while abs(x * x / a - 1.0) > 1e-12:
        x = 0.5 * (x + a / x)
    return x


def test_newton():
    a = np.exp(np.random.default_rng(0).uniform(0.1, 18.0, 3000))
    program = fastad.record(newton)
    value, gradient = program.map(a)
    assert value.tolist() == [newton(x) for x in a.tolist()]
    np.testing.assert_allclose(gradient, 0.5 / np.sqrt(a), rtol=1e-9)
    recorded = program.stats["recordings"]
    assert recorded < 25
    program.map(a[::-1].copy())
    assert program.stats["recordings"] == recorded


def test_ways_out_of_a_loop():
    def halved(x, y):
        rounds = 0.0
        while abs(x) > 1.0:
            x, rounds = 0.5 * x + 0.01 * y, rounds + 1.0
            if rounds > 30.0:
                return y, x
        return x, y

    def after(x):
        while x * x > 2.0:
            x = x / (1.5 + x * 0.0)
        return fm.sin(x)

    rng = np.random.default_rng(2)
    x, y = rng.uniform(-1e6, 1e6, 900) ** 3 * 1e-12, rng.uniform(-99.0, 99.0, 900)
    for f, columns in ((halved, (x, y)), (after, (x,)), (newton, (np.abs(x) + 1.0,))):
        program = fastad.record(f)
        expected = stacked([f(*row) for row in zip(*(c.tolist() for c in columns))])
        for _ in range(3):
            assert_same(program.map(*columns, what="value"), expected, exact=True)


def test_results_that_are_the_same_on_a_path():
    def f(x):
        if x < 0.0:
            return 0.0
        return 1 if x > 2.0 else x * x

    x = np.linspace(-3.0, 3.0, 101)
    assert_same(fastad.record(f).map(x, what="value"), stacked([float(f(t)) for t in x.tolist()]), exact=True)
    value, gradient = fastad.record(f).map(x)
    np.testing.assert_array_equal(gradient, np.where((x >= 0.0) & (x <= 2.0), 2.0 * x, 0.0))


def test_whole_numbers_that_leave():
    def f(x):
        total = 0.0 * x
        for k in range(int(x)):
            total = total + x ** k
        return total + round(x, 0)

    check(f, [np.random.default_rng(1).uniform(0.0, 7.0, 200)])


def test_nan_and_infinity():
    def f(x, y):
        return fm.sqrt(x) * y + np.where(x > 0, fm.log(x), 0.0) if x == x else y

    x = np.array([np.nan, 1.0, -1.0, np.inf, 0.0, -np.inf, 2.0, -0.0, 1e-320])
    with np.errstate(all="ignore"):
        check(f, [x, np.ones(len(x))])


def test_zero_wins_in_products():
    program = fastad.record(lambda x, y: fm.sqrt(x) * y)
    value, (dx, dy) = program.map(np.zeros(5), np.zeros(5), argnums=(0, 1))
    assert dx.tolist() == [0.0] * 5 and dy.tolist() == [0.0] * 5


def test_a_function_that_gives_up():
    # 2^12 paths of rows of their own.
    def f(v):
        total = v[0] * 0.0
        for x in v:
            total = total + x * x if x > 0 else total - x
        return total

    check(f, [np.random.default_rng(0).normal(size=(300, 12))])


# ---- arguments ----

def test_in_axes():
    def f(p, x):
        return p["w"] @ x[0] + p["b"] * x[1]

    rng = np.random.default_rng(0)
    w, b, x0, x1 = rng.normal(size=(3, 7)), rng.normal(size=7), rng.normal(size=(7, 3)), rng.normal()
    F = fastad.record(f)
    axes = ({"w": 1, "b": 0}, (0, None))
    value, (gp, gx) = F.map({"w": w, "b": b}, (x0, x1), in_axes=axes, argnums=(0, 1))
    for i in range(7):
        v, (p, g) = F.value_and_grad({"w": w[:, i], "b": float(b[i])}, (x0[i], x1), argnums=(0, 1))
        assert value[i] == v
        np.testing.assert_allclose(gp["w"][i], p["w"])
        np.testing.assert_allclose(gx[1][i], g[1])
    shared = F.map({"w": w[:, 0], "b": 0.5}, (x0, x1), in_axes=(None, (0, None)), what="grad")
    assert shared["w"].shape == (7, 3) and shared["b"].shape == (7,)
    assert F.map({"w": x0, "b": b}, (x0, b), what="value").shape == (7,)


def test_shared_numbers_and_keywords():
    def f(x, a, *, power=1):
        return a * x ** power

    F = fastad.record(f)
    x = np.linspace(0.5, 2.0, 50)
    value, gradient = F.map(x, 3.0, in_axes=(0, None), argnums=1, power=3)
    np.testing.assert_allclose(value, 3.0 * x ** 3)
    np.testing.assert_allclose(gradient, x ** 3)


def test_whole_number_columns_are_told_apart_by_value():
    def f(x, k):
        return x ** int(k) + k

    x, k = np.linspace(0.5, 2.0, 40), np.arange(40) % 3
    expected = [fastad.value_and_grad(f)(float(a), b) for a, b in zip(x, k)]
    value, gradient = fastad.record(f).map(x, k)
    np.testing.assert_array_equal(value, [v for v, _ in expected])
    np.testing.assert_allclose(gradient, [g for _, g in expected])


@pytest.mark.parametrize("what", ["jacobian", "hessian", "grad", "value"])
def test_what(what):
    f = (lambda v: np.sin(v) * v[0]) if what == "jacobian" else (lambda v: np.sum(np.sin(v)) * v[0])
    F = fastad.record(f)
    v = np.random.default_rng(0).normal(size=(9, 3))
    expected = np.stack([np.asarray((F if what == "value" else getattr(F, what))(row)) for row in v])
    assert_same(F.map(v, what=what), expected, exact=what == "value")


def test_results_are_pytrees_and_arrays_of_any_layout():
    def f(v, s):
        return {"a": [v[::-1] * s, v[0]], "b": (np.outer(v, v).T, np.argmax(v), 3)}

    rng = np.random.default_rng(0)
    v, s = rng.normal(size=(4, 20)), rng.normal(size=40)[::2]
    F = fastad.record(f)
    expected = stacked([f(v[:, i], float(s[i])) for i in range(20)])
    for threads in (1, 2):
        assert_same(F.map(v, s, what="value", in_axes=(1, 0), threads=threads), expected, exact=True)


def test_float32_and_other_bytes():
    f = lambda v, s: np.sum(v * v) * s  # noqa: E731
    v, s = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32), np.linspace(0.0, 1.0, 20).astype(np.float32)
    value, (gv, gs) = fastad.record(f).map(v, s, argnums=(0, 1))
    assert (value.dtype, gv.dtype, gs.dtype) == (np.float32,) * 3
    swapped = np.linspace(0.0, 1.0, 9).astype(">f8")
    np.testing.assert_array_equal(fastad.record(lambda x: x * x).map(swapped, what="value"), np.linspace(0.0, 1.0, 9) ** 2)


# ---- threads ----

@pytest.mark.parametrize("threads", [2, 3, 50])
def test_results_do_not_depend_on_threads(threads):
    a = np.exp(np.random.default_rng(0).uniform(0.1, 18.0, 5000))
    alone = fastad.record(newton).map(a)
    assert_same(fastad.record(newton).map(a, threads=threads), alone, exact=True)
    v = np.random.default_rng(0).normal(size=(500, 6))
    f = lambda v: np.sum(np.tanh(v) ** 2)  # noqa: E731
    assert_same(fastad.record(f).map(v, threads=threads), fastad.record(f).map(v), exact=True)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_fork_after_threads():
    code = """
import os, numpy as np, fastad
F = fastad.record(lambda x: x * x)
x = np.linspace(0.0, 1.0, 10000)
F.map(x, threads=4)
child = os.fork()
if child == 0:
    ok = (F.map(x, threads=4)[0] == x * x).all()
    os._exit(0 if ok else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    done = run(code)
    assert done.stdout.strip() == "0", done.stderr


def slow(x):
    for _ in range(3000):
        x = x * 1.0001 - 0.0001 * fm.sin(x)
    return x


@pytest.mark.skipif(sys.platform == "win32", reason="no signals to oneself")
@pytest.mark.parametrize("threads", [1, 2])
def test_an_interrupt_comes_soon(threads):
    F = fastad.record(slow)
    x = np.linspace(0.0, 1.0, 1_000_000)
    F.map(x[:100])
    sent = []
    # A process started in the background of a shell is born deaf to interrupts.
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)

    def interrupt():
        time.sleep(0.3)
        sent.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)

    before = threading.active_count()
    sender = threading.Thread(target=interrupt)
    sender.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            F.map(x, threads=threads)
    finally:
        signal.signal(signal.SIGINT, handler)
    # 0.1 s on a machine of one's own; others may work here too.
    assert time.perf_counter() - sent[0] < 1.0
    sender.join()
    assert threading.active_count() == before
    assert F.map(x[:10])[0].shape == (10,)


# ---- bad input ----

def test_the_first_row_that_raises():
    calls = []

    def f(x):
        if x > 3.0:
            calls.append(x)
            raise LookupError(f"too large: {x > 10.0}")
        return x * x

    x = np.array([1.0, 2.0, 0.5, 20.0, 4.0, 5.0])
    F = fastad.record(f)
    with pytest.raises(LookupError, match="too large: True") as caught:
        F.map(x)
    assert any("row 3" in note for note in caught.value.__notes__)
    np.testing.assert_array_equal(F.map(x[:3])[1], 2.0 * x[:3])
    with pytest.raises(LookupError) as caught:
        fastad.record(f).map(x[3:])
    assert any("row 0" in note for note in caught.value.__notes__)


def test_lengths_and_types():
    F = fastad.record(lambda x, y: x * y)
    with pytest.raises(ValueError, match="argument 0 has 3 entries.*argument 1 has 4"):
        F.map(np.ones(3), np.ones(4))
    with pytest.raises(ValueError, match="no argument has a batch axis"):
        F.map(1.0, 2.0, in_axes=None)
    with pytest.raises(TypeError, match="argument 1 is a float and has no batch axis"):
        F.map(np.ones(3), 2.0)
    with pytest.raises(ValueError, match="no axis 1"):
        F.map(np.ones(3), np.ones(3), in_axes=1)
    with pytest.raises(ValueError, match="in_axes has 1 entries for 2"):
        F.map(np.ones(3), np.ones(3), in_axes=(0,))
    with pytest.raises(TypeError, match="in_axes must be"):
        F.map(np.ones(3), np.ones(3), in_axes="0")
    with pytest.raises(ValueError, match="does not fit"):
        F.map((np.ones(3), np.ones(3)), np.ones(3), in_axes=((0, 0, 0), 0))
    with pytest.raises(ValueError, match="what must be"):
        F.map(np.ones(3), np.ones(3), what="values")
    with pytest.raises(ValueError, match="at least 1"):
        F.map(np.ones(3), np.ones(3), threads=0)
    with pytest.raises(TypeError, match="whole number"):
        F.map(np.ones(3), np.ones(3), threads=1.5)
    with pytest.raises(ValueError, match="argnums=5"):
        F.map(np.ones(3), np.ones(3), argnums=5)


def test_traced_arguments():
    F = fastad.record(lambda x, k=1.0: x * k)
    x = np.ones(3)
    for f, point in ((lambda a: np.sum(F.map(a, what="value")), x), (lambda a: np.sum(F.map(x, k=a, what="value")), 2.0),
                     (lambda a: np.sum(F.map(x, a, in_axes=(0, None), what="value")), 2.0)):
        with refused(fastad.TraceError, r"F\.map\(", r"test_map\.py:\d+: map takes plain numbers"):
            fastad.grad(f)(point)
    F = fastad.record(lambda x, k: x * k)
    G = fastad.record(lambda a: float(np.sum(F.map(x, a, in_axes=(0, None), what="value"))))
    assert (G(2.0), G(3.0)) == (6.0, 9.0)
    assert fastad.grad(lambda a: a * np.sum(F.map(x, 2.0, in_axes=(0, None), what="value")))(3.0) == 6.0


def test_results_of_different_shape():
    def f(v):
        return v[:2] if v[0] > 0 else v

    with pytest.raises(ValueError, match="rows 0 and 1 have the shapes"):
        fastad.record(f).map(np.array([[1.0, 2.0, 3.0], [-1.0, 2.0, 3.0]]), what="value")
    with pytest.raises(TypeError, match="row 0 holds a str"):
        fastad.record(lambda x: (x, "a")).map(np.ones(2), what="value")


def test_empty_batches():
    F = fastad.record(lambda v, s: {"a": v * s, "n": s})
    with pytest.raises(ValueError, match="the batch is empty"):
        F.map(np.ones((0, 3)), np.ones(0), what="value")
    F(np.ones(3), 2.0)
    found = F.map(np.ones((0, 3)), np.ones(0), what="value")
    assert found["a"].shape == (0, 3) and found["n"].shape == (0,)
    G = fastad.record(lambda v, s: np.sum(v) * s, np.ones(3), 2.0)
    value, (gv, gs) = G.map(np.ones((0, 3)), np.ones(0), argnums=(0, 1))
    assert (value.shape, gv.shape, gs.shape) == ((0,), (0, 3), (0,))
    assert G.map(np.ones((0, 3)), np.ones(0), what="hessian").shape == (0, 3, 3)


def test_a_program_without_its_source(tmp_path):
    F = fastad.record(newton)
    a = np.exp(np.random.default_rng(0).uniform(0.1, 18.0, 300))
    expected = F.map(a)
    F.save(tmp_path / "newton")
    G = fastad.load(tmp_path / "newton")
    assert_same(G.map(a), expected, exact=True)
    few = fastad.record(newton, 2.0)
    few.save(tmp_path / "few")
    with pytest.raises(fastad.GuardError) as caught:
        fastad.load(tmp_path / "few").map(np.array([2.0, 1e7]))
    assert any("row 1" in note for note in caught.value.__notes__)


def test_memory_that_can_not_be_had():
    F = fastad.record(lambda v: v * 2.0, np.ones(2))
    with pytest.raises(MemoryError):
        F.map(np.broadcast_to(1.0, (2**50, 2)), what="value")


def test_draws_come_in_the_order_of_rows():
    def f(x, rng):
        return x + rng.normal() if x > 0.5 else x

    x = np.random.default_rng(1).uniform(size=20)
    one, other = np.random.default_rng(7), np.random.default_rng(7)
    expected = [f(t, one) for t in x.tolist()]
    assert fastad.record(f).map(x, other, in_axes=(0, None), what="value").tolist() == expected


def test_progress():
    F = fastad.record(newton)
    a = np.exp(np.random.default_rng(0).uniform(0.1, 18.0, 3000))
    told = []
    bar = mapping.Progress(False, 0, "")
    bar._add = told.append
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mapping, "Progress", lambda *_: bar)
        F.map(a, progress=True)
        assert 2900 <= sum(told) <= 3000
        told.clear()
        F.map(a, progress=True, threads=2)
        assert 2900 <= sum(told) <= 3000


def test_progress_without_a_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    monkeypatch.setitem(sys.modules, "rich", None)
    monkeypatch.setitem(sys.modules, "rich.progress", None)
    with pytest.raises(ImportError, match=r"fastad\[progress\]"):
        fastad.record(lambda x: x).map(np.ones(3), what="value", progress=True)


# ---- lanes that points leave ----

def counted(x, y, z):
    """Leaves at one of several guards of each round, with another of its numbers."""
    rounds = 0.0
    while abs(x) > 1.0:
        x, y = 0.5 * x + 0.01 * y, (y - z) / (1.0 + z * z)
        rounds = rounds + 1.0
        if y * y < 1e-6:
            return y, x
        if x < y - 20.0:
            return x - y, rounds * z
    return x, y


def assert_same_as_calls(f, columns):
    program = fastad.record(f)
    expected = stacked([f(*row) for row in zip(*(column.tolist() for column in columns))])
    for _ in range(3):
        assert_same(program.map(*columns, what="value"), expected, exact=True)


@pytest.mark.parametrize("width", [8, 16, 56, 120, 248, 504])
def test_points_that_leave_at_every_width_and_tail(width, monkeypatch):
    monkeypatch.setattr(lanes, "Worker", lambda points, make=lanes.Worker: make(points, width))
    rng = np.random.default_rng(width)
    for count in (1, 2, 7, 8, 9, width - 1, width, width + 1, 2 * width + 5):
        x, y, z = np.exp(rng.uniform(-1.0, 20.0, count)), rng.uniform(-99.0, 99.0, count), rng.uniform(0.0, 2.0, count)
        assert_same_as_calls(counted, (x, y, z))
        assert_same_as_calls(newton, (x + 1.0,))


def test_an_error_among_points_that_leave():
    def f(x):
        while x > 2.0:
            x = x / 1.5
            if 2.5 < x < 2.6:
                raise LookupError("here")
        return x

    x = np.exp(np.random.default_rng(4).uniform(0.0, 9.0, 900))
    program = fastad.record(f)

    def raises(t):
        try:
            return f(t) is None
        except LookupError:
            return True

    [first, *_] = [k for k, t in enumerate(x.tolist()) if raises(t)]
    for _ in range(3):
        with pytest.raises(LookupError, match="here") as caught:
            program.map(x, what="value")
        assert any(f"row {first} of" in note for note in caught.value.__notes__)
    good = np.array([t for t in x.tolist() if not raises(t)])
    assert_same(program.map(good, what="value"), stacked([f(t) for t in good.tolist()]), exact=True)


def test_two_rows_in_one_step():
    """Every pair of a sum, difference, product or quotient with what may follow it."""
    first = (lambda x, y: x + y, lambda x, y: x - y, lambda x, y: x * y, lambda x, y: x / y)
    second = (*first, *(lambda t, z, op=op: op(z, t) for op in first), lambda t, z: abs(t), lambda t, z: t * t)
    rng = np.random.default_rng(0)
    columns = [rng.normal(size=37) for _ in range(3)]
    for one in first:
        for other in second:
            check(lambda x, y, z, one=one, other=other: other(one(x, y), z), columns)
