"""The op table's rows on arrays: ufuncs by row, and the rules of the partials as functions of arrays, plain or active.

A rule is evaluated with NumPy's and SciPy's ufuncs; on active arrays each of them is recorded, which makes the rule
differentiable itself.
"""

import ast
import functools
import sys

import numpy as np

from .. import elementals
from ..core import scalar
from ..core.scalar import is_plain
from ..errors import TraceError, no_rule_by, user_line
from ..table import CONSTANTS, ELEMENTARY, OPERANDS, SPECIAL
from ..table.generate import FIRST_OPCODE
from . import active
from .rules.helpers import scatter_add, unbroadcast

_ELEMENTARY = {op.name: FIRST_OPCODE + index for index, op in enumerate(ELEMENTARY)}
_SPECIAL = {op.name: index for index, op in enumerate(SPECIAL)}
_ACTIVE = (active.ActiveArray, scalar.Active)
_ARRAYS = (active.ActiveArray, np.ndarray)


def is_active(x):
    """Whether x is an active array or scalar."""
    return type(x) in _ACTIVE


# ---- values ----------------------------------------------------------------------------------------------------------------

def _element_by_element(name):
    """A ufunc for a row that neither NumPy nor SciPy has."""
    opcode = _ELEMENTARY[name]
    arity = ELEMENTARY[opcode - FIRST_OPCODE].arity
    of_objects = np.frompyfunc(lambda *operands: scalar.value_by_row(opcode, *operands), arity, 1)

    def value(*operands):
        dtype = np.result_type(*operands)
        result = of_objects(*(np.asarray(x, float) for x in operands))
        return np.asarray(result, dtype if dtype.kind == "f" else float)[()]
    return value


def _mulz(x, y):
    """x y, 0 where a factor is 0."""
    v = np.multiply(x, y)
    spoiled = np.isnan(v)
    if np.any(spoiled):
        v = np.where(spoiled & (np.equal(x, 0) | np.equal(y, 0)), v.dtype.type(0), v)[()]
    return v


def _div0(x, y):
    """x / y, 0 where y is 0."""
    zero = np.equal(y, 0)
    return np.where(zero, np.result_type(x, y).type(0), np.divide(x, np.where(zero, np.result_type(y).type(1), y)))[()]


def _divz(x, y):
    """x / y, 0 where x is 0."""
    v = np.divide(x, y)
    return np.where(np.equal(x, 0), v.dtype.type(0), v)[()]


def _logz(x):
    """log(x), 0 where x is 0."""
    zero = np.equal(x, 0)
    return np.log(np.where(zero, np.result_type(x).type(1), x))[()]


def _gap(x, y):
    """x - y, 0 where they are equal, infinities too."""
    v = np.subtract(x, y)
    return np.where(np.equal(x, y), v.dtype.type(0), v)[()]


def _expit(x):
    """1 / (1 + exp(-x)): scipy.special's, without SciPy, as derivatives of np.logaddexp need it."""
    with np.errstate(over="ignore"):       # where the value is 0
        return 1.0 / (1.0 + np.exp(-x))


_OWN = {"mulz": _mulz, "div0": _div0, "divz": _divz, "logz": _logz, "gap": _gap, "expit": _expit, "stop_gradient": np.positive}


def _of_whole_orders(ufunc, order):
    """A ufunc that takes whole numbers as floats for its orders, as rules compute them, where its own are integers only."""
    if not order or not all(kind[k] in "ilq" for kind in ufunc.types for k in order):
        return ufunc
    return lambda *operands: ufunc(*(np.asarray(x).astype(int) if k in order else x for k, x in enumerate(operands)))


@functools.cache
def value_function(name):
    """What computes the values of a row for plain arrays: a ufunc, or a function like one."""
    op = ELEMENTARY[_ELEMENTARY[name] - FIRST_OPCODE] if name in _ELEMENTARY else SPECIAL[_SPECIAL[name]]
    if name in _OWN:
        return _OWN[name]
    if op.numpy and ":" not in op.numpy[0]:
        return getattr(np, op.numpy[0])
    if op.scipy:
        function, _, output = op.scipy[0].partition(":")
        function = getattr(elementals.scipy_special(name), function)
        return (lambda *operands: function(*operands)[int(output)]) if output else _of_whole_orders(function, op.order)
    if name in _ELEMENTARY:
        return _element_by_element(name)
    index = _SPECIAL[name]
    elementals.register_special(name)
    of_objects = np.frompyfunc(lambda *operands: scalar.apply_special(index, *operands), op.arity, 1)
    return lambda *operands: np.asarray(of_objects(*(np.asarray(x, float) for x in operands)), float)[()]


# ---- rows on active arrays ---------------------------------------------------------------------------------------------------

def apply(name, *operands, ufunc=None):
    """The row `name` of arrays and numbers, plain or active; `ufunc` computes its values where it is not the row's own."""
    if not any(is_active(x) for x in operands):
        return (ufunc or value_function(name))(*operands)
    if not any(isinstance(x, _ARRAYS) for x in operands):
        return elementals.apply(name, *operands)
    if name in _ELEMENTARY:
        return active.apply_row(_ELEMENTARY[name], ufunc or value_function(name), *operands)
    elementals.scipy_special(name)       # an old SciPy may have the ufunc, and not what its derivative needs
    return active.apply_special_row(_SPECIAL[name], ufunc or value_function(name), operands)


class _ToCalls(ast.NodeTransformer):
    """Powers as calls and calls as calls of rows: what Python would evaluate otherwise for plain numbers."""

    def visit_BinOp(self, operation):
        self.generic_visit(operation)
        if isinstance(operation.op, (ast.Pow, ast.Div)):
            name = "power" if isinstance(operation.op, ast.Pow) else "divide"
            return ast.Call(ast.Name(name, ast.Load()), [operation.left, operation.right], [])
        return operation


def _apply_in_rule(name, *operands):
    """A row as rules mean it: decisions are 0.0 and 1.0, of the operands' precision."""
    result = apply(name, *operands)
    if getattr(result, "dtype", None) != np.bool_:
        return result
    types = [x.dtype for x in operands if hasattr(x, "dtype")]
    if types and (dtype := np.result_type(*types)).kind == "f":
        return result * dtype.type(1)
    return float(result) if type(result) is np.bool_ else 1.0 * result


class _Rows(dict):
    """The names a rule may use: rows, found when first needed, and constants."""

    def __missing__(self, name):
        if name not in _ELEMENTARY and name not in _SPECIAL:
            raise KeyError(name)
        self[name] = functools.partial(_apply_in_rule, name)
        return self[name]


_NAMES = _Rows(CONSTANTS)
_OPERANDS = (*OPERANDS, "v")           # of a rule


def _compiled(op, k):
    """The partial by operand k as a function of (x, y, z, u, v); one that raises where it has no rule, None if it is zero."""
    name = "d" + OPERANDS[k]
    if name not in op.partials:
        return None
    rule = op.partials[name]
    if rule is None:
        def unknown(*_):
            raise no_rule_by(op.name, k)
        return unknown
    body = _ToCalls().visit(ast.parse(rule, mode="eval")).body
    names = {node.id for node in ast.walk(body) if isinstance(node, ast.Name)} - set(_OPERANDS)
    function = ast.Lambda(ast.arguments([], [ast.arg(operand) for operand in _OPERANDS], None, [], [], None, []), body)
    code = compile(ast.fix_missing_locations(ast.Expression(function)), f"<d{op.name}/d{OPERANDS[k]}>", "eval")
    return eval(code, {"__builtins__": {}, **{name: _NAMES[name] for name in names}})


@functools.cache
def rules_of(opcode):
    """The partials of an elementary row."""
    op = ELEMENTARY[opcode - FIRST_OPCODE]
    return [_compiled(op, k) for k in range(op.arity)]


@functools.cache
def rules_of_special(row):
    """The partials of a special row."""
    op = SPECIAL[row]
    return [_compiled(op, k) for k in range(op.arity)]


@functools.cache
def needs_of_special(row):
    """For each operand of a special row the names its partial uses."""
    op = SPECIAL[row]
    return [{node.id for node in ast.walk(ast.parse(op.partials.get("d" + OPERANDS[k]) or "0"))
             if isinstance(node, ast.Name)} for k in range(op.arity)]


def product(w, p):
    """w p in the dtype of w, 0 where a factor is 0: the product of the chain rule."""
    if is_plain(p, (int, float)) and p == p and abs(p) != np.inf:
        return w if p == 1.0 else w * p if p else None
    return apply("mulz", w, p)


active.set_rules(rules_of, rules_of_special, (product, unbroadcast, scatter_add, value_function("mulz")))


# ---- ufuncs ------------------------------------------------------------------------------------------------------------------

class _UfuncTable(dict):
    """The name of the row of a ufunc, or the names of its outputs' rows; SciPy's are filled in once it is imported."""

    def __init__(self):
        super().__init__()
        self.modules = set()

    def find(self, ufunc):
        if ufunc not in self:
            for module, attribute in (("numpy", "numpy"), ("scipy.special", "scipy")):
                if module in sys.modules and module not in self.modules:
                    self._enter(sys.modules[module], attribute)
                    self.modules.add(module)
        return self.get(ufunc)

    def _enter(self, module, attribute):
        outputs = {}
        for op in ELEMENTARY + SPECIAL:
            for name in getattr(op, attribute):
                name, _, output = name.partition(":")
                ufunc = getattr(module, name, None)
                if ufunc is None:
                    continue
                if output:
                    outputs.setdefault(ufunc, {})[int(output)] = op.name
                else:
                    self[ufunc] = op.name
                    if op.name in _ELEMENTARY:
                        opcodes[ufunc] = _ELEMENTARY[op.name]
        for ufunc, names in outputs.items():
            self[ufunc] = tuple(names[k] for k in sorted(names))


# Opcodes of the ufuncs that are an elementary row, for the protocol's short way.
opcodes: dict = {}
UFUNCS = _UfuncTable()


def call(ufunc, operands):
    """A ufunc of arrays and numbers of which one is active; TraceError if it has no row."""
    name = UFUNCS.find(ufunc)
    if name is None:
        place, code = user_line()
        raise TraceError(f"{code} at {place}: {ufunc.__name__} has no derivative rule; write it with functions that have one, or "
                         "pass fastad.stop_gradient(x)")
    if isinstance(name, tuple):
        return tuple(apply(output, *operands, ufunc=(lambda *a, k=k: ufunc(*a)[k])) for k, output in enumerate(name))
    return apply(name, *operands, ufunc=ufunc)
