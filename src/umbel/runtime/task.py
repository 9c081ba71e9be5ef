"""One attempt at a run, from the task's input to its outcome."""

from __future__ import annotations

import logging
import sys
from abc import ABC, abstractmethod
from contextlib import suppress
from logging.handlers import QueueHandler
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Self

from umbel.bundle import AppConfig, install_fab, load_app
from umbel.engine.clients import LineCapture
from umbel.engine.loader import app_traceback
from umbel.errors import AppError, AppLoadError, UmbelError
from umbel.home import apps_dir, runs_dir
from umbel.runtime.program import ensure_dependencies
from umbel.runtime.reporter import Reporter
from umbel.serverapp.grid import Run
from umbel.wire.api import Cause, FinishTask, Source, TaskInput
from umbel.wire.programs import RuntimeClient

_LONGEST_CAUSE = 50_000  # characters


class Task(ABC):
    """Runs an app and reports to the SuperLink. As a context manager, it ends what it started."""

    program: Source

    def __init__(self, client: RuntimeClient, task_id: int, given: TaskInput) -> None:
        """Redirect the output of this process to the run's log."""
        self.client = client
        self.task_id = task_id
        self.given = given
        self.run = Run(given.run.run_id, given.run.seed)
        self.scratch = runs_dir() / str(self.run.run_id)  # the SuperExec removes it when the run has finished
        self.reporter = Reporter(client, task_id, source=self.program, last_seq=given.last_seq)
        self._output = LineCapture(self._print, "INFO"), LineCapture(self._print, "WARNING")
        sys.stdout, sys.stderr = self._output
        logging.basicConfig(level=logging.INFO, handlers=[_LogHandler(self.reporter)], force=True)

    @abstractmethod
    def run_serverapp(self, app_dir: Path, app: AppConfig, checkpoint: bytes | None) -> None:
        """Run the ServerApp of the app in `app_dir`, resuming from `checkpoint` if there is one. Raises the exceptions of the app."""

    @abstractmethod
    def close(self) -> None:
        """End what `run_serverapp` started. The reporter is closed by then."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
        self.reporter.close()  # first: threads that serve clients may wait for it
        self.close()

    def execute(self) -> FinishTask:
        """Run the app and flush its reports; returns the outcome."""
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
        self.reporter.flush()

    def _run(self) -> None:
        app_dir = install_fab(self.client.get_object(self.given.run.bundle.fab_hash), apps_dir())
        app = load_app(app_dir)
        ensure_dependencies(app.dependencies, self.reporter)
        checkpoint = self.given.checkpoint
        earlier = self.client.get_object(checkpoint.digest) if checkpoint else None
        self.run_serverapp(app_dir, app, earlier)

    def _print(self, text: str, level: str) -> None:
        self.reporter.log(text, level, "serverapp")

    def _cause(self, error: BaseException) -> Cause:
        known = error if isinstance(error, UmbelError) else None
        loading = error.traceback if isinstance(error, AppLoadError) else ""
        return Cause(
            code=known.code if known else AppError.code,
            message=_clipped(known.message if known else f"{type(error).__name__}: {error}"),
            hint=known.hint if known else "See the traceback: the ServerApp raised this exception.",
            component=self.program if known and not isinstance(known, AppError) else "serverapp",
            exception=type(error).__name__,
            traceback=_clipped(loading or app_traceback(error)),
            round=self.reporter.server_round,
        )


def _clipped(text: str) -> str:
    """The end of a text, where a traceback names the exception; lone surrogates are replaced."""
    return text[-_LONGEST_CAUSE:].encode(errors="replace").decode()


class _LogHandler(QueueHandler):
    """A logging handler that sends records to the run's log. A record that cannot be formatted is skipped."""

    def __init__(self, reporter: Reporter) -> None:
        super().__init__(SimpleQueue())
        self.setFormatter(logging.Formatter("%(message)s"))
        self._reporter = reporter

    def enqueue(self, record: logging.LogRecord) -> None:
        """Send each line of a formatted record."""
        source: Source = "serverapp"
        for line in record.getMessage().splitlines():
            self._reporter.log(line, record.levelname, source)
