"""What Ctrl-C (SIGINT) and SIGTERM do: end a command cleanly, or become an item of its inbox."""

from __future__ import annotations

import signal
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
    """Within, both signals call `receive(signum)` in the main thread and interrupt nothing."""
    _install(lambda signum, _: receive(signum))
    try:
        yield
    finally:
        raise_on_signals()


def _install(handler: Callable[[int, FrameType | None], None] | signal.Handlers) -> None:
    for signum in SIGNALS:
        if signal.getsignal(signum) is not signal.SIG_IGN:
            signal.signal(signum, handler)


def _raise(signum: int, _: FrameType | None) -> None:
    raise Interrupted(signum)
