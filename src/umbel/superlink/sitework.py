"""What nodes say of the work they are at: live, and not stored."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from umbel.superlink.domain.sites import Progress
from umbel.wire.messages import MessageProgress

_MOST = 64  # messages of one node of which progress is kept
_TEXT = 40  # characters of a stage or a unit


class SiteWork:
    """The newest progress of each message, by node. To be changed in the event loop; read from anywhere.

    `on_news` is called when a node has said something.
    """

    def __init__(self, on_news: Callable[[], None] = lambda: None) -> None:
        self._on_news = on_news
        self._of_node: dict[int, dict[str, Progress]] = {}

    def take(self, node_id: int, said: Iterable[MessageProgress], now: float) -> None:
        """A node says how far it is; what it says of messages that are not its own is never looked up."""
        mine = self._of_node.setdefault(node_id, {})
        for one in said:
            mine[one.message_id] = _after(mine.pop(one.message_id, None), one, now)
        for message_id in list(mine)[:-_MOST]:
            del mine[message_id]
        self._on_news()

    def end(self, node_id: int, message_id: str) -> None:
        """The message is answered."""
        self._of_node.get(node_id, {}).pop(message_id, None)

    def leave(self, node_id: int) -> None:
        """The node's session is over."""
        self._of_node.pop(node_id, None)

    def of(self, node_id: int, message_id: str) -> Progress | None:
        """How far a node is with a message."""
        return self._of_node.get(node_id, {}).get(message_id)


def _after(before: Progress | None, said: MessageProgress, now: float) -> Progress:
    stage = said.stage[:_TEXT]
    since = before.since if before is not None and before.stage == stage else now
    rate = said.done / (now - since) if now > since and said.done > 0 else 0.0
    return Progress(stage, since, max(0.0, said.done), max(0.0, said.total), said.unit[:_TEXT], rate)
