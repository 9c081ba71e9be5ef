"""The agent of a site: receives messages by long-poll, serves them and sends the replies, in separate threads."""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, TypeVar

from umbel import __version__
from umbel.errors import UmbelError, Unauthenticated
from umbel.supernode.jobs import Cancelled, HeldJobs, RetryBudget
from umbel.wire.connection import Backoff
from umbel.wire.messages import Activate, Delivery, Pull, Pulled

if TYPE_CHECKING:
    from collections.abc import Callable

    from umbel.supernode.components import Components
    from umbel.supernode.jobs import Job
    from umbel.supernode.replies import Spooled
    from umbel.supernode.settings import Settings
    from umbel.wire.programs import FleetClient

T = TypeVar("T")

MOST_HELD = 64  # messages held at a time, including those that wait for a slot
MOST_RUNS = 100  # runs whose end one poll asks about
AHEAD = 1  # messages whose contents are downloaded while they wait for a slot
SENDERS = 2  # replies sent concurrently
WAIT = 30.0  # seconds: duration of a long-poll
FULL_WAIT = 1.0  # likewise, while the node holds as many messages as it can
FLUSH = 1.0  # seconds for sending the last log lines at shutdown

log = logging.getLogger(__name__)


class Agent:
    """Serves one node's messages until `end` is called. If it cannot continue, it sets `failure` and calls `on_failure`."""

    def __init__(
        self, settings: Settings, client: FleetClient, components: Components, on_failure: Callable[[], object]
    ) -> None:
        """`client` must not retry: the agent decides how long a SuperLink may be unreachable."""
        self.failure: UmbelError | None = None
        self._settings = settings
        self._client = client
        self._components = components
        self._on_failure = on_failure
        self._jobs = HeldJobs()
        self._to_serve: SimpleQueue[tuple[Job, Delivery]] = SimpleQueue()
        self._to_send: SimpleQueue[tuple[Job, Spooled]] = SimpleQueue()
        self._retries = RetryBudget(settings.max_retries, settings.max_wait)
        self._backoff = Backoff(float("inf"))

    def start(self) -> None:
        """Queue the replies in the spool and begin to poll for messages."""
        for reply in self._components.spool.replies():
            self._to_send.put((self._jobs.resume(reply), reply))
        Thread(target=self._poll, name="poll", daemon=True).start()

    def end(self) -> None:
        """Cancel the held messages and end the session. Replies in the spool are kept for the next start."""
        self._components.ending.set()
        for job in self._jobs.all():
            job.cancel()
        self._components.environments.close()
        self._components.pool.close()
        if self._components.session.number and self.failure is None:
            self._components.reporter.flush(FLUSH)
            with suppress(UmbelError):
                self._client.deactivate(self._components.session.number)
        self._components.reporter.close()

    # Receiving messages.

    def _poll(self) -> None:
        try:
            self._activate()
            while not self._components.ending.is_set():
                self._pull()
        except UmbelError as failure:
            self._fail(failure)
        finally:
            self._fail(
                UmbelError("Internal error in the SuperNode (a bug in Umbel).", hint="See the traceback in its log.")
            )

    def _fail(self, failure: UmbelError) -> None:
        if not self._components.ending.is_set() and self.failure is None:
            self.failure = failure
            self._on_failure()

    def _activate(self) -> None:
        settings, components = self._settings, self._components
        body = Activate(version=__version__, name=settings.name, slots=settings.slots)
        session = self._with_retries(lambda: self._client.activate(body))
        components.session.node_id, components.session.number = session.node_id, session.session
        log.info("Node %d is connected to %s.", session.node_id, settings.superlink)
        components.reporter.begin()
        for number in range(settings.slots + AHEAD):
            Thread(target=self._serve_all, name=f"serve {number}", daemon=True).start()
        for number in range(SENDERS):
            Thread(target=self._send_all, name=f"send {number}", daemon=True).start()

    def _pull(self) -> None:
        pulled = self._with_retries(self._ask)
        for delivery in pulled.messages:
            self._accept(delivery)
        for message_id in pulled.cancelled:
            self._cancel(message_id)
        for run_id in pulled.over:
            self._end_run(run_id)
        self._components.pool.trim()

    def _ask(self) -> Pulled:
        jobs = self._jobs.all()
        holding, runs = [job.message_id for job in jobs], {job.run_id for job in jobs}
        room = max(0, MOST_HELD - len(holding))
        runs.update(self._components.runs.run_ids()[:MOST_RUNS])  # a held run may not have files yet
        body = Pull(session=self._components.session.number, room=room, holding=holding, runs=sorted(runs))
        return self._client.pull(body, WAIT if room else FULL_WAIT)

    def _with_retries(self, call: Callable[[], T]) -> T:
        """Repeat `call` until the SuperLink answers. Raises its rejection, or the last failure when the retry budget is exhausted."""
        while True:
            try:
                answer = call()
            except UmbelError as failure:
                if failure.http_status < 500 or not self._retries.record_failure(time.monotonic()):
                    raise
                if self._retries.count == 1:
                    log.warning("Retrying: %s", failure.message)
                if not self._backoff.wait(self._components.ending):
                    raise
            else:
                if self._retries.count:
                    log.info("The SuperLink is responding again.")
                self._retries.reset()
                self._backoff.reset()
                return answer

    def _accept(self, delivery: Delivery) -> None:
        if job := self._jobs.accept(delivery):
            self._to_serve.put((job, delivery))

    def _cancel(self, message_id: str) -> None:
        job = self._jobs.get(message_id)
        if job is not None:
            job.cancel()
            self._components.slots.wake()
            self._components.environments.wake()

    def _end_run(self, run_id: int) -> None:
        for job in self._jobs.all():
            if job.run_id == run_id:
                self._cancel(job.message_id)
        self._components.environments.end_run(run_id)
        self._components.pool.end_run(run_id)
        self._components.cache.end_run(run_id)
        self._components.runs.end_run(run_id)
        log.info("Run %d has ended.", run_id)

    # Serving messages.

    def _serve_all(self) -> None:
        while True:
            self._serve(*self._to_serve.get())

    def _serve(self, job: Job, delivery: Delivery) -> None:
        serving = self._components.serving
        try:
            reply = serving.serve(job, delivery)
        except Cancelled:
            log.info("Run %d: message %s was cancelled.", job.run_id, job.message_id)
            self._forget(job)
            return
        except Exception as failure:  # any error: the round must not wait for this node
            if self._components.ending.is_set():
                return
            log.warning("Run %d: message %s failed: %s", job.run_id, job.message_id, failure)
            if not isinstance(failure, UmbelError):
                log.exception("Internal error in the SuperNode (a bug in Umbel):")
            reply = serving.refuse(job, failure)
        self._to_send.put((job, reply))

    # Sending replies.

    def _send_all(self) -> None:
        while True:
            self._send(*self._to_send.get())

    def _send(self, job: Job, reply: Spooled) -> None:
        try:
            self._components.sender.send(job, reply)
            log.info("Run %d: replied to message %s.", job.run_id, job.message_id)
        except Cancelled:
            if self._components.ending.is_set():
                return
        except UmbelError as failure:
            if self._components.ending.is_set() or isinstance(failure, Unauthenticated):
                return
            log.warning("Run %d: the reply to message %s was rejected: %s", job.run_id, job.message_id, failure)
        self._components.spool.drop(job.message_id)
        self._forget(job)

    def _forget(self, job: Job) -> None:
        self._components.reporter.answered(job.message_id)
        self._jobs.forget(job)
