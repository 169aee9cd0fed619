"""The picture of the main job: losses of both runs, times of a step, and the classes the perceptron draws."""

import numpy as np
from matplotlib.figure import Figure

from bench import moons
from bench.report import quantity
from bench.training import speedups

PEER = "#d98c3f"
FASTAD = "#1f4e79"
GRID = 90


def main_job(names, points):
    """Returns a figure of four panels from the `Pair`s of the character model and of the two moons."""
    figure = Figure(figsize=(11.0, 8.0), layout="constrained")
    axes = figure.subplots(2, 2)
    losses(
        axes[0, 0],
        names,
        "pure Python class",
        "Character model on first names",
        "mean loss per letter (nats)",
    )
    losses(
        axes[0, 1], points, "micrograd", "Perceptron on two moons", "hinge loss with penalty (dimensionless)"
    )
    axes[0, 1].set_yscale("log")
    times(axes[1, 0], names, points)
    classes(axes[1, 1], points.fast.parameters)
    return figure


def losses(axes, pair, peer, title, label):
    """Draws the losses of both runs, the peer's as a broad band so that it shows under fastad's line."""
    for run, name, style in (
        (pair.slow, peer, {"color": PEER, "linewidth": 5.0, "alpha": 0.6}),
        (pair.fast, "fastad", {"color": FASTAD, "linewidth": 1.2}),
    ):
        steps = range(1, len(run.losses) + 1)
        axes.plot(steps, run.losses, label=f"{name}, {len(steps)} steps", **style)
    axes.set(title=title, xlabel="training step", ylabel=label)
    axes.grid(alpha=0.3)
    axes.legend(loc="upper right")


def times(axes, names, points):
    """Draws the median time of a step of each run, and the ratio of the totals of the two runs of a model."""
    bars = [
        ("names\npure Python class", names.slow.median, PEER, ""),
        ("names\nfastad", names.fast.median, FASTAD, faster(names)),
        ("moons\nmicrograd", points.slow.median, PEER, ""),
        ("moons\nfastad", points.fast.median, FASTAD, faster(points)),
    ]
    milliseconds = [1e3 * seconds for _, seconds, _, _ in bars]
    colors = [color for _, _, color, _ in bars]
    drawn = axes.barh([name for name, *_ in bars], milliseconds, color=colors, height=0.65)
    axes.bar_label(
        drawn,
        [f"{quantity(seconds, 's')}  {note}" for _, seconds, _, note in bars],
        padding=5,
    )
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlim(min(milliseconds) / 3.0, max(milliseconds) * 6.0)
    axes.set(title="One training step", xlabel="median time of a step (ms, log scale)")
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)


def faster(pair):
    """Returns as text how many times less the steps of the fast run took in all."""
    return f"{speedups(pair.slow, pair.fast)[1]:.0f}× faster"


def classes(axes, parameters):
    """Draws the points and the two regions that the perceptron tells apart."""
    found, labels = moons.points_and_labels()
    x, y = np.array(found).T
    columns = np.linspace(x.min() - 0.5, x.max() + 0.5, GRID)
    rows = np.linspace(y.min() - 0.5, y.max() + 0.5, GRID)
    scores = [
        [moons.score(parameters, (column, row)) for column in columns.tolist()] for row in rows.tolist()
    ]
    axes.contourf(columns, rows, scores, levels=[-np.inf, 0.0, np.inf], colors=[PEER, FASTAD], alpha=0.25)
    axes.contour(columns, rows, scores, levels=[0.0], colors="black", linewidths=1.0)
    upper = np.array(labels) > 0.0
    style = {"edgecolors": "black", "linewidths": 0.5, "s": 32}
    axes.scatter(x[~upper], y[~upper], c=PEER, marker="o", label="class -1", **style)
    axes.scatter(x[upper], y[upper], c=FASTAD, marker="^", label="class 1", **style)
    share = 100.0 * moons.accuracy(parameters)
    axes.set(
        title=f"Two moons after {moons.DEMO_STEPS} steps: {share:.0f} % right",
        xlabel="first coordinate (dimensionless)",
        ylabel="second coordinate (dimensionless)",
    )
    axes.legend(frameon=True, loc="upper right")
