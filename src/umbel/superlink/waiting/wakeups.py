"""Wake-ups: the asyncio events behind every long-poll, set after commits."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

TASKS = "tasks"  # a task can be claimed
NODES = "nodes"  # a node has come or gone
SITE_WORK = "site-work"  # a node has said how far it is
NODE_KEYS = "node-keys"  # a node's key was replaced or revoked


def run_topic(run_id: int) -> str:
    """Something was stored about a run."""
    return f"run:{run_id}"


def task_topic(task_id: int) -> str:
    """A task changed its state."""
    return f"task:{task_id}"


def node_topic(node_id: int) -> str:
    """A node has something new to fetch, or to give up."""
    return f"node:{node_id}"


def replies_topic(run_id: int) -> str:
    """A message of a run got its reply."""
    return f"replies:{run_id}"


class Wakeups:
    """Events by topic. To be used in the event loop; `wake_from_thread` from anywhere."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._bells: dict[str, set[asyncio.Event | Nudge]] = {}
        self.closing = False

    @contextmanager
    def listen(self, topic: str) -> Iterator[asyncio.Event]:
        """An event that is set whenever `topic` is woken; clear it before looking at the state."""
        bell = asyncio.Event()
        bells = self._bells.setdefault(topic, set())
        bells.add(bell)
        try:
            yield bell
        finally:
            bells.discard(bell)
            if not bells and self._bells.get(topic) is bells:
                del self._bells[topic]

    @contextmanager
    def nudge(self, bell: asyncio.Event, topics: Iterable[str], pause: float) -> Iterator[Nudge]:
        """Set `bell` too when one of `topics` was woken, at most once in `pause` seconds and so much later."""
        nudge = Nudge(bell, pause)
        for topic in (known := list(topics)):
            self._bells.setdefault(topic, set()).add(nudge)
        try:
            yield nudge
        finally:
            nudge.cancel()
            for topic in known:
                bells = self._bells.get(topic, set())
                bells.discard(nudge)
                if not bells:
                    self._bells.pop(topic, None)

    def parked(self) -> list[tuple[str, int]]:
        """(kind of topic, number) of the waits."""
        kinds: Counter[str] = Counter()
        for topic, bells in self._bells.items():
            kinds[topic.partition(":")[0]] += len(bells)
        return list(kinds.items())

    def wake(self, topics: Iterable[str]) -> None:
        """Set the events of some topics."""
        for topic in topics:
            for bell in self._bells.get(topic, ()):
                bell.set()

    def wake_all(self) -> None:
        """Set all events: something may have been missed."""
        self.wake(list(self._bells))

    def wake_from_thread(self, topics: Iterable[str]) -> None:
        """`wake`, from another thread."""
        self._loop.call_soon_threadsafe(self.wake, list(topics))

    def close(self) -> None:
        """Let every wait end at once: the SuperLink shuts down."""
        self.closing = True
        self.wake_all()


class Nudge:
    """Sets an event some time after it was set itself."""

    def __init__(self, bell: asyncio.Event, pause: float) -> None:
        self._bell = bell
        self._pause = pause
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._rang = True  # there is always a first time

    def set(self) -> None:
        """Something happened."""
        if self._timer is None:
            self._timer = self._loop.call_later(self._pause, self._ring)

    def rang(self) -> bool:
        """Whether it is time to look, once."""
        rang, self._rang = self._rang, False
        return rang

    def cancel(self) -> None:
        """Set the event no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _ring(self) -> None:
        self._timer = None
        self._rang = True
        self._bell.set()
