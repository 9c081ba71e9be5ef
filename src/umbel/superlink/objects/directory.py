"""Objects as files in a directory: `ab/cdef…` for the digest `abcdef…`."""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Self

from umbel import _os
from umbel.errors import NotFound, ObjectInvalid, StorageFull, TooLarge

_DIGEST = re.compile(r"[0-9a-f]{64}")


class ObjectDirectory:
    """The objects under `root`, none larger than `max_size` bytes. Several SuperLinks may share it.

    Abandoned temporary files are removed.
    """

    def __init__(self, root: Path, max_size: int) -> None:
        self.root = root
        self.max_size = max_size
        self.incoming = root / "incoming"
        self.incoming.mkdir(parents=True, exist_ok=True)
        for path in self.incoming.iterdir():
            _remove_left_over(path)

    def path(self, digest: str) -> Path:
        """Where an object is, or would be. Raises ObjectInvalid for what is not a digest."""
        if not _DIGEST.fullmatch(digest):
            raise ObjectInvalid(f"{digest[:80]!r} is not a digest: a digest has 64 lowercase hexadecimal digits.")
        return self.root / digest[:2] / digest[2:]

    def size(self, digest: str) -> int:
        """The object's size in bytes. Raises NotFound."""
        try:
            return self.path(digest).stat().st_size
        except FileNotFoundError:
            raise NotFound(f"Object {digest} does not exist.") from None

    def has(self, digest: str) -> bool:
        """Whether the object is there."""
        return self.path(digest).is_file()

    def remove(self, digest: str) -> None:
        """Remove an object, if it is there."""
        self.path(digest).unlink(missing_ok=True)

    def receive(self, digest: str) -> Incoming:
        """A new object to be written."""
        return Incoming(self, digest)

    def touch(self, digest: str) -> bool:
        """Whether the object is there, which makes it as young as a new one: somebody is about to refer to it."""
        try:
            os.utime(self.path(digest))
        except FileNotFoundError:
            return False
        return True

    def probe(self) -> None:
        """Raises OSError when no object can be written, StorageFull when there is no room for one."""
        name = self.incoming / f"probe.{os.urandom(8).hex()}"
        with _typed_when_full():
            try:
                name.write_bytes(b"?")
            finally:
                name.unlink(missing_ok=True)

    def older_than(self, seconds: float) -> Iterator[str]:
        """The digests of the objects that were written longer ago."""
        limit = time.time() - seconds
        for path in self.root.glob("[0-9a-f][0-9a-f]/*"):
            with suppress(FileNotFoundError):  # removed meanwhile
                if path.stat().st_mtime < limit:
                    yield path.parent.name + path.name


class Incoming:
    """An object on its way in: bytes are hashed while they go to a temporary file, which then gets its name.

    A context manager: what was not committed leaves nothing behind. Blocks; a full disk raises StorageFull.
    """

    def __init__(self, directory: ObjectDirectory, digest: str) -> None:
        self._directory = directory
        self._digest = digest
        self._target = directory.path(digest)
        self._temporary = directory.incoming / f"{digest}.{os.urandom(8).hex()}"
        self._hash = hashlib.sha256()
        self._size = 0
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Self:
        with _typed_when_full():
            self._file = _open_locked(self._temporary)
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
            self._temporary.unlink(missing_ok=True)

    def write(self, data: bytes | bytearray) -> None:
        """Take the next bytes. Raises TooLarge, StorageFull."""
        self._size += len(data)
        if self._size > self._directory.max_size:
            raise TooLarge(f"The object exceeds the limit of {self._directory.max_size} bytes.")
        self._hash.update(data)
        assert self._file is not None
        with _typed_when_full():
            write_all(self._file, data)

    def commit(self) -> None:
        """Make the object durable under its name. Raises ObjectInvalid when the bytes are not the announced ones."""
        if self._hash.hexdigest() != self._digest:
            raise ObjectInvalid(f"The {self._size} bytes have the digest {self._hash.hexdigest()}, not {self._digest}.")
        assert self._file is not None
        with _typed_when_full():
            os.fsync(self._file.fileno())
            self._target.parent.mkdir(exist_ok=True)
            self._temporary.replace(self._target)
            _fsync_directory(self._target.parent)


def write_all(file: IO[bytes], data: bytes | bytearray) -> None:
    """Write all of `data`: an unbuffered file may take less at a time."""
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


@contextmanager
def _typed_when_full() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if _os.is_disk_full(error):
            hint = "Free some space on the disk of the SuperLink and send the object again."
            raise StorageFull(hint=hint) from error
        raise


def _open_locked(path: Path) -> IO[bytes]:
    """A new file, locked for as long as it is open: somebody writes it."""
    while True:
        file = path.open("xb", buffering=0)
        _os.lock(file.fileno())
        if os.fstat(file.fileno()).st_nlink:
            return file
        file.close()  # taken for a left-over before it was locked


def _remove_left_over(path: Path) -> None:
    with suppress(FileNotFoundError), path.open("rb") as file:
        if _os.try_lock(file.fileno()):
            path.unlink()


def _fsync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
