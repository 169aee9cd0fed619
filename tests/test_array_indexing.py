"""Reading and writing elements: every kind of index against NumPy and differences, views, time and memory."""

import gc
import time
import tracemalloc

import numpy as np
import pytest

import fastad

X = np.random.default_rng(1).uniform(-1.0, 1.0, (4, 5, 3))
MASK = np.arange(60).reshape(4, 5, 3) % 7 < 3

KEYS = {
    "int": 1, "negative int": -1, "numpy int": np.int64(2), "ints": (1, 2), "element": (1, -2, 0),
    "array int": np.array(1), "array ints": (np.array(1), np.array(2), np.array(0)),
    "slice": slice(1, 3), "negative step": slice(None, None, -1), "steps": (slice(3, 0, -2), slice(None), slice(None, None, 2)),
    "beyond the end": slice(2, 100), "empty slice": slice(3, 1), "all": slice(None), "no index": (),
    "ellipsis": ..., "ellipsis first": (..., 1), "ellipsis middle": (1, ..., slice(None, None, -1)),
    "element view": (1, 2, 0, ...),
    "newaxis": None, "newaxis inside": (slice(None), None, 1), "newaxis ellipsis": (None, ..., None, 2),
    "list": [2, 0], "integer array": np.array([3, 1]), "integers in two dimensions": np.array([[0, 1], [3, 2]]),
    "unsigned integers": np.array([1, 3], np.uint8), "no integers": np.array([], int), "empty list": [],
    "paired": (np.array([0, 1, 3]), np.array([4, 2, 0])), "open mesh": np.ix_([0, 2], [1, 3], [0, 2]),
    "integers and slice": (np.array([2, 0]), slice(1, None, 2)), "slice and integers": (slice(None, None, -1), [0, 3]),
    "integers apart": (np.array([1, 0]), slice(None), np.array([0, 2])), "int and integers": (1, [0, 2, 4]),
    "integers and newaxis": (None, [1, 2], None), "ellipsis and integers": (..., [0, 2]),
    "mask": MASK, "mask of rows": np.array([True, False, True, False]), "mask and int": (np.array([True, False, True, False]), 1),
    "mask and slice": (slice(1, 3), np.array([True, False, True, False, True])), "mask of nothing": np.zeros((4, 5, 3), bool),
    "mask of two dimensions": MASK[..., 0], "list of bools": [True, False, False, True],
    "mask and integers": (MASK[:, 0, 0], [0, 1, 2]), "true": True, "false": False, "bool array": np.array(True),
}
REPEATED = {
    "integers": np.array([1, 0, 1, 1]), "negative": np.array([0, -4, 2]), "paired": (np.array([0, 0, 1]), np.array([1, 1, 1])),
    "and slice": ([2, 2], slice(None, 2)),
}
keys = pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
repeated = pytest.mark.parametrize("key", REPEATED.values(), ids=REPEATED)


def weights(x):
    """A different number for each element, as an array of the shape of x."""
    return np.cos(1.0 + np.arange(np.size(x))).reshape(np.shape(x))


def check(f, *args):
    """First and second derivatives agree with differences, the value with f's on plain copies; nothing that is passed changes."""
    before = [np.copy(x) for x in args]
    value = f(*[np.copy(x) for x in args])
    assert fastad.value_and_grad(f)(*args)[0] == pytest.approx(value, rel=1e-13, abs=1e-14)
    positions = range(len(args))
    gradient = fastad.grad(f, tuple(positions))(*args)
    direction = [weights(x) + 0.1 for x in args]
    step = 1e-5
    ahead, behind = ([x + h * t for x, t in zip(args, direction)] for h in (step, -step))
    slope = sum(np.sum(g * t) for g, t in zip(gradient, direction))
    assert slope == pytest.approx((f(*map(np.copy, ahead)) - f(*map(np.copy, behind))) / (2.0 * step), rel=1e-6, abs=1e-8)
    assert fastad.jvp(f, args, tuple(direction))[1] == pytest.approx(slope, rel=1e-12, abs=1e-13)
    product = fastad.hvp(f, args, tuple(direction))
    gradients = [fastad.grad(f, tuple(positions))(*point) for point in (ahead, behind)]
    changes = [(g - h) / (2.0 * step) for g, h in zip(*gradients)]
    for second, change in zip(product if len(args) > 1 else (product,), changes):
        np.testing.assert_allclose(second, change, rtol=1e-6, atol=1e-7)
    assert all(np.array_equal(x, y) for x, y in zip(args, before))
    return gradient


@keys
def test_read(key):
    plain = X[key]
    seen = []

    def f(x):
        part = x[key]
        seen.append((np.shape(part), fastad.stop_gradient(part)))
        return np.sum(np.sin(part) * weights(plain))

    check(f, X)
    assert {shape for shape, _ in seen} == {plain.shape}
    expected = np.zeros_like(X)
    np.add.at(expected, key, np.cos(plain) * weights(plain))
    np.testing.assert_allclose(fastad.grad(f)(X), expected, rtol=1e-14)


@repeated
def test_read_of_repeated_elements(key):
    check(lambda x: np.sum(x[key] ** 3 * weights(X[key])), X)


@keys
@pytest.mark.parametrize("how", ["assign", "number", "constant", "add", "multiply", "square"])
def test_write(key, how):
    def f(x, v):
        y = x * x
        if how == "assign":
            y[key] = np.sin(v)
        elif how == "number":
            y[key] = np.sum(v)
        elif how == "constant":
            y[key] = 0.5
        elif how == "add":
            y[key] += v * x[key]
        elif how == "multiply":
            y[key] *= v
        else:
            y[key] **= 2
        return np.sum(np.sin(y) * weights(X)) + np.sum(v) * 0.5

    check(f, X, weights(X[key]) + 0.2)


@keys
def test_write_of_what_broadcasts(key):
    if np.ndim(X[key]) < 1 or X[key].size == 0:
        pytest.skip("nothing to broadcast to")

    def f(x, v):
        y = 1.0 * x
        y[key] = v
        return np.sum(y * y * weights(X))

    check(f, X, weights(X[key][..., :1].reshape(-1)[:1]))


@keys
def test_write_of_what_has_more_dimensions(key):
    value = weights(X[key])[None, None]
    try:
        np.copy(X)[key] = value
    except (TypeError, ValueError):
        pytest.skip("NumPy refuses")

    def f(x, v):
        y = 1.0 * x
        y[key] = v
        return np.sum(y * y * weights(X))

    np.testing.assert_array_equal(check(f, X, value)[1][0, 0], check(f, X, value[0, 0])[1])


@repeated
def test_the_last_of_repeated_writes_wins(key):
    value = weights(X[key])

    def f(x, v):
        y = 1.0 * x
        y[key] = v
        return np.sum(y * y * weights(X))

    gradient = check(f, X, value)
    order = np.full(X.shape, -1)
    order[key] = np.arange(value.size).reshape(value.shape)
    winner = np.isin(np.arange(value.size), order).reshape(value.shape)
    assert np.all(gradient[1][~winner] == 0.0) and np.all(gradient[1][winner] != 0.0)


@repeated
def test_augmented_writes_of_repeated_elements_count_once(key):
    def f(x, v):
        y = x * x
        y[key] += v
        y[key] *= v
        return np.sum(np.sin(y) * weights(X))

    check(f, X, weights(X[key]))


@pytest.mark.parametrize("key, error", [
    (4, IndexError), ((0, 5), IndexError), ((0, 0, 0, 0), IndexError), (1.0, IndexError), ("a", IndexError),
    ((..., ...), IndexError), ([0, 7], IndexError), (np.ones(3, bool), IndexError), (np.array([1.0]), IndexError),
    (([0, 1], [0, 1, 2]), IndexError), (slice(None, None, 0), ValueError), (slice("a"), TypeError),
], ids=repr)
def test_wrong_index(key, error):
    with pytest.raises(error) as plain:
        X[key]
    for use in (lambda x: x[key], lambda x: x.__setitem__(key, 1.0)):
        with pytest.raises(error) as active:
            fastad.grad(lambda x, use=use: np.sum(use(1.0 * x)))(X)
        assert type(active.value) is type(plain.value)
    with pytest.raises(error) as active:
        fastad.grad(lambda x: np.sum(x[key]))(X)
    assert str(active.value) == str(plain.value)


def test_an_active_array_is_no_index():
    for use in (lambda x: x[x], lambda x: x[0, x], lambda x: x[x[0, 0, 0]]):
        with pytest.raises((IndexError, TypeError)):
            fastad.grad(lambda x, use=use: np.sum(use(x)))(X)


def test_whole_active_numbers_are_no_silent_index():
    assert fastad.grad(lambda x: x[int(x[0] * 0.0)] * 2.0)(X[0, 0])[0] == 2.0


VIEWS = {
    "slice": lambda x: x[1:3], "turned": lambda x: x[::-1, ::-1], "transposed": lambda x: x.T,
    "reshaped": lambda x: x.reshape(-1), "raveled": lambda x: x.ravel(), "diagonal block": lambda x: x[:2, :2],
    "element": lambda x: x[1, 1, ...], "newaxis": lambda x: x[None], "all": lambda x: x[...],
    "squeezed": lambda x: np.squeeze(x), "expanded": lambda x: np.expand_dims(x, 1),
    "swapped": lambda x: np.swapaxes(x, 0, 1), "split": lambda x: np.split(x, 2)[1], "at least 1-d": lambda x: np.atleast_1d(x),
    "at least 3-d": lambda x: np.atleast_3d(x),
    "view of a view": lambda x: x.T[1:].reshape(-1)[::2] if x.size > 99 else x.T[1:][::2], "rotated": lambda x: np.rot90(x),
    "flipped": lambda x: np.flip(x, 0), "real": lambda x: x.real, "row of rows": lambda x: list(x)[2],
}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_views_follow_their_base_both_ways(view, dtype):
    x = X[..., 0].astype(dtype)

    def f(x):
        y = x * 2
        part = view(y)
        y[1] *= 3
        y += x
        first = np.sum(np.sin(part))
        part[...] = part * part
        part += 1
        return first + np.sum(y * weights(x).astype(dtype)) * np.sum(part)

    value, gradient = fastad.value_and_grad(f)(x)
    assert gradient.dtype == dtype
    tolerance = 1e-12 if dtype == np.float64 else 1e-4
    assert float(value) == pytest.approx(float(f(x.copy())), rel=tolerance)
    wide = fastad.grad(f)(x.astype(float))
    np.testing.assert_allclose(gradient, wide, tolerance, tolerance)
    if dtype == np.float64:
        check(f, x)


COPIES = {
    "integers": lambda x: x[[0, 1, 2, 3]], "mask": lambda x: x[np.ones(4, bool)], "copy": lambda x: x.copy(),
    "flatten": lambda x: x.flatten(), "sum": lambda x: x + 0, "reshaped transpose": lambda x: x.T.reshape(-1),
    "raveled transpose": lambda x: x.T.ravel(), "concatenated": lambda x: np.concatenate([x]), "np.copy": lambda x: np.copy(x),
}


@pytest.mark.parametrize("copy", COPIES.values(), ids=COPIES)
def test_copies_stay(copy):
    def f(x):
        y = x * 2.0
        part = copy(y)
        y[1] *= 3.0
        part *= part
        return np.sum(y * weights(X[..., 0])) + np.sum(part)

    check(f, X[..., 0])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_elements_are_numbers_that_stay(dtype):
    def f(x):
        y = x * 1
        y[0], y[1] = y[1], y[0]
        a = b = y[2]
        a += y[0]
        y[2] = 0
        return y[0] * 3 + y[1] * b + a * a + y[2]

    x = np.array([1.0, 2.0, 3.0, 4.0], dtype)
    value, gradient = fastad.value_and_grad(f)(x)
    assert value == f(x) == 2 * 3 + 1 * 3 + 25
    np.testing.assert_array_equal(gradient, [3.0, 3.0 + 10.0, 1.0 + 10.0, 0.0])


FLAT = {
    "int": 7, "negative int": -2, "slice": slice(3, 30, 4), "all": slice(None), "negative step": slice(None, 40, -3),
    "integers": [5, 0, -1], "mask": MASK.ravel(),
}


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("key", FLAT.values(), ids=FLAT)
def test_flat(key, transposed):
    def f(x, v):
        y = x * x
        view = y.T if transposed else y
        view.flat[key] = v
        view.flat[key] *= 2.0
        part = view.flat[key]
        if np.ndim(part):
            view.flat[key] = part[:2]                                # repeated as often as need be
            part[0] = 100.0                                          # of a copy
        return np.sum(np.sin(y) * weights(X)) + sum(e * k for k, e in enumerate(view.flat)) + next(view.flat) * len(view.flat)

    check(f, X, weights(X.ravel()[key]))
    F = fastad.record(f)
    for v in (weights(X.ravel()[key]), 2.0 * weights(X.ravel()[key])):
        assert F(X, v) == pytest.approx(f(X, v), rel=1e-13)


def test_flat_of_other_arrays():
    def f(x):
        y = np.zeros_like(x[:2, :1])
        y.flat = x[0, 0]
        z = np.sum(x, keepdims=True).reshape(())
        z.flat[0] *= 3.0
        return np.sum(y * weights(y)) + z

    check(f, X)
    with pytest.raises(fastad.TraceError, match="asarray"):
        fastad.grad(lambda x: np.sum(np.asarray(x.flat)))(X)
    with pytest.raises(IndexError):
        fastad.grad(lambda x: x.flat[60])(X)


def test_overlapping_writes():
    for change in (lambda y: y.__setitem__(slice(1, None), y[:-1]), lambda y: y.__setitem__(slice(None, -1), y[1:]),
                   lambda y: y.__setitem__(..., y[::-1]), lambda y: y.__setitem__([2, 0], y[[0, 2]])):
        def f(y, change=change):
            y = 1.0 * y
            change(y)
            y[1:] += y[:-1]
            y += y[::-1] * y
            return np.sum(y**3 * weights(y))

        check(f, X[:, 0, 0])


def test_what_is_passed_stays_and_what_is_returned_is_new():
    x = X.copy()

    def f(x):
        x[0] = 0.0
        x *= 2.0
        return x

    value, vjp_fun = fastad.vjp(f, x)
    assert np.array_equal(x, X) and value[0].max() == 0.0 and not np.shares_memory(value, x)
    gradient, = vjp_fun(np.ones_like(x))
    gradient[...] = 7.0
    x[...] = 9.0
    assert np.array_equal(vjp_fun(np.ones_like(x))[0], np.where(np.arange(4)[:, None, None] == 0, 0.0, 2.0) * np.ones_like(X))
    read_only = X.copy()
    read_only.flags.writeable = False
    assert np.array_equal(fastad.grad(lambda x: np.sum(f(x)))(read_only), fastad.grad(lambda x: np.sum(f(x)))(X))
    assert not np.shares_memory(fastad.jvp(lambda x: x, (X,), (X,))[0], X)
    assert not np.shares_memory(fastad.jvp(lambda x: x, (X,), (X,))[1], X)


# Time

def read_loop(x):
    s = 0.0
    for i in range(1, len(x)):
        s += x[i] * x[i - 1]
    return s


def fill_loop(x):
    y = np.zeros_like(x)
    y[0] = x[0]
    for i in range(1, len(x)):
        y[i] = 0.5 * y[i - 1] + x[i] * x[i]
    return y[len(x) - 1] * y[0] + y[len(x) // 2]


def slice_loop(x):
    y = np.zeros_like(x) + x[0]
    for i in range(2, len(x), 4):
        y[i:i + 2] = y[i - 2:i] * x[i]
        y[[i, i - 1]] += x[[i - 1, i]]
    return y[len(x) - 1] + y[2]


TRANSFORMS = {
    "grad": lambda f, x: fastad.grad(f)(x), "jvp": lambda f, x: fastad.jvp(f, (x,), (x,)),
    "hvp": lambda f, x: fastad.hvp(f, (x,), (x,)),
    "grad of jvp": lambda f, x: fastad.grad(lambda z: fastad.jvp(f, (z,), (x,))[1])(x),
}


@pytest.mark.parametrize("f", [read_loop, fill_loop, slice_loop], ids=lambda f: f.__name__)
@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)
def test_loops_are_linear(f, transform):
    def seconds(n):
        x = np.linspace(0.1, 0.9, n)
        best = np.inf
        for _ in range(3):
            start = time.process_time()
            transform(f, x)
            best = min(best, time.process_time() - start)
        return best

    n = 1000
    seconds(n)
    for _ in range(3):
        ratio = seconds(4 * n) / seconds(n)
        if ratio < 6.0:
            return
    raise AssertionError(f"{ratio:.1f} times the time for 4 times the elements")


# Memory

def work(x):
    y = np.sin(x) * x[0]
    y[1:] += y[:-1]
    y[[0, 2]] *= 2.0
    s = 0.0
    for i in range(3):
        s += y[i] * y.reshape(2, 3).sum()
    return s


MEMORY = {**TRANSFORMS, "vjp": lambda f, x: fastad.vjp(f, x)[1](1.0), "linearize": lambda f, x: fastad.linearize(f, x)[1](x),
          "hessian": lambda f, x: fastad.hessian(f)(x)}


@pytest.mark.parametrize("transform", MEMORY.values(), ids=MEMORY)
def test_no_cycles(transform):
    x = np.linspace(0.1, 0.9, 6)
    transform(work, x)
    gc.collect()
    gc.disable()
    try:
        for _ in range(5):
            transform(work, x)
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_memory_is_freed_at_once():
    x = np.ones(1_000_000)
    f = fastad.grad(lambda x: np.sum(np.sin(x) * x))
    f(x)
    gc.disable()
    tracemalloc.start()
    try:
        f(x)
        assert tracemalloc.get_traced_memory()[0] < 1e6
    finally:
        tracemalloc.stop()
        gc.enable()


def test_no_growth_over_10000_calls():
    x = np.linspace(0.1, 0.9, 6)
    gradient = fastad.grad(lambda x: np.sum(np.sin(x) * x[0] + x[::-1]))
    for _ in range(200):
        gradient(x)
    tracemalloc.start()
    try:
        gradient(x)
        start = tracemalloc.get_traced_memory()[0]
        for _ in range(10_000):
            gradient(x)
        assert tracemalloc.get_traced_memory()[0] - start < 20_000
    finally:
        tracemalloc.stop()
