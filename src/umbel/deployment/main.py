"""The program `umbel-serverapp`: a ServerApp whose clients are real sites. A SuperExec starts it for one task."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from umbel.runtime.program import run_program

if TYPE_CHECKING:
    from collections.abc import Sequence

    from umbel.deployment.task import DeploymentTask
    from umbel.wire.api import TaskInput
    from umbel.wire.runtime import RuntimeClient


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one task to its end; returns the exit code."""
    return run_program("umbel-serverapp", "Runs the ServerApp of one run.", _prepare, arguments)


def _prepare(client: RuntimeClient, task_id: int, given: TaskInput) -> DeploymentTask:
    from umbel.deployment.task import DeploymentTask

    return DeploymentTask(client, task_id, given)


if __name__ == "__main__":
    sys.exit(main())
