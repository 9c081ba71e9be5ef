"""The client of the part of the Runtime API that a ServerApp's Grid speaks: nodes, messages, replies, journal."""

from __future__ import annotations

from types import NoneType
from typing import TYPE_CHECKING, TypeVar

from umbel.wire.messages import (
    ExpireMessages,
    Forget,
    Journal,
    JournalEntry,
    NodeList,
    PushMessages,
    Replies,
    ReplyView,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from umbel.wire.http import HttpClient
    from umbel.wire.runtime import RuntimeClient

T = TypeVar("T")


class GridClient:
    """What the process of one task says about its run's messages. Every method may raise any error of the API."""

    def __init__(self, runtime: RuntimeClient, task_id: int) -> None:
        """`runtime` has the token of the task."""
        self._runtime = runtime
        self._path = f"/api/runtime/tasks/{task_id}"

    @property
    def http(self) -> HttpClient:
        """For contents, which travel apart from their messages."""
        return self._runtime.http

    def nodes(self, at_least: int = 0, wait: float = 0.0) -> list[int]:
        """The nodes that are online, ascending; waits up to `wait` seconds until there are `at_least` so many."""
        return self._get(f"nodes?at_least={at_least}&wait={wait:g}", NodeList, wait).node_ids

    def push(self, messages: PushMessages) -> None:
        """Send messages whose contents are stored. Those that are known already are skipped."""
        self.http.call("POST", f"{self._path}/messages", NoneType, messages)

    def replies(self, after: int, wait: float = 0.0) -> list[ReplyView]:
        """The next replies after number `after`, ascending, perhaps not all; waits up to `wait` seconds while there are none."""
        return self._get(f"replies?after={after}&wait={wait:g}", Replies, wait).replies

    def expire(self, message_ids: Sequence[str]) -> None:
        """Wait for these no more: those without a reply get one, TIMED_OUT, for good."""
        self.http.call("POST", f"{self._path}/expire", NoneType, ExpireMessages(message_ids=list(message_ids)))

    def journal(self, after: int = 0) -> Journal:
        """What was recorded of the calls after number `after`, ascending, and how far the run has sent messages."""
        return self._get(f"journal?after={after}", Journal, 0.0)

    def record(self, entries: Sequence[JournalEntry]) -> None:
        """Keep what calls found out; the first entry of a call stays."""
        self.http.call("POST", f"{self._path}/journal", NoneType, Journal(entries=list(entries)))

    def forget(self, forget: Forget) -> None:
        """A durable checkpoint covers these exchanges and calls: nothing of them is asked for again."""
        self.http.call("POST", f"{self._path}/forget", NoneType, forget)

    def _get(self, what: str, answer: type[T], wait: float) -> T:
        return self.http.call("GET", f"{self._path}/{what}", answer, wait=wait)
