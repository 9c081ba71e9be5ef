"""The ASGI application and its documentation pages."""

from __future__ import annotations

import json
from functools import partial
from html import escape
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
from umbel.superlink.api import control, health
from umbel.superlink.api import nodes as nodes_api
from umbel.superlink.api.boundary import Boundary, Metered, on_error
from umbel.superlink.api.programs import Programs
from umbel.superlink.auth.guard import Guard, Hosts, Secrets
from umbel.superlink.auth.keys import NodeKeys
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
            document["components"] = {"schemas": control.components(), "securitySchemes": {"token": token}}
        return self.openapi_schema or {}


async def _openapi(request: Request) -> Response:
    return JSONResponse(request.app.openapi())


async def _docs(request: Request) -> Response:
    return HTMLResponse(page(request.app.openapi()), headers={"Content-Security-Policy": POLICY})


_PLAIN = [
    Route("/openapi.json", _openapi),
    Route("/docs", _docs),
]


POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color-scheme: light dark; }
code, pre { font-size: 14px; } pre { overflow-x: auto; } summary { cursor: pointer; } h2 { margin-top: 2rem; }
"""


def page(document: dict[str, Any]) -> str:
    """The HTML page of an OpenAPI document."""
    info = document["info"]
    operations = "".join(
        _operation(method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    )
    schemas = "".join(_schema(name, schema) for name, schema in document["components"]["schemas"].items())
    title = f"{escape(info['title'])} {escape(info['version'])}"
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>{title}</title><style>{_STYLE}</style><h1>{title}</h1>"
        f"<p>Every request carries <code>Authorization: Bearer TOKEN</code>. The same as data: "
        f"<a href=/openapi.json>openapi.json</a>.</p>{operations}<h2>Bodies</h2>{schemas}</html>"
    )


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    rows = [f"<p>{escape(operation.get('description', ''))}</p>"]
    for parameter in operation.get("parameters", []):
        rows.append(f"<li><code>{escape(parameter['name'])}</code> {escape(parameter.get('description', ''))}</li>")
    if "requestBody" in operation:
        rows.append(f"<li>body {_content(operation['requestBody'])}</li>")
    for status, response in operation["responses"].items():
        rows.append(f"<li>{escape(status)} {_content(response)}</li>")
    heading = f"<h2>{escape(operation['summary'])}</h2><p><code>{method.upper()} {escape(path)}</code></p>"
    return f"<section>{heading}{''.join(rows)}</section>"


def _content(part: dict[str, Any]) -> str:
    return ", ".join(
        f"<code>{escape(media)}</code> {_link(value.get('schema', {}).get('$ref', ''))}"
        for media, value in part.get("content", {}).items()
    )


def _link(reference: str) -> str:
    name = escape(reference.rpartition("/")[2])
    return f"<a href='#{name}'>{name}</a>" if name else ""


def _schema(name: str, schema: dict[str, Any]) -> str:
    text = escape(json.dumps(schema.get("properties", schema), indent=2))
    summary = f"<summary><b>{escape(name)}</b> {escape(schema.get('description', ''))}</summary>"
    return f"<details id='{escape(name)}'>{summary}<pre>{text}</pre></details>"
