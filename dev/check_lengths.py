"""Fail when a file or a function is longer than a reader can hold: files 400 lines (tests 500), functions 60."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FILE_LINES = {"src": 400, "tests": 500, "dev": 400, "benchmarks": 400, "examples": 400}
FUNCTION_LINES = 60
FREE = "migrations/versions"  # a migration lists tables


def main() -> int:
    """Print what is too long; the exit status is 1 if anything is."""
    found = [line for folder, limit in FILE_LINES.items() for line in too_long(ROOT / folder, limit)]
    print("\n".join(found) or "lengths: all within limits")
    return 1 if found else 0


def too_long(folder: Path, limit: int) -> Iterator[str]:
    """A line for each Python file of `folder`, and each function in it, over its limit."""
    for path in sorted(path for path in folder.rglob("*.py") if FREE not in str(path)):
        text = path.read_text(encoding="utf-8")
        lines = text.count("\n")
        if lines > limit:
            yield f"{path.relative_to(ROOT)}: {lines} lines, limit {limit}"
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and code_lines(node) > FUNCTION_LINES:
                yield f"{path.relative_to(ROOT)}:{node.lineno}: {node.name} has {code_lines(node)} lines, limit {FUNCTION_LINES}"


def code_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """The lines of a function's body, its docstring aside."""
    body = node.body[1:] if ast.get_docstring(node) else node.body
    return (body[-1].end_lineno or body[-1].lineno) - body[0].lineno + 1 if body else 0


if __name__ == "__main__":
    sys.exit(main())
