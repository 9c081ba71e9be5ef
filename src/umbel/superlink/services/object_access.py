"""TlsOptions to objects and garbage collection."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, Row

from umbel.errors import Conflict, PermissionRefused
from umbel.superlink.auth.tokens import Principal
from umbel.superlink.domain.message import UNFINISHED, is_id
from umbel.superlink.objects.directory import ObjectDirectory
from umbel.superlink.services.task_lifecycle import own_task
from umbel.superlink.store import contents, messages
from umbel.superlink.store.database import Transaction


def is_held(connection: Connection, who: Principal, digest: str, message_id: str) -> bool:
    """Whether an object that a task or a node (for a message) is about to put is held for it. Raises as `hold` does."""
    run_id, message_id = _purpose(connection, who, message_id)
    return bool(contents.held(connection, run_id, [digest], message_id))


def hold(transaction: Transaction, who: Principal, digests: Collection[str], message_id: str) -> None:
    """Keep objects that a task, or a node for its answer to a message, puts until it has said what they are.

    Raises Conflict if they are no longer expected, PermissionRefused for a message of another node.
    """
    run_id, message_id = _purpose(transaction.connection, who, message_id)
    contents.hold(transaction, run_id, digests, message_id)


def check_read(connection: Connection, who: Principal, digest: str) -> None:
    """Raises PermissionRefused unless a task or a node may read an object: what its own run or its own messages need."""
    if who.role == "node":
        allowed = contents.for_node(connection, who.node_id, digest)
    else:
        allowed = contents.of_run(connection, own_task(connection, who).run_id, digest)
    if not allowed:
        raise PermissionRefused(f"This {who.role} has no access to object {digest}.")


def _purpose(connection: Connection, who: Principal, message_id: str) -> tuple[int, str]:
    """For which run, and which of its messages, something is put; no message for a task."""
    if who.role == "node":
        return _answered(connection, who, message_id).run_id, message_id
    row = own_task(connection, who)
    if row.state == "finished":
        raise Conflict("The run has already finished and accepts no more objects.")
    return row.run_id, ""


def _answered(connection: Connection, who: Principal, message_id: str) -> Row[Any]:
    row = messages.by_ids(connection, [message_id]).get(message_id) if is_id(message_id) else None
    if row is not None and row.node_id != who.node_id:
        raise PermissionRefused("The message is addressed to another node.")
    if row is None or row.state not in UNFINISHED:
        raise Conflict("The reply to this message is no longer expected.")
    return row


_GRACE = 24 * 3600.0  # seconds; a bundle is put a moment before its run


def remove(transaction: Transaction, digests: Collection[str], objects: ObjectDirectory) -> None:
    """Remove the files of those of some objects that nothing refers to, and nothing can meanwhile."""
    transaction.guard_objects(removes=True)
    for part in contents.parts(digests):
        for digest in set(part) - contents.referenced(transaction.connection, part):
            objects.remove(digest)


def drop_orphans(transaction: Transaction, objects: ObjectDirectory) -> None:
    """Drop old objects without a reference: what a crash between a commit and the removal has left."""
    contents.drop_unreferenced(transaction, objects.older_than(_GRACE))
