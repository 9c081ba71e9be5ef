"""Exit of the local SuperLink after a period without use."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager


class IdleExit:
    """Calls `on_idle` when `seconds` have passed without activity (0: never) and `is_idle` agrees.

    One timer, armed for the last activity's end; while a run is unfinished nothing is armed, as its end is activity.
    """

    def __init__(self, seconds: float, is_idle: Callable[[], Awaitable[bool]]) -> None:
        self.on_idle: Callable[[], None] = lambda: None
        self._seconds = seconds
        self._is_idle = is_idle
        self._loop = asyncio.get_running_loop()
        self._last = self._loop.time()
        self._open = 0
        self._timer: asyncio.TimerHandle | None = None
        self._check: asyncio.Task[None] | None = None

    def touch(self) -> None:
        """Something happened."""
        self._last = self._loop.time()
        if self._seconds and self._timer is None:
            self._timer = self._loop.call_at(self._last + self._seconds, self._ring)

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Something happens for as long as the context is open."""
        self._open += 1
        self.touch()
        try:
            yield
        finally:
            self._open -= 1
            self.touch()

    def cancel(self) -> None:
        """End the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._check is not None:
            self._check.cancel()
            self._check = None
        self._seconds = 0.0

    def _ring(self) -> None:
        self._timer = None
        if self._last + self._seconds > self._loop.time():
            self._timer = self._loop.call_at(self._last + self._seconds, self._ring)
        elif not self._open:
            self._check = self._loop.create_task(self._end_if_idle(self._last))

    async def _end_if_idle(self, seen: float) -> None:
        if await self._is_idle() and seen == self._last and not self._open:
            self.on_idle()
