"""Take in the replies of nodes, many at a time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Row

from umbel.errors import ObjectInvalid, PermissionRefused, RequestInvalid, UmbelError
from umbel.superlink.domain.message import UNFINISHED, Reply, is_id
from umbel.superlink.objects.directory import ObjectDirectory
from umbel.superlink.service.moving import Move, move
from umbel.superlink.store import contents, messages
from umbel.superlink.store.database import Transaction
from umbel.wire.messages import ContentRef, ReplyMessage, chunk_size, content_id

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
        raise RequestInvalid("A reply has either a content or an error.")
    if not is_id(said.message_id) or (said.error is not None and not 0 <= said.error.code < 2**31):
        raise RequestInvalid("A reply names a message by its id, and an error by a small whole number.")
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
    for place, step in zip(moves, move(transaction, list(moves.values()), now), strict=True):
        results[place] = step.accepted
    return results


def check_chunks(content: ContentRef, objects: ObjectDirectory) -> None:
    """Raises ObjectInvalid unless the content's chunks are there, in their sizes."""
    for position, digest in enumerate(content.chunks):
        if not objects.has(digest) or objects.size(digest) != chunk_size(content, position):
            raise ObjectInvalid(f"Chunk {position} of a content is not there.", hint="Put its chunks before it.")


def _check_against(row: Row[Any], answer: Answer, objects: ObjectDirectory) -> None:
    if row.node_id != answer.node_id:
        raise PermissionRefused("The message is for another node.")
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
