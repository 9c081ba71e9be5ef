"""Queries on runs."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, select, update

from umbel.errors import NotFound
from umbel.superlink.domain.run import Run
from umbel.superlink.store import tables
from umbel.superlink.store.database import Transaction
from umbel.wire.api import Cause

_run = tables.run


def insert(transaction: Transaction, values: dict[str, Any]) -> None:
    """Add a pending run; `values` are columns."""
    transaction.execute(_run.insert().values(status="pending", **values))


def get(connection: Connection, run_id: int, *, for_update: bool = False) -> Row[Any]:
    """The row of a run. Raises NotFound."""
    query = select(_run).where(_run.c.run_id == run_id)
    row = connection.execute(query.with_for_update() if for_update else query).one_or_none()
    if row is None:
        raise NotFound(f"There is no run {run_id}.", hint="`umbel ls` shows the runs.")
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
