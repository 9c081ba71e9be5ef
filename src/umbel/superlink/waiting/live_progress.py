"""Live, unstored state: progress of rounds and sites, and the SuperExecs that have asked for work."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from umbel.superlink.domain.waiting import Progress
from umbel.wire.api import Event
from umbel.wire.messages import MessageProgress


class Live:
    """The newest `progress` event of each run and phase, numbered so that a reader can tell what it has seen."""

    def __init__(self) -> None:
        self._newest: dict[int, dict[object, tuple[int, Event]]] = {}
        self._count = 0

    def publish(self, run_id: int, events: list[Event]) -> None:
        """Replace the run's progress."""
        for event in events:
            self._count += 1
            self._newest.setdefault(run_id, {})[event.data.get("phase")] = (self._count, event)

    def after(self, run_id: int, number: int) -> list[tuple[int, Event]]:
        """The newest progress of each phase with a number above `number`, in order."""
        return sorted(pair for pair in self._newest.get(run_id, {}).values() if pair[0] > number)

    def forget(self, run_id: int) -> None:
        """The run has finished."""
        self._newest.pop(run_id, None)


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


_RECENT = 40.0  # seconds; a SuperExec asks again at once when its long-poll of 30 s has ended


class Executors:
    """The SuperExecs that this SuperLink has heard of since its start. `now` gives seconds since the epoch."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._slots: dict[tuple[str, str], int] = {}  # by executor and kind of tasks
        self._asked: dict[str, float] = {}
        self._parked: dict[str, int] = {}

    @property
    def last_asked(self) -> float | None:
        """When any of them last asked for work."""
        return max(self._asked.values(), default=None)

    @contextmanager
    def asking(self, executor: str, kinds: Sequence[str], slots: int) -> Iterator[None]:
        """A SuperExec asks for work of these kinds, for as long as the context is open."""
        self.heard(executor, kinds, slots)
        self._parked[executor] = self._parked.get(executor, 0) + 1
        try:
            yield
        finally:
            self._parked[executor] -= 1
            self._asked[executor] = self._now()

    def heard(self, executor: str, kinds: Sequence[str], slots: int) -> None:
        """A SuperExec asks for work, here or at another SuperLink."""
        self._slots.update(((executor, kind), slots) for kind in kinds)
        self._asked[executor] = self._now()

    def slots(self, kind: str, busy: set[str], now: float) -> int:
        """How many tasks of a kind the SuperExecs that are there, or that hold such a task (`busy`), can run at a time."""
        there = {name for name, count in self._parked.items() if count}
        there |= {name for name, at in self._asked.items() if now - at < _RECENT}
        known = sum(self._slots.get((name, kind), 0) for name in there | busy)
        return known + sum((name, kind) not in self._slots for name in busy)
