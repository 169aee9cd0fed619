"""Memory of the arrays of a trace: it is used again, and nothing else can be told from it."""

import threading

import numpy as np
import pytest

import fastad
from fastad.arrays import memory

SIZE = 50_000
LIMIT = 256 << 20

try:
    from numpy._core.multiarray import get_handler_name
except ImportError:
    from numpy.core.multiarray import get_handler_name


@pytest.fixture(autouse=True)
def nothing_held():
    memory.release()
    assert memory.held() == 0
    yield
    memory.release()


def waves(x):
    y = np.sin(x)
    for _ in range(5):
        y = y * x + np.cos(y)
    return np.sum(y)


def test_what_a_trace_gave_back_is_used_by_the_next():
    x = np.linspace(0.1, 1.0, SIZE)
    fastad.grad(waves)(x)
    held = memory.held()
    assert held >= 5 * x.nbytes
    for _ in range(5):
        fastad.grad(waves)(x)
        assert memory.held() <= held + x.nbytes          # one more than the gradient that has left


def test_the_handler_is_there_for_arrays_of_a_trace_and_for_no_others():
    names = []

    def f(x):
        y = x * 2.0
        names.append(get_handler_name(np.empty(3)))
        inner = fastad.grad(lambda z: np.sum(z * y))(x)
        names.append(get_handler_name(np.empty(3)))
        return np.sum(y * inner)

    before = get_handler_name(np.empty(3))
    fastad.grad(f)(np.ones(4))
    assert names == ["fastad", "fastad"] and get_handler_name(np.empty(3)) == before
    with pytest.raises(ZeroDivisionError):
        fastad.grad(lambda x: np.sum(x * 2.0) / (1 // 0))(np.ones(4))
    assert get_handler_name(np.empty(3)) == before


def test_a_recording_inside_a_trace_leaves_the_handler():
    names = []

    def f(x):
        y = np.sum(fastad.record(lambda z: z * 3.0)(x))
        fastad.grad(fastad.record(lambda z: np.sum(z * z)))(np.ones(3))
        names.append(get_handler_name(np.empty(3)))
        return y

    fastad.grad(f)(np.ones(4))
    assert names == ["fastad"]
    assert get_handler_name(np.empty(3)) != "fastad"


def test_results_are_not_overwritten():
    x = np.linspace(0.1, 1.0, SIZE)
    first = fastad.grad(waves)(x)
    copy = first.copy()
    kept = [fastad.grad(waves)(x + k) for k in range(4)]
    assert np.array_equal(first, copy)
    assert all(np.array_equal(fastad.grad(waves)(x + k), kept[k]) for k in range(4))


def test_zeros_are_zeros():
    def f(x):
        total = np.zeros(SIZE)
        assert not total.any()
        for _ in range(3):
            total = total + x * np.ones(SIZE) + np.zeros((SIZE,))
        return np.sum(total * np.full(SIZE, 2.0))

    for _ in range(3):
        assert np.array_equal(fastad.grad(f)(np.ones(SIZE)), np.full(SIZE, 6.0))


def test_what_is_not_used_again_goes_back():
    fastad.grad(waves)(np.linspace(0.1, 1.0, SIZE))
    assert memory.held() > 0
    for _ in range(10):
        fastad.grad(waves)(np.linspace(0.1, 1.0, 3))
    assert memory.held() == 0


def test_large_results_of_a_program():
    program = fastad.record(lambda x: x * x + 1.0)
    x = np.linspace(0.1, 1.0, SIZE)
    first, second = program(x), program(2.0 * x)
    assert np.array_equal(first, x * x + 1.0) and np.array_equal(second, 4.0 * x * x + 1.0)
    del first, second
    assert memory.held() == 2 * x.nbytes
    results = [program(k * x) for k in range(3)]
    assert all(np.array_equal(result, k * x * (k * x) + 1.0) for k, result in enumerate(results))
    assert get_handler_name(np.empty(3)) != "fastad" and get_handler_name(results[0]) == "fastad"
    results.clear()
    small = fastad.record(np.square)
    for _ in range(10):
        small(np.ones(20_000))
    assert memory.held() == 8 * 20_000


def test_results_of_a_map():
    program = fastad.record(lambda x: x * x)
    x = np.linspace(0.1, 1.0, SIZE)
    first = program.map(x)
    assert all(get_handler_name(part) == "fastad" for part in first)
    copies = [part.copy() for part in first]
    second = program.map(2.0 * x)
    assert all(map(np.array_equal, first, copies)) and np.array_equal(second[1], 4.0 * x)
    del first, second
    assert memory.held() == 4 * x.nbytes
    value, gradient = fastad.record(lambda x, y: y * y).map(x, x, argnums=0)
    assert np.array_equal(value, x * x) and not gradient.any()


def test_no_more_is_kept_than_the_limit():
    x = np.linspace(0.1, 1.0, 3_000_000)
    for shape in ((3_000_000,), (1500, 2000), (1000, 3001)):
        y = np.resize(x, shape)
        fastad.grad(waves)(y)
        assert 0 < memory.held() <= LIMIT


def test_arrays_of_many_sizes():
    for size in (1, 2047, 2048, 2049, 5000, 4999):
        x = np.linspace(0.1, 1.0, size)
        expected = np.cos(x) * x + np.sin(x)
        for _ in range(2):
            np.testing.assert_allclose(fastad.grad(lambda x: np.sum(np.sin(x) * x))(x), expected, rtol=1e-13)
    assert fastad.grad(lambda x: np.sum(x * x))(np.zeros((0, 3))).shape == (0, 3)


def test_arrays_that_outlive_the_trace_can_be_resized():
    kept = []

    def f(x):
        kept.append(np.arange(float(SIZE)))
        return np.sum(x * kept[-1])

    for _ in range(3):
        fastad.grad(f)(np.ones(SIZE))
    for k, size in enumerate((10, 3 * SIZE, 100_000)):
        first = kept[k][:10].copy()
        kept[k].resize(size, refcheck=False)
        assert np.array_equal(kept[k][:10], first)
    kept.clear()
    fastad.grad(f)(np.ones(SIZE))


def test_threads():
    expected = {size: fastad.grad(waves)(np.linspace(0.1, 1.0, size)) for size in (3000, 20_000, SIZE)}
    wrong = []

    def work(seed):
        sizes = np.random.default_rng(seed).choice(list(expected), 60)
        for size in sizes.tolist():
            if not np.array_equal(fastad.grad(waves)(np.linspace(0.1, 1.0, size)), expected[size]):
                wrong.append(size)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and memory.held() <= LIMIT


@pytest.mark.parametrize("recorded", [False, True])
@pytest.mark.parametrize("view", [
    lambda x: np.broadcast_to(x, (2, 4)), lambda x: np.broadcast_arrays(x, np.zeros((2, 4)))[0],
    lambda x: np.lib.stride_tricks.sliding_window_view(x, 2), lambda x: np.meshgrid(x, x, copy=False)[0],
], ids=["broadcast_to", "broadcast_arrays", "sliding_window_view", "meshgrid"])
def test_views_whose_elements_overlap_do_not_outlive_a_write(view, recorded):
    def f(x):
        x = x * 1.0
        seen = view(x)
        x[0] = 7.0 * x[1]
        return np.sum(seen)

    def before(x):
        x = x * 1.0
        total = np.sum(view(x) ** 2)
        x[0] = 7.0 * x[1]
        return total * np.sum(x)

    x = np.array([1.0, 2.0, 3.0, 4.0])
    way = (lambda g: fastad.record(g).grad) if recorded else fastad.grad
    with pytest.raises(fastad.TraceError, match="made a copy"):
        way(f)(x)
    step = 1e-6
    near = [(before(x + step * e) - before(x - step * e)) / (2.0 * step) for e in np.eye(4)]
    np.testing.assert_allclose(way(before)(x), near, rtol=1e-6)
