"""Installation of packages with uv, limited in time and ended with the calling process."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock, Timer

from umbel.environments import base, supervisor
from umbel.environments.requirements import OURS, of_ours
from umbel.errors import EnvironmentFailed

_TAIL_BYTES = 16 * 1024
_KILLED = 137


class Lifeline:
    """Runs a command that is killed, with all its child processes, when any thread calls `cut` or this process ends."""

    def __init__(self) -> None:
        self.is_cut = False
        self._lock = Lock()
        self._write: int | None = None  # the write end of the pipe whose EOF ends the running command

    def cut(self) -> None:
        """Kill the running command and refuse further ones. Returns immediately."""
        with self._lock:
            self.is_cut = True
            self._close()

    def run(
        self, command: Sequence[str], *, cwd: Path, environ: Mapping[str, str], lock: int, limit: float
    ) -> tuple[int, str]:
        """Run a command in `cwd`; returns its exit code and the end of its output. `cut` is called after `limit` seconds.

        The command and its child processes inherit the descriptor `lock`, and with it the lock.
        """
        timer = Timer(limit, self.cut)
        timer.daemon = True
        with tempfile.TemporaryFile() as output, self._pipe() as stdin:
            if self.is_cut:
                return _KILLED, ""
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", supervisor.__file__, *command],
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
                self.cut()  # a signal handler has raised: do not leave the command running
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


_REASON_LINES = 20
_QUIET = {"NO_COLOR": "1", "UV_NO_PROGRESS": "1"}


@dataclass(frozen=True)
class Bounds:
    """Limits of an installation: it ends when `lifeline` is cut or after `seconds`; its processes inherit the descriptor `lock`."""

    lifeline: Lifeline
    lock: int
    seconds: float


def install(folder: Path, requirements: Sequence[str], bounds: Bounds) -> None:
    """Create an environment in `folder` that satisfies `requirements`, with the base's packages where they fit.

    The settings of uv (`UV_…`, the user's uv.toml) apply. Raises EnvironmentFailed, with the output of uv, when uv is missing, the
    requirements cannot be resolved or downloaded, or the installation is cancelled or takes too long.
    """
    uv = _uv()
    _run(
        [uv, "venv", "--quiet", "--no-project", "--relocatable", "--python", sys.executable, str(folder)],
        folder,
        bounds,
    )
    (packages,) = folder.glob("lib/python*/site-packages")
    base.describe(packages)
    lists = {
        "--requirement": requirements,
        "--constraint": of_ours(),
        "--override": [f'{name} ; python_version < "0"' for name in OURS],  # never installed: the base provides them
    }
    options = [part for option, lines in lists.items() for part in (option, _file(folder, option, lines))]
    _run([uv, "pip", "install", "--quiet", "--python", str(folder / "bin" / "python"), *options], folder, bounds)
    base.inherit(packages)


def _file(folder: Path, option: str, lines: Sequence[str]) -> str:
    path = folder / f"{option.removeprefix('--')}s.txt"
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return str(path)


def _uv() -> str:
    """The path of uv: next to this interpreter, or else on PATH."""
    beside = Path(sys.executable).with_name("uv")
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which("uv")
    if found is None:
        raise EnvironmentFailed(
            "The app's dependencies cannot be installed: uv is not available on this machine.",
            hint="Install uv next to Umbel: `pip install uv`.",
        )
    return found


def _run(command: Sequence[str], folder: Path, bounds: Bounds) -> None:
    # Builds of packages may execute arbitrary code, which must not see the tokens of Umbel.
    environ = {name: value for name, value in os.environ.items() if not name.startswith("UMBEL_")} | _QUIET
    began = time.monotonic()
    code, output = bounds.lifeline.run(
        command, cwd=folder.parent, environ=environ, lock=bounds.lock, limit=bounds.seconds
    )
    if code == 0:
        return
    if bounds.lifeline.is_cut:
        late = time.monotonic() - began >= bounds.seconds
        why = f"the installation took longer than {bounds.seconds:g} s" if late else "the installation was cancelled"
        raise EnvironmentFailed(f"The app's dependencies are not installed: {why}.")
    reason = "\n".join(output.strip().splitlines()[-_REASON_LINES:]) or f"uv exited with code {code}"
    raise EnvironmentFailed(
        f"The app's dependencies could not be installed. uv says:\n{reason}",
        hint="Correct `dependencies` in the app's pyproject.toml, or configure an index that provides them (UV_INDEX, UV_FIND_LINKS).",
    )
