"""Anonymous shared memory, and the lock-free cursor of a worker."""

from __future__ import annotations

import mmap
import os
from collections.abc import Sequence

from umbel._os import anonymous_memory
from umbel.app.safetensors import Part

_MAX_PARTS = 512  # buffers one writev call takes


def create(size: int) -> int:
    """A file descriptor of `size` zero bytes of memory. Close it when the mapping is made and the descriptor is passed on."""
    return anonymous_memory(size)


def write(parts: Sequence[Part]) -> tuple[int, int]:
    """A file descriptor of memory that holds `parts` one after another, and its size."""
    size = sum(len(part) for part in parts)
    fd = create(size)
    append(fd, parts)
    return fd, size


def append(fd: int, parts: Sequence[Part]) -> None:
    """Write `parts` one after another to a descriptor."""
    pending = [memoryview(part).cast("B") for part in parts if len(part)]
    while pending:
        written = os.writev(fd, pending[:_MAX_PARTS])
        pending = _after(pending, written)


def fill(memory: memoryview, parts: Sequence[Part]) -> None:
    """Copy `parts` one after another into `memory`, which is as long as they are together."""
    start = 0
    for part in parts:
        memory[start : start + len(part)] = memoryview(part).cast("B") if len(part) else b""
        start += len(part)


def _after(parts: list[memoryview], written: int) -> list[memoryview]:
    for index, part in enumerate(parts):
        if written < len(part):
            return [part[written:], *parts[index + 1 :]]
        written -= len(part)
    return []


def close(fd: int) -> None:
    """Close a descriptor; mappings made of it stay."""
    os.close(fd)


def shared(fd: int, size: int) -> mmap.mmap:
    """A mapping whose changes all processes see."""
    return mmap.mmap(fd, size, flags=mmap.MAP_SHARED)


def readable(fd: int, size: int) -> mmap.mmap:
    """A mapping that shows what others write and cannot be written to."""
    return mmap.mmap(fd, size, flags=mmap.MAP_SHARED, prot=mmap.PROT_READ)


def private(fd: int, size: int) -> mmap.mmap:
    """A mapping that can be written to without anybody else seeing it: pages are copied when they are first changed."""
    return mmap.mmap(fd, size, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE)


_CUTS = 2  # units a worker has at a time, at most: their ids are consecutive
_CURRENT, _FIRST_CUT = 0, 1
_BYTES = 8 * (_FIRST_CUT + 2 * _CUTS)
_INDEX_BITS = 40

NOWHERE = (0, 0)
Place = tuple[int, int]  # unit id, from 1; dispatch index


def create_cursor() -> int:
    """The descriptor of new words: nowhere, no limits."""
    return create(_BYTES)


class SharedCursor:
    """One process's view of the words."""

    def __init__(self, fd: int) -> None:
        """Map the words of a descriptor, which may be closed afterwards."""
        self._words = memoryview(shared(fd, _BYTES)).cast("q")

    @property
    def current(self) -> Place:
        """The unit and the dispatch index being served, or NOWHERE."""
        word = self._words[_CURRENT]
        return word >> _INDEX_BITS, word & ((1 << _INDEX_BITS) - 1)

    def move_to(self, place: Place) -> None:
        """The worker is about to serve this message."""
        self._words[_CURRENT] = place[0] << _INDEX_BITS | place[1]

    def cut(self, unit_id: int, limit: int) -> None:
        """Stop the worker from serving indices of this unit from `limit` on."""
        slot = _FIRST_CUT + 2 * (unit_id % _CUTS)
        self._words[slot + 1] = limit
        self._words[slot] = unit_id

    def is_cut(self, place: Place) -> bool:
        """Whether this message must no longer be served."""
        slot = _FIRST_CUT + 2 * (place[0] % _CUTS)
        return self._words[slot] == place[0] and place[1] >= self._words[slot + 1]
