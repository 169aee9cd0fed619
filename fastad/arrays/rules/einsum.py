"""The subscripts of np.einsum, and the adjoint of one of its operands."""

import math

import numpy as np

from ..active import broadcast
from .helpers import unbroadcast

# From this number of multiplications on it pays to look for a good order of contraction.
_LARGE = 20_000


def labels_of(operands):
    """The arrays of a call of einsum, the labels of each one's axes, and those of the result's.

    Takes both forms of the arguments. The k-th last axis under an ellipsis has the label -k; other labels are
    letters or numbers as given.
    """
    if isinstance(operands[0], str):
        text, *arrays = operands
        inputs, arrow, output = text.replace(" ", "").partition("->")
        terms = [_letters(term) for term in inputs.split(",")]
        output = _letters(output) if arrow else None
    else:
        whole = len(operands) // 2 * 2
        arrays, terms = list(operands[:whole:2]), [list(term) for term in operands[1:whole:2]]
        output = list(operands[-1]) if len(operands) % 2 else None
    hidden = [np.ndim(x) - sum(label is not Ellipsis for label in term) for x, term in zip(arrays, terms, strict=True)]
    labels = [_without_ellipsis(term, count) for term, count in zip(terms, hidden, strict=True)]
    widest = max([count for term, count in zip(terms, hidden, strict=True) if Ellipsis in term], default=0)
    if output is None:
        every = [label for term in terms for label in term if label is not Ellipsis]
        output = [Ellipsis, *sorted(label for label in set(every) if every.count(label) == 1)]
    return arrays, labels, _without_ellipsis(output, widest)


def _letters(term):
    """The labels of a term of a string; Ellipsis where it has three dots."""
    before, dots, after = term.partition("...")
    return [*before, *([Ellipsis] if dots else []), *after]


def _without_ellipsis(term, count):
    out = []
    for label in term:
        out += range(-count, 0) if label is Ellipsis else [label]
    return out


def einsum_adjoint(w, place, arrays, labels, output, optimize):
    """The adjoint, not yet of its dtype, of the operand at this place for the adjoint w of the result."""
    own, shape = labels[place], np.shape(arrays[place])
    sizes = {}
    for x, term in zip(arrays, labels, strict=True):
        for label, n in zip(term, np.shape(x), strict=True):
            sizes[label] = n if sizes.get(label, 1) == 1 else sizes[label]
    others = [i for i in range(len(arrays)) if i != place]
    given = set(output).union(*(labels[i] for i in others))
    axes = list(dict.fromkeys(own))
    numbers = {label: i for i, label in enumerate(sizes)}

    def numbered(term):
        return [numbers[label] for label in term]
    call = [w, numbered(output)]
    for i in others:
        call += [arrays[i], numbered(labels[i])]
    if math.prod(sizes.values()) >= _LARGE or not isinstance(optimize, (bool, str)):
        optimize = True
    part = np.einsum(*call, numbered(label for label in axes if label in given), optimize=optimize)
    # An axis that occurs in this operand alone was summed: every element along it gets the same.
    part = np.reshape(part, _lengths(axes, [label for label in axes if label in given], part.shape))
    part = broadcast(part, tuple(sizes[label] for label in axes))
    if len(axes) == len(own):
        return unbroadcast(part, shape)
    part = unbroadcast(part, tuple(shape[own.index(label)] for label in axes))
    return _on_diagonals(part, own, axes, shape)


def _lengths(axes, present, shape):
    """The shape of an array that has only the axes present, with ones for the rest."""
    lengths = dict(zip(present, shape, strict=True))
    return tuple(lengths.get(label, 1) for label in axes)


def _on_diagonals(part, own, axes, shape):
    """The adjoint of an operand with repeated labels for that of its diagonals."""
    first = [label not in own[:i] for i, label in enumerate(own)]
    diagonal = np.ones(shape, bool)
    for i, label in enumerate(own):
        if not first[i]:
            diagonal &= _positions(i, shape) == _positions(own.index(label), shape)
    wide = np.reshape(part, tuple(n if head else 1 for n, head in zip(shape, first, strict=True)))
    return np.where(diagonal, wide, 0)


def _positions(axis, shape):
    """Along one axis 0, 1, 2, ..., in a shape that broadcasts."""
    return np.arange(shape[axis]).reshape(tuple(-1 if i == axis else 1 for i in range(len(shape))))
