"""Charts of compared tools, and the static page that shows them: cost over size, ratio to the best peer, memory."""

import html
from importlib import metadata
from pathlib import Path

from matplotlib.figure import Figure

from bench import report
from bench.gradbench.tools import TOOLS
from bench.report import quantity


def versions(tools):
    """Returns the versions of the tools that are installed."""
    found = {}
    for tool in tools:
        try:
            found[tool] = metadata.version(TOOLS[tool].library.partition(".")[0])
        except metadata.PackageNotFoundError:
            continue
    return found


def draw(results, folder):
    """Writes the charts of results as SVG and PNG and a page with them and the tables; returns the paths."""
    suite, cells = results["suite"], [cell for cell in results["cells"] if cell["status"] == "ok"]
    figures = {"ratio": ratios(cells), "memory": memories(cells), "scaling": scaling(cells)}
    paths = []
    for name, figure in figures.items():
        if figure is not None:
            paths += report.save_figure(figure, folder, f"{suite}-{name}")
    page = Path(folder) / f"{suite}.html"
    page.write_text(page_of(results, [path.name for path in paths if path.suffix == ".svg"]), encoding="utf-8")
    return [*paths, page]


def groups(cells):
    """Returns the cells by problem and size: {(problem, size): {tool: cell}}."""
    found = {}
    for cell in cells:
        found.setdefault((cell["problem"], tuple(cell["size"])), {})[cell["tool"]] = cell
    return found


def label(problem, size):
    return f"{problem} ({', '.join(map(str, size))})" if size else problem


def ratios(cells):
    """Returns a figure of fastad's time over that of the best peer and of the hand-written C, problem by problem."""
    bars = []
    for (problem, size), tools in groups(cells).items():
        peers = [cell["figures"]["cpu"] for tool, cell in tools.items() if TOOLS[tool].peer]
        if "fastad" in tools and (peers or "C" in tools or "Python" in tools):
            ours = tools["fastad"]["figures"]["cpu"]
            by_hand = next((ours / tools[tool]["figures"]["cpu"] for tool in ("C", "Python") if tool in tools), None)
            bars.append((label(problem, size), ours / min(peers) if peers else None, by_hand))
    if not bars:
        return None
    figure = Figure(figsize=(9.0, 1.5 + 0.4 * len(bars)), layout="constrained")
    axes = figure.subplots()
    for k, (_, peer, by_hand) in enumerate(bars):
        for ratio, shift, color in ((peer, -0.18, TOOLS["JAX"].color), (by_hand, 0.18, TOOLS["C"].color)):
            if ratio is not None:
                axes.plot([1.0, ratio], [k + shift] * 2, color=color, linewidth=6.0, solid_capstyle="butt")
                axes.annotate(
                    f"{ratio:.2g}",
                    (ratio, k + shift),
                    xytext=(4 if ratio >= 1 else -4, 0),
                    textcoords="offset points",
                    va="center",
                    ha="left" if ratio >= 1 else "right",
                    fontsize=8,
                )
    colors = {"over the best peer": TOOLS["JAX"].color, "over C (Python) by hand": TOOLS["C"].color}
    for k, (name, color) in enumerate(colors.items(), 1):
        if any(bar[k] is not None for bar in bars):
            axes.plot([], [], color=color, linewidth=6.0, label=name)
    axes.set_yticks(range(len(bars)), [name for name, *_ in bars])
    axes.set_xscale("log")
    axes.margins(x=0.15)
    axes.invert_yaxis()
    axes.axvline(1.0, color="black", linewidth=0.8)
    axes.set(
        title="Derivative by fastad, replayed: time over another's (left of 1: faster)",
        xlabel="ratio of processor times (log scale)",
    )
    axes.grid(axis="x", alpha=0.3)
    axes.legend(loc="best")
    return figure


def memories(cells):
    """Returns a figure of the peak memory of each tool beyond its inputs, problem by problem."""
    found = {
        key: {tool: cell["figures"]["memory"] for tool, cell in tools.items() if cell["figures"].get("memory")}
        for key, tools in groups(cells).items()
    }
    found = {key: tools for key, tools in found.items() if tools}
    if not found:
        return None
    figure = Figure(figsize=(9.0, 1.5 + 0.4 * len(found)), layout="constrained")
    axes = figure.subplots()
    for name, tool in TOOLS.items():
        points = [(tools[name] / 1e6, k) for k, tools in enumerate(found.values()) if name in tools]
        if points:
            axes.plot(*zip(*points), "o", color=tool.color, label=name, alpha=0.85)
    axes.set_yticks(range(len(found)), [label(*key) for key in found])
    axes.set_xscale("log")
    axes.invert_yaxis()
    axes.set(title="Peak memory beyond the inputs", xlabel="megabytes (log scale)")
    axes.grid(axis="x", alpha=0.3)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def scaling(cells):
    """Returns a figure of time over size for the problems that have several sizes."""
    by_problem = {}
    for (problem, size), tools in groups(cells).items():
        by_problem.setdefault(problem, []).append((size, tools))
    by_problem = {problem: sizes for problem, sizes in by_problem.items() if len(sizes) > 2}
    if not by_problem:
        return None
    columns = min(3, len(by_problem))
    rows = -(-len(by_problem) // columns)
    figure = Figure(figsize=(4.2 * columns, 3.4 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat[len(by_problem) :]:
        axes.set_visible(False)
    for axes, (problem, sizes) in zip(grid.flat, by_problem.items()):
        for name, tool in TOOLS.items():
            points = [(magnitude(size), tools[name]["figures"]["cpu"]) for size, tools in sizes if name in tools]
            if points:
                axes.plot(*zip(*sorted(points)), "o-", color=tool.color, label=name, markersize=4.0)
        axes.set(
            title=problem,
            xscale="log",
            yscale="log",
            xlabel="size (product of its numbers)",
            ylabel="processor time of a call (s)",
        )
        measured = sorted({magnitude(size) for size, _ in sizes})
        axes.set_xticks(measured, [short(number) for number in measured])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
    handles, names = max((axes.get_legend_handles_labels() for axes in grid.flat), key=lambda pair: len(pair[1]))
    figure.legend(handles, names, loc="outside lower center", ncols=min(7, len(names)))
    return figure


def short(number):
    """Returns a whole number as text for an axis: 80,000 or 8.7e7."""
    return f"{number:,}" if number < 1e5 else f"{number:.2g}".replace("e+0", "e").replace("e+", "e")


def magnitude(size):
    product = 1
    for number in size:
        product *= number
    return product


def page_of(results, pictures):
    """Returns the page: stamp, pictures, and a table of every cell."""
    stamp = ", ".join(f"{name} {value}" for name, value in results["machine"].items())
    columns = ("import", "record", "first", "later", "cpu", "memory")
    lines = []
    for cell in results["cells"]:
        figures = [
            quantity(cell["figures"][name], "B" if name == "memory" else "s") if name in cell["figures"] else ""
            for name in columns
        ]
        note = "" if cell["status"] == "ok" else f"{cell['status']}: {cell['word']}"
        error = "" if cell["error"] is None else f"{cell['error']:.0e}"
        entries = [label(cell["problem"], cell["size"]), cell["tool"], *figures, error, note]
        lines.append("<tr>" + "".join(f"<td>{html.escape(entry)}</td>" for entry in entries) + "</tr>")
    head = "".join(f"<th>{name}</th>" for name in ("problem", "tool", *columns, "error", ""))
    shown = "\n".join(f'<p><img src="{name}" alt="{name}"></p>' for name in pictures)
    return f"""<!DOCTYPE html>
<html lang="en"><meta charset="utf-8"><title>fastad: {results["suite"]}</title>
<style>body {{ font-family: sans-serif; margin: 2em }}
td, th {{ padding: 0.1em 0.8em; text-align: right; white-space: nowrap }} :is(td, th):nth-child(-n+2) {{ text-align: left }}
td:last-child {{ text-align: left; white-space: normal }}
tr:nth-child(even) {{ background: #f2f2f2 }} img {{ max-width: 100% }}</style>
<h1>fastad: {results["suite"]}</h1>
<p>{results["date"]}; {html.escape(stamp)}</p>
{shown}
<table><tr>{head}</tr>
{chr(10).join(lines)}
</table></html>
"""
