"""The runs that a node serves: each one's app is fetched and unpacked once."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

from umbel.bundle.install import install_fab, installed_fab
from umbel.bundle.load import load_app
from umbel.errors import BundleInvalid
from umbel.home import apps_dir
from umbel.wire import objects

if TYPE_CHECKING:
    from pathlib import Path

    from umbel.supernode.budget import Budget, Need
    from umbel.supernode.statedir import StateDir
    from umbel.wire.fleet import FleetClient
    from umbel.wire.messages import NodeRun

_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class PreparedRun:
    """A run whose app is here.

    `clientapp` is "module:attribute" in `app_dir`, `dependencies` what the app declares, `need` what one client uses.
    """

    run: NodeRun
    app_dir: Path
    clientapp: str
    dependencies: list[str]
    need: Need


class Runs:
    """What is known of the runs."""

    def __init__(self, client: FleetClient, state: StateDir, budget: Budget) -> None:
        self._client = client
        self._state = state
        self._budget = budget
        self._prepared: dict[int, PreparedRun] = {}
        self._preparing: defaultdict[int, Lock] = defaultdict(Lock)
        self._lock = Lock()

    def prepare(self, run_id: int) -> PreparedRun:
        """The run, with its app in place. Raises any error of the API, BundleInvalid, AppInvalid, StorageFull."""
        with self._lock:
            lock = self._preparing[run_id]
        with lock:
            if run_id not in self._prepared:
                self._prepared[run_id] = self._prepare(run_id)
            return self._prepared[run_id]

    def kept(self) -> list[int]:
        """The runs of which something is kept."""
        return self._state.runs()

    def over(self, run_id: int) -> None:
        """The run has ended: nothing of it is needed any more."""
        self._prepared.pop(run_id, None)
        self._preparing.pop(run_id, None)
        self._state.remove_run(run_id)

    def _prepare(self, run_id: int) -> PreparedRun:
        run, apps = self._client.run(run_id), apps_dir()
        if not _DIGEST.fullmatch(run.fab_hash):
            raise BundleInvalid(f"The hash of run {run_id}'s bundle is none.")
        app_dir = installed_fab(apps, run.fab_hash) or install_fab(objects.get(self._client.http, run.fab_hash), apps)
        config = load_app(app_dir)
        self._state.begin_run(run_id)
        return PreparedRun(run, app_dir, config.clientapp, config.dependencies, self._budget.need(config.federation))
