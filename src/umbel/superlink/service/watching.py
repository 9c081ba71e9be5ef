"""Which SuperLink watches over which tasks and nodes, and what becomes of those of one that has ended."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

from sqlalchemy import Connection

from umbel.superlink.domain.task import Restarted
from umbel.superlink.service.transitions import apply
from umbel.superlink.store import leases, nodes, tasks
from umbel.superlink.store.database import Transaction


class Watch(NamedTuple):
    """Who watches over what, as the database knows it."""

    replicas: set[int]  # the SuperLinks that watch over anything
    mine: set[int]  # the tasks of this one
    unwatched: set[int]  # tasks that are handed out, and nobody's


class Adopted(NamedTuple):
    """What this SuperLink watches over from now on."""

    tasks: list[int]
    nodes: list[int]


def look(connection: Connection, replica: int) -> Watch:
    """How things stand for this SuperLink."""
    return Watch(leases.replicas(connection), set(leases.held(connection, replica)), set(leases.unwatched(connection)))


def hold(transaction: Transaction, task_ids: Iterable[int], replica: int) -> None:
    """This SuperLink has heard of the processes of these tasks."""
    for task_id in task_ids:
        row = tasks.find(transaction.connection, task_id, for_update=True)
        if row is not None and row.state in ("claimed", "active"):
            leases.hold(transaction, task_id, replica)


def silent(transaction: Transaction, task_ids: Iterable[int], replica: int) -> list[int]:
    """Nothing is heard here of the processes of these tasks; returns those of which no other SuperLink hears anything."""
    found = []
    for task_id in task_ids:
        tasks.get(transaction.connection, task_id, for_update=True)
        if leases.drop(transaction, task_id, replica):
            found.append(task_id)
    return found


def adopt(transaction: Transaction, gone: Collection[int], replica: int, now: float) -> Adopted:
    """Take over from SuperLinks that have ended, if no other one does: their tasks get a fresh lease here, but for those
    whose process has ended with its SuperLink, which are handed out again.
    """
    adopted = Adopted([], [])
    for other in gone:
        if leases.is_gone(transaction, other):
            take_back(transaction, other, "its SuperLink ended", now)
            adopted.tasks.extend(leases.held(transaction.connection, other, own=False))
            adopted.nodes.extend(nodes.adopt(transaction, other, replica))
            leases.forget(transaction, other)
    found = {*adopted.tasks, *leases.unwatched(transaction.connection)}
    hold(transaction, found, replica)
    return Adopted(sorted(found), adopted.nodes)


def take_back(transaction: Transaction, replica: int, reason: str, now: float) -> None:
    """The SuperExec that belongs to a SuperLink is gone: what it had is handed out again."""
    for task_id in leases.held(transaction.connection, replica, own=True):
        apply(transaction, tasks.get(transaction.connection, task_id, for_update=True), Restarted(reason), now)
