"""Programs as documents: what is kept of every path, and how it is checked before a program is made of it again.

    values           plain values, structures and signatures
    named_functions  what the document names by words: rows of the op table, ufuncs, functions of arrays
    path_writer      paths, written
    path_reader      paths, read and checked
    record_readers   their array instructions, read and checked
    call_shapes      the shapes of results, by which calls are checked

See docs/file-format.md.
"""

from typing import Any

from ..errors import FormatError
from ..table.generate import FIRST_OPCODE
from . import container
from .code import outcome_recorded
from .container import fields, need
from .named_functions import ROWS, SPECIAL_ROWS, Rows, row_numbers
from .path_reader import MEMORY, MEMORY_PER_BYTE, PathReader
from .path_writer import Arrays, Places, encode_path
from .values import decode_key, encode_key


def packed(name: str, fast_math: bool, signatures: Any) -> tuple[bytes, list[Any]]:
    """The parts of a file with all paths of these signatures, read once on trial; TypeError for what can not be in a file."""
    reasons = [paths.reason for paths in signatures if paths.reason is not None]
    if reasons:
        raise TypeError(f"{name} can not be saved: it runs eagerly, as {reasons[0]}")
    for paths in signatures:
        paths.keep_current()
        for code in list(paths.codes):
            paths.note_lines(code)
    if not any(paths.codes for paths in signatures):
        raise TypeError(f"{name} can not be saved: nothing is recorded yet; call it first, with arguments of every "
                        "kind and path that the file is to have")
    try:
        prefix, arrays = encode(name, fast_math, [paths for paths in signatures if paths.codes])
    except TypeError as error:
        raise TypeError(f"{name} can not be saved: {error}") from None
    try:
        decode(prefix, arrays, trusted=True)
    except FormatError as error:
        raise TypeError(f"{name} can not be saved: {error}") from None
    return prefix, arrays


def encode(name: str, fast_math: bool, signatures: Any) -> tuple[bytes, list[Any]]:
    """The parts of a file, as of `container.pack`, of a program: its Paths with at least one path each."""
    arrays, places, rows, written = Arrays(), Places(), Rows(), []
    for paths in signatures:
        codes = list(paths.codes)
        numbers = {id(code): k for k, code in enumerate(codes)}
        written.append({
            "key": encode_key(paths),
            "last": numbers.get(id(paths.last), len(codes) - 1),
            "paths": [{**encode_path(code, arrays, places, rows), "parent": numbers.get(id(code.owner.parent), -1),
                       "fork": code.owner.fork} for code in codes],
        })
    document = {"name": name, "fast_math": bool(fast_math), "signatures": written, "lines": places.lines, "rows": rows.elementary,
                "special_rows": rows.special}
    return container.pack(document, arrays.arrays)


def decode(data: Any, buffers: Any = None, max_bytes: int | None = None, trusted: bool = False) -> tuple[str, bool, list[Any]]:
    """(name, fast_math, signatures) of a file's bytes, or of its parts; FormatError for anything that is not what `encode` makes.

    A signature is (key, paths, number of the path taken last); a path is (Code, number of its parent or -1, fork).
    """
    document, arrays = container.unpack(data, buffers)
    size = len(data) + sum(x.nbytes for x in arrays)
    limit = None if trusted else max(MEMORY, MEMORY_PER_BYTE * size, max_bytes or 0)
    try:
        name, fast_math, signatures, lines, elementary, special = fields(
            document, "the program", name=str, fast_math=bool, signatures=list, lines=list, rows=list, special_rows=list)
        rows = row_numbers(elementary, ROWS, FIRST_OPCODE), row_numbers(special, SPECIAL_ROWS, 0)
        for line in lines:
            need(type(line) is list and list(map(type, line)) == [str, str], "no line of a file")
        lines = [tuple(line) for line in lines]
        found = [_signature(entry, arrays, lines, rows, limit, fast_math) for entry in signatures]
        need(len({key for key, _, _ in found}) == len(found), "a signature occurs twice")
    except FormatError as error:
        raise FormatError(f"the program can not be used: {error}") from None
    except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RecursionError) as error:
        raise FormatError(f"the program can not be used: {type(error).__name__}: {str(error)[:200]}") from None
    return name, fast_math, found


def _signature(entry, arrays, lines, rows, limit, fast):
    key, last, paths = fields(entry, "a signature", key=object, last=int, paths=list)
    key, inputs = decode_key(key)
    hash(key)
    need(0 <= last < len(paths), "a signature has no path")
    readers = [PathReader(path, arrays, lines, rows, inputs, limit) for path in paths]
    codes: list[Any] = []
    for reader in readers:
        codes.append(reader.code(lines, codes[0] if codes else None, fast))
    for k, reader in enumerate(readers):
        need(-1 <= reader.parent < k, "a path branches off from one that is not there")
        if reader.parent >= 0:
            need(reader.goes_along(readers[reader.parent], reader.fork), "a path is not like the one it branches off from")
            need(outcome_recorded(codes[k], reader.fork) != outcome_recorded(codes[reader.parent], reader.fork),
                 "a path branches off without another decision")
    return key, [(code, reader.parent, reader.fork) for code, reader in zip(codes, readers)], last
