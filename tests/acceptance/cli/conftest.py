"""The real program `umbel` as a subprocess, with its own home."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.fake_control import FakeSuperLink, connection_to

PROGRAM = [sys.executable, "-c", "from umbel.cli.main import main; main()"]
PYPROJECT = """\
[project]
name = "tiny"
version = "1.0.0"
description = "The smallest app."
license = "Apache-2.0"

[tool.umbel.app]
publisher = "acme"

[tool.umbel.app.components]
serverapp = "tiny.server_app:app"
clientapp = "tiny.client_app:app"

[tool.umbel.app.config]
num-server-rounds = 2
lr = 0.1
"""


class Umbel:
    """Starts `umbel` in a folder."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.folder = folder
        self.home = home
        self.environment = os.environ | {"COLUMNS": "120", "NO_COLOR": "1"}

    def start(self, *arguments: str | Path, **options: Any) -> subprocess.Popen[str]:
        """The running program, its outputs in pipes."""
        # A shell that starts the tests in the background lets them ignore Ctrl-C, which the program would inherit.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        return subprocess.Popen(
            [*PROGRAM, *map(str, arguments)],
            cwd=self.folder,
            env=self.environment,
            **{"text": True, "stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
            | options,
        )

    def __call__(self, *arguments: str | Path, code: int = 0) -> subprocess.CompletedProcess[str]:
        """The finished program; its exit code must be `code`."""
        process = self.start(*arguments)
        stdout, stderr = process.communicate(timeout=50)
        assert process.returncode == code, f"exit code {process.returncode}\n{stdout}\n{stderr}"
        return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)

    def json(self, *arguments: str | Path, code: int = 0) -> dict[str, Any]:
        """The one JSON object that the program prints with --format json."""
        payload: dict[str, Any] = json.loads(self(*arguments, "--format", "json", code=code).stdout)
        return payload


@pytest.fixture
def umbel(tmp_path: Path, umbel_home: Path) -> Umbel:
    return Umbel(tmp_path, umbel_home)


@pytest.fixture
def fake(umbel: Umbel) -> Iterator[FakeSuperLink]:
    """A scripted SuperLink that is the default connection of `umbel`."""
    with FakeSuperLink().serving() as superlink:
        connection_to(superlink, umbel.home)
        yield superlink


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """The folder of an app that can be bundled; its components do nothing."""
    folder = tmp_path / "app"
    package = folder / "tiny"
    package.mkdir(parents=True)
    (folder / "pyproject.toml").write_text(PYPROJECT)
    (package / "__init__.py").touch()
    (package / "server_app.py").write_text("app = object()\n")
    (package / "client_app.py").write_text("app = object()\n")
    return folder
