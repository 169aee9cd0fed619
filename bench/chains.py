"""Figures of arrays replayed: `python -m bench.chains` prints them all, beside JAX with jit and PyTorch where installed.

The functions are those of bench/arrays.py, recorded by `fastad.record`; values are NumPy's to the last bit, except in the rows with
`fast_math`. Every figure is checked against the eager derivative and the peers' before anything is timed.
"""

import functools
import gc
import os
import sys

import numpy as np

import fastad
from bench import arrays, peers, report, timing
from bench.arrays import LARGEST, SIZES, assert_same, fifty, installed, prepared
from bench.figures import in_fresh_process, process_status, twin
from bench.report import Row

# By length: at most this over plain NumPy, and under `fast_math`.
BOUNDS = {10: (0.15, None), 100: (0.5, 0.25), 10_000: (1.3, 0.5), LARGEST: (1.0, 0.4)}
MEMORY_BOUND = 4           # arrays beyond input and gradient
NETWORK_THREADS = 2


def replayed(function, count=1, fast_math=False):
    """Returns value and gradient by the first `count` arguments of the program of a function."""
    return functools.partial(fastad.record(function, fast_math=fast_math).value_and_grad, argnums=tuple(range(count)))


def fifty_replayed(n):
    """Returns the rows of fifty operations on n elements, replayed: over plain NumPy, and the peers over fastad."""
    x = np.linspace(-0.9, 0.9, n)
    plain = functools.partial(twin(fifty), x)
    expected = fastad.value_and_grad(twin(fifty), argnums=(0,))(x)
    rounds = 5 if n == LARGEST else 20
    rows, runs = [], {}
    for fast_math, bound in zip((False, True), BOUNDS[n], strict=True):
        run = runs[fast_math] = functools.partial(replayed(twin(fifty), fast_math=fast_math), x)
        run()
        value, gradient = run()
        assert_same([value, *gradient], [expected[0], *expected[1]], 1e-12)
        both = timing.ratio(run, plain, rounds)
        title = "  with fast_math" if fast_math else f"fifty operations replayed, n = {n:,}"
        rows.append(Row(f"{title}: value and gradient over plain NumPy", both.ratio, "x", at_most=bound))
        if not fast_math:
            rows.append(Row("  value and gradient", both.first, "s"))
            rows.append(Row("  plain NumPy", both.second, "s"))
    for peer in installed("JAX with jit", "PyTorch"):
        theirs = prepared(peer, peers.on_namespace(twin(fifty), peer.np), (x,), 1, expected, 1e-9)
        rows.append(Row(f"  {peer.name} over fastad", timing.ratio(theirs, runs[False], rounds).ratio, "x", at_least=1.0))
        rows.append(Row(f"  {peer.name} over fastad with fast_math", timing.ratio(theirs, runs[True], rounds).ratio, "x"))
    return rows


def arrays_beyond():
    """Returns how many arrays of LARGEST elements a replay of value and gradient takes beyond its input and its gradient.

    That is by how much the process's resident set has grown at the most, recording left out, since before the function was
    recorded: what a program keeps counts too.
    """
    x = np.linspace(-0.9, 0.9, LARGEST)
    run = replayed(fifty)
    run(x[:1000])
    run(x[:1000])
    gc.collect()
    before = process_status("VmRSS")
    run(x)
    run(x)
    gc.collect()
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")                              # the highest resident set starts anew
    run(x)
    return (process_status("VmHWM") - before) / x.nbytes - 1


def memory():
    """Returns the row of a replay's memory, measured in a process of its own; none where the system does not tell."""
    if not os.path.exists("/proc/self/clear_refs"):
        return []
    code = "from bench import chains; print(chains.arrays_beyond())"
    # With a fixed threshold glibc gives arrays back to the system when they are freed; else it may keep those of the recording.
    found = in_fresh_process(code, environment={**os.environ, **peers.ONE_THREAD, "MALLOC_MMAP_THRESHOLD_": str(1 << 17)})
    return [Row(f"fifty operations replayed, n = {LARGEST:,}: arrays beyond input and gradient", found, at_most=MEMORY_BOUND)]


def products_alone(weights, batch):
    """Returns a call that makes the products of a network's loss and gradient with NumPy, and nothing else."""
    layers = [(np.ones((batch, len(w)), w.dtype), w, np.ones((batch, w.shape[1]), w.dtype)) for w in weights]

    def run():
        for x, w, adjoint in layers:
            x @ w
            x.T @ adjoint
        for _, w, adjoint in layers[1:]:
            adjoint @ w.T

    return run


def network():
    """Returns the rows of a network's loss and gradient replayed, over PyTorch's and JAX's, on two threads for all."""
    arguments, count = arrays.network_arguments(), 2 * (len(arrays.LAYERS) - 1)
    loss = arrays.loss_for(peers.find("fastad"))
    expected = fastad.value_and_grad(loss, argnums=tuple(range(count)))(*arguments)
    run = functools.partial(replayed(arrays.loss_for(peers.find("fastad")), count), *arguments)
    run()
    found = run()
    assert_same([found[0], *found[1]], [expected[0], *expected[1]], 1e-5)
    rows = [
        Row(f"network 784-512-256-10 replayed, batch 128, float32, {NETWORK_THREADS} threads", timing.best_of(run, 20), "s"),
        Row("  its products alone, by NumPy", timing.best_of(products_alone(arguments[:count:2], arrays.BATCH), 20), "s"),
    ]
    for peer in installed("PyTorch", "JAX with jit"):
        if peer.name == "PyTorch":
            import torch

            torch.set_num_threads(NETWORK_THREADS)
        theirs = prepared(peer, arrays.loss_for(peer), arguments, count, expected, 1e-4)
        rows.append(Row(f"  {peer.name} over fastad", timing.ratio(theirs, run, rounds=20, pause=0.2).ratio, "x", at_least=1.0))
    return rows


FIGURES = (*(functools.partial(fifty_replayed, n) for n in SIZES), memory)


def run(options, console):
    """Prints the table of the figures, shorter with `options.quick`; returns whether every bound is met."""
    rows = []
    gc.freeze()
    # Before anything keeps the libraries to one thread.
    rows += network()
    with peers.one_thread():
        for figure in FIGURES:
            if not (options.quick and figure is FIGURES[3]):
                rows += figure()
    return report.print_stamped(console, "Arrays replayed", rows)


if __name__ == "__main__":
    sys.exit(report.status_of(run))
