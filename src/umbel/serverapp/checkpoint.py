"""Where `Strategy.start` keeps what it needs to go on after its process died."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from umbel.app.safetensors import Part


class CheckpointStore(Protocol):
    """Keeps the newest checkpoint of a run. A checkpoint is one safetensors file."""

    def load(self) -> memoryview | None:
        """The newest checkpoint kept by an earlier attempt of this run, None when there is none."""

    def resumed(self) -> None:
        """What `load` gave is where the run goes on now: the Grid's exchanges continue from there too."""

    def save(self, server_round: int, parts: Sequence[Part]) -> None:
        """Keep this checkpoint instead of the one before. May return before it is durable; a newer one may replace it on the way."""
