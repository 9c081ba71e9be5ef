"""The log file: all that this process and its children write, a new file for each stretch of time."""

from __future__ import annotations

import os
import time
from pathlib import Path

_HOUR = 3600


class LogFile:
    """Sends stdout and stderr of this process to the file at `path`, once `open` is called.

    Stretches of `interval_hours` are counted from the epoch, in UTC: 24 hours end at midnight. The file of an earlier stretch
    is renamed to `path` with its beginning, e.g. `superlink.log.2026-11-26_00`; the newest `backup_count` of those are kept.
    """

    def __init__(self, path: Path, interval_hours: int = 24, backup_count: int = 7) -> None:
        self._path = path
        self._stretch = interval_hours * _HOUR
        self._backup_count = backup_count

    def open(self, now: float) -> None:
        """Begin to write. A file whose last line is of an earlier stretch is rotated first."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        try:
            written = self._path.stat().st_mtime
        except FileNotFoundError:
            written = now
        if self._begin(written) < self._begin(now):
            self._set_aside(self._begin(written))
        self._redirect()

    def rotate(self, now: float) -> None:
        """Rotate: continue in a new file."""
        self._set_aside(self._begin(now - 1))
        self._redirect()

    def next_rotation(self, now: float) -> float:
        """When the present stretch ends; times are seconds since the epoch."""
        return self._begin(now) + self._stretch

    def keep_rotating(self) -> None:
        """Rotate in time from now on: one timer of the event loop, for the end of the stretch."""
        import asyncio

        loop, due = asyncio.get_running_loop(), self.next_rotation(time.time())

        def ring() -> None:
            if time.time() < due:  # the clock was set back
                loop.call_later(due - time.time(), ring)
                return
            self.rotate(due)
            self.keep_rotating()

        loop.call_later(due - time.time(), ring)

    def _begin(self, at: float) -> int:
        return int(at // self._stretch) * self._stretch

    def _set_aside(self, begin: int) -> None:
        when = time.strftime("%Y-%m-%d_%H", time.gmtime(begin))
        self._path.replace(self._path.with_name(f"{self._path.name}.{when}"))
        pattern = f"{self._path.name}.????-??-??_??"
        for old in sorted(self._path.parent.glob(pattern))[: -self._backup_count]:
            old.unlink(missing_ok=True)

    def _redirect(self) -> None:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for stream in (1, 2):
            os.dup2(descriptor, stream)
        os.close(descriptor)
