"""The limits of the machine: a full tape, no memory left, processes that split while they record."""

import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest
from refusals import cube, refused, still_works  # noqa: F401

import fastad
from fastad.core import scalar, tape
from fastad.programs.code import Code


def in_a_new_thread(function):
    """Runs function() in a new thread, which has its own tape; its result, or its exception is raised."""
    results = []

    def work():
        try:
            results.append((function(), None))
        except BaseException as error:
            results.append((None, error))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    result, error = results[0]
    if error is not None:
        raise error
    return result


def long_product(x):
    y = x
    for _ in range(3000):
        y = y * x
    return y


@pytest.fixture
def small_tapes():
    old = tape.set_slot_limit(4096)
    assert old == 2**31 - 1
    yield
    tape.set_slot_limit(old)


@pytest.mark.parametrize("transform", [
    lambda f: fastad.grad(lambda x: f(f(x))), lambda f: fastad.hessian(lambda x: f(f(x))),
    lambda f: fastad.grad(fastad.grad(f)), lambda f: lambda x: fastad.jvp(fastad.grad(f), (x,), (1.0,)),
    lambda f: fastad.grad(lambda x: fastad.jvp(f, (x,), (1.0,))[1]),
    lambda f: fastad.jacobian(lambda x: [f(x), f(x)]),
    lambda f: fastad.grad(lambda x: fastad.vjp(f, x)[1](x)[0]),
    lambda f: lambda x: fastad.vjp(lambda y: f(f(y)), x),
])
def test_a_full_tape(small_tapes, transform):
    def work():
        with refused(MemoryError, "tape is full", "4096", "smaller"):
            transform(long_product)(1.0)
        assert not scalar.tracing()
        return fastad.grad(long_product)(1.0), fastad.grad(fastad.grad(cube))(2.0)

    assert in_a_new_thread(work) == (3001.0, 12.0)


def test_the_limit_can_not_be_raised_past_the_slots():
    old = tape.set_slot_limit(2**40)
    assert tape.set_slot_limit(old) == 2**31 - 1


def run_alone(code):
    """Runs Python source in a process of its own and returns what it printed."""
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1",
                   "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True,
                          timeout=60, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.split()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="RLIMIT_AS is honoured on Linux only")
def test_no_memory_left():
    assert run_alone("""
        import resource
        import fastad
        from fastad.core import scalar

        def f(x):
            y = x
            for _ in range(10**7):
                y = y * x
            return y

        pages = int(open("/proc/self/statm").read().split()[0])
        limit = pages * resource.getpagesize() + 60 * 2**20
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        for transform in (fastad.grad, fastad.hessian, lambda f: fastad.grad(fastad.grad(f))):
            try:
                transform(f)(1.0)
            except MemoryError as error:
                print(scalar.tracing(), "memory" in str(error), fastad.grad(lambda x: x**3)(2.0))
        """) == ["False", "True", "12.0"] * 3


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="RLIMIT_AS is honoured on Linux only")
def test_no_memory_left_for_the_sweep():
    # The recorded sweep needs several times the tape, so that it is where the memory ends.
    assert run_alone("""
        import resource
        import fastad
        from fastad.core import scalar

        def f(x):
            y = x
            for _ in range(2 * 10**6):
                y = y * x
            pages = int(open("/proc/self/statm").read().split()[0])
            limit = pages * resource.getpagesize() + 2**20
            resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
            return y

        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        for transform in (fastad.grad, lambda f: fastad.grad(fastad.grad(f)), fastad.hessian):
            try:
                transform(f)(1.0)
            except MemoryError as error:
                print(scalar.tracing(), "memory" in str(error))
            resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
            print(fastad.grad(lambda x: x**3)(2.0))
        """) == ["False", "True", "12.0"] * 3


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs signal.setitimer")
def test_an_interrupt_at_any_moment():
    # Also between the opening of a trace and the block that closes it, and while it is being closed.
    assert run_alone("""
        import random
        import signal
        import fastad
        from fastad.core import scalar

        def interrupt(*_):
            raise KeyboardInterrupt

        signal.signal(signal.SIGALRM, interrupt)
        random.seed(0)
        second = fastad.grad(lambda x: fastad.grad(lambda y: y * y + y)(x) * x)
        interrupted = 0
        for _ in range(5000):
            try:
                signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-6, 60e-6))
                while True:
                    second(2.0)
            except KeyboardInterrupt:
                interrupted += 1
            if scalar.tracing() or second(2.0) != 9.0:
                print("a trace was left open")
                break
        print(interrupted)
        """) == ["5000"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_fork_while_recording():
    assert run_alone("""
        import os
        import fastad

        def f(x):
            y = x * x
            f.child = os.fork()
            z = y * x
            if f.child:
                f.status = os.waitpid(f.child, 0)[1]
            return z + fastad.grad(lambda v: v * v)(x)

        gradient = fastad.grad(f)(2.0)
        right = gradient == 14.0 and fastad.grad(fastad.grad(lambda x: x**3))(2.0) == 12.0
        if not f.child:
            os._exit(0 if right else 1)
        print(right, f.status)
        """) == ["True", "0"]


def test_an_active_value_made_behind_the_back():
    assert run_alone("""
        import fastad

        kinds = []
        fastad.grad(lambda x: kinds.append(type(x)) or x)(1.0)
        for use in (repr, str, bool, lambda y: y + 1, lambda y: 1.0 + y):
            try:
                use(kinds[0].__new__(kinds[0]))
            except TypeError:
                print("refused")
        """).count("refused") >= 4


@pytest.mark.parametrize("use", ["__call__", "grad", "value_and_grad", "jacobian", "hessian"])
@pytest.mark.parametrize("f, x", [(lambda x: x * x + x, 2.0), (lambda x: (np.tanh(x) * x).sum(), np.arange(3.0))],
                         ids=["numbers", "arrays"])
def test_a_program_nobody_holds_is_freed_at_once(f, x, use):
    """A program of one path is in no reference cycle: its memory does not wait for the garbage collector."""
    def paths():
        return sum(isinstance(x, Code) for x in gc.get_objects())

    fastad.record(f)(x)
    gc.collect()
    before = paths()
    gc.disable()
    try:
        program = fastad.record(f)
        for _ in range(3):
            getattr(program, use)(x)
        assert paths() > before
        del program
        assert paths() == before
    finally:
        gc.enable()
