"""Processes, threads and shared memory that a test has left behind."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import psutil

from tests.support import homes

SHARED_MEMORY = Path("/dev/shm")


def descendants() -> list[psutil.Process]:
    """The processes below this one. Cheap where there are none, as in most tests: psutil reads all of /proc."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return []
    return psutil.Process().children(recursive=True)


def kill_new_children(before: set[psutil.Process]) -> list[psutil.Process]:
    """The child processes that are new and do not end by themselves in a moment; they are killed."""
    new = [child for child in descendants() if child not in before and not is_resource_tracker(child)]
    _, alive = psutil.wait_procs(new, timeout=homes.GRACE_SECONDS)
    for process in alive:
        process.kill()
    return alive


def is_resource_tracker(process: psutil.Process) -> bool:
    """Whether a process is the interpreter's own resource tracker, which lives as long as the interpreter."""
    try:
        return any("multiprocessing.resource_tracker" in word for word in process.cmdline())
    except psutil.Error:
        return False


def join_new_threads(before: set[threading.Thread]) -> list[threading.Thread]:
    """The non-daemon threads that are new and do not end by themselves in a moment."""
    new = [thread for thread in threading.enumerate() if thread not in before and not thread.daemon]
    for thread in new:
        thread.join(homes.GRACE_SECONDS)
    return [thread for thread in new if thread.is_alive()]


def shared_memory_files() -> set[Path]:
    """The shared-memory files of the machine."""
    return set(SHARED_MEMORY.iterdir()) if SHARED_MEMORY.is_dir() else set()


def is_leftover(path: Path) -> bool:
    """Whether a shared-memory file is left over from this test, and not in use by another one that runs now."""
    try:
        file = path.stat()
    except FileNotFoundError:
        return False
    return file.st_uid == os.getuid() and not any(has_open(process, path) for process in psutil.process_iter())


def has_open(process: psutil.Process, path: Path) -> bool:
    """Whether a process other than this one has mapped or opened a file."""
    if process.pid == os.getpid():
        return False
    try:
        maps = {entry.path for entry in process.memory_maps(grouped=True)}
        return str(path) in maps or any(file.path == str(path) for file in process.open_files())
    except psutil.Error:
        return False
