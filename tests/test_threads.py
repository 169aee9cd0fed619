"""Traces in many threads at once, functions that travel between threads, and memory that is given back."""

import math
import os
import sys
import threading
import time

import numpy as np
import pytest
from refusals import cube, refused, still_works  # noqa: F401
from threaded import in_threads

import fastad
from fastad import math as fm
from fastad.core import scalar
from fastad.elementals import UfuncTable


@pytest.fixture
def eager_switching():
    """Threads take turns as often as the interpreter allows."""
    old = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(old)


def chain(x, n=200):
    y = x
    for k in range(n):
        y = fm.sin(y) + x * k
    return y


def test_threads_with_traces_of_their_own(eager_switching):
    def work(k):
        x = 0.1 * k
        return [(fastad.value_and_grad(chain)(x), fastad.grad(fastad.grad(chain))(x),
                 fastad.hessian(chain)(x), fastad.jvp(chain, (x,), (1.0,))[1]) for _ in range(10)]

    alone = [work(k)[0] for k in range(16)]
    for k, results in enumerate(in_threads(16, work)):
        assert results == [alone[k]] * 10
    assert not scalar.tracing()


def test_a_trace_in_progress_does_not_feel_those_of_others(eager_switching):
    stop = threading.Event()

    def others():
        while not stop.is_set():
            fastad.grad(chain)(0.5)

    threads = [threading.Thread(target=others) for _ in range(4)]
    want = fastad.value_and_grad(chain)(0.3)
    for thread in threads:
        thread.start()
    try:
        for _ in range(50):
            assert fastad.value_and_grad(chain)(0.3) == want
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_tracing_is_a_matter_of_the_thread():
    def f(x):
        assert scalar.tracing()
        assert in_threads(2, lambda k: (scalar.tracing(), fastad.grad(cube)(2.0))) == [(False, 12.0)] * 2
        return x * x

    assert fastad.grad(f)(3.0) == 6.0


def test_a_value_handed_to_another_thread():
    def f(x):
        with refused(fastad.TraceError, r"test_threads\.py:\d+", "thread"):
            in_threads(1, lambda k: x + 1)
        with refused(fastad.TraceError, r"test_threads\.py:\d+", "thread"):
            in_threads(1, lambda k: fastad.grad(lambda y: x * y)(1.0))
        return x * x

    assert fastad.grad(f)(3.0) == 6.0


def test_values_may_be_dropped_in_another_thread():
    def f(x):
        kept = [x * k for k in range(1000)]
        in_threads(1, lambda k: kept.clear())
        return x * x

    assert [fastad.grad(f)(3.0) for _ in range(20)] == [6.0] * 20


def test_functions_of_a_finished_trace_in_several_threads(eager_switching):
    value, vjp_fun = fastad.vjp(lambda xs: [chain(xs[0]), xs[0] * xs[1]], [0.5, 2.0])
    _, jvp_fun = fastad.linearize(lambda xs: [chain(xs[0]), xs[0] * xs[1]], [0.5, 2.0])
    rows = [vjp_fun([1.0, 0.0])[0], vjp_fun([0.0, 1.0])[0]]
    columns = [jvp_fun([1.0, 0.0]), jvp_fun([0.0, 1.0])]

    def work(k):
        for _ in range(50):
            assert [vjp_fun([1.0, 0.0])[0], vjp_fun([0.0, 1.0])[0]] == rows
            assert [jvp_fun([1.0, 0.0]), jvp_fun([0.0, 1.0])] == columns
            # Inside a trace of this thread the result depends on the cotangent.
            assert fastad.grad(lambda w: vjp_fun([w, 0.0])[0][0])(2.0) == pytest.approx(rows[0][0], rel=1e-12)
        return True

    assert all(in_threads(8, work))


def test_ufuncs_first_used_by_several_threads(eager_switching):
    # The table of ufuncs is filled at the first look; whoever looks meanwhile must not find it half full.
    for _ in range(50):
        table = UfuncTable()
        assert None not in in_threads(4, lambda k, table=table: table.find(np.signbit))
    assert in_threads(8, lambda k: fastad.grad(lambda x: np.log1p(x) + np.hypot(x, 1.0))(0.0)) == [1.0] * 8


# Memory

def resident():
    """Bytes of physical memory this process holds."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


needs_proc = pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs /proc")


@needs_proc
def test_a_thread_gives_its_memory_back():
    def work(k):
        assert fastad.grad(lambda x: chain(x, 20000))(0.5) == want     # a tape of about 1 MB, 60000 scalars

    want = fastad.grad(lambda x: chain(x, 20000))(0.5)
    for _ in range(20):
        in_threads(1, work)
    before = resident()
    for _ in range(200):
        in_threads(1, work)
    assert resident() - before < 16e6


@needs_proc
@pytest.mark.parametrize("transform", [fastad.grad, fastad.hessian, lambda f: fastad.grad(fastad.grad(f)),
                                       lambda f: lambda x: fastad.vjp(f, x)[1](1.0),
                                       lambda f: lambda x: fastad.jvp(f, (x,), (1.0,))])
def test_many_calls_do_not_add_up(transform):
    derivative = transform(lambda x: fm.sin(x) * x + x**3)
    for _ in range(1000):
        derivative(0.5)
    before = resident()
    for _ in range(10000):
        derivative(0.5)
    assert resident() - before < 4e6


@needs_proc
def test_failed_calls_do_not_add_up():
    def f(x):
        y = [x * k for k in range(100)]
        raise ValueError(y)

    def fail(count):
        for _ in range(count):
            with pytest.raises(ValueError):
                fastad.grad(f)(0.5)

    fail(100)
    before = resident()
    fail(2000)
    assert resident() - before < 8e6


@needs_proc
def test_a_large_tape_is_given_back():
    before = resident()
    for _ in range(2):
        fastad.grad(lambda x: chain(x, 2 * 10**6))(0.5)                # 6 million instructions: about 100 MB
    assert resident() - before < 60e6


# Sweeps in parallel

@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="needs two processors")
def test_sweeps_leave_the_interpreter_to_others():
    _, vjp_fun = fastad.vjp(lambda x: chain(x, 300000), 0.5)
    start = time.perf_counter()
    vjp_fun(1.0)
    sweep = time.perf_counter() - start
    turns, done = [], threading.Event()

    def count():
        n = 0
        while not done.is_set():
            n += 1
            time.sleep(0)
            turns.append(time.perf_counter())

    thread = threading.Thread(target=count)
    thread.start()
    try:
        # While one thread sweeps, the other goes on: it has turns inside the middle half of some sweep.
        for _ in range(50):
            start = time.perf_counter()
            vjp_fun(1.0)
            duration = time.perf_counter() - start
            inside = [t for t in list(turns) if start + duration / 4 < t < start + 3 * duration / 4]
            if len(inside) > 2:
                break
    finally:
        done.set()
        thread.join()
    assert len(inside) > 2, f"no turn during sweeps of {sweep:.3g} s"
    assert math.isfinite(vjp_fun(1.0)[0])
