"""Reports of app processes: events, metrics, logs and artifacts."""

from __future__ import annotations

from operator import attrgetter
from typing import Any

import msgspec
from sqlalchemy import Connection, Row

from umbel.errors import ObjectInvalid, RequestInvalid
from umbel.superlink.auth.tokens import Principal
from umbel.superlink.domain.task import Activate, Exit, Finish, Stop
from umbel.superlink.domain.task import Report as Reported
from umbel.superlink.domain.waiting import AppWait
from umbel.superlink.objects.directory import ObjectDirectory
from umbel.superlink.services import views
from umbel.superlink.services.task_lifecycle import apply, own_task
from umbel.superlink.store import items, runs, tasks
from umbel.superlink.store.database import Transaction
from umbel.wire.api import Artifact, Directive, Event, FinishTask, LogLine, MetricPoint, Report, TaskExited, TaskInput

_APP_KINDS = {"round-started", "round-finished", "progress", "reply-dropped", "waiting", "note"}
_OURS = {"artifact"}  # written here for each artifact
_TOTALS = ("bytes_sent", "bytes_recv", "clientapp_seconds")


def take(transaction: Transaction, row: Row[Any], report: Report, objects: ObjectDirectory, now: float) -> list[Event]:
    """Store a report of the task in `row`; returns its `progress` events, which are live only.

    A repeated report changes nothing. Of a finished task only the logs are kept.
    Raises RequestInvalid for an event that an app may not send, ObjectInvalid for an artifact without its object.
    """
    _check_kinds(report)
    progressed = bool(report.artifacts) or any(event.kind == "round-finished" for event in report.events)
    if not apply(transaction, row, Reported(report.seq, progressed), now).accepted:
        return []
    _stamp(report, now)
    if row.state == "finished":
        items.append(transaction, row.run_id, report.logs)
        return []
    stored = [event for event in report.events if event.kind != "progress" and event.kind not in _OURS]
    points = items.without_repeats(transaction.connection, row.run_id, report.metrics, row.attempt)
    for artifact in report.artifacts:
        _add_artifact(transaction, row.run_id, artifact, objects)
        stored.append(_artifact_event(artifact))
    in_order: list[items.Item] = sorted([*stored, *report.logs, *points], key=attrgetter("at"))
    items.append(transaction, row.run_id, in_order, row.attempt)
    _update_run(transaction, row, report)
    return [event for event in report.events if event.kind == "progress"]


def _check_kinds(report: Report) -> None:
    for event in report.events:
        if event.kind not in _APP_KINDS | _OURS:
            raise RequestInvalid(f"App processes cannot report events of kind {event.kind!r}.")
        if event.kind == "waiting":
            _check_waiting(event)


def _check_waiting(event: Event) -> None:
    try:
        msgspec.convert(event.data, AppWait)
    except msgspec.ValidationError as error:
        raise RequestInvalid(f"Invalid data in a `waiting` event: {error}.") from None


def _stamp(report: Report, now: float) -> None:
    stamped: list[Event | LogLine | MetricPoint | Artifact] = []
    stamped += [*report.events, *report.logs, *report.metrics, *report.artifacts]
    for item in stamped:
        item.at = item.at or now


def _add_artifact(transaction: Transaction, run_id: int, artifact: Artifact, objects: ObjectDirectory) -> None:
    if not objects.has(artifact.digest):
        raise ObjectInvalid(
            f"Object {artifact.digest} of artifact {artifact.name} has not been uploaded.",
            hint="Upload the object before the report.",
        )
    artifact.size = objects.size(artifact.digest)
    runs.add(transaction, run_id, artifact)


def _artifact_event(artifact: Artifact) -> Event:
    data: dict[str, object] = {"name": artifact.name, "digest": artifact.digest, "size": artifact.size}
    return Event(kind="artifact", data=data, at=artifact.at)


def _update_run(transaction: Transaction, row: Row[Any], report: Report) -> None:
    run = runs.get(transaction.connection, row.run_id)
    values: dict[str, Any] = {}
    for event in report.events:
        values |= _from_event(event, run.round)
    totals = {name: max(getattr(report, name), getattr(row, name)) for name in _TOTALS}
    grown = {name: total - getattr(row, name) for name, total in totals.items()}
    values |= {name: getattr(run, name) + growth for name, growth in grown.items() if growth}
    if values:
        runs.change(transaction, row.run_id, values)
    if any(grown.values()):
        tasks.change(transaction, row.task_id, totals)


def _from_event(event: Event, last_round: int) -> dict[str, Any]:
    """The columns of the run that an event changes."""
    if event.kind == "waiting":
        return {"waiting": msgspec.json.encode(event.data).decode() if event.data.get("for") else None}
    values: dict[str, Any] = {}
    if isinstance(total := event.data.get("num_rounds"), int):
        values["num_rounds"] = total
    if event.kind == "round-finished" and isinstance(number := event.data.get("round"), int):
        values["round"] = max(number, last_round)
    return values


class Taken(msgspec.Struct, frozen=True):
    """An accepted report: its run, whether its task continues, and its live events."""

    run_id: int
    alive: bool
    progress: list[Event]


def begin(transaction: Transaction, who: Principal, moment: views.ViewContext) -> TaskInput:
    """Activate a task and return the input that its process needs to start or resume."""
    row = own_task(transaction.connection, who, for_update=True)
    apply(transaction, row, Activate(), moment.now)
    view = views.get(transaction.connection, row.run_id, moment)
    checkpoint = runs.checkpoint(transaction.connection, row.run_id)
    return TaskInput(run=view, attempt=row.attempt, checkpoint=checkpoint, last_seq=row.last_seq)


def report(transaction: Transaction, who: Principal, said: Report, objects: ObjectDirectory, now: float) -> Taken:
    """Take in a report of the task's process."""
    row = own_task(transaction.connection, who, for_update=True)
    live = take(transaction, row, said, objects, now)
    return Taken(row.run_id, row.state != "finished", live)


def finish(transaction: Transaction, who: Principal, said: FinishTask, now: float) -> None:
    """The process says how it ended."""
    row = own_task(transaction.connection, who, for_update=True)
    apply(transaction, row, Finish(said.outcome, said.cause), now)


def exited(transaction: Transaction, task_id: int, said: TaskExited, now: float) -> None:
    """The process is gone, whatever it said before."""
    row = tasks.get(transaction.connection, task_id, for_update=True)
    apply(transaction, row, Exit(said.returncode, tuple(said.log_tail), said.attempt), now)


def stop(transaction: Transaction, run_id: int, now: float) -> None:
    """Finish a run as stopped; one that has finished stays as it is. Raises NotFound."""
    runs.get(transaction.connection, run_id)
    apply(transaction, tasks.of_run(transaction.connection, run_id, for_update=True), Stop(), now)


def directive(connection: Connection, who: Principal, task_id: int) -> Directive:
    """What the task's process has to do; one that said itself how it ended is left to end by itself."""
    row = own_task(connection, who) if who.role == "task" else tasks.get(connection, task_id)
    over = row.state == "finished"
    return Directive(stop=row.state == "created" or (over and row.outcome == "stopped"), over=over)
