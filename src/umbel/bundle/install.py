"""Unpacks a verified bundle into the directory of apps, whole or not at all."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from umbel._os import is_disk_full
from umbel.bundle.read import Fab, read_fab
from umbel.errors import Conflict, StorageFull, UmbelError

MARKER = ".umbel-installed"  # holds the bundle's hash; written last


def install_fab(data: bytes, apps_dir: Path) -> Path:
    """Unpacks the bundle `data` below `apps_dir` and returns its directory `<publisher>.<name>.<version>.<hash8>`.

    A bundle that is already there is not unpacked again. Any number of processes may install at once. Raises
    BundleInvalid if the bundle is not valid, StorageFull if the disk is.
    """
    digest = hashlib.sha256(data).hexdigest()
    if installed := installed_fab(apps_dir, digest):
        return installed
    fab = read_fab(data)
    try:
        apps_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=apps_dir, prefix=".unpack-", ignore_cleanup_errors=True) as scratch:
            return _move_in(_unpack(fab, Path(scratch) / "app"), apps_dir, fab)
    except OSError as error:
        raise _cannot_write(error, apps_dir) from error


def installed_fab(apps_dir: Path, digest: str) -> Path | None:
    """The directory that holds the bundle with this hash, if there is one."""
    candidates = (*apps_dir.glob(f"*.{digest[:8]}"), *apps_dir.glob(f"*.{digest}"))
    return next((path for path in candidates if _marker(path) == digest), None)


def _marker(directory: Path) -> str | None:
    try:
        return (directory / MARKER).read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return None


def _unpack(fab: Fab, directory: Path) -> Path:
    for name, file in fab.files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, file.content)
    _write(directory / MARKER, fab.hash.encode())
    return directory


def _write(path: Path, content: bytes) -> None:
    with path.open("xb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def _move_in(unpacked: Path, apps_dir: Path, fab: Fab) -> Path:
    """Renames the unpacked app to its place, unless another process was faster.

    What else may lie there stays untouched, as a process may be using it: eight hex digits do not identify a bundle for
    certain, and somebody may have changed the directory. The app then goes under its whole hash.
    """
    stem = f"{fab.config.publisher}.{fab.config.name}.{fab.config.version}"
    for target in (apps_dir / f"{stem}.{fab.hash[:8]}", apps_dir / f"{stem}.{fab.hash}"):
        try:
            return unpacked.rename(target)
        except OSError:
            if not target.exists():
                raise
        if _marker(target) == fab.hash:
            return target
    raise Conflict(f"{apps_dir} contains something else at the path of {stem}.", hint=f"Remove {target}.")


def _cannot_write(error: OSError, apps_dir: Path) -> UmbelError:
    if is_disk_full(error):
        return StorageFull(f"No disk space left in {apps_dir} for the app.", hint="Free some space and try again.")
    return UmbelError(f"The app cannot be written to {apps_dir}: {error.strerror}.", hint="Check its permissions.")
