"""The scratch directory of a run: who may use it, and its end."""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import TYPE_CHECKING

from umbel.home import runs_dir

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def lock_scratch(run_id: int) -> Iterator[int]:
    """Wait until no process works in the scratch directory of a run; yields a descriptor that holds it.

    A process that inherits the descriptor holds the directory for as long as it lives: an attempt that was left behind
    and is still ending keeps the next one out.
    """
    folder = runs_dir() / str(run_id)
    folder.mkdir(mode=0o700, exist_ok=True)
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def remove_scratch(run_id: int) -> None:
    """Remove the scratch directory of a run that has finished."""
    import shutil  # brings compression libraries, which an idle SuperExec does not need

    shutil.rmtree(runs_dir() / str(run_id), ignore_errors=True)
