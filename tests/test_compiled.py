"""The generated C of the sweeps: with the GIL released, nothing in them may touch the interpreter."""

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fastad.table import generate

ROOT = Path(__file__).parent.parent
CORE = ROOT / "fastad" / "core"

# The functions that run without the GIL, by module; all that they call in the same file is read too.
SWEEPS = {
    "sweeps": ["forward_sweep", "tangent_sweep", "reverse_sweep", "reverse_tangent_sweep", "tangent_step",
               "reverse_step", "reverse_tangent_step", "special_tangent", "special_reverse",
               "special_reverse_tangent"],
    "schedule": ["load_constants", "run_forward", "copy_kept", "run_reverse", "run_tangent", "run_reverse_tangent", "begin",
                 "simplify", "count_uses", "join_chains", "place_first", "emit", "*_loop", "*_block"],
    "seeds": ["tangent_lanes", "reverse_lanes", "reverse_tangent_lanes"],
    "scalar": ["value_of", "value_by_opcode", "special_operands", "special_row", "current_tape"],
    "special": ["*_value", "*_first", "*_second"],
}
INTERPRETER = re.compile(r"\b(?:_?Py[A-Z_]\w*|__Pyx_\w+|__pyx_(?:n|kp)_\w+|__PYX_ERR\w*|__pyx_L\w*error)\b")
# Of Cython's own names: branch hints and the arithmetic of complex numbers and of ints, which is plain C.
HARMLESS = re.compile(r"Py_ssize_t|__Pyx_(?:likely|unlikely|CREAL|CIMAG|SET_C\w+|(?:c|pow|div|mod)_\w+)")
FUNCTION = re.compile(r"^(?:static|CYTHON_INLINE|__PYX_EXTERN_C|extern)\b[^;{}()=]*?\b(__pyx_f\w+)\s*"
                      r"\([^;{}]*\)\s*\{", re.MULTILINE)


def sources(path):
    """The Cython file at `path` and all that it includes and cimports of the package, at any depth."""
    seen, waiting = set(), [path]
    while waiting:
        path = waiting.pop()
        if path in seen or not path.exists():
            continue
        seen.add(path)
        text = path.read_text()
        waiting += [path.parent / name for name in re.findall(r'^include "(.+)"', text, re.MULTILINE)]
        waiting += [ROOT / (name.replace(".", "/") + ".pxd")
                    for name in re.findall(r"\b(fastad[\w.]+)", text)]
    return seen


def translated(names, folder):
    """A folder with the C of these modules, made by Cython from a copy of the sources."""
    if importlib.util.find_spec("Cython") is None:
        pytest.skip("Cython is not installed, and build/cython has no C newer than the sources")
    ignored = shutil.ignore_patterns("*.so", "*.pyd", "*.c", "__pycache__")
    shutil.copytree(ROOT / "fastad", folder / "fastad", ignore=ignored)
    generate.write_all(folder / "fastad" / "core" / "generated")
    command = [sys.executable, "-m", "cython", "-3", "-X",
               "boundscheck=False,wraparound=False,freethreading_compatible=True"]
    done = subprocess.run(command + [f"fastad/core/{name}.pyx" for name in names], cwd=folder,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder / "fastad" / "core"


@pytest.fixture(scope="module")
def c_files(tmp_path_factory):
    """The path of the C file of each module in SWEEPS."""
    folder = ROOT / "build" / "cython" / "fastad" / "core"
    files = {name: folder / f"{name}.c" for name in SWEEPS}
    stale = [name for name, path in files.items() if not path.exists() or
             path.stat().st_mtime < max(source.stat().st_mtime for source in sources(CORE / f"{name}.pyx"))]
    if stale:
        folder = translated(stale, tmp_path_factory.mktemp("cython"))
        files.update({name: folder / f"{name}.c" for name in stale})
    return files


def bodies(text):
    """Name -> body of each C function that Cython wrote for a cdef function."""
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    found = {}
    for head in FUNCTION.finditer(text):
        depth, end = 1, head.end()
        while depth:
            brace = re.compile(r"[{}]").search(text, end)
            depth += 1 if brace.group() == "{" else -1
            end = brace.end()
        found[head.group(1)] = text[head.end():end]
    return found


def named(functions, module, name):
    """The C names of a module's function `name`; a leading * stands for any name."""
    mangled = f"_6fastad_4core_{len(module)}{module}_"
    pattern = re.compile(re.escape(mangled) + re.escape(name).replace(r"\*", r"\w+") + "$")
    return [function for function in functions if pattern.search(function)]


def reachable(functions, start):
    """The functions of the file that `start` calls, at any depth, and itself."""
    seen, waiting = set(), [start]
    while waiting:
        function = waiting.pop()
        if function not in seen:
            seen.add(function)
            waiting += [name for name in re.findall(r"\b__pyx_f\w+", functions[function])
                        if name in functions]
    return seen


def touched(body):
    """What a function's body uses of the interpreter."""
    return sorted({name for name in INTERPRETER.findall(body) if not HARMLESS.fullmatch(name)})


CASES = [(module, name) for module, names in SWEEPS.items() for name in names]


@pytest.mark.parametrize("module, name", CASES)
def test_no_interpreter_in_a_sweep(c_files, module, name):
    functions = bodies(c_files[module].read_text())
    starts = named(functions, module, name)
    assert starts, f"{module}.pyx has no function {name}"
    for start in starts:
        for function in reachable(functions, start):
            used = touched(functions[function])
            assert not used, f"{function}, called by {start}, uses {', '.join(used)}"


def test_the_reader_sees_the_interpreter_where_it_is(c_files):
    # What records under the GIL does call it: if this finds nothing, the reader has gone blind.
    functions = bodies(c_files["sweeps"].read_text())
    for name in ("gather", "zeros", "scatter"):
        start, = named(functions, "sweeps", name)
        assert touched(functions[start])
    start, = named(functions, "sweeps", "reverse_sweep")
    assert any(function.endswith("_multiply_dx") for function in reachable(functions, start))
