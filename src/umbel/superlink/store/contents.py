"""Message contents and object references in the database."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Row, delete, exists, or_, select, union

from umbel.superlink.domain.message import UNFINISHED
from umbel.superlink.store import tables
from umbel.superlink.store.database import Transaction
from umbel.wire.messages import ContentRef

_content, _chunk, _message = tables.content, tables.chunk, tables.message


def add(transaction: Transaction, run_id: int, contents: Mapping[str, ContentRef]) -> None:
    """Store the contents of a run, by id, that are not there yet. The objects of their chunks are there, and held."""
    rows: list[dict[str, Any]] = []
    chunks: list[dict[str, Any]] = []
    for name, content in contents.items():
        rows.append({"run_id": run_id, "content_id": name, "size": content.size, "data": content.data})
        for position, digest in enumerate(content.chunks):
            chunks.append({"run_id": run_id, "content_id": name, "position": position, "digest": digest})
    transaction.insert_new(_content, rows)
    if chunks:
        transaction.guard_objects()
        transaction.insert_new(_chunk, chunks)
        transaction.dropped.difference_update(row["digest"] for row in chunks)


def load(connection: Connection, keys: Iterable[tuple[int, str]]) -> dict[tuple[int, str], ContentRef]:
    """Contents by run and id."""
    found: dict[tuple[int, str], ContentRef] = {}
    wanted: dict[int, set[str]] = defaultdict(set)
    for run_id, name in keys:
        wanted[run_id].add(name)
    for run_id, names in wanted.items():
        for part in parts(sorted(names)):
            found |= {(run_id, name): content for name, content in _load(connection, run_id, part)}
    return found


def sizes(connection: Connection, run_id: int, names: Collection[str]) -> dict[str, tuple[int, bool]]:
    """Bytes of some contents of a run, and whether they are in their rows."""
    columns = select(_content.c.content_id, _content.c.size, _content.c.data.is_not(None).label("inline"))
    rows = connection.execute(columns.where(_content.c.run_id == run_id, _content.c.content_id.in_(list(names))))
    return {row.content_id: (row.size, row.inline) for row in rows}


def drop_unused(transaction: Transaction, run_id: int) -> None:
    """Delete the contents of a run that no message refers to, and the objects that are then unreferenced."""
    mine = _message.c.run_id == run_id
    names = union(select(_message.c.content_id).where(mine), select(_message.c.reply_id).where(mine))
    used = set(transaction.execute(names).scalars())
    there = transaction.execute(select(_content.c.content_id).where(_content.c.run_id == run_id)).scalars()
    for part in parts(sorted(set(there) - used)):
        which = (_chunk.c.run_id == run_id) & _chunk.c.content_id.in_(part)
        digests = set(transaction.execute(select(_chunk.c.digest).where(which)).scalars())
        transaction.execute(delete(_chunk).where(which))
        transaction.execute(delete(_content).where(_content.c.run_id == run_id, _content.c.content_id.in_(part)))
        drop_unreferenced(transaction, digests)


def of_run(connection: Connection, run_id: int, digest: str) -> bool:
    """Whether an object is a run's: its bundle, an artifact, a chunk of a content, or held for it."""
    run, artifact, hold = tables.run.c, tables.artifact.c, tables.hold.c
    mine = (
        exists().where(run.fab_hash == digest, run.run_id == run_id),
        exists().where(artifact.digest == digest, artifact.run_id == run_id),
        exists().where(_chunk.c.digest == digest, _chunk.c.run_id == run_id),
        exists().where(hold.digest == digest, hold.run_id == run_id),
    )
    return bool(connection.execute(select(or_(*mine))).scalar_one())


def for_node(connection: Connection, node_id: int, digest: str) -> bool:
    """Whether an object is a chunk of a message to a node that it has not answered, or the bundle of such a message's run."""
    mine = (_message.c.node_id == node_id) & _message.c.state.in_(UNFINISHED)
    same = (_message.c.run_id == _chunk.c.run_id) & (_message.c.content_id == _chunk.c.content_id)
    chunk = exists().where(_chunk.c.digest == digest, same, mine)
    bundle = exists().where(tables.run.c.fab_hash == digest, tables.run.c.run_id == _message.c.run_id, mine)
    return bool(connection.execute(select(or_(chunk, bundle))).scalar_one())


def _load(connection: Connection, run_id: int, names: Collection[str]) -> Iterable[tuple[str, ContentRef]]:
    mine = (_content.c.run_id == run_id) & _content.c.content_id.in_(names)
    rows = list(connection.execute(select(_content).where(mine)))
    chunked = [row.content_id for row in rows if row.data is None]
    digests: dict[str, list[str]] = defaultdict(list)
    if chunked:
        query = select(_chunk).where(_chunk.c.run_id == run_id, _chunk.c.content_id.in_(chunked))
        for row in connection.execute(query.order_by(_chunk.c.content_id, _chunk.c.position)):
            digests[row.content_id].append(row.digest)
    return [(row.content_id, _to_ref(row, digests)) for row in rows]


def _to_ref(row: Row[Any], digests: Mapping[str, list[str]]) -> ContentRef:
    if row.data is not None:
        return ContentRef(size=row.size, data=row.data)
    return ContentRef(size=row.size, chunks=digests[row.content_id])


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
