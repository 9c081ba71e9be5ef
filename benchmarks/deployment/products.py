"""The products under measurement: how their SuperLink, SuperNodes and runs are started. Everything listens on loopback."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.deployment.cases import Workload
from benchmarks.harness.environments import APP, FLOWER, UMBEL, as_toml, flower_settings, free_port, umbel_settings

CONNECTION = "bench"


@dataclass(frozen=True)
class Product:
    """`superlink(port)`, `node(port, index, nodes, home)` and `run(workload, timings)` are command lines.

    `nodes` lists the nodes as JSON, with `online` as the value of a key of each that is ready. `connect(port, home)` writes the
    configuration of the command line in a session's folder.
    """

    name: str
    environment: Path
    settings: Callable[[Path], dict[str, str]]
    superlink: Callable[[int], list[str]]
    node: Callable[[int, int, int, Path], list[str]]
    nodes: list[str]
    run: Callable[[Workload, Path], list[str]]
    connect: Callable[[int, Path], None]


def _flower_superlink(port: int) -> list[str]:
    return ["flower-superlink", "--insecure", "--host", "127.0.0.1", "--port", str(port)]


def _flower_node(port: int, index: int, nodes: int, home: Path) -> list[str]:
    where = ["--superlink", f"127.0.0.1:{port}", "--host", "127.0.0.1", "--port", str(free_port())]
    return ["flower-supernode", "--insecure", *where, "--node-config", _partition(index, nodes)]


def _flower_run(workload: Workload, timings: Path) -> list[str]:
    config = as_toml(workload.run_config("flower", str(timings)))
    return ["flwr", "run", str(APP), CONNECTION, "--stream", "--run-config", config]


def _flower_connect(port: int, home: Path) -> None:
    _write(home / "config.toml", f'address = "127.0.0.1:{port}"\ninsecure = true\n')


def _umbel_superlink(port: int) -> list[str]:
    return ["umbel-superlink", "--port", str(port)]


def _umbel_node(port: int, index: int, nodes: int, home: Path) -> list[str]:
    state = ["--state-dir", str(home / f"node-{index}"), "--node-config", _partition(index, nodes)]
    return ["umbel-supernode", "--superlink", f"127.0.0.1:{port}", "--insecure", *state]


def _umbel_run(workload: Workload, timings: Path) -> list[str]:
    return ["umbel", "run", str(APP), CONNECTION, "-c", as_toml(workload.run_config("umbel", str(timings)))]


def _umbel_connect(port: int, home: Path) -> None:
    token = home / "home" / "local" / "token"
    _write(home / "home" / "config.toml", f'address = "127.0.0.1:{port}"\ninsecure = true\ntoken-file = "{token}"\n')


def _partition(index: int, nodes: int) -> str:
    return f"partition-id={index} num-partitions={nodes}"


def _write(path: Path, table: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'[superlink]\ndefault = "{CONNECTION}"\n\n[superlink.{CONNECTION}]\n{table}', encoding="utf-8")


PRODUCTS = {
    product.name: product
    for product in (
        Product(
            "umbel",
            UMBEL,
            umbel_settings,
            _umbel_superlink,
            _umbel_node,
            ["umbel", "supernode", "list", CONNECTION, "--format", "json"],
            _umbel_run,
            _umbel_connect,
        ),
        Product(
            "flower",
            FLOWER,
            flower_settings,
            _flower_superlink,
            _flower_node,
            ["flwr", "supernode", "list", CONNECTION, "--format", "json"],
            _flower_run,
            _flower_connect,
        ),
    )
}
