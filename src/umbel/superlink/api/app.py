"""The ASGI app: all routes on one port."""

from __future__ import annotations

from functools import partial
from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from umbel import __version__
from umbel.errors import UmbelError
from umbel.superlink.api import control, docs, health, operations
from umbel.superlink.api import nodes as nodes_api
from umbel.superlink.api.boundary import Boundary
from umbel.superlink.api.metered import Metered
from umbel.superlink.api.problems import on_error
from umbel.superlink.api.programs import Programs
from umbel.superlink.auth.guard import Guard, Secrets
from umbel.superlink.auth.hosts import Hosts
from umbel.superlink.auth.nodekeys import NodeKeys
from umbel.superlink.auth.nonces import MemoryNonces, SharedNonces
from umbel.superlink.core import SuperLink
from umbel.superlink.store import nodes


def create_app(
    link: SuperLink, secrets: Secrets, *, hosts: Hosts | None = None, registered_only: bool = False
) -> ASGIApp:
    """The whole API of one SuperLink; `hosts` are its names, beside those of this machine.

    `registered_only`: a node whose key was not registered may not join.
    """
    app = _Api(title="Umbel SuperLink", version=__version__, openapi_url=None, docs_url=None, redoc_url=None)
    app.state.superlink = link
    app.include_router(control.router)
    app.include_router(nodes_api.router)
    app.router.routes.extend([*health.ROUTES, *_PLAIN])
    for error in (UmbelError, HTTPException, RequestValidationError, msgspec.DecodeError, Exception):
        app.add_exception_handler(error, on_error)
    keys = NodeKeys(partial(_node_of, link), link.wakeups)
    nonces = SharedNonces(link.db) if link.db.is_shared else MemoryNonces()
    guard = Guard(secrets, keys, nonces, link.now, registered_only=registered_only)
    return Metered(Boundary(Programs(app), link, guard, hosts or Hosts()), link.traffic)


async def _node_of(link: SuperLink, public_key: str) -> int | None:
    row = await link.db.aread(lambda connection: nodes.by_key(connection, public_key))
    return row.node_id if row else None


class _Api(FastAPI):
    """FastAPI, with the schemas of the structs."""

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document."""
        if not self.openapi_schema:
            document = super().openapi()
            for operation in (one for path in document["paths"].values() for one in path.values()):
                operation["responses"].pop(
                    "422", None
                )  # FastAPI's own: ours is a problem like every other, the default
            token = {"type": "http", "scheme": "bearer", "description": "UMBEL_HOME/local/token"}
            document["components"] = {"schemas": operations.components(), "securitySchemes": {"token": token}}
        return self.openapi_schema or {}


async def _openapi(request: Request) -> Response:
    return JSONResponse(request.app.openapi())


async def _docs(request: Request) -> Response:
    return HTMLResponse(docs.page(request.app.openapi()), headers={"Content-Security-Policy": docs.POLICY})


_PLAIN = [
    Route("/openapi.json", _openapi),
    Route("/docs", _docs),
]
