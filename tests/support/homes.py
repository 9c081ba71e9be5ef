"""Temporary Umbel homes for tests, and the end of the processes that work in them."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

GRACE_SECONDS = 5.0
# Short, because the path of a socket is limited to about 100 characters.
FOLDER = tempfile.gettempdir() if len(tempfile.gettempdir()) < 25 else "/tmp"


_unused: list[Path] = []  # homes in which nothing was ever written: to make and remove one costs a millisecond each


@contextmanager
def temporary_home() -> Iterator[Path]:
    """An empty home. At its end the local SuperLink started there is stopped; any other process still working there is an error."""
    home = _unused.pop() if _unused else Path(tempfile.mkdtemp(prefix="umbel-", dir=FOLDER))
    survivors: list[psutil.Process] = []
    try:
        yield home
        end_superlink(home)
    finally:
        if any(home.iterdir()):
            _, survivors = psutil.wait_procs(processes_in(home), timeout=GRACE_SECONDS)
            for process in survivors:
                process.kill()
            shutil.rmtree(home, ignore_errors=True)
        else:
            _unused.append(home)
    if survivors:
        pytest.fail("still running: " + ", ".join(map(describe, survivors)), pytrace=False)


@atexit.register
def _remove_unused() -> None:
    for home in _unused:
        home.rmdir()


def end_superlink(home: Path) -> None:
    """End the local SuperLink of `home`, if one runs, and wait until its processes are gone."""
    try:
        pid = json.loads((home / "local" / "superlink.json").read_text())["pid"]
        superlink = psutil.Process(pid)
        mine = superlink.environ().get("UMBEL_HOME") == str(home)
    except (FileNotFoundError, psutil.NoSuchProcess):
        return
    if mine:
        family = [superlink, *superlink.children(recursive=True)]
        superlink.terminate()
        psutil.wait_procs(family, timeout=2 * GRACE_SECONDS)


def processes_in(home: Path) -> list[psutil.Process]:
    """The processes, other than this one, that work in `home`. Reads every process of the machine, which takes milliseconds."""
    return [process for process in psutil.process_iter() if works_in(process, home)]


def works_in(process: psutil.Process, home: Path) -> bool:
    """Whether a live process other than this one has `home` as its UMBEL_HOME."""
    try:
        return (
            process.pid != os.getpid()
            and process.status() != psutil.STATUS_ZOMBIE
            and process.environ().get("UMBEL_HOME") == str(home)
        )
    except psutil.Error:
        return False


def describe(process: psutil.Process) -> str:
    """Its pid and command line, as far as they can still be read."""
    try:
        return f"{process.pid} ({' '.join(process.cmdline()) or process.name()})"
    except psutil.Error:
        return str(process.pid)
