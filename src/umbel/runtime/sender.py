"""Puts what a run says into requests to the SuperLink."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from umbel.app.safetensors import Part
from umbel.engine.patience import Patience
from umbel.wire.api import Artifact, Event, LogLine, MetricPoint, Report
from umbel.wire.runtime import RuntimeClient

Traffic = tuple[int, int, float]  # bytes sent, bytes received, seconds of client work: totals so far
Item = Event | LogLine | MetricPoint


@dataclass
class Upload:
    """Bytes to be stored as an artifact. `durable` is called when the SuperLink has it."""

    name: str
    parts: Sequence[Part]
    server_round: int | None
    durable: Callable[[], None] | None = None


@dataclass
class Batch:
    """What goes into one report."""

    events: list[Event] = field(default_factory=list)
    logs: list[LogLine] = field(default_factory=list)
    metrics: list[MetricPoint] = field(default_factory=list)

    def add(self, item: Item) -> None:
        """Put an item where it belongs."""
        match item:
            case Event():
                self.events.append(item)
            case LogLine():
                self.logs.append(item)
            case MetricPoint():
                self.metrics.append(item)


class Sender:
    """Numbers the reports of one attempt. Not for more than one thread at a time."""

    def __init__(self, client: RuntimeClient, task_id: int, patience: Patience, last_seq: int = 0) -> None:
        """`patience` is for a SuperLink whose database has no room, `last_seq` of the reports that this attempt sent before."""
        self._client = client
        self._task_id = task_id
        self._patience = patience
        self._seq = last_seq

    def store(self, upload: Upload) -> Artifact:
        """Store an upload's bytes. Raises StorageFull."""
        digest = self._client.put_object(upload.parts)
        size = sum(len(part) for part in upload.parts)
        return Artifact(name=upload.name, digest=digest, size=size, round=upload.server_round, at=time.time())

    def report(self, batch: Batch, artifacts: list[Artifact], traffic: Traffic) -> None:
        """Send one report, if need be when there is room for it. Raises StorageFull."""
        self._seq += 1
        report = Report(seq=self._seq, events=batch.events, logs=batch.logs, metrics=batch.metrics, artifacts=artifacts)
        report.bytes_sent, report.bytes_recv, report.clientapp_seconds = traffic
        self._patience(lambda: self._client.report(self._task_id, report))
