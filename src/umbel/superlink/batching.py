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
    and one that `work` raises itself to all. Nobody waits for company: a first item goes at once.
    """

    def __init__(self, work: Callable[[Sequence[T]], Awaitable[Sequence[R | Exception]]], most: int = 500) -> None:
        self._work = work
        self._most = most
        self._busy = asyncio.Lock()
        self._items: list[T] = []  # of the batch that is still open
        self._batch: asyncio.Task[Sequence[R | Exception]] | None = None

    async def ask(self, item: T) -> R:
        """The result for one item. Who is cancelled here does not take its item back."""
        if self._batch is None or len(self._items) >= self._most:
            self._items = []
            self._batch = asyncio.create_task(self._serve(self._items))
        place, batch = len(self._items), self._batch
        self._items.append(item)
        result = (await asyncio.shield(batch))[place]
        if isinstance(result, Exception):
            raise result
        return result

    async def _serve(self, items: list[T]) -> Sequence[R | Exception]:
        async with self._busy:
            if items is self._items:
                self._batch = None  # who comes now is for the next one
            return await self._work(items)
