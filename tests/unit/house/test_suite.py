"""Rules that the tests keep."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from pathlib import Path

from tests.support.source_tree import TESTS, calls, dotted, imports, parsed

WAITS = {"time.sleep", "sleep"}
ASSERTING = re.compile(r"assert_|check|expect|refuse|verify|wait_until_gone|raises$|warns$|fail$")
SKIPS = {"pytest.skip", "pytest.importorskip", "pytest.mark.skip", "pytest.mark.skipif", "unittest.skip"}


def test_each_test_says_what_it_shows() -> None:
    """Every test function has a docstring."""
    found = [f"{path}:{test.lineno}: {test.name}" for path, test in each_test() if not ast.get_docstring(test)]
    assert found == []


def test_each_test_asserts_something() -> None:
    """Every test function has an assertion: its own, or one in a helper that is named for what it asserts."""
    found = [f"{path}:{test.lineno}: {test.name}" for path, test in each_test() if not asserts(test)]
    assert found == []


def test_areas_share_only_through_support() -> None:
    """A test imports helpers from its area and from tests/support, never from another area."""
    found = [
        f"{path}:{line}: {module}"
        for path, tree in parsed(TESTS)
        for module, line in imports(tree)
        if module.startswith("tests.") and not module.startswith(("tests.support", *areas(path)))
    ]
    assert found == []


def test_no_test_sleeps() -> None:
    """A test waits for something that happens, never for a time to pass."""
    found = [f"{path}:{call.lineno}" for path, tree in parsed(TESTS) for name, call in calls(tree) if name in WAITS]
    assert found == []


def test_no_test_is_skipped() -> None:
    """What a test needs is installed or fails: a skipped test shows nothing."""
    found = [
        f"{path}:{node.lineno}"
        for path, tree in parsed(TESTS)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and dotted(node) in SKIPS
    ]
    assert found == []


def test_the_home_of_a_test_is_its_own(umbel_home: Path) -> None:
    """A test's UMBEL_HOME is a new, empty directory with a path short enough for a socket."""
    assert os.environ["UMBEL_HOME"] == str(umbel_home)
    assert list(umbel_home.iterdir()) == []
    assert len(str(umbel_home)) < 40


def asserts(test: ast.AST) -> bool:
    """Whether a test has an assert statement, expects an exception or calls a helper whose name says that it checks."""
    return any(isinstance(node, ast.Assert) for node in ast.walk(test)) or any(
        ASSERTING.match(name.rpartition(".")[2]) for name, _ in calls(test)
    )


def areas(path: str) -> tuple[str, str]:
    """The folders, as dotted names, whose helpers a test file may use: `tests.unit.compat` and `tests.compat`."""
    folders = path.split("/")[:-1][:3]
    return ".".join(folders), f"tests.{folders[-1]}"


def each_test() -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Each test function, with the path of its file."""
    for path, tree in parsed(TESTS):
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                yield path, node
