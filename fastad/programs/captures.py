"""What a function has captured: closure cells, defaults, globals and attributes that its code names, and what these hold.

Numbers and objects are compared by identity before every replay; one that was rebound makes the program record anew. Followed are
the functions that the function calls by such names, and the attributes and entries of the user's objects, lists, tuples, dicts
and sets, at any depth; libraries are left out. The elements of arrays are compared with what they were: those that take part in
active arithmetic are read live, but plain work may have made a number or a decision of them.
"""

import array
import collections
import collections.abc
import contextvars
import functools
import io
import operator
import random
import sys
import threading
import types
import weakref
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ..arrays.active import ActiveArray
from ..core.scalar import Active
from ..errors import is_library_file
from .code import Contents
from .names import MISSING, NUMBERS, cell_contents, draws_nothing, is_closed, logged_and_read, names_of, reads_classes, unrepeatable

_LIMIT = 20000         # names and entries looked at; what is beyond is not watched
_STREAMS = (np.random.Generator, np.random.RandomState, random.Random)


class Captures:
    """The captured values of a function: (container, key, value) of everything that can be rebound.

    A container that is a dict has the value at its key, or at key[1] if the key is a tuple; any other has it as its attribute of
    this name, or as container[key[1]] if the key is a tuple.
    """

    def __init__(self, f: Callable[..., Any] | None, arguments: Iterable[Any] = ()):
        self.entries: list[tuple[Any, Any, Any]] = []
        self.streams: list[Any] = []                # whatever gives random numbers
        self.hidden: list[Any] = []                 # those of them that nothing can stand in for
        # Whether all code that the function calls is followed, or known to draw no random numbers; not so for methods of arguments.
        self.closed = f is not None
        self.unrepeatable: str | None = None        # why f gives something else each time, if it names what does
        self._seen: set[Any] = set()
        self._kept: list[Any] = []                  # what is known by its id
        self._generators: list[tuple[Any, Any, Any]] = []
        self._contents: list[_Contents] = []
        self._arrays: list[np.ndarray[Any, Any]] = []
        self._logs: dict[int, Any] = {}             # lists that the code adds to by name
        self._read: dict[int, Any] = {}             # lists that it does something else with
        self._by_class = False                      # whether it may read attributes of classes that it does not name
        self._count = 0
        for argument in arguments:
            self._visit_object(argument)
        if f is not None:
            self._visit_callable(f)
        self._visit_classes()
        self.contents = Contents(self._arrays)      # their elements
        self.closed = self.closed and self._count < _LIMIT

    def changed(self) -> bool:
        """Whether something was rebound."""
        for container, key, value in self.entries:
            now = _look_up(container, key)
            if now is not value and not _same_number(now, value):
                return True
        return False

    def settle(self) -> None:
        """Takes logs as they are now, lists that the function adds to and nothing else: called when it has been recorded."""
        for contents in self._contents:
            if id(contents.container) in self._logs and id(contents.container) not in self._read:
                contents.settle()

    def holds(self, x: Any) -> bool:
        """Whether an object is one of those that the function has captured."""
        return any(x is kept for kept in self._kept) or any(x is value for _, _, value in self.entries)

    def replace_generators(self, stand_in: Callable[[Any], Any]) -> Callable[[], None] | None:
        """Puts `stand_in(generator)` where generators are; returns what puts them back."""
        places = self._generators
        if not places:
            return None
        new = {id(value): stand_in(value) for _, _, value in places}
        for container, key, value in places:
            _put(container, key, new[id(value)])

        def undo() -> None:
            for container, key, value in places:
                if _look_up(container, key) is new[id(value)]:
                    _put(container, key, value)
        return undo

    # Following names.

    def _first(self, x):
        """Whether x is met for the first time."""
        if id(x) in self._seen or self._count >= _LIMIT:
            return False
        self._seen.add(id(x))
        self._kept.append(x)
        return True

    def _note(self, container, key, value):
        if (id(container), key) in self._seen or self._count >= _LIMIT:
            return
        self._count += 1
        self._seen.add((id(container), key))
        self.entries.append((container, key, value))
        self._note_generator(container, key, value)

    def _note_generator(self, container, key, value):
        if type(value) is np.random.Generator:
            self._generators.append((container, key, value))
            if all(value is not stream for stream in self.streams):
                self.streams.append(value)

    def _visit_callable(self, f, bound=MISSING):
        if isinstance(f, types.MethodType):
            f, bound = f.__func__, f.__self__
        while not isinstance(f, types.FunctionType):
            self.closed = False
            call = getattr(type(f), "__call__", None)               # noqa: B004
            if not isinstance(f, type) and isinstance(call, types.FunctionType) and _is_data(f):
                self._visit_contents(f)
                f, bound = call, f
                continue
            self._visit_contents(f)
            inner = getattr(f, "func", None) or getattr(f, "__wrapped__", None)
            if inner is None:
                return
            if isinstance(inner, types.MethodType):
                inner, bound = inner.__func__, inner.__self__
            f = inner
        if is_library_file(f.__code__.co_filename):
            return
        if bound is not MISSING:
            self._visit_contents(bound)
        if (id(f), id(bound)) in self._seen:
            return
        self._seen.add((id(f), id(bound)))
        self._kept.append((f, bound))
        self._note(f, "__defaults__", f.__defaults__)
        self._note(f, "__kwdefaults__", f.__kwdefaults__)
        self._note(f, "__code__", f.__code__)
        self.closed = self.closed and bound is MISSING and all(
            draws_nothing(x) for x in (*(f.__defaults__ or ()), *(f.__kwdefaults__ or {}).values()))
        self._visit_contents(f.__defaults__)
        self._visit_contents(f.__kwdefaults__)
        cells = dict(zip(f.__code__.co_freevars, f.__closure__ or ()))
        first = f.__code__.co_varnames[0] if f.__code__.co_argcount and bound is not MISSING else None
        self._visit_code(f.__code__, f.__globals__, cells, first, bound)

    def _visit_code(self, code, names, cells, first, bound):
        """`first` is what the code calls the instance `bound`, which functions inside it have as a cell."""
        for one in names_of(code):
            self.closed = self.closed and is_closed(one, names, cells)
            self.unrepeatable = self.unrepeatable or unrepeatable(one, names, cells)
            kind, name, attributes = one.kind, one.name, one.attributes
            value = bound if name == first and kind in ("local", "cell") else one.root(names, cells)
            added, read = logged_and_read(one, value)
            self._by_class = self._by_class or reads_classes(one)
            self._logs[id(added)] = added
            self._read[id(read)] = read
            if kind == "global":
                if name in names:
                    self._visit_value(names, name, value, attributes)
            elif kind == "cell" and name in cells:
                self._visit_value(cells[name], "cell_contents", value, attributes)
            elif name == first:
                self._visit_attributes(bound, attributes)
        for constant in code.co_consts:
            if isinstance(constant, types.CodeType):
                own = first if first in constant.co_freevars else None
                self._visit_code(constant, names, cells, own, bound)

    def _visit_value(self, container, key, value, attributes):
        if value is MISSING or _is_library(value):
            return
        self._note(container, key, value)
        self._visit_object(value)
        if attributes:
            self._visit_attributes(value, attributes)

    def _visit_object(self, value):
        """Follows what a value holds, and its code."""
        self._visit_contents(value, True)
        if isinstance(value, type):
            self._visit_class(value)
        elif callable(value):
            self._visit_callable(value)

    def _visit_class(self, kind):
        """Follows the methods of a class of the user's, of which the function may make instances."""
        for base in kind.__mro__:
            if not _is_data_type(base) or not self._first(base):
                continue
            for name, value in list(base.__dict__.items()):
                value = value.__func__ if isinstance(value, (staticmethod, classmethod)) else value
                if isinstance(value, types.FunctionType):
                    self._visit_callable(value)
                elif isinstance(value, property) and value.fget is not None:
                    self._visit_callable(value.fget)
                elif not name.startswith("__") and getattr(base, name, MISSING) is value:
                    self._note(base, name, value)
                    self._visit_contents(value, True)

    def _visit_classes(self):
        """Follows the classes of all objects, where code reads attributes by other ways than `object.name`."""
        seen = 0
        while self._by_class and seen < len(self._kept):
            value = self._kept[seen]
            seen += 1
            if _is_data(value):
                self._visit_class(type(value))

    def _visit_contents(self, value, replaced=False):
        """Follows the entries of a container and the attributes of an object of the user's.

        `replaced`: it stands where a generator can be replaced while the function is recorded.
        """
        if isinstance(value, _STREAMS):
            if not replaced or type(value) is not np.random.Generator:
                self.hidden.append(value)
            self.streams.append(value)
            return
        if type(value) in NUMBERS or isinstance(value, (np.generic, types.ModuleType, type)) or type(value) in (Active, ActiveArray) or not self._first(value):
            return
        if isinstance(value, np.ndarray):
            if value.dtype.kind in "biufc":
                self._arrays.append(value)
            else:
                self._note_contents(value)
            if type(value) is not np.ndarray:           # the mask of a masked array
                self._visit_contents(getattr(value, "__dict__", None))
            return
        if isinstance(value, functools.partial):
            for part in (*value.args, *value.keywords.values()):
                self._visit_contents(part)
            self._visit_callable(value.func)
        elif isinstance(value, types.BuiltinMethodType) and isinstance(value.__self__, _STREAMS):
            self._visit_contents(value.__self__)
        elif isinstance(value, types.MethodType):
            self._visit_contents(value.__self__)
        elif isinstance(value, (dict, types.MappingProxyType, list, collections.deque)):
            self._note_contents(value)
            for key, entry in list(enumerate(value) if isinstance(value, (list, collections.deque)) else value.items()):
                self._note_generator(value, ("item", key), entry)
                self._visit_entry(entry)
        elif isinstance(value, (tuple, frozenset)):
            for entry in value:
                self._visit_entry(entry, False)
        elif isinstance(value, (set, bytearray, memoryview, array.array)):
            self._note_contents(value)
        elif isinstance(value, (type({}.keys()), type({}.values()), type({}.items()))):
            self._visit_contents(value.mapping)
        elif isinstance(value, (contextvars.ContextVar, weakref.ref)):
            self._note(_Present(value), ("item", None), _Present(value)[None])
            self._visit_object(_Present(value)[None])
        elif isinstance(value, threading.local):
            for name, found in vars(value).items():
                self._note(value, name, found)
                self._visit_entry(found)
        elif isinstance(value, collections.abc.Iterator) and not isinstance(value, io.IOBase):
            self.unrepeatable = "it has captured an iterator, which gives something else each time"
        elif _is_data(value):
            own = getattr(value, "__dict__", None)
            if type(own) is dict:
                self._visit_contents(own, True)
            for kind in type(value).__mro__:
                for name, member in list(kind.__dict__.items()):
                    if isinstance(member, types.MemberDescriptorType):      # __slots__
                        found = getattr(value, name, MISSING)
                        if found is not MISSING:
                            self._note(value, name, found)
                            self._visit_entry(found)
                    elif isinstance(member, types.FunctionType) and name.startswith("__") and name not in ("__init__", "__new__"):
                        self._visit_callable(member, value)                 # what operators call

    def _visit_entry(self, entry, replaced=True):
        self._visit_contents(entry, replaced)
        if isinstance(entry, (types.FunctionType, types.MethodType)):
            self._visit_callable(entry)

    def _note_contents(self, container):
        contents = _Contents(container)
        self._contents.append(contents)
        self._count += len(contents.held)
        self.entries.append((contents, ("item", None), True))

    def _visit_attributes(self, holder, attributes):
        """Follows holder.a.b through instance and module dictionaries, and methods through classes."""
        name, *rest = attributes or (None,)
        if name is None or _is_library(holder):
            return
        own = getattr(holder, "__dict__", None)
        if isinstance(own, dict) and name in own:
            if isinstance(holder, types.ModuleType):
                self._visit_value(own, name, own[name], rest)
            else:
                self._visit_object(own[name])
                self._visit_attributes(own[name], rest)
            return
        for kind in holder.__mro__ if isinstance(holder, type) else type(holder).__mro__:
            if name in kind.__dict__:
                value = kind.__dict__[name]
                if isinstance(value, staticmethod):
                    self._visit_callable(value.__func__)
                elif isinstance(value, classmethod):
                    self._visit_callable(value.__func__, holder if isinstance(holder, type) else type(holder))
                elif isinstance(value, types.FunctionType):
                    self._visit_callable(value, holder)
                elif isinstance(value, property):
                    if value.fget is not None:
                        self._visit_callable(value.fget, holder)
                elif isinstance(value, types.MemberDescriptorType):
                    self._visit_attributes(getattr(holder, name, MISSING), rest)
                elif _is_data(value) and hasattr(type(value), "__get__"):
                    self._visit_contents(value)
                    self._visit_class(type(value))
                elif _is_data_type(kind) and getattr(kind, name, MISSING) is value:
                    self._visit_value(kind, name, value, rest)
                return
        if isinstance(holder, type):
            self._visit_attributes_of_type(holder, type(holder), name)
        else:
            self._visit_attributes_of_type(holder, type(holder), "__getattr__")

    def _visit_attributes_of_type(self, holder, kind, name):
        """Follows what a metaclass has for a class, or `__getattr__` of a class for its instances."""
        for base in kind.__mro__:
            found = base.__dict__.get(name)
            found = found.fget if isinstance(found, property) else found
            if isinstance(found, types.FunctionType):
                self._visit_callable(found, holder)
                return


class _Present:
    """What a context variable or a weak reference stands for now, as an entry."""

    __slots__ = ("place",)

    def __init__(self, place):
        self.place = place

    def __getitem__(self, _):
        return self.place() if isinstance(self.place, weakref.ref) else self.place.get(MISSING)


class _Contents:
    """What a list, deque, dict, set, buffer or array of no numbers held: self[...] is whether it still does."""

    __slots__ = ("container", "held", "keys")

    def __init__(self, container):
        self.container = container
        self._take()

    def _take(self):
        container = self.container
        is_dict = isinstance(container, _DICTS)
        self.keys = list(container) if is_dict else None
        self.held = list(container.values()) if is_dict else \
            frozenset(container) if isinstance(container, set) else \
            _elements(container) if isinstance(container, _BUFFERS) else list(container)

    def __getitem__(self, _):
        container, held = self.container, self.held
        if isinstance(container, _BUFFERS):
            container = _elements(container)
        if len(container) != len(held):
            return False
        if isinstance(container, set):
            return container == held
        if isinstance(container, _DICTS):
            if not all(map(operator.is_, container, self.keys)) and list(container) != self.keys:
                return False
            container = container.values()
        return all(map(operator.is_, container, held)) or all(
            now is then or _same_number(now, then) for now, then in zip(list(container), held))

    def settle(self):
        container = self.container
        if isinstance(container, (list, collections.deque)) and len(container) > len(self.held) \
                and all(map(operator.is_, container, self.held)):
            self._take()


_DICTS = (dict, types.MappingProxyType)
_BUFFERS = (np.ndarray, bytearray, memoryview, array.array)


def _elements(buffer):
    if isinstance(buffer, np.ndarray) and buffer.dtype.hasobject:
        return buffer.ravel().tolist()
    return [bytes(buffer) if isinstance(buffer, bytearray) else buffer.tobytes()]


def _same_number(x, y):
    """Whether two numbers, or texts, are of one type and value; 0.0 and -0.0 are not."""
    return type(x) is type(y) and type(x) in NUMBERS and x == y and (x != 0 or str(x) == str(y))


def _look_up(container, key):
    if type(container) is dict:
        return container.get(key if type(key) is not tuple else key[1], MISSING)
    if type(key) is tuple:
        try:
            return container[key[1]]
        except (LookupError, TypeError):
            return MISSING
    return cell_contents(container) if type(container) is types.CellType else getattr(container, key, MISSING)


def _put(container, key, value):
    if type(container) is dict:
        container[key if type(key) is not tuple else key[1]] = value
    elif type(key) is tuple:
        container[key[1]] = value
    else:
        setattr(container, key, value)


def _is_library(value):
    return isinstance(value, types.ModuleType) and _is_library_module(value)


def _is_library_module(module):
    file = getattr(module, "__file__", None)
    return file is None and module.__name__ != "__main__" or file is not None and (
        is_library_file(file) or "site-packages" in file or module.__name__.partition(".")[0] in sys.stdlib_module_names)


# Library classes that do nothing but hold what the user gave them.
_HOLDERS = ("types.SimpleNamespace", "argparse.Namespace", "collections.UserDict", "collections.UserList", "collections.ChainMap")


def _is_data_type(kind):
    """Whether a class is the user's, or one that does nothing but hold attributes."""
    if f"{kind.__module__}.{kind.__qualname__}" in _HOLDERS:
        return True
    if kind.__module__ in ("builtins", "typing", "abc") or not kind.__flags__ & (1 << 9):      # a type of C's
        return False
    module = sys.modules.get(kind.__module__)
    return module is None or not _is_library_module(module)


def _is_data(value):
    """Whether the attributes of an object are followed: one of the user's classes."""
    return _is_data_type(type(value)) and not isinstance(value, types.FunctionType)
