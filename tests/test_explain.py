"""Programs explained: against a textbook, against the op table, and for what is awkward to show."""

import ast
import functools
import html.parser
import math
import re

import numpy as np
import pytest
from listings import LISTINGS, arrays, chain, hostile, textbook
from sampling import points

import fastad
from fastad.elementals import apply, opcode_name
from fastad.programs.explain import explain, partial_expression, partial_value
from fastad.programs.steps import Listing, Step, equation, formula, listing_of_tape, number_text, printable, value_text
from fastad.table import ELEMENTARY, OPERANDS, SPECIAL

TEXTBOOK = """\
f: 7 steps, 2 inputs, 1 result

step          value      adjoint          line
------------  ---------  -------  ------  ----------------------
v0 = x1       2          5.5              m.py:2  def f(x1, x2):
v1 = x2       5          1.71634          m.py:2  def f(x1, x2):
v2 = log(v0)  0.693147   1                m.py:3  log(x1)
v3 = v0 * v1  10         1                m.py:3  x1*x2
v4 = sin(v1)  -0.958924  -1               m.py:4  sin(x2)
v5 = v2 + v3  10.6931    1
v6 = v5 - v4  11.6521    1        result

reverse sweep, from the last step to the first
step          contribution                                                          adjoint so far
------------  --------------------------------------------------------------------  --------------
result        adjoint of v6 = 1                                                     1
v6 = v5 - v4  adjoint of v5 += adjoint of v6 = 1                                    1
              adjoint of v4 += -adjoint of v6 = -1                                  -1
v5 = v2 + v3  adjoint of v2 += adjoint of v5 = 1                                    1
              adjoint of v3 += adjoint of v5 = 1                                    1
v4 = sin(v1)  adjoint of v1 += adjoint of v4 * cos(v1) = -1 * 0.283662 = -0.283662  -0.283662
v3 = v0 * v1  adjoint of v0 += adjoint of v3 * v1 = 1 * 5 = 5                       5
              adjoint of v1 += adjoint of v3 * v0 = 1 * 2 = 2                       1.71634
v2 = log(v0)  adjoint of v0 += adjoint of v2 * (1 / v0) = 1 * 0.5 = 0.5             5.5"""


def f(x1, x2):
    return fastad.math.log(x1) + x1 * x2 - fastad.math.sin(x2)


class Tags(html.parser.HTMLParser):
    """The tags, the attributes and the text of an HTML page; closed tags must match."""

    def __init__(self, page):
        super().__init__()
        self.open, self.seen, self.attributes, self.text = [], set(), set(), []
        self.feed(page)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.open.append(tag)
        self.seen.add(tag)
        self.attributes.update(name for name, _ in attributes)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_the_textbook_example_by_hand():
    assert str(explain(textbook())) == TEXTBOOK


def test_the_numbers_of_the_textbook():
    # Baydin et al. print three decimals.
    rows = explain(textbook()).rows
    assert [round(row.value, 3) for row in rows] == [2, 5, 0.693, 10, -0.959, 10.693, 11.652]
    assert [round(row.adjoint, 3) for row in rows] == [5.5, 1.716, 1, 1, -1, 1, 1]
    assert [row.result for row in rows] == [""] * 6 + ["result"]


def test_the_sweep_adds_up_to_the_adjoints():
    explanation = explain(textbook())
    last = {entry.target: entry.total for entry in explanation.sweep}
    for row in explanation.rows:
        assert last[row.number] == pytest.approx(row.adjoint, rel=1e-15)


def test_the_tape_of_the_textbook_example():
    tape = fastad.trace(f, 2.0, 5.0)
    listing = listing_of_tape(tape, ["x1", "x2"], [5.5, 2 - math.cos(5), 1, 1, 1, -1, 1], places={2: ("/x/m.py:3", "log(x1)")})
    explanation = explain(listing)
    assert [row.equation for row in explanation.rows] == [
        "v0 = x1", "v1 = x2", "v2 = log(v0)", "v3 = v0 * v1", "v4 = v2 + v3", "v5 = sin(v1)", "v6 = v4 - v5"]
    assert [row.value for row in explanation.rows] == tape.value.tolist()
    assert explanation.rows[2].line == "m.py:3  log(x1)"
    totals = {entry.target: entry.total for entry in explanation.sweep}
    assert (totals[0], totals[1]) == pytest.approx(fastad.grad(f, argnums=(0, 1))(2.0, 5.0), rel=1e-15)


def test_a_tape_with_constants_special_rows_and_decisions():
    def g(x, n):
        y = apply("eval_jacobi", 2.0, 0.5, 1.5, 3.0 * x) + apply("gammaln", x)
        return apply("floor", y), apply("greater", y, 1.0), 2.5 - y ** -2.0, x, 7.0

    # A constant on the left, four operands and two, whole numbers and truth values, an input and a plain number as results.
    listing = listing_of_tape(fastad.trace(g, 1.5, 2.0))
    found = {step.operation: equation(step, 6) for step in listing.steps}
    assert found["eval_jacobi"] == f"v{listing.steps[3].number} = eval_jacobi(2, 0.5, 1.5, v{listing.steps[2].number})"
    assert found["subtract"].endswith(f" = 2.5 - v{listing.steps[-2].number}")
    assert found["power"].endswith(" ** (-2)")
    values = {step.operation: step.value for step in listing.steps}
    assert type(values["floor"]) is int and type(values["greater"]) is bool
    assert "result[3]" in str(explain(listing)).split("\n")[4]
    assert "adjoint" not in str(explain(listing)) and explain(listing).sweep == ()


def test_a_constant_result_is_a_step():
    listing = listing_of_tape(fastad.trace(lambda x: apply("stop_gradient", x) * 0.0 + 1.0, 2.0), ["x"])
    assert [step.operation for step in listing.steps] == ["input", "stop_gradient", "multiply", "add"]
    assert listing.dependent == {0}


def test_tapes_that_are_no_tapes_of_scalars():
    with pytest.raises(TypeError, match="one of arrays"):
        listing_of_tape(fastad.trace(np.sum, np.ones(3)))
    with pytest.raises(ValueError, match="as many adjoints"):
        listing_of_tape(fastad.trace(f, 2.0, 5.0), adjoints=[1.0])


@pytest.mark.parametrize("opcode, name", [(0, "constant"), (1, "input"), (4, "array"), (5, "gather"), (6, "put")])
def test_names_of_the_tapes_own_opcodes(opcode, name):
    assert opcode_name(opcode) == name


PARTIALS = [(op, k) for op in ELEMENTARY + SPECIAL for k in range(op.arity) if op.partials.get("d" + OPERANDS[k]) is not None]


# What the texts of partials may call.
ROWS = {op.name: functools.partial(apply, op.name) for op in ELEMENTARY + SPECIAL}


@pytest.mark.parametrize("op, k", PARTIALS, ids=[f"{op.name}-{k}" for op, k in PARTIALS])
def test_partials_as_text_and_as_number(op, k):
    for point in points(op, 4):
        inputs = tuple(Step(j, "input", (), x) for j, x in enumerate(point))
        step = Step(9, op.name, tuple(range(op.arity)), float(apply(op.name, *point)), 1.0)
        listing = Listing("f", (*inputs, step), tuple(range(op.arity)), (9,))
        expected = fastad.grad(lambda x: apply(op.name, *point[:k], x, *point[k + 1:]))(point[k])  # noqa: B023
        assert partial_value(listing, step, k) == pytest.approx(expected, rel=1e-14, abs=1e-300, nan_ok=True)
        entry, = (entry for entry in explain(listing).sweep if entry.target == k)
        assert entry.amount == pytest.approx(expected, rel=1e-14, abs=1e-300, nan_ok=True)
        text = ast.unparse(partial_expression(step, k, 17))
        names = ROWS | {"pi": math.pi, "v9": step.value} | {f"v{j}": x for j, x in enumerate(point)}
        try:
            number = eval(text, {"__builtins__": {}}, names)
        except ZeroDivisionError:
            number = math.nan
        # The text leaves out that zero wins over NaN in the products of the rules.
        assert number == pytest.approx(expected, rel=1e-12, abs=1e-300) or not np.isfinite([number, expected]).all(), text


@pytest.mark.parametrize("operation, operands, k, expected", [
    ("power", (0, 2.0), 0, "2 * v0"), ("power", (0, 3.0), 0, "3 * v0 ** 2"), ("power", (0, -1.5), 0, "-1.5 * v0 ** (-2.5)"),
    ("power", (2.0, 0), 1, "v9 * log(2)"), ("multiply", (0, 0), 1, "v0"), ("multiply", (0, -3.0), 0, "-3"),
    ("divide", (1.0, 0), 1, "-v9 / v0"), ("exp2", (0,), 0, "log(2) * v9"), ("maximum", (0, 1), 0, "(v0 > v1) + 0.5 * (v0 == v1)"),
    ("hypot", (0, 1), 1, "v1 / v9"), ("tanh", (0,), 0, "1 - v9 * v9"), ("radians", (0,), 0, "pi / 180"),
    ("add", (0, math.nan), 0, "1"), ("multiply", (0, math.inf), 0, "inf"), ("sum", (0,), 0, None), ("jv", (0, 1), 0, None),
], ids=str)
def test_partials_as_one_writes_them(operation, operands, k, expected):
    expression = partial_expression(Step(9, operation, operands, 1.0), k, 6)
    assert (None if expression is None else ast.unparse(expression)) == expected


@pytest.mark.parametrize("step, expected", [
    (Step(3, "add", (1, 2)), "v1 + v2"), (Step(3, "subtract", (1, -2.0)), "v1 - (-2)"),
    (Step(3, "power", (-2.0, 1)), "(-2) ** v1"), (Step(3, "negative", (1,)), "-v1"), (Step(3, "negative", (-1.0,)), "-(-1)"),
    (Step(3, "sum", (1, "axis=0")), "sum(v1, axis=0)"),
    (Step(3, "add", ("x[1:]", 1)), "x[1:] + v1"), (Step(3, "matmul", (1, np.ones((2, 3)))), "v1 @ array (2, 3) float64"),
    (Step(3, "less", (1, 0.5)), "v1 < 0.5"), (Step(3, "constant", (), 2.5), "2.5"), (Step(3, "constant", (2.5,)), "2.5"),
    (Step(3, "input"), "input"), (Step(3, "input", (), 1.0, name="w[0]"), "w[0]"),
    (Step(3, "guard", (1, "is True")), "guard v1 is True"),
    (Step(3, "draw", ()), "draw()"), (Step(3, "logical_not", (1,)), "not v1"), (Step(3, "add", (1, True)), "v1 + True"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_formulas(step, expected):
    assert formula(step, 6) == expected


@pytest.mark.parametrize("x, expected", [
    (None, ""), (2.0, "2"), (-0.0, "-0"), (1 / 3, "0.3333"), (1e300, "1e+300"), (math.nan, "nan"), (-math.inf, "-inf"),
    (True, "True"),
    (np.bool_(False), "False"), (123456789, "123456789"), (10**40, "1e+40"), (10**5000, "integer of 16610 bits"),
    (np.float32(0.1), "0.1"), (1 + 2j, "1+2j"), (np.array(2.5), "2.5"), (np.array([1.0, np.nan]), "[1 nan] (2,) float64"),
    (np.ones((1, 2), np.float32), "[[1 1]] (1, 2) float32"), (np.zeros((0, 3)), "[] (0, 3) float64"),
    (np.arange(1e6), "[0 1 2 ...] (1000000,) float64"), (np.ones((1,) * 20), f"{'[' * 20}1{']' * 20} {(1,) * 20} float64"),
    (np.arange(2**10).reshape((2,) * 10), f"[0 1 2 ...] {(2,) * 10} int64"), (np.array(["<b>"]), "[<b>] (1,) <U3"),
    (np.array([[1.0, 2.0], [3.0, 4.0]]), "[[1 2] [3 4]] (2, 2) float64"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_values(x, expected):
    assert value_text(x, 4) == expected
    assert "\n" not in expected


def test_text_that_can_be_seen():
    assert printable("a\x1b[31m\n b\u202ec\ud800") == r"a\x1b[31m b\u202ec\ud800"
    assert printable("x" * 10**6, 10) == "xxxxxxx..."
    assert number_text("a\x00b", 4) == r"a\x00b"


def test_arrays_and_guards():
    text = str(explain(arrays()))
    lines = text.split("\n")
    assert re.split("  +", lines[4].rstrip()) == ["v0 = params['w']", "[0 1 2 ...] (3, 4) float64",
                                                  "[0 0.142857 0.285714 ...] (3, 4) float64"]
    assert any(line.startswith("guard v3 is True") and line.endswith("m.py:5  if s > 0:") for line in lines)
    assert "adjoint of v2 += adjoint of v5 * (-1.5 * v2 ** (-2.5)) = 1 * (-4.23869e-05) = -4.23869e-05" in text
    # Elementwise operations of arrays have their rule, the others a name, and neither has a number.
    assert "adjoint of v1 += adjoint of v9 * v9\n" in text
    assert "adjoint of v1 += by the rule of sum from adjoint of v2" in text
    # Nothing comes from a zero adjoint, a comparison, a guard or a constant.
    assert not any("adjoint of v6" in line or "v3 +=" in line or "v7 +=" in line for line in lines)
    assert [row.result for row in explain(arrays()).rows][-2:] == ["result[0]", "result[1]"]
    assert lines[-7].startswith("result[0]  ") and lines[-7].split("  ")[-1].strip() == "1"


def test_a_partial_without_a_rule_is_no_zero():
    steps = (Step(0, "input", (), 1.5, 0.0), Step(1, "jv", (0, 0), 0.5, 1.0))
    lines = str(explain(Listing("f", steps, (0,), (1,)))).split("\n")
    assert lines[-2].endswith("adjoint of v0 += (no rule is known for jv by its argument 1)")
    assert "adjoint of v0 += adjoint of v1 * " in lines[-1]


@pytest.mark.parametrize("seeds, expected", [((), 1.0), ((2.0,), 2.0)], ids=["one", "two"])
def test_seeds(seeds, expected):
    listing = textbook()
    assert explain(Listing("f", listing.steps, listing.inputs, listing.results, seeds)).sweep[0].total == expected


def test_nan_and_infinity():
    steps = (Step(0, "input", (), 0.0, math.nan, "x"), Step(1, "sqrt", (0,), 0.0, math.inf),
             Step(2, "multiply", (1, 0.0), 0.0, math.nan), Step(3, "subtract", (2, math.inf), -math.inf, 1.0))
    text = str(explain(Listing("f", steps, (0,), (3,))))
    assert "v3 = v2 - inf" in text and "nan" in text and "-inf" in text
    assert "adjoint of v1 += adjoint of v2 * 0 = nan * 0 = 0" in text
    assert text.endswith("In these products zero wins over infinity and NaN.")
    assert "zero wins" not in str(explain(textbook()))


@pytest.mark.parametrize("limit, steps", [(10, 500), (11, 500), (2, 3), (200, 201)])
def test_long_programs_are_cut_in_the_middle(limit, steps):
    explanation = explain(chain(steps), limit=limit)
    shown = re.findall(r"^(v\d+) = \w+", str(explanation).partition("reverse sweep")[0], re.MULTILINE)
    assert len(shown) == limit and shown[0] == "v0" and shown[-1] == f"v{steps - 1}"
    assert f"... {steps - limit} step{'s' if steps - limit > 1 else ''} left out ..." in str(explanation)
    assert f"... {steps - limit} contribution" in explanation._repr_html_()
    assert len(explanation.rows) == len(explanation.sweep) == steps


def test_a_program_at_the_limit_is_whole():
    assert "left out" not in str(explain(chain(200)))
    with pytest.raises(ValueError, match="at least 2"):
        explain(chain(3), limit=1)


def test_a_program_without_steps():
    explanation = explain(Listing("nothing", ()))
    assert str(explanation) == repr(explanation) == "nothing: 0 steps, 0 inputs, 0 results"
    assert explanation.rows == explanation.sweep == ()
    assert Tags(explanation._repr_html_()).seen == {"div", "p"}


def test_without_adjoints_there_is_no_sweep():
    explanation = explain(textbook(adjoints=False))
    assert "adjoint" not in str(explanation) and "adjoint" not in explanation._repr_html_()
    assert explanation.sweep == ()


@pytest.mark.parametrize("listing", LISTINGS.values(), ids=LISTINGS)
def test_html_is_a_table_and_nothing_else(listing):
    page = Tags(explain(listing)._repr_html_())
    assert page.seen <= {"div", "p", "table", "caption", "thead", "tbody", "tr", "th", "td"}
    assert page.attributes <= {"style", "scope", "colspan"}
    assert listing.name[:8] in "".join(page.text)


def test_html_and_text_say_the_same():
    page = "".join(Tags(explain(textbook())._repr_html_()).text)
    assert "".join(page.split()) == re.sub(r"\s|-{4,}", "", str(explain(textbook())))


def test_hostile_names():
    text = str(explain(hostile()))
    assert all(c.isprintable() or c == "\n" for c in text)
    assert '<script>alert("x")</script>&amp;' in "".join(Tags(explain(hostile())._repr_html_()).text)
    assert "<script" not in explain(hostile())._repr_html_()
