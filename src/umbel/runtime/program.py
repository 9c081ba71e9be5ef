"""The frame of the programs that a SuperExec starts for one task, with the task's token in their environment.

This is one of the boundaries at which any exception is caught: whatever the app raises becomes the run's recorded cause. It loads
neither NumPy nor the app: a program may set up its environment before.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING

from umbel.engine.patience import Patience
from umbel.errors import UmbelError
from umbel.runtime.surroundings import Elsewhere
from umbel.wire.local import running_address
from umbel.wire.runtime import RuntimeClient

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType

    from umbel.runtime.task import Task
    from umbel.wire.api import TaskInput

    Prepare = Callable[[RuntimeClient, int, TaskInput], Task]  # for a task's id and input

ROOT_CERTIFICATES = "UMBEL_ROOT_CERTIFICATES"
TOKEN = "UMBEL_TASK_TOKEN"  # noqa: S105 - the name of a variable


class Terminated(BaseException):
    """SIGTERM: whoever started this process wants it to end."""


def run_program(name: str, description: str, prepare: Prepare, arguments: Sequence[str] | None = None) -> int:
    """Run one task to its end; the exit code is 0 when its outcome was reported, whatever it is."""
    parser = argparse.ArgumentParser(prog=name, description=f"{description} A SuperExec starts it.")
    parser.add_argument("--superlink", required=True, help="address of the SuperLink, http://HOST:PORT")
    parser.add_argument("--task-id", required=True, type=int)
    options = parser.parse_args(arguments)
    token = os.environ.pop(TOKEN, "")
    if not token:
        parser.error("there is no task token: a SuperExec starts this program. To run an app, use `umbel run`.")
    signal.signal(signal.SIGTERM, _terminate)
    threading.Thread(target=_end_with_parent, name="umbel-lifeline", daemon=True).start()
    # A SuperLink may be gone for as long as our SuperExec waits for it: when that ends, so do we.
    client = RuntimeClient(
        options.superlink,
        token,
        patience=float("inf"),
        locate=running_address,
        root_certificates=os.environ.get(ROOT_CERTIFICATES),
    )
    try:
        _run_task(client, options.task_id, prepare)
    except Terminated:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)  # to be seen as what it is: not the app's end
    except Elsewhere as found:
        found.environment.become({TOKEN: token})
    except UmbelError as error:  # nobody took the task's end from us: who reads the log sees why
        sys.stderr.write(f"{name}: {error}\n")
        return error.exit_code
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


def _run_task(client: RuntimeClient, task_id: int, prepare: Prepare) -> None:
    """Do what the task asks for and say how it ended."""
    patience = Patience()
    given = patience(lambda: client.input(task_id))
    with prepare(client, task_id, given) as task:
        finish = task.execute()
        patience(lambda: client.finish(task_id, finish))
