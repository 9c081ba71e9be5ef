"""The sentence that says what a run waits for."""

from __future__ import annotations

import pytest

from umbel.superlink.domain.task import Task
from umbel.superlink.domain.waiting import AppWait, Queue, waiting_for
from umbel.superlink.waiting.live_progress import Executors

ACTIVE = Task(state="active")


def clock(at: float) -> str:
    """A clock time that is easy to read in a test."""
    return f"12:{at:02.0f}"


@pytest.mark.parametrize(
    ("task", "queue", "sentence"),
    [
        (Task(), Queue(), "Waiting for a SuperExec to connect: none has asked for work yet."),
        (Task(), Queue(last_asked=3), "Waiting for a SuperExec to connect: none has asked for work since 12:03."),
        (Task(), Queue(slots=1), "Waiting for a SuperExec to claim it."),
        (Task(), Queue(running=(123,), slots=1), "Waiting in the queue: run 123 is running (1 of 1 slots)."),
        (
            Task(),
            Queue(running=(1, 2), slots=2, ahead=3),
            "Waiting in the queue: 2 runs are running (2 of 2 slots), 3 more ahead of it.",
        ),
        (Task(), Queue(slots=2, running=(1,), ahead=1), "Waiting in the queue: 1 ahead of it (1 of 2 slots)."),
        (
            Task(attempt=2, losses=1),
            Queue(slots=1),
            "Restarting (attempt 2 of 3). Waiting for a SuperExec to claim it.",
        ),
        (Task(state="claimed"), Queue(), "Waiting for its process to start: a SuperExec is launching it."),
    ],
)
def test_before_the_process_has_begun(task: Task, queue: Queue, sentence: str) -> None:
    """Until the process is there, the sentence comes from the queue and the SuperExecs."""
    assert waiting_for("pending", task, queue, None, clock) == sentence


@pytest.mark.parametrize(
    ("app", "sentence"),
    [
        (None, None),
        (AppWait(who=""), None),
        (AppWait(who="2 of 3 sites"), "Waiting for 2 of 3 sites."),
        (
            AppWait(who="site-7", what="round 3", since=5.0, until=9.0),
            "Waiting for site-7: round 3, since 12:05, until 12:09 at the latest.",
        ),
    ],
)
def test_while_the_app_runs(app: AppWait | None, sentence: str | None) -> None:
    """Then it is the app that says for whom it waits."""
    assert waiting_for("running", ACTIVE, Queue(), app, clock) == sentence


def test_a_finished_run_waits_for_nothing() -> None:
    """Whatever was said before, the end ends every wait."""
    assert waiting_for("finished", Task(state="finished"), Queue(), AppWait(who="a site"), clock) is None


def test_a_superexec_is_there_while_it_asks_and_a_little_longer() -> None:
    """Slots count for a SuperExec that asks, that asked a moment ago, or that holds a task; for each kind its own."""
    now = [100.0]
    executors = Executors(lambda: now[0])
    assert (executors.slots("simulation", set(), 100.0), executors.last_asked) == (0, None)
    with executors.asking("a", ["simulation"], 2), executors.asking("a", ["serverapp"], 8):
        assert executors.slots("simulation", set(), 1000.0) == 2
    now[0] = 120.0
    assert executors.slots("simulation", set(), 120.0) == 2
    assert executors.slots("serverapp", set(), 120.0) == 8
    assert executors.slots("simulation", set(), 200.0) == 0
    assert executors.slots("simulation", {"a"}, 200.0) == 2
    assert executors.slots("simulation", {"unknown"}, 200.0) == 1
    assert executors.last_asked == 100.0
