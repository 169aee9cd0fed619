"""NumPy's functions and ufuncs called with active arrays: which record or composition each of them is.

A function is found in one of three tables of `fastad.arrays.rules`: RULES (a derivative rule), COMPOSED (written with others that
have one), TRACKED (its results have derivative zero). One that is in none raises TraceError.
"""

import os
from importlib import import_module

import numpy as np

from .. import ufuncs as scalar_ufuncs
from ..core import scalar
from ..core.scalar import Active, is_plain
from ..errors import TraceError, user_line
from . import active, partials, rules
from .active import ActiveArray
from .partials import is_active
from .rules.registry import RULES

for _name in sorted({_file.partition(".")[0] for _file in os.listdir(rules.__path__[0]) if not _file.startswith("_")}):
    import_module(f"{rules.__name__}.{_name}")

from .rules.cumulative import ACCUMULATE  # noqa: E402
from .rules.reductions import REDUCE  # noqa: E402
from .rules.selection import COMPOSED  # noqa: E402
from .rules.tracked import TRACKED  # noqa: E402

holds_active = active.holds_active


# ---- functions -------------------------------------------------------------------------------------------------------------

class _Parameters:
    """Where a rule's operands stand in a call, found once per rule."""

    def __init__(self, rule):
        parameters = list(rule.signature.parameters.values())
        self.names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        self.several = next((p.name for p in parameters if p.kind is p.VAR_POSITIONAL), None)
        self.operands = [name.lstrip("*") for name in rule.operands]
        self.fixed = rule.fixed
        self.arrays = {name for name in rule.operands if not name.startswith("*")}
        self.is_operand = tuple(self.name(index) in self.operands for index in range(len(self.names) + (4 if self.several else 0)))
        self.keeps_result = _reads(rule.vjp, "result")
        self._places: dict = {}

    def name(self, index):
        return self.names[index] if index < len(self.names) else self.several

    def places_by_position(self, count):
        """The places of a call in which none of the operands is given by its name."""
        found = self._places.get(count)
        if found is None:
            found = self._places[count] = self.places((None,) * count, {})
        return found

    def places(self, args, kwargs):
        """Position or keyword of each operand in a call; None for one that is not given; (start,) for *arrays."""
        found = []
        for name in self.operands:
            if name == self.several:
                found.append((len(self.names),) if len(args) > len(self.names) else None)
            elif name in kwargs:
                found.append(name)
            else:
                index = self.names.index(name) if name in self.names else len(args)
                found.append(index if index < len(args) else None)
        return found


def _reads(function, name):
    """Whether a function uses its parameter."""
    code = function.__code__
    if name in code.co_cellvars:
        return True
    import dis
    return any(step.argval == name or (isinstance(step.argval, tuple) and name in step.argval)
               for step in dis.get_instructions(code) if step.opname.startswith("LOAD_FAST"))


_parameters: dict = {}


def parameters_of(rule):
    """The _Parameters of a rule."""
    found = _parameters.get(rule.function)
    if found is None:
        found = _parameters[rule.function] = _Parameters(rule)
    return found


# What rules ask of active arrays all the time: attributes.
_OF_SHAPE = {np.shape: "shape", np.ndim: "ndim", np.size: "size"}


def call_function(function, args, kwargs):
    """A function of NumPy called with active values among its arguments; what `__array_function__` does."""
    if function in _OF_SHAPE and len(args) == 1 and not kwargs and type(args[0]) is ActiveArray:
        return getattr(args[0], _OF_SHAPE[function])
    composed = COMPOSED.get(function)
    if composed is not None:
        return _with_out(composed, args, dict(kwargs))
    rule = RULES.get(function)
    if rule is not None:
        return _call_with_rule(function, rule, args, kwargs)
    if function in TRACKED or function in _PLAIN:
        return _without_derivative(function, args, kwargs)
    raise _unsupported(function)


def _without_derivative(function, args, kwargs):
    """A call whose result has derivative zero: plain, on a tape for replay recorded unless it depends on shapes alone."""
    if scalar.recording() and function in _TEXT:
        from ..errors import turned_into
        raise turned_into("text", f"{function.__name__}(x)")
    plain_args, plain_kwargs = active.plain_arguments(args, kwargs)
    result = function(*plain_args, **plain_kwargs)
    if not scalar.recording() or function in _PLAIN:
        return result
    return active.record_tracked(function, args, kwargs, result)


def _unsupported(function):
    place, code = user_line()
    name = _full_name(function)
    names = {_full_name(known): known for known in [*RULES, *COMPOSED]}
    import difflib
    near = difflib.get_close_matches(name, names, 1, 0.6)
    advice = f"the nearest function that has one is {near[0]}" if near else "write it with functions that have one"
    return TraceError(f"{code} at {place}: {name} has no derivative rule; {advice}, or pass fastad.stop_gradient(x)")


def _full_name(function):
    module = (getattr(function, "__module__", None) or "numpy").replace("numpy", "np", 1).split("._")[0]
    return f"{module}.{getattr(function, '__name__', function)}"


def _with_out(function, args, kwargs):
    out = kwargs.pop("out", None) if "out" in kwargs else None
    result = function(*args, **kwargs)
    return result if out is None else _into(out, result, getattr(function, "__name__", "the function"))


def _into(out, result, name, broadcast=False):
    """What `out=` does with a result, which has its shape or, with `broadcast`, is broadcast to it."""
    if isinstance(out, tuple):
        results = result if isinstance(result, tuple) else (result,)
        return tuple(r if o is None else _into(o, r, name, broadcast) for o, r in zip(out, results))
    if type(out) is not ActiveArray:
        from ..errors import turned_into
        raise turned_into("out", name)
    if broadcast and np.shape(result) != out.shape == np.broadcast_shapes(np.shape(result), out.shape):
        out[...] = result
        return out
    if np.shape(result) != out.shape:
        raise ValueError(f"output parameter for {name} has the wrong shape {out.shape}: the result has {np.shape(result)}")
    return active.assign(out, result)


def _call_with_rule(function, rule, args, kwargs):
    where = parameters_of(rule)
    result = active.call_simply(rule, where, args, kwargs)
    if result is not NotImplemented:
        return result
    if "out" in kwargs:
        return _with_out(lambda *a, **k: _call_with_rule(function, rule, a, k), args, dict(kwargs))
    if "overwrite_input" in kwargs:
        kwargs = {**kwargs, "overwrite_input": False}
    args = list(args)
    found = False
    for index, value in enumerate(args):
        if holds_active(value):
            name = where.name(index)
            if name == "out":
                out = args[index]
                args[index] = None
                return _into(out, _call_with_rule(function, rule, args, kwargs), function.__name__)
            if name in where.operands:
                found = True
                args[index] = _as_operand(function, where, name, value)
            elif name not in where.fixed:
                args[index] = _not_an_operand(function, name, value)
        elif isinstance(value, (list, tuple)) and where.name(index) in where.operands:
            args[index] = _as_operand(function, where, where.name(index), value)
        elif is_plain(value, np.ndarray) and type(value) is not np.ndarray:
            active.refuse_subclass(value)
    found = found or scalar.recording()
    for name, value in kwargs.items():
        if holds_active(value):
            if name in where.operands:
                found = True
                kwargs = {**kwargs, name: _as_operand(function, where, name, value)}
            elif name not in where.fixed:
                kwargs = {**kwargs, name: _not_an_operand(function, name, value)}
    plain_args, plain_kwargs = active.plain_arguments(args, kwargs)
    try:
        result = function(*plain_args, **plain_kwargs)
    except np.linalg.LinAlgError:
        if scalar.recording():
            # The user's function may catch it and go on: on other values it would not have.
            active.leave(active.record_tracked(fails, (function, *args), kwargs, np.True_))
        raise
    if not found:
        return result
    return active.record_call(rule, args, kwargs, where.places(args, kwargs), result, where.keeps_result)


def fails(function, *args, **kwargs):
    """True where a function says that there is no result for these values, as on the tape; elsewhere its result, which has another shape
    or type, as replays note.
    """
    try:
        return function(*args, **kwargs)
    except np.linalg.LinAlgError:
        return np.True_


def _as_operand(function, where, name, value):
    """An operand with arrays in place of the lists that stand for arrays."""
    if not isinstance(value, (list, tuple)) or function is np.block:
        return value
    if name in where.arrays:
        return array(value)
    if name != where.several:
        return [_as_array(entry) for entry in value]
    # np.einsum(x, [0, 1]) names axes by lists of whole numbers.
    return value if function is np.einsum and all(type(entry) in (int, type(...)) for entry in value) else array(value)


def _not_an_operand(function, name, value):
    """An active value given for a parameter by which a function has no derivative: TraceError unless it is a whole number."""
    if type(value) is Active and scalar.is_whole(value):
        return scalar.leave(value)
    if type(value) is ActiveArray and value.dtype.kind in "iub":
        return value
    if isinstance(value, (list, tuple)):
        return type(value)(_not_an_operand(function, name, entry) if holds_active(entry) else entry for entry in value)
    place, code = user_line()
    raise TraceError(f"{code} at {place}: {_full_name(function)} has no derivative by its argument {name!r}; pass a plain value "
                     "there, or fastad.stop_gradient(...) of it")


# ---- functions that need no rule -----------------------------------------------------------------------------------------------

_TEXT = {np.array_repr, np.array_str, np.array2string}
_PLAIN = {*_TEXT, np.iscomplexobj, np.isrealobj, np.shape, np.ndim, np.size, np.result_type, np.can_cast, np.common_type,
          np.min_scalar_type, np.broadcast_shapes, np.may_share_memory, np.shares_memory, np.einsum_path, np.diag_indices_from,
          np.tril_indices_from, np.triu_indices_from}


def _constant(function):
    """np.zeros_like and its kind: arrays without derivative, into which active values can be written."""
    def call(prototype, *args, **kwargs):
        (prototype, *args), kwargs = active.plain_arguments((prototype, *args), kwargs)
        result = function(prototype, *args, **kwargs)
        return active.constant_array(result) if result.dtype in (np.float64, np.float32) else result
    return call


for _function in (np.zeros_like, np.ones_like, np.empty_like):
    COMPOSED[_function] = _constant(_function)


def full_like(a, fill_value, dtype=None, order="K", subok=True, shape=None, *, device=None):
    """np.full_like, also of an active fill value."""
    new = np.empty_like(active.plain(a), dtype=dtype, order=order, shape=shape)
    if not holds_active(fill_value):
        new[...] = fill_value
        return active.constant_array(new) if new.dtype in (np.float64, np.float32) else new
    new[...] = 0
    new = active.constant_array(new)
    new[...] = fill_value
    return new


def copyto(dst, src, casting="same_kind", where=True):
    """np.copyto into an active array."""
    if type(dst) is not ActiveArray:
        _into(dst, src, "copyto")
    if where is True:
        dst[...] = src
    else:
        dst[...] = np.where(where, src, dst)


def put(a, ind, v, mode="raise"):
    """np.put into an active array."""
    if mode == "raise":
        ind = np.asarray(ind)
    else:
        ind = np.clip(ind, 0, a.size - 1) if mode == "clip" else np.remainder(ind, a.size)
    count = np.size(ind)
    a[np.unravel_index(np.reshape(np.where(ind < 0, ind + a.size, ind), -1), a.shape)] = np.resize(v, count)


def putmask(a, mask, values):
    """np.putmask on an active array."""
    a[...] = np.where(mask, np.reshape(np.resize(values, a.size), a.shape), a)


def place(arr, mask, vals):
    """np.place on an active array."""
    mask = np.asarray(mask, bool)
    arr[mask] = np.resize(vals, np.count_nonzero(mask))


def put_along_axis(arr, indices, values, axis=-1):
    """np.put_along_axis on an active array."""
    where = np.arange(arr.size).reshape(arr.shape)
    taken = np.take_along_axis(where if axis is not None else where.ravel(), indices, axis if axis is not None else 0)
    arr[np.unravel_index(taken, arr.shape)] = np.broadcast_to(values, taken.shape)


def fill_diagonal(a, val, wrap=False):
    """np.fill_diagonal on an active array."""
    marked = np.zeros(a.shape, bool)
    np.fill_diagonal(marked, True, wrap)
    places = np.flatnonzero(marked)
    a[np.unravel_index(places, a.shape)] = np.resize(val, places.size)


def where(condition, *choices):
    """np.where: with the condition alone the places where it holds, which have derivative zero."""
    if not choices:
        return _without_derivative(np.nonzero, (condition,), {})
    if is_active(condition) and scalar.recording():
        condition = condition if getattr(condition, "dtype", None) == np.bool_ else np.not_equal(condition, 0)
    if not scalar.recording():
        condition = active.plain(condition)
    return _call_with_rule(np.where, RULES[np.where], (condition, *choices), {})


def stack(arrays, axis=0, **kwargs):
    """np.stack, with a shorter way for scalars."""
    if not kwargs and axis in (0, -1) and isinstance(arrays, (list, tuple)) and arrays:
        result = active.array_of_scalars(arrays)
        if result is not None:
            return result
    return _call_with_rule(np.stack, RULES[np.stack], (arrays, axis), kwargs)


def pad(array, pad_width, mode="constant", **kwargs):
    """np.pad: its rule differentiates by the array; constant values that are active are filled in where they go."""
    constants = kwargs.get("constant_values", 0)
    if mode != "constant" or not holds_active(constants):
        return _call_with_rule(np.pad, RULES[np.pad], (array, pad_width, mode), kwargs)
    array = _as_array(array)
    if array.dtype not in (np.float64, np.float32):
        _not_an_operand(np.pad, "constant_values", constants)
    constants = np.broadcast_to(_as_array(constants), (array.ndim, 2))
    places = 1 + np.arange(2 * array.ndim).reshape(array.ndim, 2)
    which = np.pad(np.zeros(array.shape, int), pad_width, constant_values=places)
    chosen = np.take(np.reshape(constants, -1), np.maximum(which - 1, 0))
    return np.where(which > 0, chosen, np.pad(array, pad_width)).astype(array.dtype)


_HANDLERS = {np.stack: stack, np.pad: pad, np.full_like: full_like, np.copyto: copyto, np.put: put, np.putmask: putmask,
             np.place: place, np.put_along_axis: put_along_axis, np.fill_diagonal: fill_diagonal}
COMPOSED.update(_HANDLERS)


# ---- arrays of active values -----------------------------------------------------------------------------------------------

def array(nesting, dtype=None):
    """A nesting of lists and tuples of numbers and arrays, plain or active, as one array; active if something in it is.

    ValueError for ragged nestings, as np.array.
    """
    if type(nesting) is ActiveArray:
        return nesting.copy() if dtype is None else nesting.astype(dtype)
    if type(nesting) is Active:
        result = np.reshape(active.array_of_scalars([nesting]), ())
    elif not holds_active(nesting):
        return np.array(nesting, dtype)
    else:
        result = active.array_of_scalars(nesting)
        if result is not None:
            return result if dtype is None else result.astype(dtype)
        parts = [array(entry) if isinstance(entry, (list, tuple)) else entry for entry in nesting]
        shapes = {np.shape(part) for part in parts}
        if len(shapes) > 1:
            np.array([np.zeros(shape) for shape in map(np.shape, parts)])      # NumPy words the error
        result = np.stack(parts)
    return result if dtype is None else result.astype(dtype)


# ---- ufuncs ------------------------------------------------------------------------------------------------------------------

_FUNCTION_OF_UFUNC = {np.matmul: np.matmul}
for _name in ("vecdot", "matvec", "vecmat"):
    if hasattr(np, _name):
        _FUNCTION_OF_UFUNC[getattr(np, _name)] = getattr(np, _name)


def call_ufunc(ufunc, method, inputs, kwargs):
    """A ufunc, or one of its methods, with active operands; what `__array_ufunc__` does."""
    if not any(_is_array(x) for x in inputs) and "out" not in kwargs and method == "__call__":
        return scalar_ufuncs.call_ufunc(ufunc, method, inputs, kwargs)
    kwargs = dict(kwargs)
    if method == "at":
        return _at(ufunc, *inputs)
    out = kwargs.pop("out", (None,))
    name = f"{ufunc.__name__}.{method}" if method != "__call__" else ufunc.__name__
    if method == "__call__":
        result = _apply(ufunc, inputs, out, kwargs)
    elif method == "reduce":
        result = _fold(REDUCE, ufunc, name, inputs[0], *inputs[1:], **kwargs)
    elif method == "accumulate":
        result = _fold(ACCUMULATE, ufunc, name, inputs[0], *inputs[1:], **kwargs)
    elif method == "outer":
        x, y = (_as_array(x) for x in inputs)
        result = ufunc(np.reshape(x, np.shape(x) + (1,) * np.ndim(y)), y, **kwargs)
    elif method == "reduceat":
        result = _reduceat(ufunc, *inputs, **kwargs)
    else:
        raise _no_method(name)
    if all(o is None for o in out):
        return result
    result = _into(out, result, name, method == "__call__" and ufunc not in _FUNCTION_OF_UFUNC)
    return result[0] if len(result) == 1 else result


def _is_array(x):
    return type(x) is ActiveArray or isinstance(x, (list, tuple)) or (is_plain(x, np.ndarray) and x.ndim > 0)


def _as_array(x):
    return array(x) if isinstance(x, (list, tuple)) else x


def _no_method(name):
    place, code = user_line()
    return TraceError(f"{code} at {place}: {name} has no derivative rule; write it with functions that have one, or pass "
                      "fastad.stop_gradient(x)")


def _apply(ufunc, inputs, out, kwargs):
    """ufunc(*inputs, where=, dtype=, casting=)."""
    if ufunc in _FUNCTION_OF_UFUNC:
        return call_function(ufunc, inputs, kwargs)
    mask = kwargs.pop("where", True)
    dtype = kwargs.pop("dtype", None)
    kwargs.pop("casting", None)
    kwargs.pop("order", None)
    kwargs.pop("subok", None)
    if kwargs:
        raise _no_method(f"{ufunc.__name__} with {', '.join(kwargs)}")
    operands = [_as_array(x) for x in inputs]
    for x in operands:
        if is_plain(x, np.ndarray) and type(x) is not np.ndarray:
            active.refuse_subclass(x)
    if dtype is not None:
        operands = [x.astype(dtype) if hasattr(x, "astype") else x for x in operands]
    if mask is True:
        result = _elementwise(ufunc, operands)
        return result if dtype is None or not hasattr(result, "astype") else result.astype(dtype)
    if out[0] is None:
        place, code = user_line()
        raise TraceError(f"{code} at {place}: where= without out= leaves the other elements undefined; pass out=, or use "
                         "np.where")
    with np.errstate(all="ignore"):
        result = _elementwise(ufunc, operands)
    return np.where(mask, result, out[0])


def _elementwise(ufunc, operands):
    if not any(is_active(x) for x in operands):
        return ufunc(*operands)
    if ufunc in _SEVERAL:
        return _SEVERAL[ufunc](*operands)
    if ufunc.types and all(kind.split("->")[1] in _WHOLE for kind in ufunc.types):
        # Decisions about elements, exponents: derivative zero.
        return _without_derivative(ufunc, operands, {})
    if scalar.recording() and all(_is_whole(x) for x in operands):
        return _without_derivative(ufunc, operands, {})
    return partials.call(ufunc, operands)


def _is_whole(x):
    """Whether x is a whole number or a decision, or an array of them."""
    return is_plain(x, (int, np.integer, np.bool_)) or getattr(getattr(x, "dtype", None), "kind", "f") in "iub"


_WHOLE = {"?", "i", "l", "q", "b", "B"}


def _divmod(x, y):
    return np.floor_divide(x, y), np.remainder(x, y)


def _modf(x):
    whole, infinite = np.trunc(x), np.isinf(x)
    return np.where(infinite, np.copysign(0.0, active.stop_gradient(x)), x - np.where(infinite, 0.0, whole)), whole


def _frexp(x):
    exponent = _without_derivative(_exponent, (x,), {})
    return np.ldexp(x, -exponent), exponent


def _exponent(x):
    return np.frexp(x)[1]


def converted(x, dtype):
    """Plain values in another type, of which one is a whole number or a decision."""
    return np.asarray(x).astype(dtype)[()]


_SEVERAL = {np.divmod: _divmod, np.modf: _modf, np.frexp: _frexp}


def _fold(table, ufunc, name, x, axis=0, dtype=None, out=None, **kwargs):
    """ufunc.reduce or ufunc.accumulate as the function with a rule that computes it."""
    function = table.get(ufunc)
    if function is None:
        raise _no_method(name)
    if dtype is not None:
        kwargs["dtype"] = dtype
    return call_function(function, (_as_array(x),), {"axis": axis, **kwargs})


def _reduceat(ufunc, x, indices, axis=0, dtype=None):
    starts = np.asarray(indices)
    x = np.moveaxis(x, axis, 0)
    stops = [*starts[1:], len(x)]
    parts = [_fold(REDUCE, ufunc, ufunc.__name__, x[start:stop] if start < stop else x[start:start + 1])
             for start, stop in zip(starts, stops)]
    result = np.moveaxis(np.stack(parts), 0, axis)
    return result if dtype is None else result.astype(dtype)


def _at(ufunc, x, indices, *values):
    """ufunc.at, one element after the other where an index may occur several times."""
    if type(x) is not ActiveArray:
        _into(x, None, f"{ufunc.__name__}.at")
    where = np.arange(x.size).reshape(x.shape)[indices]
    at = np.unravel_index(where.reshape(-1), x.shape)
    if not values:
        values = ()
    else:
        values = (np.reshape(np.broadcast_to(values[0], where.shape), -1),)
    if np.unique(where).size == where.size:
        x[at] = ufunc(x[at], *values)
    elif ufunc in (np.add, np.subtract):
        total = partials.scatter_add(values[0], where.reshape(-1), (x.size,))
        x[...] = ufunc(x, np.reshape(total, x.shape))
    else:
        for k in range(where.size):
            one = tuple(i[k] for i in at)
            x[one] = ufunc(x[one], *(v[k] for v in values))


# ---- methods ---------------------------------------------------------------------------------------------------------------

def _astype(x, dtype, order="K", casting="unsafe", subok=True, copy=True):
    dtype = np.dtype(dtype)
    if dtype == x.dtype:
        return x.copy() if copy else x
    if dtype in (np.float64, np.float32) and x.dtype.kind == "f":
        return active.convert(x, dtype)
    if dtype.kind in "iub" or x.dtype.kind in "iub" and scalar.recording():
        return _without_derivative(converted, (x, dtype), {})
    place, code = user_line()
    raise TraceError(f"{code} at {place}: active arrays are float64 or float32, not {dtype}")


def _sort(x, axis=-1, kind=None, order=None, *, stable=None):
    x[...] = np.sort(x, axis=axis, kind=kind, stable=stable)


def _partition(x, kth, axis=-1, kind="introselect", order=None):
    x[...] = np.partition(x, kth, axis, kind)


def _fill(x, value):
    x[...] = value


def _reshape(x, *shape, order="C", copy=None):
    return np.reshape(x, shape[0] if len(shape) == 1 else shape, order=order)


def _transpose(x, *axes):
    if not axes or axes == (None,):
        return x.T
    axes = axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes
    return np.transpose(x, axes)


def _item(x, *index):
    if not index:
        if x.size != 1:
            raise ValueError("can only convert an array of size 1 to a Python scalar")
        return np.reshape(x, (1,))[0]
    if len(index) == 1 and not isinstance(index[0], tuple):
        return np.reshape(x, -1)[index[0]]
    return x[index[0] if len(index) == 1 else index]


def _tolist(x):
    return [entry.tolist() if type(entry) is ActiveArray else entry for entry in x] if x.ndim else x[()]


def _view(x, *args, **kwargs):
    if args or kwargs:
        place, code = user_line()
        raise TraceError(f"{code} at {place}: the bytes of an active array can not be read as another type; use astype")
    return x[...]


def _first(function):
    return lambda x, *args, **kwargs: function(x, *args, **kwargs)


_METHODS = {
    "astype": _astype, "sort": _sort, "partition": _partition, "fill": _fill, "reshape": _reshape, "transpose": _transpose,
    "item": _item, "tolist": _tolist, "view": _view, "copy": lambda x, order="C": np.copy(x),
    "flatten": lambda x, order="C": np.copy(np.ravel(x, order)), "conjugate": np.positive, "conj": np.positive,
    "put": put, "searchsorted": np.searchsorted,
    "compress": lambda x, condition, axis=None, out=None: np.compress(condition, x, axis=axis),
    "choose": lambda x, choices, out=None, mode="raise": np.choose(x, choices, mode=mode),
    "__array_namespace__": lambda x, api_version=None: np,
    "round": np.round,
}
for _name in ("sum prod mean std var max min argmax argmin argsort argpartition cumsum cumprod clip dot ravel repeat squeeze "
              "swapaxes take trace diagonal nonzero all any").split():
    _METHODS[_name] = _first(getattr(np, _name))


def _lost(name):
    def method(x, *args, **kwargs):
        from ..errors import turned_into
        raise turned_into("array", f"x.{name}()")
    return method


for _name in ("tobytes", "tofile", "dump", "dumps", "byteswap", "setflags", "resize"):
    _METHODS[_name] = _lost(_name)


def _method_of_scalar(x, name):
    """A method of np.float64: that of the array without dimensions, results without dimensions as scalars again."""
    method = _METHODS.get(name)
    if method is None or not hasattr(np.float64, name):
        raise AttributeError(f"active numbers have no attribute {name!r}")

    def of_array(*args, **kwargs):
        result = method(array(x), *args, **kwargs)
        return result[()] if type(result) is ActiveArray and result.ndim == 0 else result
    return of_array


COMPOSED[np.where] = where
active.set_protocol(partials.opcodes, call_ufunc, call_function, array, _METHODS)
scalar.set_array_hooks(ActiveArray, np.ndarray, np.dtype(np.float64), active.ufunc_of_scalar, call_function, active.compare, array,
                       _method_of_scalar)
partials.UFUNCS.find(np.add)
