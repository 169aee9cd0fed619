"""The evals in C with derivatives by hand, `limit.c`, compiled where there is a compiler: what programs are measured against."""

import ctypes
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from bench.gradbench import ba

SOURCE = Path(__file__).with_name("limit.c")
COMPILERS = (os.environ.get("CC"), "cc", "gcc", "clang")


def compiler():
    """Returns the path of a C compiler; ModuleNotFoundError where there is none."""
    for name in filter(None, COMPILERS):
        if path := shutil.which(name):
            return path
    raise ModuleNotFoundError("no C compiler")


def library():
    """Returns the compiled functions; `BENCH_LIMIT` may name a file to keep them in, for other processes."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        target = Path(os.environ.get("BENCH_LIMIT", Path(folder) / "limit.so"))
        if not target.exists():
            options = ["-O3", "-march=native", "-ffp-contract=off", "-fno-math-errno", "-shared", "-fPIC"]
            subprocess.run([compiler(), *options, "-o", target, SOURCE, "-lm"], check=True, capture_output=True)
        return ctypes.CDLL(str(target))


LIBRARY = library()


def called(name, *arguments):
    """Calls a function of the library: ints, floats and contiguous arrays."""
    kinds = {int: ctypes.c_int, float: ctypes.c_double}
    return getattr(LIBRARY, name)(
        *(x.ctypes.data_as(ctypes.c_void_p) if isinstance(x, np.ndarray) else kinds[type(x)](x) for x in arguments)
    )


def filled(name, *arguments, results):
    """Returns the call of a function that fills arrays of the shapes `results`, given behind its arguments."""

    def call():
        found = [np.empty(shape) for shape in results]
        called(name, *arguments, *found)
        return found[0] if len(found) == 1 else tuple(found)

    return call


def gmm(alpha, mu, q, l, x, m, gamma):
    k, d = q.shape
    shapes = [part.shape for part in (alpha, mu, q, l)]
    return filled("gmm_gradient", d, k, len(x), alpha, mu, q, l, x, m, gamma, np.empty(k * (1 + 3 * d)), results=shapes)


def bundle(cameras, points, weight, feature, seen_by, seen):
    starts, columns = ba.pattern(len(cameras), len(points), seen_by, seen)
    indices = [part.astype(np.int64) for part in (seen_by, seen)]
    call = filled("ba_jacobian", len(weight), cameras, points, weight, feature, *indices, results=[31 * len(weight)])
    return lambda: (starts, columns, call())


def kmeans(centroids, points):
    sizes = np.empty(len(centroids))
    return filled("kmeans_direction", len(points), *centroids.shape, points, centroids, sizes, results=[centroids.shape])


def llsq(x, n):
    return filled("llsq_gradient", n, len(x), x, np.empty(len(x)), results=[len(x)])


def lse(x):
    return filled("lse_gradient", len(x), x, results=[len(x)])


def lstm(main, extra, state, sequence):
    layers, (characters, bits) = len(main) // 2, sequence.shape
    saved, outputs = np.empty(7 * layers * bits * characters), np.empty(bits * characters)
    work = np.empty(2 * layers * bits + bits)
    return filled(
        "lstm_gradient",
        layers,
        characters,
        bits,
        main,
        extra,
        state,
        sequence,
        saved,
        outputs,
        work,
        results=[main.shape, extra.shape],
    )


def equations(x, steps):
    n = len(x)
    return filled("ode_gradient", n, steps, x, np.empty(4 * steps * n), np.empty(6 * n), results=[n])


def determinant(flat, size):
    return filled("det_gradient", size, flat, np.empty(size + 1, np.int32), results=[size * size])


PROBLEMS = {
    "gmm": gmm,
    "ba": bundle,
    "kmeans": kmeans,
    "llsq": llsq,
    "lse": lse,
    "lstm": lstm,
    "ode": equations,
    "det": determinant,
}
UNABLE = dict.fromkeys(("hello", "ht", "particle", "saddle"), "not written by hand")
