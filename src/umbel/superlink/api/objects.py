"""The object routes: bytes in and out, never a whole body in memory."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from umbel.errors import RequestInvalid, TooLarge
from umbel.superlink.api.requests import answer, body, principal, require_signed, superlink
from umbel.superlink.auth.tokens import require
from umbel.superlink.core import SuperLink
from umbel.superlink.objects.directory import Incoming
from umbel.superlink.services import object_access
from umbel.wire.messages import Missing

_BLOCK = 1024 * 1024  # bytes read, written and hashed in one go
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


async def put(request: Request) -> Response:
    """Store an object; 200 if it is known."""
    link, digest = superlink(request), request.path_params["digest"]
    link.objects.path(digest)
    require_signed(request, digest)
    await _authorize(link, request, digest, writes=True)
    if link.objects.touch(digest):
        async for _ in request.stream():
            pass
        return Response(status_code=200)
    if int(request.headers.get("content-length", 0)) > link.objects.max_size:
        raise TooLarge(f"The object exceeds the limit of {link.objects.max_size} bytes.")
    with link.objects.receive(digest) as incoming:
        await _receive(request, incoming)
        await asyncio.to_thread(incoming.commit)
    return Response(status_code=201)


async def get(request: Request) -> Response:
    """An object's bytes, or a range of them."""
    link, digest = superlink(request), request.path_params["digest"]
    await _authorize(link, request, digest, writes=False)
    size = link.objects.size(digest)
    part = _range(request.headers.get("range"), size)
    start, stop = part
    headers = {"Content-Length": str(stop - start), "Accept-Ranges": "bytes", "ETag": f'"{digest}"'}
    partial = (start, stop) != (0, size)
    if partial:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    status, media_type = 206 if partial else 200, "application/octet-stream"
    if request.method == "HEAD":
        return Response(b"", status, headers, media_type)
    return StreamingResponse(_read(link.objects.path(digest), start, stop), status, headers, media_type)


async def missing(request: Request) -> Response:
    """Which of some objects are not there yet; all of them are held for who asks."""
    link, who = superlink(request), principal(request)
    require(who, "user", "task", "node")
    asked = await body(request, Missing)
    for digest in asked.digests:
        link.objects.path(digest)
    if who.role != "user":
        message_id = request.query_params.get("message", "")
        await link.db.awrite(lambda transaction: object_access.hold(transaction, who, asked.digests, message_id))
    return answer(Missing(digests=await asyncio.to_thread(_missing, link, asked.digests)))


def _missing(link: SuperLink, digests: list[str]) -> list[str]:
    return [digest for digest in dict.fromkeys(digests) if not link.objects.touch(digest)]


async def _authorize(link: SuperLink, request: Request, digest: str, *, writes: bool) -> None:
    who = principal(request)
    require(who, "user", "task", "node")
    if who.role == "user":
        return
    if not writes:
        await link.db.aread(lambda connection: object_access.check_read(connection, who, digest))
        return
    message_id = request.query_params.get("message", "")
    if not await link.db.aread(lambda connection: object_access.is_held(connection, who, digest, message_id)):
        await link.db.awrite(lambda transaction: object_access.hold(transaction, who, [digest], message_id))


async def _receive(request: Request, incoming: Incoming) -> None:
    block = bytearray()
    async for chunk in request.stream():
        block += chunk
        if len(block) >= _BLOCK:
            await asyncio.to_thread(incoming.write, block)
            block = bytearray()
    await asyncio.to_thread(incoming.write, block)


def _range(header: str | None, size: int) -> tuple[int, int]:
    """The (start, stop) that a Range header asks for. Raises RequestInvalid, HTTPException 416 when it lies outside."""
    if header is None:
        return 0, size
    match = _RANGE.fullmatch(header.replace(" ", ""))
    if match is None or not (match[1] or match[2]):
        raise RequestInvalid(f"The range {header[:80]!r} is invalid: expected bytes=START-END.")
    if not match[1]:
        start, stop = max(0, size - int(match[2])), size
    else:
        start, stop = int(match[1]), min(size, int(match[2]) + 1) if match[2] else size
    if start >= stop:
        raise HTTPException(416, f"the object has {size} bytes", {"Content-Range": f"bytes */{size}"})
    return start, stop


async def _read(path: Path, start: int, stop: int) -> AsyncIterator[bytes]:
    with path.open("rb", buffering=0) as file:
        file.seek(start)
        while start < stop:
            block = await asyncio.to_thread(file.read, min(_BLOCK, stop - start))
            if not block:
                break
            start += len(block)
            yield block


ROUTES = [
    Route("/api/objects/missing", missing, methods=["POST"]),
    Route("/api/objects/{digest}", put, methods=["PUT"]),
    Route("/api/objects/{digest}", get, methods=["GET"]),
]
