"""From a task's beginning to its end, as its process and its SuperExec tell it."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection

from umbel.superlink.auth.tokens import Principal
from umbel.superlink.domain.task import Activate, Exit, Finish, Stop
from umbel.superlink.objects.directory import ObjectDirectory
from umbel.superlink.service import reporting, views
from umbel.superlink.service.ownership import own_task
from umbel.superlink.service.transitions import apply
from umbel.superlink.store import artifacts, runs, tasks
from umbel.superlink.store.database import Transaction
from umbel.wire.api import Directive, Event, FinishTask, Report, TaskExited, TaskInput


class Taken(msgspec.Struct, frozen=True):
    """A report that was taken in: whose, whether its task goes on, and what is to be shown live."""

    run_id: int
    alive: bool
    progress: list[Event]


def begin(transaction: Transaction, who: Principal, moment: views.Moment) -> TaskInput:
    """The task's process is there: what it needs to begin, or to go on."""
    row = own_task(transaction.connection, who, for_update=True)
    apply(transaction, row, Activate(), moment.now)
    view = views.get(transaction.connection, row.run_id, moment)
    checkpoint = artifacts.checkpoint(transaction.connection, row.run_id)
    return TaskInput(run=view, attempt=row.attempt, checkpoint=checkpoint, last_seq=row.last_seq)


def report(transaction: Transaction, who: Principal, said: Report, objects: ObjectDirectory, now: float) -> Taken:
    """Take in a report of the task's process."""
    row = own_task(transaction.connection, who, for_update=True)
    live = reporting.take(transaction, row, said, objects, now)
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
