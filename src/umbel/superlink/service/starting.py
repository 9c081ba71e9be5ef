"""Start a run: validate what a person asks for and store it as a pending run with its task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from umbel.errors import BundleInvalid, ConfigError, RequestInvalid
from umbel.superlink.domain.run import Run
from umbel.superlink.domain.task import Task
from umbel.superlink.objects.directory import ObjectDirectory
from umbel.superlink.service import federation_config
from umbel.superlink.service.transitions import new_run_events
from umbel.superlink.store import items, runs, tasks
from umbel.superlink.store.database import Transaction
from umbel.superlink.wakeups import TASKS
from umbel.wire.api import BundleInfo, Config, StartRun

if TYPE_CHECKING:
    from umbel.bundle.config import AppConfig

Kind = Literal["simulation", "serverapp"]  # of a run's task: whether its clients are simulated or real sites

_DEFAULT_FEDERATION: dict[Kind, str] = {"simulation": "@local/default", "serverapp": "default"}
_MAX_BUNDLE = 256 * 1024 * 1024  # bytes that are read into memory; the bundle's own rules are stricter
_MAX_SEED = 2**63


def read_app(objects: ObjectDirectory, fab_hash: str) -> AppConfig:
    """What the bundle says about its app. Blocks. Raises NotFound, BundleInvalid."""
    from umbel.bundle import read_fab

    if objects.size(fab_hash) > _MAX_BUNDLE:
        raise BundleInvalid(f"The bundle is larger than {_MAX_BUNDLE >> 20} MiB.")
    return read_fab(objects.path(fab_hash).read_bytes()).config


def plan(request: StartRun, app: AppConfig, size: int, kind: Kind) -> dict[str, object]:
    """The columns of the new run. Raises UnknownConfigKey, ConfigError, RequestInvalid."""
    from umbel.bundle import merge_config

    if not -_MAX_SEED <= request.seed < _MAX_SEED:
        raise RequestInvalid("The seed does not fit into 64 bits.")
    for field in ("federation", "request_id"):
        if len(getattr(request, field)) > 200:
            raise RequestInvalid(f"The field {field} has more than 200 characters.")
    bundle = BundleInfo(fab_id=app.fab_id, fab_version=app.version, fab_hash=request.fab_hash, size=size)
    return {
        "fab_id": bundle.fab_id,
        "fab_version": bundle.fab_version,
        "fab_hash": bundle.fab_hash,
        "fab_size": bundle.size,
        "federation": request.federation or _DEFAULT_FEDERATION[kind],
        "run_config": _json(merge_config(app.config, request.run_config)),
        "federation_config": _json(_federation(request, app, kind)),
        "seed": request.seed,
        "request_id": request.request_id or None,
    }


def _federation(request: StartRun, app: AppConfig, kind: Kind) -> Config:
    if kind == "simulation":
        return federation_config.check(federation_config.suggested(app.federation) | request.federation_config)
    if request.federation_config:
        raise ConfigError(
            f"This SuperLink's clients are real sites: {', '.join(request.federation_config)} is for a simulation.",
            hint="Leave --federation-config away, and `options` in the connection; or name the connection of a simulation.",
        )
    return {}


def insert(
    transaction: Transaction, planned: dict[str, object], kind: Kind, *, run_id: int, task_id: int, now: float
) -> int:
    """Store the run and its task; returns the run's id: of an earlier run, if the request came before."""
    request_id = planned["request_id"]
    if isinstance(request_id, str) and (known := runs.by_request(transaction.connection, request_id)):
        return int(known.run_id)
    runs.insert(transaction, {**planned, "run_id": run_id, "pending_at": now})
    tasks.insert(transaction, task_id=task_id, run_id=run_id, kind=kind, created_at=now)
    items.append(transaction, run_id, new_run_events(Run(), task_id, Task(), now))
    transaction.topics.add(TASKS)
    return run_id


def _json(config: object) -> str:
    return msgspec.json.encode(config).decode()
