"""A program worked by hand on paper: every step with its value and adjoint, and every contribution of the reverse sweep."""

import ast
import html
import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any, NamedTuple

import numpy as np

from ..elementals import apply
from ..table import CONSTANTS, OPERANDS
from .steps import (
    READS,
    WRITES,
    Listing,
    Operand,
    Step,
    Value,
    counted,
    ends,
    equation,
    has_partial,
    line_text,
    numbers_of,
    operand_text,
    printable,
    rule_row,
    value_text,
)

CONSTANT_TEXTS = {
    "PI": "pi", "LN2": "log(2)", "LN10": "log(10)", "DEGREE": "pi/180", "RADIAN": "180/pi", "TWO_OVER_SQRT_PI": "2/sqrt(pi)",
    "ONE_OVER_SQRT_2PI": "1/sqrt(2*pi)", "ONE_OVER_PI": "1/pi", "SQRT_PI": "sqrt(pi)", "SQRT_HALF": "sqrt(1/2)",
    "SQRT_2_OVER_PI": "sqrt(2/pi)",
}
# Rows that serve the rules of others are written as the operation they stand for.
PLAIN_OPERATORS: dict[str, type[ast.operator]] = {"mulz": ast.Mult, "divz": ast.Div, "div0": ast.Div, "gap": ast.Sub}
PLAIN_COMPARISONS: dict[str, type[ast.cmpop]] = {"greater": ast.Gt, "greater_equal": ast.GtE, "less": ast.Lt,
                                                 "less_equal": ast.LtE, "equal": ast.Eq, "not_equal": ast.NotEq}
ARITHMETIC: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul}
# Every element of the result is an element of the operand, or the sum of all.
MOVES = READS | {"copy", "sum"}
ROW_OF_OPERATOR: dict[type[ast.operator], str] = {ast.Add: "add", ast.Sub: "subtract", ast.Mult: "multiply", ast.Div: "divide",
                                                  ast.Pow: "power"}


def _literal(number: float) -> ast.expr:
    """A number as an expression; a negative one carries its sign outside, so that parentheses come out right."""
    if number < 0.0:
        return ast.UnaryOp(ast.USub(), _literal(-number))
    if not np.isfinite(number):
        return ast.Name(str(number))
    return ast.Constant(int(number) if number == int(number) and number < 1e9 else number)


def _number(expression: ast.expr) -> float | None:
    """The number an expression is, None if it is none."""
    if isinstance(expression, ast.Constant) and isinstance(expression.value, (int, float)):
        return expression.value
    if isinstance(expression, ast.UnaryOp) and isinstance(expression.op, ast.USub):
        number = _number(expression.operand)
        return None if number is None else -number
    return None


def _folded(left: ast.expr, op: ast.operator, right: ast.expr) -> ast.expr:
    """An operation of two expressions, without the ones and the arithmetic of literals that one would not write down."""
    x, y = _number(left), _number(right)
    if x is not None and y is not None and type(op) in ARITHMETIC:
        return _literal(ARITHMETIC[type(op)](x, y))
    if isinstance(op, ast.Mult) and 1 in (x, y):
        return right if x == 1 else left
    if isinstance(op, ast.Mult) and -1 in (x, y):
        return ast.UnaryOp(ast.USub(), right if x == -1 else left)
    if isinstance(op, (ast.Div, ast.Pow)) and y == 1:
        return left
    if isinstance(op, ast.Pow) and y == 0:
        return _literal(1)
    return ast.BinOp(left, op, right)


class _ToPaper(ast.NodeTransformer):
    """Rewrites a rule with the operands of one step, in the notation of a textbook."""

    def __init__(self, operands: dict[str, ast.expr]) -> None:
        self.operands = operands

    def visit_Name(self, name: ast.Name) -> ast.expr:
        if name.id in CONSTANT_TEXTS:
            return ast.parse(CONSTANT_TEXTS[name.id], mode="eval").body
        return self.operands.get(name.id, name)

    def visit_Constant(self, constant: ast.Constant) -> ast.expr:
        assert isinstance(constant.value, (int, float))
        return _literal(constant.value)

    def visit_BinOp(self, operation: ast.BinOp) -> ast.expr:
        return _folded(self.visit(operation.left), operation.op, self.visit(operation.right))

    def visit_Call(self, call: ast.Call) -> ast.expr:
        assert isinstance(call.func, ast.Name)
        name, arguments = call.func.id, [self.visit(argument) for argument in call.args]
        if name in PLAIN_OPERATORS:
            return _folded(arguments[0], PLAIN_OPERATORS[name](), arguments[1])
        if name in PLAIN_COMPARISONS:
            return ast.Compare(arguments[0], [PLAIN_COMPARISONS[name]()], [arguments[1]])
        return ast.Call(ast.Name("log" if name == "logz" else name), arguments, [])


def _operand_expression(operand: Operand, digits: int) -> ast.expr:
    if isinstance(operand, float) and operand == operand:
        return _literal(float(format(operand, f".{digits}g")))
    return ast.Name(operand_text(operand, digits))


def partial_expression(step: Step, k: int, digits: int) -> ast.expr | None:
    """The partial of a step by its operand k as an expression in the names of steps; None if there is no rule."""
    row = rule_row(step)
    rule = None if row is None else row.partials.get("d" + OPERANDS[k])
    if rule is None:
        return None
    operands = {letter: _operand_expression(operand, digits) for letter, operand in zip(OPERANDS, step.operands)}
    operands["v"] = ast.Name(f"v{step.number}")
    expression: ast.expr = _ToPaper(operands).visit(ast.parse(rule, mode="eval").body)
    return expression


Evaluator = Callable[[dict[str, float]], float]


def _evaluator(expression: ast.expr) -> Evaluator:
    """A function from the operands and the value of an elemental to the number a rule's expression gives."""
    if isinstance(expression, ast.Name):
        name = expression.id
        return (lambda _: CONSTANTS[name]) if name in CONSTANTS else (lambda operands: operands[name])
    if isinstance(expression, ast.Constant):
        assert isinstance(expression.value, (int, float))
        number = float(expression.value)
        return lambda _: number
    if isinstance(expression, ast.UnaryOp):
        operand = _evaluator(expression.operand)
        return lambda operands: -operand(operands)
    if isinstance(expression, ast.BinOp):
        row, arguments = ROW_OF_OPERATOR[type(expression.op)], [expression.left, expression.right]
    else:
        assert isinstance(expression, ast.Call) and isinstance(expression.func, ast.Name)
        row, arguments = expression.func.id, expression.args
    parts = [_evaluator(argument) for argument in arguments]
    return lambda operands: float(apply(row, *(part(operands) for part in parts)))


@cache
def _rule_evaluator(rule: str) -> Evaluator:
    return _evaluator(ast.parse(rule, mode="eval").body)


def _as_number(x: Any) -> float | None:
    """x as a float if it is a real number, else None."""
    return float(x) if isinstance(x, (int, float, np.floating, np.integer, np.bool_)) else None


def partial_value(listing: Listing, step: Step, k: int) -> float | None:
    """The partial of a step by its operand k; None if it has no rule or is not of plain real numbers."""
    row = rule_row(step)
    rule = None if row is None else row.partials.get("d" + OPERANDS[k])
    if rule is None:
        return None
    numbers = {"v": _as_number(step.value)}
    for letter, operand in zip(OPERANDS, step.operands):
        source = listing.by_number.get(operand) if type(operand) is int else operand
        numbers[letter] = _as_number(source.value if isinstance(source, Step) else source)
    known = {letter: number for letter, number in numbers.items() if number is not None}
    return _rule_evaluator(rule)(known) if len(known) == len(numbers) else None


class Row(NamedTuple):
    """One step: what it computes ("v4 = v1 * v2"), its value, its adjoint, its name if it is a result, the user's line."""

    number: int
    equation: str
    value: Value | None
    adjoint: Value | None
    result: str
    line: str


class _Table(NamedTuple):
    """A table as texts, without empty columns; `gap` says how many lines are left out between head and tail, "" if none."""

    caption: str
    headings: list[str]
    head: list[list[str]]
    gap: str
    tail: list[list[str]]


@dataclass(frozen=True, slots=True, eq=False)
class Contribution:
    """What a step adds to the adjoint of one of its operands in the reverse sweep.

    step      the step; None where the sweep starts, with the seed of a result
    target    number of the step whose adjoint grows
    operand   which operand of the step that is
    partial   the partial by it, None where it is not one number
    amount    what is added, None likewise
    total     the adjoint with it, None where not every contribution so far is one number
    summed    whether the operand was broadcast, and the products are summed
    """

    step: Step | None
    target: int
    operand: int
    partial: float | None
    amount: Value | None
    total: float | None
    summed: bool = False

    def text(self, digits: int) -> str:
        """The line one would write: "adjoint of v1 += adjoint of v5 * cos(v1) = 0.5 * 0.28 = 0.14"."""
        if self.step is None:
            return f"adjoint of v{self.target} = {value_text(self.amount, digits)}"
        source, expression = f"adjoint of v{self.step.number}", partial_expression(self.step, self.operand, digits)
        head = f"adjoint of {operand_text(self.step.operands[self.operand], digits)} += "
        if self.step.operation in WRITES and len(self.step.operands) > 2:
            return head + self._written(source, digits)
        if _moves(self.step):
            expression = ast.Constant(1)
        if expression is None and rule_row(self.step) is not None:
            return head + f"(no rule is known for {self.step.operation} by its argument {self.operand + 1})"
        if expression is None:
            return head + f"by the rule of {printable(self.step.operation)} from {source}"
        number = _number(expression)
        if number is not None and number < 0 and number != -1:
            expression = ast.Name(f"({ast.unparse(expression)})")
        product = ast.unparse(_folded(ast.Name(source), ast.Mult(), expression))
        if self.summed:
            return f"{head}sum({product})"
        if self.amount is None or self.partial is None:
            return head + product
        if number in (1, -1):
            return f"{head}{product} = {value_text(self.amount, digits)}"
        factors = [value_text(factor, digits) for factor in (self.step.adjoint, self.partial)]
        factors[1] = f"({factors[1]})" if factors[1].startswith("-") else factors[1]
        return f"{head}{product} = {factors[0]} * {factors[1]} = {value_text(self.amount, digits)}"

    def _written(self, source: str, digits: int) -> str:
        """What passes a write into an array: to what is written the part it was written to, to the array what is left."""
        assert self.step is not None
        index = operand_text(self.step.operands[1], digits)
        if self.operand == 2:
            return f"({source}){index}" + (f" = {value_text(self.amount, digits)}" if self.amount is not None else "")
        return source if WRITES[self.step.operation] == "+=" else f"{source} with {index} = 0"


def _moves(step: Step) -> bool:
    """Whether the partials of a step are ones."""
    return step.operation in MOVES and len(step.operands) == 1


def _shape(operand: Operand, whole: Value | None) -> tuple[int, ...] | None:
    """The shape of an operand that is a step with this value; None for a part of one."""
    return np.shape(whole) if type(operand) is int and whole is not None else None


def _is_zero(x: Value) -> bool:
    return x == 0.0 if isinstance(x, float) else not np.any(x)


def reverse_sweep(listing: Listing) -> Iterator[Contribution]:
    """The contributions of the reverse sweep from the last step to the first; steps whose adjoint is zero pass nothing on."""
    totals: dict[int, float | None] = {}

    def added(target: int, amount: Any) -> float | None:
        total, number = totals.get(target, 0.0), _as_number(amount)
        totals[target] = None if total is None or number is None else total + number
        return totals[target]

    for result, seed in zip(listing.results, listing.seeds or (1.0,) * len(listing.results)):
        if result in listing.dependent:
            yield Contribution(None, result, 0, None, seed, added(result, seed))
    for step in reversed(listing.steps):
        if step.adjoint is None or step.number not in listing.dependent or _is_zero(step.adjoint):
            continue
        adjoint = _as_number(step.adjoint)
        for k, operand in enumerate(step.operands):
            row = rule_row(step)
            target = next((number for number in numbers_of(operand) if number in listing.dependent), None)
            if target is None or not has_partial(step, k):
                continue
            partial = 1.0 if _moves(step) else partial_value(listing, step, k)
            amount = None if partial is None or adjoint is None else apply("mulz", adjoint, partial)
            whole = listing.by_number[target].value
            total = added(target, None if isinstance(whole, np.ndarray) and whole.ndim else amount)
            shape = np.shape(step.adjoint)
            summed = row is not None and len(shape) > 0 and _shape(operand, whole) not in (None, shape)
            yield Contribution(step, target, k, partial, amount, total, summed)


# Colours are those of the page, which may be light or dark; styles stand in the elements, since notebooks drop style sheets.
_CELL = 'style="text-align:left;padding:0.15em 0.8em;white-space:nowrap;font-family:monospace"'
_HEAD = 'style="border-bottom:1px solid rgba(128,128,128,0.5)"'
_CAPTION = 'style="text-align:left;caption-side:top;color:inherit"'


def _table_html(table: _Table) -> str:
    def row(texts: list[str]) -> str:
        return "<tr>" + "".join(f"<td {_CELL}>{html.escape(text)}</td>" for text in texts) + "</tr>"

    caption = f"<caption {_CAPTION}>{html.escape(table.caption)}</caption>" if table.caption else ""
    headings = "".join(f'<th {_CELL} scope="col">{html.escape(text)}</th>' for text in table.headings)
    gap = f'<tr><td {_CELL} colspan="{len(table.headings)}">{html.escape(table.gap)}</td></tr>' if table.gap else ""
    return "".join(['<table style="border-collapse:collapse;margin:0.5em 0">', caption,
                    f"<thead {_HEAD}><tr>{headings}</tr></thead><tbody>", *map(row, table.head), gap, *map(row, table.tail),
                    "</tbody></table>"])


@dataclass(frozen=True, eq=False)
class Explanation:
    """Every step of a program and its reverse sweep; printed a text table, in a notebook an HTML table.

    limit   steps and contributions beyond so many are left out in the middle when it is shown
    digits  significant digits shown
    """

    listing: Listing = field(repr=False)
    limit: int = 200
    digits: int = 6

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        """The steps in the order they run, all of them, with values and adjoints as they are."""
        return tuple(map(self._row, self.listing.steps))

    @cached_property
    def sweep(self) -> tuple[Contribution, ...]:
        """The contributions of the reverse sweep in its order, all of them; empty where no derivative was asked for."""
        if not self._has_adjoints:
            return ()
        return tuple(reverse_sweep(self.listing))

    @cached_property
    def _has_adjoints(self) -> bool:
        return any(step.adjoint is not None for step in self.listing.steps)

    def _row(self, step: Step) -> Row:
        return Row(step.number, equation(step, self.digits), step.value, step.adjoint,
                   self.listing.result_names.get(step.number, ""), line_text(step))

    def _tables(self) -> Iterator[_Table]:
        if not self.listing.steps:
            return
        shown = [[[row.equation, value_text(row.value, self.digits), value_text(row.adjoint, self.digits), row.result, row.line]
                  for row in map(self._row, part)] for part in self._parts(self.listing.steps)]
        yield self._table("", ["step", "value", "adjoint", "", "line"], shown, len(self.listing.steps), "step")
        if self.sweep:
            shown = [self._sweep_lines(part) for part in self._parts(self.sweep)]
            yield self._table("reverse sweep, from the last step to the first", ["step", "contribution", "adjoint so far"], shown,
                              len(self.sweep), "contribution")

    def _parts(self, lines: Sequence[Any]) -> tuple[Sequence[Any], Sequence[Any]]:
        """The head and the tail of lines that are shown."""
        return ends(lines, self.limit)

    def _table(self, caption: str, headings: list[str], parts: list[list[list[str]]],
               count: int, noun: str) -> _Table:
        kept = [k for k in range(len(headings)) if k == 0 or any(line[k] for part in parts for line in part)]
        head, tail = ([[line[k] for k in kept] for line in part] for part in parts)
        left_out = count - len(head) - len(tail)
        gap = f"... {counted(left_out, noun)} left out ..." if left_out else ""
        return _Table(caption, [headings[k] for k in kept], head, gap, tail)

    def _sweep_lines(self, contributions: Sequence[Contribution]) -> list[list[str]]:
        """The lines of contributions; what a step is stands at the first of its own."""
        lines: list[list[str]] = []
        last: Step | None = None
        for entry in contributions:
            if entry.step is None:
                source = self.listing.result_names[entry.target]
            else:
                source = equation(entry.step, self.digits) if entry.step is not last else ""
            lines.append([source, entry.text(self.digits), value_text(entry.total, self.digits)])
            last = entry.step
        return lines

    def _note(self) -> str:
        """What a reader who checks the products has to know."""
        for entry in self.sweep:
            if entry.step is not None and entry.partial is not None and entry.amount == 0.0:
                if not (np.isfinite(entry.partial) and np.isfinite(_as_number(entry.step.adjoint) or 0.0)):
                    return "In these products zero wins over infinity and NaN."
        return ""

    def __str__(self) -> str:
        blocks = [self.listing.summary()]
        for caption, headings, head, gap, tail in self._tables():
            widths = [max(len(line[k]) for line in [headings, *head, *tail]) for k in range(len(headings))]

            def row(line: list[str], widths: list[int] = widths) -> str:
                return "  ".join(text.ljust(width) for text, width in zip(line, widths)).rstrip()

            rule = "  ".join("-" * width for width in widths)
            lines = [row(headings), rule, *map(row, head), *([gap] if gap else []), *map(row, tail)]
            blocks.append("\n".join([caption, *lines] if caption else lines))
        return "\n\n".join(filter(None, [*blocks, self._note()]))

    def _repr_html_(self) -> str:
        parts = [f'<p style="margin:0.5em 0">{html.escape(self.listing.summary())}</p>', *map(_table_html, self._tables())]
        if self._note():
            parts.append(f'<p style="margin:0.5em 0">{self._note()}</p>')
        return f'<div style="overflow-x:auto">{"".join(parts)}</div>'

    __repr__ = __str__


def explain(listing: Listing, limit: int = 200, digits: int = 6) -> Explanation:
    """The steps of a program with values and adjoints, and the reverse sweep that gives the adjoints, for reading.

    `limit` is how many lines of each table are shown, `digits` how many significant digits.
    """
    if limit < 2:
        raise ValueError(f"limit must be at least 2, not {limit}")
    return Explanation(listing, limit, digits)
