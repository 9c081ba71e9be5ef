"""Who waits for what: the asyncio events behind every long-poll, set by the writes."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

TASKS = "tasks"  # a task can be claimed
NODES = "nodes"  # a node has come or gone
NODE_KEYS = "node-keys"  # a key of a node was replaced, or is not good any more


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
        self._bells: dict[str, set[asyncio.Event]] = {}
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
