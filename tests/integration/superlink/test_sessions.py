"""Nodes come, go, fall silent, start again and are unregistered."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from tests.integration.superlink.fleet import Grid, Site, inline, start
from tests.integration.superlink.served import Served, serve_in, until
from tests.integration.superlink.test_stream import follow
from umbel.errors import Conflict
from umbel.superlink.api import stream
from umbel.superlink.domain import message as messages
from umbel.superlink.domain.node import Cut, NodeEvent, Poll, Silence
from umbel.superlink.services import node_sessions
from umbel.superlink.store import nodes
from umbel.superlink.waiting import liveness
from umbel.superlink.waiting.liveness import NodeLiveness
from umbel.superlink.waiting.wakeups import node_topic
from umbel.wire.api import FinishTask, LogLine, LogPage, RunList
from umbel.wire.messages import Activate, MessageProgress, NodeReport, Pull, RunLogs


async def history(served: Served, site: Site) -> list[tuple[str, int]]:
    """The states and sessions of a node so far."""
    rows = await served.link.db.aread(lambda connection: nodes.events(connection, site.node_id))
    return [(row.state, row.session) for row in rows]


async def parked(served: Served, site: Site) -> None:
    """Wait until a poll of the site waits at the SuperLink."""
    await until(lambda: served.link.wakeups._bells.get(node_topic(site.node_id)))


async def test_a_node_keeps_its_number(served: Served) -> None:
    """A key that is not known becomes a node; the same key later is the same node in a new session."""
    site = Site(served, "hospital-a")
    first, second = await site.activate(), await site.activate(slots=3)
    assert (second.node_id, second.session) == (first.node_id, 2)
    row = await served.link.db.aread(lambda connection: nodes.get(connection, first.node_id))
    assert (row.name, row.slots, row.state) == ("hospital-a", 3, "online")
    assert await history(served, site) == [("online", 1), ("online", 2)]


async def test_a_newer_session_ends_the_older_and_takes_over(served: Served) -> None:
    """What the older session held is handed out again, and its poll ends with a conflict."""
    _, (site,) = await start(served, "one")
    grid = Grid(served, (await start(served))[0].task)
    (message,) = await grid.send([site])
    assert await site.take() == [message]
    old = Pull(session=site.session, room=0, holding=[message])
    poll = asyncio.create_task(site.refused("POST", "/api/fleet/pull?wait=20", old))
    await parked(served, site)
    await site.activate()
    assert (await poll).code == "conflict"
    assert await site.take() == [message]


async def test_a_node_goes_on_with_what_it_has(served: Served) -> None:
    """After a restart of its SuperNode a node that still has a message keeps it, and one that lost it gets it again."""
    grid, (site,) = await start(served, "one")
    (kept,) = await grid.send([site])
    (lost,) = await grid.send([site], sequence=2)
    assert await site.take() == [kept, lost]
    await site.activate()
    assert await site.take(holding=[kept]) == [lost]
    assert await site.reply(kept, b"done before the restart")


async def test_the_messages_of_a_node_that_is_away_wait_for_it(served: Served) -> None:
    """A node that has gone is not counted; what is sent to it comes when it is back."""
    grid, (site,) = await start(served, "one")
    (first,) = await grid.send([site])
    assert await site.take() == [first]
    await site.deactivate()
    assert await grid.nodes() == []
    (second,) = await grid.send([site], sequence=2)
    await site.activate()
    assert sorted(await site.take()) == sorted([first, second])
    assert await history(served, site) == [("online", 1), ("offline", 1), ("online", 2)]


async def test_a_cut_connection_makes_a_node_silent_until_it_polls(served: Served) -> None:
    """The node is not counted from the moment on at which its poll is cut; its next poll brings it back."""
    grid, (site,) = await start(served, "one")
    poll = asyncio.create_task(site.take(wait=20))
    await parked(served, site)
    gone = asyncio.create_task(grid_has(grid, 0))
    poll.cancel()
    await gone
    poll = asyncio.create_task(site.take(wait=20))
    assert await grid.nodes(at_least=1, wait=20) == [site.node_id]
    (message,) = await grid.send([site])
    assert await poll == [message]
    assert await history(served, site) == [("online", 1), ("silent", 1), ("online", 1)]


async def grid_has(grid: Grid, count: int) -> None:
    """Wait until that many nodes are online."""
    with grid.served.link.wakeups.listen("nodes") as bell:
        while len(await grid.nodes()) != count:
            await bell.wait()
            bell.clear()


async def test_a_node_that_is_unregistered_is_answered_for(served: Served) -> None:
    """Its messages, also later ones, get an error at once; its key is good for nothing any longer."""
    grid, (site,) = await start(served, "one")
    (first,) = await grid.send([site])
    assert await site.take() == [first]
    replies = asyncio.create_task(grid.replies(wait=20))
    await served.link.db.awrite(lambda transaction: node_sessions.remove(transaction, site.node_id, 5.0))
    assert [(r.message_id, r.error and r.error.code) for r in (await replies).replies] == [
        (first, messages.NODE_UNAVAILABLE)
    ]
    (second,) = await grid.send([site], sequence=2)
    assert [reply.message_id for reply in (await grid.replies(after=1)).replies] == [second]
    assert (await site.refused("POST", "/api/fleet/pull", Pull(session=1, room=1))).status == 401
    assert await grid.nodes() == []


async def test_a_superlink_that_starts_again_keeps_everything(tmp_path: Path) -> None:
    """Messages, leases, replies and sessions are there after a restart; nodes are silent until they poll."""
    async with serve_in(tmp_path) as served:
        grid, (one, other) = await start(served, "one", "other")
        first, second = await grid.send([one, other])
        assert await one.take() == [first]
        await other.reply(second, b"kept")
    async with serve_in(tmp_path) as served:
        grid.served = one.served = other.served = served
        assert await served.link.db.aread(nodes.online) == []
        assert await one.take(holding=[first]) == []
        assert await one.reply(first, b"late")
        grid.task = await served.begin()
        assert [r.message_id for r in (await grid.replies()).replies] == [second, first]
        assert await grid.nodes(at_least=1, wait=20) == [one.node_id]
        assert await history(served, other) == [("online", 1), ("silent", 1)]


async def test_the_end_of_a_run_reaches_its_nodes(served: Served) -> None:
    """A node that holds a message of a run that ends hears of it in its poll; a reply is not wanted any longer."""
    grid, (site,) = await start(served, "one")
    (message,) = await grid.send([site])
    assert await site.take() == [message]
    poll = asyncio.create_task(site.pull(holding=[message], wait=20))
    await parked(served, site)
    await served.stop(grid.task.run_id)
    assert (await poll).cancelled == [message]
    assert not await site.reply(message, b"late")
    refusal = await served.refused("POST", f"{grid.path}/messages", grid.exchange([1], inline(b"x")), grid.task.token)
    assert refusal.code == "conflict"


async def test_a_round_that_does_not_wait_is_final(served: Served) -> None:
    """An expired message has its reply for good: a later one is refused, a repeated push finds it, its node hears of it."""
    grid, (one, other) = await start(served, "one", "other")
    first, second = await grid.send([one, other])
    assert await one.take() == [first]
    assert await other.reply(second, b"in time")
    poll = asyncio.create_task(one.pull(holding=[first], wait=20))
    await parked(served, one)
    await grid.expire(first, second)
    assert (await poll).cancelled == [first]
    assert not await one.reply(first, b"late")
    await grid.send([one, other])
    found = (await grid.replies()).replies
    assert [(r.message_id, r.error and r.error.code) for r in found] == [(second, None), (first, messages.TIMED_OUT)]


async def test_a_node_hears_nothing_of_a_message_that_it_has_just_answered(served: Served) -> None:
    """A poll that still names a message whose reply has arrived does not make the node stop its work."""
    grid, (site,) = await start(served, "one")
    (message,) = await grid.send([site])
    await site.take()
    await site.reply(message, b"x")
    assert (await site.pull(holding=[message])).cancelled == []
    assert (await site.pull(holding=[message, "0" * 32])).cancelled == ["0" * 32]


async def test_another_way_of_the_run_replaces_its_messages(served: Served) -> None:
    """An attempt that goes another way cancels what the earlier one sent; one that comes back to it sends it again."""
    grid, (site,) = await start(served, "one")
    (first,) = await grid.send([site], b"one way")
    assert await site.take() == [first]
    for data in (b"another way", b"one way"):
        await served.link.executor_died()
        grid.task = await served.begin()
        (message,) = await grid.send([site], data)
        pulled = await site.pull(holding=[first] if data == b"another way" else [])
        assert [m.message_id for m in pulled.messages] == [message]
        assert pulled.cancelled == ([first] if data == b"another way" else [])
    assert message == first


async def test_logs_say_who_wrote_them(served: Served) -> None:
    """Lines are attributed to the node that sent them, once; those for runs of others are dropped."""
    grid, (site,) = await start(served, "one")
    await grid.send([site])
    foreign = await served.start()

    def lines(run_id: int, text: str) -> RunLogs:
        return RunLogs(run_id=run_id, lines=[LogLine(text=text, source="superlink", node_id=77, round=4)])

    mine = grid.task.run_id
    for text in ("first", "repeated"):
        logs = [lines(mine, text), lines(foreign.run_id, "not mine"), lines(12345, "no one's")]
        await site.report(NodeReport(session=site.session, seq=1, logs=logs))
    found = (await served.ask(LogPage, "GET", f"/api/v1/runs/{mine}/logs")).lines
    assert [(one.text, one.source, one.node_id, one.round) for one in found] == [
        ("first", "clientapp", site.node_id, 4)
    ]
    assert (await served.ask(LogPage, "GET", f"/api/v1/runs/{foreign.run_id}/logs")).lines == []
    await served.finish(grid.task, FinishTask(outcome="completed"))
    await site.report(NodeReport(session=site.session, seq=2, logs=[lines(mine, "after the end")]))
    assert len((await served.ask(LogPage, "GET", f"/api/v1/runs/{mine}/logs")).lines) == 2


@pytest.mark.parametrize("said", [Activate(version="1", slots=0), Activate(version="1", name="x" * 101)])
async def test_an_activation_has_its_limits(served: Served, said: Activate) -> None:
    """A node has some slots, and a name that fits into a line."""
    assert (await Site(served).refused("POST", "/api/fleet/activate", said)).code == "request-invalid"


async def test_silence_is_noticed_without_polling(monkeypatch: pytest.MonkeyPatch) -> None:
    """One timer says when a node has become silent and then offline, and whether its poll was cut."""
    monkeypatch.setattr(liveness, "SILENT_AFTER", 0.01)
    monkeypatch.setattr(liveness, "OFFLINE_AFTER", 0.02)
    told: asyncio.Queue[tuple[int, NodeEvent]] = asyncio.Queue()
    attendance = NodeLiveness(lambda node_id, event: told.put_nowait((node_id, event)))
    gone = asyncio.create_task(asyncio.sleep(0))
    with attendance.parked(1, 7, gone):
        pass
    await gone
    with attendance.parked(2, 8, gone):
        pass
    events = [await told.get() for _ in range(6)]
    assert [event for node_id, event in events if node_id == 1] == [Poll(7), Silence(0.01), Silence(0.02)]
    assert [event for node_id, event in events if node_id == 2] == [Poll(8), Cut(), Silence(0.02)]
    attendance.cancel()


async def test_news_of_an_older_session_changes_nothing(served: Served) -> None:
    """What is heard of a session that is over does not bring its node back."""
    site = Site(served)
    await site.activate()
    await site.deactivate()
    await site.activate()
    await site.deactivate()
    heard: list[tuple[int, NodeEvent]] = [(site.node_id, Poll(1)), (12345, Poll(1)), (site.node_id, Cut())]
    await served.link.db.awrite(lambda transaction: node_sessions.hear(transaction, heard, 9.0))
    assert (await history(served, site))[-1] == ("offline", 2)
    with pytest.raises(Conflict):
        await served.link.db.awrite(lambda transaction: node_sessions.deactivate(transaction, site.node_id, 1, 9.0))


async def test_a_run_says_for_which_sites_it_waits(served: Served) -> None:
    """The view of a run tells what each site that has not answered does, in words and in numbers."""
    grid, (one, other) = await start(served, "hospital-a", "hospital-b")
    exchange = grid.exchange([one.node_id, other.node_id], inline(b"model"), until=4e9)
    first, second = await grid.push(exchange)
    assert await one.take() == [first]
    told = MessageProgress(message_id=first, stage="training", done=2, total=5, unit="epochs")
    await one.report(NodeReport(session=one.session, seq=1, progress=[told]))
    await other.deactivate()
    run = await served.run(grid.task.run_id)
    assert run.waiting_for is not None
    assert re.fullmatch(
        r"Waiting for 2 of 2 sites in round 1 \(train\): hospital-b has been offline since [\d:]{8}; "
        r"hospital-a has been training \(epoch 2 of 5\) since [\d:]{8}; until [\d:]{8} at the latest.",
        run.waiting_for,
    )
    assert [(one.name, one.state, one.fetched, one.done) for one in run.sites] == [
        ("hospital-a", "online", True, 2.0),
        ("hospital-b", "offline", False, 0.0),
    ]
    listed = await served.ask(RunList, "GET", "/api/v1/runs")
    assert (listed.runs[0].waiting_for, listed.runs[0].sites) == (run.waiting_for, [])
    await one.reply(first, b"x")
    await grid.expire(second)
    assert (await served.run(grid.task.run_id)).waiting_for is None


async def test_a_node_learns_that_a_run_is_over(served: Served) -> None:
    """At once, if it keeps something of it, also when it holds none of its messages; an unknown run is over as well."""
    grid, (site,) = await start(served, "one")
    (message,) = await grid.send([site])
    await site.take()
    await site.reply(message, b"x")
    run_id = grid.task.run_id
    assert (await site.pull(runs=[run_id])).over == []
    assert (await site.pull(runs=[run_id, run_id + 1])).over == [run_id + 1]
    poll = asyncio.create_task(site.pull(runs=[run_id], wait=20))
    await parked(served, site)
    await served.stop(run_id)
    assert (await poll).over == [run_id]
    assert (await site.pull()).over == []


async def test_who_follows_a_run_is_told_of_its_sites(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """The live stream says for which sites the run waits, as often as that changes, until it waits for none."""
    monkeypatch.setattr(stream, "PAUSE", 0.001)
    grid, (one, other) = await start(served, "hospital-a", "hospital-b")
    first, second = await grid.send([one, other])
    told: list[str] = []
    async for _, item in follow(served, grid.task.run_id, "kinds=event"):
        if item.event is None or item.event.kind != "sites":
            continue
        told.append(re.sub(r"[\d:]{8}", "T", str(item.event.data["text"])))
        match len(told):
            case 1:
                await other.reply(second, b"x")
            case 2:
                said = MessageProgress(message_id=first, stage="training", done=2, total=5, unit="epochs")
                assert await one.take() == [first]
                await one.report(NodeReport(session=one.session, seq=1, progress=[said]))
            case 3:
                await one.reply(first, b"x")
            case 4:
                await served.finish(grid.task, FinishTask(outcome="completed"))
    assert told == [
        (
            "Waiting for 2 of 2 sites in round 1 (train): hospital-a has not fetched the message sent at T; "
            "hospital-b has not fetched the message sent at T."
        ),
        "Waiting for 1 of 2 sites in round 1 (train): hospital-a has not fetched the message sent at T.",
        "Waiting for 1 of 2 sites in round 1 (train): hospital-a has been training (epoch 2 of 5) since T.",
        "",
    ]
