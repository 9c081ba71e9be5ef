"""The program `umbel-simulation`: a ServerApp and its simulated clients. A SuperExec starts it for one task."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from umbel.runtime.program import run_program

if TYPE_CHECKING:
    from collections.abc import Sequence

    from umbel.simulation.settings import SimulationSettings
    from umbel.simulation.task import SimulationTask
    from umbel.wire.api import TaskInput
    from umbel.wire.runtime import RuntimeClient

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one task to its end; returns the exit code."""
    return run_program("umbel-simulation", "Runs one simulation.", _prepare, arguments)


def _prepare(client: RuntimeClient, task_id: int, given: TaskInput) -> SimulationTask:
    settings = _settings(given)
    from umbel.simulation.task import SimulationTask

    return SimulationTask(client, task_id, given, settings)


def _settings(given: TaskInput) -> SimulationSettings:
    """The simulation's settings, and before NumPy is loaded: as many threads as a client may have where clients run in this process."""
    from umbel.simulation.settings import SimulationSettings

    settings = SimulationSettings.of(given.run.federation_config)
    if settings.backend == "inline":
        os.environ.update(dict.fromkeys(_THREADS, str(max(1, round(settings.num_cpus)))))
    return settings


if __name__ == "__main__":
    sys.exit(main())
