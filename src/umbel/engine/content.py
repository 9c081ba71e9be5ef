"""A message's content as a worker got it, made anew for each client it goes to."""

from __future__ import annotations

from collections.abc import Callable
from mmap import mmap
from typing import Any

import numpy as np
from numpy.typing import NDArray

from umbel.app.array import Array
from umbel.app.arrayrecord import ArrayRecord
from umbel.app.recorddict import RecordDict
from umbel.engine import segment
from umbel.wire.records import unpack

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
        """The content, writable, shared with nobody."""
        remake = self._over(segment.private(self._fd, len(self._data))) if self._fd >= 0 else _copied
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
            segment.close(self._fd)
            self._fd = -1


def _copied(values: NDArray[Any]) -> NDArray[Any]:
    return values.copy()


def _remade(record: ArrayRecord, remake: Remake) -> ArrayRecord:
    new = ArrayRecord()
    for name, array in record.items():
        dict.__setitem__(new, name, Array.from_storage(array.dtype, remake(array.storage)))
    return new
