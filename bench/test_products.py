"""Small products, systems of equations and Jacobians of programs."""

import functools

import numpy as np

import fastad
from bench import figures, peers, products


def test_products(benchmark):
    with peers.one_thread():
        figures.track(benchmark, products.small_products(4))
    benchmark(products.repeated(np.matmul, np.eye(4)))


def test_systems(benchmark):
    with peers.one_thread():
        figures.track(benchmark, products.systems(3))
    benchmark(functools.partial(fastad.record(np.linalg.solve, np.eye(3), np.ones(3)), np.eye(3), np.ones(3)))


def test_jacobians(benchmark):
    with peers.one_thread():
        figures.track(benchmark, products.jacobians(8))
    benchmark(functools.partial(fastad.record(products.arm).jacobian, np.linspace(0.1, 0.6, 8)))
