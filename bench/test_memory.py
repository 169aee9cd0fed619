"""Peak memory per operation of a value and gradient of 10^7 operations, reverse sweep included."""

import sys

import pytest

from bench import figures


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/status")
def test_peak_per_operation(benchmark):
    figures.track(benchmark, benchmark.pedantic(figures.memory, rounds=1))
