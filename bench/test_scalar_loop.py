"""Value and gradient, and Hessian-vector product, of a scalar Python loop of 100,000 operations."""

import pytest

import fastad
from bench import figures

LOOPS = {
    "loop": (figures.loop, figures.POINT, figures.scalar_loop),
    "literals": (figures.literal_loop, figures.LITERAL_POINT, figures.literals),
}


@pytest.mark.parametrize("name", LOOPS)
def test_value_on_floats(benchmark, name):
    function, point, _ = LOOPS[name]
    benchmark(figures.twin(function), *point)


@pytest.mark.parametrize("name", LOOPS)
def test_value_and_gradient(benchmark, name):
    function, point, figure = LOOPS[name]
    figures.track(benchmark, figure())
    benchmark(figures.gradient_of(function, point), *point)


def test_hessian_vector_product(benchmark):
    figures.track(benchmark, figures.hessian_vector())
    benchmark(fastad.hvp, figures.loop, figures.POINT, (0.1, 0.3, -0.2, 0.5))


def test_over_micrograd(benchmark):
    pytest.importorskip("micrograd")
    figures.track(benchmark, benchmark.pedantic(figures.over_micrograd, rounds=1))
