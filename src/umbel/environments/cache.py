"""The environments in UMBEL_HOME: paths, locks, records, and eviction of unused ones."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from umbel import _os
from umbel.errors import ConfigError

VARIABLE = "UMBEL_ENVIRONMENTS_GIB"
_RECORD = "umbel.json"
_DEFAULT_GIB = 20.0
_GIB = 1024**3


class Record(msgspec.Struct):
    """The record file in an environment; it also marks an interpreter as an environment's."""

    requirements: list[str]
    size: int  # bytes


@dataclass(frozen=True)
class Place:
    """The paths of the environment `key` below `root`, and operations on them."""

    root: Path
    key: str

    @property
    def folder(self) -> Path:
        """The complete environment, if it exists."""
        return self.root / self.key

    @property
    def making(self) -> Path:
        """The directory in which it is built. Requires the exclusive lock."""
        return self.root / f"{self.key}.making"

    @property
    def python(self) -> Path:
        """The path of its interpreter."""
        return self.folder / "bin" / "python"

    def open_lock(self) -> int:
        """Open the lock file, without locking it, and update the time of last use; returns the descriptor."""
        descriptor = os.open(self.root / f"{self.key}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        os.utime(descriptor)
        return descriptor

    def discard(self) -> None:
        """Remove the environment. Requires the exclusive lock."""
        self.clean()
        if self.folder.is_dir():
            self.folder.rename(self.making)
            self.clean()

    def clean(self) -> None:
        """Remove an incomplete build. Requires the exclusive lock."""
        shutil.rmtree(self.making, ignore_errors=True)

    def last_used(self) -> float:
        """The time of last use, in seconds since the epoch."""
        return (self.root / f"{self.key}.lock").stat().st_mtime

    def size(self) -> int:
        """The size in bytes from the record; 0 without a valid record."""
        try:
            return msgspec.json.decode((self.folder / _RECORD).read_bytes(), type=Record).size
        except (OSError, msgspec.DecodeError):
            return 0


def finish(place: Place, requirements: list[str]) -> None:
    """Write the record and move the completed build into place. Requires the exclusive lock."""
    files = (Path(folder, name) for folder, _, names in os.walk(place.making) for name in names)
    record = Record(requirements, sum(file.lstat().st_size for file in files))
    (place.making / _RECORD).write_bytes(msgspec.json.encode(record))
    place.making.rename(place.folder)


def is_inside() -> bool:
    """Whether this interpreter belongs to such an environment."""
    return (Path(sys.prefix) / _RECORD).is_file()


def limit() -> int:
    """The maximum total size of unused environments, in bytes. Raises ConfigError for an invalid setting."""
    text = os.environ.get(VARIABLE) or str(_DEFAULT_GIB)
    try:
        gib = float(text)
    except ValueError:
        gib = -1.0
    if not gib >= 0:
        raise ConfigError(f"Invalid {VARIABLE}={text}: the limit must be a non-negative number of GiB.")
    return int(min(gib, 2**30) * _GIB)


def shrink(root: Path, most: int) -> None:
    """Remove incomplete builds, and the least recently used environments until the total is at most `most` bytes; never one in use."""
    places = [Place(root, path.name.removesuffix(".lock")) for path in root.glob("*.lock")]
    left = most
    for place in sorted(places, key=Place.last_used, reverse=True):
        left -= place.size()
        if left < 0 or place.making.exists():
            with _alone(place) as is_free:
                if is_free and left < 0:
                    place.discard()
                elif is_free:
                    place.clean()


@contextmanager
def _alone(place: Place) -> Iterator[bool]:
    """Try to acquire the exclusive lock, without updating the time of last use; yields whether it was free."""
    descriptor = os.open(place.root / f"{place.key}.lock", os.O_RDWR)
    try:
        yield _os.try_lock(descriptor)
    finally:
        os.close(descriptor)
