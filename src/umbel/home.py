"""Directories of a user's files under `UMBEL_HOME`."""

from __future__ import annotations

import os
from pathlib import Path

from umbel.errors import ConfigError

VARIABLE = "UMBEL_HOME"


def home() -> Path:
    """The absolute path of `UMBEL_HOME` (default `~/.umbel`), which may not exist yet."""
    return Path(os.environ.get(VARIABLE) or "~/.umbel").expanduser().absolute()


def local_dir(base: Path | None = None) -> Path:
    """The directory of the local SuperLink: token, database, objects and log. Raises ConfigError."""
    return _private(base or home(), "local")


def apps_dir(base: Path | None = None) -> Path:
    """The directory of unpacked bundles. Raises ConfigError."""
    return _private(base or home(), "apps")


def runs_dir(base: Path | None = None) -> Path:
    """The directory of the scratch directories of running simulations, named by run ID. Raises ConfigError."""
    return _private(base or home(), "runs")


def environments_dir(base: Path | None = None) -> Path:
    """The directory of the virtual environments of apps with additional dependencies. Raises ConfigError."""
    return _private(base or home(), "environments")


def _private(base: Path, name: str) -> Path:
    """`base/name`, created if it does not exist; only the owner has access to both."""
    path = base / name
    try:
        base.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be created: {error.strerror}.", hint=f"Set {VARIABLE} to the folder to use."
        ) from error
    return path
