"""Progress folded from events, and its lines."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.fake_control import make_run
from umbel.cli.display import bar_line, event_line, log_text, waiting_line
from umbel.cli.progress import RunProgress
from umbel.wire.api import Event, LogLine, SiteWait


def after(*events: tuple[str, dict[str, Any]]) -> RunProgress:
    """The progress after events that came a second apart."""
    progress = RunProgress()
    for second, (kind, data) in enumerate(events, start=1):
        progress.apply(Event(kind=kind, data=data, at=float(second)))
    return progress


STARTED = ("round-started", {"round": 1, "num_rounds": 4, "phase": "train", "clients": 10})
FINISHED = ("round-finished", {"round": 1, "num_rounds": 4, "seconds": 6.0, "train": {"loss": 0.5}, "clients": 10})


def test_a_started_round_has_its_clients_before_it() -> None:
    """Round, phase and total are known, none is done."""
    progress = after(STARTED)
    assert (progress.round, progress.num_rounds, progress.phase) == (1, 4, "train")
    assert (progress.done, progress.total, progress.in_round) == (0, 10, True)


def test_progress_counts_clients() -> None:
    """Done and failed are what the latest event said."""
    progress = after(STARTED, ("progress", {"round": 1, "phase": "evaluate", "done": 3, "total": 8, "failed": 1}))
    assert (progress.phase, progress.done, progress.total, progress.failed) == ("evaluate", 3, 8, 1)


def test_a_second_phase_does_not_restart_the_rounds_clock() -> None:
    """Elapsed time counts from the round's first phase."""
    evaluate = ("round-started", {"round": 1, "num_rounds": 4, "phase": "evaluate", "clients": 10})
    assert after(STARTED, evaluate).elapsed(now=11.0) == 10.0


def test_the_eta_is_the_mean_of_the_rounds_so_far() -> None:
    """3 rounds of 6 s are left; within a round the time already spent is taken off, but no more than a round."""
    assert after(STARTED).eta(now=5.0) is None
    assert after(STARTED, FINISHED).eta(now=5.0) == 18.0
    second = ("round-started", {"round": 2, "num_rounds": 4, "phase": "train", "clients": 10})
    assert after(STARTED, FINISHED, second).eta(now=5.0) == 16.0
    assert after(STARTED, FINISHED, second).eta(now=500.0) == 12.0


def test_an_unknown_number_of_rounds_has_no_eta() -> None:
    """Nothing is promised that is not known."""
    assert after(("round-finished", {"round": 1, "seconds": 2.0})).eta(now=9.0) is None


def test_waiting_begins_and_ends() -> None:
    """A waiting event sets the reason, an empty one takes it away."""
    waiting = ("waiting", {"for": "3 of 5 clients", "what": "train replies", "since": 2.0})
    progress = after(STARTED, waiting)
    assert waiting_line(progress, now=14.0) == "waiting for 3 of 5 clients: train replies (since 12 s)"
    assert after(STARTED, waiting, ("waiting", {"for": ""})).waiting is None


def test_the_sites_that_a_round_waits_for_come_and_go() -> None:
    """A sentence about sites stands until it is replaced, taken back, or its round ends."""
    told = ("sites", {"text": "Waiting for 1 of 2 sites: a has been training since T."})
    assert after(STARTED, told).sites == "Waiting for 1 of 2 sites: a has been training since T."
    assert after(STARTED, told, ("sites", {"text": ""})).sites == ""
    assert after(STARTED, told, ("round-finished", {"round": 1})).sites == ""
    run = make_run(1, waiting_for="Waiting for a.", sites=[SiteWait(node_id=1)])
    assert (RunProgress.of(run).sites, RunProgress.of(run).waiting) == ("Waiting for a.", None)


def test_a_run_that_runs_no_longer_waits_to_start() -> None:
    """The view's waiting reason ends with the status event."""
    progress = RunProgress.of(make_run(1, status="pending", waiting_for="an executor"))
    assert progress.waiting == "an executor"
    progress.apply(Event(kind="status", data={"status": "running"}))
    assert progress.waiting is None


def test_metrics_are_the_latest_of_each_key() -> None:
    """A metric that is not in every round keeps its last value."""
    later = ("round-finished", {"round": 2, "train": {"loss": 0.4}})
    first = ("round-finished", {"round": 1, "train": {"loss": 0.5}, "evaluate": {"accuracy": 0.8}})
    assert after(first, later).metrics == {"train": {"loss": 0.4}, "evaluate": {"accuracy": 0.8}}


@pytest.mark.parametrize(
    "kind", ["round-started", "progress", "round-finished", "waiting", "task", "status", "new-kind"]
)
def test_an_event_without_data_does_no_harm(kind: str) -> None:
    """A newer SuperLink may say more, or say it otherwise."""
    progress = after((kind, {}))
    event_line(Event(kind=kind), progress)
    assert bar_line(progress, now=2.0).plain


def test_the_bar_says_where_the_round_is() -> None:
    """Round, phase, bar, clients, time, failures and ETA in one line."""
    second = ("round-started", {"round": 2, "num_rounds": 4, "phase": "train", "clients": 10})
    half = ("progress", {"round": 2, "phase": "train", "done": 5, "total": 10, "failed": 2})
    line = bar_line(after(STARTED, FINISHED, second, half), now=6.0).plain
    assert line == f"round 2/4  train  {'━' * 30}  5/10  3.0 s  2 failed  ETA 15 s"


def test_outside_rounds_the_bar_is_the_status() -> None:
    """Before the first round there is nothing to count."""
    assert bar_line(RunProgress(status="starting"), now=0.0).plain == "starting"


def test_a_finished_round_is_one_line() -> None:
    """Number, clients, failures, seconds and metrics."""
    finished = (
        "round-finished",
        {"round": 3, "num_rounds": 9, "seconds": 1.23, "clients": 1, "failed": 2, "train": {"loss": 0.123456}},
    )
    line = event_line(Event(kind="round-finished", data=finished[1]), after(finished))
    assert line == "round 3/9  1 client  2 failed  1.2 s  train loss 0.1235"


@pytest.mark.parametrize(
    ("kind", "data", "line"),
    [
        (
            "task",
            {"state": "created", "attempt": 2, "reason": "killed"},
            "restarting the app process (attempt 2): killed",
        ),
        ("task", {"state": "created", "attempt": 1, "reason": ""}, None),
        ("progress", {"round": 1}, None),
    ],
)
def test_events_worth_a_line_have_one(kind: str, data: dict[str, Any], line: str | None) -> None:
    """What a person must know scrolls by; what only moves the bar does not."""
    text = event_line(Event(kind=kind, data=data), RunProgress())
    assert text is None if line is None else line in str(text)


def test_an_event_cannot_steer_the_terminal() -> None:
    """Escape sequences from another machine are taken out."""
    data = {"state": "created", "attempt": 2, "reason": "a\x1b[2Jb\x07"}
    assert str(event_line(Event(kind="task", data=data), RunProgress())).endswith(": ab")


def test_a_log_line_of_several_lines_has_its_origin_on_each() -> None:
    """Time, level, source, node and round stand before every line of a traceback."""
    text = log_text(LogLine(text="one\ntwo\n", level="ERROR", source="clientapp", node_id=3, round=2))
    assert text == "--:--:-- ERROR   clientapp node 3 r2 | one\n--:--:-- ERROR   clientapp node 3 r2 | two"
