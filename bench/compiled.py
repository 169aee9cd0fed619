"""Figures of compiled programs: `python -m bench.compiled` prints them all, beside CasADi and C where there is a compiler.

A scalar network with every weight an input, value and gradient: the program against CasADi's SX Function of the same network and
against f and its gradient written by hand in C. A chain in which each operation needs the one before it: the schedule must cost
nothing there. Everything is checked before it is timed; the two sides of a ratio alternate in one run, on one thread.
"""

import ctypes
import functools
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import fastad
import fastad.math
from bench import peers, report, timing
from bench.arrays import assert_same
from bench.figures import twin
from bench.report import Row
from fastad.core import schedule

SMALL, LARGE = 32, 256
CHAIN = 10_000_000
CASADI_BOUND, C_BOUND, CHAIN_BOUND, RECORDING_BOUND = 0.5, 3.0, 1.1, 0.5e-6

C_SOURCE = """
#include <math.h>
/* Layers of n rows and n columns, tanh behind the hidden ones; the last layer has one row. Weights, then biases, layer by layer. */
static const double *hidden(const double *p, const double *x, double *h, int n) {
    for (int j = 0; j < n; j++) {
        double s = p[n * n + j];
        for (int i = 0; i < n; i++) s += p[j * n + i] * x[i];
        h[j] = tanh(s);
    }
    return p + n * n + n;
}
static void hidden_back(const double *p, const double *x, const double *h, const double *wh, double *g, double *wx, int n) {
    for (int i = 0; i < n; i++) wx[i] = 0.0;
    for (int j = 0; j < n; j++) {
        double w = wh[j] * (1.0 - h[j] * h[j]);
        g[n * n + j] = w;
        for (int i = 0; i < n; i++) {
            g[j * n + i] = w * x[i];
            wx[i] += w * p[j * n + i];
        }
    }
}
double value(const double *p, const double *x, int n) {
    double h1[n], h2[n], s;
    p = hidden(p, x, h1, n);
    p = hidden(p, h1, h2, n);
    s = p[n];
    for (int i = 0; i < n; i++) s += p[i] * h2[i];
    return s;
}
double value_and_gradient(const double *p, const double *x, int n, double *g) {
    double h1[n], h2[n], w1[n], w2[n], w0[n], s;
    const int size = n * n + n;
    hidden(p, x, h1, n);
    hidden(p + size, h1, h2, n);
    s = p[2 * size + n];
    g[2 * size + n] = 1.0;
    for (int i = 0; i < n; i++) {
        s += p[2 * size + i] * h2[i];
        g[2 * size + i] = h2[i];
        w2[i] = p[2 * size + i];
    }
    hidden_back(p + size, h1, h2, w2, g + size, w1, n);
    hidden_back(p, x, h1, w1, g, w0, n);
    return s;
}
"""


# ---- a scalar network ---------------------------------------------------------------------------------------------------


def network(layers, x):
    """Returns the output of a network of scalars: weights row by row and biases of each layer, tanh behind all but the last."""
    values = [x[i] for i in range(len(x))]
    for number, (weights, biases) in enumerate(layers, 1):
        results = []
        for j in range(len(biases)):
            row, total = weights[j], biases[j]
            for i in range(len(values)):
                total = total + row[i] * values[i]
            results.append(fastad.math.tanh(total) if number < len(layers) else total)
        values = results
    return values[0]


def layers_of(n):
    """Returns weights and biases of two hidden layers of n and one output, and an input of n numbers."""
    draw = np.random.default_rng(n)
    layers = [(draw.normal(size=(m, n)) / np.sqrt(n), draw.normal(size=m)) for m in (n, n, 1)]
    return layers, draw.normal(size=n)


def flat(layers):
    """Returns weights and biases, layer by layer, in one array."""
    return np.concatenate([part.ravel() for layer in layers for part in layer])


def compiled_c():
    """Returns the library of the C source, compiled by the system's compiler with -O2; None without one."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        return None
    folder = Path(tempfile.mkdtemp())
    source, library = folder / "network.c", folder / "network.so"
    source.write_text(C_SOURCE)
    done = subprocess.run([compiler, "-O2", "-shared", "-fPIC", "-o", library, source, "-lm"], capture_output=True, text=True)
    if done.returncode:
        return None
    found = ctypes.CDLL(str(library))
    found.value_and_gradient.restype = found.value.restype = ctypes.c_double
    return found


def c_network(library, layers, x):
    """Returns a call without arguments for value and gradient in C; the gradient is written to its attribute `gradient`."""
    parameters, gradient = flat(layers), np.zeros(flat(layers).size)
    pointers = [ctypes.c_void_p(array.ctypes.data) for array in (parameters, x)]
    call = functools.partial(library.value_and_gradient, *pointers, ctypes.c_int(len(x)), ctypes.c_void_p(gradient.ctypes.data))
    call.gradient, call.kept = gradient, (parameters, x)
    return call


def casadi_network(layers, x):
    """Returns a call without arguments for value and gradient by an SX Function of CasADi, (value, gradient); None without it."""
    try:
        import casadi
    except ModuleNotFoundError:
        return None
    symbols, values = casadi.SX.sym("p", flat(layers).size), casadi.SX(x)
    at = 0
    for number, (weights, biases) in enumerate(layers, 1):
        rows, columns = weights.shape
        matrix = casadi.reshape(symbols[at:at + rows * columns], columns, rows).T
        at += rows * columns
        values = casadi.mtimes(matrix, values) + symbols[at:at + rows]
        at += rows
        if number < len(layers):
            values = casadi.tanh(values)
    function = casadi.Function("network", [symbols], [values, casadi.gradient(values, symbols)])
    buffer, run = function.buffer()
    parameters, value, gradient = flat(layers), np.zeros(1), np.zeros(flat(layers).size)
    buffer.set_arg(0, memoryview(parameters))
    buffer.set_res(0, memoryview(value))
    buffer.set_res(1, memoryview(gradient))
    run.value, run.gradient, run.kept = value, gradient, (buffer, parameters, function)
    return run


def check_network(value_and_grad):
    """Raises AssertionError unless value and gradient of a small network are right: the value to the bit, by differences the rest."""
    layers, x = layers_of(5)
    run = value_and_grad(twin(network))
    for _ in range(3):
        value, gradient = run(layers, x)
        if value != network(layers, x):
            raise AssertionError(f"{value!r}, expected {network(layers, x)!r}")
        direction = [tuple(np.cos(np.arange(part.size)).reshape(part.shape) for part in layer) for layer in layers]
        step = 1e-6
        ends = [network([tuple(p + sign * step * d for p, d in zip(layer, along)) for layer, along in zip(layers, direction)], x)
                for sign in (1.0, -1.0)]
        slope = sum(float(np.sum(g * d)) for layer, along in zip(gradient, direction) for g, d in zip(layer, along))
        assert_same([slope], [(ends[0] - ends[1]) / (2.0 * step)], 1e-8)


def network_rows(n):
    """Returns the rows of value and gradient of a scalar network with two hidden layers of n."""
    check_network(fastad.value_and_grad)
    check_network(lambda function: fastad.record(function).value_and_grad)
    layers, x = layers_of(n)
    program = fastad.record(twin(network))
    start = time.perf_counter()
    program.value_and_grad(layers, x)
    program.value_and_grad(layers, x)
    seconds = time.perf_counter() - start
    value, gradient = program.value_and_grad(layers, x)
    if value != network(layers, x):
        raise AssertionError(f"{value!r}, expected {network(layers, x)!r}")
    operations = program.stats["instructions"]
    ours, title = functools.partial(program.value_and_grad, layers, x), f"network {n}-{n}-{n}-1"
    rows = [
        Row(f"{title}: value and gradient, per instruction", timing.best_of(ours, repeat=20) / operations, "s"),
        Row("  value, per instruction", timing.best_of(functools.partial(program, layers, x), repeat=20) / operations, "s"),
        Row("  record, compile and two sweeps, per instruction", seconds / operations, "s",
            at_most=RECORDING_BOUND if n >= LARGE else None),
    ]
    theirs = casadi_network(layers, x)
    if theirs is not None:
        theirs()
        assert_same([theirs.gradient], [flat(gradient)], 1e-12)
        rows.append(Row("  over CasADi's SX Function", timing.ratio(ours, theirs, rounds=20).ratio, "x", at_most=CASADI_BOUND))
    library = compiled_c()
    if library is not None:
        call = c_network(library, layers, x)
        assert_same([call(), call.gradient], [value, flat(gradient)], 1e-12)
        both = timing.ratio(ours, call, rounds=20)
        rows += [Row("  over C by hand, gcc -O2", both.ratio, "x", at_most=C_BOUND), Row("  C, value and gradient", both.second, "s")]
    return rows


# ---- a chain ---------------------------------------------------------------------------------------------------------------


def oscillator(y, z, damping, force, steps):
    """Returns the amplitude of a damped oscillator after `steps` steps of Euler's method: every operation needs the one before it."""
    for _ in range(steps):
        y = y + damping * z
        z = z - force * y
    return y * z


def chain_rows(steps=CHAIN // 4):
    """Returns the rows of a sequential chain, with schedules and without."""
    point = (0.3, 0.2, 1e-4, 1e-4)
    programs = []
    for least in (schedule.switch()["least"], sys.maxsize):
        before = schedule.switch(least=least)
        try:
            program = fastad.record(twin(oscillator))
            call = functools.partial(program.value_and_grad, *point, steps, argnums=(0, 1))
            call(), call()
            programs.append((program, call, call()))
        finally:
            schedule.switch(**before)
    (ours, with_schedule, expected), (plain, without, found) = programs
    assert_same([expected[0], *expected[1]], [found[0], *found[1]], 1e-12)
    both = timing.ratio(with_schedule, without, rounds=8, number=(1, 1))
    memory = ours.stats["bytes"] / plain.stats["bytes"]
    return [
        Row(f"chain of {4 * steps:,} operations: over the plain interpreter", both.ratio, "x", at_most=CHAIN_BOUND),
        Row("  memory over the plain interpreter's", memory, "x", at_most=CHAIN_BOUND),
        Row("  value and gradient, per operation", both.first / (4 * steps), "s"),
    ]


FIGURES = (functools.partial(network_rows, SMALL), functools.partial(network_rows, LARGE), chain_rows)


def run(options, console):
    """Prints the table of the figures, a shorter chain with `options.quick`; returns whether all meet their bounds."""
    rows = []
    with peers.one_thread():
        for figure in FIGURES:
            rows += figure(CHAIN // 40) if options.quick and figure is chain_rows else figure()
    missing = [("CasADi", casadi_network(*layers_of(2)) is None), ("a C compiler", compiled_c() is None)]
    report.print_missing(console, [name for name, absent in missing if absent])
    return report.print_stamped(console, "Compiled programs", rows)


if __name__ == "__main__":
    sys.exit(report.status_of(run))
