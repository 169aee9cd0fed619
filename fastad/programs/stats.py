"""What a program has recorded and how it went, in numbers."""

import html
from typing import Any

from .steps import printable


class Stats(dict[str, Any]):
    """Program.stats: a dict that prints as a table."""

    def __init__(self, name: str, numbers: dict[str, Any]) -> None:
        super().__init__(numbers)
        self.name = name

    @classmethod
    def of(cls, name: str, paths: Any) -> "Stats":
        """Those of a program with the Paths of these signatures."""
        codes = [code for p in paths for code in p.codes]
        derived = [code for path in codes for code in list(path.owner.derived.values())]
        derived += [code.wide for code in derived if code.wide is not None]
        return cls(name, {
            "signatures": len(paths), "paths": len(codes), "recordings": sum(p.counts.recordings for p in paths),
            "replays": sum(p.counts.replays for p in paths), "guard_misses": sum(max(0, p.counts.misses - 1) for p in paths),
            "instructions": sum(code.n for code in codes), "guards": sum(code.guards for code in codes),
            "slots": sum(code.n for code in codes), "bytes": sum(code.nbytes for code in codes),
            "scheduled": sum(code.n for code in codes if code.schedule is not None),
            "runs": sum(code.schedule.runs for code in codes if code.schedule is not None),
            "python_calls": sorted({name for code in codes + derived for name in code.callbacks}),
            "seeds_by_one": sum(code.by_one for code in derived),
            "eager": [p.reason for p in paths if p.reason is not None],
        })

    def lines(self) -> list[tuple[str, str]]:
        """Pairs of what and how much, as texts."""
        return [(key.replace("_", " "), self._text(value)) for key, value in self.items()]

    @staticmethod
    def _text(value: Any) -> str:
        if isinstance(value, list):
            return "; ".join(printable(str(x), 200) for x in value) or "none"
        return f"{value:,}" if isinstance(value, int) else printable(str(value))

    def __str__(self) -> str:
        lines = self.lines()
        width = max([len(key) for key, _ in lines], default=0)
        return "\n".join([f"program {printable(self.name)}", *(f"  {key.ljust(width)}  {value}" for key, value in lines)])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        cell = 'style="text-align:left;padding:0.1em 0.8em"'
        rows = "".join(f"<tr><td {cell}>{html.escape(key)}</td><td {cell}>{html.escape(value)}</td></tr>"
                       for key, value in self.lines())
        return (f'<table style="border-collapse:collapse"><caption style="text-align:left;color:inherit">'
                f"program {html.escape(printable(self.name))}</caption><tbody>{rows}</tbody></table>")
