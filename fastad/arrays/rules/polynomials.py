"""Functions of polynomials given by their coefficients, the highest power first."""

import math

import numpy as np

from .helpers import like, unbroadcast
from .registry import rule
from .selection import pick


@rule(np.polyval, "p", "x", structure="call")
def _polyval(w, result, p, x):
    n = len(p)

    def onto_coefficients():
        adjoints, power = [], w
        for k in reversed(range(n)):
            adjoints.append(unbroadcast(power, np.shape(p[k])))
            power = np.multiply(power, x) if k else power
        return like(np.stack(adjoints[::-1]) if n else np.zeros(0), p)

    def onto_x():
        slope = 0.0
        for k in range(n - 1):
            slope = slope * x + (n - 1 - k) * p[k]
        return like(w * slope, x)
    return onto_coefficients, onto_x


def _aligned(w, a):
    """The last elements of w, those that belong to the coefficients a."""
    n = math.prod(np.shape(a))
    return like(np.reshape(w[len(w) - n:], np.shape(a)), a)


@rule(np.polyadd, "a1", "a2", structure="call", linear="jointly")
def _polyadd(w, result, a1, a2):
    return lambda: _aligned(w, a1), lambda: _aligned(w, a2)


@rule(np.polysub, "a1", "a2", structure="call", linear="jointly")
def _polysub(w, result, a1, a2):
    return lambda: _aligned(w, a1), lambda: _aligned(-w, a2)


# Not declared linear: a tangent that begins with zeros would lose them, and with them its places in the result.
@rule(np.polymul, "a1", "a2", structure="dense")
def _polymul(w, result, a1, a2):
    def onto(a, other):
        # NumPy drops leading zeros of both factors, so these have no part in the product's coefficients.
        i = np.arange(math.prod(np.shape(a))) - _leading_zeros(a)
        j = np.arange(math.prod(np.shape(other))) - _leading_zeros(other)
        together = np.logical_and(np.reshape(i >= 0, (-1, 1)), j >= 0)
        at = np.where(together, np.reshape(i, (-1, 1)) + j, 0)
        windows = np.where(together, pick(w, at), 0)
        return like(np.reshape(np.matmul(windows, np.reshape(other, -1)), np.shape(a)), a)
    return lambda: onto(a1, a2), lambda: onto(a2, a1)


def _leading_zeros(a):
    """How many coefficients NumPy drops: all in front of the first that is not zero, and never the last."""
    return np.argmax(np.concatenate([np.not_equal(np.reshape(a, -1)[:-1], 0), np.ones(1, bool)]))


@rule(np.polyder, "p", structure="call", linear="jointly")
def _polyder(w, result, p, m=1):
    n = len(p)
    if n <= m:
        return like(np.zeros(np.shape(p)), p)
    factors = [math.perm(n - 1 - k, m) for k in range(n - m)]
    return like(np.concatenate([w * np.array(factors, w.dtype), np.zeros(m, w.dtype)]), p)


@rule(np.polyint, "p", "k", structure="call", linear="jointly")
def _polyint(w, result, p, m=1, k=None):
    n = len(p)

    def onto_constants():
        factors = [1 / math.factorial(m - 1 - i) for i in range(m)]
        constants = w[n:] * np.array(factors, w.dtype)
        size = math.prod(np.shape(k))
        if size == 1:
            constants = np.sum(constants, keepdims=True)
        else:
            constants = np.concatenate([constants, np.zeros(size - m, w.dtype)])
        return like(np.reshape(constants, np.shape(k)), k)
    factors = [1 / math.perm(n - 1 - i + m, m) for i in range(n)]
    return lambda: like(w[:n] * np.array(factors, w.dtype), p), onto_constants
