"""Waiting for room on a full disk: of the SuperLink, or of the clients' states."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from umbel.errors import StorageFull

T = TypeVar("T")

_SECONDS = 600.0  # long enough for a person to make room
_RETRY = 1.0  # seconds; nothing tells when there is room again


class Patience:
    """Repeats what a full disk refused. `seconds` is how long, on `clock`, with `retry` seconds between two tries."""

    def __init__(
        self, seconds: float = _SECONDS, retry: float = _RETRY, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`end` makes it give up at the next refusal."""
        self.seconds = seconds
        self.retry = retry
        self._clock = clock
        self._ended = threading.Event()

    def __call__(self, call: Callable[[], T], on_wait: Callable[[], None] | None = None) -> T:
        """What `call` returns, once there is room; `on_wait` is called before the first wait. Raises StorageFull at the end of patience."""
        began = self._clock()
        while True:
            try:
                return call()
            except StorageFull:
                if on_wait is not None:
                    on_wait()
                    on_wait = None
                if self._clock() - began >= self.seconds or self._ended.wait(self.retry):
                    raise

    def end(self) -> None:
        """Wait no more."""
        self._ended.set()
