"""What a function has captured: closure cells, defaults, globals and attributes that its code names.

Numbers and objects are compared by identity before every replay; one that was rebound makes the program record anew. Followed are
the functions that the function calls by such names, and attributes of what it has captured as far as the code spells them out
(`config.rate`, `self.scale`); libraries are left out.
"""

import dis
import sys
import types
from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import is_library_file

_MISSING = object()
_LIMIT = 2000          # names looked at; what is beyond is not watched


class Captures:
    """The captured values of a function: (container, key, value) of everything that can be rebound."""

    def __init__(self, f: Callable[..., Any]):
        self.entries: list[tuple[Any, Any, Any]] = []
        self._seen: set[Any] = set()
        self._visit_callable(f)

    def changed(self) -> bool:
        """Whether something was rebound."""
        for container, key, value in self.entries:
            now = _look_up(container, key)
            if now is not value and not (type(now) in (float, int, str, bool) and type(now) is type(value) and now == value):
                return True
        return False

    def generators(self) -> list[tuple[Any, Any, Any]]:
        """The entries that are NumPy Generators."""
        return [entry for entry in self.entries if isinstance(entry[2], np.random.Generator)]

    def replace_generators(self, stand_in: Callable[[Any], Any]) -> Callable[[], None] | None:
        """Puts `stand_in(generator)` where generators are; returns what puts them back."""
        places = self.generators()
        if not places:
            return None
        new = {id(value): stand_in(value) for _, _, value in places}
        for container, key, value in places:
            _put(container, key, new[id(value)])

        def undo() -> None:
            for container, key, value in places:
                _put(container, key, value)
        return undo

    # Following names.

    def _note(self, container, key, value):
        if (id(container), key) in self._seen or len(self.entries) >= _LIMIT:
            return False
        self._seen.add((id(container), key))
        self.entries.append((container, key, value))
        return True

    def _visit_callable(self, f, bound=_MISSING):
        if isinstance(f, types.MethodType):
            f, bound = f.__func__, f.__self__
        while not isinstance(f, types.FunctionType):
            inner = getattr(f, "func", None) or getattr(f, "__wrapped__", None)
            if inner is None:
                return
            if isinstance(inner, types.MethodType):
                inner, bound = inner.__func__, inner.__self__
            f = inner
        if is_library_file(f.__code__.co_filename) or id(f) in self._seen:
            return
        self._seen.add(id(f))
        self._note(f, "__defaults__", f.__defaults__)
        self._note(f, "__kwdefaults__", f.__kwdefaults__)
        self._note(f, "__code__", f.__code__)
        cells = dict(zip(f.__code__.co_freevars, f.__closure__ or ()))
        self._visit_code(f.__code__, f.__globals__, cells, bound)

    def _visit_code(self, code, names, cells, bound):
        first = code.co_varnames[0] if code.co_argcount and bound is not _MISSING else None
        for chain in _chains(code):
            root, *attributes = chain
            kind, name = root
            if kind == "global":
                value = names.get(name, _MISSING)
                if value is not _MISSING:
                    self._visit_value(names, name, value, attributes)
            elif kind == "cell" and name in cells:
                self._visit_value(cells[name], "cell_contents", _look_up(cells[name], "cell_contents"), attributes)
            elif kind == "local" and name == first:
                self._visit_attributes(bound, attributes)
        for constant in code.co_consts:
            if isinstance(constant, types.CodeType):
                self._visit_code(constant, names, cells, _MISSING)

    def _visit_value(self, container, key, value, attributes):
        if value is _MISSING or _is_library(value):
            return
        self._note(container, key, value)
        if isinstance(value, (list, dict)) and len(value) <= 64:
            # Numbers in a small container count as captured one by one.
            for k, entry in (value.items() if isinstance(value, dict) else enumerate(value)):
                if isinstance(entry, (int, float, str, np.ndarray, np.generic)):
                    self._note(value, ("item", k), entry)
        if callable(value) and not isinstance(value, type):
            self._visit_callable(value)
            call = getattr(type(value), "__call__", None)
            if isinstance(call, types.FunctionType) and not attributes:
                self._visit_callable(call, value)
        if attributes:
            self._visit_attributes(value, attributes)

    def _visit_attributes(self, holder, attributes):
        """Follows holder.a.b through instance and module dictionaries, and methods through classes."""
        name, *rest = attributes or (None,)
        if name is None:
            return
        own = getattr(holder, "__dict__", None)
        if isinstance(own, dict) and name in own:
            self._visit_value(own, name, own[name], rest)
            return
        for kind in type(holder).__mro__:
            if name in kind.__dict__:
                value = kind.__dict__[name]
                if isinstance(value, types.FunctionType):
                    self._visit_callable(value, holder)
                elif isinstance(value, types.MemberDescriptorType):      # __slots__
                    found = getattr(holder, name, _MISSING)
                    if found is not _MISSING:
                        self._note(holder, name, found)
                elif isinstance(value, property):
                    if value.fget is not None:
                        self._visit_callable(value.fget, holder)
                elif not callable(value):
                    self._note(kind, name, value)
                return


def _look_up(container, key):
    if type(container) is dict:
        return container.get(key if type(key) is not tuple else key[1], _MISSING)
    if type(key) is tuple:
        try:
            return container[key[1]]
        except (LookupError, TypeError):
            return _MISSING
    try:
        return getattr(container, key, _MISSING)
    except ValueError:                 # an empty cell
        return _MISSING


def _put(container, key, value):
    if type(container) is dict:
        container[key if type(key) is not tuple else key[1]] = value
    elif type(key) is tuple:
        container[key[1]] = value
    else:
        setattr(container, key, value)


def _is_library(value):
    if isinstance(value, types.ModuleType):
        file = getattr(value, "__file__", None)
        return file is None or is_library_file(file) or "site-packages" in file or value.__name__ in sys.stdlib_module_names
    return False


def _chains(code):
    """Names that a code object reads, each with the attributes read of it: [("global", "config"), "rate"]."""
    chain: list[Any] = []
    for step in dis.get_instructions(code):
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            new = ("global", step.argval)
        elif step.opname in ("LOAD_DEREF", "LOAD_CLASSDEREF"):
            new = ("cell", step.argval)
        elif step.opname in ("LOAD_FAST", "LOAD_FAST_BORROW", "LOAD_FAST_CHECK"):
            new = ("local", step.argval)
        elif step.opname in ("LOAD_ATTR", "LOAD_METHOD") and chain:
            chain.append(step.argval)
            continue
        else:
            new = None
        if chain:
            yield chain
        chain = [new] if new is not None else []
    if chain:
        yield chain
