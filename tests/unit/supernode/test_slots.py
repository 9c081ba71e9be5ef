"""Waiting for slots."""

from __future__ import annotations

from threading import Event, Thread

import pytest

from umbel.supernode.jobs import Cancelled
from umbel.supernode.resources import Budget, Need, Slots

ONE, BOTH = Need(1, 0), Need(2, 0)


class Client(Thread):
    """A thread that holds the resources it needs until `go` is set."""

    def __init__(self, slots: Slots, need: Need) -> None:
        super().__init__(daemon=True)
        self.slots, self.need = slots, need
        self.has, self.go, self.is_cancelled = Event(), Event(), Event()
        self.waits = Event()
        self.was_cancelled = False
        self.start()
        assert self.waits.wait(10)

    def run(self) -> None:
        try:
            with self.slots.acquire(self.need, self._look):
                self.has.set()
                self.go.wait(10)
        except Cancelled:
            self.was_cancelled = True

    def _look(self) -> bool:
        self.waits.set()
        return self.is_cancelled.is_set()


def test_first_come_first_served() -> None:
    """A message with a large need is not overtaken by later ones with smaller needs."""
    slots = Slots(Budget(9, 2, ()))
    first = Client(slots, ONE)
    assert first.has.wait(10)
    large, small = Client(slots, BOTH), Client(slots, ONE)
    assert not small.has.is_set()
    first.go.set()
    assert large.has.wait(10)
    large.go.set()
    assert small.has.wait(10)
    small.go.set()
    for client in (first, large, small):
        client.join(10)


def test_a_cancelled_message_stops_waiting() -> None:
    """A cancelled message leaves the queue, and those behind it proceed."""
    slots = Slots(Budget(9, 2, ()))
    first = Client(slots, ONE)
    assert first.has.wait(10)
    large, small = Client(slots, BOTH), Client(slots, ONE)
    large.is_cancelled.set()
    slots.wake()
    large.join(10)
    assert large.was_cancelled
    assert small.has.wait(10)
    for client in (first, small):
        client.go.set()
        client.join(10)


def test_a_failure_releases_its_slot() -> None:
    """An exception in the block releases the resources."""
    slots = Slots(Budget(1, 1, ()))
    with pytest.raises(KeyError), slots.acquire(ONE, lambda: False):
        raise KeyError
    with slots.acquire(ONE, lambda: False) as grant:
        assert grant.cpus == 1
