"""Checkpoints of a run: the strategy's own, plus at which exchange and call and with which random numbers they were taken.

The number of the exchange says which version of each client's state belongs to a checkpoint, that of the call which entries of the
run's journal. The states of the random generators let the ServerApp resume with the numbers it would have drawn.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

from umbel.app.safetensors import Part
from umbel.engine import clients
from umbel.errors import CheckpointInvalid

_TRAILER = struct.Struct("<8sQQQ")  # at the end: the mark, exchange, call, the size of the generators' states before it
_MARK = b"UMBELCK2"
_ANEW = "Start the app as a new run."

Save = Callable[[int, Sequence[Part], Callable[[], None]], None]


class Position:
    """Counts the exchanges and journalled calls of a run, and the exchange from which a later attempt may have to resume."""

    def __init__(self) -> None:
        """At the beginning."""
        self.exchange = 0
        self.call = 0
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

    def restore(self, exchange: int, call: int) -> None:
        """Resume from a checkpoint that was taken after this exchange and this call."""
        self.exchange = self._first_saved = self._durable = exchange
        self.call = call


class Checkpoints:
    """Where `Strategy.start` keeps its checkpoints."""

    def __init__(self, save: Save, earlier: bytes | None) -> None:
        """`save(server_round, parts, durable)` stores a checkpoint and then calls `durable`; `earlier` is what an earlier attempt stored."""
        self.position = Position()
        self._save = save
        self._earlier = earlier
        self._loaded = (0, 0, b"")  # exchange, call and generators of the loaded checkpoint

    def load(self) -> memoryview | None:
        """The newest checkpoint of an earlier attempt, None when there is none. Raises CheckpointInvalid when it is damaged."""
        if self._earlier is None:
            return None
        view = memoryview(self._earlier)
        end = len(view) - _TRAILER.size
        mark, exchange, call, size = _TRAILER.unpack(view[end:]) if end >= 0 else (b"", 0, 0, 0)
        if mark != _MARK or size > end:
            raise CheckpointInvalid(
                "The checkpoint of the earlier attempt is truncated or belongs to another version of Umbel.", hint=_ANEW
            )
        self._loaded = (exchange, call, bytes(view[end - size : end]))
        return view[: end - size]

    def resumed(self) -> None:
        """See `CheckpointStore`. Raises CheckpointInvalid."""
        exchange, call, generators = self._loaded
        try:
            clients.restore(generators)
        except (LookupError, TypeError, ValueError) as error:
            raise CheckpointInvalid(f"The random state in the checkpoint is damaged: {error}.", hint=_ANEW) from error
        self.position.restore(exchange, call)

    def save(self, server_round: int, parts: Sequence[Part]) -> None:
        """Keep this checkpoint instead of the one before; returns at once."""
        generators = clients.capture()
        trailer = _TRAILER.pack(_MARK, self.position.exchange, self.position.call, len(generators))
        self._save(server_round, [*parts, generators, trailer], self._saving())

    def _saving(self) -> Callable[[], None]:
        """What to call when the checkpoint that is taken now is durable."""
        return self.position.saving()
