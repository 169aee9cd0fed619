"""Guards that are looked at together: every comparison, either outcome, in every place of a window, NaN and signed zeros included."""

import math
import operator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastad

RELATIONS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne}
NUMBERS = [0.0, -0.0, 1.0, -1.0, 1.0 + 2.0 ** -52, math.inf, -math.inf, math.nan, 5e-324]


def deciding(relations):
    """A function that notes the outcome of one comparison after the other in its result."""
    def f(*numbers):
        result = numbers[0] * 0.0 if numbers[0] - numbers[0] == 0.0 else 0.0 * numbers[1]
        for k, name in enumerate(relations):
            x, y = numbers[k % len(numbers)], numbers[(k * k + 1) % len(numbers)]
            result = result + 2.0 ** (k % 20) if RELATIONS[name](x, y) else result - 3.0
        return result
    return f


def same(x, y):
    return x == y or (math.isnan(x) and math.isnan(y))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from(sorted(RELATIONS)), min_size=1, max_size=40),
       st.lists(st.lists(st.sampled_from(NUMBERS), min_size=4, max_size=4), min_size=2, max_size=6))
def test_decisions(relations, points):
    f = deciding(relations)
    F = fastad.record(f)
    for point in [*points, *points]:
        assert same(F(*point), f(*point))


@pytest.mark.parametrize("name", RELATIONS)
@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 8, 9, 300])
def test_one_of_many_fails(name, count):
    """Each in turn decides otherwise than when it was recorded."""
    def f(*numbers):
        return sum((x * 2.0 if RELATIONS[name](x, 1.0) else x * 3.0 for x in numbers), 0.0)

    for usual, other in ((0.5, 1.5), (1.5, 0.5), (1.0, math.nan), (math.nan, 1.0), (0.5, 1.0), (1.0, 0.5)):
        F = fastad.record(f)
        assert same(F(*[usual] * count), f(*[usual] * count))
        for k in {0, 1, 2, 3, count // 2, count - 2, count - 1} & set(range(count)):
            point = [usual] * count
            point[k] = other
            for _ in range(2):
                assert same(F(*point), f(*point)), (usual, other, k)
