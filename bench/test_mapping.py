"""Maps: a thousand operations at many points, Newton's iteration with rows of different length."""

import functools

import pytest

import fastad
from bench import figures, mapping


def test_the_map_is_the_loop():
    mapping.check_thousand()


@pytest.mark.parametrize("threads", [1, 2])
def test_many_points(benchmark, threads):
    x, y = mapping.columns()
    benchmark(functools.partial(fastad.record(mapping.thousand).map, x, y, argnums=(0, 1), threads=threads))


def test_newton(benchmark):
    figures.track(benchmark, mapping.newton())
    a = mapping.np.array([a for a, in mapping.programs.root_inputs(mapping.POINTS)])
    benchmark(functools.partial(fastad.record(mapping.programs.root).map, a, what="value"))


def test_jacobians(benchmark):
    figures.track(benchmark, benchmark.pedantic(mapping.jacobians, (100,)))
