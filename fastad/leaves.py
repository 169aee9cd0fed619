"""The leaves of arguments and results: numbers and arrays, as a sweep refers to them and as they come and go.

A handle is what a sweep calls a leaf: an active scalar, the operand that stands for an active array, or anything else for a
constant.
"""

import numpy as np

from .arrays import active, functions
from .arrays.active import ActiveArray
from .core import scalar
from .core.scalar import Active, is_plain
from .pytrees import add_array_type

add_array_type(ActiveArray)

FLOATS = (np.dtype(np.float64), np.dtype(np.float32))


def is_number(x):
    """Whether x is a real number, plain or active."""
    return scalar.is_active(x) or (is_plain(x, (float, int)) and not is_plain(x, bool)) or (
        is_plain(x, np.generic) and x.dtype.kind in "fiu")


def is_array(x):
    """Whether x is an active array, or a plain one of real numbers."""
    return type(x) is ActiveArray or (is_plain(x, np.ndarray) and x.dtype.kind in "fiub")


def is_active(x):
    """Whether x is an active array or a scalar of the trace in progress."""
    return type(x) is ActiveArray or scalar.is_active(x)


def can_be_input(x):
    """Whether x can be differentiated by: a float or an array of float64 or float32."""
    if type(x) is ActiveArray:
        return True
    if is_plain(x, np.ndarray):
        return type(x) is np.ndarray and x.dtype.newbyteorder("=") in FLOATS
    return is_plain(x, (float, np.float32)) or scalar.is_active(x)


def shape_of(x):
    """The shape of a leaf; () for a number."""
    return x.shape if is_array(x) else ()


def independents(leaves, opened, copy):
    """(active values, handles): fresh inputs for leaves. With `copy` the inputs outlive changes of the caller's arrays."""
    if opened and active.are_arrays(leaves):
        return active.array_inputs(leaves, copy)
    if scalar.first_not_float(leaves) < 0:
        actives = scalar.independents(leaves, opened)
        return actives, actives
    actives, handles = [], []
    for leaf in leaves:
        if is_array(leaf) or is_plain(leaf, np.float32):
            if type(leaf) is not ActiveArray:
                plain = np.asarray(leaf, leaf.dtype.type, order="C")
                leaf = plain.copy() if copy and plain is leaf else plain
            x, handle = active.independent(leaf, opened)
        else:
            x = handle = scalar.independents([leaf], opened)[0]
        actives.append(x)
        handles.append(handle)
    return actives, handles


def handles_of(leaves):
    """Handles of results, for a sweep over the instructions so far."""
    return [active.result_operand(x) if type(x) is ActiveArray else x for x in leaves]


def filled(leaves, numbers):
    """What a sweep gives for results, with zeros of the right shape for results that are constant arrays."""
    return [np.zeros(leaf.shape, leaf.dtype if leaf.dtype in FLOATS else float) if is_plain(leaf, np.ndarray) else
            single(number) if type(leaf) is ActiveArray else number for leaf, number in zip(leaves, numbers)]


def single(x):
    """x, but a plain 0-d array of float32, which stands for a number of NumPy's among active values, as np.float32."""
    return x[()] if is_plain(x, np.ndarray) and x.shape == () and x.dtype == np.float32 else x


def typed_as(leaves, numbers):
    """Derivatives by inputs in the types of the inputs: np.float64, np.float32 and 0-d arrays where those are."""
    if active.are_arrays(leaves):
        return numbers
    numbers = scalar.typed_as(leaves, numbers)
    if any([is_plain(leaf, np.ndarray) and not leaf.ndim for leaf in leaves]):
        numbers = [np.array(number, leaf.dtype) if is_plain(leaf, np.ndarray) and is_plain(number, (float, np.floating))
                   else number for leaf, number in zip(leaves, numbers)]
    if any([is_plain(leaf, np.float32) for leaf in leaves]):
        numbers = [np.float32(number) if is_plain(leaf, np.float32) and is_plain(number, np.ndarray) else number
                   for leaf, number in zip(leaves, numbers)]
    return numbers


def seed_for(leaf, given, name):
    """A tangent or cotangent `given` for a leaf, in its shape and dtype; else TypeError or ValueError, with its name."""
    if not is_array(leaf) and not is_plain(leaf, np.float32):
        if not is_number(given) and not (is_array(given) and np.shape(given) == ()):
            raise TypeError(f"{name} must be a real number, not {type(given).__name__}")
        if is_array(given):
            return active.plain(given).item() if type(given) is not ActiveArray else given.item()
        return given if type(given) is Active else float(given)
    if not is_array(given) and not is_number(given):
        raise TypeError(f"{name} must be an array of real numbers, not {type(given).__name__}")
    # The leaf may be an active array of a trace that has ended, which NumPy's functions refuse.
    if np.shape(given) != leaf.shape:
        raise ValueError(f"{name} has the shape {np.shape(given)} where {leaf.shape} is needed")
    dtype = leaf.dtype if leaf.dtype in FLOATS else np.dtype(float)
    if type(given) is Active:
        given = functions.array(given)
    if type(given) is ActiveArray:
        return given if given.dtype == dtype else given.astype(dtype)
    return np.array(given, dtype)


def snapshot(leaves):
    """Results that later writes to the same arrays do not change."""
    return [active.snapshot(x) for x in leaves]


def leaving(x, copy):
    """A result as it leaves the outermost trace: plain; with `copy` an array that no tape refers to."""
    if type(x) is ActiveArray:
        return single(active.leaving(x, copy))
    return scalar.plain(x)


def units(leaves):
    """For every element of the leaves a list of seeds that is one there and zero elsewhere."""
    for k, leaf in enumerate(leaves):
        if is_array(leaf):
            for position in range(leaf.size):
                unit = np.zeros(leaf.size, leaf.dtype if leaf.dtype in FLOATS else float)
                unit[position] = 1.0
                yield [unit.reshape(leaf.shape) if j == k else _zero(other) for j, other in enumerate(leaves)]
        else:
            yield [1.0 if j == k else _zero(other) for j, other in enumerate(leaves)]


def _zero(leaf):
    return None if is_array(leaf) else 0.0


def count(leaves):
    """How many numbers the leaves are."""
    return sum(leaf.size if is_array(leaf) else 1 for leaf in leaves)


def blocks(outputs, inputs, rows=None, columns=None):
    """Entries of a Jacobian by result and input, of shape result.shape + input.shape; numbers where both are.

    rows: for every element of the results the derivatives by the inputs; or columns: for every element of the inputs the tangents
    of the results.
    """
    table = [[None] * len(inputs) for _ in outputs]
    one, other = (outputs, inputs) if rows is not None else (inputs, outputs)
    lines = iter(rows if rows is not None else columns)
    for i, leaf in enumerate(one):
        taken = [next(lines) for _ in range(leaf.size if is_array(leaf) else 1)]
        for j, partner in enumerate(other):
            entries = [line[j] for line in taken]
            k, m = (i, j) if rows is not None else (j, i)
            table[k][m] = _stacked(entries, leaf, partner, 0 if rows is not None else -1)
    return table


def blocks_of(matrix, outputs, inputs):
    """The same from one matrix of float64, a row for every element of the results and a column for every element of the inputs."""
    if not any([is_array(leaf) for leaf in (*outputs, *inputs)]):
        return matrix.tolist()
    table, row = [], 0
    for leaf in outputs:
        rows, column = matrix[row:row + count([leaf])], 0
        row += len(rows)
        entries = []
        for partner in inputs:
            part = rows[:, column:column + count([partner])]
            column += part.shape[1]
            shape = shape_of(leaf) + shape_of(partner)
            entries.append(part.reshape(shape) if is_array(leaf) or is_array(partner) else float(part[0, 0]))
        table.append(entries)
    return table


def block(table, leaf, partner):
    """An entry of `blocks` from an array with a row for every element of a result and a column for every element of an input."""
    if is_array(leaf) or is_array(partner):
        return table.reshape(shape_of(leaf) + shape_of(partner))
    return table.item() if table.dtype == float else table[0, 0]


def zero_block(leaf, partner, like):
    """The entry of `blocks` where a result does not depend on an input, in the type of one of the two."""
    shape = shape_of(leaf) + shape_of(partner)
    dtype = getattr(like, "dtype", float)
    return np.zeros(shape, dtype if dtype in FLOATS else float) if is_array(leaf) or is_array(partner) else 0.0


def _stacked(entries, leaf, partner, axis):
    if not is_array(leaf):
        return entries[0]
    if not entries:
        shape = leaf.shape + np.shape(partner) if axis == 0 else np.shape(partner) + leaf.shape
        return np.zeros(shape, leaf.dtype if leaf.dtype in FLOATS else float)
    stacked = np.stack(entries, axis=axis)
    return np.reshape(stacked, leaf.shape + np.shape(partner) if axis == 0 else np.shape(partner) + leaf.shape)
