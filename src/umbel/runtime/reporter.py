"""Reports to the SuperLink: events, metrics, logs and artifacts, in batches."""

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

    def __init__(self, client: RuntimeClient, task_id: int, patience: RetryWhileDiskFull, last_seq: int = 0) -> None:
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


_LARGEST_BATCH = 2_000  # items of one report
_PAUSE = 0.1  # seconds between two reports: a person sees no difference, the SuperLink does
_LARGEST_TEXT = 2_000_000  # characters of log lines and events in one report: far below what a SuperLink takes
_LONGEST_LINE = 8_192  # characters of a log line that are kept
_MOST_ITEMS = 20_000  # not sent yet; who has more to say waits
_MOST_UPLOADS = 4  # likewise
_CHECKPOINT_SHARE = 0.05  # of the time at most goes into storing checkpoints
_CHECKPOINT_AGAIN = 10.0  # seconds after which one that found no room is tried again
_LEAVE = 5.0  # seconds for the thread to end


class Reporter:
    """Collects events, logs, metrics and artifacts and sends them in batches, in order, each exactly once.

    Progress replaces progress and a checkpoint replaces a checkpoint that was not sent yet: only the newest matters. When
    sending has failed for good, the next event raises that error, so that no run continues in vain.
    """

    def __init__(
        self,
        client: RuntimeClient,
        task_id: int,
        patience: RetryWhileDiskFull | None = None,
        source: Source = "simulation",
        last_seq: int = 0,
    ) -> None:
        """Start the thread. `patience` is for a SuperLink whose disk is full, `source` for what the reporter says itself.

        `last_seq` is that of the reports that this attempt sent before.
        """
        self._source = source
        self._patience = patience or RetryWhileDiskFull()
        self._sender = Sender(client, task_id, self._patience, last_seq)
        self._condition = threading.Condition()
        self._items: deque[tuple[Item, int]] = deque()  # each with its number of characters
        self._uploads: deque[Upload] = deque()
        self._upload_after = 0.0  # on the monotonic clock
        self._refused_since: float | None = None  # likewise: an upload waits for room on the disk
        self._progress: Event | None = None
        self._checkpoint: Upload | None = None
        self._checkpoint_after = 0.0  # on the monotonic clock
        self._traffic: Traffic = (0, 0, 0.0)
        self._report_after = 0.0  # likewise: what happened just before is reported together
        self._is_asleep = False  # the thread waits for anything to happen
        self._is_hurried = False  # somebody waits for the thread
        self._is_sending = False
        self._is_closing = False
        self.failure: UmbelError | None = None
        self.server_round: int | None = None
        self._phase = ""
        self._thread = threading.Thread(target=self._run, name="umbel-reporter", daemon=True)
        self._thread.start()

    # What the run says.

    def event(self, kind: str, data: Mapping[str, object]) -> None:
        """See `Recorder`. Raises TypeError or ValueError for data that JSON cannot say, and what sending has failed with."""
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
            self._awake()

    def log(self, text: str, level: str, source: Source, node_id: int | None = None) -> None:
        """A line that a process of the run wrote; of a very long one, its beginning."""
        text = text[:_LONGEST_LINE].encode(errors="replace").decode()  # what is no Unicode cannot be sent
        line = LogLine(text=text, level=level, source=source, node_id=node_id, round=self.server_round, at=time.time())
        self._add(line, len(text))

    def metrics(self, server_round: int, phase: str, metrics: Mapping[str, float], node_id: int | None) -> None:
        """Record metrics of a round."""
        where, now = cast("Phase", phase), time.time()
        for key, value in metrics.items():
            point = MetricPoint(key=key, value=float(value), round=server_round, phase=where, node_id=node_id, at=now)
            self._add(point, len(key.encode()))

    def artifact(self, name: str, parts: Sequence[Part], server_round: int | None) -> None:
        """See `Recorder`. Returns before it is stored; `flush` waits for that."""
        with self._condition:
            self._wait_for_room(self._uploads, _MOST_UPLOADS)
            self._uploads.append(Upload(name, parts, server_round))
            self._condition.notify_all()

    def checkpoint(self, server_round: int, parts: Sequence[Part], durable: Callable[[], None]) -> None:
        """Store a checkpoint when there is time and room, unless a newer one comes first."""
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
                self._awake()

    def _awake(self) -> None:
        """Wake the thread if it does not know yet when to send; waking it costs more than most rounds' events."""
        if self._is_asleep or len(self._items) == _LARGEST_BATCH:
            self._is_asleep = False
            self._condition.notify_all()

    def _wait_for_room(self, queue: Sized, most: int) -> None:
        self._condition.wait_for(lambda: len(queue) < most or self.failure or self._is_closing)

    def _raise_failure(self) -> None:
        if self.failure is not None:
            raise self.failure

    def flush(self) -> None:
        """Wait until everything but progress and checkpoints is stored. Raises what storing failed with."""
        with self._condition:
            self._is_hurried = True
            self._condition.notify_all()
            self._condition.wait_for(lambda: self.failure or not (self._items or self._uploads or self._is_sending))
            self._is_hurried = False
        self._raise_failure()

    def close(self) -> None:
        """Send no more, whatever is left: call `flush` before."""
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
        """Wake all threads that wait for this one, whatever ended it."""
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
        """When what has happened is to be reported, and when the upload and the checkpoint that come next are to be stored."""
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
        """Add the upload's artifact. With a full disk it is tried again later, and the run says so; the error when patience is over."""
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
        """Add the checkpoint's artifact; returns what to call when that is reported. A full disk only puts it off."""
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
