"""Checkpoints: the values and derivatives of the function without them, in less memory."""

import functools
import types

import jax
import numpy as np
import pytest
from nested_results import V, branching, close, close_derivatives, long
from threaded import in_threads

import fastad
from fastad.programs import revolve


def block(p, k=2.0):
    h = np.tanh(p["v"] * k) + np.sin(p["v"] @ p["v"])
    return {"v": h[::-1] * p["v"], "n": 3}, np.sum(h)


def not_wrapped(f):
    return f


def nested(wrap):
    def outer(x):
        return wrap(branching)(x * 0.5) * x
    return lambda x: wrap(outer)(x) + wrap(wrap(branching))(x)


def captures(wrap):
    def f(x):
        pair = [x * x, {"a": x}]

        def helper(y):
            return y * pair[0]
        return wrap(lambda y: helper(y) * pair[1]["a"] + x)(x + 1.0)
    return f


def shares_a_helper(wrap):
    def f(x):
        def helper(y):
            return y * x

        def one(y):
            return helper(y) + x

        def itself(y, n=2):
            return one(helper(y)) if n == 0 else itself(y, n - 1)
        return wrap(lambda y: one(y) * helper(y) + itself(y))(x * x)
    return f


SCALARS = {
    "a shared helper": shares_a_helper,
    "once": lambda wrap: lambda x: wrap(branching)(x) * x,
    "twice": lambda wrap: lambda x: wrap(branching)(wrap(branching)(x)),
    "nested": nested, "captured values": captures,
    "a method": lambda wrap: lambda x: type("Model", (), {"step": wrap(lambda self, y: y * y * x)})().step(x),
    "a partial": lambda wrap: lambda x: wrap(functools.partial(lambda w, y: w["w"] * y * y, {"w": x}))(x),
    "decides": lambda wrap: lambda x: wrap(lambda y: (y * y, 2 if y > 0 else 3))(x)[1] * wrap(branching)(x),
}


@pytest.mark.parametrize("name", SCALARS)
@pytest.mark.parametrize("recorded", [False, True])
def test_orders_of_scalars(name, recorded):
    f, g = SCALARS[name](not_wrapped), SCALARS[name](fastad.checkpoint)
    if recorded:
        g = fastad.record(g)
    for _ in range(4):
        for x in (1.3, -0.7, 0.4):
            close(g(x), f(x))
        f, g = fastad.grad(f), fastad.grad(g)


@pytest.mark.parametrize("recorded", [False, True])
def test_arrays(recorded):
    def loss(wrap):
        def f(v, s):
            out, total = wrap(block)({"v": v * s}, k=1.5)
            out, more = wrap(block)(out)
            return np.sum(out["v"]) * total + more * out["n"]
        return f
    f, g = loss(not_wrapped), loss(fastad.checkpoint)
    if recorded:
        g = fastad.record(g)
    close_derivatives(g, f, V, 0.7)


def test_as_in_jax():
    def f(numpy, wrap):
        layer = wrap(lambda w, h: numpy.tanh(w @ h))
        return lambda w, h: numpy.sum(layer(w, layer(w, h)) ** 2)
    w, h = np.random.default_rng(0).normal(size=(4, 4)), np.arange(4.0)
    with jax.enable_x64(True):
        wanted = [np.asarray(jax.grad(f(jax.numpy, jax.checkpoint))(w, h)), np.asarray(jax.hessian(f(jax.numpy, jax.checkpoint))(w, h))]
    for g in (f(np, fastad.checkpoint), fastad.record(f(np, fastad.checkpoint))):
        close([fastad.grad(g)(w, h), fastad.hessian(g)(w, h)], wanted, 1e-9)


def test_the_inner_tape_is_not_kept():
    def chain(wrap):
        def f(x):
            for _ in range(20):
                x = wrap(long)(x, 1000)
            return x
        return f
    assert fastad.trace(chain(not_wrapped), 0.5).opcode.size > 20_000
    assert fastad.trace(chain(fastad.checkpoint), 0.5).opcode.size < 100
    recorded = fastad.record(chain(fastad.checkpoint), 0.5)
    assert recorded.stats["instructions"] < 200
    close(recorded.grad(0.5), fastad.grad(chain(not_wrapped))(0.5))


def test_a_program():
    F = fastad.record(branching)
    close(fastad.grad(lambda x: fastad.checkpoint(F)(x) * x)(1.3), fastad.grad(lambda x: branching(x) * x)(1.3))
    assert fastad.trace(lambda x: fastad.checkpoint(F)(x), 1.3).records
    assert fastad.checkpoint(F)(1.3) == branching(1.3)


@pytest.mark.parametrize("recorded", [False, True])
def test_random_numbers_are_the_same_in_each_run(recorded):
    def run(wrap):
        rng = np.random.default_rng(0)

        def f(v):
            return np.sum(wrap(lambda u: u * u * rng.normal(size=3))(v)) * rng.normal()
        if recorded:
            f = fastad.record(f)
        return [(fastad.value_and_grad(f)(V), rng.normal()) for _ in range(3)]
    close(run(fastad.checkpoint), run(not_wrapped))


def test_what_does_not_repeat_itself_is_an_error():
    calls = []

    def f(x):
        calls.append(1)
        return x * len(calls)
    with pytest.raises(fastad.TraceError, match="f gave other results"):
        fastad.grad(fastad.checkpoint(f))(2.0)


def test_bad_input():
    with pytest.raises(TypeError, match="checkpoint needs a function, not int"):
        fastad.checkpoint(3)
    held = types.SimpleNamespace()

    def f(x):
        held.x = x
        return fastad.checkpoint(lambda y: held.x * y)(x)
    with pytest.raises(fastad.TraceError, match="as\\s+arguments"):
        fastad.grad(f)(2.0)

    def fails(x):
        raise ValueError("no")
    with pytest.raises(ValueError, match="no"):
        fastad.grad(fastad.checkpoint(fails))(2.0)
    assert fastad.grad(lambda x: fastad.checkpoint(lambda y: (y * y, "text"))(x)[0])(3.0) == 6.0
    with pytest.raises(TypeError, match="branching"):
        fastad.record(lambda x: fastad.checkpoint(branching)(x) * x, 2.0).save("/nonexistent")


def test_threads():
    f, g = nested(not_wrapped), nested(fastad.checkpoint)
    program = fastad.record(g)

    def work(seed):
        for x in np.random.default_rng(seed).uniform(-2, 2, 50).tolist():
            wanted = fastad.grad(f)(x)
            close((program.grad(x), fastad.grad(g)(x)), (wanted, wanted))
    in_threads(4, work)


# ---- the schedule ----------------------------------------------------------------------------------------------------------------

def least(steps, states, known):
    """The least number of steps forward by trying every place for the next state."""
    if steps == 1:
        return 0
    if states == 1:
        return steps * (steps - 1) // 2
    if (steps, states) not in known:
        known[steps, states] = min(m + least(steps - m, states - 1, known) + least(m, states, known) for m in range(1, steps))
    return known[steps, states]


def carried_out(steps, states):
    """(steps forward, most often that one is taken) of a schedule, whose every action is checked."""
    stored, at, wanted, taken = {}, 0, steps - 1, [0] * steps
    for action, i, k in revolve.schedule(steps, states):
        if action == revolve.STORE:
            assert at == i and k < states and len(stored) < states
            stored[k] = i
        elif action == revolve.RESTORE:
            assert stored[k] == i
            at = i
        elif action == revolve.ADVANCE:
            assert at == i < k <= wanted
            for j in range(i, k):
                taken[j] += 1
            at = k
        else:
            assert at == i and k == wanted + 1 and len(stored) + max(k - i - 2, 0) <= states
            for j in range(i, k - 1):
                taken[j] += 1
            wanted = i - 1
            stored = {number: j for number, j in stored.items() if j < i}       # what is before the steps that are left
    assert wanted == -1
    return sum(taken), max(taken, default=0)


def test_schedules_take_the_least_number_of_steps():
    known = {}
    for steps in range(1, 45):
        for states in range(1, 12):
            forward, most = carried_out(steps, states)
            assert forward == least(steps, states, known) == revolve.least_forward_steps(steps, states)
            assert most <= revolve.repetitions(steps, states)


def test_numbers_of_the_publication():
    # Griewank and Walther, table of beta: with s states no step of C(s + r, s) is taken more than r times.
    for states, repeated, steps in ((1, 3, 4), (3, 3, 20), (10, 5, 3003), (5, 10, 3003), (140, 2, 10_011)):
        assert revolve.beta(states, repeated) == steps
        assert revolve.repetitions(steps, states) == repeated and revolve.repetitions(steps + 1, states) == repeated + 1
        assert carried_out(steps, states) == (revolve.least_forward_steps(steps, states), repeated)
    assert revolve.least_forward_steps(10, 3) == 15
    assert revolve.states_for(10_000) == 140


def test_schedules_of_nothing():
    assert list(revolve.schedule(0, 3)) == []
    with pytest.raises(ValueError, match="at least 1"):
        list(revolve.schedule(3, 0))
