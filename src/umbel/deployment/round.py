"""How far an exchange is, and when it goes on without those that have not replied."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from umbel.serverapp.grid import RoundPolicy
from umbel.wire.messages import ReplyView


class Round:
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
        """How many have replied, with errors too."""
        return len(self.message_ids) - len(self._missing)

    def count(self, replies: Iterable[ReplyView]) -> bool:
        """Take these replies into account, of which some may be to other messages; whether any is to one of these."""
        before = self.done
        for reply in replies:
            if reply.message_id in self._missing:
                del self._missing[reply.message_id]
                self.failed += reply.error is not None
        return self.done > before

    def limit(self) -> float | None:
        """When it goes on without the missing ones, as things stand; None: not before something comes."""
        if self._is_cut:
            return None
        limits = [self._policy.timeout]
        needed = len(self.message_ids) if self._policy.quorum is None else self._policy.quorum
        if self.done - self.failed >= needed:
            limits.append(self._policy.deadline)
        return min((self._began + seconds for seconds in limits if seconds is not None), default=None)

    def cut_off(self) -> list[str]:
        """It goes on: the messages without a reply, which are to be expired."""
        self._is_cut = True
        return list(self._missing)


def shown_limit(policy: RoundPolicy) -> float | None:
    """Seconds after which, to be shown to a person, a round goes on without those that are missing."""
    limits = [seconds for seconds in (policy.timeout, policy.deadline) if seconds is not None]
    return min(limits, default=None)
