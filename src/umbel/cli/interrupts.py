"""What Ctrl-C (SIGINT) and SIGTERM do: end a command cleanly, or become an item of its inbox."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

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
    """Within, both signals call `receive(signum)` in a thread of its own and interrupt nothing.

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
