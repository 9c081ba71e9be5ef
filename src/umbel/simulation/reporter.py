"""Tells the SuperLink what happens in the run, from a thread of its own, so that no round waits for it."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar, cast

from umbel.app.safetensors import Part
from umbel.errors import StorageFull, UmbelError
from umbel.wire.api import Artifact, Event, LogLine, MetricPoint, Phase, Report, Source
from umbel.wire.runtime import RuntimeClient

T = TypeVar("T")

_LARGEST_BATCH = 2_000  # items of one report
_CHECKPOINT_SHARE = 0.05  # of the time at most goes into storing checkpoints
_STORAGE_PATIENCE = 60.0  # seconds to wait for room on the SuperLink's disk
_STORAGE_RETRY = 1.0  # seconds between two tries meanwhile


@dataclass
class _Upload:
    name: str
    parts: Sequence[Part]
    server_round: int | None
    durable: Callable[[], None] | None = None


@dataclass
class _Batch:
    events: list[Event] = field(default_factory=list)
    logs: list[LogLine] = field(default_factory=list)
    metrics: list[MetricPoint] = field(default_factory=list)


class Reporter:
    """Collects events, logs, metrics and artifacts and sends them in batches, in order, each exactly once.

    Progress replaces progress and a checkpoint replaces a checkpoint that was not sent yet: only the newest matters.
    """

    def __init__(self, client: RuntimeClient, task_id: int) -> None:
        """Start the thread."""
        self._client = client
        self._task_id = task_id
        self._condition = threading.Condition()
        self._items: deque[Event | LogLine | MetricPoint] = deque()
        self._uploads: deque[_Upload] = deque()
        self._progress: Event | None = None
        self._checkpoint: _Upload | None = None
        self._checkpoint_after = 0.0  # on the monotonic clock
        self._traffic = (0, 0, 0.0)
        self._told_traffic = self._traffic
        self._seq = 0
        self._is_sending = False
        self._is_closing = False
        self.failure: UmbelError | None = None
        self.server_round: int | None = None
        self._phase = ""
        self._thread = threading.Thread(target=self._run, name="umbel-reporter", daemon=True)
        self._thread.start()

    # What the run says.

    def event(self, kind: str, data: Mapping[str, object]) -> None:
        """See `Recorder`."""
        if kind == "round-started":
            self.server_round, self._phase = int(str(data["round"])), str(data["phase"])
        self._add(Event(kind=kind, data=dict(data), at=time.time()))

    def progress(self, done: int, total: int, failed: int) -> None:
        """So many clients of the phase under way have answered."""
        data: dict[str, object] = {
            "round": self.server_round or 0,
            "phase": self._phase,
            "done": done,
            "total": total,
            "failed": failed,
        }
        with self._condition:
            self._progress = Event(kind="progress", data=data, at=time.time())
            self._condition.notify_all()

    def log(self, text: str, level: str, source: Source, node_id: int | None = None) -> None:
        """A line that a process of the run wrote."""
        self._add(
            LogLine(text=text, level=level, source=source, node_id=node_id, round=self.server_round, at=time.time())
        )

    def metrics(self, server_round: int, phase: str, metrics: Mapping[str, float], node_id: int | None) -> None:
        """See `Recorder`."""
        now = time.time()
        for key, value in metrics.items():
            self._add(
                MetricPoint(
                    key=key, value=float(value), round=server_round, phase=cast("Phase", phase), node_id=node_id, at=now
                )
            )

    def artifact(self, name: str, parts: Sequence[Part], server_round: int | None) -> None:
        """See `Recorder`. Returns at once; `flush` waits until it is stored."""
        with self._condition:
            self._uploads.append(_Upload(name, parts, server_round))
            self._condition.notify_all()

    def checkpoint(self, server_round: int, parts: Sequence[Part], durable: Callable[[], None]) -> None:
        """Store a checkpoint when there is time, unless a newer one comes first."""
        with self._condition:
            self._checkpoint = _Upload("checkpoint", parts, server_round, durable)
            self._condition.notify_all()

    def traffic(self, sent: int, received: int, clientapp_seconds: float) -> None:
        """See `Recorder`."""
        self._traffic = (sent, received, clientapp_seconds)

    def _add(self, item: Event | LogLine | MetricPoint) -> None:
        with self._condition:
            self._items.append(item)
            self._condition.notify_all()

    def flush(self) -> None:
        """Wait until everything but progress and checkpoints is stored. Raises what storing failed with."""
        with self._condition:
            self._condition.wait_for(lambda: self.failure or not (self._items or self._uploads or self._is_sending))
        if self.failure is not None:
            raise self.failure

    def close(self) -> None:
        """Send no more. Call `flush` before."""
        with self._condition:
            self._is_closing = True
            self._condition.notify_all()
        self._thread.join()

    # The thread.

    def _run(self) -> None:
        try:
            while self._wait():
                self._send()
                with self._condition:
                    self._is_sending = False
                    self._condition.notify_all()
        except UmbelError as error:
            with self._condition:
                self.failure = error
                self._condition.notify_all()

    def _wait(self) -> bool:
        with self._condition:
            while not self._is_closing:
                if self._items or self._uploads or self._progress or self._is_checkpoint_due():
                    self._is_sending = True
                    return True
                self._condition.wait(self._checkpoint_after - time.monotonic() if self._checkpoint else None)
            return False

    def _is_checkpoint_due(self) -> bool:
        return self._checkpoint is not None and time.monotonic() >= self._checkpoint_after

    def _send(self) -> None:
        with self._condition:
            batch = self._next_batch()
            upload = self._uploads[0] if self._uploads else None
            checkpoint = None
            if self._is_checkpoint_due():
                checkpoint, self._checkpoint = self._checkpoint, None
        artifacts = [self._store(upload)] if upload else []
        if checkpoint is not None:
            artifacts += self._store_checkpoint(checkpoint)
        self._report(batch, artifacts)
        with self._condition:
            if upload:
                self._uploads.popleft()
        if checkpoint is not None and checkpoint.durable is not None:
            checkpoint.durable()

    def _next_batch(self) -> _Batch:
        batch = _Batch()
        for _ in range(min(len(self._items), _LARGEST_BATCH)):
            match self._items.popleft():
                case Event() as event:
                    batch.events.append(event)
                case LogLine() as line:
                    batch.logs.append(line)
                case MetricPoint() as point:
                    batch.metrics.append(point)
        if self._progress is not None:
            batch.events.append(self._progress)
            self._progress = None
        return batch

    def _store(self, upload: _Upload) -> Artifact:
        parts = list(upload.parts)
        digest = self._with_patience(lambda: self._client.put_object(parts))
        size = sum(len(part) for part in parts)
        return Artifact(name=upload.name, digest=digest, size=size, round=upload.server_round, at=time.time())

    def _store_checkpoint(self, checkpoint: _Upload) -> list[Artifact]:
        began = time.monotonic()
        artifact = self._store(checkpoint)
        now = time.monotonic()
        self._checkpoint_after = now + (now - began) / _CHECKPOINT_SHARE
        return [artifact]

    def _report(self, batch: _Batch, artifacts: list[Artifact]) -> None:
        sent, received, seconds = self._traffic
        self._seq += 1
        report = Report(
            seq=self._seq,
            events=batch.events,
            logs=batch.logs,
            metrics=batch.metrics,
            artifacts=artifacts,
            bytes_sent=sent,
            bytes_recv=received,
            clientapp_seconds=seconds,
        )
        self._with_patience(lambda: self._client.report(self._task_id, report))

    def _with_patience(self, call: Callable[[], T]) -> T:
        """What `call` returns, as soon as the SuperLink's disk has room for it."""
        give_up = time.monotonic() + _STORAGE_PATIENCE
        while True:
            try:
                return call()
            except StorageFull:
                with self._condition:
                    if time.monotonic() > give_up or self._condition.wait_for(lambda: self._is_closing, _STORAGE_RETRY):
                        raise
