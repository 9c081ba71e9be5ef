"""The program `umbel-simulation`: a SuperExec starts it for one task and gives it the task's token.

This is one of the boundaries at which any exception is caught: whatever the app raises becomes the run's recorded cause.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING

from umbel.engine.patience import Patience
from umbel.wire.api import TaskInput
from umbel.wire.local import running_address
from umbel.wire.runtime import RuntimeClient

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

    from umbel.simulation.settings import SimulationSettings

TOKEN = "UMBEL_TASK_TOKEN"  # noqa: S105 - the name of a variable
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


class Terminated(BaseException):
    """SIGTERM: whoever started this process wants it to end."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one task to its end; the exit code is 0 when its outcome was reported, whatever it is."""
    parser = argparse.ArgumentParser(prog="umbel-simulation", description="Runs one simulation. A SuperExec starts it.")
    parser.add_argument("--superlink", required=True, help="address of the SuperLink, http://HOST:PORT")
    parser.add_argument("--task-id", required=True, type=int)
    options = parser.parse_args(arguments)
    token = os.environ.pop(TOKEN, "")
    if not token:
        parser.error("there is no task token: a SuperExec starts this program. To run an app, use `umbel run`.")
    signal.signal(signal.SIGTERM, _terminate)
    threading.Thread(target=_end_with_parent, name="umbel-lifeline", daemon=True).start()
    # A SuperLink may be gone for as long as our SuperExec waits for it: when that ends, so do we.
    client = RuntimeClient(options.superlink, token, patience=float("inf"), locate=running_address)
    try:
        run_task(client, options.task_id)
    except Terminated:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)  # to be seen as what it is: not the app's end
    return 0


def _terminate(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise Terminated


def _end_with_parent() -> None:
    if not sys.stdin or sys.stdin.closed:
        return
    while os.read(0, 4096):
        pass
    os._exit(1)  # workers notice by themselves


def run_task(client: RuntimeClient, task_id: int) -> None:
    """Do what the task asks for and say how it ended."""
    patience = Patience()
    given = patience(lambda: client.input(task_id))
    settings = _settings(given)
    from umbel.simulation.task import Task

    with Task(client, task_id, given, settings) as task:
        finish = task.execute()
        patience(lambda: client.finish(task_id, finish))


def _settings(given: TaskInput) -> SimulationSettings:
    """The simulation's settings, and before NumPy is loaded: as many threads as a client may have where clients run in this process."""
    from umbel.simulation.settings import SimulationSettings

    settings = SimulationSettings.of(given.run.federation_config)
    if settings.backend == "inline":
        os.environ.update(dict.fromkeys(_THREADS, str(max(1, round(settings.num_cpus)))))
    return settings


if __name__ == "__main__":
    sys.exit(main())
