"""Batched reports of events, metrics, logs and artifacts to the SuperLink."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence, Sized
from dataclasses import dataclass, field
from typing import cast

import msgspec

from umbel.app.safetensors import Part
from umbel.engine.client_state import RetryWhileDiskFull
from umbel.errors import StorageFull, UmbelError
from umbel.wire.api import Artifact, Event, LogLine, MetricPoint, Phase, Report, Source
from umbel.wire.programs import RuntimeClient

Traffic = tuple[int, int, float]  # bytes sent, bytes received, seconds of client work: totals so far
Item = Event | LogLine | MetricPoint


@dataclass
class Upload:
    """An artifact to be stored. `durable` is called when the SuperLink has stored it."""

    name: str
    parts: Sequence[Part]
    server_round: int | None
    durable: Callable[[], None] | None = None


@dataclass
class Batch:
    """The items of one report."""

    events: list[Event] = field(default_factory=list)
    logs: list[LogLine] = field(default_factory=list)
    metrics: list[MetricPoint] = field(default_factory=list)

    def add(self, item: Item) -> None:
        """Add an item to the list of its type."""
        match item:
            case Event():
                self.events.append(item)
            case LogLine():
                self.logs.append(item)
            case MetricPoint():
                self.metrics.append(item)


class Sender:
    """Sends the numbered reports of one attempt. Not safe for concurrent use."""

    def __init__(self, client: RuntimeClient, task_id: int, patience: RetryWhileDiskFull, last_seq: int = 0) -> None:
        """`patience` retries while the SuperLink's disk is full; `last_seq` is the number of the last report that this attempt sent before."""
        self._client = client
        self._task_id = task_id
        self._patience = patience
        self._seq = last_seq

    def store(self, upload: Upload) -> Artifact:
        """Upload the bytes of an artifact. Raises StorageFull."""
        digest = self._client.put_object(upload.parts)
        size = sum(len(part) for part in upload.parts)
        return Artifact(name=upload.name, digest=digest, size=size, round=upload.server_round, at=time.time())

    def report(self, batch: Batch, artifacts: list[Artifact], traffic: Traffic) -> None:
        """Send one report, with retries while the disk is full. Raises StorageFull."""
        self._seq += 1
        report = Report(seq=self._seq, events=batch.events, logs=batch.logs, metrics=batch.metrics, artifacts=artifacts)
        report.bytes_sent, report.bytes_recv, report.clientapp_seconds = traffic
        self._patience(lambda: self._client.report(self._task_id, report))


_LARGEST_BATCH = 2_000  # items per report
_PAUSE = 0.1  # seconds between two reports: imperceptible to users, and it limits the load on the SuperLink
_LARGEST_TEXT = 2_000_000  # characters of log lines and events per report: far below the SuperLink's limit
_LONGEST_LINE = 8_192  # characters; longer log lines are truncated
_MOST_ITEMS = 20_000  # queued items; beyond that, callers wait
_MOST_UPLOADS = 4  # queued artifacts; likewise
_CHECKPOINT_SHARE = 0.05  # maximum fraction of time spent on storing checkpoints
_CHECKPOINT_AGAIN = 10.0  # seconds until a checkpoint that did not fit on the disk is retried
_LEAVE = 5.0  # seconds to wait for the end of the thread


class Reporter:
    """Collects events, logs, metrics and artifacts and sends them in batches, in order, each exactly once.

    Of progress and checkpoints that were not sent yet, only the newest is kept. After a permanent failure the next event
    raises the error, so that the run ends.
    """

    def __init__(
        self,
        client: RuntimeClient,
        task_id: int,
        patience: RetryWhileDiskFull | None = None,
        source: Source = "simulation",
        last_seq: int = 0,
    ) -> None:
        """Start the thread. `patience` limits retries while the SuperLink's disk is full, `source` is the source of the reporter's own log lines.

        `last_seq` is the number of the last report that this attempt sent before.
        """
        self._source = source
        self._patience = patience or RetryWhileDiskFull()
        self._sender = Sender(client, task_id, self._patience, last_seq)
        self._condition = threading.Condition()
        self._items: deque[tuple[Item, int]] = deque()  # (item, number of characters)
        self._uploads: deque[Upload] = deque()
        self._upload_after = 0.0  # on the monotonic clock
        self._refused_since: float | None = None  # likewise: since when an upload waits for disk space
        self._progress: Event | None = None
        self._checkpoint: Upload | None = None
        self._checkpoint_after = 0.0  # on the monotonic clock
        self._traffic: Traffic = (0, 0, 0.0)
        self._report_after = 0.0  # likewise: items until then go into one report
        self._is_asleep = False  # the thread waits for an item
        self._is_hurried = False  # a caller waits in `flush`
        self._is_sending = False
        self._is_closing = False
        self.failure: UmbelError | None = None
        self.server_round: int | None = None
        self._phase = ""
        self._thread = threading.Thread(target=self._run, name="umbel-reporter", daemon=True)
        self._thread.start()

    # Called by the run.

    def event(self, kind: str, data: Mapping[str, object]) -> None:
        """Record an event. Raises TypeError or ValueError for data that JSON cannot represent, and the error of a failed report."""
        self._raise_failure()
        size = len(msgspec.json.encode(data))
        if kind == "round-started":
            self.server_round, self._phase = int(str(data["round"])), str(data["phase"])
        self._add(Event(kind=kind, data=dict(data), at=time.time()), size)

    def progress(self, done: int, total: int, failed: int) -> None:
        """Report how many clients of the current phase have replied."""
        data: dict[str, object] = {"round": self.server_round or 0, "phase": self._phase}
        data |= {"done": done, "total": total, "failed": failed}
        with self._condition:
            self._progress = Event(kind="progress", data=data, at=time.time())
            self._wake()

    def log(self, text: str, level: str, source: Source, node_id: int | None = None) -> None:
        """Add a line that a process of the run wrote; a very long one is truncated."""
        text = text[:_LONGEST_LINE].encode(errors="replace").decode()  # lone surrogates cannot be sent
        line = LogLine(text=text, level=level, source=source, node_id=node_id, round=self.server_round, at=time.time())
        self._add(line, len(text))

    def metrics(self, server_round: int, phase: str, metrics: Mapping[str, float], node_id: int | None) -> None:
        """Record metrics of a round."""
        where, now = cast("Phase", phase), time.time()
        for key, value in metrics.items():
            point = MetricPoint(key=key, value=float(value), round=server_round, phase=where, node_id=node_id, at=now)
            self._add(point, len(key.encode()))

    def artifact(self, name: str, parts: Sequence[Part], server_round: int | None) -> None:
        """Queue an artifact; `flush` waits until it is stored."""
        with self._condition:
            self._wait_for_room(self._uploads, _MOST_UPLOADS)
            self._uploads.append(Upload(name, parts, server_round))
            self._condition.notify_all()

    def checkpoint(self, server_round: int, parts: Sequence[Part], durable: Callable[[], None]) -> None:
        """Queue a checkpoint, in place of one that was not stored yet. `durable` is called when it is stored."""
        with self._condition:
            self._checkpoint = Upload("checkpoint", parts, server_round, durable)
            self._condition.notify_all()

    def traffic(self, sent: int, received: int, clientapp_seconds: float) -> None:
        """Record traffic and client time."""
        self._traffic = (sent, received, clientapp_seconds)

    def _add(self, item: Item, size: int) -> None:
        with self._condition:
            self._wait_for_room(self._items, _MOST_ITEMS)
            if self.failure is None:
                self._items.append((item, size))
                self._wake()

    def _wake(self) -> None:
        """Wake the thread only if it has no time set for the next report: waking it costs more than the events of most rounds."""
        if self._is_asleep or len(self._items) == _LARGEST_BATCH:
            self._is_asleep = False
            self._condition.notify_all()

    def _wait_for_room(self, queue: Sized, most: int) -> None:
        self._condition.wait_for(lambda: len(queue) < most or self.failure or self._is_closing)

    def _raise_failure(self) -> None:
        if self.failure is not None:
            raise self.failure

    def flush(self) -> None:
        """Wait until everything except progress and checkpoints is stored. Raises the error of a failed report."""
        with self._condition:
            self._is_hurried = True
            self._condition.notify_all()
            self._condition.wait_for(lambda: self.failure or not (self._items or self._uploads or self._is_sending))
            self._is_hurried = False
        self._raise_failure()

    def close(self) -> None:
        """Stop the thread and drop what is queued; call `flush` before."""
        with self._condition:
            self._is_closing = True
            self._condition.notify_all()
        self._patience.end()
        self._thread.join(_LEAVE)

    # The thread.

    def _run(self) -> None:
        try:
            while self._wait():
                self._send()
                self._report_after = time.monotonic() + _PAUSE
                with self._condition:
                    self._is_sending = False
                    self._condition.notify_all()
        except UmbelError as error:
            self.failure = error
        finally:
            self._end()

    def _end(self) -> None:
        """Wake all threads that wait for this one."""
        with self._condition:
            if not self._is_closing and self.failure is None:
                self.failure = UmbelError("The run can no longer report its events.")
            self._items.clear()
            self._uploads.clear()
            self._condition.notify_all()

    def _wait(self) -> bool:
        with self._condition:
            while not self._is_closing:
                now = time.monotonic()
                at = min(self._due(), default=None)
                if at is not None and at <= now:
                    self._is_sending = True
                    return True
                self._is_asleep = at is None
                self._condition.wait(None if at is None else at - now)
            return False

    def _due(self) -> list[float]:
        """The times at which the queued items, the next artifact and the checkpoint are due."""
        dues = [self._upload_after] if self._uploads else []
        if self._items or self._progress:
            is_urgent = self._is_hurried or len(self._items) >= _LARGEST_BATCH
            dues.append(0.0 if is_urgent else self._report_after)
        return dues + ([self._checkpoint_after] if self._checkpoint else [])

    def _send(self) -> None:
        now = time.monotonic()
        with self._condition:
            batch = self._next_batch()
            upload = self._uploads[0] if self._uploads and self._upload_after <= now else None
            checkpoint = None
            if self._checkpoint_after <= now:
                checkpoint, self._checkpoint = self._checkpoint, None
        artifacts: list[Artifact] = []
        refusal = self._store_upload(upload, batch, artifacts) if upload else None
        durable = self._store_checkpoint(checkpoint, batch, artifacts) if checkpoint else None
        self._sender.report(batch, artifacts, self._traffic)
        if refusal is not None:
            raise refusal
        if durable is not None:
            durable()
        if upload and self._refused_since is None:
            with self._condition:
                self._uploads.popleft()

    def _next_batch(self) -> Batch:
        batch, text = Batch(), 0
        for _ in range(min(len(self._items), _LARGEST_BATCH)):
            item, size = self._items[0]
            if text and text + size > _LARGEST_TEXT:
                break
            self._items.popleft()
            text += size
            batch.add(item)
        if self._progress is not None:
            batch.add(self._progress)
            self._progress = None
        self._condition.notify_all()
        return batch

    def _store_upload(self, upload: Upload, batch: Batch, artifacts: list[Artifact]) -> StorageFull | None:
        """Upload an artifact. If the disk is full, the run reports a wait; returns the error once the time for retries is over."""
        try:
            artifacts.append(self._sender.store(upload))
        except StorageFull as error:
            now = time.monotonic()
            self._upload_after = now + self._patience.retry
            if self._refused_since is None:
                self._refused_since = now
                batch.add(self._waiting(upload))
            return error if now - self._refused_since >= self._patience.seconds else None
        if self._refused_since is not None:
            self._refused_since = None
            batch.add(Event(kind="waiting", data={"for": "", "what": ""}, at=time.time()))
        return None

    def _waiting(self, upload: Upload) -> Event:
        now = time.time()
        what = f"{upload.name} cannot be stored: the disk is full"
        data = {
            "for": "space on the SuperLink's disk",
            "what": what,
            "since": now,
            "until": now + self._patience.seconds,
        }
        return Event(kind="waiting", data=data, at=now)

    def _store_checkpoint(
        self, checkpoint: Upload, batch: Batch, artifacts: list[Artifact]
    ) -> Callable[[], None] | None:
        """Upload a checkpoint; returns its `durable` function. If the disk is full, the checkpoint is postponed."""
        began = time.monotonic()
        try:
            artifacts.append(self._sender.store(checkpoint))
        except StorageFull as error:
            with self._condition:
                self._checkpoint = self._checkpoint or checkpoint
            self._checkpoint_after = began + _CHECKPOINT_AGAIN
            text = f"The checkpoint of round {checkpoint.server_round} is postponed: {error}"
            batch.add(LogLine(text=text, level="WARNING", source=self._source, round=self.server_round, at=time.time()))
            return None
        now = time.monotonic()
        self._checkpoint_after = now + (now - began) / _CHECKPOINT_SHARE
        return checkpoint.durable
