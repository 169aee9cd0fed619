"""Builds the compiled core: writes the kernels from the op table, then cythonizes.

FASTAD_DEBUG=1 builds with bounds checks on slots and operands (a failed one aborts with file and line) and -O0;
FASTAD_SANITIZE=address,undefined adds those sanitizers, at -O1 (run Python with the sanitizer's library preloaded).
"""

import importlib.util
import os
import sys
import sysconfig
from pathlib import Path

if sys.version_info < (3, 11):      # noqa: UP036  pip looks at requires-python after this has run
    sys.exit(f"fastad needs Python 3.11 or newer; this is Python {sys.version.split()[0]} at {sys.executable}")

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.modified import newer_group

ROOT = Path(__file__).parent.resolve()
PACKAGE = ROOT / "fastad"
GENERATED = PACKAGE / "core" / "generated"
DEBUG = os.environ.get("FASTAD_DEBUG", "0") not in ("", "0")
SANITIZE = os.environ.get("FASTAD_SANITIZE", "")


# Hundreds of special functions that spend their time in SciPy: inlining them into each other costs minutes and megabytes.
# In the sweeps the rare rows stay out of the loops.
SIMPLER = {} if DEBUG or sys.platform == "win32" else {
    "core/special": ["-O1", "-fno-inline"], "core/sweeps": ["-fno-inline-functions-called-once"]}
CORE = ("tape", "scalar", "functions", "nested", "sweeps", "schedule", "seeds", "special", "simd", "lanes")
HEADERS = ("core/atomics.h", "core/levels.h", "core/vector.h", "core/support.h", "core/transcendental.h")      # that many include
LANES_HEADERS = ("core/lanes.h", "core/simd.h")
OWN_DEPENDS = {
    "core/schedule": ("core/dots.h",), "core/seeds": ("core/seeds.h",), "core/simd": LANES_HEADERS,
    "core/lanes": (*LANES_HEADERS, "core/lane_guards.h", "core/lane_vectors.h", "core/lanes_kernels.c",
                   "core/generated/lanes_rows.h"),
    "arrays/memory": ("arrays/memory.h",), "arrays/active": ("arrays/checksum.h",),
    "programs/code": (*LANES_HEADERS, "programs/loops.h", "programs/short_loops.h", "programs/extremes.h", "programs/products.h",
                      "programs/narrow_products.h", "programs/narrow_products.c"),
}

# Kernel files, compiled once per instruction set; which of them runs is decided when fastad is imported (core/simd.pyx). Without
# -mfma, as one rounding more or less would tell the sets apart: but for products of matrices, which are BLAS's otherwise.
LEVELED = {"fastad.core.lanes": "fastad/core/lanes_kernels.c", "fastad.programs.code": "fastad/programs/narrow_products.c"}
LEVELS = {"baseline": []}
# What is compiled for, not where: a cross compilation says it in _PYTHON_HOST_PLATFORM.
if sysconfig.get_platform().endswith(("x86_64", "amd64")) and sys.maxsize > 2**32:
    LEVELS |= {"avx2": ["/arch:AVX2"], "avx512": ["/arch:AVX512"]} if sys.platform == "win32" else {
        "avx2": ["-mavx2"], "avx512": ["-mavx512f", "-mavx512dq", "-mavx512vl", "-mprefer-vector-width=512"]}
FUSED = {"fastad.programs.code"}
LEVEL_MACROS = [("FASTAD_HAVE_LEVELS", "1")] if len(LEVELS) > 1 else []
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
    compile_args += ["-O0", "-g", "-DFASTAD_DEBUG"] if DEBUG else ["-O1", "-g1"] if SANITIZE else ["-O3", "-g0"]
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
                      depends=[str(flags.relative_to(ROOT)), *(f"fastad/{file}" for file in (*HEADERS, *OWN_DEPENDS.get(name, ())))],
                      include_dirs=[str(ROOT), numpy.get_include()],
                      define_macros=[("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION"), *LEVEL_MACROS],
                      extra_compile_args=compile_args + SIMPLER.get(name, []), extra_link_args=link_args)
            for name in (*(f"core/{name}" for name in CORE), "arrays/memory", "arrays/active", "programs/code")]


class BuildLevels(build_ext):
    """Compiles the kernel file of an extension once per instruction set and links the objects in; extensions side by side."""

    def finalize_options(self):
        super().finalize_options()
        self.parallel = self.parallel or os.cpu_count()

    def build_extension(self, extension):
        source = LEVELED.get(extension.name)
        for level, options in LEVELS.items() if source else ():
            folder = os.path.join(self.build_temp, level)
            [there] = self.compiler.object_filenames([source], output_dir=folder)
            if self.force or newer_group([source, *extension.depends], there):
                # -fno-trapping-math lets comparisons become masks; it changes no result.
                quiet = [] if sys.platform == "win32" else ["-fno-trapping-math"]
                if quiet and extension.name in FUSED:
                    quiet += ["-ffp-contract=fast", "-mfma"] if options else ["-ffp-contract=fast"]
                self.compiler.compile([source], output_dir=folder, macros=[*extension.define_macros, ("FASTAD_LEVEL", level)],
                                      include_dirs=extension.include_dirs,
                                      extra_postargs=extension.extra_compile_args + quiet + options)
            extension.extra_objects.append(there)
        super().build_extension(extension)


def translated(modules, free_threaded):
    return cythonize(modules, language_level=3, build_dir="build/cython", compiler_directives={
        "wraparound": False, "embedsignature": True, "freethreading_compatible": free_threaded})


load_generator().write_all(GENERATED)
modules = extensions()
setup(ext_modules=[*translated([m for m in modules if m.name not in NEEDS_GIL], True),
                   *translated([m for m in modules if m.name in NEEDS_GIL], False)],
      cmdclass={"build_ext": BuildLevels})
