"""The virtual environments that the products run in, and what their command lines have in common."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
APP = ROOT / "benchmarks" / "app"
CACHE = ROOT / ".cache"
UMBEL, FLOWER = CACHE / "bench-umbel", CACHE / "bench-flower"
_FLOWER_PACKAGE = "flwr[simulation]==1.42.0"
FLOWER_OVERRIDES = "certifi>=2024\n"  # Flower asks for one that not every index has


def prepare(environment: Path) -> None:
    """Create and fill one of the environments where it is missing; Umbel's dependencies may have changed."""
    if not (environment / "bin" / "python").exists():
        create(environment)
    if environment == UMBEL:
        install(environment, "--editable", str(ROOT))
    elif not (environment / "bin" / "flwr").exists():
        overrides = environment / "overrides.txt"
        overrides.write_text(FLOWER_OVERRIDES, encoding="utf-8")
        install(environment, "--override", str(overrides), _FLOWER_PACKAGE)


def variables(environment: Path, home: Path, own: dict[str, str]) -> dict[str, str]:
    """The whole environment of the processes of a session in the folder `home`."""
    path = f"{environment / 'bin'}{os.pathsep}{os.environ['PATH']}"
    inherited = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    return inherited | {"PATH": path, "TMPDIR": str(home)} | own


def flower_settings(home: Path) -> dict[str, str]:
    """A separate home and ports; telemetry, usage statistics and update check off."""
    return {
        "FLWR_HOME": str(home),
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_DISABLE_UPDATE_CHECK": "1",
        "FLWR_LOCAL_SUPERLINK_HTTP_API_PORT": str(free_port()),
        "FLWR_LOCAL_CONTROL_API_PORT": str(free_port()),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_TMPDIR": str(home),
    }


def umbel_settings(home: Path) -> dict[str, str]:
    """A separate home."""
    return {"UMBEL_HOME": str(home / "home")}


def free_port() -> int:
    """A TCP port on the loopback interface that no one listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def as_toml(config: Mapping[str, str | int | float]) -> str:
    """`key=value` pairs with single spaces, as both command lines take them."""
    return " ".join(f"{key}={value!r}" for key, value in config.items())


def create(environment: Path) -> None:
    """Create an empty environment."""
    _uv("venv", "--python", sys.executable, str(environment))


def install(environment: Path, *arguments: str) -> None:
    """Install into an environment, compiled, so that no run pays for it."""
    python = str(environment / "bin" / "python")
    _uv("pip", "install", "--python", python, "--compile-bytecode", *arguments)


def _uv(*arguments: str) -> None:
    """Run uv: the project's own, or the one on the path."""
    own = ROOT / ".venv" / "bin" / "uv"
    program = str(own) if own.exists() else shutil.which("uv") or "uv"
    subprocess.run([program, "--quiet", *arguments], check=True)
