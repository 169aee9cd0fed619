"""Recorded programs explained and drawn: against the textbook, against the eager transforms, and for what is awkward to show."""

import math as plain_math
import shutil
from collections import namedtuple
from dataclasses import dataclass

import numpy as np
import pytest
from listings import textbook
from test_explain import Tags

import fastad
from fastad import math
from fastad.programs.explain import explain
from fastad.programs.reading import view_text
from fastad.programs.steps import numbers_of

needs_dot = pytest.mark.skipif(shutil.which("dot") is None, reason="needs Graphviz's program dot")
X = np.array([0.5, 1.5, -0.3, 2.0])


def f(x1, x2):
    return math.log(x1) + x1 * x2 - math.sin(x2)


def rosenbrock(x):
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def decides(x, y):
    if x < y:
        x = x * y
    k = int(x)
    return x ** k / round(y)


def equations(explanation):
    return [row.equation for row in explanation.rows]


def adjoints(explanation):
    """The adjoints of the inputs by their names."""
    return {step.name: step.adjoint for step in explanation.listing.steps if step.operation == "input"}


# ---- the textbook --------------------------------------------------------------------------------------------------------------

def test_the_textbook_example():
    explanation = fastad.record(f).explain(2.0, 5.0)
    by_hand = {row.equation.partition(" = ")[2]: row for row in explain(textbook()).rows}
    names = {"v2 + v3": "v2 + v3", "v4 - v5": "v5 - v4"}
    assert equations(explanation) == ["v0 = x1", "v1 = x2", "v2 = log(v0)", "v3 = v0 * v1", "v4 = v2 + v3", "v5 = sin(v1)",
                                      "v6 = v4 - v5"]
    for row in explanation.rows:
        text = row.equation.partition(" = ")[2]
        expected = by_hand[names.get(text, text)]
        assert (row.value, row.adjoint) == pytest.approx((expected.value, expected.adjoint), rel=1e-15)
    lines = [row.line.partition("  ")[2] for row in explanation.rows]
    assert lines == ["def f(x1, x2):"] * 2 + ["math.log(x1)", "x1 * x2", "math.log(x1) + x1 * x2", "math.sin(x2)",
                                             "math.log(x1) + x1 * x2 - math.sin(x2)"]
    assert "adjoint of v1 += adjoint of v5 * cos(v1) = -1 * 0.283662 = -0.283662" in str(explanation)
    assert {entry.target: entry.total for entry in explanation.sweep}[0] == pytest.approx(5.5, rel=1e-15)


def test_other_arguments_of_a_known_path():
    program = fastad.record(f, 2.0, 5.0)
    explanation = program.explain(0.7, -1.0)
    assert explanation.rows[-1].value == f(0.7, -1.0) == program(0.7, -1.0)
    assert tuple(adjoints(explanation).values()) == pytest.approx(fastad.grad(f, (0, 1))(0.7, -1.0), rel=1e-15)
    assert program.stats["recordings"] == 1


# ---- arrays --------------------------------------------------------------------------------------------------------------------

def test_rosenbrock():
    explanation = fastad.record(rosenbrock).explain(X)
    assert equations(explanation) == ["v0 = x", "v1 = square(v0[:3])", "v2 = v0[1:] - v1", "v3 = square(v2)", "v4 = 100 * v3",
                                      "v5 = 1 - v0[:3]", "v6 = square(v5)", "v7 = v4 + v6", "v8 = sum(v7)"]
    assert "adjoint of v0[:3] += adjoint of v1 * (2 * v0[:3])" in str(explanation)
    assert explanation.rows[-1].value == pytest.approx(rosenbrock(X), rel=1e-14)
    np.testing.assert_array_equal(explanation.rows[2].value, X[1:] - X[:-1] ** 2)


def loop(x):
    y = np.zeros_like(x[1:])
    for k in range(3):
        y[k] = math.sin(x[k]) * x[k + 1]
    y[1:] *= x[0]
    return np.sum(y ** 2)


def chooses(x):
    a, b = np.split(np.sort(x), 2)
    y = np.where(a > 0, a, b) + x[np.argmax(x)]
    return np.sum(y[y > 0.1]) * np.linalg.norm(x)


def matrices(x):
    m = x.reshape(2, 2)
    lower, upper = np.linalg.eigh(m @ m.T)
    return np.sum(lower * np.arange(2.0)) + m.T[0, 1] * np.sum(upper[:, 0] ** 2)


def single(x):
    return np.sum(np.exp(x.astype(np.float32)))


def captured(x, data=np.array([1.0, 2.0, 3.0, 4.0])):  # noqa: B008
    return np.sum(data * x) / data[1]


def swaps(x):
    y = x.copy()
    y[[0, 2]] = y[[2, 0]] * 2.0
    y[::-2] += y[0]
    return np.sum(y ** 3)


ARRAYS = [rosenbrock, loop, chooses, matrices, single, captured, swaps]


@pytest.mark.parametrize("function", ARRAYS, ids=[f.__name__ for f in ARRAYS])
def test_adjoints_of_arrays_are_those_of_the_eager_sweep(function):
    program = fastad.record(function, X + 0.1)
    explanation = program.explain(X)
    np.testing.assert_allclose(adjoints(explanation)["x"], fastad.grad(function)(X), rtol=1e-6 if function is single else 1e-13,
                               atol=1e-14)
    assert explanation.rows[-1].value == pytest.approx(function(X), rel=1e-6 if function is single else 1e-14)
    for step in explanation.listing.steps:
        assert all(number in explanation.listing.by_number for operand in step.operands for number in numbers_of(operand))
        if step.adjoint is not None:
            assert np.shape(step.adjoint) == np.shape(step.value)


def test_writes_are_versions_of_an_array():
    explanation = fastad.record(loop).explain(X)
    texts = equations(explanation)
    assert "v1 = copy(array (3,) float64)" in texts
    writes = [row for row in explanation.rows if " with " in row.equation]
    assert [row.equation.partition(" = ")[2] for row in writes[:2]] == ["v1 with [0] = v5", f"v{writes[0].number} with [1] = v10"]
    np.testing.assert_allclose(writes[0].value, [np.sin(0.5) * 1.5, 0, 0])
    np.testing.assert_allclose(writes[1].value, [np.sin(0.5) * 1.5, np.sin(1.5) * -0.3, 0])
    assert f"adjoint of v5 += (adjoint of v{writes[0].number})[0]" in str(explanation)


def test_what_has_no_derivative_passes_nothing_on():
    explanation = fastad.record(chooses).explain(X)
    steps = {step.operation: step for step in explanation.listing.steps}
    assert steps["argmax"].tracked and steps["argmax"].adjoint is None and steps["greater"].adjoint is None
    assert not any("adjoint of v" + str(steps["argmax"].number) + " " in entry.text(6) for entry in explanation.sweep)
    texts = [row.equation for row in explanation.rows]
    assert any(text.startswith("guard v") and text.endswith(".shape is (2,)") for text in texts)


def test_several_results_of_one_call():
    texts = equations(fastad.record(matrices).explain(X))
    assert any(text.endswith("[0]") and "eigh(" in text for text in texts)
    assert any(text.endswith("[1]") and "eigh(" in text for text in texts)


def test_values_of_writes_into_large_arrays_are_left_out(monkeypatch):
    monkeypatch.setattr("fastad.programs.listing.KEPT_BYTES", 50)
    explanation = fastad.record(loop).explain(X)
    assert [row.value is None for row in explanation.rows if " with " in row.equation] == [False, False, True, True, True]
    np.testing.assert_allclose(adjoints(explanation)["x"], fastad.grad(loop)(X), rtol=1e-13)


@dataclass
class Holder:
    array: np.ndarray


@pytest.mark.parametrize("index, expected", [
    (np.s_[1:], "[1:]"), (np.s_[:-1], "[:3]"), (np.s_[:, 0], "[:, 0]"), (np.s_[2], "[2]"), (np.s_[1:3, ::2], "[1:3, ::2]"),
    (np.s_[::-1], "[::-1]"), (np.s_[3:0:-2, 1:2], "[::-2, 1:2]"), (np.s_[..., 4], "[:, 4]"), (np.s_[1, 2:3], "[1, 2:3]"),
    (np.s_[2:3], "[2:3]"), (np.s_[:, 1:-1], "[:, 1:5]"),
], ids=str)
def test_views_as_indices(index, expected):
    whole = np.arange(24.0).reshape(4, 6)
    text = view_text((whole.shape, whole.dtype), operand_for(whole, whole[index]))
    assert text == expected
    np.testing.assert_array_equal(eval("whole" + text), whole[index])


@pytest.mark.parametrize("change, expected", [
    (lambda x: x.T, ".T"), (lambda x: x.reshape(3, 8), ".reshape(3, 8)"), (lambda x: x[1:].T, "[1:].T"),
    (lambda x: np.broadcast_to(x[0], (2, 6)), "[... of shape (2, 6)]"),
    (lambda x: np.diagonal(x), "[... of shape (4,)]"), (lambda x: x, ""),
], ids=["T", "reshape", "slice and T", "broadcast", "diagonal", "whole"])
def test_other_views(change, expected):
    whole = np.arange(24.0).reshape(4, 6)
    assert view_text((whole.shape, whole.dtype), operand_for(whole, change(whole))) == expected


def operand_for(whole, view):
    """What stands for a view in an instruction."""
    class Operand:
        layout = view.shape, view.dtype
        strides = None if view is whole else view.strides
        offset = view.__array_interface__["data"][0] - whole.__array_interface__["data"][0]
    return Operand


# ---- guards and branches -------------------------------------------------------------------------------------------------------

def test_guards_say_what_was_decided():
    program = fastad.record(decides)
    explanation = program.explain(1.2, 2.7)
    assert equations(explanation) == ["v0 = x", "v1 = y", "guard v0 < v1 is True", "v2 = v0 * v1", "guard int(v2) is 3",
                                      "v3 = v2 ** 3", "guard round(v1) is 3", "v4 = v3 / 3"]
    assert explanation.rows[2].line.endswith("x < y") and explanation.rows[4].line.endswith("int(x)")
    assert tuple(adjoints(explanation).values()) == pytest.approx(fastad.grad(decides, (0, 1))(1.2, 2.7), rel=1e-15)


def test_each_branch_is_shown_for_its_arguments():
    program = fastad.record(decides, 1.2, 2.7)
    other = program.explain(4.2, 2.7)
    assert "guard v0 < v1 is False" in equations(other) and "guard int(v0) is 4" in equations(other)
    assert other.rows[-1].value == decides(4.2, 2.7)
    assert "guard v0 < v1 is True" in equations(program.explain(1.2, 2.7))
    assert program.stats["paths"] == 2


@pytest.mark.parametrize("function, expected", [
    (lambda x: x if plain_math.floor(x) == 2 else -x, "guard floor(v0) is 2"),
    (lambda x: x if x else -x, "guard v0 == 0 is False"),
    (lambda x: x if x.is_integer() else -x, "guard v0.is_integer() is False"),
    (lambda x: x * plain_math.ceil(x), "guard ceil(v0) is 3"),
    (lambda x: math.frexp(x)[1] * x, "guard frexp(v0)[1] is 2"),
], ids=["floor", "bool", "whole", "ceil", "exponent"])
def test_other_guards(function, expected):
    explanation = fastad.record(function).explain(2.5)
    assert expected in equations(explanation)
    assert explanation.listing.by_number[explanation.listing.results[0]].value == function(2.5)


def test_guards_on_arrays():
    def g(x):
        return np.sum(x) if np.all(x > -1) else np.sum(x ** 2)

    texts = equations(fastad.record(g).explain(X))
    assert any(text.startswith("guard v") and text.endswith(" is True") for text in texts)


def test_draws_are_shown_and_the_generator_left_as_it_was():
    generator = np.random.default_rng(1)

    def g(x):
        noise = generator.normal(size=3)
        return np.sum(x * noise) if noise[0] > 0 else np.sum(x)

    program = fastad.record(g)
    program(np.ones(3))
    state = generator.bit_generator.state
    explanation = program.explain(np.ones(3))
    assert generator.bit_generator.state == state
    assert any("normal(" in text for text in equations(explanation))
    assert explanation.rows[-1].value == pytest.approx(g(np.ones(3)))


def test_a_function_that_runs_eagerly_is_explained_too():
    calls = []

    def g(x):
        calls.append(1)
        return x * 2.0 if len(calls) % 2 else x * 3.0

    program = fastad.record(g)
    for _ in range(5):
        program(1.0)
    assert program.explain(1.5).rows[-1].value in (3.0, 4.5)


# ---- names ---------------------------------------------------------------------------------------------------------------------

Pair = namedtuple("Pair", "a b")


@pytest.mark.parametrize("function, args, kwargs, expected", [
    (lambda params, n: params["w"][0] * params["b"] ** n, ({"w": [2.0, 1.0], "b": 3.0}, 2), {},
     ["params['b']", "params['w'][0]", "params['w'][1]"]),
    (lambda p: p.a * p.b, (Pair(2.0, 3.0),), {}, ["p.a", "p.b"]),
    (lambda *xs: xs[0] * xs[1], (2.0, 3.0), {}, ["xs[0]", "xs[1]"]),
    (lambda x, scale=1.0: x * scale, (2.0,), {"scale": 3.0}, ["x", "scale"]),
    (lambda h: np.sum(h.array), (Holder(X),), {}, ["h.array"]),
    (lambda x, flag, n: x * n[0], (2.0, True, (np.float32(1.5), 3)), {}, ["x", "n[0]"]),
], ids=["dict", "namedtuple", "several", "keyword", "dataclass", "not inputs"])
def test_inputs_have_the_users_names(function, args, kwargs, expected):
    listing = fastad.record(function).explain(*args, **kwargs).listing
    assert sorted(listing.by_number[number].name for number in listing.inputs) == sorted(expected)


def test_results_are_named():
    program = fastad.record(lambda x: {"loss": x * x, "parts": (x, 2.5, np.ones(2) * x)})
    listing = program.explain(2.0).listing
    assert sorted(listing.result_names.values()) == ["result['loss']", "result['parts'][0]", "result['parts'][2]"]
    assert all(step.adjoint is None for step in listing.steps) and not program.explain(2.0).sweep


def test_results_that_are_parts_and_constants():
    listing = fastad.record(lambda x: (x[1:], np.ones(2))).explain(X).listing
    assert [step.operation for step in listing.steps] == ["input", "view", "constant"]
    np.testing.assert_array_equal(listing.steps[1].value, X[1:])
    assert fastad.record(lambda x: 3.5).explain(1.0).listing.results == ()


def test_methods():
    class Model:
        rate = 2.0

        @fastad.record
        def loss(self, x):
            return self.rate * x * x

    assert adjoints(Model().loss.explain(3.0)) == {"x": 12.0}


def test_hostile_names_stay_text():
    program = fastad.record(lambda d: d["<script>&"] * 2.0)
    page = program.explain({"<script>&": 1.0})._repr_html_()
    assert "<script>" not in page and "&lt;script&gt;&amp;" in page
    Tags(page)
    assert "<script>" not in program.draw({"<script>&": 1.0}).source


def test_refused_inside_a_trace():
    program = fastad.record(f, 1.0, 2.0)
    with pytest.raises(RuntimeError, match="outside"):
        fastad.grad(lambda x: program.explain(x, 2.0))(1.0)
    with pytest.raises(RuntimeError, match="outside"):
        fastad.grad(lambda x: program.draw(x, 2.0))(1.0)


# ---- pictures, statistics ------------------------------------------------------------------------------------------------------

def test_drawn_with_and_without_values():
    program = fastad.record(decides, 1.2, 2.7)
    without, drawn = program.draw().source, program.draw(1.2, 2.7).source
    assert "guard int(v2) is 3" in without and "value" not in without and "adjoint" not in without
    assert "value 3.24" in drawn and "adjoint" in drawn
    assert "v0[1:] - v1" in fastad.record(rosenbrock, X).draw().source


def test_nothing_to_draw():
    with pytest.raises(TypeError, match="argument"):
        fastad.record(f).draw()
    assert "result" in fastad.record(lambda: np.ones(2) * 2.0).draw().source


@needs_dot
@pytest.mark.parametrize("format, start", [("svg", b"<?xml"), ("png", b"\x89PNG")])
def test_pictures(format, start):
    pytest.importorskip("graphviz")
    assert fastad.record(chooses).draw(X, format=format).render().startswith(start)


def test_statistics():
    program = fastad.record(decides, 1.2, 2.7)
    program(4.2, 2.7)
    stats = program.stats
    assert isinstance(stats, dict) and stats["paths"] == 2 and stats["guards"] == 6
    lines = str(stats).splitlines()
    assert lines[0] == "program decides" and any(line.split() == ["paths", "2"] for line in lines)
    page = program._repr_html_()
    assert page == stats._repr_html_()
    assert "".join(Tags(page).text).startswith("program decides")
    assert Tags(page).seen <= {"table", "caption", "tbody", "tr", "td"}
