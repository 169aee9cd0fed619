"""Settings of the documentation, and what fastad itself writes into it: the derivative table, explain's tables, the moving picture."""

import re
import sys
from pathlib import Path

import fastad

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS))

project = "fastad"
author = "The fastad developers"
copyright = author
version = release = fastad.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_build", "generated"]
html_theme = "furo"
html_title = f"fastad {release}"
html_show_copyright = False
nitpicky = False
suppress_warnings = ["myst.xref_missing"]
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]
autodoc_typehints = "none"
autodoc_member_order = "bysource"
highlight_language = "python"


def _paragraph(lines):
    """A paragraph of a docstring as reStructuredText: tables and indented text as they stand, the rest as prose with code in it."""
    if any(re.search(r"\S {2,}\S", line) or line.startswith(" ") for line in lines):
        return ["::", "", *("    " + line for line in lines)]
    prose = re.split(r"(`[^`]*`)", "\n".join(lines))
    text = "".join(f"`{part}`" if k % 2 else re.sub(r"([\\*|_])", r"\\\1", part) for k, part in enumerate(prose))
    return text.split("\n")


def docstrings(app, what, name, obj, options, lines):
    """The docstrings of the sources are plain text with `code` in it."""
    paragraphs = re.split(r"\n\s*\n", "\n".join(lines).strip("\n"))
    lines[:] = [line for text in paragraphs if text.strip() for line in (*_paragraph(text.split("\n")), "")]


def generate(app):
    """Writes docs/generated/: the pages' parts that are made from the op table and from a recorded program."""
    import derivative_table
    import sweep_animation
    import worked_example

    folder = DOCS / "generated"
    folder.mkdir(exist_ok=True)
    explanation = worked_example.f.explain(*worked_example.POINT)
    written = {
        "derivatives.md": derivative_table.markdown(),
        "explain.html": explanation._repr_html_(),
        "sweep.svg": sweep_animation.animation(explanation, worked_example.ROWS),
    }
    for name, text in written.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def setup(app):
    app.connect("builder-inited", generate)
    app.connect("autodoc-process-docstring", docstrings)
    return {"parallel_read_safe": True}
