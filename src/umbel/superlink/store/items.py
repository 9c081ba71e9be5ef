"""The append-only items of a run: events, log lines and metric points, in one order."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import merge
from itertools import islice
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, Table, select

from umbel.superlink.store import runs, tables
from umbel.superlink.store.database import Transaction
from umbel.wire.api import Event, LogLine, MetricPoint, StreamItem

Item = Event | LogLine | MetricPoint
TABLES: dict[str, Table] = {"event": tables.event, "log": tables.log, "metric": tables.metric}


def append(transaction: Transaction, run_id: int, items: Sequence[Item], attempt: int = 0) -> None:
    """Store items in this order, and wake who reads the run. Metric points are stored under their `attempt`."""
    if not items:
        return
    rows: dict[str, list[dict[str, Any]]] = {}
    for seq, item in enumerate(items, runs.next_seq(transaction, run_id, len(items))):
        kind, values = _to_row(item, attempt)
        rows.setdefault(kind, []).append({"run_id": run_id, "seq": seq, **values})
    for kind, values_of_kind in rows.items():
        transaction.execute(TABLES[kind].insert(), values_of_kind)
    transaction.topics.add(f"run:{run_id}")


def after(
    connection: Connection, run_id: int, seq: int, kinds: Sequence[str], limit: int, node_id: int | None = None
) -> list[tuple[int, StreamItem]]:
    """At most `limit` items after number `seq`, each with its number, in order; of log lines and metric points those of a node."""
    pages = [_page(connection, kind, run_id, seq, limit, node_id) for kind in kinds]
    return list(islice(merge(*pages, key=lambda pair: pair[0]), limit))


def events(connection: Connection, run_id: int, kind: str) -> list[dict[str, Any]]:
    """The data of a run's events of one kind, oldest first."""
    event = tables.event.c
    query = select(event.data).where(event.run_id == run_id, event.kind == kind).order_by(event.seq)
    return [msgspec.json.decode(data) for data in connection.execute(query).scalars()]


def without_repeats(connection: Connection, run_id: int, points: list[MetricPoint], attempt: int) -> list[MetricPoint]:
    """The points that no earlier attempt has stored: an attempt that resumes repeats its last round."""
    if attempt == 1 or not points:
        return points
    metric = tables.metric.c
    query = select(metric.key, metric.round, metric.phase, metric.node_id).where(
        metric.run_id == run_id, metric.attempt < attempt, metric.round.in_({point.round for point in points})
    )
    known = {tuple(row) for row in connection.execute(query)}
    return [point for point in points if (point.key, point.round, point.phase, point.node_id) not in known]


def _page(
    connection: Connection, kind: str, run_id: int, seq: int, limit: int, node_id: int | None
) -> list[tuple[int, StreamItem]]:
    table = TABLES[kind]
    query = select(table).where(table.c.run_id == run_id, table.c.seq > seq).order_by(table.c.seq).limit(limit)
    if node_id is not None and "node_id" in table.c:
        query = query.where(table.c.node_id == node_id)
    return [(row.seq, _from_row(kind, row)) for row in connection.execute(query)]


def _to_row(item: Item, attempt: int) -> tuple[str, dict[str, Any]]:
    match item:
        case Event():
            return "event", {"kind": item.kind, "data": msgspec.json.encode(item.data).decode(), "at": item.at}
        case LogLine():
            return "log", msgspec.structs.asdict(item)
        case MetricPoint():
            return "metric", {**msgspec.structs.asdict(item), "attempt": attempt}


def _from_row(kind: str, row: Row[Any]) -> StreamItem:
    cursor = str(row.seq)
    match kind:
        case "event":
            return StreamItem(cursor=cursor, event=Event(kind=row.kind, data=msgspec.json.decode(row.data), at=row.at))
        case "log":
            return StreamItem(cursor=cursor, log=LogLine(**_fields(LogLine, row)))
        case _:
            return StreamItem(cursor=cursor, metric=MetricPoint(**_fields(MetricPoint, row)))


def _fields(struct: type[msgspec.Struct], row: Row[Any]) -> dict[str, Any]:
    return {field: getattr(row, field) for field in struct.__struct_fields__}
