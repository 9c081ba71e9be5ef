"""Checkpoints of a run whose messages can be repeated: what a durable one covers is forgotten by the SuperLink."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from umbel.app.safetensors import Part
from umbel.runtime.checkpoints import Checkpoints, Save
from umbel.wire.messages import Forget


class CoveringCheckpoints(Checkpoints):
    """Where the first `Strategy.start` of an app keeps its checkpoints.

    A later attempt goes through what comes before that call and after it again, without a client working for it: the replies are kept.
    So a second call of `start` keeps no checkpoint: it would take the place of the first one's, whose replies are gone.
    """

    def __init__(self, save: Save, earlier: bytes | None, forget: Callable[[Forget], None]) -> None:
        """See `Checkpoints`; `forget` is told, by whoever stores a checkpoint, what it covers."""
        super().__init__(save, earlier)
        self._forget = forget
        self._starts = 0
        self._before = (0, 0)  # exchanges and calls before the first start

    def load(self) -> memoryview | None:
        """See `Checkpoints`."""
        self._starts += 1
        if self._starts > 1:
            return None
        self._before = self.position.exchange, self.position.call
        return super().load()

    def save(self, server_round: int, parts: Sequence[Part]) -> None:
        """See `Checkpoints`."""
        if self._starts <= 1:
            super().save(server_round, parts)

    def _saving(self) -> Callable[[], None]:
        durable = super()._saving()
        sequence, call = self._before
        covered = Forget(
            sequence=self.position.exchange, call=self.position.call, after_sequence=sequence, after_call=call
        )

        def forget() -> None:
            durable()
            self._forget(covered)

        return forget
