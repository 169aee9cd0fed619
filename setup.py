"""Builds the compiled core: writes the kernels from the op table, then cythonizes.

FASTAD_DEBUG=1 builds with assertions on slots and operands, no optimisation and C line numbers in tracebacks;
FASTAD_SANITIZE=address,undefined adds those sanitizers (run Python with the sanitizer's library preloaded).
"""

import importlib.util
import os
import sys
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

PACKAGE = Path(__file__).parent / "fastad"
DEBUG = os.environ.get("FASTAD_DEBUG", "0") not in ("", "0")
SANITIZE = os.environ.get("FASTAD_SANITIZE", "")


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
    compile_args += ["-O0", "-g", "-DFASTAD_DEBUG"] if DEBUG else ["-O3"]
    sanitizers = [f"-fsanitize={SANITIZE}", "-fno-omit-frame-pointer"] if SANITIZE else []
    return compile_args + sanitizers, sanitizers


def extensions():
    compile_args, link_args = compiler_options()
    return [Extension(f"fastad.core.{name}", [f"fastad/core/{name}.pyx"], extra_compile_args=compile_args, extra_link_args=link_args)
            for name in ("tape", "scalar", "functions", "sweeps", "special")]


load_generator().write_all(PACKAGE / "core" / "generated")
setup(ext_modules=cythonize(
    extensions(), language_level=3, build_dir="build/cython", nthreads=0,
    compiler_directives={"boundscheck": DEBUG, "wraparound": False, "embedsignature": True, "emit_code_comments": DEBUG,
                         "freethreading_compatible": True},
    compile_time_env=None, force=DEBUG))
