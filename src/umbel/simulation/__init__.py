"""Runs an app on this machine: one ServerApp and any number of simulated clients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from umbel.simulation.run import SimulationResult as SimulationResult
    from umbel.simulation.run import run_simulation as run_simulation


def __getattr__(name: str) -> Any:
    """`run_simulation` and `SimulationResult`, imported at first use: the program sets up its environment before NumPy is loaded."""
    if name not in ("SimulationResult", "run_simulation"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from umbel.simulation import run

    return getattr(run, name)
