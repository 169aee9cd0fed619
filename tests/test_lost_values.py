"""Active values that were about to be lost: turned into plain numbers, or used outside their trace."""

import math
import pickle
import re
import statistics
import threading

import numpy as np
import pytest
from refusals import cube, refused, still_works  # noqa: F401
from scipy import integrate, stats

import fastad
from fastad import math as fm

HERE = r"test_lost_values\.py:\d+"


# A traced value never turns into a plain number in silence

def store(x):
    numbers = np.zeros(3)
    numbers[1] = x
    return numbers[1]


def store_all(x):
    numbers = np.zeros(2)
    numbers[:] = [x, 1.0]
    return numbers[0]


LOST = {
    "float": (lambda x: float(x), r"float\(x\)", r"stop_gradient"),
    "math": (lambda x: math.sin(x), r"math\.sin\(x\)", r"fastad\.math\.sin"),
    "math of two": (lambda x: math.atan2(1.0, x), r"math\.atan2\(1\.0, x\)", r"fastad\.math\.atan2"),
    "math of one element": (lambda x: math.fsum([x, x]), r"math\.fsum", r"fastad\.math\.fsum"),
    "complex": (lambda x: complex(x), r"complex\(x\)", "real and imaginary part"),
    "hash": (lambda x: hash(x), r"hash\(x\)", "list"), "set": (lambda x: {x}, r"\{x\}", "list"),
    "in a set": (lambda x: x in {1.5, 2.5}, r"x in \{1\.5, 2\.5\}", "list"),
    "key": (lambda x: {x: 1}, r"\{x: 1\}", "list"), "look up": (lambda x: {1.5: 1}[x], r"\[x\]", "list"),
    "store": (store, r"numbers\[1\]", "a list"), "store all": (store_all, r"numbers", "a list"),
    "np.array": (lambda x: np.array([x]), r"np\.array\(\[x\]\)", "list"),
    "asarray": (lambda x: np.asarray(x), r"np\.asarray\(x\)", "list"),
    "np.float64": (lambda x: np.float64(x), r"np\.float64\(x\)", ""),
    "pickle": (lambda x: pickle.dumps(x), r"pickle\.dumps\(x\)", "plain numbers"),
    "in place": (lambda x: np.zeros(3).__iadd__(x), r"__iadd__\(x\)", "a = a \\+ x"),
    "to arrays": (lambda x: np.full(3, x), r"np\.full\(3, x\)", r"fastad\.numpy"),
    "scipy": (lambda x: integrate.quad(lambda t: t * x, 0.0, 1.0), r"integrate\.quad", "SciPy computes with plain numbers"),
    "scipy's arrays": (lambda x: stats.norm.logpdf(x), r"stats\.norm\.logpdf\(x\)", "SciPy computes with plain numbers"),
    "in the standard library": (lambda x: statistics.mean([x, 1.0]), r"statistics\.mean\(\[x, 1\.0\]\)", "stop_gradient"),
    "percent": (lambda x: "%.2f" % x, r'"%\.2f" % x', ""),  # noqa: UP031
    "as_integer_ratio": (lambda x: x.as_integer_ratio()[0] * 1.0, r"as_integer_ratio", ""),
}


@pytest.mark.parametrize("name", LOST)
def test_a_lost_derivative_is_an_error(name):
    f, code, advice = LOST[name]
    for run in (fastad.grad(f), lambda x: fastad.grad(lambda y: fastad.grad(f)(y))(x),
                lambda x: fastad.jvp(f, (x,), (1.0,))):
        with refused(fastad.TraceError, code, HERE, advice):
            run(1.5)
    assert issubclass(fastad.TraceError, TypeError)


@pytest.mark.parametrize("folder", ["/home/me/numpy/", "/srv/scipy/tools/", "/opt/optree/"])
def test_a_user_s_folder_named_as_a_library(folder):
    names = {}
    exec(compile("import math\n\ndef f(x):\n    return math.sin(x)\n", folder + "model.py", "exec"), names)
    with refused(fastad.TraceError, f"{folder}model.py:4"):
        fastad.grad(names["f"])(1.0)


def test_math_of_arrays():
    with refused(fastad.TraceError, r"fm\.sin\(x\)", HERE, r"np\.sin"):
        fastad.grad(lambda x: fm.sin(x))(np.array([1.5]))


def test_a_value_without_derivative_may_become_a_number():
    assert fastad.grad(lambda x: x * math.exp(fastad.stop_gradient(x)))(0.0) == 1.0
    assert fastad.grad(lambda x: x * float(fastad.stop_gradient(x) * 2 + 1))(3.0) == 7.0
    assert fastad.grad(lambda x: x * math.sqrt(fm.floor(x)))(4.5) == 2.0


# What NumPy does with an active value: the function that has no rule, and what to do instead.
NUMPY = [
    ("array", lambda x: np.full(3, x)), (r"add\.at", lambda x: np.add.at(np.zeros(2), 0, x)),
    ("gcd", lambda x: np.gcd(x, 3)), ("bitwise_or", lambda x: np.bitwise_or(x, 3)),
    ("complex", lambda x: np.complex128(1j) * x), ("sin.*out", lambda x: np.sin(x, out=np.zeros(()))),
    ("add.*out", lambda x: np.add(x, 1.0, out=np.zeros(1))),
    ("add.*out", lambda x: np.add(np.zeros(3), x, out=np.zeros(3))),
    ("unwrap", lambda x: np.unwrap([x, x])), ("sqrt", lambda x: np.lib.scimath.sqrt(x)),
]


@pytest.mark.parametrize("function, f", NUMPY)
def test_numpy_functions_without_a_rule(function, f):
    with refused(fastad.TraceError, function, HERE, "write|use|keep|pass|leave"):
        fastad.grad(f)(1.5)


def test_an_array_is_not_changed_in_passing():
    numbers = np.zeros(3)
    for f in (lambda x: np.add(numbers, x, out=numbers), lambda x: numbers.__iadd__(x), store, store_all):
        with pytest.raises(fastad.TraceError):
            fastad.grad(f)(1.5)
    assert not numbers.any()


def test_operands_that_are_no_numbers():
    for f in (lambda x: x + "a", lambda x: "a" + x, lambda x: x * None, lambda x: x + 1j, lambda x: x @ x,
              lambda x: x < "a", lambda x: [] + x, lambda x: x(), lambda x: x[0], lambda x: x.nothing,
              lambda x: len(x), lambda x: iter(x)):
        with pytest.raises((TypeError, AttributeError)):
            fastad.grad(f)(1.5)


def test_active_values_are_not_made_by_hand():
    active = fastad.grad(lambda x: (x, [type(x)]), has_aux=True)(1.0)[1][0]
    with refused(TypeError, "grad"):
        active()


# Values outside their trace

def escaped(x=2.0):
    """An active scalar of a trace that has ended."""
    kept = []
    fastad.grad(lambda v: kept.append(v) or v)(x)
    return kept[0]


STALE = [lambda y: y + 1, lambda y: 1 - y, lambda y: -y, lambda y: y > 1, lambda y: 1.0 < y, bool, int, float,
         str, round, abs, lambda y: y * y, fm.sin, np.sin, lambda y: np.add(1.0, y),
         lambda y: fm.hypot(y, 1.0), lambda y: y.real, lambda y: y**2, lambda y: f"{y:.2f}",
         lambda y: divmod(y, 2), lambda y: 2 // y, fastad.grad(cube), fastad.stop_gradient, hash,
         lambda y: fm.isnan(y), lambda y: [1, 2, 3][y], math.floor, lambda y: y.is_integer(),
         lambda y: fm.fsum([y, 1.0]), lambda y: fastad.jvp(cube, (2.0,), (y,)),
         lambda y: fastad.vjp(cube, 2.0)[1](y)]


@pytest.mark.parametrize("use", STALE)
def test_a_value_of_an_ended_trace(use):
    y = escaped()
    with refused(fastad.TraceError):
        use(y)
    with refused(fastad.TraceError):
        fastad.grad(lambda x: x * use(y))(1.0)
    with refused(fastad.TraceError):
        fastad.grad(lambda x: fastad.grad(lambda z: z * use(y))(x))(1.0)
    assert "ended" in repr(y)


def test_the_message_for_a_stale_value():
    y = escaped()
    with refused(fastad.TraceError, r"y \* 2", HERE, "ended", "has_aux"):
        y * 2
    with refused(fastad.TraceError, r"x \* y", HERE, "ended", "thread"):
        fastad.grad(lambda x: x * y)(1.0)
    with refused(fastad.TraceError, HERE):
        fastad.grad(lambda x: y)(1.0)


def test_a_generator_that_outlives_the_trace():
    kept = []

    def f(x):
        def powers():
            y = x
            while True:
                yield y
                y = y * x

        kept.append(powers())
        return next(kept[-1]) * next(kept[-1])

    assert fastad.grad(f)(2.0) == 12.0
    with refused(fastad.TraceError, r"y \* x", HERE):
        next(kept[0])


def test_a_generator_function_is_no_function_of_numbers():
    def energy(x):
        yield x * x

    with refused(TypeError, "energy", "generator"):
        fastad.grad(energy)(1.0)


def test_a_value_in_another_thread():
    caught = []

    def f(x):
        def work():
            try:
                x * 2
            except fastad.TraceError as error:
                caught.append(str(error))
            caught.append(fastad.grad(cube)(2.0))

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        return x * x

    assert fastad.grad(f)(3.0) == 6.0
    assert re.search(HERE, caught[0]) and "thread" in caught[0] and caught[1] == 12.0


def test_a_thread_that_outlives_the_trace():
    ended, caught = threading.Event(), []

    def f(x):
        def work():
            ended.wait(10)
            try:
                x * 2
            except fastad.TraceError as error:
                caught.append(error)

        f.thread = threading.Thread(target=work)
        f.thread.start()
        return x * x

    assert fastad.grad(f)(3.0) == 6.0
    ended.set()
    f.thread.join()
    assert len(caught) == 1


def test_vjp_fun_of_a_trace_in_progress_in_another_thread():
    # It would read a tape that its own thread is writing, and lose the derivative of the outer trace.
    caught = []

    def f(x):
        value, vjp_fun = fastad.vjp(cube, x)

        def work():
            try:
                vjp_fun(1.0)
            except fastad.TraceError as error:
                caught.append(str(error))

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        return value

    assert fastad.grad(f)(2.0) == 12.0
    assert len(caught) == 1 and "thread" in caught[0]


STOPPED_WRITES = {
    "item": lambda s, x: s.__setitem__(0, x[1]),
    "view": lambda s, x: s[:2].__setitem__(0, x[2]),
    "whole": lambda s, x: s.__iadd__(x),
    "out": lambda s, x: np.add(x, x, out=s),
    "copyto": lambda s, x: np.copyto(s, x),
    "add.at": lambda s, x: np.add.at(s, [0], x[:1]),
    "flat": lambda s, x: s.flat.__setitem__(0, x[1]),
}


@pytest.mark.parametrize("recorded", [False, True])
def test_what_has_no_derivative_may_leave(recorded):
    def f(x, y):
        s = fastad.stop_gradient(x)
        weights, first, total = np.asarray(s), float(s[0]), float(np.sum(s[1:]))
        part, number = complex(s[1:2][0]), np.asarray(fastad.stop_gradient(y))
        return np.sum(x * weights) + (first + total) * x[1] + part.real * number * y

    for x in (np.array([1.0, 2.0, 3.0]), np.array([-1.0, 0.5, 2.0])):
        gradient = (fastad.record(f).grad if recorded else fastad.grad(f))(x, 2.0)
        np.testing.assert_allclose(gradient, x + np.array([0.0, np.sum(x), 0.0]))


@pytest.mark.parametrize("x", [np.array(2.0), np.array(2.0, np.float32), np.float32(2.0), np.array([2.0])])
def test_stop_gradient_of_arrays_without_dimensions(x):
    def f(x):
        return np.sum(x * x * fastad.stop_gradient(x))

    np.testing.assert_allclose(fastad.grad(f)(x), 8.0)
    np.testing.assert_allclose(fastad.record(f).grad(x), 8.0)


@pytest.mark.parametrize("recorded", [False, True])
@pytest.mark.parametrize("write", STOPPED_WRITES.values(), ids=STOPPED_WRITES)
def test_what_is_written_there_may_not_leave(write, recorded):
    def f(x):
        s = fastad.stop_gradient(x)
        write(s, x)
        return float(s[0]) * x[0]

    x = np.array([1.0, 2.0, 3.0])
    with pytest.raises(fastad.TraceError, match="lose its derivative"):
        fastad.record(f).grad(x) if recorded else fastad.grad(f)(x)
