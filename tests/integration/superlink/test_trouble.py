"""Full disks, lost processes and unavailable databases."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.integration.superlink.served import EXECUTOR, Served, serve_in, until
from umbel.errors import StorageFull
from umbel.superlink.core import SuperLink
from umbel.superlink.services import object_access
from umbel.superlink.services.task_lifecycle import lose as claiming_lose
from umbel.superlink.store.database import Transaction
from umbel.wire.api import ClaimTask, Directive, Event, FinishTask, LogLine, LogPage, Report

WANTED = ClaimTask(executor="exec", kinds=["simulation"])


def limit_pages(served: Served, pages: int) -> None:
    """Let the database grow by that many pages: the way a full disk looks to it."""

    def set_limit(transaction: Transaction) -> None:
        used = transaction.execute(text("PRAGMA page_count")).scalar_one()
        transaction.execute(text(f"PRAGMA max_page_count = {used + pages}"))

    served.link.db.write(set_limit)


async def test_a_silent_process_loses_its_task(tmp_path: Path) -> None:
    """When nothing is heard for the time of the lease the task is handed out again, and who waits for work is told."""
    async with serve_in(tmp_path, lease_seconds=0.5) as served:
        run = await served.start()
        task = await served.begin()
        path = f"/api/runtime/tasks/{task.task_id}/directive?wait=1"
        assert await served.ask(Directive, "GET", path, token=task.token) == Directive()  # longer than the lease
        assert (await served.run(run.run_id)).attempts == 1
        again = await served.request("POST", "/api/runtime/tasks/claim?wait=20", WANTED, EXECUTOR)
        assert again.json()["attempt"] == 2
        assert (await served.refused("GET", path, token=task.token)).code == "permission-refused"
        await served.stop(run.run_id)


async def test_a_task_that_is_silent_three_times_fails_its_run(tmp_path: Path) -> None:
    """A run whose process dies again and again in silence is not tried forever."""
    async with serve_in(tmp_path, lease_seconds=0.05) as served:
        run = await served.start()
        for attempt in (1, 2, 3):
            claimed = await served.request("POST", "/api/runtime/tasks/claim?wait=20", WANTED, EXECUTOR)
            assert claimed.json()["attempt"] == attempt
        stream = await served.request("GET", f"/api/v1/runs/{run.run_id}/stream")  # until the run's end
        assert "has not been heard from for" in stream.text
        end = await served.run(run.run_id)
        assert (end.sub_status, end.attempts) == ("failed", 3)


async def test_a_lease_that_ends_while_the_disk_is_full_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task is taken back as soon as the database can be written again."""
    tries = []

    def lose(transaction: Transaction, task_ids: list[int], seconds: float, now: float) -> None:
        tries.append(task_ids)
        if len(tries) < 3:
            raise StorageFull
        claiming_lose(transaction, task_ids, seconds, now)

    monkeypatch.setattr("umbel.superlink.services.task_lifecycle.lose", lose)
    async with serve_in(tmp_path, lease_seconds=0.05) as served:
        await served.start()
        await served.begin()
        again = await served.request("POST", "/api/runtime/tasks/claim?wait=20", WANTED, EXECUTOR)
        assert again.json()["attempt"] == 2
        assert len(tries) == 3


async def test_a_full_disk_loses_no_run(served: Served) -> None:
    """With a full disk a report is refused as a whole; sent again with space, it is taken, and the run continues."""
    run = await served.start()
    task = await served.begin()
    path = f"/api/runtime/tasks/{task.task_id}/report"
    limit_pages(served, 1)
    report = Report(seq=1, logs=[LogLine(text="x" * 1_000_000)], events=[Event(kind="note", data={"text": "y"})])
    found = await served.refused("POST", path, report, task.token)
    assert (found.status, found.code) == (507, "storage-full")
    assert (await served.run(run.run_id)).status == "running"
    limit_pages(served, 10_000)
    await served.report(task, report)
    await served.finish(task, FinishTask(outcome="completed"))
    page = await served.ask(LogPage, "GET", f"/api/v1/runs/{run.run_id}/logs")
    assert [len(line.text) for line in page.lines] == [1_000_000]
    assert (await served.run(run.run_id)).sub_status == "completed"


async def test_a_start_removes_what_a_crash_left(tmp_path: Path) -> None:
    """Half uploads go at the start; an object without a reference goes when it is a day old."""
    async with serve_in(tmp_path) as served:
        kept = (await served.start()).bundle.fab_hash
        young, old = [await served.put(data) for data in (b"young", b"old")]
        for digest in (old, kept):
            os.utime(served.link.objects.path(digest), (0, 0))
    (tmp_path / "objects" / "incoming" / "half").write_bytes(b"half")
    async with serve_in(tmp_path) as served:
        await served.link.db.awrite(lambda t: object_access.drop_orphans(t, served.link.objects))
        assert list(served.link.objects.incoming.iterdir()) == []
        assert [served.link.objects.has(digest) for digest in (kept, young, old)] == [True, True, False]


async def test_readers_do_not_wait_for_the_writer(served: Served) -> None:
    """A run is shown while a long write is under way."""
    run = await served.start()
    reading = asyncio.Event()
    loop = asyncio.get_running_loop()
    done = asyncio.Event()

    def slow(transaction: Transaction) -> None:
        transaction.execute(text("UPDATE run SET round = 7"))
        loop.call_soon_threadsafe(reading.set)
        asyncio.run_coroutine_threadsafe(done.wait(), loop).result(20)

    writing = asyncio.create_task(served.link.db.awrite(slow))
    await reading.wait()
    assert (await served.run(run.run_id)).round == 0
    done.set()
    await writing
    assert (await served.run(run.run_id)).round == 7


async def test_a_request_that_is_cut_leaves_no_trace(served: Served) -> None:
    """A client that goes away within its long-poll leaves no listener behind."""
    await served.start()
    task = await served.begin()
    path = f"/api/runtime/tasks/{task.task_id}/directive?wait=20"
    waiting = asyncio.create_task(served.request("GET", path, token=task.token))
    link: SuperLink = served.link
    await until(lambda: link._leases._parked)
    waiting.cancel()
    (cut,) = await asyncio.gather(waiting, return_exceptions=True)
    assert isinstance(cut, asyncio.CancelledError)
    await until(lambda: not link._leases._parked and "task" not in dict(link.wakeups.parked()))


async def test_answers_are_not_held_back(served: Served) -> None:
    """Small answers leave at once: the server's sockets do not wait for more to send (TCP_NODELAY)."""
    await served.start()
    (transport,) = [state.transport for state in served.server.server_state.connections]
    connection = transport.get_extra_info("socket")
    assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
