"""The end of a run's messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row

from umbel.superlink.store import contents, journal, messages, references
from umbel.superlink.store.database import Transaction
from umbel.superlink.wakeups import node_topic

_ALL = 2**62


def close(transaction: Transaction, run_id: int) -> None:
    """The run has ended: its messages, contents and journal go, and the nodes that took part in it hear of it."""
    transaction.topics |= {node_topic(node_id) for node_id in messages.participants(transaction.connection, run_id)}
    announce_end(transaction, messages.unfinished(transaction.connection, run_id, for_update=True))
    messages.delete_to(transaction, run_id, _ALL)
    journal.delete_to(transaction, run_id, _ALL)
    contents.drop_unused(transaction, run_id)


def announce_end(transaction: Transaction, rows: Sequence[Row[Any]]) -> None:
    """These unfinished messages are about to be deleted: their nodes hear of it, and what they have put for them goes."""
    transaction.topics |= {node_topic(row.node_id) for row in rows}
    references.release_messages(transaction, [row.message_id for row in rows])
