"""fastad.numpy: every name of NumPy, and the functions that take active values where NumPy does not look for them."""

import inspect
import subprocess
import sys

import numpy
import pytest
from refusals import refused, still_works  # noqa: F401

import fastad
import fastad.numpy as np
from fastad.arrays.functions import COMPOSED, RULES

ROW = numpy.array([1.0, -2.0, 0.5, 3.0])
GRID = numpy.array([[1.75, -0.5, 2.0], [0.25, 3.0, -1.0]])


def public(module):
    return [name for name in dir(module) if not name.startswith("_")]


# ---- names -----------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("module", ["", "linalg", "fft", "random"])
def test_every_name_is_there(module):
    ours, theirs = (getattr(m, module) if module else m for m in (np, numpy))
    assert set(public(theirs)) <= set(dir(ours))
    assert set(theirs.__all__) == set(ours.__all__)
    for name in public(theirs):
        one, other = getattr(ours, name), getattr(theirs, name)
        if inspect.ismodule(other):
            assert one.__name__.removeprefix("fastad.") == other.__name__
        elif isinstance(other, (type, numpy.ufunc)) and name not in ("vectorize", "ndenumerate"):
            assert one is other
        elif callable(other):
            assert callable(one) and getattr(one, "__name__", name) == getattr(other, "__name__", name)
    for name in ("no_such_name", "_private", "__wrapped__"):
        with pytest.raises(AttributeError, match=name):
            getattr(ours, name)


def test_imports():
    from fastad.numpy import cos, linalg, pi
    from fastad.numpy.fft import fftfreq
    from fastad.numpy.linalg import solve
    from fastad.numpy.random import default_rng
    assert cos is numpy.cos and pi == numpy.pi and fftfreq is numpy.fft.fftfreq and default_rng is numpy.random.default_rng
    assert linalg.solve is solve and fastad.numpy is np and np.__version__ == numpy.__version__
    with pytest.raises(AttributeError, match="nothing"):
        fastad.nothing  # noqa: B018
    assert "numpy" in dir(fastad)


@pytest.mark.parametrize("module", ["", ".linalg", ".fft", ".random"])
def test_a_star_imports_what_it_does_from_numpy(module):
    ours, theirs = {}, {}
    exec(f"from fastad.numpy{module} import *", ours)
    exec(f"from numpy{module} import *", theirs)
    assert ours.keys() == theirs.keys()


def test_importing_fastad_leaves_it_out():
    code = "import sys, fastad; print('fastad.numpy' in sys.modules); fastad.numpy.linspace; print('fastad.numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split() == ["False", "True"], done.stderr


# ---- plain values ------------------------------------------------------------------------------------------------------------

PLAIN = {
    "array": lambda np: [np.array([1, 2.0]), np.array([[1, 2], [3, 4]], dtype=numpy.float32, ndmin=3), np.array(3),
                         np.array("text"), np.array(GRID, order="F"), np.array(range(3)), np.array([], int),
                         np.array(GRID, copy=None)],
    "asarray": lambda np: [np.asarray([1, 2]), np.asarray(GRID, numpy.float32), np.asanyarray(GRID), np.asarray(3.0, order="C")],
    "contiguous": lambda np: [np.ascontiguousarray(GRID.T), np.asfortranarray(GRID), np.ascontiguousarray(1.0),
                              np.asarray_chkfinite([1, 2]), np.require(GRID, numpy.float32, ["C"])],
    "zeros": lambda np: [np.zeros(3), np.zeros((2, 0)), np.zeros((2, 3), int), np.ones(2, numpy.float32), np.eye(3),
                         np.eye(2, 3, k=1), np.identity(2), np.full((2, 2), 7), np.full(3, [1.0, 2.0, 3.0]),
                         np.full((), 1.5, numpy.float32)],
    "like": lambda np: [np.zeros_like(GRID), np.ones_like([1, 2]), np.full_like(GRID, 2.5), np.full_like([1, 2], 2.5),
                        np.zeros_like(GRID, dtype=int, shape=(2,))],
    "shapes": lambda np: [np.empty(3).shape, np.empty((2, 3), numpy.float32).dtype, np.empty_like(GRID).shape],
    "ranges": lambda np: [np.arange(3), np.arange(1, 2.5, 0.5),
                          np.arange(stop=4, step=2, start=0) if numpy.__version__ < "2" else 0,
                          np.linspace(0, 1, 5), np.logspace(0, 1, 3), np.geomspace(1, 8, 4), np.linspace(0, 1, 3, retstep=True)],
    "fromiter": lambda np: [np.fromiter((i * i for i in range(4)), float), np.fromiter(iter([1, 2, 3]), int, 2)],
    "isscalar": lambda np: [np.isscalar(3.0), np.isscalar([3.0]), np.isscalar("x"), np.isscalar(numpy.array(1.0))],
    "r_": lambda np: [np.r_[1, 2, 3.0], np.r_[0:4, [5, 6]], np.r_["0,2", ROW, ROW], np.c_[ROW, ROW], np.r_[0:1:3j]],
    "elements": lambda np: [list(np.ndenumerate(GRID)), np.vectorize(lambda a, b: a + b)(ROW, 1.0)],
    "rules": lambda np: [np.sum(GRID, axis=0, initial=2.0), np.take(ROW, [0, 2]), np.repeat(ROW, 2), np.pad(ROW, 1),
                         np.interp(0.5, [0, 1], [2, 3]), np.linalg.norm(GRID), np.insert(ROW, 1, 5.0),
                         np.where(GRID > 0, GRID, 0)],
    "of functions": lambda np: [np.apply_along_axis(numpy.sum, 0, GRID), np.apply_over_axes(numpy.sum, GRID, [0]),
                                np.piecewise(ROW, [ROW > 0], [numpy.sqrt, 1.0]), np.fromfunction(lambda i, j: i + j, (2, 2))],
}


def same(one, other):
    if isinstance(other, (list, tuple)):
        assert type(one) is type(other) and len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            same(a, b)
    else:
        assert type(one) is type(other)
        assert getattr(one, "dtype", None) == getattr(other, "dtype", None)
        numpy.testing.assert_array_equal(one, other)
        if isinstance(other, numpy.ndarray):
            assert one.strides == other.strides


@pytest.mark.parametrize("name", PLAIN)
def test_plain_values_give_what_numpy_gives(name):
    same(PLAIN[name](np), PLAIN[name](numpy))


@pytest.mark.parametrize("name", PLAIN)
def test_plain_values_in_a_trace_have_numpy_s_values(name):
    def f(x):
        found.append(PLAIN[name](np))
        return x, found[0]

    found = []
    _, leaving = fastad.grad(f, has_aux=True)(1.0)
    for one, other in zip(leaving, PLAIN[name](numpy), strict=True):
        if isinstance(other, (list, tuple)):
            continue
        assert getattr(one, "dtype", None) == getattr(other, "dtype", None)
        numpy.testing.assert_array_equal(one, other)


# ---- active values -------------------------------------------------------------------------------------------------------------

def fill(a, x):
    """A zeroed array with active values written into it in several ways."""
    a[...] = 0.0
    a[0] = x
    a[1:] += x * x
    return a


# Functions of (np, x), x a number near 1.5; NumPy itself computes them for plain x.
SCALAR = {
    "array": lambda np, x: np.array([x, 2.0 * x, 1, 3.0]),
    "array nested": lambda np, x: np.array([[x, 1.0], (x * x, 2.0)]),
    "array of arrays": lambda np, x: np.array([x * ROW, ROW]),
    "array of one": lambda np, x: np.array(x),
    "array ndmin": lambda np, x: np.array([x, 1.0], ndmin=2),
    "array float32": lambda np, x: np.array([x, 1.0], dtype=numpy.float64),
    "asarray": lambda np, x: np.asarray([x, 1.0]),
    "asanyarray": lambda np, x: np.asanyarray((x, 1.0)),
    "ascontiguousarray": lambda np, x: np.ascontiguousarray([x, 1.0]),
    "asfortranarray": lambda np, x: np.asfortranarray([[x, 1.0], [1.0, x]]),
    "asarray_chkfinite": lambda np, x: np.asarray_chkfinite([x, 1.0]),
    "require": lambda np, x: np.require([x, 1.0], requirements="C"),
    "fromiter": lambda np, x: np.fromiter((x * k for k in range(4)), float),
    "fromiter count": lambda np, x: np.fromiter((x * k for k in range(9)), float, 3),
    "zeros": lambda np, x: fill(np.zeros(3), x),
    "ones": lambda np, x: fill(np.ones((3, 2)), x),
    "empty": lambda np, x: fill(np.empty(3), x),
    "eye": lambda np, x: fill(np.eye(3), x),
    "identity": lambda np, x: fill(np.identity(3), x),
    "zeros_like": lambda np, x: fill(np.zeros_like(ROW), x),
    "ones_like": lambda np, x: fill(np.ones_like(GRID), x),
    "empty_like": lambda np, x: fill(np.empty_like(GRID), x),
    "full to fill": lambda np, x: fill(np.full(3, 2.0), x),
    "full_like to fill": lambda np, x: fill(np.full_like(ROW, 2.0), x),
    "full": lambda np, x: np.full((2, 2), x),
    "full of a list": lambda np, x: np.full((2, 2), [x, x * x]),
    "full_like": lambda np, x: np.full_like(GRID, x),
    "full_like of a list": lambda np, x: np.full_like([x, 1.0], 2.0) * x,
    "linspace": lambda np, x: np.linspace(0.0, x, 5),
    "linspace of both": lambda np, x: np.linspace(x, x * x, 5, endpoint=False),
    "logspace": lambda np, x: np.logspace(0.0, x, 4),
    "geomspace": lambda np, x: np.geomspace(1.0, x, 4),
    "arange of a whole number": lambda np, x: np.arange(np.floor(4.3 * x)) * x,
    "take": lambda np, x: np.take(ROW, int(np.floor(x))) * x if np is numpy else np.take(ROW, np.floor(x)) * x,
    "repeat": lambda np, x: np.repeat(ROW, int(x)) * x if np is numpy else np.repeat(ROW, np.floor(x)) * x,
    "roll": lambda np, x: np.roll(ROW, int(x)) * x if np is numpy else np.roll(ROW, np.floor(x)) * x,
    "repeat of a number": lambda np, x: np.repeat(x, 3),
    "pad": lambda np, x: np.pad(ROW, 2, constant_values=x),
    "pad with two": lambda np, x: np.pad(x * ROW, (1, 2), constant_values=(x, 1.0)),
    "pad corners": lambda np, x: np.pad(GRID, ((1, 2), (2, 0)), constant_values=((x, 2.0 * x), (3.0 * x, 1.0))),
    "insert": lambda np, x: np.insert(ROW, 1, x),
    "insert a list": lambda np, x: np.insert(ROW, [1, 2], [x, 2.0]),
    "append": lambda np, x: np.append(ROW, [x, 1.0]),
    "interp left": lambda np, x: np.interp([-1.0, 0.5, 9.0], [0.0, 1.0, 2.0], [1.0, 3.0, 2.0], left=x, right=x * x),
    "interp of lists": lambda np, x: np.interp(0.5, [0.0, x], [x, 2.0]),
    "interp of a number": lambda np, x: np.interp(x, [0.0, 1.0, 2.0], [1.0, 3.0, 2.0]),
    "sum initial": lambda np, x: np.sum(ROW, initial=x),
    "prod initial": lambda np, x: np.prod(GRID, axis=0, initial=x),
    "max initial": lambda np, x: np.max(GRID - 1.0, axis=0, initial=x),
    "sum of a list": lambda np, x: np.sum([x, 2.0 * x, 1.0]),
    "mean of a list": lambda np, x: np.mean([x, 2.0 * x, 1.0]),
    "std of a list": lambda np, x: np.std([x, x * x, 1.0]),
    "median of a list": lambda np, x: np.median([x, 9.0, 1.0]),
    "max of a list": lambda np, x: np.max([x, 9.0 * x, 1.0]),
    "argmax of a list": lambda np, x: x * np.argmax([x, 9.0, 1.0]),
    "average weights": lambda np, x: np.average([1.0, 2.0], weights=[x, 1.0]),
    "select": lambda np, x: np.select([GRID > 1.0, GRID > 0.0], [GRID, x * GRID], default=x),
    "select default": lambda np, x: np.select([GRID > 1.0], [GRID], default=x),
    "choose": lambda np, x: np.choose([0, 1, 1], [x, [1.0, 2.0, x]]),
    "where": lambda np, x: np.where([True, False], x, [x, x * x]),
    "clip": lambda np, x: np.clip(ROW, x - 1.2, x),
    "clip keywords": lambda np, x: np.clip(ROW, min=x - 1.2, max=None),
    "trapezoid": lambda np, x: np.trapezoid(ROW, dx=x),
    "gradient": lambda np, x: np.gradient([x, 1.0, x * x], x),
    "nan_to_num": lambda np, x: np.nan_to_num([x, 1.0, numpy.nan]),
    "dot of lists": lambda np, x: np.dot([x, 1.0], [2.0, x]),
    "einsum of lists": lambda np, x: np.einsum("i,j->ij", [x, 1.0], [2.0, x]),
    "outer": lambda np, x: np.outer([1.0, 2.0], [x, 1.0]),
    "diag": lambda np, x: np.diag([x, x * x]),
    "block": lambda np, x: np.block([[x, 1.0], [0.0, x]]),
    "stack": lambda np, x: np.stack([x, 1.0]),
    "concatenate": lambda np, x: np.concatenate([[x], [1.0, x]]),
    "vstack": lambda np, x: np.vstack([[x, 1.0], [2.0, x]]),
    "atleast_2d": lambda np, x: np.atleast_2d(x),
    "meshgrid": lambda np, x: np.meshgrid([x, 1.0], [2.0, 3.0])[0],
    "flip of a list": lambda np, x: np.flip([x, 1.0]),
    "reshape of a list": lambda np, x: np.reshape([x, 1.0, 2.0, x], (2, 2)),
    "fill_diagonal": lambda np, x: (lambda a: (np.fill_diagonal(a, x), a)[1])(np.zeros((2, 3))),
    "apply_along_axis": lambda np, x: np.apply_along_axis(lambda row: row * x, 0, GRID),
    "apply_over_axes": lambda np, x: np.apply_over_axes(lambda a, axis: np.sum(a, axis) * x, GRID, [0, 1]),
    "piecewise": lambda np, x: np.piecewise(ROW, [ROW > 0.7], [lambda v: v * x, 1.0]),
    "vectorize": lambda np, x: np.vectorize(lambda a, b: a * b if a > 1.0 else b)(ROW, x),
    "vectorize a closure": lambda np, x: np.vectorize(lambda a: a * x)(GRID),
    "vectorize to two": lambda np, x: np.vectorize(lambda a: (a * x, a))(ROW)[0],
    "vectorize excluded": lambda np, x: np.vectorize(lambda a, p: a * p[0], excluded=[1])(ROW, [x]),
    "r_": lambda np, x: np.r_[x, 0:3, [x, 2.0], ROW],
    "r_ with a directive": lambda np, x: np.r_["0,2", [x, 1.0], [1, 2]],
    "c_": lambda np, x: np.c_[[x, 1.0], [2.0, x]],
    "norm": lambda np, x: np.linalg.norm([x, 1.0]),
    "solve": lambda np, x: np.linalg.solve([[x, 1.0], [0.5, 2.0]], [1.0, x]),
    "det": lambda np, x: np.linalg.det([[x, 1.0], [0.5, 2.0]]),
    "isscalar": lambda np, x: x * np.isscalar(x),
    "matmul": lambda np, x: np.array([[x, 1.0], [2.0, x]]) @ np.array([1.0, x]),
}


def weighted(y):
    """A smooth number that tells where every element of y went."""
    weights = numpy.cos(numpy.arange(1.0, 1.0 + numpy.size(y))).reshape(numpy.shape(y))
    return (y * y * weights + y * weights[::-1] if numpy.ndim(y) else y * y).sum() if numpy.ndim(y) else y * y


def difference(f, x, h=1e-3):
    """The derivative by extrapolated central differences."""
    coarse, fine = ((f(x + s) - f(x - s)) / (2.0 * s) for s in (h, h / 2.0))
    return (4.0 * fine - coarse) / 3.0


@pytest.mark.parametrize("name", SCALAR)
def test_active_values(name):
    def ours(x):
        y = SCALAR[name](np, x)
        shapes.append(numpy.shape(y))
        return weighted(y)

    def theirs(x):
        return float(weighted(SCALAR[name](numpy, x)))

    shapes, x = [], 1.5 if "pad" not in name else 1.25
    value, slope = fastad.value_and_grad(ours)(x)
    assert shapes == [numpy.shape(SCALAR[name](numpy, x))]
    assert value == pytest.approx(theirs(x), rel=1e-13)
    assert slope == pytest.approx(difference(theirs, x), rel=1e-8, abs=1e-8)
    assert slope != 0.0
    assert fastad.jvp(ours, (x,), (1.0,))[1] == pytest.approx(slope, rel=1e-12)
    second = difference(lambda x: fastad.grad(ours)(x), x)
    assert fastad.grad(fastad.grad(ours))(x) == pytest.approx(second, rel=1e-7, abs=1e-7)
    assert fastad.hessian(ours)(x) == pytest.approx(second, rel=1e-7, abs=1e-7)


# The same of arrays: functions of (np, x), x of length 4.
ARRAY = {
    "array": lambda np, x: np.array(x),
    "array of rows": lambda np, x: np.array([x, 2.0 * x]),
    "asarray": lambda np, x: np.asarray(x),
    "ascontiguousarray": lambda np, x: np.ascontiguousarray(x[::-1]),
    "full": lambda np, x: np.full((2, 4), x),
    "full_like": lambda np, x: np.full_like(numpy.ones((2, 4)), x),
    "linspace": lambda np, x: np.linspace(0.0, x, 3),
    "zeros": lambda np, x: fill(np.zeros((3, 4)), x),
    "zeros_like": lambda np, x: fill(np.zeros_like(x), x[1]),
    "pad": lambda np, x: np.pad(x, 1, constant_values=x[0]),
    "interp left": lambda np, x: np.interp(x, [0.0, 0.7, 2.0], [1.0, 3.0, 2.0], left=x[0]),
    "sum initial": lambda np, x: np.sum(x, initial=x[1]),
    "r_": lambda np, x: np.r_[x, 0.0, x[1:3]],
    "c_": lambda np, x: np.c_[x, ROW],
    "ndenumerate": lambda np, x: np.array([v * i[0] for i, v in np.ndenumerate(x)]),
    "vectorize": lambda np, x: np.vectorize(lambda a: a * a if a > 0.6 else a)(x),
    "fromiter": lambda np, x: np.fromiter((v * v for v in x), float),
    "apply_along_axis": lambda np, x: np.apply_along_axis(lambda row: row * x, 1, numpy.ones((2, 4))),
}


@pytest.mark.parametrize("name", ARRAY)
def test_active_arrays(name):
    def ours(x):
        return weighted(ARRAY[name](np, x))

    x = numpy.array([1.5, -0.5, 0.25, 1.0])
    value, gradient = fastad.value_and_grad(ours)(x)
    assert value == pytest.approx(float(weighted(ARRAY[name](numpy, x))), rel=1e-13)
    for k, unit in enumerate(numpy.eye(4)):
        slope = difference(lambda h, unit=unit: float(weighted(ARRAY[name](numpy, x + h * unit))), 0.0)
        assert gradient[k] == pytest.approx(slope, rel=1e-8, abs=1e-8)
    fastad.check_derivatives(lambda a, b, c, d: ours(np.array([a, b, c, d])), *x.tolist())


def test_types_in_a_trace():
    def f(x):
        y = np.zeros(3)
        assert type(y) is type(x) and type(np.zeros(3, int)) is numpy.ndarray and type(np.arange(3.0)) is numpy.ndarray
        assert np.asarray(x) is x and np.array(x) is not x and np.array(x, copy=False) is x
        assert np.array([x, x], dtype=int).dtype == int and type(np.array([x[0], 1.0], dtype=int)) is numpy.ndarray
        assert np.array([x[0], 1.0], dtype=numpy.float32).dtype == numpy.float32
        assert np.zeros(2, numpy.float32).dtype == numpy.float32 and np.full(2, x[0], numpy.float32).dtype == numpy.float32
        assert np.isscalar(x[0]) and not np.isscalar(x)
        with pytest.raises(ValueError, match="copy"):
            np.array([x, x], copy=False)
        return np.sum(x)

    fastad.grad(f)(numpy.ones(2))
    assert type(np.zeros(3)) is numpy.ndarray


def test_float32_stays_float32():
    def f(x):
        for y in (np.array([x, x]), np.full((2, 3), x), np.zeros_like(x), np.r_[x, 1.0], np.pad(x, 1, constant_values=x[0]),
                  np.full_like(x, x[0]), np.fromiter(list(x), numpy.float32)):
            assert y.dtype == numpy.float32
            total.append(np.sum(y * y))
            assert total[-1].dtype == numpy.float32
        return sum(total)

    total = []
    value, gradient = fastad.value_and_grad(f)(numpy.arange(1, 4, dtype=numpy.float32))
    assert value.dtype == gradient.dtype == numpy.float32


# ---- refusals ------------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("f, error, words", [
    (lambda x: np.sum(np.arange(0, x)), fastad.TraceError, r"np\.arange.*linspace"),
    (lambda x: np.sum(np.arange(3, step=x)), fastad.TraceError, r"np\.arange.*linspace"),
    (lambda x: np.array([[x, 1.0], [2.0]]), ValueError, "inhomogeneous"),
    (lambda x: np.array([x, "text"]), (TypeError, ValueError), ""),
    (lambda x: np.pad(ROW, 1, mode="linear_ramp", end_values=x), fastad.TraceError, "end_values"),
    (lambda x: np.pad([1, 2], 1, constant_values=x), fastad.TraceError, "constant_values"),
    (lambda x: np.take(ROW, x), fastad.TraceError, "indices"),
    (lambda x: np.repeat(ROW, x), fastad.TraceError, "repeats"),
    (lambda x: np.fromiter((x for _ in range(2)), float, 3), ValueError, "too short"),
    (lambda x: np.asarray_chkfinite([x / 0.0, 1.0]), ValueError, "infs or NaNs"),
    (lambda x: np.zeros(x), TypeError, ""),
], ids=["arange", "arange step", "ragged", "text", "end_values", "constant_values of int", "take", "repeat", "fromiter",
        "not finite", "zeros"])
def test_refused(f, error, words):
    with refused(error, words):
        fastad.grad(f)(1.5)


# ---- what NumPy does not dispatch on ---------------------------------------------------------------------------------------

class Seen(Exception):
    """NumPy asked the argument what to do."""


class Asks:
    """An argument that tells whether NumPy asks it."""

    def __array_function__(self, *_):
        raise Seen


def parameters_not_seen():
    """(function, parameter): the rules' operands in which NumPy does not notice an active value."""
    for function, one in RULES.items():
        if isinstance(function, numpy.ufunc) or not (function.__module__ or "").startswith("numpy"):
            continue
        for operand in one.operands:
            if operand.startswith("*"):
                continue
            args, kwargs = [], {}
            for p in one.signature.parameters.values():
                value = Asks() if p.name == operand else numpy.ones((2, 2))
                if p.name != operand and p.default is not p.empty and p.kind is not p.POSITIONAL_ONLY:
                    continue
                if p.kind in (p.POSITIONAL_ONLY, p.VAR_POSITIONAL):
                    args.append(value)
                elif p.kind is not p.VAR_KEYWORD:
                    kwargs[p.name] = value
            try:
                with numpy.errstate(all="ignore"):
                    function(*args, **kwargs)
            except Seen:
                continue
            except Exception:
                pass
            yield function, operand


@pytest.mark.filterwarnings("ignore")
def test_functions_that_numpy_does_not_dispatch_are_replaced():
    missing = []
    for function, operand in parameters_not_seen():
        module = np.linalg if "linalg" in function.__module__ else np
        if getattr(module, function.__name__, function) is function:
            missing.append((function.__name__, operand))
    assert not missing and COMPOSED
