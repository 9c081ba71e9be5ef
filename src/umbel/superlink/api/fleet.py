"""The Fleet API: what SuperNodes say."""

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
from umbel.superlink.auth.tokens import require
from umbel.superlink.replicas import WORK
from umbel.superlink.services import message_delivery, node_sessions, reply_intake, views
from umbel.superlink.waiting.wakeups import node_topic
from umbel.wire.messages import Accepted, Activate, Deactivate, NodeReport, Pull, ReplyMessage


async def activate(request: Request) -> Response:
    """A SuperNode begins a session."""
    link, who = superlink(request), principal(request)
    require(who, "node")
    said, new_id, now = await body(request, Activate), link.new_id(), link.now()
    number = link.replicas.number
    begun = await link.db.awrite(
        lambda transaction: node_sessions.activate(transaction, who.public_key, said, new_id, now, number)
    )
    link.nodes.activated(begun.node_id)
    link.work.leave(begun.node_id)
    return answer(begun)


async def pull(request: Request) -> Response:
    """Messages for a node, or a wait for some."""
    link, node_id = superlink(request), _node(request)
    deadline = asyncio.get_running_loop().time() + query_wait(request)
    want = message_delivery.check(node_id, await body(request, Pull))
    with link.wakeups.listen(node_topic(node_id)) as bell:
        pulled = await link.pulls.ask(want)
        async with watched(request) as gone:
            with link.nodes.parked(node_id, want.session, gone):
                while not (pulled.messages or pulled.cancelled or pulled.over):
                    if link.wakeups.closing or not await rings(bell, gone, deadline):
                        break
                    bell.clear()
                    pulled = await link.pulls.ask(want._replace(woken=True))
    return answer(pulled)


async def run(request: Request) -> Response:
    """What it takes to serve a run."""
    link, node_id, run_id = superlink(request), _node(request), path_id(request, "run_id")
    return answer(await link.db.aread(lambda connection: views.run_for_node(connection, node_id, run_id)))


async def reply(request: Request) -> Response:
    """A node answers a message."""
    link, node_id = superlink(request), _node(request)
    given = reply_intake.check(node_id, await body(request, ReplyMessage))
    accepted = await link.answers.ask(given)
    link.work.end(node_id, given.said.message_id)
    return answer(Accepted(accepted=accepted))


async def report(request: Request) -> Response:
    """Log lines and progress of a node."""
    link, node_id = superlink(request), _node(request)
    said, now = await body(request, NodeReport), link.now()
    if said.logs:  # most reports have none, and write nothing
        await link.db.awrite(lambda transaction: node_sessions.report(transaction, node_id, said, now))
    link.work.take(node_id, said.progress, now)
    if said.progress:
        link.replicas.tell(WORK, node_id, [node_id, said.progress])
    return nothing()


async def deactivate(request: Request) -> Response:
    """A SuperNode goes."""
    link, node_id = superlink(request), _node(request)
    said, now = await body(request, Deactivate), link.now()
    await link.db.awrite(lambda transaction: node_sessions.deactivate(transaction, node_id, said.session, now))
    link.nodes.leave(node_id)
    link.work.leave(node_id)
    return nothing()


def _node(request: Request) -> int:
    """The node that sends the request. Raises PermissionRefused."""
    who = principal(request)
    require(who, "node")
    return who.node_id


ROUTES = [
    Route("/api/fleet/activate", activate, methods=["POST"]),
    Route("/api/fleet/pull", pull, methods=["POST"]),
    Route("/api/fleet/runs/{run_id}", run, methods=["GET"]),
    Route("/api/fleet/reply", reply, methods=["POST"]),
    Route("/api/fleet/report", report, methods=["POST"]),
    Route("/api/fleet/deactivate", deactivate, methods=["POST"]),
]
