"""Contents on disk, as they came: a model that is here is not fetched again, and neither are the chunks of a similar one.

Each content is a file named by its id, and beside it `ID.chunks`, the digests of its chunks. The file's time of access is set by hand, as
file systems may not keep it; those not used for longest go first.
"""

from __future__ import annotations

import os
from collections import defaultdict
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING

import msgspec

from umbel.wire import contents
from umbel.wire.messages import CHUNK, ContentRef, chunk_size, content_id

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from umbel.wire.http import HttpClient

_CHUNKS = ".chunks"
_decode = msgspec.msgpack.Decoder(ContentRef).decode


class ContentCache:
    """The contents below one directory, of about `capacity` bytes at most; the newest one stays, however large it is."""

    def __init__(self, directory: Path, capacity: int) -> None:
        """Finds what an earlier process left there."""
        self._directory = directory
        self._capacity = capacity
        self._lock = Lock()
        self._fetching: defaultdict[str, Lock] = defaultdict(Lock)
        self._places: dict[str, tuple[str, int, int]] = {}  # of a chunk: content, position in it, bytes
        for path in directory.glob(f"*{_CHUNKS}"):
            self._read(path)

    def open(self, client: HttpClient, content: ContentRef, on_progress: Callable[[int, int], None]) -> int:
        """A descriptor, which the caller closes, of a content in chunks; what of it is not here is fetched. Raises as `download` does."""
        name = content_id(content)
        with self._lock:
            lock = self._fetching[name]
        with lock:
            path = self._directory / name
            if not path.exists():
                contents.download(client, content, path, known=partial(self._known), on_progress=on_progress)
                self._add(name, content)
            os.utime(path)
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._make_room(name)
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
        else:
            self._remove(path.stem)

    def _known(self, digest: str) -> memoryview | None:
        """A chunk's bytes, read from a content that has it."""
        place = self._places.get(digest)
        if place is None:
            return None
        name, position, size = place
        try:
            with (self._directory / name).open("rb", buffering=0) as file:
                return memoryview(os.pread(file.fileno(), size, position * CHUNK))
        except FileNotFoundError:
            return None

    def _make_room(self, newest: str) -> None:
        """Remove what was not used for longest, as long as there is too much; whoever has it open may go on using it."""
        with self._lock:
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
