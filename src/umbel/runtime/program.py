"""Entry point of programs that run a ServerApp: dependencies, signals, exit code."""

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
    """Return if this interpreter satisfies the dependencies, or if they may not be installed: then the run's log gets a warning.

    Raises RestartInEnvironment when another environment satisfies them, and EnvironmentFailed when it cannot be created.
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
    """Reports what the run waits for while its environment is prepared."""

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
    """Seed the random generators from the run's seed and run the ServerApp. Raises the exceptions of the app."""
    run = grid.run
    seed_everything(derive(run.seed, SUPERLINK_NODE_ID, 0))
    gc.freeze()  # as in the worker: modules loaded so far never become garbage
    server_app(grid, Context(run.run_id, SUPERLINK_NODE_ID, run_config=dict(run_config)))


if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

    from umbel.runtime.task import Task
    from umbel.wire.api import TaskInput

    Prepare = Callable[[RuntimeClient, int, TaskInput], Task]  # arguments: client, task ID, task input

ROOT_CERTIFICATES = "UMBEL_ROOT_CERTIFICATES"
TOKEN = "UMBEL_TASK_TOKEN"  # noqa: S105 - the name of a variable


class Terminated(BaseException):
    """SIGTERM: the parent requests termination."""


def run_program(name: str, description: str, prepare: Prepare, arguments: Sequence[str] | None = None) -> int:
    """Run one task; the exit code is 0 if the outcome was reported, even a failure."""
    parser = argparse.ArgumentParser(prog=name, description=f"{description} A SuperExec starts this program.")
    parser.add_argument("--superlink", required=True, help="address of the SuperLink, http://HOST:PORT")
    parser.add_argument("--task-id", required=True, type=int)
    options = parser.parse_args(arguments)
    token = os.environ.pop(TOKEN, "")
    if not token:
        parser.error("no task token: this program is started by a SuperExec. To run an app, use `umbel run`.")
    signal.signal(signal.SIGTERM, _terminate)
    threading.Thread(target=_end_with_parent, name="umbel-lifeline", daemon=True).start()
    # Retry without limit: this process ends when its SuperExec does.
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
        os.kill(os.getpid(), signal.SIGTERM)  # so that the exit status shows the signal
    except RestartInEnvironment as restart:
        restart.environment.become({TOKEN: token})
    except UmbelError as error:  # the outcome could not be reported
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
    os._exit(1)  # workers detect it and end too


def _run_task(client: RuntimeClient, task_id: int, prepare: Prepare) -> None:
    """Fetch the task's input, execute the task and report its outcome."""
    persist = RetryWhileDiskFull()
    task_input = persist(lambda: client.input(task_id))
    with prepare(client, task_id, task_input) as task:
        finish = task.execute()
        persist(lambda: client.finish(task_id, finish))
