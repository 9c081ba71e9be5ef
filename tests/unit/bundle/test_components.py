from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.apps import PYPROJECT, write_app
from umbel.bundle import check_components, load_app
from umbel.errors import AppInvalid


def check(root: Path, server: str, pyproject: str = PYPROJECT) -> None:
    """Checks an app whose server_app.py has this source."""
    write_app(root, pyproject, {"my_app/server_app.py": server})
    check_components(root, load_app(root))


@pytest.mark.parametrize(
    "source",
    [
        "app = ServerApp()",
        "app: ServerApp = ServerApp()",
        "first, (second, app) = make()",
        "def app(): ...",
        "async def app(): ...",
        "class app: ...",
        "import app",
        "import app.sub",
        "from x import y as app",
        "from x import *",
        "def __getattr__(name): ...",
        "if x:\n    pass\nelse:\n    app = 1",
        "try:\n    import a\nexcept ImportError:\n    app = None",
        "with a as app: ...",
        "for app in b: ...",
        "(app := 3)",
        "match a:\n    case 1:\n        app = 1",
    ],
)
def test_a_name_that_is_bound_is_found(tmp_path: Path, source: str) -> None:
    """Whatever way a module binds a name at its top level, the component is found, and nothing is imported."""
    check(tmp_path, source)


@pytest.mark.parametrize(
    "source",
    [
        "",
        "app: ServerApp",
        "x.app = 1",
        "def f():\n    app = 1",
        "class C:\n    app = 1",
        "x = [app for app in y]",
        "app()",
    ],
)
def test_a_name_that_is_not_bound_is_missed(tmp_path: Path, source: str) -> None:
    """A name that the module mentions, or binds elsewhere than at its top level, is not a component."""
    with pytest.raises(AppInvalid, match="no top-level name `app`"):
        check(tmp_path, source)


def test_names_that_exist_are_told(tmp_path: Path) -> None:
    """The error names the file and the nearest names that are there."""
    with pytest.raises(AppInvalid, match=r"server_app\.py has no top-level name `app`.*`appp`"):
        check(tmp_path, "appp = 1\n_hidden = 2")


def test_a_missing_module_is_told(tmp_path: Path) -> None:
    """The error says which files were looked for and which module was perhaps meant."""
    with pytest.raises(AppInvalid, match=r"my_app/serverapp\.py or .*__init__\.py.*`my_app\.server_app`"):
        check(tmp_path, "app = 1", PYPROJECT.replace("server_app:", "serverapp:"))


def test_a_package_may_be_a_component(tmp_path: Path) -> None:
    """`package:attribute` is looked up in the package's `__init__.py`."""
    write_app(tmp_path, PYPROJECT.replace("my_app.server_app:", "my_app:"), {"my_app/__init__.py": "app = 1"})
    check_components(tmp_path, load_app(tmp_path))


def test_a_package_below_src_is_told(tmp_path: Path) -> None:
    """An app whose package lies below src is told to move it."""
    write_app(tmp_path, PYPROJECT.replace("my_app.", "other."), {"src/other/server_app.py": "app = 1"})
    with pytest.raises(AppInvalid, match="under src"):
        check_components(tmp_path, load_app(tmp_path))


@pytest.mark.parametrize(("source", "said"), [("app = 1\ndef x(:\n", "line 2"), ("app = '\0'", "not valid Python")])
def test_broken_python_is_told(tmp_path: Path, source: str, said: str) -> None:
    """A module that Python cannot parse is told with its line."""
    with pytest.raises(AppInvalid, match=said):
        check(tmp_path, source)
