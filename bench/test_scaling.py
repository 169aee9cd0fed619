"""Time per operation from 10^5 to 10^7 operations, and a chain 10^7 operations deep."""

from bench import figures


def test_time_per_operation(benchmark):
    figures.track(benchmark, figures.scaling())
    gradient = figures.gradient_of(figures.loop, figures.POINT)
    benchmark.pedantic(gradient, figures.POINT, {"operations": figures.LONG}, rounds=3)


def test_deep_chain(benchmark):
    figures.track(benchmark, benchmark.pedantic(figures.depth, rounds=1))
