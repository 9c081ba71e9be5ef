"""Sites and a Grid that speak to a served SuperLink, request by request."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, TypeVar

import httpx2
import msgspec

from tests.integration.superlink import signing
from tests.integration.superlink.served import Served, problem
from umbel.wire.api import ClaimedTask, Problem
from umbel.wire.messages import (
    Accepted,
    Activate,
    ContentRef,
    Deactivate,
    ExpireMessages,
    Forget,
    MessageMetadata,
    Missing,
    NodeList,
    NodeReport,
    NodeSession,
    Outgoing,
    Pull,
    Pulled,
    PushMessages,
    Replies,
    ReplyError,
    ReplyMessage,
    content_id,
    message_id,
)

T = TypeVar("T")


def inline(data: bytes) -> ContentRef:
    """A small content."""
    return ContentRef(size=len(data), data=data)


class Site(signing.Site):
    """A SuperNode's requests."""

    def __init__(self, served: Served, name: str = "") -> None:
        super().__init__(served)
        self.name = name
        self.node_id = 0
        self.session = 0

    async def request(self, method: str, path: str, body: msgspec.Struct | bytes | None = None) -> httpx2.Response:
        """One signed request."""
        content = body if isinstance(body, bytes) or body is None else msgspec.json.encode(body)
        return await signing.send(self.served, self.credentials, method, path, content)

    async def ask(self, answer: type[T], method: str, path: str, body: msgspec.Struct | None = None) -> T:
        """A request that must succeed, and its answer."""
        response = await self.request(method, path, body)
        assert response.is_success, response.text
        return msgspec.json.decode(response.content or b"null", type=answer)

    async def refused(self, method: str, path: str, body: msgspec.Struct | bytes | None = None) -> Problem:
        """A request that must fail, and its problem document."""
        return problem(await self.request(method, path, body))

    async def activate(self, slots: int = 1) -> NodeSession:
        """Begin a session."""
        said = Activate(version="1", name=self.name, slots=slots)
        begun = await self.ask(NodeSession, "POST", "/api/fleet/activate", said)
        self.node_id, self.session = begun.node_id, begun.session
        return begun

    async def pull(
        self, room: int = 8, holding: Sequence[str] = (), wait: float = 0.0, runs: Sequence[int] = ()
    ) -> Pulled:
        """Ask for messages."""
        said = Pull(session=self.session, room=room, holding=list(holding), runs=list(runs))
        return await self.ask(Pulled, "POST", f"/api/fleet/pull?wait={wait:g}", said)

    async def take(self, **options: Any) -> list[str]:
        """Ask for messages; their ids."""
        return [one.message_id for one in (await self.pull(**options)).messages]

    async def reply(self, message: str, content: ContentRef | bytes | None = None, code: int = 1) -> bool:
        """Answer a message with a content, or without one with an error."""
        if isinstance(content, bytes):
            content = inline(content)
        error = ReplyError(code=code, reason="it failed") if content is None else None
        said = ReplyMessage(session=self.session, message_id=message, content=content, error=error, seconds=0.5)
        return (await self.ask(Accepted, "POST", "/api/fleet/reply", said)).accepted

    async def report(self, report: NodeReport) -> None:
        """Report."""
        await self.ask(type(None), "POST", "/api/fleet/report", report)

    async def deactivate(self) -> None:
        """End the session."""
        await self.ask(type(None), "POST", "/api/fleet/deactivate", Deactivate(session=self.session))

    async def put(self, data: bytes, message: str) -> str:
        """Put a chunk of the answer to a message."""
        digest = hashlib.sha256(data).hexdigest()
        response = await self.request("PUT", f"/api/objects/{digest}?message={message}", data)
        assert response.is_success, response.text
        return digest


class Grid:
    """What the process of a ServerApp asks."""

    def __init__(self, served: Served, task: ClaimedTask) -> None:
        self.served = served
        self.task = task
        self.path = f"/api/runtime/tasks/{task.task_id}"

    async def nodes(self, at_least: int = 0, wait: float = 0.0) -> list[int]:
        """The nodes that are online."""
        path = f"{self.path}/nodes?at_least={at_least}&wait={wait:g}"
        return (await self.served.ask(NodeList, "GET", path, token=self.task.token)).node_ids

    def outgoing(self, sequence: int, index: int, node_id: int, content: ContentRef, **changed: Any) -> Outgoing:
        """One message, with the id that follows from it."""
        metadata = MessageMetadata(
            run_id=self.task.run_id,
            sequence=sequence,
            index=index,
            node_id=node_id,
            message_type="train",
            content_id=content_id(content),
        )
        known: dict[str, Any] = {
            "message_type": "train",
            "created_at": 1.0,
            "ttl": 60.0,
            "group_id": str(sequence),
            "content": 0,
        }
        return Outgoing(message_id=message_id(metadata), node_id=node_id, index=index, **(known | changed))

    def exchange(self, node_ids: Sequence[int], content: ContentRef, sequence: int = 1, **options: Any) -> PushMessages:
        """The same content to several nodes."""
        out = [self.outgoing(sequence, index, node_id, content) for index, node_id in enumerate(node_ids)]
        return PushMessages(sequence=sequence, contents=[content], messages=out, **options)

    async def push(self, pushed: PushMessages) -> list[str]:
        """Push; the ids of the messages."""
        await self.tell("messages", pushed)
        return [one.message_id for one in pushed.messages]

    async def send(self, sites: Sequence[Site], data: bytes = b"model", sequence: int = 1) -> list[str]:
        """The same small content to several sites; the ids of the messages."""
        return await self.push(self.exchange([site.node_id for site in sites], inline(data), sequence))

    async def replies(self, after: int = 0, wait: float = 0.0) -> Replies:
        """The replies after a number."""
        path = f"{self.path}/replies?after={after}&wait={wait:g}"
        return await self.served.ask(Replies, "GET", path, token=self.task.token)

    async def expire(self, *messages: str) -> None:
        """Do not wait any longer."""
        await self.tell("expire", ExpireMessages(message_ids=list(messages)))

    async def forget(self, sequence: int, call: int = 0) -> None:
        """Drop what a checkpoint covers."""
        await self.tell("forget", Forget(sequence=sequence, call=call))

    async def missing(self, *digests: str) -> list[str]:
        """Which objects are not there."""
        asked = Missing(digests=list(digests))
        return (await self.served.ask(Missing, "POST", "/api/objects/missing", asked, self.task.token)).digests

    async def tell(self, what: str, body: msgspec.Struct) -> None:
        """A request that must succeed without an answer."""
        await self.served.done("POST", f"{self.path}/{what}", body, self.task.token)


async def start(served: Served, *names: str) -> tuple[Grid, list[Site]]:
    """A running run, and sites that are online."""
    await served.start()
    sites = [Site(served, name) for name in names]
    for site in sites:
        await site.activate()
    return Grid(served, await served.begin()), sites
