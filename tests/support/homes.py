"""Temporary Umbel homes for tests, and the end of the processes that work in them."""

from __future__ import annotations

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


@contextmanager
def temporary_home() -> Iterator[Path]:
    """An empty home; the local SuperLink that is started there ends with it, and whoever still works there is a fault."""
    home = Path(tempfile.mkdtemp(prefix="umbel-", dir="/tmp"))  # short: a socket's path has about 100 characters
    try:
        yield home
        end_superlink(home)
    finally:
        _, survivors = psutil.wait_procs(processes_in(home), timeout=GRACE_SECONDS)
        for process in survivors:
            process.kill()
        shutil.rmtree(home, ignore_errors=True)
    if survivors:
        pytest.fail("still running: " + ", ".join(map(describe, survivors)), pytrace=False)


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
    """The processes, other than this one, that work in `home`."""
    if not any(home.iterdir()):
        return []  # nothing ever worked there; looking at every process would cost each test milliseconds
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
