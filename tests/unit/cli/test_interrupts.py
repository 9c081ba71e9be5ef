"""Signals as exceptions, and as messages."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from queue import SimpleQueue

import pytest

from umbel.cli import follow


@pytest.fixture(autouse=True)
def _handlers_are_put_back() -> Iterator[None]:
    before = {signum: signal.getsignal(signum) for signum in follow.SIGNALS}
    for signum in follow.SIGNALS:
        signal.signal(signum, signal.SIG_DFL)
    yield
    for signum, handler in before.items():
        signal.signal(signum, handler)


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_raises_with_its_exit_code(signum: int, code: int) -> None:
    """Shells expect 128 + the number."""
    follow.raise_on_signals()
    with pytest.raises(follow.Interrupted) as raised:
        os.kill(os.getpid(), signum)
    assert raised.value.exit_code == code


def test_a_signal_is_delivered_while_the_main_thread_waits() -> None:
    """It comes as a message, even if the main thread never runs a step of Python; afterwards it raises again."""
    received: SimpleQueue[int] = SimpleQueue()
    with follow.delivered_to(received.put):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
        assert {received.get(timeout=10), received.get(timeout=10)} == {signal.SIGINT, signal.SIGTERM}
    with pytest.raises(follow.Interrupted):
        os.kill(os.getpid(), signal.SIGINT)


def test_other_signals_are_no_message() -> None:
    """The terminal's new size does not stop a run."""
    received: SimpleQueue[int] = SimpleQueue()
    before = signal.signal(signal.SIGWINCH, lambda *_: None)
    try:
        with follow.delivered_to(received.put):
            os.kill(os.getpid(), signal.SIGWINCH)
            os.kill(os.getpid(), signal.SIGINT)
            assert received.get(timeout=10) == signal.SIGINT
        assert received.empty()
    finally:
        signal.signal(signal.SIGWINCH, before)


def test_an_ignored_signal_stays_ignored() -> None:
    """What nohup or a shell's & arranged is kept."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    follow.raise_on_signals()
    os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
