"""The sentence about the sites that a run waits for, and what it is made of."""

from __future__ import annotations

import pytest

from umbel.superlink.domain.task import Task
from umbel.superlink.domain.waiting import AppWait, Exchange, Progress, Queue, Site, clause, sentence, waiting_for
from umbel.superlink.waiting.live_progress import SiteWork
from umbel.wire.messages import MessageProgress


def clock(at: float) -> str:
    """A clock time that is easy to read in a test."""
    return f"12:00:{at:02.0f}"


def site(name: str = "", state: str = "online", **known: object) -> Site:
    """A site that has its message since 12:00:01."""
    default = {"node_id": 17, "has_message": True, "since": 1.0, "state_at": 5.0, "message_type": "train.default"}
    return Site(name=name, state=state, **default | known)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (site(), "has been training since 12:00:01"),
        (site(message_type="evaluate"), "has been evaluating since 12:00:01"),
        (site(message_type="query"), "has been answering since 12:00:01"),
        (site(message_type="system"), "has been at stage 'system' since 12:00:01"),
        (site(message_type=""), "has been working since 12:00:01"),
        (site(has_message=False), "has not fetched the message sent at 12:00:01"),
        (site(state="silent"), "has not been heard from since 12:00:05"),
        (site(state="offline", has_message=False), "has been offline since 12:00:05"),
        (site(progress=Progress("training", 2.0, 2, 5, "epochs")), "has been training (epoch 2 of 5) since 12:00:02"),
        (site(progress=Progress("training", 2.0, 7)), "has been training (7) since 12:00:02"),
        (site(progress=Progress("training", 2.0, 7, unit="steps")), "has been training (7 steps) since 12:00:02"),
        (site(progress=Progress("training", 2.0, 0.5, 1)), "has been training (0.5 of 1) since 12:00:02"),
        (site(progress=Progress("resting", 2.0)), "has been at stage 'resting' since 12:00:02"),
        (site(progress=Progress("uploading", 2.0, 12e7, 48e7, "bytes", 12e6)), "is uploading 120 of 480 MB at 12 MB/s"),
        (site(progress=Progress("downloading", 2.0, 0, 2.5e9, "bytes")), "is downloading 0 of 2.5 GB"),
        (site(progress=Progress("uploading", 2.0, 5, 10, "bytes", 1.5)), "is uploading 5 of 10 bytes at 1.5 bytes/s"),
    ],
)
def test_what_a_site_does(given: Site, words: str) -> None:
    """Silent or not there yet, at work and since when, and how much of how much where that is known."""
    assert clause(given, clock) == words


def test_a_round_and_its_sites() -> None:
    """The sentence counts, names the round and when it continues; those in trouble come first."""
    missing = (site("a", progress=Progress("training", 1.0, 2, 5, "epochs")), site("", state="silent"))
    found = Exchange(3, missing, group="3", message_type="train.default", until=30.0)
    assert sentence(found, clock) == (
        "Waiting for 2 of 3 sites in round 3 (train): node 17 has not been heard from since 12:00:05; "
        "a has been training (epoch 2 of 5) since 12:00:01; until 12:00:30 at the latest."
    )


def test_many_sites_are_counted() -> None:
    """Five are named, the rest is a number; without a round in the group there is none in the sentence."""
    found = Exchange(20, tuple(site(f"s{number}", since=float(number)) for number in range(9)), group="warm up")
    told = sentence(found, clock)
    assert told.startswith("Waiting for 9 of 20 sites: s0 has been training since 12:00:00; s1")
    assert told.endswith("s4 has been training since 12:00:04; and 4 more.")


def test_the_app_knows_better() -> None:
    """What the app says comes first; without it the sites do; an exchange that is answered says nothing."""
    task, found = Task(state="active"), Exchange(1, (site("a"),))
    wait = AppWait(who="space on the disk")
    assert waiting_for("running", task, Queue(), wait, clock, exchange=found) == "Waiting for space on the disk."
    assert waiting_for("running", task, Queue(), None, clock, exchange=found) == (
        "Waiting for 1 of 1 sites: a has been training since 12:00:01."
    )
    assert waiting_for("running", task, Queue(), None, clock, exchange=Exchange(1, ())) is None


def progress(message: str, stage: str = "uploading", done: float = 0.0) -> MessageProgress:
    """What a node says."""
    return MessageProgress(message_id=message, stage=stage, done=done, total=100.0, unit="bytes")


def test_progress_has_a_rate() -> None:
    """The rate is that since the stage began; a new stage begins again."""
    work = SiteWork()
    work.take(1, [progress("m", "downloading", 5.0)], 10.0)
    work.take(1, [progress("m", done=0.0)], 20.0)
    work.take(1, [progress("m", done=50.0)], 25.0)
    assert work.of(1, "m") == Progress("uploading", 20.0, 50.0, 100.0, "bytes", 10.0)
    assert work.of(2, "m") is None
    work.end(1, "m")
    assert work.of(1, "m") is None


def test_what_is_kept_is_bounded() -> None:
    """A node that tells of ever more messages, with long words, does not fill the memory."""
    work = SiteWork()
    work.take(1, [progress(str(number), "x" * 1000) for number in range(1000)], 1.0)
    assert work.of(1, "0") is None
    kept = work.of(1, "999")
    assert kept is not None
    assert len(kept.stage) == 40
    work.leave(1)
    assert work.of(1, "999") is None
