"""Connections to a SuperLink: addresses, the local SuperLink, versions, back-off."""

from __future__ import annotations

import os
import random
import threading
import time
from typing import TYPE_CHECKING

import msgspec

from umbel import __version__
from umbel.errors import VersionMismatch
from umbel.home import home
from umbel.wire.api import UNDECODABLE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from threading import Event


class Addresses:
    """The addresses in `text`, separated by commas. One is used by all threads until it fails."""

    def __init__(self, text: str) -> None:
        self.all = tuple(split(text))
        self.current = self.all[0]
        self._lock = threading.Lock()

    def leave(self, address: str) -> None:
        """`address` failed: the next one is tried, unless another thread has turned to it already."""
        with self._lock:
            if address == self.current and address in self.all:
                self.current = self.all[(self.all.index(address) + 1) % len(self.all)]

    def __str__(self) -> str:
        return ",".join(self.all)


def split(text: str) -> list[str]:
    """The addresses in a text; the text itself where there are none."""
    return [part for one in text.split(",") if (part := one.strip())] or [text]


def each(text: str, change: Callable[[str], str]) -> str:
    """The same text with each address changed."""
    return ",".join(change(one) for one in split(text))


class LocalSuperLink(msgspec.Struct):
    """The SuperLink that runs, or ran, in a home."""

    address: str  # http://127.0.0.1:port
    pid: int
    version: str


def record_path(base: Path | None = None) -> Path:
    """Where the SuperLink of a home says that it runs."""
    return (base or home()) / "local" / "superlink.json"


def token_path(base: Path | None = None) -> Path:
    """Where the token of the local API is."""
    return (base or home()) / "local" / "token"


def read_record(base: Path | None = None) -> LocalSuperLink | None:
    """What `superlink.json` says, if it is there, whole, and its process is alive."""
    try:
        record = msgspec.json.decode(record_path(base).read_bytes(), type=LocalSuperLink)
    except (OSError, *UNDECODABLE):
        return None
    return record if _is_alive(record.pid) else None


def running_address() -> str | None:
    """Where the SuperLink of `UMBEL_HOME` runs by now, after it was started again perhaps."""
    record = read_record()
    return record.address if record else None


def _is_alive(pid: int) -> bool:
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


HEADER = "Umbel-Version"


def fits(one: str, other: str) -> bool:
    """Whether programs of these versions understand each other."""
    return _series(one) == _series(other)


def require_fitting(theirs: str, *, ours: str = __version__) -> None:
    """Raises VersionMismatch when a client of version `theirs` is not to speak to a SuperLink of version `ours`."""
    if not fits(theirs, ours):
        series = ".".join(_series(ours))
        raise VersionMismatch(
            f"Incompatible versions: this program has Umbel {theirs[:40]}, the SuperLink has {ours}.",
            hint=f"Use version {series} here (pip install 'umbel=={series}.*'), or have the SuperLink upgraded.",
        )


def _series(version: str) -> tuple[str, ...]:
    return tuple(version.split(".")[:2])


FIRST_DELAY = 0.05  # seconds
LONGEST_DELAY = 2.0  # seconds


class Backoff:
    """Growing, jittered delays with a total limit of `patience` seconds (may be infinite)."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self.reset()

    def reset(self) -> None:
        """Begin again: the peer has answered, or bytes have moved."""
        self._deadline = time.monotonic() + self._patience
        self._delay = FIRST_DELAY

    def wait(self, cancelled: Event) -> bool:
        """Wait for the next delay; False when the patience is used up or `cancelled` is set meanwhile."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            return False
        delay = min(self._delay * random.uniform(0.5, 1.0), left)
        self._delay = min(self._delay * 2, LONGEST_DELAY)
        return not cancelled.wait(delay)
