"""Imports of the command line."""

from __future__ import annotations

import subprocess
import sys

import pytest

FORBIDDEN = {
    "alembic", "fastapi", "httpx2", "matplotlib", "numpy", "pandas", "plotly", "safetensors", "sklearn",
    "sqlalchemy", "starlette", "torch", "uvicorn", "umbel.superlink", "umbel.simulation", "umbel.engine", "umbel.app",
    "rich.live", "rich.progress",
}  # fmt: skip
LOADED = """\
import contextlib, io, sys
sys.argv = ["umbel", *sys.argv[1:]]
from umbel.cli.main import main
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    main()
print(*sys.modules)
"""

pytestmark = pytest.mark.usefixtures("unmeasured")


def loaded(*arguments: str) -> set[str]:
    command = [sys.executable, "-c", LOADED, *arguments]
    return set(subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.split())


@pytest.mark.parametrize("argument", ["--version", "-V"])
def test_the_version_loads_next_to_nothing(argument: str) -> None:
    """Neither the command tree nor anything that talks to a network."""
    assert loaded(argument) & (FORBIDDEN | {"typer", "rich", "msgspec", "http.client", "asyncio"}) == set()


@pytest.mark.parametrize("arguments", [("--help",), ("run", "--help"), ("config", "list")])
def test_help_loads_nothing_heavy(arguments: tuple[str, ...]) -> None:
    """The commands' signatures come without what the commands use."""
    assert loaded(*arguments) & FORBIDDEN == set()


def test_a_run_loads_nothing_heavy_before_it_is_posted() -> None:
    """All that `umbel run` needs up to its request comes without NumPy, rich and plotly."""
    code = (
        "import umbel.cli.app, umbel.cli.launch, umbel.cli.follow, umbel.cli.local, umbel.wire.control\n"
        "import umbel.bundle.build, umbel.bundle.config, umbel.bundle.manifest, sys\nprint(*sys.modules)"
    )
    command = [sys.executable, "-c", code]
    names = set(subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.split())
    assert names & (FORBIDDEN | {"rich"}) == set()
