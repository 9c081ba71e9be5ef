"""Jobs of a node: cancellation, and the messages that it holds."""

from __future__ import annotations

import pytest

from tests.unit.supernode.fakes import FakeWorker, delivery
from umbel.engine import frames
from umbel.supernode.jobs import Cancelled, HeldJobs, Job
from umbel.supernode.replies import Spooled


def test_a_message_is_held_once_until_it_is_forgotten() -> None:
    """A message that the SuperLink delivers again is not served twice; a forgotten one may come again."""
    held = HeldJobs()
    job = held.accept(delivery("a"))
    assert job is not None
    assert held.accept(delivery("a")) is None
    assert held.get("a") is job
    held.forget(job)
    held.forget(job)
    assert held.get("a") is None
    assert held.accept(delivery("a")) is not None


def test_a_spooled_reply_holds_its_message() -> None:
    """A reply of an earlier process counts as held, so that the SuperLink does not deliver its message again."""
    held = HeldJobs()
    held.resume(Spooled("a", 7))
    held.accept(delivery("b", 8))
    assert [(job.message_id, job.run_id, job.stage) for job in held.all()] == [
        ("a", 7, "serving"),
        ("b", 8, "training"),
    ]
    assert held.accept(delivery("a")) is None


def test_cancellation_kills_the_worker_that_serves() -> None:
    """Only a worker that is serving the message at that time is killed."""
    job, first, second = Job("a", 7), FakeWorker(frames.Served(1, [])), FakeWorker(frames.Served(1, []))
    with job.served_by(first):
        job.check()
    with job.served_by(second):
        job.cancel()
    assert (first.is_killed, second.is_killed, job.is_cancelled()) == (False, True, True)
    with pytest.raises(Cancelled):
        job.check()


def test_a_cancelled_message_gets_no_worker() -> None:
    """A message that was cancelled while it waited does not begin."""
    job, worker = Job("a", 7), FakeWorker(frames.Served(1, []))
    job.cancel()
    with pytest.raises(Cancelled), job.served_by(worker):
        pytest.fail("it began")
    assert not worker.is_killed
