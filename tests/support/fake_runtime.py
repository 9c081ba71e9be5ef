"""A SuperLink as a reporter sees it, and a recorder as a grid sees it."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping, Sequence

from umbel.app.safetensors import Part
from umbel.errors import StorageFull
from umbel.wire.api import Event, LogLine, MetricPoint, Report
from umbel.wire.programs import RuntimeClient

LIMIT = 10.0  # seconds for what takes a moment


class FakeClient(RuntimeClient):
    """Takes reports and objects. `hold` makes the next calls wait, in `held`, until `go_on`."""

    def __init__(self) -> None:
        self.reports: list[Report] = []
        self._reported = threading.Condition()
        self.objects: list[bytes] = []
        self.held, self._open = threading.Event(), threading.Event()
        self._open.set()
        self.refusal: BaseException | None = None
        self.object_tries_refused = 0  # this many more
        self.report_tries_refused = 0
        self.on_object: Callable[[], object] = lambda: None

    def hold(self) -> None:
        """Let the next call wait."""
        self.held.clear()
        self._open.clear()

    def go_on(self) -> None:
        """Let calls through again."""
        self._open.set()

    def _pass(self) -> None:
        self.held.set()
        assert self._open.wait(LIMIT)
        if self.refusal is not None:
            raise self.refusal

    def put_object(self, parts: Sequence[bytes | memoryview]) -> str:
        """Store the parts, unless there is no room."""
        self._pass()
        self.on_object()
        if self.object_tries_refused:
            self.object_tries_refused -= 1
            raise StorageFull
        self.objects.append(b"".join(parts))
        return hashlib.sha256(self.objects[-1]).hexdigest()

    def report(self, task_id: int, report: Report) -> None:
        """Take a report, unless there is no room."""
        self._pass()
        if self.report_tries_refused:
            self.report_tries_refused -= 1
            raise StorageFull
        with self._reported:
            self.reports.append(report)
            self._reported.notify_all()

    def wait_until(self, condition: Callable[[], object]) -> None:
        """Wait until what was reported fulfils this."""
        with self._reported:
            assert self._reported.wait_for(condition, LIMIT)

    @property
    def events(self) -> list[Event]:
        """All events, in order."""
        return [event for report in self.reports for event in report.events]

    @property
    def logs(self) -> list[LogLine]:
        """All log lines, in order."""
        return [line for report in self.reports for line in report.logs]

    @property
    def points(self) -> list[MetricPoint]:
        """All metric points, in order."""
        return [point for report in self.reports for point in report.metrics]

    @property
    def artifacts(self) -> list[str]:
        """The names of all artifacts, in order."""
        return [artifact.name for report in self.reports for artifact in report.artifacts]


class FakeRecorder:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[object, ...]] = []

    def event(self, kind: str, data: Mapping[str, object]) -> None:
        self.told.append(("event", kind, data))

    def metrics(self, server_round: int, phase: str, metrics: Mapping[str, float], node_id: int | None) -> None:
        self.told.append(("metrics", server_round, phase, metrics, node_id))

    def artifact(self, name: str, parts: Sequence[Part], server_round: int | None) -> None:
        self.told.append(("artifact", name, b"".join(parts), server_round))

    def traffic(self, sent: int, received: int, clientapp_seconds: float) -> None:
        self.told.append(("traffic", sent, received, clientapp_seconds))
