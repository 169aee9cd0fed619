"""Quotients on lanes are those of the divider, to the last bit: AVX-512 makes most of them from sums and products."""

import itertools

import numpy as np
import pytest

import fastad

ONE = 1 << 52      # a double with this mantissa, of 53 bits, is a power of two


def doubles(bits):
    return np.asarray(bits, dtype=np.uint64).view(np.float64)


def assert_same_bits(found, expected):
    both_nan = np.isnan(found) & np.isnan(expected)
    assert np.array_equal(found.view(np.int64)[~both_nan], expected.view(np.int64)[~both_nan])
    assert np.array_equal(np.isnan(found), np.isnan(expected))


def check(a, b):
    quotients = fastad.record(lambda x, y: x / y)
    with np.errstate(all="ignore"):
        expected = a / b
    assert_same_bits(quotients.map(a, b, what="value"), expected)


def near_the_middle(b, distance, doublings):
    """An a with 2**doublings * a = distance modulo b, by mantissas: a/b is as near to the middle of two doubles as it can be."""
    return distance * pow(2, -doublings, b) % b


def test_mantissas_at_random():
    rng = np.random.default_rng(0)
    a, b = (rng.integers(1023 << 52, 1024 << 52, 400_000) for _ in range(2))
    check(doubles(a), doubles(b))


def test_mantissas_next_to_powers_of_two():
    ends = np.concatenate([np.arange(300), (1 << 52) - 1 - np.arange(300)]) + (1023 << 52)
    a, b = (x.ravel() for x in np.meshgrid(doubles(ends), doubles(ends)))
    check(a, b)
    check(np.float64(2.0) ** np.arange(-200, 200), np.full(400, np.nextafter(2.0, 0.0)))


def test_quotients_next_to_the_middle_of_two_doubles():
    rng = np.random.default_rng(1)
    divisors = [*(rng.integers(ONE, 2 * ONE, 4000) | 1).tolist(), *(2 * ONE - 1 - 2 * np.arange(2000)).tolist()]
    pairs = [(a, b) for b in divisors for distance, doublings in itertools.product((-3, -1, 1, 3), (53, 54))
             if (a := near_the_middle(b, distance, doublings)) >= ONE]
    a, b = np.array(pairs, dtype=float).T
    assert len(a) > 10_000
    check(a, b)
    check(a * 2.0 ** -250, b * 2.0 ** 200)


def test_reciprocals():
    rng = np.random.default_rng(2)
    b = np.concatenate([doubles(rng.integers(1023 << 52, 1024 << 52, 100_000)), doubles((1024 << 52) - 1 - np.arange(100_000))])
    check(np.ones(len(b)), b)
    _, gradient = fastad.record(lambda x: fastad.math.log(x)).map(b)
    assert_same_bits(gradient, 1.0 / b)


def test_numbers_of_every_size():
    special = [0.0, np.inf, np.nan, 5e-324, 2.2e-308, np.finfo(float).tiny, np.finfo(float).max, 2.0 ** -256, 2.0 ** 256,
               np.nextafter(2.0 ** -256, 0), np.nextafter(2.0 ** 256, 0), 1.0, 3.0]
    special = np.array([*special, *(-x for x in special)])
    a, b = (x.ravel() for x in np.meshgrid(special, special))
    check(a, b)
    rng = np.random.default_rng(3)
    a, b = (doubles(rng.integers(0, 1 << 63, 100_000) * 2 + rng.integers(0, 2, 100_000)) for _ in range(2))
    check(a, b)


@pytest.mark.parametrize("rows", range(1, 60))
def test_every_count_of_rows(rows):
    rng = np.random.default_rng(rows)
    check(*rng.normal(size=(2, rows)))


FIRST = [lambda x, y: x + y, lambda x, y: x - y, lambda x, y: x * y, lambda x, y: x / y]
THEN = [lambda t, z: t + z, lambda t, z: t - z, lambda t, z: t * z, lambda t, z: t / z, lambda t, z: z - t, lambda t, z: z / t,
        lambda t, z: abs(t)]


@pytest.mark.parametrize("first", range(len(FIRST)))
def test_two_and_three_operations_in_one_step(first):
    columns = np.random.default_rng(4).normal(size=(4, 77))
    for second, third in itertools.product(range(len(THEN)), range(len(THEN))):
        def f(x, y, z, u, second=second, third=third):
            return THEN[third](THEN[second](FIRST[first](x, y), z), u)

        assert_same_bits(fastad.record(f).map(*columns, what="value"), f(*columns))
        assert_same_bits(fastad.record(lambda x, y, z, u: f(x, y, z, u) * 1.0).map(*columns, what="value"), f(*columns))
