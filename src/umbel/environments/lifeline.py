"""A pipe on which the life of commands hangs."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock, Timer

from umbel.environments import guard

_TAIL_BYTES = 16 * 1024


class Lifeline:
    """Commands run on it until it is cut, from any thread, or this process dies; then they are killed with all they started."""

    def __init__(self) -> None:
        """Not cut yet."""
        self.is_cut = False
        self._lock = Lock()
        self._read, self._write = os.pipe()

    def cut(self) -> None:
        """Kill what runs on it, now and later. Returns at once."""
        with self._lock:
            if not self.is_cut:
                self.is_cut = True
                os.close(self._write)

    def close(self) -> None:
        """Cut it, and let go of its descriptors."""
        self.cut()
        with self._lock:
            if self._read >= 0:
                os.close(self._read)
                self._read = -1

    def run(
        self, command: Sequence[str], *, cwd: Path, environ: Mapping[str, str], lock: int, limit: float
    ) -> tuple[int, str]:
        """Run a command in `cwd` to its end, for `limit` seconds at most; returns its exit code and the end of what it wrote.

        It holds the descriptor `lock` for as long as anything of it lives.
        """
        timer = Timer(limit, self.cut)
        timer.daemon = True
        with tempfile.TemporaryFile() as output:
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", guard.__file__, *command],
                stdin=self._read,
                stdout=output,
                stderr=output,
                cwd=cwd,
                env=environ,
                start_new_session=True,
                pass_fds=(lock,),
            )
            timer.start()
            try:
                code = process.wait()
            except BaseException:
                self.cut()  # a signal's handler has raised: nothing may go on behind our back
                process.wait()
                raise
            finally:
                timer.cancel()
            output.seek(max(0, output.seek(0, os.SEEK_END) - _TAIL_BYTES))
            return code, output.read().decode(errors="replace")
