"""Client state on disk, with retries while the disk is full."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from umbel._os import is_disk_full
from umbel.app.recorddict import RecordDict
from umbel.errors import StorageFull
from umbel.wire.records import pack, unpack

T = TypeVar("T")

_SECONDS = 600.0  # long enough for a person to make room
_RETRY = 1.0  # seconds; nothing tells when there is room again


class RetryWhileDiskFull:
    """Repeats what a full disk refused. `seconds` is how long, on `clock`, with `retry` seconds between two tries."""

    def __init__(
        self, seconds: float = _SECONDS, retry: float = _RETRY, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`end` makes it give up at the next refusal."""
        self.seconds = seconds
        self.retry = retry
        self._clock = clock
        self._ended = threading.Event()

    def __call__(self, call: Callable[[], T], on_wait: Callable[[], None] | None = None) -> T:
        """What `call` returns, once there is room; `on_wait` is called before the first wait. Raises StorageFull at the end of patience."""
        began = self._clock()
        while True:
            try:
                return call()
            except StorageFull:
                if on_wait is not None:
                    on_wait()
                    on_wait = None
                if self._clock() - began >= self.seconds or self._ended.wait(self.retry):
                    raise

    def end(self) -> None:
        """Wait no more."""
        self._ended.set()


class StateStore:
    """The states of all clients of one run, below one directory."""

    def __init__(self, directory: Path | str) -> None:
        """States are kept below `directory`, which is made when the first is."""
        self._directory = str(directory)
        self._looked_at = 0  # the exchange for which `_is_empty` holds
        self._is_empty = True

    def _path(self, node_id: int) -> str:
        return f"{self._directory}/{node_id % 4096:03x}/{node_id}"

    def load(self, node_id: int, exchange: int) -> bytes:
        """The packed state that `exchange` begins with; empty when there is none."""
        if exchange != self._looked_at:  # once for all clients: most apps keep no state
            self._looked_at, self._is_empty = exchange, not os.path.isdir(self._directory)
        if self._is_empty:
            return b""
        path = self._path(node_id)
        version = max((v for v in _versions(path) if v < exchange), default=None)
        if version is None:
            return b""
        with open(f"{path}/{version}", "rb") as file:
            return file.read()

    def save(self, node_id: int, exchange: int, state: RecordDict, before: bytes, keep_from: int) -> None:
        """Keep `state` as what `exchange` left, if it differs from `before`, what it began with.

        Of the older ones, the newest that was there at exchange `keep_from` and all that came later are kept. Raises StorageFull.
        """
        if not state and not before:
            return
        data = b"".join(pack(state))
        if data == before:
            return
        path = self._path(node_id)
        try:
            _write(path, str(exchange), data)
        except OSError as error:
            if not is_disk_full(error):
                raise
            raise StorageFull(
                f"No disk space left for the state of node {node_id}.",
                hint=f"Free some space on the disk of {self._directory}.",
            ) from error
        versions = _versions(path)
        needed = max((v for v in versions if v <= keep_from), default=0)
        for version in versions:
            if version < needed:
                os.unlink(f"{path}/{version}")


def _write(path: str, name: str, data: bytes) -> None:
    os.makedirs(path, exist_ok=True)
    temporary = f"{path}/.{name}.{os.getpid()}"
    with open(temporary, "wb") as file:
        file.write(data)
    os.replace(temporary, f"{path}/{name}")


def _versions(path: str) -> list[int]:
    try:
        return [int(name) for name in os.listdir(path) if name.isdigit()]
    except FileNotFoundError:
        return []


def unpack_state(data: bytes) -> RecordDict:
    """The state in what `load` gave, writable."""
    return unpack(bytearray(data)) if data else RecordDict()
