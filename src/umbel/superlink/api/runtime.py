"""The Runtime API: what SuperExecs and app processes say."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from umbel.superlink.api.requests import (
    answer,
    body,
    nothing,
    path_id,
    principal,
    query_wait,
    rings,
    superlink,
    watched,
)
from umbel.superlink.auth.tokens import require, require_task
from umbel.superlink.core import SuperLink
from umbel.superlink.replicas import ASKED, LIVE
from umbel.superlink.services import reports
from umbel.superlink.waiting.wakeups import TASKS, run_topic, task_topic
from umbel.wire.api import ClaimTask, Directive, FinishTask, Report, TaskExited


async def claim(request: Request) -> Response:
    """Hand out a task, or wait for one."""
    require(principal(request), "executor")
    link, wait = superlink(request), query_wait(request)
    wanted = await body(request, ClaimTask)
    own = link.has_superexec and request.scope["umbel.body_digest"] is None  # those of other machines sign
    link.replicas.tell(ASKED, wanted.executor, [wanted.executor, wanted.kinds, wanted.slots])
    deadline = asyncio.get_running_loop().time() + wait
    with link.executors.asking(wanted.executor, wanted.kinds, wanted.slots), link.wakeups.listen(TASKS) as bell:
        async with watched(request) as gone:
            while True:
                bell.clear()
                if claimed := await link.claim(wanted, own=own):
                    return answer(claimed)
                if link.wakeups.closing or not await rings(bell, gone, deadline):
                    return nothing()


async def task_input(request: Request) -> Response:
    """What the task's process needs to begin."""
    link, who, task_id = superlink(request), principal(request), path_id(request, "task_id")
    require_task(who, task_id)
    begun = await link.db.awrite(lambda transaction: reports.begin(transaction, who, link.moment()))
    link.beat(task_id)
    return answer(begun)


async def directive(request: Request) -> Response:
    """What the process is to do; the heartbeat."""
    link, who, task_id = superlink(request), principal(request), path_id(request, "task_id")
    if who.role != "executor":
        require_task(who, task_id)
    deadline = asyncio.get_running_loop().time() + query_wait(request)
    with link.wakeups.listen(task_topic(task_id)) as bell:
        async with watched(request) as gone:
            while True:
                bell.clear()
                wanted = await link.db.aread(lambda connection: reports.directive(connection, who, task_id))
                if wanted.stop or wanted.over:
                    return answer(wanted)
                link.beat(task_id)
                if link.wakeups.closing or not await _rings_parked(link, task_id, bell, gone, deadline):
                    return answer(Directive())


async def _rings_parked(
    link: SuperLink, task_id: int, bell: asyncio.Event, gone: asyncio.Task[None], deadline: float
) -> bool:
    link.park(task_id)
    try:
        return await rings(bell, gone, deadline)
    finally:
        link.unpark(task_id)


async def report(request: Request) -> Response:
    """Events, logs, metrics and artifacts of a task."""
    link, who, task_id = superlink(request), principal(request), path_id(request, "task_id")
    require_task(who, task_id)
    said = await body(request, Report)
    taken = await link.db.awrite(lambda transaction: reports.report(transaction, who, said, link.objects, link.now()))
    if taken.alive:
        link.beat(task_id)
    if taken.progress:
        link.live.publish(taken.run_id, taken.progress)
        link.wakeups.wake([run_topic(taken.run_id)])
        link.replicas.tell(LIVE, taken.run_id, [taken.run_id, taken.progress])
    return nothing()


async def finish(request: Request) -> Response:
    """The process says how it ended."""
    link, who, task_id = superlink(request), principal(request), path_id(request, "task_id")
    require_task(who, task_id)
    said = await body(request, FinishTask)
    await link.db.awrite(lambda transaction: reports.finish(transaction, who, said, link.now()))
    return nothing()


async def exited(request: Request) -> Response:
    """The process is gone."""
    require(principal(request), "executor")
    link, task_id = superlink(request), path_id(request, "task_id")
    said = await body(request, TaskExited)
    await link.db.awrite(lambda transaction: reports.exited(transaction, task_id, said, link.now()))
    return nothing()


ROUTES = [
    Route("/api/runtime/tasks/claim", claim, methods=["POST"]),
    Route("/api/runtime/tasks/{task_id}/input", task_input, methods=["GET"]),
    Route("/api/runtime/tasks/{task_id}/directive", directive, methods=["GET"]),
    Route("/api/runtime/tasks/{task_id}/report", report, methods=["POST"]),
    Route("/api/runtime/tasks/{task_id}/finish", finish, methods=["POST"]),
    Route("/api/runtime/tasks/{task_id}/exited", exited, methods=["POST"]),
]
