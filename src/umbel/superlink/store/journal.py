"""What the Grid calls of a run have found out, for a later attempt to find again."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection, delete, select

from umbel.superlink.store import tables
from umbel.superlink.store.database import Transaction
from umbel.wire.messages import JournalEntry

_journal = tables.journal


def add(transaction: Transaction, run_id: int, entries: Sequence[JournalEntry]) -> None:
    """Store entries; the first one of a call stays."""
    rows = [{"run_id": run_id, "call": entry.call, "value": _json(entry.value)} for entry in entries]
    transaction.insert_new(_journal, rows)


def after(connection: Connection, run_id: int, call: int) -> list[JournalEntry]:
    """The entries of the calls after `call`, in order."""
    query = select(_journal).where(_journal.c.run_id == run_id, _journal.c.call > call).order_by(_journal.c.call)
    return [
        JournalEntry(call=row.call, value=msgspec.json.decode(row.value, type=list[int | str]))
        for row in connection.execute(query)
    ]


def delete_to(transaction: Transaction, run_id: int, call: int, after: int = 0) -> None:
    """Delete the entries of the calls up to `call`, but for those up to `after`."""
    transaction.execute(delete(_journal).where(_journal.c.run_id == run_id, _journal.c.call.between(after + 1, call)))


def _json(value: list[int | str]) -> str:
    return msgspec.json.encode(value).decode()
