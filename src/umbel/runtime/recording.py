"""Recording of a run's events, independent of how its messages are served."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from umbel.app.safetensors import Part
from umbel.runtime.checkpoints import Checkpoints, Position
from umbel.serverapp.grid import CheckpointStore, Grid, Run


class Recorder(Protocol):
    """Keeps what a run tells of itself."""

    def event(self, kind: str, data: Mapping[str, object]) -> None:
        """Something happened: see `umbel.wire.api.Event`."""

    def metrics(self, server_round: int, phase: str, metrics: Mapping[str, float], node_id: int | None) -> None:
        """Numbers of a round."""

    def artifact(self, name: str, parts: Sequence[Part], server_round: int | None) -> None:
        """A named result."""

    def traffic(self, sent: int, received: int, clientapp_seconds: float) -> None:
        """Bytes to and from clients and seconds of client work so far, in all."""


class RecordingGrid(Grid):
    """A Grid that hands events, numbers and artifacts to a recorder, and counts what a later attempt must count again."""

    def __init__(self, run: Run, recorder: Recorder, checkpoints: Checkpoints | None) -> None:
        """Without `checkpoints` none are kept."""
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
        """Where `Strategy.start` keeps its checkpoints; None when this grid keeps none."""
        return self._checkpoints

    def report(self, kind: str, data: Mapping[str, object]) -> None:
        """Report an event of the run; `umbel.wire.api.Event` documents kinds and data."""
        self._recorder.event(kind, data)

    def report_metrics(
        self, server_round: int, phase: str, metrics: Mapping[str, float], node_id: int | None = None
    ) -> None:
        """Record numbers of a round. `phase` is train, evaluate or server; `node_id` None means an aggregate."""
        self._recorder.metrics(server_round, phase, metrics, node_id)

    def save_artifact(self, name: str, parts: Sequence[Part], server_round: int | None = None) -> None:
        """Keep a named result of the run, e.g. "model.safetensors", whose bytes are `parts` one after another."""
        self._recorder.artifact(name, parts, server_round)
