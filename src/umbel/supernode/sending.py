"""From a reply on disk to one that the SuperLink has."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from umbel.app.error import ErrorCode
from umbel.errors import ObjectInvalid, RequestInvalid, TooLarge, UmbelError
from umbel.wire import contents
from umbel.wire.backoff import Backoff
from umbel.wire.messages import ContentRef, ReplyError, ReplyMessage

if TYPE_CHECKING:
    from threading import Event

    from umbel.supernode.job import Job
    from umbel.supernode.presence import Presence
    from umbel.supernode.reporter import Reporter
    from umbel.supernode.spool import Spool, Spooled
    from umbel.wire.fleet import FleetClient

_UNSENDABLE = (RequestInvalid, TooLarge)  # no other attempt would help

log = logging.getLogger(__name__)


class Sending:
    """Sends replies: any number of threads may call it."""

    def __init__(
        self, client: FleetClient, spool: Spool, reporter: Reporter, presence: Presence, ending: Event
    ) -> None:
        self._client = client
        self._spool = spool
        self._reporter = reporter
        self._presence = presence
        self._ending = ending

    def send(self, job: Job, reply: Spooled) -> bool:
        """Send a reply until the SuperLink has taken it; whether anybody waited for it. Raises Cancelled, UmbelError."""
        backoff = Backoff(float("inf"))
        while True:
            try:
                return self._attempt(job, reply)
            except _UNSENDABLE as failure:
                if reply.error is not None:
                    raise
                reply.error = ReplyError(code=int(ErrorCode.MALFORMED_REPLY), reason=str(failure))
            except UmbelError as failure:
                # An object that was there before may be gone by now: the next attempt sends it.
                if not (isinstance(failure, ObjectInvalid) or failure.http_status >= 500):
                    raise
                log.warning("The reply to message %s is sent again: %s", job.message_id, failure)
                if not backoff.wait(self._ending):
                    raise

    def _attempt(self, job: Job, reply: Spooled) -> bool:
        content = None if reply.error is not None else self._content(job, reply)
        message = ReplyMessage(
            session=self._presence.session,
            message_id=job.message_id,
            error=reply.error,
            content=content,
            seconds=reply.seconds,
        )
        return self._client.reply(message)

    def _content(self, job: Job, reply: Spooled) -> ContentRef:
        def on_progress(done: int, total: int) -> None:
            job.check()
            self._reporter.progress(job.message_id, "uploading", done, total, "bytes")

        query = f"message={job.message_id}"
        if reply.data is not None:
            return contents.upload(self._client.http, [reply.data], query=query, on_progress=on_progress)
        path = self._spool.content_path(job.message_id)
        return contents.upload_file(self._client.http, path, query=query, on_progress=on_progress)
