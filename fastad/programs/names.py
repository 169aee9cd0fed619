"""What a code object names: the names it reads, with the attributes it reads of them, and which of these give something else
each time.

    total = config.rate * np.random.default_rng().normal()
    names  ("global", "config", ("rate",)) and ("global", "np", ("random", "default_rng")), the latter called with no argument
"""

import builtins
import collections
import dis
import functools
import importlib
import sys
import types
from typing import Any, NamedTuple

import numpy as np

from ..errors import is_library_file

MISSING = object()
NUMBERS = (float, int, str, bytes, bool, type(None))


class Name(NamedTuple):
    """A name that code reads: where it is looked up ("global", "cell", "local" or "import"), and the attributes read of it."""

    kind: str
    name: str
    attributes: tuple[str, ...] = ()
    bare_call: bool = False          # whether what it gives is called without arguments

    def root(self, names: dict[str, Any], cells: dict[str, Any]) -> Any:
        """What the name itself stands for, MISSING if that is not known before the code runs."""
        if self.kind == "global":
            return names.get(self.name, getattr(builtins, self.name, MISSING))
        if self.kind == "import":
            if any(self.name == module for module, _ in (*_CLOCKS, *_ENTROPY)):
                return importlib.import_module(self.name)
            return sys.modules.get(self.name, MISSING)
        return cell_contents(cells[self.name]) if self.kind == "cell" and self.name in cells else MISSING


def cell_contents(cell: Any) -> Any:
    """What a closure cell holds; MISSING if it is empty."""
    try:
        return cell.cell_contents
    except ValueError:
        return MISSING


_ROOTS = {
    "LOAD_GLOBAL": "global", "LOAD_NAME": "global", "LOAD_DEREF": "cell", "LOAD_CLASSDEREF": "cell", "LOAD_CLOSURE": "cell",
    "LOAD_FAST": "local", "LOAD_FAST_BORROW": "local", "LOAD_FAST_CHECK": "local",
}


@functools.lru_cache(1024)
def names_of(code: types.CodeType) -> list[Name]:
    """All names that a code object reads, each once, but not those that functions inside it do."""
    found: list[Name] = []
    imported: dict[str, Name] = {}           # what local names were bound to by an import
    name: Name | None = None
    before = ""
    for step in dis.get_instructions(code):
        op = step.opname
        if op in ("LOAD_ATTR", "LOAD_METHOD", "IMPORT_FROM") and name is not None:
            name = name._replace(attributes=(*name.attributes, step.argval))
        elif op in ("PRECALL", "PUSH_NULL") and name is not None:
            continue
        else:
            if name is not None:
                if op in ("STORE_FAST", "STORE_DEREF", "STORE_NAME") and name.kind == "import":
                    # `import a.b` gives a.
                    imported[step.argval] = name if before == "IMPORT_FROM" else name._replace(name=name.name.partition(".")[0])
                found.append(name._replace(bare_call=op == "CALL" and step.arg == 0))
            if op in ("LOAD_FAST_LOAD_FAST", "LOAD_FAST_BORROW_LOAD_FAST_BORROW"):
                first, second = step.argval
                found.append(imported.get(first, Name("local", first)))
                name = imported.get(second, Name("local", second))
            elif op == "IMPORT_NAME":
                name = Name("import", step.argval)
            elif op in _ROOTS:
                name = imported.get(step.argval, Name(_ROOTS[op], step.argval))
            else:
                name = None
        before = op
    if name is not None:
        found.append(name)
    return list(dict.fromkeys(found))


# ---- what gives something else each time -------------------------------------------------------------------------------

# By module: functions, or types that are called.
_CLOCKS = (
    ("time", "time time_ns monotonic monotonic_ns perf_counter perf_counter_ns process_time process_time_ns thread_time "
             "thread_time_ns clock_gettime clock_gettime_ns localtime gmtime ctime strftime"),
    ("datetime", "datetime.now datetime.utcnow datetime.today date.today"),
)
_ENTROPY = (
    ("os", "urandom getrandom"), ("uuid", "uuid1 uuid4"), ("random", "SystemRandom"),
    ("secrets", "choice randbelow randbits token_bytes token_hex token_urlsafe"),
)
_GENERATORS = (
    ("numpy.random", "default_rng RandomState SeedSequence PCG64 PCG64DXSM MT19937 Philox SFC64"), ("random", "Random"),
)
_READING = (("builtins", "open input"), ("numpy", "load loadtxt genfromtxt fromfile memmap"))
_LOOKING_UP = (("builtins", "eval exec globals"),)


def unrepeatable(name: Name, names: dict[str, Any], cells: dict[str, Any]) -> str | None:
    """Why code that reads this name may give something else each time, as the end of "f ..."; None if nothing says so."""
    value = name.root(names, cells)
    for attribute in name.attributes:
        if not isinstance(value, (types.ModuleType, type)):
            break
        value = getattr(value, attribute, MISSING)
    if not callable(value):
        return None
    text = ".".join((name.name, *name.attributes))
    if _is_one_of(value, _READING):
        return f"it reads a file, or asks for input ({text}); pass what it finds as an argument"
    if _is_one_of(value, _CLOCKS):
        return f"it reads a clock ({text}); pass the time as an argument"
    if _is_one_of(value, _ENTROPY):
        return f"it asks the system for random numbers ({text}), which a replay can not"
    if _is_one_of(value, _LOOKING_UP):
        return f"it looks names up while it runs ({text}), which can not be followed"
    if name.bare_call and _is_one_of(value, _GENERATORS):
        return f"it makes a generator without a seed ({text}()), which a replay can not; give it a seed, or pass it as an argument"
    return None


def _is_one_of(value, table):
    """Whether a value is one of the functions of a table; modules that are not imported hold none."""
    found = _functions(table, tuple([module in sys.modules for module, _ in table]))
    # A method of a class, like datetime.now, is another object each time that it is looked up.
    return id(value) in found or isinstance(value, types.BuiltinFunctionType) and value in found.values()


@functools.cache
def _functions(table, imported):
    """By id, the functions of a table that the modules which are imported hold on this system."""
    found = {}
    for (module, names), is_there in zip(table, imported):
        for name in names.split() if is_there else ():
            *path, last = name.split(".")
            holder = functools.reduce(getattr, path, sys.modules[module])
            if hasattr(holder, last):
                f = getattr(holder, last)
                found[id(f)] = f
    return found


def reads_classes(name: Name) -> bool:
    """Whether code that reads this name can read attributes of classes by other ways than `object.name`."""
    return name.kind == "global" and name.name in ("super", "type", "getattr", "hasattr", "vars", "dir") \
        or any(x in ("__class__", "__dict__", "__getattribute__") for x in name.attributes)


# ---- what draws no random numbers --------------------------------------------------------------------------------------

_PLAIN_BUILTINS = frozenset(
    "abs all any bool complex dict divmod enumerate float frozenset int isinstance len list max min pow range reversed round set "
    "slice sorted str sum tuple zip".split())
_PLAIN_MODULES = ("math", "numpy", "numpy.linalg", "fastad", "fastad.math", "fastad.numpy")


def is_closed(name: Name, names: dict[str, Any], cells: dict[str, Any]) -> bool:
    """Whether a name that code reads, with the attributes it reads of it, gives nothing that draws random numbers."""
    if name.kind == "local":
        return True
    if name.kind == "cell":
        return name.name not in cells or draws_nothing(cell_contents(cells[name.name]))
    if name.kind != "global":
        return False
    value = names.get(name.name, MISSING)
    if value is MISSING:
        return name.name in _PLAIN_BUILTINS
    if isinstance(value, types.ModuleType):
        for attribute in name.attributes:
            if value.__name__ not in _PLAIN_MODULES:
                return False
            value = getattr(value, attribute, None)
            if not isinstance(value, types.ModuleType):
                return True
        return False
    return draws_nothing(value)


def draws_nothing(value: Any) -> bool:
    """Whether a value is data, or a function that is followed."""
    if isinstance(value, types.FunctionType):
        return not is_library_file(value.__code__.co_filename) and not value.__dict__
    return value is MISSING or type(value) in NUMBERS or type(value) is np.ndarray and not value.dtype.hasobject


# ---- lists that a function keeps a log in ------------------------------------------------------------------------------

_ADDING = ("append", "extend", "appendleft", "extendleft")


def logged_and_read(name: Name, value: Any) -> tuple[Any, Any]:
    """(list that the code adds to, list that it does something else with) by a name that stands for `value`; None for none."""
    for k, attribute in enumerate((*name.attributes, None)):
        if isinstance(value, (list, collections.deque)):
            return (value, None) if attribute in _ADDING and k + 1 == len(name.attributes) else (None, value)
        own = getattr(value, "__dict__", None)
        if attribute is None or not isinstance(own, (dict, types.MappingProxyType)) or attribute not in own:
            break
        value = own[attribute]
    return None, None
