"""A run's live stream: what is stored, in order, then what comes, until the run has finished."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from functools import partial

import msgspec
from sqlalchemy import Connection
from starlette.responses import Response, StreamingResponse

from umbel.errors import RequestInvalid
from umbel.superlink.api.requests import parse_cursor
from umbel.superlink.core import SuperLink
from umbel.superlink.services import views
from umbel.superlink.store import items, runs
from umbel.superlink.waiting.wakeups import NODES, SITE_WORK, replies_topic, run_topic
from umbel.wire.api import Event, StreamItem

_PAGE = 500  # items that are read and sent at a time
KEEP_ALIVE = 15.0  # seconds
PAUSE = 1.0  # seconds between two looks at the sites for which a run waits


async def stream_run(
    link: SuperLink, run_id: int, cursor: str, kinds_wanted: str, node_id: int | None = None
) -> Response:
    """The stream of a run's items after a cursor, with the log lines and metrics of one node only if one is given.

    Raises NotFound, RequestInvalid.
    """
    after, kinds = parse_cursor(cursor), _kinds(kinds_wanted)
    await link.db.aread(lambda connection: runs.get(connection, run_id))
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_frames(link, run_id, after, kinds, node_id), 200, headers, "text/event-stream")


def _kinds(text: str) -> list[str]:
    kinds = text.split(",")
    for kind in kinds:
        if kind not in items.TABLES:
            raise RequestInvalid(f"kinds={kind[:40]} is not one of {', '.join(items.TABLES)}.")
    return list(dict.fromkeys(kinds))


async def _frames(
    link: SuperLink, run_id: int, after: int, kinds: Sequence[str], node_id: int | None
) -> AsyncIterator[bytes]:
    shown, told = 0, ""  # of the live events; for which sites the run waits
    topics = (run_topic(run_id), replies_topic(run_id), NODES, SITE_WORK)
    with link.wakeups.listen(run_topic(run_id)) as bell, link.wakeups.nudge(bell, topics, PAUSE) as sites:
        while True:
            bell.clear()
            over, found = await link.db.aread(partial(_look, run_id=run_id, after=after, kinds=kinds, node_id=node_id))
            if found:
                after = found[-1][0]
                yield b"".join(_frame(item) for _, item in found)
            if len(found) == _PAGE:
                continue
            if over or link.wakeups.closing:
                return
            for number, event in link.live.after(run_id, shown) if "event" in kinds else ():
                shown = number
                yield _frame(StreamItem(cursor=str(after), event=event))
            if "event" in kinds and sites.rang():
                before, told = told, await link.db.aread(partial(views.told, run_id=run_id, progress_of=link.work.of))
                if told != before:
                    event = Event(kind="sites", data={"text": told}, at=link.now())
                    yield _frame(StreamItem(cursor=str(after), event=event))
            if not await _rings(bell):
                yield b": still there\n\n"


def _look(
    connection: Connection, run_id: int, after: int, kinds: Sequence[str], node_id: int | None
) -> tuple[bool, list[tuple[int, StreamItem]]]:
    """Whether the run has finished, and the next items: one consistent view."""
    over = runs.get(connection, run_id).status == "finished"
    return over, items.after(connection, run_id, after, kinds, _PAGE, node_id)


def _frame(item: StreamItem) -> bytes:
    return b"id: %s\ndata: %s\n\n" % (item.cursor.encode(), msgspec.json.encode(item))


async def _rings(bell: asyncio.Event) -> bool:
    try:
        await asyncio.wait_for(bell.wait(), KEEP_ALIVE)
    except TimeoutError:
        return False
    return True
