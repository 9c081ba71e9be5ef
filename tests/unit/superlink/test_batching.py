"""Many questions answered in one go."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from umbel.superlink.waiting.batching import Batch


class Work:
    """Doubles numbers; 13 is refused, 0 breaks the whole batch. The first batch waits until `gate` is open."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.begun, self.gate = asyncio.Event(), asyncio.Event()

    async def __call__(self, items: Sequence[int]) -> list[int | Exception]:
        self.batches.append(list(items))
        self.begun.set()
        await self.gate.wait()
        if 0 in items:
            raise ZeroDivisionError
        return [ValueError("13") if item == 13 else 2 * item for item in items]


async def test_what_comes_meanwhile_goes_together() -> None:
    """While one batch is under way the next gathers, up to its limit; each gets its own result."""
    work = Work()
    batch = Batch(work, most=3)
    first = asyncio.create_task(batch.ask(1))
    await work.begun.wait()
    others = [asyncio.create_task(batch.ask(number)) for number in (2, 3, 4, 5)]
    await asyncio.sleep(0)
    work.gate.set()
    assert await asyncio.gather(first, *others) == [2, 4, 6, 8, 10]
    assert work.batches == [[1], [2, 3, 4], [5]]


async def test_one_that_is_refused_does_not_hurt_the_others() -> None:
    """An exception in the place of a result is raised to who asked for it."""
    work = Work()
    work.gate.set()
    batch = Batch(work)
    results = await asyncio.gather(batch.ask(1), batch.ask(13), batch.ask(2), return_exceptions=True)
    assert [results[0], results[2]] == [2, 4]
    assert isinstance(results[1], ValueError)


async def test_work_that_fails_is_said_to_all_and_the_next_goes_on() -> None:
    """An error of the whole batch is raised to everybody in it, and ends nothing else."""
    work = Work()
    work.gate.set()
    batch = Batch(work)
    results = await asyncio.gather(batch.ask(0), batch.ask(1), return_exceptions=True)
    assert [type(result) for result in results] == [ZeroDivisionError, ZeroDivisionError]
    assert await batch.ask(4) == 8


async def test_who_goes_away_leaves_the_others_alone() -> None:
    """A caller that is cancelled takes nothing from the others in its batch."""
    work = Work()
    batch = Batch(work)
    asking = [asyncio.create_task(batch.ask(number)) for number in (1, 2)]
    await work.begun.wait()
    asking[0].cancel()
    work.gate.set()
    with pytest.raises(asyncio.CancelledError):
        await asking[0]
    assert await asking[1] == 4
