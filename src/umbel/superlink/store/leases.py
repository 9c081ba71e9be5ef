"""Which SuperLinks watch over which tasks."""

from __future__ import annotations

from sqlalchemy import Connection, delete, select, text

from umbel.superlink.store import tables
from umbel.superlink.store.database import Transaction

_lease = tables.lease
_task = tables.task
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
    """No process works on the task any more."""
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

    Nobody else finds out the same until the end of the transaction. On SQLite there is never another one.
    """
    if transaction.connection.dialect.name != "postgresql":
        return True
    lock = text("SELECT pg_try_advisory_xact_lock(:replica)")
    return bool(transaction.execute(lock, {"replica": replica}).scalar_one())


def forget(transaction: Transaction, replica: int) -> None:
    """The SuperLink has ended, and what it watched over is in other hands."""
    transaction.execute(delete(_lease).where(_lease.c.replica == replica))
