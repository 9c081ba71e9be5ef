"""The project's own source, parsed, for tests that read it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SRC = ROOT / "src" / "umbel"
TESTS = ROOT / "tests"
THEIRS = TESTS / "compat" / "apps"


@cache
def parsed(folder: Path) -> list[tuple[str, ast.Module]]:
    """Each Python file below `folder`: its path from the project's root, and its syntax tree. Apps in Flower's manner are users' code."""
    paths = sorted(path for path in folder.rglob("*.py") if THEIRS not in path.parents)
    return [(str(path.relative_to(ROOT)), ast.parse(path.read_text(encoding="utf-8"))) for path in paths]


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Each call in a syntax tree, with the dotted name that is called."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (name := dotted(node.func)):
            yield name, node


def dotted(node: ast.expr) -> str:
    """`a.b.c` for the expression that says so, "" for any other."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (owner := dotted(node.value)):
        return f"{owner}.{node.attr}"
    return ""


def imports(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Each module that a syntax tree imports, anywhere in it, with the line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield f"{'.' * node.level}{node.module or ''}", node.lineno
