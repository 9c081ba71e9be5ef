"""Makes an environment with uv."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from umbel.environments import base
from umbel.environments.lifeline import Lifeline
from umbel.environments.requirements import OURS, of_ours
from umbel.errors import EnvironmentFailed

_REASON_LINES = 20
_QUIET = {"NO_COLOR": "1", "UV_NO_PROGRESS": "1"}


@dataclass(frozen=True)
class Bounds:
    """What holds an installation: it ends with its lifeline or after `seconds`; all of it holds the descriptor `lock`."""

    lifeline: Lifeline
    lock: int
    seconds: float


def install(folder: Path, requirements: Sequence[str], bounds: Bounds) -> None:
    """Make an environment in `folder` that has `requirements`, and what the base has where that fits them.

    uv's own settings (`UV_…`, the user's uv.toml) hold. Raises EnvironmentFailed, in uv's words, when there is no uv, no solution,
    something that cannot be had, or when the bounds are reached.
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
        "--override": [f'{name} ; python_version < "0"' for name in OURS],  # never: they are the base's
    }
    options = [part for option, lines in lists.items() for part in (option, _file(folder, option, lines))]
    _run([uv, "pip", "install", "--quiet", "--python", str(folder / "bin" / "python"), *options], folder, bounds)
    base.inherit(packages)


def _file(folder: Path, option: str, lines: Sequence[str]) -> str:
    path = folder / f"{option.removeprefix('--')}s.txt"
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return str(path)


def _uv() -> str:
    """The uv beside this interpreter, or the one on PATH."""
    beside = Path(sys.executable).with_name("uv")
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which("uv")
    if found is None:
        raise EnvironmentFailed(
            "The app's dependencies cannot be installed: there is no uv on this machine.",
            hint="Install uv beside Umbel (`pip install uv`).",
        )
    return found


def _run(command: Sequence[str], folder: Path, bounds: Bounds) -> None:
    # What is installed may run code of its own: our tokens are not for it.
    environ = {name: value for name, value in os.environ.items() if not name.startswith("UMBEL_")} | _QUIET
    began = time.monotonic()
    code, output = bounds.lifeline.run(
        command, cwd=folder.parent, environ=environ, lock=bounds.lock, limit=bounds.seconds
    )
    if code == 0:
        return
    if bounds.lifeline.is_cut:
        late = time.monotonic() - began >= bounds.seconds
        why = f"it took longer than {bounds.seconds:g} s" if late else "it was called off"
        raise EnvironmentFailed(f"The app's dependencies are not installed: {why}.")
    reason = "\n".join(output.strip().splitlines()[-_REASON_LINES:]) or f"uv ended with code {code}"
    raise EnvironmentFailed(
        f"The app's dependencies could not be installed. uv says:\n{reason}",
        hint="Correct `dependencies` in the app's pyproject.toml, or give uv an index that has them (UV_INDEX, UV_FIND_LINKS).",
    )
