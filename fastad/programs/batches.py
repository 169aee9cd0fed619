"""Batches: the arguments of `F.map`, which leaves of them have an entry per row, and what one row is."""

import numpy as np

from ..arrays import memory
from ..errors import kind_of
from ..pytrees import NUMBER, Nesting, flatten, leaf_path, same_structure, unflatten, unflatten_derivatives
from .code import Plain


class Batch:
    """The arguments of a map: `count` rows, and for each leaf its column of rows or what all of them share."""

    def __init__(self, name, args, in_axes, kwargs):
        self.name, self.kwargs = name, kwargs
        self.structures, self.columns = [], []
        self.count, self._first = None, None
        for number, (arg, axes) in enumerate(zip(args, _axes_of(name, in_axes, len(args)))):
            leaves, structure = flatten(arg)
            self.structures.append((structure, len(leaves)))
            for place, (leaf, axis) in enumerate(zip(leaves, _broadcast(name, axes, arg, len(leaves), number))):
                if axis is None:
                    self.columns.append(Shared(leaf))
                else:
                    self._add(leaf, axis, f"argument {number}{leaf_path(arg, place)}")
        if self.count is None:
            raise ValueError(f"{name}.map: no argument has a batch axis; in_axes must be other than None for one of them")

    def _add(self, leaf, axis, where):
        if type(leaf) is not np.ndarray or leaf.dtype.kind not in "biufc":
            raise TypeError(f"{self.name}.map: {where} is {_described(leaf)} and has no batch axis; pass an array with one entry per "
                            "row, or None for it in in_axes")
        if not -leaf.ndim <= axis < leaf.ndim:
            raise ValueError(f"{self.name}.map: {where} has the shape {leaf.shape} and no axis {axis}")
        rows = np.moveaxis(leaf, axis, 0) if axis else leaf
        if self.count is None:
            self.count, self._first = len(rows), where
        elif len(rows) != self.count:
            raise ValueError(f"{self.name}.map: {self._first} has {self.count} entries along its batch axis and {where} has {len(rows)}")
        self.columns.append(Column(rows))

    def row(self, number):
        """The arguments of one row."""
        leaves = [column.row(number) for column in self.columns]
        args, at = [], 0
        for structure, count in self.structures:
            args.append(unflatten(structure, leaves[at:at + count]))
            at += count
        return tuple(args)

    def groups(self):
        """Lists of rows that agree in what a program tells apart by value; None if all do."""
        values = [column.rows.tolist() for column in self.columns if type(column) is Column and column.by_value]
        if not values or not self.count:
            return None
        found: dict = {}
        for number, key in enumerate(zip(*values)):
            # -0.0 and 0.0 among complex numbers are two.
            found.setdefault(key if not any(isinstance(x, complex) for x in key) else str(key), []).append(number)
        return list(found.values())


class Shared:
    """A leaf that is the same for all rows."""

    def __init__(self, value):
        self.value = value

    def row(self, number):
        return self.value

    def placed(self):
        """(address, bytes from one row to the next, what must be kept meanwhile), as an input of a program."""
        array = np.array(self.value, order="C")
        array = array.astype(array.dtype.newbyteorder("="), copy=False)
        return array.ctypes.data, 0, array


class Column:
    """A leaf with an entry for each row."""

    def __init__(self, rows):
        self.rows = rows.astype(rows.dtype.newbyteorder("="), copy=False)
        self.is_float = rows.ndim == 1 and self.rows.dtype == np.float64
        self.by_value = rows.ndim == 1 and self.rows.dtype not in (np.float64, np.float32)
        self._placed = None

    def row(self, number):
        entry = self.rows[number]
        return float(entry) if self.is_float else entry

    def placed(self):
        if self._placed is None:
            array = self.rows if self.is_float and self.rows.flags.aligned else np.ascontiguousarray(self.rows)
            self._placed = array.ctypes.data, array.strides[0], array
        return self._placed


def _axes_of(name, in_axes, count):
    """The axes of each argument."""
    if in_axes is None or _is_axis(in_axes):
        return [in_axes] * count
    if not isinstance(in_axes, (tuple, list)):
        raise TypeError(f"{name}.map: in_axes must be an int, None, or a tuple with one entry per argument, not {_described(in_axes)}")
    if len(in_axes) != count:
        raise ValueError(f"{name}.map: in_axes has {len(in_axes)} entries for {count} argument{'s' * (count != 1)}")
    return in_axes


def _is_axis(x):
    return isinstance(x, (int, np.integer)) and not isinstance(x, bool)


def _broadcast(name, axes, arg, count, number):
    """The axis of each leaf of an argument."""
    if axes is not None and not _is_axis(axes):
        import optree
        tree = arg if flatten(arg)[1] is not NUMBER else None
        try:
            axes = optree.broadcast_prefix(axes, tree, none_is_leaf=True, namespace="fastad")
        except ValueError as error:
            raise ValueError(f"{name}.map: in_axes does not fit the structure of argument {number}: {error}") from None
        if len(axes) != count or not all(axis is None or _is_axis(axis) for axis in axes):
            raise TypeError(f"{name}.map: in_axes of argument {number} must hold ints and None in the structure of the argument")
        return axes
    return [axes] * count


def _described(x):
    return kind_of(x) + (f" of {x.dtype}" if isinstance(x, np.ndarray) else "")


class Results:
    """The results of all rows: an array for each leaf of what a call gives, with an entry per row."""

    def __init__(self, name, count):
        self.name, self.count = name, count
        self.arrays: list = []
        self.structure = NUMBER
        self._first = None

    def set_like(self, tree, row):
        """Makes the arrays for results like that of one row, and puts it there."""
        leaves, structure = flatten(tree)
        self._first, self.structure = row, structure.frozen() if type(structure) is Nesting else structure
        entries = [self._entry(leaf, row) for leaf in leaves]
        self.arrays = memory.made([((self.count, *entry.shape), entry.dtype) for entry in entries])
        self.put(tree, row)

    def _entry(self, leaf, row):
        entry = np.asarray(leaf)
        if entry.dtype.kind not in "biufc":
            raise TypeError(f"{self.name}.map: the result of row {row} holds {_described(leaf)}, of which no array can be made")
        return entry

    def put(self, tree, row):
        """The result of a row that was called by itself."""
        leaves, structure = flatten(tree)
        self.check(structure, [np.shape(leaf) for leaf in leaves], row)
        for k, leaf in enumerate(leaves):
            entry = self._entry(leaf, row)
            self.promote(k, entry.dtype)
            self.arrays[k][row] = entry

    def promote(self, k, dtype):
        """Makes room for results of another dtype, as stacking all rows would."""
        if self.arrays[k].dtype != dtype:
            common = np.result_type(self.arrays[k].dtype, dtype)
            if common != self.arrays[k].dtype:
                self.arrays[k] = self.arrays[k].astype(common)

    def check(self, structure, shapes, row):
        if not same_structure(structure, self.structure):
            raise ValueError(f"{self.name}.map: the results of rows {self._first} and {row} differ in structure")
        for array, shape in zip(self.arrays, shapes):
            if array.shape[1:] != shape:
                raise ValueError(f"{self.name}.map: the results of rows {self._first} and {row} have the shapes {array.shape[1:]} and "
                                 f"{shape}; all rows must give arrays of one shape")

    def placed(self, k):
        return self.arrays[k].ctypes.data, self.arrays[k].strides[0]

    def tree(self):
        return unflatten_derivatives(self.structure, self.arrays)


def layout_of(x):
    """Shape and dtype of one row of a result."""
    if isinstance(x, int):
        return (), np.dtype(float)
    if isinstance(x, Plain):
        value = np.asarray(x.value)
        return value.shape, value.dtype
    return (x.operand if hasattr(x, "operand") else x).layout
