"""Reading and writing files that a person named."""

from __future__ import annotations

import errno
from pathlib import Path

from umbel.errors import ConfigError, NotFound, ObjectInvalid, StorageFull, UmbelError

MAX_NAME = 200  # characters of an artifact's name


def read_file(path: Path) -> bytes:
    """The file's bytes. Raises NotFound or ConfigError."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise NotFound(f"There is no file {path}.", hint="Check the path.") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from error


def write_file(path: Path, data: bytes) -> None:
    """Write a file, replacing one that is there. Raises StorageFull or ConfigError."""
    try:
        path.write_bytes(data)
    except OSError as error:
        raise cannot_write(path, error) from error


def make_folder(path: Path) -> None:
    """Create a folder and its parents; one that is there is fine. Raises StorageFull or ConfigError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from error


def cannot_write(path: Path, error: OSError) -> UmbelError:
    """The error for a file or folder that could not be written."""
    if error.errno == errno.ENOSPC:
        return StorageFull(f"There is no space left for {path}.")
    return ConfigError(f"{path} cannot be written: {error.strerror}.", hint="Name another place with --output.")


def checked_name(name: str) -> str:
    """An artifact's name, if it can be a file's name in a folder and nothing more. Raises ObjectInvalid."""
    plain = name.isprintable() and not set(name) & set('/\\:*?"<>|') and not name.startswith(".")
    if not name or not plain or len(name) > MAX_NAME or name != name.strip():
        raise ObjectInvalid(f"The artifact name {name!r} is not a file name; nothing was written for it.")
    return name
