"""Artifacts."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, delete, func, select

from umbel.superlink.store import references, runs, tables
from umbel.superlink.store.database import Transaction
from umbel.wire.api import Artifact

CHECKPOINT = "checkpoint"  # only the newest of a run is kept
_artifact = tables.artifact


def add(transaction: Transaction, run_id: int, artifact: Artifact) -> None:
    """Store an artifact, end the run's hold on its object, and drop the checkpoint that it replaces."""
    seq = runs.next_seq(transaction, run_id, 1)
    values = {field: getattr(artifact, field) for field in ("name", "digest", "size", "media_type", "round", "at")}
    replaced = _drop_checkpoints(transaction, run_id) if artifact.name == CHECKPOINT else []
    transaction.execute(_artifact.insert().values(run_id=run_id, seq=seq, **values))
    references.release(transaction, run_id, [artifact.digest])
    references.drop_unreferenced(transaction, replaced)


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


def _drop_checkpoints(transaction: Transaction, run_id: int) -> list[str]:
    mine = (_artifact.c.run_id == run_id) & (_artifact.c.name == CHECKPOINT)
    digests = list(transaction.execute(select(_artifact.c.digest).where(mine)).scalars())
    transaction.execute(delete(_artifact).where(mine))
    return digests


def _from_row(row: Row[Any]) -> Artifact:
    return Artifact(
        name=row.name, digest=row.digest, size=row.size, media_type=row.media_type, round=row.round, at=row.at
    )
