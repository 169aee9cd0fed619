"""Three proofs of every row of the op table, symbolic, numeric and structural, and of its completeness."""

import functools
import math

import numpy as np
import pytest
import scipy.special
import symbolic
from sampling import derivative, points

import fastad
from fastad.elementals import apply
from fastad.table import CONSTANTS, ELEMENTARY, OPERANDS, SPECIAL
from fastad.table.special import NOT_COVERED

ROWS = ELEMENTARY + SPECIAL
POINTS = 8

# Functions of NumPy that are no row, and why.
WHOLE = "for integers only"
PRODUCT = "a product of arrays, not elementwise"
TWO = "two results, composed of rows"
NUMPY_NOT_COVERED = {
    "bitwise_and": WHOLE, "bitwise_count": WHOLE, "bitwise_or": WHOLE, "bitwise_xor": WHOLE, "gcd": WHOLE,
    "invert": WHOLE, "lcm": WHOLE, "left_shift": WHOLE, "right_shift": WHOLE, "isnat": "for dates only",
    "divmod": TWO, "frexp": TWO, "modf": TWO, "matmul": PRODUCT, "matvec": PRODUCT, "vecdot": PRODUCT,
    "vecmat": PRODUCT,
}

# Errors of SciPy's values where they are far above rounding: differences see the derivative no better.
SCIPY_ERROR = {"itairy": 1e-3, "nctdtr": 1e-7, "nctdtrinc": 1e-5, "ncfdtrinc": 1e-2, "pbdv": 1e-8,
               "tklmbda": 1e-7}

# The one row whose derivative is not that of its value.
CUT = "stop_gradient"

every_row = pytest.mark.parametrize("op", ROWS, ids=lambda op: op.name)
smooth_row = pytest.mark.parametrize("op", [op for op in ROWS if op.name != CUT], ids=lambda op: op.name)


def names(ufuncs):
    """Names of ufuncs without the number of an output."""
    return [name.partition(":")[0] for name in ufuncs]


def scipy_error(op):
    """The error known of SciPy's value of a row."""
    return max([SCIPY_ERROR.get(name, 0.0) for name in names(op.scipy)], default=0.0)


def tolerance(op):
    """The relative error to expect of differences of a row's values."""
    return max(1e-9, scipy_error(op))


def has_rule(op, *positions):
    """Whether a partial is known (zero is known)."""
    return op.partials.get("d" + "".join(OPERANDS[k] for k in positions), "0.0") is not None


def first(op, k, *point):
    """The first partial by operand k, from the compiled kernels."""
    return fastad.grad(functools.partial(apply, op.name), k)(*point)


def second(op, j, k, *point):
    """The second partial by operands j <= k, from the compiled kernels."""
    f = functools.partial(apply, op.name)
    return fastad.hessian(f, k)(*point) if j == k else fastad.hessian(f, (j, k))(*point)[0][1]


def operands(op):
    """Positions by which a row is differentiated: those with known first partial that are no order."""
    return [k for k in range(op.arity) if k not in op.order and has_rule(op, k)]


def pairs(op):
    """Pairs j <= k of those whose second partial, with both pure ones, is known."""
    pure = [k for k in operands(op) if has_rule(op, k, k)]
    return [(j, k) for j in pure for k in pure if j <= k and has_rule(op, j, k)]


def agree(op, f, k, given, tolerance):
    """Asserts that differences of f by operand k give what `given` does where they settle: at most points."""
    settled = 0
    for point in points(op, POINTS):
        difference, error = derivative(f, op, point, k)
        if not error <= 1e-4 * abs(difference) + 1e-10:
            continue
        settled += 1
        value = given(*point)
        slack = tolerance * (abs(difference) + (tolerance > 1e-8)) + 1e-12
        assert abs(value - difference) <= 20.0 * error + slack, (
            f"{op.name} at {point} by operand {k}: {value} where differences give {difference} +- {error}")
    assert settled > POINTS // 2, f"{op.name}: differences by operand {k} settle at {settled} points only"


# Symbolic

@every_row
def test_rules_are_the_derivatives_of_the_symbolic_value(op):
    unproved = set()
    for name in op.first_names() + op.second_names():
        by_order = any(OPERANDS.index(k) in op.order for k in name[1:])
        if op.partials.get(name, "" if by_order else "0.0"):
            try:
                proved = symbolic.prove(op, name)
            except symbolic.NoForm as missing:
                unproved.add(str(missing))
                continue
            positions = [OPERANDS.index(k) for k in name[1:]]
            if len(positions) == 1 or tuple(positions) in pairs(op):
                partial = first if len(positions) == 1 else second
                for point, expected in proved:
                    expected = pytest.approx(expected, rel=max(1e-11, scipy_error(op)), abs=1e-14)
                    assert partial(op, *positions, *point) == expected, (op.name, name, point)
    if unproved:
        pytest.skip(f"SymPy and mpmath have no {', '.join(sorted(unproved))}")


def test_constants_are_what_their_names_say():
    assert CONSTANTS.keys() == symbolic.EXACT.keys()
    for name, exact in symbolic.EXACT.items():
        assert CONSTANTS[name] == pytest.approx(float(exact), rel=3e-16)


# Numeric

@every_row
def test_values_are_those_of_numpy_scipy_and_math(op):
    sources = [(np, name) for name in op.numpy] + [(scipy.special, name) for name in op.scipy]
    sources += [(math, name) for name in op.math if hasattr(math, name)]
    for point in points(op, POINTS):
        value = apply(op.name, *point)
        for module, name in sources:
            name, _, output = name.partition(":")
            arguments = [int(x) if k in op.order else x for k, x in enumerate(point)]
            expected = getattr(module, name)(*arguments)
            expected = float(expected[int(output)] if output else expected)
            # Python's lgamma is not the C library's, and near its zeros at 1 and 2 neither has relative accuracy.
            near_zero = 1e-15 if name == "lgamma" else 5e-324
            expected = pytest.approx(expected, rel=1e-15, abs=near_zero, nan_ok=True)
            assert value == expected, (module.__name__, name, point)


@pytest.mark.parametrize("op", [op for op in SPECIAL if op.sym and not op.scipy], ids=lambda op: op.name)
def test_values_scipy_lacks_are_right(op):
    for point in symbolic.rational_points(op, POINTS // 2):
        expected = symbolic.value(op, point)
        assert apply(op.name, *map(float, point)) == pytest.approx(expected, rel=1e-13), point


@smooth_row
def test_first_partials_agree_with_differences(op):
    for k in operands(op):
        agree(op, functools.partial(apply, op.name), k, functools.partial(first, op, k), tolerance(op))


@smooth_row
def test_second_partials_agree_with_differences_of_the_first(op):
    for j, k in pairs(op):
        given = functools.partial(second, op, j, k)
        agree(op, functools.partial(first, op, j), k, given, 10.0 * tolerance(op))


@every_row
def test_recorded_first_partials_have_the_second_partials(op):
    for j, k in pairs(op):
        for point in points(op, POINTS):
            slope = fastad.grad(functools.partial(apply, op.name), j)
            expected = pytest.approx(second(op, j, k, *point), rel=1e-8, abs=1e-12)
            assert fastad.grad(slope, k)(*point) == expected, (op.name, j, k, point)


# Structural

@every_row
def test_partials_with_a_rule_are_not_zero_everywhere(op):
    samples = [*points(op, POINTS), (0.0,) * op.arity]
    for k in operands(op):
        if "d" + OPERANDS[k] in op.partials:
            assert any(first(op, k, *point) != 0.0 for point in samples), (op.name, k)
    for j, k in pairs(op):
        if f"d{OPERANDS[j]}{OPERANDS[k]}" in op.partials:
            assert any(second(op, j, k, *point) != 0.0 for point in samples), (op.name, j, k)


@every_row
def test_blanks_agree_with_each_other(op):
    for j in range(op.arity):
        for k in range(j, op.arity):
            name = f"d{OPERANDS[j]}{OPERANDS[k]}"
            if name in op.partials:
                assert op.depends(j) and op.depends(k), f"{op.name}: {name} without first partials"
                either = has_rule(op, j) and has_rule(op, k)
                assert either or op.partials[name] is None, f"{op.name}: {name} with an unknown first partial"
    given = {len(name) - 1 for name in op.partials}
    assert op.sparsity == ("nonlinear" if 2 in given else "linear" if 1 in given else "zero")


@smooth_row
def test_blanks_are_zero(op):
    for k in set(range(op.arity)) - set(op.order):
        if not op.depends(k):
            agree(op, functools.partial(apply, op.name), k, lambda *point: 0.0, 0.0)


def test_an_unknown_partial_is_an_error():
    for op in SPECIAL:
        point = points(op, 1)[0]
        for k in range(op.arity):
            if not has_rule(op, k):
                with pytest.raises(fastad.TraceError, match="no rule is known"):
                    first(op, k, *point)


# Completeness

@pytest.mark.parametrize("module, attribute, left_out", [
    (np, "numpy", NUMPY_NOT_COVERED), (scipy.special, "scipy", NOT_COVERED)], ids=["numpy", "scipy.special"])
def test_every_ufunc_is_a_row_or_left_out_for_a_reason(module, attribute, left_out):
    every = {name for name in dir(module) if isinstance(getattr(module, name), np.ufunc)}
    rows = {name for op in ROWS for name in names(getattr(op, attribute))}
    assert rows <= every and left_out.keys() <= every
    covered = {getattr(module, name) for name in rows}
    excused = {getattr(module, name) for name in left_out}
    assert not covered & excused
    assert {name for name in every if getattr(module, name) not in covered | excused} == set()
    assert all(left_out.values())


def test_ufuncs_with_several_results_have_a_row_for_each():
    outputs = {}
    for op in ROWS:
        for name in op.scipy:
            name, _, output = name.partition(":")
            outputs.setdefault(name, []).append(output)
    for name, found in outputs.items():
        count = getattr(scipy.special, name).nout
        assert sorted(found) == ([""] if count == 1 else [str(k) for k in range(count)]), name
