"""The stream of a run as the CLI receives it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue
from typing import TYPE_CHECKING, Literal

from umbel.errors import SuperLinkUnreachable

if TYPE_CHECKING:
    from umbel.wire.api import RunView, StreamItem


Step = Literal["start", "stream", "stop"]


@dataclass(frozen=True, slots=True)
class Started:
    """The SuperLink has taken the run."""

    run: RunView


@dataclass(frozen=True, slots=True)
class ItemReceived:
    """An item of the run's stream."""

    item: StreamItem


@dataclass(frozen=True, slots=True)
class Cut:
    """The stream broke and is being taken up again."""

    reason: str


@dataclass(frozen=True, slots=True)
class RunFinished:
    """The run has finished and its stream was read to the end."""

    run: RunView


@dataclass(frozen=True, slots=True)
class StopTaken:
    """The SuperLink has answered the request to stop."""

    run: RunView


@dataclass(frozen=True, slots=True)
class Failed:
    """A step ended with an error."""

    step: Step
    error: BaseException


@dataclass(frozen=True, slots=True)
class Signalled:
    """A person pressed Ctrl-C, or the system asked us to end."""

    signum: int


Message = Started | ItemReceived | Cut | RunFinished | StopTaken | Failed | Signalled
Inbox = SimpleQueue[Message]


if TYPE_CHECKING:
    from umbel.wire.api import RunView, StartRun
    from umbel.wire.control import ControlClient

    Connect = Callable[[], ControlClient]

HASTE = 1.0  # seconds after which a broken stream looks up the SuperLink again: a local one is restarted
PATIENCE = 300.0  # seconds for which a broken stream tries to reconnect; the run continues in any case


class Feed:
    """Starts a run, streams it and stops it; whatever comes of it is put in the inbox.

    `connect` gives a new client, for when the SuperLink has gone and come back elsewhere.
    """

    def __init__(self, client: ControlClient, connect: Connect, inbox: Inbox) -> None:
        self._client = client
        self._connect = connect
        self._inbox = inbox

    def start(self, request: StartRun) -> None:
        """Post the run and stream it to its end. `request.request_id` must be set: the post may be repeated."""

        def work() -> None:
            run = self._insist(lambda: self._client.start_run(request))
            self._inbox.put(Started(run))
            self._in_thread("stream", lambda: self._stream(run.run_id))

        self._in_thread("start", work)

    def stop(self, run_id: int) -> None:
        """Ask the SuperLink to stop the run."""
        self._in_thread("stop", lambda: self._inbox.put(StopTaken(self._insist(lambda: self._client.stop_run(run_id)))))

    def _stream(self, run_id: int) -> None:
        cursor, cut_at = "", 0.0
        while True:
            client = self._connect()
            client.http.patience = HASTE
            try:
                for item in client.stream(run_id, after=cursor, kinds=("event", "log")):
                    cursor, cut_at = item.cursor or cursor, 0.0
                    self._inbox.put(ItemReceived(item))
                self._inbox.put(RunFinished(client.get_run(run_id)))
                return
            except SuperLinkUnreachable as error:
                if not cut_at:
                    cut_at = time.monotonic()
                    self._inbox.put(Cut(error.message))
                if time.monotonic() - cut_at > PATIENCE:
                    raise

    def _insist(self, ask: Callable[[], RunView]) -> RunView:
        try:
            return ask()
        except SuperLinkUnreachable:
            self._client = self._connect()
            return ask()

    def _in_thread(self, step: Step, work: Callable[[], None]) -> None:
        def body() -> None:
            try:
                work()
            except BaseException as error:  # noqa: BLE001 - handed to the main thread, which raises it
                self._inbox.put(Failed(step, error))

        threading.Thread(target=body, name=f"umbel-{step}", daemon=True).start()
