"""README and the documentation do what they say."""

import doctest
import re

import documents
import pytest

pytestmark = pytest.mark.skipif(not documents.PAGES, reason="not in a checkout")
PAGES = [path for path in documents.PAGES if documents.blocks(path)]
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_examples(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "__main__"}
    parser, runner = doctest.DocTestParser(), doctest.DocTestRunner(optionflags=FLAGS, verbose=False)
    said = []
    for block in documents.blocks(path):
        if block.language == "python":
            exec(compile("\n" * (block.line - 1) + block.text, str(path), "exec"), names)
        else:
            test = parser.get_doctest(block.text, names, path.name, str(path), block.line - 1)
            runner.run(test, out=said.append, clear_globs=False)
            names.update(test.globs)
    assert not runner.failures, "".join(said)


@pytest.mark.parametrize("path", documents.PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(path):
    text = path.read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", text) + re.findall(r'(?:src|srcset|href)="([^"#]+)"', text)
    for target in targets:
        if not re.match(r"\w+:", target):
            assert (path.parent / target).exists(), f"{path.name} links to {target}"


def test_the_pages_are_read():
    assert {"README.md", "tour.md", "programs.md", "kinks.md"} <= {path.name for path in PAGES}
