"""Take-over of tasks and nodes from SuperLinks and SuperExecs that died."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

from sqlalchemy import Connection

from umbel.superlink.domain.task import Restarted
from umbel.superlink.services.task_lifecycle import apply
from umbel.superlink.store import nodes, tasks
from umbel.superlink.store.database import Transaction


class Watch(NamedTuple):
    """Who watches over what, as the database knows it."""

    replicas: set[int]  # the SuperLinks that watch over anything
    mine: set[int]  # the tasks of this one
    unwatched: set[int]  # claimed tasks without a monitoring SuperLink


class Adopted(NamedTuple):
    """What this SuperLink watches over from now on."""

    tasks: list[int]
    nodes: list[int]


def look(connection: Connection, replica: int) -> Watch:
    """How things stand for this SuperLink."""
    return Watch(tasks.replicas(connection), set(tasks.held(connection, replica)), set(tasks.unwatched(connection)))


def hold(transaction: Transaction, task_ids: Iterable[int], replica: int) -> None:
    """This SuperLink has heard of the processes of these tasks."""
    for task_id in task_ids:
        row = tasks.find(transaction.connection, task_id, for_update=True)
        if row is not None and row.state in ("claimed", "active"):
            tasks.hold(transaction, task_id, replica)


def silent(transaction: Transaction, task_ids: Iterable[int], replica: int) -> list[int]:
    """Nothing is heard here of the processes of these tasks; returns those of which no other SuperLink hears anything."""
    found = []
    for task_id in task_ids:
        tasks.get(transaction.connection, task_id, for_update=True)
        if tasks.drop(transaction, task_id, replica):
            found.append(task_id)
    return found


def adopt(transaction: Transaction, gone: Collection[int], replica: int, now: float) -> Adopted:
    """Take over from SuperLinks that have ended, if no other one does: their tasks get a fresh lease here, but for those
    whose process has ended with its SuperLink, which are handed out again.
    """
    adopted = Adopted([], [])
    for other in gone:
        if tasks.is_gone(transaction, other):
            take_back(transaction, other, "its SuperLink ended", now)
            adopted.tasks.extend(tasks.held(transaction.connection, other, own=False))
            adopted.nodes.extend(nodes.adopt(transaction, other, replica))
            tasks.forget(transaction, other)
    found = {*adopted.tasks, *tasks.unwatched(transaction.connection)}
    hold(transaction, found, replica)
    return Adopted(sorted(found), adopted.nodes)


def take_back(transaction: Transaction, replica: int, reason: str, now: float) -> None:
    """The SuperExec that belongs to a SuperLink is gone: what it had is handed out again."""
    for task_id in tasks.held(transaction.connection, replica, own=True):
        apply(transaction, tasks.get(transaction.connection, task_id, for_update=True), Restarted(reason), now)
