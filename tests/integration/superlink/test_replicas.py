"""Two SuperLinks on one PostgreSQL database and one directory of objects."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from tests.integration.superlink.served import EXECUTOR, Served, problem, serve_in, until
from tests.integration.superlink.signing import SUPEREXEC, Site, headers
from tests.integration.superlink.signing import WANTED as WANTED_SIGNED
from tests.support import superlink_process
from tests.support.apps import write_app
from tests.support.postgres import PostgresServer
from tests.support.superlink_process import program
from umbel.bundle import build_fab
from umbel.superlink.services import failover
from umbel.superlink.store import tasks
from umbel.superlink.waiting.wakeups import NODE_KEYS, TASKS
from umbel.wire.api import (
    ClaimedTask,
    ClaimTask,
    Directive,
    Event,
    FinishTask,
    LogLine,
    Report,
    StartRun,
    StreamItem,
    TaskExited,
)
from umbel.wire.control import ControlClient
from umbel.wire.programs import RuntimeClient

WANTED = ClaimTask(executor="exec", kinds=["simulation"], slots=2)
CLAIM = "/api/runtime/tasks/claim?wait=20"


@pytest.fixture
def url(postgres_server: PostgresServer, postgres: str) -> str:
    """The URL of an empty database."""
    return postgres_server.url(postgres)


@pytest_asyncio.fixture
async def pair(tmp_path: Path, url: str) -> AsyncIterator[tuple[Served, Served]]:
    """Two SuperLinks whose SuperExecs are elsewhere."""
    async with serve_two(tmp_path, url, 30.0) as served:
        yield served


@asynccontextmanager
async def serve_two(root: Path, url: str, lease_seconds: float) -> AsyncIterator[tuple[Served, Served]]:
    """Two SuperLinks that know each other; a process that is silent for so long loses its task."""
    async with (
        serve_in(root, url=url, has_superexec=False, lease_seconds=lease_seconds) as one,
        serve_in(root, url=url, has_superexec=False, lease_seconds=lease_seconds) as two,
    ):
        await until(lambda: one.link.replicas.others and two.link.replicas.others)
        yield one, two


def directive(task: ClaimedTask, wait: float) -> str:
    """The path of a heartbeat."""
    return f"/api/runtime/tasks/{task.task_id}/directive?wait={wait}"


async def test_a_run_started_at_one_wakes_who_waits_at_the_other(pair: tuple[Served, Served]) -> None:
    """Work, orders and the stream of a run reach a waiting client of the other SuperLink at once."""
    one, two = pair
    claiming = asyncio.create_task(two.ask(ClaimedTask, "POST", CLAIM, WANTED, EXECUTOR))
    await until(lambda: (TASKS, 1) in two.link.wakeups.parked())
    run = await one.start()
    task = await claiming
    assert task.run_id == run.run_id
    await one.input(task)
    waiting = asyncio.create_task(two.ask(Directive, "GET", directive(task, 20), token=task.token))
    await until(lambda: ("task", 1) in two.link.wakeups.parked())
    await one.stop(run.run_id)
    assert (await waiting).stop


async def test_what_is_live_is_seen_at_both(pair: tuple[Served, Served]) -> None:
    """The progress of a run, which is not stored, is in the other SuperLink's stream too."""
    one, two = pair
    run = await one.start()
    task = await one.begin()
    path = f"/api/v1/runs/{run.run_id}/stream?kinds=event"
    async with two.client.stream("GET", path, headers={"Authorization": "Bearer user-token"}) as response:
        lines = response.aiter_lines()
        await until(lambda: "run" in dict(two.link.wakeups.parked()))
        progress = Event(kind="progress", data={"phase": "train", "done": 3})
        await one.report(task, Report(seq=1, events=[progress]))
        async for line in lines:
            event = msgspec.json.decode(line[5:], type=StreamItem).event if line.startswith("data:") else None
            if event is not None and event.kind == "progress":
                assert event.data["done"] == 3
                break
    await one.finish(task, FinishTask(outcome="completed"))


async def test_a_heartbeat_at_either_keeps_the_task(tmp_path: Path, url: str) -> None:
    """A process that is silent at one SuperLink keeps its task as long as the other one hears of it; then it loses it once."""
    async with serve_two(tmp_path, url, 1.0) as (one, two):
        await one.start()
        task = await one.begin()
        for _ in range(2):
            assert (await two.ask(Directive, "GET", directive(task, 1.3), token=task.token)) == Directive()
        assert one.link._leases.known() == set()
        row = await two.link.db.aread(lambda connection: tasks.get(connection, task.task_id))
        assert (row.state, row.attempt) == ("active", 1)
        again = await one.ask(ClaimedTask, "POST", CLAIM, WANTED, EXECUTOR)
        assert again.attempt == 2
        row = await two.link.db.aread(lambda connection: tasks.get(connection, task.task_id))
        assert row.losses == 1
        await until(lambda: two.link._leases.known() == set())


async def test_both_know_who_asks_for_work(pair: tuple[Served, Served]) -> None:
    """What a run waits for is the same sentence at both, wherever the SuperExec asks."""
    one, two = pair
    first = await one.start()
    await one.claim()
    await until(lambda: two.link.executors.last_asked)
    second = await one.start()
    for served in pair:
        waiting = (await served.run(second.run_id)).waiting_for
        assert waiting == f"Waiting in the queue: run {first.run_id} is running (1 of 1 slots)."


async def test_a_dead_one_is_taken_over(tmp_path: Path, url: str) -> None:
    """Its own SuperExec's task is handed out again, and costs no attempt; another's continues under a fresh lease."""
    async with serve_in(tmp_path, url=url, has_superexec=False) as heir:
        async with serve_in(tmp_path, url=url) as mortal:
            number = mortal.link.replicas.number
            await mortal.start()
            own = await mortal.claim()
            mortal.link.has_superexec = False
            await mortal.start()
            other = await mortal.begin()
            await heir.link._on_check({heir.link.replicas.number})
            await heir.link._on_check({heir.link.replicas.number})
            assert heir.link._leases.known() == set()  # it lives, whatever they say
        for _ in range(2):
            await heir.link._on_check({heir.link.replicas.number})
        assert heir.link._leases.known() == {other.task_id}
        again = await heir.claim()
        assert (again.task_id, again.attempt) == (own.task_id, 2)
        row = await heir.link.db.aread(lambda connection: tasks.get(connection, own.task_id))
        assert row.losses == 0
        look = await heir.link.db.aread(lambda connection: failover.look(connection, number))
        assert look.mine == look.unwatched == set()


async def test_a_start_takes_over_from_its_last_life(tmp_path: Path, url: str) -> None:
    """With the number of its last life a SuperLink knows at once what its SuperExec has left."""
    async with serve_in(tmp_path, url=url) as first:
        await first.start()
        task = await first.claim()
        last = first.link.replicas.number
    async with serve_in(tmp_path, url=url) as second:
        assert second.link._leases.known() == set()
        await second.link.recover(last)
        again = await second.claim()
        assert (again.task_id, again.attempt) == (task.task_id, 2)


async def test_lost_connections_are_made_again(
    pair: tuple[Served, Served], postgres_server: PostgresServer, postgres: str
) -> None:
    """All connections are cut, as by a restart of the server: no later request notices, and wakes continue to arrive."""
    one, two = pair

    async def claim() -> ClaimedTask:
        response = await two.request("POST", CLAIM, WANTED, EXECUTOR)
        while response.status_code == 503:  # cut within its commit: no one knows what became of it
            response = await two.request("POST", CLAIM, WANTED, EXECUTOR)
        return msgspec.json.decode(response.content, type=ClaimedTask)

    claiming = asyncio.create_task(claim())
    await until(lambda: (TASKS, 1) in two.link.wakeups.parked())
    listening = two.link.replicas.connected
    await asyncio.to_thread(postgres_server.disconnect, postgres)
    run = await one.start()
    assert (await claiming).run_id == run.run_id
    await until(lambda: two.link.replicas.connected > listening)


async def test_a_database_that_is_gone_is_said(
    pair: tuple[Served, Served], postgres_server: PostgresServer, postgres: str
) -> None:
    """Without its database a SuperLink answers 503 and is not ready; with it all is well again."""
    one, _ = pair
    run = await one.start()
    await asyncio.to_thread(postgres_server.admit, postgres, allowed=False)
    await asyncio.to_thread(postgres_server.disconnect, postgres)
    for method, path in (("GET", f"/api/v1/runs/{run.run_id}"), ("POST", f"/api/v1/runs/{run.run_id}/stop")):
        found = await one.refused(method, path)
        assert (found.status, found.code) == (503, "database-unavailable")
    assert (await one.client.get("/ready")).status_code == 503
    await asyncio.to_thread(postgres_server.admit, postgres, allowed=True)
    assert (await one.stop(run.run_id)).status == "finished"
    assert (await one.client.get("/ready")).status_code == 200


async def test_uploads_of_one_survive_the_start_of_another(tmp_path: Path, url: str) -> None:
    """A SuperLink that starts removes half uploads that no one writes any longer, and no others."""
    async with serve_in(tmp_path, url=url) as one:
        with one.link.objects.receive("a" * 64) as incoming:
            incoming.write(b"half")
            (one.link.objects.incoming / "dead").write_bytes(b"left over")
            async with serve_in(tmp_path, url=url):
                assert list(one.link.objects.incoming.iterdir()) == [incoming._temporary]


async def test_a_request_is_not_replayed_at_the_other(pair: tuple[Served, Served]) -> None:
    """A signed request that one SuperLink has accepted is refused by the other, in whichever order they come."""
    one, two = pair
    target = "/api/runtime/tasks/claim"
    for first, second in (pair, (two, one)):
        proof = headers(one, SUPEREXEC, "POST", target, WANTED_SIGNED)
        assert (await first.client.post(target, content=WANTED_SIGNED, headers=proof)).status_code == 204
        refused = await second.client.post(target, content=WANTED_SIGNED, headers=proof)
        assert "The request is a replay: its nonce has already been used" in problem(refused).detail


async def test_a_revoked_key_is_refused_at_the_other(pair: tuple[Served, Served]) -> None:
    """A node that one SuperLink unregisters is a stranger to the other one, which remembered its key."""
    one, two = pair
    site = Site(two)
    await site.register(5)
    assert (await site.knocks()).code == "permission-refused"
    assert (await one.request("DELETE", "/api/v1/nodes/5")).status_code == 200
    async with asyncio.timeout(10):
        with two.link.wakeups.listen(NODE_KEYS) as bell:
            if (await site.knocks()).code == "permission-refused":
                await bell.wait()  # the notice is on its way
    assert (await site.knocks()).code == "unauthenticated"


@pytest.mark.slow
def test_one_that_is_killed_is_not_missed(
    tmp_path: Path, umbel_home: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two processes the one that everybody uses is killed: people, SuperExec and process continue at the other, in the same attempt."""
    monkeypatch.setenv("UMBEL_DATABASE", url)
    homes = [umbel_home / name for name in ("one", "two")]
    for home in homes:
        (home / "local").mkdir(parents=True)
        (home / "local" / "token").write_text("the-same-token-at-both")
    objects = ["--object-store", str(umbel_home / "objects")]
    with program(homes[0], *objects) as one, program(homes[1], *objects) as two, ThreadPoolExecutor(2) as threads:
        addresses = f"{one.address},{two.address}"
        person = ControlClient(addresses, "the-same-token-at-both")
        executor = RuntimeClient(addresses, superlink_process.EXECUTOR)
        bundle = person.put_object(build_fab(write_app(tmp_path / "app")).data)
        run_id = person.start_run(StartRun(fab_hash=bundle)).run_id
        task = executor.claim("exec", ["simulation"])
        assert task is not None
        process = RuntimeClient(addresses, task.token)
        process.input(task.task_id)
        process.report(task.task_id, Report(seq=1, logs=[LogLine(text="before")]))
        followed = person.stream(run_id, kinds=["log"])
        assert next(followed).log
        heartbeat = threads.submit(process.directive, task.task_id, 20)
        one.kill()
        process.report(task.task_id, Report(seq=2, logs=[LogLine(text="after")]))
        line = next(followed).log
        assert line is not None
        assert line.text == "after"
        assert process.address == addresses
        process.finish(task.task_id, FinishTask(outcome="completed"))
        assert heartbeat.result().over
        executor.exited(task.task_id, TaskExited(returncode=0, attempt=1))
        assert list(followed) == []
        view = person.get_run(run_id)
        assert (view.sub_status, view.attempts, person.address) == ("completed", 1, two.address)
        for client in (person, executor, process):
            client.close()
