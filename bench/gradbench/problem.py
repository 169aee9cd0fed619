"""What an eval consists of, and the ways fastad takes derivatives of its functions: as they are, or recorded and replayed."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import fastad


class Eager:
    """Derivatives by fastad's transforms: every call runs the function."""

    name = "fastad eager"
    replays = False

    def value(self, f, *args):
        """Returns a call without arguments that gives f's value."""
        return lambda: f(*args)

    def gradient(self, f, *args, argnums=0):
        """Returns a call without arguments that gives the gradient by the arguments `argnums`."""
        derivative = fastad.grad(self.taken(f, *args), argnums)
        return lambda: derivative(*args)

    def jvp(self, f, primals, tangents):
        """Returns a call without arguments that gives (value, tangent)."""
        f = self.taken(f, *primals)
        return lambda: fastad.jvp(f, primals, tangents)

    def vjp(self, f, *primals):
        """Returns a call without arguments that gives (value, the function of cotangents)."""
        f = self.taken(f, *primals)
        return lambda: fastad.vjp(f, *primals)

    def jacobian(self, f, *args, argnums=0, mode="auto"):
        """Returns a call without arguments that gives the Jacobian by the arguments `argnums`."""
        derivative = fastad.jacobian(self.taken(f, *args), argnums, mode)
        return lambda: derivative(*args)

    def taken(self, f, *args):
        """Returns what the transforms are given for f."""
        return f


class Recorded(Eager):
    """Derivatives of programs: the function is recorded for these arguments, every call replays."""

    name = "fastad"
    replays = True

    def __init__(self, fast_math=False):
        self.programs, self.fast_math = [], fast_math

    def taken(self, f, *args):
        self.programs.append(fastad.record(f, *args, fast_math=self.fast_math))
        return self.programs[-1]

    def value(self, f, *args):
        program = self.taken(f, *args)
        return lambda: program(*args)

    def vjp(self, f, *primals):
        program = self.taken(f, *primals)
        return lambda: program.vjp(*primals)

    def rows(self, f, *batched, argnums, what="grad"):
        """Returns a call without arguments that gives the gradients (or the Jacobians) of f for all rows of its arguments."""
        program = self.taken(f, *(x[0] if x.ndim > 1 else float(x[0]) for x in batched))
        return lambda: program.map(*batched, what=what, argnums=argnums)


@dataclass(frozen=True)
class Function:
    """One function of an eval.

    `start(way, *arguments)` returns the call that is timed, `write(result)` what is sent of its result, and
    `flat(result)` all its numbers in one array, by which tools are compared.
    """

    start: Callable[..., Callable[[], Any]]
    write: Callable[[Any], Any] = lambda result: np.asarray(result).tolist()
    flat: Callable[[Any], np.ndarray] = field(default=lambda result: np.concatenate([np.ravel(x) for x in leaves(result)]))


@dataclass(frozen=True)
class Eval:
    """An eval: its functions by name, how inputs are read, and inputs for sizes.

    `read(message)` returns the arguments of the functions; ValueError, KeyError or TypeError where they have not the
    form they should. `sample(*size)` returns a message of the suite's form. `sizes` are those of its own runs, smallest first,
    of which the last `tabled` are those of the tables; `timed` is the function that tools are compared by.
    """

    name: str
    functions: dict[str, Function]
    read: Callable[[Any], tuple]
    sample: Callable[..., Any]
    sizes: tuple[tuple, ...]
    timed: str
    tabled: int = 1


def leaves(result):
    """Returns the arrays and numbers of a result, dictionaries in the order of their keys."""
    if isinstance(result, dict):
        return [leaf for key in sorted(result) for leaf in leaves(result[key])]
    if isinstance(result, (tuple, list)):
        return [leaf for part in result for leaf in leaves(part)]
    return [result]


def array(message, name, *shape):
    """Returns a field of a message as an array of float64; ValueError unless it has this shape (None: any length)."""
    found = np.array(message[name], dtype=float)
    if found.ndim != len(shape) or any(want not in (None, have) for want, have in zip(shape, found.shape)):
        wanted = " x ".join("any" if want is None else str(want) for want in shape)
        raise ValueError(f"{name} has shape {found.shape}, expected {wanted}")
    return found


def whole(message, name, least=0):
    """Returns a field of a message as an int; ValueError unless it is a whole number of at least `least`."""
    found = message[name]
    if isinstance(found, bool) or not isinstance(found, (int, float)) or int(found) != found or found < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, not {found!r}")
    return int(found)
