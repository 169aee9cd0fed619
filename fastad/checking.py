"""Checking derivatives against extrapolated central differences.

Differences with steps h, h/2, h/4 ... are the first column of a triangular table; each further column removes
the next even power of h, and neighbours in the table tell how far the limit still is: C. J. F. Ridders,
Accurate computation of F'(x) and F'(x) F''(x), Advances in Engineering Software 4 (1982) 75-76.
"""

import itertools
import math
import random
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .leaves import is_array
from .pytrees import NUMBER, flatten, leaf_path, unflatten, unflatten_derivatives
from .transforms import grad, hvp, jvp, vjp


class _Precision(NamedTuple):
    eps: float
    tolerance: float     # relative: a derivative of doubles that differs in the sixth digit is reported
    settled: float       # relative error from which a difference is believed
    enough: float        # relative error at which no smaller steps are tried
    last: int            # steps are 2^_FIRST to 2^last of the size of the point


_DOUBLE = _Precision(2.0**-52, 1e-6, 1e-4, 1e-9, -41)
_SINGLE = _Precision(2.0**-23, 2e-3, 1e-2, 1e-5, -15)
_FIRST = -2
_COLUMNS = 6
_FEW = 12                # up to this many inputs (results), each is a direction (cotangent) of its own
_RANDOM = 3
_ORDINALS = ("first", "second", "third", "fourth")


class _Nesting:
    """A nesting of numbers and arrays as a list of its numbers, array by array, and back."""

    def __init__(self, tree):
        self.tree = tree
        self.leaves, self.structure = flatten(tree)
        stops = itertools.accumulate(np.size(x) for x in self.leaves)
        self.slices = [slice(stop - np.size(x), stop) for x, stop in zip(self.leaves, stops, strict=True)]

    def filled(self, numbers, unflatten=unflatten):
        """The nesting with `numbers` in place of its own."""
        return unflatten(self.structure, [_like(x, numbers[part]) for x, part in zip(self.leaves, self.slices, strict=True)])

    def path(self, index):
        """Where number `index` is, as written after a variable's name: "['w'][2, 1]"."""
        leaf = next(k for k, part in enumerate(self.slices) if index < part.stop)
        position = np.unravel_index(index - self.slices[leaf].start, np.shape(self.leaves[leaf]))
        return leaf_path(self.tree, leaf) + (f"[{', '.join(map(str, position))}]" if position else "")


def _like(x, numbers):
    """An array of numbers as a leaf like x; float where x is not made of floats."""
    if is_array(x):
        return numbers.reshape(x.shape).astype(x.dtype if x.dtype.kind == "f" else float)
    return (type(x) if isinstance(x, (float, np.floating)) else float)(numbers[0])


def _numbers(tree):
    return np.concatenate([np.zeros(0), *map(np.ravel, flatten(tree)[0])])


class _Function:
    """f as a function of the numbers (n,) of `args`, around these; so are its results (m,).

    magnitude (m,): the size of the terms that make up a result, whose rounding errors a small one inherits.
    """

    def __init__(self, f, args, magnitude, precision):
        self.f, self.args, self.precision = f, args, precision
        self.inputs, self.point = _Nesting(args), _numbers(args)
        # Powers of two: a step along one coordinate is then exact.
        self.sizes = np.array([2.0 ** round(math.log2(abs(x))) if 0.0 < abs(x) < math.inf else 1.0
                               for x in self.point.tolist()])
        # f may write into arrays that it is given: it never gets the caller's.
        self.result = _Nesting(f(*self.inputs.filled(self.point)))
        self.magnitude = np.maximum(np.abs(_numbers(self.result.tree)), magnitude)
        self.several = self.result.structure is not NUMBER or np.shape(self.result.tree) != ()

    def moved(self, direction, h):
        """f(x + h direction) (m,), or None where f is not finite."""
        try:
            values = _numbers(self.f(*self.inputs.filled(self.point + h * direction)))
        except (ArithmeticError, ValueError):
            return None
        return values if values.shape == self.magnitude.shape and np.isfinite(values).all() else None

    def unit(self, k):
        """The step along coordinate k alone."""
        direction = np.zeros(len(self.point))
        direction[k] = self.sizes[k]
        return direction

    def where(self, index):
        """Number `index` of the arguments in words: "argument 1['w'][0]"."""
        position, _, path = self.inputs.path(index)[1:].partition("]")
        return f"argument {position}{path}"


def _extrapolate(function, direction, best, first, last):
    """Tries steps 2^first, 2^(first-1) ... 2^last along a direction.

    `best` (2, 3, m): score, estimate and error of what has the least relative and the least absolute error.
    """
    above = []
    for exponent in range(first, last - 1, -1):
        h = 2.0**exponent
        ahead, behind = function.moved(direction, h), function.moved(direction, -h)
        if ahead is None or behind is None:
            above = []
            continue
        row = [(ahead - behind) / (2.0 * h)]
        rounding = 2.0 * function.precision.eps * np.maximum(np.abs(ahead), np.abs(behind)) / h
        for k in range(min(len(above), _COLUMNS)):
            estimate = row[k] + (row[k] - above[k]) / (4.0 ** (k + 1) - 1.0)
            error = np.maximum(np.abs(estimate - row[k]), np.abs(estimate - above[k])) + rounding
            for kept, score in zip(best, (error / np.abs(estimate), error), strict=True):
                kept[:] = np.where(score < kept[0], [score, estimate, error], kept)
            row.append(estimate)
        above = row
        if (best[0, 0] <= function.precision.enough).all():
            return


def _differences(function, direction):
    """Derivatives along a direction and their errors (2, m); infinite where f is not finite on both sides."""
    best = np.full((2, 3, len(function.magnitude)), np.inf)
    settled = function.precision.settled
    _extrapolate(function, direction, best, _FIRST, function.precision.last)
    exponent = math.frexp(np.abs(direction).max())[1]
    if exponent < 0 and (best[0, 0] > settled).any():
        # f may vary on the scale of one although the point is small: cos at 1e-8.
        _extrapolate(function, direction, best, _FIRST - exponent, _FIRST)
    # The relative error of a derivative that is zero never settles.
    return np.where(best[0, 0] <= settled, best[0, 1:], best[1, 1:])


class _Order:
    """Derivatives of one order: fastad's products with the Jacobian J of `function` beside differences of it.

    products: name -> t -> J t; rows: cotangents w (m,) with fastad's w^T J (n,), which `reverse` names.
    """

    def __init__(self, name, order, function, products, cotangents):
        self.name, self.order, self.function, self.products = name, order, function, products
        vjp_fun = vjp(function.f, *function.args)[1]
        self.reverse = "vjp" if order == 1 and function.several else " of ".join(["grad"] * order)
        self.rows = [(w, _numbers(vjp_fun(function.result.filled(w, unflatten_derivatives)))) for w in cotangents]

    def check(self, draw):
        """AssertionError for the first product or row that is wrong, by a coordinate if there is one."""
        n = len(self.function.point)
        for k in range(n if n <= _FEW else 0):
            fault = self._fault(self.function.unit(k), k)
            if fault:
                raise AssertionError(fault)
        for _ in range(_RANDOM * (n > 1)):
            direction = self.function.sizes * _signed(draw, n)
            fault = self._fault(direction, None)
            if fault:
                raise AssertionError(self._narrowed(direction) or fault)

    def _narrowed(self, direction):
        """What differs along the coordinate to which halving a direction leads; None if nothing does."""
        places = np.arange(len(direction))
        while len(places) > 1:
            half, rest = np.array_split(places, 2)
            part = np.zeros(len(direction))
            part[half] = direction[half]
            places = half if self._fault(part, None) else rest
        return self._fault(self.function.unit(places[0]), int(places[0]))

    def _fault(self, direction, k):
        """What differs along a direction (n,), which is coordinate k or None; None if nothing does."""
        size = 1.0 if k is None else direction[k]
        eps, tolerance = self.function.precision[:2]
        with np.errstate(all="ignore"):
            estimates, errors = _differences(self.function, direction)
            errors += eps * self.function.magnitude * np.minimum(np.abs(direction), 1.0).max()
            tangents = self.function.inputs.filled(direction, unflatten_derivatives)
            for label, product in self.products.items():
                for i, number in enumerate(_numbers(product(tangents))):
                    if _differ(number, estimates[i], errors[i], tolerance):
                        return self._message(label, k, i, float(number / size), float(estimates[i] / size))
            for w, adjoints in self.rows:
                terms, used = adjoints * direction, w != 0.0
                number, estimate = terms.sum(), w[used] @ estimates[used]
                error = np.abs(w[used]) @ errors[used] + len(terms) * eps * np.abs(terms).sum()
                if _differ(number, estimate, error, tolerance):
                    only = int(np.argmax(w)) if used.sum() == 1 else None
                    return self._message(self.reverse, k, only, float(number / size), float(estimate / size))

    def _message(self, label, k, i, number, estimate):
        ordinal = _ORDINALS[self.order - 1] if self.order <= len(_ORDINALS) else f"order {self.order}"
        result, by = "", "a random direction" if k is None else self.function.where(k)
        if self.order > 1 and i is not None:
            by = f"{self.function.where(i)} and {by}"
        elif self.function.several:
            result = f", result{'s, weighted' if i is None else self.function.result.path(i)},"
        off = abs(number - estimate)
        relative = off / max(abs(number), abs(estimate))
        with np.printoptions(threshold=20):
            at = ", ".join(map(repr, self.function.args))
        return (f"{ordinal} derivative ({label}) of {self.name}{result} by {by}: fastad gives {number!r}, "
                f"differences give {estimate!r} (off by {off:.2g}, relative {relative:.2g}), at {at}")


def _differ(number, estimate, error, tolerance):
    allowed = tolerance * max(abs(number), abs(estimate)) + 20.0 * error
    return not (error < math.inf and abs(number - estimate) <= allowed)


def _signed(draw, m):
    # Few bits, so that steps along a random direction are exact too.
    return np.array([draw.choice((-1.0, 1.0)) * draw.randint(4, 8) / 8.0 for _ in range(m)])


def _weights(draw, sizes):
    """Random weights (m,) that let every result count about the same."""
    return _signed(draw, len(sizes)) / np.where((sizes > 0.0) & np.isfinite(sizes), sizes, 1.0)


def check_derivatives(f: Callable[..., Any], *args: Any, order: int = 2) -> None:
    """None if fastad's derivatives of f at args, up to `order`, agree with differences; else AssertionError.

    args are floats, arrays of float64 or float32, or nestings of them, and so is f's result. First derivatives (jvp; grad
    or vjp) are compared with differences of f, second ones (jvp of grad, grad of grad, hvp) with those of the gradient
    (or of a weighted sum's), and so on. Steps go along each coordinate of up to 12 numbers and three random
    directions, always the same. The message says which derivative by which argument differs, fastad's number
    and that of the differences (unit: f's over the argument's), and the point.

    What is wrong by more than 1e-6 (relative; 2e-3 where arguments or results are float32) is reported; what is lost in
    the rounding errors of f is not judged. f must be finite on both sides of args. TypeError for what is no real number.
    """
    draw = random.Random(0)
    result, _ = vjp(f, *args)  # its TypeError comes first
    precision = _SINGLE if any(getattr(x, "dtype", None) == np.float32 for x in flatten((args, result))[0]) else _DOUBLE
    name, scalar, magnitude = getattr(f, "__name__", type(f).__name__), None, 0.0
    for k in range(1, order + 1):
        function = _Function(f, args, magnitude, precision)
        if not len(function.point):
            return
        m = len(function.magnitude)
        cotangents = np.eye(m) if m <= _FEW else [_weights(draw, function.magnitude) for _ in range(_RANDOM)]
        products = {"jvp" + " of grad" * (k - 1): lambda t, f=f: jvp(f, args, t)[1]}
        if k > 1:
            products["hvp" + " of grad" * (k - 2)] = lambda t, g=scalar: hvp(g, args, t)
        _Order(name, k, function, products, cotangents).check(draw)
        weights = _weights(draw, function.magnitude) if function.several else np.ones(1)
        scalar = _weighted(f, function.result, weights) if function.several else f
        magnitude = np.abs(weights) @ function.magnitude / np.maximum(function.sizes, 1.0)
        f = grad(scalar, tuple(range(len(args))))


def _weighted(f, result, weights):
    weights = flatten(result.filled(weights, unflatten_derivatives))[0]
    return lambda *args: sum(np.sum(w * y) if is_array(y) else w * y for w, y in zip(weights, flatten(f(*args))[0], strict=True))
