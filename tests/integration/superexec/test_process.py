"""One task's process, and the directory that only one process may use."""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.support.superexec import wait_until_gone
from umbel.superexec.process import Process, lock_scratch, remove_scratch

STUBBORN = """
import signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
print(child.pid)
signal.pause()
"""


def started(code: str, put: Callable[[str], object] = len) -> Process:
    with lock_scratch(1) as lock:
        return Process([sys.executable, "-u", "-c", code], os.environ, lock, put)


def test_a_process_that_ignores_sigterm_is_killed_with_its_group() -> None:
    """After the grace period SIGKILL ends what SIGTERM did not, children included."""
    lines: queue.Queue[str] = queue.Queue()
    process = started(STUBBORN, lines.put)
    child = psutil.Process(int(lines.get(timeout=10)))
    stopping = threading.Thread(target=process.stop, args=(0.1,))
    stopping.start()
    assert process.wait() == -signal.SIGKILL
    stopping.join()
    wait_until_gone([child])


def test_stopping_what_is_gone_does_nothing() -> None:
    """A stop that comes after the end signals no one: the pid may be another's by then."""
    process = started("")
    assert process.wait() == 0
    process.stop(grace=0)


def test_the_directory_of_a_run_is_used_by_one_process_at_a_time(umbel_home: Path) -> None:
    """While a process of a run lives, no one else gets the directory; when it is gone, the next one does."""
    process = started("import sys; sys.stdin.read()")
    entered = threading.Event()

    def enter() -> None:
        with lock_scratch(1):
            entered.set()

    waiting = threading.Thread(target=enter)
    waiting.start()
    assert not entered.wait(0.2)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert entered.wait(10)
    waiting.join()
    remove_scratch(1)
    assert list((umbel_home / "runs").iterdir()) == []


def test_output_that_survives_the_group_does_not_hold_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon that has left the group and keeps the output open delays the report only for a moment."""
    monkeypatch.setattr("umbel.superexec.process.DRAIN", 0.1)
    code = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"], start_new_session=True)
print(child.pid)
"""
    process = started(code)
    assert process.wait() == 0
    os.kill(int(process.tail()[0]), signal.SIGKILL)
