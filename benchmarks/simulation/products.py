"""The products under measurement: where each is installed, how it is started, what its processes see."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness import environments
from benchmarks.harness.environments import APP, FLOWER, UMBEL, as_toml, flower_settings, umbel_settings
from benchmarks.simulation.workload import Workload

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Product:
    """`command` gives the command line of one run, `settings` the environment variables for a session in a folder."""

    name: str
    environment: Path  # a virtual environment
    command: Callable[[Workload, Path], list[str]]
    settings: Callable[[Path], dict[str, str]]

    def prepare(self) -> None:
        """Create and fill the virtual environment where it is missing."""
        environments.prepare(self.environment)

    def variables(self, home: Path) -> dict[str, str]:
        """The whole environment of the processes of a session."""
        return environments.variables(self.environment, home, self.settings(home))


def flower_command(workload: Workload, timings: Path) -> list[str]:
    """`flwr run`, one CPU for each client, until its log stream ends."""
    federation = f"num-supernodes={workload.nodes} client-resources-num-cpus=1"
    config = as_toml(workload.run_config("flower", str(timings)))
    return ["flwr", "run", str(APP), "--stream", "--federation-config", federation, "--run-config", config]


def umbel_command(workload: Workload, timings: Path) -> list[str]:
    """`umbel run`, with its defaults."""
    config = as_toml(workload.run_config("umbel", str(timings)))
    return ["umbel", "run", str(APP), "--federation-config", f"num-supernodes={workload.nodes}", "-c", config]


def limit_command(workload: Workload, timings: Path) -> list[str]:
    """The bare multiprocessing loop."""
    config = as_toml(workload.run_config("limit", str(timings)))
    return ["python", str(HERE / "limit.py"), config]


def limit_settings(home: Path) -> dict[str, str]:
    """One thread in each process: the pool has a process for each core."""
    return dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


PRODUCTS = {
    product.name: product
    for product in (
        Product("umbel", UMBEL, umbel_command, umbel_settings),
        Product("flower", FLOWER, flower_command, flower_settings),
        Product("limit", UMBEL, limit_command, limit_settings),
    )
}
