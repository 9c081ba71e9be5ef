"""A run's live stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest

from tests.integration.superlink.served import USER, Served
from umbel.superlink.api import stream as stream_module
from umbel.wire.api import ClaimedTask, Event, FinishTask, LogLine, MetricPoint, Report, StreamItem


async def follow(served: Served, run_id: int, query: str = "", **headers: str) -> AsyncIterator[tuple[str, StreamItem]]:
    """The (id, item) of each event of a stream until its end."""
    path = f"/api/v1/runs/{run_id}/stream?{query}"
    named = {"Authorization": f"Bearer {USER}"} | {name.replace("_", "-"): value for name, value in headers.items()}
    async with served.client.stream("GET", path, headers=named) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        cursor = ""
        async for line in response.aiter_lines():
            if line.startswith("id: "):
                cursor = line[4:]
            if line.startswith("data: "):
                yield cursor, msgspec.json.decode(line[6:], type=StreamItem)


async def collect(served: Served, run_id: int, query: str = "", **headers: str) -> list[StreamItem]:
    """All items of a stream."""
    return [item async for _, item in follow(served, run_id, query, **headers)]


async def reported(served: Served, count: int) -> tuple[int, ClaimedTask]:
    """A run whose task has made `count` reports of an event, a log line and a metric each."""
    run = await served.start()
    task = await served.begin()
    for seq in range(1, count + 1):
        await served.report(
            task,
            Report(
                seq=seq,
                events=[Event(kind="note", data={"text": str(seq)})],
                logs=[LogLine(text=str(seq))],
                metrics=[MetricPoint(key="loss", value=float(seq), round=seq, phase="train")],
            ),
        )
    return run.run_id, task


async def test_a_stream_replays_and_goes_on_until_the_end(served: Served) -> None:
    """A stream begins with what was stored, continues with what comes, and ends after the run has finished."""
    run_id, task = await reported(served, 1)
    items: list[StreamItem] = []
    async for cursor, item in follow(served, run_id):
        assert cursor == item.cursor
        items.append(item)
        if item.metric is not None and item.metric.round == 1:
            await served.report(task, Report(seq=2, logs=[LogLine(text="live")]))
        if item.log is not None and item.log.text == "live":
            await served.finish(task, FinishTask(outcome="completed"))
    assert items[0].event is not None
    assert items[0].event.data["status"] == "pending"
    assert items[-1].event is not None
    assert items[-1].event.data["status"] == "finished"
    cursors = [int(item.cursor) for item in items]
    assert cursors == sorted(set(cursors))


async def test_a_stream_goes_on_from_every_cursor(served: Served) -> None:
    """Cut anywhere and taken up by its cursor, a stream loses nothing and repeats nothing."""
    run_id, task = await reported(served, 4)
    await served.finish(task, FinishTask(outcome="completed"))
    whole = await collect(served, run_id)
    assert len(whole) == 12 + 8  # besides the reports: four states of the run and four of the task
    for position, item in enumerate(whole):
        assert await collect(served, run_id, f"after={item.cursor}") == whole[position + 1 :]
    assert await collect(served, run_id, Last_Event_ID=whole[5].cursor) == whole[6:]


async def test_a_long_stream_comes_in_pages(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is longer than a page of the database is still complete and in order."""
    monkeypatch.setattr(stream_module, "_PAGE", 3)
    run_id, task = await reported(served, 5)
    await served.finish(task, FinishTask(outcome="completed"))
    cursors = [int(item.cursor) for item in await collect(served, run_id)]
    assert cursors == list(range(1, 24))


async def test_a_stream_of_some_kinds(served: Served) -> None:
    """`kinds` leaves the others out, and the cursor still counts all."""
    run_id, task = await reported(served, 2)
    await served.finish(task, FinishTask(outcome="completed"))
    logs = await collect(served, run_id, "kinds=log")
    assert [item.log.text for item in logs if item.log] == ["1", "2"]
    both = await collect(served, run_id, f"kinds=log,metric&after={logs[0].cursor}")
    assert [bool(item.log) for item in both] == [False, True, False]


async def test_progress_is_live_only(served: Served) -> None:
    """A `progress` event reaches who follows the run, and is not stored."""
    run_id, task = await reported(served, 0)
    progress = Event(kind="progress", data={"round": 1, "phase": "train", "done": 3, "total": 10})
    seen: list[StreamItem] = []
    async for _, item in follow(served, run_id):
        if item.event is not None and item.event.data.get("status") == "running":
            await served.report(task, Report(seq=1, events=[progress]))
        if item.event is not None and item.event.kind == "progress":
            seen.append(item)
            await served.finish(task, FinishTask(outcome="completed"))
    assert [item.event.data["done"] for item in seen if item.event] == [3]
    assert "progress" not in {item.event.kind for item in await collect(served, run_id) if item.event}


async def test_a_silent_stream_says_that_it_is_there(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """A comment line comes when nothing else does, so that no proxy cuts the connection."""
    monkeypatch.setattr(stream_module, "KEEP_ALIVE", 0.01)
    run_id, _ = await reported(served, 0)
    headers = {"Authorization": f"Bearer {USER}"}
    async with served.client.stream("GET", f"/api/v1/runs/{run_id}/stream", headers=headers) as response:
        comments = (line async for line in response.aiter_lines() if line.startswith(":"))
        assert await anext(comments)
        await comments.aclose()
    await served.stop(run_id)


async def test_many_readers_see_the_same(served: Served) -> None:
    """Ten readers who come at different times see the same items in the same order."""
    run_id, task = await reported(served, 2)
    early = [asyncio.create_task(collect(served, run_id)) for _ in range(5)]
    await served.report(task, Report(seq=3, logs=[LogLine(text="more")]))
    late = [asyncio.create_task(collect(served, run_id)) for _ in range(5)]
    await served.finish(task, FinishTask(outcome="completed"))
    streams = await asyncio.gather(*early, *late)
    assert all(stream == streams[0] for stream in streams)
