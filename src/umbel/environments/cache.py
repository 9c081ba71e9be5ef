"""The environments of this home: which there are, who uses them, which go when there are too many."""

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
    """What is written in an environment about itself."""

    requirements: list[str]
    size: int  # bytes


@dataclass(frozen=True)
class Place:
    """Where the environment `key` lies in `root`, and what belongs to it."""

    root: Path
    key: str

    @property
    def folder(self) -> Path:
        """The environment itself: there whole, or not at all."""
        return self.root / self.key

    @property
    def making(self) -> Path:
        """The folder in which it is being built. Requires the exclusive lock."""
        return self.root / f"{self.key}.making"

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"

    def open_lock(self) -> int:
        """A descriptor of the lock, not held yet; opening it counts as use."""
        descriptor = os.open(self.root / f"{self.key}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        os.utime(descriptor)
        return descriptor

    def discard(self) -> None:
        """Remove the environment; its lock must be held alone."""
        self.clean()
        if self.folder.is_dir():
            self.folder.rename(self.making)
            self.clean()

    def clean(self) -> None:
        """Remove what was left half made; its lock must be held alone."""
        shutil.rmtree(self.making, ignore_errors=True)

    def last_used(self) -> float:
        """When it was last used, in seconds since the epoch."""
        return (self.root / f"{self.key}.lock").stat().st_mtime

    def size(self) -> int:
        """Its bytes on disk, as its maker counted them."""
        try:
            return msgspec.json.decode((self.folder / _RECORD).read_bytes(), type=Record).size
        except (OSError, msgspec.DecodeError):
            return 0


def finish(place: Place, requirements: list[str]) -> None:
    """Put what was made to its place, with a record of it; the lock must be held alone."""
    files = (Path(folder, name) for folder, _, names in os.walk(place.making) for name in names)
    record = Record(requirements, sum(file.lstat().st_size for file in files))
    (place.making / _RECORD).write_bytes(msgspec.json.encode(record))
    place.making.rename(place.folder)


def is_inside() -> bool:
    """Whether this interpreter is an environment's."""
    return (Path(sys.prefix) / _RECORD).is_file()


def limit() -> int:
    """The maximum total size of unused environments, in bytes. Raises ConfigError for an invalid setting."""
    text = os.environ.get(VARIABLE) or str(_DEFAULT_GIB)
    try:
        gib = float(text)
    except ValueError:
        gib = -1.0
    if not gib >= 0:
        raise ConfigError(f"Invalid {VARIABLE}={text}: it must be a number of GiB.")
    return int(min(gib, 2**30) * _GIB)


def shrink(root: Path, most: int) -> None:
    """Remove what was left half made, and the environments used longest ago until the rest has `most` bytes; never one in use."""
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
    """Acquire the lock exclusively if it is free; does not count as use."""
    descriptor = os.open(place.root / f"{place.key}.lock", os.O_RDWR)
    try:
        yield _os.try_lock(descriptor)
    finally:
        os.close(descriptor)
