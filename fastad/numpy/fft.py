"""The names of numpy.fft; functions with a derivative rule take active values in every argument."""

from typing import Any

import numpy as _numpy

from ._delegation import found as _found
from ._delegation import names as _names

__all__ = list(_numpy.fft.__all__)


def __getattr__(name: str) -> Any:
    return _found(_numpy.fft, name, globals())


def __dir__() -> list[str]:
    return _names(_numpy.fft, globals())
