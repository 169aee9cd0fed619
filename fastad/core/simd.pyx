"""The instruction set that vectorised kernels are chosen for, when fastad is imported.

It is the best one that the processor has and that kernels were compiled for; the environment variable FASTAD_SIMD asks for a lower
one: baseline, avx2 or avx512. Results are the same on each, but for rounding in products of matrices.
"""

cdef extern from "fastad/core/simd.h":
    int fastad_best_level() noexcept nogil

import os
import warnings

LEVELS = ("baseline", "avx2", "avx512")

cdef int chosen = fastad_best_level()


cdef int current_level() noexcept nogil:
    return chosen


def level():
    """The instruction set in use: "baseline", "avx2" or "avx512"."""
    return LEVELS[chosen]


def best_level():
    """The best instruction set that this processor and this build of fastad have."""
    return LEVELS[fastad_best_level()]


def _choose(asked):
    """Takes what FASTAD_SIMD asks for; RuntimeWarning where that is not to be had."""
    global chosen
    best = fastad_best_level()
    if asked not in LEVELS:
        warnings.warn(f"FASTAD_SIMD is {asked!r}, which is none of {', '.join(LEVELS)}; {LEVELS[best]} is used", RuntimeWarning,
                      stacklevel=2)
    elif LEVELS.index(asked) > best:
        warnings.warn(f"FASTAD_SIMD asks for {asked}, which this processor or this build does not have; {LEVELS[best]} is used",
                      RuntimeWarning, stacklevel=2)
    else:
        chosen = LEVELS.index(asked)


if os.environ.get("FASTAD_SIMD"):
    _choose(os.environ["FASTAD_SIMD"])
