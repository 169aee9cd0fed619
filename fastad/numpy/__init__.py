"""NumPy's names for functions that are differentiated: `import fastad.numpy as np` in place of `import numpy as np`.

NumPy's own functions take active values where NumPy asks its arguments what to do. Here they are taken everywhere: in lists
(`np.array([x, y])`, `np.sum([x, y])`), as fill values and options, as elements of `np.r_`. Arrays made to be filled (`zeros`,
`ones`, `empty`, `full`, `eye`, `identity` and those `_like` another) can be written with active values while a function is
being differentiated; elsewhere they are plain ndarrays. All other names are NumPy's own.
"""

from importlib import import_module as _import_module
from typing import Any

import numpy as _numpy

from ._creation import (
    array, asanyarray, asarray, asarray_chkfinite, ascontiguousarray, asfortranarray, empty, empty_like, eye, fromiter, full,
    full_like, identity, ones, ones_like, require, zeros, zeros_like,
)
from ._creation import arange as arange
from ._delegation import found as _found
from ._delegation import names as _names
from ._elements import c_, isscalar, ndenumerate, r_, vectorize

_SUBMODULES = ("fft", "linalg", "random")

__all__ = list(_numpy.__all__)


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return _import_module("." + name, __name__)
    return _numpy.__version__ if name == "__version__" else _found(_numpy, name, globals())


def __dir__() -> list[str]:
    return _names(_numpy, globals())
