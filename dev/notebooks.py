"""Write each tutorial as a notebook: docs/tutorials/NAME.md becomes docs/tutorials/NAME.ipynb.

In a tutorial, a `python` block whose first line is `# file: PATH` becomes a cell that writes that file, any other `python` block a
code cell, a `shell` block a `%%bash` cell. Everything else, blocks of other languages included, stays text.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

TUTORIALS = Path(__file__).resolve().parent.parent / "docs" / "tutorials"
BLOCK = re.compile(r"^```(python|shell)\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# file: (\S+)\n")


def cells(text: str) -> Iterator[Any]:
    """The cells of a tutorial, in order."""
    position = 0
    for block in BLOCK.finditer(text):
        yield from prose(text[position : block.start()])
        yield new_code_cell(code(block[1], block[2]).rstrip("\n"))
        position = block.end()
    yield from prose(text[position:])


def prose(text: str) -> Iterator[Any]:
    """A Markdown cell, if there is anything to read."""
    if text.strip():
        yield new_markdown_cell(text.strip("\n"))


def code(language: str, source: str) -> str:
    """The source of a code cell."""
    if language == "shell":
        return f"%%bash\nset -e\n{source}"
    named = FILE.match(source)
    return f"%%writefile {named[1]}\n{source[named.end() :]}" if named else source


def notebook(text: str) -> str:
    """A tutorial's notebook as JSON, the same for the same text."""
    result = new_notebook(cells=list(cells(text)))
    result.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    for index, cell in enumerate(result.cells):
        cell["id"] = f"cell-{index}"
    return str(nbformat.writes(result)) + "\n"


def main() -> int:
    """Write all notebooks; with --check, only say which are out of date (exit status 1)."""
    stale = []
    for page in sorted(TUTORIALS.glob("[0-9]*.md")):
        target, text = page.with_suffix(".ipynb"), notebook(page.read_text(encoding="utf-8"))
        if not target.exists() or target.read_text(encoding="utf-8") != text:
            stale.append(target.name)
            if "--check" not in sys.argv:
                target.write_text(text, encoding="utf-8")
    print("notebooks:", ", ".join(stale) or "all up to date")
    return 1 if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
