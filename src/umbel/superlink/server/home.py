"""The files of a local SuperLink under its home, and the lock that makes it the only one there."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from pathlib import Path
from typing import IO, Any


class Home:
    """The paths under `root` (UMBEL_HOME)."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.local = root / "local"
        self.token = self.local / "token"
        self.lock = self.local / "lock"
        self.info = self.local / "superlink.json"
        self.number = self.local / "number"
        self.database = self.local / "umbel.db"
        self.objects = self.local / "objects"

    def prepare(self) -> None:
        """Create the directory, for its owner alone."""
        self.local.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.local.chmod(0o700)

    def take_lock(self) -> IO[str] | None:
        """The lock, held for as long as the file is open; None when another process holds it."""
        file = self.lock.open("a")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return None
        return file

    def write_info(self, info: dict[str, Any]) -> None:
        """Say where the SuperLink answers; readers see all of it or nothing."""
        temporary = self.local / f"superlink.json.{secrets.token_hex(4)}"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(info, file)
        temporary.rename(self.info)

    def swap_number(self, number: int) -> int | None:
        """Keep this life's number among the SuperLinks on a database; returns that of the last life."""
        try:
            last = int(self.number.read_text())
        except (FileNotFoundError, ValueError):
            last = None
        self.number.write_text(str(number))
        return last

    def read_info(self) -> dict[str, Any] | None:
        """Where the SuperLink answers, if it has said so."""
        try:
            info: dict[str, Any] = json.loads(self.info.read_text())
        except (FileNotFoundError, ValueError):
            return None
        return info
