"""How the processes of one machine find its local SuperLink: `local/superlink.json` and `local/token`.

The SuperLink writes both before it answers, and says the same `LocalSuperLink`, as one line, on the
descriptor that `--ready-fd` names.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from umbel.home import home
from umbel.wire.api import UNDECODABLE

if TYPE_CHECKING:
    from pathlib import Path


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
