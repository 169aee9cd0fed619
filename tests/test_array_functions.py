"""NumPy's functions with active arrays, through the transforms: values, both modes, second order, single precision."""

import warnings

import numpy as np
import pytest
import test_rules_products
import test_rules_reductions
import test_rules_selection
import test_rules_shapes
from rule_checks import Call, first_cases, inner, leaves, random_like

import fastad

CASES = [one for module in (test_rules_products.CASES, test_rules_reductions.CASES, test_rules_shapes.CASES,
                            *(cases for _, cases in test_rules_selection.MODULES)) for one in module]
# NumPy does not ask the value to fill with: tested below.
FULL = [one for one in CASES if one.values[0].function in (np.full, np.full_like)]
CASES = [one for one in CASES if one.values[0].function not in (np.full, np.full_like)]


class Function:
    """A case as a function of its operands `x` that returns the list of its floating-point results."""

    def __init__(self, one, dtype=None):
        self.call = Call(one.function, one.args, one.kwargs)
        self.x = [np.asarray(v, dtype) if dtype else v for v in self.call.x]
        self.result = self.plain(self.call.results(self.x))
        self.floating = [np.asarray(v).dtype.kind == "f" for v in leaves(self.result)]
        self.values = [v for v, chosen in zip(leaves(self.result), self.floating, strict=True) if chosen]
        self.slack = max([1e-9, *(10.0 * np.finfo(np.asarray(v).dtype).eps for v in self.values)])
        self.w = random_like(self.result, np.random.default_rng(1))
        self.weights = [w for w, chosen in zip(leaves(self.w), self.floating, strict=True) if chosen]

    @staticmethod
    def plain(result):
        """A result with tuples in place of named ones."""
        return tuple(result) if isinstance(result, tuple) else result

    def __call__(self, *x):
        return [v for v, chosen in zip(leaves(self.call.results(x)), self.floating, strict=True) if chosen]

    def bent(self, *x):
        """A scalar that is curved in the results, so that linear functions have second derivatives too."""
        return sum([np.sum(w * np.sin(v)) for w, v in zip(self.weights, self(*x), strict=True)], 0.0)

    def gradient(self, *x):
        return fastad.grad(self.bent, tuple(range(len(x))))(*x)


@pytest.fixture(autouse=True)
def no_warnings_of_values():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        yield


def close(got, expected, rtol=1e-9, atol=1e-9):
    for one, other in zip(got, expected, strict=True):
        assert np.shape(one) == np.shape(other)
        np.testing.assert_allclose(one, other, rtol=rtol, atol=atol)


@pytest.mark.parametrize("one", CASES)
def test_first_order(one):
    f = Function(one)
    values, pull = fastad.vjp(f, *f.x)
    for value, plain in zip(values, f.values, strict=True):
        np.testing.assert_array_equal(value, plain)
        assert np.asarray(value).dtype == np.asarray(plain).dtype
    adjoints = pull(f.weights)
    close(adjoints, f.call.adjoints(f.x, f.w, f.result))
    t = random_like(f.x, np.random.default_rng(2))
    values, tangents = fastad.jvp(f, tuple(f.x), tuple(t))
    for value, plain in zip(values, f.values, strict=True):
        np.testing.assert_array_equal(value, plain)
    assert inner(f.weights, tangents) == pytest.approx(inner(adjoints, t), rel=1e-9, abs=f.slack)


@pytest.mark.parametrize("one", CASES)
def test_second_order(one):
    f = Function(one)
    x, t = tuple(f.x), tuple(random_like(f.x, np.random.default_rng(3)))
    got = fastad.hvp(f.bent, x, t)
    got = [got] if len(x) == 1 else got
    close(fastad.jvp(f.gradient, x, t)[1], got, atol=f.slack)

    def along(*x):
        return sum([np.sum(g * d) for g, d in zip(f.gradient(*x), t, strict=True)], 0.0)
    close(fastad.grad(along, tuple(range(len(x))))(*x), got, atol=f.slack)


@pytest.mark.parametrize("one", [one for one in first_cases(CASES, 2) if one.values[0].options.float32])
def test_second_order_by_differences(one):
    f = Function(one)
    x, t = tuple(f.x), random_like(f.x, np.random.default_rng(3))
    t = tuple(d * (v != 0) for v, d in zip(x, t, strict=True)) if one.options.keep_zeros else tuple(t)
    got = fastad.hvp(f.bent, x, t)
    got = [got] if len(x) == 1 else got

    def along(h):
        up, down = (f.gradient(*(v + s * h * d for v, d in zip(x, t, strict=True))) for s in (1, -1))
        return [(p - q) / (2 * h) for p, q in zip(up, down, strict=True)]
    step = one.options.step
    expected = [(4 * fine - coarse) / 3 for coarse, fine in zip(along(step), along(step / 2), strict=True)]
    close(got, expected, 1e-5, 1e-6)


@pytest.mark.parametrize("one", CASES)
def test_float32(one):
    if not one.options.float32:
        pytest.skip("not in single precision")
    f, wide = Function(one, np.float32), Function(one)
    values, pull = fastad.vjp(f, *f.x)
    for value, plain in zip(values, f.values, strict=True):
        np.testing.assert_array_equal(value, plain)
        assert np.asarray(value).dtype == np.asarray(plain).dtype
    for adjoint in pull(f.weights):
        assert adjoint.dtype == np.float32
    values, tangents = fastad.jvp(f, tuple(f.x), tuple(np.ones_like(v) for v in f.x))
    for tangent, plain in zip(tangents, f.values, strict=True):
        assert np.asarray(tangent).dtype == np.asarray(plain).dtype


@pytest.mark.parametrize("one", FULL)
def test_filling_a_plain_array_is_refused(one):
    f = Function(one)
    with pytest.raises(fastad.TraceError):
        f.gradient(*f.x)
