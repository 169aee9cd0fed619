"""The elementals by name: applying them, and finding the row behind an opcode or a ufunc."""

import functools
import sys

from .core import scalar
from .table import ELEMENTARY, SPECIAL
from .table.generate import FIRST_OPCODE

_OPCODES = {op.name: FIRST_OPCODE + index for index, op in enumerate(ELEMENTARY)}
_SPECIAL_ROWS = {op.name: index for index, op in enumerate(SPECIAL)}
_PUBLIC_NAMES = {op.name: f"fastad.math.{op.math[0]}" if op.math else f"scipy.special.{op.scipy[0].partition(':')[0]}"
                 for op in SPECIAL if op.math or op.scipy}
_TAPE_NAMES = {0: "constant", 1: "input", 2: "extra", 4: "array", 5: "gather", 6: "put"}


def opcode_name(opcode, b=0):
    """The name of an instruction's operation; `b`, its second operand, tells the special ones apart."""
    if opcode == 3:
        return SPECIAL[b].name
    return _TAPE_NAMES.get(opcode) or ELEMENTARY[opcode - FIRST_OPCODE].name


@functools.cache
def scipy_special(name):
    """scipy.special; ImportError that says that `name`, a special row or another function, needs it, and what to install.

    Not before it is needed: SciPy takes long to import, and may be missing.
    """
    from . import _installation
    return _installation.scipy_special(_PUBLIC_NAMES.get(name, name))


@functools.cache
def register_special(name):
    """Registers the kernels of the special rows; not before one, `name`, is asked for."""
    scipy_special(name)
    try:
        from .core import special  # noqa: F401
    except (ImportError, TypeError) as error:
        from ._installation import explain
        explain(error)
        raise


def apply(name, *operands):
    """The elemental `name` of floats or active scalars (dimensionless): a float, or an active scalar if an operand is one.

    KeyError for an unknown name; TraceError where the partial by an active operand has no rule.
    """
    if name in _OPCODES:
        if any(type(operand) is scalar.Active for operand in operands):
            return scalar.apply(_OPCODES[name], *operands)
        return scalar.value_by_row(_OPCODES[name], *operands)
    index = _SPECIAL_ROWS[name]
    register_special(name)
    return scalar.apply_special(index, *operands)


def _elemental(op):
    if op.name in _OPCODES:
        opcode, arity = _OPCODES[op.name], op.arity

        def call(*operands):
            if len(operands) != arity:
                raise TypeError(f"{op.name} takes {arity} arguments, not {len(operands)}")
            return scalar.apply(opcode, *operands)
    else:
        def call(*operands):
            return apply(op.name, *operands)
    return call


def _outputs(calls):
    return lambda *operands: tuple(call(*operands) for call in calls)


def _add_namespace(table, module, rows_by_name):
    """Enters the ufuncs of a module by identity; `name:k` is output k of ufunc `name`."""
    several = {}
    for name, op in rows_by_name:
        name, _, output = name.partition(":")
        if output:
            several.setdefault(name, {})[int(output)] = _elemental(op)
        elif hasattr(module, name):
            table[getattr(module, name)] = _elemental(op)
    for name, calls in several.items():
        table[getattr(module, name)] = _outputs([calls[k] for k in sorted(calls)])


class UfuncTable:
    """What to do for a ufunc, by the ufunc object; the part of scipy.special is filled in once that is imported."""

    def __init__(self):
        self.calls = {}
        self.modules = set()

    def find(self, ufunc):
        """A function of the ufunc's operands, or None for a ufunc that has no row."""
        if ufunc not in self.calls:
            for module, attribute in (("numpy", "numpy"), ("scipy.special", "scipy")):
                if module in sys.modules and module not in self.modules:
                    rows = [(name, op) for op in ELEMENTARY + SPECIAL for name in getattr(op, attribute)]
                    _add_namespace(self.calls, sys.modules[module], rows)
                    # Last, so that another thread finds the module's ufuncs or fills them in itself.
                    self.modules.add(module)
        return self.calls.get(ufunc)


UFUNCS = UfuncTable()
