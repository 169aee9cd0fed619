"""Figures of scalar loops, memory, depth, threads and import time: `python -m bench.figures` prints them all.

Every figure is a function that checks its results against complex steps, measures, and returns rows of the
table, the figure first. The two sides of a ratio run interleaved in the same run, on one thread unless the
figure is about threads.
"""

import functools
import math
import os
import subprocess
import sys
import tempfile
import threading
import types
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rich.console import Console

import fastad
from bench import report, timing
from bench.report import Row

ROOT = Path(__file__).resolve().parent.parent
POINT = (0.999999, 0.3, 0.2, 0.7)
LITERAL_POINT = (0.3, 0.2)
OPERATIONS_PER_PASS = 8
SHORT, LONG = 100_000, 10_000_000
# Many short blocks: the best of each side then comes from a spell in which nothing else ran.
MANY_SHORT = {"rounds": 60, "number": (4, 4)}


def loop(x, y, z, w, operations=SHORT):
    """Returns s + t after `operations` additions, subtractions and products of active values, and no literal.

    y and z are an oscillator that decays slowly, so that values and adjoints neither overflow nor underflow.
    """
    s, t = y, z
    for _ in range(operations // OPERATIONS_PER_PASS):
        y = y * x + z
        z = z - y * w
        s = s + y * z
        t = t * x - y
    return s + t


def literal_loop(y, z, operations=SHORT):
    """Returns y z after `operations` additions, subtractions and products, each with one literal operand.

    The factors of two statements multiply to one, so that values and adjoints keep their size at any length.
    """
    for _ in range(operations // OPERATIONS_PER_PASS):
        y = y * 1.25 + 0.5
        z = 0.75 - z * 0.8
        y = 0.25 - y * 0.8
        z = 1.25 * z + 0.5
    return y * z


def mixed_loop(x, y, z, w, operations=SHORT):
    """Returns y z after `operations` additions, subtractions and products, every other one with a literal."""
    for _ in range(operations // OPERATIONS_PER_PASS):
        y = y * 1.25 + x
        z = z * 0.8 - w
        y = y * 0.8 - x
        z = 1.25 * z + w
    return y * z


def twin(function):
    """Returns a copy of a Python function with bytecode of its own.

    CPython specialises bytecode to the types it meets. With one function called by turns on floats and on
    active values, the floats would pay for the change of types, and the ratio would flatter fastad.
    """
    code = function.__code__.replace()
    return types.FunctionType(code, function.__globals__, argdefs=function.__defaults__)


def gradient_of(function, point):
    """Returns `value_and_grad` of a function of floats with respect to every argument."""
    return fastad.value_and_grad(function, argnums=tuple(range(len(point))))


def complex_step(function, point, direction):
    """Returns the derivative of a function of floats along `direction`, exact to rounding."""
    step = 1e-100
    return function(*(complex(p, step * d) for p, d in zip(point, direction, strict=True))).imag / step


def unit(n, i):
    """Returns the i-th unit vector of length n as a tuple of floats."""
    return tuple(float(i == j) for j in range(n))


def assert_close(found, expected, tolerance=1e-9):
    """Raises AssertionError where vectors differ by more than `tolerance` of the largest entry expected."""
    scale = max(abs(e) for e in expected)
    for i, (a, e) in enumerate(zip(found, expected, strict=True)):
        if not abs(a - e) <= tolerance * scale:
            raise AssertionError(f"entry {i}: {a!r}, expected {e!r} within {tolerance} of {scale!r}")


def check_gradient(function, point, operations=SHORT, tolerance=1e-9):
    """Raises AssertionError unless value and gradient equal Python's float result and complex steps."""
    run = functools.partial(function, operations=operations)
    value, gradient = gradient_of(function, point)(*point, operations=operations)
    expected_value = run(*point)
    if value != expected_value:
        raise AssertionError(f"value {value!r}, on floats {expected_value!r}")
    n = len(point)
    assert_close(gradient, [complex_step(run, point, unit(n, i)) for i in range(n)], tolerance)


def over_floats(name, function, point, at_most):
    """Returns the rows of `value_and_grad` over the function on floats, and both times per operation."""
    check_gradient(function, point)
    gradient, floats = gradient_of(function, point), twin(function)
    both = timing.ratio(lambda: gradient(*point), lambda: floats(*point), **MANY_SHORT)
    return [
        Row(f"{name}: value and gradient over floats", both.ratio, "x", at_most=at_most),
        Row(f"  {name}: value and gradient, per operation", both.first / SHORT, "s"),
        Row(f"  {name}: floats, per operation", both.second / SHORT, "s"),
    ]


def scalar_loop():
    """Returns the rows of the loop of active values only."""
    return over_floats("loop", loop, POINT, 1.5)


def literals():
    """Returns the rows of the loops with a literal in every operation and in every second one."""
    return [
        *over_floats("loop of literals", literal_loop, LITERAL_POINT, 1.7),
        *over_floats("loop half of literals", mixed_loop, POINT, 1.7),
    ]


def on_deep_stack(function):
    """Returns what `function()` returns, run on a stack that bears recursion a million calls deep."""
    recursion, stack = sys.getrecursionlimit(), threading.stack_size(512 * 2**20)
    sys.setrecursionlimit(10**6)
    try:
        with ThreadPoolExecutor(1) as worker:
            return worker.submit(function).result()
    finally:
        sys.setrecursionlimit(recursion)
        threading.stack_size(stack)


def over_micrograd():
    """Returns the rows of how many times longer than fastad micrograd takes for the gradient of the loop."""
    from micrograd.engine import Value

    def micrograd():
        arguments = [Value(p) for p in POINT]
        on_values(*arguments).backward()
        return [a.grad for a in arguments]

    def measure():
        assert_close(gradient(*POINT)[1], micrograd())
        return timing.ratio(micrograd, lambda: gradient(*POINT), rounds=3)

    gradient, on_values = gradient_of(loop, POINT), twin(loop)
    both = on_deep_stack(measure)
    return [
        Row("loop: micrograd over fastad", both.ratio, "x", at_least=90.0),
        Row("  loop: micrograd, per operation", both.first / SHORT, "s"),
    ]


class Tangent:
    """A number and its tangent; over complex numbers its tangent's complex step is a second derivative."""

    def __init__(self, value, tangent):
        self.value, self.tangent = value, tangent

    def __add__(self, other):
        return Tangent(self.value + other.value, self.tangent + other.tangent)

    def __sub__(self, other):
        return Tangent(self.value - other.value, self.tangent - other.tangent)

    def __mul__(self, other):
        return Tangent(self.value * other.value, self.tangent * other.value + self.value * other.tangent)


def hessian_vector():
    """Returns the rows of the Hessian-vector product of the loop over its value on floats."""
    direction = (0.1, 0.3, -0.2, 0.5)

    def partial(i, *point):
        seed = unit(len(point), i)
        return loop(*(Tangent(p, s) for p, s in zip(point, seed, strict=True))).tangent

    expected = [complex_step(functools.partial(partial, i), POINT, direction) for i in range(len(POINT))]
    assert_close(fastad.hvp(loop, POINT, direction), expected)
    floats = twin(loop)
    both = timing.ratio(lambda: fastad.hvp(loop, POINT, direction), lambda: floats(*POINT), **MANY_SHORT)
    return [
        Row("loop: Hessian-vector product over floats", both.ratio, "x", at_most=4.0),
        Row("  loop: Hessian-vector product, per operation", both.first / SHORT, "s"),
    ]


def in_fresh_process(code, *arguments, environment=None):
    """Returns as a float what a line of Python prints in a process of its own, at the root of the project."""
    command = [sys.executable, "-c", code, *arguments]
    return float(subprocess.check_output(command, cwd=ROOT, env=environment, text=True))


def process_status(field):
    """Returns one size of this process from Linux's /proc/self/status, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return 1024 * int(line.split()[1])
    raise KeyError(field)


def peak_per_operation(name):
    """Returns by how many bytes per operation one value and gradient of LONG operations raises the peak.

    That is the process's largest resident set ever (VmHWM) after the run, less its resident set (VmRSS)
    before it, where a loop of a thousand operations has run as a warm-up. As the peak never falls, this
    belongs in a fresh process.
    """
    function, point = {"loop": (loop, POINT), "literals": (literal_loop, LITERAL_POINT)}[name]
    gradient = gradient_of(function, point)
    gradient(*point, operations=1000)
    before = process_status("VmRSS")
    gradient(*point, operations=LONG)
    return (process_status("VmHWM") - before) / LONG


def memory():
    """Returns the rows of peak memory per operation, reverse sweep included, without and with literals."""
    code = "import sys; from bench import figures; print(figures.peak_per_operation(sys.argv[1]))"
    return [
        Row(f"{title}: peak memory per operation", in_fresh_process(code, name), "B", at_most=26.0)
        for title, name in (("loop", "loop"), ("loop of literals", "literals"))
    ]


def scaling():
    """Returns the rows of the time per operation at LONG operations over that at SHORT."""
    gradient = gradient_of(loop, POINT)
    long = functools.partial(gradient, *POINT, operations=LONG)
    both = timing.ratio(long, lambda: gradient(*POINT), rounds=5)
    return [
        Row("loop: time per operation, 10^7 over 10^5 of them", both.ratio * SHORT / LONG, "x", at_most=1.5),
        Row("  loop: value and gradient at 10^7, per operation", both.first / LONG, "s"),
    ]


def depth():
    """Returns the row of a chain of LONG operations: how many have a right gradient."""
    check_gradient(loop, POINT, operations=LONG, tolerance=1e-8)
    return [Row("loop: longest chain with a right gradient, operations", LONG, at_least=1e7)]


def threads():
    """Returns the rows of two threads sweeping a tape of LONG operations each, over one after the other.

    Each thread records its tape before the clock starts; a call of its vjp function is a reverse sweep alone.
    """
    expected = [complex_step(functools.partial(loop, operations=LONG), POINT, unit(4, i)) for i in range(4)]
    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as other:
        pair = one, other

        def record():
            return fastad.vjp(functools.partial(loop, operations=LONG), *POINT)[1]

        sweeps = [worker.submit(record).result() for worker in pair]

        def after_another():
            return [worker.submit(sweep, 1.0).result() for worker, sweep in zip(pair, sweeps, strict=True)]

        def together():
            started = [worker.submit(sweep, 1.0) for worker, sweep in zip(pair, sweeps, strict=True)]
            return [sweep.result() for sweep in started]

        for gradient in (*after_another(), *together()):
            assert_close(gradient, expected, 1e-8)
        both = timing.ratio(after_another, together, rounds=30, number=(1, 1))
    return [
        Row("two threads sweeping a tape each, over one after the other", both.ratio, "x", at_least=1.7),
        Row("  reverse sweep in one thread, per operation", both.first / (2 * LONG), "s"),
    ]


def import_time():
    """Returns the row of the time `import fastad` takes where NumPy is imported already.

    Bytecode is read from a cache folder of its own, written by a first run: its compilation is not measured.
    """
    code = (
        "import numpy, time; start = time.perf_counter(); import fastad; "
        "elapsed = time.perf_counter() - start; assert callable(fastad.grad); print(elapsed)"
    )
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": cache}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        in_fresh_process(code, environment=environment)
        best = min(in_fresh_process(code, environment=environment) for _ in range(9))
    return [Row("import fastad beyond import numpy", best, "s", at_most=0.040)]


FIGURES = (
    scalar_loop,
    literals,
    over_micrograd,
    hessian_vector,
    memory,
    scaling,
    depth,
    threads,
    import_time,
)


def track(benchmark, rows):
    """Writes the rows into a pytest-benchmark fixture's extra information; raises where one is not finite."""
    for row in rows:
        if not math.isfinite(row.measured):
            raise AssertionError(f"{row.name}: {row.measured}")
        benchmark.extra_info[row.name.strip()] = row.measured


def main():
    """Prints the table of all figures and the machine stamp; returns 0 where every bound is met, else 1."""
    console = Console()
    console.width = max(console.width, 110)
    rows = []
    for figure in FIGURES:
        try:
            rows += figure()
        except ModuleNotFoundError as error:
            console.print(f"{figure.__name__}: left out, {error.name} is not installed")
    met = report.print_table(console, "Figures", rows)
    console.print(report.stamp_line(), "(the figure of two threads: 2 threads)", soft_wrap=True)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
