"""What the tests of errors share: the check of a message, and the check that fastad works on after it."""

import contextlib
import math
import re

import pytest

import fastad
from fastad import math as fm
from fastad.core import scalar


@contextlib.contextmanager
def refused(error, *parts):
    """The context in which `error` must be raised, with a message that holds each regular expression."""
    with pytest.raises(error) as caught:
        yield
    for part in parts:
        assert re.search(part, str(caught.value)), f"{part!r} is not in {str(caught.value)!r}"


@pytest.fixture(autouse=True)
def still_works():
    """After each test no trace is open, and first and second derivatives are right."""
    yield
    assert not scalar.tracing()
    assert fastad.grad(lambda x: x * fm.sin(x))(2.0) == math.sin(2.0) + 2.0 * math.cos(2.0)
    assert fastad.grad(fastad.grad(lambda x: x**3))(2.0) == 12.0


def cube(x):
    """x**3 by two multiplications."""
    return x * x * x
