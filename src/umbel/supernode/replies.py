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
    """A reply. Its content is `data`, or `size` bytes in a separate file; or it has an error."""

    message_id: str
    run_id: int
    seconds: float = 0.0  # of client work
    error: ReplyError | None = None
    data: bytes | None = None
    size: int = 0
    boot: str = ""  # of the machine


_decode = msgspec.msgpack.Decoder(Spooled).decode


class Spool:
    """The replies below one directory."""

    def __init__(self, directory: Path, boot: str | None = None) -> None:
        """`boot` tells starts of the machine apart; None: as the machine says."""
        self._directory = directory
        self._boot = boot_id() if boot is None else boot

    def content_path(self, message_id: str) -> Path:
        """Where a message's large reply is written. Raises ObjectInvalid for an id that cannot be a file's name."""
        return self._path(message_id, "content")

    def keep(self, reply: Spooled) -> None:
        """Write a reply, whose content is there already if it is large. Raises StorageFull."""
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
        """All replies, oldest first. Whatever else lies there is removed."""
        found = {reply.message_id: reply for reply in self._read_all()}
        for path in self._directory.iterdir():
            if path.suffix not in (".reply", ".content") or path.stem not in found:
                path.unlink()
        return list(found.values())

    def drop(self, message_id: str) -> None:
        """The SuperLink has this reply, or does not want it."""
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


_UNSENDABLE = (RequestInvalid, TooLarge)  # no other attempt would help

log = logging.getLogger(__name__)


class ReplySender:
    """Sends replies: any number of threads may call it."""

    def __init__(self, client: FleetClient, spool: Spool, reporter: Reporter, session: Session, ending: Event) -> None:
        self._client = client
        self._spool = spool
        self._reporter = reporter
        self._session = session
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
