"""Which node has which key, remembered between its requests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import ExitStack

from umbel.superlink.wakeups import NODE_KEYS, Wakeups

MOST = 100_000  # keys that are remembered


class NodeKeys:
    """Finds the node of a key with `find`, and remembers it until the keys change anywhere.

    `find` gives None for a key that is not that of a node, or is not any more.
    """

    def __init__(self, find: Callable[[str], Awaitable[int | None]], wakeups: Wakeups) -> None:
        self._find = find
        self._known: dict[str, int] = {}
        self._open = ExitStack()
        self._changed = self._open.enter_context(wakeups.listen(NODE_KEYS))

    async def node_of(self, public_key: str) -> int | None:
        """The id of the node that has this key."""
        if self._changed.is_set() or len(self._known) >= MOST:
            self._changed.clear()
            self._known = {}
        known = self._known
        node_id = known.get(public_key)
        if node_id is None and (node_id := await self._find(public_key)) is not None:
            known[public_key] = node_id  # into the old one, which nobody reads, if the keys have changed meanwhile
        return node_id
