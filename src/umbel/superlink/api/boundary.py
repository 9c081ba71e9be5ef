"""The outermost ASGI layer: host, version, credentials, error responses, traffic counters."""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager, nullcontext
from email.utils import formatdate
from http import HTTPStatus
from typing import Any

import msgspec
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from umbel import __version__
from umbel.errors import NotFound, RequestInvalid, UmbelError, Unauthenticated
from umbel.superlink.auth.guard import LOOPBACK, Guard, Hosts
from umbel.superlink.core import SuperLink
from umbel.superlink.prometheus import Traffic
from umbel.wire.api import Problem
from umbel.wire.connection import HEADER, require_fitting

_log = logging.getLogger(__name__)
ANSWERED = "umbel.answered"  # in the scope of a request whose error has its answer
_DOCS = "urn:umbel:error:"


def problem_response(error: Exception) -> Response:
    """The answer that tells of `error`. What is not a known error is logged, and the answer says no more than that."""
    status, known = _classify(error)
    problem = Problem(
        type=_DOCS + known.code,
        title=(type(known).__doc__ or "").splitlines()[0],
        status=status,
        code=known.code,
        detail=known.message,
        hint=known.hint,
    )
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    if isinstance(known, Unauthenticated):
        headers["WWW-Authenticate"] = "Bearer"
    return Response(msgspec.json.encode(problem), status, headers, "application/problem+json")


def _fault(found: dict[str, Any]) -> str:
    return f"{found['loc'][-1]}: {found['msg']}"


async def on_error(request: Request, error: Exception) -> Response:
    """`problem_response` as a Starlette exception handler, which is called before the error propagates."""
    request.scope[ANSWERED] = True
    return problem_response(error)


def _classify(error: Exception) -> tuple[int, UmbelError]:
    match error:
        case UmbelError():
            return error.http_status, error
        case HTTPException(status_code=404):
            return 404, NotFound("There is no such route.", hint="docs/architecture.md lists all routes.")
        case HTTPException():
            return error.status_code, RequestInvalid(f"{HTTPStatus(error.status_code).phrase}: {error.detail}")
        case msgspec.DecodeError():
            return 422, RequestInvalid(f"Invalid request body: {error}.")
        case RequestValidationError():
            return 422, RequestInvalid(f"Invalid request: {'; '.join(map(_fault, error.errors()))}.")
        case OverflowError():
            return 422, RequestInvalid("A number in the request does not fit into 64 bits.")
        case _:
            _log.error("Internal error (a bug in Umbel).", exc_info=error)
            return 500, UmbelError(
                "Internal error in the SuperLink (a bug in Umbel).", hint="See the log of the SuperLink for details."
            )


_CLASSES = {"/api/v1/": "control", "/api/runtime/": "runtime", "/api/fleet/": "fleet", "/api/objects/": "objects"}


class Metered:
    """An ASGI app around `app`."""

    def __init__(self, app: ASGIApp, traffic: Traffic) -> None:
        self._app = app
        self._traffic = traffic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        traffic, route = self._traffic, route_class(scope["path"])

        async def counted_receive() -> Message:
            message = await receive()
            if body := message.get("body"):
                traffic.bytes_in.add(len(body), route=route)
            return message

        async def counted_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                traffic.requests.add(route=route, status=str(message["status"]))
            elif body := message.get("body"):
                traffic.bytes_out.add(len(body), route=route)
            await send(message)

        await self._app(scope, counted_receive, counted_send)


def route_class(path: str) -> str:
    """Which part of the API a path belongs to."""
    return next((name for prefix, name in _CLASSES.items() if path.startswith(prefix)), "other")


_PROBES = {"/health", "/ready"}
_OPEN = {"/docs", "/openapi.json"}
_METRICS = "/metrics"
_FORWARDED = ("forwarded", "x-forwarded-for")
_LONG_POLLS = ("/claim", "/directive", "/fleet/pull")
_VERSION = (HEADER.lower().encode(), __version__.encode())


class Boundary:
    """An ASGI app around `app`."""

    def __init__(self, app: ASGIApp, link: SuperLink, guard: Guard, hosts: Hosts) -> None:
        self._app = app
        self._link = link
        self._guard = guard
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        started = False

        async def watched_send(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message["headers"] = [*message.get("headers", ()), _VERSION, _date()]
            await send(message)

        try:
            await self._admit(scope)
            with self._activity(scope["path"]):
                await self._app(scope, receive, watched_send)
        except ClientDisconnect:
            return
        except Exception as error:
            if ANSWERED in scope:
                return
            if started:
                raise  # the server logs it and cuts the connection: a half answer must not look like a whole one
            await problem_response(error)(scope, receive, watched_send)

    async def _admit(self, scope: Scope) -> None:
        """Put who sends the request into the scope. Raises PermissionRefused, VersionMismatch, Unauthenticated."""
        if scope["path"] in _PROBES:
            return  # they reveal nothing, and health checks use the machine's address
        headers = Headers(scope=scope)
        self._hosts.check(headers.get("host", ""))
        if scope["path"] in _OPEN or (scope["path"] == _METRICS and _is_from_here(scope, headers)):
            return
        if HEADER in headers:  # a browser or a script has none
            require_fitting(headers[HEADER])
        scope["umbel.principal"], scope["umbel.body_digest"] = await self._guard.identify(scope)

    def _activity(self, path: str) -> AbstractContextManager[None]:
        return nullcontext() if path.endswith(_LONG_POLLS) else self._link.idle.busy()


def _date() -> tuple[bytes, bytes]:
    return b"date", formatdate(usegmt=True).encode()


def _is_from_here(scope: Scope, headers: Headers) -> bool:
    """Whether a program of this machine asks, and not a proxy for somebody else."""
    client = scope.get("client")
    return client is not None and client[0] in LOOPBACK and not any(name in headers for name in _FORWARDED)
