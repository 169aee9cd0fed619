"""What NumPy does element by element or by an index of values, also with active ones."""

from collections.abc import Iterator
from typing import Any

import numpy

from ..arrays.active import ActiveArray
from ..arrays.functions import holds_active
from ..core import scalar
from ..core.scalar import is_plain
from ._creation import _replaces, array, asarray


@_replaces(numpy.isscalar)
def isscalar(element: Any) -> bool:
    # An element of a float32 array is an active 0-d array.
    return scalar.is_active(element) or numpy.isscalar(element) or (
        type(element) is ActiveArray and element.shape == () and element.dtype == numpy.float32)


@_replaces(numpy.ndenumerate)
def ndenumerate(arr: Any) -> Iterator[Any]:
    if type(arr) is ActiveArray:
        return ((index, arr[index]) for index in numpy.ndindex(arr.shape))
    return iter(numpy.ndenumerate(arr))


class _Joined:
    """np.r_ or np.c_, also of active values."""

    def __init__(self, plain: Any) -> None:
        self._plain = plain

    def __getitem__(self, key: Any) -> Any:
        items = key if isinstance(key, tuple) else (key,)
        if not (scalar.tracing() and holds_active(items)):
            return self._plain[key]
        # NumPy joins the places of the elements, and the elements follow.
        parts: list[Any] = []
        places: list[Any] = []
        count = 0
        for item in items:
            if isinstance(item, str):
                places.append(item)
                continue
            part = numpy.r_[item] if isinstance(item, slice) else item if is_plain(item, (float, int)) else asarray(item)
            shape, size = numpy.shape(part), numpy.size(part)
            places.append(numpy.arange(count, count + size).reshape(shape))
            parts.append(part)
            count += size
        dtype = numpy.result_type(*(part if is_plain(part, (float, int)) else part.dtype for part in parts))
        parts = [numpy.reshape(part if holds_active(part) else numpy.asarray(part, dtype), -1) for part in parts]
        return numpy.concatenate(parts)[numpy.asarray(self._plain[tuple(places)])]

    def __len__(self) -> int:
        return 0


r_: _Joined = _Joined(numpy.r_)
c_: _Joined = _Joined(numpy.c_)


class vectorize(numpy.vectorize):
    __doc__ = numpy.vectorize.__doc__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        # The function may give active values for plain ones.
        if not scalar.tracing() or self.signature is not None or self.pyfunc is numpy._NoValue:
            return super().__call__(*args, **kwargs)
        given: dict[Any, Any] = {**dict(enumerate(args)), **kwargs}
        arrays = {name: asarray(value) for name, value in given.items() if name not in self.excluded}
        shape = numpy.broadcast_shapes(*(numpy.shape(x) for x in arrays.values()))
        if 0 in shape:
            return super().__call__(*args, **kwargs)
        arrays = {name: numpy.broadcast_to(x, shape) for name, x in arrays.items()}
        results = []
        for index in numpy.ndindex(shape):
            now = {**given, **{name: x[index] for name, x in arrays.items()}}
            results.append(self.pyfunc(*(now[k] for k in range(len(args))), **{name: now[name] for name in kwargs}))
        if isinstance(results[0], tuple):
            return tuple(self._shaped(list(part), shape, k) for k, part in enumerate(zip(*results)))
        return self._shaped(results, shape, 0)

    def _shaped(self, results: list[Any], shape: tuple[int, ...], k: int) -> Any:
        return numpy.reshape(array(results, self.otypes[k] if self.otypes else None), shape)
