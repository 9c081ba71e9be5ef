"""The frame of a program that runs a ServerApp: environment, signals, exit."""

from __future__ import annotations

import argparse
import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from umbel.app.context import Context, UserConfig
from umbel.app.message import SUPERLINK_NODE_ID
from umbel.engine.client_state import RetryWhileDiskFull
from umbel.engine.clients import derive, seed_everything
from umbel.environments.prepare import Environment, prepare
from umbel.environments.requirements import may_install
from umbel.errors import AppInvalid, DependenciesMissing, UmbelError
from umbel.serverapp.grid import Grid
from umbel.wire.connection import running_address
from umbel.wire.programs import RuntimeClient

if TYPE_CHECKING:
    from umbel.runtime.reporter import Reporter


class RestartInEnvironment(BaseException):
    """The program must restart in another environment. This exception must not be treated as an error of the app."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        super().__init__(environment.interpreter)


def ensure_dependencies(dependencies: Sequence[str], reporter: Reporter) -> None:
    """Return when this interpreter has the dependencies, or may not get them: its imports decide then, and the run's log has a warning.

    Raises RestartInEnvironment when an environment has them, which may have been made for it, and EnvironmentFailed when none can be made.
    """
    wait = _Wait(reporter)
    try:
        environment = prepare(dependencies, allowed=may_install(), on_wait=wait)
    except (AppInvalid, DependenciesMissing) as error:
        reporter.log(str(error), "WARNING", "superexec")
        return
    finally:
        wait.end()
    if not environment.is_base:
        reporter.log(
            f"The run continues in the environment {Path(environment.interpreter).parents[1]}.", "INFO", "superexec"
        )
        reporter.flush()
        raise RestartInEnvironment(environment)


class _Wait:
    """Tells what the run waits for until its environment is there."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._since: float | None = None

    def __call__(self, what: str) -> None:
        self._since = self._since or time.time()
        self._reporter.event("waiting", {"for": "its environment", "what": what, "since": self._since})

    def end(self) -> None:
        if self._since is not None:
            self._reporter.event("waiting", {"for": "", "what": ""})


ServerFn = Callable[[Grid, Context], None]


def run_serverapp(server_app: ServerFn, grid: Grid, run_config: UserConfig) -> None:
    """Run the ServerApp to its end, with the run's random numbers. Raises what it raises."""
    run = grid.run
    seed_everything(derive(run.seed, SUPERLINK_NODE_ID, 0))
    gc.freeze()  # see the worker: what is loaded by now is no garbage
    server_app(grid, Context(run.run_id, SUPERLINK_NODE_ID, run_config=dict(run_config)))


if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

    from umbel.runtime.task import Task
    from umbel.wire.api import TaskInput

    Prepare = Callable[[RuntimeClient, int, TaskInput], Task]  # for a task's id and input

ROOT_CERTIFICATES = "UMBEL_ROOT_CERTIFICATES"
TOKEN = "UMBEL_TASK_TOKEN"  # noqa: S105 - the name of a variable


class Terminated(BaseException):
    """SIGTERM: the parent requests termination."""


def run_program(name: str, description: str, prepare: Prepare, arguments: Sequence[str] | None = None) -> int:
    """Run one task to its end; the exit code is 0 when its outcome was reported, whatever it is."""
    parser = argparse.ArgumentParser(prog=name, description=f"{description} It is started by a SuperExec.")
    parser.add_argument("--superlink", required=True, help="address of the SuperLink, http://HOST:PORT")
    parser.add_argument("--task-id", required=True, type=int)
    options = parser.parse_args(arguments)
    token = os.environ.pop(TOKEN, "")
    if not token:
        parser.error("no task token: this program is started by a SuperExec. To run an app, use `umbel run`.")
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
    except RestartInEnvironment as found:
        found.environment.become({TOKEN: token})
    except UmbelError as error:  # the end of the task could not be reported: the log shows why
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
    patience = RetryWhileDiskFull()
    given = patience(lambda: client.input(task_id))
    with prepare(client, task_id, given) as task:
        finish = task.execute()
        patience(lambda: client.finish(task_id, finish))
