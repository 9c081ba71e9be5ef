"""The routes of programs, which are asked often, without the layers that FastAPI puts around those of people."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from umbel.superlink.api import fleet, grid, objects, runtime

_PREFIXES = ("/api/fleet/", "/api/runtime/", "/api/objects/")
ROUTES = [*fleet.ROUTES, *grid.ROUTES, *runtime.ROUTES, *objects.ROUTES]


class Programs:
    """An ASGI app around `app`, which serves all other routes. Errors are left to who calls it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if not scope["path"].startswith(_PREFIXES):
            await self._app(scope, receive, send)
            return
        route = _match(ROUTES, scope)
        scope["app"] = self._app
        response = await route.endpoint(Request(scope, receive, send))
        await response(scope, receive, send)


def _match(routes: Sequence[Route], scope: Scope) -> Route:
    """The route of a request, whose parameters go into the scope. Raises HTTPException."""
    status = 404
    for route in routes:
        match, found = route.matches(scope)
        if match is Match.FULL:
            scope.update(found)
            return route
        if match is Match.PARTIAL:
            status = 405
    raise HTTPException(status)
