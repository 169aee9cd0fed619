"""Programs inside traces are one call instruction, with the values and derivatives of the function that was recorded."""

import numpy as np
import pytest
from nested_results import V, branching, close, close_derivatives, long
from threaded import in_threads

import fastad
from fastad.programs import calls

POINTS = (2.0, -1.3, 0.5, -0.2)


@pytest.fixture(autouse=True)
def every_program_is_called(monkeypatch):
    monkeypatch.setattr(calls, "SHORT", 0)


def arrays(p, k=2.0):
    h = np.tanh(p["v"] * k) + np.sin(p["v"] @ p["v"])
    return {"sum": np.sum(h * h) * p["a"], "h": h[::-1] * p["a"], "count": 3}


# ---- values and derivatives ------------------------------------------------------------------------------------------------------

AROUND = {
    "times x": lambda F: lambda x: F(x) * x,
    "twice": lambda F: lambda x: F(F(x) * 0.1) + F(2 * x),
    "with its gradient": lambda F: lambda x: F(x) * fastad.grad(F)(x),
    "with its second derivative": lambda F: lambda x: fastad.grad(fastad.grad(F))(x) * x + F(x),
    "jvp": lambda F: lambda x: fastad.jvp(F, (x * x,), (x,))[1],
    "vjp": lambda F: lambda x: fastad.vjp(F, x * 2)[1](x * x)[0],
    "inner variable": lambda F: lambda x: fastad.grad(lambda y: F(x + y) * x)(x),
    "decides on it": lambda F: lambda x: F(x) * x if F(x) > 0.1 else x * x,
    "in a loop": lambda F: lambda x: sum([F(x * k) for k in range(1, 4)]),
    "stops": lambda F: lambda x: fastad.stop_gradient(F(x)) * F(x),
}


@pytest.mark.parametrize("name", AROUND)
@pytest.mark.parametrize("recorded", [False, True])
def test_orders_of_scalars(name, recorded):
    F = fastad.record(branching)
    program, eager = AROUND[name](F), AROUND[name](branching)
    if recorded:
        program = fastad.record(program)
    wanted, found = eager, program
    for _ in range(4):
        for x in POINTS:
            close(found(x), wanted(x))
        wanted, found = fastad.grad(wanted), fastad.grad(found)


def total(F):
    def g(v, a):
        out = F({"v": v * a, "a": a}, k=1.5)
        return out["sum"] + np.sum(out["h"] * v) * out["count"]
    return g


@pytest.mark.parametrize("recorded", [False, True])
def test_arrays_in_nestings(recorded):
    F = fastad.record(arrays)
    f, g = total(arrays), total(F)
    if recorded:
        g = fastad.record(g)
    for scale in (1.0, 0.5):
        close_derivatives(g, f, V * scale, 0.7)


def test_single_precision_and_whole_numbers():
    def f(v, index):
        best = np.argmax(v)
        return v[index] * v[best], best, v[best] > 0, int(best)

    F = fastad.record(f)

    def around(f):
        def g(v):
            parts, best, positive, plain = f(v, np.array([0, 2]))
            return np.sum(parts * v[best]) * (2 if positive else 3) * (plain + 1)
        return g
    for dtype in (np.float64, np.float32):
        program = fastad.record(around(F))
        for v in (V, V[::-1], -V, V):
            v = v.astype(dtype)
            for found in (fastad.grad(around(F))(v), program.grad(v)):
                assert found.dtype == dtype
                close(found, fastad.grad(around(f))(v), 1e-5)
            close(program(v), around(f)(v), 1e-5)


def test_programs_that_call_programs():
    H = fastad.record(branching)
    G = fastad.record(lambda x: H(x) * x + H(2 * x))
    F = fastad.record(lambda x: G(x) * H(x))

    def g(x):
        return branching(x) * x + branching(2 * x)

    def f(x):
        return g(x) * branching(x)
    for x in POINTS:
        close((F(x), F.grad(x), F.hessian(x), fastad.grad(fastad.hessian(F))(x)),
              (f(x), fastad.grad(f)(x), fastad.hessian(f)(x), fastad.grad(fastad.hessian(f))(x)))
    assert F.stats["paths"] == 1                  # what G and H decide is theirs


def test_recursion():
    def plain(x):
        return x if x < 1 else plain(x / 2) * x

    F = fastad.record(lambda x: x if x < 1 else F(x / 2) * x)
    even = fastad.record(lambda x: x * x if x < 1 else odd(x / 2) * x)
    odd = fastad.record(lambda x: x if x < 1 else even(x / 2) + x)
    even_f = lambda x: x * x if x < 1 else odd_f(x / 2) * x       # noqa: E731
    odd_f = lambda x: x if x < 1 else even_f(x / 2) + x           # noqa: E731
    for x in (5.0, 0.5, 9.0, 3.0):
        close((F(x), F.grad(x), F.hessian(x)), (plain(x), fastad.grad(plain)(x), fastad.hessian(plain)(x)))
        close(fastad.grad(lambda y: F(y) * y)(x), fastad.grad(lambda y: plain(y) * y)(x))
        close((even(x), even.grad(x)), (even_f(x), fastad.grad(even_f)(x)))


# ---- one instruction -------------------------------------------------------------------------------------------------------------

def test_long_programs_are_one_instruction_and_short_ones_are_not(monkeypatch):
    monkeypatch.undo()
    short, program = fastad.record(branching), fastad.record(long)
    assert fastad.trace(lambda x: short(x) * x, 2.0).opcode.size < 20
    assert not fastad.trace(lambda x: short(x) * x, 2.0).records
    assert fastad.trace(lambda x: program(x) * x, 2.0).opcode.size < 20
    assert fastad.trace(lambda x: long(x) * x, 2.0).opcode.size > 6000
    outer = fastad.record(lambda x: program(x) * x)
    close((outer(2.0), outer.grad(2.0)), (long(2.0) * 2, fastad.grad(lambda x: long(x) * x)(2.0)))
    assert outer.stats["instructions"] < 20
    assert outer.stats["python_calls"] == ["long", "reverse of long"]


def test_the_paths_of_a_program_are_its_own():
    F = fastad.record(branching)
    outer = fastad.record(lambda x: F(x) + x)
    for x in POINTS * 2:
        close(outer(x), branching(x) + x)
    assert outer.stats["paths"] == 1 and F.stats["paths"] == 2


def test_another_structure_shape_or_whole_number_is_another_path():
    def f(x, v):
        if x > 1:
            return {"a": x * 2, "b": 5}
        return {"a": v * x if x > 0 else v[:2] * x, "b": 5 if x > -1 else 6}

    def around(f):
        def g(x, v):
            out = f(x, v)
            return np.sum(out["a"]) * out["b"] * np.size(out["a"])
        return g
    F = fastad.record(f)
    outer = fastad.record(around(F))
    for x in (2.0, 0.5, -0.5, -2.0) * 3:
        close(outer(x, V), around(f)(x, V))
        close(outer.grad(x, V), fastad.grad(around(f))(x, V))
    assert outer.stats["paths"] == 4 and not outer.stats["eager"]


def test_what_the_program_raises():
    def f(x):
        if x > 3:
            raise ValueError("too much")
        return x * x

    F = fastad.record(f)

    def around(f):
        def g(x):
            try:
                return f(x) * x
            except ValueError:
                return x
        return g
    outer, open_ = fastad.record(around(F)), fastad.record(lambda x: F(x) * x)
    for x in (2.0, 4.0, 3.0, 5.0):
        close((outer(x), outer.grad(x)), (around(f)(x), fastad.grad(around(f))(x)))
        for call in (open_, open_.grad, fastad.grad(lambda x: F(x) * x)):
            if x > 3:
                with pytest.raises(ValueError, match="too much"):
                    call(x)
            else:
                call(x)


# ---- where the function itself runs ----------------------------------------------------------------------------------------------

def test_results_that_are_objects():
    F = fastad.record(lambda x: (x * x, "text", None))
    assert fastad.grad(lambda x: F(x)[0] if F(x)[1] == "text" else x)(3.0) == 6.0
    assert fastad.grad(lambda x: F(x), has_aux=False) is not None
    value, aux = fastad.value_and_grad(lambda x: (F(x)[0], F(x)[1:]), has_aux=True)(3.0)[0]
    assert value == 9.0 and aux == ("text", None)


def test_values_of_the_trace_that_are_captured():
    def outer(x):
        F = fastad.record(lambda y: x * y * y)
        return F(x) + F(2.0 * x)
    close(fastad.grad(outer)(3.0), 15 * 9.0)
    close(fastad.record(outer).grad(3.0), 15 * 9.0)


def test_random_numbers():
    def run(wrap):
        rng = np.random.default_rng(0)
        F = wrap(lambda v: np.sum(v * rng.normal(size=3)))
        return [fastad.grad(lambda v: F(v) * F(2 * v))(V) for _ in range(3)]
    close(run(fastad.record), run(lambda f: f))


def test_a_function_that_does_not_repeat_itself():
    w = np.ones(3)
    F = fastad.record(lambda v: np.sum(v * v * w))

    def g(v):
        y = F(v)
        w[...] += 1.0
        return y
    with pytest.raises(fastad.TraceError, match="other results"):
        fastad.grad(g)(V)


def test_captured_arrays_are_read_live():
    w = np.ones(3)
    F = fastad.record(lambda v: np.sum(v * v * w))
    outer = fastad.record(lambda v: F(v) * 2)
    for k in (1.0, 2.0, 3.0):
        w[...] = k
        close((outer(V), outer.grad(V)), (np.sum(V * V) * k * 2, 4 * V * k))
        close(fastad.grad(lambda v: F(v) * 2)(V), 4 * V * k)


def test_rebound_captures():
    rate = 2.0

    def f(x):
        return rate * x * x
    F = fastad.record(f)
    outer = fastad.record(lambda x: F(x) * x)
    close(outer.grad(2.0), 24.0)
    rate = 3.0
    close(outer.grad(2.0), 36.0)
    close(outer.hessian(2.0), 36.0)


# ---- without source, threads, files ----------------------------------------------------------------------------------------------

def test_loaded_programs(tmp_path):
    F = fastad.record(arrays)
    for a in (0.7, 0.2):
        F({"v": V, "a": a}, k=1.5)
    F.save(tmp_path / "f")
    loaded = fastad.load(tmp_path / "f")
    f, g = total(arrays), total(loaded)
    outer = fastad.record(g)
    close((g(V, 0.7), outer(V, 0.7)), (f(V, 0.7), f(V, 0.7)))
    for program in (g, outer):
        close(fastad.grad(program, (0, 1))(V, 0.7), fastad.grad(f, (0, 1))(V, 0.7))
        close(fastad.jvp(program, (V, 0.7), (V, 1.0)), fastad.jvp(f, (V, 0.7), (V, 1.0)))
        with pytest.raises(fastad.GuardError, match="higher order"):
            fastad.hessian(program)(V, 0.7)
    with pytest.raises(fastad.GuardError, match="types and shapes"):
        fastad.grad(lambda v: loaded({"v": v, "a": 0.5}, k=1.5)["sum"])(np.ones(4))


def test_a_file_does_not_hold_calls(tmp_path):
    F = fastad.record(branching)
    outer = fastad.record(lambda x: F(x) * x, 2.0)
    with pytest.raises(TypeError, match="branching"):
        outer.save(tmp_path / "f")


def test_threads():
    F = fastad.record(branching)
    outer = fastad.record(lambda x: F(x) * x)

    def work(seed):
        for x in np.random.default_rng(seed).uniform(-2, 2, 100).tolist():
            wanted = fastad.grad(lambda y: branching(y) * y)(x)
            close((outer.grad(x), fastad.grad(lambda y: F(y) * y)(x)), (wanted, wanted))
    in_threads(4, work)
