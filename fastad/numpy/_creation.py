"""NumPy's functions that make arrays, also of active values and to be filled with them."""

import functools
from collections.abc import Callable
from typing import Any

import numpy

from ..arrays import active, functions
from ..arrays.active import ActiveArray
from ..arrays.functions import call_function, holds_active
from ..core import scalar
from ..errors import TraceError, user_line

_NO_COPY = "Unable to avoid copy while creating an array as requested."


def _replaces(function: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Names and documents a function as the one of NumPy that it stands for."""
    return functools.wraps(function, assigned=("__name__", "__qualname__", "__doc__"), updated=())


# ---- from values -----------------------------------------------------------------------------------------------------------

def _converted(values: Any, dtype: Any = None, copy: bool | None = None, ndmin: int = 0) -> Any:
    """Something that holds active values as an array; `copy` as NumPy's."""
    if type(values) is not ActiveArray:
        if copy is False:
            raise ValueError(_NO_COPY)
        result = functions.array(values, dtype)
    elif dtype is not None and numpy.dtype(dtype) != values.dtype:
        if copy is False:
            raise ValueError(_NO_COPY)
        result = values.astype(dtype)
    else:
        result = values.copy() if copy else values
    return numpy.reshape(result, (1,) * (ndmin - result.ndim) + result.shape) if result.ndim < ndmin else result


@_replaces(numpy.array)
def array(object, dtype=None, *, copy=True, ndmin=0, **options):
    if scalar.tracing() and holds_active(object):
        return _converted(object, dtype, copy, ndmin)
    return numpy.array(object, dtype, copy=copy, ndmin=ndmin, **options)


@_replaces(numpy.asarray)
def asarray(a, dtype=None, order=None, *, copy=None, **options):
    if scalar.tracing() and holds_active(a):
        return _converted(a, dtype, copy)
    return numpy.asarray(a, dtype, order, copy=copy, **options)


@_replaces(numpy.asanyarray)
def asanyarray(a, dtype=None, order=None, *, copy=None, **options):
    if scalar.tracing() and holds_active(a):
        return _converted(a, dtype, copy)
    return numpy.asanyarray(a, dtype, order, copy=copy, **options)


def _contiguous(function: Any) -> Callable[..., Any]:
    @_replaces(function)
    def call(a, dtype=None, **options):
        if scalar.tracing() and holds_active(a):
            return _converted(a, dtype, ndmin=1)
        return function(a, dtype, **options)
    return call


# The memory order of active arrays is not the caller's to choose.
ascontiguousarray: Callable[..., Any] = _contiguous(numpy.ascontiguousarray)
asfortranarray: Callable[..., Any] = _contiguous(numpy.asfortranarray)


@_replaces(numpy.asarray_chkfinite)
def asarray_chkfinite(a, dtype=None, order=None):
    if not (scalar.tracing() and holds_active(a)):
        return numpy.asarray_chkfinite(a, dtype, order)
    result = _converted(a, dtype)
    numpy.asarray_chkfinite(active.plain(result))
    return result


@_replaces(numpy.require)
def require(a, dtype=None, requirements=None, **options):
    if scalar.tracing() and holds_active(a):
        return _converted(a, dtype)
    return numpy.require(a, dtype, requirements, **options)


@_replaces(numpy.fromiter)
def fromiter(iter, dtype, count=-1, **options):
    if not scalar.tracing():
        return numpy.fromiter(iter, dtype, count, **options)
    values = [value for _, value in zip(range(count), iter)] if count >= 0 else list(iter)
    if not holds_active(values):
        return numpy.fromiter(values, dtype, count, **options)
    if len(values) < count:
        raise ValueError(f"iterator too short: Expected {count} but iterator had only {len(values)} items.")
    return functions.array(values, dtype)


# ---- to be filled ------------------------------------------------------------------------------------------------------------

def _fillable(result):
    """A new array into which active values can be written if a trace is in progress."""
    if scalar.tracing() and type(result) is numpy.ndarray and result.dtype in (numpy.float64, numpy.float32):
        return active.constant_array(result)
    return result


def _filled_later(function: Any) -> Callable[..., Any]:
    """A function that makes an array for others to fill; active whole numbers are lengths."""
    @_replaces(function)
    def call(*args, **kwargs):
        if not scalar.tracing():
            return function(*args, **kwargs)
        args, kwargs = active.plain_arguments(args, kwargs)
        return _fillable(function(*args, **kwargs))
    return call


zeros: Callable[..., Any] = _filled_later(numpy.zeros)
ones: Callable[..., Any] = _filled_later(numpy.ones)
empty: Callable[..., Any] = _filled_later(numpy.empty)
eye: Callable[..., Any] = _filled_later(numpy.eye)
identity: Callable[..., Any] = _filled_later(numpy.identity)
zeros_like: Callable[..., Any] = _filled_later(numpy.zeros_like)
ones_like: Callable[..., Any] = _filled_later(numpy.ones_like)
empty_like: Callable[..., Any] = _filled_later(numpy.empty_like)


@_replaces(numpy.full)
def full(shape, fill_value, dtype=None, order="C", **options):
    if scalar.tracing() and holds_active(fill_value):
        return call_function(numpy.full, (shape, fill_value, dtype), {})
    return _fillable(numpy.full(shape, fill_value, dtype, order, **options))


@_replaces(numpy.full_like)
def full_like(a, fill_value, dtype=None, order="K", subok=True, shape=None, **options):
    if scalar.tracing() and (holds_active(a) or holds_active(fill_value)):
        return functions.full_like(asarray(a), fill_value, dtype, order, subok, shape)
    return _fillable(numpy.full_like(a, fill_value, dtype, order, subok, shape, **options))


# ---- ranges --------------------------------------------------------------------------------------------------------------------

@_replaces(numpy.arange)
def arange(*args, **kwargs):
    if scalar.tracing() and (holds_active(args) or holds_active(tuple(kwargs.values()))):
        args, kwargs = [_whole(x) for x in args], {name: _whole(x) for name, x in kwargs.items()}
    return numpy.arange(*args, **kwargs)


def _whole(x):
    """An end of a range as a plain number; TraceError if that would lose a derivative."""
    if not holds_active(x):
        return x
    if scalar.is_whole(x):
        return scalar.plain(x)
    place, code = user_line()
    raise TraceError(f"{code} at {place}: np.arange has no derivative by its ends, since their difference decides how many "
                     "elements there are; use start + step * np.arange(n), np.linspace(start, stop, n), or "
                     "fastad.stop_gradient(...) of them")
