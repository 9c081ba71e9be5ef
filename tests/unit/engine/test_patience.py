"""Waiting for room on a full disk."""

from __future__ import annotations

import itertools
import threading

import pytest

from umbel.engine.client_state import RetryWhileDiskFull
from umbel.errors import Conflict, StorageFull


def refusing(times: int) -> tuple[list[int], object]:
    """A call that is refused that many times; and the list of its calls."""
    calls: list[int] = []

    def call() -> str:
        calls.append(len(calls))
        if len(calls) <= times:
            raise StorageFull
        return "stored"

    return calls, call


def test_what_was_refused_is_repeated_until_there_is_room() -> None:
    """The wait is told once."""
    calls, call = refusing(3)
    told: list[str] = []
    assert RetryWhileDiskFull(retry=0.0)(call, lambda: told.append("waits")) == "stored"  # type: ignore[arg-type]
    assert (len(calls), told) == (4, ["waits"])


def test_what_is_not_refused_waits_for_nothing() -> None:
    """No wait is reported."""
    assert RetryWhileDiskFull()(lambda: 5, lambda: pytest.fail("it did not wait")) == 5


def test_patience_has_an_end() -> None:
    """After its time on the clock the error is raised."""
    calls, call = refusing(100)
    ticks = itertools.count(0, 10)
    with pytest.raises(StorageFull):
        RetryWhileDiskFull(seconds=30, retry=0.0, clock=lambda: float(next(ticks)))(call)  # type: ignore[arg-type]
    assert len(calls) == 3


def test_another_error_is_not_waited_for() -> None:
    """Only room can come by itself."""

    def call() -> None:
        raise Conflict

    with pytest.raises(Conflict):
        RetryWhileDiskFull()(call)


def test_a_wait_can_be_ended() -> None:
    """By another thread, at once, however long it would have been."""
    patience, waits = RetryWhileDiskFull(seconds=1e9, retry=1e6), threading.Event()
    raised: list[StorageFull] = []

    def wait() -> None:
        try:
            patience(refusing(100)[1], waits.set)  # type: ignore[arg-type]
        except StorageFull as error:
            raised.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    assert waits.wait(10)
    patience.end()
    thread.join(10)
    assert len(raised) == 1
