"""Replies that have come and were not asked for yet."""

from __future__ import annotations

from collections.abc import Iterable

from umbel.wire.grid import GridClient
from umbel.wire.messages import ReplyView


class Inbox:
    """Reads a run's replies in the order in which they came to be, no further than somebody waits. For one thread at a time.

    In a later attempt the replies of earlier ones come first. Those to exchanges that are still to be repeated are kept until then.
    """

    def __init__(self, client: GridClient) -> None:
        """From the first reply on that the SuperLink keeps."""
        self._client = client
        self._after = 0
        self._sequence = 0  # of the newest exchange that was sent
        self._open: dict[str, int] = {}  # messages whose reply was not taken, with their exchange
        self._unanswered: dict[str, int] = {}  # of them, those whose reply was not read
        self._replies: dict[str, ReplyView] = {}

    def expect(self, sequence: int, message_ids: Iterable[str]) -> None:
        """These messages were sent as exchange `sequence`. Replies to older exchanges that nobody expects are dropped."""
        self._sequence = sequence
        self._open.update(dict.fromkeys(message_ids, sequence))
        self._replies = {name: reply for name, reply in self._replies.items() if self._is_wanted(reply)}
        missing = (name for name, of in self._open.items() if of == sequence and name not in self._replies)
        self._unanswered.update(dict.fromkeys(missing, sequence))

    def _is_wanted(self, reply: ReplyView) -> bool:
        return reply.sequence > self._sequence or reply.message_id in self._open

    def read(self, wait: float) -> list[ReplyView]:
        """The replies that come next; waits up to `wait` seconds while there are none."""
        replies = self._client.replies(self._after, wait)
        for reply in replies:
            self._after = max(self._after, reply.number)
            self._unanswered.pop(reply.message_id, None)
            if self._is_wanted(reply):
                self._replies[reply.message_id] = reply
        return replies

    def get(self, message_id: str) -> ReplyView | None:
        """The reply to a message, if it is there."""
        return self._replies.get(message_id)

    def take(self, message_id: str) -> ReplyView:
        """The reply to a message, which is there; it is kept no longer."""
        self.abandon([message_id])
        return self._replies.pop(message_id)

    def abandon(self, message_ids: Iterable[str]) -> None:
        """Nobody will take the replies to these messages, which may not be there yet."""
        for message_id in message_ids:
            self._open.pop(message_id, None)
            self._unanswered.pop(message_id, None)

    def oldest_unanswered(self) -> int | None:
        """The first exchange that may still be under way."""
        return next(iter(self._unanswered.values()), None)
