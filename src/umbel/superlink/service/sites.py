"""What a run sees of its nodes, and a node of its runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy import Connection, Row

from umbel.errors import PermissionRefused
from umbel.superlink.auth.tokens import Principal
from umbel.superlink.service.ownership import own_task
from umbel.superlink.store import contents, journal, messages, nodes, runs
from umbel.wire.api import Config
from umbel.wire.messages import ContentRef, Journal, NodeList, NodeRun, Replies, ReplyError, ReplyView

_PAGE = 500  # replies in one answer
_PAGE_BYTES = 8_000_000  # of contents inside one answer


def run_of(connection: Connection, who: Principal) -> int:
    """The run of a task."""
    return int(own_task(connection, who).run_id)


def online(connection: Connection, who: Principal) -> NodeList:
    """The nodes that are online, ascending."""
    own_task(connection, who)
    return NodeList(node_ids=nodes.online(connection))


def replies(connection: Connection, who: Principal, after: int) -> Replies:
    """The replies of the run after a number: as many as fit into an answer."""
    run_id = run_of(connection, who)
    rows = messages.replies(connection, run_id, after, _PAGE)
    rows = rows[: _fitting(connection, run_id, rows)]
    loaded = contents.load(connection, {(run_id, row.reply_id) for row in rows if row.reply_id is not None})
    return Replies(replies=[_reply(row, loaded) for row in rows])


def journalled(connection: Connection, who: Principal, after: int) -> Journal:
    """What the calls of the run after one have found out, and how far the run has sent messages."""
    run_id = run_of(connection, who)
    return Journal(entries=journal.after(connection, run_id, after), sequence=messages.newest(connection, run_id))


def run_for_node(connection: Connection, node_id: int, run_id: int) -> NodeRun:
    """What a node needs to serve a run. Raises PermissionRefused for a run in which it does not take part."""
    if not messages.runs_of(connection, node_id, [run_id]):
        raise PermissionRefused(f"This node takes no part in run {run_id}.")
    row = runs.get(connection, run_id)
    return NodeRun(
        run_id=run_id,
        fab_id=row.fab_id,
        fab_version=row.fab_version,
        fab_hash=row.fab_hash,
        run_config=msgspec.json.decode(row.run_config, type=Config),
        seed=row.seed,
        federation=row.federation,
    )


def _fitting(connection: Connection, run_id: int, rows: list[Row[Any]]) -> int:
    """How many of the rows go into one answer: one at least."""
    sizes = contents.sizes(connection, run_id, {row.reply_id for row in rows if row.reply_id is not None})
    total = 0
    for count, row in enumerate(rows):
        size, inline = sizes.get(row.reply_id, (0, False))
        total += size if inline else 0
        if total > _PAGE_BYTES and count:
            return count
    return len(rows)


def _reply(row: Row[Any], loaded: Mapping[tuple[int, str], ContentRef]) -> ReplyView:
    return ReplyView(
        number=row.number,
        message_id=row.message_id,
        node_id=row.node_id,
        sequence=row.sequence,
        index=row.place,
        error=None if row.error_code is None else ReplyError(code=row.error_code, reason=row.error_reason),
        content=None if row.reply_id is None else loaded[row.run_id, row.reply_id],
        created_at=row.finished_at,
    )
