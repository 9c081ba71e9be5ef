"""Artifacts, and which objects are still referred to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Row, delete, exists, func, or_, select

from umbel.superlink.store import runs, tables
from umbel.superlink.store.database import Transaction
from umbel.wire.api import Artifact

CHECKPOINT = "checkpoint"  # only the newest of a run is kept
_artifact = tables.artifact
_hold = tables.hold


def add(transaction: Transaction, run_id: int, artifact: Artifact) -> None:
    """Store an artifact, end the run's hold on its object, and drop the checkpoint that it replaces."""
    seq = runs.next_seq(transaction, run_id, 1)
    values = {field: getattr(artifact, field) for field in ("name", "digest", "size", "media_type", "round", "at")}
    replaced = _drop_checkpoints(transaction, run_id) if artifact.name == CHECKPOINT else []
    transaction.execute(_artifact.insert().values(run_id=run_id, seq=seq, **values))
    release(transaction, run_id, artifact.digest)
    drop_unreferenced(transaction, replaced)


def newest(connection: Connection, run_id: int) -> list[Artifact]:
    """The newest artifact of each name, by name."""
    last = select(func.max(_artifact.c.seq)).where(_artifact.c.run_id == run_id).group_by(_artifact.c.name)
    query = select(_artifact).where(_artifact.c.run_id == run_id, _artifact.c.seq.in_(last)).order_by(_artifact.c.name)
    return [_from_row(row) for row in connection.execute(query)]


def checkpoint(connection: Connection, run_id: int) -> Artifact | None:
    """The run's last checkpoint."""
    query = select(_artifact).where(_artifact.c.run_id == run_id, _artifact.c.name == CHECKPOINT)
    row = connection.execute(query.order_by(_artifact.c.seq.desc()).limit(1)).one_or_none()
    return _from_row(row) if row else None


def hold(transaction: Transaction, run_id: int, digest: str) -> None:
    """Keep an object for a run that will say later what it is."""
    query = select(_hold.c.digest).where(_hold.c.digest == digest, _hold.c.run_id == run_id)
    if transaction.execute(query).one_or_none() is None:
        transaction.execute(_hold.insert().values(digest=digest, run_id=run_id))


def release(transaction: Transaction, run_id: int, digest: str) -> None:
    """End a run's hold on one object."""
    transaction.execute(delete(_hold).where(_hold.c.run_id == run_id, _hold.c.digest == digest))


def release_all(transaction: Transaction, run_id: int) -> None:
    """End all holds of a run, and drop the objects that nothing else refers to."""
    held = list(transaction.execute(select(_hold.c.digest).where(_hold.c.run_id == run_id)).scalars())
    transaction.execute(delete(_hold).where(_hold.c.run_id == run_id))
    drop_unreferenced(transaction, held)


def drop_unreferenced(transaction: Transaction, digests: Iterable[str]) -> None:
    """Of these objects, mark those that nothing refers to: their files are removed after the commit."""
    for digest in digests:
        if not is_referenced(transaction.connection, digest):
            transaction.dropped.add(digest)


def is_referenced(connection: Connection, digest: str) -> bool:
    """Whether a run, an artifact or a hold refers to an object."""
    references = (
        exists().where(tables.run.c.fab_hash == digest),
        exists().where(_artifact.c.digest == digest),
        exists().where(_hold.c.digest == digest),
    )
    return bool(connection.execute(select(or_(*references))).scalar_one())


def _drop_checkpoints(transaction: Transaction, run_id: int) -> list[str]:
    mine = (_artifact.c.run_id == run_id) & (_artifact.c.name == CHECKPOINT)
    digests = list(transaction.execute(select(_artifact.c.digest).where(mine)).scalars())
    transaction.execute(delete(_artifact).where(mine))
    return digests


def _from_row(row: Row[Any]) -> Artifact:
    return Artifact(
        name=row.name, digest=row.digest, size=row.size, media_type=row.media_type, round=row.round, at=row.at
    )
