"""Submission of runs and their federation configuration."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from umbel.bundle.suggest import did_you_mean
from umbel.errors import BundleInvalid, ConfigError, RequestInvalid, UnknownConfigKey
from umbel.superlink.domain.run import Run
from umbel.superlink.domain.task import Task
from umbel.superlink.objects.directory import ObjectDirectory
from umbel.superlink.services.task_lifecycle import new_run_events
from umbel.superlink.store import items, runs, tasks
from umbel.superlink.store.database import Transaction
from umbel.superlink.waiting.wakeups import TASKS
from umbel.wire.api import BundleInfo, Config, StartRun

if TYPE_CHECKING:
    from umbel.bundle.config import AppConfig


Check = Callable[[Any], bool]


def _number(low: float, *, above: bool = False, high: float = math.inf) -> Check:
    def check(value: Any) -> bool:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            return False
        return (value > low if above else value >= low) and value <= high

    return check


def _whole(low: int, high: float = math.inf) -> Check:
    def check(value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high

    return check


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _truth(value: Any) -> bool:
    return isinstance(value, bool)


_FEDERATION: dict[str, tuple[Check, str]] = {
    "num-supernodes": (_whole(1, 10_000_000), "an integer from 1 to 10000000"),
    "client-resources-num-cpus": (_number(0, above=True), "a number greater than 0"),
    "client-resources-num-gpus": (_number(0), "a number of at least 0"),
    "backend": (lambda value: value in ("local", "inline"), "`local` or `inline`"),
    "max-workers": (_whole(1), "an integer of at least 1"),
    "verbose": (_truth, "true or false"),
    "backend-name": (_text, "a text"),
    "init-args-num-cpus": (_number(0), "a number of at least 0"),
    "init-args-num-gpus": (_number(0), "a number of at least 0"),
    "init-args-logging-level": (_text, "a text"),
    "init-args-log-to-driver": (_truth, "true or false"),
}


def check(config: Config) -> Config:
    """The federation config with its keys in kebab-case.

    Raises UnknownConfigKey for an unknown key, ConfigError for a value out of range.
    """
    checked: Config = {}
    for given, value in config.items():
        key = _key(given)
        if key not in _FEDERATION:
            hint = did_you_mean(given, _FEDERATION)
            raise UnknownConfigKey(f"Unknown federation-config key `{given}`.", hint=hint)
        fits, allowed = _FEDERATION[key]
        if not fits(value):
            raise ConfigError(f"Invalid federation-config value: {key} = {value!r}.", hint=f"Expected {allowed}.")
        checked[key] = value
    return checked


def suggested(config: Config) -> Config:
    """The app's own suggestion for a federation, without the keys that are not known here."""
    return {key: value for key, value in config.items() if _key(key) in _FEDERATION}


def _key(given: str) -> str:
    return given.removeprefix("options.").replace("_", "-")


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
        raise RequestInvalid("The seed must fit into 64 bits.")
    for field in ("federation", "request_id"):
        if len(getattr(request, field)) > 200:
            raise RequestInvalid(f"The field {field} is longer than 200 characters.")
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
        return check(suggested(app.federation) | request.federation_config)
    if request.federation_config:
        raise ConfigError(
            f"The clients of this SuperLink are real sites, but {', '.join(request.federation_config)} applies to simulations only.",
            hint="Omit --federation-config and the connection's `options`, or use the connection of a simulation.",
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
