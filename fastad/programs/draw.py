"""A program as a picture: the circuit of its steps from left to right, with values and adjoints, through Graphviz."""

import html
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .steps import (
    Listing,
    Operand,
    Step,
    counted,
    ends,
    equation,
    line_text,
    numbers_of,
    operand_text,
    printable,
    value_text,
)

FORMATS = ("svg", "png", "dot")
DIGITS = 4
PNG_DPI = 144
LONGEST_LABEL = 44

# Operations whose operands may change places; those of the others are numbered in the picture.
COMMUTATIVE = frozenset({
    "add", "multiply", "mulz", "maximum", "minimum", "fmax", "fmin", "hypot", "logaddexp", "logaddexp2", "equal", "not_equal",
    "logical_and", "logical_or", "logical_xor"})

# Distinct for all kinds of colour vision, and never the only sign: shapes and words say the same.
INPUT, RESULT, GUARD, PLAIN = "#d6ebf7", "#fdebc8", "#f6dbe8", "#ffffff"
VALUE, ADJOINT, FAINT = "#005b8f", "#a13d00", "#555555"
SMALL = f'shape=plaintext fontsize=9 fontcolor="{FAINT}" margin="0.03,0.01" height=0.1 width=0.1'


def _cell(text: str, colour: str = "", size: int = 0, bold: bool = False) -> str:
    """One row of a label."""
    text = _markup(text)
    font = (f' COLOR="{colour}"' if colour else "") + (f' POINT-SIZE="{size}"' if size else "")
    text = f"<B>{text}</B>" if bold else text
    return f"<TR><TD>{f'<FONT{font}>{text}</FONT>' if font else text}</TD></TR>"


def _label(cells: list[str]) -> str:
    return f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="1">{"".join(cells)}</TABLE>'


def _markup(text: str) -> str:
    r"""Text for a label that is markup, in which Graphviz still reads \N and the like."""
    return html.escape(text).replace("\\", r"\\")


def _tooltip(text: str) -> str:
    """Text as a DOT string for a tooltip, in which Graphviz reads entities, and backslashes twice."""
    return '"' + html.escape(text).replace("\\", 4 * "\\") + '"'


def _ports(step: Step) -> str:
    """A column with a cell for each operand that has a line, numbered from 1, at which the line ends."""
    cells = "".join(f'<TR><TD PORT="p{k}"><FONT COLOR="{FAINT}" POINT-SIZE="8">{k + 1}</FONT></TD></TR>'
                    for k, operand in enumerate(step.operands) if not isinstance(operand, str))
    return f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="2">{cells}</TABLE>'


def _is_ordered(step: Step) -> bool:
    drawn = [operand for operand in step.operands if not isinstance(operand, str)]
    return step.operation != "guard" and len(drawn) > 1 and step.operation not in COMMUTATIVE


class _Circuit:
    """The lines of DOT for a listing."""

    def __init__(self, listing: Listing, limit: int) -> None:
        self.listing = listing
        self.head, self.tail = ends(listing.steps, limit)
        self.shown = {step.number for step in (*self.head, *self.tail)}
        self.left_out = listing.steps[len(self.head):len(listing.steps) - len(self.tail)]

    def lines(self) -> Iterator[str]:
        """Attributes, then the steps in their order, each followed by the lines that end at it."""
        yield "rankdir=LR bgcolor=white nodesep=0.22 ranksep=0.45 fontname=\"Helvetica,Arial,sans-serif\" fontsize=11 labelloc=t"
        yield f"label=<{_markup(self.listing.summary())}>"
        yield 'node [fontname="Helvetica,Arial,sans-serif" fontsize=11 color="#333333" fontcolor=black margin="0.09,0.05"]'
        yield 'edge [color="#555555" arrowsize=0.6]'
        for step in self.head:
            yield from self.step(step)
        if self.left_out:
            text = f"... {counted(len(self.left_out), 'step')} left out ..."
            yield f'gap [shape=box style="dashed,rounded" label=<{_markup(text)}> tooltip={_tooltip(text)}]'
            used = {number for step in self.left_out for operand in step.operands for number in numbers_of(operand)}
            yield from (f"s{step.number}:e -> gap:w" for step in self.head if step.number in used)
        for step in self.tail:
            yield from self.step(step)

    def step(self, step: Step) -> Iterator[str]:
        """The node of a step and the lines to it from its operands."""
        node = f"s{step.number}"
        yield f"{node} [{self.attributes(step)}]"
        ordered = _is_ordered(step)
        for k, operand in enumerate(step.operands):
            target = f"{node}:p{k}:w" if ordered else f"{node}:w"
            numbers = numbers_of(operand)
            for number in numbers:
                source = f"s{number}" if number in self.shown else "gap" if number in self.listing.by_number else ""
                if source:
                    yield f"{source}:e -> {target}"
            if not numbers and not isinstance(operand, str) and step.operation != "constant":
                yield self.constant(f"c{step.number}_{k}", operand)
                yield f"c{step.number}_{k}:e -> {target} [arrowsize=0.4]"

    def constant(self, node: str, operand: Operand) -> str:
        """A number, small and without a frame."""
        text = printable(operand_text(operand, DIGITS), LONGEST_LABEL)
        return f"{node} [{SMALL} label=<{_markup(text)}>]"

    def attributes(self, step: Step) -> str:
        """Shape, colour and label of a step's node."""
        result = self.listing.result_names.get(step.number, "")
        if step.operation == "guard":
            shape, fill = 'shape=diamond style=filled margin="0,0"', GUARD
        elif step.number in self.listing.inputs or step.operation == "input":
            shape, fill = "shape=box style=\"filled,rounded\"", INPUT
        elif step.operation == "constant":
            shape, fill = SMALL, PLAIN
        else:
            shape, fill = "shape=box style=filled", PLAIN
        if result:
            shape, fill = shape + " peripheries=2", RESULT if fill == PLAIN else fill
        cells = [_cell(printable(equation(step, DIGITS), LONGEST_LABEL), bold=step.operation == "input")]
        cells += [_cell(result, bold=True)] if result else []
        for word, number, colour in (("value", step.value, VALUE), ("adjoint", step.adjoint, ADJOINT)):
            if number is not None and not (word == "value" and step.operation == "constant"):
                cells.append(_cell(f"{word} {printable(value_text(number, DIGITS), LONGEST_LABEL)}", colour, 10))
        label = _label(cells)
        if _is_ordered(step):
            label = (f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0"><TR><TD>{_ports(step)}</TD>'
                     f'<TD CELLPADDING="4">{label}</TD></TR></TABLE>')
            # Without a margin the lines end at the frame.
            shape += ' margin="0,0"'
        tooltip = line_text(step) or equation(step, DIGITS)
        return f'{shape} fillcolor="{fill}" label=<{label}> tooltip={_tooltip(tooltip)}'


def _missing(what: str, how: str) -> str:
    return f"drawing a program needs {what}: {how}; Drawing.source and .save('name.dot') do without"


@dataclass(frozen=True, eq=False)
class Drawing:
    """The picture of a program. In a notebook it shows itself; `source` is its text in Graphviz's language."""

    source: str = field(repr=False)
    title: str
    format: str = "svg"

    def render(self, format: str | None = None) -> bytes:
        """The picture as the content of a file of a format: "svg", "png" or "dot".

        ImportError without the package graphviz, RuntimeError without Graphviz's program dot.
        """
        format = _known_format(self.format if format is None else format)
        if format == "dot":
            return self.source.encode()
        try:
            import graphviz
        except ImportError:
            raise ImportError(_missing("the package graphviz", "pip install graphviz (or fastad[draw])")) from None
        source = self.source.replace("{", f"{{\ngraph [dpi={PNG_DPI}]", 1) if format == "png" else self.source
        try:
            picture: bytes = graphviz.Source(source).pipe(format=format)
        except graphviz.ExecutableNotFound:
            raise RuntimeError(_missing("Graphviz's program dot", "apt install graphviz, brew install graphviz, "
                                        "conda install graphviz, or graphviz.org/download")) from None
        return picture

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the picture to a file, in the format its suffix names: .svg, .png or .dot."""
        path = Path(path)
        path.write_bytes(self.render(_known_format(path.suffix[1:].lower())))

    def _repr_svg_(self) -> str | None:
        return self.render("svg").decode() if self.format == "svg" else None

    def _repr_png_(self) -> bytes | None:
        return self.render("png") if self.format == "png" else None

    def __str__(self) -> str:
        return self.source


def _known_format(format: str) -> Any:
    if format not in FORMATS:
        raise ValueError(f"a drawing is saved as {', '.join(FORMATS)}, not as {format!r}")
    return format


def draw(listing: Listing, format: str = "svg", limit: int = 200) -> Drawing:
    """The circuit of a program from left to right, with values and adjoints where the listing has them.

    Inputs are rounded, results have a double frame, guards are diamonds. `limit` is how many steps are drawn; of more, those in
    the middle are left out.
    """
    if limit < 2:
        raise ValueError(f"limit must be at least 2, not {limit}")
    circuit = _Circuit(listing, limit)
    source = "digraph {\n" + "".join(f"    {line}\n" for line in circuit.lines()) + "}\n"
    return Drawing(source, listing.summary(), _known_format(format))
