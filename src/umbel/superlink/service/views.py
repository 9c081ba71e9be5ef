"""A run as everybody sees it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, Row

from umbel.superlink.domain import task as task_domain
from umbel.superlink.domain.sites import Exchange
from umbel.superlink.domain.waiting import AppWait, Queue, waiting_for
from umbel.superlink.executors import Executors
from umbel.superlink.service import waits
from umbel.superlink.service.waits import ProgressOf, clock_time
from umbel.superlink.store import runs, tasks
from umbel.wire.api import BundleInfo, Cause, Config, RunView


class Moment(NamedTuple):
    """What a view shows beside the database. `full_since` is when that has run out of room."""

    executors: Executors
    now: float
    full_since: float | None
    progress_of: ProgressOf


def get(connection: Connection, run_id: int, moment: Moment) -> RunView:
    """One run, with the sites for which it waits. Raises NotFound."""
    row = runs.get(connection, run_id)
    return _views(connection, [row], moment, sites=True)[0]


def newest(connection: Connection, limit: int, moment: Moment) -> list[RunView]:
    """The newest runs, newest first."""
    return _views(connection, runs.newest(connection, limit), moment, sites=False)


def _views(connection: Connection, rows: Sequence[Row[Any]], moment: Moment, *, sites: bool) -> list[RunView]:
    waiting = any(row.status != "finished" for row in rows)
    unfinished = tasks.unfinished(connection) if waiting else []
    views = []
    for row in rows:
        task = tasks.of_run(connection, row.run_id)
        running = row.status == "running"
        exchange = waits.exchange(connection, row.run_id, moment.progress_of) if running else None
        view = _view(row, task, _queue(task, unfinished, moment.executors, moment.now), moment, exchange)
        if sites and exchange is not None:
            view.sites = waits.listed(exchange, clock_time)
        views.append(view)
    return views


def _view(row: Row[Any], task: Row[Any], queue: Queue, moment: Moment, exchange: Exchange | None) -> RunView:
    state = tasks.to_domain(task)
    app = msgspec.json.decode(row.waiting, type=AppWait, strict=False) if row.waiting else None
    serving = moment.now - task.active_at if task.active_at is not None else 0.0
    return RunView(
        run_id=row.run_id,
        bundle=BundleInfo(fab_id=row.fab_id, fab_version=row.fab_version, fab_hash=row.fab_hash, size=row.fab_size),
        federation=row.federation,
        status=row.status,
        sub_status=row.sub_status,
        cause=msgspec.json.decode(row.cause, type=Cause) if row.cause else None,
        waiting_for=waiting_for(row.status, state, queue, app, clock_time, moment.full_since, exchange),
        run_config=msgspec.json.decode(row.run_config, type=Config),
        federation_config=msgspec.json.decode(row.federation_config, type=Config),
        attempts=task_domain.started_attempts(state),
        serverapp_seconds=row.serverapp_seconds + max(0.0, serving),
        **{name: getattr(row, name) for name in _PLAIN},
    )


_PLAIN = (
    "seed", "round", "num_rounds", "pending_at", "starting_at", "running_at", "finished_at",
    "bytes_sent", "bytes_recv", "clientapp_seconds",
)  # fmt: skip


def _queue(task: Row[Any], unfinished: list[Row[Any]], executors: Executors, now: float) -> Queue:
    like = [row for row in unfinished if row.kind == task.kind]
    running = [row for row in like if row.state != "created"]
    created = [row.task_id for row in like if row.state == "created"]
    return Queue(
        running=tuple(row.run_id for row in running),
        ahead=created.index(task.task_id) if task.task_id in created else 0,
        slots=executors.slots(task.kind, {row.executor for row in running}, now),
        last_asked=executors.last_asked,
    )
