"""A run as everybody sees it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, Row

from umbel.superlink.domain import task as task_domain
from umbel.superlink.domain.waiting import AppWait, Queue, waiting_for
from umbel.superlink.executors import Executors
from umbel.superlink.store import runs, tasks
from umbel.wire.api import BundleInfo, Cause, Config, RunView


def get(
    connection: Connection, run_id: int, executors: Executors, now: float, full_since: float | None = None
) -> RunView:
    """One run; `full_since` as in `waiting_for`. Raises NotFound."""
    return _views(connection, [runs.get(connection, run_id)], executors, now, full_since)[0]


def newest(
    connection: Connection, limit: int, executors: Executors, now: float, full_since: float | None = None
) -> list[RunView]:
    """The newest runs, newest first; `full_since` as in `waiting_for`."""
    return _views(connection, runs.newest(connection, limit), executors, now, full_since)


def _views(
    connection: Connection, rows: Sequence[Row[Any]], executors: Executors, now: float, full_since: float | None
) -> list[RunView]:
    waiting = any(row.status != "finished" for row in rows)
    unfinished = tasks.unfinished(connection) if waiting else []
    queues = ((row, tasks.of_run(connection, row.run_id)) for row in rows)
    return [_view(row, task, _queue(task, unfinished, executors, now), now, full_since) for row, task in queues]


def _view(row: Row[Any], task: Row[Any], queue: Queue, now: float, full_since: float | None) -> RunView:
    state = tasks.to_domain(task)
    app = msgspec.json.decode(row.waiting, type=AppWait, strict=False) if row.waiting else None
    serving = now - task.active_at if task.active_at is not None else 0.0
    return RunView(
        run_id=row.run_id,
        bundle=BundleInfo(fab_id=row.fab_id, fab_version=row.fab_version, fab_hash=row.fab_hash, size=row.fab_size),
        federation=row.federation,
        status=row.status,
        sub_status=row.sub_status,
        cause=msgspec.json.decode(row.cause, type=Cause) if row.cause else None,
        waiting_for=waiting_for(row.status, state, queue, app, _clock, full_since),
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


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at).astimezone().strftime("%H:%M:%S")
