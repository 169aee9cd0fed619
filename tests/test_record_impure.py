"""Functions that are not a function of their arguments: counters, logs, clocks, results of their own making."""

import datetime
import os
import random
import secrets
import time
import uuid

import numpy as np
import pytest

import fastad


def test_captured_iterator():
    a, b = iter(range(10)), iter(range(10))
    F = fastad.record(lambda x: x * next(a))
    assert [F(2.0) for _ in range(4)] == [2.0 * next(b) for _ in range(4)]


def test_count_of_calls():
    class Counter:
        n = 0

    def make(counter):
        def f(x):
            counter.n += 1
            return x * counter.n
        return f

    f, F = make(Counter()), fastad.record(make(Counter()))
    assert [F(1.5) for _ in range(5)] == [f(1.5) for _ in range(5)]


def test_count_of_calls_in_a_list():
    log = []
    F = fastad.record(lambda x: (log.append(1), x * len(log))[1])
    assert [F(1.5) for _ in range(3)] == [1.5, 3.0, 4.5]


def test_a_list_that_is_read_elsewhere():
    log = []

    def count():
        return len(log)
    F = fastad.record(lambda x: (log.append(1), x * count())[1])
    assert [F(1.5) for _ in range(3)] == [1.5, 3.0, 4.5]


def test_a_list_of_an_object():
    class Model:
        def __init__(self):
            self.history = []
            self.sizes = []

        def logged(self, x):
            self.history.append("called")
            return x * 2.0

        def counted(self, x):
            self.sizes.append(1)
            return x * sum(self.sizes)
    model = Model()
    F = fastad.record(model.logged)
    assert [F(x) for x in (1.0, 2.0, 3.0)] == [2.0, 4.0, 6.0] and len(model.history) == 1
    F = fastad.record(model.counted)
    assert [F(x) for x in (1.0, 2.0, 3.0)] == [1.0, 4.0, 9.0]


def test_a_log_of_recordings():
    log = []
    F = fastad.record(lambda x: (log.append(1), x * 2.0)[1])
    assert [F(float(k)) for k in range(5)] == [2.0 * k for k in range(5)]
    assert len(log) == 1


def read_now():
    from time import monotonic_ns as now
    return now()


@pytest.mark.parametrize("f", [
    lambda x: x * time.perf_counter(),
    lambda x: x * datetime.datetime.now().timestamp(),
    lambda x: x * read_now(),
    lambda x: x * int.from_bytes(os.urandom(6)),
    lambda x: x * secrets.randbits(60),
    lambda x: x * uuid.uuid4().int,
    lambda x: x * random.Random().random(),
    lambda x: x * np.random.RandomState().rand(),
    lambda x: x * np.random.Generator(np.random.PCG64()).random(),
])
def test_what_gives_something_else_each_time(f):
    F = fastad.record(f)
    assert len({F(1.0) for _ in range(4)}) == 4
    assert any(word in F.stats["eager"][0] for word in ("clock", "random numbers", "without a seed"))


@pytest.mark.parametrize("f", [
    lambda x: x * np.random.default_rng(3).random(),
    lambda x: x * np.random.Generator(np.random.PCG64(3)).random(),
    lambda x: x * datetime.date(2020, 1, 3).day,
    lambda x: x * random.Random(3).random(),
])
def test_what_gives_the_same_each_time(f):
    F = fastad.record(f)
    assert [F(2.0) for _ in range(4)] == [f(2.0)] * 4
    assert F.stats["replays"] and not F.stats["eager"]


class Thing:
    def __init__(self, value):
        self.value = value


@pytest.mark.parametrize("f, read", [
    (lambda x: Thing(2 * x), lambda made: made.value),
    (lambda x: (x * k for k in range(3)), list),
    (lambda x: map(lambda t: t * x, [1.0, 2.0]), list),
    (lambda x: (lambda y: x * y), lambda made: made(3.0)),
    (lambda x: zip([1.0, 2.0], [x, x]), list),
    (lambda x: {1.0, 2.0}, lambda made: (made.add(5.0), len(made))),
    (lambda x: [x, np.random.default_rng(0)], lambda made: made[1].random()),
    (lambda x: [x, np.array(["a", "b"])], lambda made: (made[1].__setitem__(0, "c"), made[1].tolist())),
    (lambda x: bytearray(b"a"), lambda made: (made.extend(b"b"), bytes(made))),
])
def test_results_that_a_replay_can_not_make(f, read):
    F = fastad.record(f)
    assert [read(F(x)) for x in (1.0, 2.0, 3.0, 4.0)] == [read(f(x)) for x in (1.0, 2.0, 3.0, 4.0)]
    assert "result" in F.stats["eager"][0]


def test_objects_that_were_passed_or_captured_are_results():
    thing = Thing(2.0)
    F = fastad.record(lambda x, other: (x * thing.value, thing, other, other.value, "text", None, frozenset((1, 2)), np.dtype(float)))
    other = Thing(3.0)
    for x in (1.0, 2.0, 3.0):
        assert F(x, other) == (x * 2.0, thing, other, 3.0, "text", None, frozenset((1, 2)), np.dtype(float))
    assert F.stats["replays"] and not F.stats["eager"]
