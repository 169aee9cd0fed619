"""Every ufunc with a row of the op table on arrays, against the same row on scalars, element by element."""

import math
import re

import numpy as np
import pytest
import scipy.special
from sampling import points

import fastad
from fastad.arrays import active, partials
from fastad.elementals import apply
from fastad.table import ELEMENTARY, OPERANDS, SPECIAL

N = 6


def rows():
    """(ufunc, number of the output or None, op) of every ufunc of the table."""
    for op in ELEMENTARY + SPECIAL:
        for module, names in ((np, op.numpy), (scipy.special, op.scipy)):
            for name in names:
                name, _, output = name.partition(":")
                if hasattr(module, name) and isinstance(getattr(module, name), np.ufunc):
                    yield pytest.param(Ufunc(getattr(module, name), int(output) if output else None, op), id=f"{op.name}-{name}")


class Ufunc:
    """A ufunc's output that is the row `op`, with points of its domain: arrays, one per operand."""

    def __init__(self, ufunc, output, op):
        self.ufunc, self.output, self.op = ufunc, output, op
        self.at = [np.array(column, int if k in op.order else float) for k, column in enumerate(zip(*points(op, N), strict=True))]
        # Operands by which it has a derivative rule.
        self.chosen = [k for k in range(op.arity) if k not in op.order and op.partials.get("d" + OPERANDS[k], "") is not None]

    def __call__(self, *operands):
        result = self.ufunc(*operands)
        return result if self.output is None else result[self.output]

    def of_chosen(self, *x):
        """The values for chosen operands x, the others at their points."""
        operands = list(self.at)
        for k, value in zip(self.chosen, x, strict=True):
            operands[k] = value
        return self(*operands)

    def inputs(self):
        return tuple(self.at[k] for k in self.chosen)

    def scalar(self, i):
        """The row as a function of the chosen operands, the others as in point i."""
        def call(*x):
            operands = [float(column[i]) for column in self.at]
            for k, value in zip(self.chosen, x, strict=True):
                operands[k] = value
            return apply(self.op.name, *operands)
        return call

    def is_whole(self):
        """Whether the results are decisions or whole numbers of an integer type, without derivative."""
        return np.asarray(self(*self.at)).dtype.kind != "f"


ROWS = [one for one in rows() if not one.values[0].is_whole()]
BINARY = [one for one in ROWS if one.values[0].op.arity == 2 and not one.values[0].op.order]
UNARY = [one for one in ROWS if one.values[0].op.arity == 1]
weights = np.random.default_rng(11).uniform(0.5, 1.5, N)
directions = np.random.default_rng(12).uniform(-1.0, 1.0, (4, N))


@pytest.fixture(autouse=True)
def quiet():
    with np.errstate(all="ignore"):
        yield


def all_numbers(f, x):
    """grad of f by all operands, as a tuple."""
    return fastad.grad(f, tuple(range(len(x))))(*x)


@pytest.mark.parametrize("one", ROWS)
def test_first_order(one):
    x = one.inputs()
    if not x:
        pytest.skip("no operand has a rule")
    value, pull = fastad.vjp(one.of_chosen, *x)
    np.testing.assert_array_equal(value, one(*one.at))
    adjoints = pull(weights)
    expected = np.array([all_numbers(one.scalar(i), [float(v[i]) for v in x]) for i in range(N)]).T
    for got, want in zip(adjoints, weights * expected, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-300)
    t = tuple(directions[:len(x)])
    value, tangent = fastad.jvp(one.of_chosen, x, t)
    np.testing.assert_array_equal(value, one(*one.at))
    np.testing.assert_allclose(tangent, sum(d * p for d, p in zip(t, expected, strict=True)), rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("one", ROWS)
def test_second_order(one):
    x = one.inputs()
    if not x:
        pytest.skip("no operand has a rule")
    t = tuple(directions[:len(x)])
    try:
        expected = [fastad.hvp(one.scalar(i), tuple(float(v[i]) for v in x), tuple(float(d[i]) for d in t)) for i in range(N)]
    except fastad.TraceError as error:
        pytest.skip(f"no second partial: {error}"[:80])
    got = fastad.hvp(lambda *x: np.sum(weights * one.of_chosen(*x)), x, t)
    for one_operand, want in zip([got] if len(x) == 1 else got, np.reshape(expected, (N, len(x))).T, strict=True):
        np.testing.assert_allclose(one_operand, weights * want, rtol=1e-9, atol=1e-12 * max(1.0, float(np.abs(want).max())))


@pytest.mark.parametrize("one", ROWS)
def test_float32(one):
    x = tuple(v.astype(np.float32) for v in one.inputs())
    if not x:
        pytest.skip("no operand has a rule")
    operands = [v.astype(np.float32) if v.dtype == float else v for v in one.at]
    plain = one(*operands)

    def f(*x):
        mixed = list(operands)
        for k, value in zip(one.chosen, x, strict=True):
            mixed[k] = value
        return one(*mixed)
    value, pull = fastad.vjp(f, *x)
    assert value.dtype == plain.dtype
    np.testing.assert_array_equal(value, plain)
    for adjoint in pull(np.ones(N, plain.dtype)):
        assert adjoint.dtype == np.float32
    tangent = fastad.jvp(f, x, tuple(np.ones_like(v) for v in x))[1]
    assert tangent.dtype == plain.dtype


@pytest.mark.parametrize("ufunc", [np.maximum, np.minimum, np.fmax, np.fmin])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_partials_by_decisions_have_the_precision_of_the_operands(ufunc, dtype):
    x = np.array([-1.0, 0.0, 2.0], dtype)
    for k, rule in enumerate(partials.rules_of(partials.opcodes[ufunc])):
        for other in (0.0, x[::-1], dtype(1)):
            operands = (x, other) if k == 0 else (other, x)
            assert rule(*operands, None, None, ufunc(*operands)).dtype == dtype


VIEWS = {
    "reversed": lambda v: v[::-1], "every second": lambda v: v[::2], "reversed gaps": lambda v: v[::-2], "one": lambda v: v[3:4],
    "number": lambda v: v[2], "no dimension": lambda v: np.reshape(v[:1], ()), "transposed": lambda v: np.reshape(v, (2, 3)).T,
    "nothing": lambda v: v[:0], "column": lambda v: v[:, None],
}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS.keys())
@pytest.mark.parametrize("one", ROWS)
def test_views(one, view):
    """Gradient of the ufunc of views: that of the elements the view shows."""
    x = one.inputs()
    if not x:
        pytest.skip("no operand has a rule")

    def of_views(*x):
        operands = [view(v) for v in one.at]
        for k, value in zip(one.chosen, x, strict=True):
            operands[k] = view(value)
        return one(*operands)
    value, pull = fastad.vjp(of_views, *x)
    plain = of_views(*x)
    assert np.shape(value) == np.shape(plain)
    # Elements are active scalars, whose values are the compiled rows'.
    np.testing.assert_allclose(value, plain, rtol=5e-16 if type(value) is float else 0.0, atol=0.0)
    got = pull(view(weights) if np.ndim(plain) else float(view(weights)))
    seen = np.zeros(N)
    seen[np.reshape(view(np.arange(N)), -1)] = 1.0
    for adjoint, whole in zip(got, fastad.vjp(one.of_chosen, *x)[1](weights), strict=True):
        np.testing.assert_allclose(adjoint, np.where(seen == 1.0, whole, 0.0), rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize("one", BINARY)
def test_broadcast(one):
    """Operands that are broadcast collect the sums: the gradient is that of operands repeated by hand."""
    if len(one.chosen) < 2:
        pytest.skip("one operand has a rule")
    x, y = one.at[0][:3, None], one.at[1][:4]
    w = np.random.default_rng(13).uniform(0.5, 1.5, (3, 4))
    value, pull = fastad.vjp(one, x, y)
    np.testing.assert_array_equal(value, one(x, y))
    pair = np.repeat(x, 4, 1), np.tile(y, (3, 1))
    by_x, by_y = fastad.vjp(one, *pair)[1](w)
    got = pull(w)
    np.testing.assert_allclose(got[0], np.sum(by_x, 1, keepdims=True), rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(got[1], np.sum(by_y, 0), rtol=1e-12, atol=1e-13)
    scalar, column = float(x[0, 0]), one.at[1]
    by_scalar, by_column = all_numbers(lambda s, v: np.sum(one(s, v)), (scalar, column))
    whole = all_numbers(lambda s, v: np.sum(one(s, v)), (np.full(N, scalar), column))
    assert math.isclose(by_scalar, float(np.sum(whole[0])), rel_tol=1e-11, abs_tol=1e-12)
    np.testing.assert_allclose(by_column, whole[1], rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize("one", [*UNARY[::3], *BINARY[::2]])
def test_out_and_where(one):
    if not one.chosen or one.output is not None:
        pytest.skip("no operand has a rule, or several outputs")
    mask = np.array([True, False, True, True, False, True])

    def masked(base, *x):
        operands = list(one.at)
        for k, value in zip(one.chosen, x, strict=True):
            operands[k] = value
        out = base * 1.0
        result = one.ufunc(*operands, out=out, where=mask)
        assert result is out
        return result
    base = np.arange(1.0, N + 1.0)
    value, pull = fastad.vjp(masked, base, *one.inputs())
    np.testing.assert_array_equal(value, np.where(mask, one(*one.at), base))
    got = pull(weights)
    np.testing.assert_array_equal(got[0], np.where(mask, 0.0, weights))
    whole = fastad.vjp(one.of_chosen, *one.inputs())[1](weights)
    for adjoint, want in zip(got[1:], whole, strict=True):
        np.testing.assert_allclose(adjoint, np.where(mask, want, 0.0), rtol=1e-12, atol=1e-300)


def test_out_of_more_dimensions():
    def f(x, y):
        a, b, c = np.zeros_like(x), x * 2.0, np.zeros_like(x)
        np.multiply(y, y, out=a)
        np.divmod(y[0], 0.7, out=(b, c))
        return np.sum(np.sin(np.exp(y[1], out=x * 1.0)) + a * weights + c * a) + np.sum(b * x)

    x, y = np.ones((2, N)), np.linspace(0.2, 1.9, N)
    assert fastad.value_and_grad(f)(x, y)[0] == f(x, y) == fastad.record(f)(x, y)
    fastad.check_derivatives(f, x, y)
    for other in (np.ones((2, N - 1)), np.ones((N, 1)), np.ones(N)):
        with pytest.raises(ValueError):
            fastad.grad(lambda x, other: np.sum(np.exp(x, out=other * 2.0)), (0, 1))(x, other)


@pytest.mark.parametrize("ufunc", [np.add, np.subtract, np.multiply, np.divide, np.power, np.maximum, np.arctan2, np.hypot])
@pytest.mark.parametrize("dtype", [float, np.float32])
def test_numbers_and_plain_arrays_with_active_ones(ufunc, dtype):
    """The short way of a ufunc with two operands gives the values and types of NumPy, whichever of them is active."""
    plain = np.array([[0.5, 1.5, 2.5], [3.0, 0.25, 1.0]], dtype)
    point = np.array([1.25, 0.75, 2.0])
    others = [plain, plain[::-1, ::-1], plain[0], np.float64(1.5), 2, 0.5, np.array(1.5)]
    for other in others:
        for of_active in (lambda x: x, lambda x: x[0] if dtype is float else x[:1], lambda x: x.astype(np.float32)):
            def value(x, other=other, of_active=of_active):
                return ufunc(of_active(x), other), ufunc(other, of_active(x))

            (value_x, value_y), tangents = fastad.jvp(value, (point,), (np.ones(3),))
            for found, expected in zip((value_x, value_y), value(point)):
                assert np.array_equal(found, expected) and np.asarray(found).dtype == np.asarray(expected).dtype
            step = 1e-6
            for tangent, up, down in zip(tangents, value(point + step), value(point - step)):
                if np.asarray(up).dtype == of_active(point).dtype == np.float64:
                    np.testing.assert_allclose(tangent, (up - down) / (2 * step), rtol=1e-4, atol=1e-6)


def test_broadcast_as_numpy():
    w = np.arange(12.0).reshape(3, 4)
    for array, shape in [(w, (3, 4)), (w[:, :1], (3, 5)), (w[::2, None, ::-1], (2, 2, 3, 4)), (np.float64(2.0)[...], ()), (w[0, :1], (0,))]:
        try:
            expected = np.broadcast_to(array, shape)
        except ValueError as error:
            with pytest.raises(ValueError, match=re.escape(str(error)[:30])):
                active.broadcast(array, shape)
            continue
        found = active.broadcast(array, shape)
        assert np.array_equal(found, expected) and found.strides == expected.strides and not found.flags.writeable
    for shape in [(4, 3), (4,), (2, 3, 5)]:
        with pytest.raises(ValueError):
            active.broadcast(w, shape)
