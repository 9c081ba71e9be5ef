"""Registration of nodes and their sessions."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from sqlalchemy import Connection, Row

from umbel.errors import Conflict, RequestInvalid
from umbel.superlink.auth.keys import parse_public_key
from umbel.superlink.domain.message import Return
from umbel.superlink.domain.node import (
    Activate,
    Deactivate,
    Node,
    NodeEvent,
    Poll,
    Rekey,
    Remove,
    Restart,
    check_session,
    step,
)
from umbel.superlink.replicas import MOVED
from umbel.superlink.services import message_submission
from umbel.superlink.services.reply_intake import Move, move
from umbel.superlink.store import items, messages, nodes
from umbel.superlink.store.database import Transaction
from umbel.superlink.waiting.wakeups import NODE_KEYS, NODES, node_topic
from umbel.wire.api import LogLine, NodeView, RegisterNode
from umbel.wire.messages import Activate as Activation
from umbel.wire.messages import NodeReport, NodeSession

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
        raise Conflict(f"The key already belongs to node {owner.node_id}.", hint="Create a new key for this node.")
    if key != row.public_key:
        nodes.change(transaction, node_id, {"public_key": key})
        rekey(transaction, node_id, now)
    return view(nodes.get(transaction.connection, node_id))


def unregister(transaction: Transaction, node_id: int, now: float) -> NodeView:
    """Take a node out: its key is good for nothing, its session is over. Raises NotFound."""
    remove(transaction, node_id, now)
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


_MAX_SLOTS = 10_000
_MAX_LINE = 100_000  # characters


def activate(
    transaction: Transaction, public_key: str, said: Activation, new_id: int, now: float, replica: int | None = None
) -> NodeSession:
    """A SuperNode has started: a new session, which ends the older ones. An unknown key becomes the node `new_id`."""
    if max(len(said.name), len(said.version)) > 100 or not 0 < said.slots <= _MAX_SLOTS:
        raise RequestInvalid(f"A node has a name and a version of up to 100 characters, and 1 to {_MAX_SLOTS} slots.")
    if (row := nodes.by_key(transaction.connection, public_key)) is None:
        nodes.insert(transaction, node_id=new_id, public_key=public_key, name=said.name, at=now)
        row = nodes.get(transaction.connection, new_id)
    _apply(transaction, row.node_id, nodes.to_domain(row), Activate(), now)
    values = {"version": said.version, "slots": said.slots, "last_report": 0, "name": said.name or row.name}
    nodes.change(transaction, row.node_id, values)
    _move(transaction, row, replica)
    return NodeSession(node_id=row.node_id, session=row.session + 1)


def deactivate(transaction: Transaction, node_id: int, session: int, now: float) -> None:
    """A SuperNode goes. Raises Conflict when its session is over."""
    row = nodes.get(transaction.connection, node_id, for_update=True)
    _apply(transaction, node_id, nodes.to_domain(row), Deactivate(session), now)


def hear(
    transaction: Transaction, heard: Sequence[tuple[int, NodeEvent]], now: float, replica: int | None = None
) -> None:
    """Apply events of nodes in order; events that no longer apply are skipped.

    `replica` is the SuperLink that heard it: of a node that polls another one meanwhile its silence says nothing.
    """
    rows = nodes.among(transaction.connection, {node_id for node_id, _ in heard})
    at = {node_id: nodes.to_domain(row) for node_id, row in rows.items()}
    for node_id, event in heard:
        if node_id not in at or (not isinstance(event, Poll) and rows[node_id].replica not in (None, replica)):
            continue
        with suppress(Conflict):
            at[node_id] = _apply(transaction, node_id, at[node_id], event, now)
            if isinstance(event, Poll):
                _move(transaction, rows[node_id], replica)


def restart(transaction: Transaction, now: float) -> list[int]:
    """The SuperLink has started: nodes that were online have to show themselves. Returns those that are not offline."""
    present = nodes.present(transaction.connection)
    for node_id, row in nodes.among(transaction.connection, present).items():
        _apply(transaction, node_id, nodes.to_domain(row), Restart(), now)
    return present


def remove(transaction: Transaction, node_id: int, now: float) -> None:
    """Unregister a node: its key is good for nothing, and its messages are answered for it. Raises NotFound."""
    row = nodes.get(transaction.connection, node_id, for_update=True)
    _apply(transaction, node_id, nodes.to_domain(row), Remove(), now)
    nodes.change(transaction, node_id, {"public_key": None})
    held = messages.pending(transaction.connection, [node_id], for_update=True).get(node_id, [])
    message_submission.fail(transaction, held, now)
    transaction.topics |= {NODE_KEYS, node_topic(node_id)}


def rekey(transaction: Transaction, node_id: int, now: float) -> None:
    """A node has got another key: its session, begun with the old one, is over. Raises NotFound."""
    row = nodes.get(transaction.connection, node_id, for_update=True)
    _apply(transaction, node_id, nodes.to_domain(row), Rekey(), now)
    transaction.topics.add(NODE_KEYS)


def report(transaction: Transaction, node_id: int, said: NodeReport, now: float) -> bool:
    """Store the log lines of a report; False for a repeated one. Raises Conflict when its session is over.

    Who wrote a line is what the SuperLink knows, whatever the line says. Lines of runs without this node are dropped.
    """
    row = nodes.get(transaction.connection, node_id, for_update=True)
    check_session(nodes.to_domain(row), said.session)
    if said.seq <= row.last_report:
        return False
    nodes.change(transaction, node_id, {"last_report": said.seq})
    mine = messages.runs_of(transaction.connection, node_id, [one.run_id for one in said.logs])
    for one in said.logs:
        if one.run_id in mine:
            items.append(transaction, one.run_id, [_attributed(line, node_id, now) for line in one.lines])
    return True


def _move(transaction: Transaction, row: Row[Any], replica: int | None) -> None:
    """The node polls this SuperLink from now on; the one that it polled before has to know."""
    if replica is not None and row.replica != replica:
        nodes.change(transaction, row.node_id, {"replica": replica})
        if row.replica is not None:
            transaction.notes.append((MOVED, row.node_id))


def _attributed(line: LogLine, node_id: int, now: float) -> LogLine:
    line.source, line.node_id, line.at = "clientapp", node_id, line.at or now
    line.text, line.level = line.text[:_MAX_LINE].replace("\0", " "), line.level[:20].replace("\0", " ")
    return line


def _apply(transaction: Transaction, node_id: int, before: Node, event: NodeEvent, now: float) -> Node:
    done = step(before, event)
    if done.released:
        held = messages.pending(transaction.connection, [node_id], for_update=True).get(node_id, [])
        move(transaction, [Move(one, Return()) for one in held if one.state == "leased"], now)
    if done.node == before:
        return before
    nodes.move(transaction, node_id, done.node, done.reason, now)
    transaction.topics.add(NODES)
    if done.node.session != before.session:
        transaction.topics.add(node_topic(node_id))
    return done.node
