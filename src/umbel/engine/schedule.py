"""Which clients a worker serves next: pure arithmetic over dispatch indices."""

from __future__ import annotations

from collections.abc import Iterable

from umbel.serverapp.tree import subtree

# A unit should last this long: long enough to make handing it out cheap, short enough to spread work evenly.
UNIT_SECONDS = 0.02
# And not shorter than this, if clients are that quick: a unit costs a fraction of a millisecond, however small it is.
_LEAST_SECONDS = 0.0016
_UNITS_LEFT_EACH = 3  # units that should remain for each worker, so that all end at about the same time


class Work:
    """The dispatch indices that nobody serves yet, handed out as subtrees of the summation tree."""

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
