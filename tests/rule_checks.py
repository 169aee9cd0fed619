"""Checks of one call of a NumPy function against its derivative rule, on plain arrays."""

import importlib
import inspect
import pkgutil
from types import SimpleNamespace

import numpy as np
import pytest
from probe import Probe, plain_tree

import fastad.arrays.rules
from fastad.arrays.rules.registry import RULES


def case(function, *args, step=1e-3, rtol=1e-8, linear=True, layouts=True, float32=True, keep_zeros=False, **kwargs):
    """One call to check, for pytest.mark.parametrize.

    step is that of the differences: smaller than a quarter of the distance to a kink; rtol their relative tolerance;
    keep_zeros leaves zeros of the operands out of them. linear=False leaves out the check of linearity, layouts=False that of
    strided operands, float32=False that of single precision.
    """
    name = getattr(function, "__name__", str(function))
    words = [_word(a) for a in args] + [f"{k}={_word(a)}" for k, a in kwargs.items()]
    options = SimpleNamespace(step=step, rtol=rtol, linear=linear, layouts=layouts, float32=float32, keep_zeros=keep_zeros)
    return pytest.param(SimpleNamespace(function=function, args=args, kwargs=kwargs, options=options),
                        id=f"{name}({', '.join(words)})"[:100])


def _word(value):
    if isinstance(value, np.ndarray):
        return "x".join(map(str, value.shape)) or "0d"
    if isinstance(value, (list, tuple)):
        return "[" + " ".join(map(_word, value)) + "]"
    return getattr(value, "__name__", str(value))


def check(one):
    """Every check below on one case."""
    call = Call(one.function, one.args, one.kwargs)
    check_signature(one.function)
    check_adjoints(call)
    check_differences(call, one.options.step, one.options.rtol, one.options.keep_zeros)
    check_operands_untouched(call)
    check_traceable(call)
    if one.options.linear:
        check_linear(call)
    if one.options.float32:
        check_float32(call)
    if one.options.layouts:
        check_layouts(call)


def check_covered(module, cases):
    """Fails if a rule declared in the module has no case."""
    tested = {one.values[0].function for one in cases}
    missing = [f for f, r in RULES.items() if r.vjp.__module__ == module.__name__ and f not in tested]
    assert not missing, f"no case for {[f.__name__ for f in missing]}"


def first_cases(cases, count):
    """The first `count` cases of every function."""
    seen = {}
    for one in cases:
        seen.setdefault(one.values[0].function, []).append(one)
    return [one for same in seen.values() for one in same[:count]]


def load_all_rules():
    """Imports every module of rules there is, so that RULES is complete."""
    for info in pkgutil.iter_modules(fastad.arrays.rules.__path__):
        importlib.import_module(f"fastad.arrays.rules.{info.name}")


# A call as its rule sees it.

def leaves(tree, depth=9):
    """The entries of nested lists and tuples, in order; those deeper than `depth` stay lists."""
    if depth and isinstance(tree, (list, tuple)):
        return [leaf for entry in tree for leaf in leaves(entry, depth - 1)]
    return [tree]


def fill(tree, values, depth=9):
    """The same nesting with entries taken from the iterator `values`."""
    if depth and isinstance(tree, (list, tuple)):
        return type(tree)(fill(entry, values, depth - 1) for entry in tree)
    return next(values)


def differentiable(value):
    """Whether this operand is one that a derivative can be asked for."""
    return isinstance(value, (float, np.floating)) or isinstance(value, np.ndarray) and value.dtype.kind == "f"


class Call:
    """A function with arguments: its operands (flat list `x` of those that can be active), its results and its adjoints."""

    def __init__(self, function, args, kwargs):
        self.rule = RULES[function]
        self.function = function
        self.given = self.rule.signature.bind(*args, **kwargs)
        self.names = [name.lstrip("*") for name in self.rule.operands]
        self.starred = [name.startswith("*") for name in self.rule.operands]
        self.depth = 9 if function is np.block else 1      # of sequences of operands; a list inside is a plain operand
        self.x = [leaf for leaf in self._operand_leaves() if differentiable(leaf)]

    def _operand_leaves(self):
        for name, starred in zip(self.names, self.starred, strict=True):
            if name in self.given.arguments:
                yield from leaves(self.given.arguments[name], self.depth) if starred else [self.given.arguments[name]]

    def arguments(self, x, rest=lambda value: value):
        """The bound arguments with the operands x in place of the call's own; `rest` is applied to constant operands."""
        values = iter(x)
        bound = self.rule.signature.bind(*self.given.args, **self.given.kwargs)
        for name, starred in zip(self.names, self.starred, strict=True):
            if name in bound.arguments:
                old = bound.arguments[name]

                def choose(leaf):
                    return next(values) if differentiable(leaf) else rest(leaf)
                new = (choose(leaf) for leaf in leaves(old, self.depth)) if starred else None
                bound.arguments[name] = fill(old, new, self.depth) if starred else choose(old)
        return bound

    def results(self, x, rest=lambda value: value):
        """The function's value for operands x, as NumPy returns it."""
        bound = self.arguments(x, rest)
        return self.function(*bound.args, **bound.kwargs)

    def adjoints(self, x, w, result=None, wrap=lambda value: value):
        """The adjoint of each of the operands x for the results' adjoint w; `wrap` is put around operands, result and w."""
        result = self.results(x) if result is None else result
        given = self.arguments(x)
        bound = self.arguments([wrap(v) for v in x])
        bound.apply_defaults()
        got = self.rule.vjp(wrap_tree(w, wrap), wrap_tree(result, wrap), *bound.args, **bound.kwargs)
        if len(self.names) > 1:
            assert len(got) == len(self.names), "one function for every operand"
        out = []
        for i, (name, starred) in enumerate(zip(self.names, self.starred, strict=True)):
            old = leaves(given.arguments.get(name), self.depth) if starred else [given.arguments.get(name)]
            if not any(differentiable(v) for v in old):
                continue
            adjoint = got[i]() if len(self.names) > 1 else got
            new = leaves(adjoint, self.depth) if starred and isinstance(given.arguments[name], (list, tuple)) else [adjoint]
            assert len(new) == len(old), f"{len(new)} adjoints for {len(old)} operands"
            out += [n for n, v in zip(new, old, strict=True) if differentiable(v)]
        return out


def wrap_tree(tree, wrap):
    return fill(tree, (wrap(leaf) for leaf in leaves(tree))) if isinstance(tree, (list, tuple)) else wrap(tree)


def random_like(tree, rng):
    """Random numbers in the nesting, shapes, dtypes and memory order of `tree`; integers are answered with float64."""
    def one(value):
        dtype = getattr(value, "dtype", np.dtype(float))
        out = np.empty_like(value, dtype=dtype if dtype.kind == "f" else float)
        out[...] = rng.standard_normal(np.shape(value))
        return out
    return wrap_tree(tree, one)


def inner(a, b):
    """The sum of products of corresponding numbers of two nestings."""
    return sum(float(np.sum(np.asarray(p, dtype=float) * q)) for p, q in zip(leaves(a), leaves(b), strict=True))


# The checks.

def check_signature(function):
    """The vjp takes NumPy's own parameters: names, kinds and defaults."""
    try:
        own = inspect.signature(function).parameters
    except ValueError:      # some functions written in C have none
        return
    rule = RULES[function].signature.parameters
    for name, parameter in own.items():
        assert name in rule, f"{function.__name__}: no parameter {name}"
        assert rule[name].kind == parameter.kind, f"{function.__name__}: {name} is {parameter.kind.description}"
        same = rule[name].default is parameter.default or rule[name].default == parameter.default
        assert same, f"{function.__name__}: default of {name} is {parameter.default}"
    assert [n for n in rule if n in own] == list(own), f"{function.__name__}: order of parameters is {list(own)}"


def check_adjoints(call):
    """Adjoints have the shape and dtype of their operands, and are zero where w is."""
    rng = np.random.default_rng(1)
    w = random_like(call.results(call.x), rng)
    for adjoint, x in zip(call.adjoints(call.x, w), call.x, strict=True):
        assert np.shape(adjoint) == np.shape(x)
        assert adjoint.dtype == np.asarray(x).dtype
    zero = wrap_tree(w, lambda v: 0.0 * v)
    for adjoint in call.adjoints(call.x, zero):
        assert np.all(np.asarray(adjoint) == 0.0), "zero adjoints give zero adjoints"


def check_differences(call, step=1e-3, rtol=1e-8, keep_zeros=False):
    """<w, J t> by extrapolated central differences equals <adjoint, t>, operand by operand and in all at once."""
    rng = np.random.default_rng(2)
    w = random_like(call.results(call.x), rng)
    adjoints = call.adjoints(call.x, w)
    masks = [[i == j for i in range(len(call.x))] for j in range(len(call.x))] + [[True] * len(call.x)] * 2
    for mask in masks:
        t = [direction * on for direction, on in zip(random_like(call.x, rng), mask, strict=True)]
        if keep_zeros:
            t = [direction * (x != 0) for direction, x in zip(t, call.x, strict=True)]

        def along(h, t=t):
            up, down = (call.results([x + s * h * d for x, d in zip(call.x, t, strict=True)]) for s in (1, -1))
            return (inner(w, up) - inner(w, down)) / (2 * h)
        coarse, middle, fine = along(step), along(step / 2), along(step / 4)
        first, second = (4 * middle - coarse) / 3, (4 * fine - middle) / 3
        expected, got = (16 * second - first) / 15, inner(adjoints, t)
        scale = max(1.0, abs(expected), *(float(np.abs(a).sum()) for a in adjoints))
        assert abs(got - expected) <= rtol * scale, f"differences {expected}, rule {got}, operands {mask}"


def check_operands_untouched(call):
    """The rule writes neither into operands nor into w (it may return w or a view of it)."""
    result = call.results(call.x)
    w = random_like(result, np.random.default_rng(3))
    kept = [np.array(v) for v in (*call.x, *leaves(w), *leaves(result))]
    call.adjoints(call.x, w, result)
    for before, after in zip(kept, (*call.x, *leaves(w), *leaves(result)), strict=True):
        np.testing.assert_array_equal(before, after)


def check_traceable(call):
    """The rule runs on arrays that only answer to functions with rules, and gives the same adjoints."""
    result = call.results(call.x)
    w = random_like(result, np.random.default_rng(4))
    plain = call.adjoints(call.x, w, result)
    for one, other in zip(plain, call.adjoints(call.x, w, result, Probe.wrap), strict=True):
        assert isinstance(other, Probe) or not np.any(one), "the adjoint does not depend on w"
        np.testing.assert_allclose(plain_tree(other), one, rtol=1e-12, atol=1e-12)


def check_linear(call):
    """What the rule says of linearity: f(a t1 + t2) = a f(t1) + f(t2)."""
    kind = call.rule.linear
    if not kind or not call.x:
        return
    rng = np.random.default_rng(5)
    one, two = random_like(call.x, rng), random_like(call.x, rng)
    groups = [range(len(call.x))] if kind == "jointly" else [[i] for i in range(len(call.x))]
    for group in groups:
        def at(values, group=group):
            values = [values[i] if i in group else x for i, x in enumerate(call.x)]
            return leaves(call.results(values, np.zeros_like) if kind == "jointly" else call.results(values))
        mixed = at([1.7 * p + q for p, q in zip(one, two, strict=True)])
        for m, p, q in zip(mixed, at(one), at(two), strict=True):
            np.testing.assert_allclose(m, 1.7 * p + q, rtol=1e-10, atol=1e-12)


def check_float32(call):
    """float32 operands get float32 adjoints, near those of float64."""
    def single(value):
        return np.asarray(value, dtype=np.float32)
    x = [single(v) for v in call.x]
    result = call.results(x)
    w = random_like(result, np.random.default_rng(6))
    wide = wrap_tree(w, lambda v: np.asarray(v, dtype=float))
    reference = call.adjoints([v.astype(float) for v in x], wide)
    for got, expected in zip(call.adjoints(x, w, result), reference, strict=True):
        assert got.dtype == np.float32, f"adjoint of a float32 operand is {got.dtype}"
        atol = 2e-4 * float(np.abs(expected).max(initial=1.0))
        np.testing.assert_allclose(got, expected, rtol=2e-3, atol=atol)


def check_layouts(call):
    """Operands and w in Fortran order, with gaps and with negative strides give the same adjoints."""
    result = call.results(call.x)
    w = random_like(result, np.random.default_rng(7))
    expected = call.adjoints(call.x, w, result)
    for layout in (np.asfortranarray, gapped, reversed_strides):
        def change(value, layout=layout):
            return layout(value) if isinstance(value, np.ndarray) and value.ndim else value
        x = [change(v) for v in call.x]
        for got, one in zip(call.adjoints(x, wrap_tree(w, change)), expected, strict=True):
            np.testing.assert_allclose(got, one, rtol=1e-11, atol=1e-12)


def gapped(x):
    """x in every second element of a larger buffer."""
    wide = np.zeros(tuple(2 * n for n in x.shape), x.dtype)[tuple(slice(None, None, 2) for _ in x.shape)]
    wide[...] = x
    return wide


def reversed_strides(x):
    """x with negative strides along every axis."""
    turn = tuple(slice(None, None, -1) for _ in x.shape)
    return x[turn].copy()[turn]


def check_against_jax(one):
    """Adjoints equal JAX's, where JAX has the function and takes the arguments in this form; skipped elsewhere."""
    jax = pytest.importorskip("jax")
    call = Call(one.function, one.args, one.kwargs)
    module = one.function.__module__.replace("numpy", "jax.numpy", 1)
    other = getattr(importlib.import_module(module), one.function.__name__, None) if module in JAX_MODULES else None
    if other is None or not call.x or "out" in one.kwargs:
        pytest.skip("not in JAX")
    jax.config.update("jax_enable_x64", True)

    def values(*x):
        bound = call.arguments(x)
        return leaves(other(*bound.args, **bound.kwargs))
    result = call.results(call.x)
    w = random_like(result, np.random.default_rng(8))
    try:
        theirs, transpose = jax.vjp(values, *call.x)
    except (TypeError, NotImplementedError, ValueError, jax.errors.JAXTypeError, jax.errors.JAXIndexError) as error:
        pytest.skip(f"not in this form in JAX: {error}"[:80])
    for p, q in zip(theirs, leaves(result), strict=True):
        np.testing.assert_allclose(p, q, rtol=1e-12, atol=1e-12, err_msg="values")
    expected = transpose([jax.numpy.asarray(v, p.dtype) for v, p in zip(leaves(w), theirs, strict=True)])
    for got, want in zip(call.adjoints(call.x, w), expected, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-11)


JAX_MODULES = {"jax.numpy", "jax.numpy.linalg", "jax.numpy.fft"}
