"""What is known to draw no random numbers from `random` and numpy.random: their states are then not read."""

import functools
import math
import operator
import random
from random import random as drawn

import numpy as np
import pytest

import fastad
import fastad.math
from fastad.programs.captures import Captures

RATE, ARRAY, TABLE, LIBRARY, RANDOM = 3.0, np.ones(3), [1.0], np, np.random


def helper(x):
    return x + RATE


def drawing(x):
    return x * random.random()


def recursive(x):
    return x if x < 1 else recursive(x - 1)


def with_attribute(x):
    return x


with_attribute.source = np.random


class Holder:
    def method(self, x):
        return x * np.random.rand()


def importing(x):
    import random as r
    return x * r.random()


def in_a_cell(source):
    return lambda x: source() * x


CLOSED = [
    lambda x: x, lambda x: np.sum(x) + np.pi * RATE, lambda x: fastad.math.sin(x) * helper(x), lambda x: np.sum(ARRAY * x),
    lambda x: sum(v * x for v in range(3)), recursive, lambda x, rate=1.0: x * rate, lambda x: np.linalg.norm(x), lambda x: x * math.pi,
]
OPEN = [
    lambda x: x * random.random(), lambda x: x * np.random.rand(), lambda x: x * drawn(), lambda x: drawing(x), lambda x: x * RANDOM.rand(),
    lambda x: x * LIBRARY.random.rand(), lambda x: (lambda m: m.random.rand())(np) * x, Holder().method, importing,
    lambda x: x * eval("drawn()"), lambda x: x * __import__("random").random(), lambda x, source=drawn: x * source(),
    functools.partial(drawing), in_a_cell(np.random.rand), in_a_cell(drawn), lambda x: [drawing][0](x),
    lambda x: x * getattr(np, "random").rand(), lambda x: x * with_attribute.source.rand(), lambda x: x * (lambda f: f.source.rand())(with_attribute),
]


@pytest.mark.parametrize("k", range(len(CLOSED)))
def test_code_that_draws_nothing(k):
    assert Captures(CLOSED[k]).closed
    F = fastad.record(CLOSED[k])
    assert F(0.5) == CLOSED[k](0.5) and F.stats["eager"] == []


@pytest.mark.parametrize("k", range(len(OPEN)))
def test_code_that_may_draw(k):
    assert not Captures(OPEN[k]).closed
    F = fastad.record(OPEN[k])
    random.seed(1)
    np.random.seed(1)
    found = [F(0.5) for _ in range(4)]
    random.seed(1)
    np.random.seed(1)
    assert found == [OPEN[k](0.5) for _ in range(4)] and len(set(found)) == 4


def test_code_that_is_not_followed():
    assert not Captures(lambda x: operator.add(x, TABLE[0])).closed
    assert not Captures(None, [Holder()]).closed


def test_the_second_normal_number_of_a_pair():
    F = fastad.record(lambda x: x * np.random.randn())
    for k in range(4):
        np.random.seed(k)
        np.random.randn()
        found = [F(1.0) for _ in range(3)]
        np.random.seed(k)
        np.random.randn()
        assert found == [np.random.randn() for _ in range(3)]


def test_another_bit_generator():
    old = np.random.get_bit_generator()
    try:
        np.random.set_bit_generator(np.random.PCG64(1))
        F = fastad.record(lambda x: x * np.random.rand())
        assert len({F(1.0) for _ in range(3)}) == 3
    finally:
        np.random.set_bit_generator(old)
