"""The files of a local SuperLink under its home, and the lock that makes it the only one there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import IO, Any

from umbel import _os


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
        if _os.try_lock(file.fileno()):
            return file
        file.close()
        return None

    def write_info(self, info: dict[str, Any]) -> None:
        """Say where the SuperLink answers; readers see all of it or nothing."""
        _os.replace_file(self.info, json.dumps(info).encode())

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
