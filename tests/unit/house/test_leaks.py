"""The check that a test leaves nothing behind catches what it is there for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support.source_tree import ROOT

CONFTEST = """
from tests.conftest import _leaves_nothing_behind, umbel_home
from tests.support import homes

homes.GRACE_SECONDS = 0.1
"""
LEAKY = """
import subprocess, sys, threading
from pathlib import Path

PAUSE = [sys.executable, "-c", "import signal; signal.pause()"]


def test_process():
    test_process.kept = subprocess.Popen(PAUSE)


def test_thread():
    threading.Thread(target=threading.Event().wait, args=(0.5,), name="lost").start()


def test_daemon(umbel_home):
    (umbel_home / "used").touch()
    subprocess.run([sys.executable, "-c", f"import subprocess; subprocess.Popen({PAUSE!r}, start_new_session=True)"])


def test_clean():
    threading.Thread(target=print).start()
"""


def test_what_a_test_leaves_behind_fails_it(tmp_path: Path) -> None:
    """A test fails that leaves a child process, a thread or a process of its home behind; a clean one passes."""
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_leaky.py").write_text(LEAKY)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:randomly",
        "-p",
        "no:cacheprovider",
        "-W",
        "ignore",
        str(tmp_path),
    ]
    run = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert "4 passed, 3 errors" in run.stdout
    for leak in ("left behind: process", "left behind: thread lost", "still running: "):
        assert leak in run.stdout
