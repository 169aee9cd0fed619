"""Recorded functions called in ways they were not recorded for: layouts, errors, nesting, endless paths, changed results."""

import math

import numpy as np
import pytest
from vectors import close

import fastad
from fastad.core import scalar
from fastad.programs import paths
from fastad.pytrees import flatten

VECTORS = [np.random.default_rng(k).normal(size=5) for k in range(4)]


def outcome(f, *args, **kwargs):
    """What a call gives: its value, or the type and text of its exception."""
    try:
        return f(*args, **kwargs)
    except Exception as error:
        return type(error), str(error)


def cubic(x):
    return x ** 3 if x > 0 else x ** 2


# Signatures and layouts

def test_signatures_of_every_kind():
    def f(v):
        return np.sum(v * np.arange(v.size)) if v.size else 7.0
    F = fastad.record(f)
    for v in (np.ones(3), np.zeros(0), np.ones(5), np.ones((2, 3)).ravel(), np.ones(3, np.float32), np.arange(4)):
        close(F(v), f(v), 1e-6)
    assert F.stats["signatures"] == 6
    F.clear()
    assert F.stats["signatures"] == 0
    close(F(np.ones(3)), 3.0)


LAYOUTS = {
    "contiguous": lambda v: v.copy(),
    "strided": lambda v: np.repeat(v, 2)[::2],
    "reversed": lambda v: v[::-1].copy()[::-1],
    "byte-swapped": lambda v: v.astype(">f8"),
    "broadcast": lambda v: np.broadcast_to(v[0], v.shape),
    "not aligned": lambda v: np.frombuffer(b"x" + v.tobytes(), float, v.size, 1),
}


@pytest.mark.parametrize("first", LAYOUTS)
def test_layouts(first):
    def f(v):
        return np.sum(v * v) * v[0] + (v[1] if v[2] > 0 else v[3])
    F = fastad.record(f, LAYOUTS[first](VECTORS[0]))
    for v in VECTORS:
        for layout in LAYOUTS.values():
            x = layout(v)
            x.flags.writeable = False
            before = x.copy()
            close(F(x), f(x))
            close(F.value_and_grad(x), fastad.value_and_grad(f)(x))
            close(F.hvp((x,), (x,)), fastad.hvp(f, (x,), (x,)))
            close(F.jvp((x,), (x,)), fastad.jvp(f, (x,), (x,)))
            assert np.array_equal(x, before)
    assert F.stats["signatures"] == 1


def test_fortran_order():
    def f(m):
        return np.sum(m @ m) * m[0, 1]
    F = fastad.record(f)
    m = np.random.default_rng(0).normal(size=(4, 4))
    for x in (m, np.asfortranarray(m), m.T, m[::-1, ::-1], m.swapaxes(0, 1)):
        close(F(x), f(x))
        close(F.grad(x), fastad.grad(f)(x))


@pytest.mark.parametrize("x", ["a", None, 1, True, 1j, np.ones(2) + 1j, np.array(["a"]), np.array([None]), np.int64(3), object(),
                               np.float16(2.0), np.longdouble(2.0), [1, 2.0], {"a": "b"}, np.ma.masked_array([1.0, 2.0])],
                         ids=lambda x: type(x).__name__)
def test_arguments_that_can_not_be_differentiated_by(x):
    def f(x):
        return 2.0
    F = fastad.record(f)
    for _ in range(2):
        assert outcome(F, x) == outcome(f, x)
        for transform in ("grad", "value_and_grad", "jacobian", "hessian"):
            expected = outcome(getattr(fastad, transform)(f), x)
            found = outcome(getattr(F, transform), x)
            assert repr(found) == repr(expected)


@pytest.mark.parametrize("args, kwargs", [((), {}), ((1.0, 2.0), {}), ((1.0,), {"k": 2.0}), (("a",), {}), ((None,), {})])
def test_wrong_arguments(args, kwargs):
    def f(x):
        return x * 2.5

    F = fastad.record(f)
    assert F(1.0) == 2.5
    assert outcome(F, *args, **kwargs) == outcome(f, *args, **kwargs)
    assert F(2.0) == 5.0


@pytest.mark.parametrize("result", [3, "a", None, True, 1j, [1.0, "a"], []], ids=repr)
@pytest.mark.parametrize("transform", ["grad", "value_and_grad", "jacobian", "hessian"])
def test_results_that_can_not_be_differentiated(result, transform):
    def f(x):
        return result

    F = fastad.record(f)
    for x in (2.0, np.ones(3), np.float32(2.0)):
        for _ in range(2):
            assert repr(outcome(getattr(F, transform), x)) == repr(outcome(getattr(fastad, transform)(f), x))


def test_argnums():
    def f(x, y, n):
        return x * y ** n
    F = fastad.record(f)
    for argnums in (0, 1, -2, (0, 1), (1, 0), [1], 2, 3, "a", (0, 0)):
        for _ in range(2):
            assert repr(outcome(F.grad, 2.0, 3.0, 2, argnums=argnums)) == repr(outcome(fastad.grad(f, argnums), 2.0, 3.0, 2))


# Exceptions

def test_exceptions_that_depend_on_values():
    def f(x):
        if x < 0:
            raise ValueError(f"negative in the branch {1 if x > -5 else 2}")
        if x > 10:
            return 1 / 0
        return x * x

    F = fastad.record(f)
    for x in (1.0, -1.0, 2.0, -6.0, 11.0, 3.0, -1.0, 12.0, -7.0):
        assert outcome(F, x) == outcome(f, x)
        assert outcome(F.grad, x) == outcome(fastad.grad(f), x)
        assert not scalar.tracing()
    assert F.stats["paths"] == 1


def test_exceptions_caught_inside():
    def f(x):
        try:
            if x * x > 4:
                raise KeyError(1)
            return x
        except KeyError:
            return -x
        finally:
            x = None

    F = fastad.record(f)
    assert [F(float(k)) for k in range(-4, 5)] == [f(float(k)) for k in range(-4, 5)]


def test_exceptions_of_numpy_in_a_replay():
    def f(a):
        return np.sum(np.linalg.inv(a))
    F = fastad.record(f, np.eye(2))
    for _ in range(3):
        for transform in (F, F.grad):
            with pytest.raises(np.linalg.LinAlgError):
                transform(np.zeros((2, 2)))
        close(F(2 * np.eye(2)), 1.0)


def factor_or_square(a):
    try:
        return np.sum(np.linalg.cholesky(np.sin(a) + a.T * 0.1) ** 3) * np.sum(a)
    except np.linalg.LinAlgError:
        return np.sum(a * a)


@pytest.mark.parametrize("first", [1.0, -1.0])
def test_exceptions_of_numpy_that_the_function_catches(first):
    """Whether there was one is a decision like any other."""
    F = fastad.record(factor_or_square, first * np.eye(3))
    rng = np.random.default_rng(0)
    points = [sign * (np.eye(3) + 0.1 * rng.normal(size=(3, 3))) for sign in (1.0, -1.0, -1.0, 1.0, 1.0, -1.0)]
    for a in points:
        close(F(a), factor_or_square(a))
        close(F.grad(a), fastad.grad(factor_or_square)(a))
        close(F.hessian(a), fastad.hessian(factor_or_square)(a))
        close(F.vjp(a)[1](2.0)[0], 2.0 * F.grad(a))
    close(F.map(np.stack(points))[1], np.stack([fastad.grad(factor_or_square)(a) for a in points]))
    assert F.stats["paths"] == 2 and F.stats["eager"] == []


def test_a_matrix_that_is_tried_until_it_has_a_factor():
    def f(a):
        jitter = 0.0
        while True:
            try:
                return np.sum(np.log(np.diag(np.linalg.cholesky(a + jitter * np.eye(3)))))
            except np.linalg.LinAlgError:
                jitter = 2.0 * jitter + 0.5
    F = fastad.record(f)
    for shift in (1.0, -1.0, -3.0, 2.0, -1.5, -3.0, 0.5, -1.0):
        a = np.diag([1.0, 2.0, 3.0]) * 0.1 + shift * np.eye(3)
        close(F.value_and_grad(a), fastad.value_and_grad(f)(a))


def test_indices_out_of_bounds_in_a_replay():
    def f(v, t):
        return np.sum(v[(t * 1).astype(int)]) + v[np.argmax(t) + 2]
    F = fastad.record(f)
    v = np.arange(4.0)
    with np.errstate(invalid="ignore"):
        for t in ([0.0, 1.0], [3.0, -4.0], [4.0, 0.0], [-5.0, 0.0], [1e30, 0.0], [math.nan, 0.0], [2.0, 2.0]):
            for transform, eager in ((F, f), (F.grad, fastad.grad(f))):
                found, expected = outcome(transform, v, np.array(t)), outcome(eager, v, np.array(t))
                assert found[0] == expected[0] if isinstance(expected, tuple) else np.array_equal(found, expected)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, MemoryError, RecursionError])
def test_interrupted_recordings(error):
    fail = [True]

    def f(x):
        y = x * x
        if x > 1 and fail[0]:
            raise error
        return y

    F = fastad.record(f)
    assert F(0.5) == 0.25
    with pytest.raises(error):
        F(2.0)
    assert not scalar.tracing()
    fail[0] = False
    assert (F(2.0), F(0.5), F.grad(3.0)) == (4.0, 0.25, 6.0)


@pytest.mark.parametrize("x", [math.nan, math.inf, -math.inf, 1e30, -0.5, 2.5])
def test_whole_numbers_of_special_values(x):
    for f in (lambda x: int(x) * x, lambda x: round(x) * x, lambda x: math.floor(x) * x):
        F = fastad.record(f, 1.5)
        assert repr(outcome(F, x)) == repr(outcome(f, x))
        assert repr(outcome(F, 2.5)) == repr(outcome(f, 2.5))


def test_special_values_through_guards():
    def f(x):
        if x != x:
            return x * 0 + 5.0
        if x == math.inf:
            return x
        if not x < 1:
            return x * 2
        return x

    F = fastad.record(f)
    for x in (0.5, math.nan, 2.0, math.inf, -math.inf, math.nan, 0.5, -0.0, 0.0):
        assert repr(F(x)) == repr(f(x))


def test_special_values_in_arrays():
    def f(v):
        return np.sum(v[~np.isnan(v)]) + np.argmax(v) * v[0]
    F = fastad.record(f)
    with np.errstate(invalid="ignore"):
        for v in (VECTORS[0], np.array([1, np.nan, 2, 3, 4]), np.array([np.inf, -np.inf, 2, 3, 4.0]), np.full(5, np.nan),
                  VECTORS[1]):
            close(F(v), f(v))


# Paths without end

def test_very_many_paths():
    def f(v):
        s = 0.0
        for x in v:
            s = s + (x if x > 0 else -2 * x)
        return s

    F = fastad.record(f)
    rng = np.random.default_rng(0)
    for k in range(300):
        v = rng.normal(size=30)
        assert F(v) == f(v)
        if k % 20 == 0:
            assert np.array_equal(F.grad(v), fastad.grad(f)(v))
    assert "new path" in F.stats["eager"][0]
    assert F.stats["recordings"] < 200
    F.clear()
    assert F(v) == f(v)
    assert F.stats["eager"] == []


def test_eviction(monkeypatch):
    monkeypatch.setattr(paths, "MAX_PATHS", 3)
    monkeypatch.setattr(paths, "PATIENCE", 10**6)

    def f(x, v):
        n = 0
        while x > 1:
            x, n = x * 0.5, n + 1
        if n % 2:
            v = v * 2
        return x * n + np.sum(v) + v[np.argmax(v)]

    F = fastad.record(f)
    rng = np.random.default_rng(0)
    for _ in range(150):
        x, v = float(2 ** rng.uniform(0, 8)), rng.normal(size=3)
        close(F(x, v), f(x, v))
        close(F.grad(x, v, argnums=(0, 1)), fastad.grad(f, (0, 1))(x, v))
        assert F.stats["paths"] <= 3


def test_few_of_many_paths():
    """Data-dependent rounds: the paths share what they have in common."""
    def newton(a):
        x, rounds = 0.5 * (a + 1.0), 0
        while abs(x * x - a) > 1e-12 * a:
            x, rounds = 0.5 * (x + a / x), rounds + 1
        return x

    F = fastad.record(newton)
    points = np.exp(np.random.default_rng(0).uniform(-10, 10, 300)).tolist()
    assert [F(a) for a in points] == [newton(a) for a in points]
    assert F.stats["paths"] <= 20
    assert F.stats["eager"] == []
    close([F.grad(a) for a in points[:50]], [fastad.grad(newton)(a) for a in points[:50]])


# Programs inside of programs and transforms

NESTED = {
    "value": (lambda F: F, lambda f: f),
    "grad of F": (lambda F: fastad.grad(F), lambda f: fastad.grad(f)),
    "hessian of F": (lambda F: fastad.hessian(F), lambda f: fastad.hessian(f)),
    "jacobian of F": (lambda F: fastad.jacobian(F), lambda f: fastad.jacobian(f)),
    "third derivative": (lambda F: fastad.grad(fastad.grad(fastad.grad(F))), lambda f: fastad.grad(fastad.grad(fastad.grad(f)))),
    "record of F": (lambda F: fastad.record(F), lambda f: f),
    "record of grad": (lambda F: fastad.record(fastad.grad(F)), lambda f: fastad.grad(f)),
    "record of hessian": (lambda F: fastad.record(fastad.hessian(F)), lambda f: fastad.hessian(f)),
    "grad of a record of grad": (lambda F: fastad.record(fastad.grad(F)).grad, lambda f: fastad.hessian(f)),
    "record of F.grad": (lambda F: fastad.record(F.grad), lambda f: fastad.grad(f)),
    "inside an eager transform": (lambda F: fastad.grad(lambda x: F(x) * x), lambda f: fastad.grad(lambda x: f(x) * x)),
    "inside another program": (lambda F: fastad.record(lambda x: F(x) + F(2 * x)), lambda f: lambda x: f(x) + f(2 * x)),
    "gradient of that": (lambda F: fastad.record(lambda x: F(x) + F(2 * x)).grad,
                         lambda f: fastad.grad(lambda x: f(x) + f(2 * x))),
    "jvp": (lambda F: lambda x: fastad.jvp(F, (x,), (2.0,)), lambda f: lambda x: fastad.jvp(f, (x,), (2.0,))),
    "hvp": (lambda F: lambda x: F.hvp((x,), (2.0,)), lambda f: lambda x: fastad.hvp(f, (x,), (2.0,))),
    "vjp": (lambda F: lambda x: fastad.vjp(F, x)[1](2.0), lambda f: lambda x: fastad.vjp(f, x)[1](2.0)),
    "linearize": (lambda F: lambda x: fastad.linearize(F, x)[1](2.0), lambda f: lambda x: fastad.linearize(f, x)[1](2.0)),
}


@pytest.mark.parametrize("name", NESTED)
def test_nesting(name):
    replayed, eager = NESTED[name][0](fastad.record(cubic)), NESTED[name][1](cubic)
    for x in (2.0, -2.0, 3.0, -1.0, 0.5):
        close(replayed(x), eager(x))


def test_recursion_into_the_same_program():
    def plain(x):
        return x if x < 1 else plain(x / 2) * x

    F = fastad.record(lambda x: x if x < 1 else F(x / 2) * x)
    for x in (5.0, 0.5, 9.0, 3.0):
        close((F(x), F.grad(x), F.hessian(x)), (plain(x), fastad.grad(plain)(x), fastad.hessian(plain)(x)))


INNER = {
    "scalar": lambda v: fastad.grad(lambda y: y ** 3 * v[0] if y > 1 else y * v[1])(v[2]),
    "array": lambda v: np.sum(fastad.grad(lambda u: np.sum(np.where(u > 0, u ** 3, u ** 2)) * u[np.argmax(u)])(v) * v),
    "at plain numbers": lambda v: fastad.grad(lambda y: y ** 3 * v[0])(1.5),
    "at a plain array": lambda v: np.sum(fastad.grad(lambda u: np.sum(u ** 3 * v))(np.arange(1.0, 6.0))),
    "at a plain array, twice": lambda v: np.sum(fastad.hessian(lambda u: np.sum(u ** 3 * v))(np.arange(1.0, 6.0))),
    "jvp": lambda v: np.sum(fastad.jvp(lambda u: np.sort(u * v), (np.arange(5.0),), (np.ones(5),))[1]),
    "vjp": lambda v: np.sum(fastad.vjp(lambda u: np.cumsum(u * v), np.arange(5.0))[1](np.linspace(0, 1, 5))[0]),
}


@pytest.mark.parametrize("name", INNER)
def test_transforms_inside(name):
    f = INNER[name]
    F = fastad.record(f)
    for v in VECTORS:
        close(F(v), f(v), 1e-11)
        close(F.grad(v), fastad.grad(f)(v), 1e-11)


# Results

CAPTURED = np.array([1.0, 2.0, 3.0])


def everything(x, v):
    return {"number": x, "views": [v, v[1:], v[::-1], v], "plain": (1, "s", None, True), "captured": [CAPTURED, CAPTURED[1:]],
            "constants": [2.5, np.float64(1.5), np.int64(3), np.array(2.0)],
            "whole": [np.argmax(v), int(v[0] * 10), v.astype(int)],
            "decisions": [v > 0, x > 1], "types": v.astype(np.float32), "shapes": [v.reshape(3, 1).T, v[:0], np.zeros((0, 3))],
            "copies": v.copy(), "empty": [[], {}, ()]}


def test_results_of_every_kind_and_nobody_elses():
    F = fastad.record(everything)
    for x, v in [(1.0, [1.0, 2.0, 3.0]), (2.0, [4.0, -2.0, 3.0]), (0.5, [4.0, -2.0, 13.0]), (3.0, [4.0, -2.0, 13.0])] * 2:
        v = np.array(v)
        wanted, found = everything(x, v), F(x, v)
        assert repr(found) == repr(wanted)
        before = v.copy(), CAPTURED.copy()
        text = repr(wanted)
        arrays = [y for y in flatten(found)[0] if isinstance(y, np.ndarray)]
        for y in arrays:
            y[...] = 77
        assert np.array_equal(v, before[0])
        assert np.array_equal(CAPTURED, before[1])
        assert repr(F(x, v)) == text


def test_derivatives_are_nobody_elses():
    def f(v, w):
        return np.sum(v * w)
    F = fastad.record(f)
    v, w = VECTORS[:2]
    for _ in range(2):
        gradient, hessian = F.grad(v, w, argnums=(0, 1)), F.hessian(v, w, argnums=(0, 1))
        value, pull = F.vjp(v, w)
        close(gradient, (w, v))
        close(hessian, fastad.hessian(f, (0, 1))(v, w))
        adjoints = pull(1.0)
        close(adjoints, (w, v))
        for x in (*gradient, *hessian[0], *hessian[1], *adjoints):
            x[...] = 77.0
        close(pull(2.0), (2 * w, 2 * v))


def test_vjp_functions_outlive_later_replays():
    def f(v, x):
        return [v * x, np.sum(v) * x if x > 0 else x, v[v > 0]]
    F = fastad.record(f)
    kept = []
    for x in (1.0, -1.0, 2.0):
        for v in VECTORS:
            kept.append((F.vjp(v, x), fastad.vjp(f, v, x)))
    for (found, pull), (wanted, eager_pull) in kept:
        close(found, wanted)
        for scale in (1.0, 2.0, 0.0):
            w = [scale * np.arange(5.0), scale * 2.0, scale * np.ones(len(wanted[2]))]
            close(pull(w), eager_pull(w))


def test_arguments_are_not_written():
    def f(v, w):
        v += 1
        v[0] = w[0]
        w *= 2
        if v[1] > 0:
            v[2] = 5.0
        return np.sum(v * w)

    F = fastad.record(f)
    w = VECTORS[3].copy()
    for v in VECTORS[:3] * 2:
        x = v.copy()
        close(F(x, w), f(v.copy(), w.copy()))
        close(F.grad(x, w, argnums=(0, 1)), fastad.grad(f, (0, 1))(x, w))
        assert np.array_equal(x, v)
        assert np.array_equal(w, VECTORS[3])


def test_captured_array_as_argument():
    w = np.ones(5)
    F = fastad.record(lambda v: np.sum(v * w))
    close([F(VECTORS[0]), F(w), F(VECTORS[1])], [np.sum(VECTORS[0]), 5.0, np.sum(VECTORS[1])])


def test_plain_array_changed_inside():
    def f(v):
        u = np.zeros(5)
        u[0] = 1.0
        w = v * u
        u[0] = 5.0
        return np.sum(w + v * u)

    F = fastad.record(f)
    for v in VECTORS:
        close((F(v), F.grad(v)), (f(v), fastad.grad(f)(v)))


def test_text_of_a_value_is_refused_or_right():
    def f(x):
        return float(len(f"{x:.3f}")) * x
    F = fastad.record(f)
    assert [F(x) for x in (1.0, 100.0, 1e6)] == [f(x) for x in (1.0, 100.0, 1e6)]


def test_a_path_without_a_gradient_beside_one_that_has_it():
    F = fastad.record(lambda x: 2.0 * x if x > 0.0 else "negative")
    assert F.grad(1.0) == 2.0
    assert F(-1.0) == "negative"
    for _ in range(2):
        with pytest.raises(TypeError, match="str"):
            F.grad(-1.0)
        assert F.grad(3.0) == 2.0


def test_what_is_no_function():
    with pytest.raises(TypeError, match="record needs a function, not int"):
        fastad.record(3)
    with pytest.raises(TypeError, match="put @classmethod above @fastad.record"):
        fastad.record(classmethod(lambda cls, x: x))
