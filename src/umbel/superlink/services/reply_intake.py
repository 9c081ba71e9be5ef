"""Message transitions and intake of replies."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Row

from umbel.errors import ObjectInvalid, PermissionRefused, RequestInvalid, UmbelError
from umbel.superlink.domain.message import (
    UNFINISHED,
    Cancel,
    Expire,
    Fail,
    Message,
    MessageEvent,
    Push,
    Reply,
    Return,
    Step,
    is_id,
    step,
)
from umbel.superlink.objects.directory import ObjectDirectory
from umbel.superlink.store import contents, messages
from umbel.superlink.store.database import Transaction
from umbel.superlink.waiting.wakeups import node_topic, replies_topic
from umbel.wire.messages import ContentRef, ReplyMessage, chunk_size, content_id

_NONE: Mapping[str, Any] = {}
_FOR_THE_NODE = (Cancel, Expire, Fail, Push, Return)  # what its node has to hear of


class Move(NamedTuple):
    """An event of the message in `row`; `values` are columns of the reply that it brings."""

    row: Row[Any]
    event: MessageEvent
    values: Mapping[str, Any] = _NONE


def move(transaction: Transaction, moves: Sequence[Move], now: float) -> list[Step]:
    """Let events happen to messages, in this order; each one's step. A message may come more than once."""
    at: dict[str, Message] = {}
    steps: list[Step] = []
    changed: dict[str, dict[str, Any]] = {}
    numbered: dict[int, list[Move]] = defaultdict(list)
    for one in moves:
        before = at.get(one.row.message_id) or messages.to_domain(one.row)
        done = step(before, one.event)
        steps.append(done)
        if done.message == before:
            continue
        at[one.row.message_id] = done.message
        changed.setdefault(one.row.message_id, {}).update(_message_columns(done.message, now))
        if done.number:
            numbered[one.row.run_id].append(one)
        if isinstance(one.event, _FOR_THE_NODE):
            transaction.topics.add(node_topic(one.row.node_id))
    _number(transaction, numbered, changed)
    messages.change(transaction, changed.items())
    contents.release_messages(transaction, [name for name, message in at.items() if message.state not in UNFINISHED])
    return steps


def _number(transaction: Transaction, numbered: Mapping[int, list[Move]], changed: dict[str, dict[str, Any]]) -> None:
    for run_id, moves in sorted(numbered.items()):
        seconds = sum(one.values.get("seconds", 0.0) for one in moves)
        first = messages.next_number(transaction, run_id, len(moves), seconds)
        for number, one in enumerate(moves, first):
            changed[one.row.message_id] |= {**one.values, "number": number}
        transaction.topics.add(replies_topic(run_id))


def _message_columns(message: Message, now: float) -> dict[str, Any]:
    time = {"queued": "queued_at", "leased": "leased_at"}.get(message.state, "finished_at")
    return {"state": message.state, "session": message.session, "leases": message.leases, time: now}


_MAX_REASON = 20_000  # characters of an error's text
_MAX_SECONDS = 1e8


class Answer(NamedTuple):
    """What a node says to a message, and the name of its content."""

    node_id: int
    said: ReplyMessage
    reply_id: str | None


def check(node_id: int, said: ReplyMessage) -> Answer:
    """A reply that can be taken in together with others. Raises RequestInvalid, ObjectInvalid."""
    if (said.error is None) == (said.content is None):
        raise RequestInvalid("Invalid reply: it must have either content or an error.")
    if not is_id(said.message_id) or (said.error is not None and not 0 <= said.error.code < 2**31):
        raise RequestInvalid("Invalid reply: it needs a valid message ID, and an error needs a small integer code.")
    return Answer(node_id, said, content_id(said.content) if said.content is not None else None)


def take(
    transaction: Transaction, answers: Sequence[Answer], objects: ObjectDirectory, now: float
) -> list[bool | UmbelError]:
    """Store replies; whether somebody waits for each of them. An error in the place of one that is refused."""
    rows = messages.by_ids(transaction.connection, {one.said.message_id for one in answers}, for_update=True)
    results: list[bool | UmbelError] = [False] * len(answers)
    moves: dict[int, Move] = {}
    for place, answer in enumerate(answers):
        if (row := rows.get(answer.said.message_id)) is None:
            continue  # forgotten
        try:
            _check_against(row, answer, objects)
        except UmbelError as error:
            results[place] = error
        else:
            moves[place] = Move(row, Reply(), _columns(answer))
    _store_contents(transaction, [(move.row, answers[place]) for place, move in moves.items()])
    for place, outcome in zip(moves, move(transaction, list(moves.values()), now), strict=True):
        results[place] = outcome.accepted
    return results


def check_chunks(content: ContentRef, objects: ObjectDirectory) -> None:
    """Raises ObjectInvalid unless the content's chunks are there, in their sizes."""
    for position, digest in enumerate(content.chunks):
        if not objects.has(digest) or objects.size(digest) != chunk_size(content, position):
            raise ObjectInvalid(f"Chunk {position} of the content is missing.", hint="Upload its chunks first.")


def _check_against(row: Row[Any], answer: Answer, objects: ObjectDirectory) -> None:
    if row.node_id != answer.node_id:
        raise PermissionRefused("The message is addressed to another node.")
    if answer.said.content is not None and row.state in UNFINISHED:
        check_chunks(answer.said.content, objects)


def _columns(answer: Answer) -> Mapping[str, Any]:
    error = answer.said.error
    return {
        "reply_id": answer.reply_id,
        "error_code": error.code if error else None,
        "error_reason": error.reason[:_MAX_REASON].replace("\0", " ") if error and error.reason else None,
        "seconds": min(max(0.0, answer.said.seconds), _MAX_SECONDS),
    }


def _store_contents(transaction: Transaction, given: Sequence[tuple[Row[Any], Answer]]) -> None:
    by_run: dict[int, dict[str, ContentRef]] = defaultdict(dict)
    for row, answer in given:
        if row.state in UNFINISHED and answer.reply_id is not None and answer.said.content is not None:
            by_run[row.run_id][answer.reply_id] = answer.said.content
    for run_id, named in by_run.items():
        contents.add(transaction, run_id, named)
