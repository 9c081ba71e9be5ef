"""Scheduling of work units: throughput estimates and division of an exchange."""

from __future__ import annotations

from collections.abc import Iterable

from umbel.engine import frames
from umbel.engine.resources import Plan
from umbel.serverapp.aggregation.weighted_sum import subtree

# A unit should last this long: long enough to make handing it out cheap, short enough to spread work evenly.
UNIT_SECONDS = 0.02
# And not shorter than this, if clients are that quick: a unit costs a fraction of a millisecond, however small it is.
_LEAST_SECONDS = 0.0016
_UNITS_LEFT_EACH = 3  # units that should remain for each worker, so that all end at about the same time


class Work:
    """The undispatched indices of an exchange, dispatched as subtrees of the summation tree."""

    def __init__(self, ranges: Iterable[tuple[int, int]], largest_level: int) -> None:
        """Indices start … stop - 1 of each range, in units of at most 2^largest_level."""
        self._ranges = sorted(ranges, reverse=True)
        self._largest = largest_level

    @property
    def remaining(self) -> int:
        """How many indices are left."""
        return sum(stop - start for start, stop in self._ranges)

    def take(self, size: int) -> tuple[int, int]:
        """The next unit of at most `size` indices, start … stop - 1. Something must be left."""
        start, stop = self._ranges.pop()
        largest = min(self._largest, max(1, size).bit_length() - 1)
        count = 1 << subtree(start, stop - start, largest)
        if start + count < stop:
            self._ranges.append((start + count, stop))
        return start, start + count

    def give_back(self, start: int, stop: int) -> None:
        """Indices start … stop - 1 are to be served after all."""
        if start < stop:
            self._ranges.append((start, stop))
            self._ranges.sort(reverse=True)


def unit_size(remaining: int, workers: int, seconds_each: float | None) -> int:
    """How many clients the next unit should have; one while nothing is known of how long a client takes."""
    if not seconds_each:
        return 1
    even = remaining / (workers * _UNITS_LEFT_EACH)
    return int(min(UNIT_SECONDS / seconds_each, max(even, _LEAST_SECONDS / seconds_each)))


_MEMORY = 0.7  # weight of what was known before against one new measurement
_TRUSTED_AFTER = 0.5  # seconds of serving; before that, waiting may have been for the app's first reads
_OVERDUE_AFTER = 0.2  # seconds
_OVERDUE_FACTOR = 5.0  # times what was expected
_DEEP_BELOW = 2.5 * UNIT_SECONDS  # seconds; shorter units are queued at a worker, so that it never waits for the next


class ThroughputEstimator:
    """Seconds that a client takes, by type of message; how much of it is spent waiting; memory that a worker needs."""

    def __init__(self) -> None:
        """Knows nothing yet."""
        self._seconds: dict[str, float] = {}
        self._served_seconds = 0.0
        self._blocked_seconds = 0.0
        self._peak_bytes = 0

    def measured(self, message_type: str, served: frames.Served) -> None:
        """A unit was served."""
        each = served.seconds / len(served.replies)
        self._seconds[message_type] = _MEMORY * self._seconds.get(message_type, each) + (1 - _MEMORY) * each
        self._served_seconds += served.seconds
        self._blocked_seconds += served.blocked_seconds
        self._peak_bytes = max(self._peak_bytes, served.peak_bytes)

    def unit_size(self, message_type: str, remaining: int, workers: int) -> int:
        """How many clients the next unit should have."""
        return unit_size(remaining, workers, self._seconds.get(message_type))

    def depth(self, message_type: str) -> int:
        """How many units a worker should have at a time."""
        return 2 if self._seconds.get(message_type, _DEEP_BELOW) < _DEEP_BELOW else 1

    def overdue_after(self, message_type: str, clients: int) -> float:
        """Seconds after which a unit with this number of clients is overdue: one of its clients is slow or hangs."""
        return max(_OVERDUE_AFTER, _OVERDUE_FACTOR * clients * self._seconds.get(message_type, 0.0))

    def desired(self, plan: Plan) -> int:
        """How many workers there should be."""
        trusted = self._served_seconds >= _TRUSTED_AFTER
        blocked_share = self._blocked_seconds / self._served_seconds if trusted else 0.0
        return min(plan.desired(blocked_share), self.most_by_memory(plan))

    def most_by_memory(self, plan: Plan) -> int:
        """How many workers fit into the memory there is; at least one."""
        return plan.fit_in_memory(self._peak_bytes)
