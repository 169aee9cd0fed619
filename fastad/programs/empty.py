"""What `F.map` gives for a batch without rows: arrays of length 0, in the shapes of the path that was recorded last."""

import numpy as np

from ..errors import GuardError
from ..pytrees import unflatten, unflatten_derivatives
from .batches import Column, layout_of
from .derivatives import Chosen
from .signature import Arguments


def empty_results(program, batch, what, argnums):
    """The results of no rows; ValueError if nothing is recorded for arguments like these."""
    args = _row_like(batch)
    if what == "value":
        arguments, chosen = Arguments(args, batch.kwargs), None
    else:
        chosen = Chosen.of(program._name, argnums, args, batch.kwargs)
        if chosen is None:
            raise ValueError(f"{program._name}.map: the batch is empty, and its arguments can not be differentiated by")
        arguments = chosen.arguments
    try:
        code = program._find(arguments).last
    except GuardError:
        code = None
    if code is None:
        raise ValueError(f"{program._name}.map: the batch is empty and nothing is recorded for arguments of these shapes and types, so "
                         "that the shapes of the results are not known; call the program once before")
    values = [_empty(*layout_of(x)) for x in code.outputs]
    if chosen is None:
        return unflatten(code.structure, values)
    inputs = [(np.shape(leaf), np.asarray(leaf).dtype) for leaf in chosen.leaves]
    gradient = _rebuilt(chosen, [_empty(shape, dtype) for shape, dtype in inputs])
    if what in ("grad", "value_and_grad"):
        return gradient if what == "grad" else (values[0], gradient)
    if what == "jacobian":
        return unflatten_derivatives(code.structure, [_rebuilt(chosen, [_empty(x.shape[1:] + shape, dtype) for shape, dtype in inputs])
                                                      for x in values])
    return _rebuilt(chosen, [_rebuilt(chosen, [_empty(one + shape, dtype) for shape, dtype in inputs]) for one, _ in inputs])


def _row_like(batch):
    """Arguments like those of a row."""
    leaves = []
    for column in batch.columns:
        if type(column) is not Column:
            leaves.append(column.value)
        elif column.by_value:
            raise ValueError(f"{batch.name}.map: the batch is empty, and a column of {column.rows.dtype} is told apart by its values, so "
                             "that no path is known")
        else:
            leaves.append(0.0 if column.is_float else np.zeros(column.rows.shape[1:], column.rows.dtype)[()])
    args, at = [], 0
    for structure, count in batch.structures:
        args.append(unflatten(structure, leaves[at:at + count]))
        at += count
    return tuple(args)


def _empty(shape, dtype):
    return np.zeros((0, *shape), dtype)


def _rebuilt(chosen, arrays):
    """As Chosen.rebuild, of arrays for all rows."""
    trees, at = [], 0
    for structure, start, stop in chosen.parts:
        trees.append(unflatten_derivatives(structure, arrays[at:at + stop - start]))
        at += stop - start
    return trees[0] if chosen.single else tuple(trees)
