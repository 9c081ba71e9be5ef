"""The products under measurement: where each is installed, how it is started, what its processes see."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.simulation.workload import Workload

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
APP = HERE / "app"
CACHE = ROOT / ".cache"
FLOWER = "flwr[simulation]==1.42.0"
FLOWER_OVERRIDES = "certifi>=2024\n"  # Flower asks for one that not every index has


@dataclass(frozen=True)
class Product:
    """`command` gives the command line of one run, `settings` the environment variables for a session in a folder."""

    name: str
    environment: Path  # a virtual environment
    install: Callable[[Path], None]
    command: Callable[[Path, Workload, Path], list[str]]
    settings: Callable[[Path], dict[str, str]]

    def prepare(self) -> None:
        """Create and fill the virtual environment where it is missing."""
        if not (self.environment / "bin" / "python").exists():
            uv("venv", "--python", sys.executable, str(self.environment))
        self.install(self.environment)

    def variables(self, home: Path) -> dict[str, str]:
        """The whole environment of the processes of a session."""
        path = f"{self.environment / 'bin'}{os.pathsep}{os.environ['PATH']}"
        inherited = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
        return inherited | {"PATH": path, "TMPDIR": str(home)} | self.settings(home)


def uv(*arguments: str) -> None:
    """Run uv: the project's own, or the one on the path."""
    own = ROOT / ".venv" / "bin" / "uv"
    program = str(own) if own.exists() else shutil.which("uv") or "uv"
    subprocess.run([program, "--quiet", *arguments], check=True)


def install(environment: Path, *arguments: str) -> None:
    """Install into a virtual environment, compiled, so that no run pays for it."""
    python = str(environment / "bin" / "python")
    uv("pip", "install", "--python", python, "--compile-bytecode", *arguments)


def install_flower(environment: Path) -> None:
    """Install Flower with Ray, once."""
    if not (environment / "bin" / "flwr").exists():
        overrides = environment / "overrides.txt"
        overrides.write_text(FLOWER_OVERRIDES, encoding="utf-8")
        install(environment, "--override", str(overrides), FLOWER)


def install_umbel(environment: Path) -> None:
    """Install this working tree, anew each time: its dependencies may have changed."""
    install(environment, "--editable", str(ROOT))


def flower_command(environment: Path, workload: Workload, timings: Path) -> list[str]:
    """`flwr run`, one CPU for each client, until its log stream ends."""
    federation = f"num-supernodes={workload.nodes} client-resources-num-cpus=1"
    config = as_toml(workload.run_config("flower", str(timings)))
    return ["flwr", "run", str(APP), "--stream", "--federation-config", federation, "--run-config", config]


def umbel_command(environment: Path, workload: Workload, timings: Path) -> list[str]:
    """`umbel run`, with its defaults."""
    config = as_toml(workload.run_config("umbel", str(timings)))
    return ["umbel", "run", str(APP), "--federation-config", f"num-supernodes={workload.nodes}", "-c", config]


def limit_command(environment: Path, workload: Workload, timings: Path) -> list[str]:
    """The bare multiprocessing loop."""
    config = as_toml(workload.run_config("limit", str(timings)))
    return ["python", str(HERE / "limit.py"), config]


def flower_settings(home: Path) -> dict[str, str]:
    """Its own home and ports; telemetry, usage statistics and update check off."""
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
    """Its own home."""
    return {"UMBEL_HOME": str(home / "home")}


def limit_settings(home: Path) -> dict[str, str]:
    """One thread in each process: the pool has a process for each core."""
    return dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def free_port() -> int:
    """A TCP port on the loopback interface that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def as_toml(config: dict[str, str | int | float]) -> str:
    """`key=value` pairs with single spaces, as both command lines take them."""
    return " ".join(f"{key}={value!r}" for key, value in config.items())


PRODUCTS = {
    product.name: product
    for product in (
        Product("umbel", CACHE / "bench-umbel", install_umbel, umbel_command, umbel_settings),
        Product("flower", CACHE / "bench-flower", install_flower, flower_command, flower_settings),
        Product("limit", CACHE / "bench-umbel", install_umbel, limit_command, limit_settings),
    )
}
