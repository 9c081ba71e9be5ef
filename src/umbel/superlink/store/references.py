"""What keeps an object: a run's bundle, an artifact, a chunk of a content, or a hold."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from typing import TypeVar

from sqlalchemy import ColumnElement, Connection, delete, select, union

from umbel.superlink.store import tables
from umbel.superlink.store.database import Transaction

T = TypeVar("T")
_PART = 1000  # values in one list of a query: databases limit them
_hold = tables.hold
_REFERENCES = (tables.run.c.fab_hash, tables.artifact.c.digest, tables.chunk.c.digest, _hold.c.digest)


def parts(values: Iterable[T]) -> Iterator[tuple[T, ...]]:
    """The values in groups that are small enough for a query."""
    remaining = iter(values)
    while part := tuple(islice(remaining, _PART)):
        yield part


def hold(transaction: Transaction, run_id: int, digests: Collection[str], message_id: str = "") -> None:
    """Keep objects for a run that will say later what they are: its task, or the node that answers a message."""
    transaction.guard_objects()
    transaction.dropped.difference_update(digests)
    for part in parts(sorted(set(digests))):
        rows = [{"digest": digest, "run_id": run_id, "message_id": message_id} for digest in part]
        transaction.insert_new(_hold, rows)


def held(connection: Connection, run_id: int, digests: Collection[str], message_id: str = "") -> set[str]:
    """Those of some objects that are held."""
    query = select(_hold.c.digest).where(_mine(run_id, message_id), _hold.c.digest.in_(list(digests)))
    return set(connection.execute(query).scalars())


def release(transaction: Transaction, run_id: int, digests: Collection[str]) -> None:
    """End the holds of a run's task on objects that something else refers to now."""
    transaction.dropped.difference_update(digests)
    for part in parts(digests):
        transaction.execute(delete(_hold).where(_mine(run_id, ""), _hold.c.digest.in_(part)))


def release_messages(transaction: Transaction, message_ids: Collection[str]) -> None:
    """End all holds for messages that have come to their end, and drop the objects that nothing else refers to."""
    for part in parts(message_ids):
        _release(transaction, _hold.c.message_id.in_(part))


def release_all(transaction: Transaction, run_id: int) -> None:
    """End all holds of a run, and drop the objects that nothing else refers to."""
    _release(transaction, _hold.c.run_id == run_id)


def drop_unreferenced(transaction: Transaction, digests: Iterable[str]) -> None:
    """Of these objects, mark those that nothing refers to: their files are removed after the commit, if nothing does then."""
    for part in parts(digests):
        transaction.dropped |= set(part) - referenced(transaction.connection, part)


def referenced(connection: Connection, digests: Collection[str]) -> set[str]:
    """Those of some objects that something refers to."""
    queries = [select(column).where(column.in_(list(digests))) for column in _REFERENCES]
    return set(connection.execute(union(*queries)).scalars())


def _release(transaction: Transaction, which: ColumnElement[bool]) -> None:
    digests = list(transaction.execute(select(_hold.c.digest).where(which)).scalars())
    if digests:
        transaction.execute(delete(_hold).where(which))
        drop_unreferenced(transaction, digests)


def _mine(run_id: int, message_id: str) -> ColumnElement[bool]:
    return (_hold.c.run_id == run_id) & (_hold.c.message_id == message_id)
