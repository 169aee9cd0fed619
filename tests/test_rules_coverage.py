"""Which of NumPy's functions answer active arrays, and why the others do not: what is left to declare is a table here."""

import numpy as np
import pytest
from rule_checks import load_all_rules

from fastad.arrays.rules.registry import RULES
from fastad.arrays.rules.selection import COMPOSED
from fastad.arrays.rules.tracked import TRACKED

load_all_rules()

COMPLEX = "results are complex, and complex arrays come later"
MUTATION = "writes into its first argument: belongs to the active array's own assignment, not to a table of results"
FILES = "writes values to a file: an active value is refused there, plain ones are to be written"
DATES = "dates are not numbers that can be differentiated"

# Names of functions without a rule, with the reason. A function that gets a rule leaves this table.
NOT_YET = {
    "numpy": {
        **dict.fromkeys("copyto fill_diagonal place put put_along_axis putmask".split(), MUTATION),
        **dict.fromkeys("save savetxt savez savez_compressed".split(), FILES),
        **dict.fromkeys("busday_count busday_offset datetime_as_string is_busday".split(), DATES),
        "sort_complex": COMPLEX,
        "roots": COMPLEX + "; needs the eigenvalues of a matrix that is not symmetric",
        "poly": "of a matrix, needs its eigenvalues; of roots, is a chain of np.convolve that can be written with it",
        "polydiv": "the length of the remainder depends on rounding; a chain of subtractions that can be written out",
        "polyfit": "least squares with scaling and several forms of results; np.linalg.lstsq of np.vander says the same",
        "histogram2d": "as np.histogram, by np.histogramdd",
        "histogramdd": "as np.histogram: linear in the weights, and its edges move with the extremes of the sample",
        "trapz": "an older name of np.trapezoid, gone from NumPy 2.4",
        "row_stack": "an older name of np.vstack",
        "in1d": "an older form of np.isin",
    },
    "numpy.linalg": {
        "eig": COMPLEX,
        "eigvals": COMPLEX,
        "cond": "a quotient of norms or singular values, with its own form for every p",
        "tensorinv": "np.linalg.inv of a reshaped array",
        "tensorsolve": "np.linalg.solve of reshaped arrays",
    },
    "numpy.fft": {
        name: COMPLEX for name in "fft fft2 fftn hfft ifft ifft2 ifftn ihfft irfft irfft2 irfftn rfft rfft2 rfftn".split()
    },
}
MODULES = {"numpy": np, "numpy.linalg": np.linalg, "numpy.fft": np.fft}


def dispatched(module):
    """Public functions of a module that ask operands with __array_function__, by name."""
    functions = ((name, getattr(module, name)) for name in dir(module) if not name.startswith("_"))
    return {name: f for name, f in functions if hasattr(f, "_implementation")}


def answered(function):
    return function in RULES or function in TRACKED or function in COMPOSED


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_every_function_is_answered_or_has_a_reason(name):
    left = {n for n, f in dispatched(MODULES[name]).items() if not answered(f)}
    assert left <= set(NOT_YET[name]), f"no rule and no reason: {sorted(left - set(NOT_YET[name]))}"


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_table_names_nothing_that_is_answered(name):
    functions = dispatched(MODULES[name])
    stale = [n for n in NOT_YET[name] if n in functions and answered(functions[n])]
    # The older names are the same functions as the newer ones in some versions of NumPy.
    assert set(stale) <= {"in1d", "row_stack", "trapz"}, f"has a rule: take it out of the table: {stale}"


def test_a_function_is_answered_in_one_way():
    assert not [f.__name__ for f in COMPOSED if f in RULES or f in TRACKED]
    assert not [f.__name__ for f in TRACKED if f in RULES and RULES[f].operands]
