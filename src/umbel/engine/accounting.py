"""What a worker measures about itself."""

from __future__ import annotations

import os
import resource
import sys
import time
from functools import cache
from pathlib import Path

_SCHEDSTAT = Path("/proc/self/schedstat")  # Linux: time on a processor and time waiting for one, in ns


class Stopwatch:
    """Seconds since it was made, and how many of them the process could not have run: it waited for a disk, a network, a device."""

    def __init__(self) -> None:
        """Starts at once."""
        self._began = time.perf_counter()
        self._busy = _busy_seconds()

    def read(self) -> tuple[float, float]:
        """Seconds since the start, and thereof blocked."""
        seconds = time.perf_counter() - self._began
        return seconds, max(0.0, seconds - (_busy_seconds() - self._busy))


def _busy_seconds() -> float:
    processor = time.process_time()
    descriptor = _schedstat()
    if descriptor is None:
        return processor
    return processor + int(os.pread(descriptor, 100, 0).split()[1]) / 1e9


@cache
def _schedstat() -> int | None:
    """A descriptor of the file, opened once: it is read twice for each unit."""
    try:
        return os.open(_SCHEDSTAT, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None


def peak_bytes() -> int:
    """The largest resident size of this process so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
