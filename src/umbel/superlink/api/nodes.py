"""The Control API: the nodes of a federation, and who may take part."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from umbel.superlink.api.control import documented
from umbel.superlink.api.requests import answer, body, require_user, superlink
from umbel.superlink.services import node_sessions
from umbel.wire.api import NodeView, NodeViews, RegisterNode, ReplaceKey

NodeId = Annotated[int, Path(ge=0, lt=2**63)]

router = APIRouter(prefix="/api/v1/nodes")


@router.post("", **documented("Register a node", body=RegisterNode, answer=NodeView, status=201))
async def register(request: Request) -> Response:
    """Let the SuperNode with this public key take part; a key that is registered already keeps its node."""
    require_user(request)
    link, said = superlink(request), await body(request, RegisterNode)
    new_id, now = link.new_id(), link.now()
    node = await link.db.awrite(lambda transaction: node_sessions.register(transaction, said, new_id, now))
    return answer(node, 201)


@router.get("", **documented("List nodes", answer=NodeViews))
async def list_nodes(request: Request, everyone: Annotated[bool, Query(alias="all")] = False) -> Response:
    """The registered nodes, oldest first; with all=true those that were unregistered too."""
    require_user(request)
    link = superlink(request)
    found = await link.db.aread(lambda connection: node_sessions.listed(connection, all_of_them=everyone))
    return answer(NodeViews(nodes=found))


@router.delete("/{node_id}", **documented("Unregister a node", answer=NodeView))
async def unregister(request: Request, node_id: NodeId) -> Response:
    """End a node's session and forget its key; its unfinished messages are answered for it."""
    require_user(request)
    link = superlink(request)
    now = link.now()
    return answer(await link.db.awrite(lambda transaction: node_sessions.unregister(transaction, node_id, now)))


@router.put("/{node_id}/key", **documented("Replace a node's key", body=ReplaceKey, answer=NodeView))
async def replace_key(request: Request, node_id: NodeId) -> Response:
    """Give a node another key; the old one is refused from now on."""
    require_user(request)
    link, said = superlink(request), await body(request, ReplaceKey)
    now = link.now()
    return answer(
        await link.db.awrite(lambda transaction: node_sessions.replace_key(transaction, node_id, said.public_key, now))
    )
