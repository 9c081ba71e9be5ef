"""The program umbel-simulation."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from umbel.bundle import AppConfig
from umbel.engine.exchange import Exchange
from umbel.engine.loader import load_component
from umbel.runtime.checkpoints import Checkpoints
from umbel.runtime.program import run_program
from umbel.runtime.task import Task
from umbel.simulation.grid import Engine
from umbel.simulation.session import Session
from umbel.simulation.settings import SimulationSettings
from umbel.wire.api import Source, TaskInput
from umbel.wire.programs import RuntimeClient

if TYPE_CHECKING:
    from collections.abc import Sequence

    from umbel.simulation.settings import SimulationSettings
    from umbel.wire.api import TaskInput
    from umbel.wire.programs import RuntimeClient


class SimulationTask(Task):
    """Runs the app with simulated clients and reports."""

    program: Source = "simulation"

    def __init__(self, client: RuntimeClient, task_id: int, given: TaskInput, settings: SimulationSettings) -> None:
        """Output of this process is the ServerApp's log from now on."""
        super().__init__(client, task_id, given)
        self._session = Session(self.run, settings, self.scratch / "state", dict(given.run.run_config))
        self._engine: Engine | None = None

    def run_serverapp(self, app_dir: Path, app: AppConfig, checkpoint: bytes | None) -> None:
        """Run the ServerApp of the app in `app_dir` to its end, from the checkpoint of an earlier attempt on."""
        checkpoints = Checkpoints(self.reporter.checkpoint, checkpoint)
        self._engine = self._session.engine(app_dir, app.clientapp, self._client_log, self._progress)
        self._session.run_serverapp(load_component(app_dir, app.serverapp), self._engine, self.reporter, checkpoints)

    def close(self) -> None:
        """End what `run_serverapp` started. Nothing is reported afterwards."""
        if self._engine is not None:
            self._engine.close()

    def _progress(self, exchange: Exchange) -> None:
        self.reporter.progress(exchange.done, len(exchange.messages), exchange.failed)

    def _client_log(self, text: str, level: str, node_id: int | None) -> None:
        self.reporter.log(text, level, "clientapp", node_id)


_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one task to its end; returns the exit code."""
    return run_program("umbel-simulation", "Runs one simulation.", _prepare, arguments)


def _prepare(client: RuntimeClient, task_id: int, given: TaskInput) -> SimulationTask:
    settings = _settings(given)

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
