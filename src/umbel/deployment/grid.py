"""The Grid of a ServerApp whose clients are real sites."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from umbel.app.message import Error, ErrorCode, Message, Metadata
from umbel.deployment.journal import CallJournal
from umbel.deployment.transfer import ContentFetcher, ExchangeOptions, MessageOutbox, Persist, ReplyInbox
from umbel.errors import ObjectInvalid
from umbel.runtime.checkpoints import Checkpoints
from umbel.runtime.recording import Recorder, RecordingGrid
from umbel.serverapp.grid import RoundPolicy, Run
from umbel.wire.messages import ReplyView
from umbel.wire.programs import GridClient

_AT_ONCE = 1.0  # seconds; a shorter wait is not reported
_WAIT = 30.0  # seconds: duration of a long-poll


class NodeWaiter:
    """Waits for online nodes and reports the wait."""

    def __init__(self, client: GridClient, recorder: Recorder) -> None:
        """`recorder` receives the reasons for waiting."""
        self._client = client
        self._recorder = recorder

    def wait(self, at_least: int, timeout: float | None) -> list[int]:
        """The online nodes, as soon as there are `at_least` of them, or after `timeout` seconds."""
        began, since = time.monotonic(), time.time()
        reported: int | None = None
        try:
            while True:
                left = _WAIT if timeout is None else min(_WAIT, began + timeout - time.monotonic())
                nodes = self._client.nodes(at_least, max(0.0, left if reported is not None else min(left, _AT_ONCE)))
                if len(nodes) >= at_least or left <= 0:
                    return nodes
                if reported != len(nodes):
                    reported = len(nodes)
                    self._report(at_least, reported, since, timeout)
        finally:
            if reported is not None:
                self._recorder.event("waiting", {"for": "", "what": ""})

    def _report(self, at_least: int, there: int, since: float, timeout: float | None) -> None:
        data: dict[str, object] = {"for": "nodes", "what": f"{there} of {at_least} are online", "since": since}
        if timeout is not None:
            data["until"] = since + timeout
        self._recorder.event("waiting", data)


class RoundProgress:
    """Counts the replies to the messages of one exchange. Times are seconds on the caller's monotonic clock."""

    def __init__(self, message_ids: Sequence[str], policy: RoundPolicy, began: float) -> None:
        """The messages were sent at `began`."""
        self.message_ids = message_ids
        self._policy = policy
        self._began = began
        self._missing = dict.fromkeys(message_ids)
        self._is_cut = False
        self.failed = 0

    @property
    def done(self) -> int:
        """The number of replies so far, including errors."""
        return len(self.message_ids) - len(self._missing)

    def count(self, replies: Iterable[ReplyView]) -> bool:
        """Count those of the replies that belong to this exchange; returns whether there were any."""
        before = self.done
        for reply in replies:
            if reply.message_id in self._missing:
                del self._missing[reply.message_id]
                self.failed += reply.error is not None
        return self.done > before

    def limit(self) -> float | None:
        """The current deadline for the missing replies; None if only another reply can set one."""
        if self._is_cut:
            return None
        limits = [self._policy.timeout]
        needed = len(self.message_ids) if self._policy.quorum is None else self._policy.quorum
        if self.done - self.failed >= needed:
            limits.append(self._policy.deadline)
        return min((self._began + seconds for seconds in limits if seconds is not None), default=None)

    def cut_off(self) -> list[str]:
        """Stop waiting; returns the messages without a reply, which the caller has to expire."""
        self._is_cut = True
        return list(self._missing)


def shown_limit(policy: RoundPolicy) -> float | None:
    """The number of seconds after which the round continues without the missing replies, for display."""
    limits = [seconds for seconds in (policy.timeout, policy.deadline) if seconds is not None]
    return min(limits, default=None)


OnProgress = Callable[[int, int, int], None]  # replies, messages and error replies of the current exchange

_AHEAD = 2  # replies whose contents are downloaded while earlier ones are aggregated


class DeploymentGrid(RecordingGrid):
    """A Grid that sends messages through the SuperLink and gives a later attempt of the run the same answers.

    Exchanges and calls are numbered, and message IDs are derived from the exchange number. When a later attempt repeats an exchange,
    the SuperLink recognizes its messages and returns the stored replies immediately.
    """

    def __init__(
        self,
        client: GridClient,
        run: Run,
        recorder: Recorder,
        checkpoints: Checkpoints | None,
        scratch: Path,
        persist: Persist,
        on_progress: OnProgress,
    ) -> None:
        """`scratch` is a directory for downloads of replies; `persist` retries calls while the SuperLink's disk is full."""
        super().__init__(run, recorder, checkpoints)
        self._client = client
        self._persist = persist
        self._on_progress = on_progress
        self._journal = CallJournal(client, self._position, persist)
        self._nodes = NodeWaiter(client, recorder)
        self._outbox = MessageOutbox(client, run.run_id, persist)
        self._inbox = ReplyInbox(client)
        self._contents = ContentFetcher(client.http, scratch, persist)
        self._pushed: dict[str, Metadata] = {}

    def get_node_ids(self) -> Sequence[int]:
        """The IDs of the online nodes, ascending. A later attempt gets the same ones."""
        return self._journal.nodes(0, self._client.nodes)

    def wait_for_nodes(self, at_least: int, timeout: float | None = None) -> Sequence[int]:
        """Wait for online nodes and return their IDs; the run reports the wait. A later attempt gets the same ones.

        Raises NotEnoughNodes after `timeout` seconds.
        """
        return self._journal.nodes(at_least, lambda: self._nodes.wait(at_least, timeout))

    def push_messages(self, messages: Iterable[Message]) -> Sequence[str]:
        """Send the messages and return their ids, in order, without waiting for replies."""
        sent = self._send(list(messages), RoundPolicy())
        self._pushed.update((metadata.message_id, metadata) for metadata in sent)
        return [metadata.message_id for metadata in sent]

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """The replies that have arrived, in order of arrival. IDs that are unknown, or whose reply was pulled before, are ignored."""
        wanted = {name for name in message_ids if name in self._pushed}
        names = self._journal.pulled(wanted, lambda: self._arrived(wanted))
        for name in names:
            self._wait_for(name)
        replies = [self._inbox.take(name) for name in names]
        for reply in replies:
            self._fetch(reply)
        return [self._open(self._pushed.pop(reply.message_id), reply) for reply in replies]

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        """Send messages and wait for the replies. A reply that arrives after the timeout is discarded."""
        replies = self.exchange(list(messages), RoundPolicy(timeout=timeout))
        return [reply for reply in replies if not (reply.has_error() and reply.error.code == ErrorCode.TIMED_OUT)]

    def exchange(self, messages: Sequence[Message], policy: RoundPolicy) -> Iterator[Message]:
        """Send the messages immediately; returns an iterator over the replies. The time limits start again after a restart of the process."""
        return self._in_order(self._send(messages, policy), policy)

    def close(self) -> None:
        """Cancel the downloads that have not begun."""
        self._contents.close()

    def _send(self, messages: Sequence[Message], policy: RoundPolicy) -> list[Metadata]:
        sequence = self._position.advance()
        # A node that fails before its reply is stored serves the message again, with the previous client state.
        before = (self._inbox.oldest_unanswered() or sequence) - 1
        keep_from = min(self._position.needed_from, before)
        seconds = shown_limit(policy)
        until = 0.0 if seconds is None else time.time() + seconds
        self._sent += self._outbox.send(messages, ExchangeOptions(sequence, keep_from, until))
        sent = [replace(message.metadata) for message in messages]  # the app may reuse its messages
        self._inbox.expect(sequence, [metadata.message_id for metadata in sent])
        self._report_traffic()
        return sent

    def _in_order(self, sent: Sequence[Metadata], policy: RoundPolicy) -> Iterator[Message]:
        names = [metadata.message_id for metadata in sent]
        progress = RoundProgress(names, policy, time.monotonic())
        progress.count(reply for name in names if (reply := self._inbox.get(name)))
        ahead: dict[int, ReplyView] = {}  # by index: taken from the inbox, content being downloaded
        try:
            for index, metadata in enumerate(sent):
                while not self._look_ahead(names, index, ahead):
                    self._advance(progress)
                yield self._open(metadata, ahead.pop(index))
        finally:
            for reply in ahead.values():
                self._release(reply)
            self._inbox.abandon(names)
            self._report_traffic()

    def _look_ahead(self, names: Sequence[str], index: int, ahead: dict[int, ReplyView]) -> bool:
        """Begin to download the next replies that have arrived, from `index` on; returns whether that at `index` has arrived."""
        for place in range(index, min(index + _AHEAD, len(names))):
            if place not in ahead and self._inbox.get(names[place]):
                ahead[place] = self._inbox.take(names[place])
                self._fetch(ahead[place])
        return index in ahead

    def _advance(self, progress: RoundProgress) -> None:
        """Wait for more replies; expire the missing ones when the deadline has passed."""
        limit = progress.limit()
        left = _WAIT if limit is None else min(_WAIT, limit - time.monotonic())
        if left > 0:
            if progress.count(self._inbox.read(left)):
                self._on_progress(progress.done, len(progress.message_ids), progress.failed)
            return
        missing = progress.cut_off()
        self._persist(lambda: self._client.expire(missing))

    def _arrived(self, wanted: set[str]) -> list[str]:
        """The messages whose replies have arrived, in order of arrival."""
        while self._inbox.read(0):
            pass
        replies = [reply for name in wanted if (reply := self._inbox.get(name))]
        return [reply.message_id for reply in sorted(replies, key=lambda reply: reply.number)]

    def _wait_for(self, name: str) -> None:
        while self._inbox.get(name) is None:
            self._inbox.read(_WAIT)

    def _fetch(self, reply: ReplyView) -> None:
        if reply.content is not None:
            self._contents.fetch(reply.content)

    def _release(self, reply: ReplyView) -> None:
        if reply.content is not None:
            self._contents.release(reply.content)

    def _open(self, asked: Metadata, reply: ReplyView) -> Message:
        metadata = asked.of_reply(asked.ttl, reply.created_at or asked.created_at)
        if reply.content is None:
            error = reply.error
            return Message.from_parts(metadata, None, Error(error.code, error.reason) if error else Error(0))
        self._received += reply.content.size
        try:
            return Message.from_parts(metadata, self._contents.open(reply.content))
        except (ObjectInvalid, RecursionError) as error:
            return Message.from_parts(metadata, None, Error(ErrorCode.MALFORMED_REPLY, str(error)))

    def _report_traffic(self) -> None:
        self._recorder.traffic(self._sent, self._received, 0.0)  # the SuperLink adds the seconds that nodes report
