"""Contents in chunks: who may put and read them, and when they go."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, Table

from tests.integration.superlink.fleet import Grid, Site, inline, start
from tests.integration.superlink.served import Served, serve_in
from umbel.superlink.store import tables
from umbel.wire.api import Artifact, FinishTask, Report
from umbel.wire.messages import CHUNK, ContentRef, Journal, JournalEntry, Missing, Pull, ReplyMessage

SIZE = CHUNK + 1000


def pieces() -> tuple[bytes, bytes]:
    """The two chunks of a content."""
    return os.urandom(CHUNK), os.urandom(SIZE - CHUNK)


async def model(grid: Grid) -> tuple[ContentRef, tuple[bytes, bytes]]:
    """A content in two chunks that the run's task has put."""
    parts = pieces()
    return ContentRef(size=SIZE, chunks=[await grid.served.put(part, grid.task.token) for part in parts]), parts


async def answer(site: Site, message: str) -> ContentRef:
    """A content in two chunks that a node has put for its answer."""
    return ContentRef(size=SIZE, chunks=[await site.put(part, message) for part in pieces()])


def stored(served: Served) -> set[str]:
    """The objects that are there."""
    return set(served.link.objects.older_than(-60.0))


async def test_chunks_go_down_and_up(served: Served) -> None:
    """A node reads the chunks of its message and puts those of its answer, which the run's task reads."""
    grid, (site,) = await start(served, "one")
    content, parts = await model(grid)
    (message,) = await grid.push(grid.exchange([site.node_id], content))
    pulled = (await site.pull()).messages[0]
    assert pulled.content == content
    assert [(await site.request("GET", f"/api/objects/{d}")).content for d in content.chunks] == list(parts)
    fab_hash = (await served.run(grid.task.run_id)).bundle.fab_hash
    assert (await site.request("GET", f"/api/objects/{fab_hash}")).status_code == 200
    update = await answer(site, message)
    assert await site.reply(message, update)
    (reply,) = (await grid.replies()).replies
    assert reply.content == update
    for digest in update.chunks:
        assert (await served.request("GET", f"/api/objects/{digest}", token=grid.task.token)).status_code == 200


async def test_only_missing_chunks_travel(served: Served) -> None:
    """What is there already, from whomever, is not asked for again; it is kept for who asked."""
    grid, (site,) = await start(served, "one")
    content, _ = await model(grid)
    absent = "0" * 64
    assert await grid.missing(*content.chunks, absent) == [absent]
    (message,) = await grid.push(grid.exchange([site.node_id], content))
    asked = Missing(digests=[content.chunks[0], absent])
    found = await site.ask(Missing, "POST", f"/api/objects/missing?message={message}", asked)
    assert found.digests == [absent]
    await site.take()
    await site.reply(message, b"small")
    await grid.forget(1)
    assert stored(served) == {(await served.run(grid.task.run_id)).bundle.fab_hash}


async def test_a_node_sees_its_own_messages_only(served: Served) -> None:
    """A node cannot read chunks of other nodes' messages and replies, nor its own after its reply."""
    grid, (one, other) = await start(served, "one", "other")
    content, _ = await model(grid)
    (message,) = await grid.push(grid.exchange([one.node_id], content))
    path = f"/api/objects/{content.chunks[0]}"
    assert (await other.refused("GET", path)).code == "permission-refused"
    digest = await one.put(b"mine", message)
    assert (await other.refused("GET", f"/api/objects/{digest}")).code == "permission-refused"
    assert (
        await other.refused("PUT", f"/api/objects/{digest}?message={message}", b"mine")
    ).code == "permission-refused"
    assert (await other.refused("PUT", f"/api/objects/{digest}", b"mine")).code == "conflict"
    stolen = ReplyMessage(session=1, message_id=message, content=inline(b"x"))
    assert (await other.refused("POST", "/api/fleet/reply", stolen)).code == "permission-refused"
    assert (await other.refused("GET", f"/api/fleet/runs/{grid.task.run_id}")).code == "permission-refused"
    assert await one.reply(message, b"done")
    assert (await one.refused("GET", path)).code == "permission-refused"


async def test_a_task_reads_its_own_run_only(served: Served) -> None:
    """The contents, artifacts and uploads of another run are not for a task; its own bundle is."""
    grid, (site,) = await start(served, "one")
    content, _ = await model(grid)
    await grid.push(grid.exchange([site.node_id], content))
    await served.start()
    foreign = Grid(served, await served.begin())
    refusal = await served.refused("GET", f"/api/objects/{content.chunks[0]}", token=foreign.task.token)
    assert refusal.code == "permission-refused"
    fab_hash = (await served.run(grid.task.run_id)).bundle.fab_hash
    assert (await served.request("GET", f"/api/objects/{fab_hash}", token=foreign.task.token)).status_code == 200


async def test_a_content_without_its_chunks_is_refused(served: Served) -> None:
    """Neither a message nor a reply is taken in before all of its content is there, in the right sizes."""
    grid, (site,) = await start(served, "one")
    absent = ContentRef(size=SIZE, chunks=["0" * 64, "1" * 64])
    refusal = await served.refused(
        "POST", f"{grid.path}/messages", grid.exchange([site.node_id], absent), grid.task.token
    )
    assert refusal.code == "object-invalid"
    (message,) = await grid.send([site])
    await site.take()
    digests = [await site.put(part, message) for part in (b"short", b"too")]
    for content in (absent, ContentRef(size=SIZE, chunks=digests), ContentRef(size=3, data=b"four")):
        said = ReplyMessage(session=site.session, message_id=message, content=content)
        assert (await site.refused("POST", "/api/fleet/reply", said)).code == "object-invalid"
    assert (await grid.replies()).replies == []
    assert await site.reply(message, await answer(site, message))


async def test_two_nodes_with_the_same_answer(served: Served) -> None:
    """An answer that was put stays until it is given, although another node's same answer is forgotten meanwhile."""
    grid, (one, other) = await start(served, "one", "other")
    (first,) = await grid.send([one])
    (second,) = await grid.send([other], sequence=2)
    parts = pieces()
    same = ContentRef(size=SIZE, chunks=[await one.put(part, first) for part in parts])
    assert [await other.put(part, second) for part in parts] == same.chunks
    assert await one.reply(first, same)
    await grid.forget(1)
    assert await other.reply(second, same)
    await grid.forget(2)
    assert not stored(served) & set(same.chunks)


async def test_a_finished_run_leaves_its_artifacts(served: Served) -> None:
    """After forgetting, expiry, half an answer and the end, only bundle and artifacts are on the disk."""
    grid, (one, other) = await start(served, "one", "other")
    content, _ = await model(grid)
    both = [one.node_id, other.node_id]
    first, second = await grid.push(grid.exchange(both, content))
    assert await one.reply(first, await answer(one, first))
    await other.put(b"half an answer", second)
    await grid.expire(second)
    await grid.forget(1)
    fab_hash = (await served.run(grid.task.run_id)).bundle.fab_hash
    assert stored(served) == {fab_hash}
    content, _ = await model(grid)
    third, fourth = await grid.push(grid.exchange(both, content, sequence=2))
    assert await one.reply(third, await answer(one, third))
    await other.put(b"half an answer", fourth)
    result = await served.put(b"the model", grid.task.token)
    await served.put(b"never named", grid.task.token)
    artifact = Artifact(name="model", digest=result, size=9)
    await served.report(grid.task, Report(seq=1, artifacts=[artifact]))
    await served.finish(grid.task, FinishTask(outcome="completed"))
    assert stored(served) == {fab_hash, result}
    for table in (tables.message, tables.content, tables.chunk, tables.hold, tables.journal):
        assert await served.link.db.aread(partial(rows_of, table)) == []


def rows_of(table: Table, connection: Connection) -> Sequence[Row[Any]]:
    """All that a table holds."""
    return connection.execute(table.select()).all()


async def test_replies_come_in_pages(served: Served) -> None:
    """An answer holds that many bytes of replies as its reader can hold, and one reply at least."""
    grid, sites = await start(served, *[str(number) for number in range(3)])
    out = [grid.outgoing(1, index, sites[index % 3].node_id, inline(b"x")) for index in range(150)]
    exchange = grid.exchange([], inline(b"x"))
    exchange.messages = out
    await grid.push(exchange)
    for site in sites:
        for message in await site.take(room=50):
            await site.reply(message, os.urandom(60_000))
    after, pages = 0, list[int]()
    while found := (await grid.replies(after)).replies:
        assert [one.number for one in found] == list(range(after + 1, after + 1 + len(found)))
        after += len(found)
        pages.append(len(found))
    assert pages == [133, 17]


async def test_a_push_must_be_what_it_says(served: Served) -> None:
    """Ids that do not follow from their messages, contents that are not there and similar are refused as a whole."""
    grid, (site,) = await start(served, "one")
    good = grid.outgoing(1, 0, site.node_id, inline(b"x"))
    for changed in (
        {"message_id": "0" * 32},
        {"content": 1},
        {"content": -1},
        {"index": -1},
        {"node_id": 2**63},
        {"group_id": "x" * 201},
    ):
        exchange = grid.exchange([], inline(b"x"))
        exchange.messages = [good, grid.outgoing(1, 1, site.node_id, inline(b"x"))]
        for name, value in changed.items():
            setattr(exchange.messages[1], name, value)
        refusal = await served.refused("POST", f"{grid.path}/messages", exchange, grid.task.token)
        assert refusal.code == "request-invalid"
    refusal = await served.refused("POST", f"{grid.path}/messages", grid.exchange([], inline(b"x"), 0), grid.task.token)
    assert refusal.code == "request-invalid"
    assert await site.take() == []


async def test_journal_entries_stay_as_they_came_first(served: Served) -> None:
    """What a call has found out is found again by a later attempt, until it is forgotten."""
    grid, _ = await start(served)
    await grid.tell("journal", Journal(entries=[JournalEntry(call=1, value=[5, 7]), JournalEntry(call=3, value=["a"])]))
    again = [JournalEntry(call=1, value=[6]), JournalEntry(call=4, value=[])]
    await grid.tell("journal", Journal(entries=again))
    path = f"{grid.path}/journal"
    found = await served.ask(Journal, "GET", path, token=grid.task.token)
    assert [(one.call, one.value) for one in found.entries] == [(1, [5, 7]), (3, ["a"]), (4, [])]
    await grid.forget(0, call=3)
    found = await served.ask(Journal, "GET", f"{path}?after=1", token=grid.task.token)
    assert [one.call for one in found.entries] == [4]


async def test_a_body_in_parts(served: Served) -> None:
    """An exchange in several pushes is one: only the last lets go what an earlier attempt had sent beside it."""
    grid, (one, other) = await start(served, "one", "other")
    await grid.send([one, other])
    await served.link.executor_died()
    grid.task = await served.begin()
    whole = grid.exchange([one.node_id, other.node_id], inline(b"model"))
    first = grid.exchange([], inline(b"model"), more=True)
    first.messages = whole.messages[:1]
    await grid.push(first)
    assert len(await other.take()) == 1
    last = grid.exchange([], inline(b"model"))
    last.messages = whole.messages[1:]
    await grid.push(last)
    assert len(await one.take()) == 1
    held = Pull(session=other.session, room=0, holding=[whole.messages[1].message_id])
    assert (await other.request("POST", "/api/fleet/pull", held)).content == b"{}"


async def test_chunks_outlive_a_restart(tmp_path: Path) -> None:
    """What a node had put before the SuperLink was started again counts afterwards."""
    async with serve_in(tmp_path) as served:
        grid, (site,) = await start(served, "one")
        (message,) = await grid.send([site])
        await site.take()
        content = await answer(site, message)
    async with serve_in(tmp_path) as served:
        site.served = served
        path = f"/api/objects/missing?message={message}"
        assert (await site.ask(Missing, "POST", path, Missing(digests=content.chunks))).digests == []
        assert await site.reply(message, content)
