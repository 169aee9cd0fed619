"""Other libraries behind one small adapter each: arrays in, value and gradient out, in each one's public idiom.

`find` gives the adapter of a library, or None where it is not installed. Every adapter computes on one processor thread.
"""

import contextlib
import functools
import importlib.util
import os
import types

import numpy as np

import fastad

ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}


@contextlib.contextmanager
def one_thread():
    """Keeps the libraries of linear algebra loaded so far to one thread inside the block."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        yield


@contextlib.contextmanager
def one_processor():
    """Lets the process see one processor only inside the block: thread pools made there have one thread."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Fastad:
    """fastad on NumPy's functions as they stand."""

    name = "fastad"
    np = np

    def array(self, x):
        """Returns an ndarray, or a number, as what the library's functions take."""
        return x

    def plain(self, x):
        """Returns an array of the library as an ndarray."""
        return np.asarray(x)

    def value_and_grad(self, function, count=1):
        """Returns a function giving value and gradients by the first `count` arguments, complete when it returns."""
        return fastad.value_and_grad(function, argnums=tuple(range(count)))

    def softmax_cross_entropy(self, logits, labels):
        """Returns the mean over the rows of logits of the negative log-likelihood of their labels."""
        shifted = logits - np.max(logits, axis=1, keepdims=True)
        chosen = shifted[np.arange(len(labels)), labels]
        return np.mean(np.log(np.sum(np.exp(shifted), axis=1)) - chosen)

    def relu(self, x):
        """Returns the greater of x and 0, element by element."""
        return np.maximum(x, 0.0)


class PyTorch(Fastad):
    """PyTorch, eager; leaves are made anew for every gradient, since a tensor keeps its own."""

    name = "PyTorch"

    def __init__(self):
        import torch

        torch.set_num_threads(1)
        self.np, self.relu = torch, torch.nn.functional.relu
        self.softmax_cross_entropy = torch.nn.functional.cross_entropy

    def array(self, x):
        return self.np.from_numpy(x.copy())

    def plain(self, x):
        return x.detach().numpy()

    def value_and_grad(self, function, count=1):
        gradient = self.np.autograd.grad

        def run(*arguments):
            leaves = [x.detach().requires_grad_() for x in arguments[:count]]
            value = function(*leaves, *arguments[count:])
            return value, gradient(value, leaves)

        return run


class JAX(Fastad):
    """JAX in float64 where the arguments are, one operation at a time."""

    name = "JAX"

    def __init__(self):
        flags = os.environ.get("XLA_FLAGS", "")
        os.environ["XLA_FLAGS"] = f"{flags} --xla_cpu_multi_thread_eigen=false".strip()
        import jax

        jax.config.update("jax_enable_x64", True)
        with one_processor():
            jax.devices()
        self.jax, self.np, self.relu = jax, jax.numpy, jax.nn.relu

    def array(self, x):
        return self.np.asarray(x.copy())

    def compiled(self, function):
        """Returns the function as it is to be called."""
        return function

    def value_and_grad(self, function, count=1):
        run = self.compiled(self.jax.value_and_grad(function, argnums=tuple(range(count))))
        ready = self.jax.block_until_ready
        return lambda *arguments: ready(run(*arguments))

    def softmax_cross_entropy(self, logits, labels):
        likelihoods = self.jax.nn.log_softmax(logits)
        return -self.np.mean(likelihoods[self.np.arange(len(labels)), labels])


class JAXCompiled(JAX):
    """JAX with value and gradient compiled as one; compilation is not timed."""

    name = "JAX with jit"

    def compiled(self, function):
        return self.jax.jit(function)


class Autograd(Fastad):
    """autograd, with its own NumPy."""

    name = "autograd"

    def __init__(self):
        import autograd
        import autograd.numpy

        self.module, self.np = autograd, autograd.numpy

    def value_and_grad(self, function, count=1):
        return self.module.value_and_grad(function, argnum=tuple(range(count)))


PEERS = {peer.name: peer for peer in (Fastad, PyTorch, JAX, JAXCompiled, Autograd)}


@functools.cache
def find(name):
    """Returns the adapter of this name, or None where its library is not installed."""
    try:
        return PEERS[name]()
    except ModuleNotFoundError:
        return None


def missing(*names):
    """Returns those of these names whose libraries are not installed."""
    return [name for name in names if find(name) is None]


def module_on(module, **names):
    """Returns a copy of a module of ours in which these of its global names are others: a library's namespace as `np`, say."""
    copy = importlib.util.module_from_spec(module.__spec__)
    module.__spec__.loader.exec_module(copy)
    for name, other in names.items():
        if hasattr(copy, name):
            setattr(copy, name, other)
    return copy


def on_namespace(function, namespace, name="np"):
    """Returns a copy of a function of ours, with bytecode of its own, whose global `name` is another namespace."""
    scope = {**function.__globals__, name: namespace}
    return types.FunctionType(function.__code__.replace(), scope, function.__name__, function.__defaults__)
