"""The documentation tells the truth: its Python runs, its links lead somewhere, every error says what to do."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from urllib.parse import unquote

import pytest

import umbel.cli.boundary  # noqa: F401 - defines an error
from tests.support.source_tree import ROOT
from umbel.errors import UmbelError, all_errors

GENERATED = {"reference/cli.md", "reference/errors.md", "reference/http.md"}
FOLDERS = [ROOT / name for name in ("docs", "examples", "benchmarks")]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(page for folder in FOLDERS for page in folder.rglob("*.md"))]
TUTORIALS = ROOT / "docs" / "tutorials"  # run as notebooks, in tests/acceptance
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?://|#|mailto:)([^)#\s]+)(?:#[^)\s]*)?\)")


def name_of(page: Path) -> str:
    """The page's path from the project's root."""
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if TUTORIALS not in page.parents and BLOCK.search(page.read_text(encoding="utf-8"))],
    ids=name_of,
)
def test_the_python_of_a_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Python blocks of a page run one after another, as a reader would type them in, and their asserts hold."""
    monkeypatch.chdir(tmp_path)
    text = page.read_text(encoding="utf-8")
    namespace: dict[str, object] = {"__name__": "page"}
    blocks = list(BLOCK.finditer(text))
    assert blocks
    for block in blocks:
        line = text.count("\n", 0, block.start(1))
        exec(compile("\n" * line + block[1], str(page), "exec", dont_inherit=True), namespace)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    """Every relative link names a file that exists, or a page that is written from the code."""
    targets = [page.parent / unquote(match[1]) for match in LINK.finditer(page.read_text(encoding="utf-8"))]
    missing = [str(target) for target in targets if not target.exists() and not is_generated(target)]
    assert missing == []


def is_generated(target: Path) -> bool:
    """Whether dev/reference.py writes this page."""
    return target.resolve() in {ROOT / "docs" / page for page in GENERATED}


def test_every_error_says_what_to_do() -> None:
    """Each error code has a remedy in the documentation, and each remedy an error."""
    remedies = tomllib.loads((ROOT / "docs/reference/remedies.toml").read_text(encoding="utf-8"))
    assert remedies.keys() == {error.code for error in ours()}


def test_no_two_errors_share_a_code() -> None:
    """A code or an exit code means one error and no other."""
    errors = ours()
    assert len({error.code for error in errors}) == len({error.exit_code for error in errors}) == len(errors)


def ours() -> list[type[UmbelError]]:
    """The errors of the product, without those that a test may have made."""
    return [error for error in all_errors() if error.__module__.startswith("umbel.")]
