"""Cells of the tables: a tool on a problem of a size, run in a process of its own with a time limit, and checked."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from bench.gradbench.tools import TOOLS
from bench.peers import ONE_THREAD

ROOT = Path(__file__).parents[1]
TOLERANCE = 1e-10
# Whose numbers the others must have: the first of these that has any, so that fastad is checked by another one.
PEERS = (name for name, tool in TOOLS.items() if tool.peer)
REFERENCES = ("C", "Python", *PEERS, "fastad eager", "fastad", "fastad no cse", "fastad fast_math")
UNCHECKED = ("plain f",)


@dataclass
class Cell:
    """A tool on a problem: `status` is "ok", "skipped", "timeout", "crashed" or "wrong", `word` says why.

    `figures` are seconds (import, record, first, later, cpu) and bytes (memory); `error` is normwise relative.
    """

    problem: str
    size: list
    tool: str
    status: str = "ok"
    word: str = ""
    figures: dict = field(default_factory=dict)
    error: float | None = None

    @property
    def seconds(self):
        """The processor time of a later call, by which tools are compared; None where there is none to be trusted."""
        return self.figures.get("cpu") if self.status == "ok" else None

    def plain(self):
        """Returns the cell as a dictionary for JSON."""
        return asdict(self)


def run(problem: str, size: Sequence, tools: Sequence[str], limit: float, message: str | None = None) -> Iterator[Cell]:
    """Yields the cells of a problem as they are finished; they are checked when the iteration ends or is broken off."""
    cells, found = [], {}
    try:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            for tool in tools:
                cell, numbers = one(problem, size, tool, limit, Path(folder), message)
                cells.append(cell)
                if numbers is not None and tool not in UNCHECKED:
                    found[tool] = numbers
                yield cell
    finally:
        check(cells, found)


def one(problem, size, tool, limit, folder, message=None):
    """Returns a cell and its numbers, None where it has none."""
    cell = Cell(problem, list(size), tool)
    for name in ("figures.json", "result.npy"):
        (folder / name).unlink(missing_ok=True)
    command = [sys.executable, "-m", "bench.cell", tool, problem, json.dumps(message or list(size)), str(folder)]
    # What PyTensor compiles is kept for this process alone: the time of compilation is a figure of its own.
    flags = f"{os.environ.get('PYTENSOR_FLAGS', '')},base_compiledir={folder / 'pytensor'}"
    environment = os.environ | ONE_THREAD | {"BENCH_LIMIT": str(folder / "limit.so"), "PYTENSOR_FLAGS": flags}
    try:
        done = subprocess.run(command, cwd=ROOT, env=environment, timeout=limit, capture_output=True, text=True, check=False)
    except subprocess.TimeoutExpired:
        cell.status, cell.word = "timeout", f"more than {limit:g} s"
        return cell, None
    if done.returncode:
        return missing(cell, done), None
    cell.figures = json.loads((folder / "figures.json").read_text())
    if "skipped" in cell.figures:
        cell.status, cell.word, cell.figures = "skipped", cell.figures["skipped"], {}
        return cell, None
    return cell, np.load(folder / "result.npy")


def missing(cell, done):
    """Returns a cell whose process failed: skipped where a library is absent, crashed otherwise."""
    last = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
    absent = last[0].startswith("ModuleNotFoundError")
    cell.status, cell.word = ("skipped", "not installed") if absent else ("crashed", last[0][:200])
    return cell


def check(cells, found):
    """Marks the cells whose numbers are not those of the reference."""
    reference = next((tool for tool in REFERENCES if tool in found and np.all(np.isfinite(found[tool]))), None)
    for cell in cells:
        if cell.tool not in found:
            continue
        expected, numbers = found[reference] if reference else found[cell.tool], found[cell.tool]
        if numbers.shape != expected.shape or not np.all(np.isfinite(numbers)):
            cell.status, cell.word = "wrong", f"{numbers.size} numbers, not all finite, or not {expected.size}"
            continue
        scale = np.linalg.norm(expected)
        cell.error = float(np.linalg.norm(numbers - expected) / scale) if scale else float(np.linalg.norm(numbers))
        if cell.error > TOLERANCE:
            cell.status, cell.word = "wrong", f"differs from {reference} by {cell.error:.1e}"
