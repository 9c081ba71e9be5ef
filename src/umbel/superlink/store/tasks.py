"""Tasks and their leases in the database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, select, text, update

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
        raise NotFound(f"Task {task_id} does not exist.")
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


_lease = tables.lease
_node = tables.node


def hold(transaction: Transaction, task_id: int, replica: int, *, own: bool = False) -> None:
    """This SuperLink has heard of the task's process; `own`: its SuperExec, which ends with it, has the task."""
    transaction.insert_new(_lease, [{"task_id": task_id, "replica": replica, "own": own}])


def drop(transaction: Transaction, task_id: int, replica: int) -> bool:
    """The process is silent for this SuperLink; whether it is for every other one too."""
    mine = (_lease.c.task_id == task_id) & (_lease.c.replica == replica)
    transaction.execute(delete(_lease).where(mine))
    return transaction.execute(select(_lease.c.replica).where(_lease.c.task_id == task_id).limit(1)).first() is None


def end(transaction: Transaction, task_id: int) -> None:
    """Delete the leases of a task that no process works on any longer."""
    transaction.execute(delete(_lease).where(_lease.c.task_id == task_id))


def held(connection: Connection, replica: int, *, own: bool | None = None) -> list[int]:
    """The tasks over which a SuperLink watches: all, or those that are with its own SuperExec, or those that are not."""
    query = select(_lease.c.task_id).where(_lease.c.replica == replica)
    query = query if own is None else query.where(_lease.c.own.is_(own))
    return list(connection.execute(query.order_by(_lease.c.task_id)).scalars())


def unwatched(connection: Connection) -> list[int]:
    """The tasks that are handed out, and no SuperLink watches over them."""
    watched = select(_lease.c.task_id).where(_lease.c.task_id == _task.c.task_id)
    query = select(_task.c.task_id).where(_task.c.state.in_(("claimed", "active")), ~watched.exists())
    return list(connection.execute(query.order_by(_task.c.task_id)).scalars())


def replicas(connection: Connection) -> set[int]:
    """The SuperLinks that watch over anything."""
    of_tasks = select(_lease.c.replica).distinct()
    of_nodes = select(_node.c.replica).where(_node.c.replica.is_not(None), _node.c.state != "offline").distinct()
    return set(connection.execute(of_tasks.union(of_nodes)).scalars())


def is_gone(transaction: Transaction, replica: int) -> bool:
    """Whether a SuperLink has ended: it held a lock of the database for as long as it lived.

    No other SuperLink obtains the same result until the end of the transaction. On SQLite there is never another one.
    """
    if transaction.connection.dialect.name != "postgresql":
        return True
    lock = text("SELECT pg_try_advisory_xact_lock(:replica)")
    return bool(transaction.execute(lock, {"replica": replica}).scalar_one())


def forget(transaction: Transaction, replica: int) -> None:
    """The SuperLink has ended, and what it watched over is in other hands."""
    transaction.execute(delete(_lease).where(_lease.c.replica == replica))
