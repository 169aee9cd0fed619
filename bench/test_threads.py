"""Two threads sweeping a tape of 10^7 operations each, against one sweep after the other."""

import os

import pytest

from bench import figures


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="needs two processors")
def test_two_sweeps(benchmark):
    figures.track(benchmark, benchmark.pedantic(figures.threads, rounds=1))
