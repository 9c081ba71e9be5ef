"""Memory of a worker in which sums are made and then lent to the process that asked for them, without a copy."""

from __future__ import annotations

import weakref
from collections import defaultdict
from dataclasses import dataclass, field
from mmap import mmap

import numpy as np

from umbel.engine import shared_memory
from umbel.serverapp.aggregation.weighted_sum import Buffer

SHARED_FROM = 64 * 1024  # bytes; smaller sums travel in the frame itself

_MOST_FREE = 1 << 29  # bytes kept for later


@dataclass
class _Segment:
    segment_id: int
    fd: int
    memory: mmap
    is_new: bool = True
    is_lent: bool = field(default=False)


class SegmentPool:
    """Hands out buffers; those of SHARED_FROM bytes or more are in shared memory and are reused once released."""

    def __init__(self) -> None:
        """An empty pool."""
        self._by_address: dict[int, _Segment] = {}
        self._lent: dict[int, _Segment] = {}
        self._free: dict[int, list[_Segment]] = defaultdict(list)
        self._made = 0

    def allocate(self, nbytes: int) -> Buffer:
        """A buffer of `nbytes` bytes with any content."""
        if nbytes < SHARED_FROM:
            return np.empty(nbytes, dtype=np.uint8)
        free = self._free[nbytes]
        chosen = free.pop() if free else self._make(nbytes)
        buffer = np.frombuffer(chosen.memory, dtype=np.uint8)
        self._by_address[buffer.ctypes.data] = chosen
        weakref.finalize(buffer, self._dropped, chosen)
        return buffer

    def _make(self, nbytes: int) -> _Segment:
        self._made += 1
        if sum(size * len(free) for size, free in self._free.items()) > _MOST_FREE:
            self._free.clear()  # of models of other sizes
        fd = shared_memory.create(nbytes)
        return _Segment(self._made, fd, shared_memory.shared(fd, nbytes))

    def _dropped(self, dropped: _Segment) -> None:
        if not dropped.is_lent:
            self._free[len(dropped.memory)].append(dropped)

    def lend(self, buffer: Buffer, fds: list[int]) -> tuple[int, bool] | None:
        """Lend the segment of `buffer`: its id, and whether its descriptor was added to `fds`, as it was never lent before.

        None for a small buffer.
        """
        lent = self._by_address.get(buffer.ctypes.data) if buffer.nbytes >= SHARED_FROM else None
        if lent is None:
            return None
        lent.is_lent, is_new, lent.is_new = True, lent.is_new, False
        self._lent[lent.segment_id] = lent
        if is_new:
            fds.append(lent.fd)
        return lent.segment_id, is_new

    def give_back(self, segment_id: int) -> None:
        """The borrower needs this segment no more."""
        returned = self._lent.pop(segment_id)
        returned.is_lent = False
        self._free[len(returned.memory)].append(returned)
