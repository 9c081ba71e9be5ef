"""Reporting of app output and message progress to the SuperLink, in a separate thread."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from umbel.errors import StorageFull, UmbelError
from umbel.wire.api import LogLine
from umbel.wire.messages import MessageProgress, NodeReport, RunLogs

if TYPE_CHECKING:
    from umbel.supernode.jobs import Session
    from umbel.wire.programs import FleetClient

PAUSE = 0.1  # seconds between two reports: imperceptible to users, and it limits the load on the SuperLink
MOST_LINES = 10_000  # lines waiting to be sent; beyond that, the oldest are dropped
_QUICK = 0.15  # seconds; progress of a message that is answered sooner is not reported
_LARGEST_BATCH = 1_000  # log lines per report
_LARGEST_TEXT = 500_000  # characters of log lines per report
_FULL = 1.0  # seconds between retries while the SuperLink's disk is full

log = logging.getLogger(__name__)


class Reporter:
    """Collects log lines and progress and, once `begin` is called, sends them in batches within the node's session."""

    def __init__(self, client: FleetClient, session: Session) -> None:
        self._client = client
        self._session = session
        self._condition = threading.Condition()
        self._lines: deque[tuple[int, LogLine]] = deque()  # (run ID, line)
        self._left_out = 0
        self._progress: dict[str, MessageProgress] = {}
        self._progress_at: float | None = None  # on the monotonic clock: when progress is due
        self._report_after = 0.0  # likewise
        self._seq = 0
        self._is_sending = False
        self._is_closing = False
        self._thread = threading.Thread(target=self._run, name="reporter", daemon=True)

    def begin(self) -> None:
        """Begin to send: the node's session has started."""
        self._thread.start()

    def log(self, run_id: int, text: str, level: str) -> None:
        """Add a line that an app of the run wrote on this node."""
        safe = text.encode(errors="replace").decode()  # lone surrogates cannot be sent
        line = LogLine(
            text=safe, level=level, source="clientapp", node_id=self._session.node_id or None, at=time.time()
        )
        with self._condition:
            if len(self._lines) >= MOST_LINES:
                self._lines.popleft()
                self._left_out += 1
            self._lines.append((run_id, line))
            self._condition.notify_all()

    def progress(self, message_id: str, stage: str, done: float = 0.0, total: float = 0.0, unit: str = "") -> None:
        """Update the progress of a message; only the latest value is sent."""
        with self._condition:
            self._progress[message_id] = MessageProgress(
                message_id=message_id, stage=stage, done=done, total=total, unit=unit
            )
            if self._progress_at is None:
                self._progress_at = time.monotonic() + _QUICK
                self._condition.notify_all()

    def answered(self, message_id: str) -> None:
        """Stop reporting the progress of this message."""
        with self._condition:
            self._progress.pop(message_id, None)

    def flush(self, seconds: float) -> None:
        """Wait until all lines are sent, for at most `seconds`."""
        with self._condition:
            self._condition.wait_for(lambda: not self._lines and not self._is_sending, seconds)

    def close(self) -> None:
        """Stop the thread; lines that are still queued are dropped."""
        with self._condition:
            self._is_closing = True
            self._condition.notify_all()

    # The thread.

    def _run(self) -> None:
        while (report := self._next()) is not None:
            try:
                self._send(report)
            except UmbelError as failure:
                log.warning("Failed to send log lines: %s", failure)
            with self._condition:
                self._is_sending = False
                self._report_after = time.monotonic() + PAUSE
                self._condition.notify_all()

    def _send(self, report: NodeReport) -> None:
        while True:
            try:
                return self._client.report(report)
            except StorageFull:
                with self._condition:
                    if self._condition.wait_for(lambda: self._is_closing, _FULL):
                        raise

    def _next(self) -> NodeReport | None:
        """Wait for the next report; None once `close` has been called."""
        with self._condition:
            while not self._is_closing:
                now, due = time.monotonic(), self._due()
                if due is not None and due <= now:
                    self._is_sending = True
                    return self._report()
                self._condition.wait(None if due is None else due - now)
        return None

    def _due(self) -> float | None:
        dues = [0.0] if self._lines else []
        if self._progress_at is not None:
            dues.append(self._progress_at)
        return max(min(dues), self._report_after) if dues else None

    def _report(self) -> NodeReport:
        progress, self._progress, self._progress_at = list(self._progress.values()), {}, None
        self._seq += 1
        return NodeReport(session=self._session.number, seq=self._seq, logs=self._batch(), progress=progress)

    def _batch(self) -> list[RunLogs]:
        logs: dict[int, RunLogs] = {}
        text = 0
        for _ in range(min(len(self._lines), _LARGEST_BATCH)):
            run_id, line = self._lines[0]
            if text and text + len(line.text) > _LARGEST_TEXT:
                break
            self._lines.popleft()
            text += len(line.text)
            of_run = logs.setdefault(run_id, RunLogs(run_id=run_id, lines=[]))
            if self._left_out:
                notice = f"{self._left_out} earlier lines were dropped because there were too many at once."
                of_run.lines.append(
                    LogLine(text=notice, level="WARNING", source="clientapp", node_id=line.node_id, at=line.at)
                )
                self._left_out = 0
            of_run.lines.append(line)
        return list(logs.values())
