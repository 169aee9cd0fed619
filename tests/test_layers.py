"""Imports run one way: op table, core, what wraps it, the transforms, the public names."""

import ast
import fnmatch
import graphlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "fastad"

# From the bottom up: a module imports those of its own layer, without going in a circle, and those below it.
LAYERS = (
    ("table", "table.*"),
    ("core", "core.*", "special_*"),
    ("_installation", "errors", "elementals", "ufuncs", "math", "pytrees"),
    ("arrays", "arrays.*"),
    ("leaves", "debugging", "transforms", "checking", "numpy", "numpy.*", "programs", "programs.*"),
    ("", "_version", "__main__"),
)
# What the core may import from elsewhere when it is needed, never while it is being imported.
LAZY_FROM_CORE = {"errors"}
LAZY_NUMPY = {"core.scalar", "core.tape"}
# Modules of the core that are themselves imported only when they are needed.
LOADED_LATE = ("core.special", "special_*")
HEAVY = ("scipy", "optree", "matplotlib", "sympy", "mpmath", "graphviz")


def sources():
    return sorted(path for suffix in ("*.py", "*.pyx", "*.pxd", "*.pxi") for path in PACKAGE.rglob(suffix)
                  if "generated" not in path.parts)


def module_name(path):
    """The name below the package: "core.tape" for core/tape.pyx, "" for the package itself."""
    return ".".join(part for part in path.relative_to(PACKAGE).with_suffix("").parts if part != "__init__")


def matches(module, patterns):
    return any(fnmatch.fnmatchcase(module, pattern) for pattern in patterns)


def layer(module):
    """Index of the layer a module is in."""
    for index, patterns in enumerate(LAYERS):
        if matches(module, patterns):
            return index
    raise AssertionError(f"fastad.{module} is in no layer: enter it in LAYERS")


def absolute(path, level, module):
    """The full name of what `from <level dots><module> import` in the file `path` names."""
    if not level:
        return module
    package = ["fastad", *path.relative_to(PACKAGE).parent.parts]
    return ".".join(package[:len(package) - level + 1] + ([module] if module else []))


def python_imports(path):
    """(full name, whether it stands inside a function) for each import of a Python file."""
    def walk(tree, lazy):
        for part in ast.iter_child_nodes(tree):
            if isinstance(part, ast.Import):
                yield from ((alias.name, lazy) for alias in part.names)
            elif isinstance(part, ast.ImportFrom):
                base = absolute(path, part.level, part.module)
                yield from (name for alias in part.names for name in of_module(base, alias.name, lazy))
            else:
                yield from walk(part, lazy or isinstance(part, ast.FunctionDef))

    yield from walk(ast.parse(path.read_text()), False)


CYTHON_IMPORT = re.compile(
    r"^(?P<indent>[ \t]*)(?:from[ ]+(?P<dots>\.*)(?P<base>[\w.]*)[ ]+c?import[ ]+(?P<names>\([^)]*\)|[^\n]*)|"
    r"c?import[ ]+(?P<plain>[^\n]*))", re.MULTILINE)


def cython_imports(path):
    """The same of a Cython file, cimports among them; an import is inside a function where it is indented."""
    text = re.sub(r'"""(?s:.*?)"""', "", path.read_text())
    text = re.sub(r"#[^\n]*", "", text)
    for found in CYTHON_IMPORT.finditer(text):
        lazy = bool(found["indent"])
        names = re.sub(r"[()\\\n]", " ", found["plain"] or found["names"]).split(",")
        names = [name.split()[0] for name in names if name.strip()]
        if found["plain"]:
            yield from ((name, lazy) for name in names)
            continue
        base = absolute(path, len(found["dots"]), found["base"])
        yield from (pair for name in names for pair in of_module(base, name, lazy))


def of_module(base, name, lazy):
    """`from base import name` names the module base.name if there is one, else base."""
    parts = base.split(".")
    if parts[0] == "fastad":
        folder = PACKAGE.joinpath(*parts[1:])
        files = [folder / (name + suffix) for suffix in (".py", ".pyx", ".pxd")]
        if (folder / name).is_dir() or any(file.exists() for file in files):
            yield f"{base}.{name}", lazy
            return
    yield base, lazy


def imports(path):
    return list(dict.fromkeys(python_imports(path) if path.suffix == ".py" else cython_imports(path)))


def ours(path):
    """(module below the package, lazy) for each import of the package by the package."""
    for name, lazy in imports(path):
        if name == "fastad" or name.startswith("fastad."):
            imported = name.removeprefix("fastad").lstrip(".")
            yield ("core" if imported.startswith("core.generated") else imported), lazy


def test_the_readers_find_what_there_is():
    found = {module_name(path): [name for name, _ in ours(path)] for path in sources()}
    assert "core.tape" in found["core.scalar"] and "core.scalar" in found["core.sweeps"]
    assert "core.scalar" in found["transforms"] and "transforms" in found[""]
    assert "errors" in found["core.scalar"]
    assert any(name.startswith("libc") for name, _ in imports(PACKAGE / "core" / "tape.pyx"))


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_arrow_points_back(path):
    module = module_name(path)
    mine = layer(module)
    for imported, lazy in ours(path):
        if mine == layer("core") and imported in LAZY_FROM_CORE:
            assert lazy, f"fastad.{module} imports fastad.{imported} while it is being imported"
            continue
        assert layer(imported) <= mine, f"fastad.{module} imports fastad.{imported} from a layer above it"


def test_no_imports_in_a_circle():
    graph = {}
    for path in sources():
        module = module_name(path)
        graph.setdefault(module, set()).update(
            imported for imported, _ in ours(path) if imported not in (module, "core") and
            not (module.startswith("core") and imported in LAZY_FROM_CORE))
    list(graphlib.TopologicalSorter(graph).static_order())


def test_the_core_needs_no_numpy():
    for path in sources():
        module = module_name(path)
        for name, lazy in imports(path) if layer(module) <= layer("core") else ():
            top = name.split(".")[0]
            if top == "numpy":
                assert lazy and module in LAZY_NUMPY, f"fastad.{module} imports {name}"
            if top in HEAVY:
                assert matches(module, LOADED_LATE), f"fastad.{module} imports {name}"


def test_the_table_stands_alone():
    for path in sources():
        if module_name(path).split(".")[0] == "table":
            for name, _ in imports(path):
                top = name.split(".")[0]
                assert top in sys.stdlib_module_names or name.startswith("fastad.table"), (path, name)


def test_importing_fastad_imports_no_more_than_it_needs():
    code = ("import sys, fastad; fastad.grad(lambda x: x * fastad.math.sin(x))(1.0); "
            "print(*(name for name in sys.argv[1:] if name in sys.modules))")
    heavy = ["scipy", "scipy.special", "optree", "matplotlib", "sympy", "mpmath", "graphviz", "jax", "torch",
             "fastad.core.special", "fastad.numpy", "fastad.programs.explain", "fastad.programs.draw"]
    done = subprocess.run([sys.executable, "-c", code, *heavy], capture_output=True, text=True,
                          cwd=PACKAGE.parent)
    assert (done.returncode, done.stdout.split()) == (0, []), done.stderr
