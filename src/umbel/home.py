"""The files of one person on one machine: what lies where under `UMBEL_HOME`."""

from __future__ import annotations

import os
from pathlib import Path

from umbel.errors import ConfigError

VARIABLE = "UMBEL_HOME"


def home() -> Path:
    """`UMBEL_HOME`, or `~/.umbel`, as an absolute path; it may not exist yet."""
    return Path(os.environ.get(VARIABLE) or "~/.umbel").expanduser().absolute()


def local_dir(base: Path | None = None) -> Path:
    """Where the local SuperLink keeps everything: token, database, objects, log. Raises ConfigError."""
    return _private(base or home(), "local")


def apps_dir(base: Path | None = None) -> Path:
    """Where bundles are unpacked. Raises ConfigError."""
    return _private(base or home(), "apps")


def runs_dir(base: Path | None = None) -> Path:
    """Where each running simulation has its scratch directory, named by the run's id. Raises ConfigError."""
    return _private(base or home(), "runs")


def environments_dir(base: Path | None = None) -> Path:
    """Where the environments of apps lie that need more than Umbel's own. Raises ConfigError."""
    return _private(base or home(), "environments")


def _private(base: Path, name: str) -> Path:
    """`base/name`, created if it is not there; both readable by their owner alone."""
    path = base / name
    try:
        base.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be created: {error.strerror}.", hint=f"Set {VARIABLE} to the folder to use."
        ) from error
    return path
