"""Decisions while a message is served: repetition after a crash, error codes, and what is reported meanwhile."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.unit.supernode.fakes import (
    FakeEnvironments,
    FakeFleet,
    FakePool,
    FakeReporter,
    FakeRuns,
    FakeWorker,
    delivery,
)
from umbel.app.message import ErrorCode
from umbel.engine import frames
from umbel.errors import (
    AppInvalid,
    AppLoadError,
    BundleInvalid,
    EnvironmentFailed,
    NotFound,
    ObjectInvalid,
    StorageFull,
    UmbelError,
)
from umbel.supernode.cache import ContentCache
from umbel.supernode.jobs import Cancelled, Job, Session
from umbel.supernode.replies import Spool, Spooled
from umbel.supernode.resources import Budget, Slots
from umbel.supernode.serving import Serving
from umbel.supernode.workers import WorkerEnded

if TYPE_CHECKING:
    from umbel.supernode.workers import OnProgress


class FullSpool(Spool):
    """A spool on a full disk."""

    def keep(self, reply: Spooled) -> None:
        raise StorageFull("full")


def serving(folder: Path, *workers: FakeWorker, spool: type[Spool] = Spool) -> tuple[Serving, FakeReporter, Spool]:
    """Serving of one message at a time by these workers, with its reporter and spool."""
    (folder / "contents").mkdir()
    (folder / "spool").mkdir()
    reporter, place = FakeReporter(), spool(folder / "spool")
    cache, slots = ContentCache(folder / "contents", 1000), Slots(Budget(1, 1, ()))
    site = Session(node_id=5, number=2)
    pool = FakePool(*workers)
    return (
        Serving(FakeFleet(), FakeRuns(), FakeEnvironments(), cache, slots, pool, place, reporter, site),
        reporter,
        place,
    )


def replied(*replies: frames.PlainReply, seconds: float = 1.5) -> frames.Served:
    """The answer of a worker."""
    return frames.Served(1, list(replies), seconds=seconds)


def job() -> Job:
    """The job of the message "m"."""
    return Job("m", 7, delivery())


@pytest.mark.parametrize(
    ("plain", "expected"),
    [
        (frames.PlainReply(0, 5, packed=b"abc"), (b"abc", 0, None)),
        (frames.PlainReply(0, 5, size=9), (None, 9, None)),
        (frames.PlainReply(0, 5, error=(3, "no")), (None, 0, (3, "no"))),
    ],
)
def test_a_reply_is_small_large_or_an_error(
    tmp_path: Path, plain: frames.PlainReply, expected: tuple[bytes | None, int, tuple[int, str] | None]
) -> None:
    """The client's answer is in the spooled reply, together with its computation time."""
    worker = FakeWorker(replied(plain))
    site, reporter, spool = serving(tmp_path, worker)
    reply = site.serve(job(), delivery())
    error = (reply.error.code, reply.error.reason) if reply.error else None
    assert (reply.data, reply.size, error) == expected
    assert (reply.message_id, reply.run_id, reply.seconds) == ("m", 7, 1.5)
    assert worker.units[0].node_ids == [5]
    assert worker.units[0].reply_file == str(spool.content_path("m"))
    assert [stage for _, stage in reporter.stages] == ["installing", "training", "training", "training"]


def test_a_worker_that_crashes_once_is_replaced(tmp_path: Path) -> None:
    """The message is processed again by another worker, and the run's log has a warning."""
    crashing = FakeWorker(WorkerEnded("by SIGKILL", had_begun=True))
    site, reporter, _ = serving(tmp_path, crashing, FakeWorker(replied(frames.PlainReply(0, 5, packed=b"abc"))))
    assert site.serve(job(), delivery()).data == b"abc"
    ((run_id, text, level),) = reporter.lines
    assert (run_id, level) == (7, "WARNING")
    assert "ended by SIGKILL" in text


def test_a_message_that_crashes_two_workers_fails(tmp_path: Path) -> None:
    """The reply is an error with the node and the signal, which the run's log also has."""
    ended = WorkerEnded("by SIGSEGV", had_begun=True)
    site, reporter, spool = serving(tmp_path, FakeWorker(ended), FakeWorker(ended))
    reply = site.serve(job(), delivery())
    assert reply.error is not None
    assert reply.error.code == ErrorCode.CLIENT_APP_CRASHED
    assert "node 5 ended by SIGSEGV" in str(reply.error.reason)
    assert [level for _, _, level in reporter.lines] == ["WARNING", "ERROR"]
    assert [kept.message_id for kept in spool.replies()] == ["m"]


def test_workers_that_end_before_they_begin_are_a_failure_of_the_app(tmp_path: Path) -> None:
    """Three workers that end while loading make the app unloadable; fewer do not count as attempts."""
    idle = WorkerEnded("with exit code 3", had_begun=False)
    site, _, _ = serving(
        tmp_path, FakeWorker(idle), FakeWorker(idle), FakeWorker(replied(frames.PlainReply(0, 5, packed=b"x")))
    )
    assert site.serve(job(), delivery()).data == b"x"
    (tmp_path / "again").mkdir()
    site, _, _ = serving(tmp_path / "again", *[FakeWorker(idle) for _ in range(3)])
    with pytest.raises(AppLoadError, match="with exit code 3 while loading"):
        site.serve(job(), delivery())


class CancelledMeanwhile(FakeWorker):
    """Its message is cancelled while it serves, which kills it."""

    def __init__(self, job: Job) -> None:
        super().__init__(WorkerEnded("by SIGKILL", had_begun=True))
        self.job = job

    def serve(self, content: bytes | tuple[int, int], unit: frames.Unit, on_progress: OnProgress) -> frames.Served:
        self.job.cancel()
        return super().serve(content, unit, on_progress)


def test_a_cancelled_message_is_not_repeated(tmp_path: Path) -> None:
    """A worker that was killed because of a cancellation is not replaced, and there is no reply."""
    cancelled = job()
    worker = CancelledMeanwhile(cancelled)
    site, reporter, spool = serving(tmp_path, worker)
    with pytest.raises(Cancelled):
        site.serve(cancelled, delivery())
    assert worker.is_killed
    assert spool.replies() == []
    assert reporter.lines == []


def test_a_message_that_was_cancelled_before_is_not_begun(tmp_path: Path) -> None:
    """A cancelled message takes neither an environment nor a worker."""
    cancelled = job()
    cancelled.cancel()
    site, reporter, _ = serving(tmp_path)
    with pytest.raises(Cancelled):
        site.serve(cancelled, delivery())
    assert reporter.stages == []


def test_a_content_of_the_wrong_size_is_rejected(tmp_path: Path) -> None:
    """Inline bytes must have the declared size."""
    bad = delivery()
    bad.content.size = 2
    site, _, _ = serving(tmp_path)
    with pytest.raises(ObjectInvalid):
        site.serve(job(), bad)


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (EnvironmentFailed("no"), ErrorCode.LOAD_CLIENT_APP_EXCEPTION),
        (AppLoadError("no"), ErrorCode.LOAD_CLIENT_APP_EXCEPTION),
        (BundleInvalid("no"), ErrorCode.INVALID_FAB),
        (AppInvalid("no"), ErrorCode.INVALID_FAB),
        (NotFound("no"), ErrorCode.MESSAGE_UNAVAILABLE),
        (UmbelError("no"), ErrorCode.UNKNOWN),
        (ValueError("no"), ErrorCode.UNKNOWN),
    ],
)
def test_a_refusal_has_the_code_of_its_failure(tmp_path: Path, failure: Exception, code: ErrorCode) -> None:
    """The ServerApp sees what kind of failure it was, and its message."""
    site, _, spool = serving(tmp_path)
    reply = site.refuse(job(), failure)
    assert reply.error is not None
    assert reply.error.code == code
    assert "no" in str(reply.error.reason)
    assert spool.replies() == [reply]


def test_a_refusal_has_the_apps_traceback_or_at_least_a_type(tmp_path: Path) -> None:
    """The traceback of an app that cannot be loaded is the reason; an exception without text is named."""
    site, _, _ = serving(tmp_path)
    loading = site.refuse(job(), AppLoadError("no", traceback="Traceback: line 1"))
    assert loading.error is not None
    assert loading.error.reason == "Traceback: line 1"
    silent = site.refuse(job(), ValueError())
    assert silent.error is not None
    assert silent.error.reason == "ValueError"


def test_a_refusal_needs_no_disk_space(tmp_path: Path) -> None:
    """With a full disk the refusal is sent without being kept."""
    site, _, _ = serving(tmp_path, spool=FullSpool)
    assert site.refuse(job(), StorageFull("full")).error is not None
