"""Liveness of nodes, from their long-polls."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from umbel.superlink.domain.node import OFFLINE_AFTER, SILENT_AFTER, Cut, NodeEvent, Poll, Silence


@dataclass(slots=True)
class _Known:
    is_online: bool
    due: float  # when its silence is too long, unless a poll of it waits
    parked: int = 0


class Presence:
    """What this process has heard of nodes, and which events of `umbel.superlink.domain.node` follow from it.

    Times are seconds of one monotonic clock, given by the caller. A node without an entry is offline, or elsewhere.
    """

    def __init__(self) -> None:
        self._nodes: dict[int, _Known] = {}

    def activated(self, node_id: int, now: float) -> None:
        """A node has begun a session, which is known."""
        parked = self._nodes[node_id].parked if node_id in self._nodes else 0
        self._nodes[node_id] = _Known(True, now + SILENT_AFTER, parked)

    def expect(self, node_ids: Iterable[int], now: float) -> None:
        """These nodes were there before this process was: they have some time to show themselves."""
        for node_id in node_ids:
            self._nodes.setdefault(node_id, _Known(False, now + OFFLINE_AFTER))

    def park(self, node_id: int, session: int, now: float) -> NodeEvent | None:
        """A poll of a node begins to wait."""
        known = self._nodes.setdefault(node_id, _Known(False, now))
        known.parked += 1
        if known.is_online:
            return None
        known.is_online = True
        return Poll(session)

    def unpark(self, node_id: int, now: float, *, cut: bool) -> NodeEvent | None:
        """It ended: with an answer, or because the connection was `cut`."""
        known = self._nodes.get(node_id)
        if known is None:
            return None
        known.parked -= 1
        known.due = now + SILENT_AFTER
        if known.parked or not cut or not known.is_online:
            return None
        known.is_online, known.due = False, now + OFFLINE_AFTER
        return Cut()

    def moved(self, node_id: int) -> None:
        """The node polls another SuperLink now: should it come back here, that has to be told."""
        if (known := self._nodes.get(node_id)) is not None:
            known.is_online = False

    def leave(self, node_id: int, now: float) -> None:
        """A node has gone, which is known."""
        if (known := self._nodes.get(node_id)) is not None:
            known.is_online, known.due = False, now

    def due(self, now: float) -> list[tuple[int, NodeEvent]]:
        """The nodes whose silence has become too long by now, each with what follows."""
        events: list[tuple[int, NodeEvent]] = []
        for node_id, known in list(self._nodes.items()):
            if known.parked or known.due > now:
                continue
            if known.is_online:
                known.is_online, known.due = False, now + OFFLINE_AFTER - SILENT_AFTER
                events.append((node_id, Silence(SILENT_AFTER)))
            else:
                del self._nodes[node_id]
                events.append((node_id, Silence(OFFLINE_AFTER)))
        return events

    def next_due(self) -> float | None:
        """When `due` is worth a look."""
        return min((known.due for known in self._nodes.values() if not known.parked), default=None)


class NodeLiveness:
    """`Presence` in the event loop: one timer, and `tell` called with each event as it comes up."""

    def __init__(self, tell: Callable[[int, NodeEvent], None]) -> None:
        self._tell = tell
        self._presence = Presence()
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    def activated(self, node_id: int) -> None:
        """A node has started a session."""
        self._presence.activated(node_id, self._loop.time())
        self._arm(self._loop.time() + SILENT_AFTER)

    def expect(self, node_ids: Iterable[int]) -> None:
        """Monitor nodes that may still be connected."""
        self._presence.expect(node_ids, self._loop.time())
        self._arm(self._loop.time() + OFFLINE_AFTER)

    def moved(self, node_id: int) -> None:
        """A node has moved to another SuperLink: stop monitoring it."""
        self._presence.moved(node_id)

    def leave(self, node_id: int) -> None:
        """A node has ended its session."""
        self._presence.leave(node_id, self._loop.time())

    @contextmanager
    def parked(self, node_id: int, session: int, gone: asyncio.Task[None]) -> Iterator[None]:
        """A poll of a node waits for as long as the context is open; `gone` ends when its connection is cut."""
        self._pass_on(node_id, self._presence.park(node_id, session, self._loop.time()))
        try:
            yield
        finally:
            now = self._loop.time()
            self._pass_on(node_id, self._presence.unpark(node_id, now, cut=gone.done()))
            self._arm(now + SILENT_AFTER)

    def cancel(self) -> None:
        """End the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _pass_on(self, node_id: int, event: NodeEvent | None) -> None:
        if event is not None:
            self._tell(node_id, event)

    def _arm(self, at: float) -> None:
        if self._timer is None or at < self._timer.when():
            self.cancel()
            self._timer = self._loop.call_at(at, self._ring)

    def _ring(self) -> None:
        self._timer = None
        for node_id, event in self._presence.due(self._loop.time()):
            self._tell(node_id, event)
        if (at := self._presence.next_due()) is not None:
            self._arm(at)
