"""Counts requests and bytes around the whole API."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from umbel.superlink.meters import Traffic

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
