"""How many there are of what, for the metrics of the SuperLink."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from umbel.superlink.store import tables

_STATES = {"tasks": tables.task, "nodes": tables.node, "messages": tables.message}


def runs(connection: Connection) -> list[tuple[str, str, int]]:
    """(status, outcome, number) of the runs; the outcome of one that has not finished is empty."""
    run = tables.run.c
    query = select(run.status, run.sub_status, func.count()).group_by(run.status, run.sub_status)
    return [(status, outcome or "", number) for status, outcome, number in connection.execute(query)]


def states(connection: Connection) -> dict[str, list[tuple[str, int]]]:
    """(state, number) of the tasks, the nodes and the messages."""
    queries = {noun: select(table.c.state, func.count()).group_by(table.c.state) for noun, table in _STATES.items()}
    return {noun: [(state, number) for state, number in connection.execute(query)] for noun, query in queries.items()}
