"""Content-addressed objects over HTTP: their name is the SHA-256 of their bytes."""

from __future__ import annotations

import hashlib
import uuid
from typing import TYPE_CHECKING

from umbel._os import is_disk_full
from umbel.errors import ObjectInvalid, StorageFull
from umbel.wire.connection import Backoff
from umbel.wire.http import BLOCK, CUT, Blocks, HttpClient, Request, read_answer, read_blocks
from umbel.wire.messages import Missing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from http.client import HTTPResponse
    from io import RawIOBase
    from pathlib import Path

MAX_IN_MEMORY = 1 << 30  # bytes of an object that is not written to a file
ASK_FIRST = 64 * 1024  # bytes; a smaller object is sent without asking whether it is known


def put_parts(client: HttpClient, parts: Sequence[bytes | memoryview]) -> str:
    """Store the concatenation of `parts` (C-contiguous buffers; not copied); returns its digest."""
    flat = [memoryview(part).cast("B") for part in parts if memoryview(part).nbytes]
    digest = hashlib.sha256()
    for view in flat:
        digest.update(view)
    return _put(client, digest.hexdigest(), lambda: _slices(flat), sum(view.nbytes for view in flat))


def put_file(client: HttpClient, path: Path) -> str:
    """Store a file's bytes; returns their digest."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return _put(client, digest, lambda: _read_file(path), path.stat().st_size)


def get(client: HttpClient, digest: str) -> bytes:
    """An object's bytes, verified. Raises NotFound, ObjectInvalid, TooLarge (over `MAX_IN_MEMORY`)."""
    data = client.exchange(Request("GET", _path(digest)), lambda response: read_answer(response, MAX_IN_MEMORY))
    _verify(hashlib.sha256(data).hexdigest(), digest)
    return data


def get_to(client: HttpClient, digest: str, path: Path) -> None:
    """Write an object to `path`: to a temporary file beside it, verified while it streams, then renamed.

    An interrupted download resumes where it stopped. Raises NotFound, ObjectInvalid, StorageFull.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with temporary.open("xb", buffering=0) as file:
            download = _Download(file)
            _receive(client, digest, download)
        _verify(download.hash.hexdigest(), digest)
        temporary.replace(path)
    except BaseException as failure:
        temporary.unlink(missing_ok=True)
        if isinstance(failure, OSError) and is_disk_full(failure):
            raise StorageFull(f"No disk space left for {path}.", hint="Free some space and try again.") from failure
        raise


class _Download:
    """The bytes that have arrived so far, in a file and in a hash."""

    def __init__(self, file: RawIOBase) -> None:
        self.file = file
        self.restart()

    def restart(self) -> None:
        self.size = 0
        self.hash = hashlib.sha256()
        self.file.seek(0)
        self.file.truncate()

    def accept(self, response: HTTPResponse) -> None:
        if response.status != 206 and self.size:
            self.restart()
        for block in read_blocks(response):
            view = memoryview(block)
            while view:
                view = view[self.file.write(view) or 0 :]
            self.hash.update(block)
            self.size += len(block)


def _receive(client: HttpClient, digest: str, download: _Download) -> None:
    backoff = Backoff(client.patience)
    while True:
        before = download.size
        headers = {"Range": f"bytes={before}-"} if before else {}
        try:
            connection, response = client.open(Request("GET", _path(digest), headers=headers))
            try:
                return download.accept(response)
            finally:
                connection.close()
        except CUT as failure:
            if download.size > before:
                backoff.reset()
            client.retry(backoff, failure)


def _put(client: HttpClient, digest: str, blocks: Blocks, size: int) -> str:
    if size < ASK_FIRST or not _is_known(client, digest):
        request = Request("PUT", _path(digest), blocks, size, "application/octet-stream", digest=digest)
        client.exchange(request, read_answer)
    return digest


def _is_known(client: HttpClient, digest: str) -> bool:
    """Whether the SuperLink has an object; it keeps one that a task asks about until the task has said what it is."""
    return not client.call("POST", "/api/objects/missing", Missing, Missing(digests=[digest])).digests


def _slices(views: Sequence[memoryview]) -> Iterator[memoryview]:
    # A socket's time-out covers a whole send: pieces make it a limit on silence instead of one on size.
    for view in views:
        for start in range(0, view.nbytes, BLOCK):
            yield view[start : start + BLOCK]


def _read_file(path: Path) -> Iterator[memoryview]:
    buffer = memoryview(bytearray(BLOCK))
    with path.open("rb", buffering=0) as file:
        while size := file.readinto(buffer):
            yield buffer[:size]


def _path(digest: str) -> str:
    return f"/api/objects/{digest}"


def _verify(found: str, expected: str) -> None:
    if found != expected:
        raise ObjectInvalid(f"Object {expected} was corrupted in transfer (received digest {found}).")
