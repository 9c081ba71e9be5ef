"""Operating-system services: full disks, file replacement, locks, signals, machine identity, shared memory.

Every call that only Linux has is here, with a portable branch for other POSIX systems. `UMBEL_PORTABLE=1` forces the portable
branches, so that they can be tested on Linux.
"""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import secrets
import signal
import sys
import tempfile
import time
from functools import cache
from pathlib import Path

PORTABLE = os.environ.get("UMBEL_PORTABLE") == "1"

_DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_MEMORY = Path("/proc/meminfo")
_SCHEDSTAT = Path("/proc/self/schedstat")  # nanoseconds on a processor, and waiting for one
_OPEN_MAX = 10_240
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - the files there have no name


def is_disk_full(error: OSError) -> bool:
    """Whether an operation failed for want of disk space: the file system is full, or the user's quota is used up."""
    return error.errno in _DISK_FULL


def replace_file(path: Path, data: bytes, *, mode: int = 0o600, durable: bool = False) -> None:
    """Write a file so that readers see the old or the new content and never a part.

    The file is created with `mode` in any case. `durable` syncs the data to the disk first. Raises OSError and removes the temporary file.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def lock(descriptor: int, *, shared: bool = False) -> None:
    """Wait for an advisory lock on an open file. It is released when the last descriptor of this open file is closed."""
    fcntl.flock(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)


def try_lock(descriptor: int, *, shared: bool = False) -> bool:
    """Acquire the lock if that is possible at once; whether it was."""
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def wake_on_termination(descriptor: int) -> None:
    """Have SIGTERM, SIGINT and SIGHUP write a byte to `descriptor` and do nothing else. Call it in the main thread."""
    os.set_blocking(descriptor, False)
    signal.set_wakeup_fd(descriptor, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)


def boot_id(*, portable: bool = PORTABLE) -> str:
    """A text that differs between starts of the machine; empty where the system has none."""
    if portable:
        return ""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""


def usable_cpus(*, portable: bool = PORTABLE) -> int:
    """The number of processors that this process may use."""
    if not portable and hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def raise_file_limit(*, portable: bool = PORTABLE) -> None:
    """Let this process have as many open files as the system allows it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # macOS reports no hard limit but refuses more than its OPEN_MAX.
    wanted = (
        min(hard if hard != resource.RLIM_INFINITY else _OPEN_MAX, _OPEN_MAX)
        if portable or sys.platform == "darwin"
        else hard
    )
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def available_memory(*, portable: bool = PORTABLE) -> int:
    """Bytes of memory that can be used without swapping; all physical memory where the system does not say."""
    if not portable:
        try:
            lines = _MEMORY.read_text().splitlines()
        except OSError:
            pass
        else:
            fields = dict(line.split(":", 1) for line in lines if ":" in line)
            if "MemAvailable" in fields:
                return int(fields["MemAvailable"].split()[0]) * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def busy_seconds(*, portable: bool = PORTABLE) -> float:
    """Processor time of this process, with the time it waited for a processor where the system counts that."""
    descriptor = None if portable else _schedstat()
    waited = 0.0 if descriptor is None else int(os.pread(descriptor, 100, 0).split()[1]) / 1e9
    return time.process_time() + waited


@cache
def _schedstat() -> int | None:
    """A descriptor of the file, opened once because it is read often."""
    try:
        return os.open(_SCHEDSTAT, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None


def anonymous_memory(size: int, *, portable: bool = PORTABLE) -> int:
    """A descriptor of `size` zero bytes of memory that processes can share. It has no name, so a killed process leaves nothing behind."""
    if not portable and hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("umbel", os.MFD_CLOEXEC)
    else:
        with tempfile.TemporaryFile(dir=_SHARED_MEMORY if _SHARED_MEMORY.is_dir() else None) as file:
            descriptor = os.dup(file.fileno())
    os.ftruncate(descriptor, size)
    return descriptor
