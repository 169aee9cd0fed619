"""The picture at the head of README: the price of value and gradient by fastad, replayed and eager, beside the peers.

`python -m bench.headline` measures it and writes `.github/headline.svg`. Every bar is value and gradient in one call from Python, over
the plain NumPy function in the same run, on one thread; each is checked against the others before it is timed.
"""

import argparse
import functools
import html
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import fastad
from bench import peers, report, timing
from bench.arrays import assert_same, fifty, installed, prepared, random_numbers
from bench.figures import twin
from bench.programs import rosenbrock, rosenbrock_gradient

PICTURE = Path(__file__).resolve().parent.parent / ".github" / "headline.svg"
OTHERS = ("JAX with jit", "PyTorch", "autograd")
ROUNDS = 10

WIDTH, LABELS, NUMBERS, BAR, GAP, TOP, HEAD = 860, 150, 70, 20, 9, 40, 62
STYLE = """
text { font-family: system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; font-size: 14px; fill: #1f2328; }
.title { font-size: 15.5px; font-weight: 600; } .quiet { fill: #59636e; font-size: 12.5px; } .end { text-anchor: end; }
.ours { fill: #0a69c7; } .other { fill: #a9b1ba; } .one { stroke: #59636e; stroke-dasharray: 3 3; } .strong { font-weight: 600; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; } .quiet { fill: #9198a1; } .ours { fill: #58a6ff; } .other { fill: #596068; } .one { stroke: #9198a1; } }
"""


@dataclass
class Panel:
    """A function and what its value and gradient cost: (name, whether it is fastad, multiple of the plain function)."""

    title: str
    plain: float
    bars: list[tuple[str, bool, float]]


def panel(title, function, x, check):
    """Returns the measured Panel of a function of one array; `check` raises AssertionError for a wrong gradient."""
    plain = functools.partial(twin(function), x)
    eager = functools.partial(fastad.value_and_grad(twin(function)), x)
    replay = functools.partial(fastad.record(twin(function)).value_and_grad, x)
    value, gradient = eager()
    check(gradient)
    assert_same(replay(), (value, gradient), 1e-12)
    runs = [("fastad, recorded", True, replay), ("fastad, eager", True, eager)]
    for peer in installed(*OTHERS):
        theirs = prepared(peer, peers.on_namespace(function, peer.np), (x,), 1, (value, (gradient,)), 1e-9)
        runs.append((peer.name, False, theirs))
    bars = [(name, ours, timing.ratio(run, plain, ROUNDS).ratio) for name, ours, run in runs]
    return Panel(title, timing.best_of(plain), bars)


def measured():
    """Returns the panels of the picture."""
    small = random_numbers(1, 10)
    short = np.linspace(-0.9, 0.9, 100)

    def check_fifty(gradient):
        slope = np.sum(gradient)
        step = 1e-100
        assert_same([slope], [twin(fifty)(short + 1j * step).imag / step], 1e-12)

    with peers.one_thread():
        return [
            panel("Rosenbrock's function of 10 numbers", rosenbrock, small,
                  lambda gradient: assert_same([gradient], [rosenbrock_gradient(small)], 1e-13)),
            panel("50 NumPy operations on 100 numbers", fifty, short, check_fifty),
        ]


def number(multiple):
    """Returns a multiple as one reads it: 0.43, 1.8, 25."""
    return f"{multiple:.2f}" if multiple < 1.0 else f"{multiple:.1f}" if multiple < 10.0 else f"{multiple:.0f}"


def drawn(panels, where):
    """Returns the picture as SVG: a bar on a logarithmic scale for each way, a dashed line at the plain function."""
    everything = [multiple for one in panels for _, _, multiple in one.bars]
    low, high = math.log10(min(0.1, *everything)) - 0.05, math.log10(max(everything)) + 0.02
    left, room = LABELS + 10, WIDTH - LABELS - NUMBERS - 20

    def across(multiple):
        return left + room * (math.log10(multiple) - low) / (high - low)

    parts, y = [], 26
    parts.append(f'<text class="title" x="0" y="{y}">What value and gradient cost, in evaluations of the plain NumPy function</text>')
    parts.append(f'<text class="quiet" x="0" y="{y + 19}">one call from Python, one thread, less is better, logarithmic scale; {html.escape(where)}</text>')
    y += HEAD
    for one in panels:
        height = len(one.bars) * (BAR + GAP)
        parts.append(f'<text x="0" y="{y}">{html.escape(one.title)} <tspan class="quiet">(plain: {one.plain * 1e6:.1f} µs)</tspan></text>')
        parts.append(f'<line class="one" x1="{across(1.0):.1f}" x2="{across(1.0):.1f}" y1="{y + 8}" y2="{y + height + 12}"/>')
        y += 14
        for name, ours, multiple in one.bars:
            kind = "ours" if ours else "other"
            parts.append(f'<text class="end{" strong" if ours else ""}" x="{LABELS}" y="{y + 15}">{html.escape(name)}</text>')
            parts.append(f'<rect class="{kind}" x="{left}" y="{y}" width="{across(multiple) - left:.1f}" height="{BAR}" rx="3"/>')
            parts.append(f'<text class="{"strong" if ours else ""}" x="{across(multiple) + 7:.1f}" y="{y + 15}">{number(multiple)}</text>')
            y += BAR + GAP
        y += TOP
    parts.append(f'<text class="quiet" x="{across(1.0):.1f}" y="{y - TOP + 16}" text-anchor="middle">1: the function itself</text>')
    y -= TOP - 26
    said = "; ".join(f"{one.title}: " + ", ".join(f"{name} {number(multiple)}" for name, _, multiple in one.bars) for one in panels)
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" width="{WIDTH}" height="{y}" role="img">\n'
            f"<title>{html.escape(said)}</title>\n<style>{STYLE}</style>\n" + "\n".join(parts) + "\n</svg>\n")


def main():
    """Measures, prints and draws."""
    parser = argparse.ArgumentParser(prog="python -m bench.headline", description=__doc__)
    parser.add_argument("--out", type=Path, default=PICTURE, help="file of the picture (default: .github/headline.svg)")
    parser.add_argument("--machine", default=report.cpu_model(), help="what it was measured on, for the picture")
    options = parser.parse_args()
    panels = measured()
    for one in panels:
        print(f"{one.title}: plain {one.plain * 1e6:.2f} µs")
        for name, _, multiple in one.bars:
            print(f"  {name:<20} {number(multiple)}")
    options.out.write_text(drawn(panels, options.machine), encoding="utf-8")


if __name__ == "__main__":
    main()
