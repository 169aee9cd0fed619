"""The transforms: gradients, products with Jacobians and Hessians, of ordinary Python functions.

Each call runs the user's function once on active values (a trace) and then sweeps the tape. The outermost transform of a thread
sweeps numerically; one inside another's function records its sweep on the same tape, which makes every order work.
Structures: arguments and results may be floats and any nesting of dict, list, tuple and namedtuple of them.
"""

import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any

from .core import scalar, sweeps
from .core.scalar import Active
from .core.tape import Tape
from .errors import TraceError
from .pytrees import NUMBER, flatten, frozen, leaf_path, plain_tree, same_structure, unflatten

Function = Callable[..., Any]
ArgNums = int | Sequence[int]

__all__ = ["grad", "hessian", "hvp", "jacobian", "jvp", "linearize", "stop_gradient", "trace", "value_and_grad", "vjp"]


def _name(f):
    return getattr(f, "__name__", None) or type(f).__name__


class _Trace(scalar.Trace):
    """One level of the thread's trace, with the choice between numeric and recording sweeps that goes with it."""

    def tangent(self, *arguments):
        return (sweeps.tangent if self.opened else sweeps.record_tangent)(self.tape, *arguments)

    def reverse(self, *arguments):
        return (sweeps.reverse if self.opened else sweeps.record_reverse)(self.tape, *arguments)

    def out(self, tree):
        """A result as it leaves this level: plain if that ends the trace."""
        return plain_tree(tree) if self.opened else tree


_ALL = object()


# ---- arguments ---------------------------------------------------------------------------------------------------------

def _positions(name, argnums, count):
    """argnums as a list of positions, and whether it was a single int."""
    single = not isinstance(argnums, (tuple, list))
    try:
        positions = [operator.index(k) for k in ((argnums,) if single else argnums)]
    except TypeError:
        raise TypeError(f"argnums must be an int or a tuple of ints, not {argnums!r}") from None
    for k in positions:
        if not -count <= k < count:
            raise ValueError(f"argnums={argnums!r}: {name} was called with {count} positional "
                             f"argument{'s' * (count != 1)}; arguments passed by keyword are not differentiated")
    positions = [k % count for k in positions]
    if len(set(positions)) < len(positions):
        raise ValueError(f"argnums={argnums!r} names an argument of {name} twice")
    return positions, single


def _refuse(transform, name, position, tree, index, leaf):
    path = "" if tree is None else leaf_path(tree, index)
    where = f"argument {position}" + (f", at {path}," if path else "")
    kind = "None" if leaf is None else ("an " if type(leaf).__name__[0] in "aeiou" else "a ") + type(leaf).__name__
    if isinstance(leaf, int) and not isinstance(leaf, bool):
        advice = f"pass {leaf}.0"
    else:
        advice = "pass floats there, or differentiate with respect to other arguments (argnums)"
    return TypeError(f"{transform} of {name}: {where} is {kind}, which has no derivative; {advice}")


class _Inputs:
    """Chosen arguments, flattened, as fresh active values of a trace.

    leaves: the numbers; actives: the active scalars in their place; `rebuild` gives lists of results the structure again.
    """

    def __init__(self, transform, f, trace, args, argnums=_ALL):
        positions, self.single = (range(len(args)), False) if argnums is _ALL else _positions(_name(f), argnums, len(args))
        self.leaves, self.parts = [], []
        for k in positions:
            if args[k] is None:
                raise _refuse(transform, _name(f), k, None, 0, None)
            leaves, structure = flatten(args[k])
            bad = scalar.first_not_float(leaves)
            if bad >= 0:
                raise _refuse(transform, _name(f), k, args[k], bad, leaves[bad])
            self.parts.append((structure, len(self.leaves), len(self.leaves) + len(leaves)))
            self.leaves += leaves
        self.actives = scalar.independents(self.leaves, trace.opened)
        self.args = list(args)
        for k, argument in zip(positions, self._trees(self.actives)):
            self.args[k] = argument

    def _trees(self, numbers):
        return [unflatten(structure, numbers[start:stop]) for structure, start, stop in self.parts]

    def freeze(self):
        """Keeps the structure of the arguments as it is now, for a function that outlives the trace; returns self."""
        self.parts = [(frozen(structure), start, stop) for structure, start, stop in self.parts]
        return self

    def rebuild(self, numbers):
        """A list of one number per input in the structure of the arguments, np.float64 where the argument was one."""
        trees = self._trees(scalar.typed_as(self.leaves, numbers))
        return trees[0] if self.single else tuple(trees)

    def flatten_like(self, transform, what, trees):
        """The numbers of `trees`, which must have the structure of the arguments (a tuple of all of them)."""
        if not isinstance(trees, (tuple, list)) or len(trees) != len(self.parts):
            raise TypeError(f"{transform}: {what} must be a tuple with one entry per primal ({len(self.parts)})")
        numbers = []
        for k, (tree, (structure, _, _)) in enumerate(zip(trees, self.parts)):
            numbers += _numbers_like(transform, f"{what}[{k}]", tree, structure)
        return numbers


def _numbers_like(transform, what, tree, structure):
    leaves, given = flatten(tree)
    if not same_structure(given, structure):
        raise ValueError(f"{transform}: {what} has the structure {_shown(given)} where {_shown(structure)} is needed")
    for index, leaf in enumerate(leaves):
        if not _is_real(leaf):
            raise TypeError(f"{transform}: {what}{leaf_path(tree, index)} must be a real number, not {type(leaf).__name__}")
    return [leaf if type(leaf) is Active else float(leaf) for leaf in leaves]


def _shown(structure):
    if structure is NUMBER:
        return "of a number"
    return str(structure).removeprefix("PyTreeSpec(").removesuffix(")").removesuffix(", namespace='fastad'")


def _tuple(transform, primals):
    if not isinstance(primals, (tuple, list)):
        raise TypeError(f"{transform}: primals must be a tuple of f's arguments, not {type(primals).__name__}; (x,) for one")
    return tuple(primals)


# ---- results -----------------------------------------------------------------------------------------------------------

def _is_real(x):
    return scalar.is_active(x) or (isinstance(x, (float, int)) and not isinstance(x, bool)) or (
        type(x).__module__ == "numpy" and getattr(x, "shape", None) == () and x.dtype.kind in "fiu")


def _scalar_result(transform, f, result):
    if not _is_real(result):
        returned = "None (is a return missing?)" if result is None else f"a {type(result).__name__}"
        raise TypeError(f"{transform} needs a function with a real scalar result, but {_name(f)} returned {returned}; "
                        "use fastad.jacobian or fastad.vjp for several results")
    return result if type(result) is Active else float(result)


def _results(transform, f, result):
    """(numbers, structure) of a result that may be any nesting of real numbers."""
    if result is None:
        raise TypeError(f"{transform}: {_name(f)} returned None (is a return missing?)")
    leaves, structure = flatten(result)
    for index, leaf in enumerate(leaves):
        if not _is_real(leaf):
            raise TypeError(f"{transform}: {_name(f)} returned a {type(leaf).__name__} at result{leaf_path(result, index)}, "
                            "where real numbers are needed")
    return [leaf if type(leaf) is Active else float(leaf) for leaf in leaves], structure


def _aux(transform, f, result, has_aux):
    if not has_aux:
        return result, None
    if not isinstance(result, tuple) or len(result) != 2:
        raise TypeError(f"{transform} with has_aux=True needs {_name(f)} to return a pair (value, aux)")
    return result


# ---- transforms ----------------------------------------------------------------------------------------------------------

def value_and_grad(f: Function, argnums: ArgNums = 0, has_aux: bool = False) -> Function:
    """A function of f's arguments that gives (value, gradient); with has_aux ((value, aux), gradient).

    f returns a real scalar, or (scalar, aux). The gradient df/darg has the structure of the argument, its unit is f's over the
    argument's; argnums may be a tuple, then so is the gradient. TypeError if the result is not a real scalar or an argument
    is not made of floats; ValueError for argnums out of range. One reverse sweep (Linnainmaa 1976).
    """
    return _value_and_grad("value_and_grad", f, argnums, has_aux)


def _value_and_grad(transform, f, argnums, has_aux):
    @functools.wraps(f, updated=())
    def value_and_grad_of_f(*args, **kwargs):
        with _Trace() as trace:
            inputs = _Inputs(transform, f, trace, args, argnums)
            result, aux = _aux(transform, f, f(*inputs.args, **kwargs), has_aux)
            value = _scalar_result(transform, f, result)
            gradient = inputs.rebuild(trace.reverse(inputs.actives, [value], [1.0]))
            value = float(scalar.plain(value)) if trace.opened else value
            return ((value, trace.out(aux)), gradient) if has_aux else (value, gradient)

    return value_and_grad_of_f


def grad(f: Function, argnums: ArgNums = 0, has_aux: bool = False) -> Function:
    """A function of f's arguments that gives df/darg; with has_aux (gradient, aux). Otherwise as `value_and_grad`."""
    both = _value_and_grad("grad", f, argnums, has_aux)

    @functools.wraps(f, updated=())
    def grad_of_f(*args, **kwargs):
        value, gradient = both(*args, **kwargs)
        return (gradient, value[1]) if has_aux else gradient

    return grad_of_f


def jvp(f: Function, primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """(value, tangent) of f at primals (a tuple of its arguments) along tangents of that structure: J t, one tangent sweep."""
    primals = _tuple("jvp", primals)
    with _Trace() as trace:
        inputs = _Inputs("jvp", f, trace, primals)
        directions = inputs.flatten_like("jvp", "tangents", tangents)
        result = f(*inputs.args)
        outputs, structure = _results("jvp", f, result)
        out = trace.tangent(inputs.actives, directions, outputs)
        return trace.out(result), unflatten(structure, out)


def linearize(f: Function, *primals: Any) -> tuple[Any, Function]:
    """(value, jvp_fun): jvp_fun(*tangents) is the tangent at primals, without another run of f, any number of times."""
    with _Trace() as trace:
        inputs = _Inputs("linearize", f, trace, primals).freeze()
        result = f(*inputs.args)
        outputs, structure = _results("linearize", f, result)
        structure = frozen(structure)
        tape = trace.tape
        tape.retained = True

        def jvp_fun(*tangents):
            directions = inputs.flatten_like("jvp_fun", "tangents", tangents)
            sweep = sweeps.record_tangent if _records(tape, directions) else sweeps.tangent
            return unflatten(structure, sweep(tape, inputs.actives, directions, outputs))

        return trace.out(result), jvp_fun


def vjp(f: Function, *primals: Any) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    """(value, vjp_fun): vjp_fun(cotangent) is the tuple of w^T J, one entry per primal; it may be called later and again.

    The cotangent has the structure of f's result. Inside another trace the result is active if the cotangent is.
    """
    with _Trace() as trace:
        inputs = _Inputs("vjp", f, trace, primals).freeze()
        result = f(*inputs.args)
        outputs, structure = _results("vjp", f, result)
        structure = frozen(structure)
        tape = trace.tape
        tape.retained = True

        def vjp_fun(cotangent):
            adjoints = _numbers_like("vjp_fun", "the cotangent", cotangent, structure)
            sweep = sweeps.record_reverse if _records(tape, adjoints) else sweeps.reverse
            return inputs.rebuild(sweep(tape, inputs.actives, outputs, adjoints))

        return trace.out(result), vjp_fun


def _records(tape, seeds):
    """Whether a sweep over a kept tape must be recorded: its own trace goes on, or a seed belongs to the trace in progress."""
    if scalar.in_progress(tape):
        return True
    if tape.growing:
        raise TraceError("the function returned by vjp or linearize was called in another thread while the trace it belongs to "
                         "goes on; call it in the thread that made it, or after the trace has ended")
    return any([scalar.is_active(seed) for seed in seeds])


def jacobian(f: Function, argnums: ArgNums = 0, mode: str = "auto") -> Function:
    """A function of f's arguments that gives the Jacobian, in the structure of the result with that of the argument inside.

    mode "forward" takes one tangent sweep per input, "reverse" one reverse sweep per result, "auto" the fewer.
    """
    if mode not in ("auto", "forward", "reverse"):
        raise ValueError(f'jacobian: mode must be "auto", "forward" or "reverse", not {mode!r}')

    @functools.wraps(f, updated=())
    def jacobian_of_f(*args, **kwargs):
        with _Trace() as trace:
            inputs = _Inputs("jacobian", f, trace, args, argnums)
            outputs, structure = _results("jacobian", f, f(*inputs.args, **kwargs))
            n, m = len(inputs.actives), len(outputs)
            if mode == "forward" or (mode == "auto" and n < m):
                columns = [trace.tangent(inputs.actives, unit, outputs) for unit in _units(n)]
                rows = [[column[i] for column in columns] for i in range(m)]
            else:
                rows = [trace.reverse(inputs.actives, outputs, unit) for unit in _units(m)]
            return unflatten(structure, [inputs.rebuild(row) for row in rows])

    return jacobian_of_f


def _units(n):
    for k in range(n):
        unit = [0.0] * n
        unit[k] = 1.0
        yield unit


def hessian(f: Function, argnums: ArgNums = 0) -> Function:
    """A function of f's arguments that gives the Hessian of a scalar f: the argument's structure twice, one inside the other.

    One tangent and one reverse-tangent sweep per input (Griewank and Walther 2008, section 5.4).
    """
    @functools.wraps(f, updated=())
    def hessian_of_f(*args, **kwargs):
        if scalar.tracing():
            return jacobian(grad(f, argnums), argnums)(*args, **kwargs)
        with _Trace() as trace:
            inputs = _Inputs("hessian", f, trace, args, argnums)
            value = _scalar_result("hessian", f, f(*inputs.args, **kwargs))
            columns = [sweeps.reverse_tangent(trace.tape, inputs.actives, unit, [value], [1.0])[1]
                       for unit in _units(len(inputs.actives))]
            return inputs.rebuild([inputs.rebuild(column) for column in columns])

    return hessian_of_f


def hvp(f: Function, primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
    """The Hessian of a scalar f at primals times tangents, in the structure of primals[0] (several primals: a tuple of them).

    One tangent and one reverse-tangent sweep: about twice the price of a gradient.
    """
    primals = _tuple("hvp", primals)
    if scalar.tracing():
        _, product = jvp(grad(f, tuple(range(len(primals)))), primals, tangents)
    else:
        with _Trace() as trace:
            inputs = _Inputs("hvp", f, trace, primals)
            directions = inputs.flatten_like("hvp", "tangents", tangents)
            value = _scalar_result("hvp", f, f(*inputs.args))
            _, numbers = sweeps.reverse_tangent(trace.tape, inputs.actives, directions, [value], [1.0])
            product = inputs.rebuild(numbers)
    return product[0] if len(primals) == 1 else product


def stop_gradient(x: Any) -> Any:
    """x (a number or a nesting of them) with derivative zero."""
    leaves, structure = flatten(x)
    return unflatten(structure, [scalar.stop_gradient(leaf) for leaf in leaves])


def trace(f: Function, *args: Any) -> Tape:
    """The tape of f at args, for reading: `opcode`, `a`, `b`, `value` as read-only NumPy arrays, one entry per instruction.

    The first instructions are the inputs; `inputs` and `outputs` hold the slots of f's arguments and results (-1 for a result
    that is a plain number). RuntimeError inside another trace.
    """
    if scalar.tracing():
        raise RuntimeError("fastad.trace shows a whole tape; call it outside of differentiated functions")
    with _Trace() as level:
        inputs = _Inputs("trace", f, level, args)
        outputs, _ = _results("trace", f, f(*inputs.args))
        level.tape.retained = True
        level.tape.inputs = tuple(scalar.slot_of(x) for x in inputs.actives)
        level.tape.outputs = tuple(scalar.slot_of(x) for x in outputs)
        return level.tape
