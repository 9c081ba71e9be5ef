"""Decisions of an agent: polling, retries, cancellation, and the end of runs and of the agent itself."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

from tests.unit.supernode.fakes import (
    LIMIT,
    FakeEnvironments,
    FakeFleet,
    FakePool,
    FakeReporter,
    FakeRuns,
    FakeSender,
    FakeServing,
    delivery,
)
from umbel.errors import Conflict, RequestInvalid, SuperLinkUnreachable, Unauthenticated
from umbel.supernode.agent import FULL_WAIT, MOST_HELD, MOST_RUNS, WAIT, Agent
from umbel.supernode.cache import ContentCache
from umbel.supernode.components import Components
from umbel.supernode.jobs import Cancelled, Job, Session
from umbel.supernode.replies import Spool, Spooled
from umbel.supernode.resources import Budget, Slots
from umbel.supernode.settings import Settings
from umbel.wire.messages import Pulled


class Site:
    """An agent with fake collaborators. Its clients reply immediately, unless `work` is replaced."""

    def __init__(self, folder: Path, max_retries: int | None = None, run_ids: list[int] | None = None) -> None:
        self.client, self.runs, self.pool = FakeFleet(), FakeRuns(run_ids or []), FakePool()
        self.reporter, self.sender = FakeReporter(), FakeSender()
        self.serving = FakeServing(lambda job: Spooled(job.message_id, job.run_id, data=b"reply"))
        self.failed = Event()
        for name in ("spool", "contents"):
            (folder / name).mkdir()
        self.spool = Spool(folder / "spool")
        self.components = Components(
            session=Session(),
            reporter=self.reporter,
            runs=self.runs,
            environments=FakeEnvironments(),
            slots=Slots(Budget(1, 1, ())),
            pool=self.pool,
            cache=ContentCache(folder / "contents", 1000),
            spool=self.spool,
            serving=self.serving,
            sender=self.sender,
        )
        settings = Settings("http://127.0.0.1:1", folder, name="clinic", slots=1, max_retries=max_retries)
        self.agent = Agent(settings, self.client, self.components, self.failed.set)

    def end(self) -> None:
        self.agent.end()
        self.client.polls.put(Pulled())  # the poll in progress ends


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A site whose agent has not started."""
    site = Site(tmp_path)
    yield site
    site.end()


def test_a_message_is_served_and_its_reply_sent(site: Site) -> None:
    """A delivered message is held until its reply is accepted, and no longer."""
    site.agent.start()
    assert site.client.poll(1)[0].holding == []
    site.client.polls.put(Pulled(messages=[delivery("a"), delivery("a")]))
    assert site.sender.sent.get(timeout=LIMIT).message_id == "a"
    assert site.reporter.answers.get(timeout=LIMIT) == "a"
    assert site.sender.sent.empty()
    assert site.client.activated[0].name == "clinic"
    assert (site.components.session.node_id, site.components.session.number) == (5, 2)


def test_a_spooled_reply_is_sent_after_the_start(site: Site) -> None:
    """A reply that an earlier process left is sent, removed, and its message is held meanwhile."""
    site.spool.keep(Spooled("a", 7, data=b"x"))
    site.agent.start()
    assert site.client.poll(1)[0].session == 2
    assert site.sender.sent.get(timeout=LIMIT).message_id == "a"
    assert site.reporter.answers.get(timeout=LIMIT) == "a"
    assert site.spool.replies() == []


def test_the_poll_names_what_is_held_and_has_room_for_the_rest(tmp_path: Path) -> None:
    """Room is the limit minus the held messages; without room, the poll is short. The number of runs is limited."""
    site = Site(tmp_path, run_ids=[*range(100, 100 + MOST_RUNS + 50)])
    release = Event()

    def work(job: Job) -> Spooled:
        release.wait(LIMIT)
        raise Cancelled

    site.serving.work = work
    site.agent.start()
    pull, wait = site.client.poll(1)
    assert (pull.room, wait, len(pull.runs)) == (MOST_HELD, WAIT, MOST_RUNS)
    site.client.polls.put(Pulled(messages=[delivery("first")]))
    pull, wait = site.client.poll(2)
    assert (pull.room, pull.holding, wait) == (MOST_HELD - 1, ["first"], WAIT)
    assert 7 in pull.runs
    site.client.polls.put(Pulled(messages=[delivery(f"m{number}") for number in range(MOST_HELD)]))
    pull, wait = site.client.poll(3)
    assert (pull.room, len(pull.holding), wait) == (0, MOST_HELD + 1, FULL_WAIT)
    site.end()
    release.set()


def test_cancellation_reaches_the_message_that_is_served(site: Site) -> None:
    """A cancelled message is forgotten without a reply; a cancellation of an unknown message is ignored."""
    begun, cancelled = Event(), Event()

    def work(job: Job) -> Spooled:
        begun.set()
        assert cancelled.wait(LIMIT)
        job.check()
        pytest.fail("it was not cancelled")

    site.serving.work = work
    site.agent.start()
    site.client.polls.put(Pulled(messages=[delivery("a")]))
    assert begun.wait(LIMIT)
    site.client.polls.put(Pulled(cancelled=["a", "unknown"]))
    site.client.poll(3)
    cancelled.set()
    assert site.reporter.answers.get(timeout=LIMIT) == "a"
    assert site.sender.sent.empty()
    assert site.serving.refused == []


def test_the_end_of_a_run_cancels_its_messages_only(site: Site) -> None:
    """Messages of the run are cancelled and its resources released; those of another run are not."""
    jobs: dict[str, Job] = {}
    begun, ended = {"a": Event(), "b": Event()}, Event()

    def work(job: Job) -> Spooled:
        jobs[job.message_id] = job
        begun[job.message_id].set()
        assert ended.wait(LIMIT)
        job.check()
        return Spooled(job.message_id, job.run_id, data=b"reply")

    site.serving.work = work
    site.agent.start()
    site.client.polls.put(Pulled(messages=[delivery("a", 7), delivery("b", 8)]))
    assert begun["a"].wait(LIMIT)
    assert begun["b"].wait(LIMIT)
    site.client.polls.put(Pulled(over=[7]))
    site.client.poll(3)
    assert (jobs["a"].is_cancelled(), jobs["b"].is_cancelled()) == (True, False)
    assert (site.pool.ended, site.runs.ended) == ([7], [7])
    ended.set()
    assert site.sender.sent.get(timeout=LIMIT).message_id == "b"


@pytest.mark.parametrize("failure", [Conflict("no"), ValueError("a bug")])
def test_a_message_that_fails_gets_an_error_reply(
    site: Site, failure: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """Any failure is answered, because the round waits for the node; only an unexpected one is logged as a bug."""

    def work(job: Job) -> Spooled:
        raise failure

    site.serving.work = work
    site.agent.start()
    site.client.polls.put(Pulled(messages=[delivery("a")]))
    assert site.sender.sent.get(timeout=LIMIT).data == b"refused"
    assert site.serving.refused == [failure]
    assert ("a bug in Umbel" in caplog.text) == isinstance(failure, ValueError)


@pytest.mark.parametrize("failure", [Cancelled(), RequestInvalid("no")])
def test_a_reply_that_is_not_wanted_is_dropped(site: Site, failure: Exception) -> None:
    """A rejected reply, and one whose message was cancelled, leave the spool."""
    site.sender.failure = failure
    site.spool.keep(Spooled("a", 7, data=b"x"))
    site.agent.start()
    assert site.reporter.answers.get(timeout=LIMIT) == "a"
    assert site.spool.replies() == []


def test_a_reply_of_an_unauthenticated_node_stays(site: Site) -> None:
    """When the SuperLink does not accept the node's key, the reply is kept for the next start."""
    site.sender.failure = Unauthenticated("who?")
    site.spool.keep(Spooled("a", 7, data=b"x"))
    site.agent.start()
    assert site.sender.sent.get(timeout=LIMIT).message_id == "a"
    site.client.polls.put(Pulled())
    assert site.client.poll(2)[0].holding == ["a"]
    assert [reply.message_id for reply in site.spool.replies()] == ["a"]


def test_an_unreachable_superlink_is_retried(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """Failures of the server are retried; the first one and the recovery are logged once each."""
    caplog.set_level(logging.INFO)
    site.client.failures["activate"] = [SuperLinkUnreachable("down"), SuperLinkUnreachable("down")]
    site.agent.start()
    site.client.poll(1)
    assert caplog.text.count("Retrying: down") == 1
    assert caplog.text.count("The SuperLink is responding again.") == 1
    assert not site.failed.is_set()


def test_retries_end_with_the_budget(tmp_path: Path) -> None:
    """After `max_retries` failures the agent gives up, and says with which error; it does not end a session it never had."""
    site = Site(tmp_path, max_retries=1)
    site.client.failures["activate"] = [SuperLinkUnreachable("down"), SuperLinkUnreachable("still down")]
    site.agent.start()
    assert site.failed.wait(LIMIT)
    assert site.agent.failure is not None
    assert site.agent.failure.message == "still down"
    site.end()
    assert site.client.deactivated == []


def test_a_rejection_ends_the_agent_at_once(site: Site) -> None:
    """An error that a retry cannot resolve is not retried."""
    site.client.polls.put(Conflict("A newer session has begun."))
    site.agent.start()
    assert site.failed.wait(LIMIT)
    assert isinstance(site.agent.failure, Conflict)
    assert len(site.client.pulls) == 1


def test_the_end_deactivates_the_session(site: Site) -> None:
    """An orderly end reports that the node leaves, and is no failure."""
    site.agent.start()
    site.client.poll(1)
    site.end()
    assert site.client.deactivated == [2]
    assert site.agent.failure is None
