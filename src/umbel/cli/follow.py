"""Following a run, and interruptions by Ctrl-C."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from queue import SimpleQueue
from types import FrameType
from typing import TYPE_CHECKING, Protocol

from umbel.cli.run_stream import (
    Cut,
    Failed,
    Feed,
    Inbox,
    ItemReceived,
    Message,
    RunFinished,
    Signalled,
    Started,
    StopTaken,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from umbel.wire.api import RunView, StartRun, StreamItem
    from umbel.wire.control import ControlClient


SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(BaseException):
    """The person, or the system, asked the command to end."""

    def __init__(self, signum: int) -> None:
        self.signum = signum
        super().__init__(signal.Signals(signum).name)

    @property
    def exit_code(self) -> int:
        """128 + the signal's number, as shells have it: 130 for Ctrl-C, 143 for SIGTERM."""
        return 128 + self.signum


def raise_on_signals() -> None:
    """Let both signals raise `Interrupted` in the main thread; one that the parent ignores stays ignored."""
    _install(_raise)


def restore() -> None:
    """Let both signals end the process, as they do by default."""
    _install(signal.SIG_DFL)


@contextmanager
def delivered_to(receive: Callable[[int], None]) -> Iterator[None]:
    """Within, both signals call `receive(signum)` in a separate thread and interrupt nothing.

    The main thread may wait for as long as it likes meanwhile. A handler would not do: Python runs it between two steps of
    the main thread, and a signal that comes just before that thread begins to wait is not seen until the wait is over.
    """
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    relay = threading.Thread(target=_relay, args=(read_end, receive), name="umbel-signals", daemon=True)
    relay.start()
    signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    _install(lambda *_: None)
    try:
        yield
    finally:
        raise_on_signals()
        signal.set_wakeup_fd(-1)
        os.close(write_end)
        relay.join()


def _relay(read_end: int, receive: Callable[[int], None]) -> None:
    with os.fdopen(read_end, "rb", buffering=0) as pipe:
        while numbers := pipe.read(64):
            for signum in numbers:
                if signum in SIGNALS:  # every signal with a handler comes here, the terminal's new size too
                    receive(signum)


def _install(handler: Callable[[int, FrameType | None], None] | signal.Handlers) -> None:
    for signum in SIGNALS:
        if signal.getsignal(signum) is not signal.SIG_IGN:
            signal.signal(signum, handler)


def _raise(signum: int, _: FrameType | None) -> None:
    raise Interrupted(signum)


IMPATIENT = 3  # signals after which we leave even though the SuperLink has not answered


class Display(Protocol):
    """Where a person sees the run."""

    def started(self, run: RunView) -> None:
        """The SuperLink has taken the run."""

    def show(self, item: StreamItem) -> None:
        """An item of the run's stream."""

    def notice(self, text: str) -> None:
        """A word about what the command itself does."""


@dataclass(frozen=True)
class Outcome:
    """How following ended. `signum` is 0 unless a signal ended it; `error` tells why a stop could not be asked for."""

    run: RunView | None
    signum: int = 0
    error: BaseException | None = None


def follow(client: ControlClient, connect: Callable[[], ControlClient], request: StartRun, display: Display) -> Outcome:
    """Start the run and follow it to its end; SIGINT and SIGTERM stop the run.

    Raises what the start or the stream raised, unless a signal came before.
    """
    inbox: Inbox = SimpleQueue()
    feed = Feed(client, connect, inbox)
    with delivered_to(lambda signum: inbox.put(Signalled(signum))):
        feed.start(request)
        return Follower(feed, display).until_over(inbox)


class Follower:
    """Takes the messages one by one. After the first signal it stops the run, as soon as it knows its id."""

    def __init__(self, feed: Feed, display: Display) -> None:
        self._feed = feed
        self._display = display
        self._run: RunView | None = None
        self._signum = 0
        self._signals = 0
        self._stop_taken = False

    def until_over(self, inbox: Inbox) -> Outcome:
        """Handle messages until the run is over, or there is no reason to stay."""
        while True:
            outcome = self.handle(inbox.get())
            if outcome is not None:
                return outcome

    def handle(self, message: Message) -> Outcome | None:
        """Handle one message; an outcome when it was the last."""
        match message:
            case Started(run):
                self._started(run)
            case ItemReceived(item):
                self._display.show(item)
            case Cut(reason):
                self._display.notice(f"{reason} Reconnecting; the run continues in the meantime.")
            case Signalled(signum):
                return self._signalled(signum)
            case StopTaken(run):
                self._stop_taken = True
                return self._end(run) if run.status == "finished" or self._signals > 1 else None
            case RunFinished(run):
                return self._end(run)
            case Failed():
                return self._failed(message)
        return None

    def _started(self, run: RunView) -> None:
        self._run = run
        self._display.started(run)
        if self._signals:
            self._feed.stop(run.run_id)

    def _signalled(self, signum: int) -> Outcome | None:
        self._signum = self._signum or signum
        self._signals += 1
        if self._signals == 1 and self._run is not None:
            self._feed.stop(self._run.run_id)
        if (self._signals > 1 and self._stop_taken) or self._signals >= IMPATIENT:
            return self._end(self._run)
        if self._signals > 1:
            self._display.notice(
                "The SuperLink has not confirmed the stop request yet; press Ctrl-C again to leave anyway."
            )
        return None

    def _failed(self, failure: Failed) -> Outcome | None:
        if not self._signals:
            raise failure.error
        if failure.step == "stream" and not self._stop_taken:
            return None
        return Outcome(self._run, self._signum, None if self._stop_taken else failure.error)

    def _end(self, run: RunView | None) -> Outcome:
        return Outcome(run, self._signum)
