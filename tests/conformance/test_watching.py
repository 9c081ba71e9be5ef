"""Leases of tasks and collection of objects, in each SQL dialect."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conformance.test_store import WANTED, start
from umbel.errors import ConfigError, DatabaseUnavailable, RequestInvalid
from umbel.superlink.objects.directory import ObjectDirectory
from umbel.superlink.services import failover, object_access, task_lifecycle
from umbel.superlink.store import contents, runs, tasks
from umbel.superlink.store.database import Database, Transaction

ONE, TWO, THREE = 1, 2**53 - 1, 3
DIGEST = "a" * 64


def claim(db: Database, run_id: int, replica: int, *, own: bool = False) -> int:
    """A run whose task was handed out by a SuperLink; returns the task's id."""
    start(db, run_id)

    def change(transaction: Transaction) -> int:
        claimed = task_lifecycle.claim(transaction, WANTED, 2.0)
        assert claimed is not None
        tasks.hold(transaction, claimed.task_id, replica, own=own)
        return claimed.task_id

    return db.write(change)


def test_the_last_to_hear_nothing_takes_a_task_back(db: Database) -> None:
    """Only the silence at every SuperLink that watches over a task is its silence."""
    task_id = claim(db, 1, ONE)
    db.write(lambda t: failover.hold(t, [task_id, 5], TWO))
    db.write(lambda t: failover.hold(t, [task_id], TWO))
    assert db.write(lambda t: failover.silent(t, [task_id], ONE)) == []
    assert db.write(lambda t: failover.silent(t, [task_id], TWO)) == [task_id]
    assert db.read(lambda c: failover.look(c, ONE)) == failover.Watch(set(), set(), {task_id})
    db.write(lambda t: task_lifecycle.lose(t, [task_id], 30.0, 3.0))
    db.write(lambda t: failover.hold(t, [task_id], TWO))
    assert db.read(lambda c: failover.look(c, TWO)) == failover.Watch(set(), set(), set())


def test_what_a_dead_superlink_watched_over_finds_another(db: Database) -> None:
    """Tasks of the SuperLink's child SuperExec are handed out again; the others have one lease more than they had."""
    own, shared, alone = claim(db, 1, ONE, own=True), claim(db, 2, ONE), claim(db, 3, ONE)
    db.write(lambda t: failover.hold(t, [shared], TWO))
    nobodys = claim(db, 4, THREE)
    db.write(lambda t: tasks.end(t, nobodys))
    adopted = db.write(lambda t: failover.adopt(t, [ONE], TWO, 9.0))
    assert sorted(adopted.tasks) == [shared, alone, nobodys]
    assert db.read(lambda c: failover.look(c, TWO)) == failover.Watch({TWO}, {shared, alone, nobodys}, set())
    row = db.read(lambda c: tasks.get(c, own))
    assert (row.state, row.attempt, row.losses) == ("created", 2, 0)


def test_a_finished_task_has_no_leases(db: Database) -> None:
    """The rows of a task are removed with it, including those of other replicas."""
    task_id = claim(db, 1, ONE)
    db.write(lambda t: failover.hold(t, [task_id], TWO))
    for _ in range(3):
        db.write(lambda t: task_lifecycle.lose(t, [task_id], 30.0, 3.0))
        db.write(lambda t: task_lifecycle.claim(t, WANTED, 4.0))
    assert db.read(lambda c: tasks.get(c, task_id)).state == "finished"
    assert db.read(tasks.replicas) == set()


def test_an_object_that_is_held_meanwhile_stays(db: Database, tmp_path: Path) -> None:
    """A reference to an object that is removed at the same time either comes first, and keeps it, or second, and finds it gone."""
    start(db)
    objects = ObjectDirectory(tmp_path / "objects", 100)
    path = objects.path(DIGEST)
    path.parent.mkdir()
    path.write_bytes(b"x")
    holding, go_on = threading.Event(), threading.Event()

    def hold(transaction: Transaction) -> None:
        contents.hold(transaction, 1, [DIGEST])
        holding.set()
        assert go_on.wait(20)

    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(db.write, hold)
        assert holding.wait(20)
        second = threads.submit(db.write, lambda t: object_access.remove(t, {DIGEST}, objects))
        assert not second.done()
        go_on.set()
        first.result()
        second.result()
    assert objects.has(DIGEST)
    db.write(lambda t: contents.release_all(t, 1))
    db.write(lambda t: object_access.remove(t, {DIGEST}, objects))
    assert not objects.has(DIGEST)


def test_transactions_that_meet_are_repeated(db: Database) -> None:
    """Two that lock the same rows in opposite order both succeed in the end."""
    for run_id in (1, 2):
        start(db, run_id)
    met, tries = threading.Barrier(2), []

    def change(transaction: Transaction, order: tuple[int, int]) -> None:
        tries.append(order)
        runs.next_seq(transaction, order[0], 1)
        if db.is_shared and len(tries) <= 2:
            met.wait(20)
        runs.next_seq(transaction, order[1], 1)

    with ThreadPoolExecutor(2) as threads:
        orders: list[tuple[int, int]] = [(1, 2), (2, 1)]
        list(threads.map(lambda order: db.write(lambda t: change(t, order)), orders))
    assert [db.read(lambda c, n=n: runs.get(c, n)).last_seq for n in (1, 2)] == [4, 4]  # type: ignore[misc]
    # A repeated transaction may take its first row before the other wakes, and they meet again.
    assert len(tries) >= 3 if db.is_shared else len(tries) == 2


def test_a_value_that_does_not_fit_is_the_clients_doing(postgres_url: str) -> None:
    """What PostgreSQL cannot hold is refused as a request that is not valid."""
    from umbel.superlink.store.engines import prepare

    db = Database(postgres_url)
    prepare(db.writer)
    with pytest.raises(RequestInvalid, match="NUL"):
        start(db, federation="a\0b")
    db.close()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("nonsense", "is not a URL"),
        ("mysql://me:hush@host/db", "'mysql'"),
        ("postgresql+asyncpg://me:hush@host/db", r"'postgresql\+asyncpg'"),
    ],
)
def test_an_address_that_is_not_understood(url: str, words: str) -> None:
    """A URL of another kind is refused, and its password not shown."""
    with pytest.raises(ConfigError, match=words) as caught:
        Database(url)
    assert "hush" not in str(caught.value)


def test_a_server_that_is_not_there() -> None:
    """The database does not answer: a typed error, without the password, from reads and writes."""
    db = Database("postgres://me:hush@127.0.0.1:1/db")
    for ask in (lambda: db.read(tasks.replicas), lambda: db.write(lambda t: None)):
        with pytest.raises(DatabaseUnavailable) as caught:
            ask()
        assert "hush" not in f"{caught.value} {caught.value.__cause__}"
    db.close()
