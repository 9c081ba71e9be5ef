"""Serving of messages: preparation, execution by a worker, and a spooled reply."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from umbel.app.message import ErrorCode
from umbel.engine import frames
from umbel.errors import (
    AppInvalid,
    AppLoadError,
    BundleInvalid,
    Conflict,
    EnvironmentFailed,
    NotFound,
    PermissionRefused,
    StorageFull,
    UmbelError,
)
from umbel.supernode.replies import Spooled
from umbel.supernode.workers import WorkerEnded
from umbel.wire.messages import ReplyError, content_id

if TYPE_CHECKING:
    from collections.abc import Iterator

    from umbel.environments.prepare import Environment
    from umbel.supernode.cache import ContentCache
    from umbel.supernode.jobs import Job, Session
    from umbel.supernode.replies import Spool
    from umbel.supernode.reporter import Reporter
    from umbel.supernode.resources import Grant, Slots
    from umbel.supernode.runs import PreparedRun, RunEnvironments, Runs
    from umbel.supernode.workers import SiteWorker, WorkerPool
    from umbel.wire.messages import Delivery
    from umbel.wire.programs import FleetClient

Content = bytes | tuple[int, int]  # the bytes, or (file descriptor, size)

_FRUITLESS_ENDS = 3  # workers that may end before they begin to serve
_TRIES = (
    2  # attempts at a message whose worker ends while serving: a process killed by chance must not change the model
)
_CODES: dict[type[UmbelError], ErrorCode] = {
    EnvironmentFailed: ErrorCode.LOAD_CLIENT_APP_EXCEPTION,
    AppLoadError: ErrorCode.LOAD_CLIENT_APP_EXCEPTION,
    BundleInvalid: ErrorCode.INVALID_FAB,
    AppInvalid: ErrorCode.INVALID_FAB,
    NotFound: ErrorCode.MESSAGE_UNAVAILABLE,
    Conflict: ErrorCode.MESSAGE_UNAVAILABLE,
    PermissionRefused: ErrorCode.MESSAGE_UNAVAILABLE,
}


class Serving:
    """Turns a message into a reply. Safe for concurrent use."""

    def __init__(
        self,
        client: FleetClient,
        runs: Runs,
        environments: RunEnvironments,
        cache: ContentCache,
        slots: Slots,
        pool: WorkerPool,
        spool: Spool,
        reporter: Reporter,
        session: Session,
    ) -> None:
        self._session = session
        self._client = client
        self._runs = runs
        self._environments = environments
        self._cache = cache
        self._slots = slots
        self._pool = pool
        self._spool = spool
        self._reporter = reporter

    def serve(self, job: Job, delivery: Delivery) -> Spooled:
        """Serve a message and write the reply to the spool.

        An error of the client is part of the reply. Raises Cancelled, and UmbelError when the client cannot be run.
        """
        job.check()
        prepared = self._runs.prepare(job.run_id)
        environment = self._environment(job, prepared)
        with (
            self._content(job, delivery) as content,
            self._slots.acquire(prepared.need, job.is_cancelled) as grant,
        ):
            self._reporter.progress(job.message_id, job.stage)
            reply = self._client_reply(job, delivery, content, prepared, environment, grant)
        self._spool.keep(reply)
        return reply

    def _client_reply(
        self,
        job: Job,
        delivery: Delivery,
        content: Content,
        prepared: PreparedRun,
        environment: Environment,
        grant: Grant,
    ) -> Spooled:
        served, unserved = 0, 0  # workers that ended while serving, and before
        while True:
            try:
                with self._pool.lend(prepared, environment, grant) as worker, job.served_by(worker):
                    return self._ask(worker, job, delivery, content)
            except WorkerEnded as ended:
                job.check()
                if not ended.had_begun:
                    unserved += 1
                    if unserved == _FRUITLESS_ENDS:
                        raise _unusable(ended.how) from None
                    continue
                served += 1
                if served == _TRIES:
                    return self._crashed(job, ended.how)
                text = f"The process serving this node ended {ended.how}; processing the message once more."
                self._reporter.log(job.run_id, text, "WARNING")

    def _environment(self, job: Job, prepared: PreparedRun) -> Environment:
        def on_install() -> None:
            self._reporter.progress(job.message_id, "installing")

        environment = self._environments.get(job.run_id, prepared.dependencies, job.is_cancelled, on_install)
        self._reporter.progress(job.message_id, job.stage)
        return environment

    def refuse(self, job: Job, failure: Exception) -> Spooled:
        """Create the error reply for a message that cannot be served, and write it to the spool if there is disk space."""
        code = next((code for kind, code in _CODES.items() if isinstance(failure, kind)), ErrorCode.UNKNOWN)
        reason = getattr(failure, "traceback", "") or str(failure) or type(failure).__name__
        reply = _error(job, code, reason)
        with suppress(StorageFull):
            self._spool.keep(reply)
        return reply

    @contextmanager
    def _content(self, job: Job, delivery: Delivery) -> Iterator[Content]:
        content = delivery.content
        if content.data is not None:
            content_id(content)
            yield content.data
            return

        def on_progress(done: int, total: int) -> None:
            job.check()
            self._reporter.progress(job.message_id, "downloading", done, total, "bytes")

        fd = self._cache.open(self._client.http, job.run_id, content, on_progress)
        try:
            yield fd, content.size
        finally:
            os.close(fd)

    def _ask(self, worker: SiteWorker, job: Job, delivery: Delivery, content: Content) -> Spooled:
        file = str(self._spool.content_path(job.message_id))
        unit = frames.Unit(
            unit_id=worker.next_unit,
            exchange=delivery.sequence,
            keep_from=delivery.keep_from,
            start=0,
            node_ids=[self._session.node_id],
            content_ids=[worker.next_unit],
            message_type=delivery.message_type,
            ttl=delivery.ttl,
            created_at=job.received_at,  # not when it was sent: that is the clock of another machine
            group_id=delivery.group_id,
            reply_file=file,
        )

        def on_progress(done: float, total: float, unit: str) -> None:
            self._reporter.progress(job.message_id, job.stage, done, total, unit)

        served = worker.serve(content, unit, on_progress)
        plain = served.replies[0]
        reply = Spooled(job.message_id, job.run_id, served.seconds)
        if plain.error is not None:
            reply.error = ReplyError(code=plain.error[0], reason=plain.error[1])
        elif plain.packed is not None:
            reply.data = plain.packed
        else:
            reply.size = plain.size
        return reply

    def _crashed(self, job: Job, how: str) -> Spooled:
        reason = f"The process serving node {self._session.node_id} ended {how} while processing this message."
        self._reporter.log(job.run_id, reason, "ERROR")
        return _error(job, ErrorCode.CLIENT_APP_CRASHED, reason)


def _unusable(how: str) -> AppLoadError:
    return AppLoadError(f"The worker processes ended {how} while loading the ClientApp.")


def _error(job: Job, code: ErrorCode, reason: str) -> Spooled:
    return Spooled(job.message_id, job.run_id, error=ReplyError(code=int(code), reason=reason))
