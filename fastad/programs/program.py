"""Programs: a function recorded once per path and replayed, with guards where it decided something.

    F(x) ──▶ Arguments (key, inputs) ──▶ Paths (one per key) ──▶ Code of the path taken last ──replay──▶ result
                                            ▲                        │ a guard does not hold
                                            └── f runs again ◀── no ─┴─ is a sibling known for what it found? ── yes ──▶ go on
"""

import functools
import os
import pickle
import threading
from collections.abc import Callable, Sequence
from typing import Any, overload

import numpy as np

from .. import debugging, transforms
from ..core import scalar
from ..errors import GuardError
from ..pytrees import NUMBER, unflatten
from . import calls, derivatives
from .captures import Captures
from .code import Plain, Replayed, Shortcut
from .derivatives import Chosen
from .paths import PATIENCE, Paths, RunEagerly
from .signature import Arguments

MAX_INSTANCES = 64       # of a class whose method is a program, for which paths are kept

_SCALARS = (float, scalar.Active)


class Program(Replayed):
    """A function that is recorded and replayed; made by `fastad.record`, or without its source by `fastad.load`."""

    is_program: bool = True        # what the transforms ask: they replay it

    def __init__(self, f: Callable[..., Any] | None, fast_math: bool = False):
        self._f = f
        self._fast_math = fast_math
        self._name = transforms._name(f) if f is not None else "a program"
        self._captures: Captures | None = None
        self._paths: dict[Any, Paths] = {}
        self._lock = threading.RLock()
        self._bound: dict[int, Program] = {}
        self._forms: list[Any] = []       # of results, by the numbers that call instructions know them by
        self._short: set[int] = set()     # numbers of arguments, all scalars, with which it is too short for an instruction
        self._derivatives: dict[Any, Any] = {}
        self._rebound = 0                 # times in a row that captured values had changed before a single replay
        if f is not None:
            functools.update_wrapper(self, f, updated=())

    # ---- which paths ----

    def _find(self, arguments):
        """The Paths of a call."""
        with self._lock:
            if self._f is not None:
                if self._captures is None:
                    self._captures = Captures(self._f)
                elif self._captures.changed():
                    # A function that rebinds what it has captured is recorded in vain.
                    replays = sum(paths.counts.replays for paths in self._paths.values())
                    self._rebound = 0 if replays else self._rebound + 1
                    self._captures = Captures(self._f)
                    self._forget()
            paths = self._paths.get(arguments.key)
            if paths is not None and paths.held is not None and paths.held.changed():
                paths = None
            if paths is not None:
                paths.look_at_arrays()
            if paths is None:
                if self._f is None:
                    raise GuardError(f"{self._name} has no source and was not recorded for arguments of these types and shapes; "
                                     "record the function again, call it with such arguments, and save it")
                paths = self._paths[arguments.key] = Paths(self._f, self._captures, arguments.key, arguments.kept, self._fast_math)
                if self._rebound > PATIENCE:
                    paths.give_up("what it has captured is bound anew in every call")
            return paths

    # ---- value and derivatives ----

    def replay_value(self, args: Any, kwargs: Any) -> Any:
        """A call, in full."""
        if scalar.tracing():
            return self._inside(*args, **kwargs)
        arguments = Arguments(args, kwargs)
        if scalar.is_watched():
            self._look(arguments, False)
        paths = self._find(arguments)
        try:
            code, replay = paths.run("value", (), arguments)
        except RunEagerly:
            return self._source()(*args, **kwargs)
        leaves = replay.result(code.outputs)
        replay.finish()
        self._remember("value", 0, arguments, paths, code)
        return unflatten(code.structure, leaves)

    def replay_gradient(self, transform: str, argnums: Any, args: Any, kwargs: Any) -> Any:
        """A call of "grad" or "value_and_grad", in full."""
        def eager(f):
            # Each by its own name, which errors tell.
            if transform == "value_and_grad":
                return transforms.value_and_grad(f, argnums)(*args, **kwargs)
            return None, transforms.grad(f, argnums)(*args, **kwargs)

        result = self._replayed(transform, argnums, args, kwargs, derivatives.value_and_gradient, eager)
        return result if transform == "value_and_grad" else result[1]

    def jacobian(self, *args: Any, argnums: int | Sequence[int] = 0, mode: str = "auto", **kwargs: Any) -> Any:
        """The Jacobian as by fastad.jacobian, replayed: sweeps behind the path, each for several rows or columns."""
        if mode not in ("auto", "forward", "reverse"):
            raise ValueError(f'jacobian: mode must be "auto", "forward" or "reverse", not {mode!r}')
        return self._replayed("jacobian", argnums, args, kwargs, lambda paths, chosen: derivatives.jacobian(paths, chosen, mode))

    def hessian(self, *args: Any, argnums: int | Sequence[int] = 0, **kwargs: Any) -> Any:
        """The Hessian of a scalar program as by fastad.hessian, replayed: one sweep behind the gradient for each column."""
        return self._replayed("hessian", argnums, args, kwargs, derivatives.hessian)

    def jvp(self, primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
        """(value, tangent) as by fastad.jvp, replayed."""
        primals = transforms._tuple("jvp", primals)
        return self._replayed("jvp", range(len(primals)), primals, {},
                              lambda paths, chosen: derivatives.jvp(paths, chosen, tangents),
                              lambda f: transforms.jvp(f, primals, tangents))

    def vjp(self, *primals: Any) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
        """(value, vjp_fun) as by fastad.vjp; vjp_fun sweeps behind the replay, any number of times."""
        return self._replayed("vjp", range(len(primals)), primals, {}, derivatives.vjp, lambda f: transforms.vjp(f, *primals))

    def hvp(self, primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
        """The Hessian of a scalar program times tangents as by fastad.hvp, replayed."""
        primals = transforms._tuple("hvp", primals)
        return self._replayed("hvp", range(len(primals)), primals, {},
                              lambda paths, chosen: derivatives.hvp(paths, chosen, tangents),
                              lambda f: transforms.hvp(f, primals, tangents))

    def map(self, *batched: Any, what: str = "value_and_grad", in_axes: Any = 0, argnums: int | Sequence[int] = 0, threads: int = 1,
            progress: bool = False, **kwargs: Any) -> Any:
        """The same as calling `what` for every entry along the batch axis of the arguments: its results, each stacked along axis 0.

        batched   arguments whose arrays have one entry per row; an array of one dimension is a float in each row
        what      "value", "grad", "value_and_grad", "jacobian" or "hessian"
        in_axes   the batch axis: one for all arguments, or a tuple with an entry per argument, which may be a pytree like the argument;
                  None for what all rows share, as keyword arguments are
        threads   how many work at once; results do not depend on it
        progress  whether to show a bar, by tqdm or rich

        An exception is that of the first row that raises, with its number as a note. ValueError for batches of different lengths, and
        for results of different shapes.
        """
        from .mapping import map_rows
        return map_rows(self, batched, what, in_axes, argnums, threads, progress, kwargs)

    def _replayed(self, transform, argnums, args, kwargs, replayed, eager=None):
        """What `replayed(paths, chosen arguments)` gives; where there is no program for this call, the eager transform of f."""
        if not scalar.tracing():
            chosen = Chosen.of(self._name, argnums, args, kwargs)
            if chosen is not None:
                if scalar.is_watched():
                    self._look(chosen.arguments, True)
                try:
                    paths = self._find(chosen.arguments)
                    result = replayed(paths, chosen)
                    if transform in ("grad", "value_and_grad") and type(argnums) in (int, tuple) and paths.last is not None:
                        self._remember(transform, argnums, chosen.arguments, paths, paths.last)
                    return result
                except RunEagerly:
                    pass
        f = self._source() if not scalar.tracing() else functools.wraps(self, updated=())(lambda *a, **k: self._inside(*a, **k))
        if eager is not None:
            return eager(f)
        return getattr(transforms, transform)(f, argnums)(*args, **kwargs)

    # ---- inside traces ----

    def _inside(self, *args, **kwargs):
        """A call inside a trace: one instruction, or its function where that does as well."""
        if self._f is not None and not kwargs and len(args) in self._short and all([type(x) in _SCALARS for x in args]):
            return self._f(*args)
        try:
            return calls.call(self, args, kwargs)
        except calls.NoCall as reason:
            if self._f is None:
                raise GuardError(f"{self._name} has no source, which a call inside another trace needs for {reason}") from None
            return self._f(*args, **kwargs)

    def _is_called(self, arguments, always):
        """Whether calls like this one inside a trace are an instruction, `always` if they can be; decided once, by the first path."""
        paths = self._find(arguments)
        if paths.reason is None and paths.called is None:
            try:
                code = paths.last or paths.record(arguments, None)
            except RunEagerly:
                return False
            except Exception as error:
                raise calls.NoCall from error         # the function meets that itself
            paths.called = calls.is_long(code)
            if not paths.called and not arguments.kwargs and all([type(x) is float for x in arguments.args]):
                self._short.add(len(arguments.args))
        return paths.reason is None and (paths.called or always) and not any([code.draws for code in paths.codes])

    def _number_of(self, form):
        """The number by which call instructions know what of a result is not a number that moves."""
        with self._lock:
            if form.key not in self._forms:
                self._forms.append(form.key)
            return np.int64(self._forms.index(form.key))

    def _elements(self):
        """What tells the elements of the captured arrays, as they are now, from other ones."""
        captures = self._captures
        if captures is None:
            return None
        captures.contents.renew()
        return captures, captures.contents.version

    def _derivative(self, kind, body, inputs):
        """A function of (inputs, seeds) that records w^T J ("reverse") or J t ("tangent") of a call as a call."""
        if self._f is None:
            return calls.Stored(kind, body, inputs, body.smooth)
        key = kind, body.arguments.key, tuple(inputs)
        with self._lock:
            found = self._derivatives.get(key)
            if found is None:
                found = self._derivatives[key] = Program(calls.Derivative(kind, body.flat(), list(inputs)))
        return found

    def _remember(self, kind, argnums, arguments, paths, code):
        """Notes the short way for calls like this one, if arguments are floats and arrays in plain containers, the result one."""
        key = kind if kind == "value" else (kind, argnums)
        if any(shortcut.paths is paths and shortcut.is_current() for shortcut in self.shortcuts.get(key, ())):
            return
        if arguments.kwargs or code.structure is not NUMBER or code.draws or not arguments.plain:
            return
        if kind == "value":
            if isinstance(code.outputs[0], Plain):
                return
            target, chosen, inputs = code, 0, ()
        else:
            if not isinstance(code.outputs[0], int):
                return
            positions, single = transforms._positions(kind, argnums, len(arguments.args))
            inputs = tuple([k for _, start, stop in arguments.parts(positions) for k in range(start, stop)])
            target = paths.code_for(code, "gradient", inputs)
            chosen = positions[0] if single else tuple(positions)
        self.remember(key, Shortcut(paths, code, target, kind, chosen, inputs, arguments.args))

    def _look(self, arguments, adjoints):
        """In fastad.debug() looks for NaN and infinity in a replay before its results are asked for."""
        if not debugging.is_on():
            return
        from .watching import check_path
        paths = self._find(arguments)
        if paths.reason is None:
            streams = paths.streams()
            try:
                code = paths.path_for(arguments)
                streams.restore()
                check_path(code, self._name, self._f, arguments.key, arguments.leaves, adjoints)
            finally:
                streams.restore()

    @property
    def has_source(self) -> bool:
        """Whether the function is there to be run for new paths; not after `fastad.load`."""
        return self._f is not None

    def _source(self):
        if self._f is None:
            raise GuardError(f"{self._name} has no source, which this call needs: inside another trace, and for what its own "
                             "methods do not give, record the function again")
        return self._f

    # ---- methods ----

    def __get__(self, instance: Any, owner: Any = None) -> "Program":
        """A program of its own for every instance it is a method of."""
        if instance is None:
            return self
        with self._lock:
            found = self._bound.pop(id(instance), None)
            if found is None:
                found = Program(self._source().__get__(instance, owner), self._fast_math)
            # A program keeps its instance alive, and so only those used last are kept.
            self._bound[id(instance)] = found
            if len(self._bound) > MAX_INSTANCES:
                del self._bound[next(iter(self._bound))]
        return found

    # ---- what it has recorded ----

    def _prepare(self, args):
        """Records the path of these arguments."""
        arguments = Arguments(args, {})
        paths = self._find(arguments)
        if paths.last is None and paths.reason is None:
            try:
                paths.record(arguments, None)
            except RunEagerly:
                pass

    def explain(self, *args: Any, **kwargs: Any) -> Any:
        """Every step at these arguments with its value, and for a scalar result its adjoint and the reverse sweep by hand.

        Prints as text, shows itself as HTML in a notebook; `rows` and `sweep` hold the numbers. The function may run once more, to
        find its lines.

            >>> F = fastad.record(lambda x: x * np.sin(x))
            >>> print(F.explain(2.0))
        """
        from .explain import explain
        return explain(self._listing(args, kwargs))

    def draw(self, *args: Any, format: str = "svg", **kwargs: Any) -> Any:
        """The circuit as a picture ("svg" or "png" in a notebook, `.save("f.png")` elsewhere), through graphviz.

        With values and adjoints where arguments are given; without, the path that was taken last.
        """
        from .draw import draw
        if args or kwargs:
            return draw(self._listing(args, kwargs), format)
        from .listing import list_path
        with self._lock:
            known = [(paths, paths.last) for paths in self._paths.values() if paths.last is not None]
        if not known:
            return draw(self._listing(args, kwargs), format)
        paths, code = known[-1]
        paths.note_lines(code)
        listing = list_path(code, self._name, self._f, paths.key)
        assert listing is not None
        return draw(listing, format)

    def _listing(self, args, kwargs):
        """The listing of a call."""
        from .listing import list_call
        if scalar.tracing():
            raise RuntimeError("a program is explained and drawn outside of differentiated and recorded functions")
        arguments = Arguments(args, kwargs)
        return list_call(self._find(arguments), arguments, self._name)

    @property
    def stats(self) -> dict[str, Any]:
        """What is recorded and how it went, over all signatures: numbers, `bytes`, the names of functions that call Python in
        a replay or a derivative, how many derivatives take one seed at a time in Jacobians and Hessians, and why signatures run eagerly.
        """
        with self._lock:
            paths = list(self._paths.values())
        from .stats import Stats
        return Stats.of(self._name, paths)

    def clear(self) -> None:
        """Forgets all paths."""
        if self._f is None:
            raise GuardError(f"{self._name} has no source and could not record its paths again")
        with self._lock:
            self._captures = None
            self._forget()

    def _forget(self):
        self._short, self._derivatives = set(), {}
        for paths in self._paths.values():
            paths.forget()
        self._paths = {}
        self.remember(None, None)

    def _repr_html_(self) -> str:
        return self.stats._repr_html_()  # type: ignore[attr-defined, no-any-return]

    # ---- files ----

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes what is recorded, without the source, to a file that `fastad.load` reads; docs/file-format.md describes it.

        The function may run once more for each path, to find its lines, and to see that it does the same with captured arrays as they are.

        TypeError, which names them, for functions that a replay calls in Python and for arguments that a file can not hold.
        """
        from . import container
        container.write(path, *self._packed())

    def _packed(self):
        """(head and text, arrays) of a file with all paths."""
        from . import files
        if self._f is not None and self._captures is not None and self._captures.changed():
            with self._lock:
                self._forget()
        with self._lock:
            signatures = list(self._paths.values())
        return files.packed(self._name, self._fast_math, signatures)

    def __reduce_ex__(self, protocol: Any) -> Any:
        """The bytes of a file, the arrays out of band from protocol 5 on; what comes back has no source."""
        prefix, arrays = self._packed()
        if protocol >= 5:
            return _unpickled, (prefix, [pickle.PickleBuffer(x.reshape(-1).view(np.uint8)) for x in arrays])
        from . import container
        return _unpickled, (container.joined(prefix, arrays), None)

    def __copy__(self) -> "Program":
        return self

    def __deepcopy__(self, memo: Any) -> "Program":
        return self

    def __repr__(self) -> str:
        count = sum(len(p.codes) for p in self._paths.values())
        return f"<fastad program {self._name}: {count} path{'s' * (count != 1)}>"


def load(path: str | os.PathLike[str], *, max_bytes: int | None = None) -> Program:
    """The program in a file that `Program.save` has written: without its source, with the paths in the file and no others.

    Nothing in a file is run as code, and everything in it is checked before it is used: FormatError for what is no program, or a
    damaged one. Arguments that take another path are a GuardError. A file may ask for arrays in some proportion to its own size;
    what goes beyond that is refused unless `max_bytes`, in bytes per path, allows it.
    """
    from . import files
    with open(os.fspath(path), "rb") as file:
        return _program_of(*files.decode(file.read(), None, max_bytes))


def _unpickled(data: Any, buffers: Sequence[Any] | None) -> Program:
    """What pickle calls."""
    from . import files
    return _program_of(*files.decode(data, buffers))


def _program_of(name, fast_math, signatures):
    program = Program(None, fast_math)
    program._name = name
    for key, found, last in signatures:
        paths = program._paths[key] = Paths(None, Captures(None), key, [], fast_math)
        paths.restore(found, last)
    return program


@overload
def record(f: Callable[..., Any], *example_args: Any, fast_math: bool = False) -> Program: ...
@overload
def record(f: None = None, *, fast_math: bool = False) -> Callable[[Callable[..., Any]], Program]: ...
def record(f: Callable[..., Any] | None = None, *example_args: Any, fast_math: bool = False) -> Any:
    """f as a Program: recorded once per path, replayed from then on; recorded now if example arguments are given.

    Also a decorator, with or without arguments, of functions and methods. With fast_math, exp, log, sin, cos and tanh of arrays
    may be off by up to 4 units in the last place, for speed.
    """
    if f is None:
        return functools.partial(record, fast_math=fast_math)
    if not callable(f):
        raise TypeError(f"record needs a function, not {type(f).__name__}"
                        + ("; put @classmethod above @fastad.record" if isinstance(f, classmethod) else ""))
    program = Program(f, fast_math)
    if example_args:
        program._prepare(example_args)
    return program
