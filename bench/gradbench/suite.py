"""The suite gradbench: its twelve evals by fastad, by C with derivatives by hand, and by other libraries."""

from bench import comparison
from bench.gradbench.registry import EVALS


def run(options, console):
    """Runs the evals; returns whether fastad is right in all of them."""
    return comparison.run(options, console, [name for name in EVALS if name != "hello"], "gradbench")
