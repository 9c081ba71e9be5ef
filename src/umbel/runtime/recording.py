"""Recording of a run's events, metrics and artifacts, for simulations and deployments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from umbel.app.safetensors import Part
from umbel.runtime.checkpoints import Checkpoints, Position
from umbel.serverapp.grid import CheckpointStore, Grid, Run


class Recorder(Protocol):
    """Receives the events, metrics and artifacts of a run."""

    def event(self, kind: str, data: Mapping[str, object]) -> None:
        """Record an event; `umbel.wire.api.Event` documents kinds and data."""

    def metrics(self, server_round: int, phase: str, metrics: Mapping[str, float], node_id: int | None) -> None:
        """Record the metrics of a round."""

    def artifact(self, name: str, parts: Sequence[Part], server_round: int | None) -> None:
        """Record a named result."""

    def traffic(self, sent: int, received: int, clientapp_seconds: float) -> None:
        """Set the totals so far: bytes to and from clients, and seconds of client computation."""


class RecordingGrid(Grid):
    """A Grid that passes events, metrics and artifacts to a recorder, and counts exchanges and traffic."""

    def __init__(self, run: Run, recorder: Recorder, checkpoints: Checkpoints | None) -> None:
        """`checkpoints` None means that the run stores no checkpoints."""
        self._run = run
        self._recorder = recorder
        self._checkpoints = checkpoints
        self._position = checkpoints.position if checkpoints else Position()
        self._sent = 0  # bytes
        self._received = 0

    @property
    def run(self) -> Run:
        """The run this grid works for."""
        return self._run

    @property
    def checkpoints(self) -> CheckpointStore | None:
        """The store for the checkpoints of `Strategy.start`; None if the run stores no checkpoints."""
        return self._checkpoints

    def report(self, kind: str, data: Mapping[str, object]) -> None:
        """Report an event of the run; `umbel.wire.api.Event` documents kinds and data."""
        self._recorder.event(kind, data)

    def report_metrics(
        self, server_round: int, phase: str, metrics: Mapping[str, float], node_id: int | None = None
    ) -> None:
        """Record metrics of a round. `phase` is train, evaluate or server; `node_id` None means an aggregate."""
        self._recorder.metrics(server_round, phase, metrics, node_id)

    def save_artifact(self, name: str, parts: Sequence[Part], server_round: int | None = None) -> None:
        """Store a named result of the run, for example "model.safetensors"; its bytes are the concatenation of `parts`."""
        self._recorder.artifact(name, parts, server_round)
