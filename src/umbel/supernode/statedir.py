"""What a SuperNode keeps on disk, and the lock that makes it the only one there."""

from __future__ import annotations

import fcntl
import shutil
from typing import TYPE_CHECKING

from umbel.errors import ConfigError, Conflict

if TYPE_CHECKING:
    from pathlib import Path
    from typing import IO


class StateDir:
    """The files below `root`: `key.pem`, `contents/`, `spool/`, `runs/<run id>/`; for their owner alone."""

    def __init__(self, root: Path) -> None:
        """Makes what is missing. Raises ConfigError when that is not possible."""
        self.root = root.expanduser().absolute()
        self.key = self.root / "key.pem"
        self.contents = self.root / "contents"
        self.spool = self.root / "spool"
        self._runs = self.root / "runs"
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            for directory in (self.contents, self.spool, self._runs):
                directory.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"{self.root} cannot be used: {error.strerror}.", hint="Give another --state-dir."
            ) from error

    def lock(self) -> IO[str]:
        """A lock, held for as long as the file is open. Raises Conflict when another process holds it."""
        file = (self.root / "lock").open("a")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            raise Conflict(
                f"Another SuperNode works in {self.root}.",
                hint="Give each its own --name (and with it a key), or its own --state-dir.",
            ) from None
        return file

    def client_state(self, run_id: int) -> Path:
        """Where a run's ClientApp keeps its state."""
        return self._runs / str(run_id) / "state"

    def runs(self) -> list[int]:
        """The runs of which something is kept."""
        return sorted(int(path.name) for path in self._runs.iterdir() if path.name.isdigit())

    def begin_run(self, run_id: int) -> None:
        """Something of this run will be kept."""
        (self._runs / str(run_id)).mkdir(mode=0o700, exist_ok=True)

    def remove_run(self, run_id: int) -> None:
        """Nothing of this run is needed any more."""
        shutil.rmtree(self._runs / str(run_id), ignore_errors=True)
