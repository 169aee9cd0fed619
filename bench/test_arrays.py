"""Arrays: fifty operations, loops over elements, a network, a rollout, peak memory; beside the peers where installed."""

import sys

import numpy as np
import pytest

import fastad
from bench import arrays, figures, peers


@pytest.fixture(autouse=True)
def one_thread():
    with peers.one_thread():
        yield


def points(n):
    return np.linspace(-0.9, 0.9, n)


@pytest.mark.parametrize("n", arrays.SIZES)
def test_fifty_operations_on_numpy(benchmark, n):
    benchmark(figures.twin(arrays.fifty), points(n))


@pytest.mark.parametrize("n", arrays.SIZES)
def test_fifty_operations(benchmark, n):
    figures.track(benchmark, arrays.fifty_operations(n))
    benchmark(fastad.value_and_grad(arrays.fifty), points(n))


ELEMENT_LOOPS = {"read": (arrays.read_loop, arrays.reads), "fill": (arrays.fill_loop, arrays.fills)}


@pytest.mark.parametrize("name", ELEMENT_LOOPS)
def test_element_loop(benchmark, name):
    function, figure = ELEMENT_LOOPS[name]
    figures.track(benchmark, figure())
    benchmark(fastad.value_and_grad(function), np.linspace(0.1, 0.9, arrays.ELEMENTS))


def test_network(benchmark):
    figures.track(benchmark, arrays.network())
    loss, arguments = arrays.loss_for(peers.find("fastad")), arrays.network_arguments()
    benchmark(fastad.value_and_grad(loss, argnums=tuple(range(6))), *arguments)


def test_rollout(benchmark):
    figures.track(benchmark, arrays.roll())
    benchmark(fastad.value_and_grad(arrays.rolled(arrays.lorenz), argnums=(0, 1)), *arrays.ROLL_START)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/status")
def test_peak_memory(benchmark):
    figures.track(benchmark, benchmark.pedantic(arrays.memory, rounds=1))


@pytest.mark.parametrize("name", [name for name in peers.PEERS if name != "fastad"])
def test_peer_has_the_gradient_of_fastad(name):
    peer = peers.find(name)
    if peer is None:
        pytest.skip(f"{name} is not installed")
    arguments = arrays.network_arguments()
    loss = arrays.loss_for(peers.find("fastad"))
    expected = fastad.value_and_grad(loss, argnums=tuple(range(6)))(*arguments)
    arrays.prepared(peer, arrays.loss_for(peer), arguments, 6, expected, 1e-4)
    x = points(100)
    expected = fastad.value_and_grad(arrays.fifty, argnums=(0,))(x)
    arrays.prepared(peer, peers.on_namespace(arrays.fifty, peer.np), (x,), 1, expected, 1e-12)
