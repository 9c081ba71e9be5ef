"""Waiting for nodes to be online, and saying so."""

from __future__ import annotations

import time

from umbel.runtime.recording import Recorder
from umbel.wire.grid import GridClient

_AT_ONCE = 1.0  # seconds: a shorter wait is not told to anybody
_WAIT = 30.0  # seconds of a long-poll


class Presence:
    """Who is online."""

    def __init__(self, client: GridClient, recorder: Recorder) -> None:
        """`recorder` is told of waits."""
        self._client = client
        self._recorder = recorder

    def wait(self, at_least: int, timeout: float | None) -> list[int]:
        """The online nodes once they are `at_least` so many, or those that there are after `timeout` seconds."""
        began, since = time.monotonic(), time.time()
        told: int | None = None
        try:
            while True:
                left = _WAIT if timeout is None else min(_WAIT, began + timeout - time.monotonic())
                nodes = self._client.nodes(at_least, max(0.0, left if told is not None else min(left, _AT_ONCE)))
                if len(nodes) >= at_least or left <= 0:
                    return nodes
                if told != len(nodes):
                    told = len(nodes)
                    self._tell(at_least, told, since, timeout)
        finally:
            if told is not None:
                self._recorder.event("waiting", {"for": "", "what": ""})

    def _tell(self, at_least: int, there: int, since: float, timeout: float | None) -> None:
        data: dict[str, object] = {"for": "nodes", "what": f"{there} of {at_least} are online", "since": since}
        if timeout is not None:
            data["until"] = since + timeout
        self._recorder.event("waiting", data)
