"""Builds the compiled core: writes the kernels from the op table, then cythonizes.

FASTAD_DEBUG=1 builds with bounds checks on slots and operands (a failed one aborts with file and line) and -O0;
FASTAD_SANITIZE=address,undefined adds those sanitizers (run Python with the sanitizer's library preloaded).
"""

import importlib.util
import os
import sys
from pathlib import Path

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup

ROOT = Path(__file__).parent.resolve()
PACKAGE = ROOT / "fastad"
GENERATED = PACKAGE / "core" / "generated"
DEBUG = os.environ.get("FASTAD_DEBUG", "0") not in ("", "0")
SANITIZE = os.environ.get("FASTAD_SANITIZE", "")


# Hundreds of special functions that spend their time in SciPy: inlining them into each other costs minutes and megabytes.
# In the sweeps the rare rows stay out of the loops.
SIMPLER = {} if DEBUG or sys.platform == "win32" else {
    "core/special": ["-O1", "-fno-inline"], "core/sweeps": ["-fno-inline-functions-called-once"]}
CORE = ("tape", "scalar", "functions", "nested", "sweeps", "special")
# On a free-threaded Python importing one of these switches the GIL on. The others keep their state in the thread, or change what
# they share by atomic operations only.
NEEDS_GIL = {"fastad.programs.code"}      # threads replaying one program read and replace its shortcuts, attributes in C, without a lock


def load_generator():
    """fastad.table.generate without importing fastad, which is not built yet."""
    for name in ("table", "table.generate"):
        path = PACKAGE / "table" / ("__init__.py" if name == "table" else "generate.py")
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules["table.generate"]


def compiler_options():
    if sys.platform == "win32":
        return (["/Od", "/DFASTAD_DEBUG"], ["/DEBUG"]) if DEBUG else (["/O2", "/fp:precise"], [])
    # One rounding per operation, so that replay and eager runs agree; no -ffast-math: it would change the process's arithmetic.
    compile_args = ["-ffp-contract=off", "-fno-math-errno"]
    compile_args += ["-O0", "-g", "-DFASTAD_DEBUG"] if DEBUG else ["-O3", "-g0"]
    sanitizers = [f"-fsanitize={SANITIZE}", "-fno-omit-frame-pointer"] if SANITIZE else []
    return compile_args + sanitizers, sanitizers


def extensions():
    compile_args, link_args = compiler_options()
    # A change of options must rebuild what is there: the file they stand in is a dependency of every extension.
    flags = GENERATED / "flags.txt"
    text = " ".join(compile_args + link_args)
    if not flags.exists() or flags.read_text() != text:
        flags.write_text(text)
    return [Extension("fastad." + name.replace("/", "."), [f"fastad/{name}.pyx"],
                      depends=[str(flags.relative_to(ROOT)), "fastad/core/vector.h"], include_dirs=[str(ROOT), numpy.get_include()],
                      define_macros=[("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION")],
                      extra_compile_args=compile_args + SIMPLER.get(name, []), extra_link_args=link_args)
            for name in (*(f"core/{name}" for name in CORE), "arrays/active", "programs/code")]


def translated(modules, free_threaded):
    return cythonize(modules, language_level=3, build_dir="build/cython", compiler_directives={
        "wraparound": False, "embedsignature": True, "freethreading_compatible": free_threaded})


load_generator().write_all(GENERATED)
modules = extensions()
setup(ext_modules=[*translated([m for m in modules if m.name not in NEEDS_GIL], True),
                   *translated([m for m in modules if m.name in NEEDS_GIL], False)])
