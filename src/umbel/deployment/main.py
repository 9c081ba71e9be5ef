"""The program `umbel-serverapp`, which runs the ServerApp of a deployment."""

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
    """A task that runs a ServerApp whose clients run on SuperNodes."""

    program: Source = "serverapp"

    def __init__(self, client: RuntimeClient, task_id: int, given: TaskInput) -> None:
        """Redirect the output of this process to the run's log."""
        super().__init__(client, task_id, given)
        self._persist = RetryWhileDiskFull()
        self._grid: DeploymentGrid | None = None

    def run_serverapp(self, app_dir: Path, app: AppConfig, checkpoint: bytes | None) -> None:
        """Run the ServerApp of the app in `app_dir`, resuming from the checkpoint of an earlier attempt if there is one."""
        client = GridClient(self.client, self.task_id)

        def forget(covered: Forget) -> None:
            self._persist(lambda: client.forget(covered))

        checkpoints = CoveringCheckpoints(self.reporter.checkpoint, checkpoint, forget)
        self._grid = DeploymentGrid(
            client,
            self.run,
            self.reporter,
            checkpoints,
            self.scratch / "replies",
            self._persist,
            self.reporter.progress,
        )
        run_serverapp(load_component(app_dir, app.serverapp), self._grid, self.given.run.run_config)

    def close(self) -> None:
        """Stop waiting for disk space and close the grid."""
        self._persist.end()
        if self._grid is not None:
            self._grid.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one task to its end; returns the exit code."""
    return run_program("umbel-serverapp", "Runs the ServerApp of one run.", _prepare, arguments)


def _prepare(client: RuntimeClient, task_id: int, given: TaskInput) -> DeploymentTask:
    return DeploymentTask(client, task_id, given)


if __name__ == "__main__":
    sys.exit(main())
