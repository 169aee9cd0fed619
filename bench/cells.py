"""Cells of the tables: a tool on a problem of a size, run in a process of its own with a time limit, and checked.

The tools of a problem take turns: a processor that is slower for a while is slower for all of them.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from bench.cell import READY
from bench.gradbench.tools import TOOLS
from bench.peers import ONE_THREAD

ROOT = Path(__file__).parents[1]
TOLERANCE = 1e-10
TURNS = 4                       # of each tool behind its first one, if a call of it is shorter than
PATIENCE = 2.0                  # seconds
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


class Process:
    """A tool's process on a problem, and the cell that it fills."""

    def __init__(self, cell, folder, limit, message):
        self.cell, self.folder, self.limit, self.numbers = cell, folder / str(len(list(folder.iterdir()))), limit, None
        self.folder.mkdir()
        command = [sys.executable, "-m", "bench.cell", cell.tool, cell.problem, json.dumps(message or cell.size), str(self.folder)]
        # What PyTensor compiles is kept for this problem alone: the time of compilation is a figure of its own.
        flags = f"{os.environ.get('PYTENSOR_FLAGS', '')},base_compiledir={self.folder / 'pytensor'}"
        environment = os.environ | ONE_THREAD | {"BENCH_LIMIT": str(folder / "limit.so"), "PYTENSOR_FLAGS": flags}
        self.errors = (self.folder / "errors.txt").open("w+", encoding="utf8", errors="replace")
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True
        )

    def first_turn(self):
        """Waits for the first figures; the cell says what there was instead."""
        ready, late = self.answered()
        if late:
            self.cell.status, self.cell.word = "timeout", f"more than {self.limit:g} s"
        elif not ready:
            self.errors.seek(0)
            missing(self.cell, self.errors.read(), self.process.wait())
        elif "skipped" in self.cell.figures:
            self.cell.status, self.cell.word, self.cell.figures = "skipped", self.cell.figures["skipped"], {}
        else:
            self.numbers = np.load(self.folder / "result.npy")
        if self.numbers is None or self.cell.figures["later"] > PATIENCE:
            self.end()

    def turn(self):
        """Has it measure once more; whether it could."""
        try:
            self.process.stdin.write("\n")
            self.process.stdin.flush()
        except (OSError, ValueError):
            return False
        ready, _ = self.answered()
        if not ready:
            self.end()
        return ready

    def answered(self):
        """Waits for figures: whether they are there, and whether it took too long."""
        late = threading.Event()

        def stop():
            late.set()
            self.process.kill()

        timer = threading.Timer(self.limit, stop)
        timer.start()
        try:
            ready = self.process.stdout.readline().strip() == READY
        finally:
            timer.cancel()
        if ready:
            self.cell.figures = json.loads((self.folder / "figures.json").read_text())
        return ready, late.is_set()

    def end(self):
        """Ends the process, which may have ended."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.errors):
            # What was not written is of no use.
            with contextlib.suppress(OSError):
                pipe.close()


def run(problem: str, size: Sequence, tools: Sequence[str], limit: float, message: str | None = None) -> Iterator[Cell]:
    """Yields the cells of a problem as they have figures, which become better until the iteration ends: then they are checked too."""
    cells, processes = [], []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        try:
            for tool in tools:
                cells.append(Cell(problem, list(size), tool))
                processes.append(Process(cells[-1], Path(folder), limit, message))
                processes[-1].first_turn()
                yield cells[-1]
            waiting = [process for process in processes if process.process.poll() is None]
            for _ in range(TURNS):
                waiting = [process for process in waiting if process.turn()]
        finally:
            for process in processes:
                process.end()
            found = {p.cell.tool: p.numbers for p in processes if p.numbers is not None and p.cell.tool not in UNCHECKED}
            check(cells, found)


def missing(cell, errors, status):
    """Says why a process failed: skipped where a library is absent, crashed otherwise."""
    last = errors.strip().splitlines()[-1:] or [f"exit status {status}"]
    absent = last[0].startswith("ModuleNotFoundError")
    cell.status, cell.word = ("skipped", "not installed") if absent else ("crashed", last[0][:200])


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
