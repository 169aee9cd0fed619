"""Figures of small products, systems of equations and Jacobians replayed: `python -m bench.products` prints them all.

What an instruction costs is the difference between two programs that differ by many of them. Everything is checked before it is
timed; the two sides of a ratio alternate in one run, on one thread.
"""

import functools
import sys

import numpy as np

import fastad
import fastad.numpy as fnp
from bench import peers, report, timing
from bench.arrays import assert_same
from bench.report import Row

STEPS = 400                # products one after the other
PRODUCT_BOUND = 60e-9      # seconds that a product of 4 by 4 takes beyond an elementwise instruction


def repeated(step, a):
    """Returns the program of x -> step(...step(x, a)..., a), STEPS times, replayed once."""

    def f(x):
        for _ in range(STEPS):
            x = step(x, a)
        return x

    program = fastad.record(f)
    x = np.full(a.shape, 0.5)
    assert_same([program(x)], [f(x)], 1e-12)
    assert_same([program(2 * x)], [f(2 * x)], 1e-12)
    return functools.partial(program, x)


def small_products(n):
    """Returns the rows of products of n by n matrices: beyond an elementwise instruction, and beside NumPy's call."""
    a = np.linalg.qr(np.random.default_rng(3).normal(size=(n, n)))[0]
    # Blocks so short that some of them are left alone by whatever else runs.
    both = timing.ratio(repeated(np.matmul, a), repeated(np.multiply, np.full((n, n), 0.999)), 60, (10, 10))
    plain = timing.best_of(functools.partial(np.matmul, a, a), 20, 200)
    beyond = (both.first - both.second) / STEPS
    return [
        Row(f"a product of {n} x {n} beyond an elementwise instruction", beyond, "s", at_most=PRODUCT_BOUND if n == 4 else None),
        Row("  a call of np.matmul for the same", plain, "s"),
    ]


def systems(n):
    """Returns the rows of a system of n equations solved in a replay, and value and gradient of a log-determinant."""
    rng = np.random.default_rng(5)
    a, b = rng.normal(size=(n, n)) + n * np.eye(n), rng.normal(size=n)
    program = fastad.record(np.linalg.solve)
    assert_same([program(a, b)], [np.linalg.solve(a, b)], 1e-12)
    both = timing.ratio(functools.partial(program, a, b), functools.partial(np.linalg.solve, a, b), 20)

    def log_determinant(a):
        return np.linalg.slogdet(a)[1]

    gradient = fastad.record(log_determinant).grad
    gradient(a)
    assert_same([gradient(a)], [np.linalg.inv(a).T], 1e-10)
    return [
        Row(f"a system of {n} equations replayed over np.linalg.solve", both.ratio, "x"),
        Row("  gradient of log det replayed", timing.best_of(functools.partial(gradient, a), 20), "s"),
    ]


def arm(angles):
    """Returns the end (2) and every joint of a chain of turns, each by a product of 3 by 3 matrices."""
    place, joints = np.eye(3), []
    for k in range(len(angles)):
        turn = fnp.zeros((3, 3))
        turn[0, 0] = turn[1, 1] = np.cos(angles[k])
        turn[0, 1], turn[1, 0] = -np.sin(angles[k]), np.sin(angles[k])
        turn[0, 2], turn[2, 2] = 1.0, 1.0
        place = place @ turn
        joints.append(place[:2, 2])
    return np.stack(joints)


def jacobians(n):
    """Returns the rows of a Jacobian of n inputs replayed, by several seeds per sweep, over the eager one and over n jvps."""
    angles = np.linspace(0.1, 0.6, n)
    program = fastad.record(arm)
    replayed, eager = program.jacobian, fastad.jacobian(arm)
    replayed(angles)
    assert_same([replayed(angles, mode="forward")], [eager(angles)], 1e-12)
    assert_same([replayed(angles, mode="reverse")], [eager(angles)], 1e-12)
    units = np.eye(n)

    def one_by_one():
        for unit in units:
            program.jvp((angles,), (unit,))

    one_by_one()
    several = functools.partial(replayed, angles, mode="forward")
    beside = {"n jvps replayed": one_by_one, "the eager Jacobian": functools.partial(eager, angles)}
    return [
        Row(f"Jacobian of {n} inputs replayed over {name}", timing.ratio(several, other, 5).ratio, "x", at_most=1.0)
        for name, other in beside.items()
    ]


FIGURES = (
    *(functools.partial(small_products, n) for n in (2, 4, 8, 16, 32)),
    *(functools.partial(systems, n) for n in (3, 30)),
    functools.partial(jacobians, 24),
)


def run(options, console):
    """Prints the table of the figures, shorter with `options.quick`; returns whether every bound is met."""
    with peers.one_thread():
        rows = [row for figure in (FIGURES[1:2] if options.quick else FIGURES) for row in figure()]
    return report.print_stamped(console, "Products, systems, Jacobians replayed", rows)


if __name__ == "__main__":
    sys.exit(report.status_of(run))
