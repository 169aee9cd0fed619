"""Results as a table in Markdown: `python -m bench.tables FILE.json` prints processor milliseconds of a derivative."""

import json
import sys
from pathlib import Path

from bench.charts import groups, label

SHOWN = ("fastad", "fastad fast_math", "fastad eager", "plain f", "by hand", "JAX", "PyTorch", "autograd", "CasADi")
BY_HAND = {"C": "by hand", "Python": "by hand"}
VARIANTS = {"fastad fast_math": "with fast_math", "fastad no cse": "without common subexpressions"}
MARKS = {"timeout": "timeout", "crashed": "fails", "wrong": "wrong", "skipped": ""}


def markdown(results):
    """Returns the table: a line for each problem and size, the least time of a derivative bold, fastad's recording last."""
    lines = [" | ".join(["| problem (size)", *SHOWN, "recording |"]), "|---" * (len(SHOWN) + 2) + "|"]
    for (problem, size), tools in groups(results["cells"]).items():
        cells = {BY_HAND.get(tool, tool): cell for tool, cell in tools.items()}
        times = {tool: cell["figures"]["cpu"] for tool, cell in cells.items() if cell["status"] == "ok"}
        rivals = [seconds for tool, seconds in times.items() if tool not in ("plain f", "by hand")]
        entries = []
        for tool in SHOWN:
            if tool in times:
                text = milliseconds(times[tool])
                entries.append(f"**{text}**" if tool not in ("plain f", "by hand") and times[tool] == min(rivals) else text)
            else:
                entries.append(MARKS.get(cells[tool]["status"], "") if tool in cells else "")
        ours = cells.get("fastad", {"figures": {}})["figures"]
        recording = f"{ours['record'] + ours['first']:.2g} s" if "first" in ours else ""
        lines.append("| " + " | ".join([label(problem, size), *entries, recording]) + " |")
        for tool, said in VARIANTS.items():
            if tool in times:
                figures = cells[tool]["figures"]
                entries = [f"{label(problem, size)}, {said}", milliseconds(times[tool]), *[""] * (len(SHOWN) - 1)]
                lines.append("| " + " | ".join([*entries, f"{figures['record'] + figures['first']:.2g} s"]) + " |")
    return "\n".join(lines)


def milliseconds(seconds):
    """Returns a time to two digits, in milliseconds, without exponents."""
    number = 1e3 * seconds
    return f"{number:,.0f}" if number >= 99.5 else f"{number:.2g}"


if __name__ == "__main__":
    print(markdown(json.loads(Path(sys.argv[1]).read_text())))
