"""Messages on their way out: each different content is packed and stored once, and the ids follow from what is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

from umbel.app.message import Message
from umbel.app.recorddict import RecordDict
from umbel.wire import contents
from umbel.wire.grid import GridClient
from umbel.wire.messages import ContentRef, MessageMetadata, Outgoing, PushMessages, content_id, message_id
from umbel.wire.records import pack

T = TypeVar("T")
_LARGEST_PUSH = 16 * 1024 * 1024  # bytes, about: half of what a SuperLink takes in a body
_MESSAGE = 400  # bytes that a message takes in a body beside its content
_CHUNK = 70  # bytes that the name of a chunk takes


class Persist(Protocol):
    """Does what `call` does, again while the SuperLink's disk is full."""

    def __call__(self, call: Callable[[], T]) -> T:
        """What `call` returns."""


@dataclass(frozen=True)
class Sending:
    """What is the same for all messages of an exchange; see `PushMessages`."""

    sequence: int
    keep_from: int
    until: float = 0.0


class Outbox:
    """Sends the messages of one run."""

    def __init__(self, client: GridClient, run_id: int, persist: Persist) -> None:
        """`client` is of a task of the run."""
        self._client = client
        self._run_id = run_id
        self._persist = persist

    def send(self, messages: Sequence[Message], sending: Sending) -> int:
        """Store and send the messages and give them their ids; returns the bytes of their contents, as often as they go out.

        What is known at the SuperLink already is not stored again. Raises OverflowError for a content with an int of more than 64 bits.
        """
        stored: dict[int, tuple[str, ContentRef]] = {}
        outgoing: list[tuple[Outgoing, str, ContentRef]] = []
        for index, message in enumerate(messages):
            key = id(message.content)
            if key not in stored:
                stored[key] = self._store(message.content)
            name, content = stored[key]
            outgoing.append((self._address(message, sending.sequence, index, name), name, content))
        for push in _pushes(sending, outgoing):
            self._persist(partial(self._client.push, push))
        return sum(content.size for _, _, content in outgoing)

    def _store(self, content: RecordDict) -> tuple[str, ContentRef]:
        parts = pack(content)
        reference = self._persist(lambda: contents.upload(self._client.http, parts))
        return content_id(reference), reference

    def _address(self, message: Message, sequence: int, index: int, content: str) -> Outgoing:
        metadata = message.metadata
        metadata.run_id = self._run_id
        metadata.message_id = message_id(
            MessageMetadata(
                run_id=self._run_id,
                sequence=sequence,
                index=index,
                node_id=metadata.dst_node_id,
                message_type=metadata.message_type,
                content_id=content,
            )
        )
        return Outgoing(
            message_id=metadata.message_id,
            node_id=metadata.dst_node_id,
            index=index,
            content=0,
            message_type=metadata.message_type,
            created_at=metadata.created_at,
            ttl=metadata.ttl,
            group_id=metadata.group_id,
        )


def _pushes(sending: Sending, outgoing: Sequence[tuple[Outgoing, str, ContentRef]]) -> Iterator[PushMessages]:
    """As many pushes as it takes, each with the contents of its messages."""
    push, places, size = _empty(sending), dict[str, int](), 0
    for message, name, content in outgoing:
        size += _MESSAGE + (0 if name in places else _weight(content))
        if size > _LARGEST_PUSH and push.messages:
            push.more = True
            yield push
            push, places, size = _empty(sending), {}, _MESSAGE + _weight(content)
        if name not in places:
            places[name] = len(push.contents)
            push.contents.append(content)
        message.content = places[name]
        push.messages.append(message)
    if push.messages:
        yield push


def _empty(sending: Sending) -> PushMessages:
    return PushMessages(
        sequence=sending.sequence, contents=[], messages=[], keep_from=sending.keep_from, until=sending.until
    )


def _weight(content: ContentRef) -> int:
    return len(content.data or b"") * 4 // 3 + len(content.chunks) * _CHUNK
