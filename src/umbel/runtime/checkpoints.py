"""Checkpoints of a run: the strategy's data, the exchange and call number, and the states of the random generators.

The exchange number identifies the version of each client's state that belongs to a checkpoint, the call number the entries of the run's
journal. With the states of the random generators, the ServerApp continues with the random numbers that it would have drawn.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

from umbel.app.safetensors import Part
from umbel.engine import clients
from umbel.errors import CheckpointInvalid

_TRAILER = struct.Struct(
    "<8sQQQ"
)  # magic number, exchange, call, size of the generator states that precede the trailer
_MARK = b"UMBELCK2"
_NEW_RUN = "Start the app as a new run."

Save = Callable[[int, Sequence[Part], Callable[[], None]], None]


class Position:
    """Counts the exchanges and journalled calls of a run, and the exchange from which a later attempt may have to resume."""

    def __init__(self) -> None:
        """Start at the beginning of a run."""
        self.exchange = 0
        self.call = 0
        self._first_saved: int | None = None
        self._durable = 0

    def advance(self) -> int:
        """Begin an exchange; returns its number."""
        self.exchange += 1
        return self.exchange

    @property
    def needed_from(self) -> int:
        """The first exchange whose client states may still be needed, apart from each client's newest state.

        Without a checkpoint, a later attempt starts from the beginning.
        """
        return self.exchange if self._first_saved is None else self._durable or self._first_saved

    def saving(self) -> Callable[[], None]:
        """Record that a checkpoint is being taken; returns a function to call when it is durable."""
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
    """The store for the checkpoints of `Strategy.start`."""

    def __init__(self, save: Save, earlier: bytes | None) -> None:
        """`save(server_round, parts, durable)` stores a checkpoint and then calls `durable`; `earlier` is the checkpoint of an earlier attempt."""
        self.position = Position()
        self._save = save
        self._earlier = earlier
        self._loaded = (0, 0, b"")  # exchange, call and generators of the loaded checkpoint

    def load(self) -> memoryview | None:
        """The strategy's data from the checkpoint of an earlier attempt; None if there is none. Raises CheckpointInvalid."""
        if self._earlier is None:
            return None
        view = memoryview(self._earlier)
        end = len(view) - _TRAILER.size
        mark, exchange, call, size = _TRAILER.unpack(view[end:]) if end >= 0 else (b"", 0, 0, 0)
        if mark != _MARK or size > end:
            raise CheckpointInvalid(
                "The checkpoint of the earlier attempt is truncated or belongs to another version of Umbel.",
                hint=_NEW_RUN,
            )
        self._loaded = (exchange, call, bytes(view[end - size : end]))
        return view[: end - size]

    def resumed(self) -> None:
        """Restore position and random generators from the loaded checkpoint. Raises CheckpointInvalid."""
        exchange, call, generators = self._loaded
        try:
            clients.restore(generators)
        except (LookupError, TypeError, ValueError) as error:
            raise CheckpointInvalid(
                f"The random state in the checkpoint is damaged: {error}.", hint=_NEW_RUN
            ) from error
        self.position.restore(exchange, call)

    def save(self, server_round: int, parts: Sequence[Part]) -> None:
        """Queue this checkpoint, in place of the previous one."""
        generators = clients.capture()
        trailer = _TRAILER.pack(_MARK, self.position.exchange, self.position.call, len(generators))
        self._save(server_round, [*parts, generators, trailer], self._saving())

    def _saving(self) -> Callable[[], None]:
        """A function to call when the current checkpoint is durable."""
        return self.position.saving()
