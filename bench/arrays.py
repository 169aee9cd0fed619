"""Figures of arrays: `python -m bench.arrays` prints them all, beside PyTorch, JAX and autograd where installed.

Every figure checks its results against derivatives written by hand, complex steps or differences, and against the
peers' results, before anything is timed. The two sides of a ratio alternate in one run, on one thread.
"""

import functools
import gc
import os
import sys
from types import SimpleNamespace

import numpy as np

import fastad
from bench import peers, report, timing
from bench.figures import in_fresh_process, process_status, twin
from bench.report import Row

SIZES = (10, 100, 10_000, 1_000_000)
ELEMENTS = 100_000
LARGEST = 1_000_000
LAYERS = (784, 512, 256, 10)
BATCH = 128
ROLL_STEPS, ROLL_STEP = 1000, 0.005
ROLL_START = np.array([1.0, 2.0, 3.0]), np.array([10.0, 28.0, 8.0 / 3.0])
# Most that value and gradient may cost over plain: fifty operations on few and on many elements, element loops, growth.
SHORT_BOUND, LONG_BOUND = 1.6, 1.7
READ_BOUND, FILL_BOUND, LINEAR_BOUND = 2.0, 3.0, 1.5


def random_numbers(seed, *shape, dtype=np.float64):
    """Returns normally distributed numbers."""
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def installed(*names):
    """Returns the adapters of these peers that are installed."""
    return [peer for peer in map(peers.find, names) if peer is not None]


def assert_same(found, expected, tolerance=1e-9):
    """Raises AssertionError where arrays, or sequences of them, differ by more than `tolerance` of the largest entry."""
    for a, e in zip(found, expected, strict=True):
        scale = np.max(np.abs(e))
        np.testing.assert_allclose(a, e, rtol=0.0, atol=tolerance * scale)


def assert_slope(function, arguments, gradient, tolerance=1e-9):
    """Raises AssertionError unless the gradient along a random direction is that of a complex step."""
    directions = [random_numbers(9, *np.shape(x)) for x in arguments]
    step = 1e-100
    moved = [x + 1j * step * d for x, d in zip(arguments, directions, strict=True)]
    slope = sum(np.sum(g * d) for g, d in zip(gradient, directions, strict=True))
    assert_same([slope], [function(*moved).imag / step], tolerance)


def prepared(peer, function, arguments, count, expected, tolerance):
    """Returns a peer's value and gradient of a function of its own arrays as a call without arguments, once checked."""
    own = [peer.array(x) for x in arguments]
    run = functools.partial(peer.value_and_grad(function, count), *own)
    value, gradient = run()
    assert_same([peer.plain(value), *map(peer.plain, gradient)], [expected[0], *expected[1]], tolerance)
    return run


def over_peer(title, peer, theirs, ours, at_most, rounds):
    """Returns the row of fastad's time over a peer's."""
    return Row(f"{title}: fastad over {peer.name}", timing.ratio(ours, theirs, rounds).ratio, "x", at_most=at_most)


def peer_over(title, peer, theirs, ours, at_least, rounds):
    """Returns the row of a peer's time over fastad's."""
    return Row(f"{title}: {peer.name} over fastad", timing.ratio(theirs, ours, rounds).ratio, "x", at_least=at_least)


# ---- fifty operations on whole arrays ----------------------------------------------------------------------------------


def fifty(x):
    """Returns the sum of an array after fifty operations on it."""
    y = x
    for _ in range(10):
        y = np.sin(y) * 0.5 + x
        y = y * y - 0.1 * x
    return np.sum(y)


def fifty_operations(n):
    """Returns the rows of fifty operations on n elements: over plain NumPy, and over the peers."""
    x = np.linspace(-0.9, 0.9, n)
    gradient = functools.partial(fastad.value_and_grad(fifty, argnums=(0,)), x)
    expected = gradient()
    plain = functools.partial(twin(fifty), x)
    assert_same([expected[0]], [plain()], 0.0)
    assert_slope(twin(fifty), (x,), expected[1])
    rounds = 5 if n == LARGEST else 20
    both = timing.ratio(gradient, plain, rounds)
    title = f"fifty operations, n = {n:,}"
    rows = [
        Row(f"{title}: over plain NumPy", both.ratio, "x", at_most=SHORT_BOUND if n <= 100 else LONG_BOUND),
        Row("  plain NumPy", both.second, "s"),
    ]
    for peer in installed("PyTorch", "JAX", "JAX with jit", "autograd"):
        theirs = prepared(peer, peers.on_namespace(fifty, peer.np), (x,), 1, expected, 1e-9)
        if peer.name == "PyTorch" and n > 100:
            rows.append(over_peer("  the same", peer, theirs, gradient, at_most=1.0, rounds=rounds))
        rows.append(Row(f"  {peer.name} over plain NumPy", timing.ratio(theirs, plain, rounds=2).ratio, "x"))
    return rows


# ---- loops over elements --------------------------------------------------------------------------------------------------


def read_loop(x):
    """Returns the sum of the products of neighbours, element by element."""
    s = 0.0
    for i in range(1, len(x)):
        s += x[i] * x[i - 1]
    return s


def fill_loop(x):
    """Returns the sum of an array filled from its first element on, each from the one before it."""
    y = np.zeros_like(x)
    y[0] = x[0]
    for i in range(1, len(x)):
        y[i] = y[i - 1] * x[i] + 0.5
    return np.sum(y)


def read_derivatives(x, direction):
    """Returns the gradient of `read_loop` and its Hessian's product with a direction, by hand."""

    def neighbours(z):
        padded = np.pad(z, 1)
        return padded[:-2] + padded[2:]

    return neighbours(x), neighbours(direction)


def fill_derivatives(x, direction):
    """Returns the gradient of `fill_loop` and its Hessian's product with a direction, by hand."""
    n = len(x)
    y, w, y_tangent, w_tangent = np.zeros((4, n + 1))
    y[0], y_tangent[0] = x[0], direction[0]
    for i in range(1, n):
        y[i] = y[i - 1] * x[i] + 0.5
        y_tangent[i] = y_tangent[i - 1] * x[i] + y[i - 1] * direction[i]
    for i in reversed(range(n)):
        factor, slope = (x[i + 1], direction[i + 1]) if i + 1 < n else (0.0, 0.0)
        w[i] = 1.0 + w[i + 1] * factor
        w_tangent[i] = w_tangent[i + 1] * factor + w[i + 1] * slope
    gradient, product = w[:n].copy(), w_tangent[:n].copy()
    gradient[1:] *= y[: n - 1]
    product[1:] = w_tangent[1:n] * y[: n - 1] + w[1:n] * y_tangent[: n - 1]
    return gradient, product


def element_loop(title, function, by_hand, at_most):
    """Returns the rows of a loop over elements: over plain Python, and how time grows with the elements."""
    gradient = fastad.value_and_grad(function)
    x, direction = np.random.default_rng(1).uniform(0.1, 0.9, (2, ELEMENTS))
    short, short_direction = x[: ELEMENTS // 10].copy(), direction[: ELEMENTS // 10].copy()

    def product(x, direction):
        return fastad.hvp(function, (x,), (direction,))

    plain = functools.partial(twin(function), x)
    value, found = gradient(x)
    assert_same([value], [plain()], 0.0)
    assert_same([found, product(x, direction)], by_hand(x, direction))
    over = timing.ratio(lambda: gradient(x), plain, rounds=20, number=(1, 1))
    second = timing.ratio(lambda: product(x, direction), plain, rounds=10, number=(1, 1))
    growth = timing.ratio(lambda: gradient(x), lambda: gradient(short), rounds=10)
    second_growth = timing.ratio(lambda: product(x, direction), lambda: product(short, short_direction), rounds=10)
    sizes = f"{ELEMENTS:,} over {ELEMENTS // 10:,} elements"
    return [
        Row(f"{title}, n = {ELEMENTS:,}: value and gradient over plain", over.ratio, "x", at_most=at_most),
        Row("  plain, per element", over.second / ELEMENTS, "s"),
        Row("  Hessian-vector product over plain", second.ratio, "x"),
        Row(f"  gradient per element, {sizes}", growth.ratio / 10, "x", at_most=LINEAR_BOUND),
        Row(f"  Hessian-vector product per element, {sizes}", second_growth.ratio / 10, "x", at_most=LINEAR_BOUND),
    ]


def reads():
    """Returns the rows of the loop that reads elements."""
    return element_loop("loop reading elements", read_loop, read_derivatives, READ_BOUND)


def fills():
    """Returns the rows of the loop that fills an array."""
    return element_loop("loop filling an array", fill_loop, fill_derivatives, FILL_BOUND)


# ---- a network ----------------------------------------------------------------------------------------------------------------


def network_loss(w1, b1, w2, b2, w3, b3, images, labels, of):
    """Returns the softmax cross-entropy of a network of three layers; `of` has the functions."""
    hidden = of.relu(images @ w1 + b1)
    hidden = of.relu(hidden @ w2 + b2)
    return of.softmax_cross_entropy(hidden @ w3 + b3, labels)


def network_arguments(dtype=np.float32):
    """Returns the weights and biases of the layers, and a batch of images and labels."""
    arguments = []
    for k, (n, m) in enumerate(zip(LAYERS, LAYERS[1:])):
        arguments += [random_numbers(k, n, m, dtype=dtype) * dtype(np.sqrt(2 / n)), random_numbers(k + 10, m, dtype=dtype)]
    labels = np.random.default_rng(5).integers(0, LAYERS[-1], BATCH)
    return [*arguments, random_numbers(6, BATCH, LAYERS[0], dtype=dtype), labels]


def loss_for(peer):
    """Returns `network_loss` in a peer's functions, with bytecode of its own."""
    functions = SimpleNamespace(relu=peer.relu, softmax_cross_entropy=peer.softmax_cross_entropy)
    return functools.partial(twin(network_loss), of=functions)


def assert_difference(function, arguments, gradient, count, tolerance):
    """Raises AssertionError unless the gradient along a random direction is that of central differences in float64."""
    doubles = [x.astype(np.float64) for x in arguments[:count]]
    directions = [random_numbers(9, *x.shape) for x in doubles]
    step = 1e-6
    up, down = ([x + sign * d for x, d in zip(doubles, directions)] for sign in (step, -step))
    rest = [x.astype(np.float64) if x.dtype.kind == "f" else x for x in arguments[count:]]
    expected = (function(*up, *rest) - function(*down, *rest)) / (2 * step)
    assert_same([sum(np.sum(g * d) for g, d in zip(gradient, directions))], [expected], tolerance)


def network():
    """Returns the rows of a network's loss and gradient over PyTorch's, and JAX's and autograd's over them."""
    arguments, count = network_arguments(), 2 * (len(LAYERS) - 1)
    loss = loss_for(peers.find("fastad"))
    gradient = functools.partial(fastad.value_and_grad(loss, argnums=tuple(range(count))), *arguments)
    expected = gradient()
    if any(g.dtype != np.float32 for g in expected[1]):
        raise AssertionError(f"gradients of {[g.dtype.name for g in expected[1]]}, expected float32")
    plain = functools.partial(loss_for(peers.find("fastad")), *arguments)
    assert_difference(loss_for(peers.find("fastad")), arguments, expected[1], count, 1e-3)
    both = timing.ratio(gradient, plain, rounds=20)
    rows = [
        Row("network 784-512-256-10, batch 128, float32: over plain NumPy", both.ratio, "x"),
        Row("  value and gradient", both.first, "s"),
    ]
    for peer in installed("PyTorch", "JAX", "JAX with jit", "autograd"):
        theirs = prepared(peer, loss_for(peer), arguments, count, expected, 1e-4)
        if peer.name == "PyTorch":
            rows.append(over_peer("  network", peer, theirs, gradient, at_most=1.1, rounds=20))
        else:
            bound = 1.0 if peer.name == "JAX" else None
            rows.append(peer_over("  network", peer, theirs, gradient, at_least=bound, rounds=5))
    return rows


# ---- an ordinary differential equation --------------------------------------------------------------------------------------


def lorenz(u, p):
    """Returns du/dt of the Lorenz system with parameters p, in an array filled element by element."""
    x, y, z = u
    rate = np.empty_like(u)
    rate[0] = p[0] * (y - x)
    rate[1] = x * (p[1] - z) - y
    rate[2] = x * y - p[2] * z
    return rate


def stacked_lorenz(u, p):
    """Returns du/dt of the Lorenz system for libraries whose arrays can not be written into."""
    x, y, z = u
    return np.stack([p[0] * (y - x), x * (p[1] - z) - y, x * y - p[2] * z])


def rollout(u, p, field, steps=ROLL_STEPS, h=ROLL_STEP):
    """Returns the sum of squares of the state after `steps` steps of Runge and Kutta from the state u."""
    for _ in range(steps):
        k1 = field(u, p)
        k2 = field(u + 0.5 * h * k1, p)
        k3 = field(u + 0.5 * h * k2, p)
        k4 = field(u + h * k3, p)
        u = u + h / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)
    return (u * u).sum()


def rolled(field):
    """Returns `rollout` of a field as a function of state and parameters, with bytecode of its own."""
    return functools.partial(twin(rollout), field=twin(field))


def roll():
    """Returns the rows of the gradient of a rollout by initial state and parameters: the peers' over fastad's."""
    arguments = ROLL_START
    gradient = functools.partial(fastad.value_and_grad(rolled(lorenz), argnums=(0, 1)), *arguments)
    expected = gradient()
    assert_slope(rolled(lorenz), arguments, expected[1], 1e-8)
    both = timing.ratio(gradient, functools.partial(rolled(lorenz), *arguments), rounds=5)
    rows = [
        Row(f"Lorenz system, {ROLL_STEPS:,} steps of RK4: over plain NumPy", both.ratio, "x"),
        Row("  value and gradient, per step", both.first / ROLL_STEPS, "s"),
    ]
    for peer in installed("PyTorch", "autograd"):
        field = peers.on_namespace(stacked_lorenz, peer.np)
        theirs = prepared(peer, functools.partial(twin(rollout), field=field), arguments, 2, expected, 1e-8)
        rows.append(peer_over("  rollout", peer, theirs, gradient, at_least=8.0, rounds=2))
    return rows


# ---- memory -------------------------------------------------------------------------------------------------------------------


def peak(name):
    """Returns by how many bytes one value and gradient of fifty operations on LARGEST elements raises this process's peak.

    That is its largest resident set ever, less its resident set after a run on a thousand elements.
    """
    peer = peers.find(name)
    gradient = peer.value_and_grad(peers.on_namespace(fifty, peer.np))
    gradient(peer.array(np.linspace(-0.9, 0.9, 1000)))
    x = peer.array(np.linspace(-0.9, 0.9, LARGEST))
    gc.collect()
    before = process_status("VmRSS")
    gradient(x)
    return process_status("VmHWM") - before


def memory():
    """Returns the rows of the peak memory of fifty operations, each library in a process of its own."""
    code = "import sys; from bench import arrays; print(arrays.peak(sys.argv[1]))"
    environment = {**os.environ, **peers.ONE_THREAD}
    names = ["fastad", *(peer.name for peer in installed("PyTorch", "JAX", "JAX with jit", "autograd"))]
    peaks = {name: in_fresh_process(code, name, environment=environment) for name in names}
    return [
        Row(f"fifty operations, n = {LARGEST:,}: peak memory", peaks.pop("fastad"), "B", at_most=peaks.get("PyTorch")),
        *(Row(f"  {name}", size, "B") for name, size in peaks.items()),
    ]


FIGURES = (
    *(functools.partial(fifty_operations, n) for n in SIZES),
    reads,
    fills,
    network,
    roll,
    memory,
)
# What `--quick` leaves out: the figures that take longest.
LONG_FIGURES = (FIGURES[3], roll, memory)


def run(options, console):
    """Prints the table of the figures, shorter with `options.quick`; returns whether every bound is met."""
    rows = []
    gc.freeze()
    report.print_missing(console, peers.missing("PyTorch", "JAX", "autograd"))
    with peers.one_thread():
        for figure in FIGURES:
            if not (options.quick and figure in LONG_FIGURES):
                rows += figure()
    return report.print_stamped(console, "Arrays", rows)


if __name__ == "__main__":
    sys.exit(report.status_of(run))
