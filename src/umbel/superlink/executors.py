"""Which SuperExecs are there: those that ask for work, or asked a moment ago."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

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
