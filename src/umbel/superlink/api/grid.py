"""The Grid's part of the Runtime API: what the process of a ServerApp asks of real sites."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import msgspec
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from umbel.superlink.api.requests import (
    answer,
    body,
    nothing,
    path_id,
    principal,
    query_count,
    query_wait,
    rings,
    superlink,
    watched,
)
from umbel.superlink.auth.tokens import Principal, require_task
from umbel.superlink.services import message_submission, views
from umbel.superlink.waiting.wakeups import NODES, replies_topic
from umbel.wire.messages import ExpireMessages, Forget, Journal, PushMessages

S = TypeVar("S", bound=msgspec.Struct)


async def nodes(request: Request) -> Response:
    """The nodes that are online, once there are enough."""
    who, enough = _task(request), query_count(request, "at_least")

    found = await _wait_for(request, NODES, partial(views.online, who=who), lambda one: len(one.node_ids) >= enough)
    return answer(found)


async def push(request: Request) -> Response:
    """Messages to nodes."""
    link, who = superlink(request), _task(request)
    said, now = await body(request, PushMessages), link.now()
    await link.db.awrite(lambda transaction: message_submission.push(transaction, who, said, link.objects, now))
    return nothing()


async def replies(request: Request) -> Response:
    """The replies after a number, once there are some."""
    link, who, after = superlink(request), _task(request), query_count(request, "after")
    run_id = await link.db.aread(partial(views.run_of, who=who))
    look = partial(views.replies, who=who, after=after)
    found = await _wait_for(request, replies_topic(run_id), look, lambda one: bool(one.replies))
    return answer(found)


async def expire(request: Request) -> Response:
    """Expire messages: the round no longer waits for their replies."""
    link, who = superlink(request), _task(request)
    said, now = await body(request, ExpireMessages), link.now()
    await link.db.awrite(lambda transaction: message_submission.expire(transaction, who, said, now))
    return nothing()


async def journal(request: Request) -> Response:
    """What earlier calls have found out."""
    link, who, after = superlink(request), _task(request), query_count(request, "after")
    return answer(await link.db.aread(partial(views.journalled, who=who, after=after)))


async def record(request: Request) -> Response:
    """Keep what calls have found out."""
    link, who = superlink(request), _task(request)
    said = await body(request, Journal)
    await link.db.awrite(lambda transaction: message_submission.record(transaction, who, said))
    return nothing()


async def forget(request: Request) -> Response:
    """Drop what a checkpoint covers."""
    link, who = superlink(request), _task(request)
    said = await body(request, Forget)
    await link.db.awrite(lambda transaction: message_submission.forget(transaction, who, said))
    return nothing()


async def _wait_for(request: Request, topic: str, look: Callable[[Connection], S], is_enough: Callable[[S], bool]) -> S:
    """What `look` finds, once it is enough or the request's time is over."""
    link = superlink(request)
    deadline = asyncio.get_running_loop().time() + query_wait(request)
    with link.wakeups.listen(topic) as bell:
        found = await link.db.aread(look)
        if is_enough(found):
            return found
        async with watched(request) as gone:
            while not is_enough(found):
                if link.wakeups.closing or not await rings(bell, gone, deadline):
                    break
                bell.clear()
                found = await link.db.aread(look)
    return found


def _task(request: Request) -> Principal:
    """The task that sends the request. Raises PermissionRefused."""
    who = principal(request)
    require_task(who, path_id(request, "task_id"))
    return who


ROUTES = [
    Route("/api/runtime/tasks/{task_id}/nodes", nodes, methods=["GET"]),
    Route("/api/runtime/tasks/{task_id}/messages", push, methods=["POST"]),
    Route("/api/runtime/tasks/{task_id}/replies", replies, methods=["GET"]),
    Route("/api/runtime/tasks/{task_id}/expire", expire, methods=["POST"]),
    Route("/api/runtime/tasks/{task_id}/journal", journal, methods=["GET"]),
    Route("/api/runtime/tasks/{task_id}/journal", record, methods=["POST"]),
    Route("/api/runtime/tasks/{task_id}/forget", forget, methods=["POST"]),
]
