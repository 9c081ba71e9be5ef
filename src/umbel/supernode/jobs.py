"""Jobs: messages that a SuperNode is serving, with their stage, cancellation and retry budget."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from umbel.supernode.workers import SiteWorker
    from umbel.wire.messages import Delivery


class Cancelled(Exception):
    """The message was cancelled."""


@dataclass
class Session:
    """The node's id and the number of its session, both 0 until it is there."""

    node_id: int = 0
    number: int = 0


class RetryBudget:
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

    def record_failure(self, now: float) -> bool:
        """Note a failure at `now`, in seconds of any clock; whether to try again."""
        if not self._count:
            self._since = now
        self._count += 1
        return (self._most is None or self._count <= self._most) and now - self._since < self._seconds

    def reset(self) -> None:
        """The SuperLink has answered."""
        self._count = 0


STAGES = {"train": "training", "evaluate": "evaluating", "query": "answering"}


class Job:
    """A message that the node has and has not answered; any thread may cancel it."""

    def __init__(self, message_id: str, run_id: int, delivery: Delivery | None = None) -> None:
        """A job without `delivery` has already been served; only its reply remains to be sent."""
        self.message_id = message_id
        self.run_id = run_id
        self.delivery = delivery
        self.received_at = time.time()
        self._lock = Lock()
        self._is_cancelled = False
        self._worker: SiteWorker | None = None

    @property
    def stage(self) -> str:
        """What its client does, in a word."""
        kind = self.delivery.message_type.partition(".")[0] if self.delivery else ""
        return STAGES.get(kind, "serving")

    def is_cancelled(self) -> bool:
        """Whether the message was cancelled."""
        return self._is_cancelled

    def check(self) -> None:
        """Raises Cancelled if it is."""
        if self._is_cancelled:
            raise Cancelled

    def cancel(self) -> None:
        """Cancel the message: the worker that serves it is killed."""
        with self._lock:
            self._is_cancelled = True
            if self._worker is not None:
                self._worker.kill()

    @contextmanager
    def served_by(self, worker: SiteWorker) -> Iterator[None]:
        """Meanwhile this worker serves it. Raises Cancelled if it is."""
        with self._lock:
            self.check()
            self._worker = worker
        try:
            yield
        finally:
            with self._lock:
                self._worker = None
