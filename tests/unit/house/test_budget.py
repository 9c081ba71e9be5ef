"""What may be imported on the way to the things a person waits for, and how long it may take."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {
    "alembic",
    "fastapi",
    "httpx2",
    "pandas",
    "plotly",
    "pydantic",
    "rich",
    "sklearn",
    "sqlalchemy",
    "torch",
    "typer",
}
LOADED = "import sys, {module}; print(*sorted({{name.partition('.')[0] for name in sys.modules}}))"


@pytest.mark.parametrize("module", ["umbel.app", "umbel.clientapp", "umbel.serverapp", "umbel.errors"])
def test_an_app_loads_nothing_heavy(module: str) -> None:
    """What an app imports brings no web framework, database, terminal or plotting library with it."""
    assert loaded(module) & (HEAVY | {"click", "starlette", "uvicorn"}) == set()


def test_an_app_loads_fast() -> None:
    """`import umbel.app` takes less than 0.3 s of processor time, NumPy included."""
    assert cpu_seconds([sys.executable, "-c", "import umbel.app"], limit=0.3) < 0.3


def test_the_version_is_told_fast() -> None:
    """`umbel --version` takes at most 0.25 s of processor time."""
    assert cpu_seconds([str(Path(sys.executable).with_name("umbel")), "--version"], limit=0.25) <= 0.25


def loaded(module: str) -> set[str]:
    """The top-level modules that a fresh interpreter holds after importing `module`."""
    run = subprocess.run(
        [sys.executable, "-c", LOADED.format(module=module)], capture_output=True, text=True, check=True, timeout=30
    )
    return set(run.stdout.split())


def cpu_seconds(command: list[str], *, limit: float) -> float:
    """The least processor time that `command` takes in up to five runs; other work on the machine does not count."""
    best = float("inf")
    for _ in range(5):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        best = min(best, usage.ru_utime + usage.ru_stime)
        if best <= limit:
            break
    return best
