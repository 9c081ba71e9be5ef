"""Reports of a run: batches, retries, waiting for disk space."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import numpy as np
import pytest

from tests.support.fake_runtime import LIMIT, FakeClient
from umbel.engine.client_state import RetryWhileDiskFull
from umbel.errors import ObjectInvalid, StorageFull, UmbelError
from umbel.runtime import reporter as module
from umbel.runtime.reporter import Reporter


@pytest.fixture
def client() -> FakeClient:
    return FakeClient()


@pytest.fixture
def reporter(client: FakeClient) -> Iterator[Reporter]:
    """A reporter that retries immediately while a disk is full."""
    running = Reporter(client, 1, RetryWhileDiskFull(retry=0.0))
    yield running
    client.go_on()
    running.close()
    assert not running._thread.is_alive()


class Clock:
    """A monotonic clock that the test advances."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The reporter's clock."""
    moved = Clock()
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=moved, time=lambda: 5.0))
    return moved


def test_everything_arrives_in_order_and_once(client: FakeClient, reporter: Reporter) -> None:
    """Lines, events and metrics arrive in numbered batches of limited size."""
    client.hold()
    reporter.event("round-started", {"round": 1, "phase": "train"})
    assert client.held.wait(LIMIT)
    for number in range(2_500):
        reporter.log(str(number), "INFO", "clientapp", number)
        reporter.metrics(1, "train", {"loss": number}, None)
    client.go_on()
    reporter.flush()
    assert [line.text for line in client.logs] == [str(number) for number in range(2_500)]
    assert [point.value for point in client.points] == [float(number) for number in range(2_500)]
    assert {line.round for line in client.logs} == {1}
    assert [report.seq for report in client.reports] == [1, 2, 3, 4]
    assert max(len(report.logs) + len(report.metrics) for report in client.reports) == 2_000


def test_a_report_has_a_limited_size(client: FakeClient, reporter: Reporter) -> None:
    """Long lines are truncated, many long lines go into several reports, and lone surrogates are replaced."""
    client.hold()
    reporter.log("first \udc80", "INFO", "serverapp")
    assert client.held.wait(LIMIT)
    for _ in range(600):
        reporter.log("x" * 100_000, "INFO", "serverapp")
    client.go_on()
    reporter.flush()
    assert client.logs[0].text == "first ?"
    assert {len(line.text) for line in client.logs[1:]} == {8_192}
    assert len(client.logs) == 601
    assert max(sum(len(line.text) for line in report.logs) for report in client.reports) <= 2_000_000


def test_progress_replaces_progress(client: FakeClient, reporter: Reporter) -> None:
    """Of progress that was not sent yet, only the newest is sent."""
    reporter.event("round-started", {"round": 2, "phase": "evaluate"})
    reporter.flush()
    client.hold()
    reporter.progress(1, 9, 0)
    assert client.held.wait(LIMIT)
    for done in range(2, 9):
        reporter.progress(done, 9, 1)
    client.go_on()
    reporter.log("last", "INFO", "serverapp")
    reporter.flush()
    told = [event.data for event in client.events if event.kind == "progress"]
    assert [data["done"] for data in told] == [1, 8]
    assert told[1] == {"round": 2, "phase": "evaluate", "done": 8, "total": 9, "failed": 1}


def test_a_checkpoint_replaces_one_that_waits(client: FakeClient, reporter: Reporter) -> None:
    """Only a checkpoint that was stored becomes durable."""
    durable: list[int] = []
    reached = threading.Event()

    def stored(number: int) -> Callable[[], None]:
        def is_durable() -> None:
            durable.append(number)
            reached.set()

        return is_durable

    client.hold()
    reporter.log("first", "INFO", "serverapp")
    assert client.held.wait(LIMIT)
    for number in (1, 2, 3):
        reporter.checkpoint(number, [b"%d" % number], stored(number))
    client.go_on()
    assert reached.wait(LIMIT)
    assert (durable, client.objects, client.artifacts) == ([3], [b"3"], ["checkpoint"])
    assert client.reports[-1].artifacts[0].round == 3


def test_checkpoints_take_a_small_share_of_the_time(client: FakeClient, reporter: Reporter, clock: Clock) -> None:
    """After a checkpoint that took ten seconds, the next one waits for two hundred."""
    stored = threading.Semaphore(0)

    def take_ten_seconds() -> None:
        clock.now += 10
        stored.release()

    client.on_object = take_ten_seconds
    reporter.checkpoint(1, [b"1"], lambda: None)
    assert stored.acquire(timeout=LIMIT)
    reporter.checkpoint(2, [b"2"], lambda: None)
    clock.now += 199
    reporter.log("wakes it", "INFO", "serverapp")
    reporter.flush()
    assert client.objects == [b"1"]
    clock.now += 2
    reporter.log("wakes it again", "INFO", "serverapp")
    reporter.flush()
    assert stored.acquire(timeout=LIMIT)
    reporter.flush()
    assert client.objects == [b"1", b"2"]


def test_flush_waits_for_artifacts(client: FakeClient, reporter: Reporter) -> None:
    """A run does not end before its model is stored and reported."""
    client.hold()
    reporter.artifact("model.safetensors", [b"mo", memoryview(b"del")], 7)
    assert client.held.wait(LIMIT)
    thread = threading.Thread(target=reporter.flush)
    thread.start()
    thread.join(0.05)
    assert thread.is_alive()
    client.go_on()
    thread.join(LIMIT)
    (artifact,) = client.reports[-1].artifacts
    assert (artifact.name, artifact.size, artifact.round) == ("model.safetensors", 5, 7)
    assert client.objects == [b"model"]


def test_artifacts_are_stored_in_order(client: FakeClient, reporter: Reporter) -> None:
    """The newest artifact with a name is the one shown."""
    client.hold()
    for number in range(4):
        reporter.artifact("best", [b"%d" % number], number)
    client.go_on()
    reporter.flush()
    assert client.objects == [b"0", b"1", b"2", b"3"]
    assert [artifact.round for report in client.reports for artifact in report.artifacts] == [0, 1, 2, 3]


def test_an_artifact_waits_for_disk_space(client: FakeClient, reporter: Reporter) -> None:
    """The run reports the beginning and the end of the wait; nothing is lost or sent twice."""
    client.object_tries_refused = 3
    reporter.log("before", "INFO", "serverapp")
    reporter.artifact("model.safetensors", [b"model"], 1)
    reporter.log("after", "INFO", "serverapp")
    reporter.flush()
    waits = [event.data for event in client.events if event.kind == "waiting"]
    assert waits[0]["for"] == "space on the SuperLink's disk"
    assert "model.safetensors cannot be stored" in str(waits[0]["what"])
    assert [data["for"] for data in waits[1:]] == [""]
    assert [line.text for line in client.logs] == ["before", "after"]
    assert (client.artifacts, client.objects) == (["model.safetensors"], [b"model"])


def test_reports_wait_for_database_space(client: FakeClient, reporter: Reporter) -> None:
    """The wait cannot be reported then; the reports arrive when there is space."""
    client.object_tries_refused, client.report_tries_refused = 2, 4
    reporter.log("line", "INFO", "serverapp")
    reporter.artifact("model.safetensors", [b"model"], 1)
    reporter.flush()
    assert [line.text for line in client.logs] == ["line"]
    assert client.artifacts == ["model.safetensors"]
    sequence = [report.seq for report in client.reports]
    assert sequence == sorted(set(sequence))


def test_log_lines_do_not_wait_for_an_artifact(client: FakeClient, reporter: Reporter) -> None:
    """A full disk delays artifacts only."""
    client.object_tries_refused = 1_000_000
    reporter.artifact("model.safetensors", [b"model"], 1)
    client.wait_until(lambda: client.events)
    reporter.log("still heard", "INFO", "serverapp")
    client.wait_until(lambda: client.logs)
    assert client.artifacts == []
    client.object_tries_refused = 0
    reporter.flush()
    assert client.artifacts == ["model.safetensors"]


def test_the_wait_for_disk_space_is_limited(client: FakeClient) -> None:
    """Flush and the next event raise the error, so that the run ends; earlier reports have arrived."""
    client.object_tries_refused = 1_000_000
    client.hold()
    reporter = Reporter(client, 1, RetryWhileDiskFull(seconds=0.0, retry=0.0))
    reporter.log("first", "INFO", "serverapp")
    assert client.held.wait(LIMIT)
    reporter.log("last", "INFO", "serverapp")
    reporter.artifact("model.safetensors", [b"model"], 1)
    client.go_on()
    with pytest.raises(StorageFull):
        reporter.flush()
    with pytest.raises(StorageFull):
        reporter.event("round-started", {"round": 1, "phase": "train"})
    for _ in range(5):
        reporter.log("no one hears it", "INFO", "serverapp")
    assert not reporter._items
    assert [line.text for line in client.logs] == ["first", "last"]
    reporter.close()
    assert not reporter._thread.is_alive()


def test_a_checkpoint_is_postponed_while_the_disk_is_full(client: FakeClient, reporter: Reporter, clock: Clock) -> None:
    """The run continues with a warning, and a checkpoint is stored when there is space."""
    durable = threading.Event()
    client.object_tries_refused = 1
    reporter.checkpoint(4, [b"4"], durable.set)
    client.wait_until(lambda: any("postponed" in line.text for line in client.logs))
    assert not durable.is_set()
    assert not any(event.kind == "waiting" for event in client.events)
    clock.now += 60
    reporter.log("wakes it", "INFO", "serverapp")
    reporter.flush()
    assert durable.wait(LIMIT)
    assert client.artifacts == ["checkpoint"]


def test_a_rejection_is_raised(client: FakeClient, reporter: Reporter) -> None:
    """A permanent rejection by the SuperLink is raised in every waiting caller."""
    client.refusal = ObjectInvalid("not ours")
    reporter.log("line", "INFO", "serverapp")
    with pytest.raises(ObjectInvalid, match="not ours"):
        reporter.flush()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_internal_error_ends_all_waits(client: FakeClient, reporter: Reporter) -> None:
    """Whatever ends the thread, flush raises."""
    client.refusal = ZeroDivisionError("a fault")
    reporter.log("line", "INFO", "serverapp")
    with pytest.raises(UmbelError, match="The run can no longer report its events"):
        reporter.flush()


def test_data_that_json_cannot_represent_is_rejected(client: FakeClient, reporter: Reporter) -> None:
    """The call of the app raises, and later reports arrive."""
    with pytest.raises(TypeError, match="numpy"):
        reporter.event("note", {"text": np.float32(1)})
    reporter.event("note", {"text": "fine"})
    reporter.flush()
    assert [event.data for event in client.events] == [{"text": "fine"}]


def test_callers_wait_while_the_queue_is_full(
    client: FakeClient, reporter: Reporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Queued items take a limited amount of memory."""
    monkeypatch.setattr(module, "_MOST_ITEMS", 3)
    monkeypatch.setattr(module, "_MOST_UPLOADS", 1)
    client.hold()
    reporter.log("first", "INFO", "serverapp")
    assert client.held.wait(LIMIT)
    said: list[int] = []

    def say() -> None:
        for number in range(10):
            reporter.log(str(number), "INFO", "serverapp")
            reporter.artifact(f"a{number}", [b"bytes"], number)
            said.append(number)

    thread = threading.Thread(target=say)
    thread.start()
    thread.join(0.05)
    assert len(said) <= 2
    client.go_on()
    thread.join(LIMIT)
    reporter.flush()
    assert [line.text for line in client.logs] == ["first", *map(str, range(10))]
    assert client.artifacts == [f"a{number}" for number in range(10)]


def test_close_ends_a_wait_for_disk_space(client: FakeClient) -> None:
    """A run that is stopped does not wait for a disk."""
    reporter = Reporter(client, 1, RetryWhileDiskFull(seconds=1e9, retry=1e6))
    client.object_tries_refused = 1_000_000
    tried = threading.Event()
    client.on_object = tried.set
    reporter.artifact("model.safetensors", [b"model"], 1)
    assert tried.wait(LIMIT)
    reporter.close()
    assert not reporter._thread.is_alive()


def test_traffic_goes_with_the_next_report(client: FakeClient, reporter: Reporter) -> None:
    """Each report has the totals so far."""
    reporter.traffic(10, 20, 1.5)
    reporter.log("line", "INFO", "serverapp")
    reporter.flush()
    report = client.reports[-1]
    assert (report.bytes_sent, report.bytes_recv, report.clientapp_seconds) == (10, 20, 1.5)
