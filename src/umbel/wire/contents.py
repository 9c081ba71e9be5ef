"""Contents of messages over HTTP: small ones inside their reference, large ones as chunks, of which only missing ones travel.

Several chunks travel at a time, each hashed once and none held in memory. An interrupted transfer resumes with the
chunks that are missing. What `on_progress` raises ends a transfer.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import contextmanager
from functools import partial
from http.client import IncompleteRead
from itertools import accumulate
from threading import Lock, Thread
from typing import TYPE_CHECKING, TypeVar, cast

from umbel._os import is_disk_full
from umbel.errors import ObjectInvalid, StorageFull
from umbel.wire.http import BLOCK, HttpClient, Request, read_answer
from umbel.wire.messages import CHUNK, INLINE_LIMIT, ContentRef, Missing, chunk_size, content_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from http.client import HTTPResponse
    from pathlib import Path

    OnProgress = Callable[[int, int], None]  # bytes done, bytes in all
    Known = Callable[[str], memoryview | None]  # a digest → the chunk's bytes, if they are at hand
    Source = Callable[[int], Iterable[memoryview]]  # a position → the chunk's bytes, in blocks
    Write = Callable[[memoryview, int], object]  # bytes, and where in the chunk they begin

T = TypeVar("T")
R = TypeVar("R")

MOST_AT_A_TIME = 4  # chunks of one content
SHARE_AT_A_TIME = 10  # at least this number, so that an interruption loses little of the whole
GROUP = 64  # chunks that are asked for in one question


def upload(
    client: HttpClient, parts: Sequence[bytes | memoryview], *, query: str = "", on_progress: OnProgress | None = None
) -> ContentRef:
    """Store the concatenation of C-contiguous buffers, which are not copied. `query` goes with each request."""
    views = [memoryview(part).cast("B") for part in parts if memoryview(part).nbytes]
    size = sum(len(view) for view in views)
    if size <= INLINE_LIMIT:
        return ContentRef(size=size, data=b"".join(views))
    return _upload(client, size, partial(_in_memory, views, [0, *accumulate(map(len, views))]), query, on_progress)


def upload_file(
    client: HttpClient, path: Path, *, query: str = "", on_progress: OnProgress | None = None
) -> ContentRef:
    """Store a file's bytes. Raises ObjectInvalid when the file becomes shorter meanwhile."""
    with path.open("rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        if size <= INLINE_LIMIT:
            return ContentRef(size=size, data=file.read())
        return _upload(client, size, partial(_in_file, file.fileno(), size), query, on_progress)


def download(
    client: HttpClient,
    content: ContentRef,
    path: Path,
    *,
    known: Known | None = None,
    on_progress: OnProgress | None = None,
) -> None:
    """Write a content to `path`, which appears only when it is whole; until then what has come is in `path` + ".part".

    Chunks that an earlier attempt left there, or that `known` has, do not travel. Raises NotFound, ObjectInvalid, StorageFull.
    """
    content_id(content)
    path.parent.mkdir(parents=True, exist_ok=True)
    with _room_for(path), _partial(path, content.size) as (fd, is_new):
        if content.data is not None:
            os.pwrite(fd, content.data, 0)
        else:
            _Download(client, content, fd, known, on_progress).run(is_new)


def read(client: HttpClient, content: ContentRef) -> bytes:
    """A content that fits into memory, twice while it is put together. Raises NotFound, ObjectInvalid."""
    content_id(content)
    if content.data is not None:
        return content.data
    count = len(content.chunks)
    return b"".join(_each(_at_a_time(count), partial(_chunk, client, content), range(count)))


# Up.


def _upload(client: HttpClient, size: int, source: Source, query: str, on_progress: OnProgress | None) -> ContentRef:
    count, question = -(-size // CHUNK), f"?{query}" if query else ""
    progress, digests = _Progress(size, on_progress), list[str]()

    def put(position: int) -> None:
        digest, length = digests[position], min(CHUNK, size - position * CHUNK)
        request = Request(
            "PUT",
            f"{_path(digest)}{question}",
            lambda: progress.watched(source(position)),
            length,
            "application/octet-stream",
            digest=digest,
        )
        client.exchange(request, read_answer)
        progress.add(length)

    each = partial(_each, _at_a_time(count))
    for start in range(0, count, GROUP):
        group = each(lambda position: _digest(source(position)), range(start, min(start + GROUP, count)))
        digests += group
        places = {digest: start + place for place, digest in enumerate(group)}
        asked = Missing(digests=list(places))
        missing = client.call("POST", f"/api/objects/missing{question}", Missing, asked).digests
        each(put, [places[digest] for digest in missing if digest in places])
        progress.reached(min(size, len(digests) * CHUNK))
    return ContentRef(size=size, chunks=digests)


def _in_memory(views: Sequence[memoryview], starts: Sequence[int], position: int) -> Iterator[memoryview]:
    """A chunk of what lies in `views`, of which the i-th begins at `starts[i]`; small pieces are joined."""
    start, stop = position * CHUNK, min((position + 1) * CHUNK, starts[-1])
    pieces = [
        view[max(0, start - first) : stop - first]
        for view, first in zip(views, starts, strict=False)
        if first < stop and start < first + len(view)
    ]
    chunk = pieces[0] if len(pieces) == 1 else memoryview(b"".join(pieces))
    return (chunk[at : at + BLOCK] for at in range(0, len(chunk), BLOCK))


def _in_file(fd: int, size: int, position: int) -> Iterator[memoryview]:
    """A chunk of a file, in a buffer that is used again."""
    start, stop = position * CHUNK, min((position + 1) * CHUNK, size)
    buffer = memoryview(bytearray(min(BLOCK, stop - start)))
    while start < stop:
        count = os.preadv(fd, [buffer[: stop - start]], start)
        if not count:
            raise ObjectInvalid("A file was truncated while it was being sent.")
        yield buffer[:count]
        start += count


# Down.


class _Download:
    """The chunks of one content on their way into a file."""

    def __init__(
        self, client: HttpClient, content: ContentRef, fd: int, known: Known | None, on_progress: OnProgress | None
    ) -> None:
        self._client = client
        self._content = content
        self._fd = fd
        self._known = known
        self._progress = _Progress(content.size, on_progress)

    def run(self, is_new: bool) -> None:
        """Get every chunk that the file does not have."""
        positions = list(range(len(self._content.chunks)))
        threads = _at_a_time(len(positions))
        if not is_new:
            has = _each(threads, self._has, positions)
            positions = [position for position in positions if not has[position]]
        _each(threads, self._get, positions)

    def _has(self, position: int) -> bool:
        """Whether an earlier attempt has left the chunk."""
        stop = self._content.size
        has = _digest(_in_file(self._fd, stop, position)) == self._content.chunks[position]
        if has:
            self._progress.add(chunk_size(self._content, position))
        return has

    def _get(self, position: int) -> None:
        digest, size = self._content.chunks[position], chunk_size(self._content, position)
        local = self._known(digest) if self._known else None
        if local is not None and len(local) == size and hashlib.sha256(local).hexdigest() == digest:
            self._write(position, local, 0)
        else:
            _fetch(self._client, digest, size, partial(self._write, position))
        self._progress.add(size)

    def _write(self, position: int, data: memoryview, offset: int) -> None:
        self._progress.add(0)
        while data:
            written = os.pwrite(self._fd, data, position * CHUNK + offset)
            data, offset = data[written:], offset + written


def _chunk(client: HttpClient, content: ContentRef, position: int) -> bytearray:
    chunk = bytearray(chunk_size(content, position))

    def write(data: memoryview, offset: int) -> None:
        chunk[offset : offset + len(data)] = data

    _fetch(client, content.chunks[position], len(chunk), write)
    return chunk


def _fetch(client: HttpClient, digest: str, size: int, write: Write) -> None:
    """Hand an object's bytes to `write` as they come, from the first again after a cut; verified at the end."""

    def accept(response: HTTPResponse) -> None:
        if response.length != size:
            raise ObjectInvalid(f"Object {digest} has {response.length} bytes instead of {size}.")
        buffer, done, hashed = memoryview(bytearray(min(BLOCK, size))), 0, hashlib.sha256()
        while count := response.readinto(buffer):
            write(buffer[:count], done)
            hashed.update(buffer[:count])
            done += count
        if done < size:
            raise IncompleteRead(b"", size - done)
        if hashed.hexdigest() != digest:
            raise ObjectInvalid(f"Object {digest} was corrupted in transfer (received digest {hashed.hexdigest()}).")

    client.exchange(Request("GET", _path(digest)), accept)


@contextmanager
def _partial(path: Path, size: int) -> Iterator[tuple[int, bool]]:
    """The descriptor of the file beside `path` that becomes `path` at the end, and whether nothing of it is there yet."""
    part = path.with_name(f"{path.name}.part")
    fd = os.open(part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        is_new = os.fstat(fd).st_size != size
        os.ftruncate(fd, size)
        yield fd, is_new
    finally:
        os.close(fd)
    part.replace(path)


@contextmanager
def _room_for(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as failure:
        if not is_disk_full(failure):
            raise
        raise StorageFull(f"No disk space left for {path}.", hint="Free some space and try again.") from failure


# Both ways.


class _Progress:
    """Counts the bytes of the chunks that are done; safe to share between threads."""

    def __init__(self, total: int, tell: OnProgress | None) -> None:
        self._done = 0
        self._total = total
        self._tell = tell
        self._lock = Lock()

    def add(self, count: int) -> None:
        with self._lock:
            self._done += count
            if self._tell:
                self._tell(self._done, self._total)

    def reached(self, done: int) -> None:
        """So much is done at least: what was there already counts too."""
        self.add(max(0, done - self._done))

    def watched(self, blocks: Iterable[memoryview]) -> Iterator[memoryview]:
        """The same blocks; each is an occasion to end the transfer."""
        for block in blocks:
            self.add(0)
            yield block


def _at_a_time(chunks: int) -> int:
    """The number of chunks in flight for a content with this number of chunks."""
    return max(1, min(MOST_AT_A_TIME, chunks // SHARE_AT_A_TIME))


def _each(threads: int, function: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """What `function` makes of each item, some at a time in daemon threads; an error ends it when what has begun is done."""
    if threads == 1:
        return [function(item) for item in items]  # over the connection that is open already
    results: list[R | None] = [None] * len(items)
    failures: list[BaseException] = []
    left, lock = iter(range(len(items))), Lock()

    def work() -> None:
        while not failures:
            with lock:
                place = next(left, None)
            if place is None:
                return
            try:
                results[place] = function(items[place])
            except BaseException as failure:  # noqa: BLE001 - raised again below
                failures.append(failure)

    working = [Thread(target=work, name="transfer", daemon=True) for _ in range(min(threads, len(items)))]
    for thread in working:
        thread.start()
    for thread in working:
        thread.join()
    if failures:
        raise failures[0]
    return cast("list[R]", results)


def _digest(blocks: Iterable[memoryview]) -> str:
    hashed = hashlib.sha256()
    for block in blocks:
        hashed.update(block)
    return hashed.hexdigest()


def _path(digest: str) -> str:
    return f"/api/objects/{digest}"
