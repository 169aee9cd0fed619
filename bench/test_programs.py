"""Programs: one small gradient, loops of scalars, recording, guards, Newton's iteration, a training step."""

import functools

import pytest

import fastad
import fastad.math
from bench import figures, microgpt_arrays, peers, programs, pure
from bench.microgpt import training as scalar_training
from bench.training import Run, alternate, largest_difference

TRANSFORMS = [
    pytest.param(fastad.value_and_grad, id="eager"),
    pytest.param(programs.replayed, id="replayed"),
]


@pytest.fixture(autouse=True)
def one_thread():
    with peers.one_thread():
        yield


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("check", programs.CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
def test_value_and_gradient_are_right(check, transform):
    check(transform)


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_training_on_arrays_has_the_losses_of_the_pure_class(transform):
    slow = Run(scalar_training(pure.value_and_grad, pure, 10))
    fast = Run(microgpt_arrays.training(transform(microgpt_arrays.loss), 10))
    alternate(slow, fast, 10, lambda: None)
    assert slow.losses[-1] != slow.losses[0]
    assert largest_difference(slow, fast) <= 1e-12
    for name, matrix in slow.parameters.items():
        assert abs(fast.parameters[name] - matrix).max() <= 1e-10


def test_casadi_has_the_gradient_by_hand():
    pytest.importorskip("casadi")
    x = programs.random_numbers(1, programs.DIMENSION)
    found = programs.casadi_gradient(programs.rosenbrock, x)()
    programs.assert_same([found.full().ravel()], [programs.rosenbrock_gradient(x)], 1e-12)


def test_small_gradient(benchmark):
    figures.track(benchmark, programs.small_gradient())
    x = programs.random_numbers(1, programs.DIMENSION)
    benchmark(fastad.record(programs.rosenbrock).grad, x)


def test_scalar_loop(benchmark):
    figures.track(benchmark, programs.scalar_loop())
    benchmark(programs.replayed(figures.loop, argnums=(0, 1, 2, 3)), *figures.POINT)


def test_recording(benchmark):
    figures.track(benchmark, programs.recording())
    benchmark(lambda: fastad.record(figures.loop)(*figures.POINT))


def test_guards(benchmark):
    figures.track(benchmark, programs.guards())
    benchmark(programs.replayed(programs.deciding_orbit, argnums=(0, 1, 2, 3)), *programs.ORBIT_POINT)


def test_newton(benchmark):
    figures.track(benchmark, programs.newton())
    program, inputs = fastad.record(programs.root), programs.root_inputs()
    benchmark(functools.partial(programs.call_all, program, inputs))


def test_training_step(benchmark):
    figures.track(benchmark, programs.training_step(10))
    derivative, parameters = programs.replayed(microgpt_arrays.loss), microgpt_arrays.initial_parameters()
    benchmark(derivative, parameters, microgpt_arrays.tokens_of("barbara"))
