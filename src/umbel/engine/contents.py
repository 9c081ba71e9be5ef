"""Packed message contents and their transfer to workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from mmap import mmap
from typing import Any

import numpy as np
from numpy.typing import NDArray

from umbel.app.array import Array
from umbel.app.arrayrecord import ArrayRecord
from umbel.app.recorddict import RecordDict
from umbel.engine import frames, shared_memory
from umbel.engine.exchange import Exchange
from umbel.wire.records import pack, unpack

# From this size on, a private mapping (whose pages are copied only when a client changes them) is cheaper than a copy.
MAPPED_FROM = 1 << 20  # bytes
Remake = Callable[[NDArray[Any]], NDArray[Any]]


class ReceivedContent:
    """Gives every client its own content: what one client changes in place, no other sees. Decoded once."""

    def __init__(self, data: bytes | mmap, fd: int = -1) -> None:
        """A content packed in `data`; if that maps shared memory, `fd` is its descriptor, owned and closed by this object."""
        self._data = data
        self._fd = fd
        self._prototype = unpack(memoryview(data))
        self._base = np.frombuffer(data, dtype=np.uint8).ctypes.data

    @property
    def sent(self) -> RecordDict:
        """The content as it was sent, not to be changed."""
        return self._prototype

    def fresh(self) -> RecordDict:
        """A writable private copy of the content."""
        remake = self._over(shared_memory.private(self._fd, len(self._data))) if self._fd >= 0 else _copied
        content = RecordDict()
        for key, record in self._prototype.items():
            dict.__setitem__(
                content, key, _remade(record, remake) if isinstance(record, ArrayRecord) else record.copy()
            )
        return content

    def _over(self, mapping: mmap) -> Remake:
        def remake(values: NDArray[Any]) -> NDArray[Any]:
            return np.ndarray(values.shape, values.dtype, mapping, values.ctypes.data - self._base)

        return remake

    def close(self) -> None:
        """Let go of the descriptor; contents made before stay valid."""
        if self._fd >= 0:
            shared_memory.close(self._fd)
            self._fd = -1


def _copied(values: NDArray[Any]) -> NDArray[Any]:
    return values.copy()


def _remade(record: ArrayRecord, remake: Remake) -> ArrayRecord:
    new = ArrayRecord()
    for name, array in record.items():
        dict.__setitem__(new, name, Array.from_storage(array.dtype, remake(array.storage)))
    return new


class Outbox:
    """Numbers the contents of one exchange and gives each as a frame, with shared memory when it is large."""

    def __init__(self, exchange: Exchange, first_id: int) -> None:
        """Pack the contents; their ids count from `first_id`."""
        contents, self._which = exchange.contents()
        self._first_id = first_id
        self._frames: list[tuple[frames.Content, tuple[int, ...]]] = []
        for content_id, content in enumerate(contents, first_id):
            parts = pack(content)
            if sum(len(part) for part in parts) < MAPPED_FROM:
                self._frames.append((frames.Content(content_id, b"".join(parts)), ()))
            else:
                fd, size = shared_memory.write(parts)
                self._frames.append((frames.Content(content_id, size=size), (fd,)))

    def ids(self, start: int, stop: int) -> list[int]:
        """The ids of the contents of messages start … stop - 1: a single one if they share it."""
        if len(self._frames) == 1:
            return [self._first_id]
        return [self._first_id + place for place in self._which[start:stop]]

    def all_ids(self) -> set[int]:
        """The ids of all contents."""
        return set(range(self._first_id, self._first_id + len(self._frames)))

    def frames(self, content_ids: list[int]) -> Iterator[tuple[frames.Content, tuple[int, ...]]]:
        """The frames, with their descriptors, that bring these contents to a worker."""
        return (self._frames[content_id - self._first_id] for content_id in content_ids)

    def close(self) -> None:
        """Release the contents."""
        for _, fds in self._frames:
            for fd in fds:
                shared_memory.close(fd)
        self._frames.clear()
