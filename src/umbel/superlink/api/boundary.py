"""The outermost layer: refuses strangers, keeps the idle timer, and lets no exception out without an answer."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from umbel.errors import PermissionRefused
from umbel.superlink.api.problems import ANSWERED, problem_response
from umbel.superlink.auth.tokens import identify
from umbel.superlink.core import SuperLink

LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_OPEN = {"/health", "/ready", "/docs", "/openapi.json"}
_LONG_POLLS = ("/claim", "/directive")


class Boundary:
    """An ASGI app around `app`."""

    def __init__(self, app: ASGIApp, link: SuperLink, user_token: str, executor_token: str) -> None:
        self._app = app
        self._link = link
        self._tokens = (user_token, executor_token)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        started = False

        async def watched_send(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            self._admit(scope)
            with self._activity(scope["path"]):
                await self._app(scope, receive, watched_send)
        except ClientDisconnect:
            return
        except Exception as error:
            if ANSWERED in scope:
                return
            if started:
                raise  # the server logs it and cuts the connection: a half answer must not look like a whole one
            await problem_response(error)(scope, receive, send)

    def _admit(self, scope: Scope) -> None:
        """Put who sends the request into the scope. Raises PermissionRefused, Unauthenticated."""
        headers = Headers(scope=scope)
        host = urlsplit(f"//{headers.get('host', '')}").hostname
        if host not in LOOPBACK:
            # A page of a foreign site whose name was made to point here must not speak to us (DNS rebinding).
            raise PermissionRefused(f"The Host {host!r} is not this machine.", hint="Use the address 127.0.0.1.")
        if scope["path"] not in _OPEN:
            scope["umbel.principal"] = identify(headers.get("authorization", ""), *self._tokens)

    def _activity(self, path: str) -> AbstractContextManager[None]:
        return nullcontext() if path.endswith(_LONG_POLLS) else self._link.idle.busy()
