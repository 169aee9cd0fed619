"""NumPy's names for functions that are differentiated: `import fastad.numpy as np` in place of `import numpy as np`.

NumPy's own functions take active values where NumPy asks its arguments what to do. Here they are taken everywhere: in lists
(`np.array([x, y])`, `np.sum([x, y])`), as fill values and options, as elements of `np.r_`. Arrays made to be filled (`zeros`,
`ones`, `empty`, `full`, `eye`, `identity` and those `_like` another) can be written with active values while a function is
being differentiated; elsewhere they are plain ndarrays. All other names, ufuncs among them, are NumPy's own.
"""

from importlib import import_module as _import_module
from typing import Any

import numpy as _numpy

from ._creation import (
    array as array, asanyarray as asanyarray, asarray as asarray, asarray_chkfinite as asarray_chkfinite,
    ascontiguousarray as ascontiguousarray, asfortranarray as asfortranarray, empty as empty, empty_like as empty_like,
    eye as eye, fromiter as fromiter, full as full, full_like as full_like, identity as identity, ones as ones,
    ones_like as ones_like, require as require, zeros as zeros, zeros_like as zeros_like,
)
from ._creation import arange as arange
from ._delegation import found as _found
from ._delegation import names as _names
from ._elements import (
    c_ as c_, isscalar as isscalar, ndenumerate as ndenumerate, r_ as r_, vectorize as vectorize,
)

_SUBMODULES = ("fft", "linalg", "random")

__all__ = list(_numpy.__all__)


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return _import_module("." + name, __name__)
    return _found(_numpy, name, globals())


def __dir__() -> list[str]:
    return _names(_numpy, globals())
