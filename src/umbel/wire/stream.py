"""A run's live stream: Server-Sent Events, taken up again by cursor after a cut."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from umbel.wire.api import RunView, StreamItem
from umbel.wire.backoff import Backoff
from umbel.wire.http import CUT, HttpClient, Request, decode, read_blocks
from umbel.wire.sse import parse_events

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


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
