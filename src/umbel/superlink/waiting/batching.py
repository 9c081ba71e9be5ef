"""Do what many ask for at the same time in one go."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Batch(Generic[T, R]):
    """Gathers what is asked for while `work` is busy, and hands it over together. To be used in the event loop.

    `work` gives one result for each item, in order; an exception in the place of a result is raised to who asked for it,
    and one that `work` raises itself to all. The first item is never delayed.
    """

    def __init__(self, work: Callable[[Sequence[T]], Awaitable[Sequence[R | Exception]]], most: int = 500) -> None:
        self._work = work
        self._most = most
        self._busy = asyncio.Lock()
        self._open: _Open[T, R] | None = None

    async def ask(self, item: T) -> R:
        """The result for one item. Who is cancelled here does not take its item back."""
        batch = self._open
        if batch is None or len(batch.items) >= self._most:
            batch = self._open = _Open()
            batch.task = asyncio.create_task(self._serve(batch))
            batch.task.add_done_callback(lambda _: batch.done.set())
        place = len(batch.items)
        batch.items.append(item)
        await batch.done.wait()
        result = batch.task.result()[place]
        if isinstance(result, Exception):
            raise result
        return result

    async def _serve(self, batch: _Open[T, R]) -> Sequence[R | Exception]:
        async with self._busy:
            if batch is self._open:
                self._open = None  # who comes now is for the next one
            return await self._work(batch.items)


class _Open(Generic[T, R]):
    """A batch that takes more items until its work begins."""

    def __init__(self) -> None:
        self.items: list[T] = []
        self.done = asyncio.Event()
        self.task: asyncio.Task[Sequence[R | Exception]]
