"""Runs and their artifacts in the database."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, delete, func, select, update

from umbel.errors import NotFound
from umbel.superlink.domain.run import Run
from umbel.superlink.store import contents, tables
from umbel.superlink.store.database import Transaction
from umbel.wire.api import Artifact, Cause

_run = tables.run


def insert(transaction: Transaction, values: dict[str, Any]) -> None:
    """Add a pending run; `values` are columns."""
    transaction.execute(_run.insert().values(status="pending", **values))


def get(connection: Connection, run_id: int, *, for_update: bool = False) -> Row[Any]:
    """The row of a run. Raises NotFound."""
    query = select(_run).where(_run.c.run_id == run_id)
    row = connection.execute(query.with_for_update() if for_update else query).one_or_none()
    if row is None:
        raise NotFound(f"Run {run_id} does not exist.", hint="List the runs with `umbel list`.")
    return row


def by_request(connection: Connection, request_id: str) -> Row[Any] | None:
    """The run that was started with this request id."""
    return connection.execute(select(_run).where(_run.c.request_id == request_id)).one_or_none()


def newest(connection: Connection, limit: int) -> list[Row[Any]]:
    """The newest runs, newest first."""
    return list(connection.execute(select(_run).order_by(_run.c.pending_at.desc(), _run.c.run_id).limit(limit)))


def unfinished(connection: Connection) -> bool:
    """Whether any run has not finished."""
    query = select(_run.c.run_id).where(_run.c.status != "finished").limit(1)
    return connection.execute(query).one_or_none() is not None


def unfinished_among(connection: Connection, run_ids: Collection[int]) -> set[int]:
    """Those of some runs that have not finished."""
    query = select(_run.c.run_id).where(_run.c.run_id.in_(list(run_ids)), _run.c.status != "finished")
    return set(connection.execute(query).scalars())


def change(transaction: Transaction, run_id: int, values: dict[str, Any]) -> None:
    """Set columns of a run."""
    transaction.execute(update(_run).where(_run.c.run_id == run_id).values(**values))


def next_seq(transaction: Transaction, run_id: int, count: int) -> int:
    """Take `count` numbers for items of a run; returns the first.

    The update locks the run's row, so that items become visible in the order of their numbers.
    """
    taken = update(_run).where(_run.c.run_id == run_id).values(last_seq=_run.c.last_seq + count)
    last: int = transaction.execute(taken.returning(_run.c.last_seq)).scalar_one()
    return last - count + 1


def to_domain(row: Row[Any]) -> Run:
    """The state of a run from its row."""
    return Run(
        status=row.status,
        sub_status=row.sub_status,
        cause=msgspec.json.decode(row.cause, type=Cause) if row.cause else None,
        starting_at=row.starting_at,
        running_at=row.running_at,
        finished_at=row.finished_at,
    )


def from_domain(run: Run) -> dict[str, Any]:
    """The columns that hold the state of a run."""
    return {
        "status": run.status,
        "sub_status": run.sub_status,
        "cause": msgspec.json.encode(run.cause).decode() if run.cause else None,
        "starting_at": run.starting_at,
        "running_at": run.running_at,
        "finished_at": run.finished_at,
    }


_STATES = {"tasks": tables.task, "nodes": tables.node, "messages": tables.message}


def count_by_status(connection: Connection) -> list[tuple[str, str, int]]:
    """(status, outcome, number) of the count_by_status; the outcome of one that has not finished is empty."""
    run = tables.run.c
    query = select(run.status, run.sub_status, func.count()).group_by(run.status, run.sub_status)
    return [(status, outcome or "", number) for status, outcome, number in connection.execute(query)]


def count_by_state(connection: Connection) -> dict[str, list[tuple[str, int]]]:
    """(state, number) of the tasks, the nodes and the messages."""
    queries = {noun: select(table.c.state, func.count()).group_by(table.c.state) for noun, table in _STATES.items()}
    return {noun: [(state, number) for state, number in connection.execute(query)] for noun, query in queries.items()}


CHECKPOINT = "checkpoint"  # only the newest_artifacts of a run is kept
_artifact = tables.artifact


def add(transaction: Transaction, run_id: int, artifact: Artifact) -> None:
    """Store an artifact, end the run's hold on its object, and drop the checkpoint that it replaces."""
    seq = next_seq(transaction, run_id, 1)
    values = {field: getattr(artifact, field) for field in ("name", "digest", "size", "media_type", "round", "at")}
    replaced = _drop_checkpoints(transaction, run_id) if artifact.name == CHECKPOINT else []
    transaction.execute(_artifact.insert().values(run_id=run_id, seq=seq, **values))
    contents.release(transaction, run_id, [artifact.digest])
    contents.drop_unreferenced(transaction, replaced)


def newest_artifacts(connection: Connection, run_id: int) -> list[Artifact]:
    """The newest_artifacts artifact of each name, by name."""
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
