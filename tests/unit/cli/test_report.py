"""The last words about a run, and how numbers are written."""

from __future__ import annotations

import io

import pytest

from tests.support.fake_control import make_run
from umbel.cli.report import (
    ago,
    app_frames,
    cause_lines,
    clock,
    duration,
    elapsed,
    metric_lines,
    number,
    print_completed,
    status_text,
    stopped_line,
    timestamp,
)
from umbel.wire.api import Cause

TRACEBACK = """\
Traceback (most recent call last):
  File "/usr/lib/python3.11/site-packages/umbel/engine/worker.py", line 10, in serve
    reply = app(message, context)
            ^^^^^^^^^^^^^^^^^^^^^
  File "/usr/lib/python3.11/contextlib.py", line 3, in inner
    return f()
  File "/home/me/apps/tiny/client_app.py", line 3, in train
    fit(data)
  File "/usr/lib/python3.11/site-packages/sklearn/base.py", line 9, in fit
    check(x)
ValueError: bad batch
"""


def test_a_traceback_keeps_the_apps_frames_and_its_libraries() -> None:
    """Umbel's and the standard library's frames are noise to the author."""
    assert app_frames(TRACEBACK) == (
        "Traceback (most recent call last):\n"
        '  File "/home/me/apps/tiny/client_app.py", line 3, in train\n'
        "    fit(data)\n"
        '  File "/usr/lib/python3.11/site-packages/sklearn/base.py", line 9, in fit\n'
        "    check(x)\n"
        "ValueError: bad batch"
    )


def test_a_traceback_without_app_frames_stays_whole() -> None:
    """A fault of Umbel itself is shown as it is."""
    ours = "\n".join(TRACEBACK.splitlines()[:4]) + "\nValueError: x"
    assert app_frames(ours) == ours


def test_a_failure_without_a_cause_points_to_the_log() -> None:
    """There is always something to do next."""
    lines = cause_lines(make_run(5, status="finished", sub_status="failed"), io.StringIO())
    assert lines == ["Run 5 failed after 0 ms.", "  See the log:  umbel log 5 --show"]


def test_a_cause_without_a_traceback_names_the_exception() -> None:
    """Code, place, class and advice are there without a stack."""
    cause = Cause(code="app-error", message="It broke.", component="serverapp", exception="KeyError", hint="Fix it.")
    text = "\n".join(cause_lines(make_run(5, cause=cause), io.StringIO()))
    assert text.splitlines()[1:] == [
        "  what   It broke. (app-error)",
        "  where  serverapp",
        "  error  KeyError",
        "",
        "  What to do  Fix it.",
    ]


def test_a_cause_cannot_steer_the_terminal() -> None:
    """Its texts come from other machines."""
    cause = Cause(code="app-error", message="a\x1b]0;evil\x07b", traceback="x\x1b[2J", log_tail=["\x1b[1mlog"])
    assert "\x1b" not in "".join(cause_lines(make_run(5, cause=cause), io.StringIO()))


def test_a_completed_run_says_how_long_and_what_next() -> None:
    """Duration, rounds, metrics, the command for the results."""
    stream = io.StringIO()
    run = make_run(5, round=1, running_at=10.0, finished_at=14.25)
    print_completed(run, {"train": {"loss": 0.5}}, stream)
    assert stream.getvalue() == (
        "Run 5 completed in 4.2 s, 1 round.\n  train loss  0.5\nGet the model and the metrics:  umbel pull 5\n"
    )


def test_metrics_are_aligned() -> None:
    """Values stand below each other."""
    lines = metric_lines({"train": {"loss": 0.51234}, "evaluate": {"accuracy": 1}})
    assert lines == ["  train loss         0.5123", "  evaluate accuracy  1"]


@pytest.mark.parametrize(
    ("done", "total", "text"), [(0, 3, "has been stopped."), (2, 3, "after round 2 of 3."), (2, 0, "after round 2.")]
)
def test_a_stopped_run_says_how_far_it_came(done: int, total: int, text: str) -> None:
    """The last finished round, of how many if that is known."""
    assert stopped_line(make_run(5, round=done, num_rounds=total)).endswith(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 ms"),
        (0.0349, "35 ms"),
        (9.94, "9.9 s"),
        (42.4, "42 s"),
        (185, "3 min 05 s"),
        (7800, "2 h 10 min"),
        (59.7, "1 min 00 s"),
    ],
)
def test_durations_are_short(seconds: float, text: str) -> None:
    """No more digits than a person needs."""
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "now"), (59, "59 s ago"), (60, "1 min ago"), (7199, "1 h ago"), (200000, "2 d ago")]
)
def test_ages_have_one_unit(seconds: float, text: str) -> None:
    """A column of them is read at a glance."""
    assert ago(1000.0, now=1000.0 + seconds) == text


@pytest.mark.parametrize(("seconds", "text"), [(5, "00:00:05"), (3661, "01:01:01"), (90061, "1d 01:01:01")])
def test_a_clock_counts_days(seconds: float, text: str) -> None:
    """Long runs do not overflow the hours."""
    assert clock(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.123456, "0.1235"), (12, "12"), (1e-7, "1e-07"), (True, "True"), (None, "nan"), ("x", "x")]
)
def test_numbers_have_four_digits(value: object, text: str) -> None:
    """Whole numbers and texts stay as they are; a value that was not finite is nan."""
    assert number(value) == text


def test_a_run_that_has_not_run_has_no_elapsed_time() -> None:
    """Waiting in the queue does not count."""
    assert elapsed(make_run(1, status="pending")) == 0.0
    assert elapsed(make_run(1, running_at=5.0), now=8.0) == 3.0


def test_status_and_times_are_written_as_others_do() -> None:
    """`finished:completed`, and ISO 8601 in UTC."""
    assert status_text(make_run(1, status="finished", sub_status="completed")) == "finished:completed"
    assert status_text(make_run(1)) == "running"
    assert (timestamp(0.5), timestamp(None)) == ("1970-01-01T00:00:00Z", None)
