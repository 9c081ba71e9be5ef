"""Queries on tasks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, select, update

from umbel.errors import NotFound
from umbel.superlink.domain.task import Task
from umbel.superlink.store import tables
from umbel.superlink.store.database import Transaction

_task = tables.task


def insert(transaction: Transaction, *, task_id: int, run_id: int, kind: str, created_at: float) -> None:
    """Add a created task."""
    values = {"task_id": task_id, "run_id": run_id, "kind": kind, "state": "created", "created_at": created_at}
    transaction.execute(_task.insert().values(**values))


def find(connection: Connection, task_id: int, *, for_update: bool = False) -> Row[Any] | None:
    """The row of a task, if there is one."""
    query = select(_task).where(_task.c.task_id == task_id)
    return connection.execute(query.with_for_update() if for_update else query).one_or_none()


def get(connection: Connection, task_id: int, *, for_update: bool = False) -> Row[Any]:
    """The row of a task. Raises NotFound."""
    row = find(connection, task_id, for_update=for_update)
    if row is None:
        raise NotFound(f"There is no task {task_id}.")
    return row


def of_run(connection: Connection, run_id: int, *, for_update: bool = False) -> Row[Any]:
    """The row of a run's task."""
    query = select(_task).where(_task.c.run_id == run_id)
    return connection.execute(query.with_for_update() if for_update else query).one()


def oldest_created(connection: Connection, kinds: Sequence[str]) -> Row[Any] | None:
    """The task to hand out next; two SuperLinks on one database never see the same one."""
    query = select(_task).where(_task.c.state == "created", _task.c.kind.in_(list(kinds)))
    query = query.order_by(_task.c.created_at, _task.c.task_id).limit(1).with_for_update(skip_locked=True)
    return connection.execute(query).one_or_none()


def unfinished(connection: Connection) -> list[Row[Any]]:
    """All tasks that have not finished, oldest first."""
    query = select(_task).where(_task.c.state != "finished").order_by(_task.c.created_at, _task.c.task_id)
    return list(connection.execute(query))


def change(transaction: Transaction, task_id: int, values: dict[str, Any]) -> None:
    """Set columns of a task."""
    transaction.execute(update(_task).where(_task.c.task_id == task_id).values(**values))


def to_domain(row: Row[Any]) -> Task:
    """The state of a task from its row."""
    return Task(state=row.state, attempt=row.attempt, losses=row.losses, outcome=row.outcome, last_seq=row.last_seq)


def from_domain(task: Task) -> dict[str, Any]:
    """The columns that hold the state of a task."""
    return {
        "state": task.state,
        "attempt": task.attempt,
        "losses": task.losses,
        "outcome": task.outcome,
        "last_seq": task.last_seq,
    }
