"""Repeated requests."""

from __future__ import annotations

from tests.integration.superlink.fleet import Grid, start
from tests.integration.superlink.served import Served
from umbel.wire.messages import Forget, Journal, JournalEntry


async def journal(served: Served, grid: Grid) -> Journal:
    """The whole journal."""
    return await served.ask(Journal, "GET", f"{grid.path}/journal?after=0", token=grid.task.token)


async def test_a_checkpoint_covers_neither_what_was_before_it_nor_what_comes_after(served: Served) -> None:
    """Exchanges and calls in between are forgotten; the journal tells how far messages were sent."""
    grid, (site,) = await start(served, "one")
    assert (await journal(served, grid)).sequence == 0
    for sequence in (1, 2, 3, 4):
        (message,) = await grid.send([site], sequence=sequence)
        assert await site.take() == [message]
        await site.reply(message, b"update")
        await grid.tell("journal", Journal(entries=[JournalEntry(call=sequence, value=[site.node_id])]))
    await grid.tell("forget", Forget(sequence=3, call=3, after_sequence=1, after_call=1))
    assert [reply.sequence for reply in (await grid.replies()).replies] == [1, 4]
    found = await journal(served, grid)
    assert ([entry.call for entry in found.entries], found.sequence) == ([1, 4], 4)
