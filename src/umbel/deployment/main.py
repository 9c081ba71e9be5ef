"""The program umbel-serverapp."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from umbel.bundle import AppConfig
from umbel.deployment.grid import DeploymentGrid
from umbel.deployment.journal import CoveringCheckpoints
from umbel.engine.client_state import RetryWhileDiskFull
from umbel.engine.loader import load_component
from umbel.runtime.program import run_program, run_serverapp
from umbel.runtime.task import Task
from umbel.wire.api import Source, TaskInput
from umbel.wire.messages import Forget
from umbel.wire.programs import GridClient, RuntimeClient

if TYPE_CHECKING:
    from collections.abc import Sequence

    from umbel.wire.api import TaskInput
    from umbel.wire.programs import RuntimeClient


class DeploymentTask(Task):
    """Runs the ServerApp and reports; its clients are run by SuperNodes."""

    program: Source = "serverapp"

    def __init__(self, client: RuntimeClient, task_id: int, given: TaskInput) -> None:
        """Output of this process is the ServerApp's log from now on."""
        super().__init__(client, task_id, given)
        self._patience = RetryWhileDiskFull()
        self._grid: DeploymentGrid | None = None

    def run_serverapp(self, app_dir: Path, app: AppConfig, checkpoint: bytes | None) -> None:
        """Run the ServerApp of the app in `app_dir` to its end, from the checkpoint of an earlier attempt on."""
        client = GridClient(self.client, self.task_id)

        def forget(covered: Forget) -> None:
            self._patience(lambda: client.forget(covered))

        checkpoints = CoveringCheckpoints(self.reporter.checkpoint, checkpoint, forget)
        self._grid = DeploymentGrid(
            client,
            self.run,
            self.reporter,
            checkpoints,
            self.scratch / "replies",
            self._patience,
            self.reporter.progress,
        )
        run_serverapp(load_component(app_dir, app.serverapp), self._grid, self.given.run.run_config)

    def close(self) -> None:
        """End what `run_serverapp` started. Nothing is reported afterwards."""
        self._patience.end()
        if self._grid is not None:
            self._grid.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one task to its end; returns the exit code."""
    return run_program("umbel-serverapp", "Runs the ServerApp of one run.", _prepare, arguments)


def _prepare(client: RuntimeClient, task_id: int, given: TaskInput) -> DeploymentTask:

    return DeploymentTask(client, task_id, given)


if __name__ == "__main__":
    sys.exit(main())
