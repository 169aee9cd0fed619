"""Random numbers in a function: a program draws what the plain function would draw."""

import functools
import random

import numpy as np
import pytest
from vectors import close

import fastad


def rejection(g):
    def f(x):
        while True:
            u = g.uniform()
            if u < 0.1 * abs(x) + 0.1:
                return u * x
    return f


def default(g):
    def f(x, g=g):
        return x * g.normal()
    return f


def shuffled(g):
    def f(x):
        a = np.arange(4.0)
        g.shuffle(a)
        return np.sum(a * x * np.arange(4.0))
    return f


class Drawing:
    def __init__(self, g):
        self.g = g

    def draws(self, x):
        return x * self.g.normal()

    def in_a_generator(self, x):
        return sum(x * self.g.normal() for _ in range(2))

    def in_branches(self, x):
        if x > 0:
            x = x * self.g.normal()
        if x > 1:
            x = x * self.g.normal() + 1
        return x


GENERATORS = {
    "cell": lambda g: lambda x: x * g.normal(),
    "array": lambda g: lambda x: np.sum(x * g.normal(size=3)) + g.uniform(),
    "attribute": lambda g: Drawing(g).draws,
    "attribute in a generator": lambda g: Drawing(g).in_a_generator,
    "branches": lambda g: Drawing(g).in_branches,
    "list": lambda g: (lambda held: lambda x: x * held[0].normal())([g]),
    "dict": lambda g: (lambda held: lambda x: x * held["g"].normal())({"g": g}),
    "tuple": lambda g: (lambda held: lambda x: x * held[0].normal())((g,)),
    "default": default,
    "partial": lambda g: functools.partial(lambda g, x: x * g.normal(), g),
    "bound method": lambda g: (lambda normal: lambda x: x * normal())(g.normal),
    "rejection": rejection,
    "decision": lambda g: lambda x: x if g.random() < 0.5 else -x,
    "decision of an int": lambda g: lambda x: x if g.integers(2) else -x,
    "range": lambda g: lambda x: sum(x for _ in range(g.integers(5))) + 0.0,
    "index": lambda g: lambda x: [1.0, 2.0, 3.0][g.integers(3)] * x,
    "mask": lambda g: lambda x: np.sum((g.random(5) < 0.5) * x),
    "choice": lambda g: lambda x: np.sum(g.choice(np.arange(5.0), 3) * x),
    "permutation": lambda g: lambda x: np.sum(g.permutation(4) * x * np.arange(4.0)),
    "shuffle": shuffled,
    "float": lambda g: lambda x: float(g.random()) * x,
    "parameter": lambda g: lambda x: g.normal(fastad.stop_gradient(x), 1.0) * x,
    "bytes": lambda g: lambda x: g.bytes(1)[0] * x,
    "random.Random": lambda g: (lambda r: lambda x: x * r.random())(random.Random(1)),
    "RandomState": lambda g: (lambda r: lambda x: x * r.rand())(np.random.RandomState(1)),
}


@pytest.mark.parametrize("name", GENERATORS)
def test_random_draws(name):
    """The same stream of numbers as the plain function draws, recordings and misses included."""
    plain, other = (GENERATORS[name](np.random.default_rng(5)) for _ in range(2))
    F = fastad.record(other)
    for x in (1.0, 2.0, 3.0, 3.0, -1.0, -2.0, 4.0, 0.5, 5.0):
        close(F(x), plain(x))


def test_a_generator_as_argument():
    def f(x, g):
        return x * g.normal() if x > 0 else g.normal(size=2) * x
    F = fastad.record(f)
    a, b = np.random.default_rng(3), np.random.default_rng(3)
    for x in (1.0, 2.0, -1.0, 3.0, -2.0):
        close(F(x, a), f(x, b))
    c, d = np.random.default_rng(4), np.random.default_rng(4)
    close(F(1.0, c), f(1.0, d))
    close(F(1.0, a), f(1.0, b))


def test_draws_of_two_generators_around_guards():
    def make():
        a, b = np.random.default_rng(1), np.random.default_rng(2)

        def f(x):
            y = x * a.normal()
            if x > 1:
                y = y + b.normal()
            if y > 0:
                y = y * 2 + b.normal()
            if x > 3:
                y = y * a.normal()
            return y
        return f

    f, F = make(), fastad.record(make())
    points = np.random.default_rng(3).uniform(-5, 5, 100).tolist()
    assert [F(x) for x in points] == [f(x) for x in points]
    for x in points[:30]:
        close(F.value_and_grad(x), fastad.value_and_grad(f)(x))
        close(F.hvp((x,), (1.0,)), fastad.hvp(f, (x,), (1.0,)))
        close(F.jvp((x,), (1.0,)), fastad.jvp(f, (x,), (1.0,)))
        close(F.vjp(x)[1](2.0), fastad.vjp(f, x)[1](2.0))


def test_numbers_of_the_library_generators():
    def f(x):
        return x * random.random()
    def g(x):
        return x * np.random.normal()
    F, G = fastad.record(f), fastad.record(g)
    for x in (1.0, 2.0, 3.0):
        random.seed(1)
        np.random.seed(1)
        found = F(x), G(x), F(x)
        random.seed(1)
        np.random.seed(1)
        assert found == (f(x), g(x), f(x))
    assert "random" in F.stats["eager"][0]


def test_a_generator_made_inside():
    F = fastad.record(lambda x: x * np.random.default_rng().random())
    assert len({F(1.0) for _ in range(4)}) == 4
