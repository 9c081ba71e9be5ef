"""Nodes and request nonces in the database."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, delete, select, update

from umbel.errors import NotFound
from umbel.superlink.domain.node import Node
from umbel.superlink.store import tables
from umbel.superlink.store.contents import parts
from umbel.superlink.store.database import Transaction

_node = tables.node
_event = tables.node_event


def insert(transaction: Transaction, *, node_id: int, public_key: str, name: str, at: float) -> None:
    """Register a node, which is offline until its SuperNode activates it."""
    values = {"node_id": node_id, "public_key": public_key, "name": name, "registered_at": at}
    transaction.execute(_node.insert().values(state="offline", state_at=at, **values))


def find(connection: Connection, node_id: int, *, for_update: bool = False) -> Row[Any] | None:
    """The row of a node, if there is one; a node that was unregistered has one without a key."""
    query = select(_node).where(_node.c.node_id == node_id)
    return connection.execute(query.with_for_update() if for_update else query).one_or_none()


def get(connection: Connection, node_id: int, *, for_update: bool = False) -> Row[Any]:
    """The row of a registered node. Raises NotFound."""
    row = find(connection, node_id, for_update=for_update)
    if row is None or row.public_key is None:
        raise NotFound(f"Node {node_id} does not exist.")
    return row


def by_key(connection: Connection, public_key: str) -> Row[Any] | None:
    """The row of the node with this key, as `wire.credentials.node_keyid` names it."""
    return connection.execute(select(_node).where(_node.c.public_key == public_key)).one_or_none()


def registered(connection: Connection) -> list[Row[Any]]:
    """All registered nodes, oldest first."""
    query = select(_node).where(_node.c.public_key.is_not(None)).order_by(_node.c.registered_at, _node.c.node_id)
    return list(connection.execute(query))


def ever(connection: Connection) -> list[Row[Any]]:
    """All nodes, those that were unregistered too, oldest first."""
    return list(connection.execute(select(_node).order_by(_node.c.registered_at, _node.c.node_id)))


def online(connection: Connection) -> list[int]:
    """The ids of the nodes that are online, ascending."""
    query = select(_node.c.node_id).where(_node.c.state == "online").order_by(_node.c.node_id)
    return list(connection.execute(query).scalars())


def present(connection: Connection) -> list[int]:
    """The ids of the nodes that are online or silent."""
    return list(connection.execute(select(_node.c.node_id).where(_node.c.state.in_(("online", "silent")))).scalars())


def among(connection: Connection, node_ids: Collection[int]) -> dict[int, Row[Any]]:
    """The rows of those of these nodes that are registered, by id."""
    found: dict[int, Row[Any]] = {}
    for part in parts(node_ids):
        query = select(_node).where(_node.c.node_id.in_(part), _node.c.public_key.is_not(None))
        found |= {row.node_id: row for row in connection.execute(query)}
    return found


def standing(connection: Connection, node_ids: Collection[int]) -> dict[int, Node]:
    """Where those of these nodes stand that are registered, by id."""
    found: dict[int, Node] = {}
    for part in parts(node_ids):
        query = select(_node.c.node_id, _node.c.state, _node.c.session)
        rows = connection.execute(query.where(_node.c.node_id.in_(part), _node.c.public_key.is_not(None)))
        found |= {node_id: Node(state, session) for node_id, state, session in rows}
    return found


def change(transaction: Transaction, node_id: int, values: dict[str, Any]) -> None:
    """Set columns of a node."""
    transaction.execute(update(_node).where(_node.c.node_id == node_id).values(**values))


def move(transaction: Transaction, node_id: int, node: Node, reason: str, at: float) -> None:
    """Set the state of a node, with its event."""
    state: dict[str, Any] = {"state": node.state, "session": node.session, "state_at": at}
    if node.state in ("online", "silent"):
        state["seen_at"] = at
    counted = update(_node).where(_node.c.node_id == node_id).values(last_event=_node.c.last_event + 1, **state)
    seq: int = transaction.execute(counted.returning(_node.c.last_event)).scalar_one()
    values = {"node_id": node_id, "seq": seq, "state": node.state, "session": node.session, "reason": reason, "at": at}
    transaction.execute(_event.insert().values(**values))


def events(connection: Connection, node_id: int) -> list[Row[Any]]:
    """What happened to a node, oldest first."""
    return list(connection.execute(select(_event).where(_event.c.node_id == node_id).order_by(_event.c.seq)))


def adopt(transaction: Transaction, gone: int, replica: int) -> list[int]:
    """The nodes of a SuperLink that has ended are another one's; returns those that were not offline."""
    theirs = update(_node).where(_node.c.replica == gone, _node.c.state != "offline").values(replica=replica)
    return list(transaction.execute(theirs.returning(_node.c.node_id)).scalars())


def to_domain(row: Row[Any]) -> Node:
    """The state of a node from its row."""
    return Node(state=row.state, session=row.session)


_nonce = tables.nonce


class Used(NamedTuple):
    """A nonce, with the key that used it, and when (seconds since the epoch)."""

    key: str
    nonce: str
    created: int


def use(transaction: Transaction, used: Sequence[Used], owner: int) -> set[Used]:
    """Keep nonces for `owner`; returns those that were new, or were kept for the same owner before: a write may come again."""
    rows = [
        one._asdict() | {"owner": owner} for one in sorted(used)
    ]  # in one order, so that no two writers block each other
    transaction.insert_new(_nonce, rows)
    query = select(_nonce.c.key, _nonce.c.nonce, _nonce.c.created).where(_nonce.c.owner == owner)
    return {Used(*row) for row in transaction.execute(query)}


def forget(transaction: Transaction, before: float) -> None:
    """Drop the nonces that were created before a moment: their requests are too old to be accepted."""
    transaction.execute(delete(_nonce).where(_nonce.c.created < before))
