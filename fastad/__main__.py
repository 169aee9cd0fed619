"""`python -m fastad`: what is installed here, what it runs on, and whether a handful of derivatives come out right."""

import math
import os
import platform
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from importlib import import_module, metadata

import numpy as np

import fastad
from fastad._installation import SCIPY, is_old_scipy
from fastad.core import simd

TOLERANCE = 1e-12          # relative; the closed forms are evaluated in double precision as well
FEATURES = ("SSE42", "AVX", "AVX2", "FMA3", "AVX512F", "AVX512_SKX", "NEON", "ASIMD", "SVE")

Check = Callable[[], tuple[object, object]]


# ---- what there is -----------------------------------------------------------------------------------------------------------

def _version_of(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _scipy() -> str:
    try:
        version = import_module("scipy").__version__
    except ImportError:
        return "not installed (special functions need it)"
    return f"{version} (special functions need {SCIPY} or newer)" if is_old_scipy(version) else version


def _threading() -> str:
    if not sysconfig.get_config_var("Py_GIL_DISABLED"):
        return "with the GIL"
    return "free-threaded, the GIL is on" if getattr(sys, "_is_gil_enabled", lambda: True)() else "free-threaded"


def _features() -> str:
    """Instruction sets of the processor that NumPy found and has not been told to leave alone."""
    try:
        found = import_module("numpy._core._multiarray_umath").__cpu_features__
    except (ImportError, AttributeError):
        return "not known"
    return " ".join(name for name in FEATURES if found.get(name)) or "the machine's baseline"


def _kernels() -> str:
    """The instruction set of fastad's vectorised kernels, and the best there is where FASTAD_SIMD asked for another."""
    used, best = simd.level(), simd.best_level()
    return used if used == best else f"{used}, though {best} is to be had"


def _threads() -> str:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limits = [f"{name}={os.environ[name]}" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
              if name in os.environ]
    return ", ".join([f"{usable} of {os.cpu_count()} processors usable", *limits])


def _blas() -> str:
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        described = np.show_config(mode="dicts")
        blas = described["Build Dependencies"]["blas"] if isinstance(described, dict) else {}
        return f"{blas.get('name', 'not known')} {blas.get('version', '')} (threads: pip install threadpoolctl)".replace("  ", " ")
    libraries = [f"{pool.get('internal_api')} {pool.get('version')}, {pool.get('num_threads')} threads"
                 + (f", {pool['architecture']}" if pool.get("architecture") else "")
                 for pool in threadpool_info() if pool.get("user_api") == "blas"]
    return "; ".join(libraries) or "none loaded"


def report() -> Iterator[tuple[str, str]]:
    """(name, what is there) for each line."""
    yield "fastad", f"{fastad.__version__} in {os.path.dirname(os.path.abspath(fastad.__file__))}"
    yield "Python", f"{platform.python_version()} {platform.python_implementation()}, {_threading()}, {sysconfig.get_platform()}"
    yield "NumPy", np.__version__
    yield "SciPy", _scipy()
    yield "optree", _version_of("optree")
    yield "processor", _features()
    yield "kernels", _kernels()
    yield "threads", _threads()
    yield "BLAS", _blas()


# ---- whether it works ----------------------------------------------------------------------------------------------------------

def scalar() -> tuple[object, object]:
    """d/dx of x sin(x) and its second derivative."""
    def f(x: float) -> float:
        return x * fastad.math.sin(x)
    x = 1.25
    return ([fastad.grad(f)(x), fastad.grad(fastad.grad(f))(x)],
            [math.sin(x) + x * math.cos(x), 2.0 * math.cos(x) - x * math.sin(x)])


def array() -> tuple[object, object]:
    """The gradient of sum(tanh(A x)), and a product with its transpose."""
    a, x = np.cos(np.arange(12.0)).reshape(4, 3), np.array([0.5, -1.0, 2.0])
    return fastad.grad(lambda x: np.sum(np.tanh(a @ x)))(x), a.T @ (1.0 - np.tanh(a @ x) ** 2)


def writes() -> tuple[object, object]:
    """The Jacobian of a loop that reads and writes elements: y[i] = x[i]^2 y[i-1]."""
    def f(x: np.ndarray) -> np.ndarray:
        y = x * 1.0
        for i in range(1, 3):
            y[i] = x[i] * x[i] * y[i - 1]
        return y
    x, y, z = point = np.array([2.0, 3.0, -0.5])
    return (fastad.jacobian(f)(point),
            [[1.0, 0.0, 0.0], [y * y, 2.0 * x * y, 0.0], [y * y * z * z, 2.0 * x * y * z * z, 2.0 * x * y * y * z]])


def hessian() -> tuple[object, object]:
    """The Hessian of x'Ax / 2 + sum(exp(x))."""
    a, x = np.array([[2.0, 1.0], [1.0, 3.0]]), np.array([0.25, -0.75])
    return fastad.hessian(lambda x: 0.5 * x @ a @ x + np.sum(np.exp(x)))(x), a + np.diag(np.exp(x))


def program() -> tuple[object, object]:
    """A program with a guard, on both sides of it: each path is recorded once and then replayed."""
    f = fastad.record(lambda x: x * x if x > 1.0 else fastad.math.exp(x))
    points = (2.0, 0.5, 3.0, 0.25)
    return [f.grad(x) for x in points], [2.0 * x if x > 1.0 else math.exp(x) for x in points]


def special() -> tuple[object, object]:
    """d/dx of log gamma at 2, which is SciPy's digamma function."""
    return fastad.grad(fastad.math.lgamma)(2.0), 1.0 - 0.5772156649015329


CHECKS: tuple[Check, ...] = (scalar, array, writes, hessian, program, special)


def result(check: Check) -> str:
    """What a check comes to: "right", "FAILED, " and what is wrong with its derivatives, or "left out, " and why."""
    try:
        found, expected = check()
        np.testing.assert_allclose(np.asarray(found), np.asarray(expected), rtol=TOLERANCE, atol=TOLERANCE)
    except Exception as error:
        if isinstance(error, ImportError) and error.name == "scipy":
            return f"left out, {error}"
        return f"FAILED, {type(error).__name__}: {' '.join(str(error).split())}"
    return "right"


def main() -> int:
    """Prints the report; 1 if a check failed, else 0."""
    for name, text in report():
        print(f"{name:<10} {text}")
    start = time.perf_counter()
    failed = 0
    for check in CHECKS:
        text = result(check)
        failed += text.startswith("FAILED")
        print(f"{'check':<10} {check.__name__}: {text}")
    seconds = time.perf_counter() - start
    print(f"{'self-check':<10} {f'{failed} of {len(CHECKS)} FAILED' if failed else 'all right'} ({seconds:.2f} s)")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
