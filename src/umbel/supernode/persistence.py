"""How long a SuperLink that does not answer is tried: pure accounting."""

from __future__ import annotations


class Persistence:
    """Counts failures in a row. `most` and `seconds` limit them; None and infinity do not."""

    def __init__(self, most: int | None, seconds: float) -> None:
        self._most = most
        self._seconds = seconds
        self._count = 0
        self._since = 0.0

    @property
    def count(self) -> int:
        """Failures since the last success."""
        return self._count

    def goes_on(self, now: float) -> bool:
        """Note a failure at `now`, in seconds of any clock; whether to try again."""
        if not self._count:
            self._since = now
        self._count += 1
        return (self._most is None or self._count <= self._most) and now - self._since < self._seconds

    def succeeded(self) -> None:
        """The SuperLink has answered."""
        self._count = 0
