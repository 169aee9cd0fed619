"""The names of numpy.random, which draws plain numbers."""

from typing import Any

import numpy as _numpy

from ._delegation import found as _found
from ._delegation import names as _names

__all__ = list(_numpy.random.__all__)


def __getattr__(name: str) -> Any:
    return _found(_numpy.random, name, globals())


def __dir__() -> list[str]:
    return _names(_numpy.random, globals())
