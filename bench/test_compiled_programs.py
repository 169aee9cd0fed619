"""Compiled programs: scalar networks beside CasADi and C, a chain of operations that need each other."""

import functools

import pytest

import fastad
from bench import compiled, figures, peers

TRANSFORMS = [
    pytest.param(fastad.value_and_grad, id="eager"),
    pytest.param(lambda function: fastad.record(function).value_and_grad, id="replayed"),
]


@pytest.fixture(autouse=True)
def one_thread():
    with peers.one_thread():
        yield


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_value_and_gradient_are_right(transform):
    compiled.check_network(transform)


def test_c_by_hand_is_right():
    library = compiled.compiled_c()
    if library is None:
        pytest.skip("there is no C compiler")
    layers, x = compiled.layers_of(6)
    call = compiled.c_network(library, layers, x)
    value, gradient = fastad.value_and_grad(compiled.network)(layers, x)
    compiled.assert_same([call(), call.gradient], [value, compiled.flat(gradient)], 1e-13)


def test_casadi_is_right():
    pytest.importorskip("casadi")
    layers, x = compiled.layers_of(6)
    call = compiled.casadi_network(layers, x)
    call()
    value, gradient = fastad.value_and_grad(compiled.network)(layers, x)
    compiled.assert_same([call.value[0], call.gradient], [value, compiled.flat(gradient)], 1e-13)


def test_small_network(benchmark):
    figures.track(benchmark, compiled.network_rows(compiled.SMALL))
    program = fastad.record(compiled.network)
    benchmark(functools.partial(program.value_and_grad, *compiled.layers_of(compiled.SMALL)))


def test_chain(benchmark):
    figures.track(benchmark, compiled.chain_rows(100_000))
    program = fastad.record(compiled.oscillator)
    benchmark(functools.partial(program.value_and_grad, 0.3, 0.2, 1e-4, 1e-4, 25_000))
