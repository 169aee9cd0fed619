"""Figures of `F.map`: `python -m bench.mapping` prints them all, beside JAX where installed.

Every figure checks the map against a loop of calls before anything is timed. The two sides of a ratio alternate in one run.
"""

import functools
import multiprocessing
import sys

import numpy as np

import fastad
import fastad.math as fm
from bench import programs, report, timing
from bench.gradbench import ba
from bench.report import Row

POINTS = 100_000
STEPS, JAX_STEPS = 110, 22           # XLA takes minutes over the whole
POINT_BOUND, THREADS_BOUND, NEWTON_BOUND = 1.0, 1.8, 50.0


def thousand(x, y, m=fm, steps=STEPS):
    """Returns a number after about a thousand operations, + - * / and a few exp and sin, on two numbers."""
    s, t = x, y
    for k in range(steps):
        s, t = s * t + 0.5, t - 0.3 * s
        s = s / (1.0 + t * t)
        t = t * x - s * 0.25
        if k % 40 == 5:
            s = m.exp(-s * s)
        if k % 40 == 20:
            t = m.sin(t)
    return s * t + s


def columns(count=POINTS):
    """Returns two columns of numbers."""
    return np.random.default_rng(1).uniform(-1.0, 1.0, (2, count))


def check_thousand(count=50):
    """Raises AssertionError unless the map is the loop: values to the last bit, gradients to rounding."""
    x, y = columns(count)
    program = fastad.record(thousand)
    values, gradients = program.map(x, y, argnums=(0, 1))
    for i in range(count):
        value, gradient = program.value_and_grad(float(x[i]), float(y[i]), argnums=(0, 1))
        programs.assert_equal(values[i], value)
        np.testing.assert_allclose([g[i] for g in gradients], gradient, rtol=1e-9, atol=1e-12)


def jax_map(x, y):
    """Returns value and gradient of the first JAX_STEPS by JAX, compiled, as a call without arguments, or None without JAX."""
    try:
        import jax
    except ModuleNotFoundError:
        return None
    jax.config.update("jax_enable_x64", True)
    both = jax.jit(jax.vmap(jax.value_and_grad(functools.partial(thousand, m=jax.numpy, steps=JAX_STEPS), argnums=(0, 1))))
    x, y = jax.numpy.asarray(x), jax.numpy.asarray(y)
    return lambda: jax.block_until_ready(both(x, y))


def take_turns(number, barrier, found, rounds):
    """Maps the thousand operations in a process of its own: by turns alone (the first process only) and beside the other one."""
    x, y = columns()
    one = functools.partial(fastad.record(thousand, 0.3, 0.2).map, x, y, argnums=(0, 1))
    one()
    alone, beside = [], []
    for _ in range(rounds):
        barrier.wait()
        if number == 0:
            alone.append(timing.once(one))
        barrier.wait()
        beside.append(timing.once(one))
    found.put((alone, beside))


def two_processes(rounds=20):
    """Returns how many times the work of one process two of them do at once: two threads can not do more."""
    context = multiprocessing.get_context("spawn")
    barrier, found = context.Barrier(2), context.SimpleQueue()
    processes = [context.Process(target=take_turns, args=(number, barrier, found, rounds)) for number in range(2)]
    for process in processes:
        process.start()
    (alone, beside), (more, other) = found.get(), found.get()
    for process in processes:
        process.join()
    return 2.0 * min(alone + more) / min(map(max, beside, other))


def many_points():
    """Returns the rows of the thousand operations at many points."""
    check_thousand()
    x, y = columns()
    program = fastad.record(thousand, 0.3, 0.2)
    operations = program.stats["instructions"]
    per = 1e9 / POINTS / operations
    one = functools.partial(program.map, x, y, argnums=(0, 1))
    two = functools.partial(one, threads=2)
    compared = timing.ratio(one, two, rounds=20, number=(1, 1))
    value = timing.best_of(functools.partial(program.map, x, y, what="value"), number=1)
    rows = [
        Row(f"{operations} operations at {POINTS:,} points: value and gradient, per operation and point", compared.first * per, "ns",
            at_most=POINT_BOUND),
        Row("  value", value * per, "ns"),
        Row("  one thread over two", compared.ratio, "", at_least=THREADS_BOUND),
        Row("  the machine's own: the work of two processes at once over that of one", two_processes(), ""),
    ]
    theirs = jax_map(x, y)
    if theirs is not None:
        theirs()
        rows.append(Row(f"  JAX with jit and vmap, its own threads, the first {JAX_STEPS} of {STEPS} rounds",
                        timing.best_of(theirs, number=1) * per * STEPS / JAX_STEPS, "ns"))
    return rows


def newton():
    """Returns the rows of Newton's iteration, whose rows take from 3 to 20 rounds."""
    inputs = [a for a, in programs.root_inputs(POINTS)]
    a = np.array(inputs)
    program = fastad.record(programs.root)
    mapped = functools.partial(program.map, a, what="value")
    if mapped().tolist() != [programs.root(x) for x in inputs]:
        raise AssertionError("the map differs from the loop")

    def looped():
        return [programs.root(x) for x in inputs]

    compared = timing.ratio(looped, mapped, rounds=20)
    return [
        Row(f"Newton's while at {POINTS:,} inputs: plain Python over the map", compared.ratio, "", at_least=NEWTON_BOUND),
        Row("  over a single map, with what Python and the garbage collector left in the caches",
            timing.ratio(looped, mapped, rounds=20, number=(1, 1)).ratio, ""),
        Row("  value and gradient", timing.best_of(functools.partial(program.map, a), number=1), "s"),
    ]


def jacobians(count=2_000):
    """Returns the rows of the Jacobians of two results by 15 numbers: the errors of one observation of bundle adjustment."""
    rng = np.random.default_rng(3)
    observed, feature = rng.normal(size=(count, 15)), rng.normal(size=(count, 2))
    observed[:, 5] -= 5.0
    program = fastad.record(ba.two_errors)
    mapped = functools.partial(program.map, observed, feature, what="jacobian")

    def looped():
        return [program.jacobian(*row) for row in zip(observed, feature, strict=True)]

    found = mapped()
    for k, row in enumerate(looped()[:50]):
        for i in range(2):
            np.testing.assert_allclose(found[i][k], row[i], rtol=1e-9, atol=1e-12)
    compared = timing.ratio(looped, mapped, rounds=3, number=(1, 5))
    return [
        Row(f"Jacobian of two results by 15 numbers at {count:,} rows, per row", 1e6 * compared.second / count, "us"),
        Row("  a loop of calls over the map", compared.ratio, ""),
    ]


FIGURES = (many_points, newton, jacobians)


def run(options, console):
    """Prints the table of the figures; returns whether every bound is met."""
    return report.print_stamped(console, "F.map", [row for figure in FIGURES for row in figure()], threads=2)


if __name__ == "__main__":
    sys.exit(report.status_of(run))
