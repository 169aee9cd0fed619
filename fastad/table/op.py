"""One row of the op table: an elemental's name, value and partials, from which everything else is derived.

Rules are expressions in the operands `x y z u`, the result `v`, numbers, the constants of `CONSTANTS` and calls of other rows by
name. A partial that is left out is identically zero, and the sparsity pattern follows from these blanks. A partial that
is `UNKNOWN` exists but has no rule: asking for it is an error, never a zero. Only the value `v` may use C: the helpers of
`support.pxd`, or a function of SciPy for the rows of `special.py`.
"""

import functools
import math
from itertools import combinations_with_replacement

OPERANDS = "xyzu"

UNKNOWN = None

INF = math.inf
REAL = (-INF, INF)
POSITIVE = (0.0, INF)
UNIT = (0.0, 1.0)
BALL = (-1.0, 1.0)

# Names a rule may use for numbers it should not have to spell out.
CONSTANTS = {
    "PI": math.pi,
    "LN2": math.log(2.0),
    "LN10": math.log(10.0),
    "DEGREE": math.pi / 180.0,
    "RADIAN": 180.0 / math.pi,
    "TWO_OVER_SQRT_PI": 2.0 / math.sqrt(math.pi),
    "ONE_OVER_SQRT_2PI": 1.0 / math.sqrt(2.0 * math.pi),
    "ONE_OVER_PI": 1.0 / math.pi,
    "SQRT_PI": math.sqrt(math.pi),
    "SQRT_HALF": math.sqrt(0.5),
    "SQRT_2_OVER_PI": math.sqrt(2.0 / math.pi),
}


class Op:
    """A row.

    name      how rules and the tape call it
    arity     number of operands, 1 to 4
    v         the value, as a C expression
    dx, dxy…  partials of first and second order, as rules (keywords)
    domain    the interval (dimensionless) where the value is real and smooth, one for all operands or one each
    kind      "float"; "integer" or "boolean" for values that are tracked and may leave to Python as such
    numpy, scipy, math   names of the ufuncs of NumPy and scipy.special and of the function of `math` that are this row
    sym       the value for SymPy where `v` is not readable by it; "" where SymPy has no such function
    order     operand positions that are orders or counts: sampled at small whole numbers by tests
    """

    __slots__ = ("name", "arity", "v", "partials", "domain", "kind", "numpy", "scipy", "math", "sym", "order")

    def __init__(self, name, arity, v, *, domain=REAL, kind="float", numpy="", scipy="", math="", sym=None,
                 order=(), **partials):
        self.name = name
        self.arity = arity
        self.v = v
        self.domain = domain if isinstance(domain[0], tuple) else (domain,) * arity
        self.kind = kind
        self.numpy = tuple(numpy.split())
        self.scipy = tuple(scipy.split())
        self.math = tuple(math.split())
        self.sym = sym
        self.order = order
        if not _partial_names(arity) >= partials.keys():
            raise TypeError(f"row {name!r}: no such partials: {sorted(partials.keys() - _partial_names(arity))}")
        self.partials = partials

    def first_names(self):
        """Names of the first partials, ("dx", "dy") for two operands."""
        return _first_names(self.arity)

    def second_names(self):
        """Names of the second partials, each symmetric pair once, ("dxx", "dxy", "dyy") for two operands."""
        return _second_names(self.arity)

    def depends(self, k):
        """Whether the value has a partial, known or not, by operand k."""
        return f"d{OPERANDS[k]}" in self.partials

    @property
    def sparsity(self):
        """The class of the row read off its blanks: "zero" (no partials), "linear" (no second partials) or "nonlinear"."""
        if not any(name in self.partials for name in self.first_names()):
            return "zero"
        if not any(name in self.partials for name in self.second_names()):
            return "linear"
        return "nonlinear"

    def __repr__(self):
        return f"Op({self.name!r}, {self.arity})"


def _first_names(arity):
    return ["d" + operand for operand in OPERANDS[:arity]]


def _second_names(arity):
    return ["d" + "".join(pair) for pair in combinations_with_replacement(OPERANDS[:arity], 2)]


@functools.cache
def _partial_names(arity):
    return frozenset(_first_names(arity) + _second_names(arity))
