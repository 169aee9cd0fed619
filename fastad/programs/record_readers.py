"""Reading the array instructions of a path: for each kind a function of (PathReader, parts of the entry) that checks and makes
it.
"""

import math

import numpy as np

from ..arrays import active
from ..arrays.functions import converted, parameters_of
from ..arrays.rules.registry import RULES
from ..errors import FormatError
from ..table import ELEMENTARY, SPECIAL
from ..table.generate import FIRST_OPCODE
from .call_shapes import SHAPES, check_broadcast, shape_of
from .container import need, short
from .named_functions import CALLS_BY_NAME, ROWS, SPECIAL_ROWS, TRACKED_BY_NAME, ufunc_named
from .values import decode_value


def _read_input(path, out):
    need(type(out) is int and out >= 0, "an input is no array")
    path.out(out)
    path.is_input[out] = True
    return active.copy_record(None, out)


def _read_copy(path, x, out):
    x = path.operand(x)
    need(type(out) is int and out >= 0, "a copy has no array")
    check_broadcast([shape_of(x)], path.out(out)[0], "a copy", False)
    return active.copy_record(x, out)


def _read_constant(path, number, out):
    value = path.any_array(number)
    need(type(out) is int and out >= 0 and path.out(out) == (value.shape, value.dtype), "a constant has another shape or type")
    path.fixed[out] = True
    return active.constant_record(value, out)


def _row(path, rows, name, ufunc, operands, out, keeps):
    need(type(name) is str and name in rows and type(operands) is list and type(keeps) is bool, "no function of elements")
    op = (ELEMENTARY[ROWS[name] - FIRST_OPCODE] if rows is ROWS else SPECIAL[SPECIAL_ROWS[name]])
    need(len(operands) == op.arity, f"{name} has another number of operands")
    operands = [path.operand(x) for x in operands]
    result = path.out(out)
    check_broadcast([shape_of(x) for x in operands], result[0], name)
    path.converts(operands, result)
    return rows[name], ufunc_named(ufunc, op), operands, result


def _read_elementwise(path, name, ufunc, operands, out, keeps):
    op, ufunc, operands, result = _row(path, ROWS, name, ufunc, operands, out, keeps)
    return active.elementwise_record(op, ufunc, operands, out, result if out >= 0 else None, keeps)


def _read_special(path, name, ufunc, operands, out, keeps):
    row, ufunc, operands, _ = _row(path, SPECIAL_ROWS, name, ufunc, operands, out, keeps)
    return active.special_record(row, ufunc, operands, out, keeps)


def _read_assign(path, target, x):
    x = path.operand(x)
    path.made_by_writing(target)
    path.i += 1                      # the target may be what this instruction makes
    target = path.target(target)
    own = shape_of(x)
    while len(own) > len(target.layout[0]) and own[0] == 1:
        own = own[1:]
    check_broadcast([own], target.layout[0], "an assignment", False)
    return active.assign_record(target, x)


def _read_total(path, x, out):
    x = path.array_operand(x)
    path.work += math.prod(x.layout[0])
    need(path.out(out)[0] == (), "a sum has dimensions")
    return active.total_record(x, out)


def _selected(x, key, result):
    """Checks that elements of x at a key have the shape of the result."""
    indices = key if type(key) is tuple else (key,)
    need(0 < len(indices) <= len(x), "an index for more dimensions than there are")
    try:
        around = np.broadcast_shapes(*[index.layout[0] for index in indices])
    except ValueError:
        raise FormatError("an index of shapes that do not fit") from None
    need(around + x[len(indices):] == result, "a selection has another shape")


def _read_selection(path, x, key, out):
    x, key = path.array_operand(x), path.key(key)
    _selected(x.layout[0], key, path.out(out)[0])
    return active.selection_record(x, key, out)


def _read_add_at(path, target, key, x):
    target, x = path.target(target), path.array_operand(x)
    if key is None:
        need(x.layout == target.layout, "an addition of another shape or type")
        return active.add_at_record(target, None, x)
    key = path.key(key)
    _selected(target.layout[0], key, x.layout[0])
    return active.add_at_record(target, key, x)


def _read_guard(path, x, number):
    x, expected = path.array_operand(x), path.any_array(number)
    path.work += expected.size
    need(x.layout == (expected.shape, expected.dtype), "a guard expects another shape or type")
    return active.guard_record(x, expected)


def _arguments(path, args, kwargs):
    need(type(args) is list and type(kwargs) is dict, "a call without arguments")
    return [decode_value(x, path.operand) for x in args], {name: decode_value(x, path.operand) for name, x in kwargs.items()}


def _read_tracked(path, name, args, kwargs, out):
    need(type(name) is str and name in TRACKED_BY_NAME, f"no function {short(name)}")
    function = TRACKED_BY_NAME[name]
    args, kwargs = _arguments(path, args, kwargs)
    result = path.out(out)
    need(not kwargs, f"{name} has other arguments than a recording gives it")
    if function is converted:
        need(len(args) == 2 and isinstance(args[1], np.dtype) and shape_of(args[0]) == result[0] and args[1] == result[1],
             "a conversion has another shape or type")
    elif type(function) is np.ufunc:
        need(len(args) == function.nin and not any(isinstance(x, (list, tuple, str, bytes, np.dtype)) for x in args),
             f"{name} has other operands than a recording gives it")
        check_broadcast([shape_of(x) for x in args], result[0], name)
    else:
        need(len(args) == 1 and type(args[0]) is active.Operand and result[0] == (), f"{name} has another shape")
        path.work += math.prod(shape_of(args[0]))
    return active.tracked_record(function, args, kwargs, out)


def _read_call(path, name, args, kwargs, out, keeps):
    need(type(name) is str and name in CALLS_BY_NAME and type(keeps) is bool, f"no function {short(name)}")
    rule = RULES[CALLS_BY_NAME[name]]
    args, kwargs = _arguments(path, args, kwargs)
    result = path.out(out)
    try:
        arguments = rule.bind(args, kwargs).arguments
        found = SHAPES[name](path, **arguments)
    except (TypeError, ValueError, IndexError, AttributeError) as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(f"{name} has arguments that do not fit: {str(error)[:200]}") from None
    need(found == result[0], f"{name} has a result of another shape")
    path.converts(args, result)
    path.converts(kwargs.values(), result)
    return active.call_record(rule, args, kwargs, parameters_of(rule).places(args, kwargs), out, keeps)


# By kind: the function, and the length of an entry, of which the kind is the first part.
READERS = {
    "input": (_read_input, 2), "copy": (_read_copy, 3), "constant": (_read_constant, 3), "elementwise": (_read_elementwise, 6),
    "special": (_read_special, 6), "assign": (_read_assign, 3), "total": (_read_total, 3), "selection": (_read_selection, 4),
    "add at": (_read_add_at, 4), "guard": (_read_guard, 3), "tracked": (_read_tracked, 5), "call": (_read_call, 6),
}
