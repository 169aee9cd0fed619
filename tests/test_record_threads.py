"""Many threads on one program: recording the same and other paths at the same moment, replaying while others record."""

import sys
import threading

import numpy as np
import pytest
from threaded import in_threads

import fastad
from fastad.programs import paths


@pytest.fixture(autouse=True)
def _eager_switching():
    """Threads take turns as often as the interpreter allows."""
    old = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(old)


def collatz(x):
    """A loop of a length that depends on the value."""
    n = 0
    while x > 1.0 and n < 12:
        x, n = (x * 0.5 if x > 3.0 else x - 0.7), n + 1
    return x * x * n + x


def of_arrays(v):
    y = v * 1.0
    y[np.argmax(v)] += 2.0
    y[v > 0] *= 3.0
    if v[0] > v[1]:
        y[1:] = y[:-1]
    return np.sum(np.sort(y) * np.arange(v.size)) + np.sum(v[v > 0.5] ** 2)


POINTS = np.random.default_rng(0).uniform(0.0, 60.0, 40).tolist()
VECTORS = [np.random.default_rng(k).normal(size=4) for k in range(24)]


@pytest.mark.parametrize("repeat", range(5))
def test_paths_of_scalars(repeat):
    F = fastad.record(collatz)
    expected = [(collatz(x), fastad.grad(collatz)(x), fastad.hessian(collatz)(x)) for x in POINTS]

    def work(k):
        order = np.random.default_rng(k).permutation(len(POINTS))
        return [(int(i), (F(POINTS[i]), F.grad(POINTS[i]), F.hessian(POINTS[i]))) for i in order]

    for results in in_threads(8, work):
        for i, found in results:
            np.testing.assert_allclose(found, expected[i], 1e-12)
            assert found[0] == expected[i][0]
    assert F.stats["paths"] <= paths.MAX_PATHS


@pytest.mark.parametrize("repeat", range(5))
def test_paths_of_arrays(repeat):
    F = fastad.record(of_arrays)
    expected = [(of_arrays(v), fastad.grad(of_arrays)(v), fastad.hvp(of_arrays, (v,), (v,))) for v in VECTORS]

    def work(k):
        for i in np.random.default_rng(k).permutation(len(VECTORS)):
            v = VECTORS[i]
            for found, wanted in zip((F(v), F.grad(v), F.hvp((v,), (v,))), expected[i]):
                np.testing.assert_allclose(found, wanted, 1e-11, 1e-13)

    in_threads(8, work)
    assert F.stats["eager"] == []


def test_the_first_recording_at_one_moment():
    for _ in range(20):
        F = fastad.record(lambda x: x * x if x > 0 else -x)
        assert in_threads(6, lambda k, F=F: F(float(k) - 2.5)) == [(k - 2.5) ** 2 if k > 2 else 2.5 - k for k in range(6)]
        assert F.stats["paths"] <= 6


def test_recording_while_others_replay():
    F = fastad.record(collatz)
    F(0.5)
    stop = threading.Event()

    def work(k):
        if k == 0:
            try:
                return [(x, F(x)) for x in POINTS * 3]
            finally:
                stop.set()
        found = []
        while not stop.is_set():
            found.append((0.25, F(0.25)))
        return found[-100:]

    for results in in_threads(4, work):
        assert all(y == collatz(x) for x, y in results)


def test_signatures():
    F = fastad.record(lambda v, n: np.sum(v) * n if v.size > 3 else np.sum(v ** 2) + n)

    def work(k):
        for n in range(12):
            v = np.arange(float(1 + (n + k) % 6))
            assert F(v, n) == (np.sum(v) * n if v.size > 3 else np.sum(v ** 2) + n)

    in_threads(6, work)
    assert F.stats["signatures"] <= 72


def test_exceptions():
    def f(x):
        if x < 0:
            raise ValueError(str(round(x)))
        return collatz(x)

    F = fastad.record(f)

    def work(k):
        caught = 0
        for j, x in enumerate(POINTS):
            if j % 3 == k % 3:
                with pytest.raises(ValueError, match=f"^-{j + 1}$"):
                    F(-float(j + 1))
                caught += 1
            else:
                assert F(x) == collatz(x)
        return caught

    assert all(in_threads(6, work))


def test_a_global_that_changes():
    scale = [1.0]
    F = fastad.record(lambda x: x * scale[0] if x > 0 else -x * scale[0])
    stop = threading.Event()

    def work(k):
        if k == 0:
            for j in range(200):
                scale[0] = float(1 + j % 3)
            stop.set()
            return None
        while not stop.is_set():
            assert F(2.0) in (2.0, 4.0, 6.0)
            assert F(-2.0) in (2.0, 4.0, 6.0)

    in_threads(4, work)
    assert F(2.0) == 2.0 * scale[0]


def test_clear_and_stats_meanwhile():
    F = fastad.record(collatz)
    gradients = [fastad.grad(collatz)(x) for x in POINTS]

    def work(k):
        for j, x in enumerate(POINTS * 2):
            if k == 0 and j % 5 == 0:
                F.clear()
            assert F.stats["paths"] >= 0
            assert F(x) == collatz(x)
            assert F.grad(x) == pytest.approx(gradients[j % len(POINTS)], rel=1e-12)

    in_threads(5, work)


def test_generators_are_put_back():
    generator = np.random.default_rng(1)
    held = {"g": generator}
    F = fastad.record(lambda x: (x if x > 0 else -x) + held["g"].random())

    def work(k):
        return [F(float(j % 3 - 1)) for j in range(30)]

    for found in in_threads(6, work):
        assert all(0.0 <= y < 2.0 for y in found)
    assert held["g"] is generator
    assert type(held["g"]) is np.random.Generator


def test_gradients_of_programs_in_eager_traces():
    F = fastad.record(collatz)
    expected = [fastad.grad(lambda x: collatz(x) * x)(x) for x in POINTS]

    def work(k):
        return [fastad.grad(lambda x: F(x) * x)(x) if k % 2 else F(x) for x in POINTS]

    for k, found in enumerate(in_threads(6, work)):
        np.testing.assert_allclose(found, expected if k % 2 else [collatz(x) for x in POINTS], 1e-12)


def test_a_program_made_in_one_thread_and_used_in_others():
    [F] = in_threads(1, lambda k: fastad.record(collatz, 5.0))
    _, pull = F.vjp(7.0)
    expected = pull(1.0)
    assert in_threads(6, lambda k: [pull(1.0) for _ in range(50)]) == [[expected] * 50] * 6
