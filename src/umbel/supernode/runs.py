"""Runs on a SuperNode: bundle, environment and settings."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from threading import Condition, Lock, Thread
from typing import TYPE_CHECKING

from umbel.bundle.install import install_fab, installed_fab
from umbel.bundle.load import load_app
from umbel.environments.install import Lifeline
from umbel.environments.requirements import may_install
from umbel.errors import AppInvalid, BundleInvalid, DependenciesMissing, UmbelError
from umbel.home import apps_dir
from umbel.supernode.jobs import Cancelled
from umbel.wire import objects

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from umbel.environments.prepare import Environment
    from umbel.supernode.resources import Budget, Need
    from umbel.supernode.state import StateDir
    from umbel.wire.messages import NodeRun
    from umbel.wire.programs import FleetClient


@dataclass
class _Preparation:
    """The environment of one run: ready, failed, or being prepared on `lifeline`."""

    lifeline: Lifeline = field(default_factory=Lifeline)
    environment: Environment | None = None
    failure: UmbelError | None = None
    is_installing: bool = False
    is_over: bool = False


class RunEnvironments:
    """Finds or builds an environment for each run, in a separate thread that continues if the requesting message is cancelled.

    `on_log` receives messages for the run's log: run ID, text, level.
    """

    def __init__(self, on_log: Callable[[int, str, str], None]) -> None:
        self._on_log = on_log
        self._changed = Condition()
        self._preparations: dict[int, _Preparation] = {}

    def get(
        self,
        run_id: int,
        dependencies: Sequence[str],
        is_cancelled: Callable[[], bool],
        on_install: Callable[[], None],
    ) -> Environment:
        """Wait for the run's environment; `on_install` is called when packages are being installed.

        Raises EnvironmentFailed, after which the next call tries again, or Cancelled when `is_cancelled` returns true while waiting.
        """
        with self._changed:
            preparation = self._preparations.get(run_id) or self._begin(run_id, dependencies)
            while preparation.environment is None:
                if preparation.failure is not None:
                    raise preparation.failure
                if is_cancelled():
                    raise Cancelled
                if preparation.is_installing:
                    on_install()
                self._changed.wait()
        return preparation.environment

    def wake(self) -> None:
        """Let waiting threads check `is_cancelled` again."""
        with self._changed:
            self._changed.notify_all()

    def end_run(self, run_id: int) -> None:
        """Cancel or release the environment of a run that has ended."""
        with self._changed:
            preparation = self._preparations.pop(run_id, None)
        if preparation is not None:
            self._end(preparation)

    def close(self) -> None:
        """Cancel or release the environments of all runs."""
        for run_id in list(self._preparations):
            self.end_run(run_id)

    def _begin(self, run_id: int, dependencies: Sequence[str]) -> _Preparation:
        preparation = self._preparations[run_id] = _Preparation()
        work = Thread(
            target=self._make, args=(run_id, preparation, dependencies), name=f"environment {run_id}", daemon=True
        )
        work.start()
        return preparation

    def _end(self, preparation: _Preparation) -> None:
        with self._changed:
            preparation.is_over = True
            preparation.lifeline.cut()
            if preparation.environment is not None:
                preparation.environment.close()

    # The thread that prepares a run's environment.

    def _make(self, run_id: int, preparation: _Preparation, dependencies: Sequence[str]) -> None:
        failure: UmbelError | None = UmbelError(
            "Internal error in the SuperNode (a bug in Umbel).", hint="See the traceback in its log."
        )
        environment = None
        try:
            environment, failure = self._prepare(run_id, preparation, dependencies), None
        except UmbelError as error:
            failure = error
        finally:
            self._finish(run_id, preparation, environment, failure)

    def _prepare(self, run_id: int, preparation: _Preparation, dependencies: Sequence[str]) -> Environment:
        from umbel.environments.prepare import prepare

        def on_wait(what: str) -> None:
            self._on_log(run_id, f"Waiting for its environment: {what}.", "INFO")
            with self._changed:
                preparation.is_installing = True
                self._changed.notify_all()

        try:
            return prepare(dependencies, allowed=may_install(), on_wait=on_wait, lifeline=preparation.lifeline)
        except (AppInvalid, DependenciesMissing) as lacking:
            self._on_log(run_id, str(lacking), "WARNING")
            return prepare([], allowed=False)  # the app may work without them: its imports decide

    def _finish(
        self, run_id: int, preparation: _Preparation, environment: Environment | None, failure: UmbelError | None
    ) -> None:
        with self._changed:
            preparation.environment, preparation.failure = environment, failure
            if failure is not None and self._preparations.get(run_id) is preparation:
                del self._preparations[run_id]
            if preparation.is_over and environment is not None:
                environment.close()
            self._changed.notify_all()


_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class PreparedRun:
    """A run whose app is installed on this node.

    `clientapp` is "module:attribute" in `app_dir`, `dependencies` are the app's declared requirements, `need` the resources of one client.
    """

    run: NodeRun
    app_dir: Path
    clientapp: str
    dependencies: list[str]
    need: Need


class Runs:
    """The runs of which this node serves messages, with their installed apps."""

    def __init__(self, client: FleetClient, state: StateDir, budget: Budget) -> None:
        self._client = client
        self._state = state
        self._budget = budget
        self._prepared: dict[int, PreparedRun] = {}
        self._preparing: defaultdict[int, Lock] = defaultdict(Lock)
        self._lock = Lock()

    def prepare(self, run_id: int) -> PreparedRun:
        """Install the run's app, unless that is done already. Raises any error of the API, BundleInvalid, AppInvalid, StorageFull."""
        with self._lock:
            lock = self._preparing[run_id]
        with lock:
            if run_id not in self._prepared:
                self._prepared[run_id] = self._prepare(run_id)
            return self._prepared[run_id]

    def run_ids(self) -> list[int]:
        """The IDs of the runs that have files in the state directory."""
        return self._state.runs()

    def end_run(self, run_id: int) -> None:
        """Remove the files of a run that has ended."""
        self._prepared.pop(run_id, None)
        self._preparing.pop(run_id, None)
        self._state.remove_run(run_id)

    def _prepare(self, run_id: int) -> PreparedRun:
        run, apps = self._client.run(run_id), apps_dir()
        if not _DIGEST.fullmatch(run.fab_hash):
            raise BundleInvalid(f"Invalid bundle hash of run {run_id}.")
        app_dir = installed_fab(apps, run.fab_hash) or install_fab(objects.get(self._client.http, run.fab_hash), apps)
        config = load_app(app_dir)
        self._state.begin_run(run_id)
        return PreparedRun(run, app_dir, config.clientapp, config.dependencies, self._budget.need(config.federation))
