"""Runs an app with the real program, and imports an app's package."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
UMBEL = [sys.executable, "-c", "from umbel.cli.main import main; main()"]

Run = Callable[..., dict[str, Any]]
Import = Callable[[str, str], ModuleType]


@pytest.fixture
def run_app(tmp_path: Path) -> Run:
    """`run_app("examples/x", *options)`: what `umbel run --format json` says at the end of a completed run."""

    def run(app: str, *options: str) -> dict[str, Any]:
        command = [*UMBEL, "run", str(ROOT / app), *options, "--format", "json", "--stream"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return dict(json.loads(done.stdout))

    return run


@pytest.fixture
def pull(tmp_path: Path) -> Callable[[], Path]:
    """`pull()`: the folder with the results of the last run."""

    def pull_last() -> Path:
        folder = tmp_path / "results"
        subprocess.run([*UMBEL, "pull", "last", "--output", str(folder)], cwd=tmp_path, capture_output=True, check=True)
        return folder

    return pull_last


@pytest.fixture
def import_from(monkeypatch: pytest.MonkeyPatch) -> Iterator[Import]:
    """`import_from("examples/x", "x.task")`: a module of an app, gone again after the test."""
    before = set(sys.modules)

    def load(app: str, module: str) -> ModuleType:
        monkeypatch.syspath_prepend(str(ROOT / app))
        return importlib.import_module(module)

    yield load
    paths = [*ROOT.glob("examples/*/*"), *ROOT.glob("benchmarks/*/*")]
    packages = {path.stem for path in paths if path.is_dir() or path.suffix == ".py"}
    for name in set(sys.modules) - before:
        if name.partition(".")[0] in packages:
            del sys.modules[name]


def data_file(name: str) -> Path:
    """The file of a data set, which must be there."""
    path = Path(os.environ.get("UMBEL_DATA") or "~/.cache/umbel-data").expanduser() / name / f"{name}.npz"
    assert path.is_file(), f"There is no {path}: run dev/data.sh {name}"
    return path
