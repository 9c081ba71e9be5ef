"""Submission, expiry and deletion of a run's messages."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Row

from umbel.errors import Conflict, RequestInvalid
from umbel.superlink.auth.tokens import Principal
from umbel.superlink.domain.message import NODE_UNAVAILABLE, TIMED_OUT, Cancel, Expire, Fail, Push
from umbel.superlink.domain.task import Progress
from umbel.superlink.objects.directory import ObjectDirectory
from umbel.superlink.services.reply_intake import Move, check_chunks, move
from umbel.superlink.services.task_lifecycle import announce_end, apply, own_task
from umbel.superlink.store import contents, messages, nodes
from umbel.superlink.store.database import Transaction
from umbel.superlink.waiting.wakeups import node_topic
from umbel.wire.messages import (
    ContentRef,
    ExpireMessages,
    Forget,
    Journal,
    MessageMetadata,
    Outgoing,
    PushMessages,
    content_id,
    message_id,
)

_LATE = {"error_code": TIMED_OUT, "error_reason": "The reply did not arrive before the round's deadline."}
_GONE = {"error_code": NODE_UNAVAILABLE, "error_reason": "The node does not exist."}


def push(transaction: Transaction, who: Principal, said: PushMessages, objects: ObjectDirectory, now: float) -> None:
    """Store the messages of an exchange that are not known. Raises Conflict, RequestInvalid, ObjectInvalid."""
    task = _working_task(transaction, who)
    names = [content_id(content) for content in said.contents]
    _check(task.run_id, said, names)
    known = {
        row.message_id: row
        for row in messages.of_exchange(transaction.connection, task.run_id, said.sequence, for_update=True)
    }
    new = [one for one in said.messages if one.message_id not in known]
    _store_contents(transaction, task.run_id, dict(zip(names, said.contents, strict=True)), new, objects)
    _insert(transaction, task, said, new, names, now)
    if new:
        apply(transaction, task, Progress(), now)
    again = [known[one.message_id] for one in said.messages if one.message_id in known]
    _push_again(transaction, task, again, now)
    if not said.more:
        pushed = {one.message_id for one in said.messages}
        strays = [row for name, row in known.items() if name not in pushed and row.attempt < task.attempt]
        move(transaction, [Move(row, Cancel()) for row in strays], now)


def expire(transaction: Transaction, who: Principal, said: ExpireMessages, now: float) -> None:
    """Expire messages: those without a reply get the error reply TIMED_OUT."""
    task = _working_task(transaction, who)
    rows = messages.by_ids(transaction.connection, said.message_ids, for_update=True).values()
    move(transaction, [Move(row, Expire(), _LATE) for row in rows if row.run_id == task.run_id], now)


def record(transaction: Transaction, who: Principal, said: Journal) -> None:
    """Keep what Grid calls have found out."""
    task = _working_task(transaction, who)
    messages.add(transaction, task.run_id, said.entries)


def forget(transaction: Transaction, who: Principal, said: Forget) -> None:
    """Drop what a durable checkpoint covers."""
    task = _working_task(transaction, who)
    rows = messages.unfinished(transaction.connection, task.run_id, for_update=True)
    announce_end(transaction, [row for row in rows if said.after_sequence < row.sequence <= said.sequence])
    messages.delete_to(transaction, task.run_id, said.sequence, said.after_sequence)
    messages.delete_journal_to(transaction, task.run_id, said.call, said.after_call)
    contents.drop_unused(transaction, task.run_id)


def fail(transaction: Transaction, rows: Sequence[Row[Any]], now: float) -> None:
    """Send error replies to messages for a node that no longer exists."""
    move(transaction, [Move(row, Fail(), _GONE) for row in rows], now)


def _working_task(transaction: Transaction, who: Principal) -> Row[Any]:
    task = own_task(transaction.connection, who, for_update=True)
    if task.state == "finished":
        raise Conflict("The run has already finished.")
    return task


def _check(run_id: int, said: PushMessages, names: Sequence[str]) -> None:
    if not 0 < said.sequence < 2**62:
        raise RequestInvalid("Invalid sequence number of an exchange: it must be at least 1.")
    seen: set[str] = set()
    for one in said.messages:
        if not 0 <= one.content < len(names):
            raise RequestInvalid(f"Message {one.index} refers to content {one.content}, but there are {len(names)}.")
        if not 0 <= one.index < 2**31 or not 0 <= one.node_id < 2**63:
            raise RequestInvalid("The index or the node of a message is out of range.")
        if max(len(one.message_type), len(one.group_id)) > 200:
            raise RequestInvalid("The type or the group of a message has more than 200 characters.")
        metadata = MessageMetadata(
            run_id=run_id,
            sequence=said.sequence,
            index=one.index,
            node_id=one.node_id,
            message_type=one.message_type,
            content_id=names[one.content],
        )
        if one.message_id != message_id(metadata) or one.message_id in seen:
            raise RequestInvalid(f"Invalid message ID: the ID of message {one.index} does not match its metadata.")
        seen.add(one.message_id)


def _store_contents(
    transaction: Transaction,
    run_id: int,
    given: Mapping[str, ContentRef],
    new: Collection[Outgoing],
    objects: ObjectDirectory,
) -> None:
    chunks = {digest for content in given.values() for digest in content.chunks}
    if new:
        for content in given.values():
            check_chunks(content, objects)
        contents.add(transaction, run_id, given)
    if chunks:
        contents.release(transaction, run_id, chunks)
        contents.drop_unreferenced(transaction, () if new else chunks)


def _insert(
    transaction: Transaction,
    task: Row[Any],
    said: PushMessages,
    new: Sequence[Outgoing],
    names: Sequence[str],
    now: float,
) -> None:
    ids = {one.node_id for one in new}
    known = nodes.among(transaction.connection, ids)
    messages.insert(transaction, [_row(task, said, one, names[one.content], now) for one in new])
    messages.join(transaction, task.run_id, [node_id for node_id in ids if node_id in known])
    transaction.topics |= {node_topic(node_id) for node_id in ids}
    lost = [one.message_id for one in new if one.node_id not in known]
    fail(transaction, list(messages.by_ids(transaction.connection, lost).values()), now)


def _push_again(transaction: Transaction, task: Row[Any], rows: Sequence[Row[Any]], now: float) -> None:
    move(transaction, [Move(row, Push()) for row in rows], now)
    attempt = {"attempt": task.attempt}
    messages.change(transaction, [(row.message_id, attempt) for row in rows if row.attempt != task.attempt])


def _row(task: Row[Any], said: PushMessages, one: Outgoing, content: str, now: float) -> dict[str, Any]:
    return {
        "message_id": one.message_id,
        "run_id": task.run_id,
        "node_id": one.node_id,
        "sequence": said.sequence,
        "place": one.index,
        "content_id": content,
        "message_type": one.message_type,
        "group_id": one.group_id,
        "created_at": one.created_at,
        "ttl": one.ttl,
        "until": said.until or None,
        "keep_from": said.keep_from,
        "attempt": task.attempt,
        "state": "queued",
        "queued_at": now,
    }
