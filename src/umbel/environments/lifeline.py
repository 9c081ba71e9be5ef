"""What the life of commands hangs on."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock, Timer

from umbel.environments import guard

_TAIL_BYTES = 16 * 1024
_KILLED = 137


class Lifeline:
    """A command runs on it until it is cut, from any thread, or this process dies; then it is killed with all it has started."""

    def __init__(self) -> None:
        """Not cut yet."""
        self.is_cut = False
        self._lock = Lock()
        self._write: int | None = None  # the end of a pipe that a running command listens at

    def cut(self) -> None:
        """Kill what runs on it; nothing runs on it any more. Returns at once."""
        with self._lock:
            self.is_cut = True
            self._close()

    def run(
        self, command: Sequence[str], *, cwd: Path, environ: Mapping[str, str], lock: int, limit: float
    ) -> tuple[int, str]:
        """Run a command in `cwd` to its end; returns its exit code and the end of what it wrote. After `limit` seconds the lifeline is cut.

        The command holds the descriptor `lock` for as long as anything of it lives.
        """
        timer = Timer(limit, self.cut)
        timer.daemon = True
        with tempfile.TemporaryFile() as output, self._pipe() as stdin:
            if self.is_cut:
                return _KILLED, ""
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", guard.__file__, *command],
                stdin=stdin,
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

    @contextmanager
    def _pipe(self) -> Iterator[int]:
        read, write = os.pipe()
        with self._lock:
            self._write = write
            if self.is_cut:
                self._close()
        try:
            yield read
        finally:
            os.close(read)
            with self._lock:
                self._close()

    def _close(self) -> None:
        if self._write is not None:
            os.close(self._write)
            self._write = None
