"""Gradients of a circuit of shared subexpressions by four methods, against one evaluation of the circuit."""

import random
from functools import partial

import pytest

from bench import circuits

SIZES = {"SymPy": (4, 8), "forward passes": (8, 128), "differences": (8, 128), "fastad.grad": (8, 128, 8192)}


def point(n):
    draw = random.Random(n)
    return [draw.uniform(-0.24, 0.24) for _ in range(n)]


def test_one_evaluation(benchmark):
    benchmark(circuits.float_circuit, point(8192))


@pytest.mark.parametrize(
    ("method", "n"),
    [(method, n) for method in circuits.methods() for n in SIZES[method.name]],
    ids=lambda case: case if isinstance(case, int) else case.name,
)
def test_gradient(benchmark, method, n):
    if method.name == "SymPy":
        pytest.importorskip("sympy")
    inputs = point(n)
    gradient, one = partial(method.gradient, inputs), partial(circuits.float_circuit, inputs)
    found, seconds, base = circuits.measured(gradient, one)
    error = circuits.largest_error(found, circuits.by_backpropagation(inputs))
    benchmark.extra_info.update({"error": error, "over one evaluation": seconds / base})
    assert error <= method.tolerance
    benchmark(gradient)
