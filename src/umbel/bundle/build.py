"""Builds the bundle (FAB) of an app: the same files give the same bytes, on any machine and at any time."""

from __future__ import annotations

import hashlib
import io
import re
import stat
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from umbel.bundle.collect import collect
from umbel.bundle.components import check_files
from umbel.bundle.config import AppConfig
from umbel.bundle.flat import unflatten
from umbel.bundle.load import PYPROJECT, load_app, parse_toml
from umbel.bundle.manifest import write_manifest
from umbel.bundle.names import same_on_some_system, unsafe_path
from umbel.bundle.read import read_fab
from umbel.bundle.rules import MANIFEST, MAX_FAB_BYTES, MAX_FILE_BYTES, MAX_FILES
from umbel.errors import BundleInvalid

_DATE = (2024, 10, 1, 0, 0, 0)
_MODE = stat.S_IFREG | 0o644


@dataclass(frozen=True)
class BuiltFab:
    """A bundle: the ZIP's bytes, their lowercase hex SHA-256, the file name to store it under, and the app's description."""

    data: bytes
    hash: str
    filename: str
    config: AppConfig


def build_fab(path: Path) -> BuiltFab:
    """The bundle of the app in the directory `path`.

    Raises AppInvalid if the app's description is not valid and BundleInvalid if its files may not be bundled.
    """
    config = load_app(path)
    files = {PYPROJECT: _shared_pyproject(path / PYPROJECT, config)}
    paths = collect(path, config)
    _check_paths(paths)
    for name in paths:
        files[name] = _read(path / name)
    check_files(config, files)
    data = _zip({**files, MANIFEST: write_manifest(files)})
    if len(data) > MAX_FAB_BYTES:
        raise _too_large(files)
    digest = hashlib.sha256(data).hexdigest()
    return BuiltFab(data, digest, fab_filename(config, digest), config)


def given_fab(data: bytes) -> BuiltFab:
    """The bundle in `data`, built before, by `umbel build` or by Flower, and verified now. Raises BundleInvalid."""
    fab = read_fab(data)
    return BuiltFab(data, fab.hash, fab_filename(fab.config, fab.hash), fab.config)


def fab_filename(config: AppConfig, digest: str) -> str:
    """`<publisher>.<name>.<version with dashes>.<first 8 of the hash>.fab`."""
    version = re.sub(r"[^A-Za-z0-9-]", "-", config.version)
    return f"{config.publisher}.{config.name}.{version}.{digest[:8]}.fab"


def _shared_pyproject(file: Path, config: AppConfig) -> bytes:
    """The app's pyproject.toml without addresses of the author's own federations.

    Of an old table of federations, only the simulation settings travel. Where there is none, the file's bytes stay as
    they are, so that comments reach the people who review the app.
    """
    raw = file.read_bytes()
    document = parse_toml(raw, str(file))
    flwr = document.get("tool", {}).get("flwr")
    if not isinstance(flwr, dict) or flwr.pop("federations", None) is None:
        return raw
    if config.source == "flwr" and config.federation:
        flwr["app"]["federation"] = unflatten(config.federation)
    import tomli_w

    return tomli_w.dumps(document).encode()


def _check_paths(paths: list[str]) -> None:
    if len(paths) > MAX_FILES:
        raise BundleInvalid(f"The app has {len(paths)} files; a bundle holds {MAX_FILES} at most.", hint=_LEAVE_OUT)
    for path in paths:
        if reason := unsafe_path(path):
            raise BundleInvalid(f"The file name `{path}` may not be in a bundle: {reason}.", hint="Rename it.")
    if pair := same_on_some_system([PYPROJECT, *paths]):
        raise BundleInvalid(f"`{pair[0]}` and `{pair[1]}` are the same on some systems.", hint="Rename one.")


_LEAVE_OUT = "Leave files out with .gitignore or `fab-exclude`."


def _read(file: Path) -> bytes:
    try:
        if file.stat().st_size > MAX_FILE_BYTES:
            raise BundleInvalid(f"{file} is larger than {MAX_FILE_BYTES >> 20} MiB.", hint=_LEAVE_OUT)
        return file.read_bytes()
    except OSError as error:
        raise BundleInvalid(f"{file} cannot be read: {error.strerror}.") from error


def _zip(files: Mapping[str, bytes]) -> bytes:
    """The entries are stored, not deflated: zlib and its replacements give different bytes for the same files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            info = zipfile.ZipInfo(name, _DATE)
            info.create_system = 3
            info.external_attr = _MODE << 16
            archive.writestr(info, data, zipfile.ZIP_STORED)
    return buffer.getvalue()


def _too_large(files: Mapping[str, bytes]) -> BundleInvalid:
    largest = sorted(files, key=lambda name: -len(files[name]))[:3]
    listed = ", ".join(f"{name} ({len(files[name]) / 1e6:.1f} MB)" for name in largest)
    return BundleInvalid(
        f"The bundle is larger than {MAX_FAB_BYTES >> 20} MiB. The largest: {listed}.", hint=_LEAVE_OUT
    )
