"""Who may put and read which objects."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, Row

from umbel.errors import Conflict, PermissionRefused
from umbel.superlink.auth.tokens import Principal
from umbel.superlink.domain.message import UNFINISHED, is_id
from umbel.superlink.service.ownership import own_task
from umbel.superlink.store import contents, messages, references
from umbel.superlink.store.database import Transaction


def is_held(connection: Connection, who: Principal, digest: str, message_id: str) -> bool:
    """Whether an object that a task or a node (for a message) is about to put is held for it. Raises as `hold` does."""
    run_id, message_id = _purpose(connection, who, message_id)
    return bool(references.held(connection, run_id, [digest], message_id))


def hold(transaction: Transaction, who: Principal, digests: Collection[str], message_id: str) -> None:
    """Keep objects that a task, or a node for its answer to a message, puts until it has said what they are.

    Raises Conflict when nobody waits for them, PermissionRefused for a message of another node.
    """
    run_id, message_id = _purpose(transaction.connection, who, message_id)
    references.hold(transaction, run_id, digests, message_id)


def check_read(connection: Connection, who: Principal, digest: str) -> None:
    """Raises PermissionRefused unless a task or a node may read an object: what its own run or its own messages need."""
    if who.role == "node":
        allowed = contents.for_node(connection, who.node_id, digest)
    else:
        allowed = contents.of_run(connection, own_task(connection, who).run_id, digest)
    if not allowed:
        raise PermissionRefused(f"The object {digest} is not for this {who.role}.")


def _purpose(connection: Connection, who: Principal, message_id: str) -> tuple[int, str]:
    """For which run, and which of its messages, something is put; no message for a task."""
    if who.role == "node":
        return _answered(connection, who, message_id).run_id, message_id
    row = own_task(connection, who)
    if row.state == "finished":
        raise Conflict("The run has finished: it takes no more objects.")
    return row.run_id, ""


def _answered(connection: Connection, who: Principal, message_id: str) -> Row[Any]:
    row = messages.by_ids(connection, [message_id]).get(message_id) if is_id(message_id) else None
    if row is not None and row.node_id != who.node_id:
        raise PermissionRefused("The message is for another node.")
    if row is None or row.state not in UNFINISHED:
        raise Conflict("Nobody waits for an answer to this message any more.")
    return row
