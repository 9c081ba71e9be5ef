"""Operating-system services, in the branch for this system and in the portable one."""

from __future__ import annotations

import errno
import mmap
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from umbel import _os
from umbel.bundle.install import _cannot_write
from umbel.cli.output import cannot_write
from umbel.errors import StorageFull

BOTH = pytest.mark.parametrize("portable", [False, True])


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_and_a_full_quota_are_the_same(code: int, tmp_path: Path) -> None:
    """Both mean that there is no space, and both become StorageFull wherever files are written for the user."""
    error = OSError(code, os.strerror(code))
    assert _os.is_disk_full(error)
    assert isinstance(cannot_write(tmp_path, error), StorageFull)
    assert isinstance(_cannot_write(error, tmp_path), StorageFull)


@pytest.mark.parametrize("code", [errno.EACCES, errno.EIO, errno.EROFS])
def test_other_errors_are_no_full_disk(code: int, tmp_path: Path) -> None:
    """Making room would not help against them."""
    error = OSError(code, os.strerror(code))
    assert not _os.is_disk_full(error)
    assert not isinstance(cannot_write(tmp_path, error), StorageFull)


@pytest.mark.parametrize("durable", [False, True])
def test_a_file_is_replaced_as_a_whole(tmp_path: Path, *, durable: bool) -> None:
    """The new content with its mode, and no temporary file beside it."""
    path = tmp_path / "file"
    path.write_text("old")
    _os.replace_file(path, b"new", mode=0o640, durable=durable)
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"new", 0o640)
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_replacement_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that fills up in the middle costs nothing but the attempt."""
    path = tmp_path / "file"
    path.write_text("old")
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
    with pytest.raises(OSError, match="full"):
        _os.replace_file(path, b"new", durable=True)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_locks_exclude_each_other(tmp_path: Path) -> None:
    """One holder of an exclusive lock; several of a shared one."""
    path = tmp_path / "lock"
    with path.open("w") as first, path.open("w") as second:
        assert _os.try_lock(first.fileno())
        assert not _os.try_lock(second.fileno())
        assert _os.try_lock(first.fileno(), shared=True)
        assert _os.try_lock(second.fileno(), shared=True)
        assert not _os.try_lock(second.fileno())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_writes_a_byte(number: signal.Signals) -> None:
    """The process wakes from a read, and is not killed."""
    program = (
        "import os\nfrom umbel._os import wake_on_termination\nread, write = os.pipe()\n"
        f"wake_on_termination(write)\nos.kill(os.getpid(), {int(number)})\nprint(os.read(read, 1)[0])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30)
    assert int(done.stdout) == number


@BOTH
def test_what_the_machine_has(*, portable: bool) -> None:
    """Some processors, some memory, processor time that grows."""
    assert 1 <= _os.usable_cpus(portable=portable) <= (os.cpu_count() or 1)
    assert 2**26 < _os.available_memory(portable=portable) < 2**50
    before = _os.busy_seconds(portable=portable)
    assert sum(range(200_000)) > 0
    assert _os.busy_seconds(portable=portable) > before


def test_starts_of_the_machine_differ_where_the_system_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The same text twice on Linux; none in the portable branch or without the file."""
    assert _os.boot_id(portable=False) == _os.boot_id(portable=False) != ""
    assert _os.boot_id(portable=True) == ""
    monkeypatch.setattr(_os, "_BOOT_ID", tmp_path / "none")
    assert _os.boot_id(portable=False) == ""


@BOTH
def test_anonymous_memory_is_shared_and_empty(*, portable: bool) -> None:
    """What one mapping writes another one sees."""
    descriptor = _os.anonymous_memory(4096, portable=portable)
    with mmap.mmap(descriptor, 4096) as one, mmap.mmap(descriptor, 4096) as other:
        assert one[:] == bytes(4096)
        one[7] = 42
        assert other[7] == 42
    os.close(descriptor)


@BOTH
def test_the_file_limit_is_raised(*, portable: bool) -> None:
    """A process with a low soft limit gets more, whatever the hard limit is."""
    program = (
        "import resource\nfrom umbel._os import raise_file_limit\n_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)\n"
        f"resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))\nraise_file_limit(portable={portable})\n"
        "print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert int(done.stdout) == (min(hard, 10_240) if portable else hard)


def test_the_variable_forces_the_portable_branches() -> None:
    """UMBEL_PORTABLE=1 is how CI tests them."""
    command = [sys.executable, "-c", "from umbel import _os; print(_os.PORTABLE, repr(_os.boot_id()))"]
    environment = {**os.environ, "UMBEL_PORTABLE": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout.strip() == "True ''"
