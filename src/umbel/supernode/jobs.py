"""Jobs: messages that a SuperNode is serving, with their stage, cancellation and retry budget."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from umbel.supernode.replies import Spooled
    from umbel.supernode.workers import SiteWorker
    from umbel.wire.messages import Delivery


class Cancelled(Exception):
    """The message was cancelled."""


@dataclass
class Session:
    """The node's ID and the number of its session; both are 0 until the session begins."""

    node_id: int = 0
    number: int = 0


class RetryBudget:
    """Counts consecutive failures, limited to `most` and to `seconds` since the first; None and infinity mean no limit."""

    def __init__(self, most: int | None, seconds: float) -> None:
        self._most = most
        self._seconds = seconds
        self._count = 0
        self._since = 0.0

    @property
    def count(self) -> int:
        """The number of failures since the last success."""
        return self._count

    def record_failure(self, now: float) -> bool:
        """Record a failure at `now`, in seconds of any clock; returns whether to retry."""
        if not self._count:
            self._since = now
        self._count += 1
        return (self._most is None or self._count <= self._most) and now - self._since < self._seconds

    def reset(self) -> None:
        """Record a success: the next failure is the first again."""
        self._count = 0


STAGES = {"train": "training", "evaluate": "evaluating", "query": "answering"}


class Job:
    """A message that the node holds and has not yet answered; any thread may cancel it."""

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
        """The activity of the client, in one word, for display."""
        kind = self.delivery.message_type.partition(".")[0] if self.delivery else ""
        return STAGES.get(kind, "serving")

    def is_cancelled(self) -> bool:
        """Whether the message was cancelled."""
        return self._is_cancelled

    def check(self) -> None:
        """Raise Cancelled if the message was cancelled."""
        if self._is_cancelled:
            raise Cancelled

    def cancel(self) -> None:
        """Cancel the message and kill the worker that is serving it."""
        with self._lock:
            self._is_cancelled = True
            if self._worker is not None:
                self._worker.kill()

    @contextmanager
    def served_by(self, worker: SiteWorker) -> Iterator[None]:
        """Let `cancel` kill this worker while the block runs. Raises Cancelled if the message was cancelled before."""
        with self._lock:
            self.check()
            self._worker = worker
        try:
            yield
        finally:
            with self._lock:
                self._worker = None


class HeldJobs:
    """The jobs that a node holds, each until its reply has been accepted or is no longer expected. Safe for concurrent use."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._lock = Lock()

    def accept(self, delivery: Delivery) -> Job | None:
        """Hold a new message; None for one that is held already."""
        with self._lock:
            if delivery.message_id in self._jobs:
                return None
            job = self._jobs[delivery.message_id] = Job(delivery.message_id, delivery.run_id, delivery)
        return job

    def resume(self, reply: Spooled) -> Job:
        """Hold a message whose reply an earlier process left in the spool."""
        job = Job(reply.message_id, reply.run_id)
        with self._lock:
            self._jobs[job.message_id] = job
        return job

    def get(self, message_id: str) -> Job | None:
        """The job of a message; None if it is not held."""
        with self._lock:
            return self._jobs.get(message_id)

    def all(self) -> list[Job]:
        """All held jobs, in order of acceptance."""
        with self._lock:
            return list(self._jobs.values())

    def forget(self, job: Job) -> None:
        """Stop holding a message."""
        with self._lock:
            self._jobs.pop(job.message_id, None)
