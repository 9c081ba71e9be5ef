"""Task claims, transitions, progress and completion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row

from umbel.errors import Unauthenticated
from umbel.superlink.auth.tokens import Principal, check_attempt, task_token
from umbel.superlink.domain import run as run_domain
from umbel.superlink.domain import task as task_domain
from umbel.superlink.domain.task import Claim, LeaseLost
from umbel.superlink.store import contents, items, messages, runs, tasks
from umbel.superlink.store.database import Transaction
from umbel.superlink.waiting.wakeups import TASKS, node_topic, task_topic
from umbel.wire.api import ClaimedTask, ClaimTask, Event


def own_task(connection: Connection, who: Principal, *, for_update: bool = False) -> Row[Any]:
    """The row of the task whose token `who` has. Raises Unauthenticated, or PermissionRefused for an earlier attempt."""
    row = tasks.find(connection, who.task_id, for_update=for_update)
    if row is None:
        raise Unauthenticated("The token is not valid for this SuperLink.")
    check_attempt(who, row.attempt, row.token_hash)
    return row


_ALL = 2**62


def close(transaction: Transaction, run_id: int) -> None:
    """The run has ended: its messages, contents and journal go, and the nodes that took part in it hear of it."""
    transaction.topics |= {node_topic(node_id) for node_id in messages.participants(transaction.connection, run_id)}
    announce_end(transaction, messages.unfinished(transaction.connection, run_id, for_update=True))
    messages.delete_to(transaction, run_id, _ALL)
    messages.delete_journal_to(transaction, run_id, _ALL)
    contents.drop_unused(transaction, run_id)


def announce_end(transaction: Transaction, rows: Sequence[Row[Any]]) -> None:
    """These unfinished messages are about to be deleted: their nodes hear of it, and what they have put for them goes."""
    transaction.topics |= {node_topic(row.node_id) for row in rows}
    contents.release_messages(transaction, [row.message_id for row in rows])


def apply(transaction: Transaction, row: Row[Any], event: task_domain.TaskEvent, now: float) -> task_domain.Step:
    """Let `event` happen to the task in `row` and to its run. Raises Conflict where it does not fit."""
    before = tasks.to_domain(row)
    step = task_domain.step(before, event, now)
    if step.task == before:
        return step
    tasks.change(transaction, row.task_id, tasks.from_domain(step.task) | _bookkeeping(row, step.task, now))
    changed = (step.task.state, step.task.attempt) != (before.state, before.attempt)
    events = [_task_event(row.task_id, step, now)] if changed else []
    if step.run is not None:
        events += _change_run(transaction, row.run_id, step, now)
    items.append(transaction, row.run_id, events)
    if changed:
        _after_change(transaction, row, step.task, now)
    return step


def _change_run(transaction: Transaction, run_id: int, step: task_domain.Step, now: float) -> list[Event]:
    assert step.run is not None
    before = runs.to_domain(runs.get(transaction.connection, run_id, for_update=True))
    after = run_domain.step(before, step.run)
    if after == before:
        return []
    runs.change(transaction, run_id, runs.from_domain(after))
    return [status_event(after, step.reason, now)]


def status_event(run: run_domain.Run, reason: str, now: float) -> Event:
    """The transition event of a run."""
    data: dict[str, object] = {"status": run.status, "reason": reason}
    if run.sub_status is not None:
        data["sub_status"] = run.sub_status
    return Event(kind="status", data=data, at=now)


def task_event(task_id: int, task: task_domain.Task, reason: str, now: float) -> Event:
    """The transition event of a task."""
    data: dict[str, object] = {"task_id": task_id, "state": task.state, "attempt": task.attempt, "reason": reason}
    return Event(kind="task", data=data, at=now)


def _task_event(task_id: int, step: task_domain.Step, now: float) -> Event:
    return task_event(task_id, step.task, step.reason, now)


def _bookkeeping(row: Row[Any], task: task_domain.Task, now: float) -> dict[str, Any]:
    """The columns beside the state: an attempt that begins has its time, one that is over leaves no token behind."""
    if task.state == "active" and row.state != "active":
        return {"active_at": now}
    if task.state == "created":
        return {
            "active_at": None,
            "token_hash": None,
            "executor": None,
            "bytes_sent": 0,
            "bytes_recv": 0,
            "clientapp_seconds": 0.0,
        }
    return {"active_at": None} if task.state == "finished" else {}


def _after_change(transaction: Transaction, row: Row[Any], task: task_domain.Task, now: float) -> None:
    transaction.topics.add(task_topic(row.task_id))
    if row.active_at is not None:
        served = runs.get(transaction.connection, row.run_id).serverapp_seconds + max(0.0, now - row.active_at)
        runs.change(transaction, row.run_id, {"serverapp_seconds": served})
    if task.state in ("created", "finished"):
        transaction.topics.add(TASKS)
        transaction.released.add(row.task_id)
        tasks.end(transaction, row.task_id)
        runs.change(transaction, row.run_id, {"waiting": None})
    if task.state == "finished":
        transaction.finished.add(row.run_id)
        close(transaction, row.run_id)
        contents.release_all(transaction, row.run_id)


def new_run_events(run: run_domain.Run, task_id: int, task: task_domain.Task, now: float) -> list[Event]:
    """The first events of a run."""
    return [status_event(run, "started on request", now), task_event(task_id, task, "for the run", now)]


def claim(transaction: Transaction, request: ClaimTask, now: float) -> ClaimedTask | None:
    """The oldest task that waits, with a token for this attempt; None when there is none."""
    row = tasks.oldest_created(transaction.connection, request.kinds)
    if row is None:
        return None
    token, token_hash = task_token(row.task_id, row.attempt)
    tasks.change(transaction, row.task_id, {"executor": request.executor, "token_hash": token_hash})
    apply(transaction, row, Claim(request.executor), now)
    return ClaimedTask(task_id=row.task_id, run_id=row.run_id, kind=row.kind, attempt=row.attempt, token=token)


def lose(transaction: Transaction, task_ids: list[int], seconds: float, now: float) -> None:
    """The leases of these tasks have run out after `seconds` of silence."""
    for task_id in task_ids:
        apply(transaction, tasks.get(transaction.connection, task_id, for_update=True), LeaseLost(seconds), now)
