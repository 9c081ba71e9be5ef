"""Loading an app's component, and the remedy for a failed import."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from umbel.engine.loader import load_component
from umbel.errors import AppLoadError

PYPROJECT = """
[project]
name = "lab"
version = "1.0.0"
description = "An app"
license = "Apache-2.0"
dependencies = ["umbel", "numpy==0.1", "no-such-lib"]

[tool.umbel.app]
publisher = "me"

[tool.umbel.app.components]
serverapp = "broken_app:app"
clientapp = "broken_app:app"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An app that declares a version of NumPy that is not there, and a library that is not there at all."""
    import sys

    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    yield tmp_path
    sys.modules.pop("broken_app", None)


def hint(folder: Path, code: str) -> str:
    """The remedy that is offered when a module with this code is loaded."""
    (folder / "broken_app.py").write_text(code)
    with pytest.raises(AppLoadError) as caught:
        load_component(folder, "broken_app:app")
    return str(caught.value.hint)


def test_an_absent_module_is_explained_by_what_is_not_installed(folder: Path) -> None:
    """The library that is absent is named; the one that is there in another version is not."""
    told = hint(folder, "import no_such_lib")
    assert "no-such-lib (not installed)" in told
    assert "numpy" not in told


def test_a_missing_name_is_explained_by_the_version_that_is_there(folder: Path) -> None:
    """The installed version is said, and the unrelated library is not offered."""
    import numpy as np

    told = hint(folder, "from numpy import no_such_name")
    assert f"numpy==0.1 (installed: {np.__version__})" in told
    assert "no-such-lib" not in told


@pytest.mark.parametrize("code", ["1 / 0", "raise ValueError(1)", "import json; json.no_such_name"])
def test_another_error_has_nothing_to_do_with_requirements(folder: Path, code: str) -> None:
    """No installation is offered against an error of the app's code."""
    assert hint(folder, code) == "Fix the error that the traceback shows."


def test_a_name_that_a_present_module_lacks(folder: Path) -> None:
    """An import error of a module that no requirement provides is one to fix."""
    assert hint(folder, "from json import no_such_name") == (
        "Fix the import, or install the missing package next to Umbel."
    )
