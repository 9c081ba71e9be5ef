"""Read requests and write answers."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeVar, cast

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from umbel.errors import RequestInvalid, TooLarge, Unauthenticated
from umbel.superlink.auth.tokens import Principal, require
from umbel.superlink.core import SuperLink

T = TypeVar("T")
MAX_BODY = 32 * 1024 * 1024  # bytes of a JSON body
MAX_WAIT = 60.0  # seconds of a long-poll


def superlink(request: Request) -> SuperLink:
    """The SuperLink that the app serves."""
    return cast("SuperLink", request.app.state.superlink)


def principal(request: Request) -> Principal:
    """Who sends the request."""
    return cast("Principal", request.scope["umbel.principal"])


def require_user(request: Request) -> None:
    """Raises PermissionRefused unless a person sends the request."""
    require(principal(request), "user")


def require_signed(request: Request, digest: str) -> None:
    """Raises Unauthenticated when the request is signed for a body with another digest (SHA-256 in hex)."""
    if request.scope["umbel.body_digest"] not in (None, digest):
        raise Unauthenticated("The request body differs from the one that was signed.")


async def body(request: Request, type: type[T]) -> T:
    """The request's JSON body. Raises TooLarge, Unauthenticated, msgspec.ValidationError."""
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > MAX_BODY:
            raise TooLarge(f"The request body exceeds the limit of {MAX_BODY >> 20} MiB.")
    if request.scope["umbel.body_digest"] is not None:
        require_signed(request, hashlib.sha256(data).hexdigest())
    return msgspec.json.decode(data, type=type)


def answer(struct: msgspec.Struct, status: int = 200) -> Response:
    """A struct as JSON."""
    return Response(msgspec.json.encode(struct), status, media_type="application/json")


def nothing() -> Response:
    """An empty response (204 No Content)."""
    return Response(status_code=204)


def path_id(request: Request, name: str) -> int:
    """A number in the path. Raises RequestInvalid."""
    return _whole(name, request.path_params[name], 0, 2**63 - 1)


def parse_cursor(text: str) -> int:
    """The number of the last item that a reader has; 0 for the beginning. Raises RequestInvalid."""
    return _whole("after", text or "0", 0, 2**62)


def query_count(request: Request, name: str) -> int:
    """A whole number in the query, 0 when it is not there. Raises RequestInvalid."""
    return _whole(name, request.query_params.get(name, "0"), 0, 2**62)


def query_wait(request: Request) -> float:
    """How long, in seconds, a long-poll may wait. Raises RequestInvalid."""
    text = request.query_params.get("wait", "0")
    try:
        wait = float(text)
    except ValueError:
        wait = -1.0
    if not 0.0 <= wait <= MAX_WAIT:
        raise RequestInvalid(f"wait={text[:40]} is not a number of seconds from 0 to {MAX_WAIT:.0f}.")
    return wait


def _whole(name: str, text: str, low: int, high: int) -> int:
    if text.isascii() and text.isdigit() and len(text) < 20 and low <= int(text) <= high:
        return int(text)
    raise RequestInvalid(f"{name}={text[:40]!r} is not a whole number from {low} to {high}.")


@asynccontextmanager
async def watched(request: Request) -> AsyncIterator[asyncio.Task[None]]:
    """A task that ends when the client is gone. The body must have been read."""
    watch = asyncio.create_task(_until_gone(request))
    try:
        yield watch
    finally:
        watch.cancel()


async def rings(bell: asyncio.Event, gone: asyncio.Task[None], deadline: float) -> bool:
    """Wait for `bell`; False when the client went away or the deadline (event-loop time) came first."""
    ended = partial(_ring, bell)
    gone.add_done_callback(ended)
    try:
        async with asyncio.timeout_at(deadline):
            await bell.wait()
    except TimeoutError:
        return False
    finally:
        gone.remove_done_callback(ended)
    return not gone.done()


def _ring(bell: asyncio.Event, _: asyncio.Task[None]) -> None:
    bell.set()


async def _until_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
