"""Figures of checkpoints: `python -m bench.checkpointing` prints memory and time of the gradient of a long simulation.

The simulation is a damped, driven chain of pendulums, 10,000 steps of it. It is differentiated written out, every operation of
every step on one tape, and as a loop of `fastad.scan` with binomial checkpointing; also in blocks of `fastad.checkpoint`.
"""

import sys

import numpy as np

import fastad
import fastad.math
from bench import figures, report, timing
from bench.arrays import assert_same
from bench.report import Row

STEPS = 10_000
BLOCK = 100
MASSES = 10
MEMORY_BOUND, TIME_BOUND = 0.05, 2.5
START = np.linspace(0.1, 1.0, MASSES)
FORCES = np.sin(np.arange(STEPS) * 0.01)


def step(state, force):
    """Returns the state (angles, speeds) after one step of time 0.001 s, and nothing to keep."""
    angle, speed = state
    pull = np.zeros(1)
    left = np.concatenate([pull, angle[:-1]])
    right = np.concatenate([angle[1:], pull])
    acceleration = 4.0 * (left - 2.0 * angle + right) - 9.81 * np.sin(angle) - 0.1 * speed + force
    speed = speed + 0.001 * acceleration
    return (angle + 0.001 * speed, speed), None


def energy(state):
    """Returns the energy of a state."""
    angle, speed = state
    return 0.5 * np.sum(speed * speed) + 9.81 * np.sum(1.0 - np.cos(angle))


def written_out(angle, forces=FORCES):
    """Returns the energy at the end, by a loop of Python."""
    state = angle, np.zeros(MASSES)
    for k in range(len(forces)):
        state, _ = step(state, forces[k])
    return energy(state)


def scanned(angle, forces=FORCES):
    """Returns the same by a scan with checkpoints."""
    return energy(fastad.scan(step, (angle, np.zeros(MASSES)), forces, checkpoint=True)[0])


def in_blocks(angle, forces=FORCES):
    """Returns the same in blocks of steps, each with a checkpoint."""
    state = angle, np.zeros(MASSES)
    for k in range(0, len(forces), BLOCK):
        state = fastad.checkpoint(block)(state, forces[k:k + BLOCK])
    return energy(state)


def block(state, forces):
    """Returns the state after some steps."""
    for k in range(len(forces)):
        state, _ = step(state, forces[k])
    return state


WAYS = {"written out": written_out, "scan": scanned, "blocks": in_blocks}


def gradient(way):
    """Returns the gradient by the angles at the start."""
    return fastad.grad(WAYS[way])(START)


def check():
    """Raises AssertionError unless all ways have the same value and gradient."""
    wanted = fastad.value_and_grad(written_out)(START, FORCES[:500])
    for way in ("scan", "blocks"):
        assert_same(fastad.value_and_grad(WAYS[way])(START, FORCES[:500]), wanted, 1e-10)


def peak(way):
    """Returns by how many bytes a gradient raises the peak of a process in which one of ten steps has been computed."""
    WAYS[way](START, FORCES[:10])
    fastad.grad(WAYS[way])(START, FORCES[:10])
    before = figures.process_status("VmRSS")
    gradient(way)
    return figures.process_status("VmHWM") - before


def peak_of(way):
    """Returns the same in a process of its own."""
    return figures.in_fresh_process("import sys; from bench import checkpointing; print(checkpointing.peak(sys.argv[1]))", way)


def title(way):
    """Returns what a row is about."""
    return f"gradient of {STEPS:,} steps, {'a scan with checkpoints' if way == 'scan' else f'blocks of {BLOCK}'}, over written out"


def memory(way="scan"):
    """Returns the row of the memory of a gradient over that written out (dimensionless)."""
    return [Row(f"{title(way)}: memory", peak_of(way) / peak_of("written out"), at_most=MEMORY_BOUND if way == "scan" else None)]


def seconds(way="scan", rounds=3):
    """Returns the row of the time of a gradient over that written out (dimensionless)."""
    ratio = timing.ratio(lambda: gradient(way), lambda: gradient("written out"), rounds, (1, 1)).ratio
    return [Row(f"{title(way)}: time", ratio, at_most=TIME_BOUND if way == "scan" else None)]


def run(options, console):
    """Prints the table of the figures; returns whether all meet their bounds."""
    check()
    rows = [row for way in ("scan", "blocks") for figure in (memory, seconds) for row in figure(way)]
    return report.print_stamped(console, "Checkpoints", rows)


if __name__ == "__main__":
    sys.exit(report.status_of(run))
