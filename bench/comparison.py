"""Suites that compare fastad with other tools, problem by problem: tables, charts, a page, results as JSON."""

import json
import time
from pathlib import Path

from rich import box
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from bench import cells, charts, report
from bench.gradbench.registry import EVALS
from bench.gradbench.tools import TOOLS
from bench.report import quantity

OURS = tuple(name for name, tool in TOOLS.items() if not tool.peer)
PEERS = tuple(name for name, tool in TOOLS.items() if tool.peer)
COLUMNS = (("import", "s"), ("record", "s"), ("first", "s"), ("later", "s"), ("cpu", "s"), ("memory", "B"))


def run(options, console, names=tuple(EVALS), suite="gradbench"):
    """Runs the cells, prints their tables, leaves charts, page and JSON; returns whether all ran and fastad is right."""
    console.print(report.stamp_line(), style="dim", soft_wrap=True)
    tools = chosen_tools(options.peer)
    which = options.size or ("small" if options.quick else "full")
    plan = [(name, size) for name in names if not options.problem or name in options.problem for size in sizes_of(name, which)]
    done, group, whole, started = [], [], True, time.perf_counter()
    try:
        with Progress(
            TextColumn("{task.description:<44}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console
        ) as progress:
            task = progress.add_task(suite, total=sum(len(used_for(name, tools)) for name, _ in plan))
            for name, size in plan:
                group = []
                for cell in cells.run(name, size, used_for(name, tools), options.limit, message_file(name, size, options.data)):
                    progress.update(task, advance=1, description=f"{name} {told(size)}: {cell.tool} {cell.status}")
                    done.append(cell)
                    group.append(cell)
                show(progress.console, name, size, group)
                group = []
    except KeyboardInterrupt:
        whole = False
        if group:
            show(console, name, size, group)
        console.print(f"stopped; {len(done)} cells so far", style="yellow")
    keep(done, suite, options, console, time.perf_counter() - started)
    return whole and all(cell.status == "ok" for cell in done if cell.tool.startswith("fastad"))


def chosen_tools(peers):
    """Returns the tools to run: ours and the named peers, all where none is named."""
    wanted = PEERS if not peers else tuple(name for name in PEERS if name.lower() in {peer.lower() for peer in peers})
    return (*OURS, *wanted)


def show(console, name, size, group):
    """Prints the table of a problem, and a line for each cell without figures."""
    console.print(table_of(name, size, group))
    for cell in group:
        if cell.word:
            console.print(f" {cell.tool}: {cell.status}, {cell.word}", style="dim")


def used_for(name, tools):
    """Returns the tools without those that are for other problems."""
    return [tool for tool in tools if TOOLS[tool].only is None or name in TOOLS[tool].only]


def sizes_of(name, which):
    """Returns the sizes of a problem: the smallest, those of the tables, or all of them."""
    from bench.problems import PROBLEMS

    problem = PROBLEMS[name]
    return {"small": problem.sizes[:1], "full": problem.sizes[-problem.tabled :], "every": problem.sizes}[which]


def message_file(name, size, data):
    """Returns the path of the suite's own input of this size in a checkout, None where there is none."""
    if data is None:
        return None
    from bench.gradbench.data import written

    return written(name, size, Path(data))


def told(size):
    """Returns a size as text."""
    return "(" + ", ".join(f"{number:,}" for number in size) + ")" if size else ""


def table_of(name, size, group):
    """Returns the table of a problem's cells."""
    table = Table(title=f"{name} {told(size)}", title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("tool", no_wrap=True)
    for column in (*(column for column, _ in COLUMNS), "/fastad", "error"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("")
    ours = next((cell.seconds for cell in group if cell.tool == "fastad"), None)
    for cell in group:
        figures = [quantity(cell.figures[column], unit) if column in cell.figures else "" for column, unit in COLUMNS]
        ratio = f"{cell.seconds / ours:.3g}" if ours and cell.seconds else ""
        error = "" if cell.error is None else f"{cell.error:.0e}"
        table.add_row(cell.tool, *figures, ratio, error, "" if cell.status == "ok" else f"[yellow]{cell.status}[/]")
    return table


def keep(done, suite, options, console, seconds):
    """Leaves results as JSON, charts and a page."""
    results = {
        "suite": suite,
        "date": time.strftime("%Y-%m-%d"),
        "seconds": round(seconds),
        "machine": report.machine_stamp(1) | charts.versions(PEERS),
        "cells": [cell.plain() for cell in done],
    }
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.json or options.out / f"{suite}.json"
    path.write_text(json.dumps(results, indent=1))
    console.print(f"results: {path}", style="dim", soft_wrap=True)
    if any(cell.seconds for cell in done):
        for path in charts.draw(results, options.out):
            console.print(f"picture: {path}", style="dim", soft_wrap=True)
