"""The outermost layer: refuses strangers, keeps the idle timer, and lets no exception out without an answer."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from email.utils import formatdate

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from umbel import __version__
from umbel.superlink.api.problems import ANSWERED, problem_response
from umbel.superlink.auth.guard import Guard
from umbel.superlink.auth.hosts import LOOPBACK, Hosts
from umbel.superlink.core import SuperLink
from umbel.wire.version import HEADER, require_fitting

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
            return  # they tell nothing, and whoever asks whether a machine is well asks by its address
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
