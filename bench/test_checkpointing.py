"""Checkpoints: memory and time of the gradient of a long simulation over those without."""

import sys

import pytest

from bench import checkpointing, figures


def test_all_ways_have_the_same_gradient():
    checkpointing.check()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/status")
def test_memory_over_written_out(benchmark):
    figures.track(benchmark, benchmark.pedantic(checkpointing.memory, rounds=1))


@pytest.mark.parametrize("way", checkpointing.WAYS)
def test_gradient(benchmark, way):
    benchmark.pedantic(lambda: checkpointing.gradient(way), rounds=3)
