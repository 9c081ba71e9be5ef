"""The ASGI app: all routes on one port."""

from __future__ import annotations

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
from umbel.superlink.api import control, docs, objects, operations, runtime
from umbel.superlink.api.boundary import Boundary
from umbel.superlink.api.problems import on_error
from umbel.superlink.core import SuperLink


def create_app(link: SuperLink, *, user_token: str, executor_token: str) -> ASGIApp:
    """The whole API of one SuperLink."""
    app = _Api(title="Umbel SuperLink", version=__version__, openapi_url=None, docs_url=None, redoc_url=None)
    app.state.superlink = link
    app.include_router(control.router)
    app.router.routes.extend([*runtime.ROUTES, *objects.ROUTES, *_PLAIN])
    for error in (UmbelError, HTTPException, RequestValidationError, msgspec.DecodeError, Exception):
        app.add_exception_handler(error, on_error)
    return Boundary(app, link, user_token, executor_token)


class _Api(FastAPI):
    """FastAPI, with the schemas of the structs."""

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document."""
        if not self.openapi_schema:
            document = super().openapi()
            token = {"type": "http", "scheme": "bearer", "description": "UMBEL_HOME/local/token"}
            document["components"] = {"schemas": operations.components(), "securitySchemes": {"token": token}}
        return self.openapi_schema or {}


async def _health(_: Request) -> Response:
    return JSONResponse({"status": "ok"})


async def _openapi(request: Request) -> Response:
    return JSONResponse(request.app.openapi())


async def _docs(request: Request) -> Response:
    return HTMLResponse(docs.page(request.app.openapi()), headers={"Content-Security-Policy": docs.POLICY})


_PLAIN = [
    Route("/health", _health),
    Route("/ready", _health),
    Route("/openapi.json", _openapi),
    Route("/docs", _docs),
]
