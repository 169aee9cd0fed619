"""Which of NumPy's functions answer active arrays, and why the others do not: what is left to declare is a table here."""

import ast
import inspect
import textwrap

import numpy as np
import pytest
from rule_checks import load_all_rules

from fastad.arrays.functions import COMPOSED
from fastad.arrays.rules.registry import RULES
from fastad.arrays.rules.tracked import TRACKED

load_all_rules()

COMPLEX = "results are complex, and complex arrays come later"
FILES = "writes values to a file: an active value is refused there, plain ones are to be written"
DATES = "dates are not numbers that can be differentiated"

# Names of functions without a rule, with the reason. A function that gets a rule leaves this table.
NOT_YET = {
    "numpy": {
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

FILLED = "the result is an array that active values can be written into; the rule says what follows without any"

# Functions that are compositions although they have a rule, with the reason.
RULE_AND_COMPOSITION = {
    **dict.fromkeys("empty_like full_like ones_like zeros_like".split(), FILLED),
    "pad": "the rule is by the array alone, constant_values may be active too",
    "stack": "active scalars become an array without a record for each",
    "where": "the rule is by the choices; a condition may be active, and is answered alone as well",
}

# What each composition is written with: functions with a rule or a composition. Those that write into an array need assignment
# besides; np.fill_diagonal and np.empty_like are called with plain arrays.
NEEDS = {
    "apply_along_axis": "moveaxis reshape stack",
    "apply_over_axes": "expand_dims",
    "copyto": "where",
    "empty_like": "",
    "fill_diagonal": "fill_diagonal resize",
    "full_like": "empty_like",
    "ones_like": "",
    "pad": "broadcast_to pad reshape take where",
    "piecewise": "broadcast_to reshape take where zeros_like",
    "place": "resize",
    "put": "clip reshape resize where",
    "put_along_axis": "broadcast_to take_along_axis",
    "putmask": "reshape resize where",
    "stack": "stack",
    "where": "where",
    "zeros_like": "",
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
    assert {f.__name__ for f in COMPOSED if f in RULES} == set(RULE_AND_COMPOSITION)
    assert not [f.__name__ for f in COMPOSED if f in TRACKED]
    assert not [f.__name__ for f in TRACKED if f in RULES and RULES[f].operands]


def named(implementation):
    """Names of NumPy's functions with a rule or a composition that occur in a function's code."""
    body = ast.parse(textwrap.dedent(inspect.getsource(implementation))).body[0].body
    attributes = [node for line in body for node in ast.walk(line) if isinstance(node, ast.Attribute)]
    names = {node.attr for node in attributes if isinstance(node.value, ast.Name) and node.value.id == "np"}
    functions = {name: getattr(np, name) for name in names}
    return {name for name, f in functions.items() if f in RULES or f in COMPOSED}


@pytest.mark.parametrize("function", COMPOSED, ids=lambda f: f.__name__)
def test_what_a_composition_needs_is_stated(function):
    assert named(COMPOSED[function]) == set(NEEDS[function.__name__].split())


def test_only_compositions_are_said_to_need_something():
    assert set(NEEDS) == {f.__name__ for f in COMPOSED}
