"""Cache of message contents on disk, which avoids repeated downloads of a model and of chunks that models share.

Each content is a file named by its ID, next to `ID.chunks` with the digests of its chunks. The modification time of the file is the time
of its last use, for least-recently-used eviction. Files of an earlier process are verified before use: the writes may not have completed.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict, deque
from threading import Lock
from typing import TYPE_CHECKING

import msgspec

from umbel.wire import contents
from umbel.wire.messages import CHUNK, ContentRef, chunk_size, content_id

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from umbel.wire.http import HttpClient

MOST_OF_A_RUN = (
    3  # contents: runs rarely use older ones, and files that are deleted soon may never be written to the disk
)
_CHUNKS = ".chunks"
_LOCKS = 16
_ABANDONED = 86_400.0  # seconds after which an unfinished download is discarded
_decode = msgspec.msgpack.Decoder(ContentRef).decode


class ContentCache:
    """The newest contents of each run, up to about `capacity` bytes; the newest content is always kept."""

    def __init__(self, directory: Path, capacity: int) -> None:
        """Index the files that an earlier process left, and remove abandoned downloads."""
        self._directory = directory
        self._capacity = capacity
        self._lock = Lock()
        self._fetching = [Lock() for _ in range(_LOCKS)]  # each for a subset of the contents
        self._unchecked: set[str] = set()
        self._of_run: defaultdict[int, deque[str]] = defaultdict(deque)  # contents, newest last
        self._places: dict[str, tuple[str, int, int]] = {}  # by digest of a chunk: content, position, bytes
        for path in directory.glob(f"*{_CHUNKS}"):
            self._read(path)
        for path in directory.glob("*.part"):
            if time.time() - path.stat().st_mtime > _ABANDONED:
                path.unlink()

    def open(
        self, client: HttpClient, run_id: int, content: ContentRef, on_progress: Callable[[int, int], None]
    ) -> int:
        """Open a chunked content, after a download of the chunks that are missing; the caller closes the descriptor.

        Raises the errors of `umbel.wire.contents.download`.
        """
        name = content_id(content)
        with self._fetching[hash(name) % _LOCKS]:
            while (fd := self._opened(name)) is None:
                contents.download(client, content, self._directory / name, known=self._known, on_progress=on_progress)
                self._add(name, content)
        self._make_room(run_id, name)
        return fd

    def end_run(self, run_id: int) -> None:
        """Remove the contents of a run that has ended."""
        with self._lock:
            for name in self._of_run.pop(run_id, ()):
                self._remove(name)

    def _opened(self, name: str) -> int | None:
        path = self._directory / name
        try:
            if name in self._unchecked:
                self._unchecked.discard(name)
                path.rename(f"{path}.part")  # the download verifies it and replaces damaged chunks
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        os.utime(fd)
        return fd

    def _add(self, name: str, content: ContentRef) -> None:
        (self._directory / f"{name}{_CHUNKS}").write_bytes(msgspec.msgpack.encode(content))
        with self._lock:
            for position, digest in enumerate(content.chunks):
                self._places[digest] = (name, position, chunk_size(content, position))

    def _read(self, path: Path) -> None:
        try:
            content = _decode(path.read_bytes())
            size = path.with_suffix("").stat().st_size
        except (msgspec.DecodeError, FileNotFoundError):
            size, content = -1, ContentRef(size=0)
        if size == content.size:
            self._add(path.stem, content)
            self._unchecked.add(path.stem)
        else:
            self._remove(path.stem)

    def _known(self, digest: str) -> memoryview | None:
        """The bytes of a chunk, read from any cached content that contains it."""
        place = self._places.get(digest)
        if place is None:
            return None
        name, position, size = place
        try:
            with (self._directory / name).open("rb", buffering=0) as file:
                return memoryview(os.pread(file.fileno(), size, position * CHUNK))
        except FileNotFoundError:
            return None

    def _make_room(self, run_id: int, newest: str) -> None:
        """Evict the run's oldest contents, then the least recently used of all. Open files stay usable."""
        with self._lock:
            mine = self._of_run[run_id]
            if newest in mine:
                mine.remove(newest)
            mine.append(newest)
            while len(mine) > MOST_OF_A_RUN:
                self._remove(mine.popleft())
            files = [(entry.stat(), entry.name) for entry in os.scandir(self._directory)]
            total = sum(stat.st_size for stat, _ in files)
            for stat, name in sorted(files, key=lambda file: file[0].st_mtime):
                if total <= self._capacity:
                    return
                if name != newest and not name.endswith((_CHUNKS, ".part")):
                    self._remove(name)
                    total -= stat.st_size

    def _remove(self, name: str) -> None:
        for path in (self._directory / name, self._directory / f"{name}{_CHUNKS}"):
            path.unlink(missing_ok=True)
        self._places = {digest: place for digest, place in self._places.items() if place[0] != name}
