"""Messages from a Grid to sites and back."""

from __future__ import annotations

import asyncio

from tests.integration.superlink.fleet import Grid, Site, start
from tests.integration.superlink.served import Served
from umbel.wire.messages import ReplyError


async def test_a_message_goes_to_its_node_and_its_reply_comes_back(served: Served) -> None:
    """Push, pull and reply carry contents; replies are numbered in the order in which they came."""
    grid, (one, other) = await start(served, "one", "other")
    assert await grid.nodes(at_least=2) == sorted([one.node_id, other.node_id])
    first, second = await grid.send([one, other])
    pulled = await one.pull()
    assert [(m.message_id, m.content.data, m.sequence) for m in pulled.messages] == [(first, b"model", 1)]
    assert await other.take() == [second]
    assert await other.reply(second, b"update")
    assert await one.reply(first)
    found = (await grid.replies()).replies
    assert [(r.number, r.message_id, r.node_id, r.index) for r in found] == [
        (1, second, other.node_id, 1),
        (2, first, one.node_id, 0),
    ]
    assert found[0].content is not None
    assert found[0].content.data == b"update"
    assert found[1].error == ReplyError(code=1, reason="it failed")
    assert (await served.run(grid.task.run_id)).clientapp_seconds == 1.0


async def test_pushing_and_answering_again_changes_nothing(served: Served) -> None:
    """A repeated push, pull or reply finds everything as it was."""
    grid, (site,) = await start(served, "one")
    (message,) = await grid.send([site])
    await grid.send([site])
    assert await site.take() == [message]
    assert await site.take(holding=[message]) == []
    assert await site.reply(message, b"a")
    assert await site.reply(message, b"b")
    await grid.send([site])
    assert await site.take() == []
    (reply,) = (await grid.replies()).replies
    assert reply.content is not None
    assert reply.content.data == b"a"


async def test_polls_wake_at_once(served: Served) -> None:
    """A node's poll ends with a message, a Grid's with a reply, and a wait for nodes with a node."""
    grid, (site,) = await start(served, "one")
    late = Site(served, "late")
    nodes = asyncio.create_task(grid.nodes(at_least=2, wait=20))
    await late.activate()
    assert await nodes == sorted([site.node_id, late.node_id])
    polls = [asyncio.create_task(one.take(wait=20)) for one in (site, late)]
    replies = asyncio.create_task(grid.replies(wait=20))
    messages = await grid.send([site, late])
    assert [await poll for poll in polls] == [[message] for message in messages]
    await late.reply(messages[1], b"x")
    assert [reply.message_id for reply in (await replies).replies] == [messages[1]]


async def test_the_grid_of_another_run_sees_nothing(served: Served) -> None:
    """Replies, expiry and messages belong to one run; its token opens no other."""
    grid, (site,) = await start(served, "one")
    (message,) = await grid.send([site])
    await served.start()
    foreign = Grid(served, await served.begin())
    await foreign.expire(message)
    assert await site.take() == [message]
    await site.reply(message, b"x")
    assert (await foreign.replies()).replies == []
    refusal = await served.refused("GET", f"{grid.path}/replies", token=foreign.task.token)
    assert refusal.code == "permission-refused"
