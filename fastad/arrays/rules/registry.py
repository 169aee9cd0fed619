"""The declaration of an array function's derivative: which operands it differentiates, one rule, and its structure.

A rule is the vector-Jacobian product written with NumPy's own functions, so that it runs on plain arrays in a numeric sweep and
on active arrays in a recorded one, which makes it differentiable itself. Tangents need no rule of their own: where the function
is linear in an operand its tangent is the function applied to the tangent, and elsewhere the rule is transposed. Where that computes
what nobody asks for there may be one.
"""

import inspect

# What is known of where an element of the result comes from, without looking at values; sparsity patterns follow from it.
STRUCTURES = (
    "elementwise",   # result[i] depends on operand[i] (broadcast)
    "index map",     # every element of the result is an element of the operand, or a constant
    "reduction",     # elements depend on a slice along axes
    "dense",         # every element may depend on every element
    "call",          # unknown: treated as dense
)

RULES: dict = {}


class Rule:
    """How one NumPy function is differentiated.

    function    the function as NumPy exports it; calls are found by its identity
    operands    names of the parameters with a derivative; a parameter that takes a sequence of arrays is written "*arrays"
    vjp         vjp(w, result, *arguments) in the parameters of the function: the adjoint of the operand for the adjoint w of
                the result; for several operands a tuple of functions without arguments, one each, so that only those
                that are asked for are computed. A list of adjoints for a sequence.
    linear      "jointly" if f(a + b) = f(a) + f(b) in all operands at once, "each" in each with the others fixed, "" otherwise
    structure   one of STRUCTURES
    fixed       names of parameters that may be active, and by which the derivative is zero
    tangent     tangent(t, result, *arguments): what the transposed vjp gives for the tangent t of the first operand alone, in less time;
                None where it can not
    """

    __slots__ = ("function", "operands", "vjp", "linear", "structure", "results", "fixed", "tangent", "_signature")

    def __init__(self, function, operands, vjp, linear, structure, results, fixed=(), tangent=None):
        if structure not in STRUCTURES:
            raise ValueError(f"{function.__name__}: no such structure: {structure!r}")
        self.function = function
        self.operands = operands
        self.vjp = vjp
        self.linear = linear
        self.structure = structure
        self.results = results
        self.fixed = fixed
        self.tangent = tangent
        self._signature = None

    @property
    def signature(self):
        """The function's parameters, as the rule has them behind w and result; read when first needed, as it takes time."""
        if self._signature is None:
            parameters = list(inspect.signature(self.vjp).parameters.values())[2:]
            self._signature = inspect.Signature(parameters)
        return self._signature

    def bind(self, args, kwargs):
        """The call's arguments by parameter name, defaults included: an ordered dict. TypeError as Python words it."""
        bound = self.signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return bound


def rule(function, *operands, structure, linear="", results=1, fixed=(), tangent=None):
    """Declares the derivative of `function`: decorates its vjp. `results` is the number of its arrays ("list" if that varies).

    ValueError for a function that has a rule already.
    """
    def declare(vjp):
        if function in RULES:
            raise ValueError(f"{function.__name__} has a rule already")
        RULES[function] = Rule(function, operands, vjp, linear, structure, results, fixed, tangent)
        return vjp
    return declare
