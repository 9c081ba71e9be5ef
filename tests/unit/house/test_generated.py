"""Generated files in the repository are up to date."""

from __future__ import annotations

import hashlib
import subprocess
import sys

from dev import check_release

from tests.support.source_tree import ROOT


def test_the_notebooks_are_those_of_the_tutorials() -> None:
    """dev/notebooks.py would write each notebook as it is."""
    command = [sys.executable, str(ROOT / "dev" / "notebooks.py"), "--check"]
    check = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert check.returncode == 0, f"{check.stdout} Run dev/notebooks.py."


def test_the_pictures_are_drawn_from_their_sources() -> None:
    """Each picture of the documentation names the digest of its source, and each source has its picture."""
    for source in (ROOT / "docs" / "pictures").glob("*.dot"):
        picture = ROOT / "docs" / "_static" / "pictures" / f"{source.stem}.svg"
        digest = hashlib.sha256(source.read_bytes()).hexdigest()
        assert f"<!-- source: {digest} -->" in picture.read_text(encoding="utf-8"), (
            f"{source.name}: run dev/pictures.sh"
        )


def test_a_release_needs_its_tag_and_its_section() -> None:
    """A tag of another version or a changelog without a dated section stops a release."""
    changelog = "# Changelog\n\n## [Unreleased]\n\n## [1.2.0] - 2027-01-31\n"
    assert check_release.problems("v1.2.0", "1.2.0", changelog) == []
    assert "must be v1.2.0" in check_release.problems("v1.2", "1.2.0", changelog)[0]
    assert "no section" in check_release.problems("v1.3.0", "1.3.0", changelog)[0]
