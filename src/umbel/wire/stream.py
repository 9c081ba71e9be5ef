"""Server-sent events and the stream of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from umbel.errors import TooLarge
from umbel.wire.api import RunView, StreamItem
from umbel.wire.connection import Backoff
from umbel.wire.http import CUT, HttpClient, Request, decode, read_blocks

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


MAX_EVENT = 8 * 1024 * 1024  # bytes


def parse_events(blocks: Iterable[bytes]) -> Iterator[tuple[str, bytes]]:
    """The (id, data) of each event in a byte stream cut at any place; comments and other fields are skipped.

    An event that the stream's end cuts off is dropped, as the standard asks: the cursor brings it again.
    Raises TooLarge for an event over `MAX_EVENT` bytes.
    """
    cursor, data, size = "", [], 0
    for line in _lines(blocks):
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        size += len(line)
        if size > MAX_EVENT:
            raise TooLarge(f"The SuperLink sent an event of more than {MAX_EVENT} bytes.")
        if field == b"id":
            cursor = value.decode()
        elif field == b"data":
            data.append(value)
        elif not line:
            if data:
                yield cursor, b"\n".join(data)
            data, size = [], 0


def _lines(blocks: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for block in blocks:
        *lines, rest = (rest + block).split(b"\n")
        if len(rest) > MAX_EVENT:
            raise TooLarge(f"The SuperLink sent a line of more than {MAX_EVENT} bytes.")
        for line in lines:
            yield line.removesuffix(b"\r")


def stream_run(
    client: HttpClient, run_id: int, after: str, kinds: Sequence[str], node_id: int | None = None
) -> Iterator[StreamItem]:
    """The items after the cursor `after`, until the run has finished and all was sent; log lines of `node_id` only, if given.

    Raises SuperLinkUnreachable when a cut stream cannot be taken up again in time.
    """
    backoff = Backoff(client.patience)
    wanted = {"kinds": ",".join(kinds)} | ({} if node_id is None else {"node": str(node_id)})
    while True:
        try:
            for item in _items(client, run_id, {"after": after, **wanted}):
                after = item.cursor or after
                backoff.reset()
                yield item
            # A SuperLink that shuts down ends its streams in good order too.
            if client.call("GET", f"/api/v1/runs/{run_id}", RunView).status == "finished":
                return
            failure: Exception = ConnectionError("the stream ended before the run")
        except CUT as cut:
            failure = cut
        client.retry(backoff, failure)


def _items(client: HttpClient, run_id: int, wanted: dict[str, str]) -> Iterator[StreamItem]:
    query = urlencode(wanted)
    headers = {"Accept": "text/event-stream"}
    connection, response = client.open(Request("GET", f"/api/v1/runs/{run_id}/stream?{query}", headers=headers))
    try:
        for _, data in parse_events(read_blocks(response)):
            yield decode(data, StreamItem, client.address)
    finally:
        connection.close()
