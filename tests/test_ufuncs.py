"""NumPy's and SciPy's ufuncs called on active scalars: its value to 2 ulp and the right derivative."""

import functools
import math

import numpy as np
import pytest
from scipy import special

import fastad
from fastad.table import ELEMENTARY


def seen(f, x):
    """What f returns, as plain numbers, when it runs on an active value of x."""
    return fastad.grad(lambda active: (active, f(active)), has_aux=True)(x)[1]


def differences(f, x):
    """df/dx from central differences with two steps, extrapolated."""
    h = 1e-3 * max(1.0, abs(x))
    coarse, fine = ((float(f(x + k)) - float(f(x - k))) / (2 * k) for k in (h, h / 2))
    return (4 * fine - coarse) / 3


def check_ufunc(ufunc, points):
    """Value to 2 ulp and the derivative by each operand, the others plain numbers of several types."""
    for k, x in enumerate(points):
        for kind in (float, np.float64, np.array):
            others = [kind(point) for point in points]
            call = functools.partial(lambda v, k, others: ufunc(*others[:k], v, *others[k + 1:]), k=k,
                                     others=others)
            value, derivative = fastad.value_and_grad(call)(x)
            want = float(ufunc(*points))
            assert abs(value - want) <= 2 * math.ulp(want)
            assert derivative == pytest.approx(differences(call, x), rel=1e-6, abs=1e-6)
    gradient = fastad.grad(ufunc, argnums=tuple(range(len(points))))(*points)
    assert gradient == pytest.approx([differences(lambda v, k=k: ufunc(*points[:k], v, *points[k + 1:]), x)
                                      for k, x in enumerate(points)], rel=1e-6, abs=1e-6)


def table_ufuncs():
    for op in ELEMENTARY:
        for name in op.numpy:
            if hasattr(np, name) and op.name != "spacing":
                yield pytest.param(getattr(np, name), op, id=name)


@pytest.mark.parametrize("ufunc, op", list(table_ufuncs()))
def test_numpy_ufunc(ufunc, op):
    if op.order:
        check_ufunc(lambda x: ufunc(x, 3), [0.7])
        return
    for fractions in ((0.37, 0.81), (0.71, 0.29)):
        points = []
        for (low, high), fraction in zip(op.domain, fractions, strict=False):
            low, high = max(low, -3.0 if math.isinf(high) else low), min(high, max(low, 0.0) + 3.0)
            points.append(low + fraction * (high - low))
        check_ufunc(ufunc, points)


@pytest.mark.parametrize("name, points", [
    ("erf", [0.4]), ("erf", [-2.0]), ("erfc", [1.3]), ("expit", [-0.7]), ("exp10", [0.3]), ("exp2", [0.3]),
    ("cbrt", [2.5]), ("expm1", [0.2]), ("log1p", [0.2]), ("gammaln", [3.3]), ("gamma", [2.6]), ("psi", [1.4]),
    ("digamma", [1.4]), ("xlogy", [1.2, 0.6]), ("xlogy", [0.0, 0.6]),
])
def test_scipy_ufunc(name, points):
    check_ufunc(getattr(special, name), points)


def test_ufuncs_of_several_results():
    for x in (2.75, -2.75, 0.125, 1e300):
        assert seen(np.modf, x) == np.modf(x) and seen(np.frexp, x) == np.frexp(x)
        assert seen(lambda v: np.divmod(v, 0.7), x) == np.divmod(x, 0.7)
    assert fastad.grad(lambda x: np.modf(x)[0] + 10 * np.modf(x)[1])(2.75) == 1.0
    assert fastad.grad(lambda x: np.frexp(x)[0] * 2.0**np.frexp(x)[1])(2.75) == 1.0
    assert fastad.grad(lambda x: np.divmod(x, 0.7)[1])(2.75) == 1.0


def test_ufunc_with_its_own_dtype():
    assert fastad.grad(lambda x: np.sin(x, dtype=float))(0.5) == math.cos(0.5)
    assert fastad.grad(lambda x: np.add(x, 1, dtype=np.float64))(0.5) == 1.0
