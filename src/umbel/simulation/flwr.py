"""`flwr.simulation`: a simulation in the caller's own process. See `umbel.compat.flwr.table`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from umbel.runtime.program import ServerFn
from umbel.simulation import run
from umbel.simulation.session import ClientFn
from umbel.simulation.settings import SimulationSettings

__all__ = ["run_simulation"]

MISSING = {
    "SimulationIoConnection": "it is internal to Flower.",
    "run_simulation_process": "it is internal to Flower.",
    "start_simulation": "create a ServerApp and a ClientApp, and pass them to `run_simulation`.",
}


def run_simulation(
    server_app: ServerFn,
    client_app: ClientFn,
    num_supernodes: int,
    backend_name: str = "inline",
    backend_config: Mapping[str, Any] | None = None,
    enable_tf_gpu_growth: bool = False,
    verbose_logging: bool = False,
) -> None:
    """Run the two apps with this number of clients, one after another in this process; the other settings are ignored."""
    run.run_simulation((server_app, client_app), settings=SimulationSettings(num_supernodes))
