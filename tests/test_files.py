"""Programs in files: what comes back is the same program, and nothing that a file holds can do harm."""

import copy
import json
import pickle
import random
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
import scipy.special

import fastad
from fastad import math
from fastad.programs import container, files
from fastad.programs.program import _program_of

HEAD = struct.Struct("<8sIIQQ")
rng = np.random.default_rng(7)


# ---- functions whose programs are kept -----------------------------------------------------------------------------------------

def scalars(x, y):
    total = 0.0
    for k in range(4):
        total = total + math.sin(x) * y if x > 0.5 * k else total - math.exp(y) / x
    return total * math.hypot(x, y)


def special(x, y):
    return np.sum(scipy.special.erf(x) + scipy.special.betainc(2.0, 3.0, x * y) * scipy.special.gammaln(y + 3.0))


def loop(x):
    total = 0.0
    for k in range(len(x)):
        total = total + x[k] * x[k] if x[k] > 0.0 else total - x[k]
    return total


def network(w, b, x):
    h = np.tanh(x @ w + b)
    h[:, 0] += 1.0
    p = np.maximum(h, 0.25) @ h.T
    return np.mean(np.where(p > 0.5, p**2, np.abs(p)) - np.max(p, axis=1, keepdims=True))


def rows(x):
    k = np.argsort([3.0, 1.0, 2.0])
    y = x[0, 0] * np.zeros(5)
    y[1:4] = x[k][:, 0]
    y[0] = x[2, 1] * x[0, 0]
    return np.sum(y * np.concatenate([x[1], x[0], x[2, :1]])) + np.sum(x[np.array([0, 2, 2]), np.array([1, 1, 0])] ** 3)


def moved(x):
    y = np.stack([x.T.reshape(-1), np.broadcast_to(x[0, 0], (6,))], axis=1)
    z = np.copy(y)
    z[:, 1] = y[::-1, 0]
    return np.outer(z[:, 0], x[0]).sum() * np.prod(z[:2]) + np.min(z) + np.dot(x[0], x[1])


def branches(x):
    s = np.sum(x)
    if s > 3.0:
        y = np.sin(x)
        if np.any(x > 2.0):
            y = y * x
    elif s > 0.0:
        y = np.sqrt(np.abs(x) + 1.0)
    else:
        y = x * x * x
    return np.sum(y * y)


def single(x, factor):
    return (np.exp(x) * factor + x[::2].sum()).mean()


def nested(p):
    return {"value": p["a"] * math.sin(p["b"][0]), "rows": (p["c"] * p["a"], [p["b"][1] * 2.0])}


def with_options(x, n, name, flag=None):
    for _ in range(n):
        x = x * x if name == "square" else x + x
    return x + (1.0 if flag else 0.0)


def same_path_twice(x):
    return 2.0 * x if x < 1.0 else x * x * (3.0 if x < 2.0 else 4.0)


matrix = rng.normal(size=(3, 2))
CASES = {
    "scalars": (scalars, [(0.3, 0.7), (1.4, 0.2), (9.0, -0.5)]),
    "special": (special, [(0.3, 0.7), (1.4, 0.2), (np.array([0.5, 0.25]), 1.5)]),
    "loop": (loop, [(np.array([1.0, -2.0, 3.0]),), (np.array([-1.0, 2.0, 3.0]),), (np.array([1.0, -2.0, 3.0, 4.0]),)]),
    "network": (network, [(rng.normal(size=(4, 3)), rng.normal(size=3), rng.normal(size=(5, 4)))]),
    "rows": (rows, [(matrix,), (matrix + 1.0,)]),
    "moved": (moved, [(matrix.T.copy().reshape(3, 2),)]),
    "branches": (branches, [(np.array([1.0, 1.5, 1.7]),), (np.array([1.0, 1.5, 2.7]),), (np.array([0.1, 0.2, 0.3]),),
                            (np.array([-1.0, 0.2, 0.3]),)]),
    "float32": (single, [(np.linspace(0.0, 1.0, 6, dtype=np.float32), np.float32(0.5)), (np.linspace(0.0, 1.0, 4), 0.5)]),
    "path": (same_path_twice, [(0.5,), (1.5,), (2.5,), (np.float64(1.25),)]),
}


def recorded(name):
    f, calls = CASES[name]
    program = fastad.record(f)
    for args in calls:
        program(*args)
    return program, f, calls


def reloaded(program, folder):
    program.save(folder / "program.fastad")
    return fastad.load(folder / "program.fastad")


def same(x, y):
    """Whether two results are the same bit for bit, in type and structure too."""
    if isinstance(x, dict):
        return type(x) is type(y) and x.keys() == y.keys() and all(same(x[k], y[k]) for k in x)
    if isinstance(x, (list, tuple)):
        return type(x) is type(y) and len(x) == len(y) and all(map(same, x, y))
    return type(x) is type(y) and np.asarray(x).dtype == np.asarray(y).dtype and np.shape(x) == np.shape(y) \
        and np.asarray(x).tobytes() == np.asarray(y).tobytes()


# ---- round trips ---------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", CASES)
def test_values_are_the_same_bit_for_bit(name, tmp_path):
    program, _, calls = recorded(name)
    loaded = reloaded(program, tmp_path)
    for args in calls * 2:
        assert same(loaded(*args), program(*args))
    assert loaded.stats["paths"] == program.stats["paths"] and loaded.stats["signatures"] == program.stats["signatures"]
    assert loaded.stats["guard_misses"] == 0 and not loaded.has_source


def derivatives(program, f, args):
    """(name, what the program gives, what the eager transform of f gives) for each derivative."""
    numbers = tuple(range(len(args)))
    ones = tuple(np.ones_like(x) if isinstance(x, np.ndarray) else type(x)(1.0) for x in args)
    yield "grad", program.grad(*args, argnums=numbers), fastad.grad(f, numbers)(*args)
    yield "value_and_grad", program.value_and_grad(*args), fastad.value_and_grad(f)(*args)
    yield "hessian", program.hessian(*args), fastad.hessian(f)(*args)
    yield "jacobian forward", program.jacobian(*args, mode="forward"), fastad.jacobian(f, mode="forward")(*args)
    yield "jacobian reverse", program.jacobian(*args, mode="reverse"), fastad.jacobian(f, mode="reverse")(*args)
    yield "jvp", program.jvp(args, ones), fastad.jvp(f, args, ones)
    yield "hvp", program.hvp(args, ones), fastad.hvp(f, args, ones)
    (value, pull), (expected, eager_pull) = program.vjp(*args), fastad.vjp(f, *args)
    yield "vjp", (value, pull(2.0), pull(-1.0)), (expected, eager_pull(2.0), eager_pull(-1.0))
    yield "grad of the program", fastad.grad(program)(*args), fastad.grad(f)(*args)
    yield "hessian of the program", fastad.hessian(program)(*args), fastad.hessian(f)(*args)
    yield "jacobian of the program", fastad.jacobian(program)(*args), fastad.jacobian(f)(*args)
    yield "jvp of the program", fastad.jvp(program, args, ones), fastad.jvp(f, args, ones)
    yield "hvp of the program", fastad.hvp(program, args, ones), fastad.hvp(f, args, ones)
    yield "vjp of the program", fastad.vjp(program, *args)[1](1.0), fastad.vjp(f, *args)[1](1.0)


def agree(found, expected, what, tolerance):
    if isinstance(expected, (list, tuple)):
        assert type(found) is type(expected) and len(found) == len(expected), what
        for x, y in zip(found, expected):
            agree(x, y, what, tolerance)
        return
    assert np.shape(found) == np.shape(expected), what
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance, err_msg=what)


@pytest.mark.parametrize("name", CASES)
def test_derivatives_are_those_of_the_function(name, tmp_path):
    program, f, calls = recorded(name)
    loaded = reloaded(program, tmp_path)
    for args in calls:
        for what, found, expected in derivatives(loaded, f, args):
            agree(found, expected, what, 1e-5 if name == "float32" else 1e-10)


@pytest.mark.parametrize("first", range(4))
def test_derivatives_do_not_depend_on_the_call_that_asks_first(first, tmp_path):
    program, f, calls = recorded("branches")
    loaded = reloaded(program, tmp_path)
    loaded.hessian(*calls[first])
    for args in calls:
        agree(loaded.hessian(*args), fastad.hessian(f)(*args), "hessian", 1e-10)
        agree(loaded.grad(args[0] * 1.001), fastad.grad(f)(args[0] * 1.001), "grad", 1e-10)


def test_structures_of_arguments_and_results_come_back(tmp_path):
    p = {"a": 2.0, "b": [0.5, 3.0], "c": np.arange(3.0)}
    program = fastad.record(nested)
    program(p)
    loaded = reloaded(program, tmp_path)
    assert same(loaded(p), nested(p))
    assert same(loaded.jvp((p,), (p,)), program.jvp((p,), (p,)))


def test_arguments_by_value_tell_signatures_apart(tmp_path):
    program = fastad.record(with_options)
    calls = [(3.0, 2, "square"), (3.0, 3, "square"), (3.0, 2, "twice", True), (3.0, 2, "twice", None),
             (np.arange(3.0), 1, "square"), (np.float64(3.0), 2, "square"), (3.0, 2, "twice", 1j),
             (3.0, 2, "twice", 2**70), (3.0, 2, "twice", b"yes"),
             (3.0, 2, "twice", {"z": 1, "a": None, "m": [1.0, {"y": 2, "x": (3, np.int64(4))}]})]
    for args in calls:
        program(*args)
    loaded = reloaded(program, tmp_path)
    for args in calls:
        assert same(loaded(*args), program(*args))
    program(3.0, n=2, name="square")
    assert reloaded(program, tmp_path)(3.0, n=2, name="square") == 81.0
    with pytest.raises(fastad.GuardError, match="types and shapes"):
        loaded(3.0, 5, "square")


def test_results_with_plain_parts(tmp_path):
    program = fastad.record(lambda x: (x * x, 3, "text", None, np.arange(2)))
    program(2.0)
    assert same(reloaded(program, tmp_path)(3.0), (9.0, 3, "text", None, np.arange(2)))


@pytest.mark.parametrize("name", ["scalars", "network", "rows", "branches"])
def test_recorded_gradients_are_kept(name, tmp_path):
    f, calls = CASES[name]
    program = fastad.record(fastad.grad(f))
    for args in calls:
        program(*args)
    loaded = reloaded(program, tmp_path)
    for args in calls:
        agree(loaded(*args), fastad.grad(f)(*args), "value", 1e-10)
        agree(loaded.jacobian(*args), fastad.hessian(f)(*args), "jacobian", 1e-9)


def test_captured_arrays_are_kept_as_they_are_when_it_is_saved(tmp_path):
    data = np.arange(3.0)
    program = fastad.record(lambda x: np.sum(x * data))
    program(np.ones(3))
    data[0] = 5.0
    loaded = reloaded(program, tmp_path)
    data[0] = 7.0
    assert loaded(np.ones(3)) == 8.0 and program(np.ones(3)) == 10.0


def test_a_loaded_program_is_saved_again(tmp_path):
    program, _, calls = recorded("network")
    loaded = reloaded(program, tmp_path)
    first = (tmp_path / "program.fastad").read_bytes()
    loaded.save(tmp_path / "again.fastad")
    assert (tmp_path / "again.fastad").read_bytes() == first
    loaded.grad(*calls[0])
    loaded.save(tmp_path / "again.fastad")
    assert (tmp_path / "again.fastad").read_bytes() == first


def test_numbers_come_back_bit_for_bit(tmp_path):
    numbers = [-0.0, 5e-324, 0.1, float("inf"), float("-inf"), float("nan"), 1.7976931348623157e308]
    program = fastad.record(lambda x: [x * number for number in numbers] + [np.copysign(x, number) for number in numbers])
    program(1.0)
    assert same(reloaded(program, tmp_path)(1.0), program(1.0))


def test_lines_of_the_code_are_kept(tmp_path):
    program, _, calls = recorded("scalars")
    loaded = reloaded(program, tmp_path)
    [paths] = loaded._paths.values()
    tape = paths.last.tape
    lines = {tape.place(i)[0] for i in range(len(tape)) if tape.place(i) is not None}
    assert all(place.startswith(f"{__file__}:") for place, _ in lines) and "math.hypot(x, y)" in {text for _, text in lines}


def test_loaded_programs_are_explained_with_their_lines(tmp_path):
    program, _, calls = recorded("scalars")
    text = str(reloaded(program, tmp_path).explain(*calls[0]))
    assert "math.hypot(x, y)" in text and Path(__file__).name in text


# ---- what can not be kept ------------------------------------------------------------------------------------------------------

class Opaque:
    scale = 2.0


@pytest.mark.parametrize(("f", "args", "named"), [
    (lambda x: np.sum(np.linalg.inv(x)), (np.eye(2),), "inv"),
    (lambda x: np.sum(np.sort(x)), (np.arange(3.0),), "sort"),
    (lambda x, o: x * o.scale, (2.0, Opaque()), "Opaque"),
    (lambda x: {"x": x, "other": Opaque}, (2.0,), "type"),
], ids=["without a kernel", "a sort", "an argument by identity", "a result that is an object"])
def test_what_can_not_be_kept_is_refused_by_name(f, args, named, tmp_path):
    program = fastad.record(f, *args)
    program(*args)
    with pytest.raises(TypeError, match=named):
        program.save(tmp_path / "program.fastad")
    with pytest.raises(TypeError, match=named):
        pickle.dumps(program)
    assert not list(tmp_path.iterdir())


def test_random_draws_are_refused(tmp_path):
    generator = np.random.default_rng(1)
    program = fastad.record(lambda x: np.sum(x * generator.normal(size=3)))
    program(np.ones(3))
    with pytest.raises(TypeError, match="normal"):
        program.save(tmp_path / "program.fastad")


def test_a_program_without_paths_is_refused(tmp_path):
    with pytest.raises(TypeError, match="nothing is recorded"):
        fastad.record(scalars).save(tmp_path / "program.fastad")


def test_a_file_appears_when_it_is_complete(tmp_path, monkeypatch):
    program, _, _ = recorded("scalars")
    program.save(tmp_path / "program.fastad")
    before = (tmp_path / "program.fastad").read_bytes()

    def fails(*_):
        raise OSError("no room")
    monkeypatch.setattr(container.os, "replace", fails)
    with pytest.raises(OSError, match="no room"):
        program.save(tmp_path / "program.fastad")
    assert [path.name for path in tmp_path.iterdir()] == ["program.fastad"]
    assert (tmp_path / "program.fastad").read_bytes() == before


# ---- without the source --------------------------------------------------------------------------------------------------------

def test_an_unknown_path_is_a_guard_error(tmp_path):
    program = fastad.record(same_path_twice)
    program(0.5), program(1.5)
    loaded = reloaded(program, tmp_path)
    for call in (loaded, loaded.grad, loaded.hessian, loaded.value_and_grad):
        with pytest.raises(fastad.GuardError, match="path"):
            call(2.5)
    for _ in range(200):
        with pytest.raises(fastad.GuardError):
            loaded(2.5)
    assert loaded(0.25) == 0.5 and loaded.grad(1.5) == 9.0


def test_what_needs_the_source_is_a_guard_error(tmp_path):
    loaded = reloaded(recorded("scalars")[0], tmp_path)
    with pytest.raises(fastad.GuardError, match="source"):
        fastad.grad(fastad.grad(lambda x: loaded(x, 0.7)))(0.3)
    with pytest.raises(fastad.GuardError, match="source"):
        loaded.clear()
    with pytest.raises(TypeError, match="single number"):
        reloaded(fastad.record(lambda x: x * 2.0, np.ones(2)), tmp_path).grad(np.ones(2))


# ---- pickle --------------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("name", ["scalars", "network", "float32"])
def test_pickled_programs(name, protocol):
    program, _, calls = recorded(name)
    loaded = pickle.loads(pickle.dumps(program, protocol))
    for args in calls:
        assert same(loaded(*args), program(*args))


def test_large_arrays_are_pickled_out_of_band(tmp_path):
    data = rng.normal(size=200_000)
    program = fastad.record(lambda x: np.sum(np.sin(x) * data), np.ones(200_000))
    buffers = []
    stream = pickle.dumps(program, 5, buffer_callback=buffers.append)
    assert len(stream) < 20_000 and sum(buffer.raw().nbytes for buffer in buffers) > data.nbytes
    loaded = pickle.loads(stream, buffers=buffers)
    assert loaded(np.ones(200_000)) == program(np.ones(200_000))
    rebuild, (prefix, arrays) = program.__reduce_ex__(5)
    program.save(tmp_path / "program.fastad")
    parts = [np.frombuffer(buffer.raw(), np.uint8) for buffer in arrays]
    assert container.joined(prefix, parts) == (tmp_path / "program.fastad").read_bytes()


def test_a_copy_of_a_program_is_the_program():
    program, _, _ = recorded("scalars")
    assert copy.copy(program) is program and copy.deepcopy([program])[0] is program


def test_a_program_is_loaded_in_another_process(tmp_path):
    program, _, calls = recorded("network")
    program.save(tmp_path / "program.fastad")
    np.savez(tmp_path / "arguments.npz", *calls[0])
    code = ("import sys, numpy as np, fastad; F = fastad.load(sys.argv[1]); a = np.load(sys.argv[2]); "
            "args = [a[k] for k in a.files]; print(F(*args).hex(), float(np.sum(F.grad(*args))).hex())")
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "program.fastad", tmp_path / "arguments.npz"],
                          capture_output=True, text=True, cwd=Path(__file__).parent.parent)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [program(*calls[0]).hex(), float(np.sum(program.grad(*calls[0]))).hex()]


# ---- bad files -----------------------------------------------------------------------------------------------------------------

def data_of(name):
    program, _, calls = recorded(name)
    return container.joined(*program._packed()), calls


def parts_of(data):
    """(document, arrays as bytes) of a file."""
    length = HEAD.unpack_from(data)[4]
    return json.loads(data[HEAD.size:HEAD.size + length]), data[HEAD.size + length:]


def sealed(document, rest):
    """A file with this text and this rest, and lengths and checksum that are right."""
    text = document if isinstance(document, bytes) else json.dumps(document, separators=(",", ":")).encode()
    text += b" " * (-(HEAD.size + len(text)) % 64)
    length = HEAD.size + len(text) + len(rest)
    checksum = zlib.crc32(struct.pack("<QQ", length, len(text)) + text + rest)
    return HEAD.pack(container.MAGIC, container.VERSION, checksum, length, len(text)) + text + rest


def read(data, max_bytes=None):
    return _program_of(*files.decode(data, None, max_bytes))


def test_a_file_that_was_taken_apart_is_the_same():
    data, _ = data_of("network")
    assert sealed(*parts_of(data)) == data


@pytest.mark.parametrize("data", [b"", b"FASTAD", b"\x80\x04K\x01.", b"\x89PNG\r\n\x1a\n" + bytes(100), bytes(1000)],
                         ids=["empty", "short", "a pickle", "a picture", "zeros"])
def test_other_files_are_refused(data, tmp_path):
    (tmp_path / "other").write_bytes(data)
    with pytest.raises(fastad.FormatError, match="not a program"):
        fastad.load(tmp_path / "other")


def test_a_newer_version_says_so():
    data = bytearray(data_of("scalars")[0])
    data[8:12] = struct.pack("<I", container.VERSION + 1)
    with pytest.raises(fastad.FormatError, match="newer"):
        read(bytes(data))


@pytest.mark.parametrize("length", [0, 7, 31, 40, 500, -64, -1])
def test_truncated_files_are_refused(length):
    data, _ = data_of("scalars")
    with pytest.raises(fastad.FormatError):
        read(data[:length])


@pytest.mark.parametrize("text", [
    b"[" * 100_000, b"{" + b'"a":{' * 50_000, b'{"name":1,"name":1}', b'{"name":' + b"9" * 10_000 + b"}", b'{"name":NaN}',
    b"\xff\xfe", b"[]",
    b'{"arrays":[["float64",[4611686018427387904]]]}', b'{"arrays":[["float64",[0,4611686018427387904,4611686018427387904]]]}',
    b'{"arrays":[["object",[1]]]}', b'{"arrays":[["float64",[-1]]]}', b'{"arrays":[["float64",[NaN]]]}',
    b'{"arrays":[["float64",[1.5]]]}',
    b'{"arrays":[["float64",[true]]]}',
], ids=["deep lists", "deep objects", "a key twice", "a long number", "NaN", "no text", "a list", "a large array",
        "an empty large array", "objects", "a negative length", "a length of NaN", "half an element", "a length that is true"])
def test_hostile_texts_are_refused(text):
    with pytest.raises(fastad.FormatError):
        read(sealed(text, b""))


def edited(name, change):
    data, _ = data_of(name)
    document, rest = parts_of(data)
    change(document, document["signatures"][0]["paths"][0])
    return sealed(document, rest)


def first(path, kind):
    return next(record for record in path["records"] if record[0] == kind)


def _set(target, k, value):
    target[k] = value


EDITS = {
    "another field": lambda d, p: _set(p, "extra", 1),
    "a field less": lambda d, p: p.pop("fork"),
    "a storage that is not there": lambda d, p: _set(first(p, "elementwise"), 4, 10**6),
    "a storage twice": lambda d, p: _set(first(p, "elementwise"), 4, 0),
    "a negative storage": lambda d, p: _set(first(p, "elementwise"), 4, -2),
    "a storage of another shape": lambda d, p: _set(p["storages"], 3, ["float64", [1000]]),
    "a storage that is large": lambda d, p: _set(p["storages"], -1, ["float64", [10**9]]),
    "a storage of another type": lambda d, p: _set(p["storages"], 3, ["float32", p["storages"][3][1]]),
    "an input of another shape": lambda d, p: _set(p["storages"], 0, ["float64", [1]]),
    "inputs swapped": lambda d, p: p["inputs"].reverse(),
    "no input": lambda d, p: p["inputs"].pop(),
    "an unknown function": lambda d, p: _set(first(p, "call"), 1, "numpy.save"),
    "an unknown row": lambda d, p: _set(first(p, "elementwise"), 1, "system"),
    "a function of another row": lambda d, p: _set(first(p, "elementwise"), 2, "numpy.save"),
    "a module": lambda d, p: _set(first(p, "elementwise"), 2, "os.system"),
    "other arguments": lambda d, p: _set(first(p, "call"), 2, []),
    "an argument that no call has": lambda d, p: _set(first(p, "call"), 3, {"nothing": 1}),
    "an operand from later": lambda d, p: _set(first(p, "elementwise"), 3, [["array", len(p["storages"]) - 1, 0]] * 2),
    "a parent that is not there": lambda d, p: _set(p, "parent", 0),
    "a record less": lambda d, p: p["records"].pop(),
    "a record of another kind": lambda d, p: _set(p["records"], 0, ["run", "rm"]),
    "an array that is not there": lambda d, p: _set(p, "a", 10**9),
    "a text for an array": lambda d, p: _set(p, "a", "opcode"),
    "operands of another path": lambda d, p: _set(p, "a", p["values"]),
    "a key that is a list": lambda d, p: _set(d["signatures"][0], "key", []),
    "a last path that is not there": lambda d, p: _set(d["signatures"][0], "last", 1),
    "a signature twice": lambda d, p: d["signatures"].append(d["signatures"][0]),
    "a structure for two": lambda d, p: _set(p, "structure", [False, ["list", 0, 0]]),
    "a result that is not there": lambda d, p: _set(p, "outputs", [["scalar", 10**6]]),
    "a result with a dtype": lambda d, p: _set(p, "outputs", [["plain", ["dtype", "float64"]]]),
    "deep values": lambda d, p: _set(p, "outputs", [["plain", json.loads('["list",' * 400 + "1" + "]" * 400)]]),
    "a line that is no line": lambda d, p: d["lines"].append([1, 2, 3]),
}


@pytest.mark.parametrize("change", EDITS.values(), ids=EDITS)
def test_edited_files_are_refused(change):
    with pytest.raises(fastad.FormatError):
        read(edited("network", change))


def _views(path):
    return [part for record in path["records"] for part in _nested(record) if part[:1] == ["view"]]


def _nested(entry):
    if isinstance(entry, list):
        yield entry
        for part in entry:
            yield from _nested(part)
    elif isinstance(entry, dict):
        for part in entry.values():
            yield from _nested(part)


@pytest.mark.parametrize(("k", "value"), [
    (2, [10**6]), (2, [2**62]), (3, [-8]), (3, [7]), (3, [2**62]), (3, [float("1e300")]), (4, -8), (4, 10**9), (4, 3), (1, 10**6),
    (5, 7),
], ids=["long", "too long", "before the array", "not aligned", "a large stride", "a stride of 1e300", "a negative offset",
        "a large offset", "an odd offset", "another array", "another mark"])
def test_parts_outside_of_their_array_are_refused(k, value):
    def change(_, path):
        view = next(view for view in _views(path) if len(view[2]) == 1)
        view[k] = value
    with pytest.raises(fastad.FormatError):
        read(edited("rows", change))


def test_arrays_beyond_what_the_size_lets_expect_need_leave():
    program = fastad.record(lambda x: np.sum(np.broadcast_to(np.stack([x]), (30_000_000,)) * 2.0), 1.0)
    data = container.joined(*program._packed())
    with pytest.raises(fastad.FormatError, match="max_bytes"):
        read(data)
    assert read(data, max_bytes=10**9).stats["paths"] == 1


def test_large_arguments_need_no_leave():
    n = 9_000_000
    program = fastad.record(lambda x: np.sum(x * 2.0), np.zeros(n))
    assert read(container.joined(*program._packed())).stats["paths"] == 1


# ---- mutated files -------------------------------------------------------------------------------------------------------------

MUTATIONS = 10_000


def mutations(data, count, seed):
    """Files that differ from one: bytes, truncations, and edits of the text or the arrays behind a right checksum."""
    chance = random.Random(seed)
    document, rest = parts_of(data)
    text = json.dumps(document, separators=(",", ":"))
    for k in range(count):
        kind = k % 8
        if kind == 0:
            changed = bytearray(data)
            changed[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
            yield bytes(changed)
        elif kind == 1:
            yield data[:chance.randrange(len(data))]
        elif kind == 2:
            changed = bytearray(rest)
            for _ in range(chance.randint(1, 3)):
                changed[chance.randrange(len(rest))] = chance.choice((0, 1, 2, 3, 4, 5, 6, 8, 10, 127, 128, 255))
            yield sealed(text.encode(), bytes(changed))
        elif kind == 3:
            changed = bytearray(text.encode())
            changed[chance.randrange(len(changed))] = chance.randrange(32, 127)
            yield sealed(bytes(changed), rest)
        else:
            changed = json.loads(text)
            path = chance.choice(changed["signatures"][0]["paths"])
            places = [changed, changed["signatures"], path, path["records"] or path, path["storages"] or path, path["outputs"]]
            for place in chance.sample(places, chance.choice((1, 1, 1, 2))):
                alter(place, chance)
            yield sealed(changed, rest)


def alter(at, chance):
    """Changes one entry somewhere in a part of a document."""
    while True:
        keys = list(at) if isinstance(at, dict) else range(len(at))
        if not keys:
            return
        key = chance.choice(keys)
        entry = at[key]
        if isinstance(entry, (list, dict)) and entry and chance.random() < 0.93:
            at = entry
            continue
        if isinstance(entry, bool) or entry is None or isinstance(entry, (list, dict)):
            at[key] = chance.choice([None, True, False, [], {}, 0, "x", entry, [entry], -1])
        elif isinstance(entry, int):
            at[key] = chance.choice([entry + 1, entry - 1, 0, 1, 2, 3, -1, 8, 16, 2**31, 2**63, entry * 2, chance.randrange(20)])
        else:
            at[key] = chance.choice([entry + "x", "", "float64", "float32", "int64", "bool", "sin", "add", "array", "scalar",
                                     "view", "sum", "input", "copy", "row", "numpy.add", "numpy.sin"])
        return


def try_all(data, calls, count, seed):
    """(how many were refused, how many ran, how many raised something else while they ran); anything else is a failure."""
    refused = ran = raised = 0
    for mutated in mutations(data, count, seed):
        try:
            program = read(mutated)
        except fastad.FormatError:
            refused += 1
            continue
        with np.errstate(all="ignore"):
            for args in calls:
                numbers = tuple(range(len(args)))
                for call in ("value", "grad", "jvp"):
                    try:
                        if call == "value":
                            program(*args)
                        elif call == "grad":
                            program.grad(*args, argnums=numbers)
                        else:
                            program.jvp(args, args)
                        ran += 1
                    except (fastad.GuardError, fastad.TraceError, TypeError, ValueError, IndexError, ArithmeticError):
                        raised += 1
    return refused, ran, raised


@pytest.mark.parametrize("name", CASES)
def test_mutated_files_do_no_harm(name):
    data, calls = data_of(name)
    started = time.perf_counter()
    refused, ran, _ = try_all(data, calls, MUTATIONS // len(CASES) + 1, 5)
    assert refused > MUTATIONS // len(CASES) // 2 and ran > 0
    assert time.perf_counter() - started < 60.0


def test_zeros_of_both_signs_are_one_outcome_of_a_guard(tmp_path):
    """What a loaded program takes another path for."""
    program = fastad.record(lambda x: x * x * (2.0 if round(x) > 0 else 3.0))
    program(-0.3), program(1.2)
    program.save(tmp_path / "f")
    loaded = fastad.load(tmp_path / "f")
    for x in (0.3, 1.1, -0.2, 1.3, 0.1):
        assert loaded.hvp((x,), (1.0,)) == program.hvp((x,), (1.0,)) == (4.0 if round(x) > 0 else 6.0)

    vectors = fastad.record(lambda x: np.sum(np.sin(x)) * round(x[1]))
    vectors(np.array([0.1, -0.3])), vectors(np.array([0.1, 1.2]))
    vectors.save(tmp_path / "g")
    loaded = fastad.load(tmp_path / "g")
    for x in np.array([[0.1, 0.2], [0.3, 1.1], [0.1, -0.2], [0.2, 1.3], [0.4, 0.1]]):
        np.testing.assert_array_equal(loaded.hvp((x,), (x,)), vectors.hvp((x,), (x,)))
