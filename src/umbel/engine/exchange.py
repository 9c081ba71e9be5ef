"""One exchange: messages that were sent together, and what has come back."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence

from umbel.app.message import Message
from umbel.app.recorddict import RecordDict
from umbel.errors import UmbelError
from umbel.serverapp.aggregation.reduction import Fold, Reduced, Reduction, Reply, Subtree
from umbel.serverapp.grid import RoundPolicy, late


class Exchange:
    """Written by the engine, read by the Grid; both may be different threads.

    `number` counts the run's exchanges from 1. `keep_from` is the exchange at which an earlier attempt may begin again.
    """

    def __init__(
        self, number: int, messages: Sequence[Message], reduction: Reduction | None, policy: RoundPolicy, keep_from: int
    ) -> None:
        """The messages are addressed and numbered already."""
        self.number = number
        self.messages = messages
        self.reduction = reduction
        self.keep_from = keep_from
        self.policy = policy
        self.began = time.monotonic()
        self._fold = Fold(reduction) if reduction else None
        self._replies: dict[int, Message] = {}
        self._answered = bytearray(len(messages))
        self._changed = threading.Condition()
        self._failure: UmbelError | None = None
        self.received = 0  # bytes of the replies that were not folded
        self.done = 0
        self.failed = 0
        self.over = not messages
        self._awaited = -1  # dispatch index of the reply that a thread waits for

    def contents(self) -> tuple[list[RecordDict], list[int]]:
        """The different contents of the messages, and for each message which of them is its own."""
        places: dict[int, int] = {}
        contents: list[RecordDict] = []
        which = []
        for message in self.messages:
            content = message.content
            place = places.setdefault(id(content), len(contents))
            if place == len(contents):
                contents.append(content)
            which.append(place)
        return contents, which

    def unanswered(self) -> list[tuple[int, int]]:
        """The messages without an answer, as ranges start … stop - 1."""
        ranges = []
        start = self._answered.find(0)
        while start >= 0:
            stop = self._answered.find(1, start)
            stop = len(self._answered) if stop < 0 else stop
            ranges.append((start, stop))
            start = self._answered.find(0, stop)
        return ranges

    # What the engine says.

    def replied(self, index: int, reply: Message) -> None:
        """The reply to message `index` is there."""
        if self._answered[index]:
            return
        with self._changed:
            if self._fold:
                self._fold.add(index, reply, self.messages[index].content)
            else:
                self._replies[index] = reply
            self._count(index, 1, int(reply.has_error()))

    def folded(self, subtrees: list[Subtree], replies: list[tuple[int, Reply]]) -> None:
        """These replies were folded elsewhere; they are of consecutive messages. Ignored when they were answered for already."""
        if not replies or self._answered[replies[0][0]] or self._fold is None:
            return
        with self._changed:
            self._fold.merge(subtrees, replies)
            self._count(replies[0][0], len(replies), sum(reply.error is not None for _, reply in replies))

    def _count(self, start: int, count: int, failed: int) -> None:
        self._answered[start : start + count] = b"\x01" * count
        self.done += count
        self.failed += failed
        self.over = self.done == len(self.messages)
        if self.over or start <= self._awaited < start + count:  # waking a thread costs more than answering a client
            self._changed.notify_all()

    def failed_with(self, error: UmbelError) -> None:
        """The engine has failed."""
        with self._changed:
            self._failure = error
            self.over = True
            self._changed.notify_all()

    def limit(self) -> float | None:
        """When, on the monotonic clock, the exchange is to be looked at next even if nothing comes; None for never."""
        limits = [self.policy.timeout]
        if self._has_quorum():
            limits.append(self.policy.deadline)
        return min((self.began + seconds for seconds in limits if seconds is not None), default=None)

    def _has_quorum(self) -> bool:
        needed = len(self.messages) if self.policy.quorum is None else self.policy.quorum
        return self.done - self.failed >= needed

    def cut_off(self) -> None:
        """Its time is over: who has not answered is answered for, with an error."""
        for index, message in enumerate(self.messages):
            if not self._answered[index]:
                self.replied(index, late(message))

    # What the Grid asks.

    def wait(self, timeout: float | None = None) -> None:
        """Wait until the exchange is over. Raises what the engine failed with."""
        with self._changed:
            self._changed.wait_for(lambda: self.over, timeout)
            self._raise_failure()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def in_order(self) -> Iterator[Message]:
        """The replies in dispatch order, each as soon as it and all before it are there; each is let go of when it was yielded."""
        for index in range(len(self.messages)):
            with self._changed:
                self._awaited = index
                self._changed.wait_for(lambda: self._awaited in self._replies or self._failure is not None)
                self._raise_failure()
                reply = self._replies.pop(index)
            yield reply

    def take(self, index: int) -> Message | None:
        """The reply to message `index` if it is there and was not taken before."""
        with self._changed:
            self._raise_failure()
            return self._replies.pop(index, None)

    def reduced(self) -> Reduced:
        """The folded round, once it is over."""
        assert self._fold is not None
        return self._fold.result()
