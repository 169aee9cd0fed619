"""What the tests of calls, checkpoints and loops share: comparison of nested results, functions of numbers, their derivatives."""

import numpy as np

import fastad
from fastad import math


def close(found, wanted, tolerance=1e-10):
    """Fails unless two nestings have the same leaves, in shape and to the tolerance."""
    found, wanted = fastad.pytrees.flatten(found)[0], fastad.pytrees.flatten(wanted)[0]
    assert len(found) == len(wanted)
    for x, y in zip(found, wanted):
        assert np.shape(x) == np.shape(y)
        np.testing.assert_allclose(x, y, tolerance, tolerance)


def close_derivatives(g, f, v, s):
    """Fails unless g and f, real functions of an array and a number, agree in value and derivatives up to the third."""
    close(g(v, s), f(v, s))
    close(fastad.grad(g, (0, 1))(v, s), fastad.grad(f, (0, 1))(v, s))
    close(fastad.hessian(g)(v, s), fastad.hessian(f)(v, s))
    close(fastad.jvp(g, (v, s), (V, 1.0)), fastad.jvp(f, (v, s), (V, 1.0)))
    close(fastad.jacobian(fastad.hessian(g))(v, s), fastad.jacobian(fastad.hessian(f))(v, s))


V = np.array([0.3, -0.8, 1.2])


def branching(x):
    return math.sin(x) * x ** 3 if x > 0 else x ** 2 * math.cos(x)


def long(x, steps=3000):
    """A chain of `steps` steps of three operations."""
    for _ in range(steps):
        x = x * 0.999 + 0.001 * math.sin(x)
    return x
