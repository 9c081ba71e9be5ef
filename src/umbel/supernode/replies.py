"""Replies: spooling to disk, and upload to the SuperLink."""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from umbel._os import boot_id, is_disk_full
from umbel.app.message import ErrorCode
from umbel.errors import ObjectInvalid, RequestInvalid, StorageFull, TooLarge, UmbelError
from umbel.wire import contents
from umbel.wire.connection import Backoff
from umbel.wire.messages import ContentRef, ReplyError, ReplyMessage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from threading import Event

    from umbel.supernode.jobs import Job, Session
    from umbel.supernode.reporter import Reporter
    from umbel.wire.programs import FleetClient


_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Spooled(msgspec.Struct):
    """A reply in the spool: an error, or content that is `data` or a separate file of `size` bytes."""

    message_id: str
    run_id: int
    seconds: float = 0.0  # of client computation
    error: ReplyError | None = None
    data: bytes | None = None
    size: int = 0
    boot: str = ""  # the boot ID of the machine at the time of writing


_decode = msgspec.msgpack.Decoder(Spooled).decode


class Spool:
    """Replies on disk, in one directory, until the SuperLink has accepted them."""

    def __init__(self, directory: Path, boot: str | None = None) -> None:
        """`boot` identifies the current start of the machine; None means the boot ID of the operating system."""
        self._directory = directory
        self._boot = boot_id() if boot is None else boot

    def content_path(self, message_id: str) -> Path:
        """The path of the file for a large reply. Raises ObjectInvalid for an ID that is not a valid file name."""
        return self._path(message_id, "content")

    def keep(self, reply: Spooled) -> None:
        """Write a reply. The content file of a large reply must exist already. Raises StorageFull."""
        reply.boot = self._boot
        path = self._path(reply.message_id, "reply")
        temporary = path.with_suffix(".new")
        try:
            temporary.write_bytes(msgspec.msgpack.encode(reply))
        except OSError as error:
            if not is_disk_full(error):
                raise
            raise StorageFull(
                f"No disk space left for a reply in {self._directory}.", hint="Free some space."
            ) from error
        temporary.replace(path)

    def replies(self) -> list[Spooled]:
        """All complete replies, oldest first. Any other file in the directory is removed."""
        found = {reply.message_id: reply for reply in self._read_all()}
        for path in self._directory.iterdir():
            if path.suffix not in (".reply", ".content") or path.stem not in found:
                path.unlink()
        return list(found.values())

    def drop(self, message_id: str) -> None:
        """Remove a reply that the SuperLink has accepted or rejected."""
        for kind in ("reply", "content"):
            self._path(message_id, kind).unlink(missing_ok=True)

    def _read_all(self) -> Iterator[Spooled]:
        paths = sorted(self._directory.glob("*.reply"), key=lambda path: path.stat().st_mtime)
        for path in paths:
            try:
                reply = _decode(path.read_bytes())
            except msgspec.DecodeError:
                continue
            if (reply.message_id, reply.boot) == (path.stem, self._boot) and self._is_whole(reply):
                yield reply

    def _is_whole(self, reply: Spooled) -> bool:
        if reply.error is not None or reply.data is not None:
            return True
        try:
            return os.stat(self.content_path(reply.message_id)).st_size == reply.size
        except FileNotFoundError:
            return False

    def _path(self, message_id: str, kind: str) -> Path:
        if not _ID.fullmatch(message_id):
            raise ObjectInvalid("Invalid message ID.")
        return self._directory / f"{message_id}.{kind}"


_UNSENDABLE = (RequestInvalid, TooLarge)  # a retry with the same content would fail again

log = logging.getLogger(__name__)


class ReplySender:
    """Sends replies to the SuperLink. Safe for concurrent use."""

    def __init__(self, client: FleetClient, spool: Spool, reporter: Reporter, session: Session, ending: Event) -> None:
        self._client = client
        self._spool = spool
        self._reporter = reporter
        self._session = session
        self._ending = ending

    def send(self, job: Job, reply: Spooled) -> bool:
        """Send a reply, with retries, until the SuperLink accepts it; returns whether the reply was still expected.

        A reply that the SuperLink cannot accept is replaced by a MALFORMED_REPLY error. Raises Cancelled, UmbelError.
        """
        backoff = Backoff(float("inf"))
        while True:
            try:
                return self._attempt(job, reply)
            except _UNSENDABLE as failure:
                if reply.error is not None:
                    raise
                reply.error = ReplyError(code=int(ErrorCode.MALFORMED_REPLY), reason=str(failure))
            except UmbelError as failure:
                # The SuperLink may have removed an object that the upload skipped: the next attempt uploads it.
                if not (isinstance(failure, ObjectInvalid) or failure.http_status >= 500):
                    raise
                log.warning("Retrying the reply to message %s: %s", job.message_id, failure)
                if not backoff.wait(self._ending):
                    raise

    def _attempt(self, job: Job, reply: Spooled) -> bool:
        content = None if reply.error is not None else self._content(job, reply)
        message = ReplyMessage(
            session=self._session.number,
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
