"""The reporter of a SuperNode: log lines and progress."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import Condition
from typing import cast

import pytest

from umbel.errors import Conflict, StorageFull, UmbelError
from umbel.supernode import reporter as reporting
from umbel.supernode.jobs import Session
from umbel.supernode.reporter import MOST_LINES, Reporter
from umbel.wire.messages import NodeReport
from umbel.wire.programs import FleetClient


class FakeClient:
    """Stores reports, after raising each of `failures` once."""

    def __init__(self) -> None:
        self.reports: list[NodeReport] = []
        self.failures: list[UmbelError] = []
        self.changed = Condition()

    def report(self, report: NodeReport) -> None:
        with self.changed:
            self.changed.notify_all()
            if self.failures:
                raise self.failures.pop(0)
            self.reports.append(report)

    def wait(self, is_so: Callable[[], object]) -> None:
        """Wait until reports satisfy a condition."""
        with self.changed:
            assert self.changed.wait_for(is_so, 10)

    def texts(self, run_id: int = 7) -> list[str]:
        """The text of the lines of a run."""
        return [
            line.text for report in self.reports for logs in report.logs if logs.run_id == run_id for line in logs.lines
        ]


@pytest.fixture
def client() -> FakeClient:
    """A SuperLink that accepts everything."""
    return FakeClient()


@pytest.fixture
def reporter(client: FakeClient, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reporter]:
    """A reporter that has not begun to send."""
    monkeypatch.setattr(reporting, "_FULL", 0.01)
    reporter = Reporter(cast("FleetClient", client), Session(node_id=5, number=2))
    yield reporter
    reporter.close()


def test_lines_go_in_order_to_their_runs(client: FakeClient, reporter: Reporter) -> None:
    """Lines arrive in order, in few reports that are numbered from 1; lines from before the session are not lost."""
    reporter.log(7, "early", "INFO")
    reporter.begin()
    for number in range(3000):
        reporter.log(7 + number % 2, str(number), "WARNING")
    client.wait(lambda: len(client.texts(7)) + len(client.texts(8)) == 3001)
    assert client.texts(7) == ["early", *map(str, range(0, 3000, 2))]
    assert client.texts(8) == [*map(str, range(1, 3000, 2))]
    assert [report.seq for report in client.reports] == [*range(1, len(client.reports) + 1)]
    assert len(client.reports) < 10
    line = client.reports[0].logs[0].lines[0]
    assert (line.node_id, line.source, client.reports[0].session) == (5, "clientapp", 2)


def test_memory_is_bounded(client: FakeClient, reporter: Reporter) -> None:
    """Beyond the limit the oldest lines are dropped, and a line says how many."""
    for number in range(MOST_LINES + 5):
        reporter.log(7, str(number), "INFO")
    reporter.begin()
    client.wait(lambda: len(client.texts()) == MOST_LINES + 1)
    assert client.texts()[0].startswith("5 earlier lines were dropped")
    assert client.texts()[1] == "5"


def test_long_lines_go_in_several_reports(client: FakeClient, reporter: Reporter) -> None:
    """No report exceeds the size limit."""
    for _ in range(200):
        reporter.log(7, "x" * 8000, "INFO")
    reporter.begin()
    client.wait(lambda: len(client.texts()) == 200)
    assert len(client.reports) > 2


def test_a_lone_surrogate_is_replaced(client: FakeClient, reporter: Reporter) -> None:
    """A line that UTF-8 cannot encode does not end the reports."""
    reporter.begin()
    reporter.log(7, "\ud800", "INFO")
    client.wait(client.texts)
    assert client.texts() == ["?"]


def test_only_the_latest_progress_is_sent(client: FakeClient, reporter: Reporter) -> None:
    """Intermediate values are skipped, and so is the progress of messages that have been answered."""
    reporter.begin()
    reporter.progress("quick", "training")
    for step in range(100):
        reporter.progress("slow", "training", step, 100, "steps")
    reporter.answered("quick")
    client.wait(lambda: client.reports)
    (told,) = client.reports[0].progress
    assert (told.message_id, told.stage, told.done, told.unit) == ("slow", "training", 99, "steps")


def test_a_report_is_repeated_while_the_disk_is_full(client: FakeClient, reporter: Reporter) -> None:
    """The same report is sent again while the SuperLink's disk is full."""
    client.failures = [StorageFull(), StorageFull()]
    reporter.begin()
    reporter.log(7, "a", "INFO")
    client.wait(lambda: client.texts() == ["a"])
    assert client.reports[0].seq == 1


def test_a_rejected_report_does_not_stop_later_ones(client: FakeClient, reporter: Reporter) -> None:
    """Only the rejected report is lost."""
    client.failures = [Conflict()]
    reporter.begin()
    reporter.log(7, "lost", "INFO")
    with client.changed:
        client.changed.wait_for(lambda: not client.failures, 10)
    reporter.flush(10)
    reporter.log(7, "kept", "INFO")
    client.wait(client.texts)
    assert client.texts() == ["kept"]


def test_flush_waits_for_the_last_line(client: FakeClient, reporter: Reporter) -> None:
    """Flushing returns when all lines are sent, or after the given time."""
    reporter.log(7, "a", "INFO")
    reporter.flush(0.01)
    assert client.texts() == []
    reporter.begin()
    reporter.flush(10)
    assert client.texts() == ["a"]
