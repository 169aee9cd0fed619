"""The argument for backpropagation, measured: gradients of a circuit of shared subexpressions.

`python -m bench.circuits` prints the table and saves the picture. The function is f(u) = x_1 + ... + x_n
with x_{k+1} = x_k x_{k-1} + sin(u_{k+1}). As a circuit it has n inputs and 4 n elementary operations.
Written out as one expression, x_{k+1} holds x_k and x_{k-1} in full, so that its length grows as the
Fibonacci numbers do. The gradient is taken by symbolic differentiation (SymPy), by one forward pass per
input, by finite differences, and by backpropagation.
"""

import functools
import gc
import math
import random
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

import fastad
import fastad.math
from bench import report, timing
from bench.figures import twin

RESULTS = Path(__file__).resolve().parent / "results"
SIZES = (2, 4, 6, 8, 10, 12, 14, 16, *(2**k for k in range(5, 18)))
STOP_SECONDS = 1.5
ENOUGH_SECONDS = 0.2
OPERATIONS_PER_INPUT = 4
AGREE, LOOSELY = 1e-11, 1e-4


def circuit(inputs, sin=math.sin):
    """Returns f(u), dimensionless, for a list of numbers u; |u_k| < 0.24 keeps every x_k below one half."""
    older, newer, total = 0.3, 0.4, 0.0
    for u in inputs:
        older, newer = newer, older * newer + sin(u)
        total = total + newer
    return total


float_circuit = twin(circuit)


def active_circuit(inputs):
    """Returns f(u) with the sine that takes active values."""
    return circuit(inputs, fastad.math.sin)


def by_backpropagation(inputs):
    """Returns the gradient of f at u by one reverse sweep."""
    return fastad.grad(active_circuit)(inputs)


def by_forward_passes(inputs):
    """Returns the gradient of f at u by n forward passes, one per unit vector."""
    n = len(inputs)
    units = ([float(i == k) for i in range(n)] for k in range(n))
    return [fastad.jvp(active_circuit, (inputs,), (unit,))[1] for unit in units]


def by_differences(inputs):
    """Returns the gradient of f at u by forward differences: n + 1 evaluations, step sqrt(epsilon)."""
    step = math.sqrt(sys.float_info.epsilon)
    base = float_circuit(inputs)
    moved = list(inputs)
    gradient = []
    for k, u in enumerate(inputs):
        moved[k] = u + step
        gradient.append((float_circuit(moved) - base) / (moved[k] - u))
        moved[k] = u
    return gradient


def symbolic_gradient(n):
    """Returns SymPy's n symbols and its n partial derivatives of f as expressions.

    SymPy remembers results between calls; its cache is cleared so that every call does the whole work.
    """
    import sympy
    from sympy.core.cache import clear_cache

    clear_cache()
    symbols = sympy.symbols(f"u1:{n + 1}")
    expression = circuit(symbols, sympy.sin)
    return symbols, [sympy.diff(expression, symbol) for symbol in symbols]


def by_sympy(inputs):
    """Returns the gradient of f at u, by SymPy, evaluated with common subexpressions shared."""
    import sympy

    symbols, partials = symbolic_gradient(len(inputs))
    return sympy.lambdify(symbols, partials, modules="math", cse=True)(*inputs)


@dataclass
class Method:
    """A way to the gradient: names, looks, how closely it must agree, and what it measured per size."""

    name: str
    label: str
    gradient: object
    color: str
    marker: str
    tolerance: float
    seconds: dict = field(default_factory=dict)
    multiples: dict = field(default_factory=dict)
    errors: dict = field(default_factory=dict)
    stopped_at: int | None = None


def methods():
    """Returns the methods in the order of the table; the first is the one the others are checked against."""
    return [
        Method("fastad.grad", "fastad.grad", by_backpropagation, "#0072B2", "o", AGREE),
        Method("forward passes", "forward pass per input", by_forward_passes, "#009E73", "s", AGREE),
        Method("differences", "finite differences", by_differences, "#D98E04", "^", LOOSELY),
        Method("SymPy", "symbolic (SymPy)", by_sympy, "#CC3311", "D", AGREE),
    ]


def measured(function, one):
    """Returns the result of `function()`, its best seconds, and those of `one()` measured by turns with it.

    A slow function is timed once only.
    """
    start = time.perf_counter()
    result = function()
    first = time.perf_counter() - start
    if first > ENOUGH_SECONDS:
        return result, first, timing.best_of(one, repeat=15)
    both = timing.ratio(function, one, rounds=3)
    return result, both.first, both.second


def written_out(n):
    """Returns the operations of f and of its SymPy gradient when n inputs are written out as expressions."""
    import sympy

    symbols, partials = symbolic_gradient(n)
    return circuit(symbols, sympy.sin).count_ops(), sum(partial.count_ops() for partial in partials)


def largest_error(found, expected):
    """Returns the largest difference of two vectors over the largest entry of the expected one."""
    scale = max(abs(e) for e in expected)
    return max(abs(a - e) for a, e in zip(found, expected, strict=True)) / scale


def measure(console):
    """Returns the methods, measured, and by size the seconds of f and the operations written out."""
    draws = random.Random(1)
    table, plain, lengths = methods(), {}, {}
    symbolic_gradient(2)
    # Every timed block starts with a collection; what the imports made need not be walked through each time.
    gc.freeze()
    for n in SIZES:
        inputs = [draws.uniform(-0.24, 0.24) for _ in range(n)]
        one, plain[n], exact = functools.partial(float_circuit, inputs), math.inf, None
        for method in table:
            if method.stopped_at is not None:
                continue
            with console.status(f"{method.name}, n = {n}"):
                found, seconds, base = measured(functools.partial(method.gradient, inputs), one)
            exact = exact or found
            error = largest_error(found, exact)
            if not error <= method.tolerance:
                raise AssertionError(f"{method.name}, n = {n}: error {error:.1e}, allowed {method.tolerance}")
            method.seconds[n], method.multiples[n], method.errors[n] = seconds, seconds / base, error
            plain[n] = min(plain[n], base)
            if seconds > STOP_SECONDS:
                method.stopped_at = n
            elif method.gradient is by_sympy:
                lengths[n] = written_out(n)
    return table, plain, lengths


def multiple(number):
    """Returns a multiple as short text: 2.15x, 1,210x, 1.2 million x."""
    if number >= 1e6:
        return f"{number / 1e6:.1f} million x"
    return f"{number:,.0f}x" if number >= 100 else f"{number:.3g}x"


def cell(method, n):
    """Returns a method's entry of the table: time and multiple, or "stopped" once where it gave up."""
    if n in method.seconds:
        return f"{report.quantity(method.seconds[n], 's')} {multiple(method.multiples[n]):>8}"
    later = [m for m in SIZES if m > (method.stopped_at or math.inf)]
    return "stopped" if n in later[:1] else ""


def rich_table(table, plain, lengths):
    """Returns the rich table of times and multiples, errors of differences, and SymPy's lengths."""
    view = Table(
        title="Gradient of a circuit of n inputs and 4 n operations: time, and multiples of one f",
        title_justify="left",
    )
    for heading in ("n", "one f", *(method.name for method in table)):
        view.add_column(heading, justify="right")
    view.add_column("error of\ndifferences", justify="right")
    view.add_column("gradient written\nout, operations", justify="right")
    errors = next(method.errors for method in table if method.gradient is by_differences)
    for n, base in plain.items():
        view.add_row(
            f"{n:,}",
            report.quantity(base, "s"),
            *(cell(method, n) for method in table),
            f"{errors[n]:.0e}" if n in errors else "",
            f"{lengths[n][1]:,}" if n in lengths else "",
        )
    return view


def add_line(axes, method, by_size, text=""):
    """Draws one method's line over the size, with a text in its colour beside the last point."""
    sizes, heights = list(by_size), list(by_size.values())
    look = {"color": method.color, "marker": method.marker, "markersize": 4, "linewidth": 1.6}
    axes.plot(sizes, heights, label=method.label, **look)
    place = {"xytext": (8, 0), "textcoords": "offset points", "va": "center", "fontsize": 9}
    axes.annotate(text, (sizes[-1], heights[-1]), color=method.color, **place)


def draw(table, plain, lengths):
    """Returns the figure: seconds over n on the left, multiples of one evaluation of f on the right."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 5.4), layout="constrained")
    times, multiples = figure.subplots(1, 2, width_ratios=(1, 1.25))
    for method in reversed(table):
        add_line(times, method, method.seconds)
        last = list(method.multiples.values())[-1]
        error = f", error {max(method.errors.values()):.0e}" if method.gradient is by_differences else ""
        add_line(multiples, method, method.multiples, f"{method.label}: {multiple(last)}{error}")
    one = Method("one f", "one evaluation of f", None, "#555555", ".", 0.0)
    add_line(times, one, plain)
    add_line(multiples, one, dict.fromkeys(plain, 1.0), one.label)
    times.legend(loc="lower right", frameon=False, fontsize=9)
    for axes, title, unit, end in (
        (times, "Time of one gradient", "seconds", 2e5),
        (multiples, "The same in evaluations of f", "time of the gradient / time of f", 1.2e7),
    ):
        axes.set(xscale="log", yscale="log", xlabel="inputs n (the circuit has 4 n operations)", ylabel=unit)
        axes.set_title(title, loc="left", fontsize=11)
        axes.set_xticks([10, 100, 1000, 10_000, 100_000])
        axes.set_xlim(1.6, end)
        axes.minorticks_off()
        axes.grid(True, which="major", color="#e2e2e2", linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
    n = max(lengths)
    figure.suptitle(
        "Gradient of f(u) = x₁ + … + xₙ,  xₖ₊₁ = xₖ xₖ₋₁ + sin uₖ₊₁.  "
        f"For n = {n}: a circuit of {OPERATIONS_PER_INPUT * n} operations, "
        f"a gradient of {lengths[n][1]:,} written out.",
        fontsize=11,
    )
    return figure


def main():
    """Prints the table, saves the picture in bench/results and says how closely the methods agree."""
    console = Console()
    console.width = max(console.width, 138)
    table, plain, lengths = measure(console)
    console.print(rich_table(table, plain, lengths))
    for method in table[1:]:
        ending = f"stopped after n = {method.stopped_at:,}" if method.stopped_at else "ran at every size"
        slowest, error = max(method.seconds.values()), max(method.errors.values())
        console.print(
            f"{method.name}: {ending} ({report.quantity(slowest, 's')}); largest relative difference from "
            f"fastad.grad {error:.0e}, allowed {method.tolerance:.0e}",
            highlight=False,
        )
    console.print(report.stamp_line(), soft_wrap=True, highlight=False)
    for path in report.save_figure(draw(table, plain, lengths), RESULTS, "circuits"):
        console.print(f"saved {path.relative_to(RESULTS.parent.parent)}")


if __name__ == "__main__":
    main()
