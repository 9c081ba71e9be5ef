"""Transactions and rows of the store, in each SQL dialect."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import IntegrityError

from tests.support.examples import examples
from umbel.errors import Conflict, NotFound
from umbel.superlink.domain import run as run_domain
from umbel.superlink.domain import task as task_domain
from umbel.superlink.domain.task import Claim, Exit, Finish, LeaseLost, Report, Restarted, Stop, TaskEvent
from umbel.superlink.services import run_submission, task_lifecycle
from umbel.superlink.services.task_lifecycle import apply
from umbel.superlink.store import contents, items, runs, tasks
from umbel.superlink.store.database import Database, Transaction
from umbel.wire.api import Artifact, ClaimTask, Event, LogLine, MetricPoint

WANTED = ClaimTask(executor="exec", kinds=["simulation"])


def start(db: Database, run_id: int = 1, at: float = 1.0, **changed: Any) -> int:
    """A pending run with a task of the number 100 + `run_id`."""
    planned: dict[str, object] = {
        "fab_id": "me/app",
        "fab_version": "1",
        "fab_hash": "f" * 64,
        "fab_size": 1,
        "federation": "@local/default",
        "run_config": "{}",
        "federation_config": "{}",
        "seed": 2**63 - 1,
        "request_id": None,
    } | changed
    return db.write(
        lambda t: run_submission.insert(t, planned, "simulation", run_id=run_id, task_id=100 + run_id, now=at)
    )


def test_a_run_and_its_task_are_stored_together(db: Database) -> None:
    """A new run is pending and its task created; numbers of 63 bits keep their value."""
    start(db, run_id=2**53 - 1)
    row = db.read(lambda c: runs.get(c, 2**53 - 1))
    assert (row.status, row.seed) == ("pending", 2**63 - 1)
    assert db.read(lambda c: tasks.of_run(c, 2**53 - 1)).state == "created"
    with pytest.raises(NotFound):
        db.read(lambda c: runs.get(c, 5))
    with pytest.raises(NotFound):
        db.read(lambda c: tasks.get(c, 5))


def test_a_failed_write_leaves_nothing(db: Database) -> None:
    """A transaction that raises is undone as a whole, and wakes no waiting request."""
    woken: list[Transaction] = []
    db.after_commit = woken.append

    def fail(transaction: Transaction) -> None:
        runs.get(transaction.connection, 1)
        items.append(transaction, 1, [Event(kind="note")])
        raise Conflict

    start(db)
    with pytest.raises(Conflict):
        db.write(fail)
    assert [len(woken), len(db.read(lambda c: items.after(c, 1, 0, ["event"], 10)))] == [1, 2]


def test_a_request_id_belongs_to_one_run(db: Database) -> None:
    """The same request again gives the run that is there, and no second one."""
    assert [start(db, 1, request_id="same"), start(db, 2, request_id="same"), start(db, 3)] == [1, 1, 3]
    assert db.read(lambda c: len(runs.newest(c, 10))) == 2


def test_runs_come_newest_first(db: Database) -> None:
    """The list is ordered by the time of the start."""
    for run_id, at in ((1, 3.0), (2, 1.0), (3, 2.0)):
        start(db, run_id, at)
    assert [row.run_id for row in db.read(lambda c: runs.newest(c, 2))] == [1, 3]


def test_the_oldest_task_is_handed_out_first_and_once(db: Database) -> None:
    """Each claim takes another task, in the order of their creation, and only of the kinds asked for."""
    for run_id, at in ((1, 3.0), (2, 1.0)):
        start(db, run_id, at)
    none = ClaimTask(executor="exec", kinds=["other"])
    assert db.write(lambda t: task_lifecycle.claim(t, none, 5.0)) is None
    claimed = [db.write(lambda t: task_lifecycle.claim(t, WANTED, 5.0)) for _ in range(3)]
    assert [task.run_id if task else None for task in claimed] == [2, 1, None]


def test_claims_at_the_same_time_take_different_tasks(db: Database) -> None:
    """Eight threads that claim at once share out eight tasks."""
    for run_id in range(1, 9):
        start(db, run_id)
    with ThreadPoolExecutor(8) as threads:
        claimed = list(threads.map(lambda _: db.write(lambda t: task_lifecycle.claim(t, WANTED, 5.0)), range(10)))
    assert sorted(task.run_id for task in claimed if task) == list(range(1, 9))


def test_items_keep_their_order_across_kinds(db: Database) -> None:
    """Events, logs and metrics of a run share one numbering without gaps, and come back as they were."""
    start(db)
    stored: list[items.Item] = [
        Event(kind="note", data={"text": "ä", "n": [1, 2.5, None]}, at=1.5),
        LogLine(text="line\n☃", level="ERROR", source="clientapp", node_id=2**62, round=3, at=2.5),
        MetricPoint(key="loss", value=0.1, round=3, phase="train", node_id=7, at=3.5),
        MetricPoint(key="loss", value=None, round=3, phase="server", at=3.5),
        LogLine(text="", at=4.5),
    ]
    db.write(lambda t: items.append(t, 1, stored, 1))
    found = db.read(lambda c: items.after(c, 1, 2, ["event", "log", "metric"], 100))
    assert [number for number, _ in found] == [3, 4, 5, 6, 7]
    assert [item.event or item.log or item.metric for _, item in found] == stored
    assert [number for number, _ in db.read(lambda c: items.after(c, 1, 4, ["metric", "log"], 2))] == [5, 6]


def test_a_reader_sees_one_moment(db: Database) -> None:
    """What is written while a reader reads is not seen by half."""
    start(db)

    def look(connection: Any) -> tuple[int, int]:
        before = len(items.after(connection, 1, 0, ["event"], 10))
        db.write(lambda t: items.append(t, 1, [Event(kind="note")]))
        return before, len(items.after(connection, 1, 0, ["event"], 10))

    assert db.read(look) == (2, 2)
    assert db.read(lambda c: len(items.after(c, 1, 0, ["event"], 10))) == 3


def test_references_between_tables_hold(db: Database) -> None:
    """A row of a run that does not exist is refused by the database itself."""
    with pytest.raises(IntegrityError):
        db.write(lambda t: tasks.insert(t, task_id=1, run_id=99, kind="simulation", created_at=0.0))


def test_an_object_stays_while_anything_refers_to_it(db: Database) -> None:
    """An object is dropped with its last reference: a bundle, an artifact, a later checkpoint, a hold."""
    start(db, 1)
    start(db, 2)
    dropped: list[str] = []
    db.after_commit = lambda transaction: dropped.extend(sorted(transaction.dropped))

    def checkpoint(run_id: int, digest: str) -> None:
        db.write(lambda t: runs.add(t, run_id, Artifact(name="checkpoint", digest=digest, size=1)))

    db.write(lambda t: contents.hold(t, 2, ["a"]))
    db.write(lambda t: contents.hold(t, 2, ["a"]))
    checkpoint(1, "a")
    checkpoint(1, "b")
    assert dropped == []
    db.write(lambda t: contents.release_all(t, 2))
    assert dropped == ["a"]
    checkpoint(1, "f" * 64)
    checkpoint(1, "f" * 64)
    checkpoint(1, "c")
    assert dropped == ["a", "b"]
    assert db.read(lambda c: [one.digest for one in runs.newest_artifacts(c, 1)]) == ["c"]


def test_the_newest_artifact_of_each_name(db: Database) -> None:
    """Earlier artifacts of a name are kept but not shown."""
    start(db)
    for name, digest in (("model", "1"), ("plot", "2"), ("model", "3")):
        given = Artifact(name=name, digest=digest, size=2, media_type="x/y", round=4, at=5.0)
        db.write(lambda t, given=given: runs.add(t, 1, given))  # type: ignore[misc]
    found = db.read(lambda c: runs.newest_artifacts(c, 1))
    assert found == [
        Artifact(name="model", digest="3", size=2, media_type="x/y", round=4, at=5.0),
        Artifact(name="plot", digest="2", size=2, media_type="x/y", round=4, at=5.0),
    ]
    assert db.read(lambda c: contents.referenced(c, ["1"]))


EVENTS: list[TaskEvent] = [
    Claim("exec"),
    task_domain.Activate(),
    Report(1),
    Finish("completed"),
    Exit(-9),
    Exit(1),
    LeaseLost(30.0),
    Restarted("its SuperExec died"),
    Stop(),
]


@settings(max_examples=examples(25), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=st.lists(st.sampled_from(EVENTS), max_size=12))
def test_the_events_fold_to_the_states(db: Database, events: list[TaskEvent]) -> None:
    """Whatever happens, the transition rows of a run and its task fold to the columns of the present state."""
    run_id = 1 + db.read(lambda c: len(runs.newest(c, 1000)))
    start(db, run_id)
    for number, event in enumerate(events):
        try:
            db.write(lambda t, e=event, n=number: apply(t, tasks.of_run(t.connection, run_id), e, 2.0 + n))  # type: ignore[misc]
        except Conflict:
            continue
    run, task = db.read(lambda c: (runs.get(c, run_id), tasks.of_run(c, run_id)))
    folded = db.read(lambda c: run_domain.fold(items.events(c, run_id, "status")))
    assert folded == (run.status, run.sub_status)
    assert db.read(lambda c: task_domain.fold(items.events(c, run_id, "task"))) == (task.state, task.attempt)
