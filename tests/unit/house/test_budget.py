"""Budgets for imports and start times of what users wait for."""

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
    "matplotlib",
    "plotly",
    "pydantic",
    "rich",
    "sklearn",
    "sqlalchemy",
    "torch",
    "typer",
}
LOADED = "import sys, {module}; print(*sorted({{name.partition('.')[0] for name in sys.modules}}))"

pytestmark = pytest.mark.usefixtures("unmeasured")


@pytest.mark.parametrize("module", ["umbel.app", "umbel.clientapp", "umbel.serverapp", "umbel.errors"])
def test_an_app_loads_nothing_heavy(module: str) -> None:
    """What an app imports brings no web framework, database, terminal or plotting library with it."""
    assert loaded(module) & (HEAVY | {"click", "starlette", "uvicorn"}) == set()


def test_an_app_loads_fast() -> None:
    """`import umbel.app` takes less than 0.3 s of processor time, or twice what NumPy alone takes where that is slow too."""
    assert_quick([sys.executable, "-c", "import umbel.app"], than=[sys.executable, "-c", "import numpy"], limit=0.3)


def test_the_version_is_told_fast() -> None:
    """`umbel --version` takes at most 0.25 s of processor time, or six bare interpreters where those are slow too."""
    version = [str(Path(sys.executable).with_name("umbel")), "--version"]
    assert_quick(version, than=[sys.executable, "-c", "pass"], limit=0.25, ratio=6.0)


def loaded(module: str) -> set[str]:
    """The top-level modules that a fresh interpreter holds after importing `module`."""
    run = subprocess.run(
        [sys.executable, "-c", LOADED.format(module=module)], capture_output=True, text=True, check=True, timeout=30
    )
    return set(run.stdout.split())


def assert_quick(command: list[str], *, than: list[str], limit: float, ratio: float = 2.0) -> None:
    """Fail unless `command` takes at most `limit` seconds of processor time, or `ratio` times what the command `than` takes.

    A loaded machine makes processor time itself dearer, by several times: so both are measured in turns, and the best of each counts.
    """
    best, reference = float("inf"), float("inf")
    for _ in range(7):
        best, reference = min(best, cpu_seconds(command)), min(reference, cpu_seconds(than))
        if best <= max(limit, ratio * reference):
            return
    pytest.fail(f"{best:.3f} s of processor time, where {' '.join(than[1:])} takes {reference:.3f} s")


def cpu_seconds(command: list[str]) -> float:
    """The processor time that `command` takes; other work on the machine does not count."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_utime + usage.ru_stime
