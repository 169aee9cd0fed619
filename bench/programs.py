"""Figures of programs: `python -m bench.programs` prints them all, beside PyTorch, JAX and CasADi where installed.

A program is recorded once by `fastad.record` and replayed. Every figure checks its program against the plain function and
against derivatives written by hand or complex steps, at other points than the recorded one too, before anything is timed.
The two sides of a ratio alternate in one run, on one thread; each has a function object of its own.
"""

import cmath
import functools
import gc
import math
import sys
import time
import types

import numpy as np

import fastad
import fastad.math
from bench import microgpt, microgpt_arrays, peers, pure, report, timing
from bench.arrays import assert_same, installed, prepared, random_numbers
from bench.figures import MANY_SHORT, POINT, SHORT, assert_close, complex_step, loop, twin, unit
from bench.main_job import LOSS_TOLERANCE, NAME_STEPS, QUICK_NAME_STEPS
from bench.report import Row
from bench.training import Run, alternate, largest_difference, speedups

DIMENSION = 10
ORBIT_POINT = (0.999999, 0.3, 0.2, -0.7)
DECISIONS_PER_PASS = 4
INPUTS, CHECKED_INPUTS = 10_000, 200
TOLERANCE = 1e-12
FEWEST_ROUNDS, MOST_ROUNDS = 3, 20
WHOLE = {"rounds": 10, "number": (1, 1)}
CALL_BOUND = 3e-6
LOOP_BOUND, RECORDING_BOUND, GUARD_BOUND, NEWTON_BOUND = 0.7, 1.5, 1.3, 1.0
PATHS_BOUND = 20
NAMES_BOUND = 300.0


def replayed(function, argnums=0):
    """Returns value and gradient of the program of a function, called as those of `fastad.value_and_grad`."""
    return functools.partial(fastad.record(function).value_and_grad, argnums=argnums)


def assert_equal(found, expected):
    """Raises AssertionError unless two numbers are equal to the last bit."""
    if found != expected:
        raise AssertionError(f"{found!r}, expected {expected!r}")


# ---- one small gradient -------------------------------------------------------------------------------------------------


def rosenbrock(x):
    """Returns Rosenbrock's function of an array."""
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def rosenbrock_gradient(x):
    """Returns its gradient, by hand."""
    gap = x[1:] - x[:-1] ** 2
    gradient = np.zeros_like(x)
    gradient[1:] = 200.0 * gap
    gradient[:-1] -= 400.0 * x[:-1] * gap + 2.0 * (1.0 - x[:-1])
    return gradient


def check_rosenbrock(value_and_grad):
    """Raises AssertionError unless value and gradient of Rosenbrock's function are right at several points."""
    run = value_and_grad(twin(rosenbrock))
    for seed in range(5):
        x = random_numbers(seed, DIMENSION)
        value, gradient = run(x)
        assert_same([value, gradient], [rosenbrock(x), rosenbrock_gradient(x)], 1e-13)


def casadi_gradient(function, x):
    """Returns the gradient of a function of one array by CasADi as a call without arguments, or None without CasADi."""
    try:
        import casadi
    except ModuleNotFoundError:
        return None
    symbols = casadi.SX.sym("x", len(x))
    result = peers.on_namespace(function, types.SimpleNamespace(sum=casadi.sum1))(symbols)
    return functools.partial(casadi.Function("gradient", [symbols], [casadi.gradient(result, symbols)]), x)


def small_gradient():
    """Returns the rows of one call for the gradient of Rosenbrock's function, and for value and gradient by the peers."""
    check_rosenbrock(replayed)
    program, x = fastad.record(twin(rosenbrock)), random_numbers(1, DIMENSION)
    gradient, plain = functools.partial(program.grad, x), functools.partial(twin(rosenbrock), x)
    both = functools.partial(program.value_and_grad, x)
    expected = both()
    assert_same([gradient()], [rosenbrock_gradient(x)], 1e-13)
    rows = [
        Row(f"Rosenbrock, n = {DIMENSION}: gradient, one call", timing.best_of(gradient, repeat=20), "s", at_most=CALL_BOUND),
        Row("  value and gradient", timing.best_of(both, repeat=20), "s"),
        Row("  value", timing.best_of(functools.partial(program, x), repeat=20), "s"),
        Row("  plain NumPy function", timing.best_of(plain, repeat=20), "s"),
    ]
    for peer in installed("JAX with jit", "PyTorch", "autograd"):
        theirs = prepared(peer, peers.on_namespace(rosenbrock, peer.np), (x,), 1, (expected[0], (expected[1],)), 1e-12)
        rows.append(Row(f"  {peer.name}: value and gradient", timing.best_of(theirs), "s"))
    theirs = casadi_gradient(rosenbrock, x)
    if theirs is not None:
        assert_same([theirs().full().ravel()], [expected[1]], 1e-12)
        rows.append(Row("  CasADi: gradient", timing.best_of(theirs), "s"))
    return rows


# ---- loops of scalars -----------------------------------------------------------------------------------------------------


def orbit(x, y, z, w, operations=SHORT):
    """Returns y z after `operations` additions and products, y and z an oscillator."""
    for _ in range(operations // DECISIONS_PER_PASS):
        u = y * x
        y = u + z
        u = w * y
        z = z + u
    return y * z


def deciding_orbit(x, y, z, w, operations=SHORT):
    """Returns the value of `orbit` to the last bit, with a decision at each operation: which operand comes first."""
    for _ in range(operations // DECISIONS_PER_PASS):
        u = y * x if y > 0.0 else x * y
        y = u + z if z > 0.0 else z + u
        u = w * y if u > y else y * w
        z = z + u if u < 0.0 else u + z
    return y * z


def check_scalars(function, point, value_and_grad):
    """Raises AssertionError unless value and gradient are right at `point`, at another one, and at `point` again."""
    run = value_and_grad(twin(function), argnums=tuple(range(len(point))))
    plain = twin(function)
    damping, *rest = point
    for moved in (point, (damping, *(0.9 * p for p in rest)), point):
        value, gradient = run(*moved)
        assert_equal(value, plain(*moved))
        # Complex numbers have no order: the loop with decisions has the slopes of the one without.
        smooth = orbit if function is deciding_orbit else function
        assert_close(gradient, [complex_step(smooth, moved, unit(len(moved), i)) for i in range(len(moved))])


def check_loop(value_and_grad):
    """Raises AssertionError unless value and gradient of the loop are right."""
    check_scalars(loop, POINT, value_and_grad)


def check_orbit(value_and_grad):
    """Raises AssertionError unless value and gradient of the loop without decisions are right."""
    check_scalars(orbit, ORBIT_POINT, value_and_grad)


def check_decisions(value_and_grad):
    """Raises AssertionError unless value and gradient of the loop of decisions are right."""
    check_scalars(deciding_orbit, ORBIT_POINT, value_and_grad)


def scalar_loop():
    """Returns the rows of value and gradient of the loop, and of its value, replayed, over the loop on floats."""
    check_loop(replayed)
    program, floats = fastad.record(twin(loop)), functools.partial(twin(loop), *POINT)
    gradient = functools.partial(program.value_and_grad, *POINT, argnums=(0, 1, 2, 3))
    both = timing.ratio(gradient, floats, **MANY_SHORT)
    value = timing.ratio(functools.partial(program, *POINT), floats, **MANY_SHORT)
    return [
        Row("loop: value and gradient replayed, over floats", both.ratio, "x", at_most=LOOP_BOUND),
        Row("  value and gradient, per operation", both.first / SHORT, "s"),
        Row("  value, per operation", value.first / SHORT, "s"),
        Row("  floats, per operation", both.second / SHORT, "s"),
    ]


def recording_over_eager(title, function, point, at_most=None):
    """Returns the rows of what recording costs.

    One side makes a program and calls it for the first time: that runs the function on active values, finds every decision,
    and builds and keeps a program which replays; nothing is replayed. The other side is `fastad.trace`: it runs the same
    function on active values and keeps the tape. Neither sweeps. Both start from nothing in every round, with a new copy of
    the function, and do the same operations, so the ratio of the times is that of the times per operation.
    """

    def first_call():
        return fastad.record(twin(function))(*point)

    def eager_trace():
        return fastad.trace(twin(function), *point)

    def first_gradient():
        return fastad.record(twin(function)).value_and_grad(*point, argnums=argnums)

    def gradient():
        return fastad.value_and_grad(twin(function), argnums)(*point)

    argnums = tuple(range(len(point)))
    assert_equal(first_call(), twin(function)(*point))
    both = timing.ratio(first_call, eager_trace, **MANY_SHORT)
    return [
        Row(f"{title}: recording over an eager trace", both.ratio, "x", at_most=at_most),
        Row("  recording, per operation", both.first / SHORT, "s"),
        Row("  eager trace, per operation", both.second / SHORT, "s"),
        Row("  first value and gradient over the eager ones", timing.ratio(first_gradient, gradient, **MANY_SHORT).ratio, "x"),
    ]


def recording():
    """Returns the rows of recording the loop, and the loop of decisions."""
    return [
        *recording_over_eager("loop", loop, POINT, at_most=RECORDING_BOUND),
        *recording_over_eager("loop of decisions", deciding_orbit, ORBIT_POINT),
    ]


def guards():
    """Returns the rows of replaying the loop with a decision per operation over the same without, and over floats."""
    check_orbit(replayed)
    check_decisions(replayed)
    smooth, deciding = fastad.record(twin(orbit)), fastad.record(twin(deciding_orbit))
    floats = functools.partial(twin(deciding_orbit), *ORBIT_POINT)
    derived = {"argnums": (0, 1, 2, 3)}
    gradient = functools.partial(deciding.value_and_grad, *ORBIT_POINT, **derived)
    both = timing.ratio(gradient, functools.partial(smooth.value_and_grad, *ORBIT_POINT, **derived), **MANY_SHORT)
    values = timing.ratio(functools.partial(deciding, *ORBIT_POINT), functools.partial(smooth, *ORBIT_POINT), **MANY_SHORT)
    over = timing.ratio(gradient, floats, **MANY_SHORT)
    return [
        Row("an `if` per operation: value and gradient over without", both.ratio, "x", at_most=GUARD_BOUND),
        Row("  the same, value only", values.ratio, "x", at_most=GUARD_BOUND),
        Row("  value and gradient with, per operation", both.first / SHORT, "s"),
        Row("  value with, per operation", values.first / SHORT, "s"),
        Row("  value and gradient with, over floats", over.ratio, "x"),
    ]


# ---- Newton's iteration ---------------------------------------------------------------------------------------------------


def root(a):
    """Returns the square root of a by Newton's iteration (Heron)."""
    x = a
    while abs(x * x / a - 1.0) > TOLERANCE:
        x = 0.5 * (x + a / x)
    return x


def kepler(mean, eccentricity):
    """Returns the eccentric anomaly of an orbit at a mean anomaly, both in radians: Kepler's equation by Newton's iteration."""
    anomaly, change = mean, 1.0
    while abs(change) > TOLERANCE:
        excess = anomaly - eccentricity * math.sin(anomaly) - mean
        change = excess / (1.0 - eccentricity * math.cos(anomaly))
        anomaly = anomaly - change
    return anomaly


def on_functions(function, functions):
    """Returns a copy of a function, with bytecode of its own, whose global name `math` is another module."""
    return peers.on_namespace(function, functions, "math")


def root_inputs(count=INPUTS):
    """Returns numbers whose logarithms are uniformly random, as tuples of one."""
    logarithms = np.random.default_rng(5).uniform(np.log(1.1), np.log(1e8), count)
    return [(a,) for a in np.exp(logarithms).tolist()]


def kepler_inputs(count=INPUTS):
    """Returns pairs of a mean anomaly and an eccentricity, uniformly random."""
    draw = np.random.default_rng(6).uniform
    return list(zip(draw(0.1, 3.1, count).tolist(), draw(0.05, 0.9, count).tolist()))


class Rounds:
    """Counts the rounds of an iteration: stands for `abs` there, which is called once more than there are rounds."""

    def __init__(self):
        self.calls = 0

    def __call__(self, x):
        self.calls += 1
        return abs(x)


def rounds_of(function, point):
    """Returns how many rounds Newton's iteration takes at a point."""
    rounds = Rounds()
    peers.on_namespace(function, rounds, "abs")(*point)
    return rounds.calls - 1


def check_newton(function, inputs, value_and_grad):
    """Raises AssertionError unless values are those of the plain function, gradients right, and rounds between the limits."""
    argnums = tuple(range(len(inputs[0])))
    run = value_and_grad(on_functions(function, fastad.math), argnums=argnums)
    stepped = on_functions(function, cmath)
    for point in inputs[:CHECKED_INPUTS]:
        value, gradient = run(*point)
        assert_equal(value, function(*point))
        assert_close(gradient, [complex_step(stepped, point, unit(len(point), i)) for i in argnums])
    counts = [rounds_of(function, point) for point in inputs]
    if not FEWEST_ROUNDS <= min(counts) < max(counts) <= MOST_ROUNDS:
        raise AssertionError(f"from {min(counts)} to {max(counts)} rounds")


def check_root(value_and_grad):
    """Raises AssertionError unless value and derivative of the square root are right."""
    check_newton(root, root_inputs(), value_and_grad)


def check_kepler(value_and_grad):
    """Raises AssertionError unless value and derivatives of the solution of Kepler's equation are right."""
    check_newton(kepler, kepler_inputs(), value_and_grad)


def call_all(function, inputs):
    """Calls a function at every input, one at a time."""
    for point in inputs:
        function(*point)


def newton_over_floats(title, function, check, inputs):
    """Returns the rows of Newton's iteration on a program over the plain function, one call for each input.

    Every round of the bounded figure begins with a new program, so that recording its paths is part of the time.
    """
    check(replayed)
    program, plain = fastad.record(on_functions(function, fastad.math)), twin(function)
    floats = functools.partial(call_all, plain, inputs)
    for point in inputs:
        assert_equal(program(*point), plain(*point))
    gradient = functools.partial(program.grad, argnums=tuple(range(len(inputs[0]))))

    def from_nothing():
        call_all(fastad.record(on_functions(function, fastad.math)), inputs)

    fresh = timing.ratio(from_nothing, floats, **WHOLE)
    known = timing.ratio(functools.partial(call_all, program, inputs), floats, **WHOLE)
    gradients = timing.ratio(functools.partial(call_all, gradient, inputs), floats, **WHOLE)
    return [
        Row(f"{title}, {len(inputs):,} calls: replay over plain, recording too", fresh.ratio, "x", at_most=NEWTON_BOUND),
        Row("  paths recorded", paths(program), at_most=PATHS_BOUND),
        Row("  replay over plain, paths known", known.ratio, "x"),
        Row("  gradient over plain", gradients.ratio, "x"),
        Row("  replay, per call", known.first / len(inputs), "s"),
        Row("  plain, per call", known.second / len(inputs), "s"),
    ]


def paths(program):
    """Returns how many paths a program has recorded."""
    stats = program.stats
    return stats["paths"] if hasattr(stats, "keys") else stats.paths


def newton():
    """Returns the rows of Newton's iteration for the square root and for Kepler's equation."""
    return [
        *newton_over_floats("square root", root, check_root, root_inputs()),
        *newton_over_floats("Kepler's equation", kepler, check_kepler, kepler_inputs()),
    ]


# ---- a training step --------------------------------------------------------------------------------------------------------


def examples_by_length(steps):
    """Returns a name's tokens for each length that the first `steps` steps of training meet."""
    return {len(tokens): tokens for tokens in map(microgpt_arrays.tokens_of, microgpt.first_names()[:steps])}


def check_names(value_and_grad, names=("jo", "barbara", "maximiliano", "tamara")):
    """Raises AssertionError unless loss and gradient of the array form are those of the pure class on the scalar form."""
    derivative = value_and_grad(microgpt_arrays.loss)
    expected_derivative = pure.value_and_grad(microgpt.loss)
    parameters, scalar_parameters = microgpt_arrays.initial_parameters(), microgpt.initial_parameters()
    for name in names:
        value, gradient = derivative(parameters, microgpt_arrays.tokens_of(name))
        expected, matrices = expected_derivative(scalar_parameters, microgpt.tokens_of(name), pure)
        assert_close([value], [expected], 1e-13)
        assert_same([gradient[key] for key in matrices], [np.array(matrix) for matrix in matrices.values()], 1e-12)


def training_step(steps=NAME_STEPS):
    """Returns the rows of microgpt's training step, arrays replayed, over the pure class on the scalar form.

    Both train from the same parameters on the same names: loss, gradient and Adam's update, one name per step, with the
    cyclic garbage collector on, as Python programs run. A path for each length of name is recorded before, and its time
    is shown by itself.
    """
    check_names(replayed)
    derivative = replayed(microgpt_arrays.loss)
    parameters, examples = microgpt_arrays.initial_parameters(), examples_by_length(steps)
    start = time.perf_counter()
    for tokens in examples.values():
        derivative(parameters, tokens)
    recording_seconds = time.perf_counter() - start
    for tokens in examples.values():
        derivative(parameters, tokens)
    slow = Run(microgpt.training(pure.value_and_grad, pure, steps))
    fast = Run(microgpt_arrays.training(derivative, steps))
    alternate(slow, fast, steps, lambda: None)
    gradient, step = speedups(slow, fast)
    tokens = microgpt_arrays.tokens_of("barbara")
    plain = timing.ratio(
        functools.partial(derivative, parameters, tokens), functools.partial(twin(microgpt_arrays.loss), parameters, tokens)
    )
    return [
        Row("microgpt, arrays replayed: speedup over the pure class, whole step", step, "x", at_least=NAMES_BOUND),
        Row("  speedup, loss and gradient", gradient, "x"),
        Row("  largest relative loss difference", largest_difference(slow, fast), at_most=LOSS_TOLERANCE),
        Row("  step on the pure class, median", slow.median, "s"),
        Row("  step replayed, median", fast.median, "s"),
        Row("  step replayed, best", fast.best, "s"),
        Row("  loss and gradient replayed over plain NumPy loss", plain.ratio, "x"),
        Row(f"  recording, per length of name ({len(examples)} of them)", recording_seconds / len(examples), "s"),
    ]


# The training step comes first: the peers, once imported, may add to the work of the garbage collector, which it includes.
FIGURES = (training_step, small_gradient, scalar_loop, recording, guards, newton)
CHECKS = (check_rosenbrock, check_loop, check_orbit, check_decisions, check_root, check_kepler, check_names)


def run(options, console):
    """Prints the table of the figures, training shorter with `options.quick`; returns whether all meet their bounds."""
    steps = options.steps or (QUICK_NAME_STEPS if options.quick else NAME_STEPS)
    rows = []
    # The pure class should not pay for the collector's walks through the modules imported here.
    gc.freeze()
    with peers.one_thread():
        for figure in FIGURES:
            rows += figure(steps) if figure is training_step else figure()
    report.print_missing(console, peers.missing("PyTorch", "JAX", "autograd"))
    return report.print_stamped(console, "Programs", rows)


if __name__ == "__main__":
    sys.exit(report.status_of(run))
