"""What the benchmarks show: figures against their bounds, pictures as SVG and PNG, the machine's stamp."""

import os
import platform
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from rich.console import Console
from rich.table import Table

import fastad


@dataclass(frozen=True)
class Row:
    """A measured figure, its unit, and the bound it must meet; without a bound it is for information."""

    name: str
    measured: float
    unit: str = ""
    at_least: float | None = None
    at_most: float | None = None

    @property
    def met(self):
        """True where the figure meets its bounds; NaN meets none."""
        above = self.at_least is None or self.measured >= self.at_least
        below = self.at_most is None or self.measured <= self.at_most
        return above and below

    @property
    def bound(self):
        """The bound as text, empty where there is none."""
        sides = (("≥", self.at_least), ("≤", self.at_most))
        texts = [f"{sign} {quantity(limit, self.unit)}" for sign, limit in sides if limit is not None]
        return " and ".join(texts)


def quantity(number, unit=""):
    """Returns a number and its unit as text to three digits; seconds and bytes get a prefix (ms, MB)."""
    if unit == "s":
        for factor, prefix in ((1.0, ""), (1e-3, "m"), (1e-6, "µ")):
            if abs(number) >= factor:
                return f"{number / factor:.3g} {prefix}s"
        return f"{number * 1e9:.3g} ns"
    if unit == "B":
        for factor, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
            if abs(number) >= factor:
                return f"{number / factor:.3g} {prefix}B"
    text = f"{number:,.0f}" if 1000 <= abs(number) < 1e9 else f"{number:.3g}"
    return f"{text} {unit}".rstrip()


def print_table(console, title, rows):
    """Prints the rows as a table on a rich console and returns whether every bound is met."""
    table = Table(title=title, title_justify="left")
    table.add_column("figure")
    table.add_column("measured", justify="right")
    table.add_column("must reach", justify="right")
    table.add_column("verdict")
    for row in rows:
        verdict = "" if not row.bound else "[green]met[/]" if row.met else "[bold red]MISSED[/]"
        table.add_row(row.name, quantity(row.measured, row.unit), row.bound, verdict)
    console.print(table)
    return all(row.met for row in rows)


def print_stamped(console, title, rows, threads=1):
    """Prints the rows as a table and the machine stamp under it; returns whether every bound is met."""
    console.width = max(console.width, 110)
    met = print_table(console, title, rows)
    console.print(stamp_line(threads), soft_wrap=True)
    return met


def print_missing(console, missing):
    """Prints the names of what is not installed, so that its figures are left out; nothing where nothing is missing."""
    if missing:
        console.print(f"not installed, so left out: {', '.join(missing)}")


def status_of(run):
    """Runs a suite by itself, none of it left out; returns the exit status: 0 where every bound is met, else 1."""
    return 0 if run(SimpleNamespace(quick=False, steps=None), Console()) else 1


def save_figure(figure, folder, name):
    """Writes a matplotlib figure as `name`.svg and `name`.png (150 dots per inch) and returns both paths."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.svg", folder / f"{name}.png"]
    for path in paths:
        figure.savefig(path, dpi=150)
    return paths


def cpu_model():
    """Returns the processor's name as the operating system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def machine_stamp(threads=1):
    """Returns the versions, processor, number of processors and threads behind a set of figures."""
    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "fastad": fastad.__version__,
        "cpu": cpu_model(),
        "cpus": os.cpu_count(),
        "threads": threads,
    }


def stamp_line(threads=1):
    """Returns the machine stamp as one line of text."""
    stamp = machine_stamp(threads)
    return (
        f"Python {stamp['python']}, NumPy {stamp['numpy']}, fastad {stamp['fastad']}; "
        f"{stamp['cpu']}, {stamp['cpus']} CPUs, {stamp['threads']} thread{'s' * (threads != 1)} used"
    )
