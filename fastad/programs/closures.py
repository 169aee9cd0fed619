"""Functions that have captured active values, as functions of those values too."""

import dis
import functools
import types

from .. import leaves as _leaves
from ..pytrees import flatten, unflatten


@functools.lru_cache(1024)
def _rebound(code):
    """The names of captured variables that a code object, or one inside it, binds anew."""
    names = {step.argval for step in dis.get_instructions(code) if step.opname in ("STORE_DEREF", "DELETE_DEREF")}
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= _rebound(constant)
    return names


def lifted(f):
    """(function g of captured values and f's arguments, list of the captured values): g(values, *args) is f(*args).

    The values are those of the trace in progress that f has in its closure or as a partial, also in nestings there and in the
    closures of functions that it has there. Variables that f binds anew are left alone.
    """
    values: list = []
    rebuild = _lift(f, values, {})
    if not values:
        return lambda _, *args, **kwargs: f(*args, **kwargs), []
    return lambda captured, *args, **kwargs: rebuild(captured, {})(*args, **kwargs), values


def _lift(x, values, seen):
    """A function of (captured values, functions made so far) that gives x with the values in it; None if x holds none.

    The values are appended. `seen` has the functions that were met, by id.
    """
    if type(x) is types.FunctionType:
        return _lift_function(x, values, seen)
    if type(x) is types.MethodType:
        function = _lift(x.__func__, values, seen)
        return None if function is None else lambda captured, made: types.MethodType(function(captured, made), x.__self__)
    if type(x) is functools.partial:
        parts = x.func, x.args, x.keywords
        lifts = [_lift(part, values, seen) for part in parts]

        def rebuild_partial(captured, made):
            function, args, keywords = [_filled(part, lift, captured, made) for part, lift in zip(parts, lifts)]
            return functools.partial(function, *args, **keywords)
        return rebuild_partial if any(lifts) else None
    if type(x) in (int, bool, str, type(None)) or callable(x):
        return None
    leaves, structure = flatten(x)
    places = [k for k, leaf in enumerate(leaves) if _leaves.is_active(leaf)]
    first = len(values)
    values.extend([leaves[k] for k in places])

    def rebuild(captured, made):
        filled = list(leaves)
        for number, k in enumerate(places):
            filled[k] = captured[first + number]
        return unflatten(structure, filled)
    return rebuild if places else None


def _filled(x, lift, captured, made):
    return x if lift is None else lift(captured, made)


def _lift_function(f, values, seen):
    if f.__closure__ is None or id(f) in seen:
        return seen.get(id(f))
    # It may be met again in what it has captured: by then it is among those made.
    seen[id(f)] = lambda captured, made: made[id(f)]
    contents, lifts = [], []
    for name, cell in zip(f.__code__.co_freevars, f.__closure__):
        try:
            content = cell.cell_contents
        except ValueError:
            content = None                     # not bound yet
        contents.append(content)
        lifts.append(None if name in _rebound(f.__code__) else _lift(content, values, seen))

    def rebuild(captured, made):
        if id(f) not in made:
            cells = [cell if lift is None else types.CellType() for cell, lift in zip(f.__closure__, lifts)]
            g = made[id(f)] = types.FunctionType(f.__code__, f.__globals__, f.__name__, f.__defaults__, tuple(cells))
            g.__kwdefaults__ = f.__kwdefaults__
            for cell, content, lift in zip(cells, contents, lifts):
                if lift is not None:
                    cell.cell_contents = lift(captured, made)
        return made[id(f)]
    seen[id(f)] = rebuild if any(lifts) else None
    return seen[id(f)]
