"""Leases of tasks: until when the next sign of life of a task's process must come."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

LEASE_SECONDS = 30.0  # of silence


class Leases:
    """The deadlines, by task id. Times are seconds of one monotonic clock, given by the caller.

    A parked heartbeat request keeps its lease alive as long as it is connected.
    """

    def __init__(self, seconds: float = LEASE_SECONDS) -> None:
        self.seconds = seconds
        self._deadlines: dict[int, float] = {}
        self._parked: dict[int, int] = {}

    def beat(self, task_id: int, now: float) -> None:
        """Renew the task's lease."""
        self._deadlines[task_id] = now + self.seconds

    def known(self) -> set[int]:
        """The tasks that have a lease."""
        return set(self._deadlines)

    def park(self, task_id: int) -> None:
        """A heartbeat request waits: the lease does not run out."""
        self._parked[task_id] = self._parked.get(task_id, 0) + 1

    def unpark(self, task_id: int, now: float) -> None:
        """A heartbeat request has ended: renew the lease, if there is one."""
        self._parked[task_id] -= 1
        if not self._parked[task_id]:
            del self._parked[task_id]
        if task_id in self._deadlines:
            self.beat(task_id, now)

    def end(self, task_id: int) -> None:
        """End the lease of the task."""
        self._deadlines.pop(task_id, None)

    def expired(self, now: float) -> list[int]:
        """The tasks that have been silent for too long; their leases end."""
        over = [task_id for task_id, at in self._deadlines.items() if at <= now and task_id not in self._parked]
        for task_id in over:
            del self._deadlines[task_id]
        return over

    def next_expiry(self) -> float | None:
        """When `expired` is worth a look: the earliest deadline of a task without a parked heartbeat."""
        return min((at for task_id, at in self._deadlines.items() if task_id not in self._parked), default=None)


class LeaseTimer:
    """Calls `on_expired` with the tasks whose leases ran out. One timer, armed for the next expiry."""

    def __init__(self, leases: Leases, on_expired: Callable[[list[int]], None]) -> None:
        self._leases = leases
        self._on_expired = on_expired
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    def arm(self) -> None:
        """To be called after a change of the leases; cheap when a timer is armed, as deadlines only move back."""
        if self._timer is None and (at := self._leases.next_expiry()) is not None:
            self._timer = self._loop.call_at(at, self._ring)

    def cancel(self) -> None:
        """End the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ring(self) -> None:
        self._timer = None
        if over := self._leases.expired(self._loop.time()):
            self._on_expired(over)
        self.arm()
