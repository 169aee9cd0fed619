"""Training step of micrograd's demo: fastad's gradient is micrograd's, and comes faster."""

from functools import partial

import pytest

import fastad
from bench import moons, pure, timing


def numbers(parameters):
    """Returns the weights and biases of all layers as one list in micrograd's order."""
    return [number for layer in parameters for number in moons.numbers_of(layer)]


def test_gradient_is_that_of_micrograd_and_of_the_pure_class():
    points, labels = moons.points_and_labels()
    model = moons.micrograd_model()
    arguments = moons.parameters_of(model), points, labels
    value, gradient = fastad.value_and_grad(moons.loss)(*arguments)
    pure_value, pure_gradient = pure.value_and_grad(moons.loss)(*arguments)
    assert value == pytest.approx(moons.micrograd_gradient(model, points, labels), rel=1e-13)
    assert value == pytest.approx(pure_value, rel=1e-13)
    expected = [parameter.grad for parameter in model.parameters()]
    assert max(map(abs, expected)) > 1e-2
    assert numbers(gradient) == pytest.approx(expected, rel=1e-11, abs=1e-13)
    assert numbers(gradient) == pytest.approx(numbers(pure_gradient), rel=1e-11, abs=1e-13)


def test_moons_training_step(benchmark):
    points, labels = moons.points_and_labels()
    model = moons.micrograd_model()
    on_fastad = partial(fastad.value_and_grad(moons.loss), moons.parameters_of(model), points, labels)
    compared = timing.ratio(partial(moons.micrograd_gradient, model, points, labels), on_fastad)
    benchmark.extra_info["times faster than micrograd, collector off"] = compared.ratio
    value, _ = benchmark(on_fastad)
    assert value > 0.0
