"""One attempt at a run on real sites."""

from __future__ import annotations

from pathlib import Path

from umbel.bundle import AppConfig
from umbel.deployment.checkpoints import CoveringCheckpoints
from umbel.deployment.grid import DeploymentGrid
from umbel.engine.loader import load_component
from umbel.engine.patience import Patience
from umbel.runtime.leading import lead
from umbel.runtime.task import Task
from umbel.wire.api import Source, TaskInput
from umbel.wire.grid import GridClient
from umbel.wire.messages import Forget
from umbel.wire.runtime import RuntimeClient


class DeploymentTask(Task):
    """Runs the ServerApp and reports; its clients are run by SuperNodes."""

    program: Source = "serverapp"

    def __init__(self, client: RuntimeClient, task_id: int, given: TaskInput) -> None:
        """See `Task`."""
        super().__init__(client, task_id, given)
        self._patience = Patience()
        self._grid: DeploymentGrid | None = None

    def lead(self, app_dir: Path, app: AppConfig, checkpoint: bytes | None) -> None:
        """See `Task`."""
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
        lead(load_component(app_dir, app.serverapp), self._grid, self.given.run.run_config)

    def close(self) -> None:
        """See `Task`."""
        self._patience.end()
        if self._grid is not None:
            self._grid.close()
