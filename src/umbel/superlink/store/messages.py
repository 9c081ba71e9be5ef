"""Messages and the journal of Grid calls in the database."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, Select, bindparam, delete, func, select, update

from umbel.superlink.domain.message import UNFINISHED, Message, Pending
from umbel.superlink.store import tables
from umbel.superlink.store.contents import parts
from umbel.superlink.store.database import Transaction
from umbel.wire.messages import JournalEntry

_message = tables.message
_participant = tables.participant
_ORDER = (_message.c.queued_at, _message.c.run_id, _message.c.place, _message.c.message_id)  # of handing out


def insert(transaction: Transaction, rows: Sequence[Mapping[str, Any]]) -> None:
    """Add messages; each row has the same columns."""
    if rows:
        transaction.execute(_message.insert(), list(rows))


def by_ids(connection: Connection, message_ids: Collection[str], *, for_update: bool = False) -> dict[str, Row[Any]]:
    """Those of some messages that are there, by id."""
    found: dict[str, Row[Any]] = {}
    for part in parts(sorted(set(message_ids))):
        query = select(_message).where(_message.c.message_id.in_(part)).order_by(_message.c.message_id)
        found |= {row.message_id: row for row in _rows(connection, query, for_update)}
    return found


def states(connection: Connection, message_ids: Collection[str]) -> dict[str, str]:
    """The states of those of some messages that are there."""
    found: dict[str, str] = {}
    for part in parts(message_ids):
        query = select(_message.c.message_id, _message.c.state).where(_message.c.message_id.in_(part))
        found |= {row.message_id: row.state for row in connection.execute(query)}
    return found


def pending(
    connection: Connection, node_ids: Collection[int], *, for_update: bool = False
) -> dict[int, list[Row[Any]]]:
    """The unfinished messages of each of some nodes, in the order in which they are handed out."""
    found: dict[int, list[Row[Any]]] = defaultdict(list)
    for part in parts(sorted(set(node_ids))):
        query = select(_message).where(_message.c.node_id.in_(part), _message.c.state.in_(UNFINISHED))
        for row in _rows(connection, query.order_by(*_ORDER), for_update):
            found[row.node_id].append(row)
    return found


def pending_states(connection: Connection, node_ids: Collection[int]) -> dict[int, list[Pending]]:
    """`pending` without all that is only needed to hand them out."""
    found: dict[int, list[Pending]] = defaultdict(list)
    columns = (_message.c.node_id, _message.c.message_id, _message.c.state, _message.c.session, _message.c.leases)
    for part in parts(sorted(set(node_ids))):
        query = select(*columns).where(_message.c.node_id.in_(part), _message.c.state.in_(UNFINISHED))
        for node_id, message_id, *message in connection.execute(query.order_by(*_ORDER)):
            found[node_id].append(Pending(message_id, Message(*message)))
    return found


def unfinished(connection: Connection, run_id: int, *, for_update: bool = False) -> list[Row[Any]]:
    """The unfinished messages of a run, by exchange and index."""
    query = select(_message).where(_message.c.run_id == run_id, _message.c.state.in_(UNFINISHED))
    return _rows(connection, query.order_by(_message.c.sequence, _message.c.place, _message.c.message_id), for_update)


def of_exchange(connection: Connection, run_id: int, sequence: int, *, for_update: bool = False) -> list[Row[Any]]:
    """All messages of one exchange of a run."""
    query = select(_message).where(_message.c.run_id == run_id, _message.c.sequence == sequence)
    return _rows(connection, query.order_by(_message.c.message_id), for_update)


def count(connection: Connection, run_id: int, sequence: int) -> int:
    """How many messages an exchange of a run has."""
    query = select(func.count()).where(_message.c.run_id == run_id, _message.c.sequence == sequence)
    return int(connection.execute(query).scalar_one())


def change(transaction: Transaction, changes: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
    """Set columns of messages, given by id."""
    alike: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
    for message_id, values in changes:
        alike[tuple(values)].append({"which": message_id, **values})
    for columns, rows in alike.items():
        query = update(_message).where(_message.c.message_id == bindparam("which"))
        transaction.execute(query.values({column: bindparam(column) for column in columns}), rows)


def next_number(transaction: Transaction, run_id: int, count: int, seconds: float) -> int:
    """Take `count` numbers for replies to a run, which took `seconds` of client work; returns the first.

    The update locks the run's row, so that replies become visible in the order of their numbers.
    """
    run = tables.run
    grown = {"last_number": run.c.last_number + count, "clientapp_seconds": run.c.clientapp_seconds + seconds}
    taken = update(run).where(run.c.run_id == run_id).values(**grown).returning(run.c.last_number)
    last: int = transaction.execute(taken).scalar_one()
    return last - count + 1


def replies(connection: Connection, run_id: int, after: int, limit: int) -> list[Row[Any]]:
    """At most `limit` messages whose replies have a number above `after`, by number."""
    query = select(_message).where(_message.c.run_id == run_id, _message.c.number > after)
    return list(connection.execute(query.order_by(_message.c.number).limit(limit)))


def newest(connection: Connection, run_id: int) -> int:
    """The newest exchange of a run of which messages are kept; 0 for none."""
    query = select(func.max(_message.c.sequence)).where(_message.c.run_id == run_id)
    return int(connection.execute(query).scalar_one() or 0)


def delete_to(transaction: Transaction, run_id: int, sequence: int, after: int = 0) -> None:
    """Delete the messages of a run's exchanges up to `sequence`, but for those up to `after`."""
    gone = _message.c.sequence.between(after + 1, sequence)
    transaction.execute(delete(_message).where(_message.c.run_id == run_id, gone))


def join(transaction: Transaction, run_id: int, node_ids: Collection[int]) -> None:
    """These nodes take part in a run."""
    transaction.insert_new(_participant, [{"run_id": run_id, "node_id": node_id} for node_id in sorted(set(node_ids))])


def runs_of(connection: Connection, node_id: int, run_ids: Collection[int]) -> set[int]:
    """Those of some runs in which a node takes part."""
    query = select(_participant.c.run_id).where(_participant.c.node_id == node_id)
    return set(connection.execute(query.where(_participant.c.run_id.in_(list(run_ids)))).scalars())


def participants(connection: Connection, run_id: int) -> list[int]:
    """The nodes that take part in a run."""
    return list(connection.execute(select(_participant.c.node_id).where(_participant.c.run_id == run_id)).scalars())


def to_domain(row: Row[Any]) -> Message:
    """The state of a message from its row."""
    return Message(state=row.state, session=row.session, leases=row.leases)


def _rows(connection: Connection, query: Select[Any], for_update: bool) -> list[Row[Any]]:
    return list(connection.execute(query.with_for_update() if for_update else query))


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


def delete_journal_to(transaction: Transaction, run_id: int, call: int, after: int = 0) -> None:
    """Delete the entries of the calls up to `call`, but for those up to `after`."""
    transaction.execute(delete(_journal).where(_journal.c.run_id == run_id, _journal.c.call.between(after + 1, call)))


def _json(value: list[int | str]) -> str:
    return msgspec.json.encode(value).decode()
