"""Whether two paths of one signature are the same, down to what their instructions hold: where plain arrays have changed in between,
instructions of one kind and shape may differ in an index or a number.
"""

import numpy as np

from ..arrays.active import Operand, ProgramCall
from .code import Code, Plain, Single, first_difference
from .path_writer import Arrays, encode_record


def same_path(one: Code, other: Code) -> bool:
    """Whether two paths give the same results for all inputs; False also where that can not be told."""
    if first_difference(one, other) >= 0 or one.structure != other.structure or len(one.outputs) != len(other.outputs):
        return False
    if not all(map(_same_output, one.outputs, other.outputs)):
        return False
    arrays, others = Arrays(), Arrays()
    try:
        for p, q in zip(one.tape.records, other.tape.records):
            if type(p) is ProgramCall:
                if not _same_call(p, q):
                    return False
            elif encode_record(p, one.tape.storages, arrays) != encode_record(q, other.tape.storages, others):
                return False
    except TypeError:
        return False
    return len(arrays.arrays) == len(others.arrays) and all(map(_same_array, arrays.arrays, others.arrays))


def _same_output(x, y):
    if type(x) is not type(y):
        return False
    if isinstance(x, int):
        return x == y
    if isinstance(x, Plain):
        return _same_plain(x.value, y.value)
    x, y = (x.operand, y.operand) if type(x) is Single else (x, y)
    return (x.kind, x.number, x.layout, x.strides, x.offset) == (y.kind, y.number, y.layout, y.strides, y.offset)


def _same_call(x, y):
    return x.function.identity == y.function.identity and x.outs == y.outs and all(map(_same_argument, x.args, y.args))


def _same_argument(x, y):
    return _same_output(x, y) if type(x) is Operand else _same_plain(x, y)


def _same_plain(x, y):
    if x is y:
        return True
    if type(x) is not type(y):
        return False
    if isinstance(x, (np.ndarray, np.generic)):
        return _same_array(np.asarray(x), np.asarray(y))
    return isinstance(x, (int, str, bytes, float, complex)) and repr(x) == repr(y)


def _same_array(x, y):
    return x.dtype == y.dtype and x.shape == y.shape and not x.dtype.hasobject and x.tobytes() == y.tobytes()
