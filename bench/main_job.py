"""The main job: two small networks trained on fastad and on a peer, step for step the same, and timed.

Both trainings run as Python programs do, with the cyclic garbage collector on: its work is part of the cost
of a value class that makes objects for every operation. The speedup without it is shown too.
"""

import gc
from functools import partial
from typing import NamedTuple

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

import fastad
import fastad.math
from bench import microgpt, moons, pictures, pure, report, timing
from bench.report import Row
from bench.training import Run, alternate, largest_difference, speedups

NAME_STEPS, QUICK_NAME_STEPS = 100, 10
MOON_STEPS, QUICK_MOON_STEPS = 10, 4
LOSS_TOLERANCE = 1e-9
MICROGPT_SPEEDUP = 35.0
MICROGRAD_SPEEDUP = 60.0


class Pair(NamedTuple):
    """One model's training on its peer and on fastad, and a gradient's speedup with the collector off."""

    slow: Run
    fast: Run
    quiet_speedup: float


def run(options, console):
    """Trains, prints tables and sampled names, saves the picture; returns whether every bound is met."""
    console.print(report.stamp_line(), style="dim", soft_wrap=True)
    rounds = 2 if options.quick else 5
    # A peer should not pay for the collector's walks through the modules that this job imports.
    gc.freeze()
    with Progress(
        TextColumn("{task.description:<24}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        auto_refresh=False,
    ) as progress:
        steps = options.steps or (QUICK_NAME_STEPS if options.quick else NAME_STEPS)
        names = train_names(steps, rounds, progress)
        points = train_moons(QUICK_MOON_STEPS if options.quick else MOON_STEPS, rounds, progress)
    met = report.print_table(console, "microgpt on first names", name_rows(names))
    met &= report.print_table(console, "micrograd's demo on two moons", moon_rows(points))
    drawn = microgpt.sampled_names(names.fast.parameters, 10)
    console.print(f"Names drawn after {len(names.fast.losses)} steps on fastad: {', '.join(drawn)}")
    figure = pictures.main_job(names, points)
    for path in report.save_figure(figure, options.out, "first"):
        console.print(f"picture: {path}", style="dim", soft_wrap=True)
    return met


def refreshed(progress, task):
    """Returns a function that counts one step of a task and redraws the bar.

    Redrawing by hand spares the timed steps the thread that rich would run beside them.
    """

    def after_step():
        progress.advance(task)
        progress.refresh()

    return after_step


def train_names(steps, rounds, progress):
    """Returns the `Pair` of trainings of the GPT: `bench.pure` and fastad, nothing else differing."""
    slow = Run(microgpt.training(pure.value_and_grad, pure, steps))
    fast = Run(microgpt.training(fastad.value_and_grad, fastad.math, steps))
    task = progress.add_task("names: pure and fastad", total=2 * steps)
    alternate(slow, fast, steps, refreshed(progress, task))
    parameters, tokens = microgpt.initial_parameters(), microgpt.tokens_of("barbara")
    quiet = timing.ratio(
        partial(pure.value_and_grad(microgpt.loss), parameters, tokens, pure),
        partial(fastad.value_and_grad(microgpt.loss), parameters, tokens, fastad.math),
        rounds,
    )
    return Pair(slow, fast, quiet.ratio)


def train_moons(steps, rounds, progress):
    """Returns the `Pair` of trainings of micrograd's demo; fastad goes on alone to the demo's 100 steps."""
    slow = Run(moons.micrograd_training(steps))
    fast = Run(moons.training(fastad.value_and_grad, moons.DEMO_STEPS))
    task = progress.add_task("moons: micrograd, fastad", total=steps + moons.DEMO_STEPS)
    after_step = refreshed(progress, task)
    alternate(slow, fast, steps, after_step)
    fast.advance(moons.DEMO_STEPS, after_step)
    points, labels = moons.points_and_labels()
    model = moons.micrograd_model()
    quiet = timing.ratio(
        partial(moons.micrograd_gradient, model, points, labels),
        partial(fastad.value_and_grad(moons.loss), moons.parameters_of(model), points, labels),
        rounds,
    )
    return Pair(slow, fast, quiet.ratio)


def time_rows(pair, peer):
    """Returns the rows of step times and of the agreement of the losses."""
    difference = largest_difference(pair.slow, pair.fast)
    return [
        Row("largest relative loss difference", difference, at_most=LOSS_TOLERANCE),
        Row(f"step on {peer}, median", pair.slow.median, "s"),
        Row(f"step on {peer}, best", pair.slow.best, "s"),
        Row("step on fastad, median", pair.fast.median, "s"),
        Row("step on fastad, best", pair.fast.best, "s"),
    ]


def name_rows(pair):
    """Returns the table of the GPT: agreement, step times, speedups."""
    gradient, step = speedups(pair.slow, pair.fast)
    return [
        *time_rows(pair, "the pure class"),
        Row("speedup, loss and gradient", gradient, "×", at_least=MICROGPT_SPEEDUP),
        Row("speedup, whole step", step, "×"),
        Row("speedup, loss and gradient, collector off", pair.quiet_speedup, "×"),
    ]


def moon_rows(pair):
    """Returns the table of the two moons: agreement, step times, speedups, share of points told rightly."""
    gradient, step = speedups(pair.slow, pair.fast)
    share = 100.0 * moons.accuracy(pair.fast.parameters)
    return [
        *time_rows(pair, "micrograd"),
        Row("speedup, whole step", step, "×", at_least=MICROGRAD_SPEEDUP),
        Row("speedup, loss and gradient", gradient, "×"),
        Row("speedup, loss and gradient, collector off", pair.quiet_speedup, "×"),
        Row(f"points told rightly after {moons.DEMO_STEPS} steps", share, "%"),
    ]
