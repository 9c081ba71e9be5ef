"""One attempt at a run: everything between the task's input and its outcome."""

from __future__ import annotations

import logging
import sys
from contextlib import suppress
from logging.handlers import QueueHandler
from queue import SimpleQueue
from types import TracebackType
from typing import Self

from umbel.bundle import install_fab, load_app
from umbel.engine.capture import LineCapture
from umbel.engine.exchange import Exchange
from umbel.engine.loader import app_traceback, load_component
from umbel.errors import AppError, AppLoadError, UmbelError
from umbel.home import apps_dir, runs_dir
from umbel.serverapp.grid import Run
from umbel.simulation.checkpoints import Checkpoints
from umbel.simulation.grid import Engine
from umbel.simulation.reporter import Reporter
from umbel.simulation.session import Session
from umbel.simulation.settings import SimulationSettings
from umbel.wire.api import Cause, FinishTask, Source, TaskInput
from umbel.wire.runtime import RuntimeClient

_LONGEST_CAUSE = 50_000  # characters


class Task:
    """Runs the app and reports. A context manager: whatever happens, the workers are ended."""

    def __init__(self, client: RuntimeClient, task_id: int, given: TaskInput, settings: SimulationSettings) -> None:
        """Output of this process is the ServerApp's log from now on."""
        self._client = client
        self._given = given
        self._reporter = Reporter(client, task_id)
        self._engine: Engine | None = None
        run = given.run
        self._session = Session(
            Run(run.run_id, run.seed), settings, runs_dir() / str(run.run_id) / "state", dict(run.run_config)
        )
        self._output = LineCapture(self._print, "INFO"), LineCapture(self._print, "WARNING")
        sys.stdout, sys.stderr = self._output
        logging.basicConfig(level=logging.INFO, handlers=[_LogHandler(self._reporter)], force=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
        self._reporter.close()  # first: the engine may wait for it
        if self._engine is not None:
            self._engine.close()

    def execute(self) -> FinishTask:
        """Run the app to its end and store everything it left."""
        try:
            self._run()
            self._flush()
        except (Exception, SystemExit, KeyboardInterrupt) as error:  # noqa: BLE001 - the boundary to the author's code
            with suppress(UmbelError):
                self._flush()
            return FinishTask(outcome="failed", cause=self._cause(error))
        return FinishTask(outcome="completed")

    def _flush(self) -> None:
        for stream in self._output:
            stream.finish()
        self._reporter.flush()

    def _run(self) -> None:
        app_dir = install_fab(self._client.get_object(self._given.run.bundle.fab_hash), apps_dir())
        config = load_app(app_dir)
        self._engine = self._session.engine(app_dir, config.clientapp, self._client_log, self._progress)
        server_app = load_component(app_dir, config.serverapp)
        checkpoint = self._given.checkpoint
        earlier = self._client.get_object(checkpoint.digest) if checkpoint else None
        checkpoints = Checkpoints(self._reporter.checkpoint, earlier)
        self._session.lead(server_app, self._engine, self._reporter, checkpoints)

    def _progress(self, exchange: Exchange) -> None:
        self._reporter.progress(exchange.done, len(exchange.messages), exchange.failed)

    def _client_log(self, text: str, level: str, node_id: int | None) -> None:
        self._reporter.log(text, level, "clientapp", node_id)

    def _print(self, text: str, level: str) -> None:
        self._reporter.log(text, level, "serverapp")

    def _cause(self, error: BaseException) -> Cause:
        known = error if isinstance(error, UmbelError) else None
        loading = error.traceback if isinstance(error, AppLoadError) else ""
        return Cause(
            code=known.code if known else AppError.code,
            message=_clipped(known.message if known else f"{type(error).__name__}: {error}"),
            hint=known.hint if known else "Look at the traceback: the ServerApp raised this.",
            component="simulation" if known and not isinstance(known, AppError) else "serverapp",
            exception=type(error).__name__,
            traceback=_clipped(loading or app_traceback(error)),
            round=self._reporter.server_round,
        )


def _clipped(text: str) -> str:
    """The end of a text, which is where an exception says what it is, as far as it can be sent."""
    return text[-_LONGEST_CAUSE:].encode(errors="replace").decode()


class _LogHandler(QueueHandler):
    """Sends what is logged to the run's log. A record that cannot be formatted harms nobody."""

    def __init__(self, reporter: Reporter) -> None:
        super().__init__(SimpleQueue())
        self.setFormatter(logging.Formatter("%(message)s"))
        self._reporter = reporter

    def enqueue(self, record: logging.LogRecord) -> None:
        """Take a record whose text is made."""
        source: Source = "serverapp"
        for line in record.getMessage().splitlines():
            self._reporter.log(line, record.levelname, source)
