"""Training step of the character model: fastad's gradient is the pure class's, and comes faster."""

from functools import partial

import pytest

import fastad
import fastad.math
from bench import microgpt, pure, timing


def derivatives(name="barbara"):
    """Returns two functions giving loss and gradient for a name, on fastad and on the pure class."""
    parameters, tokens = microgpt.initial_parameters(), microgpt.tokens_of(name)
    return (
        partial(fastad.value_and_grad(microgpt.loss), parameters, tokens, fastad.math),
        partial(pure.value_and_grad(microgpt.loss), parameters, tokens, pure),
    )


@pytest.mark.parametrize("name", ["jo", "barbara", "maximiliano"])
def test_gradient_is_that_of_the_pure_class(name):
    on_fastad, on_pure = derivatives(name)
    value, gradient = on_fastad()
    expected_value, expected_gradient = on_pure()
    assert value == pytest.approx(expected_value, rel=1e-13)
    found, expected = microgpt.flattened(gradient), microgpt.flattened(expected_gradient)
    assert abs(expected).max() > 1e-2
    assert abs(found - expected).max() <= 1e-13 * abs(expected).max()


def test_microgpt_training_step(benchmark):
    on_fastad, on_pure = derivatives()
    compared = timing.ratio(on_pure, on_fastad)
    benchmark.extra_info["times faster than the pure class, collector off"] = compared.ratio
    value, _ = benchmark(on_fastad)
    assert value > 0.0
