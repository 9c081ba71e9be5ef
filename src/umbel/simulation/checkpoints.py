"""Checkpoints of a simulation: the strategy's own, plus at which exchange they were taken.

The number of the exchange says which version of each client's state belongs to a checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from umbel.app.safetensors import Part
from umbel.errors import CheckpointInvalid

_MARK = b"UMBELCKP"
_TRAILER = len(_MARK) + 8  # bytes after the strategy's checkpoint: the mark and the exchange, little-endian

Save = Callable[[int, Sequence[Part], Callable[[], None]], None]


class Position:
    """Counts the exchanges of a run, and knows from which one on a later attempt may have to go on."""

    def __init__(self) -> None:
        """At the beginning."""
        self.exchange = 0
        self._first_saved: int | None = None
        self._durable = 0

    def advance(self) -> int:
        """The number of the exchange that begins now."""
        self.exchange += 1
        return self.exchange

    @property
    def needed_from(self) -> int:
        """States left before this exchange, but for the newest of each client, are never read again.

        While no checkpoint was taken, a later attempt begins from nothing.
        """
        return self.exchange if self._first_saved is None else self._durable or self._first_saved

    def saving(self) -> Callable[[], None]:
        """A checkpoint is taken now. Call what this returns when it is durable."""
        taken = self.exchange
        if self._first_saved is None:
            self._first_saved = taken

        def durable() -> None:
            self._durable = max(self._durable, taken)

        return durable

    def restore(self, exchange: int) -> None:
        """Go on from a checkpoint that was taken after this exchange."""
        self.exchange = self._first_saved = self._durable = exchange


class Checkpoints:
    """Where `Strategy.start` keeps its checkpoints in a simulation."""

    def __init__(self, save: Save, earlier: bytes | None) -> None:
        """`save(server_round, parts, durable)` stores a checkpoint and then calls `durable`; `earlier` is what an earlier attempt stored."""
        self.position = Position()
        self._save = save
        self._earlier = earlier
        self._loaded = 0  # exchange at which the loaded checkpoint was taken

    def load(self) -> memoryview | None:
        """The newest checkpoint of an earlier attempt, None when there is none. Raises CheckpointInvalid when it is damaged."""
        if self._earlier is None:
            return None
        view = memoryview(self._earlier)
        trailer = bytes(view[-_TRAILER:])
        if not trailer.startswith(_MARK) or len(trailer) != _TRAILER:
            raise CheckpointInvalid("The checkpoint of the earlier attempt is cut off.")
        self._loaded = int.from_bytes(trailer[len(_MARK) :], "little")
        return view[:-_TRAILER]

    def resumed(self) -> None:
        """See `CheckpointStore`."""
        self.position.restore(self._loaded)

    def save(self, server_round: int, parts: Sequence[Part]) -> None:
        """Keep this checkpoint instead of the one before; returns at once."""
        trailer = _MARK + self.position.exchange.to_bytes(8, "little")
        self._save(server_round, [*parts, trailer], self.position.saving())
