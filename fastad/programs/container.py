"""The container that programs are kept in: a head of fixed length, a text in JSON, and arrays one after the other.

Little-endian, with a version and a checksum, described in docs/file-format.md. Nothing here knows what the text means.
"""

import json
import os
import struct
import tempfile
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import FormatError

MAGIC = b"\x89FASTAD\n"
VERSION = 1
ALIGNMENT = 64
LARGEST = 2**47            # bytes of one array, also of one that is only declared

_HEAD = struct.Struct("<8sIIQQ")      # magic, version, checksum of all that follows it, length of the whole, length of the text
_CHECKED = 16                         # where what the checksum covers begins

DTYPES = {name: np.dtype(name) for name in (
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64",
    "complex64", "complex128")}


def dtype_name(dtype: Any) -> str:
    """The name of a type of number in files; TypeError for one that has none."""
    name = np.dtype(dtype).newbyteorder("=").name
    if name not in DTYPES:
        raise TypeError(f"can not be saved: arrays of {dtype}")
    return name


def _ahead(length: int) -> int:
    """How many zeros fill up to the next aligned place."""
    return -length % ALIGNMENT


def pack(document: dict[str, Any], arrays: Sequence[Any]) -> tuple[bytes, list[Any]]:
    """(head and text, arrays as they are written) of a document in JSON's types; `unpack` gives both back."""
    written = [np.ascontiguousarray(x, x.dtype.newbyteorder("<")).reshape(x.shape) for x in arrays]
    table = [[dtype_name(x.dtype), list(x.shape)] for x in written]
    text = json.dumps({**document, "arrays": table}, separators=(",", ":"), allow_nan=False).encode()
    text += b" " * _ahead(_HEAD.size + len(text))
    length = _HEAD.size + len(text) + sum(x.nbytes + _ahead(x.nbytes) for x in written)
    tail = struct.pack("<QQ", length, len(text)) + text
    return _HEAD.pack(MAGIC, VERSION, _checksum(tail, written), length, len(text)) + text, written


def _checksum(tail, arrays):
    checksum = zlib.crc32(tail)
    for x in arrays:
        checksum = zlib.crc32(bytes(_ahead(x.nbytes)), zlib.crc32(_bytes_of(x), checksum))
    return checksum


def _bytes_of(x):
    return memoryview(x.reshape(-1).view(np.uint8)) if x.nbytes else b""


def joined(prefix: bytes, arrays: Sequence[Any]) -> bytes:
    """The file that `pack` has made the parts of."""
    parts = [prefix]
    for x in arrays:
        parts += [_bytes_of(x), bytes(_ahead(x.nbytes))]
    return b"".join(parts)


def write(path: str | os.PathLike[str], prefix: bytes, arrays: Sequence[Any]) -> None:
    """Writes the file, which appears under its name when it is complete."""
    path = os.fspath(path)
    handle, temporary = tempfile.mkstemp(prefix=".fastad-", dir=os.path.dirname(path) or ".")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(prefix)
            for x in arrays:
                file.write(_bytes_of(x))
                file.write(bytes(_ahead(x.nbytes)))
        if os.name == "posix":
            mask = os.umask(0)
            os.umask(mask)
            os.chmod(temporary, 0o666 & ~mask)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


# ---- reading -------------------------------------------------------------------------------------------------------------------

def unpack(data: Any, buffers: Sequence[Any] | None = None) -> tuple[dict[str, Any], list[Any]]:
    """(document, arrays) of a file's bytes, or of its head and text with the arrays in buffers; FormatError for anything else."""
    data = _flat(data)
    if len(data) < _HEAD.size or bytes(data[:len(MAGIC)]) != MAGIC:
        raise FormatError("this is not a program of fastad: it does not begin as one")
    _, version, checksum, length, text_length = _HEAD.unpack_from(data)
    if version > VERSION:
        raise FormatError(f"this program is of version {version} of the format, and this fastad reads up to {VERSION}: install a "
                          "newer one")
    if version < 1:
        raise FormatError(f"no version {version} of the format exists")
    start = _HEAD.size + text_length
    if start > len(data) or start % ALIGNMENT:
        raise FormatError("the program is damaged: its text does not end where it should")
    if buffers is None:
        if length != len(data):
            raise FormatError(f"the program is damaged: it has {len(data)} bytes where {length} are announced")
        found = zlib.crc32(data[_CHECKED:])
        parts = data[start:]
    else:
        if start != len(data):
            raise FormatError("the program is damaged: its text does not end where it should")
        parts = [_flat(buffer) for buffer in buffers]
        found = zlib.crc32(data[_CHECKED:])
        for part in parts:
            found = zlib.crc32(bytes(_ahead(len(part))), zlib.crc32(part, found))
    if found != checksum:
        raise FormatError("the program is damaged: its checksum is wrong")
    document = _document(bytes(data[_HEAD.size:start]))
    return document, _arrays(document.pop("arrays", None), parts)


def _flat(buffer):
    view = memoryview(buffer)
    return view.cast("B") if view.nbytes else memoryview(b"")


def _document(text):
    try:
        document = json.loads(text.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"the program is damaged: its text can not be read: {str(error)[:200]}") from None
    if type(document) is not dict:
        raise FormatError("the program is damaged: its text is not an object")
    return document


def _unique(pairs):
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key occurs twice")
    return found


def _no_constant(name):
    raise ValueError(f"{name} is no number of JSON's")


def layout(entry: Any) -> tuple[tuple[int, ...], Any]:
    """(shape, dtype) of [name of the type, lengths]; FormatError for anything else."""
    if type(entry) is not list or len(entry) != 2 or type(entry[0]) is not str or entry[0] not in DTYPES:
        raise FormatError(f"no type and shape of an array: {short(entry)}")
    return shape(entry[1], DTYPES[entry[0]].itemsize), DTYPES[entry[0]]


def shape(entry: Any, itemsize: int = 1) -> tuple[int, ...]:
    """The shape in a list of whole numbers; FormatError for anything else, and for arrays that are too large for any machine."""
    if type(entry) is not list or len(entry) > 32 or any(type(n) is not int or n < 0 for n in entry):
        raise FormatError(f"no shape of an array: {short(entry)}")
    size = itemsize
    for n in entry:
        size *= max(n, 1)
        if size > LARGEST:
            raise FormatError(f"the shape of an array is too large: {short(entry)}")
    return tuple(entry)


def need(condition: Any, problem: str) -> None:
    """FormatError with what is wrong if a condition does not hold."""
    if not condition:
        raise FormatError(problem)


def fields(entry: Any, what: str, **kinds: type) -> list[Any]:
    """The values of an object that has exactly these fields, each of a type."""
    need(type(entry) is dict and entry.keys() == kinds.keys(), f"{what} has other fields than {', '.join(kinds)}")
    for name, kind in kinds.items():
        need(kind is object or type(entry[name]) is kind, f"{name} of {what} is not of type {kind.__name__}")
    return [entry[name] for name in kinds]


def short(entry: Any) -> str:
    """An entry as a message shows it."""
    text = repr(entry)
    return text if len(text) < 100 else text[:97] + "..."


def _arrays(table, parts):
    if type(table) is not list:
        raise FormatError("the program has no table of arrays")
    arrays, at = [], 0
    if type(parts) is list and len(parts) != len(table):
        raise FormatError(f"the program has {len(parts)} arrays where {len(table)} are announced")
    for k, entry in enumerate(table):
        lengths, dtype = layout(entry)
        size = dtype.itemsize
        for n in lengths:
            size *= n
        if type(parts) is list:
            part = parts[k]
            if len(part) != size:
                raise FormatError(f"array {k} has {len(part)} bytes where {size} are announced")
        else:
            part = parts[at:at + size]
            at += size
            padding = bytes(parts[at:at + _ahead(size)])
            at += _ahead(size)
            if at > len(parts) or padding.strip(b"\0"):
                raise FormatError(f"array {k} is longer than the file")
        arrays.append(_array(part, lengths, dtype, k))
    if type(parts) is not list and at != len(parts):
        raise FormatError("the file goes on behind its last array")
    return arrays


def _array(part, lengths, dtype, k):
    x = np.frombuffer(part, dtype.newbyteorder("<")) if len(part) else np.zeros(0, dtype)
    x = x.view(dtype) if x.dtype.isnative and x.flags.aligned else x.astype(dtype)
    x = x.reshape(lengths)
    if dtype.kind == "b" and x.size and x.view(np.uint8).max() > 1:
        raise FormatError(f"array {k} has decisions that are neither true nor false")
    x.flags.writeable = False
    return x
