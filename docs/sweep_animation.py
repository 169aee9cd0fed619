"""The picture of backpropagation that moves: a circuit whose values fill in from left to right and its adjoints from right to left.

What is drawn is what `F.explain(...)` lists: nothing here computes a value or a derivative. The animation is CSS in an SVG; where
nothing can move (or the reader asked for that), the finished picture stands.
"""

import html
from dataclasses import dataclass, field
from typing import Any

from fastad.programs.steps import equation, numbers_of, value_text

SECONDS, FADE, HOLD = 1.5, 0.25, 4.0          # per tick; of a change; of the finished picture
WIDTH, HEIGHT, DX, DY, MARGIN, CAPTION = 142, 74, 240, 118, 26, 56
DIGITS = 4

STYLE = """
.sweep { --ink: #1d1f21; --faint: #7a7f87; --card: #f6f7f9; --box: #ffffff; --value: #005b8f; --adjoint: #a13d00;
  font-family: system-ui, "Segoe UI", Helvetica, Arial, sans-serif; width: 100%; height: auto; }
@media (prefers-color-scheme: dark) { body:not([data-theme="light"]) .sweep, svg.sweep:root {
  --ink: #e8eaed; --faint: #9aa0a8; --card: #1d2024; --box: #2a2e34; --value: #7cc4f5; --adjoint: #ffb073; } }
body[data-theme="dark"] .sweep {
  --ink: #e8eaed; --faint: #9aa0a8; --card: #1d2024; --box: #2a2e34; --value: #7cc4f5; --adjoint: #ffb073; }
.sweep text { fill: var(--ink); font-size: 14px; text-anchor: middle; }
.sweep .card { fill: var(--card); } .sweep .box { fill: var(--box); stroke: var(--faint); stroke-width: 1.2; }
.sweep .name { font-weight: 600; } .sweep .line { stroke: var(--faint); stroke-width: 1.4; fill: none; }
.sweep .head { fill: var(--faint); }
.sweep .caption { font-size: 15px; } .sweep .small { font-size: 12px; }
.sweep text.value { fill: var(--value); } .sweep text.adjoint, .sweep text.partial { fill: var(--adjoint); }
.sweep text.partial { font-size: 12.5px; paint-order: stroke; stroke: var(--card); stroke-width: 11px; stroke-linejoin: round; }
.sweep .line.value, .sweep .box.value { stroke: var(--value); stroke-width: 2.6; fill: none; }
.sweep .line.adjoint, .sweep .box.adjoint { stroke: var(--adjoint); stroke-width: 2.6; fill: none; }
@media (prefers-reduced-motion: reduce) { .sweep * { animation: none !important; } }
"""


@dataclass
class _Film:
    """Elements that are seen from one tick to another, and the keyframes that do it."""

    ticks: int
    frame: float | None = None                 # draw this tick, standing still; None: all, moving
    rules: dict[tuple[int, int | None], str] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        return self.ticks * SECONDS + HOLD

    def seen(self, start: int, stop: int | None) -> str:
        """The attributes of an element that is seen from tick `start` to tick `stop` (None: from then on)."""
        if self.frame is not None:
            return 'opacity="1"' if start <= self.frame and (stop is None or self.frame < stop) else 'opacity="0"'
        if (start, stop) not in self.rules:
            self.rules[start, stop] = f"sweep-{start}-{'on' if stop is None else stop}"
        return f'opacity="{1 if stop is None else 0}" style="animation: {self.rules[start, stop]} {self.seconds:g}s linear infinite"'

    def style(self) -> str:
        lines = []
        for (start, stop), name in self.rules.items():
            def at(seconds: float) -> str:
                return f"{100.0 * seconds / self.seconds:.2f}%"
            begin = start * SECONDS
            text = f"0%, {at(begin)} {{ opacity: 0 }} {at(begin + FADE)}"
            if stop is None:
                text += ", 100% { opacity: 1 }"
            else:
                end = stop * SECONDS
                text += f", {at(end)} {{ opacity: 1 }} {at(end + FADE)}, 100% {{ opacity: 0 }}"
            lines.append(f"@keyframes {name} {{ {text} }}")
        return "\n".join(lines)


def _levels(steps: Any) -> dict[int, int]:
    """How many steps lie between each step and the inputs, on the longest way."""
    level: dict[int, int] = {}
    for step in steps:
        level[step.number] = max((level[n] + 1 for x in step.operands for n in numbers_of(x)), default=0)
    return level


def _text(kind: str, x: float, y: float, text: str, attributes: str = "") -> str:
    return f'<text class="{kind}" x="{x:g}" y="{y:g}" {attributes}>{html.escape(text)}</text>'


class _Circuit:
    """Where the steps of an explanation stand, and what is drawn of them when."""

    def __init__(self, explanation: Any, rows: dict[int, float], frame: float | None) -> None:
        self.steps, self.sweep = explanation.listing.steps, explanation.sweep
        self.results = explanation.listing.result_names
        level = _levels(self.steps)
        self.place = {s.number: (MARGIN + WIDTH / 2 + DX * level[s.number], MARGIN + HEIGHT / 2 + DY * rows.get(s.number, 0.0))
                      for s in self.steps}
        self.film = _Film(len(self.steps) + 1 + len(self.sweep), frame)
        self.width = max(x for x, _ in self.place.values()) + WIDTH / 2 + MARGIN
        self.height = max(y for _, y in self.place.values()) + HEIGHT / 2 + MARGIN + CAPTION

    def line(self, source: int, target: int, kind: str = "", attributes: str = "") -> str:
        """The line from a step to one that uses it."""
        (x0, y0), (x1, y1) = self.place[source], self.place[target]
        x0, x1 = x0 + WIDTH / 2, x1 - WIDTH / 2
        bend = 0.45 * (x1 - x0)
        return (f'<path class="line {kind}" {attributes} d="M {x0:g} {y0:g} C {x0 + bend:g} {y0:g}, {x1 - bend:g} {y1:g}, '
                f'{x1:g} {y1:g}"/>')

    def box(self, number: int, kind: str = "", attributes: str = "") -> str:
        x, y = self.place[number]
        return (f'<rect class="box {kind}" {attributes} x="{x - WIDTH / 2:g}" y="{y - HEIGHT / 2:g}" width="{WIDTH}" '
                f'height="{HEIGHT}" rx="8"/>')

    def caption(self, kind: str, text: str, start: int, stop: int | None) -> str:
        return _text(f"caption {kind}", self.width / 2, self.height - 24, text, self.film.seen(start, stop))

    def still(self) -> list[str]:
        """What is always there: lines and boxes with their equations."""
        parts = [self.line(n, s.number) for s in self.steps for x in s.operands for n in numbers_of(x)]
        for s in self.steps:
            x, y = self.place[s.number]
            parts += [self.box(s.number), _text("name", x, y - 14, equation(s, DIGITS))]
            parts += [_text("small", x, y - HEIGHT / 2 - 7, self.results[s.number])] if s.number in self.results else []
        return parts

    def forward(self) -> list[str]:
        """The values, one step at a tick."""
        parts = []
        for tick, s in enumerate(self.steps):
            now, x, y = self.film.seen(tick, tick + 1), *self.place[s.number]
            parts += [self.line(n, s.number, "value", now) for operand in s.operands for n in numbers_of(operand)]
            parts += [self.box(s.number, "value", now),
                      _text("value", x, y + 7, f"value {value_text(s.value, DIGITS)}", self.film.seen(tick, None)),
                      self.caption("value", f"{equation(s, DIGITS)} = {value_text(s.value, DIGITS)}", tick, tick + 1)]
        return parts

    def reverse(self) -> list[str]:
        """The adjoints, one contribution at a tick."""
        parts, begin = [], len(self.steps) + 1
        parts.append(self.caption("", "every value is known; now backwards", begin - 1, begin))
        last = {entry.target: k for k, entry in enumerate(self.sweep)}
        for k, entry in enumerate(self.sweep):
            tick, (x, y) = begin + k, self.place[entry.target]
            end = next((j for j in range(k + 1, len(self.sweep)) if self.sweep[j].target == entry.target), None)
            until = None if k == last[entry.target] or end is None else begin + end
            now = self.film.seen(tick, tick + 1)
            parts += [self.box(entry.target, "adjoint", now),
                      _text("adjoint", x, y + 26, f"adjoint {value_text(entry.total, DIGITS)}", self.film.seen(tick, until)),
                      self.caption("adjoint", entry.text(DIGITS), tick, tick + 1)]
            if entry.step is not None:
                (x0, y0), (x1, y1) = self.place[entry.target], self.place[entry.step.number]
                parts += [self.line(entry.target, entry.step.number, "adjoint", now),
                          _text("partial", 0.5 * (x0 + x1), 0.5 * (y0 + y1) + 4, f"× {value_text(entry.partial, DIGITS)}",
                                self.film.seen(tick, None))]
        parts.append(self.caption("small", "blue: values, computed from left to right; orange: adjoints, and the partials they were "
                                  "multiplied by, from right to left", begin + len(self.sweep), None))
        return parts

    def svg(self) -> str:
        parts = [*self.still(), *self.forward(), *self.reverse()]
        return (f'<svg xmlns="http://www.w3.org/2000/svg" class="sweep" role="img" viewBox="0 0 {self.width:g} {self.height:g}">\n'
                "<title>Backpropagation: values fill in from left to right, adjoints from right to left</title>\n"
                f"<style>{STYLE}{self.film.style()}</style>\n"
                f'<rect class="card" width="{self.width:g}" height="{self.height:g}" rx="12"/>\n' + "\n".join(parts) + "\n</svg>\n")


def animation(explanation: Any, rows: dict[int, float], frame: float | None = None) -> str:
    """SVG of the sweeps that an explanation lists; `rows` says how far down each step stands, by its number.

    `frame` draws one tick of it, standing still.
    """
    return _Circuit(explanation, rows, frame).svg()
