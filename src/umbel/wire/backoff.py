"""How long to wait before a network peer is tried again."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from threading import Event

FIRST_DELAY = 0.05  # seconds
LONGEST_DELAY = 2.0  # seconds


class Backoff:
    """Growing, jittered delays with a total limit of `patience` seconds (may be infinite)."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self.reset()

    def reset(self) -> None:
        """Begin again: the peer has answered, or bytes have moved."""
        self._deadline = time.monotonic() + self._patience
        self._delay = FIRST_DELAY

    def wait(self, cancelled: Event) -> bool:
        """Wait for the next delay; False when the patience is used up or `cancelled` is set meanwhile."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            return False
        delay = min(self._delay * random.uniform(0.5, 1.0), left)
        self._delay = min(self._delay * 2, LONGEST_DELAY)
        return not cancelled.wait(delay)
