"""The transforms: gradients, products with Jacobians and Hessians, of ordinary Python functions.

Each call runs the user's function once on active values (a trace) and then sweeps the tape. The outermost transform of a thread
sweeps numerically; one inside another's function records its sweep on the same tape, which makes every order work.
Structures: arguments and results may be floats, arrays of float64 or float32, and any nesting of dict, list, tuple, namedtuple
and dataclass of them.
"""

import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import leaves as _leaves
from .arrays import active
from .core import scalar, sweeps
from .core.tape import Tape
from .errors import TraceError, kind_of
from .pytrees import NUMBER, flatten, frozen, is_dataclass, leaf_path, same_structure, unflatten, unflatten_derivatives

sweeps.set_array_sweeps(active)

Function = Callable[..., Any]
ArgNums = int | Sequence[int]

__all__ = ["grad", "hessian", "hvp", "jacobian", "jvp", "linearize", "stop_gradient", "trace", "value_and_grad", "vjp"]


def _name(f):
    return getattr(f, "__name__", None) or type(f).__name__


class _Trace(scalar.Trace):
    """One level of the thread's trace, with the choice between numeric and recording sweeps that goes with it."""

    def tangent(self, *arguments):
        if self.watch is not None:
            return _watched_tangent(self.watch, self.tape, *arguments)
        return (sweeps.tangent if self.opened else sweeps.record_tangent)(self.tape, *arguments)

    def reverse(self, *arguments):
        if self.watch is not None:
            self.watch.reverse(*arguments)
        return (sweeps.reverse if self.opened else sweeps.record_reverse)(self.tape, *arguments)

    def out(self, tree):
        """A result as it leaves this level: plain if that ends the trace."""
        if not self.opened:
            return tree
        if self.watch is not None:
            self.watch.values()
        leaves, structure = flatten(tree)
        return unflatten(structure, [_leaves.leaving(x, self.tape.retained) for x in leaves])


def _watched_tangent(watch, tape, inputs, tangents, outputs):
    """A numeric tangent sweep in fastad.debug()."""
    watch.values()
    results = sweeps.tangent(tape, inputs, tangents, outputs)
    watch.derivatives("a tangent of the result", inputs, outputs, results)
    return results


_ALL = object()


# ---- arguments ---------------------------------------------------------------------------------------------------------

def _positions(name, argnums, count):
    """argnums as a list of positions, and whether it was a single int."""
    if type(argnums) is int and 0 <= argnums < count:
        return [argnums], True
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
    where = f"argument {position}" + ("" if tree is None else _at(tree, index))
    kind = kind_of(leaf)
    if isinstance(leaf, int) and not isinstance(leaf, bool):
        advice = f"pass {leaf}.0"
    elif hasattr(leaf, "__array__") and not isinstance(leaf, np.generic):
        kind += f" of {leaf.dtype}" if isinstance(leaf, np.ndarray) else ""
        advice = (f"pass {'x.astype(float)' if type(leaf) is np.ndarray else 'np.asarray(x, float)'}, or differentiate with respect "
                  "to other arguments (argnums)")
    elif is_dataclass(leaf):
        advice = f'register it: optree.register_pytree_node({type(leaf).__name__}, flatten, unflatten, namespace="fastad")'
    else:
        advice = "pass floats there, or differentiate with respect to other arguments (argnums)"
    return TypeError(f"{transform} of {name}: {where} is {kind}, which has no derivative; {advice}")


def _at(tree, index):
    """Where leaf number `index` is in an argument, behind the argument's name."""
    path = leaf_path(tree, index)
    return f", at {path}," if path else ""


class _Inputs:
    """Chosen arguments, flattened, as fresh active values of a trace.

    leaves: the numbers and arrays; handles: the inputs as sweeps refer to them; `rebuild` gives lists of results the structure
    again. With `lasting` they do not change when the caller's arrays and containers do.
    """

    def __init__(self, transform, f, trace, args, argnums=_ALL, lasting=False):
        positions, self.single = (range(len(args)), False) if argnums is _ALL else _positions(_name(f), argnums, len(args))
        self.leaves, self.parts = [], []
        for k in positions:
            if args[k] is None:
                raise _refuse(transform, _name(f), k, None, 0, None)
            leaves, structure = flatten(args[k])
            if not active.are_arrays(leaves) and scalar.first_not_float(leaves) >= 0:
                for index, x in enumerate(leaves):
                    if not _leaves.can_be_input(x):
                        raise _refuse(transform, _name(f), k, args[k], index, x)
            if trace.watch is not None:
                for index, x in enumerate(leaves):
                    trace.watch.argument(transform, _name(f), f"argument {k}" + _at(args[k], index), x)
            self.parts.append((structure, len(self.leaves), len(self.leaves) + len(leaves)))
            self.leaves += leaves
        actives, self.handles = _leaves.independents(self.leaves, trace.opened, lasting)
        self.args = list(args)
        for k, (structure, start, stop) in zip(positions, self.parts):
            self.args[k] = unflatten(structure, actives[start:stop])
        if lasting:
            self.parts = [(frozen(structure), start, stop) for structure, start, stop in self.parts]

    def rebuild(self, numbers):
        """A list of one derivative per input in the structure of the arguments, np.float64 where the argument was one."""
        numbers = _leaves.typed_as(self.leaves, numbers)
        trees = [unflatten_derivatives(structure, numbers[start:stop]) for structure, start, stop in self.parts]
        return trees[0] if self.single else tuple(trees)

    def flatten_like(self, transform, what, trees):
        """The numbers of `trees`, which must have the structure of the arguments (a tuple of all of them)."""
        if not isinstance(trees, (tuple, list)) or len(trees) != len(self.parts):
            raise TypeError(f"{transform}: {what} must be a tuple with one entry per primal ({len(self.parts)})")
        numbers = []
        for k, (tree, (structure, start, stop)) in enumerate(zip(trees, self.parts)):
            numbers += _seeds_like(transform, f"{what}[{k}]", tree, structure, self.leaves[start:stop])
        return numbers


def _seeds_like(transform, what, tree, structure, likes):
    """The leaves of `tree`, which must have this structure and leaves with the shapes of `likes`."""
    leaves, given = flatten(tree)
    if not same_structure(given, structure):
        raise ValueError(f"{transform}: {what} has the structure {_shown(given)} where {_shown(structure)} is needed")
    if all([type(x) is float for x in leaves]) and all([type(x) is float for x in likes]):
        return leaves
    return [_leaves.seed_for(like, x, f"{transform}: {what}{leaf_path(tree, index)}")
            for index, (like, x) in enumerate(zip(likes, leaves))]


def _shown(structure):
    if structure is NUMBER:
        return "of a number"
    return str(structure).removeprefix("PyTreeSpec(").removesuffix(")").removesuffix(", namespace='fastad'")


def _tuple(transform, primals):
    if not isinstance(primals, (tuple, list)):
        raise TypeError(f"{transform}: primals must be a tuple of f's arguments, not {type(primals).__name__}; (x,) for one")
    return tuple(primals)


# ---- results -----------------------------------------------------------------------------------------------------------

class _Outputs:
    """A result, flattened: `handles` as sweeps refer to its leaves; `rebuild` gives derivatives of it the structure again.

    TypeError if it is not made of real numbers and arrays. With `lasting` later writes to its arrays change nothing here.
    """

    def __init__(self, transform, f, result, lasting=False):
        if result is None:
            raise TypeError(f"{transform}: {_name(f)} returned None (is a return missing?)")
        self.leaves, self.structure = flatten(result)
        if scalar.first_not_float(self.leaves) >= 0:
            for index, x in enumerate(self.leaves):
                if not _leaves.is_number(x) and not _leaves.is_array(x):
                    raise TypeError(f"{transform}: {_name(f)} returned a {type(x).__name__} at result{leaf_path(result, index)}, "
                                    "where real numbers and arrays of them are needed")
        self.handles = _leaves.handles_of(self.leaves)
        if lasting:
            self.structure = frozen(self.structure)

    def rebuild(self, numbers):
        return unflatten_derivatives(self.structure, _leaves.filled(self.leaves, numbers))


def _scalar_output(transform, f, result):
    """The handle of a result that is one real number; TypeError for all others."""
    if _leaves.is_number(result):
        return result
    if not _leaves.is_array(result) or result.shape != ():
        returned = ("None (is a return missing?)" if result is None else
                    f"an ndarray of shape {result.shape}" if _leaves.is_array(result) else f"a {type(result).__name__}")
        raise TypeError(f"{transform} needs a function with a real scalar result, but {_name(f)} returned {returned}; "
                        "use fastad.jacobian or fastad.vjp for several results")
    return _leaves.handles_of([result])[0]


def _plain_number(x):
    """A scalar result as it leaves the outermost trace: a float, or np.float32 where it is one."""
    if type(x) is scalar.Active:
        return float(scalar.plain(x))
    x = _leaves.single(_leaves.leaving(x, False))
    return x if isinstance(x, np.float32) else float(x)


def _aux(transform, f, result, has_aux):
    if not has_aux:
        return result, None
    if not isinstance(result, tuple) or len(result) != 2:
        raise TypeError(f"{transform} with has_aux=True needs {_name(f)} to return a pair (value, aux)")
    return result


def _of_program(f, transform, **options):
    """The transform as the method of a program, for the arguments of a call; None for any other function."""
    if not callable(f):
        raise TypeError(f"{transform} needs a function, not {kind_of(f)}: fastad.grad(f)(x), for example, not "
                        "fastad.grad(f(x))")
    if not getattr(f, "is_program", False):
        return None

    @functools.wraps(f, updated=())
    def replayed(*args, **kwargs):
        return getattr(f, transform)(*args, **options, **kwargs)
    return replayed


# ---- transforms ----------------------------------------------------------------------------------------------------------

def value_and_grad(f: Function, argnums: ArgNums = 0, has_aux: bool = False) -> Function:
    """A function of f's arguments that gives (value, gradient); with has_aux ((value, aux), gradient).

    f returns a real scalar, or (scalar, aux). The gradient df/darg has the structure of the argument, its unit is f's over the
    argument's; argnums may be a tuple, then so is the gradient. TypeError if the result is not a real scalar or an argument
    is not made of floats and arrays of them; ValueError for argnums out of range. One reverse sweep (Linnainmaa 1976).
    """
    replayed = None if has_aux else _of_program(f, "value_and_grad", argnums=argnums)
    return replayed or _value_and_grad("value_and_grad", f, argnums, has_aux)


def _value_and_grad(transform, f, argnums, has_aux):
    @functools.wraps(f, updated=())
    def value_and_grad_of_f(*args, **kwargs):
        with _Trace() as trace:
            inputs = _Inputs(transform, f, trace, args, argnums)
            result, aux = _aux(transform, f, f(*inputs.args, **kwargs), has_aux)
            output = _scalar_output(transform, f, result)
            gradient = inputs.rebuild(trace.reverse(inputs.handles, [output], [1.0]))
            value = _plain_number(result) if trace.opened else result
            return ((value, trace.out(aux)), gradient) if has_aux else (value, gradient)

    return value_and_grad_of_f


def grad(f: Function, argnums: ArgNums = 0, has_aux: bool = False) -> Function:
    """A function of f's arguments that gives df/darg; with has_aux (gradient, aux). Otherwise as `value_and_grad`."""
    replayed = None if has_aux else _of_program(f, "grad", argnums=argnums)
    if replayed is not None:
        return replayed
    both = _value_and_grad("grad", f, argnums, has_aux)

    @functools.wraps(f, updated=())
    def grad_of_f(*args, **kwargs):
        value, gradient = both(*args, **kwargs)
        return (gradient, value[1]) if has_aux else gradient

    return grad_of_f


def jvp(f: Function, primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """(value, tangent) of f at primals (a tuple of its arguments) along tangents of that structure: J t, one tangent sweep."""
    replayed = _of_program(f, "jvp")
    if replayed is not None:
        return replayed(primals, tangents)
    primals = _tuple("jvp", primals)
    with _Trace() as trace:
        inputs = _Inputs("jvp", f, trace, primals)
        directions = inputs.flatten_like("jvp", "tangents", tangents)
        result = f(*inputs.args)
        outputs = _Outputs("jvp", f, result)
        out = trace.tangent(inputs.handles, directions, outputs.handles)
        return trace.out(result), outputs.rebuild(out)


def linearize(f: Function, *primals: Any) -> tuple[Any, Function]:
    """(value, jvp_fun): jvp_fun(*tangents) is the tangent at primals, without another run of f, any number of times."""
    with _Trace() as trace:
        inputs = _Inputs("linearize", f, trace, primals, lasting=True)
        result = f(*inputs.args)
        outputs = _Outputs("linearize", f, result, lasting=True)
        tape = trace.tape
        tape.retained = True

        def jvp_fun(*tangents):
            directions = inputs.flatten_like("jvp_fun", "tangents", tangents)
            if _records(tape, directions):
                return outputs.rebuild(sweeps.record_tangent(tape, inputs.handles, directions, outputs.handles))
            if trace.watch is not None:
                return outputs.rebuild(_watched_tangent(trace.watch, tape, inputs.handles, directions, outputs.handles))
            return outputs.rebuild(sweeps.tangent(tape, inputs.handles, directions, outputs.handles))

        return trace.out(result), jvp_fun


def vjp(f: Function, *primals: Any) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    """(value, vjp_fun): vjp_fun(cotangent) is the tuple of w^T J, one entry per primal; it may be called later and again.

    The cotangent has the structure of f's result. Inside another trace the result is active if the cotangent is.
    """
    if not getattr(f, "has_source", True):
        return _of_program(f, "vjp")(*primals)
    with _Trace() as trace:
        inputs = _Inputs("vjp", f, trace, primals, lasting=True)
        result = f(*inputs.args)
        outputs = _Outputs("vjp", f, result, lasting=True)
        tape = trace.tape
        tape.retained = True

        def vjp_fun(cotangent):
            adjoints = _seeds_like("vjp_fun", "the cotangent", cotangent, outputs.structure, outputs.leaves)
            sweep = sweeps.record_reverse if _records(tape, adjoints) else sweeps.reverse
            if sweep is sweeps.reverse and trace.watch is not None:
                trace.watch.reverse(inputs.handles, outputs.handles, adjoints)
            return inputs.rebuild(sweep(tape, inputs.handles, outputs.handles, adjoints))

        return trace.out(result), vjp_fun


def _records(tape, seeds):
    """Whether a sweep over a kept tape must be recorded: its own trace goes on, or a seed belongs to the trace in progress."""
    if scalar.in_progress(tape):
        return True
    if tape.growing:
        raise TraceError("the function returned by vjp or linearize was called in another thread while the trace it belongs to "
                         "goes on; call it in the thread that made it, or after the trace has ended")
    return any([_leaves.is_active(seed) for seed in seeds])


def jacobian(f: Function, argnums: ArgNums = 0, mode: str = "auto") -> Function:
    """A function of f's arguments that gives the Jacobian, in the structure of the result with that of the argument inside.

    mode "forward" takes one tangent sweep per input, "reverse" one reverse sweep per result, "auto" the fewer.
    """
    if mode not in ("auto", "forward", "reverse"):
        raise ValueError(f'jacobian: mode must be "auto", "forward" or "reverse", not {mode!r}')
    replayed = _of_program(f, "jacobian", argnums=argnums, mode=mode)
    if replayed is not None:
        return replayed

    @functools.wraps(f, updated=())
    def jacobian_of_f(*args, **kwargs):
        with _Trace() as trace:
            inputs = _Inputs("jacobian", f, trace, args, argnums)
            outputs = _Outputs("jacobian", f, f(*inputs.args, **kwargs))
            n, m = _leaves.count(inputs.leaves), _leaves.count(outputs.leaves)
            if mode == "forward" or (mode == "auto" and n < m):
                columns = [_leaves.filled(outputs.leaves, trace.tangent(inputs.handles, unit, outputs.handles))
                           for unit in _leaves.units(inputs.leaves)]
                blocks = _leaves.blocks(outputs.leaves, inputs.leaves, columns=columns)
            else:
                rows = [trace.reverse(inputs.handles, outputs.handles, unit) for unit in _leaves.units(outputs.leaves)]
                blocks = _leaves.blocks(outputs.leaves, inputs.leaves, rows=rows)
            return unflatten_derivatives(outputs.structure, [inputs.rebuild(row) for row in blocks])

    return jacobian_of_f


def hessian(f: Function, argnums: ArgNums = 0) -> Function:
    """A function of f's arguments that gives the Hessian of a scalar f: the argument's structure twice, one inside the other.

    One tangent and one reverse-tangent sweep per input (Griewank and Walther 2008, section 5.4).
    """
    replayed = _of_program(f, "hessian", argnums=argnums)
    if replayed is not None:
        return replayed

    @functools.wraps(f, updated=())
    def hessian_of_f(*args, **kwargs):
        if scalar.tracing():
            return jacobian(grad(f, argnums), argnums)(*args, **kwargs)
        with _Trace() as trace:
            inputs = _Inputs("hessian", f, trace, args, argnums)
            value = _scalar_output("hessian", f, f(*inputs.args, **kwargs))
            columns = list(_second_order(trace, inputs, value, _leaves.units(inputs.leaves)))
            if trace.watch is not None:
                trace.watch.second_derivatives(columns)
            return inputs.rebuild([inputs.rebuild(row) for row in _leaves.blocks(inputs.leaves, inputs.leaves, columns=columns)])

    return hessian_of_f


def _second_order(trace, inputs, value, directions):
    """For each direction the Hessian of a value times that direction.

    On a tape of scalars by the reverse-tangent sweep; one with arrays records the reverse sweep once and takes its tangents.
    """
    if trace.watch is not None:
        trace.watch.reverse(inputs.handles, [value], [1.0])
    if trace.tape.records or trace.tape.storages:
        gradient = _leaves.handles_of(sweeps.record_reverse(trace.tape, inputs.handles, [value], [1.0]))
        for direction in directions:
            yield _leaves.filled(gradient, sweeps.tangent(trace.tape, inputs.handles, direction, gradient))
    else:
        for direction in directions:
            yield sweeps.reverse_tangent(trace.tape, inputs.handles, direction, [value], [1.0])[1]


def hvp(f: Function, primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
    """The Hessian of a scalar f at primals times tangents, in the structure of primals[0] (several primals: a tuple of them).

    One tangent and one reverse-tangent sweep: about twice the price of a gradient.
    """
    replayed = _of_program(f, "hvp")
    if replayed is not None:
        return replayed(primals, tangents)
    primals = _tuple("hvp", primals)
    if scalar.tracing():
        _, product = jvp(grad(f, tuple(range(len(primals)))), primals, tangents)
    else:
        with _Trace() as trace:
            inputs = _Inputs("hvp", f, trace, primals)
            directions = inputs.flatten_like("hvp", "tangents", tangents)
            value = _scalar_output("hvp", f, f(*inputs.args))
            column = next(_second_order(trace, inputs, value, [directions]))
            if trace.watch is not None:
                trace.watch.second_derivatives([column])
            product = inputs.rebuild(column)
    return product[0] if len(primals) == 1 else product


def stop_gradient(x: Any) -> Any:
    """x (a number, an array or a nesting of them) with derivative zero."""
    leaves, structure = flatten(x)
    return unflatten(structure, [active.stop_gradient(x) for x in leaves])


def trace(f: Function, *args: Any) -> Tape:
    """The tape of f at args, for reading: `opcode`, `a`, `b`, `value` as read-only NumPy arrays, one entry per instruction.

    The first instructions are the inputs; `inputs` and `outputs` hold the slots of f's arguments and results (-1 for a result
    that is a plain number). RuntimeError inside another trace.
    """
    if scalar.tracing():
        raise RuntimeError("fastad.trace shows a whole tape; call it outside of differentiated functions")
    with _Trace() as level:
        inputs = _Inputs("trace", f, level, args)
        outputs = _Outputs("trace", f, f(*inputs.args))
        level.tape.retained = True
        level.tape.inputs = tuple(active.slot_of(x) for x in inputs.handles)
        level.tape.outputs = tuple(active.slot_of(x) for x in outputs.handles)
        return level.tape
