"""Strategies whose clients work in separate processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from umbel.simulation.run import run_simulation
from umbel.simulation.settings import SimulationSettings

APP = Path(__file__).parent / "app"


@pytest.mark.parametrize("strategy", ["scaffold", "feddyn", "fednova", "fedadam", "qfedavg", "bulyan", "private"])
def test_workers_or_not_the_same_bits(strategy: str) -> None:
    """With two worker processes, which fold and keep the clients' states, or with none: the same model after five rounds."""
    ways = [
        SimulationSettings(num_supernodes=11, max_workers=2, num_cpus=0.5),
        SimulationSettings(num_supernodes=11, backend="inline"),
    ]
    results = [run_simulation(APP, run_config={"strategy": strategy}, settings=settings) for settings in ways]
    assert [data for kind, data in results[0].events if kind == "reply-dropped"] == []
    models = [result.artifacts["model.safetensors"] for result in results]
    assert models[0] == models[1]
