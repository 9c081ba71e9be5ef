"""Contents of replies: fetched into files in the background, mapped into memory when they are opened, gone from the disk then."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from umbel.app.recorddict import RecordDict
from umbel.deployment.outbox import Persist
from umbel.engine import segment
from umbel.wire import contents
from umbel.wire.http import HttpClient
from umbel.wire.messages import ContentRef, content_id
from umbel.wire.records import unpack

_AT_A_TIME = 2  # contents


@dataclass
class _Fetch:
    ready: Future[None]
    uses: int


class Contents:
    """Brings contents from the SuperLink. To be used by one thread.

    A file has the name of what is in it, so an attempt goes on with what an earlier one has begun to fetch, and a content that
    several nodes replied is fetched once.
    """

    def __init__(self, client: HttpClient, folder: Path, persist: Persist) -> None:
        """Files lie in `folder` for as long as they are not opened."""
        self._client = client
        self._folder = folder
        self._persist = persist
        self._fetches: dict[str, _Fetch] = {}
        self._pool = ThreadPoolExecutor(_AT_A_TIME, "fetch")

    def fetch(self, content: ContentRef) -> None:
        """Begin to bring a content that will be opened, or released, once for each time this is called."""
        if content.data is not None:
            return
        name = content_id(content)
        if name in self._fetches:
            self._fetches[name].uses += 1
        else:
            path = self._folder / name
            self._fetches[name] = _Fetch(self._pool.submit(self._bring, content, path), 1)

    def _bring(self, content: ContentRef, path: Path) -> None:
        if path.exists():  # an earlier attempt's: what is right in it is not fetched again
            path.replace(path.with_name(f"{path.name}.part"))
        self._persist(lambda: contents.download(self._client, content, path))

    def open(self, content: ContentRef) -> RecordDict:
        """A content for which `fetch` was called, once it is here. Its arrays are in memory that is given back when they are gone.

        Raises ObjectInvalid or RecursionError for bytes that are no content of a message.
        """
        if content.data is not None:
            return unpack(bytearray(content.data))
        name = content_id(content)
        try:
            self._fetches[name].ready.result()
            return _mapped(self._folder / name, content.size)
        finally:
            self.release(content)

    def release(self, content: ContentRef) -> None:
        """A content for which `fetch` was called will not be opened."""
        if content.data is not None:
            return
        name = content_id(content)
        fetch = self._fetches[name]
        fetch.uses -= 1
        if not fetch.uses and (fetch.ready.cancel() or fetch.ready.done()):
            del self._fetches[name]
            (self._folder / name).unlink(missing_ok=True)

    def close(self) -> None:
        """Begin nothing more; what is under way ends with its client."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _mapped(path: Path, size: int) -> RecordDict:
    with path.open("rb") as file:
        data = segment.private(file.fileno(), size)
    return unpack(memoryview(data))
