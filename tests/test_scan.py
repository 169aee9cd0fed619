"""Loops of `fastad.scan`: the values and derivatives of the loop written out, with and without checkpoints."""

import jax
import numpy as np
import pytest
from nested_results import close
from threaded import in_threads

import fastad
import fastad.numpy as fnp
from fastad import math

V = np.array([0.1, 0.2, 0.3])
XS = np.linspace(-1.0, 1.0, 7)
WAYS = {"all kept": {}, "one checkpoint": {"checkpoints": 1}, "two checkpoints": {"checkpoints": 2}, "as many as needed": {"checkpoint": True}}


def written_out(f, carry, xs=None, length=None, **_):
    leaves, structure = fastad.pytrees.flatten(xs)
    ys = []
    for k in range(leaves[0].shape[0] if leaves else int(length)):
        carry, y = f(carry, fastad.pytrees.unflatten(structure, [x[k] for x in leaves]))
        ys.append(fastad.pytrees.flatten(y))
    columns = [fnp.stack([fnp.asarray(x) for x in column]) for column in zip(*[y for y, _ in ys])]
    return carry, fastad.pytrees.unflatten(ys[0][1], columns) if ys else None


def mixed(carry, x):
    a, p = carry
    a = a * 0.9 + x["s"] * math.sin(a) if a > 0.2 else a + x["s"] * 0.3
    return (a, {"v": np.tanh(p["v"] + a * x["w"])}), {"y": a * x["s"], "v": p["v"] * p["v"], "n": None}


def mixed_loss(scan, **options):
    def f(a, v, s):
        (a, p), ys = scan(mixed, (a, {"v": v}), {"s": s, "w": np.outer(XS, V)}, **options)
        return a * np.sum(p["v"]) + np.sum(ys["y"] ** 2) * np.sum(ys["v"][::2])
    return f


# ---- values and derivatives ------------------------------------------------------------------------------------------------------

def test_values_outside_of_traces():
    carry = (0.5, {"v": V})
    xs = {"s": XS, "w": np.outer(XS, V)}
    close(fastad.scan(mixed, carry, xs), written_out(mixed, carry, xs))
    found, ys = fastad.scan(mixed, carry, xs)
    assert type(found[0]) is float and ys["n"] is None and ys["v"].shape == (7, 3)
    close(fastad.scan(fastad.record(mixed), carry, xs), (found, ys))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("recorded", [False, True])
def test_orders_one_to_three(way, recorded):
    f, g = mixed_loss(written_out), mixed_loss(fastad.scan, **WAYS[way])
    if recorded:
        g = fastad.record(g)
    every = (0, 1, 2)
    for a in (0.5, 0.1):
        at = a, V, XS
        close(g(*at), f(*at))
        close(fastad.grad(g, every)(*at), fastad.grad(f, every)(*at))
        close(fastad.jvp(g, at, (1.0, V * 2, XS)), fastad.jvp(f, at, (1.0, V * 2, XS)))
        close(fastad.hessian(g, every)(*at), fastad.hessian(f, every)(*at))
        close(fastad.hvp(g, at, (1.0, V * 2, XS)), fastad.hvp(f, at, (1.0, V * 2, XS)))
    third = fastad.jacobian(fastad.hessian(f), every)(0.5, V, XS)
    close(fastad.jacobian(fastad.hessian(g), every)(0.5, V, XS), third)


@pytest.mark.parametrize("recorded", [False, True])
def test_some_of_the_arguments(recorded):
    for chosen in (0, 1, 2, (0, 2)):
        f, g = mixed_loss(written_out), mixed_loss(fastad.scan)
        if recorded:
            g = fastad.record(g)
        close(fastad.grad(g, chosen)(0.5, V, XS), fastad.grad(f, chosen)(0.5, V, XS))
    f, g = (lambda x, scan=scan: scan(mixed, (x, {"v": V}), {"s": XS, "w": np.outer(XS, V)})[1]["y"][-1]
            for scan in (written_out, fastad.scan))
    close(fastad.grad(fastad.grad(fastad.record(g) if recorded else g))(0.5), fastad.grad(fastad.grad(f))(0.5))


def test_as_in_jax():
    def loss(numpy, scan):
        def f(w, h):
            def step(h, x):
                h = numpy.tanh(w @ h + x)
                return h, numpy.sum(h)
            h, ys = scan(step, h, xs)
            return numpy.sum(h * h) + ys @ ys
        return f
    rng = np.random.default_rng(0)
    w, h, xs = rng.normal(size=(3, 3)), rng.normal(size=3), rng.normal(size=(5, 3))
    with jax.enable_x64(True):
        f = loss(jax.numpy, jax.lax.scan)
        derivatives = jax.jvp(jax.jit(jax.grad(f, (0, 1))), (w, h), (w + 1, h - 1))
        wanted = [np.asarray(x) for pair in derivatives for x in pair]
    for scan in (fastad.scan, lambda *args: fastad.scan(*args, checkpoints=2)):
        for g in (loss(np, scan), fastad.record(loss(np, scan))):
            close([*fastad.grad(g, (0, 1))(w, h), *fastad.hvp(g, (w, h), (w + 1, h - 1))], wanted, 1e-9)


@pytest.mark.parametrize("recorded", [False, True])
def test_nested_loops_and_programs(recorded):
    inner = fastad.record(lambda c, x: (c * math.cos(x) + x, c))

    def loss(scan):
        def outer(c, row):
            c, ys = scan(inner, c, row)
            return c * 0.5, np.sum(ys)
        return lambda c, rows: scan(outer, c, rows)[1] @ np.arange(4.0)
    f, g = loss(written_out), loss(fastad.scan)
    if recorded:
        g = fastad.record(g)
    rows = np.random.default_rng(0).normal(size=(4, 3))
    close((g(0.3, rows), fastad.grad(g, (0, 1))(0.3, rows), fastad.hessian(g)(0.3, rows)),
          (f(0.3, rows), fastad.grad(f, (0, 1))(0.3, rows), fastad.hessian(f)(0.3, rows)))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_types_and_whole_numbers(dtype):
    table = np.arange(6.0, dtype=dtype)

    def step(carry, x):
        v, count, seen = carry
        v = v * table[x["i"] + count % 2] if x["flag"] else v + 1
        return (v, count + 1, seen | (np.sum(v) > 3)), (v, count, v > 1)
    carry = np.ones(2, dtype), 0, False
    xs = {"i": np.array([1, 0, 2, 1]), "flag": np.array([True, False, True, True])}
    found, ys = fastad.scan(step, carry, xs)
    assert type(found[1]) is int and found[1] == 4 and type(found[2]) is bool
    assert found[0].dtype == dtype and ys[0].dtype == dtype and ys[1].dtype == np.int64 and ys[2].dtype == bool
    for wrap in (lambda f: f, fastad.record):
        g = wrap(lambda v: np.sum(fastad.scan(step, (v, 0, False), xs)[1][0] ** 2))
        f = lambda v: np.sum(written_out(step, (v, 0, False), xs)[1][0] ** 2)      # noqa: E731
        assert fastad.grad(g)(carry[0]).dtype == dtype
        close((g(carry[0]), fastad.grad(g)(carry[0])), (f(carry[0]), fastad.grad(f)(carry[0])), 1e-5)


@pytest.mark.parametrize("recorded", [False, True])
def test_whole_numbers_of_the_trace(recorded):
    def loss(scan):
        def f(x):
            n, up = math.floor(x), x > 1
            step = lambda c, k: ((c[0] * (1 + k % 2) * x if up else c[0] + n, c[1] + 1), c[0] * n)     # noqa: E731
            (value, count), ys = scan(step, (x, n), np.arange(3))
            return value * count + np.sum(ys)
        return f
    f, g = loss(written_out), loss(fastad.scan)
    if recorded:
        g = fastad.record(g)
    for x in (2.5, 3.7, 0.5, 5.1):
        close((g(x), fastad.grad(g)(x), fastad.hessian(g)(x)), (f(x), fastad.grad(f)(x), fastad.hessian(f)(x)))


@pytest.mark.parametrize("way", WAYS)
def test_large_arrays_are_nobody_elses(way):
    def loss(scan, **options):
        def f(w, c, rows):
            def step(c, x):
                swapped = c["b"], c["a"] * 0.5
                if np.sum(x) > 0:
                    return {"a": np.tanh(swapped[0] * w + x), "b": swapped[1] + x}, np.sum(swapped[0])
                return {"a": swapped[0] + x, "b": swapped[1] * w}, np.sum(swapped[1])
            c, ys = scan(step, {"a": c, "b": c * 2}, rows, **options)
            return np.sum(c["a"] * c["b"]) + ys @ ys
        return f
    rng = np.random.default_rng(0)
    at = rng.normal(size=1000), rng.normal(size=1000), rng.normal(size=(6, 1000)) + np.array([1, -1, 1, 1, -1, 1])[:, None] * 0.2
    before = [x.copy() for x in at]
    wanted = fastad.value_and_grad(loss(written_out), (0, 1, 2))(*at)
    program = fastad.record(loss(fastad.scan, **WAYS[way]))
    for _ in range(3):
        close(fastad.value_and_grad(loss(fastad.scan, **WAYS[way]), (0, 1, 2))(*at), wanted)
        close(program.value_and_grad(*at, argnums=(0, 1, 2)), wanted)
        close(program(*at), wanted[0])
    assert all(map(np.array_equal, at, before))


def test_single_precision_numbers():
    xs = XS.astype(np.float32)
    for wrap in (lambda f: f, fastad.record):
        g = wrap(lambda c: fastad.scan(lambda c, x: (c * x + c, c), c, xs)[1][-1])
        value, gradient = fastad.value_and_grad(g)(np.float32(0.5))
        assert type(gradient) is np.float32
        product = np.prod(1 + xs[:-1])
        close((value, gradient), (0.5 * product, product), 1e-5)


# ---- one record for the whole loop -------------------------------------------------------------------------------------------------

def test_one_instruction_whatever_the_number_of_steps():
    for steps in (5, 500):
        xs = np.ones(steps)
        assert fastad.trace(lambda c: fastad.scan(lambda c, x: (c * x, None), c, xs)[0], 0.5).opcode.size < 10   # noqa: B023
    recorded = fastad.record(lambda c, xs: fastad.scan(lambda c, x: (c * x * 0.999, None), c, xs)[0])
    close(recorded.grad(0.5, np.ones(500)), 0.999 ** 500)
    assert recorded.stats["instructions"] < 10


def newton(scan):
    def f(a):
        steps = math.floor(a * 3)
        return scan(lambda x, _: (0.5 * (x + a / x), None), a, None, steps)[0]
    return f


def test_the_number_of_steps_may_change():
    f, g = newton(written_out), fastad.record(newton(fastad.scan))
    for a in (1.0, 2.0, 0.5, 3.3, 0.1, 2.7):
        close((g(a), g.grad(a), fastad.grad(newton(fastad.scan))(a)), (f(a), fastad.grad(f)(a), fastad.grad(f)(a)))
    assert g.stats["paths"] == 1
    close(g.hessian(2.0), fastad.hessian(f)(2.0))
    with pytest.raises(ValueError, match="negative"):
        g(-1.0)
    # Where a shape depends on it, there is a path for each.
    h = fastad.record(lambda a: np.sum(fastad.scan(lambda x, _: (x * a, x), a, None, math.floor(a * 3))[1]))
    for a in (1.0, 2.0, 1.1, 2.2):
        n = int(np.floor(a * 3))
        close((h(a), h.grad(a)), (sum(a ** k for k in range(1, n + 1)), sum(k * a ** (k - 1) for k in range(1, n + 1))))
    assert h.stats["paths"] == 2


@pytest.mark.parametrize("recorded", [False, True])
def test_zero_steps(recorded):
    def f(a, xs):
        carry, ys = fastad.scan(lambda c, x: (c * x, {"y": c * V}), a, xs)
        assert ys["y"].shape == (0, 3)
        return carry * a + np.sum(ys["y"])
    g = fastad.record(f) if recorded else f
    close((g(2.0, np.ones(0)), fastad.grad(g)(2.0, np.ones(0)), fastad.hessian(g)(2.0, np.ones(0))), (4.0, 4.0, 2.0))
    assert fastad.scan(lambda c, x: (c + 1, c), 3, None, 0)[0] == 3


def test_captured_arrays():
    w = np.ones(3)
    step = lambda c, x: (c * w * x, None)      # noqa: E731
    g = fastad.record(lambda c: np.sum(fastad.scan(step, c, np.ones(2))[0]))
    for k in (1.0, 2.0, 3.0):
        w[...] = k
        close((g(V), g.grad(V)), (np.sum(V) * k * k, np.full(3, k * k)))

    def changes(c):
        c, _ = fastad.scan(step, c, np.ones(2))
        w[...] = 7.0
        return np.sum(c)
    with pytest.raises(fastad.TraceError, match="changed"):
        fastad.grad(changes)(V)


def test_random_numbers_are_drawn_step_by_step():
    def run(scan):
        rng = np.random.default_rng(0)
        f = lambda v: np.sum(scan(lambda c, x: (c * rng.normal(size=3) + x, None), v, XS)[0] ** 2)     # noqa: E731
        return [fastad.value_and_grad(f)(V) for _ in range(2)] + [rng.normal()]
    close(run(fastad.scan), run(written_out))


# ---- bad input -------------------------------------------------------------------------------------------------------------------

BAD = {
    "no function": (lambda: fastad.scan(3, 1.0, XS), TypeError, "needs a function"),
    "no length": (lambda: fastad.scan(mixed, 1.0), TypeError, "xs or length"),
    "two lengths": (lambda: fastad.scan(mixed, 1.0, (XS, XS[1:])), ValueError, r"xs\[1\] has 6 entries"),
    "another length": (lambda: fastad.scan(mixed, 1.0, XS, 3), ValueError, "length is 3 where xs have 7"),
    "negative": (lambda: fastad.scan(mixed, 1.0, None, -1), ValueError, "negative"),
    "fraction": (lambda: fastad.scan(mixed, 1.0, None, 1.5), TypeError, "whole number, not float"),
    "a number as xs": (lambda: fastad.scan(mixed, 1.0, {"a": 2.0}), TypeError, r"xs\['a'\] must be an array"),
    "text": (lambda: fastad.scan(lambda c, x: (c, x), {"a": "b"}, XS), TypeError, r"carry\['a'\] is a str"),
    "no pair": (lambda: fastad.scan(lambda c, x: c, 1.0, XS), TypeError, r"must return \(carry, y\), not a number"),
    "three": (lambda: fastad.scan(lambda c, x: (c, x, x), 1.0, XS), TypeError, "not a tuple of 3"),
    "nothing": (lambda: fastad.scan(lambda c, x: None, 1.0, XS), TypeError, "is a return missing"),
    "another shape": (lambda: fastad.scan(lambda c, x: (np.append(c, x), x), V, XS), TypeError, r"shape \(3,\).*shape \(4,\)"),
    "another type": (lambda: fastad.scan(lambda c, x: (c + x, x), 1, XS), TypeError, "int64.*float64"),
    "another structure": (lambda: fastad.scan(lambda c, x: ((c, c), x), 1.0, XS), TypeError,
                          r"carry with the structure \(\*, \*\) where it was given a number"),
    "text as y": (lambda: fastad.scan(lambda c, x: (c, "a"), 1.0, XS), TypeError, "y that is a str"),
    "another y": (lambda: fastad.scan(lambda c, x: (c + x, {"a": c} if c > 0 else c), -0.5, -XS), TypeError, "y with the structure"),
    "no checkpoints": (lambda: fastad.scan(lambda c, x: (c, x), 1.0, XS, checkpoints=0), ValueError, "at least 1"),
    "half of one": (lambda: fastad.scan(lambda c, x: (c, x), 1.0, XS, checkpoints=0.5), TypeError, "whole number"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name):
    call, error, match = BAD[name]
    with pytest.raises(error, match=match):
        call()


def test_what_a_step_raises():
    def step(c, x):
        if c > 2:
            raise ValueError("too far")
        return c + x, None

    def total(c):
        return fastad.scan(step, c, np.ones(3))[0]
    program = fastad.record(lambda c: total(c) * 2)
    for call in (total, fastad.grad(total), program, program.grad):
        with pytest.raises(ValueError, match="too far"):
            call(1.0)
        call(-1.0)
    with pytest.raises(TypeError, match="scan of step"):
        program.save("/nonexistent")


def test_threads():
    f = fastad.grad(mixed_loss(written_out))
    program, eager = fastad.record(mixed_loss(fastad.scan, checkpoints=2)), fastad.grad(mixed_loss(fastad.scan))

    def work(seed):
        for a in np.random.default_rng(seed).uniform(-1, 1, 15).tolist():
            wanted = f(a, V, XS)
            close((program.grad(a, V, XS), eager(a, V, XS)), (wanted, wanted))
    in_threads(4, work)
