"""An array that answers only to what active arrays answer to: functions with rules, ufuncs, operators and indexing."""

import numpy as np

from fastad.arrays.rules.registry import RULES

# Functions that every rule may use: their rules are part of the library too, though the module may not be imported here.
NAMES = ("abs all any argmax argmin argsort amax amin max min broadcast_to concatenate cumsum cumprod diagonal diag dot einsum "
         "expand_dims flip inner kron matmul mean moveaxis ndim ones_like outer pad prod ravel repeat reshape roll shape size "
         "split squeeze stack sum swapaxes take take_along_axis tensordot tile trace transpose tril triu vdot where "
         "zeros_like full_like clip compress copy matrix_transpose nonzero flatnonzero count_nonzero argpartition sort "
         "partition searchsorted").split()
LINALG = "solve inv det slogdet cholesky norm".split()
ALLOWED = {getattr(np, name) for name in NAMES} | {getattr(np.linalg, name) for name in LINALG}


def plain_tree(value):
    """value with plain arrays in place of probes."""
    if isinstance(value, Probe):
        return value.value
    if isinstance(value, (list, tuple)):
        return type(value)(plain_tree(v) for v in value)
    if isinstance(value, dict):
        return {k: plain_tree(v) for k, v in value.items()}
    return value


def probe_tree(value):
    return type(value)(map(probe_tree, value)) if type(value) in (list, tuple) else Probe.wrap(value)


class Probe(np.lib.mixins.NDArrayOperatorsMixin):
    """A wrapped array; conversion to a plain one, truth, in-place writes and functions without rules are errors."""

    def __init__(self, value):
        self.value = value

    @classmethod
    def wrap(cls, value):
        """A probe of numbers; anything else as it is."""
        return cls(np.asarray(value)) if isinstance(value, (np.ndarray, np.generic, float)) else value

    def __array__(self, *args, **kwargs):
        raise AssertionError("an active array was converted to a plain one")

    def __array_function__(self, function, types, args, kwargs):
        if function not in RULES and function not in ALLOWED:
            raise AssertionError(f"{function.__name__} has no rule, so a rule can not use it")
        if kwargs.get("out") is not None:
            raise AssertionError("a rule can not write into an array")
        return probe_tree(function(*plain_tree(args), **plain_tree(kwargs)))

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        if kwargs.get("out") is not None or method == "at":
            raise AssertionError("a rule can not write into an array")
        return probe_tree(getattr(ufunc, method)(*plain_tree(inputs), **plain_tree(kwargs)))

    def __getitem__(self, key):
        return Probe.wrap(self.value[plain_tree(key)])

    def __setitem__(self, key, value):
        raise AssertionError("a rule can not write into an array")

    def __bool__(self):
        raise AssertionError("the truth of an active array was asked for")

    __float__ = __int__ = __index__ = __bool__

    def __len__(self):
        return len(self.value)

    def __iter__(self):
        return (self[i] for i in range(len(self.value)))

    shape = property(lambda self: self.value.shape)
    ndim = property(lambda self: self.value.ndim)
    size = property(lambda self: self.value.size)
    dtype = property(lambda self: self.value.dtype)
    strides = property(lambda self: self.value.strides)
    flags = property(lambda self: self.value.flags)
    T = property(lambda self: Probe(self.value.T))

    def astype(self, dtype, **kwargs):
        return Probe(self.value.astype(dtype, **kwargs))

    def reshape(self, *shape):
        return Probe(self.value.reshape(*shape))

    def sum(self, axis=None, keepdims=False):
        return Probe.wrap(self.value.sum(axis=axis, keepdims=keepdims))
