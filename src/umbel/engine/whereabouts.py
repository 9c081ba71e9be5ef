"""Words of memory that a worker shares with its parent: which message it is at, and how far it may go.

They work while the worker is busy in the author's code and reads no frames. The worker writes where it is before it reads how far it may
go; the parent writes how far the worker may go before it reads where it is. So no message is served by two who both believe to be
the only one; one that neither serves is missing in the worker's answer, and is handed out again.
"""

from __future__ import annotations

from umbel.engine import segment

_CUTS = 2  # units a worker has at a time, at most: their ids are consecutive
_CURRENT, _FIRST_CUT = 0, 1
_BYTES = 8 * (_FIRST_CUT + 2 * _CUTS)
_INDEX_BITS = 40

NOWHERE = (0, 0)
Place = tuple[int, int]  # unit id, from 1; dispatch index


def create() -> int:
    """The descriptor of new words: nowhere, no limits."""
    return segment.create(_BYTES)


class Whereabouts:
    """One process's view of the words."""

    def __init__(self, fd: int) -> None:
        """Map the words of a descriptor, which may be closed afterwards."""
        self._words = memoryview(segment.shared(fd, _BYTES)).cast("q")

    @property
    def current(self) -> Place:
        """The unit and the dispatch index being served, or NOWHERE."""
        word = self._words[_CURRENT]
        return word >> _INDEX_BITS, word & ((1 << _INDEX_BITS) - 1)

    def move_to(self, place: Place) -> None:
        """The worker is about to serve this message."""
        self._words[_CURRENT] = place[0] << _INDEX_BITS | place[1]

    def cut(self, unit_id: int, limit: int) -> None:
        """Of this unit, indices from `limit` on are not to be served any more."""
        slot = _FIRST_CUT + 2 * (unit_id % _CUTS)
        self._words[slot + 1] = limit
        self._words[slot] = unit_id

    def is_cut(self, place: Place) -> bool:
        """Whether this message is not to be served any more."""
        slot = _FIRST_CUT + 2 * (place[0] % _CUTS)
        return self._words[slot] == place[0] and place[1] >= self._words[slot + 1]
