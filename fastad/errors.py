"""The errors fastad raises, worded so that they name the function, the user's line and what to write instead."""

import itertools
import linecache
import numbers
import os
import sys

_PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep
_STANDARD = os.path.dirname(os.__file__) + os.sep


class TraceError(TypeError):
    """A traced value was about to become a plain number, or was used outside its trace."""


class StaleError(TraceError):
    """A traced value was used outside its trace."""


class GuardError(RuntimeError):
    """A replayed program met a decision it has no recorded path for, and no source to record it from."""


class FormatError(ValueError):
    """A file is not a program of fastad, or is damaged."""


def _library_folders():
    """Folders whose frames are not the user's: fastad and the libraries that call it."""
    modules = (sys.modules.get(name) for name in ("numpy", "scipy", "optree"))
    return (_PACKAGE, *(os.path.dirname(module.__file__) + os.sep for module in modules if module is not None))


def is_library_file(filename):
    """Whether code in this file is fastad's or a library's that calls it, not the user's."""
    return filename.startswith(_library_folders())


def _user_frame():
    folders = _library_folders()
    frame = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        if not file.startswith(folders) and (not file.startswith(_STANDARD) or "-packages" in file):
            return frame
        frame = frame.f_back
    return None


def user_line():
    """(place, code): "file:line" of the innermost frame outside fastad, NumPy, SciPy and the standard library, and its code."""
    frame = _user_frame()
    if frame is None:
        return "<unknown place>", ""
    return expression_at(frame.f_code.co_filename, frame.f_code.co_positions(), frame.f_lasti, frame.f_globals)


def expression_at(filename, positions, offset, names=None):
    """("file:line", the code there) of the expression at an offset in a code object with these positions.

    The whole line where the expression goes over several; `names` are the globals of a module that was not loaded from a file.
    """
    line, end_line, start, end = next(itertools.islice(positions, max(offset, 0) // 2, None), (None, None, None, None))
    if line is None:
        return f"{filename}:?", ""
    text = linecache.getline(filename, line, names)
    if line == end_line and start is not None and end:
        text = text.encode()[start:end].decode(errors="replace")
    return f"{filename}:{line}", text.strip()


def kind_of(x):
    """What x is, for a message: "None", "a float", "an ndarray"."""
    name = type(x).__name__
    return "None" if x is None else ("an " if name[0] in "aeiouAEIO" or name == "ndarray" else "a ") + name


def plain_number(x):
    """x as a float if it is a real number that Python or NumPy knows (Fraction, numpy.int64, ...), else None."""
    if isinstance(x, (numbers.Rational, bool)) or (type(x).__module__ == "numpy" and getattr(x, "ndim", None) == 0
                                                   and getattr(x, "dtype", None) is not None and x.dtype.kind in "fiub"):
        return float(x)
    return None


_LOST = {
    "float": ("would turn a traced value into a plain number and lose its derivative",
              "use fastad.math or NumPy for functions ({hint}), fastad.numpy.zeros(...) or a list to collect values in, "
              "or stop_gradient(x) to drop the derivative on purpose"),
    "complex": ("would turn a traced real value into a plain complex number and lose its derivative",
                "keep real and imaginary part as two values"),
    "array": ("would turn traced values into a plain array and lose their derivative",
              "make arrays of them with fastad.numpy.array(...), write them into fastad.numpy.zeros(...) or keep them in a list, "
              "or use stop_gradient(x) to drop the derivative on purpose"),
    "out": ("would write traced values into a plain array, which can not hold them",
            "write a = a + x for a += x, leave out= out, or make the array with fastad.numpy.zeros(...)"),
    "hash": ("needs a traced value as a dictionary key or set member, which would freeze its value",
             "use a list and `==`, or a key that does not depend on the value"),
    "text": ("would freeze a recorded value in a text",
             "print in the function as it is, outside of fastad.record, or look at F.explain(...)"),
    "pickle": ("would store a traced value, which has no meaning outside its trace",
               "send plain numbers"),
}


_IN_SCIPY = ("SciPy computes with plain numbers there; write it with NumPy's functions and the ufuncs of scipy.special, "
             "or use stop_gradient(x) to drop the derivative on purpose")


def _called_by_scipy():
    """Whether code of SciPy runs between the user's line and here."""
    scipy = sys.modules.get("scipy")
    if scipy is None:
        return False
    folder = os.path.dirname(scipy.__file__) + os.sep
    frame, user = sys._getframe(1), _user_frame()
    while frame is not None and frame is not user:
        if frame.f_code.co_filename.startswith(folder):
            return True
        frame = frame.f_back
    return False


def turned_into(kind, what):
    """The TraceError for a traced value that was about to leave as `kind`."""
    place, code = user_line()
    problem, advice = _LOST[kind]
    if kind in ("float", "array") and _called_by_scipy():
        advice = _IN_SCIPY
    name = code.partition("(")[0]
    hint = "fastad.math.sin(x), np.sin(x)"
    if name.startswith("math."):
        hint = f"fastad.{name}(...) of a number, NumPy's of arrays"
    return TraceError(f"{code or what} at {place} {problem}; {advice.format(hint=hint)}")


def stale_value(*_):
    """The TraceError for an active scalar outside its trace."""
    place, code = user_line()
    return StaleError(
        f"{code or 'an operation'} at {place} uses an active value of another trace: one that has ended, or one of another "
        "thread; return what is needed later from the differentiated function (has_aux=True), "
        "and start the trace in the thread that computes")


def no_rule(row, operand):
    """The TraceError for an active operand by which a special elemental has no derivative rule."""
    from .table import SPECIAL
    return no_rule_by(SPECIAL[row].name, operand)


def no_rule_by(name, operand):
    """The same for a row by its name."""
    place, code = user_line()
    return TraceError(f"{code or name} at {place}: no rule is known for the derivative of {name} by its argument {operand + 1}; "
                      "pass a plain number there, or fastad.stop_gradient(...) of it")


def no_second_rule(row):
    """The TraceError for a special elemental whose second partials have no rule."""
    from .table import SPECIAL
    place, code = user_line()
    return TraceError(f"{code} at {place}: no rule is known for a second derivative of {SPECIAL[row].name}, "
                      "which the function uses")
