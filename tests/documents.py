"""The examples in README and the documentation, as they stand there.

`python tests/documents.py FOLDER` writes the examples of each page as a module, for type checkers.
"""

import re
import sys
import textwrap
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
PAGES = tuple(path for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))) if path.exists())
BLOCK = re.compile(r"^( *)```(\w+)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
# Blocks that show a piece of something else.
NOT_RUN = ("Op(",)


class Block(NamedTuple):
    """An example: "python" (run as it stands) or "pycon" (a session, compared with what it prints)."""

    language: str
    text: str
    line: int


def blocks(path: Path) -> list[Block]:
    """The examples of a page in their order."""
    text = path.read_text(encoding="utf-8")
    return [Block(found[2], textwrap.dedent(found[3]), text.count("\n", 0, found.start()) + 2) for found in BLOCK.finditer(text)
            if found[2] in ("python", "pycon") and not found[3].lstrip().startswith(NOT_RUN)]


def session(path: Path) -> str:
    """All examples of a page as one module of Python, without what they print."""
    parts = []
    for block in blocks(path):
        lines = block.text.splitlines()
        if block.language == "pycon":
            lines = [line[4:] for line in lines if line.startswith((">>> ", "... ")) or line in (">>>", "...")]
        parts.append("\n".join(lines))
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    for page in PAGES:
        if blocks(page):
            (Path(sys.argv[1]) / f"{page.stem.lower().replace('-', '_')}_examples.py").write_text(session(page), encoding="utf-8")
