"""The suite peers: the workloads that people bring, by fastad and by other libraries."""

from bench import comparison
from bench.workloads.registry import WORKLOADS


def run(options, console):
    """Runs the workloads; returns whether fastad is right in all of them."""
    return comparison.run(options, console, tuple(WORKLOADS), "peers")
