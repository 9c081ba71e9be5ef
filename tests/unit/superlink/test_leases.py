"""Leases, with a clock that the test moves."""

from __future__ import annotations

from umbel.superlink.waiting.leases import Leases


def test_a_silent_task_loses_its_lease_once() -> None:
    """After the time without a sign of life the lease is over, and it is reported once."""
    leases = Leases(30.0)
    leases.beat(1, 0.0)
    leases.beat(2, 10.0)
    assert leases.next_expiry() == 30.0
    assert leases.expired(29.9) == []
    assert leases.expired(30.0) == [1]
    assert leases.expired(31.0) == []
    assert leases.next_expiry() == 40.0


def test_a_sign_of_life_begins_the_lease_anew() -> None:
    """Each heartbeat moves the end of the lease."""
    leases = Leases(30.0)
    leases.beat(1, 0.0)
    leases.beat(1, 25.0)
    assert leases.expired(54.9) == []
    assert leases.expired(55.0) == [1]


def test_a_heartbeat_that_waits_holds_the_lease() -> None:
    """While one request waits the lease cannot end; it begins again when the last one has ended."""
    leases = Leases(30.0)
    leases.beat(1, 0.0)
    leases.park(1)
    leases.park(1)
    leases.unpark(1, 20.0)
    assert leases.expired(1000.0) == []
    assert leases.next_expiry() is None
    leases.unpark(1, 1000.0)
    assert leases.next_expiry() == 1030.0


def test_an_ended_lease_stays_ended() -> None:
    """The heartbeat of a task that has finished does not bring its lease back when it ends."""
    leases = Leases(30.0)
    leases.beat(1, 0.0)
    leases.park(1)
    leases.end(1)
    leases.unpark(1, 5.0)
    assert leases.next_expiry() is None
    leases.end(1)
