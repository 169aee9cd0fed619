"""Programs drawn: the circuit in DOT, and the pictures Graphviz makes of it."""

import re
import shutil
import struct
import sys
import xml.etree.ElementTree as ElementTree

import pytest
from listings import HOSTILE, LISTINGS, arrays, chain, hostile, textbook

from fastad.programs.draw import ADJOINT, FAINT, FORMATS, GUARD, INPUT, PLAIN, RESULT, VALUE, draw
from fastad.programs.steps import Listing, Step, line_text, printable

needs_dot = pytest.mark.skipif(shutil.which("dot") is None, reason="needs Graphviz's program dot")
SVG = "{http://www.w3.org/2000/svg}"


def lines_between(source):
    """The lines of the circuit as pairs (from, to), ports left out."""
    return re.findall(r"^    (\w+)(?::\w+)* -> (\w+)", source, re.MULTILINE)


def node(source, name):
    """The line of DOT that declares a node."""
    return next(line for line in source.splitlines() if line.startswith(f"    {name} ["))


def brightness(colour):
    """Relative luminance (WCAG 2) of a colour."""
    parts = [int(colour[k:k + 2], 16) / 255 for k in (1, 3, 5)]
    parts = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def test_the_circuit_of_the_textbook_example():
    source = draw(textbook()).source
    assert lines_between(source) == [("s0", "s2"), ("s0", "s3"), ("s1", "s3"), ("s1", "s4"), ("s2", "s5"), ("s3", "s5"),
                                     ("s5", "s6"), ("s4", "s6")]
    assert "rankdir=LR" in source
    for name, texts in (("s0", ("v0 = x1", "value 2", "adjoint 5.5")), ("s1", ("v1 = x2", "value 5", "adjoint 1.716")),
                        ("s4", ("v4 = sin(v1)", "value -0.9589", "adjoint -1")),
                        ("s6", ("v6 = v5 - v4", "result", "value 11.65", "adjoint 1", "peripheries=2"))):
        assert all(text in node(source, name) for text in texts)
    assert 'tooltip="m.py:3  log(x1)"' in node(source, "s2")


def test_inputs_results_guards_and_constants_look_different():
    source = draw(arrays()).source
    assert "rounded" in node(source, "s0") and INPUT in node(source, "s0")
    assert "peripheries=2" in node(source, "s8") and RESULT in node(source, "s8")
    assert "shape=diamond" in node(source, "s4") and GUARD in node(source, "s4")
    assert "shape=plaintext" in node(source, "s7") and "value" not in node(source, "s7")
    assert "shape=plaintext" in node(source, "c5_1") and "<-1.5>" in node(source, "c5_1")
    assert "array (4,) float64" in node(source, "c1_1")


@pytest.mark.parametrize("operation, operands, ordered", [
    ("subtract", (0, 1), True), ("divide", (0, 0), True), ("power", (0, 2.0), True), ("add", (0, 1), False),
    ("multiply", (0, 2.0), False), ("sin", (0,), False), ("sum", (0, "axis=0"), False), ("matmul", (0, 1), True),
], ids=str)
def test_the_order_of_operands_shows_where_it_matters(operation, operands, ordered):
    steps = (Step(0, "input"), Step(1, "input"), Step(2, operation, operands))
    source = draw(Listing("f", steps, (0, 1), (2,))).source
    ends = re.findall(r"-> s2(?::(p\d))?:w", source)
    assert ends == (["p0", "p1"] if ordered else [""] * sum(not isinstance(x, str) for x in operands))
    assert ('PORT="p1"' in source) == ordered


def test_an_input_that_is_the_result():
    source = draw(Listing("f", (Step(0, "input", (), 1.0, 1.0, "x"),), (0,), (0,))).source
    assert "peripheries=2" in node(source, "s0") and INPUT in node(source, "s0") and "result" in node(source, "s0")


def test_without_values_there_are_only_formulas():
    steps = tuple(Step(step.number, step.operation, step.operands, name=step.name) for step in textbook().steps)
    source = draw(Listing("f", steps, (0, 1), (6,))).source
    assert "v5 = v2 + v3" in source and "value" not in source and "adjoint" not in source


def test_long_programs_are_cut_in_the_middle():
    source = draw(chain(500), limit=20).source
    assert "... 480 steps left out ..." in source
    assert len(re.findall(r"^    s\d+ \[", source, re.MULTILINE)) == 20
    assert ("s9", "gap") in lines_between(source) and ("gap", "s490") in lines_between(source)
    assert "gap" not in draw(chain(20), limit=20).source


def test_a_step_that_is_not_there_is_no_line():
    assert lines_between(draw(Listing("f", (Step(5, "sin", (3,)),), (), (5,))).source) == []


@pytest.mark.parametrize("text", [VALUE, ADJOINT, FAINT])
@pytest.mark.parametrize("ground", [INPUT, RESULT, GUARD, PLAIN])
def test_text_can_be_read(text, ground):
    assert (brightness(ground) + 0.05) / (brightness(text) + 0.05) >= 4.5


def test_hostile_names_stay_text():
    source = draw(hostile()).source
    assert "<script" not in re.sub(r'tooltip="[^"]*"', "", source)
    # What is left without strings and labels is DOT's own.
    bare = re.sub(r'"[^"]*"', "", re.sub(r"label=<.*?>(?= tooltip|$)", "", source, flags=re.MULTILINE))
    assert "alert" not in bare and bare.count("{") == bare.count("}") == 1


@pytest.mark.parametrize("listing", LISTINGS.values(), ids=LISTINGS)
def test_dot_is_saved_without_graphviz(listing, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "graphviz", None)
    monkeypatch.setenv("PATH", "")
    drawing = draw(listing, "dot")
    drawing.save(tmp_path / "f.DOT")
    assert (tmp_path / "f.DOT").read_bytes().decode() == drawing.source == str(drawing)
    assert drawing._repr_svg_() is None and drawing._repr_png_() is None


def test_what_is_missing_is_named(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "graphviz", None)
        with pytest.raises(ImportError, match="needs the package graphviz: pip install graphviz"):
            draw(textbook())._repr_svg_()
    pytest.importorskip("graphviz")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(RuntimeError, match="needs Graphviz's program dot: apt install graphviz"):
        draw(textbook()).render()


@pytest.mark.parametrize("call", [
    lambda: draw(textbook(), "gif"), lambda: draw(textbook()).save("f.jpg"), lambda: draw(textbook()).save("f"),
    lambda: draw(textbook()).render("pdf"), lambda: draw(textbook(), limit=0),
], ids=["draw", "save", "no suffix", "render", "limit"])
def test_bad_arguments(call):
    with pytest.raises(ValueError, match="svg, png, dot, not as|at least 2"):
        call()


def test_a_drawing_names_itself():
    assert repr(draw(textbook())) == "Drawing(title='f: 7 steps, 2 inputs, 1 result', format='svg')"
    assert FORMATS == ("svg", "png", "dot")


@needs_dot
@pytest.mark.parametrize("listing", LISTINGS.values(), ids=LISTINGS)
def test_pictures(listing, tmp_path):
    pytest.importorskip("graphviz")
    drawing = draw(listing, limit=40)
    root = ElementTree.fromstring(drawing._repr_svg_())
    nodes = root.findall(f".//{SVG}g[@class='node']")
    edges = root.findall(f".//{SVG}g[@class='edge']")
    assert len(edges) == len(lines_between(drawing.source))
    assert len(nodes) == len(re.findall(r"^    (?:[sc]\d\w*|gap) \[", drawing.source, re.MULTILINE))
    assert not root.findall(f".//{SVG}script")
    drawing.save(str(tmp_path / "f.png"))
    picture = (tmp_path / "f.png").read_bytes()
    assert picture[:8] == b"\x89PNG\r\n\x1a\n" and min(struct.unpack(">II", picture[16:24])) > 20
    assert draw(listing, "png")._repr_png_()[:8] == picture[:8]
    drawing.save(tmp_path / "f.svg")
    assert (tmp_path / "f.svg").read_text() == drawing._repr_svg_()


@needs_dot
def test_hostile_text_in_a_picture_is_text():
    pytest.importorskip("graphviz")
    root = ElementTree.fromstring(draw(hostile()).render())
    texts = "".join(root.itertext()).replace("\xa0", " ")
    assert printable(HOSTILE) + ": 3 steps" in texts
    assert f"v0 = {printable(HOSTILE)[:36]}..." in texts
    tooltips = {value for anchor in root.iter(f"{SVG}a") for name, value in anchor.items() if name.endswith("title")}
    assert [" ".join(tooltip.replace("\xa0", " ").split()) for tooltip in tooltips] == [
        " ".join(line_text(hostile().steps[0]).split())]


@needs_dot
def test_nothing_overlaps():
    """Boxes are apart, and the text of a box, at the width Graphviz gives it, lies inside."""
    pytest.importorskip("graphviz")
    root = ElementTree.fromstring(draw(arrays()).render())
    boxes = []
    for group in root.findall(f".//{SVG}g[@class='node']"):
        shapes = [*group.iter(f"{SVG}polygon"), *group.iter(f"{SVG}path")]
        numbers = [float(x) for shape in shapes for x in re.findall(r"-?\d+\.?\d*", shape.get("points") or shape.get("d"))]
        if numbers:
            boxes.append((min(numbers[::2]), max(numbers[::2]), min(numbers[1::2]), max(numbers[1::2])))
        for text in group.iter(f"{SVG}text") if numbers else ():
            assert boxes[-1][0] < float(text.get("x")) < boxes[-1][1]
            assert boxes[-1][2] < float(text.get("y")) < boxes[-1][3]
    for k, (left, right, low, high) in enumerate(boxes):
        for other in boxes[:k]:
            assert right <= other[0] or other[1] <= left or high <= other[2] or other[3] <= low
