"""Transfer of messages, replies and their contents between a ServerApp and the SuperLink."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

from umbel.app.message import Message
from umbel.app.recorddict import RecordDict
from umbel.engine import shared_memory
from umbel.wire import contents
from umbel.wire.http import HttpClient
from umbel.wire.messages import ContentRef, MessageMetadata, Outgoing, PushMessages, ReplyView, content_id, message_id
from umbel.wire.programs import GridClient
from umbel.wire.records import pack, unpack

_AT_A_TIME = 2  # concurrent downloads


@dataclass
class _Fetch:
    ready: Future[None]
    uses: int


class ContentFetcher:
    """Downloads contents from the SuperLink in background threads. Not safe for concurrent use.

    Files are named by content ID, so that an attempt resumes the downloads of an earlier one, and a content that
    several nodes sent is downloaded once.
    """

    def __init__(self, client: HttpClient, folder: Path, persist: Persist) -> None:
        """`folder` holds the files until they are opened or released."""
        self._client = client
        self._folder = folder
        self._persist = persist
        self._fetches: dict[str, _Fetch] = {}
        self._pool = ThreadPoolExecutor(_AT_A_TIME, "fetch")

    def fetch(self, content: ContentRef) -> None:
        """Begin to download a content. The caller must call `open` or `release` once for each call."""
        if content.data is not None:
            return
        name = content_id(content)
        if name in self._fetches:
            self._fetches[name].uses += 1
        else:
            path = self._folder / name
            self._fetches[name] = _Fetch(self._pool.submit(self._bring, content, path), 1)

    def _bring(self, content: ContentRef, path: Path) -> None:
        if path.exists():  # from an earlier attempt: its valid chunks are reused
            path.replace(path.with_name(f"{path.name}.part"))
        self._persist(lambda: contents.download(self._client, content, path))

    def open(self, content: ContentRef) -> RecordDict:
        """Wait for a content for which `fetch` was called, and unpack it. Its arrays own the mapped memory.

        Raises ObjectInvalid or RecursionError for bytes that are not a valid content.
        """
        if content.data is not None:
            return unpack(bytearray(content.data))
        name = content_id(content)
        try:
            self._fetches[name].ready.result()
            return _mapped(self._folder / name, content.size)
        finally:
            self.release(content)

    def release(self, content: ContentRef) -> None:
        """Give up a content for which `fetch` was called, without opening it."""
        if content.data is not None:
            return
        name = content_id(content)
        fetch = self._fetches[name]
        fetch.uses -= 1
        if not fetch.uses and (fetch.ready.cancel() or fetch.ready.done()):
            del self._fetches[name]
            (self._folder / name).unlink(missing_ok=True)

    def close(self) -> None:
        """Cancel downloads that have not begun; those in progress end with the HTTP client."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _mapped(path: Path, size: int) -> RecordDict:
    with path.open("rb") as file:
        data = shared_memory.private(file.fileno(), size)
    return unpack(memoryview(data))


class ReplyInbox:
    """Reads a run's replies in order of arrival, only while a caller waits for them. Not safe for concurrent use.

    A later attempt first receives the replies of earlier attempts. Those to exchanges that it has not repeated yet are kept.
    """

    def __init__(self, client: GridClient) -> None:
        """Start with the oldest reply that the SuperLink stores."""
        self._client = client
        self._after = 0
        self._sequence = 0  # of the newest exchange that was sent
        self._open: dict[str, int] = {}  # by message whose reply was not taken: its exchange
        self._unanswered: dict[str, int] = {}  # those of `_open` whose reply was not read
        self._replies: dict[str, ReplyView] = {}

    def expect(self, sequence: int, message_ids: Iterable[str]) -> None:
        """Register the messages of exchange `sequence`. Unexpected replies to older exchanges are dropped."""
        self._sequence = sequence
        self._open.update(dict.fromkeys(message_ids, sequence))
        self._replies = {name: reply for name, reply in self._replies.items() if self._is_wanted(reply)}
        missing = (name for name, of in self._open.items() if of == sequence and name not in self._replies)
        self._unanswered.update(dict.fromkeys(missing, sequence))

    def _is_wanted(self, reply: ReplyView) -> bool:
        return reply.sequence > self._sequence or reply.message_id in self._open

    def read(self, wait: float) -> list[ReplyView]:
        """Read the next replies; waits up to `wait` seconds for the first."""
        replies = self._client.replies(self._after, wait)
        for reply in replies:
            self._after = max(self._after, reply.number)
            self._unanswered.pop(reply.message_id, None)
            if self._is_wanted(reply):
                self._replies[reply.message_id] = reply
        return replies

    def get(self, message_id: str) -> ReplyView | None:
        """The reply to a message; None if it has not been read."""
        return self._replies.get(message_id)

    def take(self, message_id: str) -> ReplyView:
        """Remove and return the reply to a message, which must have been read."""
        self.abandon([message_id])
        return self._replies.pop(message_id)

    def abandon(self, message_ids: Iterable[str]) -> None:
        """Stop expecting replies to these messages."""
        for name in message_ids:
            self._open.pop(name, None)
            self._unanswered.pop(name, None)

    def oldest_unanswered(self) -> int | None:
        """The oldest exchange with a message whose reply was not read; None if there is none."""
        return next(iter(self._unanswered.values()), None)


T = TypeVar("T")
_LARGEST_PUSH = 16 * 1024 * 1024  # bytes, approximately: half of the SuperLink's limit for a request body
_MESSAGE = 400  # bytes of a message in a request body, without its content
_CHUNK = 70  # bytes of a chunk digest in a request body


class Persist(Protocol):
    """Repeats a call while the SuperLink's disk is full."""

    def __call__(self, call: Callable[[], T]) -> T:
        """Return the result of `call`."""


@dataclass(frozen=True)
class ExchangeOptions:
    """The fields of `PushMessages` that all messages of an exchange share."""

    sequence: int
    keep_from: int
    until: float = 0.0


class MessageOutbox:
    """Sends the messages of one run."""

    def __init__(self, client: GridClient, run_id: int, persist: Persist) -> None:
        """`client` must belong to a task of the run."""
        self._client = client
        self._run_id = run_id
        self._persist = persist

    def send(self, messages: Sequence[Message], exchange: ExchangeOptions) -> int:
        """Upload the contents, assign message IDs and send the messages; returns the total content size in bytes.

        A content that several messages share is uploaded once but counted for each. Chunks that the SuperLink has are not uploaded
        again. Raises OverflowError for an integer of more than 64 bits.
        """
        stored: dict[int, tuple[str, ContentRef]] = {}
        outgoing: list[tuple[Outgoing, str, ContentRef]] = []
        for index, message in enumerate(messages):
            key = id(message.content)
            if key not in stored:
                stored[key] = self._store(message.content)
            name, content = stored[key]
            outgoing.append((self._address(message, exchange.sequence, index, name), name, content))
        for push in _pushes(exchange, outgoing):
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


def _pushes(exchange: ExchangeOptions, outgoing: Sequence[tuple[Outgoing, str, ContentRef]]) -> Iterator[PushMessages]:
    """Split the messages into requests of limited size, each with the contents of its messages."""
    push, places, size = _empty(exchange), dict[str, int](), 0
    for message, name, content in outgoing:
        size += _MESSAGE + (0 if name in places else _weight(content))
        if size > _LARGEST_PUSH and push.messages:
            push.more = True
            yield push
            push, places, size = _empty(exchange), {}, _MESSAGE + _weight(content)
        if name not in places:
            places[name] = len(push.contents)
            push.contents.append(content)
        message.content = places[name]
        push.messages.append(message)
    if push.messages:
        yield push


def _empty(exchange: ExchangeOptions) -> PushMessages:
    return PushMessages(
        sequence=exchange.sequence, contents=[], messages=[], keep_from=exchange.keep_from, until=exchange.until
    )


def _weight(content: ContentRef) -> int:
    return len(content.data or b"") * 4 // 3 + len(content.chunks) * _CHUNK
