"""Who may take part: nodes are registered, get another key, and are unregistered by people."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row

from umbel.errors import Conflict, RequestInvalid
from umbel.superlink.auth.publickeys import parse_public_key
from umbel.superlink.service import sessions
from umbel.superlink.store import nodes
from umbel.superlink.store.database import Transaction
from umbel.wire.api import NodeView, RegisterNode

_LONGEST_NAME = 100  # characters


def register(transaction: Transaction, said: RegisterNode, new_id: int, now: float) -> NodeView:
    """Let the node with a key take part. One that is registered already stays as it is. Raises RequestInvalid."""
    if len(said.name) > _LONGEST_NAME:
        raise RequestInvalid(f"A node's name has at most {_LONGEST_NAME} characters.")
    key = parse_public_key(said.public_key)
    if (row := nodes.by_key(transaction.connection, key)) is None:
        nodes.insert(transaction, node_id=new_id, public_key=key, name=said.name, at=now)
        row = nodes.get(transaction.connection, new_id)
    return view(row)


def replace_key(transaction: Transaction, node_id: int, public_key: str, now: float) -> NodeView:
    """Give a node another key: from now on the old one is good for nothing. Raises NotFound, RequestInvalid, Conflict."""
    key = parse_public_key(public_key)
    row = nodes.get(transaction.connection, node_id, for_update=True)
    owner = nodes.by_key(transaction.connection, key)
    if owner is not None and owner.node_id != node_id:
        raise Conflict(f"The key is that of node {owner.node_id}.", hint="Make a new key for this node.")
    if key != row.public_key:
        nodes.change(transaction, node_id, {"public_key": key})
        sessions.rekey(transaction, node_id, now)
    return view(nodes.get(transaction.connection, node_id))


def unregister(transaction: Transaction, node_id: int, now: float) -> NodeView:
    """Take a node out: its key is good for nothing, its session is over. Raises NotFound."""
    sessions.remove(transaction, node_id, now)
    row = nodes.find(transaction.connection, node_id)
    assert row is not None
    return view(row)


def listed(connection: Connection, *, all_of_them: bool) -> list[NodeView]:
    """The registered nodes, oldest first; with `all_of_them` those that were unregistered too."""
    rows = nodes.ever(connection) if all_of_them else nodes.registered(connection)
    return [view(row) for row in rows]


def view(row: Row[Any]) -> NodeView:
    """A node as people see it."""
    return NodeView(
        node_id=row.node_id,
        name=row.name,
        public_key=row.public_key,
        state="unregistered" if row.state == "removed" else row.state,
        state_at=row.state_at,
        registered_at=row.registered_at,
        seen_at=row.seen_at,
        version=row.version,
        slots=row.slots,
    )
